"""The table of a calibration: one CSV row for each measurement, the host's facts in one comment line before them.

Written aside and renamed, so that a table is whole or not there. Leaves out: what a row must hold
(``table_rules.py``), and predictions (``compare.py``).
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from costmodel.calibrate.operators import CalibrationError
from costmodel.calibrate.table_rules import check_row, read_cell, read_manifest
from patterns.names import nearest

TITLE = "# gatherline calibration table, schema "
SCHEMA = 1
FIRST_LINE = 4  # of the rows: title, manifest and columns stand before them


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One measured call.

    ``family``: dense, csr, bsr, ... or memory; ``kernel``: whose loop it was. Products: [m, k] by [k, p]; ``density``:
    the share that was kept; ``slots``: weights stored, padding included. Memory: ``footprint_bytes`` and
    ``moved_bytes`` in a call. ``operands``: "warm" (a call repeats on what the last one left in the caches) or "cold"
    (caches flushed before each). ``core_share``: processor time over wall time.
    """

    family: str
    kernel: str
    device: str
    dtype: str
    pattern: str = ""
    m: int = 0
    k: int = 0
    p: int = 0
    density: float = 1.0
    kept: int = 0
    slots: int = 0
    stored_bytes: int = 0
    footprint_bytes: int = 0
    moved_bytes: int = 0
    threads: int = 1
    operands: str = "warm"
    median_s: float
    p10_s: float
    p90_s: float
    samples: int
    calls: int
    core_share: float = 1.0
    seed: int = 0

    @property
    def spread(self) -> float:
        """Width of the middle four fifths of the samples, as a share of the median."""
        return (self.p90_s - self.p10_s) / self.median_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What one calibration measured, and where, when and with what."""

    manifest: Mapping[str, Any]
    rows: tuple[Measurement, ...]


COLUMNS = tuple(field.name for field in fields(Measurement))
_KINDS: dict[str, type] = {"str": str, "int": int, "float": float}
_TYPES = {field.name: _KINDS[str(field.type)] for field in fields(Measurement)}


def write_text(path: Path, text: str) -> None:
    """Write ``text`` aside and rename it to ``path``."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8", newline="\n")
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def write_table(path: Path, table: Table) -> None:
    """Write ``table`` to ``path``. Raises OSError."""
    write_text(path, table_text(table))


def table_text(table: Table) -> str:
    """Return the file's text: two comment lines, the columns, the rows."""
    out = io.StringIO()
    out.write(f"{TITLE}{SCHEMA}\n# {json.dumps(table.manifest, sort_keys=True, allow_nan=False)}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(getattr(row, name)) for name in COLUMNS] for row in table.rows)
    return out.getvalue()


def _cell(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def read_table(path: Path) -> Table:
    """Return the table in ``path``. Raises CalibrationError, naming line and column; OSError."""
    lines = _text(path).split("\n")  # no other character ends a line of CSV
    if lines[-1] == "":
        lines.pop()
    if len(lines) < FIRST_LINE - 1 or not lines[0].startswith(TITLE) or not lines[1].startswith("# "):
        raise CalibrationError(f"{path}: line 1 must begin {TITLE!r}, and line 2 hold the manifest")
    if lines[0] != f"{TITLE}{SCHEMA}":
        raise CalibrationError(f"{path}: schema is {lines[0][len(TITLE) :]!r:.100}, and must be {SCHEMA}")
    manifest = read_manifest(lines[1][2:], f"{path}: line 2")
    reader = csv.reader(f"{line}\n" for line in lines[2:])  # so that a quoted end of line stays one, and is refused
    try:
        names = next(reader)
        _check_columns(path, names)
        rows = [_row(names, cells, f"{path}: line {reader.line_num + 2}") for cells in reader]
    except csv.Error as error:
        raise CalibrationError(f"{path}: line {reader.line_num + 2} is no CSV: {error}") from None
    return Table(manifest=manifest, rows=tuple(rows))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise CalibrationError(f"{path}: is not text in UTF-8") from None


def _check_columns(path: Path, names: Sequence[str]) -> None:
    for at, name in enumerate(names):
        if name not in COLUMNS:
            raise CalibrationError(f"{path}: line 3: column {name:.100} is not known; {nearest(name[:100], COLUMNS)}")
        if name in names[:at]:
            raise CalibrationError(f"{path}: line 3: column {name} stands there twice")


def _row(names: Sequence[str], cells: Sequence[str], where: str) -> Measurement:
    if len(cells) != len(names):
        raise CalibrationError(f"{where} has {len(cells)} cells, and the table {len(names)} columns")
    found: dict[str, Any] = {
        name: read_cell(name, cell, _TYPES[name], where) for name, cell in zip(names, cells, strict=True)
    }
    check_row(found, where)
    return Measurement(**found)
