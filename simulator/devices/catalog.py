"""All accelerators with a cycle-level model. A new one is a file beside this one and a line here."""

from __future__ import annotations

from simulator.devices.gs_tcm import GS_TCM, GS_TCM_OOO, GS_TCM_X4
from simulator.devices.gs_tcm_sve8 import GS_TCM_SVE8
from simulator.spec import Device

ALL_DEVICES: tuple[Device, ...] = (GS_TCM, GS_TCM_OOO, GS_TCM_X4, GS_TCM_SVE8)
