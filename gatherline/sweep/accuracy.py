"""Accuracies that a user measured, from a CSV, matched to points by what their masks are.

The column ``pattern`` is needed; ``model``, ``sparsity``, ``ratios``, ``match`` and ``level`` count where the file has
them. Nothing is interpolated: a point that the file does not name has no accuracy.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gatherline.request_error import RequestError
from gatherline.sweep.quantity import shown
from patterns.base import PatternError
from patterns.catalog import parse_pattern
from patterns.names import nearest

MATCHED = ("model", "pattern", "sparsity", "ratios", "match", "level")
NEEDED = ("pattern",)
MODEL_FILES = (".onnx", ".pt2", ".safetensors")
_LARGEST_BYTES = 1 << 24  # of a table that a person made
_LONGEST_LEVEL = 9  # digits
_DIGITS = 6  # to which sparsities are compared
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """``by``: the columns that are matched. ``table``: (their texts, the accuracy)."""

    file: str
    column: str
    by: tuple[str, ...]
    table: Mapping[Key, float]

    def of(self, row: Mapping[str, object]) -> float | None:
        """Return the accuracy of a row of a sweep, None where the file does not name its masks."""
        return self.table.get(tuple(_text(name, row.get(_ROW.get(name, name))) for name in self.by))


_ROW = {"sparsity": "sparsity_target"}  # where a row calls it otherwise


def read_accuracy(path: Path, column: str, where: str) -> Accuracy:
    """Read the table of a user. ``where``: what to call it in an error. Raises RequestError, naming file and line."""
    rows = _rows(path, where)
    if not rows:
        raise RequestError(f"{path}: it is empty, and must have a line of column names")
    header = [name.strip() for name in rows[0][1]]
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise RequestError(f"{path}: column {twice!r} is there twice")
    for name in (*NEEDED, column):
        if name not in header:
            raise RequestError(f"{path}: column {name!r} is missing; {nearest(name, header)}")
    if column in MATCHED:
        raise RequestError(f"{where}.column is {column!r}, which says which point it is, and must be of accuracies")
    by = tuple(name for name in MATCHED if name in header)
    table: dict[Key, float] = {}
    for line, cells in rows[1:]:
        if len(cells) != len(header):
            raise RequestError(f"{path}: line {line} has {len(cells)} cells, and the header {len(header)}")
        entry = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        key = tuple(_checked(name, entry[name], f"{path}: line {line}") for name in by)
        if key in table:
            raise RequestError(f"{path}: line {line} names {', '.join(filter(None, key))} again")
        table[key] = _number(entry[column], f"{path}: line {line}: {column}")
    if not table:
        raise RequestError(f"{path}: it has no line under its column names")
    return Accuracy(file=path.name, column=column, by=by, table=table)


def _rows(path: Path, where: str) -> list[tuple[int, list[str]]]:
    """Return (line, cells) of every line with text."""
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise RequestError(f"{path}: it is larger than {_LARGEST_BYTES} bytes, and no table of accuracies is")
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            return [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except FileNotFoundError:
        raise RequestError(f"{where}.file is {str(path)!r}, and there is no such file") from None
    except (OSError, csv.Error, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, RequestError):
            raise
        raise RequestError(f"{path}: not a readable CSV file: {' '.join(str(error).split())}") from None


def _checked(name: str, text: str, where: str) -> str:
    if name == "pattern":
        try:
            return parse_pattern(text).spelling
        except PatternError as error:
            raise RequestError(f"{where}: {error}") from None
    if name == "sparsity" and text:
        number = _number(text, f"{where}: sparsity")
        if not 0.0 <= number < 1.0:
            raise RequestError(f"{where}: sparsity is {text}, and must be at least 0 and below 1")
        return _text(name, number)
    if name == "level" and text:
        if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_LEVEL):
            raise RequestError(f"{where}: level is {shown(text)}, and must be a whole number of at least 0")
        return str(int(text))
    return _text(name, text)


def _text(name: str, value: object) -> str:
    """Return how a value is compared: no sparsity as a sparsity of 0, the file of a model as its name."""
    if value is None:
        return ""
    if name == "model" and Path(str(value)).suffix in MODEL_FILES:
        return Path(str(value)).stem
    if name == "sparsity" and value != "":
        rounded = round(float(str(value)), _DIGITS)
        return f"{rounded:.{_DIGITS}f}" if rounded else ""
    return str(value)


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RequestError(f"{where} is {shown(text)}, and must be a finite number")
    return number
