"""What the seconds of a layer are made of: TIME, never negative, adding up to the latency. ADR 0030.

Cycles are told apart by what the re-simulations of ``attribution.py`` lost. The machine is not monotone, so removing a
cause may cost cycles: then it counts as 0, and the next ones as far as they undercut the least so far. Waiting for DRAM
is for weights and for activations by the bytes that tiles ask for. Left out: which of two operands a tile waited for.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from simulator.result import TIME

_OF_CAUSE = {  # in the order in which causes are removed; waiting for another core or for DRAM is shared out by bytes
    "core": "waiting", "dram": "waiting", "conflict": "conflict", "scatter": "conflict", "interval": "weights",
    "imbalance": "imbalance", "padding": "imbalance",
}  # fmt: skip


def cycle_time_s(
    lost: Mapping[str, Fraction], *, total: int, effectual: Fraction, weight_share: Fraction, clock_hz: int
) -> dict[str, float]:
    """Return the seconds of each of TIME. ``lost``: of ``attribution.lost_cycles``; with ``effectual`` it is ``total``.

    ``weight_share``: of the bytes moved, those of weights and indices.
    """
    useful = min(effectual + lost["vector"], Fraction(total))  # of several cores it is a mean and the slowest one's
    found = dict.fromkeys((*TIME, "waiting"), Fraction(0))
    removed = least = Fraction(total)
    for cause, name in _OF_CAUSE.items():
        removed -= lost[cause]
        left = max(min(least, removed), useful)
        found[name] += least - left
        least = left
    found["compute"] = least
    waiting = found.pop("waiting")
    found["weights"] += waiting * weight_share
    found["activations"] += waiting * (1 - weight_share)
    return adding_up({name: float(cycles / clock_hz) for name, cycles in found.items()}, total / clock_hz)


def adding_up(parts_s: Mapping[str, float], latency_s: float) -> dict[str, float]:
    """Return ``parts_s`` in the order of TIME; the largest takes the few ulps that their sum is off ``latency_s``."""
    found = {name: parts_s[name] for name in TIME}
    largest = max(found, key=lambda name: found[name])
    found[largest] = max(latency_s - sum(value for name, value in found.items() if name != largest), 0.0)
    return found
