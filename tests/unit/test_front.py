"""The front of a stored sweep: what becomes of every point, what the command says, and the pictures."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gatherline import cli
from gatherline.report.columns import Row
from gatherline.report.front_lines import parallel_coordinates
from gatherline.report.front_looks import looks_of
from gatherline.report.front_remarks import remarks
from gatherline.report.front_report import print_front
from gatherline.report.front_scatter import CELLS, draw_front, thinned
from gatherline.report.front_table import headlines
from gatherline.report.measures import said, scale_of
from gatherline.request import device_named
from gatherline.request_error import RequestError
from gatherline.sweep.columns import point_row
from gatherline.sweep.front import Choice, Fate, SweepFront
from gatherline.sweep.front_request import FrontRequest, stored_front
from gatherline.sweep.store import Member, Store

SPEC = '[objectives]\nlatency_s = "min"\nkept_l1 = "max"\n[constraints]\nlatency_s = { most = "8 ms" }\n'
# banks, pattern, sparsity, latency in ms, kept share, megabytes; None: refused
POINTS = (
    (8, "dense", None, 9.0, 1.0, 30),  # breaks the constraint
    (16, "dense", None, 6.0, 1.0, 30),  # front: keeps most
    (16, "gs:16,1", 0.5, 3.0, 0.8, 16),  # front
    (16, "gs:16,1", 0.9, 1.0, 0.5, 5),  # front: fastest
    (32, "gs:16,1", 0.9, 1.0, 0.5, 5),  # the same figures
    (16, "block:4x1", 0.9, 1.5, 0.4, 5),  # dominated
    (24, "block:4x1", 0.9, None, None, None),  # refused
    (16, "block:4x1", 0.5, 2.0, None, 9),  # no figure of kept weight
)


def store_row(number: int, device_hash: str) -> Row:
    banks, pattern, sparsity, latency_ms, kept, megabytes = POINTS[number]
    return point_row(
        {
            "key": f"{number:064d}", "model": "net", "pattern": pattern, "sparsity_target": sparsity,
            "device": "gs-tcm", "device_hash": device_hash, "dtype": "fp16",
            "fields": json.dumps({} if banks == 16 else {"scratchpad.banks": banks}),
            "latency_s": None if latency_ms is None else latency_ms / 1e3, "kept_l1": kept,
            "peak_memory_bytes": None if megabytes is None else megabytes * 10**6,
            "refused": "banks is 24" if latency_ms is None else None,
        }
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "sweep"
    with Store.open(made) as store:
        device_hash = store.know_base(device_named("gs-tcm"))
        store.add_field_columns(["clock_hz", "scratchpad.banks"])  # the first is a column of every store
        sweep = store.begin("digest", name="banks", spec=SPEC, version="1", points=len(POINTS))
        rows = [store_row(number, device_hash) for number in range(len(POINTS))]
        store.add(sweep, rows, [Member(number=at, key=str(row["key"])) for at, row in enumerate(rows)])
    return made


def of(folder: Path, **asked: tuple[str, ...]) -> SweepFront:
    return stored_front(FrontRequest(folder=folder, **asked)).front


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_every_point_has_one_fate_and_equal_points_share_a_place(folder: Path) -> None:
    found = of(folder)
    front, dominated = Fate.FRONT, Fate.DOMINATED
    assert [Fate(fate) for fate in found.fates.tolist()] == [
        Fate.INFEASIBLE, front, front, front, front, dominated, Fate.REFUSED, Fate.NO_FIGURE
    ]  # fmt: skip
    assert found.members == (3, 2, 1)  # the best of the first objective first
    assert found.equals == (2, 1, 1)


def test_hypervolume_and_knee_are_of_the_members_and_feasible_points(folder: Path) -> None:
    found = of(folder)
    slowest, least_kept = 6.0e-3, 0.4
    assert found.reference == (slowest, least_kept)
    steps = (6.0 - 1.0) * (0.5 - 0.4) + (6.0 - 3.0) * (0.8 - 0.5)  # ms x share; dense lies on the reference's edge
    assert found.volume == pytest.approx(steps / 1e3)
    assert found.volume_share == pytest.approx(steps / ((6.0 - 1.0) * (1.0 - 0.4)))
    scaled = {"fast": 0.0 + 1.0, "middle": (3.0 - 1.0) / (6.0 - 1.0) + (1.0 - 0.8) / (1.0 - 0.5), "dense": 1.0}
    assert scaled["middle"] < 1.0
    assert found.knee == 1


def test_a_sentence_answers_each_question(folder: Path) -> None:
    lines = headlines(of(folder))
    assert lines[0] == "With latency at most 8 ms:"
    assert lines[1] == (
        "Fastest: 1 ms, kept L1 50 %: gs:16,1 at 90 %, scratchpad.banks 16 "
        "(1 more point with the same figures, other scratchpad.banks)"
    )
    assert lines[2] == "Most kept L1: 100 %, latency 6 ms: dense, scratchpad.banks 16"
    assert lines[3].startswith("Knee: latency 3 ms, kept L1 80 %: gs:16,1 at 50 %")
    assert lines[4].endswith("the worst of each over feasible points (latency 6 ms, kept L1 40 %)")
    assert remarks(of(folder))[0] == (
        "Sweep banks, 8 points: 4 on the front (with 3 distinct sets of objectives), 1 dominated, 1 breaks a "
        "constraint (1 latency at most 8 ms), 1 without a figure (kept L1), 1 refused."
    )


def test_the_table_has_what_differs_along_the_front_with_units_and_marks_the_knee(folder: Path) -> None:
    out = StringIO()
    print_front(of(folder), out)
    lines = out.getvalue().splitlines()
    head = next(line for line in lines if "latency (ms)" in line)
    assert [cell.strip() for cell in head.split("  ") if cell.strip()] == [
        "point", "latency (ms)", "kept L1 (%)", "pattern", "sparsity (%)", "scratchpad.banks", "equal points"
    ]  # fmt: skip
    first = lines[lines.index(head) + 1]
    assert first.split() == ["3", "1", "50", "gs:16,1", "90", "16,", "32", "2"]
    assert next(line for line in lines if line.startswith("knee ")).split() == [
        "knee", "2", "3", "80", "gs:16,1", "50", "16", "1"
    ]  # fmt: skip
    assert "All along the front" not in out.getvalue()


def test_objectives_and_constraints_of_the_command_come_before_those_of_the_spec(folder: Path) -> None:
    found = of(folder, objectives=("peak_memory_bytes", "latency_s"), most=("latency_s=2500us",))
    assert [each.name for each in found.objectives] == ["peak_memory_bytes", "latency_s"]
    assert [(each.name, each.most) for each in found.constraints] == [("latency_s", 2.5e-3)]
    assert found.members == (3,)
    assert found.knee is None
    assert of(folder, maximise=("latency_s",)).maximise == (True,)
    least = of(folder, objectives=("latency_s",), least=("kept_l1=90%",))
    assert least.members == (1,)


def test_a_front_nothing_can_be_on_says_why(folder: Path) -> None:
    with pytest.raises(
        RequestError,
        match=r"no point can be on a front: of 8, 7 have no area, 1 breaks the .*at most 8 ms.*, 1 is refused",
    ):
        of(folder, objectives=("area_mm2",))


@pytest.mark.parametrize(
    ("arguments", "said_words"),
    [
        (
            ("--objective", "latncy_s"),
            "--objective is 'latncy_s', and no column of numbers has that name; did you mean",
        ),
        (("--most", "latency_s=20"), 'and needs a unit, as in "20 ms"'),
        (("--least", "kept_l1"), "must be NAME=VALUE"),
        (("--most", "latency_s=-1 ms"), "--most is 'latency_s=-1 ms', and must be at least 0"),
        (("--least", "kept_l1=200%"), "--least is 'kept_l1=200%', and must be from 0 to 1"),
        (("--least", "latency_s=2 ms", "--most", "latency_s=1 ms"), "--least latency_s is 0.002, and --most latency_s"),
        (("--objective", "latency_s", "--maximise", "latency_s"), "--objective latency_s asks for less of it, and"),
    ],
)
def test_wrong_arguments_are_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said_words: str
) -> None:
    assert call("front", str(folder), *arguments) == 2
    assert said_words in capsys.readouterr().err


def test_files_hold_the_rows_and_the_same_front_gives_the_same_bytes(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in ("one", "two"):
        assert call("front", str(folder), "--json", "--out", str(tmp_path / place)) == 0
    printed = capsys.readouterr().out
    report = json.loads((tmp_path / "one" / "front.json").read_text())
    assert printed == 2 * (tmp_path / "one" / "front.json").read_text()
    assert report["manifest"]["points"]["front"] == 4
    assert [row["number"] for row in report["rows"]] == [3, 2, 1]
    with (tmp_path / "one" / "front.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["scratchpad.banks"] for row in rows] == ["16", "16", "16"]
    assert [row["knee"] for row in rows] == ["False", "True", "False"]
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_pictures_are_drawn_of_two_and_three_objectives_and_one_has_no_scatter(folder: Path, tmp_path: Path) -> None:
    three = of(folder, objectives=("latency_s", "kept_l1", "peak_memory_bytes"))
    assert draw_front(three, tmp_path) == ["front.png", "front-choices.png"]
    with Image.open(tmp_path / "front.png") as picture:
        wide = picture.size[0]
    draw_front(of(folder), tmp_path)
    with Image.open(tmp_path / "front.png") as picture:
        assert picture.size[0] < wide  # a panel less
    assert draw_front(of(folder, objectives=("latency_s",)), tmp_path) == ["front-choices.png"]


def test_an_axis_for_each_choice_and_objective_with_the_best_at_the_top(folder: Path) -> None:
    figure = parallel_coordinates(of(folder))
    assert figure is not None
    titles = [" ".join(label.get_text().split()) for label in figure.axes[0].get_xticklabels()]
    assert titles == ["pattern", "sparsity (%)", "scratchpad.banks", "latency (ms)", "kept L1 (%)"]
    heights = {words.get_text(): words.get_position() for words in figure.axes[0].texts}
    assert heights["100"] == (4.04, 1.0)  # % kept
    assert heights["1"] == (3.04, 1.0)  # ms


def test_a_clock_is_a_choice_where_points_of_one_device_differ_in_it(folder: Path) -> None:
    points = of(folder).points
    assert "clock_hz" not in [each.name for each in points.varying()]

    def clocks(devices: list[int], codes: list[int]) -> list[str]:
        choices = {
            "device": Choice(name="device", values=("a", "b"), codes=np.array(devices, dtype=np.int32)),
            "clock_hz": Choice(name="clock_hz", values=(1e9, 2e9), codes=np.array(codes, dtype=np.int32)),
        }
        return [each.name for each in replace(points, choices=choices).varying()]

    assert clocks([0, 1], [0, 1]) == ["device"]  # each device has its own
    assert clocks([0, 0], [0, 1]) == ["clock_hz"]


def test_points_under_others_are_drawn_once() -> None:
    x = np.repeat(np.array([0.1, 0.5, 0.9]), 1000) + np.tile(np.linspace(0, 0.1 / CELLS, 1000), 3)
    assert len(thinned(np.arange(len(x)), x, x)) == 3


def test_each_pattern_has_a_look_of_its_own_and_dense_is_grey() -> None:
    values = ("dense", *(f"gs:{2**at},1" for at in range(11)))
    looks = looks_of(Choice(name="pattern", values=values, codes=np.zeros(1, dtype=np.int32)))
    assert len({(look.colour, look.marker) for look in looks}) == len(values)
    assert looks[0].label == "dense"


def test_values_stand_in_units_that_suit_them() -> None:
    assert scale_of("latency_s", [2e-5, 3e-6]).text(2e-5) == "20 µs"
    assert scale_of("latency_s", [4.0]).text(4.0) == "4,000 ms"
    assert scale_of("energy_pj", [5e9]).text(1.25e9) == "1.250 mJ"
    assert said("weight_buffer.bytes", 65536) == "64 KiB"
    assert said("clock_hz", 8e8) == "800 MHz"
    assert said("sparsity_target", 0.9) == "90 %"
    assert said("prune_all", True) == "yes"
    assert said("encoding", None) == "-"


def test_some_of_the_points_have_only_values_of_their_own() -> None:
    window = Choice(name="gather.window", values=(None, 1, 8), codes=np.array([0, 2, 1, 2], dtype=np.int32))
    left = window.at(np.array([1, 3]))  # the first device has no window, and is gone
    assert left.values == (8,)
    assert [left.of(point) for point in range(2)] == [8, 8]
