"""What ``simulate inspect --out`` writes: layers.csv, inspect.json and a picture of each mask asked for.

All of it is written or nothing (``staging.py``). Left out: nested facts in the CSV (histograms, candidates), which are
in the JSON.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from gatherline.report.files import report_json
from gatherline.report.mask_view import MaskView
from gatherline.report.plain import plain
from gatherline.report.selection import RowLike, Rows
from gatherline.report.staging import write_files

COLUMNS = (
    "model", "layer", "kind", "m", "k", "p", "groups", "macs", "weights", "kept", "density", "obeys", "share", "chance",
    "row_load_min", "row_load_mean", "row_load_max", "row_load_cv",
    "bank_load_min", "bank_load_mean", "bank_load_max", "bank_load_cv",
    "row_bound_bits", "gap_entropy_bits", "pattern", "sparsity_target", "kept_l1", "kept_l2",
    "best_encoding", "best_bytes", "synthetic", "reason",
)  # fmt: skip


def write_inspection(folder: Path, manifest: Mapping[str, object], rows: Rows, masks: Sequence[MaskView]) -> list[Path]:
    """Write the files into ``folder`` (made if missing) and return them. Raises OSError."""
    return write_files(folder, lambda staging: _write_all(staging, manifest, rows, masks))


def _write_all(staging: Path, manifest: Mapping[str, object], rows: Rows, masks: Sequence[MaskView]) -> list[str]:
    with (staging / "layers.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([plain(flat_row(row).get(name)) for name in COLUMNS] for row in rows)
    (staging / "inspect.json").write_text(report_json(manifest, rows), encoding="utf-8")
    names = ["layers.csv", "inspect.json"]
    if masks:
        from gatherline.report.mask_picture import draw_mask

        for view in masks:
            names.append(_free_name(f"mask-{_file_part(view.layer)}", names))
            draw_mask(view, staging / names[-1])
    return names


def flat_row(row: RowLike) -> dict[str, object]:
    """Return a row without nested facts: loads and entropies by name, the best pattern and encoding alone."""
    out = dict(row)
    for name in ("row_load", "bank_load"):
        load = row.get(name)
        for measure in ("min", "mean", "max", "cv"):
            out[f"{name}_{measure}"] = load.get(measure) if isinstance(load, Mapping) else None
    entropy = row.get("index_entropy")
    out |= entropy if isinstance(entropy, Mapping) else {}
    patterns, candidates = row.get("patterns"), row.get("candidates")
    if isinstance(patterns, Mapping) and patterns:
        out["obeys"], out["share"] = next(iter(patterns.items()))
        tried = candidates if isinstance(candidates, list) else []
        out["chance"] = next((entry["chance"] for entry in tried if entry["pattern"] == out["obeys"]), None)
    sizes = row.get("encodings")
    for size in sizes if isinstance(sizes, list) else []:
        if size["best"]:
            out["best_encoding"], out["best_bytes"] = size["encoding"], size["total_bytes"]
    return out


def _file_part(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]", "_", name).strip(".") or "layer"


def _free_name(stem: str, taken: Sequence[str]) -> str:
    """Return a name for a picture: two layers' names may become the same file name."""
    name, turn = f"{stem}.png", 2
    while name.casefold() in {other.casefold() for other in taken}:
        name, turn = f"{stem}-{turn}.png", turn + 1
    return name
