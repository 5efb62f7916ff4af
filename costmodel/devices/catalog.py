"""Every roofline device. A new one is a new file and a line here, for a CPU or mobile GPU a line in
``cpus.csv`` or ``mobile_gpus.csv``."""

from __future__ import annotations

from costmodel.devices.cpus import CPU_DEVICES
from costmodel.devices.mobile_gpus import MOBILE_GPUS
from costmodel.devices.pynq_z2 import PYNQ_Z2
from costmodel.devices.server_gpus import SERVER_GPUS
from costmodel.devices.u250 import U250
from costmodel.devices.u280 import U280
from costmodel.devices.zcu102 import ZCU102
from costmodel.devices.zcu102_dpu import ZCU102_DPU
from costmodel.devices.zcu111 import ZCU111
from costmodel.spec import RooflineDevice

ALL_DEVICES: tuple[RooflineDevice, ...] = (
    *CPU_DEVICES,
    *MOBILE_GPUS,
    *SERVER_GPUS,
    ZCU102,
    ZCU102_DPU,
    ZCU111,
    U250,
    U280,
    PYNQ_Z2,
)
