"""Products on a mobile GPU: a thread computes a small tile of outputs, and few threads leave shader cores idle.

A thread keeps ``register_rows`` x ``register_positions`` sums and walks the columns; it reads its operands through the
texture or load/store path of its core (the innermost level), once for each register tile. The threads of a work-group
share what they read from the second level. A core reaches its rate with ``fill_threads`` threads or more: below that
it waits for its own loads, so a layer with few outputs takes as long as a thread needs for its columns, however few
threads there are. Leaves out: Winograd (``costmodel.winograd``), spills of registers, divergence, and clocks that fall
(DEVIATIONS 5, 18).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from costmodel.dense import useful_share
from costmodel.point_choices import largest, least
from costmodel.problem import Problem
from costmodel.roofline import (
    Cost,
    Run,
    fastest,
    level_bounds_s,
    main_memory_bytes,
    main_weight_bytes,
    overhead_s,
    weight_shares,
)
from costmodel.spec import Kernel, Tile
from costmodel.time_parts import TimeParts
from patterns.encodings.base import EncodedSize
from simulator.spec import DeviceError


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadKernel(Kernel):
    """A dense product, a register tile a thread. Of ``tiles`` (work-groups) the fastest is taken.

    ``k_tile``: columns are padded to it (vectors of channels). ``fill_threads``: threads that one unit needs to reach
    ``efficiency`` of its rate.
    """

    tiles: tuple[Tile, ...]
    k_tile: int = 4
    fill_threads: float

    def __post_init__(self) -> None:
        if not self.tiles or self.k_tile < 1 or self.fill_threads <= 0:
            raise DeviceError(
                f"kernel {self.name}: k_tile is {self.k_tile} and fill_threads {self.fill_threads}, which must be at "
                f"least 1 and above 0, with at least one of tiles"
            )


def occupancy(kernel: ThreadKernel, threads: int, units: int) -> float:
    """Return the share of their rate that ``units`` cores reach with ``threads`` threads, at most 1."""
    return least(threads / (units * kernel.fill_threads), 1.0)


def thread_cost(problem: Problem, kernel: ThreadKernel, run: Run, size: EncodedSize) -> Cost:
    """Return the cost under the fastest of the kernel's tiles."""
    candidates = [_tile(problem, kernel, run, size, tile) for tile in kernel.tiles]
    return fastest(candidates)


def _tile(problem: Problem, kernel: ThreadKernel, run: Run, size: EncodedSize, tile: Tile) -> Cost:
    rows = ceil(problem.m / tile.register_rows)
    columns = ceil(problem.k / kernel.k_tile) * kernel.k_tile
    threads = problem.groups * rows * ceil(problem.positions / tile.register_positions)
    issued = problem.steps * threads * tile.register_rows * tile.register_positions * columns
    share = occupancy(kernel, threads, run.units)
    rate = run.macs_per_cycle(kernel) * run.units * kernel.efficiency * share * run.clock_hz
    read, written = main_memory_bytes(problem, run, size.total_bytes)
    bounds = {"compute": issued / rate}
    on_chip = _on_chip_bytes(problem, run, size, tile, issued)
    bounds |= level_bounds_s(run, kernel, (*on_chip, read + written))
    bounds["overhead"] = overhead_s(run, problem)
    return Cost(
        kernel=kernel,
        size=size,
        macs_issued=issued,
        bounds_s=bounds,
        dram_read_bytes=read,
        dram_write_bytes=written,
        mapping=f"{threads} threads of {tile.register_rows}x{tile.register_positions}, cores {share:.0%} filled",
        parts=lambda macs: _parts(
            problem, kernel, run, size, tile, bounds["compute"], [*on_chip, read + written], macs
        ),
    )


def _parts(
    problem: Problem, kernel: ThreadKernel, run: Run, size: EncodedSize, tile: Tile, compute_s: float,
    level_bytes: list[int], macs: int,
) -> TimeParts:  # fmt: skip
    """Cores that too few threads fill wait: what they do not reach of their rate is imbalance."""
    weights = [0.0] * (len(level_bytes) - 1)
    if problem.weighted:
        both = tile.register_rows + tile.register_positions
        weights = [level_bytes[0] * tile.register_rows / both]
        weights += [float(problem.steps * size.total_bytes)] * (len(level_bytes) - 2)
        if len(weights) > 1:
            weights[1] *= ceil(problem.positions / tile.positions)
    weights.append(main_weight_bytes(problem, run, size.total_bytes, level_bytes[-1]))
    useful = useful_share(problem, kernel, run, macs, 0.0, compute_s)
    return TimeParts(useful={"compute": useful}, weights=weight_shares(run, weights, level_bytes))


def _on_chip_bytes(problem: Problem, run: Run, size: EncodedSize, tile: Tile, issued: int) -> list[int]:
    """Bytes that each on-chip level serves, innermost first: register tiles, work-groups, each operand once."""
    value_bytes = problem.value_bytes
    served = [ceil(issued * value_bytes * (1 / tile.register_positions + 1 / tile.register_rows))]
    left = size.total_bytes if problem.weighted else problem.groups * problem.m * problem.k * value_bytes
    right = problem.groups * problem.k * problem.positions * value_bytes
    group = left * ceil(problem.positions / tile.positions) + right * ceil(problem.m / tile.rows)
    compulsory = problem.steps * size.total_bytes + problem.input_bytes + problem.output_bytes
    served += [largest(problem.steps * group + problem.output_bytes, compulsory)]
    served += [compulsory] * len(run.device.levels[2:-1])
    return served[: len(run.device.levels) - 1]
