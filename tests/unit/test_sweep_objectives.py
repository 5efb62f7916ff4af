"""Objectives, constraints and a user's accuracies say of a row what it has, and nothing of what it lacks."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from gatherline.request_error import RequestError
from gatherline.sweep.accuracy import read_accuracy
from gatherline.sweep.objective import DEFAULT_OBJECTIVES, MEASURES, objectives_of, violations
from gatherline.sweep.spec import SweepSpec
from gatherline.sweep.spec_file import parse_spec

AXES = 'models = ["digits"]\npatterns = ["gs:16,1"]\nsparsities = [0.9]\ndevices = ["gs-tcm"]\n'
ROW = {"latency_s": 0.03, "peak_memory_bytes": 1 << 20, "area_mm2": None, "kept_l1": 0.9, "refused": None,
       "model": "digits", "pattern": "gs:16,1", "sparsity_target": 0.9, "ratios": "uniform", "match": "density",
       "level": None}  # fmt: skip


def spec(text: str, folder: Path = Path()) -> SweepSpec:
    return parse_spec(f"{AXES}{text}", folder / "spec.toml")


def test_latency_and_memory_are_what_counts_by_default() -> None:
    made = spec("")
    assert tuple(objective.name for objective in made.objectives) == DEFAULT_OBJECTIVES
    assert objectives_of(ROW, made) == {"latency_s": 0.03, "peak_memory_bytes": float(1 << 20)}


def test_a_figure_that_a_row_lacks_is_no_figure() -> None:
    assert objectives_of(ROW, spec('[objectives]\narea_mm2 = "min"')) == {"area_mm2": None}


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
def test_every_measure_is_an_objective_and_a_constraint_in_its_unit(measure: object, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("pattern,top1\ngs:16,70\n", encoding="utf-8")
    name, unit = getattr(measure, "name"), getattr(measure, "unit")  # noqa: B009
    value = "0.5" if unit in ("share", "") else f'"0.5 {unit}"'
    (tmp_path / "a.csv").write_text('pattern,top1\n"gs:16,1",70\n', encoding="utf-8")
    made = spec(
        f'accuracy = {{ file = "a.csv", column = "top1" }}\n[objectives]\n{name} = "max"\n'
        f"[constraints]\n{name} = {{ most = {value} }}",
        tmp_path,
    )
    assert made.objectives[0].name == made.constraints[0].name == name
    assert made.constraints[0].most == 0.5


def test_a_violation_is_a_share_of_its_bound() -> None:
    made = spec(
        '[constraints]\nlatency_s = { most = "20 ms" }\nkept_l1 = { least = "95 %" }\nenergy_pj = { most = "1 mJ" }'
    )
    found = violations(ROW, made)
    assert found == {
        "latency_s": pytest.approx((0.03 - 0.02) / 0.02),
        "kept_l1": pytest.approx((0.95 - 0.9) / 0.95),
        "energy_pj": inf,  # the row has none, so nobody can say that it keeps to it
    }
    assert violations({**ROW, "latency_s": 0.02, "kept_l1": 0.95, "energy_pj": 1e9}, made) == {}


def accuracies(folder: Path, text: str, column: str = "top1") -> dict[float, float | None]:
    (folder / "a.csv").write_text(text, encoding="utf-8")
    table = read_accuracy(folder / "a.csv", column, "accuracy")
    return {sparsity: table.of({**ROW, "sparsity_target": sparsity}) for sparsity in (0.5, 0.9)}


def test_accuracies_match_by_the_columns_that_the_file_has(tmp_path: Path) -> None:
    by_sparsity = 'pattern,sparsity,top1\n"gs:16,1",0.90,71.5\n"gs:16,1",.5,75\n"gs:16,16",0.9,70\n'
    assert accuracies(tmp_path, by_sparsity) == {0.5: 75.0, 0.9: 71.5}
    assert accuracies(tmp_path, 'pattern,top1,note\n"gs:16,1",71.5,x\n') == {0.5: 71.5, 0.9: 71.5}
    assert accuracies(tmp_path, 'model,pattern,top1\nother,"gs:16,1",71.5\n') == {0.5: None, 0.9: None}
    assert accuracies(tmp_path, 'model,pattern,top1\nnets/digits.onnx,"gs:16,1",71.5\n') == {0.5: 71.5, 0.9: 71.5}
    assert accuracies(tmp_path, 'pattern,sparsity,level,top1\n"gs:16,1",0.5,2,1\n"gs:16,1",0.5,,3\n') == {
        0.5: 3.0,
        0.9: None,
    }


def test_an_accuracy_is_an_objective_and_unknown_ones_break_a_constraint(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('pattern,sparsity,top1\n"gs:16,1",0.9,71.5\ndense,,76\n', encoding="utf-8")
    made = spec(
        'accuracy = { file = "a.csv", column = "top1" }\nobjectives.accuracy = "max"\nconstraints.accuracy.least = 75',
        tmp_path,
    )
    dense = {**ROW, "pattern": "dense", "sparsity_target": None}
    assert objectives_of(ROW, made) == {"accuracy": 71.5}
    assert objectives_of(dense, made) == {"accuracy": 76.0}
    assert violations(ROW, made) == {"accuracy": pytest.approx((75 - 71.5) / 75)}
    assert violations(dense, made) == {}
    assert violations({**ROW, "sparsity_target": 0.5}, made) == {"accuracy": inf}
    assert objectives_of({**ROW, "refused": "no such bank"}, made) == {"accuracy": None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.csv: it is empty"),
        ("pattern,top1\n", "it has no line under its column names"),
        ("pattern,top5\ndense,1\n", "column 'top1' is missing; did you mean top5?"),
        ("sparsity,top1\n0.5,1\n", "column 'pattern' is missing"),
        ("pattern,top1,top1\ndense,1,2\n", "column 'top1' is there twice"),
        ("pattern,top1\ndense,x\n", "line 2: top1 is 'x', and must be a finite number"),
        ("pattern,top1\ndense,nan\n", "line 2: top1 is 'nan', and must be a finite number"),
        ("pattern,top1\ndense,1,2\n", "line 2 has 3 cells, and the header 2"),
        ("pattern,top1\ndense,1\n\ndense,2\n", "line 4 names dense again"),
        ("pattern,top1\ndens,1\n", "line 2: pattern 'dens'"),
        ("pattern,sparsity,top1\nunstructured,1.5,1\n", "line 2: sparsity is 1.5, and must be at least 0 and below 1"),
        ("pattern,sparsity,top1\nunstructured,0.5,1\nunstructured,0.50,1\n", "names unstructured, 0.500000 again"),
        ("pattern,sparsity,top1\ndense,,1\ndense,0,1\n", "line 3 names dense again"),
        ('pattern,top1\n"dense,1\n', "not a readable CSV file"),
    ],
)  # fmt: skip
def test_a_table_of_accuracies_that_cannot_be(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        accuracies(tmp_path, text)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_no_text_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RequestError, match="not a readable CSV file"):
        read_accuracy(tmp_path / "a.csv", "top1", "accuracy")


def test_a_level_of_a_table_is_a_whole_number(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("pattern,level,top1\ndense,01,70\n")
    assert read_accuracy(tmp_path / "a.csv", "top1", "accuracy").of({"pattern": "dense", "level": 1}) == 70
    for level in ("1.5", "first", "-1", "9" * 5000):
        (tmp_path / "a.csv").write_text(f"pattern,level,top1\ndense,{level},70\n")
        with pytest.raises(RequestError, match=r"line 2: level is .*, and must be a whole number of at least 0"):
            read_accuracy(tmp_path / "a.csv", "top1", "accuracy")
