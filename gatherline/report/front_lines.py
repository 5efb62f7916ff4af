"""A line for each point of a sweep over what was chosen and what came of it: parallel coordinates.

Listed choices stand evenly apart; numbers of which there are many lie on a scale with round marks. Where points are
many, some are drawn. Left out: fields that follow another, which ``front_request.py`` takes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from gatherline.report.figures.style import short_name
from gatherline.report.front_looks import (
    FAINT,
    INK,
    Look,
    colouring,
    in_order,
    is_log,
    is_number,
    knee_label,
    look_handles,
    looks_of,
    plain_settings,
    round_marks,
    share,
    title,
)
from gatherline.report.front_table import scales_of
from gatherline.report.measures import Scale, said, scale_of, title_of
from gatherline.sweep.front import Choice, Fate, SweepFront

MOST_MARKS = 12  # names on an axis; more numbers than that lie on a scale
NONE_BELOW = 0.1  # of a scale's height, under which stand the points that have no number
LINES = 600  # dominated points
FRONT_LINES = 200


def parallel_coordinates(found: SweepFront) -> Figure | None:
    """Return a line for each point over what was chosen and what came of it; None where nothing was to choose."""
    axes_of = [_choice_axis(choice, found) for choice in found.points.varying()]
    if not axes_of:
        return None
    axes_of += [_objective_axis(found, at, scale) for at, scale in enumerate(scales_of(found))]
    with matplotlib.rc_context():
        plain_settings()
        figure = Figure(figsize=(max(7.0, 2.2 + 1.35 * len(axes_of)), 4.8), layout="constrained", dpi=120)
        axes = figure.add_subplot()
        choice = colouring(found)
        looks = looks_of(choice)
        heights = np.column_stack([each.heights for each in axes_of])
        _draw_lines(axes, found, heights, choice, looks)
        for place, each in enumerate(axes_of):
            _draw_scale(axes, place, each)
        axes.set_xlim(-0.35, len(axes_of) - 0.65)
        axes.set_ylim(-0.04, 1.04)
        titles = [fill(each.title, 15, break_long_words=False) for each in axes_of]
        axes.set_xticks(range(len(axes_of)), titles, fontsize=8)
        axes.xaxis.tick_top()
        axes.tick_params(axis="x", length=0, pad=6)
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        figure.suptitle(f"{title(found)}\nobjectives have their best end at the top", x=0.01, ha="left", fontsize=10)
        figure.legend(handles=_legend(found, choice, looks), loc="outside right upper", fontsize=8, frameon=False)
        return figure


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScaleLine:
    """A vertical axis of parallel coordinates: each point's height from 0 to 1, NaN for none, and labelled heights."""

    title: str
    heights: NDArray[np.float64]
    ticks: tuple[tuple[float, str], ...]


def _choice_axis(choice: Choice, found: SweepFront) -> ScaleLine:
    """Return the axis of a choice: a scale for many numbers, else its values evenly apart in their order."""
    numbers = [float(value) for value in choice.values if isinstance(value, int | float) and is_number(value)]
    numeric = bool(numbers) and len(numbers) + (None in choice.values) == len(choice.values)
    scale = scale_of(choice.name, numbers) if numeric else None
    if scale is not None and len(numbers) > MOST_MARKS:
        return _number_axis(choice, scale)
    order = in_order(choice)
    heights = np.empty(len(order))
    heights[order] = np.linspace(0.0, 1.0, len(order)) if len(order) > 1 else 0.5
    step = max(1, -(-len(order) // MOST_MARKS))
    shown = sorted({*order[::step], order[-1]}, key=order.index)
    return ScaleLine(
        title=title_of(choice.name) if scale is None else scale.label,
        heights=heights[choice.codes],
        ticks=tuple((float(heights[at]), _tick_text(choice, at, scale)) for at in shown),
    )


def _number_axis(choice: Choice, scale: Scale) -> ScaleLine:
    """Return the numbers of a choice on a scale with round marks; points without one stand below it."""
    values = np.array([float(value) if isinstance(value, int | float) else np.nan for value in choice.values])
    has = ~np.isnan(values)
    values = values / scale.factor
    log = is_log(values[has])
    foot = 0.0 if has.all() else NONE_BELOW
    heights = np.where(has, foot + (1.0 - foot) * share(values, has, log), 0.0)
    marks = _marks(values[has], log)
    ticks = [(foot + (1.0 - foot) * place, text) for place, text in marks]
    return ScaleLine(
        title=scale.label,
        heights=heights[choice.codes],
        ticks=tuple(ticks if has.all() else [(0.0, "none"), *ticks]),
    )


def _marks(values: NDArray[np.float64], log: bool) -> list[tuple[float, str]]:
    """Return the place of each round number between the ends of ``values``, 0 to 1, and its text."""
    low, high = float(values.min()), float(values.max())
    marks = round_marks(low, high, log)
    if low == high:
        return [(0.5, f"{low:.4g}")]
    ends = np.array([low, high, *marks])
    places = share(ends, np.ones(len(ends), dtype=np.bool_), log)[2:]
    return [(float(place), f"{mark:,.6g}") for place, mark in zip(places, marks, strict=True)]


def _tick_text(choice: Choice, at: int, scale: Scale | None) -> str:
    value = choice.values[at]
    if scale is not None and isinstance(value, int | float):
        return scale.short(value)
    return "none" if value is None else short_name(said(choice.name, value), 16)


def _objective_axis(found: SweepFront, at: int, scale: Scale) -> ScaleLine:
    values = found.points.values[:, at] / scale.factor
    drawn = np.isin(found.fates, (Fate.FRONT, Fate.DOMINATED))
    log = is_log(values[drawn])
    heights = share(values, drawn, log)
    ticks = _marks(values[drawn], log)
    if not found.maximise[at]:
        heights, ticks = 1.0 - heights, [(1.0 - place, text) for place, text in ticks]
    return ScaleLine(title=scale.label, heights=heights, ticks=tuple(ticks))


def _draw_lines(
    axes: Axes, found: SweepFront, heights: NDArray[np.float64], choice: Choice, looks: Sequence[Look]
) -> None:
    places = np.arange(heights.shape[1])
    dominated = np.flatnonzero(found.fates == Fate.DOMINATED)
    dominated = dominated[np.linspace(0, len(dominated) - 1, min(len(dominated), LINES)).astype(np.int64)]
    members = np.array(found.members)
    members = members[np.unique(np.linspace(0, len(members) - 1, min(len(members), FRONT_LINES)).astype(np.int64))]
    for chosen, colours, width, alpha, order in (
        (dominated, FAINT, 0.5, 0.45, 1),
        (members, [looks[code].colour for code in choice.codes[members]], 1.3, 0.9, 2),
    ):
        lines = [np.column_stack([places, heights[point]]) for point in chosen]
        axes.add_collection(LineCollection(lines, colors=colours, linewidths=width, alpha=alpha, zorder=order))
    if found.knee is not None:
        axes.plot(places, heights[found.members[found.knee]], color=INK, linewidth=2.4, zorder=3)


def _draw_scale(axes: Axes, place: int, scale: ScaleLine) -> None:
    axes.plot([place, place], [0, 1], color=INK, linewidth=0.8, zorder=4)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8}
    for height, label in scale.ticks:
        axes.plot([place - 0.02, place + 0.02], [height, height], color=INK, linewidth=0.8, zorder=4)
        axes.text(place + 0.04, height, label, fontsize=7, va="center", ha="left", color=INK, bbox=box, zorder=5)


def _legend(found: SweepFront, choice: Choice, looks: Sequence[Look]) -> list[Line2D]:
    handles = look_handles(found, choice, looks, (Fate.FRONT,), marker="", linestyle="-", linewidth=1.6)
    if found.count(Fate.DOMINATED):
        handles.append(Line2D([], [], color=FAINT, linewidth=1.0, label="dominated"))
    if found.knee is not None:
        handles.append(Line2D([], [], color=INK, linewidth=2.4, label=knee_label(found)))
    return handles
