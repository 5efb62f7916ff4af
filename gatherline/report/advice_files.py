"""The files of an answer: its rows as CSV, all of it as JSON, and pictures where there are some.

Everything is staged beside its place and then renamed, so that no partial file has a final name. Columns that hold
mappings are JSON within the CSV.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from gatherline.report.files import check_target, plain
from gatherline.report.selection import Rows

Draw = Callable[[Path], list[str]]  # into a folder; the names of its files


def write_advice(folder: Path, name: str, report: str, rows: Rows, draw: Draw | None = None) -> list[Path]:
    """Write ``name``.csv, ``name``.json and pictures into ``folder`` (made if missing); return them. Raises OSError."""
    check_target(folder)
    folder.mkdir(parents=True, exist_ok=True)
    staging = folder / f".gatherline-{os.getpid()}"
    try:
        staging.mkdir()
        names = [f"{name}.csv", f"{name}.json"]
        with (staging / names[0]).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(rows[0])
            writer.writerows([_cell(value) for value in row.values()] for row in rows)
        (staging / names[1]).write_text(report, encoding="utf-8")
        names += draw(staging) if draw is not None else []
        for one in names:
            os.replace(staging / one, folder / one)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return [folder / one for one in names]


def _cell(value: object) -> object:
    found = plain(value)
    return json.dumps(found, sort_keys=True, allow_nan=False) if isinstance(found, dict | list) else found
