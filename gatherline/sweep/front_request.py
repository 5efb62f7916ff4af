"""From ``simulate front``'s arguments and a folder to a front: which objectives, which constraints, in which units.

Without objectives of its own a request takes those of the spec that the sweep ran; constraints of the request come
beside the spec's and take the place of those on the same column. Each model has a front of its own unless the request
takes them together; ``where`` leaves the points of some choices only.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gatherline.report.columns import Row
from gatherline.report.files import report_json
from gatherline.report.front_files import front_manifest, write_front
from gatherline.report.measures import measure_unit, said
from gatherline.request_error import RequestError
from gatherline.sweep.columns import POINT_COLUMNS
from gatherline.sweep.front import (
    CHOICES,
    DIRECTIONS,
    Choice,
    Points,
    SweepFront,
    columns_of,
    read_points,
    rows_of,
    without_followers,
)
from gatherline.sweep.fronts import fronts_of
from gatherline.sweep.objective import DEFAULT_OBJECTIVES, Constraint, Direction, Objective, check_bound
from gatherline.sweep.quantity import SPELLINGS, parse_quantity
from gatherline.sweep.store import OF_MEMBERS, Store, SweepRecord
from patterns.names import nearest

NUMBERS = tuple(column.name for column in POINT_COLUMNS if column.type in ("int", "float"))
MOST_NAMED = 8  # values of a choice in an error


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontRequest:
    """``maximise``: objectives of which more is better, listed in ``objectives`` or not. ``most`` and ``least``: texts
    NAME=VALUE with units, as in latency_s=20ms. ``where``: texts NAME=VALUE, as in model=resnet50; of one name any, of
    different names all have to hold. ``together``: one front of all models.
    """

    folder: Path
    objectives: tuple[str, ...] = ()
    maximise: tuple[str, ...] = ()
    most: tuple[str, ...] = ()
    least: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    together: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredFront:
    """A front and the rows of its members."""

    front: SweepFront
    rows: tuple[Row, ...]

    def to_json(self) -> str:
        """Return what ``--json`` prints: objectives, counts, the knee and the rows."""
        return report_json(front_manifest(self.front), self.rows)

    def write(self, folder: str | Path) -> list[Path]:
        """Write what ``--out`` writes (tables and pictures) and return the files. Raises OSError."""
        return write_front(Path(folder), self.front, self.to_json(), self.rows)

    def __repr__(self) -> str:
        return f"StoredFront({self.front.name}: {len(self.rows):,} points)"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from gatherline.report.front_report import print_front
        from gatherline.report.notebook import page

        return page(lambda console: print_front(self.front, console))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredFronts:
    """A front for each model, or one. ``without``: a sentence for each model that has none."""

    fronts: tuple[StoredFront, ...]
    without: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredPoints:
    """The points of a sweep and what they are judged by. ``spec``: the sweep's, as its TOML says it."""

    record: SweepRecord
    spec: Mapping[str, Any]
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    where: Mapping[str, tuple[str, ...]]
    points: Points


def stored_front(request: FrontRequest) -> StoredFront:
    """Return the front of the sweep that ran last in the request's folder. Raises RequestError; for several, too."""
    found = stored_fronts(request).fronts
    if len(found) > 1:
        raise RequestError(
            f"sweep {found[0].front.sweep} has {len(found)} models, and a front for each: name one "
            "(--where model=NAME), or take them together (--together)"
        )
    return found[0]


def stored_fronts(request: FrontRequest) -> StoredFronts:
    """Return the fronts of the sweep that ran last in the request's folder. Raises RequestError where there is none."""
    with Store.open(request.folder, create=False) as store:
        asked = stored_points(store, request)
        record = asked.record
        found = fronts_of(
            record.name, asked.points, asked.objectives, asked.constraints, where=asked.where, together=request.together
        )
        if not found.fronts:
            raise RequestError("; ".join(found.without))
        fronts = []
        for each in found.fronts:
            members = store.numbered(record.number, [int(each.points.numbers[point]) for point in each.members])
            fronts.append(StoredFront(front=each, rows=tuple(rows_of(each, members))))
        return StoredFronts(fronts=tuple(fronts), without=found.without)


def stored_points(store: Store, request: FrontRequest) -> StoredPoints:
    """Return the points of the sweep that ran last in ``store``, and what they are judged by. Raises RequestError."""
    record = store.last()
    known = (*NUMBERS, *(name for name in OF_MEMBERS if name != "number"), *store.field_columns)
    spec = _spec_of(record, store.path)
    objectives = _objectives(request, spec.get("objectives", {}), known)
    constraints = _constraints(request, spec.get("constraints", {}), known)
    choices = (*CHOICES, *store.field_columns)
    blocks = store.blocks(record.number, columns_of(choices, objectives, constraints))
    where = _where(request, choices)
    points = _kept(read_points(blocks, choices, objectives, constraints), where)
    points = without_followers(points, _followers(spec))
    return StoredPoints(
        record=record, spec=spec, objectives=objectives, constraints=constraints, where=where, points=points
    )


def _where(request: FrontRequest, choices: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for text in request.where:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise RequestError(f"--where is {text!r}, and must be NAME=VALUE, as in model=resnet50")
        if name not in choices:
            raise RequestError(
                f"--where is {name!r}, and no choice of a sweep has that name; {nearest(name, list(choices))}"
            )
        found[name] = (*found.get(name, ()), value)
    return found


def _kept(points: Points, where: Mapping[str, tuple[str, ...]]) -> Points:
    """Return the points that have the values asked for. Raises RequestError for a value that no point has."""
    kept = np.ones(len(points.numbers), dtype=np.bool_)
    for name, texts in where.items():
        choice, codes = points.choices[name], []
        for text in texts:
            same = [code for code, value in enumerate(choice.values) if _is(choice, value, text)]
            if not same and choice.values:
                there = ", ".join(said(name, value) for value in choice.values[:MOST_NAMED])
                more = f" and {len(choice.values) - MOST_NAMED} more" if len(choice.values) > MOST_NAMED else ""
                raise RequestError(f"--where {name} is {text!r}, and no point has that; there are {there}{more}")
            codes += same
        kept &= np.isin(choice.codes, codes)
    if not kept.any() and len(kept):
        raise RequestError(f"--where {', '.join(where)}: no point has all these values")
    return points if kept.all() else points.at(np.flatnonzero(kept))


def _is(choice: Choice, value: object, text: str) -> bool:
    """Return whether ``text`` is a value as it is stored, as it is shown, or as a quantity with a unit."""
    if text in (str(value), said(choice.name, value)):
        return True
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isclose(_bound(_number_or_text(text), choice.name, f"--where {choice.name}"), value)


def _followers(spec: Mapping[str, object]) -> dict[str, str]:
    """Return which fields follow which in the devices of a spec, by path."""
    devices = spec.get("devices", [])
    found: dict[str, str] = {}
    for entry in devices if isinstance(devices, list) else [devices]:
        if isinstance(entry, dict):
            found |= _paths(entry.get("follow", {}), "")
    return found


def _paths(table: Mapping[str, object], prefix: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in table.items():
        found |= _paths(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": str(value)}
    return found


def _spec_of(record: SweepRecord, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(record.spec)
    except (ValueError, TypeError, RecursionError):  # it was read before it was stored
        raise RequestError(f"{path}: damaged: the spec of sweep {record.number} in it is no TOML") from None


def _objectives(request: FrontRequest, spec: Mapping[str, Direction], known: Sequence[str]) -> tuple[Objective, ...]:
    names = dict.fromkeys((*request.objectives, *request.maximise))
    for name in names:
        _check_column("--objective" if name in request.objectives else "--maximise", name, known)
        if name in request.objectives and name in request.maximise and DIRECTIONS.get(name) == "min":
            raise RequestError(f"--objective {name} asks for less of it, and --maximise {name} for more: give one")
    if names:
        return tuple(
            Objective(name=name, direction="max" if name in request.maximise else DIRECTIONS.get(name, "min"))
            for name in names
        )
    if spec:
        return tuple(Objective(name=name, direction=direction) for name, direction in spec.items())
    return tuple(Objective(name=name, direction=DIRECTIONS[name]) for name in DEFAULT_OBJECTIVES)


def _constraints(
    request: FrontRequest, spec: Mapping[str, Mapping[str, object]], known: Sequence[str]
) -> tuple[Constraint, ...]:
    bounds: dict[str, dict[str, float]] = {}
    for option, texts in (("most", request.most), ("least", request.least)):
        for text in texts:
            name, equals, value = (part.strip() for part in text.partition("="))
            if not equals:
                raise RequestError(f"--{option} is {text!r}, and must be NAME=VALUE, as in latency_s=20ms")
            _check_column(f"--{option}", name, known)
            bounds.setdefault(name, {})[option] = _bound(_number_or_text(value), name, f"--{option} {name}")
            check_bound(name, bounds[name][option], f"--{option} is {text!r}")
    for name, bound in bounds.items():
        if bound.get("least", -math.inf) > bound.get("most", math.inf):
            raise RequestError(f"--least {name} is {bound['least']:g}, and --most {name} {bound['most']:g}")
    for name, of_spec in spec.items():
        bounds.setdefault(
            name, {key: _bound(value, name, f"constraints.{name}.{key}") for key, value in of_spec.items()}
        )
    return tuple(Constraint(name=name, **bound) for name, bound in bounds.items())


def _bound(value: object, name: str, where: str) -> float:
    unit = measure_unit(name)
    return float(parse_quantity(value, unit if unit in SPELLINGS else "", where))


def _number_or_text(text: str) -> object:
    """Return the text of an argument as a spec would hold it: a bare number is one."""
    try:
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError:
        return text


def _check_column(option: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise RequestError(
            f"{option} is {name!r}, and no column of numbers has that name; {nearest(name, list(known))}"
        )
