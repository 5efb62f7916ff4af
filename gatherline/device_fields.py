"""The fields of a device by dotted path, as a device TOML spells them: what there is, in which unit, and changing it.

Used wherever fields vary: sweeps and sensitivities. Members of a list go by name, or by place where they have none, as
in ``levels.l2.bytes`` or ``units.0.clock_hz``. Left out: fields that are lists, and parts that a device lacks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from difflib import SequenceMatcher, get_close_matches
from fractions import Fraction
from typing import Any

from costmodel.device_file import overridden_roofline
from costmodel.device_rules import check_rules
from costmodel.spec import RooflineDevice, numbers
from gatherline.request import Target
from simulator.device_file import overridden_device
from simulator.spec import DeviceError

FieldValue = int | float | str | bool | Fraction
_SAME_PARENT = 0.75  # likeness from which another part of a device was not meant
_MOST_NAMED = 4
NOT_FIELDS = ("name", "summary", "sources")
# the unit of a leaf by how its name ends, the longest ending first; "" where it counts things
_UNITS = (
    ("bytes_per_cycle", "B/cycle"),
    ("elements_per_cycle", "elements/cycle"),
    ("macs_per_cycle", "MAC/cycle"),
    ("bytes_per_s", "B/s"),
    ("_cycles", "cycles"),
    ("_bytes", "B"),
    ("bytes", "B"),
    ("_hz", "Hz"),
    ("_s", "s"),
)
_TIMING_OTHERS = ("clock_hz", "channels", "bank_groups", "banks_per_group", "row_bytes", "burst_bytes", "queue")
_CYCLES = ("gather.latency", "gather.interval", "mac.latency")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceField:
    """One field: its dotted path, its value on this device (None: not set), and its unit, "" for a count or a name."""

    path: str
    value: FieldValue | None
    unit: str


def device_fields(device: Target) -> dict[str, DeviceField]:
    """Return every field of ``device`` that can be changed, by its path."""
    found = dict(_of_roofline(device) if isinstance(device, RooflineDevice) else _of_accelerator("", device))
    return {path: DeviceField(path=path, value=value, unit=unit_of(path)) for path, value in found.items()}


def nearest_path(path: str, known: Sequence[str]) -> str:
    """Return "did you mean X?" for the fields that ``path`` most likely means, or the first of all fields.

    The last part counts first, since that is what people remember: scratchpad.ports is gather.ports or scatter.ports.
    Of fields that end alike the one whose whole path is near, else several; of members of a list the first.
    """
    leaves = list(dict.fromkeys(one.rpartition(".")[2] for one in known))
    near = get_close_matches(path.rpartition(".")[2], leaves, n=1)
    among = [one for one in known if one.rpartition(".")[2] in near]
    if not among:
        return f"there are {len(known)}, as {', '.join(known[:6])}"
    parent = path.rpartition(".")[0]
    likeness = {one: SequenceMatcher(None, one.rpartition(".")[0], parent).ratio() for one in among}
    best = max(among, key=likeness.__getitem__)
    if likeness[best] >= _SAME_PARENT:
        return f"did you mean {best}?"
    of_lists = {re.sub(r"\.\d+(?=\.)", ".0", f".{one}"): one for one in reversed(among)}  # units.0 for units.2, too
    first = [one for one in among if one in of_lists.values()][:_MOST_NAMED]
    return f"did you mean {' or '.join([', '.join(first[:-1]), first[-1]] if len(first) > 1 else first)}?"


def with_fields(device: Target, changes: Mapping[str, FieldValue]) -> Target:
    """Return ``device`` with other values, by path. Raises DeviceError: an unknown path, a value that breaks a rule.

    What follows from a changed field in a device file follows here too: a rate of its own makes a DRAM flat, the fabric
    of an FPGA decides its multiply-adds.
    """
    known = device_fields(device)
    table: dict[str, Any] = {}
    for path, value in changes.items():
        if path not in known:
            raise DeviceError(f"device {device.name} has no field {path}; {nearest_path(path, list(known))}")
        if path.startswith("dram.timing.") and "dram.timing" in changes:
            raise DeviceError(
                f"device {device.name}: dram.timing and {path} both change, and the first brings the second"
            )
        *parts, leaf = path.split(".")
        inner = table
        for part in parts:
            inner = inner.setdefault(part, {})
        inner[leaf] = f"{value.numerator}/{value.denominator}" if isinstance(value, Fraction) else value
    try:
        if isinstance(device, RooflineDevice):
            changed = overridden_roofline(device, table, "changed field")
            check_rules(changed)  # as of a file with these values
            return changed
        return overridden_device(device, table)
    except DeviceError as error:
        told = str(error).removeprefix(f"device {device.name}: ")
        raise DeviceError(f"device {device.name}: {_spelled(told, device)}") from None


def _spelled(told: str, device: Target) -> str:
    """Return a refusal with the path of a field, gather.lanes, where a part of the device says GatherUnit.lanes."""
    if isinstance(device, RooflineDevice):
        return told
    kind, dot, rest = told.partition(".")
    where = dict(_parts("", device)).get(kind) if dot else None
    return told if where is None else f"{where}{rest}"


def _parts(prefix: str, part: Any) -> Iterator[tuple[str, str]]:
    """Yield the class of each part of an accelerator and the path before its fields."""
    yield type(part).__name__, prefix
    for field in fields(part):
        value = getattr(part, field.name)
        if is_dataclass(value):
            yield from _parts(f"{prefix}{field.name}.", value)


def _of_roofline(device: RooflineDevice) -> Iterator[tuple[str, FieldValue]]:
    """Yield its numbers, but for members of plain lists, which a file changes as a whole."""
    tables = ("matrix_macs_per_cycle", "vector_macs_per_cycle")
    for path, value in numbers(device).items():
        *_, parent, leaf = ("", *path.split("."))
        if leaf.isdecimal() or (parent.isdecimal() and path.split(".")[0] not in ("units", *tables)):
            continue
        yield path, value


def _of_accelerator(prefix: str, part: Any) -> Iterator[tuple[str, FieldValue | None]]:
    for field in fields(part):
        path, value = f"{prefix}{field.name}", getattr(part, field.name)
        if path in NOT_FIELDS or path == "dram.timing.name":
            continue
        if is_dataclass(value):
            if path == "dram.timing":
                yield path, getattr(value, "name")  # noqa: B009 - a DramTiming
            yield from _of_accelerator(f"{path}.", value)
        elif path == "dram.timing":
            yield path, "flat"
        elif value is not None or path == "gather.interval":
            yield path, value


def unit_of(path: str) -> str:
    """Return the unit of a field by its path, "" for a count or a name."""
    parent, _, leaf = path.rpartition(".")
    if parent == "dram.timing" and leaf not in _TIMING_OTHERS:
        return "cycles"
    if path in _CYCLES:
        return "cycles"
    if parent in ("matrix_macs_per_cycle", "vector_macs_per_cycle"):
        return "MAC/cycle"
    return next((unit for ending, unit in _UNITS if leaf.endswith(ending)), "")
