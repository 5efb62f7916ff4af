"""A plan within a budget: the least loss of all plans, what it takes when run and pruned, and what is out of reach."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import gatherline as gl
from gatherline.advice.choices import default_patterns
from gatherline.advice.options import Option, Tables, option_tables
from gatherline.advice.plan import read_plan
from gatherline.advice.plan_report import PlanReport, measured
from gatherline.advice.plan_request import OutOfReach, PlanRequest
from gatherline.advice.probing import Bench
from gatherline.advice.problem import Budget, Losses
from gatherline.advice.search import Search, in_units, rounded_up
from gatherline.cli import main
from gatherline.commands.advise import plan_within
from gatherline.progress import SilentProgress
from gatherline.request import RequestError, RunRequest, device_named, devices_of, lower
from patterns.base import PatternError
from patterns.catalog import parse_pattern
from simulator.spec import DeviceError
from tests.models import residual_net

PATTERNS, SPARSITIES = ("block:4x1", "gs:16,1"), (0.5, 0.92, 0.95, 0.98)
MS = 1e-3
COLUMNS = {"latency": "latency_s", "memory": "memory_bytes", "storage": "storage_bytes", "energy": "energy_pj"}
FEW = {"patterns": PATTERNS, "sparsities": SPARSITIES}


def simulate(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main([*arguments])
    captured = capsys.readouterr()
    assert isinstance(end.value.code, int)
    return end.value.code, captured.out, captured.err


@pytest.fixture(scope="module")
def search() -> Search:
    """Return the tables of digits on gs-tcm; its budget says nothing."""
    run = RunRequest(model="digits", devices=("gs-tcm",), patterns=PATTERNS, sparsities=SPARSITIES)
    (device,) = devices_of(run)
    tables = option_tables(
        lower(run), Bench(request=run, devices=(device,)), [*map(parse_pattern, PATTERNS)], SPARSITIES, SilentProgress()
    )
    request = PlanRequest(run=run, budget=Budget(latency_s=1.0))
    return Search(request=request, device=device, tables=tables, losses=Losses(objective="l1"))


def every_plan(tables: Tables) -> list[tuple[Option, ...]]:
    return list(product(*(table.options for table in tables.layers)))


def loss(search: Search, options: tuple[Option, ...]) -> float:
    found = [
        search.losses.of(table, option, search.tables)
        for table, option in zip(search.tables.layers, options, strict=True)
    ]
    return sum(one for one in found if one is not None)


@pytest.fixture(scope="module")
def totals(search: Search) -> list[tuple[float, dict[str, float]]]:
    """Return the loss of every plan there is, and what it takes of each budget, as a run's total row tells it."""
    found = []
    for options in every_plan(search.tables):
        row = search.total(options)
        takes = {name: measured(row, name) for name in ("latency", "memory", "storage", "energy")}
        found.append((loss(search, options), {name: value for name, value in takes.items() if value is not None}))
    return found


@pytest.mark.parametrize("objective", ["l1", "l2"])
@pytest.mark.parametrize("names", [("latency",), ("memory",), ("storage",), ("energy",), ("latency", "memory")])
@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_the_plan_loses_as_little_as_the_best_of_all_plans_that_meet_the_budget(
    search: Search, totals: list[tuple[float, dict[str, float]]], names: tuple[str, ...], place: float, objective: str
) -> None:
    most = {}
    for name in names:
        values = sorted(takes[name] for _, takes in totals)
        most[name] = values[round(place * (len(values) - 1))]
    asked = Search(
        request=PlanRequest(run=search.request.run, budget=Budget(**{COLUMNS[name]: most[name] for name in names})),
        device=search.device,
        tables=search.tables,
        losses=Losses(objective=objective),
    )
    met = [
        loss(asked, options)
        for options, (_, takes) in zip(every_plan(search.tables), totals, strict=True)
        if all(takes[name] <= most[name] for name in names)
    ]
    found = asked.best(1.0)
    assert (found is None) == (not met)
    if found is not None:
        assert found.loss == pytest.approx(min(met), abs=1e-12)
        assert found.gap == 0.0
        row = asked.total(found.options)
        assert all((measured(row, name) or 0.0) <= most[name] for name in names)


@pytest.fixture(scope="module")
def report() -> PlanReport:
    return gl.advise("digits", "gs-tcm", latency_s=0.0052 * MS, **FEW)


def test_the_plan_run_whole_takes_what_the_report_says_and_meets_the_budget(report: PlanReport) -> None:
    assert report.total["latency_s"] == report.plan.expected["latency_s"]
    assert report.plan.expected["latency_s"] <= 0.0052 * MS  # type: ignore[operator]
    assert report.unpruned["latency_s"] > 0.0052 * MS  # type: ignore[operator]
    layers = sum(row["latency_s"] for row in report.rows[:-1])  # type: ignore[misc]
    assert report.total["latency_s"] == pytest.approx(layers, rel=1e-12)
    assert report.binding == ("latency",)


def test_a_looser_budget_never_loses_more(report: PlanReport) -> None:
    losses = [point["loss"] for point in report.curve if point["reached"]]
    assert len(losses) > 1
    assert losses == sorted(losses, reverse=True)  # type: ignore[type-var]


def test_the_pruned_model_keeps_what_the_plan_said_and_runs_as_fast(report: PlanReport, tmp_path: Path) -> None:
    plan, out = report.write(tmp_path / "plan.toml"), tmp_path / "out.onnx"
    pruned = gl.prune_by_plan("digits", out, plan).rows
    assert pruned[-1]["kept_l1"] == pytest.approx(report.plan.expected["kept_l1"], rel=1e-9)
    assert pruned[-1]["kept_l2"] == pytest.approx(report.plan.expected["kept_l2"], rel=1e-9)
    for row, told in zip(pruned[:-1], report.layers, strict=True):
        assert (row["layer"], row["density"]) == (told["layer"], told["density"])
        assert row["pattern"] == (told["layer_pattern"] if told["pattern"] else None)
    of_model, of_pruned = gl.run_plan("digits", plan).rows, gl.run_plan(out, plan).rows
    assert [row["latency_s"] for row in of_pruned] == [row["latency_s"] for row in of_model]
    assert of_pruned[-1]["latency_s"] == report.plan.expected["latency_s"]
    assert {row["pattern"] for row in of_pruned} == {"plan"}
    patterns = {row["layer"]: row["layer_pattern"] for row in of_pruned}
    assert all(patterns[entry.layer] == entry.pattern for entry in report.plan.layers)


def test_a_mixed_plan_of_an_exported_network_is_applied_layer_by_layer(tmp_path: Path) -> None:
    import torch

    model = residual_net()
    source, out = tmp_path / "net.onnx", tmp_path / "out.onnx"
    torch.onnx.export(model, (torch.zeros(1, 3, 16, 16),), str(source), dynamo=False, verbose=False)
    asked: dict[str, Any] = {"patterns": ("unstructured", "block:2x1"), "sparsities": (0.5, 0.9), "prune_all": True}
    dense = gl.run(source, patterns=["dense"], devices=["gs-tcm"]).rows[-1]
    least = gl.advise(source, "gs-tcm", storage_bytes=float(dense["weight_bytes"]) * 0.5, **asked)  # type: ignore[arg-type]
    plan = least.write(tmp_path / "plan.toml")
    gl.prune_by_plan(source, out, plan)
    rows = gl.run_plan(out, plan).rows
    assert rows[-1]["latency_s"] == least.plan.expected["latency_s"]
    assert measured(rows[-1], "storage") == least.plan.expected["storage_bytes"]
    own = {entry.layer: entry.pattern for entry in least.plan.layers}
    assert own
    assert {row["layer"]: row["layer_pattern"] for row in rows if row["layer"] in own} == own


def test_the_same_question_gives_the_same_bytes(report: PlanReport) -> None:
    again = gl.advise("digits", "gs-tcm", latency_s=0.0052 * MS, **FEW)
    assert again.plan.to_toml() == report.plan.to_toml()
    assert again.to_json() == report.to_json()


def test_one_pattern_is_one_and_loses_no_less_than_a_mix(report: PlanReport) -> None:
    one = gl.advise("digits", "gs-tcm", latency_s=0.0052 * MS, one_pattern=True, **FEW)
    assert len({entry.pattern for entry in one.plan.layers if entry.sparsity is not None}) == 1
    assert one.plan.expected["loss"] >= report.plan.expected["loss"]  # type: ignore[operator]


def test_a_network_that_meets_the_budget_as_it_is_stays_so() -> None:
    found = gl.advise("digits", "gs-tcm", latency_s=1.0, **FEW)
    assert [entry for entry in found.plan.layers if entry.pattern != "dense"] == []
    assert found.plan.expected["loss"] == 0.0
    assert found.binding == ()


def test_certain_makes_the_upper_end_of_the_band_meet_the_budget() -> None:
    asked = {"patterns": ("block:4x1",), "sparsities": (0.5, 0.8, 0.95), "dtype": "fp32"}
    dense = gl.run("mobilenet_v1", patterns=("dense",), devices=("snapdragon-855",), dtype="fp32").rows[-1]
    budget_s = float(dense["latency_high_s"]) * 0.8  # type: ignore[arg-type]
    loose = gl.advise("mobilenet_v1", "snapdragon-855", latency_s=budget_s, **asked)
    sure = gl.advise("mobilenet_v1", "snapdragon-855", latency_s=budget_s, certain=True, **asked)
    assert loose.plan.expected["loss"] == 0.0  # the estimate met it before anything was pruned
    assert float(loose.plan.expected["latency_high_s"]) > budget_s  # type: ignore[arg-type]
    assert float(sure.plan.expected["latency_high_s"]) <= budget_s  # type: ignore[arg-type]
    assert sure.plan.expected["loss"] > 0.0  # type: ignore[operator]
    assert any("upper end of its error band" in text for text in loose.remarks)
    assert any("synthetic" in text for text in sure.remarks)


def test_a_table_of_losses_decides_and_layers_that_it_lacks_stay(tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    lines = [f"conv3,*,{sparsity},{sparsity * 10}" for sparsity in SPARSITIES]
    path.write_text("\n".join(["layer,pattern,sparsity,loss", *lines]) + "\n")
    found = gl.advise("digits", "gs-tcm", latency_s=0.0055 * MS, objective=path, **FEW)
    (entry,) = [one for one in found.plan.layers if one.sparsity is not None]
    assert entry.layer == "conv3"
    assert entry.sparsity is not None
    assert found.plan.expected["loss"] == pytest.approx(entry.sparsity * 10)
    assert any(
        "1 of 2 layers that may be pruned are not in losses.csv and stay as they are: conv2" in text
        for text in found.remarks
    )


def test_what_is_out_of_reach_names_the_least_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    few = [word for name in PATTERNS for word in ("--pattern", name)] + ["--sparsity", "0.95", "--sparsity", "0.98"]
    code, out, errors = simulate(capsys, "advise", "digits", "--device", "gs-tcm", "--latency-ms", "0.001", *few)
    assert (code, out) == (1, "")
    assert "latency 0.001 ms is out of reach on gs-tcm: the fastest plan takes 0.00" in errors
    assert errors.count("\n") == 1
    fastest = errors.partition("the fastest plan takes ")[2].partition(" ms")[0]
    more = f"{float(fastest) * 1.001:.8f}"  # what was said to be reachable is
    code, _, errors = simulate(capsys, "advise", "digits", "--device", "gs-tcm", "--latency-ms", more, *few)
    assert (code, errors) == (0, "")


def test_budgets_that_cannot_be_met_together_say_what_each_takes_within_the_others(search: Search) -> None:
    table = search.tables.layers[0]
    one, small = sorted(table.options, key=lambda option: option.stored_bytes, reverse=True)[:2]
    fast = replace(one, result=replace(one.result, latency_s=small.result.latency_s / 2))  # large and fast
    tables = replace(search.tables, layers=(replace(table, options=(fast, small)),), fixed={})
    budget = Budget(latency_s=fast.result.latency_s, storage_bytes=small.stored_bytes)
    request = PlanRequest(run=search.request.run, budget=budget)
    asked = Search(request=request, device=search.device, tables=tables, losses=search.losses)
    assert asked.best(1.0) is None
    said = asked.out_of_reach([])
    assert "can each be met on gs-tcm, and not together" in said
    for name, least in (("latency", small.result.latency_s), ("storage", float(fast.stored_bytes))):
        assert f"within the others, {name} takes at least {in_units(name, rounded_up(least))}" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--latency-ms", "0"], "--latency-ms is 0, and must be above 0 and below 1e+12"),
        (["--latency-ms", "nan"], "--latency-ms is nan, and must be above 0"),
        (["--memory-mb", "-1"], "--memory-mb is -1, and must be above 0"),
        (["--energy-mj", "1e300"], "--energy-mj is 1e+300, and must be above 0 and below 1e+12"),
        (["--latency-ms", "1", "--device", "a100"], "a budget is of one device"),
        (
            ["--latency-ms", "1", "--pattern", "channel"],
            "pattern channel is no choice of one layer: channels that meet",
        ),
        (["--latency-ms", "1", "--pattern", "dense"], "pattern dense keeps every weight"),
        (["--latency-ms", "1", "--pattern", "unstructured:global"], "its threshold is one of the whole model"),
        (["--latency-ms", "1", "--objective", "l3"], "objective is 'l3', and must be l1, l2 or a .csv"),
        (["--latency-ms", "1", "--objective", "no.csv"], "no.csv: cannot be read"),
        (["--latency-ms", "1", "-o", "plan.json"], "a plan is a .toml"),
        (["--latency-ms", "1", "--tolerance", "0.01"], "--tolerance is 0.01, and is of a break-even"),
        (["--storage-mb", "1", "--certain"], "no latency is given"),
        (["--one-pattern"], "--one-pattern is of a budget, and none is given"),
        (["--sparsity", "0.5"], "--sparsity is of a budget"),
        (["--objective", "l2"], "--objective is l2, and is of a budget"),
    ],
)
def test_what_cannot_be_asked_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    code, out, errors = simulate(capsys, "advise", "digits", "--device", "gs-tcm", *arguments)
    assert (code, out) == (2, "")
    assert said in errors
    assert errors.count("\n") == 1


def test_an_fpga_a_device_without_energies_and_one_without_sparse_kernels_say_so() -> None:
    with pytest.raises(DeviceError, match="zcu102 is an FPGA: one engine"):
        gl.advise("digits", "zcu102", latency_s=1.0)
    with pytest.raises(RequestError, match="a budget of energy on a100: no energy"):
        gl.advise("digits", "a100", energy_pj=1.0)
    with pytest.raises(OutOfReach, match="adreno-640 has no sparse kernel for fp16, so nothing else runs"):
        gl.advise("digits", "adreno-640", latency_s=1e-9)
    with pytest.raises(OutOfReach, match="no plan on gs-tcm has an error band"):
        gl.advise("digits", "gs-tcm", latency_s=1.0, certain=True, **FEW)


def test_default_patterns_are_those_that_a_kernel_of_the_device_runs() -> None:
    def named(device: str, dtype: str) -> list[str]:
        return [pattern.spelling for pattern in default_patterns(device_named(device), dtype)]

    assert named("snapdragon-855", "fp32") == ["unstructured", "block:4x1"]
    assert named("a100", "fp16") == ["unstructured", "n_of_m:2,4", "block:16x16"]
    assert named("adreno-640", "fp16") == []
    assert named("gs-tcm", "fp16") == ["gs:16,1", "block:16x1"]
    assert named("gs-tcm-sve8", "fp16") == ["gs:8,1", "block:8x1"]


def edited(report: PlanReport, folder: Path, old: str, new: str) -> Path:
    text = report.plan.to_toml()
    assert old in text
    path = folder / "edited.toml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_a_plan_of_another_model_or_with_other_masks_prunes_nothing(report: PlanReport, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    pruned = next(entry for entry in report.plan.layers if entry.sparsity is not None)
    for old, new, said in (
        (report.plan.model_hash, "0" * 64, "the plan is of digits with hash 000000000000, and digits has"),
        (f'"{pruned.layer}"', '"convv2"', "no layer with weights is called convv2; did you mean conv2?"),
        (f"sparsity = {pruned.sparsity}", "sparsity = 0.97", "makes another mask here than the plan has: the plan was"),
    ):
        with pytest.raises(RequestError, match=said):
            gl.prune_by_plan("digits", out, edited(report, tmp_path, old, new))
        assert not out.exists()
    plan = report.write(tmp_path / "plan.toml")
    with pytest.raises(RequestError, match="no layer with weights is called"):
        gl.run_plan("mobilenet_v1", plan, devices=["gs-tcm"])


def test_the_command_writes_a_plan_that_prune_and_run_take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, out = str(tmp_path / "plan.toml"), str(tmp_path / "out.onnx")
    few = [word for name in PATTERNS for word in ("--pattern", name)] + ["--sparsity", "0.95"]
    code, text, _ = simulate(
        capsys, "advise", "digits", "--device", "gs-tcm", "--latency-ms", "0.0054", "-o", plan, *few
    )
    assert code == 0
    assert text.startswith("digits on gs-tcm, fp16, within 0.00540 ms: ")
    assert "it is not accuracy" in text
    assert f"wrote {plan}" in text
    code, text, _ = simulate(capsys, "prune", "digits", "--plan", plan, "-o", out)
    assert code == 0
    assert f"wrote {out}" in text
    code, text, errors = simulate(capsys, "run", out, "--plan", plan, "--dtype", "fp32", "--json")
    said = "the plan was made with dtype fp16, and this run has dtype fp32"
    assert (code, errors) == (0, f"simulate: note: {said}\n")
    manifest: dict[str, Any] = json.loads(text)["manifest"]
    assert said in manifest["notes"]
    for arguments, said in (
        (["prune", "digits", "-o", out], "--pattern is missing"),
        (["prune", "digits", "-o", out, "--plan", plan, "--sparsity", "0.5"], "--sparsity was given beside --plan"),
        (["run", "digits", "--plan", plan, "--pattern", "gs:16,1"], "patterns is ('gs:16,1',), and a plan says"),
        (["run", "digits", "--plan", plan, "--device", "zcu102"], "zcu102 is an FPGA"),
        (["run", "digits", "--plan", str(tmp_path / "none.toml")], "none.toml: cannot be read"),
    ):
        code, _, errors = simulate(capsys, *arguments)
        assert code == 2
        assert said in errors
    assert read_plan(Path(plan)).budget["latency_s"] == 0.0054 * MS


def test_json_is_one_object_with_the_plan_and_a_row_for_each_layer(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--latency-ms", "0.0054", "--pattern", "gs:16,1", "--sparsity", "0.95", "--json"]
    code, text, errors = simulate(capsys, "advise", "digits", "--device", "gs-tcm", *arguments)
    assert (code, errors) == (0, "")
    found = json.loads(text)
    assert found["schema"] == 1
    assert [row["layer"] for row in found["rows"]] == ["conv1", "conv2", "conv3", "fc"]
    assert found["manifest"]["plan"]["expected"]["latency_s"] <= 0.0054 * MS
    assert len(found["manifest"]["plan"]["curve"]) == 5


def test_a_pattern_that_a_layer_cannot_take_is_no_option_of_it() -> None:
    with pytest.raises(PatternError):
        parse_pattern("gs:16,5")
    run = RunRequest(model="digits", devices=("gs-tcm",))
    found = option_tables(
        lower(run), Bench(request=run, devices=devices_of(run)), [parse_pattern("bank_balanced:577")], (0.95,),
        SilentProgress(),
    )  # fmt: skip
    for table in found.layers:
        assert bool(table.refused) == all(option.family != "bank_balanced:577" for option in table.options)


def test_a_plan_is_written_although_nobody_reads_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    plan = tmp_path / "plan.toml"
    monkeypatch.setattr("sys.stdout", Closed())
    with pytest.raises(BrokenPipeError):
        plan_within(
            RunRequest(model="digits", devices=("gs-tcm",), patterns=("gs:16,1",), sparsities=(0.95,)),
            {"latency_s": 0.0054 * MS}, "l1", one_pattern=False, certain=False, out=plan, json=True,
        )  # fmt: skip
    assert read_plan(plan).device == "gs-tcm"
