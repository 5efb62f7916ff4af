"""A plan as TOML: what is written is read back, and a file that is no plan is refused by name."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from gatherline.advice.plan import LayerPlan, Plan, check_plan_target, read_plan
from gatherline.request_error import RequestError

PLAN = Plan(
    model='a "net"\x7f\nwith lines',
    model_hash="00ff",
    device="gs-tcm",
    device_hash="11",
    objective="l1",
    layers=(
        LayerPlan(layer="layer1.0.conv1", pattern="block:4x1", sparsity=0.8, mask="ab", told={"kept_l1": 0.5}),
        LayerPlan(layer="Ünder score", pattern="dense", sparsity=None, mask="cd"),
    ),
    run={"dtype": "fp16", "threads": 1, "batch": None},
    budget={"latency_s": 0.02, "certain": False},
    expected={"latency_s": 1e-05, "validated": "not validated"},
)
GOOD = PLAN.to_toml()


def test_a_plan_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = PLAN.write(tmp_path / "plan.toml")
    found = read_plan(path)
    assert found.layers == PLAN.layers
    assert (found.model, found.model_hash, found.device, found.objective) == (
        PLAN.model, PLAN.model_hash, PLAN.device, PLAN.objective,
    )  # fmt: skip
    assert found.run == {"dtype": "fp16", "threads": 1}  # what is None is not written
    assert (found.budget, found.expected) == (PLAN.budget, PLAN.expected)
    assert [entry.name for entry in tmp_path.iterdir()] == ["plan.toml"]


def test_the_comments_say_what_the_plan_is_not() -> None:
    assert "It is not accuracy" in GOOD
    assert tomllib.loads(GOOD)["schema"] == 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("schema = 1", "schema = 2", "schema is 2, and this version reads plans of schema 1"),
        ("schema = 1", "schema = true", "schema is True"),
        ("schema = 1", "", "schema is None"),
        ("schema = 1", "schema = 1.0", "schema is 1.0"),
        ("schema = 1", f"schema = {'1' * 5000}", "it is not TOML: Exceeds the limit"),
        ("latency_s = 0.02", "latency_s = nan", "budget.latency_s is nan, and must be a finite number"),
        ("certain = false", "certain = 1", "budget.certain is 1, and must be true or false"),
        ("latency_s = 1e-05", 'latency_s = "soon"', "expected.latency_s is 'soon', and must be a finite number"),
        ('validated = "not validated"', "validated = 3", "expected.validated is 3, and must be text"),
        ("kept_l1 = 0.5", "kept_l1 = inf", "kept_l1 is inf, and must be a number, and finite"),
        ("[layers.", "[layer.", "key layer is not known; did you mean layers?"),
        ("sparsity = 0.8", "sparsity = 1.0", "layer layer1.0.conv1: sparsity is 1.0, and must be a number of at least"),
        ("sparsity = 0.8", 'sparsity = "most"', "sparsity is 'most'"),
        ("sparsity = 0.8", "", "layer layer1.0.conv1: sparsity is None"),
        ("sparsity = 0.8", "sparsty = 0.8", "key sparsty is not known; did you mean sparsity?"),
        ('"block:4x1"', '"blok:4x1"', "pattern 'blok:4x1' is not known; did you mean block?"),
        ('"block:4x1"', "4", "layer layer1.0.conv1: pattern is 4, and must be text"),
        ('"block:4x1"', '"channel"', "pattern channel is no choice of one layer"),
        ('pattern = "dense"', 'pattern = "dense"\nsparsity = 0.5', "pattern is dense, and sparsity 0.5 was given too"),
        ('mask = "ab"', "", "layer layer1.0.conv1: mask is None, and must be text"),
        ("kept_l1 = 0.5", 'kept_l1 = "half"', "kept_l1 is 'half', and must be a number"),
        ('hash = "00ff"', "hash = 7", "model.hash is 7, and must be text"),
        ("threads = 1", 'threads = "1"', "run.threads is '1', and must be a whole number"),
        ("threads = 1", "threads = true", "run.threads is True, and must be a whole number"),
        ('dtype = "fp16"', "dtype = 16", "run.dtype is 16, and must be text"),
        ("threads = 1", "thread = 1", "run: key thread is not known; did you mean threads?"),
        ("latency_s = 0.02", "latency_s = [0.02]", "budget.latency_s is [0.02]"),
        ('[layers."layer1.0.conv1"]', "[layers.layer1.0.conv1]", "layer layer1: key 0 is not known"),
        ("schema = 1", "schema = = 1", "it is not TOML"),
    ],
)
def test_a_file_that_is_no_plan_is_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    path = tmp_path / "plan.toml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(RequestError) as error:
        read_plan(path)
    assert said in str(error.value)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_target_that_cannot_hold_a_plan_is_refused_before_any_work(tmp_path: Path) -> None:
    for target, said in (
        (tmp_path / "plan.json", "a plan is a .toml"),
        (tmp_path / "no" / "plan.toml", "a folder that is there"),
        (tmp_path, "a plan is a .toml"),
    ):
        with pytest.raises(RequestError, match=said):
            check_plan_target(target)
    check_plan_target(tmp_path / "plan.toml")
    assert not list(tmp_path.iterdir())


def test_a_plan_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    path = PLAN.write(tmp_path / "plan.toml")
    before = path.read_bytes()
    broken = Plan(
        model="", model_hash="", device="", device_hash="", objective="l1", layers=(), expected={"x": float("nan")}
    )
    with pytest.raises(ValueError, match="finite"):
        broken.write(path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
