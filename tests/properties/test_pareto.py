"""Fronts, hypervolumes and knees against their definitions: each pair compared, boxes by inclusion-exclusion."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gatherline.sweep.pareto import front, hypervolume, knee, worst

Values = NDArray[np.float64]


@st.composite
def points(draw: st.DrawFn, most: int = 40, least_d: int = 1, most_d: int = 4) -> Values:
    """Few distinct numbers, so that equal points and ties are common; some NaN and infinities."""
    d = draw(st.integers(least_d, most_d))
    number = st.one_of(st.integers(-4, 4).map(float), st.sampled_from([-0.0, 0.5, np.nan, np.inf, -np.inf]))
    rows = draw(st.lists(st.lists(number, min_size=d, max_size=d), max_size=most))
    return np.array(rows, dtype=np.float64).reshape(len(rows), d)


def dominates(one: Values, other: Values) -> bool:
    return bool((one <= other).all() and (one < other).any())


def slow_front(costs: Values) -> list[int]:
    finite = [place for place in range(len(costs)) if np.isfinite(costs[place]).all()]
    return [at for at in finite if not any(dominates(costs[other], costs[at]) for other in finite)]


def slow_hypervolume(costs: Values, reference: Values) -> float:
    """Inclusion-exclusion over the boxes between each point and the reference."""
    boxes = [point for point in costs if np.isfinite(point).all() and (point < reference).all()]
    return sum(
        (-1.0) ** (size + 1) * float(np.prod(reference - np.max(chosen, axis=0)))
        for size in range(1, len(boxes) + 1)
        for chosen in combinations(boxes, size)
    )


@given(points(), st.data())
def test_the_front_is_what_comparing_every_pair_finds(values: Values, data: st.DataObject) -> None:
    maximise = data.draw(st.lists(st.booleans(), min_size=values.shape[1], max_size=values.shape[1]))
    signs = np.where(maximise, -1.0, 1.0)
    assert front(values, maximise).tolist() == slow_front(values * signs)


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_the_front_of_many_random_points_is_what_comparing_every_pair_finds(objectives: int) -> None:
    values = np.random.default_rng(objectives).random((300, objectives))
    assert front(values).tolist() == slow_front(values)


@given(points(most=7, least_d=1, most_d=3), st.data())
def test_the_hypervolume_is_the_union_of_the_boxes(values: Values, data: st.DataObject) -> None:
    corner = np.array(data.draw(st.lists(st.integers(-2, 6).map(float), min_size=values.shape[1],
                                         max_size=values.shape[1])))  # fmt: skip
    assert hypervolume(values, corner) == pytest.approx(slow_hypervolume(values, corner), abs=1e-9)
    up = [True] * values.shape[1]
    assert hypervolume(-values, -corner, up) == pytest.approx(hypervolume(values, corner), abs=1e-9)


@pytest.mark.parametrize("objectives", [2, 3])
def test_the_hypervolume_of_many_points_is_the_share_of_a_random_sample_that_they_dominate(objectives: int) -> None:
    draw = np.random.default_rng(7)
    values, sample = draw.random((200, objectives)), draw.random((40_000, objectives))
    best = values[front(values)]
    covered = np.mean([(best <= point).all(axis=1).any() for point in sample])
    four_deviations = 4 * np.sqrt(covered * (1 - covered) / len(sample))
    assert abs(hypervolume(values, np.ones(objectives)) - covered) < four_deviations


def test_equal_points_are_all_on_the_front_or_none() -> None:
    twice = np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 1.0], [2.0, 2.0], [2.0, 2.0]])
    assert front(twice).tolist() == [0, 1, 2]


def test_a_point_with_a_missing_objective_takes_no_part() -> None:
    assert front([[np.nan, 0.0], [1.0, 1.0]]).tolist() == [1]
    assert front([[np.nan, 0.0]]).tolist() == []
    assert front(np.empty((0, 3))).tolist() == []


def test_the_knee_is_the_point_farthest_from_the_line_through_the_ends() -> None:
    values = np.array([[0.0, 10.0], [1.0, 4.0], [2.0, 2.0], [6.0, 1.0], [10.0, 0.0]])
    ends = values[0], values[-1]
    along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    distances = [float(np.linalg.norm((p - ends[0]) - np.dot(p - ends[0], along) * along)) for p in values]
    assert knee(values) == int(np.argmax(distances)) == 2
    assert knee(values * [1.0, 1e9]) == 2  # units move nothing
    assert knee(-values, [True, True]) == 2


def test_a_front_that_does_not_bend_toward_the_best_has_no_knee() -> None:
    assert knee([[0.0, 1.0], [1.0, 0.0]]) is None
    assert knee([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]) is None  # two distinct points
    assert knee([[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]]) is None  # all on the line
    assert knee([[0.0, 10.0], [9.0, 9.0], [10.0, 0.0]]) is None  # away from the best
    assert knee([[5.0]] * 4) is None


def test_in_three_objectives_the_knee_has_the_least_sum_of_scaled_objectives() -> None:
    values = np.array([[0.0, 8.0, 4.0], [4.0, 0.0, 8.0], [8.0, 4.0, 0.0], [2.0, 2.0, 2.0], [1.0, 3.0, 3.0]])
    assert set(front(values).tolist()) == {0, 1, 2, 3, 4}
    assert knee(values) == int(np.argmin(values.sum(axis=1))) == 3


def test_the_usual_reference_is_the_worst_of_each_objective() -> None:
    values = np.array([[1.0, 5.0], [3.0, 2.0], [np.nan, 99.0]])
    assert worst(values).tolist() == [3.0, 5.0]
    assert worst(values, [False, True]).tolist() == [3.0, 2.0]


@pytest.mark.parametrize("values", [[1.0, 2.0], np.empty((3, 0))])
def test_values_of_another_shape_are_refused(values: object) -> None:
    with pytest.raises(ValueError, match=r"must be \[points, objectives\]"):
        front(values)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one for each of 2 objectives"):
        front([[1.0, 2.0]], [True])
    with pytest.raises(ValueError, match="at most 3"):
        hypervolume([[0.0] * 4], [1.0] * 4)
