"""The files of an answer: its rows as CSV, all of it as JSON, and pictures where there are some.

All of it is written or nothing (``staging.py``). Columns that hold mappings are JSON within the CSV.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

from gatherline.report.plain import plain
from gatherline.report.selection import Rows
from gatherline.report.staging import Fill, write_files


def write_advice(folder: Path, name: str, report: str, rows: Rows, draw: Fill | None = None) -> list[Path]:
    """Write ``name``.csv, ``name``.json and pictures into ``folder`` (made if missing); return them. Raises OSError."""

    def fill(staging: Path) -> list[str]:
        names = [f"{name}.csv", f"{name}.json"]
        with (staging / names[0]).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(rows[0])
            writer.writerows([_cell(value) for value in row.values()] for row in rows)
        (staging / names[1]).write_text(report, encoding="utf-8")
        return names + (draw(staging) if draw is not None else [])

    return write_files(folder, fill)


def _cell(value: object) -> object:
    found = plain(value)
    return json.dumps(found, sort_keys=True, allow_nan=False) if isinstance(found, dict | list) else found
