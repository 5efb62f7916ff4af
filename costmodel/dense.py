"""Dense kernels: tiled products, N:M on hardware that skips, and depthwise convolutions.

A tile is padded to its rows, positions and ``k_tile`` columns; tiles go to units in waves, and the last wave takes as
long as a full one. A kernel that packs copies its right operand into panels on the way (im2col); others are taken as
implicit or indirect, each operand read from where it lies. Winograd: ``costmodel.winograd``. Leaves out: FFT, and
im2col buffers that leave the caches (panels are packed a block at a time).
"""

from __future__ import annotations

from math import ceil

from costmodel.point_choices import at_most, either, largest
from costmodel.problem import Problem
from costmodel.roofline import (
    Cost,
    Run,
    cache_weight_bytes,
    fastest,
    level_bounds_s,
    main_memory_bytes,
    main_weight_bytes,
    overhead_s,
    restream_bytes,
    weight_shares,
)
from costmodel.spec import DepthwiseKernel, Kernel, Tile, TileKernel
from costmodel.time_parts import TimeParts
from patterns.encodings.base import EncodedSize

SUM_BYTES = 4


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
    return fastest(candidates)


def _tile(problem: Problem, kernel: TileKernel, run: Run, size: EncodedSize, tile: Tile, parts: int) -> Cost:
    kept, of = kernel.kept
    columns = ceil(ceil(problem.k / of) * kept / parts / kernel.k_tile) * kernel.k_tile
    tiles = problem.groups * ceil(problem.m / tile.rows) * ceil(problem.positions / tile.positions) * parts
    tile_macs = tile.rows * tile.positions * columns
    waves = ceil(tiles / run.units)
    if kernel.cut == "rows":  # of one group after the other
        waves = (
            problem.groups
            * parts
            * rows_of_busiest(problem.m, tile.rows, run)
            * ceil(problem.positions / tile.positions)
        )
    cycles = problem.steps * waves * tile_macs / (run.macs_per_cycle(kernel) * kernel.efficiency)
    cycles += (_packing_cycles(problem, kernel, run) + epilogue_cycles(problem, kernel, run)) / run.units
    issued = problem.steps * tiles * tile_macs
    blocked = problem.step_macs * kept // of
    read, written = main_memory_bytes(problem, run, size.total_bytes, blocked_macs=blocked)
    bounds = {"compute": cycles / run.clock_hz}
    on_chip = _on_chip_bytes(problem, kernel, run, size, tile, parts, issued)
    bounds |= level_bounds_s(run, kernel, (*on_chip, read + written))
    bounds["overhead"] = overhead_s(run, problem)
    cut = f", K in {parts}" if parts > 1 else ""
    return Cost(
        kernel=kernel,
        size=size,
        macs_issued=issued,
        bounds_s=bounds,
        dram_read_bytes=read,
        dram_write_bytes=written,
        mapping=f"tiles {tile.rows}x{tile.positions}{cut}, {waves} waves on {run.units} units",
        parts=lambda macs: _tile_parts(
            problem, kernel, run, size, tile, bounds["compute"], [*on_chip, read + written], macs
        ),
    )


def useful_share(
    problem: Problem, kernel: Kernel, run: Run, macs: int, copied_cycles: float, compute_s: float
) -> float:
    """Return what of ``compute_s`` is left with ``macs`` spread evenly over all units, none of them padding.

    ``copied_cycles``: of one unit, for what is no multiply-add.
    """
    cycles = macs / (run.macs_per_cycle(kernel) * kernel.efficiency) + copied_cycles
    return cycles / (run.units * run.clock_hz * compute_s) if compute_s else 1.0


def _tile_parts(
    problem: Problem, kernel: TileKernel, run: Run, size: EncodedSize, tile: Tile, compute_s: float,
    level_bytes: list[int], macs: int,
) -> TimeParts:  # fmt: skip
    kept, of = kernel.kept
    copied = _packing_cycles(problem, kernel, run) + epilogue_cycles(problem, kernel, run)
    of_weights, of_inputs = 1 / tile.register_positions, of / kept / tile.register_rows
    weights = [level_bytes[0] * of_weights / (of_weights + of_inputs) if problem.weighted else 0.0]
    weights += [cache_weight_bytes(problem, size.total_bytes, served) for served in level_bytes[1:-1]]
    if kernel.blocking == "tile" and len(weights) > 1 and problem.weighted:
        weights[1] = problem.steps * size.total_bytes * ceil(problem.positions / tile.positions)
    weights.append(main_weight_bytes(problem, run, size.total_bytes, level_bytes[-1]))
    return TimeParts(
        useful={"compute": useful_share(problem, kernel, run, macs, copied, compute_s)},
        weights=weight_shares(run, weights, level_bytes),
    )


def rows_of_busiest(rows: int, register_rows: int, run: Run) -> int:
    """Return the register tiles, counted along the rows, of the unit that has most of them."""
    return ceil(ceil(rows / register_rows) / run.units)


def _packing_cycles(problem: Problem, kernel: TileKernel, run: Run) -> float:
    """Cycles of one unit to load and store each element of the right operand once, a vector at a time."""
    pipes = run.device.pipes
    if not kernel.packs or pipes is None:
        return 0.0
    copied = problem.steps * problem.groups * problem.k * problem.positions * problem.value_bytes
    return 2 * copied / (pipes.vector_bytes * pipes.loads_per_cycle)


def epilogue_cycles(problem: Problem, kernel: Kernel, run: Run) -> float:
    """Cycles of one unit for what each output element needs after its sum, one 32-bit vector operation a cycle."""
    pipes = run.device.pipes
    if pipes is None:
        return 0.0
    return problem.output_elements * kernel.epilogue_operations * SUM_BYTES / pipes.vector_bytes


def cache_bytes(
    problem: Problem, run: Run, stored: int, macs: int, buffered: int, register: int
) -> tuple[list[int], int, int]:
    """Bytes that each on-chip level serves, innermost first, and bytes read from and written to the main memory.

    ``macs`` of a step, blocked for each level; ``buffered``: bytes written to and read from workspaces, which leave
    the chip where half of that is larger than the last level; ``register``: loads and stores of the innermost level.
    """
    compulsory = problem.steps * stored + problem.input_bytes + problem.output_bytes
    served = [register]
    for inner in run.device.levels[:-2]:
        moved = problem.steps * restream_bytes(macs, problem.value_bytes, inner.bytes or 0)
        served.append(largest(compulsory, moved) + buffered)
    read, written = main_memory_bytes(problem, run, stored, blocked_macs=macs)
    spilled = either(at_most(buffered // 2, run.chip_bytes), 0, buffered // 2)
    return served, read + spilled, written + spilled


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
        served.append(largest(compulsory, moved))
    if kernel.blocking == "tile" and len(served) > 1:
        left = size.total_bytes if problem.weighted else problem.groups * problem.m * problem.k * value_bytes
        right = problem.groups * problem.k * problem.positions * value_bytes
        outputs = problem.groups * problem.m * problem.positions
        sums = 2 * SUM_BYTES * parts * outputs if parts > 1 else 0
        step = left * ceil(problem.positions / tile.positions) + right * ceil(problem.m / tile.rows)
        served[1] = problem.steps * (step + outputs * value_bytes + sums)
    return served


def depthwise_cost(problem: Problem, kernel: DepthwiseKernel, run: Run, size: EncodedSize) -> Cost:
    """Return the cost with channels in lanes: weights stay in registers, inputs are loaded tap by tap."""
    pipes = run.device.pipes
    lanes = pipes.vector_bytes // problem.value_bytes if pipes else 1
    vectors = ceil(problem.groups / lanes)
    issued = vectors * lanes * problem.m * problem.k * problem.positions * problem.steps
    idle = rows_of_busiest(problem.groups, lanes, run) * run.units / vectors if kernel.cut == "rows" else 1.0
    rate = run.macs_per_cycle(kernel) * run.units * kernel.efficiency * run.clock_hz / idle
    read, written = main_memory_bytes(problem, run, size.total_bytes)
    compulsory = size.total_bytes + problem.input_bytes + problem.output_bytes
    on_chip = [ceil(issued * problem.value_bytes / kernel.window_reuse)]
    on_chip += [compulsory] * (len(run.device.levels) - 2)
    compute_s = issued / rate + epilogue_cycles(problem, kernel, run) / (run.clock_hz * run.units)
    bounds = {"compute": compute_s} | level_bounds_s(run, kernel, (*on_chip, read + written))
    bounds["overhead"] = overhead_s(run, problem)
    return Cost(
        kernel=kernel,
        size=size,
        macs_issued=issued,
        bounds_s=bounds,
        dram_read_bytes=read,
        dram_write_bytes=written,
        mapping=f"channels in lanes, {run.units} units",
        parts=lambda macs: _depthwise_parts(problem, kernel, run, size, compute_s, [*on_chip, read + written], macs),
    )


def _depthwise_parts(
    problem: Problem, kernel: DepthwiseKernel, run: Run, size: EncodedSize, compute_s: float, level_bytes: list[int],
    macs: int,
) -> TimeParts:  # fmt: skip
    """The innermost level serves inputs alone: weights stay in registers."""
    weights = [0.0] + [float(size.total_bytes)] * (len(level_bytes) - 2)
    weights.append(main_weight_bytes(problem, run, size.total_bytes, level_bytes[-1]))
    useful = useful_share(problem, kernel, run, macs, epilogue_cycles(problem, kernel, run), compute_s)
    return TimeParts(useful={"compute": useful}, weights=weight_shares(run, weights, level_bytes))
