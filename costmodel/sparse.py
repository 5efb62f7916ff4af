"""Sparse kernels on processors: rows of kept columns (CSR and its row blocks), and blocks on a matrix unit.

Row kernels count instructions: for each kept column and block of positions the loads of weight, index and activations,
prefetches, the multiply-adds and the index decode; the load pipes, the arithmetic pipes and the decoder are three
bounds. A core in order does not overlap them: see ``_column_cycles``. What the real mask decides: kept columns per row
block, hence padding, bytes and imbalance. Leaves out (DEVIATIONS 3): cache conflicts between gathered rows, misses of
the TLB, and reuse of a gathered column between rows beyond ``row_block``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from operator import index

import numpy as np
import numpy.typing as npt

from costmodel.dense import useful_share
from costmodel.point_choices import largest, least, total
from costmodel.problem import Problem
from costmodel.roofline import (
    Cost,
    Run,
    level_bounds_s,
    main_memory_bytes,
    main_weight_bytes,
    overhead_s,
    weight_shares,
)
from costmodel.spec import VALUE_BYTES, BlockKernel, Pipes, RowKernel
from costmodel.time_parts import TimeParts
from patterns.base import Mask
from patterns.encodings.base import EncodedSize

Counts = npt.NDArray[np.int64]
LINE_BYTES = 64  # of every cache modelled
# llvm AArch64SchedA53.td: accumulator forwarding makes a chain of FMLA 4; AArch64SchedA57.td 5
MULTIPLY_CHAIN_CYCLES = 4
ADD_CHAIN_CYCLES = 1  # of whole numbers, assumed
HALF_BYTES = 8  # a load pipe that takes a vector in two cycles takes half of one in one
MISPREDICT_CYCLES = 10  # llvm AArch64SchedA53.td 9, AArch64SchedNeoverseN1.td 11


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
    kept = int(counts.sum())
    if kept == 0:
        return 1.0 / units
    if split == "positions":
        return ceil(blocks / units) / blocks
    if split == "rows":
        flat = counts.reshape(-1)
        return max(int(part.sum()) for part in np.array_split(flat, index(units))) / kept
    return largest(1.0 / units, int(counts.max()) / (kept * blocks))


def row_cost(problem: Problem, kernel: RowKernel, run: Run, size: EncodedSize, counts: Counts) -> Cost:
    """Return the cost of a mask with ``counts`` (``block_row_counts``) on a row kernel. The device must have pipes."""
    columns = int(counts.sum())
    blocks = position_blocks(problem.positions, index(kernel.position_block))
    passes = sum(count for count, _ in blocks)
    share = largest_share(counts, passes, run.units, kernel.split)
    gather_level = _gather_level(problem, kernel, run)
    inner = [_column_cycles(problem, kernel, run, extent, gather_level) for _, extent in blocks]
    ends = [_row_end_cycles(problem, kernel, run, extent) for _, extent in blocks]
    cycle_s = problem.steps * share / (run.clock_hz * kernel.efficiency)
    bounds = {
        name: cycle_s
        * total(
            count * (columns * getattr(cycles, name) + counts.size * getattr(end, name))
            for (count, _), cycles, end in zip(blocks, inner, ends, strict=True)
        )
        for name in ("compute", "gather", "issue")
    }
    gathers = columns * total(count * _gather_bytes(problem, kernel, extent) for count, extent in blocks)
    level_bytes, read, written = _row_bytes(problem, run, size, passes, gathers, gather_level)
    bounds |= level_bounds_s(run, kernel, level_bytes)
    bounds["overhead"] = overhead_s(run, problem)
    lanes = _lanes(problem, run)
    issued = columns * kernel.row_block * total(count * ceil(extent / lanes) for count, extent in blocks) * lanes
    return Cost(
        kernel=kernel,
        size=size,
        macs_issued=problem.steps * issued,
        bounds_s=bounds,
        dram_read_bytes=read,
        dram_write_bytes=written,
        mapping=f"{kernel.row_block} rows x {kernel.position_block} positions, {passes} position blocks on "
        f"{run.units} units, largest share {share * run.units:.2f} of an even one",
        parts=lambda macs: _row_parts(
            problem,
            run,
            size,
            passes,
            1 / (share * run.units),
            macs / (problem.steps * columns * kernel.row_block * problem.positions) if columns else 1.0,
            level_bytes,
        ),
    )


def _row_parts(
    problem: Problem, run: Run, size: EncodedSize, passes: int, even: float, filled: float, level_bytes: list[int]
) -> TimeParts:
    """``even``: an even share over the largest one. ``filled``: of the slots of row blocks, those with a weight: the
    rest costs arithmetic alone. Lanes that positions leave empty are not told apart.
    """
    weights = [0, *_row_weight_bytes(problem, run, size, passes)]
    main = main_weight_bytes(problem, run, size.total_bytes, level_bytes[-1], passes=passes)
    useful = {"compute": even * filled, "gather": even, "issue": even}
    return TimeParts(useful=useful, weights=weight_shares(run, [*weights, main], level_bytes))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cycles:
    """Cycles of one piece of a kernel by what may bind it: arithmetic, loads and waiting for them, issue slots."""

    compute: float
    gather: float
    issue: float


def _pipes(run: Run) -> Pipes:
    if run.device.pipes is None:
        raise AssertionError(f"device {run.device.name} has row kernels and no pipes")
    return run.device.pipes


def _lanes(problem: Problem, run: Run) -> int:
    return _pipes(run).vector_bytes // problem.value_bytes


def _column_cycles(problem: Problem, kernel: RowKernel, run: Run, extent: int, gather_level: int) -> _Cycles:
    """Cycles of the inner loop: one kept column of a row block for ``extent`` positions.

    A core that reorders overlaps all of it; an accumulator is added to once a column, so a column takes at least the
    chain of one multiply-add. A core in order issues no multiply-add beside a vector load, so the two add up; it waits
    for loads that no earlier column covers, and for lines from beyond its first cache: the first of them for the whole
    latency, the rest as that level delivers them.
    Reference: Tencent/ncnn docs/developer-guide/arm-a53-a55-dual-issue.md @61c33311: a 128-bit load is not issued
    beside a multiply-add, which waits two cycles; 64-bit integer loads and pointer updates are.
    """
    pipes, mix = _pipes(run), kernel.mix
    vectors = ceil(extent / _lanes(problem, run))
    multiplies = kernel.row_block * vectors * mix.multiply_operations
    arithmetic = multiplies * _operation_cycles(problem, kernel, run)
    narrow_rate = largest(pipes.loads_per_cycle, 1)
    wide = vectors / (narrow_rate if extent * problem.value_bytes <= HALF_BYTES else pipes.loads_per_cycle)
    weights = mix.weight_loads / narrow_rate
    loads = wide + weights + (mix.index_loads + mix.prefetches) / narrow_rate
    slots = multiplies + vectors + mix.weight_loads + mix.index_loads + mix.prefetches + mix.integer_operations
    issue = slots / pipes.instructions_per_cycle
    chain = _chain_cycles(run)
    if pipes.load_to_use is None:
        return _Cycles(compute=largest(arithmetic, chain), gather=loads, issue=issue)
    covered = kernel.pipelined and extent == kernel.position_block
    waited: float = 0 if covered else kernel.load_chain * pipes.load_to_use
    if gather_level:
        waited += _miss_cycles(problem, kernel, run, extent)
    serial = largest(arithmetic + weights + wide, loads) + waited
    return _Cycles(compute=largest(arithmetic, chain), gather=largest(serial, chain), issue=issue)


def _chain_cycles(run: Run) -> int:
    """Cycles from one addition to a sum to the next."""
    if not run.device.static_threads:
        return 0  # other warps fill a GPU's waits
    return ADD_CHAIN_CYCLES if run.dtype == "int8" else MULTIPLY_CHAIN_CYCLES


def _operation_cycles(problem: Problem, kernel: RowKernel, run: Run) -> float:
    """Cycles of one vector instruction of the inner loop: a multiply-add, or any where several make one."""
    if kernel.mix.multiply_operations == 1:
        return _lanes(problem, run) / run.macs_per_cycle(kernel)
    widest = dict(run.device.vector_macs_per_cycle)["fp32"]
    return _pipes(run).vector_bytes / VALUE_BYTES["fp32"] / widest


def _miss_cycles(problem: Problem, kernel: RowKernel, run: Run, extent: int) -> float:
    """Cycles that a core in order waits for the lines of one gather from beyond its first cache."""
    lines = _lines(problem, kernel, extent)
    line_cycles = LINE_BYTES / run.device.levels[1].bytes_per_s(1) * run.clock_hz
    return (_pipes(run).miss_to_use or 0) + (lines - 1) * line_cycles


def _row_end_cycles(problem: Problem, kernel: RowKernel, run: Run, extent: int) -> _Cycles:
    """Cycles around the inner loop, for one row block and ``extent`` positions: sums begun, clamped and stored.

    A CPU mispredicts the loop's exit, as rows differ in how many columns they keep.
    """
    pipes = _pipes(run)
    operations = kernel.row_block * ceil(extent / _lanes(problem, run)) * kernel.mix.epilogue
    flushed = MISPREDICT_CYCLES if run.device.static_threads else 0
    if pipes.load_to_use is None:
        return _Cycles(compute=flushed, gather=flushed, issue=flushed + operations / pipes.instructions_per_cycle)
    return _Cycles(compute=flushed, gather=flushed + operations, issue=flushed + operations)  # a vector one a cycle


def _lines(problem: Problem, kernel: RowKernel, extent: int) -> int:
    ahead = kernel.lines_ahead if extent == kernel.position_block else 0
    return ceil(extent * problem.value_bytes / LINE_BYTES) + ahead


def _gather_bytes(problem: Problem, kernel: RowKernel, extent: int) -> int:
    """Bytes that a gather of ``extent`` positions takes from the level that serves it: whole lines, or sectors."""
    if kernel.gather_level is not None:
        return largest(kernel.sector_bytes, extent * problem.value_bytes)
    return _lines(problem, kernel, extent) * LINE_BYTES


def _gather_level(problem: Problem, kernel: RowKernel, run: Run) -> int:
    """Index of the level that serves gathers: the innermost that holds what a block of positions reads.

    Blocks of several positions read an operand whose channels lie apart: whole lines of each, unless the channels are
    so short that they share them. One position at a time reads an operand whose columns lie side by side.
    """
    if kernel.gather_level is not None:
        return kernel.gather_level
    extent = least(kernel.position_block, problem.positions)
    column_bytes = least(_lines(problem, kernel, extent) * LINE_BYTES, problem.positions * problem.value_bytes)
    working_set = problem.k * (problem.value_bytes if kernel.position_block == 1 else column_bytes)
    levels = run.device.levels
    return next((at for at, level in enumerate(levels) if working_set <= (level.bytes or working_set)), 0)


def _row_bytes(
    problem: Problem, run: Run, size: EncodedSize, passes: int, gathers: int, gather_level: int
) -> tuple[list[int], int, int]:
    """Bytes that each level serves; the innermost is the load pipes' and counts as 0 here."""
    served = [0]
    for at, weights in enumerate(_row_weight_bytes(problem, run, size, passes), start=1):
        inputs = problem.steps * gathers if at <= gather_level else 0
        served.append(weights + inputs + problem.input_bytes + problem.output_bytes)
    read, written = main_memory_bytes(problem, run, size.total_bytes, passes=passes)
    return [*served, read + written], read, written


def _row_weight_bytes(problem: Problem, run: Run, size: EncodedSize, passes: int) -> list[int]:
    """Bytes of weights and indices that each level between the innermost and the main memory serves."""
    levels = run.device.levels
    held = next(at for at, level in enumerate(levels) if level.bytes is None or size.total_bytes <= level.bytes)
    return [problem.steps * size.total_bytes * (passes if at <= held else 1) for at in range(1, len(levels) - 1)]


OUTSIDE_FIT = "outside what the kernel was fitted to"


def beyond_block_calibration(kernel: BlockKernel, shape: tuple[int, int], density: float, macs: int) -> str:
    """Return how a layer lies outside what the kernel's numbers were fitted to, "" where it does not.

    Its own values stand in its row. ``density`` is taken to two digits: whole blocks rarely keep just what was asked.
    """
    (sparsest, densest), (least, most) = kernel.calibrated_density, kernel.calibrated_macs
    found = []
    if shape != kernel.calibrated_block:
        found.append(f"blocks other than {'x'.join(map(str, kernel.calibrated_block))}")
    if not sparsest <= round(density, 2) <= densest:
        found.append(f"density below {sparsest:g}" if density < sparsest else f"density above {densest:g}")
    if not least <= macs <= most:
        found.append(f"multiply-adds {'below' if macs < least else 'above'} {least if macs < least else most:.3g}")
    return f"{OUTSIDE_FIT}: {', '.join(found)}" if found else ""


def block_cost(
    problem: Problem, kernel: BlockKernel, run: Run, size: EncodedSize, counts: Counts, shape: tuple[int, int]
) -> Cost:
    """Return the cost of a mask with ``counts`` of blocks of ``shape`` (rows, columns) on a matrix unit."""
    rows, columns = shape
    blocks = int(counts.sum())
    tiles = ceil(problem.positions / kernel.position_tile)
    issued = problem.steps * blocks * rows * columns * tiles * kernel.position_tile
    share = largest_share(counts, tiles, run.units, "dynamic")
    rate = run.macs_per_cycle(kernel) * kernel.efficiency * run.clock_hz
    read, written = main_memory_bytes(problem, run, size.total_bytes)
    register = ceil(issued * problem.value_bytes * (1 / min(rows, 64) + 1 / least(kernel.position_tile, 64)))
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
        parts=lambda macs: _block_parts(
            problem, kernel, run, size, shape, tiles, bounds["compute"], [*served, read + written], macs
        ),
    )


def _block_parts(
    problem: Problem, kernel: BlockKernel, run: Run, size: EncodedSize, shape: tuple[int, int], tiles: int,
    compute_s: float, level_bytes: list[int], macs: int,
) -> TimeParts:  # fmt: skip
    of_weights, of_inputs = 1 / min(kernel.position_tile, 64), 1 / min(shape[0], 64)
    weights = [level_bytes[0] * of_weights / (of_weights + of_inputs)]
    weights += [float(problem.steps * size.total_bytes * tiles)] * (len(level_bytes) - 2)
    weights.append(main_weight_bytes(problem, run, size.total_bytes, level_bytes[-1]))
    useful = useful_share(problem, kernel, run, macs, 0.0, compute_s)
    return TimeParts(useful={"compute": useful}, weights=weight_shares(run, weights, level_bytes))
