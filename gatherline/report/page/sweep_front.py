"""The front of a sweep's page: a chart of two objectives and the members as a table.

Where points are many some are drawn: of those in one cell of a grid one, then evenly; the page says how many. Left out:
objectives beyond the second in the chart, which the table and the parallel coordinates have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gatherline.report.figures.style import COLOURS, DENSE_COLOUR
from gatherline.report.front_looks import MOST_LOOKS, colouring, in_order, is_log, looks_of, share
from gatherline.report.front_scatter import thinned
from gatherline.report.front_table import differing, point_text, said_of, scales_of
from gatherline.report.measures import Scale, scale_of, title_of
from gatherline.report.page.sweep_found import FATES, ModelPart, judged, named
from gatherline.report.page.sweep_limits import FULL, Limits
from gatherline.report.page.sweep_tables import (
    Cell,
    Head,
    Table,
    band_text,
    choice_column,
    figure_cells,
    figure_text,
    number_cell,
    table_of,
)
from gatherline.sweep.front import Choice, Fate, SweepFront
from gatherline.sweep.objective import Constraint

Chart = Mapping[str, object]


def colour_of(colour: str) -> int | str:
    """Return a palette colour as charts name it: its place, or dense."""
    return "dense" if colour == DENSE_COLOUR else COLOURS.index(colour)


def evenly(places: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return at most ``most`` of ``places``, evenly."""
    if len(places) <= most:
        return places
    return np.asarray(places[np.linspace(0, len(places) - 1, most).astype(np.int64)])


def front_chart(found: SweepFront, limits: Limits = FULL, fronts: int = 1) -> tuple[Chart, str]:
    """Return the chart of the first two objectives, and what of the points it leaves out. ``fronts``: in the page."""
    most = max(1, min(limits.drawn, limits.all_drawn // fronts))
    values = found.points.values
    drawn = np.isin(found.fates, (Fate.FRONT, Fate.DOMINATED, Fate.INFEASIBLE)) & np.isfinite(values[:, :2]).all(axis=1)
    scales = [scale_of(each.name, values[drawn, at].tolist()) for at, each in enumerate(found.objectives[:2])]
    logs = [is_log(values[drawn, at]) for at in (0, 1)]
    shares = [share(values[:, at], drawn, log) for at, log in enumerate(logs)]
    x, y = (values[:, at] / scale.factor for at, scale in enumerate(scales))
    choice = colouring(found)
    looks = looks_of(choice)
    among = named(found.points, without=("model",))

    def marks(places: Sequence[int]) -> list[list[object]]:
        return [[_short(x[at]), _short(y[at]), _tip(found, at, among)] for at in places]

    beaten = np.sort(
        np.concatenate(
            [
                thinned(np.flatnonzero((found.fates == Fate.DOMINATED) & (choice.codes == code)), *shares)
                for code in range(len(choice.values))
            ]
        )
    )
    out = thinned(np.flatnonzero(found.fates == Fate.INFEASIBLE), *shares)
    shown = evenly(beaten, most)
    shown_out = evenly(out, max(most - len(shown), most // 6))
    members = [
        found.members[place]
        for place in shown_members(found, max(1, min(limits.line, limits.all_drawn // fronts // 4)))
    ]
    together = np.concatenate([shown, np.array(members, dtype=np.int64)])
    series: list[Chart] = []
    if shown_out.size:
        series.append(_series("breaks a constraint", "broken", marks(shown_out.tolist())))
    order = in_order(choice)
    for code in order[:MOST_LOOKS]:
        of_this = together[choice.codes[together] == code]
        if of_this.size:
            series.append(_series(looks[code].label, colour_of(looks[code].colour), marks(of_this.tolist())))
    rest = together[np.isin(choice.codes[together], order[MOST_LOOKS:])]
    if rest.size:
        series.append(_series(f"{len(order) - MOST_LOOKS} more", "rest", marks(rest.tolist())))
    # last: rings around the points of the front, over all others
    line = len(found.objectives) == 2 and len(members) > 1
    series.append(_series("on the front", "member", marks(members), line=line))
    if found.knee is not None:
        series.append(_series("knee", "knee", marks([found.members[found.knee]])))
    chart = {
        "kind": "xy", "title": f"{title_of(found.objectives[1].name)} over {title_of(found.objectives[0].name)}",
        "x": _axis(scales[0], logs[0], found.maximise[0]), "y": _axis(scales[1], logs[1], found.maximise[1]),
        "series": series, "levels": _levels(found.constraints, found, scales[1]),
    }  # fmt: skip
    return chart, _left_out(found, len(shown), len(shown_out), len(members))


def _axis(scale: Scale, log: bool, more: bool) -> Chart:
    label = f"{scale.title}, {'more' if more else 'less'} is better"
    return {"label": label, "unit": scale.unit, "scale": "log" if log else "linear"}


def _series(name: str, colour: int | str, points: list[list[object]], *, line: bool = False) -> Chart:
    return {"name": name, "colour": colour, "line": line, "marks": True, "points": points}


def _levels(constraints: Sequence[Constraint], found: SweepFront, scale: Scale) -> list[Chart]:
    """Return the bounds on the second objective as lines."""
    return [
        {"y": _short(bound / scale.factor), "label": f"at {word} {figure_text(each.name, bound)}"}
        for each in constraints
        for word, bound in (("most", each.most), ("least", each.least))
        if bound is not None and each.name == found.objectives[1].name
    ]


def _left_out(found: SweepFront, beaten: int, out: int, members: int) -> str:
    """Return what is not drawn, "" where all is."""
    parts = []
    for shown, whole, what in (
        (beaten, found.count(Fate.DOMINATED), "points that others beat"),
        (out, found.count(Fate.INFEASIBLE), "points that break a constraint"),
        (members, len(found.members), "places of the front"),
    ):
        if shown < whole:
            parts.append(f"{shown:,} of {whole:,} {what}")
    return f"Drawn: {', '.join(parts)}; where points lie on one another one stands for them." if parts else ""


def shown_members(found: SweepFront, most: int) -> list[int]:
    """Return the places that are shown: all, or some evenly, the best by each objective and the knee."""
    every = np.arange(len(found.members))
    needed = [found.best(at) for at in range(len(found.objectives))]
    needed += [] if found.knee is None else [found.knee]
    return sorted({*evenly(every, most).tolist(), *needed})


def member_table(found: SweepFront, limits: Limits = FULL, fronts: int = 1) -> Table:
    """Return the members of the front: figures, and the choices in which they differ."""
    choices = differing(found)
    columns = 3 + 2 * len(found.objectives) + len(choices)
    shown = shown_members(found, max(1, min(limits.member_rows, limits.member_cells // fronts // columns)))
    points = [found.members[place] for place in shown]
    columns_of: list[tuple[Head, Sequence[Cell]]] = [
        (Head(title="point", number=True), [number_cell(int(found.points.numbers[point])) for point in points]),
        (Head(title="for", mark="nowrap"), [Cell(text=_for(found, place)) for place in shown]),
    ]
    for at, (each, scale) in enumerate(zip(found.objectives, scales_of(found), strict=True)):
        figures = found.points.values[points, at].tolist()
        columns_of.append((Head(title=scale.label, number=True), figure_cells(scale, figures)))
        if each.name == "latency_s":
            sure = [Cell(text=band_text(found.points, point)) for point in points]
            columns_of.append((Head(title="error band", mark="nowrap"), sure))
    columns_of += [choice_column(choice, points) for choice in choices]
    if max(found.equals) > 1:
        equal = [number_cell(found.equals[place]) for place in shown]
        columns_of.append((Head(title="points alike", number=True), equal))
    left = len(found.members) - len(shown)
    note = f"{left:,} more places, evenly left out here: simulate front DIR --out DIR has all." if left else ""
    return table_of("The front", columns_of, filters="the front", note=note)


def _for(found: SweepFront, place: int) -> str:
    """Return what a member is the best for, "" for most."""
    words = [title_of(each.name) for at, each in enumerate(found.objectives) if found.best(at) == place]
    text = f"best {' and '.join(words)}" if words else ""
    return f"{text}{', ' if text else ''}knee" if place == found.knee else text


def one_objective_chart(part: ModelPart, front: SweepFront) -> tuple[Chart, str]:
    """Return the best figure for each value of the choice that colours tell apart, for sweeps with one objective."""
    choice = colouring(front)
    values = front.points.values[:, 0]
    usable = judged(part.fates)
    scale = scale_of(front.objectives[0].name, values[usable].tolist())
    pick = np.max if front.maximise[0] else np.min
    rows = []
    for code in in_order(choice):
        of_this = values[usable & (choice.codes == code)]
        if of_this.size:
            best = float(pick(of_this))
            label = said_of(choice, choice.values[code])
            tip = f"{label}: {figure_text(front.objectives[0].name, best)}"
            rows.append({"label": label, "values": [_short(best / scale.factor)], "tip": tip})
    shown = rows[:MOST_LOOKS]
    chart = {
        "kind": "bars", "title": f"best {scale.title} for each {title_of(choice.name)}",
        "x": {"label": scale.title, "unit": scale.unit}, "series": [{"name": scale.title, "colour": 0}], "rows": shown,
    }  # fmt: skip
    more = len(rows) - len(shown)
    return chart, f"{more:,} more values of {title_of(choice.name)} are not drawn." if more else ""


def _tip(found: SweepFront, point: int, among: Sequence[Choice]) -> str:
    figures = ", ".join(
        f"{title_of(each.name)} {figure_text(each.name, float(found.points.values[point, at]))}"
        for at, each in enumerate(found.objectives)
    )
    fate = FATES[Fate(int(found.fates[point]))]
    return f"{point_text(found.points, point, among)}\n{figures}\npoint {int(found.points.numbers[point]):,}, {fate}"


def _short(value: float) -> float:
    """Return a number with six digits: what a chart can show, and a page can hold."""
    return float(f"{value:.6g}")
