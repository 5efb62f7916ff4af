"""Bounds to a latency: the slowest of compute, issue and every memory level, plus the operator's overhead.

DESIGN section 6. A level's time is the bytes it serves over what it can achieve. Activations that fit, input and output
together, into the last on-chip level do not reach the main memory; weights always come from it, once per run of the
network (between two runs the other layers have pushed them out). Leaves out: overlap of one operator with the next,
bandwidth shared with other clients, and cache conflicts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from costmodel.per_point import VARIES
from costmodel.point_choices import at_most, either, first_least, isqrt, largest, name_of_largest, picked
from costmodel.problem import Problem
from costmodel.spec import Dtype, Kernel, RooflineDevice
from costmodel.time_parts import TimeParts
from patterns.encodings.base import EncodedSize
from simulator.result import FabricUse


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The part of a device that runs a layer: how many units, at the pace of the slowest of them less what is lost."""

    device: RooflineDevice
    dtype: Dtype
    units: int
    clock_hz: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "clock_hz", self._clock_hz())

    def _clock_hz(self) -> float:
        built = self.device.fabric.engine if self.device.fabric else None
        if built is not None and built.clock_hz is not None:
            return float(built.clock_hz)
        lost = (self.units - 1) * (self.device.thread_loss or 0.0) if self.device.static_threads else 0.0
        return self.device.pace_hz(self.units) / (1 + lost)

    def macs_per_cycle(self, kernel: Kernel) -> int:
        """Return the multiply-adds a cycle of one unit, on the side of it that ``kernel`` uses."""
        table = self.device.matrix_macs_per_cycle if kernel.unit == "matrix" else self.device.vector_macs_per_cycle
        return dict(table)[self.dtype]

    @property
    def chip_bytes(self) -> int:
        """Capacity of the last on-chip level."""
        return self.device.levels[-2].bytes or 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One kernel on one layer. ``bounds_s`` holds every bound, "overhead" too; ``mapping`` says what was chosen.

    ``parts``: what bounds are made of, given the multiply-adds with a kept weight; a call, since a choice among many
    candidates asks it of one at most.
    """

    kernel: Kernel
    size: EncodedSize
    macs_issued: int
    bounds_s: Mapping[str, float]
    dram_read_bytes: int
    dram_write_bytes: int
    mapping: str
    parts: Callable[[int], TimeParts] = field(compare=False, repr=False)
    fabric: FabricUse | None = None

    @property
    def latency_s(self) -> float:
        return slowest_s(self.bounds_s) + self.bounds_s["overhead"]

    @property
    def bound(self) -> str:
        bound: str = name_of_largest(self.bounds_s)
        return bound


def slowest_s(bounds_s: Mapping[str, float]) -> float:
    """Return the time of the slowest bound, which the operator's overhead comes on top of."""
    return largest(*(value for name, value in bounds_s.items() if name != "overhead"))


def fastest(costs: Sequence[Cost]) -> Cost:
    """Return the first of ``costs``, of one kernel and one size, that takes the least time."""
    at = first_least([cost.latency_s for cost in costs])
    if isinstance(at, int):
        return costs[at]
    return Cost(
        kernel=costs[0].kernel,
        size=costs[0].size,
        macs_issued=picked(at, [cost.macs_issued for cost in costs]),
        bounds_s={name: picked(at, [cost.bounds_s[name] for cost in costs]) for name in costs[0].bounds_s},
        dram_read_bytes=picked(at, [cost.dram_read_bytes for cost in costs]),
        dram_write_bytes=picked(at, [cost.dram_write_bytes for cost in costs]),
        mapping=VARIES,
        parts=unknown_parts,
    )


def unknown_parts(macs: int) -> TimeParts:
    """Stands where points took several candidates. Raises AssertionError: nobody tells causes apart for many points."""
    raise AssertionError(f"what {macs} multiply-adds take is of several candidates, and has no causes")


def restream_bytes(macs: int, value_bytes: int, capacity_bytes: int) -> int:
    """Return the bytes that a dense product must move into a memory of ``capacity_bytes``: 2 macs / sqrt(elements).

    Reference: Hong and Kung, I/O complexity: the red-blue pebble game, STOC 1981; the constant 2 after Kwasniewski et
    al., Red-blue pebbling revisited, SC 2019.
    """
    elements = largest(capacity_bytes // value_bytes, 1)
    side: int = isqrt(elements)
    return ceil(2 * macs * value_bytes / largest(side, 1))


def main_memory_bytes(
    problem: Problem, run: Run, stored_bytes: int, *, passes: int = 1, blocked_macs: int = 0
) -> tuple[int, int]:
    """Return bytes read from and written to the main memory.

    ``passes`` over weights that no on-chip level holds; ``blocked_macs``: multiply-adds of a step whose loops are
    blocked for the last on-chip level, which streams operands again where they don't fit.
    """
    held = at_most(stored_bytes, run.chip_bytes)
    weights = either(held, stored_bytes, stored_bytes * passes * problem.steps)
    stay = at_most(problem.input_bytes + problem.output_bytes, run.chip_bytes)
    if stay is True:
        return weights, 0
    compulsory = stored_bytes + problem.input_bytes + problem.output_bytes
    moved = problem.steps * restream_bytes(blocked_macs, problem.value_bytes, run.chip_bytes)
    again = largest(moved - compulsory, 0)
    return either(stay, weights, weights + problem.input_bytes + again), either(stay, 0, problem.output_bytes)


def main_weight_bytes(
    problem: Problem, run: Run, stored_bytes: int, moved: int, *, passes: int = 1, spilled: int = 0
) -> float:
    """Return how many of the ``moved`` bytes of the main memory are weights, of what ``main_memory_bytes`` counts.

    ``spilled``: bytes of workspaces among them. What is streamed again is half weights: a square block loads as much of
    one operand as of the other.
    """
    if not problem.weighted:
        return 0.0
    activations = problem.input_bytes + problem.output_bytes
    weights = stored_bytes if stored_bytes <= run.chip_bytes else stored_bytes * passes * problem.steps
    once = weights + (0 if activations <= run.chip_bytes else activations) + spilled
    return weights + max(moved - once, 0) / 2


def cache_weight_bytes(problem: Problem, stored_bytes: int, served: int) -> float:
    """Return how many of the bytes ``served`` by a level that loops are blocked for are weights; as above."""
    if not problem.weighted:
        return 0.0
    weights = problem.steps * stored_bytes
    return weights + max(served - weights - problem.input_bytes - problem.output_bytes, 0) / 2


def weight_shares(run: Run, weights: Sequence[float], level_bytes: Sequence[float]) -> dict[str, float]:
    """Return the share of weights in what each level serves, [levels], innermost first."""
    return {
        level.name: (weights[at] / level_bytes[at] if level_bytes[at] else 0.0)
        for at, level in enumerate(run.device.levels)
    }


def overhead_s(run: Run, problem: Problem) -> float:
    """Return the time of starting the operator on its units and each further step of a serial one."""
    device = run.device
    threads = (run.units - 1) * (device.thread_overhead_s or 0.0) if device.static_threads else 0.0
    return device.overhead_s + (problem.steps - 1) * device.step_overhead_s + threads


def level_bounds_s(run: Run, kernel: Kernel, level_bytes: Sequence[int]) -> dict[str, float]:
    """Return the seconds that each level needs for the bytes it serves, [levels], innermost first."""
    return {
        level.name: count / (level.bytes_per_s(run.units) * kernel.memory_share)
        for level, count in zip(run.device.levels, level_bytes, strict=True)
    }
