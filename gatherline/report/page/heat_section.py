"""Sparsity by pattern for each device: a table whose cells are coloured by the speed-up over dense.

Blue is faster, orange slower, in four steps each that colour-blind readers tell apart; the number stands in the cell.
"""

from __future__ import annotations

from collections.abc import Sequence

from gatherline.report.headline import ALIKE, DeviceHeadline, Verdict
from gatherline.report.page.results import DeviceResults, measure, patterns_of, sparsities_of, speed_up, times
from gatherline.report.remarks import label, removed_share
from gatherline.report.selection import RowLike, percent, removed, text, variant

STEPS = (ALIKE, 1.25, 2.0, 4.0)  # of a speed-up and, turned over, of a slow-down: where each colour starts
SAME = "same"  # the class of what is as fast as dense
KEY = (
    ("s4", "4× slower and more"),
    ("s3", "2× to 4×"),
    ("s2", "1.25× to 2×"),
    ("s1", "slower"),
    (SAME, "as dense, within 1 %"),
    ("f1", "faster"),
    ("f2", "1.25× to 2×"),
    ("f3", "2× to 4×"),
    ("f4", "4× faster and more"),
)


def heat_section(
    devices: list[DeviceResults], facts: Sequence[DeviceHeadline], titles: dict[str, str]
) -> dict[str, object]:
    """Return a table of cells for each device, by pattern and sparsity, None where a pair was not run."""
    of_device = {one.device: one for one in facts}
    tables = [_table(device, of_device.get(device.name), titles) for device in devices if device.pruned]
    return {"tables": tables, "key": KEY}


def step(factor: float | None) -> str:
    """Return the class of a cell's colour: f1 to f4 for faster, s1 to s4 for slower, "" for unknown."""
    if factor is None or factor <= 0.0:
        return ""
    letter, ratio = ("f", factor) if factor >= 1.0 else ("s", 1.0 / factor)
    reached = sum(ratio >= start for start in STEPS)
    return f"{letter}{reached}" if reached else SAME


def factor_words(factor: float | None) -> str:
    """Return a speed-up; of what is slower than dense by how much, in words; "" where there is none."""
    if factor is None:
        return ""
    if factor == 1.0:
        return "as dense"
    return times(factor) if factor > 1.0 else f"{times(1.0 / factor)} slower"


def _table(device: DeviceResults, found: DeviceHeadline | None, titles: dict[str, str]) -> dict[str, object]:
    cells: dict[tuple[str, float | None], RowLike] = {}
    for row in device.pruned:
        asked = variant(row)
        cells.setdefault((asked.pattern, asked.sparsity), row)
    columns = sparsities_of([device])
    return {
        "device": device.name,
        "title": titles[device.name],
        "dense": "" if device.dense is None else measure(device.dense, "latency_s"),
        "columns": [{"asked": "" if one is None else percent(one)} for one in columns],
        "rows": [
            {
                "pattern": pattern,
                "cells": [_cell(device, cells.get((pattern, one)), found) for one in columns],
            }
            for pattern in patterns_of([device])
        ],
    }


def _cell(device: DeviceResults, row: RowLike | None, found: DeviceHeadline | None) -> dict[str, object] | None:
    """Return a cell. ``best``: the places of the limits within which it is the fastest, or as fast."""
    if row is None:
        return None
    factor, share = speed_up(device.dense, row), removed(row)
    within = () if found is None else found.limits
    return {
        "name": label(row),
        "step": step(factor),
        "factor": factor_words(factor),
        "latency": measure(row, "latency_s"),
        "removed": share,
        "removes": "" if share is None else f"removes {removed_share(share, variant(row).sparsity)}",
        "best": [place for place, one in enumerate(within) if _is_fastest(row, one.verdict)],
        "fastest": _is_fastest(row, found),
        "reason": text(row, "reason"),
    }


def _is_fastest(row: RowLike, found: Verdict | None) -> bool:
    """Return whether a row is the fastest, or as fast, of those that a verdict is about, and dense is not."""
    return found is not None and not found.best_is_dense and any(one is row for one in (found.best, *found.ties))
