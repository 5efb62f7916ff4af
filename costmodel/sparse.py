"""Sparse kernels on processors: rows of kept columns (CSR and its row blocks), and blocks on a matrix unit.

Row kernels count instructions: for each kept column and block of positions the loads of weight, index and activations,
the multiply-adds and the index decode; the load pipes, the arithmetic pipes and the decoder are three bounds, and a
core in order also waits for each index and for each line that its first cache does not hold. What the real mask
decides: kept columns per row block, hence padding, bytes and imbalance. Leaves out: cache conflicts between gathered
rows, and reuse of a gathered column between rows beyond ``row_block``.
"""

from __future__ import annotations

from math import ceil

import numpy as np
import numpy.typing as npt

from costmodel.problem import Problem
from costmodel.roofline import Cost, Run, level_bounds_s, main_memory_bytes, overhead_s
from costmodel.spec import BlockKernel, RowKernel
from patterns.base import Mask
from patterns.encodings.base import EncodedSize

Counts = npt.NDArray[np.int64]
LINE_BYTES = 64  # of every cache modelled


def block_row_counts(mask: Mask, rows: int, columns: int) -> Counts:
    """Return how many ``rows`` x ``columns`` blocks of ``mask`` [groups, m, k] keep anything, [groups, block rows]."""
    groups, m, k = mask.shape
    if rows == columns == 1:
        kept: Counts = np.count_nonzero(mask, axis=2)
        return kept
    padded = mask
    if m % rows or k % columns:
        padded = np.pad(mask, ((0, 0), (0, -m % rows), (0, -k % columns)))
    shape = (groups, padded.shape[1] // rows, rows, padded.shape[2] // columns, columns)
    blocks: Counts = np.count_nonzero(padded.reshape(shape).any(axis=(2, 4)), axis=2)
    return blocks


def position_blocks(positions: int, block: int) -> list[tuple[int, int]]:
    """Return (count, size) of the blocks that cover ``positions``: whole ones, then halves for the rest."""
    blocks = [(positions // block, block)] if positions >= block else []
    size, rest = block // 2, positions % block
    while size:
        if rest >= size:
            blocks.append((1, size))
            rest -= size
        size //= 2
    return blocks


def largest_share(counts: Counts, blocks: int, units: int, split: str) -> float:
    """Return the largest share of the work that one of ``units`` gets, at least 1 / units.

    ``counts`` [groups, block rows]: work of each row block for one block of positions; ``blocks``: position blocks.
    """
    total = int(counts.sum())
    if total == 0:
        return 1.0 / units
    if split == "positions":
        return ceil(blocks / units) / blocks
    if split == "rows":
        flat = counts.reshape(-1)
        return max(int(part.sum()) for part in np.array_split(flat, units)) / total
    return max(1.0 / units, int(counts.max()) / (total * blocks))


def row_cost(problem: Problem, kernel: RowKernel, run: Run, size: EncodedSize, mask: Mask) -> Cost:
    """Return the cost of ``mask`` [groups, m, k] on a row kernel. The device must have pipes."""
    pipes = run.device.pipes
    if pipes is None:
        raise AssertionError(f"device {run.device.name} has the row kernel {kernel.name} and no pipes")
    counts = block_row_counts(mask, kernel.row_block, 1)
    columns, row_blocks = int(counts.sum()), counts.size
    lanes = pipes.vector_bytes // problem.value_bytes
    mix, rows = kernel.mix, kernel.row_block
    blocks = position_blocks(problem.positions, kernel.position_block)
    vectors = sum(count * ceil(extent / lanes) for count, extent in blocks)
    passes = sum(count for count, _ in blocks)
    multiplies = columns * rows * vectors
    loads = columns * (vectors + passes * (mix.weight_loads + mix.index_loads))
    others = columns * passes * mix.integer_operations + row_blocks * rows * vectors * mix.epilogue
    share = largest_share(counts, passes, run.units, kernel.split)
    cycle_s = problem.steps * share / (run.clock_hz * kernel.efficiency)
    gathers = columns * sum(count * max(kernel.sector_bytes, extent * problem.value_bytes) for count, extent in blocks)
    gather_level = _gather_level(problem, kernel, run)
    stalls = columns * _stall_cycles(problem, blocks, run, gather_level)
    level_bytes, read, written = _row_bytes(problem, run, size, passes, gathers, gather_level)
    bounds = {
        "compute": cycle_s * multiplies * lanes / run.macs_per_cycle(kernel),
        "gather": cycle_s * (loads / pipes.loads_per_cycle + stalls),
        "issue": cycle_s * (multiplies + loads + others) / pipes.instructions_per_cycle,
    }
    bounds |= level_bounds_s(run, kernel, level_bytes)
    bounds["overhead"] = overhead_s(run, problem)
    return Cost(
        kernel=kernel,
        size=size,
        macs_issued=problem.steps * multiplies * lanes,
        bounds_s=bounds,
        dram_read_bytes=read,
        dram_write_bytes=written,
        mapping=f"{rows} rows x {kernel.position_block} positions, {passes} position blocks on {run.units} units, "
        f"largest share {share * run.units:.2f} of an even one",
    )


def _gather_level(problem: Problem, kernel: RowKernel, run: Run) -> int:
    """Index of the level that serves gathers: the innermost that holds K x a block of positions."""
    if kernel.gather_level is not None:
        return kernel.gather_level
    working_set = problem.k * min(kernel.position_block, problem.positions) * problem.value_bytes
    levels = run.device.levels
    return next((at for at, level in enumerate(levels) if working_set <= (level.bytes or working_set)), 0)


def _stall_cycles(problem: Problem, blocks: list[tuple[int, int]], run: Run, gather_level: int) -> int:
    """Cycles that a core in order waits for each kept column: its index, then lines from beyond the first level."""
    pipes = run.device.pipes
    if pipes is None or pipes.load_to_use is None:
        return 0
    lines = sum(count * ceil(extent * problem.value_bytes / LINE_BYTES) for count, extent in blocks)
    waited = lines * (pipes.miss_to_use or 0) if gather_level else 0
    return sum(count for count, _ in blocks) * pipes.load_to_use + waited


def _row_bytes(
    problem: Problem, run: Run, size: EncodedSize, passes: int, gathers: int, gather_level: int
) -> tuple[list[int], int, int]:
    """Bytes that each level serves; the innermost is the load pipes' and counts as 0 here."""
    levels = run.device.levels
    held = next(at for at, level in enumerate(levels) if level.bytes is None or size.total_bytes <= level.bytes)
    served = [0]
    for at in range(1, len(levels) - 1):
        weights = size.total_bytes * (passes if at <= held else 1)
        inputs = gathers if at <= gather_level else 0
        served.append(problem.steps * (weights + inputs) + problem.input_bytes + problem.output_bytes)
    read, written = main_memory_bytes(problem, run, size.total_bytes, passes=passes)
    return [*served, read + written], read, written


def block_cost(
    problem: Problem, kernel: BlockKernel, run: Run, size: EncodedSize, mask: Mask, shape: tuple[int, int]
) -> Cost:
    """Return the cost of ``mask`` [groups, m, k] in blocks of ``shape`` (rows, columns) on a matrix unit."""
    rows, columns = shape
    counts = block_row_counts(mask, rows, columns)
    blocks = int(counts.sum())
    tiles = ceil(problem.positions / kernel.position_tile)
    issued = problem.steps * blocks * rows * columns * tiles * kernel.position_tile
    share = largest_share(counts, tiles, run.units, "dynamic")
    rate = run.macs_per_cycle(kernel) * kernel.efficiency * run.clock_hz
    read, written = main_memory_bytes(problem, run, size.total_bytes)
    register = ceil(issued * problem.value_bytes * (1 / min(rows, 64) + 1 / min(kernel.position_tile, 64)))
    inputs = blocks * columns * problem.positions * problem.value_bytes
    streamed = problem.steps * (size.total_bytes * tiles + inputs) + problem.output_bytes
    served = [register] + [streamed] * (len(run.device.levels) - 2)
    bounds = {"compute": issued * share / rate} | level_bounds_s(run, kernel, (*served, read + written))
    bounds["overhead"] = overhead_s(run, problem)
    return Cost(
        kernel=kernel,
        size=size,
        macs_issued=issued,
        bounds_s=bounds,
        dram_read_bytes=read,
        dram_write_bytes=written,
        mapping=f"{blocks} blocks {rows}x{columns}, {tiles} position tiles on {run.units} units, "
        f"largest share {share * run.units:.2f} of an even one",
    )
