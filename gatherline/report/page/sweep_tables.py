"""Cells and tables of a sweep's page, and how figures read in them: with units, infinite ones and missing ones told.

Left out: how a table looks and sorts, which is the template's, the style's and ``tables.js``'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gatherline.report.front_table import said_of
from gatherline.report.measures import Scale, scale_of, title_of
from gatherline.sweep.front import Choice, Points

NOT_VALIDATED = "not validated"
FILTERED_FROM = 8  # rows: fewer are seen at a glance


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """``value``: what it sorts by where that is not its text."""

    text: str
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A column: its title, whether its cells are numbers, and else their class in the style: wide, middle or nowrap."""

    title: str
    number: bool = False
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """``filters``: what the filter box says it filters, "" for no box. ``note``: what is not in it."""

    label: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]
    filters: str = ""
    note: str = ""


def figure_text(name: str, value: float) -> str:
    """Return one figure with its unit."""
    return scaled_text(scale_of(name, [value]), value, unit=True)


def scaled_text(scale: Scale, value: float, *, unit: bool = False) -> str:
    """Return a figure on a scale; "-" where there is none, and words for one that no scale holds."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    return scale.text(value) if unit else scale.number(value)


def sortable(value: float) -> str:
    """Return what a column sorts by: "" where there is no figure."""
    if math.isnan(value):
        return ""
    return f"{'-' if value < 0 else ''}Infinity" if math.isinf(value) else f"{value:.7g}"


def figure_cells(scale: Scale, values: Sequence[float]) -> list[Cell]:
    """Return a column of figures on one scale, a whole one with the digits of its neighbours."""
    finite = iter(scale.column([value for value in values if math.isfinite(value)]))
    return [
        Cell(text=next(finite) if math.isfinite(value) else scaled_text(scale, value), value=sortable(value))
        for value in values
    ]


def number_cell(count: int) -> Cell:
    return Cell(text=f"{count:,}", value=str(count))


def choice_column(choice: Choice, places: Sequence[int]) -> tuple[Head, list[Cell]]:
    """Return the column of a choice at some points: numbers on one scale, texts as they are."""
    values = [choice.of(place) for place in places]
    scale = numbers_scale(choice.name, choice.values)
    if scale is None:
        return Head(title=title_of(choice.name)), [Cell(text=said_of(choice, value)) for value in values]
    cells = []
    for value in values:
        known = isinstance(value, int | float)
        text = scale.short(float(value)) if isinstance(value, int | float) else said_of(choice, value)
        cells.append(Cell(text=text, value=sortable(float(value)) if known else ""))  # type: ignore[arg-type]
    return Head(title=scale.label, number=True), cells


def numbers_scale(name: str, values: Iterable[object]) -> Scale | None:
    """Return the scale of a choice whose values are numbers, None for any other."""
    there = [value for value in values if value is not None]
    numbers = [float(value) for value in there if isinstance(value, int | float) and not isinstance(value, bool)]
    return scale_of(name, numbers) if numbers and len(numbers) == len(there) else None


def band_text(points: Points, point: int) -> str:
    """Return the error band of a latency, or that nothing validates it."""
    low, high = (float(bound) for bound in points.bands[point])
    if not (math.isfinite(low) and math.isfinite(high)):
        return NOT_VALIDATED
    scale = scale_of("latency_s", [high])
    return f"{scaled_text(scale, low)} to {scaled_text(scale, high, unit=True)}"


def table_of(label: str, columns: Sequence[tuple[Head, Sequence[Cell]]], *, filters: str = "", note: str = "") -> Table:
    """Return a table of columns."""
    rows = tuple(zip(*(cells for _, cells in columns), strict=True))
    heads = tuple(head for head, _ in columns)
    return Table(label=label, heads=heads, rows=rows, filters=filters if len(rows) > FILTERED_FROM else "", note=note)
