"""The machines of one device of a spec: its base, the axes of its fields, and fields that follow another.

Every choice of values is another machine: a value that the base has already is left out of a machine's fields, so the
base itself is a machine without fields. Left out: whether a machine with these values can exist (``with_fields`` says).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any, get_args, get_type_hints

from costmodel.spec import RooflineDevice
from gatherline.device_fields import NOT_FIELDS, DeviceField, FieldValue, nearest_path, with_fields
from gatherline.request import Target
from gatherline.request_error import RequestError
from gatherline.sweep.axis import Axis, Choices, Interval, Kind
from simulator.memory.timings import ALL_TIMINGS
from simulator.spec import DeviceError

Fields = tuple[tuple[str, FieldValue], ...]
Setting = tuple[
    tuple[str, FieldValue | None], ...
]  # the fields that one axis sets, with the value that changes nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAxes:
    """``base``: a preset's name or a file's path. ``follow``: (field, the axis whose value it takes).

    ``dropped``: for each path that may vary, the value that changes nothing, None where every value changes something.
    """

    base: str
    name: str
    axes: tuple[tuple[str, Axis], ...] = ()
    follow: tuple[tuple[str, str], ...] = ()
    dropped: tuple[tuple[str, FieldValue | None], ...] = ()
    _settings: tuple[Setting, ...] = field(init=False, repr=False, compare=False)  # of each axis, made of the others

    def __post_init__(self) -> None:
        unchanged = dict(self.dropped)
        taken = [[path, *(one for one, leader in self.follow if leader == path)] for path, _ in self.axes]
        settings = tuple(tuple((one, unchanged[one]) for one in paths) for paths in taken)
        object.__setattr__(self, "_settings", settings)

    @property
    def count(self) -> int:
        """Return how many machines there are. Raises RequestError where a range has no steps."""
        return math.prod(len(self._values(path, axis)) for path, axis in self.axes)

    def _values(self, path: str, axis: Axis) -> tuple[FieldValue, ...]:
        if isinstance(axis, Interval):
            raise RequestError(
                f"device {self.name}: {path} is a range without steps, and a grid needs steps, step or a list"
            )
        return axis.values

    def fields(self, values: Sequence[FieldValue]) -> Fields:
        """Return the fields of the machine with these values of the axes."""
        parts = zip(self._settings, values, strict=True)
        return tuple(sorted(pair for setting, value in parts for pair in _changes(setting, value)))

    def machines(self) -> Iterator[Fields]:
        """Yield the fields of every machine, the last axis fastest."""
        by_axis = [
            [_changes(setting, value) for value in self._values(path, axis)]
            for (path, axis), setting in zip(self.axes, self._settings, strict=True)
        ]
        for parts in product(*by_axis):
            yield tuple(sorted(pair for part in parts for pair in part))

    def machine(self, number: int) -> Fields:
        """Return the fields of machine ``number``, in the order of ``machines``."""
        return self.fields([axis.values[digit] for axis, digit in self.digits(number)])

    def digits(self, number: int) -> list[tuple[Choices, int]]:
        """Return each axis with the place of its value in machine ``number``."""
        found: list[tuple[Choices, int]] = []
        for path, axis in reversed(self.axes):
            number, digit = divmod(number, len(self._values(path, axis)))
            assert isinstance(axis, Choices)
            found.append((axis, digit))
        return found[::-1]


def _changes(setting: Setting, value: FieldValue) -> Fields:
    """Return which fields of a setting differ from the base at ``value``."""
    return tuple((path, value) for path, base in setting if not _equal(base, value))


def _equal(base: FieldValue | None, value: FieldValue) -> bool:
    return base == value and isinstance(base, bool) == isinstance(value, bool)


def field_kind(device: Target, field: DeviceField) -> Kind:
    """Return what values ``field`` of ``device`` takes."""
    value = field.value
    if isinstance(value, bool):
        return Kind(form="switch")
    if isinstance(value, str):
        return Kind(form="text", known=_known_texts(device, field.path))
    if value is None or isinstance(value, Fraction):
        return Kind(form="fraction", unit=field.unit)
    if isinstance(value, float) or _takes_floats(device, field.path, value):
        return Kind(form="real", unit=field.unit)
    return Kind(form="whole", unit=field.unit)


def _takes_floats(device: Target, path: str, value: int) -> bool:
    """Return whether a number between whole ones is taken: a field of reals whose value happens to be whole."""
    if not isinstance(device, RooflineDevice):
        return False
    for between in (value + 0.5, value - 0.5):  # one of them may break a bound
        try:
            with_fields(device, {path: between})
        except DeviceError:
            continue
        return True
    return False


def _known_texts(device: Target, path: str) -> tuple[str, ...]:
    if path == "dram.timing":
        return ("flat", *(timing.name for timing in ALL_TIMINGS))
    part: Any = device
    *parents, leaf = path.split(".")
    for parent in parents:
        part = getattr(part, parent)
    return tuple(one for one in get_args(get_type_hints(type(part))[leaf]) if isinstance(one, str))


def unchanged_value(device: Target, field: DeviceField) -> FieldValue | None:
    """Return the value of ``field`` that leaves ``device`` as it is; None where there is none.

    A rate that is set makes a DRAM flat even where it is the rate there was, and a field that several kernels of one
    name have is set in all of them.
    """
    if field.value is None:
        return None
    try:
        same = with_fields(device, {field.path: field.value})
    except DeviceError:
        return None
    told = {name: getattr(device, name) for name in NOT_FIELDS}  # sources say that a field was set
    return field.value if replace(same, **told) == device else None


def field_named(known: Mapping[str, DeviceField], path: str, device: str, where: str) -> DeviceField:
    """Return the field of a path. ``device``: a preset or a file. Raises RequestError with the nearest one."""
    if path not in known:
        name = Path(device).name
        raise RequestError(
            f"unknown field {where}.{path} of device {name}; {nearest_path(path, list(known))} simulate list devices "
            f"{name} lists them"
        )
    return known[path]


def overlap(first: DeviceAxes, second: DeviceAxes) -> Fields | None:
    """Return a machine that two sets of axes over one base share, as values by path; None where there is none.

    Fields that follow one another are one unknown; each unknown must have a value that every axis on it allows.
    """
    parts = (first, second)
    base = {path: value for part in parts for path, value in part.dropped}
    group = {path: path for path in base}

    def root(path: str) -> str:
        while group[path] != path:
            path = group[path]
        return path

    for part in parts:
        for follower, leader in part.follow:
            group[root(follower)] = root(leader)
    allowed: dict[str, list[Axis]] = {}
    for part in parts:
        followers = {follower for follower, _ in part.follow}
        axes = dict(part.axes)
        for path, value in base.items():
            if path not in followers:
                fixed = Choices(values=() if value is None else (value,))
                allowed.setdefault(root(path), []).append(axes.get(path, fixed))
    shared = {place: _common(axes) for place, axes in allowed.items()}
    if any(value is None for value in shared.values()):
        return None
    return tuple(sorted((path, value) for path in base if (value := shared[root(path)]) is not None))


def _common(axes: Sequence[Axis]) -> FieldValue | None:
    """Return a value that all ``axes`` have, None where there is none."""
    listed = [axis for axis in axes if isinstance(axis, Choices)]
    stretches = [axis for axis in axes if isinstance(axis, Interval)]
    if not listed:
        low, high = max(axis.low for axis in stretches), min(axis.high for axis in stretches)
        return stretches[0].near(float(low)) if low <= high else None
    for value in listed[0].values:
        if all(value in axis.values for axis in listed[1:]) and all(
            not isinstance(value, str) and axis.low <= value <= axis.high for axis in stretches
        ):
            return value
    return None
