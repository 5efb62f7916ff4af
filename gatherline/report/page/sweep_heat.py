"""Heat maps of a sweep's page: pattern by sparsity for each model and device, the best over all other choices.

Left out: sweeps whose sparsities were drawn, which fill no grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatherline.report.front_looks import in_order, is_log, share
from gatherline.report.front_table import said_of
from gatherline.report.measures import scale_of
from gatherline.report.page.results import times
from gatherline.report.page.sweep_found import SweepFound, best_of, judged
from gatherline.report.page.sweep_limits import FULL, Limits
from gatherline.report.selection import SAME_SPARSITY, percent, printable
from gatherline.sweep.front import Choice, Points
from gatherline.sweep.objective import Objective

MOST_SPARSITIES = 24  # that stand side by side; drawn ones are more
MOST_PATTERNS = 40
NARROW = 3  # sparsities of a map that has room beside another
MOST_FRAMED = 4  # cells that are equally good; more frames say nothing
STEPS = 4  # of colour, as the style has them
AS_DENSE = 0.01  # of dense's speed


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatCell:
    """``mark``: its class, f1 to f4, the better the higher. ``detail``: what else a reader needs, "" for nothing."""

    text: str
    mark: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap:
    """``rows``: a pattern and its cells. ``note``: what dense comes to."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[HeatCell, ...]], ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMaps:
    """``maps``: those of one model and device stand together, side by side where ``narrow``. ``told``: why there are
    none, or what is left out.
    """

    maps: tuple[tuple[str, tuple[HeatMap, ...]], ...]
    told: str
    narrow: bool = False


def heat_maps(found: SweepFound, limits: Limits = FULL) -> HeatMaps:
    """Return the heat maps of the first two objectives."""
    sparsities = found.points.choices["sparsity_target"]
    levels = [code for code in in_order(sparsities) if sparsities.values[code] is not None]
    patterns = found.points.choices["pattern"]
    if len(levels) * len(patterns.values) < 2 or not levels:
        return HeatMaps(maps=(), told="The sweep has one pattern at one sparsity, so there is no map of them.")
    if len(levels) > MOST_SPARSITIES or len(patterns.values) > MOST_PATTERNS:
        return HeatMaps(
            maps=(), told=f"{len(levels):,} sparsities of {len(patterns.values):,} patterns fill no map of this page."
        )
    pairs = [(part, code) for part in found.parts for code in in_order(part.points.choices["device"])]
    objectives = found.objectives[:2]
    a_pair = len(levels) * len(patterns.values) * len(objectives)
    most = max(1, min(limits.maps, limits.map_cells // a_pair))
    maps = []
    for part, code in pairs[:most]:
        devices = part.points.choices["device"]
        places = np.flatnonzero(devices.codes == code)
        of_this, usable = part.points.at(places), judged(part.fates)[places]
        name = said_of(devices, devices.values[code])
        title = f"{printable(part.model)} on {name}" if len(found.parts) > 1 else name
        drawn = tuple(
            _map(of_this, usable, at, each, [sparsities.values[level] for level in levels])
            for at, each in enumerate(objectives)
        )
        maps.append((title, drawn))
    left = len(pairs) - len(maps)
    told = f"{left:,} more maps are left out: simulate front DIR --where device=NAME shows one device." if left else ""
    return HeatMaps(maps=tuple(maps), told=told, narrow=len(levels) <= NARROW)


def _map(points: Points, usable: NDArray[np.bool_], at: int, objective: Objective, levels: Sequence[object]) -> HeatMap:
    """Return the map of one objective over the points of one model and device."""
    patterns, sparsities = points.choices["pattern"], points.choices["sparsity_target"]
    rows = [code for code in in_order(patterns) if patterns.values[code] != "dense"]
    best = [[_best(points, usable, (pattern, level), at, objective) for level in levels] for pattern in rows]
    figures = [float(points.values[place, at]) for row in best for place, fits, _ in row if place is not None and fits]
    every = [float(points.values[place, at]) for row in best for place, _, _ in row if place is not None]
    reference = _dense(points, at, objective)
    scale = scale_of(objective.name, [*every, *([] if reference is None else [reference])])  # one unit for all
    marks, texts = _marks(figures, objective), dict(zip(every, scale.column(every), strict=True))
    cells = []
    for row in best:
        made = []
        for place, fits, why in row:
            if place is None:
                made.append(HeatCell(text=why, mark="none", detail=""))
                continue
            value = float(points.values[place, at])
            detail = [_reached(points, place, sparsities)]
            if objective.name == "latency_s" and reference and value > 0:
                detail.append(_beside_dense(reference / value))
            detail.append("" if fits else "breaks a constraint")
            words = ", ".join(word for word in detail if word)
            made.append(HeatCell(text=texts[value], mark=marks[value] if fits else "none", detail=words))
        cells.append(tuple(made))
    note = ""
    if reference is not None:
        more = "; x: speed beside it, as dense: within 1 %" if objective.name == "latency_s" else ""
        note = f"Dense: {scale.text(reference)}{more}."
    if len(figures) > 1 and len(set(figures)) == 1:
        note = f"{note} All cells are equal: here neither pattern nor sparsity changes it.".strip()
    word = "most" if objective.direction == "max" else "least"
    return HeatMap(
        title=f"{word} {scale.label}", heads=tuple(percent(_number(level)) for level in levels),
        rows=tuple((said_of(patterns, patterns.values[code]), row) for code, row in zip(rows, cells, strict=True)),
        note=note,
    )  # fmt: skip


def _best(
    points: Points, usable: NDArray[np.bool_], cell: tuple[int, object], at: int, objective: Objective
) -> tuple[int | None, bool, str]:
    """Return the best point of a cell, whether it keeps to the constraints, and a word where there is none."""
    pattern, level = cell
    sparsities = points.choices["sparsity_target"]
    if level not in sparsities.values:
        return None, False, ""
    here = (points.choices["pattern"].codes == pattern) & (sparsities.codes == sparsities.values.index(level))
    kept = best_of(points, np.flatnonzero(here & usable), at, objective.direction)
    if kept is not None:
        return kept, True, ""
    other = best_of(points, np.flatnonzero(here & ~points.refused), at, objective.direction)
    if other is not None:
        broken = any(bool(each[other]) for each in points.excess.values())
        return other, not broken, ""
    if not here.any():
        return None, False, ""
    return None, False, "refused" if points.refused[here].all() else "no figure"


def _marks(figures: Sequence[float], objective: Objective) -> dict[float, str]:
    """Return the class of each figure: a step of colour, and whether it is the best."""
    if not figures:
        return {}
    values = np.array(figures)
    heights = share(values, np.ones(len(values), dtype=np.bool_), is_log(values))
    heights = heights if objective.direction == "max" else 1.0 - heights
    best = float(values.max() if objective.direction == "max" else values.min())
    if values.min() == values.max():
        return dict.fromkeys(figures, "f2")  # all are equal: none is the best
    frame = " best" if np.count_nonzero(values == best) <= MOST_FRAMED else ""
    return {
        value: f"f{min(STEPS, 1 + int(height * STEPS))}{frame if value == best else ''}"
        for value, height in zip(figures, heights.tolist(), strict=True)
    }


def _beside_dense(gain: float) -> str:
    """Return the speed beside dense; what is slower says so."""
    if abs(gain - 1) <= AS_DENSE:
        return "as dense"
    return times(gain) if gain > 1 else f"{times(1 / gain)} slower"


def _dense(points: Points, at: int, objective: Objective) -> float | None:
    patterns = points.choices["pattern"]
    if "dense" not in patterns.values:
        return None
    places = np.flatnonzero((patterns.codes == patterns.values.index("dense")) & ~points.refused)
    best = best_of(points, places, at, objective.direction)
    return None if best is None else float(points.values[best, at])


def _reached(points: Points, place: int, sparsities: Choice) -> str:
    asked, reached = _number(sparsities.of(place)), _number(points.facts["sparsity_reached"].of(place))
    differs = not math.isnan(asked) and not math.isnan(reached) and abs(asked - reached) > SAME_SPARSITY
    return f"reached {100 * reached:.3g} %" if differs else ""


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
