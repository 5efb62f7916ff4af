"""Winograd's convolution: 3 x 3 windows of stride 1 as products of transformed tiles.

F(t x t, 3 x 3) cuts the output into tiles of t x t, transforms the (t + 2)^2 inputs of each tile and channel, does one
product [m, ci] x [ci, tiles] for each of the (t + 2)^2 places, and transforms back. Weights are transformed when the
model is loaded. Time is that of the three stages added up; traffic is each stage's, every buffer written and read
once. Leaves out: stages blocked so that a buffer stays in a smaller cache, and rounding (F(6 x 6) needs care in fp16).

Reference: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from costmodel.dense import cache_bytes, epilogue_cycles, rows_of_busiest, useful_share
from costmodel.problem import Problem
from costmodel.roofline import (
    Cost,
    Run,
    cache_weight_bytes,
    level_bounds_s,
    main_weight_bytes,
    overhead_s,
    weight_shares,
)
from costmodel.spec import WinogradKernel, WinogradSize
from costmodel.time_parts import TimeParts
from patterns.encodings.base import EncodedSize
from traces.layer import MatrixLayer, ProductLayer

# Multiply-adds and additions of one 1-D transform of t + 2 values, shared terms counted once: input (to t + 2 values),
# output (to t values). F(2): Lavin and Gray, section 4.1; F(4): their 4.2, with fused multiply-adds; F(6): B and A of
# points 0, 1, -1, 2, -2, 1/2, -1/2, infinity written out likewise.
INPUT_OPERATIONS = {2: 4, 4: 12, 6: 26}
OUTPUT_OPERATIONS = {2: 4, 4: 10, 6: 20}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transforms:
    """What F(t x t, 3 x 3) does to one layer, in scalar operations and elements."""

    outputs: int
    tiles: int
    input_operations: int
    output_operations: int
    input_elements: int
    output_elements: int

    @property
    def places(self) -> int:
        """Products, one for each element of a transformed tile."""
        return (self.outputs + 2) ** 2


def winograd_size(layer: MatrixLayer | ProductLayer, kernel: WinogradKernel) -> WinogradSize | None:
    """Return the size that ``kernel`` takes for ``layer``, None where it does not take it."""
    if isinstance(layer, ProductLayer) or layer.groups != 1:
        return None
    window = layer.window
    if window.kernel != (3, 3) or window.stride != (1, 1) or window.dilation != (1, 1):
        return None
    channels = max(layer.m, layer.ci)
    if channels < kernel.least_channels:
        return None
    fitting = (size for size in kernel.sizes if size.most_channels is None or channels <= size.most_channels)
    return next(fitting, None)


def transforms(layer: MatrixLayer, outputs: int) -> Transforms:
    """Return the transforms of ``layer`` under F(outputs x outputs, 3 x 3)."""
    edge = outputs + 2
    high, wide = layer.window.out_hw
    tiles = layer.batch * ceil(high / outputs) * ceil(wide / outputs)
    return Transforms(
        outputs=outputs,
        tiles=tiles,
        input_operations=tiles * layer.ci * 2 * edge * INPUT_OPERATIONS[outputs],
        output_operations=tiles * layer.m * (edge + outputs) * OUTPUT_OPERATIONS[outputs],
        input_elements=tiles * layer.ci * edge * edge,
        output_elements=tiles * layer.m * edge * edge,
    )


def useful_macs(layer: MatrixLayer, outputs: int) -> int:
    """Return the multiply-adds of the products without padding, what this algorithm cannot do without."""
    return layer.m * layer.ci * layer.p * (outputs + 2) ** 2 // outputs**2


def winograd_cost(layer: MatrixLayer, problem: Problem, kernel: WinogradKernel, run: Run, outputs: int) -> Cost:
    """Return the cost of ``layer`` under F(outputs x outputs, 3 x 3)."""
    work = transforms(layer, outputs)
    value_bytes = problem.value_bytes
    rows = ceil(problem.m / kernel.register_rows) * kernel.register_rows
    columns = ceil(work.tiles / kernel.register_positions) * kernel.register_positions
    issued = work.places * rows * layer.ci * columns
    pipes = run.device.pipes
    lanes = pipes.vector_bytes // max(value_bytes, 2) if pipes else 1  # int8 is transformed in 16 bits
    operations = work.input_operations + work.output_operations
    blocks = rows // kernel.register_rows
    idle = rows_of_busiest(rows, kernel.register_rows, run) * run.units / blocks if kernel.cut == "rows" else 1.0
    cycles = idle * issued / (run.macs_per_cycle(kernel) * kernel.efficiency)
    transformed = operations / (lanes * kernel.transform_efficiency)
    cycles += transformed
    cycles += epilogue_cycles(problem, kernel, run)
    weights = work.places * problem.m * layer.ci * value_bytes
    size = EncodedSize(weight_bytes=weights, index_bytes=0, slots=work.places * problem.m * layer.ci)
    buffers = 2 * value_bytes * (work.input_elements + work.output_elements)
    product_macs = work.places * problem.m * layer.ci * work.tiles
    register = 1 / kernel.register_positions + 1 / kernel.register_rows
    held, read, written = cache_bytes(
        problem, run, size.total_bytes, product_macs, buffers, ceil(issued * value_bytes * register) + buffers
    )
    bounds = {"compute": cycles / (run.clock_hz * run.units)}
    bounds |= level_bounds_s(run, kernel, (*held, read + written))
    bounds["overhead"] = overhead_s(run, problem) + (kernel.launches - 1) * run.device.step_overhead_s

    return Cost(
        kernel=kernel,
        size=size,
        macs_issued=issued,
        bounds_s=bounds,
        dram_read_bytes=read,
        dram_write_bytes=written,
        mapping=f"F({outputs}x{outputs},3x3), {work.tiles} tiles, {work.places} products on {run.units} units",
        parts=lambda macs: _parts(
            problem, kernel, run, size, buffers, transformed, bounds["compute"], [*held, read + written], macs
        ),
    )


def _parts(
    problem: Problem, kernel: WinogradKernel, run: Run, size: EncodedSize, buffers: int, transformed: float,
    compute_s: float, level_bytes: list[int], macs: int,
) -> TimeParts:  # fmt: skip
    """Transforms are useful work; the buffers between the stages are activations."""
    both = kernel.register_rows + kernel.register_positions
    weights = [(level_bytes[0] - buffers) * kernel.register_rows / both]
    weights += [cache_weight_bytes(problem, size.total_bytes, served - buffers) for served in level_bytes[1:-1]]
    spilled = 0 if buffers // 2 <= run.chip_bytes else 2 * (buffers // 2)
    weights.append(main_weight_bytes(problem, run, size.total_bytes, level_bytes[-1], spilled=spilled))
    other = transformed + epilogue_cycles(problem, kernel, run)
    useful = useful_share(problem, kernel, run, macs, other, compute_s)
    return TimeParts(useful={"compute": useful}, weights=weight_shares(run, weights, level_bytes))
