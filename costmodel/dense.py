"""Dense kernels: tiled products, N:M on hardware that skips, and depthwise convolutions.

A tile is padded to its rows, positions and ``k_tile`` columns; tiles go to units in waves, and the last wave takes as
long as a full one. Leaves out: Winograd and FFT (DEVIATIONS 1), packing of operands, and im2col buffers (kernels are
taken as implicit or indirect, each operand read from where it lies).
"""

from __future__ import annotations

from math import ceil

from costmodel.problem import Problem
from costmodel.roofline import Cost, Run, level_bounds_s, main_memory_bytes, overhead_s, restream_bytes
from costmodel.spec import DepthwiseKernel, Tile, TileKernel
from patterns.encodings.base import EncodedSize

PARTIAL_SUM_BYTES = 4


def dense_size(problem: Problem) -> EncodedSize:
    """Return the size of unpruned weights; nothing for a product of two activations."""
    slots = problem.groups * problem.m * problem.k if problem.weighted else 0
    return EncodedSize(weight_bytes=slots * problem.value_bytes, index_bytes=0, slots=slots)


def tile_cost(problem: Problem, kernel: TileKernel, run: Run, size: EncodedSize) -> Cost:
    """Return the fastest of the kernel's tiles and cuts of K."""
    kept, of = kernel.kept
    stored_k = ceil(problem.k / of) * kept
    splits = [parts for parts in kernel.split_k if parts == 1 or parts * kernel.k_tile <= stored_k]
    candidates = [_tile(problem, kernel, run, size, tile, parts) for tile in kernel.tiles for parts in splits]
    return min(candidates, key=lambda cost: cost.latency_s)


def _tile(problem: Problem, kernel: TileKernel, run: Run, size: EncodedSize, tile: Tile, parts: int) -> Cost:
    kept, of = kernel.kept
    columns = ceil(ceil(problem.k / of) * kept / parts / kernel.k_tile) * kernel.k_tile
    tiles = problem.groups * ceil(problem.m / tile.rows) * ceil(problem.positions / tile.positions) * parts
    tile_macs = tile.rows * tile.positions * columns
    waves = ceil(tiles / run.units)
    cycles = problem.steps * waves * tile_macs / (run.macs_per_cycle(kernel) * kernel.efficiency)
    issued = problem.steps * tiles * tile_macs
    blocked = problem.step_macs * kept // of
    read, written = main_memory_bytes(problem, run, size.total_bytes, blocked_macs=blocked)
    bounds = {"compute": cycles / run.clock_hz}
    on_chip = _on_chip_bytes(problem, kernel, run, size, tile, parts, issued)
    bounds |= level_bounds_s(run, kernel, (*on_chip, read + written))
    bounds["overhead"] = overhead_s(run.device, problem)
    cut = f", K in {parts}" if parts > 1 else ""
    return Cost(
        kernel=kernel,
        size=size,
        macs_issued=issued,
        bounds_s=bounds,
        dram_read_bytes=read,
        dram_write_bytes=written,
        mapping=f"tiles {tile.rows}x{tile.positions}{cut}, {waves} waves on {run.units} units",
    )


def _on_chip_bytes(
    problem: Problem, kernel: TileKernel, run: Run, size: EncodedSize, tile: Tile, parts: int, issued: int
) -> list[int]:
    """Bytes that each on-chip level serves, innermost first."""
    kept, of = kernel.kept
    value_bytes = problem.value_bytes
    register = issued * value_bytes * (1 / tile.register_positions + of / kept / tile.register_rows)
    compulsory = problem.steps * size.total_bytes + problem.input_bytes + problem.output_bytes
    served = [ceil(register)]
    for inner in run.device.levels[:-2]:
        moved = problem.steps * restream_bytes(problem.step_macs * kept // of, value_bytes, inner.bytes or 0)
        served.append(max(compulsory, moved))
    if kernel.blocking == "tile" and len(served) > 1:
        left = size.total_bytes if problem.weighted else problem.groups * problem.m * problem.k * value_bytes
        right = problem.groups * problem.k * problem.positions * value_bytes
        outputs = problem.groups * problem.m * problem.positions
        sums = 2 * PARTIAL_SUM_BYTES * parts * outputs if parts > 1 else 0
        step = left * ceil(problem.positions / tile.positions) + right * ceil(problem.m / tile.rows)
        served[1] = problem.steps * (step + outputs * value_bytes + sums)
    return served


def depthwise_cost(problem: Problem, kernel: DepthwiseKernel, run: Run, size: EncodedSize) -> Cost:
    """Return the cost with channels in lanes: weights stay in registers, inputs are loaded tap by tap."""
    pipes = run.device.pipes
    lanes = pipes.vector_bytes // problem.value_bytes if pipes else 1
    issued = ceil(problem.groups / lanes) * lanes * problem.m * problem.k * problem.positions * problem.steps
    rate = run.macs_per_cycle(kernel) * run.units * kernel.efficiency * run.clock_hz
    read, written = main_memory_bytes(problem, run, size.total_bytes)
    compulsory = size.total_bytes + problem.input_bytes + problem.output_bytes
    on_chip = [ceil(issued * problem.value_bytes / kernel.window_reuse)]
    on_chip += [compulsory] * (len(run.device.levels) - 2)
    bounds = {"compute": issued / rate} | level_bounds_s(run, kernel, (*on_chip, read + written))
    bounds["overhead"] = overhead_s(run.device, problem)
    return Cost(
        kernel=kernel,
        size=size,
        macs_issued=issued,
        bounds_s=bounds,
        dram_read_bytes=read,
        dram_write_bytes=written,
        mapping=f"channels in lanes, {run.units} units",
    )
