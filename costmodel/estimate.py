"""Front door of the cost models: one layer with its mask on one device, without a clock loop. DESIGN section 6.

An extended roofline: time = the slowest of compute, gather, issue and each memory level, plus an overhead for each
operator; the binding bound is named. Leaves out: energy (ADR 0018), overlap between operators.
"""

from __future__ import annotations

from dataclasses import replace
from operator import index
from typing import assert_never

from costmodel.dense import dense_size, depthwise_cost, tile_cost
from costmodel.fpga import engine_cost
from costmodel.fpga_choice import gather_banks
from costmodel.gpu_kernel import ThreadKernel, thread_cost
from costmodel.measured import MeasuredKernel, measured_cost, outside
from costmodel.problem import Problem, problem_of
from costmodel.roofline import Cost, Run
from costmodel.selection import choose, dense_kernel
from costmodel.server_gpu_tiles import GpuTileKernel, beyond_calibration, gpu_tile_cost
from costmodel.sparse import Counts, beyond_block_calibration, block_cost, block_row_counts, row_cost
from costmodel.spec import (
    VALUE_BYTES,
    BlockKernel,
    DepthwiseKernel,
    Dtype,
    EngineKernel,
    Kernel,
    RooflineDevice,
    RowKernel,
    TileKernel,
    WinogradKernel,
)
from costmodel.spmv import GemvKernel, StreamKernel, gemv_cost, rows_cost
from costmodel.spmv_rows import Rows, rows_of
from costmodel.time_parts import NO_TIME, roofline_time_s
from costmodel.vector import estimate_vector
from costmodel.winograd import useful_macs, winograd_cost, winograd_size
from patterns.base import Pattern
from patterns.block import Block
from patterns.encodings.base import ByteWidths, EncodedSize
from patterns.encodings.catalog import encoding as encoding_called
from patterns.n_of_m import NOfM
from simulator.result import Counters, LayerResult
from simulator.spec import DeviceError
from traces.layer import MatrixLayer, ProductLayer, UnsupportedLayer, VectorLayer
from traces.layout import column_banks
from traces.trace import LayerTrace

NEARLY_ALL = 0.9  # of the weights kept: what pruning can save is less than two kernel models differ by
KERNEL_GAP = "faster than dense by more than the weights removed: the gap between two kernel models, not a gain"
DENSE_IS_FASTER = "the dense kernel would take less time than this sparse one"  # both times stand in the row


def estimate(
    trace: LayerTrace,
    device: RooflineDevice,
    *,
    dtype: str = "fp16",
    threads: int = 1,
    encoding: str | None = None,
) -> LayerResult:
    """Return what ``trace`` costs on ``device``.

    ``threads``: units of a CPU; other devices always use all. ``encoding``: instead of the pattern's own, where a
    kernel of the device reads it.
    Raises DeviceError for a dtype, a thread count or an encoding that the device does not have.
    """
    return estimate_run(trace, device, dtype=dtype, threads=threads, encoding=encoding, explained=True)


def estimate_run(
    trace: LayerTrace, device: RooflineDevice, *, dtype: str, threads: int, encoding: str | None, explained: bool
) -> LayerResult:
    """As ``estimate``. ``explained``: whether ``time_s`` is told, and a sparse kernel held against the dense one, which
    says the reasons ``DENSE_IS_FASTER`` and ``KERNEL_GAP``, and ``dense_kernel_s``; it changes nothing else.
    """
    run, note = _run(device, dtype, threads)
    layer = trace.layer
    match layer:
        case MatrixLayer():
            result = _matrix(trace, layer, run, encoding, explained)
        case ProductLayer():
            result = _product(layer, run, explained)
        case VectorLayer():
            result = estimate_vector(layer, run, explained)
        case UnsupportedLayer():
            result = _unsupported(layer, device)
        case _:
            assert_never(layer)
    reasons = "; ".join(part for part in (trace.reason, result.reason, note) if part)
    counters = result.counters
    if counters.macs_dense != trace.macs_dense:  # before channels were taken away
        counters = replace(counters, macs_dense=trace.macs_dense)
    if reasons == result.reason and counters is result.counters:
        return result
    return replace(result, reason=reasons, counters=counters)


def dense_cost(layer: MatrixLayer | ProductLayer, device: RooflineDevice, *, dtype: Dtype, threads: int = 1) -> Cost:
    """Return what ``layer`` costs dense on ``device``, without a trace. Raises as ``estimate`` does."""
    run, _ = _run(device, dtype, threads)
    return _dense_cost(layer, problem_of(layer, VALUE_BYTES[dtype]), dense_kernel(layer, device, dtype), run)


def estimate_rows(
    layer: MatrixLayer, rows: Rows, kernel: StreamKernel, device: RooflineDevice, *, dtype: str
) -> LayerResult:
    """Return what ``layer`` costs on the sparse ``kernel`` of ``device``, from the rows of its mask alone.

    As ``estimate`` where that chooses the kernel, and also for rows that keep everything, which it would run dense.
    Raises DeviceError for a dtype that the device does not have.
    """
    run, _ = _run(device, dtype, 1)
    problem = problem_of(layer, VALUE_BYTES[run.dtype])
    cost = rows_cost(problem, kernel, run, rows)
    kept = int(rows.kept.sum())
    density = kept / (rows.kept.size * rows.columns)
    return _result(layer, problem, cost, run, effectual=kept * layer.p, density=density, reason="", explained=True)


def _run(device: RooflineDevice, dtype: str, threads: int) -> tuple[Run, str]:
    if dtype not in device.dtypes:
        raise DeviceError(f"dtype is {dtype!r}, and {device.name} has {', '.join(device.dtypes)}")
    if threads < 1:
        raise DeviceError(f"threads is {threads}, and must be at least 1")
    if not device.static_threads:
        note = f"threads has no meaning on {device.name}" if threads > 1 else ""
        return Run(device=device, dtype=dtype, units=device.unit_count), note
    if threads > device.unit_count:
        raise DeviceError(f"threads is {threads}, and {device.name} has {device.unit_count} cores in its model")
    return Run(device=device, dtype=dtype, units=threads), ""


def _matrix(trace: LayerTrace, layer: MatrixLayer, run: Run, encoding: str | None, explained: bool) -> LayerResult:
    dtype = run.dtype
    problem = problem_of(layer, VALUE_BYTES[dtype])
    dense = dense_kernel(layer, run.device, dtype)
    kernel, reason = choose(trace, layer, run.device, dtype, encoding)
    cost = _cost(trace, layer, problem, kernel, run)
    dense_s: float | None = None
    left = trace.kept / layer.weight_elements  # of the layer as it runs, after whole channels went
    if explained and kernel is not dense:
        taken_s = _cost(trace, layer, problem, dense, run).latency_s
        if taken_s < cost.latency_s:
            dense_s, reason = taken_s, DENSE_IS_FASTER
        elif left > NEARLY_ALL and cost.latency_s < left * taken_s:
            reason = "; ".join(part for part in (reason, KERNEL_GAP) if part)
    effectual = trace.kept * layer.p
    if isinstance(cost.kernel, WinogradKernel):  # counts the products that this algorithm cannot do without
        taken = winograd_size(layer, cost.kernel)
        effectual = min(effectual, useful_macs(layer, taken.outputs)) if taken else effectual
    result = _result(
        layer, problem, cost, run, effectual=effectual, density=trace.density, reason=reason, explained=explained
    )
    if isinstance(cost.kernel, BlockKernel):
        pattern = _stored_block(trace.pattern, cost.kernel)
        shape = (pattern.height, pattern.width)
        result = _with_range(result, beyond_block_calibration(cost.kernel, shape, left, layer.macs))
    return result if dense_s is None else replace(result, dense_kernel_s=dense_s)


def _product(layer: ProductLayer, run: Run, explained: bool) -> LayerResult:
    problem = problem_of(layer, VALUE_BYTES[run.dtype])
    kernel = dense_kernel(layer, run.device, run.dtype)
    cost = _dense_cost(layer, problem, kernel, run)
    return _result(layer, problem, cost, run, effectual=layer.macs, density=None, reason="", explained=explained)


def _dense_cost(layer: MatrixLayer | ProductLayer, problem: Problem, kernel: Kernel, run: Run) -> Cost:
    size = dense_size(problem)
    match kernel:
        case TileKernel():
            return tile_cost(problem, kernel, run, size)
        case ThreadKernel():
            return thread_cost(problem, kernel, run, size)
        case DepthwiseKernel():
            return depthwise_cost(problem, kernel, run, size)
        case EngineKernel():
            return engine_cost(problem, kernel, run, size)
        case MeasuredKernel():
            return measured_cost(problem, kernel, run, size)
        case GemvKernel():
            return gemv_cost(problem, kernel, run, size)
        case GpuTileKernel():
            return gpu_tile_cost(layer, problem, kernel, run, size)
        case WinogradKernel():
            taken = winograd_size(layer, kernel)
            if taken is None or isinstance(layer, ProductLayer):
                raise AssertionError(f"kernel {kernel.name} was chosen for layer {layer.name}")
            return winograd_cost(layer, problem, kernel, run, taken.outputs)
        case _:
            raise AssertionError(f"kernel {kernel.name} of {run.device.name} is no dense kernel")


def _cost(trace: LayerTrace, layer: MatrixLayer, problem: Problem, kernel: Kernel, run: Run) -> Cost:
    mask = trace.mask
    if not kernel.serves or mask is None:
        return _dense_cost(layer, problem, kernel, run)
    if isinstance(kernel, StreamKernel):
        return rows_cost(problem, kernel, run, trace.once("rows of runs", lambda: rows_of(mask)))
    size = _encoded_size(trace, layer, problem, kernel, run.device)
    match kernel:
        case TileKernel():
            return tile_cost(problem, kernel, run, size)
        case GpuTileKernel():
            return gpu_tile_cost(layer, problem, kernel, run, size)
        case RowKernel():
            return row_cost(problem, kernel, run, size, _block_rows(trace, index(kernel.row_block), 1))
        case BlockKernel():
            pattern = _stored_block(trace.pattern, kernel)
            shape = (pattern.height, pattern.width)
            return block_cost(problem, kernel, run, size, _block_rows(trace, *shape), shape)
        case EngineKernel():
            return engine_cost(problem, kernel, run, size, trace.pattern)
        case MeasuredKernel():
            return measured_cost(problem, kernel, run, size)
        case _:
            raise AssertionError(f"kernel {kernel.name} of {run.device.name} is no sparse kernel")


def _block_rows(trace: LayerTrace, rows: int, columns: int) -> Counts:
    mask = trace.mask
    if mask is None:
        raise AssertionError(f"layer {trace.layer.name} has no mask to count")
    return trace.once(("block rows", rows, columns), lambda: block_row_counts(mask, rows, columns))


def _stored_pattern(pattern: Pattern, kernel: Kernel) -> Pattern:
    """The rule whose encoding the kernel reads, where it is not the mask's own."""
    match kernel:
        case RowKernel(row_block=rows) if rows > 1:
            return Block(height=rows, width=1)
        case TileKernel(kept=(kept, of)) | GpuTileKernel(kept=(kept, of)) if kept < of:
            return NOfM(n=kept, m=of)
        case _:
            return pattern


def _stored_block(pattern: Pattern, kernel: BlockKernel) -> Block:
    stored = _stored_pattern(pattern, kernel)
    if not isinstance(stored, Block):
        raise AssertionError(f"kernel {kernel.name} was chosen for {stored.spelling}")
    return stored


def _encoded_size(
    trace: LayerTrace, layer: MatrixLayer, problem: Problem, kernel: Kernel, device: RooflineDevice
) -> EncodedSize:
    pattern = _stored_pattern(trace.pattern.stored_as(layer.k), kernel)
    widths = ByteWidths(value=problem.value_bytes, index=index(kernel.index_bytes), pointer=index(kernel.pointer_bytes))
    banks = index(gather_banks(device, kernel, pattern)) if isinstance(kernel, EngineKernel) else None
    return trace.once(
        ("encoded", kernel.encoding, type(pattern), pattern.spelling, widths, banks),
        lambda: _size(trace, layer, kernel.encoding, pattern, widths, banks),
    )


def _size(
    trace: LayerTrace, layer: MatrixLayer, encoding: str, pattern: Pattern, widths: ByteWidths, banks: int | None
) -> EncodedSize:
    if trace.mask is None:
        raise AssertionError(f"layer {layer.name} has no mask to encode")
    store = encoding_called(encoding)
    owners = None if banks is None else column_banks(layer, banks)
    sizes = [
        store.size(matrix, pattern, widths, None if owners is None else owners[group])
        for group, matrix in enumerate(trace.mask)
    ]
    return EncodedSize(
        weight_bytes=sum(size.weight_bytes for size in sizes),
        index_bytes=sum(size.index_bytes for size in sizes),
        slots=sum(size.slots for size in sizes),
    )


def _result(
    layer: MatrixLayer | ProductLayer,
    problem: Problem,
    cost: Cost,
    run: Run,
    *,
    effectual: int,
    density: float | None,
    reason: str,
    explained: bool,
) -> LayerResult:
    device = run.device
    peak = device.peak_macs_per_s(run.dtype, run.units)
    result = LayerResult(
        layer=layer.name,
        kind=layer.kind,
        m=layer.m,
        k=layer.k,
        p=layer.p,
        groups=problem.groups,
        density=density,
        device=device.name,
        device_kind=device.kind,
        model_kind="roofline",
        latency_s=cost.latency_s,
        counters=Counters(
            macs_dense=layer.macs,
            macs_effectual=effectual,
            macs_issued=cost.macs_issued,
            weight_bytes=cost.size.weight_bytes,
            index_bytes=cost.size.index_bytes,
            activation_bytes=problem.input_bytes + problem.output_bytes,
            dram_read_bytes=cost.dram_read_bytes,
            dram_write_bytes=cost.dram_write_bytes,
            slots=cost.size.slots,
        ),
        bound=cost.bound,
        bounds_s=dict(cost.bounds_s),
        time_s=roofline_time_s(cost.latency_s, cost.bounds_s, cost.parts(effectual)) if explained else {},
        utilization=effectual / (peak * cost.latency_s),
        mapping=cost.mapping,
        encoding=cost.kernel.encoding,
        kernel=cost.kernel.name,
        reason=reason,
        fabric=cost.fabric,
    )
    match cost.kernel:
        case MeasuredKernel():
            return _with_band(result, cost.kernel, problem)
        case GpuTileKernel():
            return _with_range(result, beyond_calibration(cost.kernel, layer.macs))
        case StreamKernel():
            return _with_range(result, _left(cost.kernel, problem, result.density))
        case _:
            return result


def _left(kernel: StreamKernel, problem: Problem, density: float | None) -> str:
    left = outside(kernel.ranges, problem, density)
    return f"outside what was measured: {left}" if left else ""


def _with_range(result: LayerResult, note: str) -> LayerResult:
    """Return ``result``, flagged where ``note`` says that it lies beyond what its kernel was fitted to."""
    if not note:
        return result
    return replace(result, extrapolated=True, reason="; ".join(part for part in (result.reason, note) if part))


def _with_band(result: LayerResult, kernel: MeasuredKernel, problem: Problem) -> LayerResult:
    """Return ``result`` with the error that its kernel's calibration found on shapes that it did not fit."""
    left = outside(kernel.ranges, problem, result.density)
    note = f"outside what was calibrated: {left}" if left else ""
    return replace(
        result,
        latency_low_s=result.latency_s / (1 + kernel.p90_error),
        latency_high_s=result.latency_s * (1 + kernel.p90_error),
        validated=f"calibrated on one host, held-out shapes: median error {kernel.median_error:.0%}, "
        f"90 % within {kernel.p90_error:.0%}",
        extrapolated=bool(left),
        reason="; ".join(part for part in (result.reason, note) if part),
    )


def _unsupported(layer: UnsupportedLayer, device: RooflineDevice) -> LayerResult:
    return LayerResult(
        layer=layer.name,
        kind=layer.kind,
        m=0,
        k=0,
        p=0,
        groups=0,
        density=None,
        device=device.name,
        device_kind=device.kind,
        model_kind="roofline",
        latency_s=0.0,
        counters=Counters(),
        time_s=NO_TIME,
        reason=f"operator {layer.op} is not counted: {layer.reason}",
    )
