"""Every roofline device. A new one is a new file and a line here."""

from difflib import get_close_matches

from costmodel.devices.a100 import A100
from costmodel.devices.adreno_640 import ADRENO_640
from costmodel.devices.snapdragon_855 import SNAPDRAGON_855
from costmodel.devices.zcu102 import ZCU102
from costmodel.spec import RooflineDevice
from simulator.spec import DeviceError

ALL_DEVICES: tuple[RooflineDevice, ...] = (SNAPDRAGON_855, ADRENO_640, A100, ZCU102)


def device(name: str) -> RooflineDevice:
    """Return the roofline device called ``name``. Raises DeviceError with the nearest name otherwise."""
    for candidate in ALL_DEVICES:
        if candidate.name == name:
            return candidate
    names = [candidate.name for candidate in ALL_DEVICES]
    near = get_close_matches(name, names, n=1, cutoff=0.0)
    raise DeviceError(f"device {name!r} does not exist; the nearest is {near[0]!r} of {', '.join(names)}")
