"""The points of a sweep as a table, the best first, and those that were refused by reason.

Left out: columns that a page has no room for, and points beyond the table; ``simulate export`` has all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gatherline.report.measures import scale_of
from gatherline.report.page.sweep_found import FATES, SweepFound, named
from gatherline.report.page.sweep_limits import FULL, Limits
from gatherline.report.page.sweep_tables import (
    Cell,
    Head,
    Table,
    band_text,
    choice_column,
    figure_cells,
    number_cell,
    table_of,
)
from gatherline.report.selection import percent, shortened
from gatherline.sweep.front import Fate

LONGEST = 400  # letters of a reason


def points_table(found: SweepFound, limits: Limits = FULL) -> Table | None:
    """Return the points with numbers, by what became of them and then by the first objective; None without any."""
    fates = np.empty(len(found.points.numbers), dtype=np.int8)
    for part in found.parts:
        fates[np.searchsorted(found.points.numbers, part.points.numbers)] = part.fates
    there = np.flatnonzero(~found.points.refused)
    if not there.size:
        return None
    several = len(found.parts) > 1
    choices = [each for each in named(found.points) if several or each.name != "model"]
    bounds = [each for each in found.constraints if each.name not in {other.name for other in found.objectives}]
    columns = 4 + len(choices) + len(bounds) + len(found.objectives)
    most = max(1, min(limits.points, limits.cells // columns))
    shown = there[_best_first(found, fates, there)][:most].tolist()
    made: list[tuple[Head, Sequence[Cell]]] = [
        (Head(title="point", number=True), [number_cell(int(found.points.numbers[at])) for at in shown])
    ]
    for place, each in enumerate(found.objectives):
        values = found.points.values[shown, place].tolist()
        scale = scale_of(each.name, values)
        made.append((Head(title=scale.label, number=True), figure_cells(scale, values)))
        if each.name == "latency_s":
            made.append(
                (Head(title="error band", mark="nowrap"), [Cell(text=band_text(found.points, at)) for at in shown])
            )
    for choice in choices:
        made.append(choice_column(choice, shown))
        if choice.name == "sparsity_target":
            made.append((Head(title="reached (%)", number=True), _reached(found, shown)))
    for limit in bounds:
        values = found.points.limited[limit.name][shown].tolist()
        scale = scale_of(limit.name, values)
        made.append((Head(title=scale.label, number=True), figure_cells(scale, values)))
    made.append((Head(title="what became of it"), [Cell(text=FATES[Fate(int(fates[at]))]) for at in shown]))
    left = len(there) - len(shown)
    note = f"The first {len(shown):,} of {len(there):,} points with numbers." if left else ""
    if found.repeated:
        are = "is" if found.repeated == 1 else "are"
        same = f"{found.repeated:,} more {are} the same as others: what differs is nothing to the device."
        note = f"{note} {same}".strip()
    return table_of("All points", made, filters="points", note=note)


def _best_first(found: SweepFound, fates: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the order of points: those that can be chosen, then those that break a constraint or lack a figure."""
    values = found.points.values[places, 0]
    signed = -values if found.objectives[0].direction == "max" else values
    rank = np.maximum(fates[places], Fate.DOMINATED)
    return np.lexsort((found.points.numbers[places], np.where(np.isnan(signed), np.inf, signed), rank))


def _reached(found: SweepFound, shown: Sequence[int]) -> list[Cell]:
    fact = found.points.facts["sparsity_reached"]
    cells = []
    for at in shown:
        value = fact.of(at)
        share = float(value) if isinstance(value, int | float) else None
        text = percent(share).removesuffix(" %")
        cells.append(Cell(text=text, value="" if share is None else f"{share:.6g}"))
    return cells


def refused_table(found: SweepFound, limits: Limits = FULL) -> Table | None:
    """Return why points were refused, the commonest reason first; None where none was."""
    if not found.refusals:
        return None
    shown = found.refusals[: limits.reasons]
    rows = []
    for each in shown:
        more = f" (and {each.others:,} with other numbers)" if each.others else ""
        if each.others == 1:  # two are both told
            more = f"; {shortened(each.second, LONGEST)}"
        rows.append(
            (number_cell(each.points), number_cell(each.first), Cell(text=f"{shortened(each.example, LONGEST)}{more}"))
        )
    heads = (Head(title="points", number=True), Head(title="first point", number=True), Head(title="reason"))
    rest = found.refusals[limits.reasons :]
    left = sum(each.points for each in rest)
    note = f"{len(rest):,} more reasons, of {left:,} points: the column refused of an export has them." if rest else ""
    return Table(label="Refused points", heads=heads, rows=tuple(rows), note=note)
