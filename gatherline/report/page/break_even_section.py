"""Where sparse starts to pay: latency against density for each pattern, beside dense.

A crossing is interpolated, straight, between two levels that were run, and says so. What ``simulate advise`` solved
exactly is told too where its ``break-even.json`` lies in the same folder. Patterns whose points lie within 1 % of each
other are one line of the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gatherline.report.measures import Scale, scale_of
from gatherline.report.page.results import COLOURS, DeviceResults, kept_density, patterns_of, rounded
from gatherline.report.remarks import label
from gatherline.report.selection import RowLike, number, text

ALIKE = 0.01  # of a time, and of a density: no eye tells the curves apart

Point = tuple[float, float, RowLike]  # density, seconds


def break_even_section(
    devices: list[DeviceResults], answers: Sequence[Mapping[str, object]]
) -> list[dict[str, object]]:
    """Return a chart and a table of crossings for each device with sparse rows. ``answers``: rows of advise."""
    order = patterns_of(devices)
    return [_of_device(device, order, answers) for device in devices if device.pruned]


def crossing(points: Sequence[tuple[float, float]], dense_s: float) -> tuple[str, float | None]:
    """Return in words where a pattern starts to be faster than dense, and the density, None where nothing crosses.

    ``points``: (density, seconds) of the levels that were run.
    """
    rising = sorted(points)
    faster = [seconds < dense_s for _, seconds in rising]
    if not any(faster):
        return "never: at no level that was run", None
    if not faster[0]:
        return "some: faster at some levels, not at the sparsest", None
    if all(faster):
        return f"always: at every level that was run, up to density {rising[-1][0]:.3g}", None
    at = faster.index(False)
    (left, left_s), (right, right_s) = rising[at - 1], rising[at]
    found = left + (dense_s - left_s) * (right - left) / (right_s - left_s)
    return f"below about {found:.3g}, between the levels of {left:.3g} and {right:.3g}", found


def _of_device(device: DeviceResults, order: list[str], answers: Sequence[Mapping[str, object]]) -> dict[str, object]:
    seconds = [number(row, "latency_s") or 0.0 for row in device.totals]
    scale = scale_of("latency_s", seconds)
    dense = None if device.dense is None else number(device.dense, "latency_s")
    points = _points(device)
    chart = {
        "kind": "xy",
        "title": f"Latency against density on {device.name}",
        "x": {"label": "density: weights of pruned layers that are kept", "unit": "", "scale": "linear"},
        "y": {"label": "latency", "unit": scale.unit, "scale": "linear"},
        "series": [_series(pattern, order, found, scale) for pattern, found in points.items() if found],
        "levels": _level(device, scale),
    }
    lines = [_line(names, points, device, answers) for names in _alike(points, dense)]
    return {
        "device": device.name,
        "chart": chart,
        "lines": lines,
        "dense": dense is not None,
        "exact": any(line["exact"] for line in lines),
        "unvalidated": [pattern for pattern, found in points.items() if found and not _banded(found)],
    }


def _alike(points: Mapping[str, list[Point]], dense: float | None) -> list[list[str]]:
    """Return patterns in groups of which every point lies where the first one's does, on the same side of dense."""
    groups: list[list[str]] = []
    for pattern, found in points.items():
        same = (group for group in groups if _coincide(points[group[0]], found, dense))
        group = next(same, None)
        if group is None:
            groups.append([pattern])
        else:
            group.append(pattern)
    return groups


def _coincide(one: list[Point], other: list[Point], dense: float | None) -> bool:
    if not one or len(one) != len(other):
        return False
    for (density, seconds, _), (beside, beside_s, _) in zip(one, other, strict=True):
        if abs(density - beside) > ALIKE * density or abs(seconds - beside_s) > ALIKE * seconds:
            return False
        if dense is not None and (seconds < dense) != (beside_s < dense):
            return False
    return _banded(one) == _banded(other)


def _line(
    names: list[str], points: Mapping[str, list[Point]], device: DeviceResults, answers: Sequence[Mapping[str, object]]
) -> dict[str, object]:
    found = points[names[0]]
    dense = None if device.dense is None else number(device.dense, "latency_s")
    exact = {name: words for name in names if (words := _exact(answers, device.name, name))}
    told = list(dict.fromkeys(exact.values()))
    return {
        "pattern": ", ".join(names),
        "levels": len(found),
        "words": "" if dense is None or not found else crossing([one[:2] for one in found], dense)[0],
        "sure": "has an error band" if found and _banded(found) else "not validated",
        "exact": told[0]
        if len(told) == 1 and len(exact) == len(names)
        else "; ".join(f"{name}: {words}" for name, words in exact.items()),
    }


def _banded(points: list[Point]) -> bool:
    return all(number(row, end) is not None for _, _, row in points for end in ("latency_low_s", "latency_high_s"))


def _level(device: DeviceResults, scale: Scale) -> list[dict[str, object]]:
    """Return the line of dense with the ends of its error band, [] where dense was not run."""
    seconds = None if device.dense is None else number(device.dense, "latency_s")
    if device.dense is None or seconds is None:
        return []
    level: dict[str, object] = {"y": rounded(seconds / scale.factor), "label": "dense"}
    low, high = number(device.dense, "latency_low_s"), number(device.dense, "latency_high_s")
    if low is not None and high is not None:
        level |= {"low": rounded(low / scale.factor), "high": rounded(high / scale.factor)}
    return [level]


def _points(device: DeviceResults) -> dict[str, list[Point]]:
    """Return the points of each pattern, densities rising."""
    found: dict[str, list[Point]] = {}
    for row in device.pruned:
        density, seconds = kept_density(row), number(row, "latency_s")
        of_pattern = found.setdefault(text(row, "pattern"), [])
        if density is not None and seconds is not None:
            of_pattern.append((density, seconds, row))
    return {pattern: sorted(points, key=lambda point: point[:2]) for pattern, points in found.items()}


def _series(pattern: str, order: list[str], points: list[Point], scale: Scale) -> dict[str, object]:
    ends = [(number(row, "latency_low_s"), number(row, "latency_high_s")) for _, _, row in points]
    banded = _banded(points)
    series: dict[str, object] = {
        "name": pattern,
        "colour": order.index(pattern) % COLOURS,
        "line": True,
        "marks": True,
        "points": [
            [
                rounded(density),
                rounded(seconds / scale.factor),
                f"{label(row)}: {scale.text(seconds)}, keeps {density:.3g}" + ("" if banded else "\nnot validated"),
            ]
            for density, seconds, row in points
        ],
    }
    if banded:
        series["band"] = [
            [rounded(density), rounded((low or 0.0) / scale.factor), rounded((high or 0.0) / scale.factor)]
            for (density, _, _), (low, high) in zip(points, ends, strict=True)
        ]
    return series


def _exact(answers: Sequence[Mapping[str, object]], device: str, pattern: str) -> str:
    for row in answers:
        if (row.get("layer"), text(row, "device"), text(row, "pattern")) == ("total", device, pattern):
            density = number(row, "density")
            verdict = text(row, "verdict")
            return verdict if density is None else f"{verdict}, density {density:.4g}"
    return ""
