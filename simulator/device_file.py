"""Reads a device from TOML: ``base`` names a preset, tables override its fields. DESIGN section 7.

Unknown keys are errors that name the nearest known one. Left out: devices without a base, devices of cost models.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields, is_dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from patterns.names import nearest
from simulator.devices.catalog import ALL_DEVICES
from simulator.memory.timings import ALL_TIMINGS
from simulator.spec import Device, DeviceError, Dram, DramTiming

_FIXED = ("sources", "summary")


def load_device(path: Path) -> Device:
    """Return the device that a TOML file describes. Raises DeviceError, naming file, table and key."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DeviceError(f"{path}: no such device file") from None
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no text, no TOML, a number without end
        raise DeviceError(f"{path}: not a readable TOML file: {error}") from None
    base_name = data.pop("base", None)
    presets = {device.name: device for device in ALL_DEVICES}
    if not isinstance(base_name, str) or base_name not in presets:
        raise DeviceError(
            f"{path}: base is {base_name!r}, and must name a preset; {nearest(str(base_name), list(presets))}"
        )
    name = data.setdefault("name", path.stem)
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise DeviceError(f"{path}: name is {name!r}, and must be text of printable letters")
    try:
        device = overridden_device(presets[base_name], data)
    except DeviceError as error:
        raise DeviceError(f"{path}: {error}") from None
    return device


def overridden_device(device: Device, table: dict[str, Any]) -> Device:
    """Return ``device`` with the overrides of a table, nested as in a file. Raises DeviceError, naming the key."""
    changed: Device = _override(device, table, "")
    return changed


def _override(spec: Any, data: dict[str, Any], prefix: str) -> Any:
    known = {field.name: getattr(spec, field.name) for field in fields(spec) if field.name not in _FIXED}
    changed: dict[str, Any] = {}
    for key, value in data.items():
        if key not in known:
            raise DeviceError(f"unknown key {prefix}{key}; {nearest(key, list(known))}")
        current = known[key]
        if isinstance(current, Dram):
            changed[key] = _dram(current, value, f"{prefix}{key}")
        elif is_dataclass(current):
            if not isinstance(value, dict):
                raise DeviceError(f"{prefix}{key} is {value!r}, and must be a table")
            changed[key] = _override(current, value, f"{prefix}{key}.")
        elif key == "core" and current is None:
            raise DeviceError(f"{prefix}{key} is {value!r}, and the base has none to override; gs-tcm-sve8 has one")
        elif key == "interval":
            changed[key] = parse_interval(value, f"{prefix}{key}")
        else:
            changed[key] = _scalar(value, current, f"{prefix}{key}")
    return replace(spec, **changed)


def _dram(current: Dram, data: Any, name: str) -> Dram:
    """Return a DRAM with overrides: a rate or burst of its own makes it flat, a timing brings its own.

    ``timing``: "flat", a preset's name, or a table of changes to the timing there is, or to its key ``base``.
    """
    if not isinstance(data, dict):
        raise DeviceError(f"{name} is {data!r}, and must be a table")
    rest = dict(data)
    asked = rest.pop("timing", None)
    flat = [key for key in ("bytes_per_s", "burst_bytes") if key in rest]
    if asked is None or asked == "flat":
        timing = None if flat or asked == "flat" else current.timing
    elif flat:
        raise DeviceError(f"{name}.{flat[0]} is {rest[flat[0]]!r}, and a timing brings its own: leave one out")
    else:
        timing = _timing(current.timing, asked, f"{name}.timing")
    changed: Dram = _override(replace(current, timing=None), rest, f"{name}.")
    return changed if timing is None else Dram.timed(timing, latency_cycles=changed.latency_cycles)


def _timing(current: DramTiming | None, asked: Any, name: str) -> DramTiming:
    changes = dict(asked) if isinstance(asked, dict) else {}
    known = {timing.name: timing for timing in ALL_TIMINGS}
    if isinstance(asked, dict) and "base" not in asked:
        if current is None:
            raise DeviceError(f"{name} is a table, and needs a base{nearest('', list(known))}")
        base = current
    else:
        wanted = changes.pop("base") if isinstance(asked, dict) else asked
        if not isinstance(wanted, str) or wanted not in known:
            raise DeviceError(f"{name} is {wanted!r}, and must be flat or a preset{nearest(str(wanted), list(known))}")
        base = known[wanted]
    timing: DramTiming = _override(base, changes, f"{name}.")
    return timing


def _scalar(value: Any, current: Any, name: str) -> Any:
    if type(current) is int and type(value) is float and value.is_integer():
        return int(value)  # 2e9 is how a rate is written
    if isinstance(value, bool) != isinstance(current, bool) or not isinstance(value, type(current)):
        raise DeviceError(f"{name} is {value!r}, and must be of type {type(current).__name__}")
    return value


def parse_interval(value: Any, name: str) -> Fraction:
    """Return cycles per group from a whole number, a decimal, "num/den", or [num, den]. Raises DeviceError."""
    if isinstance(value, list) and len(value) == 2 and all(type(part) is int for part in value):
        value = f"{value[0]}/{value[1]}"
    text = str(value) if type(value) in (int, float) else value  # 1.5 means 3/2, not its binary neighbour
    if not isinstance(text, str) or not re.fullmatch(r"\d+(\.\d+|/0*[1-9]\d*)?", text):
        raise DeviceError(f'{name} is {value!r}, and must be a whole number, a decimal, "num/den" or [num, den]')
    interval = Fraction(text)
    if interval <= 0:
        raise DeviceError(f"{name} is {value}, and must be above 0 cycles per group")
    return interval
