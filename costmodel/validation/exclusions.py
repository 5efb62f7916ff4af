"""Which measurements say nothing about a model: rules, each with its reason, none of which looks at a prediction.

The first rule that applies names the row in the count that every validation prints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from costmodel.validation.measurement import Measurement
from costmodel.validation.nets import layers_of, multiply_adds

WINOGRAD_GAIN = 4  # F(4x4, 3x3) needs 36 products where a direct one needs 144: no exact method in use saves more


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """A rule: ``applies`` says of each measurement, given all of them, whether it is left out."""

    name: str
    reason: str
    applies: Callable[[Measurement, frozenset[tuple[object, ...]]], bool]


def _aside(name: str) -> Callable[[Measurement, frozenset[tuple[object, ...]]], bool]:
    return lambda row, impossible: name in row.asides


def _spread(row: Measurement, impossible: frozenset[tuple[object, ...]]) -> bool:
    return row.seconds_min is not None and row.seconds_max is not None and row.seconds_max > 2 * row.seconds_min


EXCLUSIONS: tuple[Exclusion, ...] = (
    Exclusion(name="no time", reason="the run failed: no time is given", applies=_aside("no_time")),
    Exclusion(
        name="max above twice min",
        reason="the machine did other work or throttled (the table as collected already lacks such rows)",
        applies=_spread,
    ),
    Exclusion(
        name="Raspberry Pi 3 convolutions",
        reason="an unoptimised library (the table as collected already lacks such rows)",
        applies=lambda row, impossible: row.table == "deepbench_conv" and row.key.soc == "bcm2837",
    ),
    Exclusion(
        name="throughput",
        reason="a rate of items in flight, no latency; its nets have no layers here",
        applies=_aside("throughput"),
    ),
    Exclusion(
        name="training",
        reason="a training step or a backward pass, which no model here runs",
        applies=_aside("training"),
    ),
    Exclusion(name="32-bit", reason="32-bit Arm code; the models are of 64-bit kernels", applies=_aside("armv7")),
    Exclusion(
        name="fp16 storage",
        reason="values stored in 16 bit and multiplied in 32: a data type that no model has",
        applies=_aside("fp16_storage"),
    ),
    Exclusion(
        name="int8 dynamic",
        reason="activations quantised on the fly, weights dense beside the sparse ones: kernels that no model has",
        applies=_aside("int8_dynamic"),
    ),
    Exclusion(
        name="did not run the nets",
        reason="some net of this machine, threads and processor is faster than four times the processor's peak allows",
        applies=lambda row, impossible: run_of(row) in impossible,
    ),
    Exclusion(
        name="no layers",
        reason="the shapes of the net's layers are in no table (nets.csv says why)",
        applies=lambda row, impossible: not row.net,
    ),
)


def run_of(row: Measurement) -> tuple[object, ...]:
    """Return what tells one run of a benchmark from another."""
    return (row.table, row.machine, row.key.processor, row.key.threads)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sifted:
    """``kept`` in order, and how many each rule left out (rules that left out nothing included)."""

    kept: tuple[Measurement, ...]
    left_out: dict[str, int]


def sift(rows: Sequence[Measurement], folder: Path) -> Sifted:
    """Return the measurements that no rule leaves out, and the count of each rule."""
    impossible = frozenset(run_of(row) for row in rows if _faster_than_peak(row, folder))
    left_out = {rule.name: 0 for rule in EXCLUSIONS}
    kept: list[Measurement] = []
    for row in rows:
        broken = next((rule for rule in EXCLUSIONS if rule.applies(row, impossible)), None)
        if broken is None:
            kept.append(row)
        else:
            left_out[broken.name] += 1
    return Sifted(kept=tuple(kept), left_out=left_out)


def _faster_than_peak(row: Measurement, folder: Path) -> bool:
    if row.peak_macs_per_s is None or not row.net:
        return False
    macs = multiply_adds(layers_of(row.net, folder))
    return macs / row.seconds > WINOGRAD_GAIN * row.peak_macs_per_s
