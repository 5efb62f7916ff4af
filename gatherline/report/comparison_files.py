"""A comparison as files: comparison.json, comparison.csv (every number that moved) and comparison.html.

As for a run, all files are complete before any of them stands under its final name; same input, same bytes.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shutil
from pathlib import Path

from gatherline.comparison.change import Change
from gatherline.comparison.comparison import Comparison
from gatherline.comparison.pair import Pair
from gatherline.comparison.point import DIMENSIONS, layer_of, point_of
from gatherline.comparison.side import Side
from gatherline.report.comparison_broken import broken_text
from gatherline.report.comparison_notes import headlines, notes
from gatherline.report.comparison_words import why
from gatherline.report.plain import plain
from gatherline.report.selection import RowLike
from gatherline.report.staging import check_target

SCHEMA = 1
NAMES = ("comparison.json", "comparison.csv", "comparison.html")
CSV_COLUMNS = ("model", "pattern", "sparsity", "device", "layer", "layer_after", "column", "before", "after", "change",
               "share")  # fmt: skip


def comparison_json(comparison: Comparison) -> str:
    """Return one object of strict JSON; a share that grew from zero is null."""
    changes: dict[int, dict[str, object]] = {}
    texts: dict[int, dict[str, object]] = {}
    for change in comparison.changes:
        changes.setdefault(id(change.pair), {})[change.column] = _numbers(change)
    for pair, name in comparison.text_changes:
        texts.setdefault(id(pair), {})[name] = {"before": pair.before.get(name), "after": pair.after.get(name)}
    found = {
        "schema": SCHEMA,
        "before": _side(comparison.before),
        "after": _side(comparison.after),
        "moved": comparison.moved,
        "headlines": headlines(comparison),
        "notes": notes(comparison),
        "differences": [
            {"path": each.path, "before": each.before, "after": each.after} for each in comparison.differences
        ],
        "totals": [_pair(pair, changes, texts) for pair in comparison.totals],
        "layers": [
            _pair(pair, changes, texts) for pair in comparison.layers if id(pair) in changes or id(pair) in texts
        ],
        "layers_compared": len(comparison.layers),
        "only_before": [_row(row) for row in comparison.pairing.only_before],
        "only_after": [_row(row) for row in comparison.pairing.only_after],
        "left_out_before": [_row(row) for row in comparison.pairing.left_before],
        "left_out_after": [_row(row) for row in comparison.pairing.left_after],
        "rules": [
            {"rule": rule.text, "broken": [broken_text(each) for each in comparison.broken if each.rule == rule]}
            for rule in comparison.rules
        ],
    }
    return json.dumps(plain(found), allow_nan=False, indent=1) + "\n"


def _side(side: Side) -> dict[str, object]:
    return {"name": side.name, "rows": len(side.rows), "snapshot": side.is_snapshot, "manifest": side.manifest}


def _pair(pair: Pair, changes: dict[int, dict[str, object]], texts: dict[int, dict[str, object]]) -> dict[str, object]:
    point: dict[str, object] = {name: getattr(pair.point, name) for name in DIMENSIONS}
    other = point_of(pair.after)
    changed = {f"{name}_after": getattr(other, name) for name in DIMENSIONS if getattr(other, name) != point[name]}
    layer: dict[str, object] = {"layer": pair.layer}
    if layer_of(pair.after) != pair.layer:
        layer["layer_after"] = layer_of(pair.after)
    moved = {"changes": changes.get(id(pair), {}), "texts": texts.get(id(pair), {})}
    return {**point, **changed, **layer, **moved, "why": why(pair)}


def _row(row: RowLike) -> dict[str, object]:
    point = point_of(row)
    names: dict[str, object] = {name: getattr(point, name) for name in DIMENSIONS}
    return {**names, "layer": layer_of(row)}


def _numbers(change: Change) -> dict[str, float | None]:
    share = change.relative
    finite = share if share is not None and math.isfinite(share) else None
    return {"before": change.before, "after": change.after, "change": change.absolute, "share": finite}


def comparison_csv(comparison: Comparison) -> str:
    """Return a line for every number that moved."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for change in comparison.changes:
        pair = change.pair
        names = [getattr(pair.point, name) for name in DIMENSIONS]
        numbers = _numbers(change).values()
        writer.writerow([*names, pair.layer, layer_of(pair.after), change.column, *numbers])
    return stream.getvalue()


def write_comparison(folder: Path, comparison: Comparison) -> list[Path]:
    """Write the three files into ``folder`` (made if missing) and return them. Raises OSError."""
    check_target(folder)
    texts = (comparison_json(comparison), comparison_csv(comparison), comparison.html())
    folder.mkdir(parents=True, exist_ok=True)
    staging = folder / f".gatherline-{os.getpid()}"
    try:
        staging.mkdir()
        for name, text in zip(NAMES, texts, strict=True):
            (staging / name).write_text(text, encoding="utf-8", newline="\n")
            if (folder / name).is_dir():
                raise IsADirectoryError(21, "is a folder, and a file of that name is to be written", str(folder / name))
        for name in NAMES:
            os.replace(staging / name, folder / name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return [folder / name for name in NAMES]


def write_text(path: Path, text: str) -> None:
    """Write one file aside and rename it. Raises OSError."""
    check_target(path.parent)
    if path.is_dir():
        raise IsADirectoryError(21, "is a folder, and a file is to be written", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        aside.write_text(text, encoding="utf-8", newline="\n")
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
