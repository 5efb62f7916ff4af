"""A report as files: rows.csv, rows.sqlite, report.json, manifest.json, pictures, and of a run masks.json.

Everything is written into a hidden folder inside the target and then renamed, so that no partial file is ever seen
under a final name. Files of an earlier report are replaced; nothing else in the folder is touched. The same rows give
the same bytes. Left out: appending, other formats.
"""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from gatherline.mask_samples import FILE as MASKS
from gatherline.report.columns import ALL_COLUMNS, COLUMNS, complete_row
from gatherline.report.selection import RowLike, Rows

SCHEMA = 1
PICTURE_KINDS = ("layers", "heatmap", "roofline")  # a picture is named KIND-DEVICE.png
_SQL_TYPES = {"text": "TEXT", "int": "INTEGER", "float": "REAL", "bool": "INTEGER"}


def plain(value: object) -> object:
    """Return ``value`` as strict JSON holds it: no NaN, no infinity (null instead), no NumPy scalars.

    Raises TypeError for a type that JSON cannot hold.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    item = getattr(value, "item", None)  # a NumPy scalar
    if callable(item):
        return plain(item())
    raise TypeError(f"a report holds a value of type {type(value).__name__}, which JSON has no form for")


def report_json(manifest: Mapping[str, object], rows: Rows) -> str:
    """Return one JSON object: schema, manifest and rows as they are, a row on each line, ASCII only."""
    lines = ",\n".join(_strict(row) for row in rows)
    return f'{{"schema": {SCHEMA}, "manifest": {_strict(manifest)}, "rows": [\n{lines}\n]}}\n'


def check_target(folder: Path) -> None:
    """Raise OSError unless ``folder`` is a folder that can be written, or can be made. Makes nothing."""
    for place in (folder, *folder.absolute().parents):
        if place.is_dir():
            if not os.access(place, os.W_OK | os.X_OK):
                raise PermissionError(13, "no permission to write there", str(place))
            break
        if place.exists() or place.is_symlink():
            raise NotADirectoryError(20, "is not a folder, and results are written into one", str(place))


def write_report(
    folder: Path, manifest: Mapping[str, object], rows: Rows, *, pictures: bool = True, masks: str | None = None
) -> list[Path]:
    """Write the report into ``folder`` (made if missing) and return the files, the table first.

    ``masks``: the text of masks.json; one of an earlier run never stays, as it is of other masks. Raises OSError where
    the folder cannot be written; then no file of this report is there.
    """
    check_target(folder)
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    staging = folder / f".gatherline-{os.getpid()}"
    try:
        staging.mkdir()
        names = _write_all(staging, manifest, rows, pictures)
        if masks is not None:
            (staging / MASKS).write_text(masks, encoding="utf-8")
            names.append(MASKS)
        for name in names:
            if (folder / name).is_dir():
                raise IsADirectoryError(21, "is a folder, and a file of that name is to be written", str(folder / name))
        if (folder / MASKS).is_file():
            (folder / MASKS).unlink()
        for name in names:
            os.replace(staging / name, folder / name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if made and not any(folder.iterdir()):
            folder.rmdir()
    return [folder / name for name in names]


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
