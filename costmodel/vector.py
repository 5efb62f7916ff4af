"""Layers without a matrix product: element work on vector units, and traffic.

A layer that is fused (``traces.fusion``) costs its element work only. The operations of an element are
assumed, one for additions and moves, ten where an exponential or a hyperbolic tangent is evaluated. Leaves out:
layout conversions that a runtime inserts, and strided access.
"""

from __future__ import annotations

from dataclasses import replace

from costmodel.point_choices import at_most, either, name_of_largest
from costmodel.roofline import Run, slowest_s
from costmodel.spec import VALUE_BYTES
from costmodel.time_parts import TimeParts, roofline_time_s
from simulator.result import Counters, LayerResult
from traces.layer import VectorKind, VectorLayer

OPERATIONS: dict[VectorKind, int] = {"softmax": 10, "gates": 10, "norm": 4}  # assumed; 1 for every other kind
BY_NAME = {  # assumed, as above: an exponential or a power; bounds and a product; of an activation or a norm
    "swish": 10,
    "silu": 10,
    "sigmoid": 10,
    "gelu": 10,
    "tanh": 10,
    "lrn": 10,
    "hardswish": 3,
    "hardsigmoid": 2,
}
SERIAL = ("detectionoutput", "yolodetectionoutput", "yolov3detectionoutput")  # boxes: one thread of a CPU, assumed
ONE_BY_ONE = (*SERIAL, "permute", "priorbox")  # no vectors on a CPU, assumed


def operations(layer: VectorLayer) -> int:
    """Return the vector operations of each element of ``layer``."""
    return BY_NAME.get(layer.op.lower(), OPERATIONS.get(layer.kind, 1))


def estimate_vector(layer: VectorLayer, run: Run, explained: bool) -> LayerResult:
    """Return what ``layer`` costs; ``explained``: and what its time is made of."""
    name, on_cpu = layer.op.lower(), run.device.static_threads
    if on_cpu and name in SERIAL:
        run = replace(run, units=1)
    device = run.device
    value_bytes = VALUE_BYTES[run.dtype]
    read, written = layer.input_elements * value_bytes, layer.output_elements * value_bytes
    parameters = layer.weight_elements * value_bytes
    lanes = 1 if on_cpu and name in ONE_BY_ONE else dict(device.vector_macs_per_cycle)[run.dtype]
    rate = lanes * run.units
    work = max(layer.elements, 1) * operations(layer)
    bounds = {"compute": work / (rate * device.vector_efficiency * run.clock_hz)}
    dram_read = dram_written = 0
    if not layer.fused_into:
        held = at_most(read + written, run.chip_bytes)
        dram_read, dram_written = parameters + either(held, 0, read), either(held, 0, written)
        for level in device.levels[1:-1]:
            bounds[level.name] = (parameters + read + written) / level.bytes_per_s(run.units)
        main = device.levels[-1]
        bounds[main.name] = (dram_read + dram_written) / main.bytes_per_s(run.units)
        bounds["overhead"] = device.overhead_s
    latency_s = slowest_s(bounds) + bounds.get("overhead", 0.0)
    of_weights: dict[str, float] = {}
    if explained and not layer.fused_into:
        of_weights = {level.name: _share(parameters, parameters + read + written) for level in device.levels[1:-1]}
        of_weights[device.levels[-1].name] = _share(parameters, dram_read + dram_written)
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
        latency_s=latency_s,
        counters=Counters(
            vector_elements=layer.elements,
            weight_bytes=max(layer.stored_weight_elements, layer.weight_elements) * value_bytes,
            activation_bytes=read + written,
            dram_read_bytes=dram_read,
            dram_write_bytes=dram_written,
        ),
        bound=name_of_largest(bounds),
        bounds_s=bounds,
        time_s=roofline_time_s(latency_s, bounds, TimeParts(weights=of_weights)) if explained else {},
        kernel="fused" if layer.fused_into else "vector",
        reason=f"fused into {layer.fused_into}: no traffic and no launch of its own" if layer.fused_into else "",
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
