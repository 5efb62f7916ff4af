"""One figure against another, of a run's variants or a sweep's points: the front, what it beats, the knee.

A run has a panel for each device, a sweep one for each model. Which way is better, and of a sweep the constraints, are
as ``simulate front`` has them. Where points are many, of those that would cover one another one is drawn. Left out:
error bands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from gatherline.report.columns import COLUMNS
from gatherline.report.figures.chosen import DENSE, chosen_totals, subject, unproven_words
from gatherline.report.figures.figure import Cell, Drawn, FigureChoices, listed, titled
from gatherline.report.figures.labels import name_points
from gatherline.report.figures.style import (
    COLOURS,
    MARKERS,
    POINTS,
    Theme,
    drawing,
    label_below,
    panels,
    safe,
    set_log,
    short_name,
    tidy,
    title_inches,
)
from gatherline.report.front_looks import MOST_LOOKS, Look, colouring, in_order, is_log, looks_of, share
from gatherline.report.front_scatter import heaps_of, thinned
from gatherline.report.measures import Scale, said, scale_of, title_of
from gatherline.report.selection import RowLike, Rows, number, text, unique, variant
from gatherline.request_error import RequestError
from gatherline.sweep.front import DIRECTIONS, Fate, SweepFront
from gatherline.sweep.front_request import FrontRequest, stored_fronts
from gatherline.sweep.objective import DEFAULT_OBJECTIVES
from gatherline.sweep.pareto import front, knee
from patterns.names import nearest

FEW_POINTS = 40  # of a panel: of more, only those on the front are counted where they hide one another
MOST_COUNTS = 12  # of a panel
_AROUND = 3.0  # points: half a mark's size
OF_RUN = ("device", "pattern", "sparsity_target", "sparsity_reached", "density")
OF_SWEEP = ("model", "point", "pattern", "sparsity_target", "sparsity_reached", "device")
LAST = ("fate", "knee")
ON_FRONT, BEATEN, INFEASIBLE = "front", "dominated", "breaks a constraint"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Cloud:
    """The points of a panel. ``looks``: of each point; ``fates``: ON_FRONT, BEATEN or INFEASIBLE; ``told``: for CSV."""

    name: str
    values: NDArray[np.float64]  # [points, 2]
    looks: tuple[Look, ...]
    fates: tuple[str, ...]
    knee: int | None
    told: tuple[tuple[Cell, ...], ...]


def pareto_of_run(rows: Rows, choices: FigureChoices) -> Drawn:
    """Return the totals of a run in two objectives. Raises RequestError for a column that has no numbers."""
    timed = chosen_totals(rows, choices)
    names = _objectives(choices)
    for name in names:
        _check_column(name, timed.rows)
    looks = _looks_of_patterns(unique(text(row, "pattern") for row in timed.rows))
    found = {device: _placed(of, names) for device, of in timed.of.items()}
    clouds = [_run_cloud(device, placed, names, looks) for device, placed in found.items() if placed]
    left = len(timed.rows) - sum(len(placed) for placed in found.values())
    if not clouds:
        raise RequestError(f"no total has both {names[0]} and {names[1]}, and there is nothing to draw")
    notes = (f"{left} totals without both figures are left out",) if left else ()
    return _draw(
        clouds, names, choices, whose=subject(timed.rows), doubt=unproven_words(timed.rows),
        told=OF_RUN, notes=(*notes, *timed.note),
    )  # fmt: skip


def pareto_of_sweep(folder: Path, choices: FigureChoices) -> Drawn:
    """Return the points of the sweep that ran last in ``folder``. Raises RequestError as ``simulate front`` does."""
    where = (
        *(f"device={name}" for name in choices.devices),
        *(f"pattern={name}" for name in choices.patterns),
        *(f"sparsity_target={value:g}" for value in choices.sparsities),
    )
    try:
        found = stored_fronts(FrontRequest(folder=folder, objectives=_objectives(choices), where=where))
    except RequestError as error:
        raise RequestError(_as_asked(str(error))) from error
    fronts = [stored.front for stored in found.fronts]
    varied = _varied(fronts)
    clouds = [_sweep_cloud(each, varied) for each in fronts]
    bands = np.concatenate([each.points.bands for each in fronts])
    doubt = " (not validated)" if np.isnan(bands).all() else " (some not validated)" if np.isnan(bands).any() else ""
    made = any(value for each in fronts for value in each.points.facts["synthetic"].values)
    models = [cloud.name for cloud in clouds]
    whose = f"sweep {fronts[0].sweep}, {listed(models)}{', synthetic weights' if made else ''}"
    return _draw(
        clouds, tuple(each.name for each in fronts[0].objectives), choices, whose=whose, doubt=doubt,
        told=(*OF_SWEEP, *varied), notes=found.without, marks=_marks(fronts, varied),
    )  # fmt: skip


def _as_asked(said_: str) -> str:
    """Return an error of ``simulate front`` in the options of this command."""
    for choice, option in (("device", "--device"), ("pattern", "--pattern"), ("sparsity_target", "--sparsity")):
        said_ = said_.replace(f"--where {choice} is", f"{option} is")
    return said_


def _varied(fronts: Sequence[SweepFront]) -> tuple[str, ...]:
    """Return the choices in which points differ beside those that every sweep has: the fields of the machines."""
    return tuple(unique(one.name for each in fronts for one in each.points.varying() if one.name not in OF_SWEEP))


def _marks(fronts: Sequence[SweepFront], varied: Sequence[str]) -> str:
    """Return what marks tell apart, and what they don't, for the caption."""
    by = colouring(fronts[0]).name
    differ = unique(one.name for each in fronts for one in each.points.varying())
    others = [
        title_of(name) for name in ("pattern", "sparsity_target", "device", *varied) if name in differ and name != by
    ]
    alike = f", points of one mark differ in {listed(others)}" if others else ""
    return f"marks tell the {title_of(by)} apart{alike}; "


def _objectives(choices: FigureChoices) -> tuple[str, str]:
    names = choices.objectives or DEFAULT_OBJECTIVES[:2]
    if len(names) != 2 or names[0] == names[1]:
        raise RequestError(f"objectives are {', '.join(names)}, and a Pareto plot has two that differ")
    return names[0], names[1]


def _check_column(name: str, rows: Sequence[RowLike]) -> None:
    numeric = [one for one in COLUMNS if any(_is_number(row.get(one)) for row in rows)]
    if name not in numeric:
        raise RequestError(
            f"objective is {name!r}, and no total has numbers in a column of that name; {nearest(name, numeric)}"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _looks_of_patterns(patterns: Sequence[str]) -> dict[str, Look]:
    looks = {}
    pruned = [name for name in patterns if name != DENSE]
    for at, name in enumerate(pruned):
        marker = MARKERS[1:][at % (len(MARKERS) - 1)]
        looks[name] = Look(label=short_name(name, 26), colour=COLOURS[at % len(COLOURS)], marker=marker)
    return looks


def _placed(rows: Rows, names: Sequence[str]) -> list[RowLike]:
    """Return the rows with finite figures of both objectives."""
    return [row for row in rows if all(math.isfinite(_figure(row, name)) for name in names)]


def _figure(row: RowLike, name: str) -> float:
    value = number(row, name)
    return math.nan if value is None else float(value)


def _run_cloud(device: str, rows: Sequence[RowLike], names: Sequence[str], looks: dict[str, Look]) -> _Cloud:
    values = np.array([[_figure(row, name) for name in names] for row in rows])
    worse = [DIRECTIONS.get(name, "min") == "max" for name in names]
    members = front(values, worse)
    bend = knee(values[members], worse)
    on = set(members.tolist())
    dense = Look(label=DENSE, colour="dense", marker=MARKERS[0])
    return _Cloud(
        name=device,
        values=values,
        looks=tuple(looks.get(text(row, "pattern"), dense) for row in rows),
        fates=tuple(ON_FRONT if at in on else BEATEN for at in range(len(rows))),
        knee=None if bend is None else int(members[bend]),
        told=tuple(
            (device, text(row, "pattern"), variant(row).sparsity, number(row, "sparsity_reached"),
             number(row, "density"))
            for row in rows
        ),
    )  # fmt: skip


def _sweep_cloud(found: SweepFront, varied: Sequence[str]) -> _Cloud:
    points = found.points
    drawn = np.isin(found.fates, (Fate.FRONT, Fate.DOMINATED, Fate.INFEASIBLE)) & np.isfinite(points.values).all(axis=1)
    shares = [share(points.values[:, at], drawn, is_log(points.values[drawn, at])) for at in (0, 1)]
    kept = {int(point) for fate in (Fate.FRONT, Fate.DOMINATED, Fate.INFEASIBLE)
            for point in thinned(np.flatnonzero(drawn & (found.fates == fate)), shares[0], shares[1])}  # fmt: skip
    bend = None if found.knee is None else found.members[found.knee]
    places = sorted(kept | ({bend} if bend is not None else set()))
    choice = colouring(found)
    looks = looks_of(choice)
    words = {Fate.FRONT: ON_FRONT, Fate.DOMINATED: BEATEN, Fate.INFEASIBLE: INFEASIBLE}
    order = {code: rank for rank, code in enumerate(in_order(choice))}
    rest = Look(label=f"and {len(looks) - MOST_LOOKS} more", colour=COLOURS[0], marker=MARKERS[0])
    reached = points.facts["sparsity_reached"]
    return _Cloud(
        name=" ".join(str(value) for value in points.choices["model"].values),
        values=points.values[places],
        looks=tuple(
            looks[code] if order[code] < MOST_LOOKS else rest for code in choice.codes[places].tolist()
        ),
        fates=tuple(words[Fate(found.fates[place])] for place in places),
        knee=None if bend is None else places.index(bend),
        told=tuple(
            (said("model", points.choices["model"].of(place)), int(points.numbers[place]),
             *(_cell(points.choices[name].of(place)) for name in ("pattern", "sparsity_target")),
             _cell(reached.of(place)),
             *(_cell(points.choices[name].of(place)) for name in ("device", *varied)))
            for place in places
        ),
    )  # fmt: skip


def _cell(value: object) -> Cell:
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _draw(
    clouds: Sequence[_Cloud], names: tuple[str, ...], choices: FigureChoices, *, whose: str, doubt: str,
    told: tuple[str, ...], notes: tuple[str, ...], marks: str = "",
) -> Drawn:  # fmt: skip
    every = np.concatenate([cloud.values for cloud in clouds])
    scales = [scale_of(name, every[:, at].tolist()) for at, name in enumerate(names)]
    title = f"{whose}: {scales[1].title} over {scales[0].title}{doubt}"
    theme = choices.look
    handles = _legend(clouds, theme)
    across = 2 if choices.columns == 1 else 4
    with drawing(theme):
        figure, every_axes = panels(
            choices.columns, len(clouds), 1.9 if choices.columns == 1 else 2.2,
            0.3 + 0.14 * -(-len(handles) // across) + title_inches(title if choices.title else "", choices.columns),
        )  # fmt: skip
        for axes, cloud in zip(every_axes, clouds, strict=True):
            _panel(axes, cloud, names, scales, theme)
            axes.set_title(safe(cloud.name), loc="left", fontsize=POINTS)
        label_below(every_axes, choices.columns, _axis_label(names[0], scales[0]))
        figure.supylabel(_axis_label(names[1], scales[1]), fontsize=POINTS)
        figure.legend(handles=handles, loc="outside lower center", ncols=across, frameon=False, columnspacing=1.0)
        titled(figure, safe(title), choices)
        figure.draw_without_rendering()  # settles the layout, which the numbers' places depend on
        for axes, cloud in zip(every_axes, clouds, strict=True):
            shown = cloud.values / np.array([scale.factor for scale in scales])
            _count_heaps(axes, shown if len(shown) <= FEW_POINTS else shown[np.array(cloud.fates) == ON_FRONT], theme)
    bend = "; the ring is the knee" if any(cloud.knee is not None for cloud in clouds) else ""
    rows = [
        (*cloud.told[at], *cloud.values[at].tolist(), cloud.fates[at], at == cloud.knee)
        for cloud in clouds
        for at in range(len(cloud.values))
    ]
    return Drawn(
        figure=figure,
        header=(*told, *names, *LAST),
        rows=tuple(rows),
        caption=(
            f"{scales[0].title.capitalize()} against {scales[1].title} of {whose}{doubt}, on "
            f"{listed([cloud.name for cloud in clouds])}: {marks}points with a dark edge are on the front, which the "
            f"line joins{bend}; xN beside a point: so many lie there."
        ),
        notes=notes,
    )


def _panel(axes: Any, cloud: _Cloud, names: Sequence[str], scales: Sequence[Scale], theme: Theme) -> None:
    shown = cloud.values / np.array([scale.factor for scale in scales])
    fates = np.array(cloud.fates)
    for look in dict.fromkeys(cloud.looks):
        of_this = np.array([one == look for one in cloud.looks])
        colour = theme.dense if look.colour == "dense" else look.colour
        for fate, size, alpha, edge, order in ((BEATEN, 11, 0.55, "none", 2), (ON_FRONT, 20, 1.0, theme.ink, 4)):
            places = np.flatnonzero(of_this & (fates == fate))
            if len(places):
                axes.scatter(shown[places, 0], shown[places, 1], s=size, marker=look.marker, color=colour, alpha=alpha,
                             edgecolors=edge, linewidths=0.6, zorder=order)  # fmt: skip
    broken = np.flatnonzero(fates == INFEASIBLE)
    if len(broken):
        axes.scatter(shown[broken, 0], shown[broken, 1], s=9, marker="x", color=theme.soft, linewidths=0.6, zorder=1)
    axes.plot(*_stairs(shown[fates == ON_FRONT], names), color=theme.ink, linewidth=0.8, zorder=3)
    if cloud.knee is not None:
        axes.scatter(*shown[cloud.knee], s=70, facecolors="none", edgecolors=theme.ink, linewidths=0.9, zorder=5)
    for axis, column in ((axes.xaxis, shown[:, 0]), (axes.yaxis, shown[:, 1])):
        if is_log(column):
            set_log(axis, float(column.min()) / 1.25, float(column.max()) * 1.25)
        elif column.min() >= 0:
            room = 0.08 * float(column.max() - column.min() or column.max() or 1.0)
            ends = (max(0.0, float(column.min()) - room), float(column.max()) + room)
            (axes.set_xlim if axis is axes.xaxis else axes.set_ylim)(*ends)
    tidy(axes, theme, grid="both")


def _count_heaps(axes: Any, shown: NDArray[np.float64], theme: Theme) -> None:
    """Write beside points that hide one another how many they are, a line to them where the number stands off."""
    if not len(shown):
        return
    everywhere = np.ones(len(shown), dtype=np.bool_)
    places = np.column_stack([share(column, everywhere, is_log(column)) for column in shown.T])
    wanted = [(f"x{len(heap)}", (float(shown[heap[0], 0]), float(shown[heap[0], 1]))) for heap in heaps_of(places)]
    reach = _AROUND * axes.figure.dpi / 72
    taken = [
        (x - reach, y - reach, x + reach, y + reach) for x, y in axes.transData.transform(np.unique(shown, axis=0))
    ]
    name_points(axes, wanted, taken, most=MOST_COUNTS, size=POINTS, colours=(theme.ink, theme.ground))


def _stairs(members: NDArray[np.float64], names: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the edge of what the front dominates: between neighbours the worse of both figures."""
    if not len(members):
        return np.empty(0), np.empty(0)
    ordered = np.unique(members, axis=0)  # equal members are one; by the first objective
    steps_first_up = DIRECTIONS.get(names[0], "min") == "max"
    xs, ys = np.empty(2 * len(ordered) - 1), np.empty(2 * len(ordered) - 1)
    xs[::2], ys[::2] = ordered[:, 0], ordered[:, 1]
    xs[1::2] = ordered[:-1, 0] if steps_first_up else ordered[1:, 0]
    ys[1::2] = ordered[1:, 1] if steps_first_up else ordered[:-1, 1]
    return xs, ys


def _axis_label(name: str, scale: Scale) -> str:
    return safe(f"{scale.label}, {'more' if DIRECTIONS.get(name, 'min') == 'max' else 'less'} is better")


def _legend(clouds: Sequence[_Cloud], theme: Theme) -> list[Line2D]:
    looks = dict.fromkeys(look for cloud in clouds for look in cloud.looks)
    handles = [
        Line2D([], [], linestyle="none", marker=look.marker, markersize=4, label=look.label,
               color=theme.dense if look.colour == "dense" else look.colour)
        for look in looks
    ]  # fmt: skip
    handles.append(Line2D([], [], color=theme.ink, linewidth=0.8, marker="o", markersize=4,
                          markerfacecolor=theme.ground, label="front"))  # fmt: skip
    if any(cloud.knee is not None for cloud in clouds):
        handles.append(Line2D([], [], linestyle="none", marker="o", markersize=8, markerfacecolor="none",
                              color=theme.ink, label="knee"))  # fmt: skip
    if any(INFEASIBLE in cloud.fates for cloud in clouds):
        handles.append(Line2D([], [], linestyle="none", marker="x", markersize=4, color=theme.soft, label=INFEASIBLE))
    return handles
