"""Parallel coordinates of a front as SVG: a line for each member over what was chosen and what came of it.

Drawn here and not by a script, so that it prints and needs none; its table has the same numbers for keys and readers of
screens. Left out: points that are on no front, and choices in which members do not differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatherline.report.front_looks import colouring, in_order, is_log, looks_of, round_marks, share
from gatherline.report.front_table import differing, point_text, said_of, scales_of
from gatherline.report.measures import Scale, title_of
from gatherline.report.page.sweep_found import named
from gatherline.report.page.sweep_front import colour_of, shown_members
from gatherline.report.page.sweep_tables import figure_text, numbers_scale
from gatherline.report.selection import shortened
from gatherline.sweep.front import Choice, SweepFront

MOST_LINES = 120
MOST_AXES = 9  # with the objectives; the choices that stand first in a row are taken
MOST_TICKS = 10
HEIGHT, TOP, LEFT, BOTTOM = 300, 46, 16, 14  # pixels
LEAST_APART, MOST_APART, WIDTH = 132, 240, 1080  # of axes
TITLE_CHARACTERS, TICK_CHARACTERS = 17, 15


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisLine:
    """An axis: where it stands, its title in lines, and its marks as (y, text)."""

    x: int
    title: tuple[str, ...]
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLine:
    """A member: its line as SVG has it, the variable of its colour, what it is."""

    points: str
    colour: str
    knee: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """``told``: what is left out, "" for nothing."""

    width: int
    height: int
    top: int
    bottom: int
    axes: tuple[AxisLine, ...]
    lines: tuple[MemberLine, ...]
    legend: tuple[tuple[str, str], ...]
    label: str
    told: str

    @property
    def knee(self) -> bool:
        return any(line.knee for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Axis:
    """``heights``: of each place of the front, 0 at the foot to 1."""

    title: str
    heights: NDArray[np.float64]
    ticks: tuple[tuple[float, str], ...]


def parallel(found: SweepFront) -> Parallel | None:
    """Return the lines of the front; None where members are fewer than two or differ in no choice."""
    choices = differing(found)
    if len(found.members) < 2 or not choices:
        return None
    kept = choices[: max(1, MOST_AXES - len(found.objectives))]
    made = [_choice_axis(found, choice) for choice in kept]
    made += [_objective_axis(found, at, scale) for at, scale in enumerate(scales_of(found))]
    coloured = colouring(found)
    looks = looks_of(coloured)
    shown = shown_members(found, MOST_LINES)
    among = named(found.points, without=("model",))
    apart = min(MOST_APART, max(LEAST_APART, WIDTH // len(made)))
    xs = [LEFT + at * apart for at in range(len(made))]
    lines = []
    for place in sorted(shown, key=lambda each: each == found.knee):  # the knee lies on top
        point = found.members[place]
        spots = " ".join(f"{x},{_y(axis.heights[place]):.1f}" for x, axis in zip(xs, made, strict=True))
        colour = colour_of(looks[coloured.codes[point]].colour)
        lines.append(
            MemberLine(
                points=spots, colour=_variable(colour), knee=place == found.knee, text=_text(found, point, among)
            )
        )
    axes = tuple(
        AxisLine(x=x, title=_lines(axis.title), ticks=tuple((_y(height), text) for height, text in axis.ticks))
        for x, axis in zip(xs, made, strict=True)
    )
    used = {int(coloured.codes[found.members[place]]) for place in shown}
    legend = tuple(
        (looks[code].label, _variable(colour_of(looks[code].colour))) for code in in_order(coloured) if code in used
    )
    parts = []
    if len(kept) < len(choices):
        parts.append(f"Not drawn: {', '.join(title_of(choice.name) for choice in choices[len(kept) :])}.")
    if len(shown) < len(found.members):
        parts.append(f"{len(shown):,} of {len(found.members):,} places of the front are drawn, evenly.")
    names = ", ".join(axis.title for axis in made)
    return Parallel(
        width=xs[-1] + LEAST_APART, height=TOP + HEIGHT + BOTTOM, top=TOP, bottom=TOP + HEIGHT, axes=axes,
        lines=tuple(lines), legend=legend, label=f"A line for each of {len(shown):,} places of the front over {names}",
        told=" ".join(parts),
    )  # fmt: skip


def _variable(colour: int | str) -> str:
    return f"--{colour}" if isinstance(colour, str) else f"--c{colour}"


def _y(height: float) -> float:
    return round(TOP + HEIGHT * (1.0 - float(height)), 1)


def _choice_axis(found: SweepFront, choice: Choice) -> _Axis:
    """Return the axis of a choice: its values on the front, evenly apart; many numbers on a scale."""
    codes = choice.codes[list(found.members)]
    used = set(codes.tolist())
    order = [code for code in in_order(choice) if code in used]
    values = [choice.values[code] for code in order]
    scale = numbers_scale(choice.name, values)
    title = title_of(choice.name) if scale is None else scale.label
    if scale is not None and len(order) > MOST_TICKS and None not in values:
        numbers = np.array([float(str(choice.values[code])) for code in codes.tolist()]) / scale.factor
        if np.isfinite(numbers).all():
            return _number_axis(title, numbers, flip=False)
    place = {code: at / max(1, len(order) - 1) if len(order) > 1 else 0.5 for at, code in enumerate(order)}
    step = -(-len(order) // MOST_TICKS)
    ticks = tuple((place[code], _tick(choice, code, scale)) for code in dict.fromkeys([*order[::step], order[-1]]))
    return _Axis(title=title, heights=np.array([place[code] for code in codes.tolist()]), ticks=ticks)


def _tick(choice: Choice, code: int, scale: Scale | None) -> str:
    value = choice.values[code]
    if scale is not None and isinstance(value, int | float):
        return scale.short(value)
    return shortened(said_of(choice, value), TICK_CHARACTERS)


def _objective_axis(found: SweepFront, at: int, scale: Scale) -> _Axis:
    """Return the axis of an objective, its best end at the top."""
    values = found.points.values[list(found.members), at] / scale.factor
    return _number_axis(scale.label, values, flip=not found.maximise[at])


def _number_axis(title: str, values: NDArray[np.float64], *, flip: bool) -> _Axis:
    log = is_log(values)
    low, high = float(values.min()), float(values.max())
    marks = round_marks(low, high, log)
    ends = np.array([low, high, *marks])
    places = share(ends, np.ones(len(ends), dtype=np.bool_), log)[2:].tolist()
    heights = share(values, np.ones(len(values), dtype=np.bool_), log)
    if flip:
        heights, places = 1.0 - heights, [1.0 - place for place in places]
    ticks = tuple((place, f"{mark:,.6g}") for place, mark in zip(places, marks, strict=True))
    return _Axis(title=title, heights=heights, ticks=ticks)


def _lines(title: str) -> tuple[str, ...]:
    """Return a title in two lines at most."""
    if len(title) <= TITLE_CHARACTERS:
        return ("", title)
    cut = max(title.rfind(" ", 0, TITLE_CHARACTERS + 1), title.rfind(".", 0, TITLE_CHARACTERS) + 1)
    cut = cut if cut > 0 else TITLE_CHARACTERS
    return (title[:cut].strip(), shortened(title[cut:].strip(), TITLE_CHARACTERS + 3))


def _text(found: SweepFront, point: int, among: Sequence[Choice]) -> str:
    figures = ", ".join(
        f"{title_of(each.name)} {figure_text(each.name, float(found.points.values[point, at]))}"
        for at, each in enumerate(found.objectives)
    )
    return f"{point_text(found.points, point, among)}: {figures}"
