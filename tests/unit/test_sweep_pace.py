"""How many points a task has is learned from how long tasks took, whoever ran them."""

from __future__ import annotations

import time

import pytest

from gatherline.sweep import planning
from gatherline.sweep.planning import FIRST_CYCLE, GROWTH, Pace
from gatherline.sweep.point import LevelChoice, Machine, ModelChoice, RunOptions, Task


def task(points: int) -> Task:
    numbers = tuple(range(points))
    return Task(
        level=LevelChoice(model=ModelChoice(model="digits"), pattern="dense"),
        options=RunOptions(),
        machines=tuple(Machine(base="gs-tcm", fields=(("gather.window", number + 1),)) for number in numbers),
        numbers=numbers,
        keys=tuple(map(str, numbers)),
    )


@pytest.mark.parametrize("held", [1, 2])
def test_a_task_that_waited_behind_others_is_not_taken_for_a_slow_one(
    held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace, kind, one = Pace(held=held), ("digits", "gs-tcm"), task(40)
    pace.begin(one)
    now[0] = 2.0 * held  # it ran for 2 s, and waited for the others that its worker had
    pace.end(one)
    assert pace.most(kind) == round(planning.TASK_S / 2.0 * 40)


def test_the_first_task_is_small_and_the_next_grows_by_no_more_than_a_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace, kind, one = Pace(), ("digits", "gs-tcm"), task(FIRST_CYCLE)
    assert pace.most(kind) == FIRST_CYCLE
    pace.begin(one)
    now[0] = 1e-9
    pace.end(one)
    assert pace.most(kind) == GROWTH * FIRST_CYCLE
