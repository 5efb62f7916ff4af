"""The measured rows of mobile GPUs, dense, taken apart: the parts of each layer's time that the fit multiplies.

The parts are taken from the model itself (``costmodel.estimate``), run on devices whose fitted numbers are 1 or
changed one by one. Nothing of a kernel is written down twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from costmodel.cpu_file import Fitted, named
from costmodel.devices.mobile_gpus import listed_gpus
from costmodel.estimate import dense_cost, estimate
from costmodel.gpu_device import THREAD_PARAMETERS, compose_gpu
from costmodel.gpu_file import Gpu, GpuRuntime, load_gpu, load_gpu_runtime
from costmodel.spec import Dtype
from costmodel.validation.exclusions import sift
from costmodel.validation.folder import Folder, Use
from costmodel.validation.measurement import Measurement
from costmodel.validation.nets import layers_of
from costmodel.validation.readers import measurements
from patterns.dense import Dense
from traces.layer import Layer, MatrixLayer, ProductLayer
from traces.trace import LayerTrace

Column = npt.NDArray[np.float64]
KERNELS = (
    "pointwise",
    "gemm",
    "linear",
    "winograd",
    "depthwise",
)  # a layer's kernel is one of these, or takes time without one
EFFICIENCIES = ("pointwise", "gemm", "winograd", "depthwise")
NAMES = ("kernel", "work", "floor", "transform", "rest", "on_chip", "memory", "launches")
UNITS: Mapping[str, float] = {
    "pointwise": 1.0,
    "gemm": 1.0,
    "window_share": 1.0,
    "linear_share": 1.0,
    "winograd": 1.0,
    "depthwise": 1.0,
    "transform": 1.0,
    "cache_share": 1.0,
    "memory_share": 1.0,
    "launch_us": 1e6,
    "fill": 1e-9,
    "vector": 0.5,
}
MANY = 10**6  # times the threads that a core takes: every layer then has too few


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuRow:
    """One measured net on one GPU under one runtime. ``parts``: [layers, NAMES], seconds at numbers of 1.

    ``floor``: seconds of the product where ``fill`` x the resident threads of a core are needed and there is one.
    """

    measured: Measurement
    device: str
    gpu: str
    family: str
    runtime: str
    parts: Column


def unit_numbers(**changed: float) -> tuple[Fitted, ...]:
    """Return numbers under which every share is 1 and a launch takes a second, but for those named."""
    return tuple(
        Fitted(runtime="", core="", dtype="", parameter=name, value=changed.get(name, value), source="unit of the fit")
        for name, value in UNITS.items()
    )


class GpuProbe:
    """One GPU and runtime, taken apart for any net and data type."""

    def __init__(self, gpu: Gpu, runtime: GpuRuntime) -> None:
        crowded = replace(gpu, threads=gpu.threads * MANY)
        self._devices = [
            compose_gpu(gpu.name, gpu, runtime, unit_numbers()),
            compose_gpu(gpu.name, gpu, runtime, unit_numbers(**dict.fromkeys(EFFICIENCIES, 0.5))),
            compose_gpu(gpu.name, gpu, runtime, unit_numbers(transform=0.5)),
            compose_gpu(gpu.name, crowded, runtime, unit_numbers(fill=1.0)),
        ]
        self._known: dict[object, tuple[float, ...]] = {}

    @property
    def dtypes(self) -> tuple[Dtype, ...]:
        return self._devices[0].dtypes

    def parts(self, layers: Sequence[Layer], dtype: Dtype) -> Column:
        """Return the parts of ``layers``, [layers, NAMES]."""
        return np.array([self._layer(layer, dtype) for layer in layers], dtype=np.float64)

    def _layer(self, layer: Layer, dtype: Dtype) -> tuple[float, ...]:
        key = (replace(layer, name="", inputs=(), outputs=()), dtype)
        if key not in self._known:
            self._known[key] = self._taken_apart(layer, dtype)
        return self._known[key]

    def _taken_apart(self, layer: Layer, dtype: Dtype) -> tuple[float, ...]:
        if not isinstance(layer, MatrixLayer | ProductLayer):
            trace = LayerTrace(layer=layer, pattern=Dense())
            bounds = estimate(trace, self._devices[0], dtype=dtype).bounds_s
            return (len(KERNELS), 0.0, 0.0, 0.0, bounds.get("compute", 0.0), *_moved(bounds))
        costs = [dense_cost(layer, device, dtype=dtype) for device in self._devices]
        base, halved, transformed, crowded = (cost.bounds_s["compute"] for cost in costs)
        kernel = KERNELS.index(costs[0].kernel.name)
        work, transform = halved - base, transformed - base
        floor = crowded / MANY if KERNELS[kernel] in THREAD_PARAMETERS else 0.0
        return (kernel, work, floor, transform, base - work - transform, *_moved(costs[0].bounds_s))


def _moved(bounds: Mapping[str, float]) -> tuple[float, float, float]:
    on_chip = [value for name, value in bounds.items() if name in ("texture", "l2")]
    memory = [value for name, value in bounds.items() if name in ("system_cache", "dram")]
    return max(on_chip, default=0.0), max(memory, default=0.0), bounds.get("overhead", 0.0)


def gpu_rows(folder: Folder, use: Use) -> list[GpuRow]:
    """Return the dense rows of every mobile GPU marked ``use``, in a data type that it has."""
    kept = sift(measurements(folder), folder.path).kept
    found: list[GpuRow] = []
    for entry in listed_gpus():
        places = {
            (line.soc, line.processor, runtime)
            for line in folder.devices
            if line.device == entry.device and line.use == use
            for runtime in line.runtimes
        }
        wanted = [row for row in kept if (row.key.soc, row.key.processor, row.key.runtime) in places]
        if not wanted:
            continue
        gpu, runtime = load_gpu(named("gpus", entry.gpu)), load_gpu_runtime(named("gpu_runtimes", entry.runtime))
        probe = GpuProbe(gpu, runtime)
        found += [
            GpuRow(
                measured=row,
                device=entry.device,
                gpu=row.key.processor,
                family=gpu.family,
                runtime=entry.runtime,
                parts=probe.parts(layers_of(row.net, folder.path, row.batch), row.key.dtype),
            )
            for row in wanted
            if row.key.dtype in probe.dtypes and row.pattern == "dense"
        ]
    return found
