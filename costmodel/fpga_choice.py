"""Which engine a network gets on an FPGA: one for all its layers, since a bitstream is not swapped between layers.

The datapath is that of the pattern that was asked for; layers without a sparse mask, and products of activations, run
dense on the same engine. Its parallelism takes the least time over all layers, by their shapes and expected densities.
Leaves out: several engines side by side, reconfiguration between layers, padding (only the real mask knows it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

from costmodel.fpga import Work, built_kernel, chosen, completed, fitting_use, widths
from costmodel.roofline import Run
from costmodel.spec import Dtype, EngineKernel, Kernel, RooflineDevice
from patterns.base import Pattern
from patterns.block import Block
from patterns.gs import GatherScatter
from patterns.gs_scatter import GatherScatterPermuted
from patterns.n_of_m import NOfM
from simulator.spec import DeviceError

ENGINE_SOURCE = "chosen: the least time of the network within the budget"


def engine_kernel(device: RooflineDevice, pattern: Pattern, dtype: Dtype, encoding: str | None = None) -> EngineKernel:
    """Return the kernel whose datapath a network of ``pattern`` gets, or of ``encoding`` where one is given.

    Raises DeviceError where the device has no dense engine to fall back on.
    """
    family = pattern.spelling.partition(":")[0]
    engines = [kernel for kernel in device.kernels if isinstance(kernel, EngineKernel) and dtype in kernel.dtypes]
    for kernel in engines:
        asked = family in kernel.serves if encoding is None else kernel.serves and kernel.encoding == encoding
        if asked and widths(kernel, pattern):
            return kernel
    for kernel in engines:
        if not kernel.serves:
            return kernel
    raise DeviceError(f"device {device.name}: kernels has no dense engine for {dtype}")


def with_engine(
    device: RooflineDevice,
    works: Sequence[Work],
    kernel: EngineKernel,
    pattern: Pattern,
    dtype: Dtype,
    tokens: int = 0,
) -> RooflineDevice:
    """Return ``device`` with the one engine on which ``works`` together take the least time, or with its own.

    ``tokens``: the longest list of tokens that the network sorts. Buffers, token unit and clock are the network's.
    Raises DeviceError where no engine fits.
    """
    if device.fabric is None or not works:
        return device
    own, given = built_kernel(device), device.fabric.engine
    if own is not None and given is not None:
        kernel, shape = own, completed(replace(given, tokens=max(given.tokens, tokens)), own)
    else:
        shape = chosen(Run(device=device, dtype=dtype, units=1), kernel, pattern, tuple(works), tokens)
    whole = device.fabric.chip_bytes
    held = max(min(work.activation_bytes, whole) for work in works)
    use = fitting_use(device, kernel, shape, dtype, held)
    shape = replace(shape, held_bytes=held, clock_hz=use.clock_hz)
    sources = {"fabric.engine": ENGINE_SOURCE, **device.sources}
    return replace(device, fabric=replace(device.fabric, engine=shape), sources=sources)


def gather_banks(device: RooflineDevice, kernel: EngineKernel, pattern: Pattern) -> int:
    """Return the banks that the columns of a mask are spread over: the pattern's own, or those of the engine."""
    if isinstance(pattern, GatherScatter | GatherScatterPermuted) and kernel.addressing == "any":
        return pattern.banks
    engine = None if device.fabric is None else device.fabric.engine
    return kernel.lanes[0] if engine is None else engine.lanes


def engine_obstacle(kernel: Kernel, pattern: Pattern, device: RooflineDevice) -> str | None:
    """Return why the engine that was built cannot run ``kernel`` on a mask of ``pattern``, or None."""
    built = built_kernel(device)
    engine = None if device.fabric is None else device.fabric.engine
    if built is None or engine is None or not isinstance(kernel, EngineKernel):
        return None
    if kernel is not built and not kernel.addressing == built.addressing == "any":
        return f"is not the engine that was built, {built.name}"
    match pattern:
        case GatherScatter(banks=banks) | GatherScatterPermuted(banks=banks) if banks != engine.lanes:
            return f"was built with {engine.lanes} lanes, and the pattern has {banks} banks"
        case Block(height=height, width=width) if built.encoding == "bsr" and height * width % engine.lanes:
            return f"was built with {engine.lanes} lanes, and a block has {height * width} weights"
        case NOfM(n=n, m=m) if built.addressing == "window":
            if (engine.mux_inputs or 0) < m or (engine.banks or 0) < ceil(engine.lanes * m / n):
                return f"was built for fewer than {m} activations a lane"
        case _:
            pass
    return None
