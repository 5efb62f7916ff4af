"""What each choice of a sweep does: the best and the middle figure for each of its values, and what it changes where
all other choices are equal.

The last compares pairs, so that no value is blamed for what stands beside it. Left out: what two choices do together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatherline.report.front_looks import in_order
from gatherline.report.front_table import said_of
from gatherline.report.measures import scale_of, title_of
from gatherline.report.page.sweep_found import ModelPart, SweepFound, judged
from gatherline.report.page.sweep_limits import FULL, Limits
from gatherline.report.page.sweep_tables import (
    Cell,
    Head,
    Table,
    figure_cells,
    number_cell,
    numbers_scale,
    sortable,
    table_of,
)
from gatherline.report.selection import printable
from gatherline.sweep.front import Choice, Points

MOST_VALUES = 12  # of a choice in its table; of more, some evenly
MOST_CHARTED = 120  # of a choice in its chart
CHARTED_FROM = 6  # values that are numbers
MOST_OBJECTIVES = 2
OF_MASKS = ("sparsity_target", "ratios", "match", "prune_all")  # what dense does not have
OF_DEVICES = ("clock_hz", "threads", "order", "mapping", "technology")
SAME = 1e-6  # of a ratio: figures that print alike
MOST_PAIRS = 4_000_000  # places of the table that pairs are found in


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What one choice does to one model. ``told``: its largest change in a sentence, "" where no pair tells it."""

    model: str
    title: str
    told: str
    table: Table
    chart: Mapping[str, object] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """Two values of a choice where all else is equal: places in its order, and the figure at ``most`` to ``least``'s.
    ``pairs``: of points with both values, of which the ratio is the median."""

    least: int
    most: int
    ratio: float
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Changes:
    """Ratios of the first objective to that at the first value, all else equal: the middle of each, and how many.
    ``widest``: the two values that differ most, None where no two values have a pair."""

    ratios: tuple[float, ...]  # by the order of values; NaN where there is no pair
    pairs: tuple[int, ...]
    widest: _Pair | None

    @property
    def spread(self) -> float:
        return 1.0 if self.widest is None else self.widest.ratio


def effects(found: SweepFound, limits: Limits = FULL) -> tuple[tuple[Effect, ...], str]:
    """Return the effect of each choice, of each model the largest first, and what is left out."""
    made: list[Effect] = []
    left = 0
    for part in found.parts:
        varying = [choice for choice in part.points.varying() if choice.name != "model"]
        if len(made) >= limits.effects:
            left += len(varying)
            continue
        usable = judged(part.fates) if judged(part.fates).any() else ~part.points.refused
        changes = {
            each.name: _changes(part.points, each, varying, usable, found.objectives[0].direction) for each in varying
        }
        ranked = sorted(varying, key=lambda each: -changes[each.name].spread)
        for choice in ranked:
            if len(made) == limits.effects:
                left += 1
                continue
            made.append(_effect(found, part, choice, changes[choice.name], usable))
    return tuple(made), f"{left:,} more choices are left out." if left else ""


def _changes(
    points: Points, choice: Choice, varying: Sequence[Choice], usable: NDArray[np.bool_], direction: str
) -> _Changes:
    """Return what a choice changes in the first objective, points that are equal in all other choices compared.

    Devices are compared by their best machines, since each has fields of its own; patterns with dense at any sparsity,
    since dense has none.
    """
    order = in_order(choice)
    none = _Changes(ratios=(math.nan,) * len(order), pairs=(0,) * len(order), widest=None)
    values = points.values[:, 0]
    places = np.flatnonzero(usable & np.isfinite(values))
    others = [each for each in varying if each.name != choice.name and not (choice.name == "device" and _own(each))]
    base = _first(choice, order)
    loose = OF_MASKS if choice.values[base] == "dense" else ()
    groups, references = (
        _groups(kept, places) for kept in (others, [each for each in others if each.name not in loose])
    )
    count = int(groups.max()) + 1 if groups.size else 0
    if not count or count * len(order) > MOST_PAIRS:
        return none
    worst, keep = (-np.inf, np.maximum) if direction == "max" else (np.inf, np.minimum)
    table = np.full((count, len(order)), worst)
    keep.at(table, (groups, choice.codes[places]), values[places])
    of_base = choice.codes[places] == base
    first = np.full(int(references.max()) + 1, worst)
    keep.at(first, references[of_base], values[places][of_base])
    beside = np.empty(count)
    beside[groups] = first[references]
    table[:, base] = beside
    ratios, pairs = [], []
    for code in order:
        both = np.isfinite(table[:, code]) & np.isfinite(beside) & (beside != 0)
        pairs.append(0 if code == base else int(np.count_nonzero(both)))
        ratios.append(float(np.median(table[both, code] / beside[both])) if both.any() else math.nan)
    present = set(choice.codes[usable].tolist())
    shown = _shown(choice, order, present)[1]
    return _Changes(
        ratios=tuple(ratios), pairs=tuple(pairs), widest=_widest(table[:, [order[at] for at in shown]], shown)
    )


def _widest(table: NDArray[np.float64], shown: Sequence[int]) -> _Pair | None:
    """Return the two of ``shown`` values that differ most where all else is equal.

    ``table``: the figure of each group and value. Each ratio is over the groups that have both values; pairs of values
    that share few groups beside others may be chance, and are left out.
    """
    found = []
    for one, first in enumerate(shown):
        for other in range(one + 1, len(shown)):
            a, b = table[:, one], table[:, other]
            both = np.isfinite(a) & np.isfinite(b) & (a > 0) & (b > 0)
            if both.any():
                ratio, pairs = float(np.median(a[both] / b[both])), int(np.count_nonzero(both))
                least, most = (shown[other], first) if ratio >= 1 else (first, shown[other])
                found.append(_Pair(least=least, most=most, ratio=max(ratio, 1 / ratio), pairs=pairs))
    enough = max((each.pairs for each in found), default=0) / 2
    return max((each for each in found if each.pairs >= enough), key=lambda each: each.ratio, default=None)


def _shown(choice: Choice, order: Sequence[int], present: set[int]) -> tuple[list[int], list[int]]:
    """Return the places in ``order`` of values that points have, and those that a table shows: all, or some evenly."""
    there = [at for at, code in enumerate(order) if code in present]
    there = [at for at in there if choice.values[order[at]] is not None] or there
    step = np.linspace(0, len(there) - 1, min(len(there), MOST_VALUES)).round().astype(int)
    return there, [there[at] for at in dict.fromkeys(step.tolist())]


def _groups(others: Sequence[Choice], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each place the number of its group: places that are equal in all of ``others`` share one."""
    groups = np.zeros(len(places), dtype=np.int64)
    for other in others:
        _, groups = np.unique(groups * len(other.values) + other.codes[places], return_inverse=True)
    return groups


def _own(choice: Choice) -> bool:
    """Return whether a choice is one that some devices do not have."""
    return choice.name in OF_DEVICES or "." in choice.name or None in choice.values


def _first(choice: Choice, order: Sequence[int]) -> int:
    """Return the value that others are compared with: dense, or the first that is one."""
    dense = [code for code in order if choice.name == "pattern" and choice.values[code] == "dense"]
    there = [code for code in order if choice.values[code] is not None]
    return (dense or there or list(order))[0]


def _effect(found: SweepFound, part: ModelPart, choice: Choice, changes: _Changes, usable: NDArray[np.bool_]) -> Effect:
    order = in_order(choice)
    there, shown = _shown(choice, order, set(choice.codes[usable].tolist()))
    masks = [usable & (choice.codes == order[at]) for at in shown]
    columns: list[tuple[Head, Sequence[Cell]]] = [_values_column(choice, [order[at] for at in shown])]
    columns.append((Head(title="points", number=True), [number_cell(int(mask.sum())) for mask in masks]))
    for at, each in enumerate(found.objectives[:MOST_OBJECTIVES]):
        best, middle = _figures(part.points, masks, at, each.direction)
        scale = scale_of(each.name, [*best, *middle])
        word = "most" if each.direction == "max" else "least"
        columns.append((Head(title=f"{word} {scale.label}", number=True), figure_cells(scale, best)))
        columns.append((Head(title=f"median {scale.label}", number=True), figure_cells(scale, middle)))
    if any(changes.pairs[at] for at in shown):
        base = said_of(choice, choice.values[_first(choice, order)])
        title = f"{title_of(found.objectives[0].name)} to {base}'s"
        columns.append((Head(title=title, number=True), [_ratio_cell(changes.ratios[at]) for at in shown]))
        pairs = [number_cell(changes.pairs[at]) if changes.pairs[at] else Cell(text="-", value="") for at in shown]
        columns.append((Head(title="pairs", number=True), pairs))
    note = f"{len(shown)} of {len(there):,} values, evenly." if len(shown) < len(there) else ""
    model = printable(part.model) if len(found.parts) > 1 else ""
    title = title_of(choice.name)
    return Effect(
        model=model, title=title, told=_told(found, choice, changes.widest, len(shown) > 2),
        table=table_of(f"What {title} does", columns, note=note),
        chart=_chart(found, part, choice, there, usable),
    )  # fmt: skip


def _figures(
    points: Points, masks: Sequence[NDArray[np.bool_]], at: int, direction: str
) -> tuple[list[float], list[float]]:
    """Return the best and the middle figure of each set of points, NaN where there is none."""
    best, middle = [], []
    for mask in masks:
        values = points.values[mask, at]
        values = values[np.isfinite(values)]
        best.append(float(values.max() if direction == "max" else values.min()) if values.size else math.nan)
        middle.append(float(np.median(values)) if values.size else math.nan)
    return best, middle


def _values_column(choice: Choice, codes: Sequence[int]) -> tuple[Head, list[Cell]]:
    scale = numbers_scale(choice.name, choice.values)
    cells = []
    for code in codes:
        value = choice.values[code]
        number = float(value) if scale is not None and isinstance(value, int | float) else None
        text = said_of(choice, value) if scale is None or number is None else scale.short(number)
        cells.append(Cell(text=text, value=None if number is None else sortable(number)))
    return Head(title=title_of(choice.name) if scale is None else scale.label, number=scale is not None), cells


def _ratio_cell(ratio: float) -> Cell:
    return Cell(text="-" if math.isnan(ratio) else f"{_times(ratio, 3)}x", value=sortable(ratio))


def _median(pairs: int) -> str:
    return f"median of {pairs:,} pair{'' if pairs == 1 else 's'}"


def _times(ratio: float, digits: int) -> str:
    """Return a ratio with some digits behind the point, a large one with none."""
    return f"{ratio:.{digits}f}" if ratio < 100 else f"{ratio:,.0f}"


def _told(found: SweepFound, choice: Choice, widest: _Pair | None, several: bool) -> str:
    """Return the two values between which the first objective changes most, in a sentence."""
    if widest is None:
        return ""
    name, pairs = title_of(found.objectives[0].name), _median(widest.pairs)
    if widest.ratio < 1 + SAME:
        return f"It does not change {name} where all else is equal ({pairs})."
    if widest.ratio < 1.001:
        return f"It changes {name} by less than 0.1 % where all else is equal ({pairs})."
    order = in_order(choice)
    low, high = (said_of(choice, choice.values[order[at]]) for at in (widest.least, widest.most))
    ratio = _times(widest.ratio, 2 if widest.ratio >= 1.01 else 3)
    largest = ", its largest change" if several else ""
    return f"All else equal, {name} with {high} is {ratio}x that with {low} ({pairs}){largest}."


def _chart(
    found: SweepFound, part: ModelPart, choice: Choice, there: Sequence[int], usable: NDArray[np.bool_]
) -> Mapping[str, object] | None:
    """Return the best and the middle of the first objective over a choice of numbers; None for few or for names."""
    order = in_order(choice)
    scale = numbers_scale(choice.name, choice.values)
    if scale is None or len(there) < CHARTED_FROM:
        return None
    step = np.linspace(0, len(there) - 1, min(len(there), MOST_CHARTED)).round().astype(int)
    codes = [order[there[at]] for at in dict.fromkeys(step.tolist())]
    objective = found.objectives[0]
    masks = [usable & (choice.codes == code) for code in codes]
    best, middle = _figures(part.points, masks, 0, objective.direction)
    height = scale_of(objective.name, [*best, *middle])
    numbers = [float(str(choice.values[code])) / scale.factor for code in codes]
    name = title_of(choice.name)
    series = [
        {
            "name": word, "colour": colour, "line": True, "marks": True,
            "points": [
                [float(f"{x:.6g}"), float(f"{y / height.factor:.6g}"),
                 f"{name} {said_of(choice, choice.values[code])}: {word} {height.text(y)}"]
                for x, y, code in zip(numbers, values, codes, strict=True) if math.isfinite(y)
            ],
        }
        for word, colour, values in (("best", 0, best), ("median", 1, middle))
    ]  # fmt: skip
    return {
        "kind": "xy", "title": f"{height.title} over {name}",
        "x": {"label": scale.title, "unit": scale.unit, "scale": "linear"},
        "y": {"label": height.title, "unit": height.unit, "scale": "linear"}, "series": series,
    }  # fmt: skip
