"""The integer programme of an advice finds what trying every choice finds, and an exact dynamic programme."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatherline.advice.programme import Limit, Programme, best, least
from tests.reference.knapsack import by_labels, by_trying_all

NUMBERS = st.integers(min_value=0, max_value=40).map(float)


@st.composite
def programmes(draw: Any, groups: int = 4, items: int = 4) -> Programme:
    sizes = draw(st.lists(st.integers(min_value=1, max_value=items), min_size=1, max_size=groups))

    def matrix() -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(draw(NUMBERS) for _ in range(size)) for size in sizes)

    peaked = draw(st.booleans())
    limits = tuple(
        Limit(
            name=f"limit {number}",
            most=float(draw(st.integers(min_value=0, max_value=40 * len(sizes)))),
            costs=matrix(),
            fixed=draw(NUMBERS),
            with_peak=peaked and number == 0,
        )
        for number in range(draw(st.integers(min_value=1, max_value=3)))
    )
    return Programme(
        losses=matrix(), limits=limits, peaks=matrix() if peaked else (), fixed_peak=draw(NUMBERS) if peaked else 0.0
    )


@given(programmes())
@settings(deadline=None, max_examples=150)
def test_the_least_loss_is_that_of_trying_every_choice(programme: Programme) -> None:
    found = best(programme)
    expected = by_trying_all(programme)
    assert (found is None) == (expected is None)
    if found is not None:
        assert found.loss == expected
        assert found.proven
        assert programme.keeps(found.items)
        assert programme.loss(found.items) == found.loss


@given(programmes(groups=7, items=5))
@settings(deadline=None, max_examples=60)
def test_the_least_loss_is_that_of_a_dynamic_programme(programme: Programme) -> None:
    found = best(programme)
    assert (None if found is None else found.loss) == by_labels(programme)


@given(programmes())
@settings(deadline=None, max_examples=60)
def test_the_least_of_a_limit_is_a_bound_that_is_reached(programme: Programme) -> None:
    for limit in programme.limits:
        alone = least(programme, limit, alone=True)
        assert alone is not None
        assert alone.loss == programme.used(limit, alone.items)
        free = Programme(losses=limit.costs, limits=(), peaks=programme.peaks, fixed_peak=programme.fixed_peak)
        every = [programme.used(limit, items) for items in _choices(free)]
        assert alone.loss == min(every)
        within = least(programme, limit, alone=False)
        assert within is None or within.loss >= alone.loss


def _choices(programme: Programme) -> list[tuple[int, ...]]:
    from itertools import product

    return list(product(*(range(len(group)) for group in programme.losses)))


def test_a_choice_that_breaks_a_limit_by_less_than_the_solver_sees_is_not_taken() -> None:
    most = 1.0
    hair = 2.0**-40  # below any tolerance
    programme = Programme(losses=((0.0, 5.0),), limits=(Limit(name="time", most=most, costs=((most + hair, most),)),))
    found = best(programme)
    assert found is not None
    assert found.items == (1,)


def test_nothing_to_choose_is_a_choice_where_the_limits_hold() -> None:
    holds = Programme(losses=(), limits=(Limit(name="time", most=1.0, costs=(), fixed=1.0),))
    broken = Programme(losses=(), limits=(Limit(name="time", most=0.5, costs=(), fixed=1.0),))
    found = best(holds)
    assert found is not None
    assert found.items == ()
    assert best(broken) is None


def test_the_solver_writes_nothing_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    groups = 30
    costs = tuple(tuple(1.0 / (3 + (7 * group + 11 * item) % 13) for item in range(9)) for group in range(groups))
    losses = tuple(tuple(float((5 * group + item * item) % 17) for item in range(9)) for group in range(groups))
    assert best(Programme(losses=losses, limits=(Limit(name="time", most=3.3, costs=costs),))) is not None
    assert capfd.readouterr().out == ""
