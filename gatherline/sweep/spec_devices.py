"""Reads the devices of a spec: presets and files, and the fields of each that vary or follow another.

Types, units and names are checked against each device; whether values go together is not, since only some points may
fail. Two tables of one device may share no machine, so that every point counts once.
"""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path
from typing import Any

from gatherline.device_fields import DeviceField, device_fields
from gatherline.request import RunRequest, Target, device_named, devices_of
from gatherline.request_error import RequestError
from gatherline.sweep.axis import RANGE_KEYS, Axis, read_axis
from gatherline.sweep.device_axes import DeviceAxes, field_kind, field_named, overlap, unchanged_value
from gatherline.sweep.quantity import shown
from gatherline.sweep.spec_keys import check_keys, listed, table_of, texts

DEVICE_KEYS = ("device", "fields", "follow")
_DEEPEST = 8  # parts of a path: no device has so many


def read_devices(data: dict[str, Any], dtypes: tuple[str, ...], folder: Path) -> tuple[DeviceAxes, ...]:
    """Return the devices of a spec with their axes. Raises RequestError and DeviceError."""
    if "devices" not in data:
        raise RequestError("devices is missing, and must name at least one")
    found: list[DeviceAxes] = []
    for at, entry in enumerate(listed(data["devices"], "devices")):
        where = f"devices[{at}]"
        table = entry if isinstance(entry, dict) else {"device": entry}
        check_keys(table, DEVICE_KEYS, where)
        if "device" not in table:
            raise RequestError(f"{where}.device is missing, and must be a preset or a device file")
        found += [_axes(_located(name, folder), table, where) for name in texts(table["device"], f"{where}.device")]
    for dtype in dtypes:
        devices_of(RunRequest(devices=tuple(device.base for device in found), dtype=dtype), "set run.dtype")
    _check_apart(found)
    return tuple(found)


def _located(name: str, folder: Path) -> str:
    return os.path.abspath(folder / name) if name.endswith(".toml") else name


def _axes(base: str, table: dict[str, Any], where: str) -> DeviceAxes:
    device = device_named(base)
    known = device_fields(device)
    axes: dict[str, Axis] = {}
    for path, value in _flat(table_of(table, "fields"), "", f"{where}.fields"):
        field = field_named(known, path, base, f"{where}.fields")
        if path in axes:
            raise RequestError(f"{where}.fields.{path} is there twice")
        axes[path] = read_axis(value, field_kind(device, field), f"{where}.fields.{path}")
    if "dram.timing" in axes:
        part = next((path for path in axes if path.startswith("dram.timing.")), None)
        if part is not None:
            raise RequestError(f"{where}.fields has dram.timing and {part}, and the first brings the second")
    follow = _follow(table, base, device, known, axes, where)
    varying = [*axes, *(follower for follower, _ in follow)]
    return DeviceAxes(
        base=base, name=device.name, axes=tuple(axes.items()), follow=follow,
        dropped=tuple((path, unchanged_value(device, known[path])) for path in varying),
    )  # fmt: skip


def _follow(
    table: dict[str, Any], base: str, device: Target, known: dict[str, DeviceField], axes: dict[str, Axis], where: str
) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for path, leader in _flat(table_of(table, "follow"), "", f"{where}.follow"):
        name = f"{where}.follow.{path}"
        field = field_named(known, path, base, f"{where}.follow")
        if not isinstance(leader, str) or leader not in axes:
            raise RequestError(f"{name} is {shown(leader)}, and must be one of fields: {', '.join(axes) or 'none'}")
        if path in axes or path in found:
            raise RequestError(f"{name} follows {leader}, and has values of its own too")
        own, led = field_kind(device, field), field_kind(device, known[leader])
        if own != led:
            raise RequestError(
                f"{name} follows {leader}, and must take the same values: {own.form} {own.unit} here, "
                f"{led.form} {led.unit} there".replace("  ", " ")
            )
        found[path] = leader
    return tuple(found.items())


def _flat(table: dict[str, Any], prefix: str, where: str) -> list[tuple[str, object]]:
    """Return (path, value) of nested tables: paths may be quoted or not. A table of a range's keys is a range."""
    found: list[tuple[str, object]] = []
    for key, value in table.items():
        path = f"{prefix}{key}"
        if path.count(".") >= _DEEPEST or len(path) > 200:
            raise RequestError(f"{where} has the path {shown(path)}, and no field lies so deep")
        if isinstance(value, dict) and value and not set(value) & set(RANGE_KEYS):
            found += _flat(value, f"{path}.", where)
        else:
            found.append((path, value))
    return found


def _check_apart(devices: list[DeviceAxes]) -> None:
    """Raise RequestError where two entries of one device share a machine: its points would be there twice."""
    for first, second in combinations(devices, 2):
        if first.name != second.name:  # devices of one name are equal, ``devices_of`` saw to that
            continue
        shared = overlap(first, second)
        if shared is not None:
            values = ", ".join(f"{path} = {value}" for path, value in shared) or "no field changed"
            raise RequestError(
                f"devices has {first.name} twice with {values}, and a point counts once: take it out of one of them"
            )
