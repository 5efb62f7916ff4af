"""A stored sweep as its page needs it: its points, what became of each, a front for each model, and why points were
refused.

Read from the store by blocks; nothing is recomputed but fronts. Left out: other sweeps of the folder, layers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatherline.report.page.sweep_distinct import alike_figures, by_objectives, distinct_points, known_objectives
from gatherline.report.selection import printable
from gatherline.sweep.columns import POINT_COLUMNS
from gatherline.sweep.front import Choice, Fate, Points, SweepFront, fates_without_front
from gatherline.sweep.front_request import FrontRequest, stored_points
from gatherline.sweep.fronts import fronts_of, missing_figures
from gatherline.sweep.objective import Constraint, Objective
from gatherline.sweep.store import Store, SweepRecord

SEARCHES = ("nsga2", "tpe")  # methods that may find nothing new and end before the points that they may ask for
SUBJECT = ("model", "pattern", "sparsity_target", "device")  # what a point is called by, whether it varies or not
FATES = {
    Fate.FRONT: "on the front",
    Fate.DOMINATED: "beaten",
    Fate.INFEASIBLE: "breaks a constraint",
    Fate.NO_FIGURE: "lacks a figure",
    Fate.REFUSED: "refused",
}
_NUMBER = re.compile(r"[-+]?\d[\d_,.]*(?:[eE][-+]?\d+)?")
_COLUMNS = frozenset(column.name for column in POINT_COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelPart:
    """The points of one model. ``front``: None where no point can be on one, and ``without`` says why."""

    model: str
    points: Points
    fates: NDArray[np.int8]  # [points], of Fate
    front: SweepFront | None
    without: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Points that were refused for one reason, numbers in it aside. ``example``: the reason of the first of them, and
    ``second`` that of the first that differs from it in numbers, "" where none does."""

    points: int
    first: int
    example: str
    second: str
    others: int  # texts beyond the first


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SweepFound:
    """``points``: each key once; ``repeated``: how many more there are, which a device cannot tell from one of them.
    ``objectives``: those that some point has a figure of; ``left_out``: the others, with the figures that are there.
    ``fields``: the paths of device fields with a column. ``devices``: name and hash of each base device.
    """

    folder: str
    record: SweepRecord
    spec: Mapping[str, Any]
    objectives: tuple[Objective, ...]
    left_out: tuple[str, ...]
    constraints: tuple[Constraint, ...]
    points: Points
    repeated: int
    parts: tuple[ModelPart, ...]
    refusals: tuple[Refusal, ...]
    devices: tuple[tuple[str, str], ...]
    fields: tuple[str, ...]

    @property
    def method(self) -> str:
        table = self.spec.get("method")
        return str(table.get("name", "grid")) if isinstance(table, Mapping) else "grid"

    @property
    def searches(self) -> bool:
        return self.method in SEARCHES

    @property
    def computed(self) -> int:
        """Points that are stored, with those that are the same as others."""
        return len(self.points.numbers) + self.repeated

    @property
    def lacking(self) -> int:
        """Points that the sweep has or may ask for, and that are not there."""
        return max(0, (self.record.points or 0) - self.computed)

    def latency_at(self) -> int | None:
        """Return which objective latency is."""
        return next((at for at, each in enumerate(self.objectives) if each.name == "latency_s"), None)


def read_sweep(folder: Path) -> SweepFound:
    """Return the sweep that ran last in ``folder``. Raises RequestError where none is stored there, and OSError."""
    with Store.open(folder, create=False) as store:
        asked = stored_points(store, FrontRequest(folder=folder))
        refusals, devices = _beside(store, asked.record.number)
        fields = store.field_columns
    objectives = known_objectives(asked.points, asked.objectives)
    distinct = distinct_points(asked.points)
    points = alike_figures(by_objectives(distinct, asked.objectives, objectives), objectives)
    left_out = tuple(each for each in asked.objectives if each not in objectives)
    return SweepFound(
        folder=folder.resolve().name,
        record=asked.record,
        spec=asked.spec,
        objectives=objectives,
        left_out=tuple(missing_figures(by_objectives(distinct, asked.objectives, left_out), left_out)),
        constraints=asked.constraints,
        points=points,
        repeated=len(asked.points.numbers) - len(points.numbers),
        parts=tuple(_parts(asked.record.name, points, objectives, asked.constraints)),
        refusals=refusals,
        devices=devices,
        fields=fields,
    )


def _parts(
    sweep: str, points: Points, objectives: tuple[Objective, ...], constraints: tuple[Constraint, ...]
) -> list[ModelPart]:
    """Return the models' points in the order in which models come."""
    models = points.choices["model"]
    used = list(dict.fromkeys(models.codes.tolist()))
    parts = []
    for code in used:
        of_this = points if len(used) == 1 else points.at(np.flatnonzero(models.codes == code))
        name = str(models.values[code])
        where = {} if len(used) == 1 else {"model": (name,)}
        found = fronts_of(sweep, of_this, objectives, constraints, where=where)
        front = found.fronts[0] if found.fronts else None
        fates = fates_without_front(of_this) if front is None else front.fates
        without = " ".join(found.without)
        parts.append(ModelPart(model=name, points=of_this, fates=fates, front=front, without=without))
    return parts


def _beside(store: Store, sweep: int) -> tuple[tuple[Refusal, ...], tuple[tuple[str, str], ...]]:
    """Return why points were refused, the commonest first, and the base devices, as they come."""
    counts: dict[str, int] = {}
    texts: dict[str, dict[str, None]] = {}
    firsts: dict[str, int] = {}
    devices: dict[tuple[str, str], None] = {}
    told: set[str] = set()  # keys: points that are the same count once, as everywhere in the page
    for block in store.blocks(sweep, ("number", "key", "refused", "device", "device_hash")):
        devices |= dict.fromkeys(zip(map(str, block["device"]), map(str, block["device_hash"]), strict=True))
        for number, key, reason in zip(block["number"], block["key"], block["refused"], strict=True):
            if reason is not None and str(key) not in told:
                told.add(str(key))
                shape = _NUMBER.sub("#", str(reason))
                counts[shape] = counts.get(shape, 0) + 1
                texts.setdefault(shape, {})[str(reason)] = None
                firsts.setdefault(shape, int(str(number)))
    found = [
        Refusal(
            points=count, first=firsts[shape], example=printable(next(iter(texts[shape]))),
            second=printable("".join(list(texts[shape])[1:2])), others=len(texts[shape]) - 1,
        )
        for shape, count in sorted(counts.items(), key=lambda entry: -entry[1])
    ]  # fmt: skip
    return tuple(found), tuple(devices)


def named(points: Points, *, without: tuple[str, ...] = ()) -> list[Choice]:
    """Return the choices that tell a point: its subject, and all in which points differ."""
    varying = {choice.name for choice in points.varying()}
    return [
        choice
        for choice in points.choices.values()
        if (choice.name in SUBJECT or choice.name in varying) and choice.name not in without
    ]


def best_of(points: Points, places: NDArray[np.int64], at: int, direction: str) -> int | None:
    """Return the first of ``places`` that is best in objective ``at``; None where none has a figure."""
    values = points.values[places, at]
    usable = np.flatnonzero(np.isfinite(values))
    if not usable.size:
        return None
    which = np.argmax(values[usable]) if direction == "max" else np.argmin(values[usable])
    return int(places[usable[which]])


def judged(fates: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Return which points have all figures and keep to the constraints."""
    return np.isin(fates, (Fate.FRONT, Fate.DOMINATED))


def lacks(points: Points) -> NDArray[np.bool_]:
    """Return which points have numbers, but not all figures that points are chosen by."""
    return np.asarray(~points.refused & ~np.isfinite(points.values).all(axis=1))


def breaks(points: Points) -> NDArray[np.bool_]:
    """Return which points have a figure that breaks a constraint."""
    broken = np.zeros(len(points.numbers), dtype=np.bool_)
    for name, column in points.excess.items():
        broken |= column & ~points.refused & ~np.isnan(points.limited[name])
    return broken
