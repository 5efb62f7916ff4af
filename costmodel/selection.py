"""Which kernel of a device runs a layer, and why not another. DESIGN section 6.

What was exported is what runs: the first sparse kernel that takes the mask, else the dense one, with the reason. A
dense mask never meets a sparse kernel. Leaves out: runtimes that measure and pick.
"""

from __future__ import annotations

from costmodel.fpga import widths
from costmodel.fpga_choice import engine_obstacle
from costmodel.measured import MeasuredKernel
from costmodel.problem import problem_of
from costmodel.server_gpu_tiles import GpuTileKernel
from costmodel.spec import (
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
from costmodel.spmv import GemvKernel, StreamKernel, VectorKernel
from costmodel.winograd import winograd_size
from patterns.base import Pattern
from patterns.block import Block
from patterns.gs import GatherScatter
from patterns.gs_scatter import GatherScatterPermuted
from patterns.n_of_m import NOfM
from simulator.spec import DeviceError
from traces.layer import MatrixLayer, ProductLayer
from traces.trace import LayerTrace


def family(pattern: Pattern) -> str:
    """Return the pattern's name without its parameters, as in ``gs`` of ``gs:16,1``."""
    return pattern.spelling.partition(":")[0]


def dense_kernel(layer: MatrixLayer | ProductLayer, device: RooflineDevice, dtype: Dtype) -> Kernel:
    """Return the kernel that runs ``layer`` dense. Raises DeviceError where the device has none."""
    for kernel in device.kernels:
        if not kernel.serves and layer.kind in kernel.kinds and dtype in kernel.dtypes and _takes(kernel, layer):
            return kernel
    raise DeviceError(f"layer {layer.name}: kind is {layer.kind}, and {device.name} has no dense {dtype} kernel for it")


def _takes(kernel: Kernel, layer: MatrixLayer | ProductLayer) -> bool:
    if kernel.pointwise and (isinstance(layer, ProductLayer) or not _is_pointwise(layer)):
        return False
    match kernel:
        case WinogradKernel():
            return winograd_size(layer, kernel) is not None
        case GemvKernel():
            return _vectors(layer) == 1
        case _:
            return True


def _vectors(layer: MatrixLayer | ProductLayer) -> int:
    """Return how many right-hand vectors a step of ``layer`` has."""
    return problem_of(layer, 1).positions


def rows_kernel(layer: MatrixLayer, rule: Pattern, device: RooflineDevice, dtype: str) -> StreamKernel | None:
    """Return the kernel that runs ``layer`` under ``rule``, where all that it reads of a mask is the rows' counts."""
    kernel = next((one for one in device.kernels if family(rule) in one.serves), None)
    if not isinstance(kernel, StreamKernel) or dtype not in kernel.dtypes or layer.kind not in kernel.kinds:
        return None
    return kernel if not isinstance(kernel, VectorKernel) or _vectors(layer) == 1 else None


def _is_pointwise(layer: MatrixLayer) -> bool:
    return layer.window.kernel == (1, 1) and layer.window.stride == (1, 1)


def choose(
    trace: LayerTrace, layer: MatrixLayer, device: RooflineDevice, dtype: Dtype, encoding: str | None
) -> tuple[Kernel, str]:
    """Return the kernel that runs ``trace`` and the reason for it, "" where the reason is the pattern.

    Raises DeviceError where ``encoding`` is one that no kernel of the device reads.
    """
    known = sorted({kernel.encoding for kernel in device.kernels})
    if encoding is not None and encoding not in known:
        raise DeviceError(f"encoding is {encoding!r}, and the kernels of {device.name} read {', '.join(known)}")
    dense = dense_kernel(layer, device, dtype)
    rule = family(trace.pattern)
    if trace.all_kept:
        return dense, "the mask is dense" if encoding not in (None, "dense") else ""
    if encoding == "dense" or (encoding is None and rule == "dense"):
        return dense, ""
    if encoding is None and rule == "channel":
        return dense, "zero channels that stay in the layer run dense"
    if encoding is None:
        candidates = [kernel for kernel in device.kernels if rule in kernel.serves]
    else:
        candidates = [kernel for kernel in device.kernels if kernel.serves and kernel.encoding == encoding]
    obstacles = [
        engine_obstacle(kernel, trace.pattern, device) or obstacle(kernel, trace, layer, dtype) for kernel in candidates
    ]
    for kernel, stands in zip(candidates, obstacles, strict=True):
        if stands is None:
            return kernel, ""
    if not candidates:
        return dense, f"{device.name} has no kernel for {rule}: dense kernel, zeros computed"
    near = [at for at, one in enumerate(candidates) if layer.kind in one.kinds and dtype in one.dtypes]
    nearest = near[-1] if near else 0
    why = f"{candidates[nearest].name} {obstacles[nearest]}"
    spelling = trace.pattern.spelling
    return dense, f"{device.name} has no kernel for {spelling} here ({why}): dense kernel, zeros computed"


def obstacle(kernel: Kernel, trace: LayerTrace, layer: MatrixLayer, dtype: Dtype) -> str | None:
    """Return why ``kernel`` cannot run ``trace``, or None."""
    if dtype not in kernel.dtypes:
        return f"has {', '.join(kernel.dtypes)} and not {dtype}"
    if layer.kind not in kernel.kinds:
        return f"takes {', '.join(kernel.kinds)} and not {layer.kind}"
    if kernel.pointwise and not _is_pointwise(layer):
        kh, kw = layer.window.kernel
        return f"takes 1x1 windows of stride 1 and not {kh}x{kw} of stride {max(layer.window.stride)}"
    if isinstance(kernel, VectorKernel) and _vectors(layer) > 1:
        return f"takes one vector and not {_vectors(layer)} positions"
    return _pattern_obstacle(kernel, trace)


def _pattern_obstacle(kernel: Kernel, trace: LayerTrace) -> str | None:
    pattern = trace.pattern
    match kernel:
        case RowKernel(row_block=rows) if rows > 1:
            if not isinstance(pattern, Block) or pattern.height % rows:
                return f"takes blocks of a multiple of {rows} rows"
        case TileKernel(kept=(kept, of)) | GpuTileKernel(kept=(kept, of)) if kept < of:
            return _n_of_m_obstacle(kept, of, trace)
        case BlockKernel(smallest_block=least):
            if not isinstance(pattern, Block) or min(pattern.height, pattern.width) < least:
                return f"takes blocks of at least {least}x{least}"
        case EngineKernel(encoding="bsr", lanes=lanes):
            if not isinstance(pattern, Block) or not widths(kernel, pattern):
                return f"takes blocks of a multiple of {min(lanes)} weights"
        case EngineKernel(encoding="n_of_m") if not isinstance(pattern, NOfM):
            return "takes n_of_m masks"
        case EngineKernel(encoding="gs") if not isinstance(pattern, GatherScatter | GatherScatterPermuted):
            return "takes gs masks"
        case DepthwiseKernel():
            return "takes no mask"
        case MeasuredKernel(serves=serves) if family(pattern) not in serves:
            return f"takes masks of {', '.join(serves)}"
        case _:
            pass
    return None


def _n_of_m_obstacle(kept: int, of: int, trace: LayerTrace) -> str | None:
    if trace.mask is None:
        return "takes weights"
    mask = trace.mask
    broken = trace.once(("breaks n_of_m", kept, of), lambda: NOfM(n=kept, m=of).check(mask))
    if broken is not None:
        return f"takes {kept}:{of} masks, and row {broken.row}, column {broken.column} breaks that rule"
    return None
