"""Mobile GPUs from data: a GPU and a runtime are one TOML file each. DESIGN section 6.

A GPU file holds shader cores, clock, multiply-adds a cycle, the paths to memory and what its drivers do with 16-bit
floats; a runtime file its kernels. ``gpu_runtimes/fitted.csv`` holds what was fitted, keyed by runtime, family of GPUs
and data type. Unknown, missing and impossible entries are errors that name the file and the field. Much of what a file
says is assumed (DEVIATIONS 12).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from costmodel.cpu_file import FOLDER, Fitted, load_fitted
from costmodel.spec import Dtype
from costmodel.toml_table import Table, read_toml
from patterns.names import nearest
from simulator.spec import DeviceError

Family = Literal["adreno-5xx", "adreno-6xx", "mali"]
Api = Literal["vulkan", "opencl"]
Half = Literal["arithmetic", "storage"]
DEFAULT_RUNTIME = "paddle-lite-opencl"
FITTED = FOLDER / "gpu_runtimes" / "fitted.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A memory level: ``bytes`` and what it gives a cycle: one core (``texture``) or all together (``l2``)."""

    bytes: int
    bytes_per_cycle: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU in one SoC. ``macs_per_cycle`` of one shader core; ``threads``: resident ones of a core.

    ``half``: by API, whether 16-bit floats are multiplied ("arithmetic") or only stored and multiplied in 32 bits
    ("storage"). ``runtime``: of a file given to ``--device``; the package's list names its own.
    """

    name: str
    summary: str
    family: Family
    cores: int
    clock_hz: int
    threads: int
    macs_per_cycle: Mapping[Dtype, float]
    half: Mapping[Api, Half]
    texture: Level
    l2: Level
    system_cache_bytes: int | None
    system_cache_bytes_per_s: int | None
    memory_bytes_per_s: int
    runtime: str
    sources: Mapping[str, str]

    def rate(self, dtype: Dtype, api: Api) -> int:
        """Return the multiply-adds a cycle of one core for values of ``dtype`` under ``api``."""
        only_stored = dtype == "fp16" and self.half[api] == "storage"
        return int(self.macs_per_cycle["fp32" if only_stored else dtype])


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuRuntime:
    """A library's kernels as tables of the file; efficiencies are looked up among the fitted numbers."""

    name: str
    summary: str
    api: Api
    kernels: tuple[Mapping[str, Any], ...]
    sources: Mapping[str, str]


@cache
def load_gpu(path: Path) -> Gpu:
    """Return the GPU that a file describes. Raises DeviceError, naming file, field and rule."""
    table = Table(path, read_toml(path)).only(Gpu)
    half = table.table("half")
    texture, l2 = table.table("texture").only(Level), table.table("l2").only(Level)
    cached = table.has("system_cache_bytes")
    gpu = Gpu(
        name=table.text("name"),
        summary=table.text("summary"),
        family=_one_of(path, "family", table.text("family"), get_args(Family)),
        cores=table.whole("cores"),
        clock_hz=table.clock("clock_hz"),
        threads=table.whole("threads"),
        macs_per_cycle=table.per_dtype("macs_per_cycle"),
        half={api: _one_of(path, f"half.{api}", half.text(api), get_args(Half)) for api in get_args(Api)},
        texture=Level(bytes=texture.whole("bytes"), bytes_per_cycle=texture.number("bytes_per_cycle")),
        l2=Level(bytes=l2.whole("bytes"), bytes_per_cycle=l2.number("bytes_per_cycle")),
        system_cache_bytes=table.whole("system_cache_bytes") if cached else None,
        system_cache_bytes_per_s=table.bandwidth("system_cache_bytes_per_s") if cached else None,
        memory_bytes_per_s=table.bandwidth("memory_bytes_per_s"),
        runtime=table.text("runtime") if table.has("runtime") else DEFAULT_RUNTIME,
        sources=table.sources(),
    )
    for part in (half, texture, l2, table):
        part.done()
    if "fp32" not in gpu.macs_per_cycle:
        raise DeviceError(f"{path}: macs_per_cycle.fp32 is missing, and must be a number above 0")
    slow = gpu.macs_per_cycle.get("fp16", gpu.macs_per_cycle["fp32"])
    if slow < gpu.macs_per_cycle["fp32"]:
        raise DeviceError(f"{path}: macs_per_cycle.fp16 is {slow}, and must be at least that of fp32")
    _check_sources(path, gpu)
    return gpu


def _check_sources(path: Path, gpu: Gpu) -> None:
    needed = {"cores", "clock_hz", "threads", "half", "memory_bytes_per_s"}
    needed |= {f"macs_per_cycle.{dtype}" for dtype in gpu.macs_per_cycle}
    needed |= {f"{level}.{part}" for level in ("texture", "l2") for part in ("bytes", "bytes_per_cycle")}
    needed |= {"system_cache_bytes", "system_cache_bytes_per_s"} if gpu.system_cache_bytes else set()
    for name in sorted(needed ^ set(gpu.sources)):
        raise DeviceError(
            f"{path}: sources.{name} is missing, and must say where the number is from"
            if name in needed
            else f"{path}: unknown key sources.{name}; {nearest(name, sorted(needed))}"
        )


def _one_of(path: Path, field: str, value: str, known: tuple[Any, ...]) -> Any:
    if value not in known:
        raise DeviceError(f"{path}: {field} is {value!r}; {nearest(value, list(known))}")
    return value


@cache
def load_gpu_runtime(path: Path) -> GpuRuntime:
    """Return the runtime that a file describes. Raises DeviceError, naming file, field and rule."""
    table = Table(path, read_toml(path))
    runtime = GpuRuntime(
        name=table.text("name"),
        summary=table.text("summary"),
        api=_one_of(path, "api", table.text("api"), get_args(Api)),
        kernels=tuple(dict(part.rest()) for part in table.tables("kernels")),
        sources=table.sources(),
    )
    table.done()
    return runtime


def load_gpu_fitted(path: Path = FITTED) -> tuple[Fitted, ...]:
    """Return the fitted numbers of mobile GPUs; their ``core`` is a family of GPUs. Raises DeviceError."""
    return load_fitted(path)
