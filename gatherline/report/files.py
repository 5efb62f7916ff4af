"""A report as files: rows.csv, rows.sqlite, report.json, manifest.json, pictures, and of a run masks.json.

All of it is written or nothing (``staging.py``). Files of an earlier report are replaced; nothing else in the folder is
touched. The same rows give the same bytes. Left out: appending, other formats.
"""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from gatherline.mask_samples import FILE as MASKS
from gatherline.report.columns import ALL_COLUMNS, COLUMNS, complete_row
from gatherline.report.plain import plain
from gatherline.report.selection import RowLike, Rows
from gatherline.report.staging import write_files

SCHEMA = 1
PICTURE_KINDS = ("layers", "heatmap", "roofline")  # a picture is named KIND-DEVICE.png
_SQL_TYPES = {"text": "TEXT", "int": "INTEGER", "float": "REAL", "bool": "INTEGER"}


def report_json(manifest: Mapping[str, object], rows: Rows) -> str:
    """Return one JSON object: schema, manifest and rows as they are, a row on each line, ASCII only."""
    lines = ",\n".join(_strict(row) for row in rows)
    return f'{{"schema": {SCHEMA}, "manifest": {_strict(manifest)}, "rows": [\n{lines}\n]}}\n'


def write_report(
    folder: Path, manifest: Mapping[str, object], rows: Rows, *, pictures: bool = True, masks: str | None = None
) -> list[Path]:
    """Write the report into ``folder`` (made if missing) and return the files, the table first.

    ``masks``: the text of masks.json; one of an earlier run never stays, as it is of other masks. Raises OSError where
    the folder cannot be written; then no file of this report is there.
    """

    def fill(staging: Path) -> list[str]:
        names = _write_all(staging, manifest, rows, pictures)
        if masks is not None:
            (staging / MASKS).write_text(masks, encoding="utf-8")
            names.append(MASKS)
        return names

    return write_files(folder, fill, replaced=(MASKS,))


def older_pictures(folder: Path, written: list[Path]) -> list[str]:
    """Return the names of pictures in ``folder`` that an earlier report left there and this one did not replace."""
    found = {path.name for kind in PICTURE_KINDS for path in folder.glob(f"{kind}-*.png")}
    return sorted(found - {path.name for path in written})


def _write_all(staging: Path, manifest: Mapping[str, object], rows: Rows, pictures: bool) -> list[str]:
    _write_csv(staging / "rows.csv", rows)
    _write_sqlite(staging / "rows.sqlite", manifest, rows)
    (staging / "report.json").write_text(report_json(manifest, rows), encoding="utf-8")
    names = ["rows.csv", "rows.sqlite", "report.json"]
    if pictures:
        from gatherline.report.plots import draw_all

        names += draw_all(rows, staging)
    (staging / "manifest.json").write_text(_strict(manifest, indent=2) + "\n", encoding="utf-8")
    return [*names, "manifest.json"]


def _strict(value: object, indent: int | None = None) -> str:
    return json.dumps(plain(value), allow_nan=False, indent=indent)


def _cells(row: RowLike) -> dict[str, object]:
    return {name: plain(value) for name, value in complete_row(row).items()}


def _write_csv(path: Path, rows: Rows) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_cells(row).values() for row in rows)


def _write_sqlite(path: Path, manifest: Mapping[str, object], rows: Rows) -> None:
    columns = ", ".join(f'"{column.name}" {_SQL_TYPES[column.type]}' for column in ALL_COLUMNS)
    places = ", ".join("?" * len(COLUMNS))
    database = sqlite3.connect(path)
    try:
        with database:
            database.execute(f"CREATE TABLE rows ({columns})")
            database.execute("CREATE TABLE manifest (key TEXT PRIMARY KEY, value TEXT)")
            database.executemany(f"INSERT INTO rows VALUES ({places})", [tuple(_cells(row).values()) for row in rows])
            entries = [("schema", str(SCHEMA)), *((key, _strict(value)) for key, value in manifest.items())]
            database.executemany("INSERT INTO manifest VALUES (?, ?)", entries)
    finally:
        database.close()
