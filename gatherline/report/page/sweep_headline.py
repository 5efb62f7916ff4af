"""What a sweep's page says first: what was searched, which points are best and how sure that is, for all devices
together and for each.

Left out: the front itself (``sweep_front.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gatherline.report.front_looks import in_order
from gatherline.report.front_table import point_text, said_of, superlative, why_no_knee
from gatherline.report.measures import title_of
from gatherline.report.page.results import times
from gatherline.report.page.sweep_counts import front_command
from gatherline.report.page.sweep_distinct import known_objectives
from gatherline.report.page.sweep_found import ModelPart, SweepFound, best_of, named
from gatherline.report.page.sweep_limits import FULL, Limits
from gatherline.report.page.sweep_tables import (
    NOT_VALIDATED,
    Cell,
    Head,
    Table,
    band_text,
    figure_text,
    number_cell,
    numbers_scale,
    sortable,
)
from gatherline.report.selection import printable
from gatherline.sweep.front import Choice, Points, SweepFront, sweep_front

LISTED = 10  # values of a choice; of more, the ends or the first are told
CARD_MODELS = 6  # with cards of their own; the table has all


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """An objective's figure at a point. ``sure``: its error band, or that it has none; "" for what needs none."""

    title: str
    text: str
    sure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """A point to choose, and for what. ``gain``: its speed beside the fastest dense point of its model
    and device. ``ties``: points with the same figures."""

    title: str
    figures: tuple[Figure, ...]
    choose: str
    gain: str
    ties: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Picks:
    """The points to choose of one model. ``told``: why there are none, or why there is no knee."""

    model: str
    picks: tuple[Pick, ...]
    told: tuple[str, ...]


def searched(found: SweepFound) -> Table:
    """Return what differs between points, and over which values; of a sweep that is not finished, so far."""
    rows = []
    for choice in named(found.points):
        values = [choice.values[code] for code in in_order(choice) if choice.values[code] is not None]
        rows.append(
            (Cell(text=title_of(choice.name)), number_cell(len(values)), Cell(text=_values_text(choice, values)))
        )
    heads = (Head(title="choice"), Head(title="values", number=True), Head(title="which", mark="wide"))
    so_far = " so far" if found.lacking else ""
    note = "The spec below has the values that no point has yet." if found.lacking else ""
    return Table(label=f"What was searched{so_far}", heads=heads, rows=tuple(rows), note=note)


def _values_text(choice: Choice, values: Sequence[object]) -> str:
    if not values:
        return said_of(choice, None)
    if len(values) <= LISTED:
        return ", ".join(said_of(choice, value) for value in values)
    if numbers_scale(choice.name, values) is not None:
        return f"{said_of(choice, values[0])} to {said_of(choice, values[-1])}"
    return f"{', '.join(said_of(choice, value) for value in values[:LISTED])} and {len(values) - LISTED:,} more"


def cards(found: SweepFound) -> tuple[Picks, ...]:
    """Return for each model what to choose, over all devices."""
    several = len(found.parts) > 1
    return tuple(
        Picks(
            model=printable(part.model) if several else "",
            picks=() if part.front is None else tuple(_picks(part.front, named(part.points, without=("model",)))),
            told=_told(found, part),
        )
        for part in found.parts[:CARD_MODELS]
    )


def left_cards(found: SweepFound) -> int:
    """Return how many models have no cards."""
    return max(0, len(found.parts) - CARD_MODELS)


def sentence(text: str) -> str:
    """Return what is said of a model as a sentence of its own."""
    shown = printable(text)
    return f"{shown[:1].upper()}{shown[1:]}."


def _told(found: SweepFound, part: ModelPart) -> tuple[str, ...]:
    if part.front is None:
        return sentence(part.without), *_without_command(found, part)
    if part.front.knee is None and len(part.front.objectives) > 1:
        return (f"There is no knee: {why_no_knee(part.front)}.",)
    return ()


def _without_command(found: SweepFound, part: ModelPart) -> tuple[str, ...]:
    """Return how to see the front by the other figures where this model has none of some."""
    known = known_objectives(part.points, found.objectives)
    if part.points.refused.all() or len(known) in (0, len(found.objectives)):
        return ()
    lost = " and ".join(title_of(each.name) for each in found.objectives if each not in known)
    where = f" --where model={printable(part.model)}"
    return (f"{front_command(found.folder, known)}{where} leaves {lost} out.",)


def by_device(found: SweepFound, limits: Limits = FULL) -> Table | None:
    """Return what to choose for each model and device; None where there is one of each, whose cards say it, or where
    all is refused.
    """
    devices = found.points.choices["device"].chosen(slice(None))
    if len(found.parts) * len(devices) < 2 or found.points.refused.all():
        return None
    pairs = [(part, code) for part in found.parts for code in in_order(part.points.choices["device"])]
    rows = [row for part, code in pairs[: limits.devices] for row in _device_rows(found, part, code)]
    left = len(pairs) - limits.devices
    several = len(found.parts) > 1
    heads = [Head(title="device", mark="nowrap"), Head(title="for", mark="middle"), Head(title="choose", mark="wide")]
    heads += [Head(title=title_of(each.name), number=True) for each in found.objectives]
    latency = found.latency_at() is not None
    heads += [Head(title="error band", mark="nowrap"), Head(title="beside dense", number=True)] if latency else []
    heads = [Head(title="model"), *heads] if several else heads
    return Table(
        label="What to choose for each device", heads=tuple(heads),
        rows=tuple(tuple(row if several else row[1:]) for row in rows),
        filters="picks" if len(rows) > LISTED else "",
        note=f"{left:,} more: simulate front DIR --where device=NAME shows one device." if left > 0 else "",
    )  # fmt: skip


def _device_rows(found: SweepFound, part: ModelPart, code: int) -> list[list[Cell]]:
    """Return a row for each pick of a device; where there is none, one that says why."""
    choice, latency = part.points.choices["device"], found.latency_at()
    of_this = part.points.at(np.flatnonzero(choice.codes == code))
    first = [Cell(text=printable(part.model)), Cell(text=said_of(choice, choice.values[code]))]
    front = sweep_front(found.record.name, of_this, found.objectives, found.constraints, {})
    if front is None:
        gap = [Cell(text="-", value="")] * len(found.objectives)
        unsure = [] if latency is None else [Cell(text="-"), Cell(text="-", value="")]
        return [[*first, Cell(text="nothing"), Cell(text=_why_nothing(of_this)), *gap, *unsure]]
    rows, among = [], named(of_this, without=("model", "device"))
    for title, place in _chosen(front):
        point = front.members[place]
        text, ties = point_text(of_this, point, among), _ties(front, place)
        row = [*first, Cell(text=title), Cell(text=f"{text} ({ties})" if ties else text)]
        for at, each in enumerate(found.objectives):
            value = float(of_this.values[point, at])
            row.append(Cell(text=figure_text(each.name, value), value=sortable(value)))
        if latency is not None:
            row += [Cell(text=band_text(of_this, point)), _gain_cell(_gain(of_this, point, latency))]
        rows.append(row)
    return rows


def _why_nothing(points: Points) -> str:
    """Return why no point of a device can be chosen, in a few words."""
    refused = int(np.count_nonzero(points.refused))
    lacking = int(np.count_nonzero(~points.refused & ~np.isfinite(points.values).all(axis=1)))
    broken = len(points.numbers) - refused - lacking
    parts = [f"{broken:,} break{'s' if broken == 1 else ''} a constraint"] if broken else []
    parts += [f"{lacking:,} lack{'s' if lacking == 1 else ''} a figure"] if lacking else []
    parts += [f"{refused:,} {'is' if refused == 1 else 'are'} refused"] if refused else []
    return f"of {len(points.numbers):,} points {', '.join(parts)}"


def _chosen(front: SweepFront) -> list[tuple[str, int]]:
    """Return what each pick of a front is for, and its place there: the best by each objective, and the knee."""
    asked: dict[int, list[str]] = {}
    for at in range(len(front.objectives)):
        asked.setdefault(front.best(at), []).append(superlative(front, at))
    if front.knee is not None:
        asked.setdefault(front.knee, []).append("Knee")
    titles = {place: " and ".join([names[0], *(_lower(name) for name in names[1:])]) for place, names in asked.items()}
    return [(title, place) for place, title in titles.items()]


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _picks(front: SweepFront, among: Sequence[Choice]) -> list[Pick]:
    points = front.points
    at_latency = next((at for at, each in enumerate(front.objectives) if each.name == "latency_s"), None)
    found = []
    for title, place in _chosen(front):
        point = front.members[place]
        figures = tuple(
            Figure(
                title=title_of(each.name), text=figure_text(each.name, float(points.values[point, at])),
                sure=_sure(points, point) if at == at_latency else "",
            )
            for at, each in enumerate(front.objectives)
        )  # fmt: skip
        gain = math.nan if at_latency is None else _gain(points, point, at_latency)
        faster = "" if math.isnan(gain) else f"{times(gain)} as fast as its fastest dense point"
        text, number = point_text(points, point, among), int(points.numbers[point])
        found.append(
            Pick(title=title, figures=figures, choose=text, gain=faster, ties=_ties(front, place), number=number)
        )
    return found


def _sure(points: Points, point: int) -> str:
    band = band_text(points, point)
    return band if band == NOT_VALIDATED else f"band {band}"


def _ties(front: SweepFront, place: int) -> str:
    """Return how many points have the figures of a place, and in what they differ; "" where it is alone."""
    alike = front.alike[place]
    if len(alike) == 1:
        return ""
    differ = [title_of(each.name) for each in front.points.varying() if len(each.chosen(alike)) > 1]
    by = f", of other {', '.join(differ)}" if differ else ""
    count = len(alike) - 1
    return f"{count:,} more point{'' if count == 1 else 's'} with the same figures{by}"


def _gain(points: Points, point: int, latency_at: int) -> float:
    """Return the speed of a point beside the fastest dense one of the same model and device; NaN where none is."""
    patterns, devices = points.choices["pattern"], points.choices["device"]
    if patterns.of(point) == "dense" or "dense" not in patterns.values:
        return math.nan
    same = (patterns.codes == patterns.values.index("dense")) & (devices.codes == devices.codes[point])
    best = best_of(points, np.flatnonzero(same & ~points.refused), latency_at, "min")
    own = float(points.values[point, latency_at])
    return math.nan if best is None or own <= 0 else float(points.values[best, latency_at]) / own


def _gain_cell(gain: float) -> Cell:
    return Cell(text=times(gain), value=sortable(gain))
