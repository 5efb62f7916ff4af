"""Puts a CPU device together: SoC, its clusters from one on, and a runtime. DESIGN section 6.

An efficiency is the product of what belongs to (runtime, data type, kernel) and what belongs to (core, kernel), both
fitted over many networks; none belongs to a network. Where nothing was fitted for a core, its factor is that of the
core which its file says it is ``like``, else that of its kind (in order or not, with fp16 or not). Leaves out: threads
beyond the clusters named, and clocks that fall under load.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from costmodel.cpu_file import (
    Cluster,
    Core,
    Fitted,
    Runtime,
    Soc,
    load_core,
    load_fitted,
    load_runtime,
    load_soc,
    named,
)
from costmodel.spec import (
    DepthwiseKernel,
    Dtype,
    InstructionMix,
    Kernel,
    MemoryLevel,
    Pipes,
    RooflineDevice,
    RowKernel,
    Tile,
    TileKernel,
    Units,
    WinogradKernel,
    WinogradSize,
)
from simulator.spec import DeviceError

SHARED_PORTS = 2  # cores' worth of bandwidth that a shared cache gives together, assumed


@cache
def cpu_device(name: str, soc_name: str, runtime_name: str, cluster: int = 0) -> RooflineDevice:
    """Return the device of the packaged SoC and runtime of these names, its cores from ``cluster`` on.

    Raises DeviceError for an unknown name, and for what the files themselves must not be.
    """
    soc = load_soc(named("socs", soc_name))
    cores = {part.core: load_core(named("cores", part.core)) for part in soc.clusters}
    runtime = load_runtime(named("runtimes", runtime_name))
    return compose(name, soc, cores, runtime, load_fitted(), cluster)


def compose(
    name: str,
    soc: Soc,
    cores: Mapping[str, Core],
    runtime: Runtime,
    fitted: Sequence[Fitted],
    cluster: int = 0,
) -> RooflineDevice:
    """Return the device of ``soc`` from ``cluster`` on, under ``runtime``, with the ``fitted`` numbers."""
    if not 0 <= cluster < len(soc.clusters):
        raise DeviceError(f"device {name}: cluster is {cluster}, and {soc.name} has {len(soc.clusters)}")
    parts = soc.clusters[cluster:]
    core = cores[parts[0].core]
    numbers = _Numbers(fitted, runtime.name, core)
    dtypes = tuple(core.macs_per_cycle)
    kernels = tuple(_kernels(runtime, core, numbers, dtypes))
    clock = parts[0].clock_hz
    sources = _sources(soc, core, runtime, numbers, kernels)
    return RooflineDevice(
        name=name,
        summary=f"{soc.summary}; {runtime.summary}",
        kind=soc.kind,  # type: ignore[arg-type]  # checked by RooflineDevice
        units=tuple(_units(parts, cores, fitted, runtime.name)),
        static_threads=True,
        matrix_macs_per_cycle=tuple((dtype, int(rate)) for dtype, rate in core.macs_per_cycle.items()),
        vector_macs_per_cycle=tuple((dtype, int(rate)) for dtype, rate in core.vector_macs_per_cycle.items()),
        levels=tuple(_levels(soc, parts, core, numbers)),
        overhead_s=numbers.value("overhead_cycles", "")[0] / clock,
        thread_overhead_s=numbers.value("thread_cycles", "")[0] / clock,
        thread_loss=numbers.value("thread_loss", "")[0],
        vector_efficiency=numbers.value("vector", "")[0],
        pipes=Pipes(
            vector_bytes=core.vector_bytes,
            loads_per_cycle=core.loads_per_cycle,
            instructions_per_cycle=core.instructions_per_cycle,
            load_to_use=core.load_to_use if core.in_order else None,
            miss_to_use=core.miss_to_use if core.in_order else None,
        ),
        kernels=kernels,
        sources=sources,
    )


def _units(
    parts: Sequence[Cluster], cores: Mapping[str, Core], fitted: Sequence[Fitted], runtime: str
) -> Iterator[Units]:
    """Yield the cores of each cluster; those of a slower design hold the first ones up, by the exponent ``held_up``."""
    first = cores[parts[0].core]
    for part in parts:
        own = cores[part.core]
        if own.name == first.name:
            yield Units(count=part.count, clock_hz=part.clock_hz)
            continue
        numbers = [_Numbers(fitted, runtime, core) for core in (own, first)]
        share, beside = (_efficiency("gemm", "fp32", each) for each in numbers)
        rate = own.macs_per_cycle["fp32"] / first.macs_per_cycle["fp32"]
        pace = part.clock_hz * rate * share / (parts[0].clock_hz * beside)  # of one of them, over one of the first
        held_up = numbers[0].value("held_up", "")[0]
        relative_share = pace**held_up * parts[0].clock_hz / (part.clock_hz * rate)
        yield Units(count=part.count, clock_hz=part.clock_hz, relative_rate=rate, relative_share=relative_share)


def _levels(soc: Soc, parts: Sequence[Cluster], core: Core, numbers: _Numbers) -> Iterator[MemoryLevel]:
    cores, clock = sum(part.count for part in parts), parts[0].clock_hz
    reached = min(numbers.value("cache_share", "")[0], 1.0)
    for level in (*core.caches, *((soc.l3,) if soc.l3 else ())):
        unit = int(level.bytes_per_cycle * clock * reached)
        own = parts[0].l2_bytes if level.name == "l2" else None
        yield MemoryLevel(
            name=level.name,
            bytes=own or level.bytes,
            unit_bytes_per_s=unit,
            total_bytes_per_s=unit * (SHARED_PORTS if level.shared else cores),
        )
    share = numbers.value("memory_share", "")[0]
    yield MemoryLevel(
        name="dram",
        bytes=None,
        unit_bytes_per_s=int(soc.core_bytes_per_s * share),
        total_bytes_per_s=int(soc.total_bytes_per_s * share),
    )


class _Numbers:
    """Looks fitted numbers up: the most particular row wins, its factor by core beside it."""

    def __init__(self, fitted: Sequence[Fitted], runtime: str, core: Core) -> None:
        self._runtime, self._core = runtime, core
        self._rows = {(row.runtime, row.core, row.dtype, row.parameter): row for row in fitted}

    def value(self, parameter: str, dtype: str) -> tuple[float, str]:
        """Return the number of the runtime times the core's factor, and where both are from."""
        places = [(self._runtime, "", dtype), (self._runtime, "", ""), ("", "", dtype), ("", "", "")]
        own = self._first(parameter, places)
        if own is None:
            raise DeviceError(f"runtime {self._runtime}: {parameter} has no fitted value for {dtype or 'any dtype'}")
        keys = [
            (runtime, core, kind_of)
            for core in (self._core.name, self._core.like, self._core.kind)
            if core is not None
            for runtime in (self._runtime, "")
            for kind_of in (dtype, "")
        ]
        factor = self._first(parameter, keys)
        if factor is None:
            return own.value, own.source
        whose = f"{self._core.name} as {factor.core}" if factor.core == self._core.like else factor.core
        return own.value * factor.value, f"{own.source}; {whose}: x {factor.value:.3g}, {factor.source}"

    def _first(self, parameter: str, keys: Sequence[tuple[str, str, str]]) -> Fitted | None:
        found = (self._rows.get((*key, parameter)) for key in keys)
        return next((row for row in found if row is not None), None)


def _kernels(runtime: Runtime, core: Core, numbers: _Numbers, dtypes: Sequence[Dtype]) -> Iterator[Kernel]:
    for table in runtime.kernels:
        if table.get("without_dot_product") and core.macs_per_cycle["int8"] > 2 * core.macs_per_cycle["fp32"]:
            continue
        for dtype in table["dtypes"]:
            if dtype in dtypes:
                yield _kernel(runtime, table, dtype, numbers)


def _kernel(runtime: Runtime, table: Mapping[str, Any], dtype: Dtype, numbers: _Numbers) -> Kernel:
    family = table.get("family")
    shared: dict[str, Any] = {
        "name": table["name"],
        "runtime": table["runtime"],
        "encoding": table.get("encoding", "dense"),
        "serves": tuple(table.get("serves", ())),
        "kinds": tuple(table["kinds"]),
        "dtypes": (dtype,),
        "epilogue_operations": numbers.value("epilogue", dtype)[0],
        "cut": table.get("cut", "tiles"),
    }
    match family:
        case "tile":
            tiles = tuple(Tile(rows=m, positions=n, register_rows=m, register_positions=n) for m, n in table["tiles"])
            share = _efficiency("gemm", dtype, numbers)
            return TileKernel(
                **shared,
                unit="matrix",
                efficiency=share,
                tiles=tiles,
                blocking="cache",
                packs=table.get("packs", False),
            )
        case "winograd":
            rows, positions = table["register"]
            return WinogradKernel(
                **shared,
                unit="matrix",
                efficiency=_efficiency("winograd", dtype, numbers),
                transform_efficiency=_efficiency("transform", dtype, numbers),
                sizes=tuple(WinogradSize(**size) for size in table["sizes"]),
                least_channels=table["least_channels"],
                register_rows=rows,
                register_positions=positions,
            )
        case "depthwise":
            share = _efficiency("depthwise", dtype, numbers)
            return DepthwiseKernel(**shared, unit="vector", efficiency=share, window_reuse=table["window_reuse"])
        case "row":
            return RowKernel(
                **shared,
                unit="vector",
                efficiency=_efficiency("spmm", dtype, numbers),
                pointwise=table["pointwise"],
                index_bytes=table["index_bytes"],
                row_block=table["row_block"],
                position_block=table["position_block"],
                mix=InstructionMix(**table["mix"]),
                split=table["split"],
                lines_ahead=table.get("lines_ahead", 0),
                pipelined=table.get("pipelined", False),
                load_chain=table.get("load_chain", 1),
            )
        case _:
            raise DeviceError(
                f"runtime {runtime.name}: family is {family!r}, and must be tile, winograd, depthwise or row"
            )


def _efficiency(parameter: str, dtype: Dtype, numbers: _Numbers) -> float:
    return min(numbers.value(parameter, dtype)[0], 1.0)


PARAMETERS = {
    TileKernel: ("gemm",),
    WinogradKernel: ("winograd", "transform"),
    DepthwiseKernel: ("depthwise",),
    RowKernel: ("spmm",),
}


def _sources(soc: Soc, core: Core, runtime: Runtime, numbers: _Numbers, kernels: Sequence[Kernel]) -> dict[str, str]:
    share, reached = numbers.value("memory_share", "")[1], numbers.value("cache_share", "")[1]
    found = {
        "units": soc.sources["clusters"],
        "overhead_s": numbers.value("overhead_cycles", "")[1],
        "thread_loss": numbers.value("thread_loss", "")[1],
        "thread_overhead_s": numbers.value("thread_cycles", "")[1],
        "step_overhead_s": "assumed: a loop inside the operator",
        "vector_efficiency": numbers.value("vector", "")[1],
        "levels.dram.unit_bytes_per_s": f"{soc.sources['core_bytes_per_s']}; share reached: {share}",
        "levels.dram.total_bytes_per_s": f"{soc.sources['total_bytes_per_s']}; share reached: {share}",
        "pipes.vector_bytes": core.sources["vector_bytes"],
        "pipes.loads_per_cycle": core.sources["loads_per_cycle"],
        "pipes.instructions_per_cycle": core.sources["instructions_per_cycle"],
    }
    if core.in_order:
        found["pipes.load_to_use"] = core.sources["load_to_use"]
        found["pipes.miss_to_use"] = core.sources["miss_to_use"]
    for dtype in core.macs_per_cycle:
        found[f"matrix_macs_per_cycle.{dtype}"] = core.sources[f"macs_per_cycle.{dtype}"]
        found[f"vector_macs_per_cycle.{dtype}"] = core.sources[f"vector_macs_per_cycle.{dtype}"]
    for level in core.caches:
        found[f"levels.{level.name}.bytes"] = core.sources[f"caches.{level.name}.bytes"]
        found[f"levels.{level.name}"] = (
            f"{core.sources[f'caches.{level.name}.bytes_per_cycle']}, at the first core's clock; "
            f"share reached: {reached}"
        )
    if soc.l3:
        found["levels.l3.bytes"] = soc.sources["l3.bytes"]
        found["levels.l3"] = f"{soc.sources['l3.bytes_per_cycle']}; share reached: {reached}"
    for kernel in kernels:
        names = (*PARAMETERS[type(kernel)], "epilogue")
        texts = [numbers.value(name, kernel.dtypes[0])[1] for name in names]
        family = "spmm" if isinstance(kernel, RowKernel) else kernel.name
        texts += [text for key, text in runtime.sources.items() if key.partition(".")[0] == family]
        path, text = f"kernels.{kernel.name}", f"{kernel.dtypes[0]}: {'; '.join(dict.fromkeys(texts))}"
        found[path] = f"{found[path]}; {text}" if path in found else text
    return found
