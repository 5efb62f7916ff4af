"""Methods choose different points of the axes, the same for the same seed, and searches find what is better."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from gatherline.request_error import RequestError
from gatherline.sweep.point import Point
from gatherline.sweep.spec import SweepSpec
from gatherline.sweep.spec_file import parse_spec

LISTED = """
models = ["digits"]
patterns = ["dense", "gs:16,1", "block:4x1"]
sparsities = [0.9, 0.95]
devices = [
    "a100",
    { device = "gs-tcm", fields = { "gather.window" = [1, 2, 4, 8], "gather.order" = ["in_order", "out_of_order"] } },
]
"""
STRETCHES = """
models = ["digits"]
patterns = ["gs:16,1"]
sparsities = { from = 0.5, to = 0.95 }
[[devices]]
device = "gs-tcm"
fields.clock_hz = { from = "500 MHz", to = "2 GHz", scale = "log" }
fields.gather.window = { from = 1, to = 30 }
fields.gather.interval = { from = 1, to = 4 }
"""


def spec(axes: str, method: str) -> SweepSpec:
    return parse_spec(f"{axes}\n[method]\n{method}\n", Path("spec.toml"))


def points(made: SweepSpec) -> list[Point]:
    return [made.point(number) for number in range(made.count)]


def keys(found: list[Point]) -> set[object]:
    return {(point.level, point.options, point.machine) for point in found}


@pytest.mark.parametrize("name", ["random", "sobol"])
@pytest.mark.parametrize("axes", [LISTED, STRETCHES])
def test_drawn_points_differ_are_numbered_and_come_again_by_seed(name: str, axes: str) -> None:
    drawn = points(spec(axes, f'name = "{name}"\npoints = 30\nseed = 7'))
    assert [point.number for point in drawn] == list(range(30))
    assert len(keys(drawn)) == 30
    assert drawn == points(spec(axes, f'name = "{name}"\npoints = 30\nseed = 7'))
    assert drawn != points(spec(axes, f'name = "{name}"\npoints = 30\nseed = 8'))


@pytest.mark.parametrize("name", ["random", "sobol"])
def test_drawn_points_of_lists_are_points_of_the_grid(name: str) -> None:
    grid = points(spec(LISTED, 'name = "grid"'))
    assert keys(points(spec(LISTED, f'name = "{name}"\npoints = 40'))) <= keys(grid)
    assert points(spec(LISTED, f'name = "{name}"\npoints = 1000')) == grid  # there are no more
    most = spec(LISTED, f'name = "{name}"\npoints = {len(grid) - 1}')
    assert len(keys(points(most))) == len(grid) - 1


def test_drawn_values_lie_within_their_stretches() -> None:
    for point in points(spec(STRETCHES, 'name = "sobol"\npoints = 200')):
        fields = {"clock_hz": 1_000_000_000, "gather.window": 1, **dict(point.machine.fields)}
        assert 500_000_000 <= int(fields["clock_hz"]) <= 2_000_000_000
        assert 1 <= int(fields["gather.window"]) <= 30
        assert 0.5 <= (point.level.sparsity or 0) <= 0.95
        assert point.level.sparsity == round(point.level.sparsity or 0, 3)


def test_a_sobol_sequence_fills_each_half_of_an_axis_evenly() -> None:
    drawn = points(spec(STRETCHES, 'name = "sobol"\npoints = 64'))
    halves = Counter((point.level.sparsity or 0) > (0.5 + 0.95) / 2 for point in drawn)
    assert halves == {True: 32, False: 32}


def test_random_points_of_a_grid_beyond_a_float_are_spread_over_all_of_it() -> None:
    field = "{ from = 1, to = 8192, step = 1 }"
    paths = ("gather.window", "gather.ports", "mac.latency", "scatter.ports", "cores")
    axes = 'models = ["digits"]\npatterns = ["dense"]\n[[devices]]\ndevice = "gs-tcm"\n[devices.fields]\n'
    made = spec(axes + "\n".join(f"{path} = {field}" for path in paths), 'name = "random"\npoints = 64')
    assert made.grid.count == 8192**5
    for path in paths:
        values = [int(dict(point.machine.fields).get(path, 1)) for point in points(made)]
        assert min(values) < 8192 / 4 < 8192 * 3 / 4 < max(values)
        assert len({value % 2 for value in values}) == 2


def test_stretches_with_too_few_values_say_so() -> None:
    axes = 'models = ["digits"]\npatterns = ["dense"]\n[[devices]]\ndevice = "gs-tcm"\n'
    axes += "fields.gather.window = { from = 1, to = 3 }"
    for name in ("random", "sobol"):
        with pytest.raises(RequestError, match=r"method.points is 9, and the ranges of the spec gave only 3 different"):
            spec(axes, f'name = "{name}"\npoints = 9').point(0)


def test_blocks_of_drawn_points_hold_each_once_with_what_they_share() -> None:
    made = spec(LISTED, 'name = "random"\npoints = 30')
    found = {}
    for level, options, base, pairs in made.tasks(3):
        assert len(pairs) <= 3
        found |= {number: (level, options, base, fields) for number, fields in pairs}
    assert len(found) == 30
    for point in points(made):
        assert found[point.number] == (point.level, point.options, point.machine.base, point.machine.fields)


def row(point: Point) -> dict[str, object]:
    """A made-up device: the window's best is 16 at half sparsity; more sparsity is less memory, and clocks cost."""
    fields = dict(point.machine.fields)
    window, sparsity = int(fields.get("gather.window", 1)), point.level.sparsity or 0.0
    if window == 13:
        return {"refused": "nobody builds thirteen"}
    return {"latency_s": abs(window - 16) / 100 + sparsity, "peak_memory_bytes": int(1e6 * (1 - sparsity))}


def followed(made: SweepSpec) -> list[list[Point]]:
    search, batches = made.search(), []
    while batch := search.ask():
        batches.append(batch)
        search.tell([row(point) for point in batch])
    return batches


@pytest.mark.parametrize("name", ["nsga2", "tpe"])
def test_a_search_asks_for_new_points_in_batches_and_the_same_ones_again(name: str) -> None:
    made = spec(STRETCHES, f'name = "{name}"\npoints = 50\npopulation = 12\nseed = 3')
    batches = followed(made)
    assert [len(batch) for batch in batches] == [12, 12, 12, 12, 50 - 4 * 12]
    asked = [point for batch in batches for point in batch]
    assert [point.number for point in asked] == list(range(50))
    assert len(keys(asked)) == 50
    assert followed(made) == batches
    assert followed(spec(STRETCHES, f'name = "{name}"\npoints = 50\npopulation = 12\nseed = 4')) != batches


@pytest.mark.parametrize("name", ["nsga2", "tpe"])
def test_a_search_comes_nearer_to_what_is_better(name: str) -> None:
    batches = followed(spec(STRETCHES, f'name = "{name}"\npoints = 80\npopulation = 20'))

    def off(batch: list[Point]) -> float:
        return sum(abs(int(dict(point.machine.fields).get("gather.window", 1)) - 16) for point in batch) / len(batch)

    assert off(batches[-1]) < off(batches[0]) / 1.5


def test_a_search_keeps_to_constraints() -> None:
    bounded = f'{STRETCHES}\n[constraints]\npeak_memory_bytes = {{ most = "200 kB" }}'
    batches = followed(spec(bounded, 'name = "nsga2"\npoints = 120\npopulation = 20'))

    def kept(batch: list[Point]) -> int:
        return sum((point.level.sparsity or 0) >= 0.8 for point in batch)

    assert kept(batches[-1]) > kept(batches[0])


@pytest.mark.parametrize("name", ["nsga2", "tpe"])
def test_a_search_ends_when_it_has_seen_every_point(name: str) -> None:
    made = spec(LISTED, f'name = "{name}"\npoints = 10000\npopulation = 15')
    grid = spec(LISTED, 'name = "grid"')
    assert made.count == grid.count
    asked = [point for batch in followed(made) for point in batch]
    assert keys(asked) <= keys(points(grid))
    assert len(keys(asked)) == len(asked) > grid.count / 2


def test_a_search_refuses_results_that_do_not_fit() -> None:
    search = spec(STRETCHES, 'name = "tpe"\npoints = 9\npopulation = 3').search()
    batch = search.ask()
    with pytest.raises(RequestError, match="before it was told"):
        search.ask()
    with pytest.raises(RequestError, match="asked for 3 points, and was told 2"):
        search.tell([row(point) for point in batch[:2]])


def test_all_points_refused_is_no_endless_search() -> None:
    search = spec(STRETCHES, 'name = "nsga2"\npoints = 30\npopulation = 10').search()
    count = 0
    while batch := search.ask():
        count += len(batch)
        refusals: list[Mapping[str, object]] = [{"refused": "no"} for _ in batch]
        search.tell(refusals)
    assert count == 30


def test_a_search_without_optuna_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)  # as if it were not installed
    with pytest.raises(RequestError, match=r"method tpe needs Optuna.*gatherline\[search\]"):
        spec(STRETCHES, 'name = "tpe"\npoints = 9').search()


def test_a_search_writes_nothing_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    followed(spec(STRETCHES, 'name = "tpe"\npoints = 6\npopulation = 3'))
    assert capfd.readouterr() == ("", "")


def test_methods_that_search_and_methods_that_draw_say_which_they_are() -> None:
    search, drawn = spec(STRETCHES, 'name = "tpe"\npoints = 9'), spec(STRETCHES, 'name = "random"\npoints = 9')
    assert search.searches
    assert not drawn.searches
    with pytest.raises(RequestError, match="method tpe chooses its points as results come in"):
        next(search.tasks())
    with pytest.raises(RequestError, match="method random knows its points ahead"):
        drawn.search()
