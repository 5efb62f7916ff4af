"""From ``simulate front``'s arguments and a folder to a front: which objectives, which constraints, in which units.

Without objectives of its own a request takes those of the spec that the sweep ran; constraints of the request come
beside the spec's and take the place of those on the same column.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gatherline.report.columns import Row
from gatherline.report.measures import measure_unit
from gatherline.request_error import RequestError
from gatherline.sweep.columns import POINT_COLUMNS
from gatherline.sweep.front import CHOICES, DIRECTIONS, SweepFront, read_points, rows_of, sweep_front, without_followers
from gatherline.sweep.objective import DEFAULT_OBJECTIVES, Constraint, Direction, Objective
from gatherline.sweep.quantity import SPELLINGS, parse_quantity
from gatherline.sweep.store import OF_MEMBERS, Store
from patterns.names import nearest

NUMBERS = tuple(column.name for column in POINT_COLUMNS if column.type in ("int", "float"))


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontRequest:
    """``maximise``: objectives of which more is better, listed in ``objectives`` or not. ``most`` and ``least``: texts
    NAME=VALUE with units, as in latency_s=20ms.
    """

    folder: Path
    objectives: tuple[str, ...] = ()
    maximise: tuple[str, ...] = ()
    most: tuple[str, ...] = ()
    least: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredFront:
    """A front and the rows of its members."""

    front: SweepFront
    rows: tuple[Row, ...]


def stored_front(request: FrontRequest) -> StoredFront:
    """Return the front of the sweep that ran last in the request's folder. Raises RequestError."""
    with Store.open(request.folder, create=False) as store:
        record = store.last()
        known = (*NUMBERS, *(name for name in OF_MEMBERS if name != "number"), *store.field_columns)
        spec = tomllib.loads(record.spec)
        objectives = _objectives(request, spec.get("objectives", {}), known)
        constraints = _constraints(request, spec.get("constraints", {}), known)
        choices = (*CHOICES, *store.field_columns)
        judged = (*(each.name for each in objectives), *(each.name for each in constraints))
        columns = tuple(dict.fromkeys(("number", "key", "refused", *choices, *judged)))
        rows = store.in_order(record.number, columns)
        points = without_followers(read_points(rows, choices, objectives, constraints), _followers(spec))
        found = sweep_front(record.name, points, objectives, constraints)
        members = store.numbered(record.number, [int(points.numbers[point]) for point in found.members])
        return StoredFront(front=found, rows=tuple(rows_of(found, members)))


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


def _objectives(request: FrontRequest, spec: Mapping[str, Direction], known: Sequence[str]) -> tuple[Objective, ...]:
    names = dict.fromkeys((*request.objectives, *request.maximise))
    for name in names:
        _check_column("--objective" if name in request.objectives else "--maximise", name, known)
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
