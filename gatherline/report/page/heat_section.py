"""Sparsity by pattern for each device: a table whose cells are coloured by the speed-up over dense.

Blue is faster, orange slower, in four steps each that colour-blind readers tell apart; the number stands in the cell.
"""

from __future__ import annotations

from gatherline.report.page.results import DeviceResults, measure, patterns_of, sparsities_of, speed_up, times
from gatherline.report.remarks import density
from gatherline.report.selection import RowLike, number, percent, text, variant

STEPS = (1.01, 1.25, 2.0, 4.0)  # of a speed-up and, turned over, of a slow-down: where each colour starts
KEY = (
    ("s4", "slower, 4× and more"),
    ("s3", "2× to 4×"),
    ("s2", "1.25× to 2×"),
    ("s1", "up to 1.25× slower"),
    ("", "as dense, within 1 %"),
    ("f1", "up to 1.25× faster"),
    ("f2", "1.25× to 2×"),
    ("f3", "2× to 4×"),
    ("f4", "faster, 4× and more"),
)


def heat_section(devices: list[DeviceResults]) -> dict[str, object]:
    """Return a table of cells for each device, by pattern and sparsity, None where a pair was not run."""
    return {"tables": [_table(device) for device in devices if device.pruned], "key": KEY}


def step(factor: float | None) -> str:
    """Return the class of a cell's colour: f1 to f4 for faster, s1 to s4 for slower, "" for neither or unknown."""
    if factor is None or factor <= 0.0:
        return ""
    letter, ratio = ("f", factor) if factor >= 1.0 else ("s", 1.0 / factor)
    reached = sum(ratio >= start for start in STEPS)
    return f"{letter}{reached}" if reached else ""


def _table(device: DeviceResults) -> dict[str, object]:
    cells: dict[tuple[str, float | None], RowLike] = {}
    for row in device.pruned:
        found = variant(row)
        cells.setdefault((found.pattern, found.sparsity), row)
    columns = sparsities_of([device])
    times_of = [number(row, "latency_s") for row in device.pruned]
    least = min((one for one in times_of if one is not None), default=None)
    return {
        "device": device.name,
        "dense": "" if device.dense is None else measure(device.dense, "latency_s"),
        "columns": ["own zeros" if one is None else percent(one) for one in columns],
        "rows": [
            {
                "pattern": pattern,
                "cells": [_cell(device, cells.get((pattern, one)), least) for one in columns],
            }
            for pattern in patterns_of([device])
        ],
    }


def _cell(device: DeviceResults, row: RowLike | None, least: float | None) -> dict[str, object] | None:
    if row is None:
        return None
    factor = speed_up(device.dense, row)
    return {
        "step": step(factor),
        "factor": times(factor) if factor is not None else "",
        "latency": measure(row, "latency_s"),
        "density": density(row),
        "best": number(row, "latency_s") == least,
        "reason": text(row, "reason"),
    }
