"""Pictures of a sweep's front: objectives against each other, and parallel coordinates over choices and objectives.

Drawn with Agg and Matplotlib's own defaults, so that the same points give the same bytes. Where points are many, of
those that look alike one is drawn: what lies under it would not show. Left out: error bands, pictures to turn or zoom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from gatherline.report.front_table import choice_text, scales_of, within_text
from gatherline.report.measures import Scale, said, scale_of, title_of
from gatherline.report.plots import COLOURS, DENSE_COLOUR, MARKERS, short_name
from gatherline.sweep.front import Choice, Fate, SweepFront

COLOURED_BY = ("pattern", "device", "model", "dtype")  # the first in which points differ
MOST_LOOKS = 12  # entries of a legend; more values and the rest look alike
CELLS = 300  # of a panel's width and height: points in one cell are one
LINES = 600  # dominated points in parallel coordinates
FRONT_LINES = 200
LOG_FROM = 20.0  # largest over smallest, from which an axis is logarithmic
FAINT = "#bdbdbd"
INK = "#222222"
GRID: dict[str, Any] = {"color": "#dddddd", "linewidth": 0.6}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How points of one value of the colouring choice are drawn."""

    label: str
    colour: str
    marker: str


def draw_front(found: SweepFront, folder: Path) -> list[str]:
    """Draw the pictures of a front into ``folder`` and return the files' names."""
    figures: dict[str, Figure | None] = {
        "front.png": objectives_plot(found),
        "front-choices.png": parallel_coordinates(found),
    }
    written = []
    for name, figure in figures.items():
        if figure is not None:
            FigureCanvasAgg(figure).print_png(folder / name, metadata={"Software": None})
            written.append(name)
    return written


def _settings() -> None:
    matplotlib.rcdefaults()
    matplotlib.rcParams.update({"font.size": 9, "axes.titlesize": 10, "figure.titlesize": 11})


def objectives_plot(found: SweepFront) -> Figure | None:
    """Return the first objective against each other one, all points and the front; None of a single objective."""
    if len(found.objectives) < 2:
        return None
    with matplotlib.rc_context():
        _settings()
        panels = len(found.objectives) - 1
        figure = Figure(figsize=(2.6 + 4.6 * min(panels, 3), 4.6), layout="constrained", dpi=120)
        every = figure.subplots(1, panels, squeeze=False)[0]
        scales, choice = scales_of(found), colouring(found)
        looks = looks_of(choice)
        for at, axes in enumerate(every, start=1):
            _panel(axes, found, (0, at), (scales[0], scales[at]), choice, looks)
        figure.suptitle(_title(found), x=0.01, ha="left", fontsize=10)
        handles = _legend(found, choice, looks)
        figure.legend(handles=handles, loc="outside right upper", fontsize=8, frameon=False)
        return figure


def parallel_coordinates(found: SweepFront) -> Figure | None:
    """Return a line for each point over what was chosen and what came of it; None where nothing was to choose."""
    axes_of = [_choice_axis(choice, found) for choice in found.points.varying()]
    if not axes_of:
        return None
    axes_of += [_objective_axis(found, at, scale) for at, scale in enumerate(scales_of(found))]
    with matplotlib.rc_context():
        _settings()
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
        figure.suptitle(f"{_title(found)}\nobjectives have their best end at the top", x=0.01, ha="left", fontsize=10)
        handles = _legend(found, choice, looks, lines=True)
        figure.legend(handles=handles, loc="outside right upper", fontsize=8, frameon=False)
        return figure


def colouring(found: SweepFront) -> Choice:
    """Return the choice that colours tell apart: the pattern, or where it is one, the next in which points differ."""
    varying = {choice.name: choice for choice in found.points.varying()}
    name = next((name for name in COLOURED_BY if name in varying), next(iter(varying), "pattern"))
    return found.points.choices[name]


def looks_of(choice: Choice) -> list[Look]:
    """Return the look of each value of a choice; dense is grey."""
    looks, taken = [], 0
    for value in choice.values:
        if value == "dense":
            looks.append(Look(label="dense", colour=DENSE_COLOUR, marker="o"))
            continue
        colour = COLOURS[taken % len(COLOURS)]
        marker = MARKERS[(taken + taken // len(COLOURS)) % len(MARKERS)]
        looks.append(Look(label=short_name(said(choice.name, value)), colour=colour, marker=marker))
        taken += 1
    return looks


def thinned(places: NDArray[np.int64], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return one of ``places`` for each cell of a grid over the panel; ``x`` and ``y``: of all points, 0 to 1."""
    columns = np.clip((x[places] * CELLS).astype(np.int64), 0, CELLS)
    rows = np.clip((y[places] * CELLS).astype(np.int64), 0, CELLS)
    _, first = np.unique(columns * (CELLS + 1) + rows, return_index=True)
    return np.asarray(places[np.sort(first)])


def _panel(
    axes: Axes,
    found: SweepFront,
    pair: tuple[int, int],
    scales: tuple[Scale, Scale],
    choice: Choice,
    looks: Sequence[Look],
) -> None:
    x, y = (found.points.values[:, at] / scale.factor for at, scale in zip(pair, scales, strict=True))
    drawn = np.isin(found.fates, (Fate.FRONT, Fate.DOMINATED, Fate.INFEASIBLE))
    logs = _is_log(x[drawn]), _is_log(y[drawn])
    shares = _share(x, drawn, logs[0]), _share(y, drawn, logs[1])
    infeasible = thinned(np.flatnonzero(found.fates == Fate.INFEASIBLE), *shares)
    axes.scatter(x[infeasible], y[infeasible], s=9, marker="x", color=FAINT, linewidths=0.6, zorder=1)
    for code, look in enumerate(looks):
        of_this = choice.codes == code
        for fate, size, alpha, edge, order in (
            (Fate.DOMINATED, 10, 0.35, "none", 2),
            (Fate.FRONT, 34, 1.0, "black", 4),
        ):
            places = thinned(np.flatnonzero(of_this & (found.fates == fate)), *shares)
            axes.scatter(
                x[places], y[places], s=size, marker=look.marker, color=look.colour, alpha=alpha, edgecolors=edge,
                linewidths=0.7, zorder=order,
            )  # fmt: skip
    if len(found.objectives) == 2:
        axes.plot(*_staircase(found, x, y), color=INK, linewidth=1.0, zorder=3)
    _draw_knee(axes, found, x, y)
    _draw_bounds(axes, found, pair, scales)
    for axis, log, scale, at in ((axes.xaxis, logs[0], scales[0], pair[0]), (axes.yaxis, logs[1], scales[1], pair[1])):
        _set_axis(axes, axis, log=log)
        better = "more" if found.maximise[at] else "less"
        axis.set_label_text(f"{scale.label}, {better} is better")
    axes.grid(**GRID)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _set_axis(axes: Axes, axis: matplotlib.axis.Axis, *, log: bool) -> None:
    if not log:
        return
    (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _staircase(
    found: SweepFront, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the edge of what the front dominates, in two objectives: between members the worse of both figures."""
    members = np.array(found.members)
    order = members[np.argsort(x[members], kind="stable")]
    before_changes_first = found.maximise[0]  # going right, x is worse if less is better
    corner_y = y[order][1:] if before_changes_first else y[order][:-1]
    corner_x = x[order][:-1] if before_changes_first else x[order][1:]
    xs, ys = np.empty(2 * len(order) - 1), np.empty(2 * len(order) - 1)
    xs[::2], ys[::2] = x[order], y[order]
    xs[1::2], ys[1::2] = corner_x, corner_y
    return xs, ys


def _draw_knee(axes: Axes, found: SweepFront, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    if found.knee is None:
        return
    point = found.members[found.knee]
    axes.scatter(x[point], y[point], s=150, facecolors="none", edgecolors=INK, linewidths=1.4, zorder=5)


def _draw_bounds(axes: Axes, found: SweepFront, pair: tuple[int, int], scales: tuple[Scale, Scale]) -> None:
    for constraint in found.constraints:
        for at, scale, draw in zip(pair, scales, (axes.axvline, axes.axhline), strict=True):
            if found.objectives[at].name != constraint.name:
                continue
            for bound in (constraint.most, constraint.least):
                if bound is not None:
                    draw(bound / scale.factor, color=INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1.5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScaleLine:
    """A vertical axis of parallel coordinates: each point's height from 0 to 1, NaN for none, and labelled heights."""

    title: str
    heights: NDArray[np.float64]
    ticks: tuple[tuple[float, str], ...]


def _choice_axis(choice: Choice, found: SweepFront) -> ScaleLine:
    """Return the values that there are, evenly apart, numbers in their order; labels of some where they are many."""
    kinds = [isinstance(value, int | float) and not isinstance(value, bool) for value in choice.values]
    absent = [value is None for value in choice.values]
    numeric = all(number or none for number, none in zip(kinds, absent, strict=True))
    order = sorted(range(len(choice.values)), key=lambda at: _place(choice.values[at], numeric=numeric, at=at))
    heights = np.empty(len(order))
    heights[order] = np.linspace(0.0, 1.0, len(order)) if len(order) > 1 else 0.5
    step = max(1, math.ceil(len(order) / MOST_LOOKS))
    shown = sorted({*order[::step], order[-1]}, key=order.index)
    numbers = [float(value) for value in choice.values if isinstance(value, int | float)]
    scale = scale_of(choice.name, numbers) if numeric and numbers else None
    texts = {at: _tick_text(choice, at, scale) for at in shown}
    return ScaleLine(
        title=title_of(choice.name) if scale is None else scale.label,
        heights=heights[choice.codes],
        ticks=tuple((float(heights[at]), texts[at]) for at in shown),
    )


def _place(value: object, *, numeric: bool, at: int) -> tuple[bool, float]:
    """Return where a value goes: none first, numbers by size, names as they came."""
    if value is None:
        return (False, 0.0)
    return (True, float(value) if numeric and isinstance(value, int | float) else float(at))


def _tick_text(choice: Choice, at: int, scale: Scale | None) -> str:
    value = choice.values[at]
    if scale is not None and isinstance(value, int | float):
        return scale.short(value)
    return "none" if value is None else short_name(said(choice.name, value), 16)


def _objective_axis(found: SweepFront, at: int, scale: Scale) -> ScaleLine:
    values = found.points.values[:, at]
    drawn = np.isin(found.fates, (Fate.FRONT, Fate.DOMINATED))
    log = _is_log(values[drawn])
    heights = _share(values, drawn, log)
    heights = heights if found.maximise[at] else 1.0 - heights
    low, high = float(values[drawn].min()), float(values[drawn].max())
    marks = np.geomspace(low, high, 5) if log else np.linspace(low, high, 5)
    if low == high:
        marks = marks[:1]
    places = np.linspace(0.0, 1.0, len(marks)) if len(marks) > 1 else np.array([0.5])
    places = places if found.maximise[at] else 1.0 - places
    return ScaleLine(
        title=scale.label,
        heights=heights,
        ticks=tuple((float(place), f"{mark / scale.factor:.3g}") for place, mark in zip(places, marks, strict=True)),
    )


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


def _legend(found: SweepFront, choice: Choice, looks: Sequence[Look], *, lines: bool = False) -> list[Line2D]:
    """Return what is drawn: the looks that a point has, the front, the knee, what breaks a constraint."""
    drawn = np.isin(found.fates, (Fate.FRONT,) if lines else (Fate.FRONT, Fate.DOMINATED))
    codes = np.unique(choice.codes[drawn]).tolist()
    shape: dict[str, Any] = {"linestyle": "-", "linewidth": 1.6} if lines else {"linestyle": "none", "markersize": 5}
    handles = [
        Line2D([], [], color=looks[code].colour, marker="" if lines else looks[code].marker, label=looks[code].label,
               **shape)
        for code in codes[:MOST_LOOKS]
    ]  # fmt: skip
    if len(codes) > MOST_LOOKS:
        handles.append(Line2D([], [], linestyle="none", label=f"and {len(codes) - MOST_LOOKS} more"))
    if lines:
        if found.count(Fate.DOMINATED):
            handles.append(Line2D([], [], color=FAINT, linewidth=1.0, label="dominated"))
        if found.knee is not None:
            handles.append(Line2D([], [], color=INK, linewidth=2.4, label=_knee_label(found)))
        return handles
    ring: dict[str, Any] = {"linestyle": "none", "marker": "o", "markerfacecolor": "none"}
    stair: dict[str, Any] = (
        {"linewidth": 1.0, "linestyle": "-"} if len(found.objectives) == 2 else {"linestyle": "none"}
    )
    handles.append(Line2D([], [], color=INK, marker="o", markerfacecolor="white", markersize=6, label="on the front",
                          **stair))  # fmt: skip
    if found.count(Fate.DOMINATED):
        handles.append(Line2D([], [], color=FAINT, marker="o", linestyle="none", markersize=3.5, label="dominated"))
    if found.count(Fate.INFEASIBLE):
        handles.append(Line2D([], [], color=FAINT, marker="x", linestyle="none", label="breaks a constraint"))
    if found.knee is not None:
        handles.append(Line2D([], [], color=INK, markersize=11, label=_knee_label(found), **ring))
    if any(each.name in {objective.name for objective in found.objectives} for each in found.constraints):
        handles.append(Line2D([], [], color=INK, linewidth=1.0, linestyle=(0, (4, 3)), label="constraint"))
    return handles


def _knee_label(found: SweepFront) -> str:
    """Return the knee with what was chosen for it."""
    assert found.knee is not None
    chosen = choice_text(found, found.members[found.knee], found.points.varying())
    return fill(short_name(f"knee: {chosen}", 90), 28) if chosen else "knee"


def _title(found: SweepFront) -> str:
    feasible = found.count(Fate.FRONT) + found.count(Fate.DOMINATED)
    titles = [title_of(each.name) for each in found.objectives]
    names = " and ".join([", ".join(titles[:-1]), titles[-1]] if len(titles) > 1 else titles)
    head = f"{short_name(found.name, 60)}: {names}{within_text(found.constraints)}"
    return f"{fill(head, 90)}\n{len(found.members):,} points on the front of {feasible:,} feasible"


def _is_log(values: NDArray[np.float64]) -> bool:
    return bool(len(values) and values.min() > 0 and values.max() / values.min() >= LOG_FROM)


def _share(values: NDArray[np.float64], drawn: NDArray[np.bool_], log: bool) -> NDArray[np.float64]:
    """Return where values lie between the least and the largest of those drawn, 0 to 1; half where all are equal."""
    scaled = np.log(np.where(drawn, values, 1.0)) if log else values
    low, high = scaled[drawn].min(), scaled[drawn].max()
    if low == high:
        return np.full(len(values), 0.5)
    return np.asarray(np.where(drawn, (scaled - low) / (high - low), np.nan))
