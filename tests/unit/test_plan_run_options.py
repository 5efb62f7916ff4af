"""``run --plan`` runs as the plan was made, and says on the terminal where it does not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

import gatherline as gl
from gatherline.advice.plan import Plan, Value, read_plan
from gatherline.advice.plan_options import planned_options
from gatherline.cli import main
from gatherline.prune_plan import PlanPruneRequest, _as_planned
from gatherline.request_error import RequestError
from traces.layer import ModelError

MODEL = "conv3x3_128"
OPTIONS = ["--dtype", "fp32", "--threads", "4", "--encoding", "csr", "--input-shape", "2,128,6,6", "--seed", "3"]
OF_PLAN = {"dtype": "fp32", "threads": 4, "encoding": "csr", "input_shape": "2,128,6,6", "seed": 3}


def simulate(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main([*arguments])
    captured = capsys.readouterr()
    assert isinstance(end.value.code, int)
    return end.value.code, captured.out, captured.err


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plans") / "plan.toml"
    few = ["--pattern", "unstructured", "--sparsity", "0.95", "--all"]
    question = ["advise", MODEL, "--device", "gs-tcm", "--storage-mb", "0.2", *few]
    with pytest.raises(SystemExit) as end:
        main([*question, *OPTIONS, "-o", str(path)])
    assert end.value.code == 0
    assert read_plan(path).layers
    return path


def test_a_run_of_a_plan_without_options_takes_those_of_the_plan_and_its_times(
    plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text, errors = simulate(capsys, "run", MODEL, "--plan", str(plan), "--json")
    assert (code, errors) == (0, "")
    found = json.loads(text)
    expected = read_plan(plan).expected
    assert found["rows"][-1]["latency_s"] == expected["latency_s"]
    assert found["rows"][-1]["peak_memory_bytes"] == expected["peak_memory_bytes"]
    assert {name: found["manifest"]["request"][name] for name in OF_PLAN} == OF_PLAN
    assert found["manifest"]["plan"]["differs"] == []
    assert gl.run_plan(MODEL, plan).rows[-1]["latency_s"] == expected["latency_s"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--dtype", "fp16"], "dtype fp32, and this run has dtype fp16"),  # the default's own value, but given
        (["--threads", "1"], "threads 4, and this run has threads 1"),
        (["--encoding", "bitmap"], "encoding csr, and this run has encoding bitmap"),
        (["--order", "csr"], "order packed, and this run has order csr"),
        (["--input-shape", "1,128,8,8"], "inputs of shape 2,128,6,6, and this run has 1,128,8,8"),
    ],
)
def test_an_option_that_is_given_and_differs_holds_and_is_said_on_the_terminal(
    plan: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    code, text, errors = simulate(capsys, "run", MODEL, "--plan", str(plan), *arguments)
    assert code == 0
    assert "plan" in text
    assert errors == f"simulate: note: the plan was made with {said}\n"


def test_an_option_that_is_given_and_the_same_is_not_mentioned(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, errors = simulate(capsys, "run", MODEL, "--plan", str(plan), *OPTIONS)
    assert (code, errors) == (0, "")


def test_another_device_is_said_on_the_terminal(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, errors = simulate(capsys, "run", MODEL, "--plan", str(plan), "--device", "gs-tcm-sve8")
    assert code == 0
    assert "the plan was made for gs-tcm, and gs-tcm-sve8 is another device" in errors


def test_a_run_without_a_plan_keeps_its_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = simulate(capsys, "run", "digits", "--device", "gs-tcm", "--pattern", "dense", "--json")
    assert code == 0
    asked = json.loads(text)["manifest"]["request"]
    assert (asked["dtype"], asked["threads"], asked["encoding"]) == ("fp16", 1, None)


def test_another_seed_than_the_plan_s_makes_other_masks_and_is_refused(plan: Path) -> None:
    with pytest.raises(RequestError, match="makes another mask here"):
        gl.run_plan(MODEL, plan, seed=4)


def test_a_batch_is_kept_by_the_plan_and_by_the_shape_that_it_makes(tmp_path: Path) -> None:
    few = {"patterns": ("gs:16,1",), "sparsities": (0.9,), "prune_all": True, "batch": 2}
    report = gl.advise(MODEL, "gs-tcm", storage_bytes=2e5, **few)
    plan = report.write(tmp_path / "plan.toml")
    assert (report.plan.run["batch"], report.plan.run["inputs"]) == (2, "2,128,8,8")
    again = gl.run_plan(MODEL, plan)
    assert again.rows[-1]["latency_s"] == report.plan.expected["latency_s"]
    assert again.manifest["plan"]["differs"] == []  # type: ignore[index]


def of_run(**run: Value) -> Plan:
    return Plan(
        model="", model_hash="", device="", device_hash="", objective="l1", layers=(), run=run, path="plan.toml"
    )


@pytest.mark.parametrize(
    ("run", "given", "found"),
    [
        ({"batch": 4}, {}, {"batch": 4}),
        ({"batch": 4}, {"batch": 1}, {"batch": 1}),
        ({"batch": 4}, {"input_shape": "1,3,8,8"}, {"input_shape": "1,3,8,8"}),  # which holds a batch
        ({"input_shape": "1,3,8,8"}, {"batch": 2}, {"input_shape": "1,3,8,8", "batch": 2}),
        ({"dtype": "fp32", "encoding": "csr"}, {"encoding": None}, {"dtype": "fp32", "encoding": "csr"}),
        ({"inputs": "1,3,8,8"}, {}, {}),
    ],
)
def test_what_is_given_holds_and_the_plan_fills_the_rest(
    run: Mapping[str, Value], given: Mapping[str, object], found: Mapping[str, object]
) -> None:
    assert planned_options(of_run(**run), given) == found


def test_a_batch_that_the_shape_of_the_plan_would_overrule_is_refused() -> None:
    with pytest.raises(RequestError, match=r"batch is 1, and plan.toml was made with input shape x=4,3,8,8: give"):
        planned_options(of_run(input_shape="x=4,3,8,8"), {"batch": 1})


def test_prune_reads_the_model_at_the_shape_of_the_plan_where_none_is_given() -> None:
    asked = PlanPruneRequest(model="m.onnx", out="o.onnx", plan="plan.toml")
    assert _as_planned(asked, of_run(input_shape="1,3,8,8", dtype="fp32")).input_shape == "1,3,8,8"
    assert _as_planned(asked, of_run(batch=4)).batch == 4
    assert _as_planned(asked, of_run()) == asked


def test_an_option_of_a_plan_that_cannot_be_is_an_error(plan: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(plan.read_text().replace('"2,128,6,6"', '"2,x"', 1))
    with pytest.raises(ModelError, match="2,x"):
        gl.run_plan(MODEL, other)
