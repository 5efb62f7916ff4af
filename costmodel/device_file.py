"""Reads and writes roofline devices as TOML: a ``base`` with overrides, a full table, or a SoC. DESIGN section 7.

A member of a list is called by its name, or by its place where it has none, as in ``[levels.l2]`` or ``[units.0]``. A
number that a file changes has the file as its source, unless ``[sources]`` says better. Unknown keys are errors that
name the nearest known one; so are missing fields of a full table. A change to a kernel is one to all kernels of its
name, which differ in data type. A file with ``clusters`` is a SoC (``costmodel.soc_file``). Left out: kernels added to
a base.
"""

from __future__ import annotations

import tomllib
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from costmodel.device_rules import check_rules
from costmodel.devices.catalog import ALL_DEVICES
from costmodel.fpga_device import following_fabric
from costmodel.gpu_device import load_gpu_device
from costmodel.gpu_kernel import ThreadKernel
from costmodel.measured import MeasuredKernel
from costmodel.plausible import check_bandwidth, check_clock
from costmodel.server_gpu_tiles import GpuTileKernel
from costmodel.soc_file import load_soc_device
from costmodel.spec import (
    BlockKernel,
    DepthwiseKernel,
    EngineKernel,
    Kernel,
    RooflineDevice,
    RowKernel,
    TileKernel,
    WinogradKernel,
)
from costmodel.spmv import CsrMatrixKernel, CsrVectorKernel, GemvKernel, WarpRowKernel
from patterns.names import nearest
from simulator.device_file import load_device
from simulator.devices.catalog import ALL_DEVICES as CYCLE_DEVICES
from simulator.spec import Device, DeviceError

KERNEL_TYPES: dict[str, type[Kernel]] = {
    "tile": TileKernel,
    "thread": ThreadKernel,
    "gpu_tile": GpuTileKernel,
    "winograd": WinogradKernel,
    "depthwise": DepthwiseKernel,
    "row": RowKernel,
    "block": BlockKernel,
    "engine": EngineKernel,
    "measured": MeasuredKernel,
    "gemv": GemvKernel,
    "warp_row": WarpRowKernel,
    "csr_vector": CsrVectorKernel,
    "csr_matrix": CsrMatrixKernel,
}
_OF_A_ROOFLINE = frozenset(part.name for part in fields(RooflineDevice)) - {"name", "summary", "sources"}


def load_target(path: Path) -> Device | RooflineDevice:
    """Return the device in ``path``: what its base is, or a whole roofline, or a SoC or a mobile GPU with a runtime.

    Raises DeviceError, naming file, field, value and rule.
    """
    data = _read(path)
    base = data.get("base")
    if "clusters" in data:
        return _checked(path, load_soc_device(path))
    if "half" in data:
        return _checked(path, load_gpu_device(path))
    presets = [device.name for device in ALL_DEVICES]
    cycle = [device.name for device in CYCLE_DEVICES]
    if isinstance(base, str) and base not in (*presets, *cycle):
        raise DeviceError(f"{path}: base is {base!r}, and must name a preset; {nearest(base, [*cycle, *presets])}")
    if base in presets or (base is None and _OF_A_ROOFLINE & set(data)):
        return load_cost_device(path)
    if base is None:
        raise DeviceError(
            f"{path}: base is missing, and the file has neither kernels (a roofline) nor clusters (a SoC)"
        )
    cycle_level = load_device(path)
    try:
        check_clock("clock_hz", cycle_level.clock_hz)
        check_bandwidth("dram.bytes_per_s", cycle_level.dram.bytes_per_s)
    except DeviceError as error:
        raise DeviceError(f"{path}: {error}") from None
    return cycle_level


def load_cost_device(path: Path) -> RooflineDevice:
    """Return the roofline device that a TOML file describes. Raises DeviceError."""
    data = _read(path)
    base_name = data.pop("base", None)
    name = data.setdefault("name", path.stem)
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise DeviceError(f"{path}: name is {name!r}, and must be text of printable letters")
    presets = {device.name: device for device in ALL_DEVICES}
    try:
        if base_name is None:
            device: RooflineDevice = _build(RooflineDevice, data, "")
        elif base_name in presets:
            device = overridden_roofline(presets[base_name], data, path.name)
        else:
            raise DeviceError(
                f"base is {base_name!r}, and must name a preset; {nearest(str(base_name), list(presets))}"
            )
    except DeviceError as error:
        raise DeviceError(f"{path}: {error}") from None
    return _checked(path, device)


def device_text(device: RooflineDevice, comment: str = "") -> str:
    """Return ``device`` as the full table of a TOML file, after ``comment``."""
    lines = [f"# {line}" for line in comment.splitlines()]
    _write(lines, "", device)
    return "\n".join(lines) + "\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DeviceError(f"{path}: no such device file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DeviceError(f"{path}: not a readable TOML file: {error}") from None


def _checked(path: Path, device: RooflineDevice) -> RooflineDevice:
    """Return ``device``. Raises DeviceError, naming the file, for numbers that no device can have."""
    try:
        check_rules(device)
    except DeviceError as error:
        raise DeviceError(f"{path}: {error}") from None
    return device


@cache
def _hints(spec: Any) -> dict[str, Any]:
    return get_type_hints(spec)


def _build(spec: type, data: Any, prefix: str) -> Any:
    """Return ``spec`` made from a table."""
    where = prefix.rstrip(".") or "the file"
    if not isinstance(data, dict):
        raise DeviceError(f"{where} is {data!r}, and must be a table")
    rest = dict(data)
    if spec is Kernel:
        kind = rest.pop("type", None)
        if not isinstance(kind, str) or kind not in KERNEL_TYPES:
            raise DeviceError(f"{prefix}type is {kind!r}; {nearest(str(kind), list(KERNEL_TYPES))}")
        spec = KERNEL_TYPES[kind]
    known = {field.name: field for field in fields(spec)}
    for key in rest:
        if key not in known:
            raise DeviceError(f"unknown key {prefix}{key}; {nearest(key, list(known))}")
    values = {}
    for name, field in known.items():
        hint = _hints(spec)[name]
        if name in rest:
            values[name] = _value(hint, rest[name], f"{prefix}{name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            if type(None) not in get_args(hint):
                raise DeviceError(f"{prefix}{name} is missing, and {where} needs it")
            values[name] = None  # TOML has no null: the bytes of a main memory, a regime without an end
    return spec(**values)


def _value(hint: Any, value: Any, name: str) -> Any:
    """Return ``value`` as the type ``hint`` asks for."""
    origin: Any = get_origin(hint)
    arguments = get_args(hint)
    if origin in (Union, types.UnionType):
        return _value(next(one for one in arguments if one is not type(None)), value, name)
    if origin is Literal:
        if value not in arguments:
            raise DeviceError(f"{name} is {value!r}; {nearest(str(value), [str(one) for one in arguments])}")
        return value
    if origin is tuple:
        return _tuple(arguments, value, name)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            raise DeviceError(f"{name} is {value!r}, and must be a table of texts")
        return value
    if is_dataclass(hint):
        return _build(hint, value, f"{name}.")  # type: ignore[arg-type]
    if hint is float and type(value) is int:
        return float(value)
    if hint is int and type(value) is float and value.is_integer():
        return int(value)  # 2e9 is how a rate is written
    if type(value) is not hint:
        raise DeviceError(f"{name} is {value!r}, and must be of type {hint.__name__}")
    return value


def _tuple(arguments: tuple[Any, ...], value: Any, name: str) -> tuple[Any, ...]:
    if _is_pair(arguments):  # costs by name, rates by data type: a table in the file
        if not isinstance(value, dict):
            raise DeviceError(f"{name} is {value!r}, and must be a table")
        key, number = get_args(arguments[0])
        return tuple((_value(key, one, name), _value(number, rate, f"{name}.{one}")) for one, rate in value.items())
    if not isinstance(value, list):
        raise DeviceError(f"{name} is {value!r}, and must be a list")
    if arguments[-1] is not Ellipsis:
        if len(value) != len(arguments):
            raise DeviceError(f"{name} is {value!r}, and must have {len(arguments)} members")
        return tuple(_value(hint, one, name) for hint, one in zip(arguments, value, strict=True))
    return tuple(_value(arguments[0], one, f"{name}.{_called(one, at)}") for at, one in enumerate(value))


def _is_pair(arguments: tuple[Any, ...]) -> bool:
    inner = get_args(arguments[0])
    return (
        get_origin(arguments[0]) is tuple and len(inner) == 2 and (inner[0] is str or get_origin(inner[0]) is Literal)
    )


def _is_table(hint: Any) -> bool:
    origin: Any = get_origin(hint)
    return origin is tuple and _is_pair(get_args(hint))


def _called(value: Any, at: int) -> str:
    return value["name"] if isinstance(value, dict) and isinstance(value.get("name"), str) else str(at)


def overridden_roofline(base: RooflineDevice, data: dict[str, Any], file: str) -> RooflineDevice:
    """Return ``base`` with the overrides of a table, nested as in a file; ``file``: the source of changed numbers.

    Raises DeviceError, naming the field. Rules between parts (``device_rules``) are the caller's to check.
    """
    rest = dict(data)
    stated = _value(_hints(RooflineDevice)["sources"], rest.pop("sources", {}), "sources")
    changed: list[str] = []
    fresh = following_fabric(base, _changes(base, rest, "", changed, ("sources",)), changed)
    # a source of a part is one of each number in it, also where the base has a more particular one
    named = {path: _enclosing(stated, path) or f"{file}: the file names no source" for path in changed}
    return replace(base, **fresh, sources={**base.sources, **named, **stated})


def _enclosing(sources: Mapping[str, str], path: str) -> str | None:
    parts = path.split(".")
    places = (".".join(parts[:upto]) for upto in range(len(parts), 0, -1))
    return next((sources[place] for place in places if place in sources), None)


def _changes(spec: Any, data: Any, prefix: str, changed: list[str], fixed: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields of ``spec`` that ``data`` changes; ``changed`` collects the paths of numbers that are new."""
    if not isinstance(data, dict):
        raise DeviceError(f"{prefix.rstrip('.')} is {data!r}, and must be a table")
    known = {field.name: getattr(spec, field.name) for field in fields(spec) if field.name not in fixed}
    found: dict[str, Any] = {}
    for key, value in data.items():
        name = f"{prefix}{key}"
        if key not in known:
            raise DeviceError(f"unknown key {name}; {nearest(key, list(known))}")
        current, hint = known[key], _hints(spec.__class__)[key]
        if is_dataclass(current) and not isinstance(current, type):
            found[key] = replace(current, **_changes(current, value, f"{name}.", changed, ()))
        elif isinstance(current, tuple) and current and is_dataclass(current[0]):
            found[key] = _override_members(current, value, name, changed)
        elif _is_table(hint):
            new = dict(_value(hint, value, name))
            found[key] = tuple({**dict(current), **new}.items())
            changed += [f"{name}.{one}" for one in new]
        else:
            found[key] = _value(hint, value, name)
            changed += _number_paths(found[key], name)
    return found


def _override_members(current: tuple[Any, ...], data: Any, name: str, changed: list[str]) -> tuple[Any, ...]:
    if not isinstance(data, dict):
        raise DeviceError(f"{name} is {data!r}, and must be a table of members by name")
    names = [str(getattr(member, "name", at)) for at, member in enumerate(current)]
    for key in data:
        if key not in names:
            raise DeviceError(f"unknown key {name}.{key}; {nearest(key, names)}")
    # kernels of one name, one for each data type, all take the change
    return tuple(
        replace(member, **_changes(member, data[own], f"{name}.{own}.", changed, ("name",))) if own in data else member
        for own, member in zip(names, current, strict=True)
    )


def _number_paths(value: Any, name: str) -> list[str]:
    if isinstance(value, tuple):
        return [path for at, one in enumerate(value) for path in _number_paths(one, f"{name}.{at}")]
    if is_dataclass(value):  # a part that the base lacks
        return [
            path for part in fields(value) for path in _number_paths(getattr(value, part.name), f"{name}.{part.name}")
        ]
    return [name] if isinstance(value, int | float) and not isinstance(value, bool) else []


def _write(lines: list[str], prefix: str, spec: Any) -> None:
    """Append the fields of ``spec``: plain values first, then tables."""
    tables = []
    for kind, spec_type in KERNEL_TYPES.items():
        if type(spec) is spec_type:
            lines.append(f'type = "{kind}"')
    for field in fields(spec):
        value = getattr(spec, field.name)
        if value is None:
            continue
        nested = is_dataclass(value) or (isinstance(value, tuple) and value and is_dataclass(value[0]))
        if nested or isinstance(value, Mapping):
            tables.append((field.name, value))
        elif _is_table(_hints(spec.__class__)[field.name]):
            inside = ", ".join(f"{name} = {number!r}" for name, number in value)
            lines.append(f"{field.name} = {{{inside}}}")
        else:
            lines.append(f"{field.name} = {_text(value)}")
    for name, value in tables:
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            lines += ["", f"[{path}]", *(f"{_text(key)} = {_text(text)}" for key, text in value.items())]
        elif isinstance(value, tuple):
            for member in value:
                lines += ["", f"[[{path}]]"]
                _write(lines, f"{path}.", member)
        else:
            lines += ["", f"[{path}]"]
            _write(lines, f"{path}.", value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_text(one) for one in value)}]"
    import json

    return json.dumps(value).replace("\x7f", "\\u007f")  # TOML's basic strings are JSON's, but for DEL
