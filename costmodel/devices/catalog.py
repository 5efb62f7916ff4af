"""Every roofline device. A new one is a new file and a line here, or for a CPU a line in ``cpus.csv``."""

from __future__ import annotations

from costmodel.devices.adreno_640 import ADRENO_640
from costmodel.devices.cpus import CPU_DEVICES
from costmodel.devices.server_gpus import SERVER_GPUS
from costmodel.devices.zcu102 import ZCU102
from costmodel.spec import RooflineDevice

ALL_DEVICES: tuple[RooflineDevice, ...] = (*CPU_DEVICES, ADRENO_640, *SERVER_GPUS, ZCU102)
