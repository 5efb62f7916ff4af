"""A number that stands for one value at each of many points, so that one pass through a cost model serves them all.

A device whose fields hold such numbers goes through the same functions as any other. Each operation is done for all
points at once by NumPy, in the same order and precision as Python does it for one, so that results are the same to the
last bit: whole numbers stay whole (64 bits, checked), and what could round in another way raises ``NotPerPoint``. A
comparison holds for all points or for none; otherwise it raises ``Diverged``, and the caller asks again for each side;
``costmodel.point_choices`` chooses by point without that. Formatted into a text such a number is ``VARIES``. Left out:
whole powers, remainders of floats. ``np.errstate`` of the caller decides about divisions by zero: it must raise.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]  # int64 or float64, [points]
Where = npt.NDArray[np.bool_]

VARIES = "\x00"  # in a text: no text of a device can hold it
MOST_WHOLE = 2**63 - 1
MOST_EXACT = 2**53  # whole numbers up to this are floats too
MOST_GROUPS = 64  # values for which a number that must be one value is taken apart


class NotPerPoint(Exception):
    """What was asked of the number cannot be done for many points at once; each point must be asked for alone."""


class Diverged(Exception):
    """A condition holds at some points and not at others; ``where``: at which it holds, [points]."""

    def __init__(self, where: Where) -> None:
        super().__init__()
        self.where = where


class PerPoint:
    """``values`` [points]; ``most``: no value of whole numbers is larger in magnitude, None for floats."""

    __slots__ = ("most", "values")
    __array_ufunc__ = None  # an array on the left leaves the operation to this class

    def __init__(self, values: Values, most: int | None = None) -> None:
        self.values = values
        self.most = most

    @staticmethod
    def of(values: Values) -> PerPoint:
        """Return the number with these values, int64 or float64."""
        whole = PerPoint(values, MOST_WHOLE) if values.dtype.kind == "i" else PerPoint(values)
        if whole.most is not None:
            whole.tighten()
        return whole

    def tighten(self) -> None:
        """Make ``most`` of whole numbers what it is."""
        self.most = max(abs(int(self.values.max())), abs(int(self.values.min())))

    def __add__(self, other: Any) -> PerPoint:
        return _linear(operator.add, self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> PerPoint:
        return _linear(operator.sub, self, other)

    def __rsub__(self, other: Any) -> PerPoint:
        return _linear(operator.sub, other, self)

    def __mul__(self, other: Any) -> PerPoint:
        return _product(self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> PerPoint:
        return _quotient(self, other)

    def __rtruediv__(self, other: Any) -> PerPoint:
        return _quotient(other, self)

    def __floordiv__(self, other: Any) -> PerPoint:
        return _whole_division(operator.floordiv, self, other)

    def __rfloordiv__(self, other: Any) -> PerPoint:
        return _whole_division(operator.floordiv, other, self)

    def __mod__(self, other: Any) -> PerPoint:
        return _whole_division(operator.mod, self, other)

    def __rmod__(self, other: Any) -> PerPoint:
        return _whole_division(operator.mod, other, self)

    def __divmod__(self, other: Any) -> tuple[PerPoint, PerPoint]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[PerPoint, PerPoint]:
        return other // self, other % self

    def __pow__(self, other: Any) -> PerPoint:
        return _power(self, other)

    def __rpow__(self, other: Any) -> PerPoint:
        return _power(other, self)

    def __neg__(self) -> PerPoint:
        return PerPoint(-self.values, self.most)

    def __ceil__(self) -> PerPoint:
        return self if self.most is not None else _whole(np.ceil(self.values))

    def __floor__(self) -> PerPoint:
        return self if self.most is not None else _whole(np.floor(self.values))

    def __lt__(self, other: Any) -> bool:
        return _agreed(compared(operator.lt, self, other))

    def __le__(self, other: Any) -> bool:
        return _agreed(compared(operator.le, self, other))

    def __gt__(self, other: Any) -> bool:
        return _agreed(compared(operator.gt, self, other))

    def __ge__(self, other: Any) -> bool:
        return _agreed(compared(operator.ge, self, other))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PerPoint | int | float) and _agreed(compared(operator.eq, self, other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __bool__(self) -> bool:
        return _agreed(self.values != 0)

    def __index__(self) -> int:
        """Return the one value; points are taken apart by value where there are few."""
        if self.most is None:
            raise NotPerPoint
        first = self.values[0]
        same = self.values == first
        if not same.all():
            if np.unique(self.values).size > MOST_GROUPS:
                raise NotPerPoint
            raise Diverged(same)
        return int(first)

    def __format__(self, spec: str) -> str:
        return VARIES

    def __str__(self) -> str:
        return VARIES

    def _refuse(self, *_: object) -> NoReturn:
        raise NotPerPoint

    __int__ = __float__ = __round__ = __trunc__ = __iter__ = __abs__ = _refuse

    def __hash__(self) -> int:
        raise NotPerPoint


class TextPerPoint:
    """One of ``names`` at each point, by ``codes`` [points]."""

    __slots__ = ("codes", "names")

    def __init__(self, names: Sequence[str], codes: npt.NDArray[np.intp]) -> None:
        self.names = tuple(names)
        self.codes = codes

    def __format__(self, spec: str) -> str:
        return VARIES


def parts_of(one: Any) -> tuple[Any, int | None]:
    """Return the values, an array or a plain number, and ``most``."""
    if type(one) is PerPoint:
        return one.values, one.most
    if type(one) is float:
        return one, None
    if isinstance(one, int | np.integer):
        whole = int(one)
        return whole, abs(whole)
    if isinstance(one, float):
        return float(one), None
    raise NotPerPoint


def floats(values: Any, most: int | None) -> Any:
    """Return the values as Python turns whole numbers into floats: rounded once, to the nearest."""
    if most is None:
        return values
    return values.astype(np.float64) if isinstance(values, np.ndarray) else float(values)


def bounded(bound: Callable[[int, int], int], limit: int, one: Any, other: Any) -> int:
    """Return ``bound`` of the magnitudes of two whole numbers. Raises NotPerPoint where it exceeds ``limit``."""
    most = bound(parts_of(one)[1] or 0, parts_of(other)[1] or 0)
    if most <= limit:
        return most
    for number in (one, other):
        if type(number) is PerPoint:
            number.tighten()
    most = bound(parts_of(one)[1] or 0, parts_of(other)[1] or 0)
    if most > limit:
        raise NotPerPoint
    return most


def _linear(operation: Callable[[Any, Any], Any], one: Any, other: Any) -> PerPoint:
    (x, x_most), (y, y_most) = parts_of(one), parts_of(other)
    if x_most is None or y_most is None:
        return PerPoint(operation(floats(x, x_most), floats(y, y_most)))
    return PerPoint(operation(x, y), bounded(operator.add, MOST_WHOLE, one, other))


def _product(one: Any, other: Any) -> PerPoint:
    (x, x_most), (y, y_most) = parts_of(one), parts_of(other)
    if x_most is None or y_most is None:
        return PerPoint(floats(x, x_most) * floats(y, y_most))
    most = bounded(operator.mul, MOST_WHOLE, one, other)
    bounded(max, MOST_WHOLE, one, other)  # a plain number too large beside zeros
    return PerPoint(x * y, most)


def _quotient(one: Any, other: Any) -> PerPoint:
    """Python rounds the quotient of two whole numbers once: so does a division of floats that hold them exactly."""
    (x, x_most), (y, y_most) = parts_of(one), parts_of(other)
    if x_most is not None and y_most is not None:
        bounded(max, MOST_EXACT, one, other)
    return PerPoint(np.true_divide(floats(x, x_most), floats(y, y_most)))


def _whole_division(operation: Callable[[Any, Any], Any], one: Any, other: Any) -> PerPoint:
    (x, x_most), (y, y_most) = parts_of(one), parts_of(other)
    if x_most is None or y_most is None:
        raise NotPerPoint
    most = bounded(max, MOST_WHOLE, one, other)
    exact = np.floor_divide if operation is operator.floordiv else np.remainder
    return PerPoint(exact(x, y), most)


def _power(one: Any, other: Any) -> PerPoint:
    """As Python's own, value by value: NumPy's differs from it in the last bit."""
    (x, x_most), (y, y_most) = parts_of(one), parts_of(other)
    if x_most is not None and y_most is not None:
        raise NotPerPoint
    bases, exponents = np.broadcast_arrays(floats(x, x_most), floats(y, y_most))
    if (bases < 0).any():
        raise NotPerPoint
    return PerPoint(np.array([a**b for a, b in zip(bases.tolist(), exponents.tolist(), strict=True)]))


def _whole(values: Values) -> PerPoint:
    most = float(np.abs(values).max())
    if not most < MOST_WHOLE:
        raise NotPerPoint
    return PerPoint(values.astype(np.int64), int(most))


def compared(operation: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
    """Return where a comparison holds, [points], of numbers of which one at least is by point."""
    (x, x_most), (y, y_most) = parts_of(one), parts_of(other)
    if (x_most is None) != (y_most is None):  # Python compares a whole number and a float exactly
        bounded(max, MOST_EXACT, one, other)
    return operation(x, y)


def _agreed(where: Any) -> bool:
    if where.all():
        return True
    if where.any():
        raise Diverged(where)
    return False
