"""GeForce RTX cards with products of one vector: under cuBLAS and cuSPARSE, and under cuBLAS and MACKO.

The GPUs themselves are in ``rtx_2080_super.py``, ``rtx_3090.py`` and ``rtx_4090.py``. Leaves out: types but fp16.
"""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.devices.rtx_2080_super import RTX_2080_SUPER
from costmodel.devices.rtx_3090 import RTX_3090
from costmodel.devices.rtx_4090 import RTX_4090
from costmodel.devices.vector_kernels import Facts, with_vector_kernels
from costmodel.spec import RooflineDevice

_GA102 = (
    "NVIDIA Ampere GA102 whitepaper: L1 of a SM 219 GB/s on RTX 3080 (128 B x 1710 MHz), 116 GB/s on RTX 2080 Super"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorGpu:
    """A GPU that products with one vector were measured on; ``soc``: its name in the tables of measurements."""

    soc: str
    base: RooflineDevice
    facts: Facts


VECTOR_GPUS = (
    VectorGpu(
        soc="rtx-2080-super",
        base=RTX_2080_SUPER,
        facts=Facts(
            cache_bytes_per_cycle=64,
            cache_source=f"{_GA102} (64 B x 1815 MHz)",
            dram_bytes_per_s=496_000_000_000,
            dram_source="ProjectPhysX/FluidX3D README.md @01d3cddab641: 496 GB/s",
        ),
    ),
    VectorGpu(
        soc="rtx-3090",
        base=RTX_3090,
        facts=Facts(
            cache_bytes_per_cycle=128,
            cache_source=_GA102,
            dram_bytes_per_s=936_000_000_000,
            dram_source="kitguru.net RTX 4090 review, table of specifications: 936 GB/s",
        ),
    ),
    VectorGpu(
        soc="rtx-4090",
        base=RTX_4090,
        facts=Facts(
            cache_bytes_per_cycle=128,
            cache_source=f"assumed: as GA102 ({_GA102})",
            dram_bytes_per_s=1_008_000_000_000,
            dram_source="kitguru.net RTX 4090 review, table of specifications: 1008 GB/s",
        ),
    ),
)


def _devices(gpu: VectorGpu) -> tuple[RooflineDevice, ...]:
    name = gpu.base.summary.partition(":")[0]
    return (
        with_vector_kernels(gpu.base, sparse="csr-spmv", facts=gpu.facts),
        with_vector_kernels(
            gpu.base,
            sparse="macko-spmv",
            facts=gpu.facts,
            name=f"{gpu.base.name}-macko",
            summary=f"{name}: as {gpu.base.name}, and unstructured weights times one vector by MACKO",
        ),
    )


VECTOR_DEVICES: tuple[RooflineDevice, ...] = tuple(device for gpu in VECTOR_GPUS for device in _devices(gpu))
