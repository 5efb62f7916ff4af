"""A front as files: front.csv and front.json, the rows of its points, and pictures.

All files of a front are written or none (``staging.py``). Several fronts have a folder each, by model.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from gatherline.report.files import report_json
from gatherline.report.plain import plain
from gatherline.report.selection import Rows
from gatherline.report.staging import write_files
from gatherline.sweep.front import Fate, SweepFront


def write_front(folder: Path, found: SweepFront, report: str, rows: Rows) -> list[Path]:
    """Write the files into ``folder`` (made if missing) and return them. ``report``: the JSON. Raises OSError."""
    from gatherline.report.front_scatter import draw_front

    def fill(staging: Path) -> list[str]:
        names = ["front.csv", "front.json"]
        with (staging / names[0]).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(rows[0])
            writer.writerows([plain(value) for value in row.values()] for row in rows)
        (staging / names[1]).write_text(report, encoding="utf-8")
        return names + draw_front(found, staging)

    return write_files(folder, fill)


def write_fronts(folder: Path, fronts: Sequence[tuple[SweepFront, Rows]]) -> list[Path]:
    """Write one front into ``folder``, several each into a folder there, and return the files. Raises OSError."""
    if len(fronts) == 1:
        found, rows = fronts[0]
        return write_front(folder, found, report_json(front_manifest(found), rows), rows)
    paths = []
    for place, (found, rows) in enumerate(fronts):
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", found.where["model"][0]).lstrip(".") or f"model{place}"
        paths += write_front(folder / name, found, report_json(front_manifest(found), rows), rows)
    return paths


def fronts_json(fronts: Sequence[tuple[SweepFront, Rows]], without: Sequence[str] = ()) -> str:
    """Return the JSON of one front, or of several: their manifests in a list, and the rows of all."""
    if len(fronts) == 1 and not without:
        return report_json(front_manifest(fronts[0][0]), fronts[0][1])
    manifests = [front_manifest(found) for found, _ in fronts]
    return report_json(
        {"sweep": fronts[0][0].sweep, "fronts": manifests, "without": list(without)},
        [row for _, rows in fronts for row in rows],
    )


def front_manifest(found: SweepFront) -> Mapping[str, object]:
    """Return what ``front.json`` says beside its rows: objectives, constraints, counts, knee and hypervolume."""
    return {
        "sweep": found.sweep,
        "where": {name: list(values) for name, values in found.where.items()},
        "objectives": {each.name: each.direction for each in found.objectives},
        "constraints": {each.name: {"least": each.least, "most": each.most} for each in found.constraints},
        "points": {fate.name.lower(): found.count(fate) for fate in Fate},
        "knee": None if found.knee is None else int(found.points.numbers[found.members[found.knee]]),
        "hypervolume": found.volume,
        "hypervolume_share": found.volume_share,
        "reference": list(found.reference),
    }
