"""Pictures of a sweep's front: objectives against each other, all points and what nothing beats.

Where points are many, of those that look alike one is drawn: what lies under it would not show; members of the front
that lie on one another are counted. Left out: error bands, pictures to turn or zoom.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from gatherline.report.front_lines import parallel_coordinates
from gatherline.report.front_looks import (
    FAINT,
    INK,
    Look,
    colouring,
    is_log,
    knee_label,
    look_handles,
    looks_of,
    plain_settings,
    share,
    title,
)
from gatherline.report.front_table import scales_of
from gatherline.report.measures import Scale, title_of
from gatherline.sweep.front import Choice, Fate, SweepFront

CELLS = 300  # of a panel's width and height: points in one cell are one
TOUCH = 0.018  # of a panel: nearer members of the front hide one another
MOST_COUNTS = 20  # heaps of them that get a number; more would hide the points
PANEL_POINTS = np.array([310.0, 290.0])  # about a panel's size
ENOUGH = 9.0
BESIDE = tuple((dx, dy) for dx in (16, 24, 32) for dy in (9, -9, 14, -14, 0))  # where a heap's number may stand
GRID: dict[str, Any] = {"color": "#dddddd", "linewidth": 0.6}


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


def objectives_plot(found: SweepFront) -> Figure | None:
    """Return the first objective against each other one, all points and the front; None of a single objective."""
    if len(found.objectives) < 2:
        return None
    with matplotlib.rc_context():
        plain_settings()
        panels = len(found.objectives) - 1
        figure = Figure(figsize=(2.6 + 4.6 * min(panels, 3), 4.6), layout="constrained", dpi=120)
        every = figure.subplots(1, panels, squeeze=False)[0]
        scales, choice = scales_of(found), colouring(found)
        looks, heaps = looks_of(choice), False
        for at, axes in enumerate(every, start=1):
            heaps = _panel(axes, found, (0, at), (scales[0], scales[at]), choice, looks) or heaps
        figure.suptitle(f"{title(found)}{_of_panels(found)}", x=0.01, ha="left", fontsize=10)
        handles = _legend(found, choice, looks, heaps=heaps)
        figure.legend(handles=handles, loc="outside right upper", fontsize=8, frameon=False)
        return figure


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
) -> bool:
    """Draw two objectives; return whether members of the front lie on one another there."""
    x, y = (found.points.values[:, at] / scale.factor for at, scale in zip(pair, scales, strict=True))
    drawn = np.isin(found.fates, (Fate.FRONT, Fate.DOMINATED, Fate.INFEASIBLE))
    logs = is_log(x[drawn]), is_log(y[drawn])
    shares = share(x, drawn, logs[0]), share(y, drawn, logs[1])
    infeasible = thinned(np.flatnonzero(found.fates == Fate.INFEASIBLE), *shares)
    axes.scatter(x[infeasible], y[infeasible], s=9, marker="x", color=FAINT, linewidths=0.6, zorder=1)
    for code, look in enumerate(looks):
        of_this = choice.codes == code
        for fate, size, alpha, edge, order in (
            (Fate.DOMINATED, 10, 0.35, "none", 2),
            (Fate.FRONT, 28, 0.9, "black", 4),
        ):
            places = thinned(np.flatnonzero(of_this & (found.fates == fate)), *shares)
            axes.scatter(
                x[places], y[places], s=size, marker=look.marker, color=look.colour, alpha=alpha, edgecolors=edge,
                linewidths=0.6, zorder=order,
            )  # fmt: skip
    if len(found.objectives) == 2:
        axes.plot(*_staircase(found, x, y), color=INK, linewidth=1.0, zorder=3)
    _draw_knee(axes, found, x, y)
    shown = np.column_stack(shares)[list(found.members)]
    heaps = heaps_of(shown)
    _draw_counts(axes, found, heaps, shown, (x, y))
    _draw_bounds(axes, found, pair, scales)
    for axis, log, scale, at in ((axes.xaxis, logs[0], scales[0], pair[0]), (axes.yaxis, logs[1], scales[1], pair[1])):
        _set_axis(axes, axis, log=log)
        better = "more" if found.maximise[at] else "less"
        axis.set_label_text(f"{scale.label}, {better} is better")
    axes.grid(**GRID)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if len(found.objectives) > 2:
        others = [title_of(each.name) for at, each in enumerate(found.objectives) if at not in pair]
        first, second = (title_of(found.objectives[at].name) for at in pair)
        axes.set_title(f"{second} over {first}; {' and '.join(others)} not seen here", loc="left")
    return bool(heaps)


def _of_panels(found: SweepFront) -> str:
    count = len(found.objectives)
    if count == 2:
        return ""
    return f"\neach panel shows two of the {count} objectives: a member that looks beaten in one is better in another"


def heaps_of(places: NDArray[np.float64]) -> list[list[int]]:
    """Return which ``places`` [members, 2], 0 to 1, hide one another, in heaps of two or more, none where too many."""
    heaps: list[list[int]] = []
    for at, place in enumerate(places):
        near = next((heap for heap in heaps if np.abs(places[heap[0]] - place).max() < TOUCH), None)
        if near is None:
            heaps.append([at])
        else:
            near.append(at)
    found = [heap for heap in heaps if len(heap) > 1]
    return found if len(found) <= MOST_COUNTS else []


def _draw_counts(
    axes: Axes, found: SweepFront, heaps: Sequence[Sequence[int]], places: NDArray[np.float64], values: Sequence[Any]
) -> None:
    """Write beside each heap how many members of the front it has, where it hides no member and no other number.

    ``places``: of members in the panel, 0 to 1; ``values``: of all points on both axes.
    """
    taken = [place * PANEL_POINTS for place in places]
    for heap in heaps:
        start = places[heap[0]] * PANEL_POINTS
        offset = max(BESIDE, key=lambda beside: min(_apart(start + beside, other) for other in taken))
        taken.append(start + offset)
        point = found.members[heap[0]]
        axes.annotate(
            f"×{len(heap)}", (values[0][point], values[1][point]), xytext=offset, textcoords="offset points",
            fontsize=8, color=INK, ha="center", va="center", zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.4},
        )  # fmt: skip


def _apart(label: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return how far a label, which is wider than high, is from something, in points; enough is as good as more."""
    if (label < 0.0).any() or (label > PANEL_POINTS).any():
        return 0.0
    return min(ENOUGH, float(np.hypot((label[0] - other[0]) / 1.5, label[1] - other[1])))


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
    axes.scatter(x[point], y[point], s=130, facecolors="none", edgecolors=INK, linewidths=1.2, zorder=5)


def _draw_bounds(axes: Axes, found: SweepFront, pair: tuple[int, int], scales: tuple[Scale, Scale]) -> None:
    for constraint in found.constraints:
        for at, scale, draw in zip(pair, scales, (axes.axvline, axes.axhline), strict=True):
            if found.objectives[at].name != constraint.name:
                continue
            for bound in (constraint.most, constraint.least):
                if bound is not None:
                    draw(bound / scale.factor, color=INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1.5)


def _legend(found: SweepFront, choice: Choice, looks: Sequence[Look], *, heaps: bool) -> list[Line2D]:
    """Return what is drawn: the looks that a point has, the front, the knee, what breaks a constraint."""
    handles = look_handles(found, choice, looks, (Fate.FRONT, Fate.DOMINATED), linestyle="none", markersize=5)
    edge: dict[str, Any] = {"color": INK, "marker": "o", "markerfacecolor": "white", "markersize": 6}
    line: dict[str, Any] = {"linewidth": 1.0} if len(found.objectives) == 2 else {"linestyle": "none"}
    handles.append(Line2D([], [], label="on the front", **edge, **line))
    if heaps:
        handles.append(Line2D([], [], linestyle="none", marker="$\\mathrm{×n}$", color=INK, markeredgewidth=0,
                              markersize=11, label="n of the front on one another"))  # fmt: skip
    if found.count(Fate.DOMINATED):
        handles.append(Line2D([], [], color=FAINT, marker="o", linestyle="none", markersize=3.5, label="dominated"))
    if found.count(Fate.INFEASIBLE):
        handles.append(Line2D([], [], color=FAINT, marker="x", linestyle="none", label="breaks a constraint"))
    if found.knee is not None:
        handles.append(Line2D([], [], color=INK, marker="o", markerfacecolor="none", linestyle="none", markersize=11,
                              label=knee_label(found)))  # fmt: skip
    if any(each.name in {objective.name for objective in found.objectives} for each in found.constraints):
        handles.append(Line2D([], [], color=INK, linewidth=1.0, linestyle=(0, (4, 3)), label="constraint"))
    return handles
