"""Dense and 2:4 products on a server GPU: thread blocks in waves, tensor-core granularity, L2, main memory, launch.

Each candidate tile and cut of K is one grid of thread blocks. Blocks go to multiprocessors evenly, so a multiprocessor
with one block more than the others sets the time (wave quantisation); while few threads are resident, their latency
is not hidden. A block streams its operands from L2, whose bandwidth and the main memory's depend on how many
multiprocessors ask. N:M with hardware skips multiply-adds and half of the weights, and nothing of the dense operand,
the tiles, the launches. The fastest candidate runs: libraries choose by heuristics that are not modelled. Leaves out:
transposed operands (DEVIATIONS 21), Winograd and FFT, clocks under a power limit.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from math import ceil

from costmodel.per_point import VARIES
from costmodel.point_choices import at_most, either, first_least, largest, least, picked
from costmodel.problem import Problem
from costmodel.roofline import (
    Cost,
    Run,
    main_memory_bytes,
    main_weight_bytes,
    restream_bytes,
    slowest_s,
    unknown_parts,
    weight_shares,
)
from costmodel.sparse import OUTSIDE_FIT
from costmodel.spec import Kernel
from costmodel.time_parts import TimeParts
from patterns.encodings.base import EncodedSize
from simulator.spec import DeviceError
from traces.layer import MatrixLayer, ProductLayer

SUM_BYTES = 4
TILE_LOSS_SIDE = 64  # tile_loss is quoted for tiles whose sides have this harmonic sum


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuTile:
    """Rows x positions of one thread block of ``threads``; a warp computes ``warp_rows`` x ``warp_positions``."""

    rows: int
    positions: int
    threads: int
    warp_rows: int
    warp_positions: int

    def __post_init__(self) -> None:
        for part in fields(self):
            if getattr(self, part.name) < 1:
                raise DeviceError(f"tiles.{part.name} is {getattr(self, part.name)}, and must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuTileKernel(Kernel):
    """A dense product in tiles of thread blocks, and N:M with ``kept`` = (N, M), whose hardware skips the rest.

    ``efficiency``: share of peak of a large tile with all threads resident. ``k_tile``: columns are padded to it;
    ``channel_tile``: input channels of a convolution are. ``split_k``: parts K may be cut into, each of at least
    ``least_split_columns``. ``resident_threads``: of one multiprocessor, as registers allow; ``lanes``: its 32-bit
    lanes; ``latency_threads``: threads a lane at which half of the rate is reached. ``tile_loss``: how much more a
    small tile costs, as loads stand beside multiply-adds. ``l2_share``: of the L2 bandwidth. ``launch_s``,
    ``split_s``: each launch, and the second kernel that adds the parts. ``output_copies``: kernels after this one that
    read and write its output again, where it comes out transposed or unfused. ``calibrated_macs``: multiply-adds of
    the smallest and the largest product that its numbers were fitted to. ``cluster``: thread blocks below each other
    that share each load of their dense operand.
    """

    tiles: tuple[GpuTile, ...]
    k_tile: int
    channel_tile: int = 1
    split_k: tuple[int, ...] = (1,)
    least_split_columns: int
    kept: tuple[int, int] = (1, 1)
    resident_threads: int
    lanes: int
    latency_threads: float
    tile_loss: float
    l2_share: float
    launch_s: float
    split_s: float
    calibrated_macs: tuple[int, int]
    output_copies: int = 0
    cluster: int = 1

    def __post_init__(self) -> None:
        kept, of = self.kept
        where = f"kernels.{self.name}"
        if not 0 < kept <= of:
            raise DeviceError(f"{where}.kept is {kept} of {of}, and must keep at most all and at least one")
        for name in ("efficiency", "memory_share", "l2_share"):
            if not 0 < getattr(self, name) <= 1:
                raise DeviceError(f"{where}.{name} is {getattr(self, name)}, and must be above 0 and at most 1")
        for name in ("k_tile", "channel_tile", "least_split_columns", "resident_threads", "lanes", "cluster"):
            if getattr(self, name) < 1:
                raise DeviceError(f"{where}.{name} is {getattr(self, name)}, and must be at least 1")
        if not self.tiles or not self.split_k:
            raise DeviceError(f"{where} must have a tile and a cut of K (1 is one)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """One candidate: its tile, parts of K, padded columns that a block multiplies, and its thread blocks."""

    tile: GpuTile
    parts: int
    columns: int
    blocks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Together:
    """What candidates share: bytes read and written by parts of K, multiply-adds a cycle, seconds of copies."""

    main: Mapping[int, tuple[int, int]]
    rate: float
    copies_s: float


def beyond_calibration(kernel: GpuTileKernel, macs: int) -> str:
    """Return how ``macs`` multiply-adds lie outside what the kernel's numbers were fitted to, "" where they do not."""
    least, most = kernel.calibrated_macs
    if least <= macs <= most:
        return ""
    left = f"below {least:.3g}" if macs < least else f"above {most:.3g}"  # its own stand in its row
    return f"{OUTSIDE_FIT}: multiply-adds {left}"


def gpu_columns(layer: MatrixLayer | ProductLayer, kernel: GpuTileKernel) -> int:
    """Return K with the input channels of a convolution padded to the kernel's ``channel_tile``."""
    if not isinstance(layer, MatrixLayer) or layer.kind not in ("conv2d", "conv1d"):
        return layer.k
    taps = layer.window.kernel[0] * layer.window.kernel[1]
    channels = layer.k // taps
    return taps * ceil(channels / kernel.channel_tile) * kernel.channel_tile


def gpu_tile_cost(
    layer: MatrixLayer | ProductLayer, problem: Problem, kernel: GpuTileKernel, run: Run, size: EncodedSize
) -> Cost:
    """Return the fastest of the kernel's tiles and cuts of K."""
    if len(run.device.levels) != 3:
        raise DeviceError(f"device {run.device.name}: kernel {kernel.name} needs three levels: shared, L2, main memory")
    kept, of = kernel.kept
    stored = ceil(gpu_columns(layer, kernel) / of) * kept
    grids = [
        _grid(problem, tile, parts, stored, kernel)
        for tile in kernel.tiles
        for parts in kernel.split_k
        if parts == 1 or stored >= parts * kernel.least_split_columns
    ]
    together = _Together(
        main=_main_memory(problem, kernel, run, size, {grid.parts for grid in grids}),
        rate=run.macs_per_cycle(kernel) * kernel.efficiency,
        copies_s=kernel.output_copies * _copy_s(problem, kernel, run),
    )
    bounds = [_bounds_s(problem, kernel, run, size, grid, together) for grid in grids]
    best = first_least([slowest_s(each) + each["overhead"] for each in bounds])
    return Cost(
        kernel=kernel,
        size=size,
        macs_issued=picked(best, [_issued(problem, grid) for grid in grids]),
        bounds_s={name: picked(best, [each[name] for each in bounds]) for name in bounds[0]},
        dram_read_bytes=picked(best, [together.main[grid.parts][0] for grid in grids]),
        dram_write_bytes=picked(best, [together.main[grid.parts][1] for grid in grids]),
        mapping=_mapping(grids[best], run) if isinstance(best, int) else VARIES,
        parts=unknown_parts
        if not isinstance(best, int)
        else lambda macs: _parts(problem, kernel, run, size, grids[best], together, bounds[best]["compute"], macs),
    )


def _parts(
    problem: Problem, kernel: GpuTileKernel, run: Run, size: EncodedSize, grid: _Grid, together: _Together,
    compute_s: float, macs: int,
) -> TimeParts:  # fmt: skip
    """Imbalance is what is padded, multiprocessors with fewer blocks, and latency that too few threads leave bare."""
    useful_s: float = macs * _loads(kernel, grid.tile) / (together.rate * run.units * run.clock_hz)
    moved = sum(together.main[grid.parts])
    level_bytes = [_shared_bytes(problem, kernel, grid), _l2_bytes(problem, kernel, size, grid), moved]
    weights = [0.0, 0.0]
    if problem.weighted:
        kept, of = kernel.kept
        of_weights, of_inputs = 1 / grid.tile.warp_positions, of / kept / grid.tile.warp_rows
        weights = [
            level_bytes[0] * of_weights / (of_weights + of_inputs),
            grid.blocks * _block_weight_bytes(problem, size, grid),
        ]
    spilled = _spilled_bytes(problem, run, grid.parts)
    weights.append(main_weight_bytes(problem, run, size.total_bytes, moved, spilled=2 * spilled))
    useful = useful_s / compute_s if compute_s else 1.0
    return TimeParts(useful={"compute": useful}, weights=weight_shares(run, weights, level_bytes))


def _issued(problem: Problem, grid: _Grid) -> int:
    return problem.steps * grid.blocks * grid.tile.rows * grid.tile.positions * grid.columns


def _mapping(grid: _Grid, run: Run) -> str:
    cut = f", K in {grid.parts}" if grid.parts > 1 else ""
    return (
        f"tiles {grid.tile.rows}x{grid.tile.positions}{cut}, {grid.blocks} thread blocks on {run.units} "
        f"multiprocessors, {ceil(grid.blocks / run.units)} on the fullest"
    )


def _grid(problem: Problem, tile: GpuTile, parts: int, stored: int, kernel: GpuTileKernel) -> _Grid:
    columns = ceil(ceil(stored / parts) / kernel.k_tile) * kernel.k_tile
    blocks = problem.groups * ceil(problem.m / tile.rows) * ceil(problem.positions / tile.positions) * parts
    return _Grid(tile=tile, parts=parts, columns=columns, blocks=blocks)


def _bounds_s(
    problem: Problem,
    kernel: GpuTileKernel,
    run: Run,
    size: EncodedSize,
    grid: _Grid,
    together: _Together,
) -> dict[str, float]:
    shared, l2, dram = run.device.levels
    asking = least(grid.blocks, run.units)
    steps = problem.steps
    read, written = together.main[grid.parts]
    launches = kernel.launch_s + (kernel.split_s if grid.parts > 1 else 0.0)
    return {
        "compute": steps * _block_cycles(kernel, run, grid, together.rate) / run.clock_hz,
        shared.name: steps * _shared_bytes(problem, kernel, grid) / shared.bytes_per_s(asking),
        l2.name: steps * _l2_bytes(problem, kernel, size, grid) / (l2.bytes_per_s(asking) * kernel.l2_share),
        dram.name: (read + written) / (dram.bytes_per_s(asking) * kernel.memory_share),
        "overhead": steps * (launches + together.copies_s),
    }


def _copy_s(problem: Problem, kernel: GpuTileKernel, run: Run) -> float:
    """Seconds of a kernel that reads and writes the output of a step."""
    _, l2, dram = run.device.levels
    moved = 2 * problem.output_bytes / problem.steps
    stay = at_most(problem.input_bytes + problem.output_bytes, run.chip_bytes)
    return kernel.launch_s + moved / either(stay, l2.bytes_per_s(run.units), dram.bytes_per_s(run.units))


def _block_cycles(kernel: GpuTileKernel, run: Run, grid: _Grid, rate: float) -> float:
    """Cycles of the multiprocessor with the most blocks."""
    tile = grid.tile
    fullest = ceil(grid.blocks / run.units)
    resident = least(fullest, largest(kernel.resident_threads // tile.threads, 1))
    threads_a_lane = resident * tile.threads / kernel.lanes
    hidden = threads_a_lane / (threads_a_lane + kernel.latency_threads)
    macs = fullest * tile.rows * tile.positions * grid.columns
    return macs * _loads(kernel, tile) / (rate * hidden)


def _loads(kernel: GpuTileKernel, tile: GpuTile) -> float:
    """How much more a multiply-add of a small tile takes, for the loads beside it."""
    return 1 + kernel.tile_loss * TILE_LOSS_SIDE * (1 / tile.rows + 1 / tile.positions)


def _shared_bytes(problem: Problem, kernel: GpuTileKernel, grid: _Grid) -> float:
    """Bytes that warps read from shared memory: the dense operand in full, of the other what is kept."""
    kept, of = kernel.kept
    tile = grid.tile
    issued = grid.blocks * tile.rows * tile.positions * grid.columns
    return issued * problem.value_bytes * (1 / tile.warp_positions + of / kept / tile.warp_rows)


def _l2_bytes(problem: Problem, kernel: GpuTileKernel, size: EncodedSize, grid: _Grid) -> float:
    """Bytes that thread blocks read: weights as they are stored, the dense operand in full; sums of a cut K twice."""
    kept, of = kernel.kept
    tile, value_bytes = grid.tile, problem.value_bytes
    left = _block_weight_bytes(problem, size, grid)
    sharing = least(kernel.cluster, ceil(problem.m / tile.rows))
    right = tile.positions * grid.columns * of / kept * value_bytes / sharing
    outputs = problem.groups * problem.m * problem.positions
    sums = 2 * SUM_BYTES * grid.parts * outputs if grid.parts > 1 else 0
    return grid.blocks * (left + right) + outputs * value_bytes + sums


def _block_weight_bytes(problem: Problem, size: EncodedSize, grid: _Grid) -> float:
    """Bytes of a tile's rows, values and indices, that a thread block reads."""
    overhead = size.index_bytes / size.weight_bytes if size.weight_bytes else 0.0
    return grid.tile.rows * grid.columns * problem.value_bytes * (1 + overhead)


def _main_memory(
    problem: Problem, kernel: GpuTileKernel, run: Run, size: EncodedSize, cuts: Collection[int]
) -> dict[int, tuple[int, int]]:
    """Bytes read and written, for each number of parts of K: operands streamed again where L2 is small, large sums."""
    kept, of = kernel.kept
    read, written = main_memory_bytes(problem, run, size.total_bytes)
    stay = at_most(problem.input_bytes + problem.output_bytes, run.chip_bytes)
    if stay is not True:
        moved = problem.steps * restream_bytes(problem.step_macs * kept // of, problem.value_bytes, run.chip_bytes)
        read += either(stay, 0, largest(moved - read - written, 0))
    found = {}
    for parts in cuts:
        spilled = _spilled_bytes(problem, run, parts)
        found[parts] = (read + spilled, written + spilled)
    return found


def _spilled_bytes(problem: Problem, run: Run, parts: int) -> int:
    """Bytes of sums of a cut K that leave the chip, written once and read once."""
    sums = SUM_BYTES * parts * problem.groups * problem.m * problem.positions if parts > 1 else 0
    spilled: int = either(at_most(sums, run.chip_bytes), 0, problem.steps * sums)
    return spilled
