"""What a row of a calibration table must hold: columns by family, spelling of numbers, ranges, and what goes together.

Rules of one row and of the manifest, on text as it was read. Left out: the file around them (``table.py``), and whether
a pattern can be drawn on the row's shape, which its projection says (``compare.py``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from costmodel.calibrate.operators import CalibrationError
from patterns.base import PatternError
from patterns.catalog import parse_pattern
from patterns.dense import Dense

ALWAYS = (
    "family", "kernel", "device", "dtype", "threads", "operands", "median_s", "p10_s", "p90_s", "samples", "calls",
)  # fmt: skip
OF_PRODUCTS = ("pattern", "m", "k", "p", "density", "kept", "slots", "stored_bytes", "seed")
OF_MEMORY = ("footprint_bytes", "moved_bytes")
MOST_WEIGHTS = 1 << 26  # assumed: 8192 x 8192; drawing and ordering so many scores takes some 2 GB
MOST_POSITIONS = 1 << 31
LARGEST = (1 << 63) - 1  # of a count, as NumPy holds it
LONGEST_NAME = 200
LEAST_S, MOST_S = 1e-12, 1e6  # of a time: under any clock's tick, and eleven days

_LEAST = {  # of the counts that every row has
    "m": 0, "k": 0, "p": 0, "kept": 0, "slots": 0, "stored_bytes": 0, "footprint_bytes": 0, "moved_bytes": 0,
    "threads": 1, "samples": 1, "calls": 1, "seed": 0,
}  # fmt: skip
_OPERANDS = ("warm", "cold")
_SLACK = 1e-9  # of an order of times that were rounded
_INTEGER = re.compile(r"-?[0-9]{1,40}")
_FLOAT = re.compile(r"[-+]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][-+]?[0-9]{1,4})?|[-+]?(nan|inf)")


def read_manifest(text: str, where: str) -> dict[str, Any]:
    """Return the JSON object of a table's second line, with what a report prints of it. Raises CalibrationError."""
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise CalibrationError(f"{where} is no JSON: it is nested too deep") from None
    except ValueError as error:
        raise CalibrationError(f"{where} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise CalibrationError(f"{where} must be a JSON object")
    host = _entry(found, "host", dict, where)
    _entry(found, "date", str, where)
    _entry(host, "cpu", str, f"{where}: host")
    _entry(host, "versions", dict, f"{where}: host")
    if "gpu" in found:
        _entry(found, "gpu", dict, where)
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _entry(found: Mapping[str, Any], name: str, kind: type, where: str) -> Any:
    if name not in found:
        raise CalibrationError(f"{where}: {name} is missing")
    if not isinstance(found[name], kind):
        words = "an object" if kind is dict else "a text"
        raise CalibrationError(f"{where}: {name} is {found[name]!r:.100}, and must be {words}")
    return found[name]


def read_cell(name: str, cell: str, kind: type, where: str) -> str | int | float:
    """Return ``cell`` as its column's type. Raises CalibrationError for a spelling that no table has."""
    if kind is str:
        if not cell.isprintable() or len(cell) > LONGEST_NAME:
            raise CalibrationError(
                f"{where}: {name} is {cell!r:.100}, and must be at most {LONGEST_NAME} printable characters"
            )
        return cell
    if kind is int:
        if not _INTEGER.fullmatch(cell):
            raise CalibrationError(f"{where}: {name} is {cell!r:.100}, and must be a number, whole, of digits 0 to 9")
        return int(cell)
    if not _FLOAT.fullmatch(cell):
        raise CalibrationError(f"{where}: {name} is {cell!r:.100}, and must be a number, of digits 0 to 9")
    return float(cell)


def check_row(row: Mapping[str, Any], where: str) -> None:
    """Raise CalibrationError unless the columns of ``row`` are what its family needs and can be."""
    _needs(row, ALWAYS, where)
    for name in ("family", "kernel", "device", "dtype"):
        if not row[name].strip():
            raise CalibrationError(f"{where}: {name} is {row[name]!r}, and must be a name")
    _needs(row, OF_MEMORY if row["family"] == "memory" else OF_PRODUCTS, where)
    for name, least in _LEAST.items():
        _within(row, name, least, LARGEST, where)
    if row["operands"] not in _OPERANDS:
        raise CalibrationError(f"{where}: operands is {row['operands']!r}, and must be one of {', '.join(_OPERANDS)}")
    if not 0 <= row.get("core_share", 1.0) < float("inf"):
        raise CalibrationError(f"{where}: core_share is {row['core_share']}, and must be at least 0, and finite")
    _check_times(row, where)
    if row["family"] == "memory":
        for name in OF_MEMORY:
            _within(row, name, 1, LARGEST, where)
    else:
        _check_product(row, where)


def _needs(row: Mapping[str, Any], names: Sequence[str], where: str) -> None:
    for name in names:
        if name not in row:
            family = f", and a row of family {row['family']} needs it" if "family" in row else ""
            raise CalibrationError(f"{where}: column {name} is missing{family}")


def _within(row: Mapping[str, Any], name: str, least: int, most: int, where: str) -> None:
    if name in row and not least <= row[name] <= most:
        raise CalibrationError(f"{where}: {name} is {row[name]}, and must be from {least} to {most}")


def _check_times(row: Mapping[str, Any], where: str) -> None:
    for name in ("median_s", "p10_s", "p90_s"):
        if not LEAST_S <= row[name] <= MOST_S:
            raise CalibrationError(
                f"{where}: {name} is {row[name]}, and must be above 0 seconds ({LEAST_S:g} to {MOST_S:g})"
            )
    for low, high in (("p10_s", "median_s"), ("median_s", "p90_s")):
        if row[low] > row[high] * (1 + _SLACK):
            raise CalibrationError(
                f"{where}: {low} is {row[low]} and {high} {row[high]}, and p10_s, median_s and p90_s must not fall"
            )


def _check_product(row: Mapping[str, Any], where: str) -> None:
    m, k, family = row["m"], row["k"], row["family"]
    for name, most in (("m", MOST_WEIGHTS), ("k", MOST_WEIGHTS), ("p", MOST_POSITIONS)):
        _within(row, name, 1, most, where)
    if m * k > MOST_WEIGHTS:
        raise CalibrationError(f"{where}: m x k is {m} x {k}, and must be at most {MOST_WEIGHTS} weights")
    if not 0 < row["density"] <= 1:
        raise CalibrationError(f"{where}: density is {row['density']}, and must be above 0 and at most 1")
    try:
        dense = isinstance(parse_pattern(row["pattern"]), Dense)
    except PatternError as error:
        raise CalibrationError(f"{where}: {error}") from None
    if dense != (family == "dense"):
        must = "must be dense" if family == "dense" else "must be another: its weights are sparse"
        raise CalibrationError(f"{where}: pattern is {row['pattern']!r}, and in a row of family {family} {must}")
    if dense and row["density"] != 1:
        raise CalibrationError(f"{where}: density is {row['density']}, and must be 1 in a row of family dense")
    for name, least, most, rule in (
        ("kept", 1, m * k, "1 to m x k"),
        ("slots", row["kept"], LARGEST, "at least kept"),
        ("stored_bytes", 1, LARGEST, "at least 1"),
    ):
        if not least <= row[name] <= most:
            raise CalibrationError(f"{where}: {name} is {row[name]}, and must be {rule}")
    if abs(row["kept"] - row["density"] * m * k) > 1:
        raise CalibrationError(f"{where}: kept is {row['kept']}, and must be density x m x k, to within one")
