"""Break-even densities as files: the rows as CSV, rows and curves as JSON, a plot for each device.

As for a run, everything is staged beside its place and then renamed.
"""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

from gatherline.report.files import check_target, plain
from gatherline.report.selection import Rows


def write_break_even(folder: Path, report: str, rows: Rows) -> list[Path]:
    """Write the files into ``folder`` (made if missing) and return them. ``report``: the JSON. Raises OSError."""
    from gatherline.report.break_even_plot import draw_break_evens

    check_target(folder)
    folder.mkdir(parents=True, exist_ok=True)
    staging = folder / f".gatherline-{os.getpid()}"
    try:
        staging.mkdir()
        names = ["break-even.csv", "break-even.json"]
        with (staging / names[0]).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(rows[0])
            writer.writerows([plain(value) for value in row.values()] for row in rows)
        (staging / names[1]).write_text(report, encoding="utf-8")
        names += draw_break_evens(rows, staging)
        for name in names:
            os.replace(staging / name, folder / name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return [folder / name for name in names]
