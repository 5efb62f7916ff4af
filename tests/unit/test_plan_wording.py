"""What the report of a plan says: totals that add up, what binds, one line on bands, slower plans, ties told apart."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import gatherline as gl
from gatherline.advice.plan_report import PlanReport
from gatherline.advice.sensitivity import read_sensitivity
from gatherline.commands import advise as command
from gatherline.report.plan_table import headline, print_plan
from gatherline.report.prune_table import print_pruned
from gatherline.request import RunRequest
from gatherline.request_error import RequestError

MS = 1e-3
FEW: dict[str, Any] = {"patterns": ("gs:16,1",), "sparsities": (0.5, 0.92, 0.95)}


def printed(report: PlanReport) -> str:
    stream = StringIO()
    print_plan(report, stream)
    return stream.getvalue()


@pytest.fixture(scope="module")
def both() -> PlanReport:
    """Return a plan that latency alone and storage alone would ask for too."""
    return gl.advise("digits", "gs-tcm", latency_s=0.0052 * MS, storage_bytes=16_800.0, **FEW)


def test_the_layers_and_those_without_weights_add_up_to_the_total(both: PlanReport) -> None:
    about = json.loads(both.to_json())
    others = about["manifest"]["plan"]["without_weights"]
    layers = sum(row["latency_s"] for row in about["rows"])
    assert others["layers"] == len(both.rows) - 1 - len(about["rows"])
    assert others["latency_s"] > 0.0
    assert layers + others["latency_s"] == pytest.approx(both.plan.expected["latency_s"], rel=1e-12)
    assert f"{others['layers']} layers without weights" in printed(both)


def test_budgets_that_ask_for_the_same_do_not_bind_alone(both: PlanReport) -> None:
    assert both.plan.expected["loss"] > 0.0  # type: ignore[operator]
    assert (both.binding, both.together) == ((), True)
    assert "No budget binds alone: without any one of them the others still ask for as much." in printed(both)


def test_what_binds_reads_well_for_one_two_and_three_budgets_and_none(both: PlanReport) -> None:
    def said(*names: str) -> str:
        return printed(replace(both, binding=names, together=False))

    assert "What binds: latency. Without it, less would be lost." in said("latency")
    assert "What binds: latency, storage. Without either of them, less" in said("latency", "storage")
    assert "Without any one of them, less" in said("latency", "memory", "storage")
    loose = gl.advise("digits", "gs-tcm", latency_s=1.0, **FEW)
    assert (loose.binding, loose.together) == ((), False)
    assert "Nothing binds: without any budget the plan would lose as much." in printed(loose)


def test_why_there_is_no_error_band_is_told_once() -> None:
    asked: dict[str, Any] = {"patterns": ("unstructured",), "sparsities": (0.5, 0.9), "dtype": "fp32"}
    report = gl.advise("mobilenet_v1", "snapdragon-855", latency_s=16.6 * MS, **asked)
    assert report.total["latency_high_s"] is None  # although layers have bands
    (line,) = [remark for remark in report.remarks if "no error band" in remark]
    assert "those of layers cover" in line
    assert "the budget is met by the estimate alone" in report.remarks
    bare = gl.advise("digits", "gs-tcm", latency_s=1.0, **FEW)
    assert [remark for remark in bare.remarks if "no error band" in remark] == [
        "no error band: nothing validates these times, and the budget is met by the estimate alone"
    ]


def test_a_plan_that_is_slower_than_the_network_says_so_below_the_headline(both: PlanReport) -> None:
    total = {**both.unpruned, "latency_s": float(both.plan.expected["latency_s"]) * 0.9}  # type: ignore[arg-type]
    plan = replace(both.plan, budget={"storage_bytes": 16_800.0})
    lines = printed(replace(both, plan=plan, unpruned=total)).splitlines()
    assert lines[1].startswith(
        "The plan is slower than the network as it is: 0.00517 ms, before 0.00465 ms; no latency"
    )
    assert "slower than the network" not in printed(replace(both, plan=plan))
    assert "slower than the network" not in printed(replace(both, unpruned=total))  # a latency was asked for


def test_times_that_read_alike_and_differ_get_more_digits(both: PlanReport) -> None:
    expected, total = {**both.plan.expected, "latency_s": 1.00001e-5}, {**both.unpruned, "latency_s": 1.00004e-5}
    plan = replace(both.plan, expected=expected, budget={"latency_s": 1.00002e-5})
    apart = headline(replace(both, plan=plan, unpruned=total))
    assert "within 0.0100002 ms: 0.0100001 ms (unpruned 0.0100004 ms)" in apart
    near = replace(plan, budget={"latency_s": 1e-5}, expected={**expected, "latency_s": 0.99996e-5})
    told = headline(replace(both, plan=near, unpruned={**total, "latency_s": 2e-5}))
    assert "within 0.01 ms: 0.0099996 ms (unpruned 0.0200 ms)" in told
    same = replace(both, plan=replace(plan, expected={**expected, "latency_s": 1e-5}), unpruned=total)
    equal = replace(same, plan=replace(same.plan, budget={"latency_s": 1e-5}), unpruned={**total, "latency_s": 1e-5})
    assert "within 0.0100 ms: 0.0100 ms (unpruned 0.0100 ms)" in headline(equal)


def test_a_certain_plan_tells_the_upper_end_in_the_headline_and_the_curve() -> None:
    asked: dict[str, Any] = {"patterns": ("block:4x1",), "sparsities": (0.9,), "dtype": "fp32"}
    report = gl.advise("mobilenet_v1", "snapdragon-855", latency_s=35 * MS, certain=True, **asked)
    high_ms = float(report.plan.expected["latency_high_s"]) / MS  # type: ignore[arg-type]
    assert f", upper end {high_ms:.1f} ms (unpruned " in headline(report)
    assert "upper end" in printed(report).split("What other budgets would buy")[1]
    for point in report.curve:
        if point["reached"]:
            assert point["reached_latency_high_s"] <= point["latency_s"]  # type: ignore[operator]


def test_a_pattern_with_a_comma_and_without_quotes_is_told_to_have_them(tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    path.write_text("layer,pattern,sparsity,loss\nconv2,gs:16,1,0.95,1\n")
    with pytest.raises(RequestError, match=r'line 2: it has 5 cells, and the table 4 columns: .*"gs:16,1"'):
        read_sensitivity(path, ["conv2"])
    path.write_text('layer,pattern,sparsity,loss\nconv2,"gs:16,1",0.95,1\n')
    assert read_sensitivity(path, ["conv2"]).loss("conv2", "gs:16,1", 0.95) == 1.0


def test_masks_of_a_plan_that_fill_nearly_every_place_need_nothing_done(both: PlanReport, tmp_path: Path) -> None:
    report = gl.prune_by_plan("digits", tmp_path / "out.onnx", both.write(tmp_path / "plan.toml"))
    broken = [row for row in report.rows if row["check"] not in (None, "holds")]
    assert len(broken) == 2
    stream = StringIO()
    print_pruned(report.rows, report.manifest, stream)
    assert "2 masks do not fill their pattern to the last place" in stream.getvalue()
    assert "Nothing needs to be done" in stream.getvalue()
    stream = StringIO()
    print_pruned([{**row, "pattern": "gs:16,1"} for row in report.rows], report.manifest, stream)
    assert "2 masks do not obey their pattern in full: see the check column." in stream.getvalue()


def test_ctrl_c_in_the_middle_of_a_plan_says_that_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gatherline.advice.budget.option_tables", stopped)
    run = RunRequest(model="digits", devices=("gs-tcm",))
    with pytest.raises(KeyboardInterrupt):
        command.plan_within(
            run, {"latency_s": 1.0}, "l1", one_pattern=False, certain=False, out=tmp_path / "plan.toml", json=False
        )
    assert capsys.readouterr().err == "simulate: no plan is kept: it is chosen when all layers are measured\n"
    assert not list(tmp_path.iterdir())
