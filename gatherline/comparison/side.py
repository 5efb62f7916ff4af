"""One side of a comparison: rows and manifest of a run's folder, of its report.json, of a snapshot or of a Report.

Files are trusted in nothing (``report_file.py``). Left out: sweeps, which have totals of thousands of points and no
layers; ``simulate front`` and ``export`` read those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatherline.comparison.point import layer_of
from gatherline.comparison.snapshot import MARK, rows_of_snapshot
from gatherline.pipeline_types import Report
from gatherline.report.columns import ALL_COLUMNS
from gatherline.report.selection import RowLike
from gatherline.report_file import REPORT, report_from
from gatherline.request_error import RequestError
from gatherline.result_folder import folder_kind
from gatherline.strict_json import read_json

NUMBERS = tuple(column.name for column in ALL_COLUMNS if column.type in ("int", "float"))
Given = str | Path | Report | Iterable[Mapping[str, object]]
LARGEST = 1e300  # of a number's size: differences and shares of such are still finite
CONFLICT = "<<<<<<< "


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """``name``: as the user gave it. ``columns``: the number columns in which some row has a value."""

    name: str
    manifest: Mapping[str, Any]
    rows: tuple[RowLike, ...]
    columns: frozenset[str]
    is_snapshot: bool = False

    @property
    def stopped(self) -> bool:
        """Whether the run was stopped before its end."""
        return self.manifest.get("complete") is False


def side_of(given: Given, name: str = "report") -> Side:
    """Return the side that a path, a Report or its rows are; ``name`` is of those without a path.

    Raises RequestError naming file, row, column, value and rule, and OSError.
    """
    if isinstance(given, str | Path):
        return _read(Path(given))
    if isinstance(given, Report):
        return made_side(name, given.manifest, given.rows)
    if not isinstance(given, Iterable):
        raise RequestError(f"{name} is {type(given).__name__}, and must be a path, a Report or rows of one")
    return made_side(name, {}, given)


def made_side(name: str, manifest: Mapping[str, Any], rows: Iterable[RowLike], *, is_snapshot: bool = False) -> Side:
    """Return a side of rows that are here. Raises RequestError for no rows, and for a number that is not finite."""
    rows = tuple(rows)
    if not rows:
        raise RequestError(f"{name}: has no rows, and a comparison needs one or more")
    used = set()
    for at, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise RequestError(f"{name}: rows[{at}] is {row!r:.100}, and must be a row of a report")
        for column in NUMBERS:
            value = row.get(column)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
                raise RequestError(
                    f"{name}: rows[{at}]: layer {layer_of(row)!r:.100}: {column} is {_shown(value)}, and must be a "
                    "finite number below 1e300"
                )
            used.add(column)
    return Side(name=name, manifest=manifest, rows=rows, columns=frozenset(used), is_snapshot=is_snapshot)


def _shown(value: object) -> str:
    if isinstance(value, int) and abs(value) >= LARGEST:  # thousands of digits may not be written out
        return "a whole number beyond that"
    return f"{value!r:.100}"


def _read_json(path: Path) -> Any:
    try:
        return read_json(path, "a report that simulate run wrote, and no snapshot")
    except RequestError:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        place = next((at for at, line in enumerate(lines, 1) if line.startswith(CONFLICT)), None)
        if place is None:
            raise
        raise RequestError(
            f"{path}: line {place} is {CONFLICT.strip()}, the mark of a merge conflict: take one side; a snapshot is "
            "then made anew with --gatherline-update"
        ) from None


def _read(path: Path) -> Side:
    if path.is_dir():
        if folder_kind(path) == "sweep":
            raise RequestError(f"{path}: holds a sweep, and compare takes two runs; simulate front {path} compares it")
        path = path / REPORT
        shown = str(path.parent)
    else:
        shown = str(path)
    found = _read_json(path)
    if isinstance(found, dict) and MARK in found:
        manifest, rows = rows_of_snapshot(path, found)
        return made_side(shown, manifest, rows, is_snapshot=True)
    written = report_from(path, found)
    return made_side(shown, written.manifest, written.rows)
