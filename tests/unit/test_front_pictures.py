"""Pictures of a front: whole words, round marks, colours that stay, members that hide one another, panels that say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import gatherline as gl
from gatherline.report.columns import Row
from gatherline.report.front_lines import parallel_coordinates
from gatherline.report.front_looks import knee_label, looks_of, round_marks, title
from gatherline.report.front_remarks import remarks
from gatherline.report.front_scatter import heaps_of, objectives_plot
from gatherline.report.front_table import on_front_text
from gatherline.sweep.front import CHOICES, Choice, SweepFront, columns_of, read_points, sweep_front
from gatherline.sweep.front_request import FrontRequest, stored_fronts
from gatherline.sweep.objective import Constraint, Objective

LATENCY = Objective(name="latency_s", direction="min")
KEPT = Objective(name="kept_l1", direction="max")
MEMORY = Objective(name="peak_memory_bytes", direction="min")
FIELDS = ("scratchpad.banks", "weight_buffer.bytes_per_cycle", "gather.window", "gather.ports", "gather.interval")


def rows(count: int) -> Iterator[Row]:
    """Yield dense, then points of many clocks and sparsities: each faster than the last, and with less weight kept."""
    for number in range(count):
        at = number / (count - 1)
        yield {
            **dict.fromkeys(CHOICES), "number": number, "key": str(number), "refused": None, "device": "gs-tcm",
            "pattern": "gs:16,1" if number else "dense", "sparsity_target": 0.5 + 0.4123 * at if number else None,
            "clock_hz": 503_000_000 + 37_777_777 * number, **{name: number % (2 + i) for i, name in enumerate(FIELDS)},
            "latency_s": 1e-3 * (0.02 + (1 - at) ** 2), "kept_l1": 1.0 - at**2, "peak_memory_bytes": 10**6 + number,
        }  # fmt: skip


def front_of(count: int, *objectives: Objective, constraints: tuple[Constraint, ...] = ()) -> SweepFront:
    choices = (*CHOICES, *FIELDS)
    every = list(rows(count))
    block = {name: [row.get(name) for row in every] for name in columns_of(choices, objectives, constraints)}
    return sweep_front(
        "many", read_points([block], choices, objectives, constraints), objectives, constraints, where={}
    )


def test_the_knee_is_named_in_whole_choices_a_line_each_and_the_rest_are_counted() -> None:
    found = front_of(40, LATENCY, KEPT)
    assert found.knee is not None
    lines = knee_label(found).split("\n")
    assert lines[0].startswith("knee: gs:16,1 at ")
    assert lines[1].startswith("clock ")
    assert not any("..." in line for line in lines)
    choices = 2 + len(FIELDS)  # pattern at sparsity, the clock, fields
    named = [line for line in lines if line.split(" ")[0] in ("knee:", "clock", *FIELDS)]
    left = int(lines[-1].split(" ")[1]) if lines[-1].startswith("and ") else 0
    assert len(named) + left == choices


def test_many_numbers_lie_on_a_scale_with_round_marks_and_points_without_one_below() -> None:
    figure = parallel_coordinates(front_of(40, LATENCY, KEPT))
    assert figure is not None
    axes = figure.axes[0]
    titles = [" ".join(label.get_text().split()) for label in axes.get_xticklabels()]
    texts = [(words.get_position()[0], words.get_text()) for words in axes.texts]

    def marks(name: str) -> list[str]:
        return [text for x, text in texts if int(x) == titles.index(name)]

    assert marks("clock (GHz)") == ["0.75", "1", "1.25", "1.5", "1.75"]
    assert marks("sparsity (%)") == ["none", "60", "70", "80", "90"]
    assert marks("scratchpad.banks") == ["0", "1"]  # two values: evenly apart


@pytest.mark.parametrize(
    ("low", "high", "log", "marks"),
    [
        (0.503, 1.997, False, [0.75, 1.0, 1.25, 1.5, 1.75]),
        (3.0, 120.0, True, [5.0, 10.0, 20.0, 50.0, 100.0]),
        (2.0, 2.0, False, [2.0]),
    ],
)
def test_marks_are_round_numbers_between_the_ends(low: float, high: float, log: bool, marks: list[float]) -> None:
    assert round_marks(low, high, log) == pytest.approx(marks)


def choice(*values: object) -> Choice:
    return Choice(name="pattern", values=values, codes=np.zeros(1, dtype=np.int32))


def test_a_pattern_has_the_same_colour_whichever_others_there_are_and_however_they_come() -> None:
    several, one = ("dense", "block:4x1", "gs:16,1", "unstructured"), ("gs:8,2",)
    first = dict(zip(several, looks_of(choice(*several)), strict=True))
    again = dict(zip(several[::-1], looks_of(choice(*several[::-1])), strict=True))
    assert first == again
    assert looks_of(choice(*one))[0].colour == first["gs:16,1"].colour
    assert len({look.colour for look in first.values()}) == len(several)


def test_members_nearer_than_a_mark_are_one_heap() -> None:
    places = np.array([[0.1, 0.1], [0.105, 0.1], [0.5, 0.5], [0.1, 0.9], [0.1, 0.11]])
    assert heaps_of(places) == [[0, 1, 4]]


def test_a_heap_has_its_count_and_the_legend_says_what_it_means() -> None:
    figure = objectives_plot(front_of(500, LATENCY, KEPT))
    assert figure is not None
    counts = [int(words.get_text()[1:]) for words in figure.axes[0].texts]
    assert all(count > 1 for count in counts)
    labels = [words.get_text() for words in figure.legends[0].get_texts()]
    assert ("n of the front on one another" in labels) == bool(counts)


def test_each_panel_of_three_objectives_says_which_two_it_shows() -> None:
    figure = objectives_plot(front_of(9, LATENCY, KEPT, MEMORY))
    assert figure is not None
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "kept L1 over latency; peak memory not seen here", "peak memory over latency; kept L1 not seen here"
    ]  # fmt: skip
    assert "each panel shows two of the 3 objectives" in figure.get_suptitle()


def test_a_title_breaks_no_number_from_its_unit_and_counts_as_the_text_does() -> None:
    bounds = tuple(
        Constraint(name=name, **bound)
        for name, bound in (
            ("kept_l1", {"least": 0.05}), ("peak_memory_bytes", {"most": 2 << 20}), ("latency_s", {"most": 0.5})
        )
    )  # fmt: skip
    found = front_of(9, LATENCY, KEPT, constraints=bounds)
    lines = title(found).split("\n")
    assert len(lines) > 2
    assert not any(line.startswith(("%", "MiB", "ms")) for line in lines)
    assert "peak memory at most 2\u00a0MiB" in title(found)
    assert lines[-1].startswith(on_front_text(found))
    assert on_front_text(found) in remarks(found)[0]


def test_a_field_that_follows_another_is_no_choice_of_its_own(tmp_path: Path) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_text(
        """models = ["digits"]
patterns = ["dense"]
[[devices]]
device = "gs-tcm"
[devices.fields]
scratchpad.banks = [8, 16]
[devices.follow]
gather.lanes = "scratchpad.banks"
""",
        encoding="utf-8",
    )
    gl.run_sweep(spec, tmp_path / "out")
    found = stored_fronts(FrontRequest(folder=tmp_path / "out")).fronts[0].front
    assert [each.name for each in found.points.varying()] == ["scratchpad.banks"]
