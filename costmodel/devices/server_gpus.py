"""Every NVIDIA GPU, by generation. A new one is a new file and a line here."""

from __future__ import annotations

from costmodel.devices.a100 import A100
from costmodel.devices.h100 import H100
from costmodel.devices.h200 import H200
from costmodel.devices.jetson_agx_orin_gpu import JETSON_AGX_ORIN_GPU
from costmodel.devices.m40 import M40
from costmodel.devices.p100 import P100
from costmodel.devices.pascal_csr import PASCAL_DEVICES
from costmodel.devices.rtx_vectors import VECTOR_DEVICES
from costmodel.devices.t4 import T4
from costmodel.devices.titan_x import TITAN_X
from costmodel.devices.v100 import V100
from costmodel.spec import RooflineDevice

SERVER_GPUS: tuple[RooflineDevice, ...] = (
    M40,
    TITAN_X,
    P100,
    *PASCAL_DEVICES,
    V100,
    T4,
    *VECTOR_DEVICES,
    A100,
    JETSON_AGX_ORIN_GPU,
    H100,
    H200,
)
