"""Choosing among numbers: by point where they stand for many points, and as Python does where they are plain.

The cost models choose with these wherever a field of a device may decide, so that points need not part. Left out:
choices between numbers of which some are whole and some are not: those part the points.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from costmodel.per_point import (
    MOST_EXACT,
    MOST_WHOLE,
    NotPerPoint,
    PerPoint,
    TextPerPoint,
    bounded,
    compared,
    floats,
    parts_of,
)

Number = TypeVar("Number", bound=float)


def largest(first: Number, *others: Number) -> Number:
    """Return the largest, by point."""
    found: tuple[Any, ...] = (first, *others)
    for one in found:
        if type(one) is PerPoint:
            return _extreme(max, np.maximum, found)  # type: ignore[no-any-return]
    return max(found)  # type: ignore[no-any-return]


def least(first: Number, *others: Number) -> Number:
    """Return the least, by point."""
    found: tuple[Any, ...] = (first, *others)
    for one in found:
        if type(one) is PerPoint:
            return _extreme(min, np.minimum, found)  # type: ignore[no-any-return]
    return min(found)  # type: ignore[no-any-return]


def total(found: Iterable[Number]) -> Number:
    """Return the sum, added up one after the other; Python's own carries roundings along from 3.12 on."""
    so_far: Any = 0
    for one in found:
        so_far = so_far + one
    return so_far  # type: ignore[no-any-return]


def _extreme(plain: Callable[..., Any], by_point: Callable[[Any, Any], Any], found: tuple[Any, ...]) -> Any:
    parts = [parts_of(one) for one in found]
    if len({most is None for _, most in parts}) > 1:  # one type at one point and another at the next
        return plain(found)
    values, most = parts[0]
    for beside, its_most in parts[1:]:
        values = by_point(values, beside)
        if most is not None and its_most is not None:
            most = max(most, its_most)
    return PerPoint(values, most)


def at_most(one: Any, other: Any) -> Any:
    """Return whether ``one`` <= ``other``, a truth for ``either``: a bool or one by point."""
    if type(one) is not PerPoint and type(other) is not PerPoint:
        return one <= other
    return compared(operator.le, one, other)


def either(holds: Any, this: Number, that: Number) -> Number:
    """Return ``this`` where ``holds``, which ``at_most`` gave, else ``that``."""
    if isinstance(holds, bool | np.bool_):
        return this if holds else that
    return picked(np.where(holds, 0, 1), (this, that))  # type: ignore[no-any-return]


def first_least(found: Sequence[float]) -> Any:
    """Return the place of the first of the least, a place for ``picked``: an int or one by point."""
    return _first(found, operator.lt)


def _first(found: Sequence[Any], better: Callable[[Any, Any], Any]) -> Any:
    by_point = next((one for one in found if type(one) is PerPoint), None)
    if by_point is None:
        best = 0
        for place, value in enumerate(found):
            if better(value, found[best]):
                best = place
        return best
    parts = [parts_of(one) for one in found]
    if any(most is not None and most > MOST_EXACT for _, most in parts):
        raise NotPerPoint
    shape = by_point.values.shape
    so_far = np.broadcast_to(np.asarray(floats(*parts[0])), shape)
    at = np.zeros(shape, dtype=np.intp)
    for place, part in enumerate(parts[1:], start=1):
        value = floats(*part)
        ahead = better(value, so_far)
        at[ahead] = place
        so_far = np.where(ahead, value, so_far)
    first = at[0]
    return int(first) if (at == first).all() else at


def picked(at: Any, found: Sequence[Any]) -> Any:
    """Return the member of ``found`` at a place, by point."""
    if isinstance(at, int):
        return found[at]
    places = np.unique(at).tolist()
    first = found[places[0]]
    if all(found[place] is first for place in places):
        return first
    parts = {place: parts_of(found[place]) for place in places}
    kinds = {most is None for _, most in parts.values()}
    if len(kinds) > 1:
        raise NotPerPoint
    mosts = [most for _, most in parts.values() if most is not None]
    if mosts and max(mosts) > MOST_WHOLE:
        raise NotPerPoint
    chosen = np.empty(at.shape, dtype=np.int64 if mosts else np.float64)
    for place, (values, _) in parts.items():
        where = at == place
        chosen[where] = values[where] if isinstance(values, np.ndarray) else values
    return PerPoint(chosen, max(mosts) if mosts else None)


def name_of_largest(found: Mapping[str, float]) -> Any:
    """Return the name of the first of the largest: a text, or ``TextPerPoint``."""
    at = _first(tuple(found.values()), operator.gt)
    names = tuple(found)
    return names[at] if isinstance(at, int) else TextPerPoint(names, at)


def isqrt(number: Any) -> Any:
    """Return the whole part of the square root."""
    if type(number) is not PerPoint:
        return math.isqrt(number)
    bounded(max, MOST_EXACT // 2, number, 0)
    root = np.sqrt(number.values.astype(np.float64)).astype(np.int64)
    root -= root * root > number.values
    root += (root + 1) * (root + 1) <= number.values
    return PerPoint(root, number.most)
