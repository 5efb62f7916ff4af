"""The constraints of a sweep on its page: how many points keep each, and which miss it by the least.

Left out: constraints of ``simulate front``'s arguments, which are of one look at a sweep.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gatherline.report.front_table import point_text, within_text
from gatherline.report.page.sweep_found import SweepFound, breaks, lacks, named
from gatherline.report.page.sweep_tables import Cell, Head, Table, figure_text, number_cell
from gatherline.sweep.objective import Constraint, excess_of

MISSES = 3  # of a constraint
FAR = 2.0  # of a bound: misses beyond it are told as multiples


def constraints(found: SweepFound) -> Table | None:
    """Return how many points keep to each constraint, and which miss it by the least; None without constraints or
    points with numbers."""
    refused = found.points.refused
    if not found.constraints or refused.all():
        return None
    rows = []
    kept_all, lacking = ~refused, lacks(found.points)
    for each in found.constraints:
        figures, broken = found.points.limited[each.name], found.points.excess[each.name]
        has = ~refused & ~np.isnan(figures)
        nearest = np.flatnonzero(has & broken & ~lacking)
        rows.append(
            (
                Cell(text=within_text([each]).removeprefix(" with ")),
                number_cell(int(np.count_nonzero(has & ~broken))),
                number_cell(int(np.count_nonzero(has & broken))),
                number_cell(int(np.count_nonzero(~refused & ~has))),
                Cell(text="; ".join(_misses(found, each, nearest)) or "-"),
            )
        )
        kept_all &= has & ~broken
    heads = (
        Head(title="constraint"), Head(title="points that keep it", number=True), Head(title="break it", number=True),
        Head(title="have no figure", number=True), Head(title="nearest misses", mark="wide"),
    )  # fmt: skip
    kept, counted = int(np.count_nonzero(kept_all)), int(np.count_nonzero(~refused))
    note = f"{kept:,} of {counted:,} points with numbers keep to all of them."
    if lacking.any():
        usable = int(np.count_nonzero(kept_all & ~lacking))
        both = int(np.count_nonzero(breaks(found.points) & lacking))
        note += f" {usable:,} of these have all figures that points are chosen by."
        note += f" {both:,} of those that break one lack such a figure, too, and are no nearest miss." if both else ""
    return Table(label="Constraints", heads=heads, rows=tuple(rows), note=note)


def _misses(found: SweepFound, constraint: Constraint, places: NDArray[np.int64]) -> list[str]:
    """Return the points that break a constraint by the least: by how much of the bound, and what they are."""
    figures = found.points.limited[constraint.name]
    beyond = [(excess_of(float(figures[place]), constraint), int(place)) for place in places.tolist()]
    among = named(found.points)
    several = len(found.parts) > 1
    among = [each for each in among if several or each.name != "model"]
    lines: list[str] = []
    for excess, place in sorted(beyond)[:MISSES]:
        figure = figure_text(constraint.name, float(figures[place]))
        text = point_text(found.points, place, among)
        far = f"{100 * excess:.3g} % beyond" if excess < FAR else f"{1 + excess:,.4g} times the bound"
        lines.append(f"{figure} ({far}): {text}, point {int(found.points.numbers[place]):,}")
    return lines
