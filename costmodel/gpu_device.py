"""Puts a mobile GPU together: a GPU and a runtime. DESIGN section 6.

An efficiency is the product of what belongs to (runtime, data type, kernel) and a factor of the family of GPUs, both
fitted over many networks; none belongs to a network. A runtime or family that was not fitted takes the mean of those
that were. Leaves out: clocks that fall under load, and work shared with the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from costmodel.cpu_file import Fitted, named
from costmodel.gpu_file import Gpu, GpuRuntime, load_gpu, load_gpu_fitted, load_gpu_runtime
from costmodel.gpu_kernel import ThreadKernel
from costmodel.spec import (
    DepthwiseKernel,
    Dtype,
    Kernel,
    MemoryLevel,
    Pipes,
    RooflineDevice,
    Tile,
    Units,
    WinogradKernel,
    WinogradSize,
)
from simulator.spec import DeviceError


@cache
def gpu_device(name: str, gpu_name: str, runtime_name: str) -> RooflineDevice:
    """Return the device of the packaged GPU and runtime of these names. Raises DeviceError for an unknown name."""
    gpu = load_gpu(named("gpus", gpu_name))
    return compose_gpu(name, gpu, load_gpu_runtime(named("gpu_runtimes", runtime_name)), load_gpu_fitted())


def load_gpu_device(path: Path) -> RooflineDevice:
    """Return the device of a GPU file of the user's own, under the runtime that it names. Raises DeviceError."""
    gpu = load_gpu.__wrapped__(path)  # not the stored one: a user edits a file and asks again
    try:
        runtime = load_gpu_runtime(named("gpu_runtimes", gpu.runtime, "runtime"))
        return compose_gpu(gpu.name, gpu, runtime, load_gpu_fitted())
    except DeviceError as error:
        raise DeviceError(f"{path}: {error}") from None


def compose_gpu(name: str, gpu: Gpu, runtime: GpuRuntime, fitted: Sequence[Fitted]) -> RooflineDevice:
    """Return the device of ``gpu`` under ``runtime``, with the ``fitted`` numbers."""
    numbers = GpuNumbers(fitted, runtime.name, gpu.family)
    kernels = tuple(_kernels(gpu, runtime, numbers))
    dtypes = [dtype for dtype in gpu.macs_per_cycle if any(dtype in kernel.dtypes for kernel in kernels)]
    if not dtypes:
        raise DeviceError(f"device {name}: runtime {runtime.name} has no data type of {', '.join(gpu.macs_per_cycle)}")
    rates = tuple((dtype, gpu.rate(dtype, runtime.api)) for dtype in dtypes)
    launch = numbers.value("launch_us", "")[0] * 1e-6
    return RooflineDevice(
        name=name,
        summary=f"{gpu.summary}; {runtime.summary}",
        kind="mobile_gpu",
        units=(Units(count=gpu.cores, clock_hz=gpu.clock_hz),),
        matrix_macs_per_cycle=rates,
        vector_macs_per_cycle=rates,
        levels=tuple(_levels(gpu, numbers)),
        overhead_s=launch,
        step_overhead_s=launch,
        vector_efficiency=numbers.value("vector", "")[0],
        # a vector of one core: as many 32-bit lanes as it multiplies a cycle
        pipes=Pipes(vector_bytes=4 * int(gpu.macs_per_cycle["fp32"]), loads_per_cycle=1, instructions_per_cycle=1),
        kernels=kernels,
        sources=_sources(gpu, runtime, numbers, kernels, dtypes),
    )


def _levels(gpu: Gpu, numbers: GpuNumbers) -> Iterator[MemoryLevel]:
    reached = min(numbers.value("cache_share", "")[0], 1.0)
    core = int(gpu.texture.bytes_per_cycle * gpu.clock_hz * reached)
    yield MemoryLevel(
        name="texture", bytes=gpu.texture.bytes, unit_bytes_per_s=core, total_bytes_per_s=core * gpu.cores
    )
    shared = int(gpu.l2.bytes_per_cycle * gpu.clock_hz * reached)
    yield MemoryLevel(name="l2", bytes=gpu.l2.bytes, unit_bytes_per_s=shared, total_bytes_per_s=shared)
    share = min(numbers.value("memory_share", "")[0], 1.0)
    if gpu.system_cache_bytes and gpu.system_cache_bytes_per_s:
        rate = int(gpu.system_cache_bytes_per_s * share)
        yield MemoryLevel(
            name="system_cache", bytes=gpu.system_cache_bytes, unit_bytes_per_s=rate, total_bytes_per_s=rate
        )
    rate = int(gpu.memory_bytes_per_s * share)
    yield MemoryLevel(name="dram", bytes=None, unit_bytes_per_s=rate, total_bytes_per_s=rate)


class GpuNumbers:
    """Looks fitted numbers up: of the runtime, else of all; times the factor of the family of GPUs."""

    def __init__(self, fitted: Sequence[Fitted], runtime: str, family: str) -> None:
        self._runtime, self._family = runtime, family
        self._rows = {(row.runtime, row.core, row.dtype, row.parameter): row for row in fitted}

    def value(self, parameter: str, dtype: str) -> tuple[float, str]:
        """Return the number, and where it is from. Raises DeviceError where there is none."""
        keys = [(self._runtime, "", dtype), (self._runtime, "", ""), ("", "", dtype), ("", "", "")]
        found = [self._rows[(*key, parameter)] for key in keys if (*key, parameter) in self._rows]
        if not found:
            raise DeviceError(f"runtime {self._runtime}: {parameter} has no fitted value for {dtype or 'any dtype'}")
        own, factor = found[0], self._rows.get(("", self._family, "", parameter))
        if factor is None:
            return own.value, own.source
        return own.value * factor.value, f"{own.source}; {self._family}: x {factor.value:.3g}, {factor.source}"


def _kernels(gpu: Gpu, runtime: GpuRuntime, numbers: GpuNumbers) -> Iterator[Kernel]:
    for table in runtime.kernels:
        for dtype in table["dtypes"]:
            if dtype in gpu.macs_per_cycle:
                yield _kernel(gpu, runtime, table, dtype, numbers)


def _kernel(gpu: Gpu, runtime: GpuRuntime, table: Mapping[str, Any], dtype: Dtype, numbers: GpuNumbers) -> Kernel:
    family = table.get("family")
    shared: dict[str, Any] = {
        "name": table["name"],
        "runtime": table["runtime"],
        "encoding": "dense",
        "serves": (),
        "kinds": tuple(table["kinds"]),
        "dtypes": (dtype,),
    }

    def share(parameter: str) -> float:
        return min(numbers.value(parameter, dtype)[0], 1.0)

    match family:
        case "thread":
            tiles = tuple(
                Tile(rows=rows, positions=positions, register_rows=m, register_positions=n)
                for rows, positions, m, n in table["tiles"]
            )
            efficiency, reached = THREAD_PARAMETERS[table["name"]]
            return ThreadKernel(
                **shared,
                pointwise=table.get("pointwise", False),
                unit="matrix",
                efficiency=share(efficiency),
                memory_share=share(reached) if reached else 1.0,
                tiles=tiles,
                fill_threads=gpu.threads * share("fill"),
            )
        case "winograd":
            rows, positions = table["register"]
            return WinogradKernel(
                **shared,
                unit="matrix",
                efficiency=share("winograd"),
                transform_efficiency=share("transform"),
                sizes=tuple(WinogradSize(**size) for size in table["sizes"]),
                least_channels=table["least_channels"],
                register_rows=rows,
                register_positions=positions,
                launches=table["launches"],
            )
        case "depthwise":
            reuse = table["window_reuse"]
            return DepthwiseKernel(**shared, unit="vector", efficiency=share("depthwise"), window_reuse=reuse)
        case _:
            raise DeviceError(
                f"runtime {runtime.name}: family is {family!r}, and must be thread, winograd or depthwise"
            )


THREAD_PARAMETERS: Mapping[str, tuple[str, str]] = {  # by kernel: share of the rate, share of the paths' bandwidth
    "pointwise": ("pointwise", ""),  # what the cache share is of
    "gemm": ("gemm", "window_share"),
    "linear": ("gemm", "linear_share"),
}


def _parameters(kernel: Kernel) -> tuple[str, ...]:
    if isinstance(kernel, ThreadKernel):
        return (*(name for name in THREAD_PARAMETERS[kernel.name] if name), "fill")
    return ("winograd", "transform") if isinstance(kernel, WinogradKernel) else ("depthwise",)


def _sources(
    gpu: Gpu, runtime: GpuRuntime, numbers: GpuNumbers, kernels: Sequence[Kernel], dtypes: Sequence[Dtype]
) -> dict[str, str]:
    reached, share = numbers.value("cache_share", "")[1], numbers.value("memory_share", "")[1]
    launch, own = numbers.value("launch_us", "")[1], gpu.sources
    found = {
        "units.0.count": own["cores"],
        "units.0.clock_hz": own["clock_hz"],
        "overhead_s": launch,
        "step_overhead_s": f"a launch a time step; {launch}",
        "vector_efficiency": numbers.value("vector", "")[1],
        "pipes.vector_bytes": own["macs_per_cycle.fp32"],
        "pipes": "assumed: one load and one instruction a cycle and core",
        "levels.texture.bytes": own["texture.bytes"],
        "levels.texture": f"{own['texture.bytes_per_cycle']}; share reached: {reached}",
        "levels.l2.bytes": own["l2.bytes"],
        "levels.l2": f"{own['l2.bytes_per_cycle']}; share reached: {reached}",
        "levels.dram": f"{own['memory_bytes_per_s']}; share reached: {share}",
    }
    if gpu.system_cache_bytes:
        found["levels.system_cache.bytes"] = own["system_cache_bytes"]
        found["levels.system_cache"] = f"{own['system_cache_bytes_per_s']}; share reached: {share}"
    for dtype in dtypes:
        stored = dtype == "fp16" and gpu.half[runtime.api] == "storage"
        text = own["macs_per_cycle.fp32" if stored else f"macs_per_cycle.{dtype}"]
        text = f"{text}; fp16 is stored and multiplied in fp32: {own['half']}" if stored else text
        found[f"matrix_macs_per_cycle.{dtype}"] = found[f"vector_macs_per_cycle.{dtype}"] = text
    for kernel in kernels:
        texts = [numbers.value(name, kernel.dtypes[0])[1] for name in _parameters(kernel)]
        texts += [text for key, text in runtime.sources.items() if key.partition(".")[0] == kernel.name]
        texts += [own["threads"]] if isinstance(kernel, ThreadKernel) else []
        path, text = f"kernels.{kernel.name}", f"{kernel.dtypes[0]}: {'; '.join(dict.fromkeys(texts))}"
        found[path] = f"{found[path]}; {text}" if path in found else text
    return found
