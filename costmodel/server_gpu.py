"""An NVIDIA GPU as data, and the roofline device that is built from it. Devices: a file each in ``costmodel/devices``.

A GPU is its multiprocessors, their clock and multiply-adds a cycle by data type (CUDA cores and tensor cores apart),
shared memory, L2 and main memory, and the library that brings kernels for each data type. Every number is a pair of
value and source. What the libraries reach is fitted (``costmodel/runtimes/server_gpu.csv``). Leaves out: TF32, fp64,
power limits, several GPUs, Winograd.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

from costmodel.server_gpu_kernels import Limits, kernel_sources, kernels_of
from costmodel.spec import Dtype, MemoryLevel, Pipes, RooflineDevice, Units
from simulator.spec import DeviceError

DRAM_UNITS = 0.25  # of the multiprocessors saturate the main memory
VECTOR_SHARE = 0.5


class Sourced(NamedTuple):
    """A number and where it comes from ("assumed" is a source)."""

    value: float
    source: str


NO_CLUSTERS = Sourced(1, "thread blocks share no loads before Hopper")
Rates = tuple[tuple[Dtype, Sourced], ...]
Libraries = tuple[tuple[Dtype, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerGpu:
    """``cuda_macs`` and ``tensor_macs``: multiply-adds a cycle and SM by data type; a type in neither is refused.

    ``gemm_libraries`` and ``conv_libraries``: whose fitted numbers hold, by data type. ``dram_bytes_per_s``: of the
    data sheet; ``dram_attained``: the share of it that a streaming kernel reaches. ``two_of_four``: data types in
    which the tensor cores skip the zeros of 2:4. ``cluster``: thread blocks that share each load of an operand.
    """

    name: str
    summary: str
    gemm_libraries: Libraries
    conv_libraries: Libraries = ()
    sms: Sourced
    clock_hz: Sourced
    cuda_macs: Rates
    tensor_macs: Rates = ()
    two_of_four: tuple[Dtype, ...] = ()
    shared_bytes: Sourced
    l2_bytes: Sourced
    l2_bytes_per_s: Sourced
    dram_bytes_per_s: Sourced
    dram_attained: Sourced
    cluster: Sourced = NO_CLUSTERS

    def __post_init__(self) -> None:
        for name, number in self.numbers().items():
            if not number.value > 0:
                raise DeviceError(f"device {self.name}: {name} is {number.value}, and must be above 0")
            if not number.source.strip():
                raise DeviceError(f"device {self.name}: {name} is {number.value} without a source ('assumed' is one)")
        if self.dram_attained.value > 1:
            raise DeviceError(f"device {self.name}: dram_attained is {self.dram_attained.value}, and must be at most 1")
        cuda, tensor = dict(self.cuda_macs), dict(self.tensor_macs)
        for dtype in self.two_of_four:
            if dtype not in tensor:
                raise DeviceError(f"device {self.name}: two_of_four names {dtype}, and tensor_macs has no such type")
        for dtype in {*cuda, *tensor}:
            if dtype not in dict(self.gemm_libraries):
                raise DeviceError(f"device {self.name}: gemm_libraries lacks {dtype}, which it multiplies in")
        for dtype in (*tensor, *dict(self.gemm_libraries), "fp32"):
            if dtype not in cuda:
                raise DeviceError(f"device {self.name}: cuda_macs lacks {dtype}, and depthwise layers need it")

    def numbers(self) -> dict[str, Sourced]:
        """Return every number by its path."""
        found: dict[str, Sourced] = {}
        for part in fields(self):
            value = getattr(self, part.name)
            if isinstance(value, Sourced):
                found[part.name] = value
            elif part.name in ("cuda_macs", "tensor_macs"):
                found |= {f"{part.name}.{dtype}": rate for dtype, rate in value}
        return found


def server_gpu(gpu: ServerGpu) -> RooflineDevice:
    """Return the device. Raises DeviceError for a library or a number that is missing."""
    sms, clock_hz = round(gpu.sms.value), round(gpu.clock_hz.value)
    cuda = {dtype: round(rate.value) for dtype, rate in gpu.cuda_macs}
    tensor = {dtype: round(rate.value) for dtype, rate in gpu.tensor_macs}
    limits = Limits(
        gemm=dict(gpu.gemm_libraries),
        conv={**dict(gpu.gemm_libraries), **dict(gpu.conv_libraries)},
        lanes=cuda["fp32"],
        tensor=frozenset(tensor),
        two_of_four=gpu.two_of_four,
        cluster=round(gpu.cluster.value),
        cluster_source=gpu.cluster.source,
        dtypes=tuple(cuda),
    )
    kernels = kernels_of(limits)
    return RooflineDevice(
        name=gpu.name,
        summary=gpu.summary,
        kind="server_gpu",
        units=(Units(count=sms, clock_hz=clock_hz),),
        matrix_macs_per_cycle=tuple((dtype, tensor.get(dtype, rate)) for dtype, rate in cuda.items()),
        vector_macs_per_cycle=tuple(cuda.items()),
        levels=_levels(gpu, sms, clock_hz),
        overhead_s=limits.launch_s,
        step_overhead_s=limits.launch_s,
        vector_efficiency=VECTOR_SHARE,
        pipes=Pipes(vector_bytes=128, loads_per_cycle=1, instructions_per_cycle=4),
        kernels=kernels,
        sources=_sources(gpu, cuda, tensor) | kernel_sources(limits, kernels),
    )


def _levels(gpu: ServerGpu, sms: int, clock_hz: int) -> tuple[MemoryLevel, ...]:
    shared = 128 * clock_hz  # bytes a cycle and multiprocessor
    dram = gpu.dram_bytes_per_s.value * gpu.dram_attained.value
    l2 = gpu.l2_bytes_per_s.value
    return (
        MemoryLevel(
            name="shared",
            bytes=round(gpu.shared_bytes.value),
            unit_bytes_per_s=shared,
            total_bytes_per_s=shared * sms,
        ),
        MemoryLevel(
            name="l2",
            bytes=round(gpu.l2_bytes.value),
            unit_bytes_per_s=round(l2 / sms),
            total_bytes_per_s=round(l2),
        ),
        MemoryLevel(
            name="dram",
            bytes=None,
            unit_bytes_per_s=round(dram / (sms * DRAM_UNITS)),
            total_bytes_per_s=round(dram),
        ),
    )


def _sources(gpu: ServerGpu, cuda: Mapping[Dtype, int], tensor: Mapping[Dtype, int]) -> dict[str, str]:
    own = gpu.numbers()
    found = {
        "units.0.count": own["sms"].source,
        "units.0.clock_hz": own["clock_hz"].source,
        "levels.shared": "assumed: 128 bytes a cycle and multiprocessor",
        "levels.shared.bytes": own["shared_bytes"].source,
        "levels.l2": f"{own['l2_bytes_per_s'].source}; shared out evenly over multiprocessors",
        "levels.l2.bytes": own["l2_bytes"].source,
        "levels.dram": f"{own['dram_bytes_per_s'].source} x {own['dram_attained'].source}; assumed: a quarter of the "
        "multiprocessors saturates it",
        "vector_efficiency": "assumed: half of the CUDA cores' rate",
        "pipes": "assumed: one 32-lane load and four warp instructions a cycle and SM",
    }
    for dtype in cuda:
        found[f"vector_macs_per_cycle.{dtype}"] = own[f"cuda_macs.{dtype}"].source
        matrix = "tensor_macs" if dtype in tensor else "cuda_macs"
        found[f"matrix_macs_per_cycle.{dtype}"] = own[f"{matrix}.{dtype}"].source
    return found
