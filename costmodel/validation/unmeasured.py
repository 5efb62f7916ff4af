"""Devices that no measured row can be compared with, and in one line why: what was measured, and who stands for it.

A device model is of one processor under one runtime, so a processor that was measured under another runtime says
nothing of it. Left out: whether another device's rows would have done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from costmodel.spec import RooflineDevice
from costmodel.validation.folder import DeviceUse, Folder
from costmodel.validation.measurement import Measurement
from costmodel.validation.predict import Predictor, obstacle

FEW = 3  # devices whose reasons still fit in one line


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmeasured:
    """A device without a row, and why."""

    device: str
    reason: str


def unmeasured(
    devices: Sequence[RooflineDevice], rows: Sequence[Measurement], folder: Folder
) -> tuple[Unmeasured, ...]:
    """Return why each of ``devices``, none of which has a point, has none of ``rows``."""
    return tuple(Unmeasured(device=device.name, reason=_reason(device, rows, folder)) for device in devices)


def in_one_line(found: Sequence[Unmeasured]) -> str:
    """Return the reasons of a few devices, or how many have none."""
    if len(found) > FEW:
        return f"none of the {len(found)} devices has a row in the tables of measurements"
    return "; ".join(f"{one.device} is not measured: {one.reason}" for one in found)


def covers(use: DeviceUse, row: Measurement) -> bool:
    """Whether ``row`` is of the processor and of a runtime that ``use`` stands for."""
    same = (use.soc, use.processor) == (row.key.soc, row.key.processor)
    return same and (not use.runtimes or row.key.runtime in use.runtimes)


def _reason(device: RooflineDevice, rows: Sequence[Measurement], folder: Folder) -> str:
    uses = [use for use in folder.devices if use.device == device.name]
    if not uses:
        return "no table has a row of its processor (devices.csv names none for it)"
    own = [row for row in rows if any(covers(use, row) for use in uses)]
    if own:
        first = obstacle(Predictor(device=device, folder=folder.path), own[0])
        return f"none of its {len(own)} rows has a prediction: {first}"
    runtimes = ", ".join(dict.fromkeys(runtime for use in uses for runtime in use.runtimes)) or "any"
    processors = {(use.soc, use.processor): f"{use.soc} {use.processor}" for use in uses}
    said = f"nothing in the tables was measured on {', '.join(processors.values())} under its runtime ({runtimes})"
    others: dict[str, list[str]] = {}
    for use in folder.devices:
        if use.device != device.name and (use.soc, use.processor) in processors:
            seen = {row.key.runtime for row in rows if covers(use, row)}
            others.setdefault(use.device, []).extend(sorted(seen))
    named = [f"{name} ({', '.join(dict.fromkeys(of))})" for name, of in sorted(others.items()) if of]
    return f"{said}; {', '.join(named)} stand{'s' * (len(named) == 1)} for the same processor" if named else said
