"""One axis of a sweep: the values of a field, as a list, a range, or a stretch that methods draw from.

A range is ``{from, to, step}``, ``{from, to, steps}`` with ``scale = "log"`` if wished, ends included. Without step and
steps it is an Interval, which only drawing methods take. Left out: what the values are of (``device_axes.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from gatherline.device_fields import FieldValue
from gatherline.request_error import RequestError
from gatherline.sweep.quantity import parse_quantity, shown
from patterns.names import nearest
from simulator.device_file import parse_interval
from simulator.spec import DeviceError

MOST_VALUES = 100_000  # of one axis: more is a mistake of the step
RANGE_KEYS = ("from", "to", "step", "steps", "scale")
Scale = Literal["linear", "log"]
Form = Literal["whole", "real", "fraction", "text", "switch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What values are: their form and unit. ``known``: the texts that are allowed, () for any."""

    form: Form
    unit: str = ""
    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Values one by one, all different, in the order of the spec."""

    values: tuple[FieldValue, ...]

    @property
    def ordered(self) -> bool:
        """Return whether the values are numbers, so that some are nearer than others."""
        return not any(isinstance(value, str | bool) for value in self.values)

    def at(self, share: float) -> int:
        """Return which value a draw ``share``, 0 to below 1, means: its place."""
        return place_of(share, len(self.values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Every value from ``low`` to ``high``. ``form``: what is drawn, whole numbers, reals or fractions."""

    low: Fraction
    high: Fraction
    scale: Scale
    form: Form

    def at(self, share: float) -> FieldValue:
        """Return the value that a draw ``share``, 0 to below 1, means."""
        low, high = float(self.low), float(self.high)
        if self.scale == "log":
            return self.near(low * (high / low) ** share)
        if self.form == "whole":
            return min(math.ceil(self.low) + int(share * (math.floor(self.high) - math.ceil(self.low) + 1)),
                       math.floor(self.high))  # fmt: skip
        return self.near(low + (high - low) * share)

    def near(self, value: float) -> FieldValue:
        """Return the value of the interval that is nearest to ``value``; fractions keep 4 digits."""
        if self.form == "whole":
            return min(max(round(value), math.ceil(self.low)), math.floor(self.high))
        if self.form == "fraction":
            return min(max(Fraction(f"{value:.4g}"), self.low), self.high)
        return min(max(value, float(self.low)), float(self.high))


Axis = Choices | Interval


def place_of(share: float, count: int) -> int:
    """Return which of ``count`` equal parts of 0 to 1 a draw lies in; a product may round up to ``count``."""
    return min(int(share * count), count - 1)


def read_axis(value: object, kind: Kind, name: str) -> Axis:
    """Return the axis that a value, a list or a range of a spec means. Raises RequestError, naming ``name``."""
    if isinstance(value, dict):
        return _range(value, kind, name)
    listed = value if isinstance(value, list) else [value]
    if not listed:
        raise RequestError(f"{name} is an empty list, and must have at least one value")
    if len(listed) > MOST_VALUES:
        raise RequestError(f"{name} has {len(listed)} values, and at most {MOST_VALUES} are taken")
    return Choices(values=_unique([read_value(one, kind, name) for one in listed]))


def read_value(value: object, kind: Kind, name: str) -> FieldValue:
    """Return one value as ``kind`` asks for. Raises RequestError, naming ``name``."""
    if kind.form == "switch":
        if not isinstance(value, bool):
            raise RequestError(f"{name} is {shown(value)}, and must be true or false")
        return value
    if kind.form == "text":
        if not isinstance(value, str):
            raise RequestError(f"{name} is {shown(value)}, and must be a text")
        if kind.known and value not in kind.known:
            raise RequestError(f"{name} is {shown(value)}; {nearest(value, kind.known)}")
        return value
    if kind.form == "fraction" and isinstance(value, str) and "/" in value:
        if len(value) > 64:
            raise RequestError(f"{name} is {shown(value)}, and must be shorter")
        try:
            return parse_interval(value, name)
        except DeviceError as error:
            raise RequestError(str(error)) from None
    number = parse_quantity(value, kind.unit, name)
    if kind.form == "whole" and number.denominator != 1:
        raise RequestError(f"{name} is {shown(value)}, and must be a whole number {_of(kind.unit)}".rstrip())
    return _formed(number, kind)


def _of(unit: str) -> str:
    return f"of {unit}" if unit else ""


def _formed(number: Fraction, kind: Kind) -> FieldValue:
    """Return an exact number in the form of a field; whole ones are rounded, halves up."""
    if kind.form == "whole":
        return math.floor(number + Fraction(1, 2))
    return number if kind.form == "fraction" else float(number)


def _range(table: dict[str, object], kind: Kind, name: str) -> Axis:
    for key in table:
        if key not in RANGE_KEYS:
            raise RequestError(f"unknown key {name}.{shown(key)[1:-1]}; {nearest(key, RANGE_KEYS)}")
    if kind.form in ("text", "switch"):
        raise RequestError(f"{name} is a range, and its values are no numbers: give a list")
    for key in ("from", "to"):
        if key not in table:
            raise RequestError(f"{name}.{key} is missing, and a range needs it")
    low, high = (_bound(table[key], kind, f"{name}.{key}") for key in ("from", "to"))
    if low > high:
        raise RequestError(
            f"{name}.from is {shown(table['from'])}, and must be at most to, which is {shown(table['to'])}"
        )
    scale = table.get("scale", "linear")
    if scale not in get_args(Scale):
        raise RequestError(f"{name}.scale is {shown(scale)}, and must be one of {', '.join(get_args(Scale))}")
    if scale == "log" and low <= 0:
        raise RequestError(f"{name}.from is {shown(table['from'])}, and must be above 0 on a log scale")
    if "step" in table and "steps" in table:
        raise RequestError(f"{name} has step and steps, and one of them says it all")
    if "step" in table:
        return _by_step(table, low, high, kind, name)
    powers = scale == "log" and kind.form == "whole" and _is_power(low) and _is_power(high)
    if "steps" not in table:
        if powers:
            return Choices(values=tuple(1 << bits for bits in range(_bits(low), _bits(high) + 1)))
        if low == high:
            return Choices(values=(_formed(low, kind),))
        return Interval(low=low, high=high, scale="log" if scale == "log" else "linear", form=kind.form)
    steps = _steps(table["steps"], low, high, name)
    if powers:
        first, last = _bits(low), _bits(high)
        shares: Sequence[Fraction] = [Fraction(at, max(steps - 1, 1)) for at in range(steps)]
        return Choices(values=_unique([1 << round(first + (last - first) * share) for share in shares]))
    return Choices(values=_unique([_formed(one, kind) for one in _spread(low, high, steps, scale == "log")]))


def _bound(value: object, kind: Kind, name: str) -> Fraction:
    return Fraction(read_value(value, kind, name)) if kind.form == "fraction" else _exact(value, kind, name)


def _exact(value: object, kind: Kind, name: str) -> Fraction:
    number = parse_quantity(value, kind.unit, name)
    if kind.form == "whole" and number.denominator != 1:
        raise RequestError(f"{name} is {shown(value)}, and must be a whole number {_of(kind.unit)}".rstrip())
    return number


def _by_step(table: dict[str, object], low: Fraction, high: Fraction, kind: Kind, name: str) -> Choices:
    step = parse_quantity(table["step"], kind.unit, f"{name}.step")
    if step <= 0:
        raise RequestError(f"{name}.step is {shown(table['step'])}, and must be above 0")
    if table.get("scale") == "log":
        raise RequestError(f"{name}.step is {shown(table['step'])}, and a log scale takes steps, their number")
    count = (high - low) // step + 1
    if count > MOST_VALUES:
        raise RequestError(f"{name} has {count} values, and at most {MOST_VALUES} are taken")
    return Choices(values=_unique([_formed(low + at * step, kind) for at in range(count)]))


def _steps(value: object, low: Fraction, high: Fraction, name: str) -> int:
    if type(value) is not int or not 1 <= value <= MOST_VALUES:
        raise RequestError(f"{name}.steps is {shown(value)}, and must be a whole number from 1 to {MOST_VALUES}")
    if value == 1 and low != high:
        raise RequestError(f"{name}.steps is 1, and must be at least 2 where from and to differ")
    return value


def _spread(low: Fraction, high: Fraction, steps: int, log: bool) -> list[Fraction]:
    """Return ``steps`` values from ``low`` to ``high``, both ends exact."""
    if steps == 1:
        return [low]
    if not log:
        return [low + (high - low) * Fraction(at, steps - 1) for at in range(steps)]
    ratio = float(high / low)
    inner = [Fraction(f"{float(low) * ratio ** (at / (steps - 1)):.12g}") for at in range(1, steps - 1)]
    return [low, *inner, high]


def _is_power(number: Fraction) -> bool:
    return number.denominator == 1 and number >= 1 and not int(number) & (int(number) - 1)


def _bits(number: Fraction) -> int:
    return int(number).bit_length() - 1


def _unique(values: Sequence[FieldValue]) -> tuple[FieldValue, ...]:
    """Return values in order, each once; true and 1 are two values."""
    return tuple({(type(value), value): value for value in values}.values())
