"""Products with one vector on a GPU, dense, MACKO-like and CSR (a decoder's layers, token by token), and CSR x matrix.

Weights are read once from the main memory (a recurrence that the last cache holds reads them there from its second
step on), at a share of its data sheet's rate. Reading and computing overlap, but not wholly: together they take
(reading^n + computing^n)^(1/n). What the mask decides:

- ``WarpRowKernel``: a warp walks a row, ``slots_per_lane`` slots a lane at a time. A block of rows lies on a unit until
  its last row is done, and takes the longest of: the cache lines that its gathers touch, its instructions, and the
  passes of its longest row one after the other. Blocks go to units as they become free, so that waves and rows with
  more weights than others cost what they cost.
- ``CsrVectorKernel``: rows are cut among threads whose sums meet in the same output; they wait for each other, the
  more the longer the row, so that a row also costs its kept weights squared.
- ``CsrMatrixKernel``: positions lie in columns, and each gather of a weight's row of them takes a whole sector for each
  position. Kept weights of a row that fall into one sector share it.

Leaves out: clocks that move with the load, rows at which memory channels collide, misses of the gathers in the first
cache (the vector is small and lies in it), libraries' choices between kernels.
Reference: vlejd/macko_spmv, src/macko_spmv/cuda/kernels.cuh (warp to a row, 8 slots a lane, 32 rows a block).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from operator import index

import numpy as np

from costmodel import _spmv_kernel
from costmodel.measured import Range
from costmodel.point_choices import largest, total
from costmodel.problem import Problem
from costmodel.roofline import Cost, Run
from costmodel.spec import Kernel
from costmodel.spmv_rows import Rows, lines_of, macko_size, sectors_of
from costmodel.time_parts import TimeParts
from patterns.encodings.base import EncodedSize

WARP = 32  # lanes of an NVIDIA warp
LINE_BYTES = 128  # of the first cache of NVIDIA GPUs
SECTOR_BYTES = 32  # the least that the caches of NVIDIA GPUs move
VECTOR_FAMILIES: Mapping[str, str] = {"gemv": "dense_vector", "csr-spmv": "csr_vector"}  # apart from whole matrices


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamKernel(Kernel):
    """A kernel that reads its weights once. ``start_s``: from the launch to the first byte and after the last, in place
    of the device's overhead; ``overlap``: n of the module's text; ``ranges``: what the measurements covered.

    ``dram_bytes_per_s``: of the data sheet; ``memory_share`` is of it, and not of what another program attained.
    """

    dram_bytes_per_s: int
    start_s: float
    overlap: float = 8.0
    ranges: tuple[Range, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorKernel(StreamKernel):
    """A product with one vector, and no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GemvKernel(VectorKernel):
    """Dense weights, each read once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarpRowKernel(VectorKernel):
    """A warp to a row of runs; ``rows_per_block`` rows to a block, ``blocks_per_unit`` blocks on a unit at a time.

    How far off it is: DEVIATIONS 27.
    ``cache_bytes_per_cycle``: of a unit's first cache; ``line_cost_bytes``: what each line that a gather touches takes
    of them; ``slot_instructions``: of a lane; ``pass_s``: load, decode and gather of one pass, one after the other;
    ``block_s``: pointers, first loads and the final sum of a block.
    """

    slots_per_lane: int = 8
    rows_per_block: int = 32
    blocks_per_unit: int = 1
    cache_bytes_per_cycle: int
    line_cost_bytes: float
    slot_instructions: float
    pass_s: float
    block_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CsrVectorKernel(VectorKernel):
    """CSR; ``row_square_s``: seconds of the chip for each kept weight of a row times all kept weights of that row.

    It does not carry over from one GPU to another: DEVIATIONS 26.
    """

    row_square_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CsrMatrixKernel(StreamKernel):
    """CSR times a matrix stored by columns (DEVIATIONS 28). ``near_cost_bytes``: of the first level's rate, for each
    sector gathered, where a unit's holds all positions' operands; ``far_cost_bytes``: of the last one's on the chip.
    """

    near_cost_bytes: float
    far_cost_bytes: float


def gemv_cost(problem: Problem, kernel: GemvKernel, run: Run, size: EncodedSize) -> Cost:
    """Return the cost of dense weights times one vector."""
    macs = problem.step_macs
    issued = problem.steps * macs
    bounds = {"compute": macs / (run.macs_per_cycle(kernel) * kernel.efficiency * run.units * run.clock_hz)}
    return _cost(problem, kernel, run, size, bounds, macs, "each weight read once", lambda kept: kept / issued)


def warp_row_cost(problem: Problem, kernel: WarpRowKernel, run: Run, rows: Rows) -> Cost:
    """Return the cost of ``rows`` on a kernel that gives each row to a warp. The device must have pipes."""
    pipes = run.device.pipes
    if pipes is None:
        raise AssertionError(f"device {run.device.name} has the kernel {kernel.name} and no pipes")
    line_s = kernel.line_cost_bytes / (kernel.cache_bytes_per_cycle * run.clock_hz)
    slot_s = kernel.slot_instructions / (WARP * pipes.instructions_per_cycle * run.clock_hz)
    lines = lines_of(rows, problem.value_bytes, WARP, kernel.slots_per_lane, LINE_BYTES)
    passes = -(-rows.slots // (WARP * kernel.slots_per_lane))
    starts = np.arange(0, rows.slots.size, index(kernel.rows_per_block))
    gather_s = np.add.reduceat(lines, starts) * line_s * kernel.blocks_per_unit
    issue_s = np.add.reduceat(rows.slots, starts) * slot_s * kernel.blocks_per_unit
    longest_s = np.maximum.reduceat(passes, starts) * kernel.pass_s
    block_s = kernel.block_s + np.maximum(np.maximum(gather_s, issue_s), longest_s)
    places = index(run.units * kernel.blocks_per_unit)
    ends = _spmv_kernel.makespan(block_s, places, np.zeros(places))
    even = float(block_s.sum()) / places
    share = ends / even if even else 1.0
    bounds = {"gather": ends}
    mapping = (
        f"{starts.size} blocks of {kernel.rows_per_block} rows on {places} places, "
        f"last one ends at {share:.2f} of an even share"
    )
    size = macko_size(rows, problem.value_bytes)
    return _cost(problem, kernel, run, size, bounds, size.slots, mapping, lambda kept: 1 / share)


def csr_vector_cost(problem: Problem, kernel: CsrVectorKernel, run: Run, rows: Rows) -> Cost:
    """Return the cost of CSR weights times one vector."""
    squares = float(np.square(rows.kept, dtype=np.float64).sum())
    even = float(rows.kept.sum()) ** 2 / (rows.kept.size * squares) if squares else 1.0  # all rows of equal length
    bounds = {"compute": squares * kernel.row_square_s}
    mapping = f"longest row {int(rows.kept.max(initial=0))} of {rows.columns} weights"
    size = csr_size(problem, kernel, rows)
    return _cost(problem, kernel, run, size, bounds, size.slots, mapping, lambda kept: even)


def csr_size(problem: Problem, kernel: StreamKernel, rows: Rows) -> EncodedSize:
    """Return the bytes of CSR (DESIGN section 4), a matrix for each group, from the counts alone."""
    kept = int(rows.kept.sum())
    pointers = rows.kept.size + problem.groups
    return EncodedSize(
        weight_bytes=kept * problem.value_bytes,
        index_bytes=kept * kernel.index_bytes + pointers * kernel.pointer_bytes,
        slots=kept,
    )


def csr_matrix_cost(problem: Problem, kernel: CsrMatrixKernel, run: Run, rows: Rows) -> Cost:
    """Return the cost of CSR weights times any number of positions."""
    levels = run.device.levels
    near = problem.k * problem.positions * problem.value_bytes <= (levels[0].bytes or 0)
    level, cost_bytes = (levels[0], kernel.near_cost_bytes) if near else (levels[-2], kernel.far_cost_bytes)
    sectors = float(sectors_of(rows, problem.value_bytes, SECTOR_BYTES).sum()) * problem.positions
    bounds = {"gather": sectors * cost_bytes / level.bytes_per_s(run.units)}
    size = csr_size(problem, kernel, rows)
    mapping = f"{sectors:.4g} sectors gathered from {level.name}"
    return _cost(problem, kernel, run, size, bounds, size.slots * problem.positions, mapping, lambda kept: 1.0)


def rows_cost(problem: Problem, kernel: StreamKernel, run: Run, rows: Rows) -> Cost:
    """Return the cost of ``rows`` on a sparse kernel."""
    match kernel:
        case WarpRowKernel():
            return warp_row_cost(problem, kernel, run, rows)
        case CsrVectorKernel():
            return csr_vector_cost(problem, kernel, run, rows)
        case CsrMatrixKernel():
            return csr_matrix_cost(problem, kernel, run, rows)
        case _:
            raise AssertionError(f"kernel {kernel.name} of {run.device.name} is no sparse kernel")


def _cost(
    problem: Problem,
    kernel: StreamKernel,
    run: Run,
    size: EncodedSize,
    bounds: Mapping[str, float],
    macs: int,
    mapping: str,
    useful: Callable[[int], float],
) -> Cost:
    """Add the main memory to ``bounds`` of one step, and to the start what the two do not hide of each other.

    ``useful``: share of the bound that computes which is left when all units are as busy, by multiply-adds with a kept
    weight.
    """
    main, chip = run.device.levels[-1], run.device.levels[-2]
    vectors = ceil((problem.input_bytes + problem.output_bytes) / problem.steps)
    moved = size.total_bytes + vectors
    again = problem.steps - 1  # a recurrence whose weights stay on the chip reads them from there
    held = size.total_bytes <= run.chip_bytes
    rate = kernel.dram_bytes_per_s
    all_s = moved / rate + again * moved / (chip.bytes_per_s(run.units) if held else rate)
    found = {**bounds, main.name: all_s / (problem.steps * kernel.memory_share)}
    longest = largest(*found.values())
    together = longest * total((one / longest) ** kernel.overlap for one in found.values()) ** (1 / kernel.overlap)
    step_s = {name: problem.steps * one for name, one in found.items()}
    return Cost(
        kernel=kernel,
        size=size,
        macs_issued=problem.steps * macs,
        bounds_s={**step_s, "overhead": problem.steps * (kernel.start_s + together - longest)},
        dram_read_bytes=(1 if held else problem.steps) * size.total_bytes + problem.input_bytes,
        dram_write_bytes=problem.output_bytes,
        mapping=mapping,
        parts=lambda kept: TimeParts(
            useful={name: useful(kept) for name in bounds},
            weights={main.name: size.total_bytes / moved},
            overhead_s=problem.steps * kernel.start_s,
        ),
    )
