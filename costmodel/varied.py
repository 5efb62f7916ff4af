"""A roofline device whose fields vary: many devices of one structure, told by arrays of values.

What a rule of a device refuses, it refuses here, point by point and in the same words: the rules of the parts and of
the whole are asked for all points at once (``costmodel.per_point``), and a point alone where that cannot be. Left out:
FPGAs, whose fields follow from one another: each point is a device of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import numpy.typing as npt

from costmodel.device_file import overridden_roofline
from costmodel.device_rules import check_rules
from costmodel.per_point import Diverged, NotPerPoint, PerPoint
from costmodel.spec import RooflineDevice, numbers
from patterns.names import nearest
from simulator.spec import DeviceError

Values = npt.NDArray[Any]
Places = npt.NDArray[np.intp]
Table = dict[str, Any]  # nested as in a device file
Build = Callable[[Any, Mapping[str, Any]], Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Varied:
    """``base`` with other values at ``paths``, spelled as in a device file: ``levels.l2.bytes``, ``units.0.clock_hz``.

    ``values``: an array [points] for each path, whole numbers where the field is one. Without paths there is one point,
    the base.
    """

    base: RooflineDevice
    paths: tuple[str, ...]
    values: tuple[Values, ...]
    _known: dict[object, Any] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        if len({values.shape for values in self.values}) > 1 or any(values.ndim != 1 for values in self.values):
            raise DeviceError(
                f"device {self.base.name}: values have shapes {[values.shape for values in self.values]}, and must be "
                f"one row of points each, all as long"
            )
        if len(self.paths) != len(self.values):
            raise DeviceError(f"device {self.base.name}: {len(self.paths)} fields have {len(self.values)} columns")
        known = numbers(self.base)
        columns = []
        for path, values in zip(self.paths, self.values, strict=True):
            kind = _kind(self.base, path.split(".")) if path in known else None
            if kind is None:
                raise DeviceError(f"device {self.base.name} has no field {path}; {nearest(path, list(known))}")
            if values.dtype.kind not in ("iu" if kind is int else "iuf"):
                raise DeviceError(
                    f"device {self.base.name}: {path} is an array of {values.dtype}, and must be of {kind.__name__}"
                )
            columns.append(np.ascontiguousarray(values, dtype=np.int64 if kind is int else np.float64))
        object.__setattr__(self, "values", tuple(columns))

    @property
    def points(self) -> int:
        return int(self.values[0].size) if self.values else 1

    def at(self, places: Places) -> RooflineDevice:
        """Return one device for several points that were accepted, its fields numbers by point."""
        columns = [values[places] for values in self.values]
        return self._build([_number(values) for values in columns], _copied)

    def chunk(self, start: int, places: Places) -> RooflineDevice:
        """As ``at``, kept for the next layer; ``start``: by which it is found again."""
        if start not in self._known:
            self._known[start] = self.at(places)
        found: RooflineDevice = self._known[start]
        return found

    def alone(self, point: int) -> RooflineDevice:
        """Return the device of one point. Raises DeviceError where a rule refuses it."""
        own = [values[point].item() for values in self.values]
        if self.base.fabric is None and self.refused.get(point) is None:
            return self._build(own, _copied)
        return self._checked_alone(own)

    @property
    def refused(self) -> Mapping[int, str]:
        """The points that no device can have, and which rule refuses them."""
        if "refused" not in self._known:
            self._known["refused"] = self._find_refused()
        found: Mapping[int, str] = self._known["refused"]
        return found

    @property
    def accepted(self) -> Places:
        """The points whose device keeps all rules, in order."""
        if "accepted" not in self._known:
            self._known["accepted"] = np.delete(np.arange(self.points), list(self.refused))
        found: Places = self._known["accepted"]
        return found

    def _find_refused(self) -> dict[int, str]:
        refused: dict[int, str] = {}
        pending = [np.arange(self.points)] if self.points else []
        while pending:
            places = pending.pop()
            try:
                if self.base.fabric is not None:
                    raise NotPerPoint
                check_rules(self._build([_number(values[places]) for values in self.values], _validated))
            except Diverged as diverged:
                pending += [places[diverged.where], places[~diverged.where]]
            except (NotPerPoint, DeviceError):
                refused |= self._refused_alone(places)
        return dict(sorted(refused.items()))

    def _refused_alone(self, places: Places) -> dict[int, str]:
        found = {}
        for point in places.tolist():
            try:
                self._checked_alone([values[point].item() for values in self.values])
            except DeviceError as error:
                found[point] = str(error)
        return found

    def _checked_alone(self, own: Sequence[float]) -> RooflineDevice:
        """Return the device of these values as a file with them would make it. Raises DeviceError."""
        try:
            device = overridden_roofline(self.base, self._table(own), "varied field")
            check_rules(device)
        except DeviceError as error:
            where = f"device {self.base.name}: "
            raise DeviceError(f"{where}{str(error).removeprefix(where)}") from None
        return device

    def _build(self, own: Sequence[Any], build: Build) -> RooflineDevice:
        device: RooflineDevice = _with(self.base, self._table(own), build)
        return device

    def _table(self, own: Sequence[Any]) -> Table:
        table: Table = {}
        for path, value in zip(self.paths, own, strict=True):
            *parts, leaf = path.split(".")
            inner = table
            for part in parts:
                inner = inner.setdefault(part, {})
            inner[leaf] = value
        return table


def _number(values: Values) -> Any:
    """Return the values as a number by point, or as a plain one where all are the same."""
    first = values[0]
    return first.item() if (values == first).all() else PerPoint.of(values)


def _with(part: Any, table: Table, build: Build) -> Any:
    """Return ``part`` with the changes of ``table``, each part that changes made by ``build``."""
    changes: dict[str, Any] = {}
    for key, value in table.items():
        if not hasattr(part, key):  # of two kernels of one name only one has it: the file's reader says so
            raise NotPerPoint
        current = getattr(part, key)
        if not isinstance(value, dict):
            changes[key] = value
        elif is_dataclass(current):
            changes[key] = _with(current, value, build)
        elif _is_table(current):
            changes[key] = tuple((name, value.get(name, rate)) for name, rate in current)
        else:
            changes[key] = tuple(
                _with(member, value[own], build) if (own := _called(member, at)) in value else member
                for at, member in enumerate(current)
            )
    return build(part, changes)


def _validated(part: Any, changes: Mapping[str, Any]) -> Any:
    return replace(part, **changes)


def _copied(part: Any, changes: Mapping[str, Any]) -> Any:
    """As ``replace``, for values whose rules were asked before: 20 us instead of 1 ms."""
    new = object.__new__(type(part))
    for one in fields(part):
        object.__setattr__(new, one.name, changes[one.name] if one.name in changes else getattr(part, one.name))
    return new


def _is_table(value: Any) -> bool:
    """Whether a field is pairs of name and number, as rates by data type are."""
    return bool(value) and isinstance(value[0], tuple) and len(value[0]) == 2 and isinstance(value[0][0], str)


def _called(member: Any, at: int) -> str:
    return str(getattr(member, "name", at))


@cache
def _hints(spec: Any) -> dict[str, Any]:
    return get_type_hints(spec)


def _kind(part: Any, parts: Sequence[str]) -> type | None:
    """Return the type that the field at ``parts`` of ``part`` has, int or float; None where a file cannot change it."""
    key, *rest = parts
    spec: Any = type(part)
    current, hint = getattr(part, key, None), _hints(spec).get(key)
    if not rest:
        offered = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        return next((one for one in offered if one in (int, float)), None)
    if is_dataclass(current):
        return _kind(current, rest)
    if not isinstance(current, tuple) or not current:
        return None
    if _is_table(current):
        kind: type = get_args(get_args(hint)[0])[1]
        return kind if len(rest) == 1 else None
    member = next((one for at, one in enumerate(current) if _called(one, at) == rest[0]), None)
    return _kind(member, rest[1:]) if is_dataclass(member) and rest[1:] else None
