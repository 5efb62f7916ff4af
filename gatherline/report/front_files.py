"""A front as files: front.csv and front.json, the rows of its points, and pictures.

As for a run, everything is staged beside its place and then renamed.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from gatherline.report.files import check_target, plain
from gatherline.report.selection import Rows
from gatherline.sweep.front import Fate, SweepFront


def write_front(folder: Path, found: SweepFront, report: str, rows: Rows) -> list[Path]:
    """Write the files into ``folder`` (made if missing) and return them. ``report``: the JSON. Raises OSError."""
    from gatherline.report.front_scatter import draw_front

    check_target(folder)
    folder.mkdir(parents=True, exist_ok=True)
    staging = folder / f".gatherline-{os.getpid()}"
    try:
        staging.mkdir()
        names = ["front.csv", "front.json"]
        with (staging / names[0]).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(rows[0])
            writer.writerows([plain(value) for value in row.values()] for row in rows)
        (staging / names[1]).write_text(report, encoding="utf-8")
        names += draw_front(found, staging)
        for name in names:
            os.replace(staging / name, folder / name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return [folder / name for name in names]


def front_manifest(found: SweepFront) -> Mapping[str, object]:
    """Return what ``front.json`` says beside its rows: objectives, constraints, counts, knee and hypervolume."""
    return {
        "sweep": found.name,
        "objectives": {each.name: each.direction for each in found.objectives},
        "constraints": {each.name: {"least": each.least, "most": each.most} for each in found.constraints},
        "points": {fate.name.lower(): found.count(fate) for fate in Fate},
        "knee": None if found.knee is None else int(found.points.numbers[found.members[found.knee]]),
        "hypervolume": found.volume,
        "hypervolume_share": found.volume_share,
        "reference": list(found.reference),
    }
