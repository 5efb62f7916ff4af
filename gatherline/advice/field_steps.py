"""Which other values a field of a device is tried at: near ones for its elasticity, far ones for the tornado.

A number: 1 % less and more, a whole one the nearest whole numbers that differ; half and twice as much. Sizes that are
powers of two: half and twice as much alone. A name or a
switch: everything else that it may be. Left out: fields that are not set, but for the interval of a gather unit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, get_args

from costmodel.spec import RooflineDevice
from gatherline.device_fields import DeviceField, FieldValue, device_fields
from gatherline.request import Target
from simulator.memory.timings import ALL_TIMINGS
from simulator.spec import Device, Hash, Order

NEAR = 0.01
LARGE = 10**8  # clocks and rates are larger, sizes of parts smaller
# names that a field may have, by its path
_CHOICES: dict[str, tuple[str, ...]] = {
    "scratchpad.hash": get_args(Hash),
    "gather.order": get_args(Order),
    "dram.timing": ("flat", *(timing.name for timing in ALL_TIMINGS)),
}
_INTERVALS = (Fraction(1), Fraction(2))  # cycles a group, where the weight buffer's pace is not overruled


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """``near``: (lower, higher); ``far``: (half, double); both empty for names, which have ``others``."""

    near: tuple[FieldValue, ...] = ()
    far: tuple[FieldValue, ...] = ()
    others: tuple[FieldValue, ...] = ()

    @property
    def every(self) -> tuple[FieldValue, ...]:
        """All values, each once, in a fixed order."""
        return tuple(dict.fromkeys((*self.near, *self.far, *self.others)))


def own_fields(device: Target, dtype: str) -> list[DeviceField]:
    """Return the fields of ``device`` as layers of ``dtype`` see them.

    Kernels of several data types share a name and so a path, which a change sets in all of them: the value is that of
    the kernel that runs ``dtype``, where there is one.
    """
    found = list(device_fields(device).values())
    return found if isinstance(device, Device) else [_own(device, one, dtype) for one in found]


def _own(device: RooflineDevice, field: DeviceField, dtype: str) -> DeviceField:
    for kernel in device.kernels:
        prefix = f"kernels.{kernel.name}."
        if not field.path.startswith(prefix) or dtype not in kernel.dtypes:
            continue
        value: Any = kernel
        for part in field.path.removeprefix(prefix).split("."):
            value = getattr(value, part, None)
        if isinstance(value, int | float):
            return replace(field, value=value)
    return field


def choice_label(path: str, value: object) -> str:
    """Return how a name reads: a DRAM timing with the rate that its channels give together."""
    rates = {timing.name: timing.bytes_per_s for timing in ALL_TIMINGS} if path == "dram.timing" else {}
    rate = rates.get(str(value))
    return str(value) if rate is None else f"{value} ({rate / 1e9:.3g} GB/s)"


def steps_of(field: DeviceField, *, machine: bool) -> Steps:
    """Return the values that ``field`` is tried at; none for a number that is 0, of which no share is another.

    ``machine``: of a cycle-level device, where values that must not be 0 are refused by a rule that is worth telling.
    """
    value = field.value
    if isinstance(value, bool):
        return Steps(others=(not value,))
    if value is None or isinstance(value, Fraction):
        return Steps(others=tuple(one for one in _INTERVALS if one != value))
    if isinstance(value, str):
        return Steps(others=tuple(one for one in _CHOICES.get(field.path, ()) if one != value))
    if value == 0:
        return Steps()
    if isinstance(value, float):
        return Steps(near=(value * (1 - NEAR), value * (1 + NEAR)), far=(value / 2, value * 2))
    far = (value // 2, value * 2)
    step = max(1, round(value * NEAR))
    near = far if _is_size(value, field.unit) else (value - step, value + step)
    if machine:
        return Steps(near=near, far=far)
    return Steps(near=tuple(one for one in near if one), far=tuple(one for one in far if one))


def _is_size(value: int, unit: str) -> bool:
    """Return whether ``value`` is a power of two that sizes are built in: one more of it is another machine."""
    return unit != "cycles" and value < LARGE and value & (value - 1) == 0
