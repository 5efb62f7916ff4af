"""Break-even densities as files: the rows as CSV, rows and curves as JSON, a plot for each device.

All of it is written or nothing (``staging.py``).
"""

from __future__ import annotations

import csv
from pathlib import Path

from gatherline.report.plain import plain
from gatherline.report.selection import Rows
from gatherline.report.staging import write_files


def write_break_even(folder: Path, report: str, rows: Rows) -> list[Path]:
    """Write the files into ``folder`` (made if missing) and return them. ``report``: the JSON. Raises OSError."""
    from gatherline.report.break_even_plot import draw_break_evens

    def fill(staging: Path) -> list[str]:
        names = ["break-even.csv", "break-even.json"]
        with (staging / names[0]).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(rows[0])
            writer.writerows([plain(value) for value in row.values()] for row in rows)
        (staging / names[1]).write_text(report, encoding="utf-8")
        return names + draw_break_evens(rows, staging)

    return write_files(folder, fill)
