"""Latency against peak memory, and against the weights kept: which variants nothing else beats on both.

Variants within 1 % of each other in both are one line of a front, with all their names: what was run tells them apart,
and what will be built does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatherline.report.measures import Scale, measure_unit, scale_of
from gatherline.report.page.results import COLOURS, DeviceResults, patterns_of, rounded
from gatherline.report.remarks import label
from gatherline.report.selection import RowLike, number, text
from gatherline.sweep.pareto import front, knee

ALIKE = 0.01  # of both values
Point = tuple[float, float, RowLike]  # latency, the other value


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """Latency against another column, of which less is better, or more."""

    column: str
    label: str
    more: bool
    text: str


TRADES = (
    Trade(
        column="density", label="density: weights kept, all layers", more=True,
        text="Fewer weights kept usually cost accuracy, which is not modelled: up and to the left is better.",
    ),
    Trade(
        column="peak_memory_bytes", label="peak memory", more=False,
        text="Less of both is better: down and to the left.",
    ),
)  # fmt: skip


def pareto_section(devices: list[DeviceResults]) -> list[dict[str, object]]:
    """Return for each device the charts of both trades with their fronts and knees."""
    order = patterns_of(devices)
    return [
        {"device": device.name, "trades": found}
        for device in devices
        if (found := [one for trade in TRADES if (one := _of_trade(device, trade, order)) is not None])
    ]


def _of_trade(device: DeviceResults, trade: Trade, order: list[str]) -> dict[str, object] | None:
    points = [
        (latency, other, row)
        for row in device.totals
        if (latency := number(row, "latency_s")) is not None and (other := number(row, trade.column)) is not None
    ]
    if len(points) < 2:
        return None
    values, maximise = [[latency, other] for latency, other, _ in points], [False, trade.more]
    members = sorted((int(place) for place in front(values, maximise)), key=lambda place: values[place])
    bend = knee([values[place] for place in members], maximise)
    scales = (scale_of("latency_s", [one[0] for one in values]), _scale(trade, [one[1] for one in values]))
    groups = _alike(points, members)
    chosen = None if bend is None else members[bend]
    lines = [_line(points, group, scales, knee=chosen in group) for group in groups]
    listed = {place for group in groups for place in group}
    return {
        "text": trade.text,
        "title": f"Latency against {trade.label.partition(':')[0]}",
        "chart": _chart(device, trade, order, points, members, scales),
        "columns": (scales[0].label, scales[1].label.partition(":")[0]),
        "members": lines,
        "listed": len(listed),
        "variants": len(points),
        "single": len(groups) == 1,
        "best_at": f"the least latency and the {'most' if trade.more else 'least'} {trade.label.partition(':')[0]}",
        "knee": next((str(line["label"]) for line in lines if line["knee"]), "") if len(groups) > 1 else "",
    }


def alike_names(rows: Sequence[RowLike]) -> str:
    """Return the names of variants as one: patterns that remove the same share side by side, unstructured first."""
    patterns: dict[str, list[str]] = {}  # by what follows the pattern's name
    for row in sorted(rows, key=lambda row: text(row, "pattern") != "unstructured"):  # the least restrictive
        pattern, name = text(row, "pattern"), label(row)
        patterns.setdefault(name.removeprefix(pattern), []).append(pattern)
    return "; ".join(f"{' = '.join(names)}{share}" for share, names in patterns.items())


def _alike(points: Sequence[Point], members: Sequence[int]) -> list[list[int]]:
    """Return the members of a front in groups that are alike, each with the points beside it that are alike too."""
    groups: list[list[int]] = []
    for place in members:
        if not groups or not _close(points[groups[-1][0]], points[place]):
            groups.append([place])
        else:
            groups[-1].append(place)
    seen = set(members)
    for place, point in enumerate(points):
        beside = next((group for group in groups if _close(points[group[0]], point)), None)
        if place not in seen and beside is not None:
            beside.append(place)
    return groups


def _close(one: Point, other: Point) -> bool:
    return all(abs(a - b) <= ALIKE * max(abs(a), abs(b)) for a, b in zip(one[:2], other[:2], strict=True))


def _line(
    points: Sequence[Point], group: Sequence[int], scales: tuple[Scale, Scale], *, knee: bool
) -> dict[str, object]:
    latency, other, _ = points[group[0]]
    return {
        "label": alike_names([points[place][2] for place in sorted(group)]),
        "latency": (scales[0].number(latency), latency),
        "other": (scales[1].number(other), other),
        "knee": knee,
    }


def _scale(trade: Trade, values: list[float]) -> Scale:
    if measure_unit(trade.column) == "share":
        return Scale(title=trade.label, factor=1.0, unit="")
    found = scale_of(trade.column, values)
    return Scale(title=trade.label, factor=found.factor, unit=found.unit)


def _chart(
    device: DeviceResults,
    trade: Trade,
    order: list[str],
    points: list[Point],
    members: list[int],
    scales: tuple[Scale, Scale],
) -> dict[str, object]:
    on_front, names = set(members), list(dict.fromkeys(text(row, "pattern") for _, _, row in points))
    by_name: dict[str, list[list[object]]] = {name: [] for name in names}
    for place, (latency, other, row) in enumerate(points):
        tip = f"{label(row)}\n{scales[0].text(latency)}, {trade.label.partition(':')[0]} {scales[1].text(other)}"
        tip += "\non the front" if place in on_front else "\nbeaten by another"
        by_name[text(row, "pattern")].append(
            [rounded(latency / scales[0].factor), rounded(other / scales[1].factor), tip]
        )
    line = [
        [rounded(points[place][0] / scales[0].factor), rounded(points[place][1] / scales[1].factor), "front"]
        for place in members
    ]
    series: list[dict[str, object]] = [
        {"name": "front", "colour": "dense", "line": True, "marks": False, "points": line}
    ]
    for name, found in by_name.items():
        colour = "dense" if name == "dense" else order.index(name) % COLOURS
        series.append({"name": name, "colour": colour, "line": False, "marks": True, "points": found})
    return {
        "kind": "xy",
        "title": f"Latency against {trade.label.partition(':')[0]} on {device.name}",
        "x": {"label": "latency", "unit": scales[0].unit, "scale": "linear"},
        "y": {"label": trade.label, "unit": scales[1].unit, "scale": "linear"},
        "series": series,
    }
