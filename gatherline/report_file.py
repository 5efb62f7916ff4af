"""Reads ``report.json`` of a finished run back, and trusts nothing in it: schema, manifest, and every column's type.

What a row says must be what a run could have said: known columns, counts below 2^63, finite numbers, one data type for
each device. Left out: whether the numbers are right, and what the devices are (``energy_report.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from costmodel.spec import VALUE_BYTES
from gatherline.report.columns import ALL_COLUMNS, COLUMNS
from gatherline.report.files import SCHEMA
from gatherline.report.selection import printable
from gatherline.request_error import RequestError
from gatherline.strict_json import read_json
from patterns.names import nearest
from simulator.result import ModelKind

REPORT = "report.json"
LARGEST = (1 << 63) - 1  # of a count
SIGNED = ("conflict_cycles", "stall_cycles")  # lost cycles: removing a cause may cost some (ADR 0006)
NEEDED = ("layer", "device", "model_kind", "dtype", "latency_s")
_COLUMNS = {column.name: column for column in ALL_COLUMNS}
_RULES = {
    "text": "text",
    "int": "a whole number from 0 to 2^63 - 1",
    "float": "a finite number, at least 0",
    "bool": "true or false",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A report as it was written: ``hashes`` and ``dtypes`` of its devices by name."""

    path: Path
    manifest: dict[str, Any]
    rows: list[dict[str, Any]]
    hashes: Mapping[str, str]
    dtypes: Mapping[str, str]


def read_report(folder: Path) -> Written:
    """Return the report in ``folder``. Raises RequestError naming file, row, column, value and rule; OSError."""
    path = folder / REPORT
    return report_from(path, read_json(path, "a report that simulate run wrote"))


def report_from(path: Path, found: object) -> Written:
    """Return the report in ``found``, the JSON of the file ``path``. Raises RequestError."""
    if not isinstance(found, dict):
        raise RequestError(f"{path}: not a report that simulate run wrote: it must be an object")
    for name in ("schema", "manifest", "rows"):
        if name not in found:
            raise RequestError(f"{path}: not a report that simulate run wrote: {name} is missing")
    if type(found["schema"]) is not int or found["schema"] != SCHEMA:
        raise RequestError(f"{path}: schema is {found['schema']!r:.100}, and must be {SCHEMA}")
    manifest, rows = found["manifest"], found["rows"]
    if not isinstance(manifest, dict):
        raise RequestError(f"{path}: manifest is {manifest!r:.100}, and must be an object")
    if not isinstance(rows, list) or not rows:
        raise RequestError(f"{path}: rows is {rows!r:.100}, and must be a list of one or more rows")
    for at, row in enumerate(rows):
        _check_row(f"{path}: rows[{at}]", row)
    _check_names(path, rows)
    return Written(path=path, manifest=manifest, rows=rows, hashes=_hashes(path, manifest), dtypes=_dtypes(path, rows))


def _check_names(path: Path, rows: list[dict[str, Any]]) -> None:
    """Raise RequestError for two devices that read alike: a page could not tell one from the other."""
    names: dict[str, str] = {}
    for at, row in enumerate(rows):
        name = row["device"]
        first = names.setdefault(printable(name), name)
        if first != name:
            raise RequestError(f"{path}: rows[{at}]: device is {name!r:.100}, which reads as {first!r:.100} before it")


def _check_row(where: str, row: object) -> None:
    if not isinstance(row, dict):
        raise RequestError(f"{where} is {row!r:.100}, and must be an object")
    for name in NEEDED:
        if row.get(name) is None:
            raise RequestError(f"{where}: {name} is missing, and every row has it")
    for name, value in row.items():
        check_value(where, name, value)
    for name, known in (("model_kind", get_args(ModelKind)), ("dtype", tuple(VALUE_BYTES))):
        if row[name] not in known:
            raise RequestError(f"{where}: {name} is {row[name]!r:.100}, and must be one of {', '.join(known)}")


def check_value(where: str, name: str, value: object) -> None:
    """Raise RequestError, beginning with ``where``, unless ``name`` is a column and ``value`` one that it can hold."""
    if name not in _COLUMNS:
        raise RequestError(f"{where}: column {name!r:.100} is not known; {nearest(name[:100], COLUMNS)}")
    if value is not None and not _holds(name, value):
        raise RequestError(f"{where}: {name} is {value!r:.100}, and must be {_RULES[_COLUMNS[name].type]}")


def _holds(name: str, value: object) -> bool:
    match _COLUMNS[name].type:
        case "text":
            return isinstance(value, str)
        case "bool":
            return isinstance(value, bool)
        case "int":
            return type(value) is int and (-LARGEST if name in SIGNED else 0) <= value <= LARGEST
        case "float":
            if isinstance(value, bool) or not isinstance(value, int | float):
                return False
            return -LARGEST <= value <= LARGEST if name.startswith("lost_") else 0 <= value < 1e300


def _hashes(path: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    devices = manifest.get("devices")
    if not isinstance(devices, dict):
        raise RequestError(f"{path}: manifest.devices is {devices!r:.100}, and must be an object")
    for name, facts in devices.items():
        if not isinstance(facts, dict) or not isinstance(facts.get("hash"), str):
            raise RequestError(f"{path}: manifest.devices.{name:.100} is {facts!r:.100}, and must have a hash, a text")
    return {name: facts["hash"] for name, facts in devices.items()}


def _dtypes(path: Path, rows: list[dict[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for at, row in enumerate(rows):
        if found.setdefault(row["device"], row["dtype"]) != row["dtype"]:
            raise RequestError(
                f"{path}: rows[{at}]: dtype is {row['dtype']!r}, and must be {found[row['device']]!r} as in the rows "
                f"before it of {row['device']:.100}"
            )
    return found
