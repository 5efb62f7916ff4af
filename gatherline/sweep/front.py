"""The front of a sweep that is stored: which of its points nothing beats, out of those that keep to the constraints.

Reads the points once, in constant time a point; what users may choose by (pattern, device, fields ...) is kept as small
numbers, so that 10^5 points take some 20 MB. A point is refused (it has no numbers), without a figure (of an objective:
a CPU has no area), infeasible, dominated, or on the front. Left out: error bands, which the rows have.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from gatherline.report.columns import Row
from gatherline.request_error import RequestError
from gatherline.sweep.objective import MEASURES, Constraint, Objective
from gatherline.sweep.pareto import front, hypervolume, knee, worst

# columns by which points differ because somebody chose so; fields of devices come beside them
CHOICES = (
    "model", "level", "seed", "input_shape", "batch", "pattern", "sparsity_target", "ratios", "match", "prune_all",
    "device", "dtype", "threads", "encoding", "order", "mapping", "technology", "clock_hz",
)  # fmt: skip
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

    def chosen(self, among: NDArray[np.bool_] | slice) -> list[object]:
        """Return the values that points have, without that of none, which is a sparsity of its own (dense)."""
        found = [self.values[code] for code in np.unique(self.codes[among])]
        return found if self.name == "sparsity_target" else [value for value in found if value is not None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Points:
    """The points of a sweep as columns, by rising number."""

    numbers: NDArray[np.int64]
    keys: tuple[str, ...]
    choices: Mapping[str, Choice]
    values: NDArray[np.float64]  # [points, objectives], NaN where there is no figure
    excess: Mapping[str, NDArray[np.bool_]]  # for each constraint: which points break it
    refused: NDArray[np.bool_]

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

    ``equals``: for each member how many points have its figures. ``knee``: its place in ``members``. ``volume``: None
    for more than three objectives. ``reference``: what it is measured from.
    """

    name: str
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    points: Points
    fates: NDArray[np.int8]
    members: tuple[int, ...]
    equals: tuple[int, ...]
    knee: int | None
    volume: float | None
    volume_share: float | None
    reference: tuple[float, ...]

    def count(self, fate: Fate) -> int:
        return int(np.count_nonzero(self.fates == fate))

    @property
    def maximise(self) -> tuple[bool, ...]:
        return tuple(objective.direction == "max" for objective in self.objectives)


def read_points(
    rows: Iterable[Row], names: Sequence[str], objectives: Sequence[Objective], constraints: Sequence[Constraint]
) -> Points:
    """Return the points of ``rows``; ``names``: the columns of choices, which each row has."""
    numbers, keys, refused = array("q"), [], array("b")
    values, breaks = array("d"), {constraint.name: array("b") for constraint in constraints}
    known: dict[str, dict[object, int]] = {name: {} for name in names}
    codes = {name: array("i") for name in names}
    for row in rows:
        numbers.append(_whole(row["number"]))
        keys.append(str(row["key"]))
        refused.append(row["refused"] is not None)
        values.extend(_figure(row[objective.name]) for objective in objectives)
        for constraint in constraints:
            breaks[constraint.name].append(not _keeps(constraint, row[constraint.name]))
        for name in names:
            of_this = known[name]
            codes[name].append(of_this.setdefault(row[name], len(of_this)))
    return Points(
        numbers=np.array(numbers, dtype=np.int64),
        keys=tuple(keys),
        choices={
            name: Choice(name=name, values=tuple(known[name]), codes=np.array(codes[name], dtype=np.int32))
            for name in names
        },
        values=np.array(values, dtype=np.float64).reshape(len(numbers), len(objectives)),
        excess={name: np.array(column, dtype=np.bool_) for name, column in breaks.items()},
        refused=np.array(refused, dtype=np.bool_),
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
    name: str, points: Points, objectives: tuple[Objective, ...], constraints: tuple[Constraint, ...]
) -> SweepFront:
    """Return the front of ``points``. Raises RequestError where no point can be on it."""
    maximise = tuple(objective.direction == "max" for objective in objectives)
    fates = np.full(len(points.numbers), Fate.DOMINATED, dtype=np.int8)
    for broken in points.excess.values():
        fates[broken] = Fate.INFEASIBLE
    fates[~np.isfinite(points.values).all(axis=1)] = Fate.NO_FIGURE
    fates[points.refused] = Fate.REFUSED
    feasible = np.flatnonzero(fates == Fate.DOMINATED)
    if not feasible.size:
        raise RequestError(f"sweep {name}: {_why_none(points, fates, objectives, constraints)}")
    kept = feasible[front(points.values[feasible], maximise)]
    fates[kept] = Fate.FRONT
    members, equals = _distinct(points.values[kept], maximise)
    members = kept[members]
    best = points.values[members]
    reference = worst(points.values[feasible], maximise)
    volume = share = None
    if len(objectives) <= MOST_FOR_A_VOLUME:
        volume = hypervolume(best, reference, maximise)
        ideal = np.where(maximise, best.max(axis=0), best.min(axis=0))
        box = float(np.prod(np.abs(reference - ideal)))
        share = volume / box if box else None
    return SweepFront(
        name=name, objectives=objectives, constraints=constraints, points=points, fates=fates,
        members=tuple(members.tolist()), equals=tuple(equals.tolist()), knee=knee(best, maximise), volume=volume,
        volume_share=share, reference=tuple(reference.tolist()),
    )  # fmt: skip


def _distinct(values: NDArray[np.float64], maximise: Sequence[bool]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first point of each distinct set of figures, the best of the first objective first; and how many."""
    signed = values * np.where(maximise, -1.0, 1.0)
    _, first, counts = np.unique(signed, axis=0, return_index=True, return_counts=True)
    return first, counts


def _why_none(
    points: Points, fates: NDArray[np.int8], objectives: Sequence[Objective], constraints: Sequence[Constraint]
) -> str:
    count = len(fates)
    if not count:
        return "it has no points yet"
    parts = [
        f"{np.count_nonzero(np.isnan(points.values[~points.refused, at]))} have no {objective.name}"
        for at, objective in enumerate(objectives)
        if np.isnan(points.values[~points.refused, at]).any()
    ]
    parts += [
        f"{np.count_nonzero(points.excess[each.name] & ~points.refused)} break the constraint on {each.name}"
        for each in constraints
        if (points.excess[each.name] & ~points.refused).any()
    ]
    parts += [f"{np.count_nonzero(points.refused)} are refused"] if points.refused.any() else []
    return f"no point can be on a front: of {count}, {', '.join(parts)}"


def rows_of(found: SweepFront, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows of the members of the front, by place on it, with their place. ``rows``: theirs, in any order."""
    numbered = {row["number"]: row for row in rows}
    for place, (point, equals) in enumerate(zip(found.members, found.equals, strict=True)):
        row = numbered[int(found.points.numbers[point])]
        yield {"place": place, "knee": place == found.knee, "equal_points": equals, **row}


def _keeps(constraint: Constraint, value: object) -> bool:
    figure = _figure(value)
    most = constraint.most is None or figure <= constraint.most
    return most and (constraint.least is None or figure >= constraint.least)


def _figure(value: object) -> float:
    """Return a number, NaN where there is none: NaN keeps to no bound."""
    return float(value) if isinstance(value, int | float) else float("nan")


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value
