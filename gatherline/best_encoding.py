"""What ``--encoding best`` means: for each layer and device the encoding that takes the fewest bytes, indices included.

Only those count that the layer's mask goes into and that the device reads: streams of the gather machine, kernels of
the others. Among equals the one that comes first.
"""

from __future__ import annotations

from costmodel.estimate import estimate
from costmodel.spec import RooflineDevice
from patterns.encodings.base import EncodingError
from simulator.schedule.sources import smallest_encoding
from simulator.spec import Device
from traces.layer import MatrixLayer
from traces.trace import LayerTrace

BEST = "best"


def chosen_encoding(
    asked: str | None, trace: LayerTrace, device: Device | RooflineDevice, *, dtype: str, threads: int
) -> str | None:
    """Return ``asked``, or, where it is "best", the smallest; None for layers that have no encoding to choose."""
    if asked != BEST:
        return asked
    if not isinstance(trace.layer, MatrixLayer) or trace.layer.kind == "depthwise" or trace.mask is None:
        return None
    if isinstance(device, Device):
        return smallest_encoding(trace, device)
    return _smallest_read(trace, device, dtype, threads)


def _smallest_read(trace: LayerTrace, device: RooflineDevice, dtype: str, threads: int) -> str:
    """Return the encoding with the fewest bytes of those that a kernel of ``device`` reads this layer in."""
    best, least = "dense", -1
    for name in dict.fromkeys(kernel.encoding for kernel in device.kernels):
        try:
            result = estimate(trace, device, dtype=dtype, threads=threads, encoding=name)
        except EncodingError:
            continue  # the mask does not go into it; the dense kernel reads any
        stored = result.counters.weight_bytes + result.counters.index_bytes
        if result.encoding == name and (least < 0 or stored < least):
            best, least = name, stored
    return best
