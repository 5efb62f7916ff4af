"""What the peak memory of each variant is made of: weights, their indices, live activations, buffers."""

from __future__ import annotations

from gatherline.report.measures import scale_of
from gatherline.report.page.results import DeviceResults, rounded
from gatherline.report.remarks import label
from gatherline.report.selection import RowLike, number

PARTS = (
    ("weight values", "stored values of the weights, padding included"),
    ("indices", "where those values belong: indices and pointers of sparse formats, none of dense"),
    ("activations", "peak of live activations over the schedule"),
    ("buffers", "scratchpads and workspaces"),
)


def memory_section(devices: list[DeviceResults]) -> list[dict[str, object]]:
    """Return a chart of stacked bars and its table for each device whose totals tell their memory."""
    return [found for device in devices if (found := _of_device(device)) is not None]


def parts(row: RowLike) -> tuple[float, ...] | None:
    """Return the bytes of the parts, None where a total lacks one; buffers are what is left of the peak."""
    found = [number(row, name) for name in ("weight_bytes", "index_bytes", "activation_peak_bytes")]
    peak = number(row, "peak_memory_bytes")
    if peak is None or any(one is None for one in found):
        return None
    known = [one or 0.0 for one in found]
    return (*known, max(0.0, peak - sum(known)))


def _of_device(device: DeviceResults) -> dict[str, object] | None:
    split = [(row, found) for row in device.totals if (found := parts(row)) is not None]
    if not split:
        return None
    scale = scale_of("peak_memory_bytes", [sum(found) for _, found in split])
    rows = [
        {
            "label": label(row),
            "values": [rounded(one / scale.factor) for one in found],
            "end": scale.text(sum(found)),
            "tip": f"{label(row)}: {scale.text(sum(found))}\n"
            + "\n".join(f"{name} {scale.text(one)}" for (name, _), one in zip(PARTS, found, strict=True)),
        }
        for row, found in split
    ]
    chart = {
        "kind": "bars",
        "title": f"Peak memory by part on {device.name}",
        "x": {"label": "peak memory", "unit": scale.unit},
        "series": [{"name": name, "colour": place} for place, (name, _) in enumerate(PARTS)],
        "rows": rows,
    }
    table = [
        {"label": label(row), "cells": [(scale.number(one), one) for one in (*found, sum(found))]}
        for row, found in split
    ]
    return {"device": device.name, "chart": chart, "unit": scale.unit, "table": table}
