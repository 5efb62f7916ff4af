"""The table of a calibration: one CSV row for each measurement, the host's facts in one comment line before them.

Written aside and renamed, so that a table is whole or not there. Leaves out: predictions (``compare.py``).
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
from patterns.names import nearest

TITLE = "# gatherline calibration table, schema "
SCHEMA = 1


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
_ABOVE_ZERO = ("median_s", "p10_s", "p90_s")


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
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise CalibrationError(f"{path}: is not text in UTF-8") from None
    if len(lines) < 3 or not lines[0].startswith(TITLE) or not lines[1].startswith("# "):
        raise CalibrationError(f"{path}: line 1 must begin {TITLE!r}, and line 2 hold the manifest")
    if lines[0] != f"{TITLE}{SCHEMA}":
        raise CalibrationError(f"{path}: schema is {lines[0][len(TITLE) :]!r}, and must be {SCHEMA}")
    try:
        manifest = json.loads(lines[1][2:])
    except ValueError as error:
        raise CalibrationError(f"{path}: line 2 is no JSON: {error}") from None
    if not isinstance(manifest, dict):
        raise CalibrationError(f"{path}: line 2 must be a JSON object")
    reader = csv.reader(lines[2:])
    names = next(reader)
    for name in names:
        if name not in COLUMNS:
            raise CalibrationError(f"{path}: column {name} is not known; {nearest(name, COLUMNS)}")
    rows = [_row(path, at, names, cells) for at, cells in enumerate(reader, start=4)]
    return Table(manifest=manifest, rows=tuple(rows))


def _row(path: Path, line: int, names: Sequence[str], cells: Sequence[str]) -> Measurement:
    if len(cells) != len(names):
        raise CalibrationError(f"{path}: line {line} has {len(cells)} cells, and the table {len(names)} columns")
    found: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=True):
        try:
            found[name] = _TYPES[name](cell)
        except ValueError:
            raise CalibrationError(f"{path}: line {line}: {name} is {cell!r}, and must be a number") from None
        if name in _ABOVE_ZERO and not 0 < found[name] < float("inf"):
            raise CalibrationError(f"{path}: line {line}: {name} is {cell}, and must be above 0 seconds")
    try:
        return Measurement(**found)
    except TypeError:
        missing = sorted({"family", "kernel", "device", "dtype", "median_s", "p10_s", "p90_s"} - set(names))
        raise CalibrationError(f"{path}: column {', '.join(missing) or 'samples or calls'} is missing") from None
