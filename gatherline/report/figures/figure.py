"""What every kind of figure takes and gives: the reader's choices, and a picture with its numbers and its caption."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from gatherline.report.figures.style import PAGE_INCHES, THEMES, WIDTH_INCHES, Theme, ThemeName, put_title
from gatherline.report.plain import plain
from gatherline.request_error import RequestError

Cell = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureChoices:
    """What of a folder is drawn, and how. Empty: all there is, or what the kind says it takes.

    ``sparsities``: as asked for, fractions. ``layers``: of a breakdown, the N slowest. ``objectives``: of pareto.
    """

    columns: int = 1
    devices: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    sparsities: tuple[float, ...] = ()
    layer: str | None = None
    layers: int | None = None
    objectives: tuple[str, ...] = ()
    title: bool = True
    theme: ThemeName = "light"

    def __post_init__(self) -> None:
        if not is_whole(self.columns) or self.columns not in WIDTH_INCHES:
            raise RequestError(f"columns is {self.columns!r}, and must be 1 or 2")
        if self.theme not in THEMES:
            raise RequestError(f"theme is {self.theme!r}, and must be {' or '.join(THEMES)}")
        if self.layers is not None and (not is_whole(self.layers) or self.layers < 1):
            raise RequestError(f"layers is {self.layers!r}, and must be a whole number, at least 1")
        if not isinstance(self.title, bool):
            raise RequestError(f"title is {self.title!r}, and must be True or False")
        if self.layer is not None and not isinstance(self.layer, str):
            raise RequestError(f"layer is {self.layer!r}, and must be a name")

    @property
    def look(self) -> Theme:
        return THEMES[self.theme]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """A figure, the numbers that it shows, and a caption. ``header``: names with units, as columns of rows have them.

    ``notes``: what was chosen because the reader did not, and what is left out.
    """

    figure: Figure
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str
    notes: tuple[str, ...] = ()

    def remarks(self) -> tuple[str, ...]:
        """Return the notes, and whether the figure is higher than a page."""
        tall = self.figure.get_figheight() > PAGE_INCHES
        return (*self.notes, *(("higher than a page; fewer devices, patterns or sparsities fit",) if tall else ()))

    def to_csv(self) -> str:
        """Return the numbers as CSV: full digits, an empty cell for what is not known."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.header)
        writer.writerows([plain(value) for value in row] for row in self.rows)
        return text.getvalue()


def is_whole(value: object) -> bool:
    """Return whether a value is a whole number, and no truth."""
    return isinstance(value, int) and not isinstance(value, bool)


def names_of(name: str, given: object) -> tuple[str, ...]:
    """Return an argument that takes names: one, or several. Raises RequestError for what is none."""
    found = (given,) if isinstance(given, str) else _several(name, given, "a name, or several")
    for each in found:
        if not isinstance(each, str):
            raise RequestError(f"{name} has {each!r}, and must have names")
    return tuple(str(each) for each in found)


def fractions_of(name: str, given: object) -> tuple[float, ...]:
    """Return an argument that takes fractions: one, or several. Raises RequestError for what is none."""
    single = isinstance(given, int | float) and not isinstance(given, bool)
    found: tuple[Any, ...] = (given,) if single else _several(name, given, "a fraction, or several")
    for each in found:
        if isinstance(each, bool) or not isinstance(each, int | float) or not 0 <= each <= 1:
            raise RequestError(f"{name} has {each!r}, and must have fractions from 0 to 1")
    return tuple(float(each) for each in found)


def _several(name: str, given: object, rule: str) -> tuple[Any, ...]:
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise RequestError(f"{name} is {given!r}, and must be {rule}")
    return tuple(given)


def titled(figure: Figure, title: str, choices: FigureChoices) -> None:
    """Write the title unless the reader wants none."""
    if choices.title:
        put_title(figure, title, choices.columns)


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence has them: "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
