"""A front as files: front.csv and front.json, the rows of its points, and pictures.

As for a run, everything is staged beside its place and then renamed. Several fronts have a folder each, by model.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from gatherline.report.files import check_target, plain, report_json
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
