"""What a front says so that nobody is misled: ties, sparsities reached, missing figures, evidence, several models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

import pytest

from gatherline import cli
from gatherline.report.front_remarks import remarks
from gatherline.report.front_report import print_front
from gatherline.report.front_table import headlines
from gatherline.report.measures import scale_of
from gatherline.request import device_named
from gatherline.request_error import RequestError
from gatherline.sweep.columns import point_row
from gatherline.sweep.front import SweepFront
from gatherline.sweep.front_request import FrontRequest, stored_front, stored_fronts
from gatherline.sweep.store import Member, Store

Values = Mapping[str, object]


def stored(folder: Path, points: Sequence[Values], spec: str = '[objectives]\nlatency_s = "min"\n') -> Path:
    """Store points of gs:16,1 at 90 % on gs-tcm unless they say otherwise; keys that name fields are fields."""
    with Store.open(folder) as store:
        bases = {name: store.know_base(device_named(name)) for name in ("gs-tcm", "raspberry-pi-4")}
        store.add_field_columns(["gather.ports", "gather.window"])
        sweep = store.begin("digest", name="ports", spec=spec, version="1", points=len(points))
        rows = []
        for number, point in enumerate(points):
            device = str(point.get("device", "gs-tcm"))
            given = {name: value for name, value in point.items() if "." not in name}
            rows.append(
                point_row(
                    {
                        "key": f"{number:064d}", "model": "net", "pattern": "gs:16,1", "sparsity_target": 0.9,
                        "sparsity_reached": 0.9, "device": device, "device_hash": bases[device], "dtype": "fp16",
                        "model_kind": "cycle" if device == "gs-tcm" else "roofline",
                        "fields": json.dumps({name: value for name, value in point.items() if "." in name}),
                        **given,
                    }
                )
            )  # fmt: skip
        store.add(sweep, rows, [Member(number=at, key=str(row["key"])) for at, row in enumerate(rows)])
    return folder


def front(folder: Path, **asked: tuple[str, ...]) -> SweepFront:
    return stored_front(FrontRequest(folder=folder, **asked)).front


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_choice_that_moves_no_figure_is_no_difference_and_not_settled(tmp_path: Path) -> None:
    points = [
        {"gather.ports": ports, "gather.window": window, "latency_s": 1e-3 if window > 1 else 2e-3}
        for ports in (1, 2)
        for window in (1, 4, 8)
    ]
    found = front(stored(tmp_path, points))
    lines = remarks(found)
    assert "No difference to the front: gather.ports, gather.window." in lines  # 4 and 8 tie; 1 is not on the front
    assert not any(line.startswith("All along") for line in lines)
    (fastest,) = headlines(found)
    assert fastest.endswith("(3 more points with the same figures, other gather.ports, gather.window)")


def test_a_choice_with_one_value_at_all_points_of_the_front_is_settled(tmp_path: Path) -> None:
    points = [{"gather.ports": ports, "latency_s": ports * 1e-3} for ports in (1, 2)]
    assert "All along the front: gather.ports 1." in remarks(front(stored(tmp_path, points)))


def test_sparsities_show_what_was_reached_and_equal_masks_are_told(tmp_path: Path) -> None:
    points = [
        {"sparsity_target": asked, "sparsity_reached": 0.875, "kept_l1": 0.5, "latency_s": 1e-3 * asked}
        for asked in (0.86, 0.9)
    ]
    found = front(stored(tmp_path, points))
    assert "gs:16,1 at 87.5 % (86 asked)" in headlines(found)[0]
    assert "gs:16,1: 86 % and 90 % asked give equal masks, of 87.5 %." in remarks(found)
    out = StringIO()
    print_front(front(stored(tmp_path / "b", [*points, {"latency_s": 1e-6, "pattern": "dense"}])), out)
    assert "equal masks" in out.getvalue()
    close = [{"sparsity_reached": 0.9 + off, "latency_s": 1e-3 + off, "kept_l1": off} for off in (0.001, 0.002)]
    of_close = front(stored(tmp_path / "c", close))
    assert "asked" not in " ".join(remarks(of_close)) + " ".join(headlines(of_close))


def test_points_without_a_figure_say_why(tmp_path: Path) -> None:
    points = [
        {"latency_s": 1e-3, "area_mm2": 5.0},
        {"latency_s": 1e-3, "device": "raspberry-pi-4", "seed": 1},
        {"latency_s": 1e-3, "area_note": "no table has fp64", "seed": 2},
        {"latency_s": 1e-3, "area_note": "no table has fp64", "seed": 3},
    ]
    lines = remarks(front(stored(tmp_path, points, '[objectives]\nlatency_s = "min"\narea_mm2 = "min"\n')))
    assert "3 have no area (no table has fp64; only accelerators have one)." in lines


def test_options_in_which_points_differ_are_named(tmp_path: Path) -> None:
    points = [
        {"latency_s": 1e-3, "kept_l1": 0.5, "encoding": None, "batch": 1},
        {"latency_s": 2e-3, "kept_l1": 0.6, "encoding": "csr", "batch": 4},
    ]
    spec = '[objectives]\nlatency_s = "min"\nkept_l1 = "max"\n'
    fastest, most, *_ = headlines(front(stored(tmp_path, points, spec)))
    assert fastest.endswith(": batch 1, encoding the pattern's own")
    assert most.endswith(": batch 4, encoding csr")


def test_evidence_is_told_and_a_band_is_printed(tmp_path: Path) -> None:
    points = [
        {"latency_s": 1e-3, "latency_low_s": 0.8e-3, "latency_high_s": 1.25e-3, "device": "raspberry-pi-4"},
        {"latency_s": 2e-3, "kept_l1": 0.6, "synthetic": True, "seed": 1},
    ]
    points[0]["kept_l1"] = 0.5
    found = front(stored(tmp_path, points, '[objectives]\nlatency_s = "min"\nkept_l1 = "max"\n'))
    assert headlines(found)[0].startswith("Fastest: 1 ms (band 0.8000 to 1.250), kept L1 50 %")
    lines = remarks(found)
    assert "Latency: 1 of the 2 points on the front is not validated (no error band)." in lines
    assert any(line.startswith("Weights of 1 of the 2 points on the front are synthetic") for line in lines)
    assert lines[-1] == (
        "Numbers of raspberry-pi-4, gs-tcm are assumed where the device says so: simulate list devices raspberry-pi-4."
    )


def test_a_constraint_that_nothing_keeps_names_the_nearest(tmp_path: Path) -> None:
    folder = stored(tmp_path, [{"latency_s": 4.925e-3, "storage_bytes": 10}, {"latency_s": 6e-3, "storage_bytes": 20}])
    with pytest.raises(
        RequestError, match=r"2 break the constraint on latency_s \(at most 1 ms; the least is 4.925 ms"
    ):
        front(folder, most=("latency_s=1ms",))
    with pytest.raises(RequestError, match=r"at most 5 ms; the least that keeps to the others is 6 ms"):
        front(folder, most=("latency_s=5ms",), least=("storage_bytes=15B",))
    with pytest.raises(RequestError, match=r"1 breaks the constraint on storage_bytes \(at least 15 B\)"):
        front(folder, most=("latency_s=1ms",), least=("storage_bytes=15B",))


def test_a_knee_that_is_an_end_of_three_objectives_says_so(tmp_path: Path) -> None:
    spec = '[objectives]\nlatency_s = "min"\nkept_l1 = "max"\nstorage_bytes = "min"\n'
    figures = [(1.0, 0.9, 10), (9.0, 1.0, 90), (5.0, 0.5, 1)]  # the first is fastest and near the best of the others
    points = [{"latency_s": a * 1e-3, "kept_l1": b, "storage_bytes": c, "seed": c} for a, b, c in figures]
    found = front(stored(tmp_path, points, spec))
    assert found.knee == found.best(0)
    assert any(line.startswith("Knee (also: fastest): ") for line in headlines(found))


def test_a_front_does_not_depend_on_how_many_rows_are_read_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stored(tmp_path, TWO)
    whole = front(folder, where=("model=small",))
    monkeypatch.setattr("gatherline.sweep.store.BLOCK", 3)  # a block and a rest
    parts = front(folder, where=("model=small",))
    assert headlines(parts) == headlines(whole)
    assert remarks(parts) == remarks(whole)
    assert parts.points.choices["gather.window"].values == whole.points.choices["gather.window"].values == (1, 4)


def test_a_hypervolume_of_one_point_is_left_out(tmp_path: Path) -> None:
    points = [{"latency_s": 1e-3, "kept_l1": 0.5}, {"latency_s": 2e-3, "kept_l1": 0.4, "seed": 1}]
    found = front(stored(tmp_path, points, '[objectives]\nlatency_s = "min"\nkept_l1 = "max"\n'))
    assert not any("Hypervolume" in line for line in headlines(found))


def test_whole_numbers_have_the_digits_of_their_column() -> None:
    assert scale_of("kept_l1", [0.95, 0.972]).column([0.95, 0.972]) == ["95.00", "97.20"]
    assert scale_of("latency_s", [6e-3, 0.0125]).column([6e-3, 0.0125]) == ["6.000", "12.50"]
    assert scale_of("latency_s", [6e-3, 8e-3]).column([6e-3, 8e-3]) == ["6", "8"]


TWO = (
    {"model": "small", "latency_s": 1e-3, "gather.window": 1},
    {"model": "small", "latency_s": 2e-3, "gather.window": 4},
    {"model": "large", "latency_s": 9e-3, "gather.window": 1},
    {"model": "large", "latency_s": 7e-3, "gather.window": 4},
)


def test_models_do_not_compete_unless_they_are_taken_together(tmp_path: Path) -> None:
    folder = stored(tmp_path, TWO)
    found = stored_fronts(FrontRequest(folder=folder)).fronts
    assert [each.front.name for each in found] == ["ports, small", "ports, large"]
    assert [[row["number"] for row in each.rows] for each in found] == [[0], [3]]
    (together,) = stored_fronts(FrontRequest(folder=folder, together=True)).fronts
    assert [row["number"] for row in together.rows] == [0]
    with pytest.raises(RequestError, match="has 2 models, and a front for each"):
        stored_front(FrontRequest(folder=folder))


def test_a_model_without_a_front_does_not_hide_the_others(tmp_path: Path) -> None:
    found = stored_fronts(FrontRequest(folder=stored(tmp_path, TWO), most=("latency_s=5ms",)))
    assert [each.front.name for each in found.fronts] == ["ports, small"]
    (why,) = found.without
    assert why.startswith("sweep ports, large: no point can be on a front: of 2, 2 break")


def test_where_takes_the_points_of_choices(tmp_path: Path) -> None:
    folder = stored(tmp_path, TWO)
    assert front(folder, where=("model=large", "gather.window=1")).points.numbers.tolist() == [2]
    assert front(folder, where=("model = small", "gather.window=1", "gather.window=4")).points.numbers.size == 2
    assert front(folder, where=("model=small", "sparsity_target=90%")).points.numbers.size == 2


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("model=smal", "--where model is 'smal', and no point has that; there are small, large"),
        ("modl=small", "--where is 'modl', and no choice of a sweep has that name; did you mean"),
        ("model", "--where is 'model', and must be NAME=VALUE"),
    ],
)
def test_a_wrong_choice_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str, words: str) -> None:
    assert call("front", stored(tmp_path, TWO), "--where", where) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert words in said


def test_several_fronts_are_told_apart_in_text_files_and_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = stored(tmp_path / "sweep", TWO)
    assert call("front", folder, "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert said.index("--- ports, small ---") < said.index("--- ports, large ---")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["large", "small"]
    assert json.loads((tmp_path / "out" / "large" / "front.json").read_text())["manifest"]["where"] == {
        "model": ["large"]
    }
    assert call("front", folder, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["number"] for row in told["rows"]] == [0, 3]
    assert [each["where"] for each in told["manifest"]["fronts"]] == [{"model": ["small"]}, {"model": ["large"]}]
