"""What the seconds of a layer are made of: TIME, never negative, adding up to the latency. ADR 0030.

Cycles are told apart by what the re-simulations of ``attribution.py`` lost. The machine is not monotone, so removing a
cause may cost cycles: then it counts as 0, and the next ones as far as they undercut the least so far. Waiting for DRAM
is for weights and for activations by the bytes that tiles ask for. Waiting for the next group is for weights where the
weight buffer is slowest, else part of the work. Left out: which of two operands a tile waited for.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from simulator.attribution import slowest_core
from simulator.judge import LayerRuns
from simulator.result import TIME
from simulator.schedule.program import Program
from simulator.spec import Device
from simulator.stream_runs import AT_ONCE, buffer_binds, supply_of, units_of

_OF_CAUSE = {  # in the order in which causes are removed; waiting for another core or for DRAM is shared out by bytes
    "core": "waiting", "dram": "waiting", "conflict": "conflict", "scatter": "conflict", "interval": "interval",
    "imbalance": "imbalance", "padding": "imbalance",
}  # fmt: skip


def buffer_share(program: Program, device: Device, runs: LayerRuns) -> Fraction:
    """Return the part of what is lost to the interval that the weight buffer costs.

    The rest is a core's, which issues no faster, or the device's own interval. Of each stream the slowest has it all.
    """
    supply = supply_of(device)
    if supply.interval is not None:
        return Fraction(0)
    if supply.core is None:
        return Fraction(1)
    units = units_of(device).without_conflicts().without_stalls()  # what is gone before the interval is removed
    _, slowest = slowest_core(program, device, runs, units, supply)
    waits = zip(
        slowest.streams,
        runs.streams.of_program(slowest, units, supply),
        runs.streams.of_program(slowest, units, AT_ONCE),
        strict=True,
    )
    of_buffer = lost = 0
    for stream, as_is, at_once in waits:
        wait = max(as_is.cycles - at_once.cycles, 0)
        lost += wait
        of_buffer += wait if buffer_binds(stream, supply) else 0
    return Fraction(of_buffer, lost) if lost else Fraction(0)


def cycle_time_s(
    lost: Mapping[str, Fraction],
    *,
    total: int,
    effectual: Fraction,
    weight_share: Fraction,
    buffer_share: Fraction,
    clock_hz: int,
) -> dict[str, float]:
    """Return the seconds of each of TIME. ``lost``: of ``attribution.lost_cycles``; with ``effectual`` it is ``total``.

    ``weight_share``: of the bytes moved, those of weights and indices. ``buffer_share``: see there.
    """
    useful = min(effectual + lost["vector"], Fraction(total))  # of several cores it is a mean and the slowest one's
    found = dict.fromkeys((*TIME, "waiting", "interval"), Fraction(0))
    removed = least = Fraction(total)
    for cause, name in _OF_CAUSE.items():
        removed -= lost[cause]
        left = max(min(least, removed), useful)
        found[name] += least - left
        least = left
    waiting, interval = found.pop("waiting"), found.pop("interval")
    found["compute"] = least + interval * (1 - buffer_share)
    found["weights"] += waiting * weight_share + interval * buffer_share
    found["activations"] += waiting * (1 - weight_share)
    return adding_up({name: float(cycles / clock_hz) for name, cycles in found.items()}, total / clock_hz)


def adding_up(parts_s: Mapping[str, float], latency_s: float) -> dict[str, float]:
    """Return ``parts_s`` in the order of TIME; the largest takes the few ulps that their sum is off ``latency_s``."""
    found = {name: parts_s[name] for name in TIME}
    largest = max(found, key=lambda name: found[name])
    found[largest] = max(latency_s - sum(value for name, value in found.items() if name != largest), 0.0)
    return found
