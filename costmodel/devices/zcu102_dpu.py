"""One core of AMD's DPU B4096 on a ZCU102, as an engine of our model: a published design to hold the model against.

Left out: the two other cores, host work, and that its DSPs run at twice the clock, so that it has half as many as the
model counts. int8 alone.
"""

from __future__ import annotations

from dataclasses import replace

from costmodel.devices.zcu102 import ZCU102
from costmodel.fabric import EngineShape, Fabric
from costmodel.spec import Dtype, Kernel, RooflineDevice

_INT8: tuple[Dtype, ...] = ("int8",)


def _with_engine(fabric: Fabric | None) -> Fabric:
    if fabric is None:
        raise AssertionError("the ZCU102 has no fabric")
    engine = EngineShape(kernel="dense-engine", rows=16, lanes=16, positions=8, clock_hz=281_000_000)
    return replace(fabric, engine=engine)


def _dense(kernels: tuple[Kernel, ...]) -> tuple[Kernel, ...]:
    return tuple(replace(kernel, dtypes=_INT8) for kernel in kernels if not kernel.serves)


ZCU102_DPU: RooflineDevice = replace(
    ZCU102,
    name="zcu102-dpu",
    summary="one core of the DPU B4096 on a ZCU102 at 281 MHz, int8, dense only",
    matrix_macs_per_cycle=tuple(rate for rate in ZCU102.matrix_macs_per_cycle if rate[0] in _INT8),
    vector_macs_per_cycle=tuple(rate for rate in ZCU102.vector_macs_per_cycle if rate[0] in _INT8),
    fabric=_with_engine(ZCU102.fabric),
    kernels=_dense(ZCU102.kernels),
    sources={
        **ZCU102.sources,
        "fabric.engine": "Xilinx PG338: B4096 does 8 pixels x 16 x 16 channels; UG1354 2.5: at 281 MHz on a ZCU102",
    },
)
