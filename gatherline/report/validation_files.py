"""A validation as files: lines, points and speed-ups as CSV, the report as JSON, a scatter plot for each device.

All of it is written or nothing (``staging.py``).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from gatherline.report.files import report_json
from gatherline.report.plain import plain
from gatherline.report.selection import Rows
from gatherline.report.staging import write_files


def write_validation(
    folder: Path, manifest: Mapping[str, object], lines: Rows, points: Rows, speed_ups: Rows
) -> list[Path]:
    """Write the files into ``folder`` (made if missing) and return them. Raises OSError."""
    from gatherline.report.validation_plot import draw_scatters

    def fill(staging: Path) -> list[str]:
        names = []
        for name, rows in (("validation", lines), ("points", points), ("speed-ups", speed_ups)):
            if rows:
                names.append(f"{name}.csv")
                _write_csv(staging / names[-1], rows)
        names.append("validation.json")
        (staging / names[-1]).write_text(report_json(manifest, lines), encoding="utf-8")
        return names + draw_scatters(points, staging)

    return write_files(folder, fill)


def _write_csv(path: Path, rows: Rows) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(rows[0])
        writer.writerows([plain(value) for value in row.values()] for row in rows)
