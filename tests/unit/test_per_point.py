"""Numbers that stand for many points do what Python does at each, to the last bit, or say that they cannot."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.per_point import VARIES, Diverged, NotPerPoint, PerPoint, TextPerPoint
from costmodel.point_choices import at_most, either, first_least, isqrt, largest, least, name_of_largest, picked, total

WHOLE = st.lists(st.integers(-(10**6), 10**6), min_size=4, max_size=4)
SMALL = st.floats(-1e9, 1e9).filter(lambda one: one == 0 or abs(one) > 1e-9)  # no quotient leaves the floats
REAL = st.lists(SMALL, min_size=4, max_size=4)
EITHER = st.one_of(WHOLE, REAL)
OPERATIONS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod]


def number(values: list[Any]) -> PerPoint:
    return PerPoint.of(np.array(values))


def same(found: PerPoint, expected: list[Any]) -> bool:
    """Whether values and types are those that Python has at each point."""
    return found.values.tolist() == expected and [*map(type, found.values.tolist())] == [*map(type, expected)]


@settings(max_examples=30, deadline=None)
@given(EITHER, EITHER)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_arithmetic_is_python_s_own_at_each_point(
    operation: Callable[..., Any], left: list[Any], right: list[Any]
) -> None:
    both = [*left, *right]
    if operation in (operator.floordiv, operator.mod) and not all(isinstance(one, int) for one in both):
        with pytest.raises(NotPerPoint):
            operation(number(left), number(right))
        return
    right = [one or 1 for one in right] if operation in OPERATIONS[3:] else right
    right = [float(one) for one in right] if any(isinstance(one, float) for one in right) else right
    assert same(operation(number(left), number(right)), [operation(a, b) for a, b in zip(left, right, strict=True)])
    assert same(operation(number(left), right[0]), [operation(a, right[0]) for a in left])
    assert same(operation(left[0], number(right)), [operation(left[0], b) for b in right])


@given(st.lists(st.floats(0, 1e9), min_size=3, max_size=3), st.floats(0, 3))
def test_powers_are_python_s_own_and_not_numpy_s(bases: list[float], exponent: float) -> None:
    assert same(number(bases) ** exponent, [base**exponent for base in bases])


@given(REAL)
def test_rounding_up_and_down_gives_whole_numbers(values: list[float]) -> None:
    assert same(math.ceil(number(values)), [math.ceil(one) for one in values])
    assert same(math.floor(number(values)), [math.floor(one) for one in values])


@given(st.lists(st.integers(0, 2**51), min_size=3, max_size=3))
def test_whole_roots_are_exact(values: list[int]) -> None:
    assert same(isqrt(number(values)), [math.isqrt(one) for one in values])
    squares = [min(math.isqrt(one) ** 2, 2**51) for one in values]
    assert same(isqrt(number(squares)), [math.isqrt(one) for one in squares])


def test_whole_numbers_that_64_bits_do_not_hold_are_refused_and_not_wrapped() -> None:
    large = number([2**40, 2**41])
    with pytest.raises(NotPerPoint):
        large * 2**30
    with pytest.raises(NotPerPoint):
        large * large
    assert same(number([2**40, 1]) // 2**20 * 2**30, [2**50, 0])  # the bound is asked again of the values


def test_a_quotient_of_whole_numbers_that_floats_do_not_hold_is_refused() -> None:
    with pytest.raises(NotPerPoint):
        number([2**53 + 1, 1]) / 3
    assert same(number([2**53, 1]) / 3, [2**53 / 3, 1 / 3])


def test_a_division_by_zero_at_one_point_raises() -> None:
    with np.errstate(divide="raise", invalid="raise"):
        for divide in (operator.truediv, operator.floordiv, operator.mod):
            with pytest.raises(ArithmeticError):
                divide(1, number([1, 0]))


def test_a_condition_holds_everywhere_or_nowhere_or_parts_the_points() -> None:
    values = number([1, 2, 3])
    assert values > 0
    assert not values > 3
    with pytest.raises(Diverged) as parted:
        bool(values >= 2)
    assert parted.value.where.tolist() == [False, True, True]
    with pytest.raises(Diverged):
        bool(number([0, 1]))


def test_a_whole_number_and_a_float_beyond_what_floats_hold_are_not_compared() -> None:
    with pytest.raises(NotPerPoint):
        bool(number([2**60, 2**60 + 1]) > 2.0**60)


def test_what_must_be_one_number_parts_points_by_value_where_values_are_few() -> None:
    assert operator.index(number([4, 4])) == 4
    with pytest.raises(Diverged) as parted:
        range(number([4, 8, 4]))
    assert parted.value.where.tolist() == [True, False, True]
    with pytest.raises(NotPerPoint):
        operator.index(number([*range(65)]))
    with pytest.raises(NotPerPoint):
        operator.index(number([1.0, 1.0]))


def test_what_cannot_be_done_for_several_points_says_so() -> None:
    values = number([1.0, 2.0])
    for ask in (float, int, hash, round, abs, iter, np.exp, lambda one: np.ones(2) * one):
        with pytest.raises((NotPerPoint, TypeError)):
            ask(values)


def test_a_text_with_such_a_number_shows_that_it_varies() -> None:
    assert f"{number([1, 2])} {number([0.5, 1.0]):.0%}" == f"{VARIES} {VARIES}"
    assert VARIES in str(name_of_largest({"a": number([1.0, 3.0]), "b": 2.0}).__format__(""))


@settings(max_examples=60, deadline=None)
@given(EITHER, EITHER, st.integers(-5, 5))
def test_choices_are_python_s_own_at_each_point(left: list[Any], right: list[Any], third: int) -> None:
    right = [type(left[0])(one) for one in right]
    plain = type(left[0])(third)
    a, b = number(left), number(right)
    rows = [*zip(left, right, [plain] * 4, strict=True)]
    assert same(largest(a, b, plain), [max(row) for row in rows])
    assert same(least(a, b, plain), [min(row) for row in rows])
    assert same(total([a, b, plain]), [0 + x + y + z for x, y, z in rows])
    at = first_least([a, b, plain])
    places = [row.index(min(row)) for row in rows]
    assert ([at] * 4 if isinstance(at, int) else at.tolist()) == places
    chosen = picked(at, [number(left), number(right), plain])
    assert (chosen.values.tolist() if isinstance(chosen, PerPoint) else [chosen] * 4) == [min(row) for row in rows]
    one = either(at_most(a, b), a, b)
    assert same(one, [x if x <= y else y for x, y in zip(left, right, strict=True)])


def test_the_name_of_the_largest_is_the_first_of_equals() -> None:
    found = name_of_largest({"a": number([1.0, 2.0, 5.0]), "b": 2.0, "c": number([3.0, 2.0, 1.0])})
    assert isinstance(found, TextPerPoint)
    assert [found.names[code] for code in found.codes] == ["c", "a", "a"]
    assert name_of_largest({"a": number([1.0, 2.0]), "b": 3.0}) == "b"
    assert name_of_largest({"a": 1.0, "b": 1.0}) == "a"


def test_a_whole_number_at_one_point_and_a_float_at_the_next_parts_them() -> None:
    with pytest.raises(Diverged):
        largest(number([1.5, 0.5]), 1)
    assert same(largest(number([1.5, 2.5]), 1), [1.5, 2.5])
