"""Kernels whose cost was measured: seconds for each of a few counts, added up. What ``simulate calibrate`` fits.

A cost is linear in what the loops do: calls, rows, elements looked at, stored slots, and for each slot the positions
in vector blocks, half-way vectors and single ones; a packed dense product counts multiply-adds and the elements that
it packs. ``counts`` is what the fit and the prediction share. The positions' operand lies in the innermost level that
holds it, and each level has its own cost. Leaves out: what is not linear (branch misses that depend on the order of
the mask, ways of a cache), and everything that the grid of the calibration did not meet, which a row flags.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from costmodel.point_choices import largest, name_of_largest, total
from costmodel.problem import Problem
from costmodel.roofline import Cost, Run, main_memory_bytes, main_weight_bytes
from costmodel.spec import Kernel, MemoryLevel
from costmodel.time_parts import TimeParts
from patterns.encodings.base import EncodedSize
from patterns.names import nearest
from simulator.spec import DeviceError

SHARED_TERMS = (
    "call_s",  # one call
    "row_s",  # a row of weights
    "element_s",  # an element of the matrix, kept or not
    "slot_s",  # a stored slot
    "vector_s",  # a slot and a vector of positions outside the blocks
    "single_s",  # a slot and a position outside the vectors
    "mac_s",  # a multiply-add of the dense product
    "input_s",  # an element of the activations
    "output_s",  # an element of the result
)
PER_LEVEL = ("block", "byte")  # a slot and a block of positions; a stored byte; as in block_l2_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """The costs up to ``positions`` positions (None: any number), seconds of each term that has any."""

    positions: int | None
    costs: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What the calibration measured: the least and the largest of a count that a prediction can leave."""

    name: str
    least: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredKernel(Kernel):
    """A kernel of measured cost. ``regimes`` by rising positions, the last without an end.

    ``block_positions``, ``vector_positions``: how the inner loop cuts the positions. ``parallel_share``: of the work
    that further threads take away, 0 for one thread alone. ``median_error`` and ``p90_error``: of predictions against
    measurements that the fit did not see, as shares.
    """

    block_positions: int = 32
    vector_positions: int = 8
    parallel_share: float = 0.0
    regimes: tuple[Regime, ...]
    ranges: tuple[Range, ...] = ()
    median_error: float
    p90_error: float

    def __post_init__(self) -> None:
        ends = [regime.positions for regime in self.regimes]
        bounded = [end for end in ends[:-1] if end is not None]
        if not ends or ends[-1] is not None or len(bounded) < len(ends) - 1 or sorted(set(bounded)) != bounded:
            raise DeviceError(f"kernel {self.name}: regimes end at {ends}, and must rise to one without positions")
        if not self.block_positions >= self.vector_positions >= 1:
            raise DeviceError(
                f"kernel {self.name}: block_positions is {self.block_positions}, and must be at least "
                f"vector_positions, {self.vector_positions}, and that at least 1"
            )
        if not 0 <= self.parallel_share <= 1:
            raise DeviceError(f"kernel {self.name}: parallel_share is {self.parallel_share}, and must be 0 to 1")

    def regime(self, positions: int) -> Regime:
        """Return the costs for a product of ``positions``."""
        return next(one for one in self.regimes if one.positions is None or positions <= one.positions)


def holding_level(levels: Sequence[MemoryLevel], count_bytes: int) -> MemoryLevel:
    """Return the innermost level that holds ``count_bytes``."""
    return next(level for level in levels if level.bytes is None or count_bytes <= level.bytes)


def counts(
    *,
    m: int,
    k: int,
    positions: int,
    slots: int,
    stored_bytes: int,
    value_bytes: int,
    levels: Sequence[MemoryLevel],
    block_positions: int,
    vector_positions: int,
) -> dict[str, int]:
    """Return how often a product of [m, k], ``slots`` of it stored, with [k, positions] pays each term."""
    blocks, rest = divmod(positions, block_positions)
    vectors, single = divmod(rest, vector_positions)
    found = {
        "call_s": 1,
        "row_s": m,
        "element_s": m * k,
        "slot_s": slots,
        "vector_s": slots * vectors,
        "single_s": slots * single,
        "mac_s": m * k * positions,
        "input_s": k * positions,
        "output_s": m * positions,
    }
    found[f"block_{holding_level(levels, k * positions * value_bytes).name}_s"] = slots * blocks
    found[f"byte_{holding_level(levels, stored_bytes).name}_s"] = stored_bytes
    return found


def check_terms(kernel: MeasuredKernel, levels: Sequence[MemoryLevel]) -> None:
    """Raise DeviceError for a term that no product counts on a device with ``levels``."""
    known = [*SHARED_TERMS, *(f"{kind}_{level.name}_s" for kind in PER_LEVEL for level in levels)]
    for regime in kernel.regimes:
        for name, _ in regime.costs:
            if name not in known:
                raise DeviceError(f"kernel {kernel.name}: costs has the unknown key {name}; {nearest(name, known)}")


def measured_cost(problem: Problem, kernel: MeasuredKernel, run: Run, size: EncodedSize) -> Cost:
    """Return the cost of a product whose weights are stored in ``size``; the main memory is a bound of its own."""
    check_terms(kernel, run.device.levels)
    costs = dict(kernel.regime(problem.positions).costs)
    slots = size.slots if kernel.serves else problem.groups * problem.m * problem.k
    found = counts(
        m=problem.groups * problem.m,
        k=problem.k,
        positions=problem.positions,
        slots=slots,
        stored_bytes=size.total_bytes,
        value_bytes=problem.value_bytes,
        levels=run.device.levels,
        block_positions=kernel.block_positions,
        vector_positions=kernel.vector_positions,
    )
    found["input_s"] *= problem.groups
    found["call_s"] = problem.groups
    issued = problem.steps * slots * problem.positions
    seconds = {name: problem.steps * count * costs.get(name, 0.0) for name, count in found.items()}
    call_s = seconds.pop("call_s")
    threads = 1 + (run.units - 1) * kernel.parallel_share
    read, written = main_memory_bytes(problem, run, size.total_bytes)
    main = run.device.levels[-1]
    bounds = {
        "compute": largest(
            total(seconds.values()) / threads, issued / (run.macs_per_cycle(kernel) * run.units * run.clock_hz)
        ),
        main.name: (read + written) / (main.bytes_per_s(run.units) * kernel.memory_share),
        "overhead": call_s,
    }
    most = name_of_largest({name.removesuffix("_s"): value for name, value in seconds.items()})
    return Cost(
        kernel=kernel,
        size=size,
        macs_issued=issued,
        bounds_s=bounds,
        dram_read_bytes=read,
        dram_write_bytes=written,
        mapping=f"measured costs, most of it {most} ({kernel.runtime})",
        parts=lambda macs: _parts(problem, run, size, read + written),
    )


def _parts(problem: Problem, run: Run, size: EncodedSize, moved: int) -> TimeParts:
    """What was fitted is all compute: a fit does not tell who waits for whom."""
    weights = main_weight_bytes(problem, run, size.total_bytes, moved)
    return TimeParts(weights={run.device.levels[-1].name: weights / moved if moved else 0.0})


def outside(ranges: Sequence[Range], problem: Problem, density: float | None) -> str:
    """Return which count of a product lies outside ``ranges``, what was measured; "" for none."""
    values = {"m": problem.m, "k": problem.k, "positions": problem.positions, "density": density}
    found = []
    for one in ranges:
        value = values.get(one.name)
        if value is not None and not one.least <= value <= one.most:
            found.append(f"{one.name} {value:.4g} is outside {one.least:.4g} to {one.most:.4g}")
    return ", ".join(found)
