"""A dry run counts every point without listing it, and scales what a few real ones took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gatherline.sweep.counts import parts_of
from gatherline.sweep.dry_run import DryRun, dry_run, duration
from gatherline.sweep.point import LevelChoice, Task
from gatherline.sweep.spec import SweepSpec
from gatherline.sweep.spec_file import parse_spec

AXES = """
models = ["resnet50", "mobilenet_v1"]
patterns = ["dense", "gs:16,1"]
sparsities = [0.5, 0.8, 0.9]
devices = ["a100", { device = "gs-tcm", fields = { "gather.window" = { from = 1, to = 1000, step = 1 } } }]
"""
LEVELS = 2 * (1 + 3)
MAKE_S, BEGIN_S, POINT_S = 4.0, 0.5, 0.01


class Work:
    """Computes nothing, and takes made-up time for it: to make masks once, to begin a task, and for each machine."""

    def __init__(self) -> None:
        self.now_s, self.points, self.made = 0.0, 0, set[LevelChoice]()

    def clock(self) -> float:
        return self.now_s

    def evaluate(self, task: Task) -> Sequence[dict[str, object]]:
        assert len(task.machines) == len(task.numbers) == len(task.keys)
        if task.level not in self.made:
            self.made.add(task.level)
            self.now_s += MAKE_S
        self.now_s += BEGIN_S + POINT_S * len(task.machines)
        self.points += len(task.machines)
        return [{} for _ in task.machines]


def spec(more: str = "", folder: Path = Path()) -> SweepSpec:
    return parse_spec(f"{AXES}{more}", folder / "spec.toml")


@pytest.mark.parametrize("workers", [1, 4])
def test_time_is_that_of_masks_tasks_and_points_over_the_workers(workers: int) -> None:
    work = Work()
    found = dry_run(spec(), work.evaluate, workers=workers, most=100, clock=work.clock)
    tasks = LEVELS * (1 + 1000 // 100)
    assert found.points == LEVELS * 1001
    assert found.levels == LEVELS
    # of one machine alone, beginning and computing cannot be told apart: a100 has a task a point
    assert found.seconds == pytest.approx((LEVELS * MAKE_S + tasks * BEGIN_S + found.points * POINT_S) / workers)
    assert found.make_s == pytest.approx(LEVELS * MAKE_S / workers)


def test_nothing_is_measured_beyond_the_budget_but_one_pattern_of_each_model() -> None:
    work = Work()
    found = dry_run(spec(), work.evaluate, workers=1, budget_s=0.0, clock=work.clock)
    assert {(timing.model, timing.pattern) for timing in found.timings} == {
        ("resnet50", "gs:16,1"), ("mobilenet_v1", "gs:16,1"),
    }  # fmt: skip
    assert any("not measured, and taken as the others: dense" in line for line in found.lines())


def test_the_parts_of_a_grid_add_up_to_its_points() -> None:
    made = spec('[run]\ndtype = ["fp16", "int8"]')
    parts = parts_of(made, 256)
    assert sum(part.points for part in parts) == made.count
    by = {(part.model, part.pattern, part.device): part.points for part in parts}
    assert by["mobilenet_v1", "gs:16,1", "gs-tcm"] == 3 * 2 * 1000
    assert by["resnet50", "dense", "a100"] == 2
    assert sum(part.tasks for part in parts) == sum(1 for _ in made.tasks(256))


@pytest.mark.parametrize("method", ["random", "sobol", "nsga2", "tpe"])
def test_the_parts_of_other_methods_add_up_too(method: str) -> None:
    made = spec(f'[method]\nname = "{method}"\npoints = 99')
    assert sum(part.points for part in parts_of(made, 10)) == 99
    work = Work()
    found = dry_run(made, work.evaluate, workers=1, clock=work.clock)
    assert found.points == 99
    assert 1 <= found.levels <= LEVELS
    assert found.lines()[0].startswith("at most 99 points" if made.searches else "99 points")


def test_a_dry_run_of_ten_million_points_lists_none_of_them() -> None:
    made = parse_spec(
        'models = ["digits"]\npatterns = ["dense"]\n[[devices]]\ndevice = "gs-tcm"\n'
        "fields.gather.window = { from = 1, to = 10000, step = 1 }\n"
        "fields.gather.ports = { from = 1, to = 1000, step = 1 }",
        Path("spec.toml"),
    )
    work = Work()
    found = dry_run(made, work.evaluate, workers=2, clock=work.clock)
    assert found.points == 10**7
    assert work.points < 20
    assert "10,000,000 points" in found.lines()[0]
    assert "about " in found.lines()[2]


def test_workers_take_their_start_and_equal_points_no_time() -> None:
    start_s, options = 3.0, 2 * 2  # threads x orders, of which a GPU has none
    work = Work()

    def start(task: Task) -> None:
        assert len(task.machines) == 1
        work.now_s += start_s

    text = (
        'models = ["mobilenet_v1"]\npatterns = ["dense"]\ndevices = ["a100"]\n'
        '[run]\nthreads = [1, 2]\norder = ["packed", "csr"]'
    )
    found = dry_run(parse_spec(text, Path("spec.toml")), work.evaluate, workers=1, clock=work.clock, start=start)
    assert found.equal_points == options - 1
    assert found.seconds == pytest.approx(start_s + MAKE_S + BEGIN_S + POINT_S)
    assert f"{options - 1} points differ from another only in an option of run" in "\n".join(found.lines())
    assert f"and {start_s} s to start the workers" in "\n".join(found.lines())


def test_code_that_is_compiled_for_some_machine_is_not_taken_for_the_time_of_a_point() -> None:
    work, compiled = Work(), set[str]()

    def evaluate(task: Task) -> Sequence[dict[str, object]]:
        for machine in task.machines:
            if str(machine) not in compiled and task.level.model.model != "digits":
                compiled.add(str(machine))
                work.now_s += 7.0
        return work.evaluate(task)

    found = dry_run(spec(), evaluate, workers=1, most=100, clock=work.clock)
    assert all(timing.point_s == pytest.approx(POINT_S) for timing in found.timings if timing.device == "gs-tcm")


def test_accuracies_that_are_known_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('pattern,sparsity,top1\ndense,,76\n"gs:16,1",0.9,70\n', encoding="utf-8")
    made = spec('[accuracy]\nfile = "a.csv"\ncolumn = "top1"', tmp_path)
    work = Work()
    found = dry_run(made, work.evaluate, workers=1, clock=work.clock)
    assert found.notes == (f"a.csv has an accuracy for {2 * 2} of {LEVELS} sets of masks",)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.01, "under 0.1 s"), (1.23, "1.2 s"), (12.3, "12 s"), (600.0, "10 min"), (2 * 3600.0, "2.0 h"),
     (5 * 86400.0, "5.0 days")],
)  # fmt: skip
def test_a_duration_has_two_figures(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_one_of_a_kind_and_a_short_time_read_well() -> None:
    told = DryRun(
        method="grid", points=1, levels=1, parts=(), timings=(), workers=1, seconds=0.01, make_s=0.0, start_s=0.0,
        equal_points=0, measured=1,
        measuring_s=2.0,
    )  # fmt: skip
    assert told.lines() == [
        "1 point, method grid; 1 set of masks",
        "under 0.1 s on 1 worker, of it under 0.1 s for masks and traces",
        "an estimate, from 1 point that took 2.0 s here",
    ]
    assert replace(told, seconds=3.0).lines()[1].startswith("about 3.0 s on 1 worker")
