"""The front of a sweep that is stored: which of its points nothing beats, out of those that keep to the constraints.

Reads the points once, block by block; what users may choose by (pattern, device, fields ...) is kept as small
numbers, so that 10^5 points take some 30 MB. A point is refused (it has no numbers), without a figure (of an objective:
a CPU has no area), infeasible, dominated, or on the front. Left out: whether bands of error overlap.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from gatherline.report.columns import Row
from gatherline.sweep.objective import MEASURES, Constraint, Objective
from gatherline.sweep.pareto import front, hypervolume, knee, worst

# columns by which points differ because somebody chose so; fields of devices come beside them
CHOICES = (
    "model", "level", "seed", "input_shape", "batch", "pattern", "sparsity_target", "ratios", "match", "prune_all",
    "device", "dtype", "threads", "encoding", "order", "mapping", "technology", "clock_hz",
)  # fmt: skip
# what points are, beside what was chosen: for remarks on figures
FACTS = (
    "sparsity_reached", "kept_l1", "kept_l2", "model_kind", "area_note", "energy_note", "synthetic", "extrapolated",
)  # fmt: skip
BAND = ("latency_low_s", "latency_high_s")
CHOSEN_BY_NONE = ("sparsity_target", "level", "encoding", "mapping")  # dense, all levels, the pattern's, the mapper's
CLOCK = "clock_hz"  # a field of accelerators, and a result of others: a choice where points of a device differ in it
MOST_FOR_A_VOLUME = 3  # objectives
DIRECTIONS = {measure.name: measure.better for measure in MEASURES}


class Fate(IntEnum):
    """What became of a point."""

    FRONT = 0
    DOMINATED = 1
    INFEASIBLE = 2
    NO_FIGURE = 3
    REFUSED = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """A column by which points differ: the values that there are, and for each point which of them it has."""

    name: str
    values: tuple[object, ...]
    codes: NDArray[np.int32]  # [points]

    def of(self, point: int) -> object:
        return self.values[self.codes[point]]

    def chosen(self, among: NDArray[np.bool_] | NDArray[np.int64] | slice) -> list[object]:
        """Return the values that points have, without none where that is no choice (a field that a device lacks)."""
        found = [self.values[code] for code in np.unique(self.codes[among])]
        return found if self.name in CHOSEN_BY_NONE else [value for value in found if value is not None]

    def at(self, places: NDArray[np.int64]) -> Choice:
        """Return the column at some points, with the values that they have."""
        used, codes = np.unique(self.codes[places], return_inverse=True)
        return replace(self, values=tuple(self.values[code] for code in used), codes=codes.astype(np.int32))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Points:
    """The points of a sweep as columns, by rising number. ``facts``: what they are, beside what was chosen."""

    numbers: NDArray[np.int64]
    keys: tuple[str, ...]
    choices: Mapping[str, Choice]
    values: NDArray[np.float64]  # [points, objectives], NaN where there is no figure
    limited: Mapping[str, NDArray[np.float64]]  # for each constraint: the figures, NaN where there is none
    excess: Mapping[str, NDArray[np.bool_]]  # for each constraint: which points break it
    refused: NDArray[np.bool_]
    facts: Mapping[str, Choice]
    bands: NDArray[np.float64]  # [points, 2], of latency, NaN where it is not validated

    def at(self, places: NDArray[np.int64]) -> Points:
        """Return some of the points."""
        return Points(
            numbers=self.numbers[places],
            keys=tuple(self.keys[place] for place in places.tolist()),
            choices={name: choice.at(places) for name, choice in self.choices.items()},
            values=self.values[places],
            limited={name: column[places] for name, column in self.limited.items()},
            excess={name: column[places] for name, column in self.excess.items()},
            refused=self.refused[places],
            facts={name: fact.at(places) for name, fact in self.facts.items()},
            bands=self.bands[places],
        )

    def varying(self, among: NDArray[np.bool_] | slice = slice(None)) -> list[Choice]:
        """Return the choices in which points differ."""
        return [
            each
            for each in self.choices.values()
            if len(each.chosen(among)) > 1 and (each.name != CLOCK or self._clock_was_chosen())
        ]

    def _clock_was_chosen(self) -> bool:
        both = np.column_stack([self.choices["device"].codes, self.choices[CLOCK].codes])
        return len(np.unique(both, axis=0)) > len(np.unique(both[:, 0]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SweepFront:
    """The front. ``members``: places in ``points``, one for each distinct set of objectives, by the first of them.

    ``where``: the values of choices that ``points`` were taken by. ``alike``: for each member the places of all points
    with its figures, itself first. ``knee``: its place in ``members``. ``volume``: None for more than three objectives.
    ``reference``: what it is measured from.
    """

    sweep: str
    where: Mapping[str, tuple[str, ...]]
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    points: Points
    fates: NDArray[np.int8]
    members: tuple[int, ...]
    alike: tuple[NDArray[np.int64], ...]
    knee: int | None
    volume: float | None
    volume_share: float | None
    reference: tuple[float, ...]

    def count(self, fate: Fate) -> int:
        """Return how many points met ``fate``."""
        return int(np.count_nonzero(self.fates == fate))

    @property
    def name(self) -> str:
        """The sweep, and which of its points."""
        return ", ".join([self.sweep, *(" or ".join(values) for values in self.where.values())])

    @property
    def equals(self) -> tuple[int, ...]:
        """For each member how many points have its figures."""
        return tuple(len(places) for places in self.alike)

    @property
    def maximise(self) -> tuple[bool, ...]:
        """Return for each objective whether more is better."""
        return tuple(objective.direction == "max" for objective in self.objectives)

    def best(self, at: int) -> int:
        """Return the place of the member that is best in objective ``at``, the first of equals."""
        column = self.points.values[list(self.members), at]
        return int(np.argmax(column) if self.maximise[at] else np.argmin(column))


def columns_of(
    choices: Sequence[str], objectives: Sequence[Objective], constraints: Sequence[Constraint]
) -> tuple[str, ...]:
    """Return the columns that ``read_points`` reads, each once."""
    judged = (*(each.name for each in objectives), *(each.name for each in constraints))
    return tuple(dict.fromkeys(("number", "key", "refused", *choices, *FACTS, *BAND, *judged)))


def read_points(
    blocks: Iterable[Mapping[str, Sequence[object]]],
    names: Sequence[str],
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint],
) -> Points:
    """Return the points of ``blocks`` of rows, which have ``columns_of``; ``names``: the columns of choices."""
    numbers, refused = array("q"), array("b")
    keys: list[str] = []
    judged = [*(each.name for each in objectives), *(each.name for each in constraints)]
    figures = {name: array("d") for name in (*judged, *BAND)}
    coded = tuple(dict.fromkeys((*names, *FACTS)))
    known: dict[str, dict[object, int]] = {name: {} for name in coded}
    codes = {name: array("i") for name in coded}
    for block in blocks:
        numbers.extend(map(_whole, block["number"]))
        keys.extend(map(str, block["key"]))
        refused.extend(value is not None for value in block["refused"])
        for name, column in figures.items():
            column.extend(map(_figure, block[name]))
        for name, of_this in known.items():
            for value in dict.fromkeys(block[name]):  # by first appearance: equal sweeps give equal codes
                of_this.setdefault(value, len(of_this))
            codes[name].extend(map(of_this.__getitem__, block[name]))
    found = {name: np.array(column, dtype=np.float64) for name, column in figures.items()}
    choices = {
        name: Choice(name=name, values=tuple(known[name]), codes=np.array(codes[name], dtype=np.int32))
        for name in coded
    }
    return Points(
        numbers=np.array(numbers, dtype=np.int64),
        keys=tuple(keys),
        choices={name: choices[name] for name in names},
        values=np.column_stack([found[each.name] for each in objectives]),
        limited={each.name: found[each.name] for each in constraints},
        excess={each.name: ~_keeps(each, found[each.name]) for each in constraints},
        refused=np.array(refused, dtype=np.bool_),
        facts={name: choices[name] for name in FACTS},
        bands=np.column_stack([found[name] for name in BAND]),
    )


def without_followers(points: Points, followers: Mapping[str, str]) -> Points:
    """Return ``points`` without the choices that are no choice: fields that follow another and equal it everywhere."""
    choices = dict(points.choices)
    for follower, leader in followers.items():
        if follower in choices and leader in choices:
            own, led = choices[follower], choices[leader]
            pairs = np.unique(np.column_stack([own.codes, led.codes]), axis=0).tolist()
            if all(own.values[mine] == led.values[theirs] for mine, theirs in pairs):
                del choices[follower]
    return replace(points, choices=choices)


def sweep_front(
    sweep: str,
    points: Points,
    objectives: tuple[Objective, ...],
    constraints: tuple[Constraint, ...],
    where: Mapping[str, tuple[str, ...]],
) -> SweepFront | None:
    """Return the front of ``points``, None where no point can be on it."""
    maximise = tuple(objective.direction == "max" for objective in objectives)
    fates = fates_without_front(points)
    feasible = np.flatnonzero(fates == Fate.DOMINATED)
    if not feasible.size:
        return None
    kept = feasible[front(points.values[feasible], maximise)]
    fates[kept] = Fate.FRONT
    alike = [kept[places] for places in _alike(points.values[kept], maximise)]
    members = [int(places[0]) for places in alike]
    best = points.values[members]
    reference = worst(points.values[feasible], maximise)
    volume = share = None
    if len(objectives) <= MOST_FOR_A_VOLUME:
        volume = hypervolume(best, reference, maximise)
        ideal = np.where(maximise, best.max(axis=0), best.min(axis=0))
        box = float(np.prod(np.abs(reference - ideal)))
        share = volume / box if box else None
    return SweepFront(
        sweep=sweep, where=where, objectives=objectives, constraints=constraints, points=points, fates=fates,
        members=tuple(members), alike=tuple(alike), knee=knee(best, maximise), volume=volume,
        volume_share=share, reference=tuple(reference.tolist()),
    )  # fmt: skip


def fates_without_front(points: Points) -> NDArray[np.int8]:
    """Return the fate of each point before points are compared: those that may be on a front are DOMINATED."""
    fates = np.full(len(points.numbers), Fate.DOMINATED, dtype=np.int8)
    for broken in points.excess.values():
        fates[broken] = Fate.INFEASIBLE
    fates[~np.isfinite(points.values).all(axis=1)] = Fate.NO_FIGURE
    fates[points.refused] = Fate.REFUSED
    return fates


def _alike(values: NDArray[np.float64], maximise: Sequence[bool]) -> list[NDArray[np.int64]]:
    """Return the places of the points of each distinct set of figures, the best of the first objective first."""
    signed = values * np.where(maximise, -1.0, 1.0)
    _, which = np.unique(signed, axis=0, return_inverse=True)
    which = which.reshape(-1)
    order = np.argsort(which, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(which[order])) + 1)


def rows_of(found: SweepFront, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows of the members of the front, by place on it, with their place. ``rows``: theirs, in any order."""
    numbered = {row["number"]: row for row in rows}
    for place, (point, equals) in enumerate(zip(found.members, found.equals, strict=True)):
        row = numbered[int(found.points.numbers[point])]
        yield {"place": place, "knee": place == found.knee, "equal_points": equals, **row}


def _keeps(constraint: Constraint, figures: NDArray[np.float64]) -> NDArray[np.bool_]:
    most = np.inf if constraint.most is None else constraint.most
    least = -np.inf if constraint.least is None else constraint.least
    return (figures <= most) & (figures >= least)


def _figure(value: object) -> float:
    """Return a number, NaN where there is none: NaN keeps to no bound."""
    return float(value) if isinstance(value, int | float) else float("nan")


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value
