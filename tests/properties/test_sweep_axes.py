"""Units and axes of sweeps: exact as written, ends included, nothing outside, nothing twice."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatherline.request_error import RequestError
from gatherline.sweep.axis import MOST_VALUES, Choices, Interval, Kind, read_axis
from gatherline.sweep.quantity import BARE, LARGEST, SPELLINGS, parse_quantity, shown

WHOLE, REAL = Kind(form="whole"), Kind(form="real")
numbers = st.decimals(min_value=0, max_value=10**6, places=3, allow_nan=False)
units = st.sampled_from([(unit, text) for unit, known in SPELLINGS.items() for text in known])
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.datetimes()
anything = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from(["from", "to", "step", "steps", "scale", "x"]), inner, max_size=4))  # fmt: skip


@given(numbers, units)
def test_a_quantity_is_its_number_times_its_unit_exactly(number: Any, unit: tuple[str, str]) -> None:
    name, text = unit
    expected = Fraction(number) * SPELLINGS[name][text]
    for written in (f"{number} {text}", f"{number}{text}", f"  {number}   {text} "):
        if expected < LARGEST:
            assert parse_quantity(written, name, "x") == expected


@given(numbers, st.sampled_from(sorted(SPELLINGS)))
def test_a_bare_number_is_taken_only_where_no_unit_is_needed(number: Any, unit: str) -> None:
    if unit in BARE or number == 0:
        assert parse_quantity(float(number), unit, "x") == Fraction(repr(float(number)))
    else:
        with pytest.raises(RequestError, match="needs a unit, as in"):
            parse_quantity(float(number), unit, "x")


@given(anything, st.sampled_from(["whole", "real", "fraction", "text", "switch"]), st.sampled_from(sorted(SPELLINGS)))
def test_whatever_a_file_holds_is_an_axis_or_one_line_that_names_it(value: Any, form: Any, unit: str) -> None:
    message = ""
    try:
        axis = read_axis(value, Kind(form=form, unit=unit), "devices[0].fields.x")
    except RequestError as error:
        message = str(error)
    if message:
        assert "devices[0].fields.x" in message
        assert len(message.splitlines()) == 1
    else:
        assert isinstance(axis, Interval) or 1 <= len(axis.values) <= MOST_VALUES


@given(anything)
def test_what_an_error_shows_of_a_value_is_short_and_of_one_line(value: Any) -> None:
    assert len(shown(value)) <= 120
    assert shown(value).isprintable()


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(2, 50), st.sampled_from(["linear", "log"]))
def test_steps_of_whole_numbers_rise_from_one_end_to_the_other(low: int, more: int, steps: int, scale: str) -> None:
    axis = read_axis({"from": low, "to": low + more, "steps": steps, "scale": scale}, WHOLE, "x")
    assert isinstance(axis, Choices)
    values = list(axis.values)
    assert values == sorted(set(values))  # rounded ones that meet count once
    assert (values[0], values[-1]) == (low, low + more)
    assert len(values) <= steps
    assert all(type(value) is int for value in values)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(2, 30))
def test_a_log_range_between_powers_of_two_has_only_powers_of_two(first: int, more: int, steps: int) -> None:
    low, high = 1 << first, 1 << (first + more)
    axis = read_axis({"from": low, "to": high, "steps": steps, "scale": "log"}, WHOLE, "x")
    assert isinstance(axis, Choices)
    powers = [1 << bits for bits in range(first, first + more + 1)]
    assert set(axis.values) <= set(powers)
    if steps > more:
        assert list(axis.values) == powers
    assert read_axis({"from": low, "to": high, "scale": "log"}, WHOLE, "x") == Choices(values=tuple(powers))


@given(st.integers(0, 1000), st.integers(1, 1000), st.integers(1, 3))
def test_steps_of_a_size_are_the_decimals_that_a_person_would_write(low: int, count: int, digits: int) -> None:
    unit = Fraction(1, 10**digits)
    high = low * unit + count * unit
    axis = read_axis({"from": float(low * unit), "to": float(high), "step": float(unit)}, REAL, "x")
    assert isinstance(axis, Choices)
    assert axis.values == tuple(float((low + at) * unit) for at in range(count + 1))  # 0.3, not 0.30000000000000004


@given(
    st.floats(0, 1, exclude_max=True), st.integers(1, 1000), st.integers(0, 10**6), st.sampled_from(["linear", "log"])
)
def test_what_is_drawn_lies_within(share: float, low: int, more: int, scale: str) -> None:
    for kind in (WHOLE, REAL, Kind(form="fraction")):
        axis = read_axis({"from": low, "to": low + more, "scale": scale}, kind, "x")
        if isinstance(axis, Interval):
            value = axis.at(share)
            assert low <= value <= low + more  # type: ignore[operator]  # numbers all
            assert isinstance(value, {"whole": int, "real": float, "fraction": Fraction}[kind.form])
        else:
            assert 0 <= axis.at(share) < len(axis.values)


@given(st.integers(1, 100), st.integers(0, 100))
def test_every_whole_number_of_a_stretch_can_be_drawn_and_as_often(low: int, more: int) -> None:
    axis = read_axis({"from": low, "to": low + more}, WHOLE, "x")
    if isinstance(axis, Interval):
        count = more + 1
        drawn = [axis.at((at + 0.5) / count) for at in range(count)]
        assert drawn == list(range(low, low + more + 1))


def test_ends_of_a_log_range_are_exact_and_its_ratio_is_one_number() -> None:
    axis = read_axis({"from": 0.001, "to": 10.0, "steps": 5, "scale": "log"}, REAL, "x")
    assert isinstance(axis, Choices)
    values = [float(value) for value in axis.values]
    assert (values[0], values[-1]) == (0.001, 10.0)
    for before, after in pairwise(values):
        assert math.isclose(after / before, (10.0 / 0.001) ** (1 / 4))
