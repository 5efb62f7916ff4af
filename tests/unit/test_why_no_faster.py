"""Why a layer got no faster: for each cause a toy layer and device on which it is the first that is true."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gatherline as gl
from costmodel.spec import InstructionMix, MemoryLevel, Pipes, RooflineDevice, RowKernel, Tile, TileKernel, Units
from gatherline.advice.cause_names import CAUSE_NAMES
from gatherline.advice.causes import CAUSES_IN_ORDER
from gatherline.advice.counterfactual import evened
from gatherline.advice.device_sensitivity import SensitivityRequest, sensitivity
from gatherline.advice.evidence import Evidence, Finding
from gatherline.advice.interrupted import AnswerInterrupted
from gatherline.advice.probing import pruned_trace
from gatherline.advice.reasons import Reason, reason_of
from gatherline.advice.why import WhyRequest, why
from gatherline.cli import main
from gatherline.pipeline import run_layer
from gatherline.request import RunRequest, Target
from patterns.base import PatternError, Scores
from patterns.catalog import parse_pattern
from patterns.dense import Dense
from simulator.devices.gs_tcm import GS_TCM
from simulator.spec import Dram
from traces.layer import MatrixLayer, Network, Tensor, Window
from traces.trace import LayerTrace

HUGE = 10**15
VALUE_BYTES = 2  # of fp16
LANES = 8  # of 16 bytes in fp16
M, K, POSITIONS = 64, 512, 64


def toy(
    *,
    serves: tuple[str, ...] = ("unstructured", "n_of_m"),
    clock_hz: int = HUGE,
    dense_macs: int = LANES,
    dram_bytes_per_s: int = HUGE,
    chip_bytes: int = HUGE,
    overhead_s: float = 0.0,
    units: int = 1,
    **sparse: Any,
) -> RooflineDevice:
    """A roofline with one dense and one row kernel that waits for nothing but what is said. 8 multiply-adds a cycle."""
    dense = TileKernel(
        name="gemm", runtime="toy", encoding="dense", serves=(), kinds=("linear",), dtypes=("fp16",), unit="matrix",
        efficiency=1.0, tiles=(Tile(rows=1, positions=1, register_rows=1, register_positions=1),), blocking="cache",
    )  # fmt: skip
    mix = InstructionMix(weight_loads=0, index_loads=0, integer_operations=0, epilogue=0)
    rows = RowKernel(
        name="spmm", runtime="toy", encoding="csr", serves=serves, kinds=("linear",), dtypes=("fp16",), unit="vector",
        row_block=1, position_block=LANES, mix=mix, split="rows", **{"efficiency": 1.0, **sparse},
    )  # fmt: skip
    parts = ("units", "matrix_macs_per_cycle", "vector_macs_per_cycle", "levels", "overhead_s", "step_overhead_s")
    return RooflineDevice(
        name="toy",
        summary="waits for what a test says",
        kind="mobile_gpu",
        units=(Units(count=units, clock_hz=clock_hz),),
        matrix_macs_per_cycle=(("fp16", dense_macs),),
        vector_macs_per_cycle=(("fp16", LANES),),
        levels=(
            MemoryLevel(name="l1", bytes=chip_bytes, unit_bytes_per_s=10**17, total_bytes_per_s=10**17),
            MemoryLevel(name="dram", bytes=None, unit_bytes_per_s=dram_bytes_per_s, total_bytes_per_s=dram_bytes_per_s),
        ),
        overhead_s=overhead_s,
        vector_efficiency=1.0,
        pipes=Pipes(vector_bytes=16, loads_per_cycle=10**6, instructions_per_cycle=10**6),
        kernels=(dense, rows),
        sources=dict.fromkeys((*parts, "vector_efficiency", "pipes", "kernels"), "assumed"),
    )


def random_weight(m: int = M, k: int = K) -> Scores:
    return np.random.default_rng(7).standard_normal((1, m, k), dtype=np.float32)


def evidence_of(
    device: Target,
    pattern: str,
    density: float,
    *,
    weight: Scores | None = None,
    positions: int = POSITIONS,
    order: str = "packed",
) -> Evidence:
    """Run one linear layer dense and pruned."""
    weight = random_weight() if weight is None else weight
    window = Window(in_hw=(1, positions), out_hw=(1, positions))
    layer = MatrixLayer(name="fc", kind="linear", m=weight.shape[1], k=weight.shape[2], window=window)
    request = RunRequest(order=order)
    dense_trace = LayerTrace(layer=layer, pattern=Dense(), mask=np.ones(weight.shape, dtype=np.bool_))
    trace = pruned_trace(layer, weight, parse_pattern(pattern), density)
    return Evidence(
        request=request,
        trace=trace,
        dense_trace=dense_trace,
        sparse=run_layer(request, trace, device, {}),
        dense=run_layer(request, dense_trace, device, {}),
        device=device,
        dense_device=device,
        weight=weight,
        tolerance=0.005,
    )


def found_in(reason: Reason) -> Finding:
    assert reason.finding is not None
    return reason.finding


def first_holds(evidence: Evidence) -> Finding:
    """Return the reason, after checking that no cause before it holds and that the layer is not faster."""
    assert evidence.sparse.latency_s >= evidence.dense.latency_s
    finding = found_in(reason_of(evidence))
    place = list(CAUSE_NAMES).index(finding.cause)
    assert [cause(evidence) for cause in CAUSES_IN_ORDER[:place]] == [None] * place
    return finding


# Rooflines, one cause each


def test_a_pattern_without_a_kernel_is_told_so_and_which_patterns_have_one() -> None:
    finding = first_holds(evidence_of(toy(), "gs:16,1", 0.25))
    assert finding.cause == "no_kernel"
    assert finding.proof == "toy has no kernel for gs: dense kernel, zeros computed"
    assert "patterns with a kernel for this layer here: unstructured, n_of_m:2,4" in finding.change
    assert finding.suffices is None


def test_a_memory_bound_layer_is_denser_than_the_break_even_of_values_beside_indices() -> None:
    finding = first_holds(evidence_of(toy(dram_bytes_per_s=10**9), "unstructured", 0.7))
    assert finding.cause == "below_break_even"
    exact = (M * K * VALUE_BYTES - (M + 1) * 4) / (M * K * (VALUE_BYTES + 2))
    low, high = finding.numbers["break_even_density"], finding.numbers["slower_density"]
    assert isinstance(low, float)
    assert isinstance(high, float)
    assert low <= exact <= high
    assert high - low <= 0.005 + 1 / (M * K)
    assert f"density 0.7 is above the break-even of unstructured here, {low:.3g}" in finding.proof
    assert finding.suffices is True


def one_layer() -> Network:
    window = Window(in_hw=(1, POSITIONS), out_hw=(1, POSITIONS))
    layer = MatrixLayer(name="fc", kind="linear", m=M, k=K, window=window, inputs=("x",), outputs=("y",))
    return Network(
        name="one",
        layers=(layer,),
        tensors={name: Tensor(name=name, shape=(1, POSITIONS, width)) for name, width in (("x", K), ("y", M))},
        inputs=("x",),
        outputs=("y",),
        weights={"fc": random_weight()},
    )


def test_the_break_even_of_a_reason_is_that_of_the_break_even_search() -> None:
    options: dict[str, Any] = {"patterns": ["unstructured"], "prune_all": True}
    for device in ("x86-avx512", "snapdragon-855"):
        answer = gl.break_even(one_layer(), [device], dtype="fp32", **options).of("fc", "unstructured", device).answer
        row = gl.why(one_layer(), [device], sparsities=[0.1], dtype="fp32", **options).rows[0]
        assert row["cause"] == "below_break_even"
        numbers: Any = row["numbers"]
        assert numbers["break_even_density"] == answer.density


def test_indices_of_eight_bytes_dominate_values_of_two() -> None:
    device = toy(dram_bytes_per_s=10**9, index_bytes=8)
    finding = first_holds(evidence_of(device, "n_of_m:2,4", 0.5))
    assert finding.cause == "index_bytes"
    kept = M * K // 2
    assert finding.numbers["index_bytes"] == kept * 8 + (M + 1) * 4
    assert finding.numbers["weight_bytes"] == kept * VALUE_BYTES
    dense_s = evidence_of(device, "n_of_m:2,4", 0.5).dense.latency_s
    assert finding.without_s == pytest.approx(dense_s / 2)  # half the values and nothing else
    assert finding.numbers["narrow_latency_s"] == pytest.approx(dense_s * (VALUE_BYTES + 1) / VALUE_BYTES / 2, rel=0.01)
    assert finding.suffices is True
    assert "8-bit indices (as distances)" in finding.change


def uneven_weight(columns: int = 4096) -> Scores:
    """Row 0 has the largest weights by far."""
    weight = random_weight(k=columns)
    weight[0, 0] *= 1000
    return weight


def test_a_unit_that_has_the_only_full_row_makes_the_others_wait() -> None:
    kept = 0.008  # below the sparsest density of a break-even search, and all in row 0
    finding = first_holds(
        evidence_of(toy(clock_hz=10**9, units=2, dense_macs=1000), "unstructured", kept, weight=uneven_weight())
    )
    assert finding.cause == "load_imbalance"
    assert finding.numbers["worst_row"] == round(kept * M * 4096)
    assert finding.numbers["mean_row"] == pytest.approx(kept * 4096, rel=1e-3)
    assert finding.without_s == pytest.approx(finding.lost_s, rel=0.02)  # two units, one had all of it
    assert "the worst row keeps 2097 weights, 64.00 times the mean" in finding.proof


def test_an_evened_mask_keeps_as_many_weights_and_rows_differ_by_one_at_most() -> None:
    trace = evidence_of(toy(), "unstructured", 0.1, weight=uneven_weight(128)).trace
    even = evened(trace)
    assert even.mask is not None
    assert trace.mask is not None
    rows = np.count_nonzero(even.mask, axis=2)
    assert rows.sum() == trace.kept
    assert rows.max() - rows.min() <= 1


def test_an_evened_mask_of_blocks_has_whole_blocks() -> None:
    trace = evidence_of(toy(), "block:4x4", 0.1, weight=uneven_weight(128)).trace
    even = evened(trace)
    assert even.mask is not None
    assert parse_pattern("block:4x4").check(even.mask) is None
    assert even.kept == trace.kept


def test_one_position_in_a_vector_of_eight_is_padding() -> None:
    device = toy(clock_hz=10**9)
    finding = first_holds(evidence_of(device, "n_of_m:1,4", 0.25, positions=1))
    assert finding.cause == "padding"
    assert finding.numbers["macs_issued"] == LANES * M * K // 4
    assert finding.numbers["macs_effectual"] == M * K // 4
    dense_s = M * K / LANES / 10**9
    assert finding.without_s == pytest.approx(dense_s / 4)
    assert finding.suffices is True


def test_a_launch_that_takes_longer_than_the_work_is_the_reason_and_a_batch_is_run_to_see() -> None:
    device = toy(clock_hz=10**9, overhead_s=1e-3, efficiency=0.2)
    evidence = evidence_of(device, "n_of_m:1,4", 0.25)
    finding = first_holds(evidence)
    assert finding.cause == "overhead"
    assert finding.numbers["overhead_s"] == finding.numbers["dense_overhead_s"] == 1e-3
    assert finding.without_s == pytest.approx(evidence.sparse.latency_s - 1e-3)
    dense_work_s = M * K * POSITIONS / LANES / 10**9
    assert finding.numbers["batch_dense_latency_s"] == pytest.approx(1e-3 + 8 * dense_work_s)
    assert finding.suffices is False  # the work alone is slower too


def test_activations_that_leave_the_chip_hide_what_the_weights_save() -> None:
    device = toy(clock_hz=10**12, dram_bytes_per_s=10**9, chip_bytes=10**4, memory_share=0.8)
    evidence = evidence_of(device, "n_of_m:1,4", 0.25, positions=10**5, weight=random_weight(16, 16))
    finding = first_holds(evidence)
    assert finding.cause == "dram_activations"
    assert finding.numbers["activation_dram_bytes"] == (16 + 16) * 10**5 * VALUE_BYTES
    assert finding.without_s is not None
    assert finding.without_s < finding.dense_without_s  # type: ignore[operator]
    assert finding.suffices is True


def test_a_kernel_that_is_just_slower_gets_none_of_the_reasons_and_its_numbers() -> None:
    evidence = evidence_of(toy(clock_hz=10**9, efficiency=0.1), "n_of_m:1,4", 0.25)
    reason = reason_of(evidence)
    assert reason.finding is None
    assert reason.note.startswith("none of these: spmm is bound by compute")
    assert "a kept weight takes 10 times as long as one of the dense layer" in reason.note


# Gather machines

QUICK_DRAM = Dram(bytes_per_s=10**14, burst_bytes=32, latency_cycles=1)
MACHINE = replace(GS_TCM, name="machine", dram=QUICK_DRAM, sources={})


def one_bank_weight() -> Scores:
    """The largest weights lie in columns that are multiples of 16, all in bank 0."""
    weight = random_weight(4, 512)
    weight[:, :, ::16] *= 1000
    return weight


def test_columns_of_one_bank_conflict_in_column_order() -> None:
    evidence = evidence_of(MACHINE, "n_of_m:1,16", 1 / 16, weight=one_bank_weight(), order="csr", positions=1024)
    finding = first_holds(evidence)
    assert finding.cause == "bank_conflicts"
    groups = 4 * 512 // 16 // 16 * (1024 // 16)
    assert finding.numbers["conflict_cycles"] == groups * (16 - 1)
    assert finding.without_s == pytest.approx(evidence.sparse.latency_s / 16, rel=0.1)
    assert finding.suffices is True


def test_a_slow_weight_buffer_brings_indices_as_slowly_as_values() -> None:
    slow = replace(MACHINE, weight_buffer=replace(MACHINE.weight_buffer, bytes_per_cycle=16))
    evidence = evidence_of(slow, "n_of_m:1,2", 1 / 2, weight=random_weight(64, 2048))
    finding = first_holds(evidence)
    assert finding.cause == "index_bytes"
    assert finding.numbers["index_bytes"] >= finding.numbers["weight_bytes"]  # type: ignore[operator]
    assert finding.without_s == pytest.approx(evidence.sparse.latency_s / 2, rel=0.1)  # 64 bytes a group to 32
    assert finding.suffices is True


def test_one_weight_in_a_group_of_sixteen_lanes_is_padding() -> None:
    evidence = evidence_of(MACHINE, "n_of_m:1,16", 1 / 16, weight=random_weight(256, 16), order="csr")
    finding = first_holds(evidence)
    assert finding.cause == "padding"
    assert finding.numbers["macs_effectual"] == 256 * POSITIONS
    assert finding.numbers["macs_issued"] == 256 * POSITIONS * 16
    assert finding.lost_s is not None
    assert finding.lost_s >= 0.8 * evidence.sparse.latency_s


def test_a_slow_dram_that_brings_activations_is_the_reason_on_a_gather_machine_too() -> None:
    slow = replace(MACHINE, dram=Dram(bytes_per_s=10**8, burst_bytes=32, latency_cycles=1))
    evidence = evidence_of(slow, "n_of_m:1,2", 1 / 2, weight=random_weight(16, 64), positions=4096)
    finding = first_holds(evidence)
    assert finding.cause == "dram_activations"
    assert finding.numbers["activation_dram_bytes"] >= (16 + 64) * 4096 * VALUE_BYTES  # type: ignore[operator]
    assert finding.lost_s is not None
    assert finding.lost_s >= 0.9 * evidence.sparse.latency_s


def test_a_gather_machine_starts_no_operators() -> None:
    evidence = evidence_of(MACHINE, "unstructured", 0.5)
    assert [cause(evidence) for cause in CAUSES_IN_ORDER if cause.__name__ == "overhead"] == [None]


# Reports


def test_rows_tell_the_layers_that_gain_and_those_that_were_not_pruned_apart() -> None:
    rows = gl.why("digits", ["gs-tcm", "snapdragon-855"], patterns=["unstructured"], sparsities=[0.5]).rows
    verdicts = {(row["device"], row["layer"]): row["verdict"] for row in rows}
    assert verdicts["gs-tcm", "conv1"] == verdicts["snapdragon-855", "fc"] == "kept"
    assert verdicts["gs-tcm", "conv2"] == "faster"
    assert verdicts["snapdragon-855", "conv2"] == "not faster"
    total = next(row for row in rows if row["layer"] == "total" and row["device"] == "snapdragon-855")
    assert total["cause"] == "no_kernel"
    reasons: Any = total["numbers"]
    slow = [row for row in rows if row["cause"] == "no_kernel" and row["layer"] != "total"]
    assert reasons["reasons"]["no_kernel"]["layers"] == len(slow) == reasons["not_faster"]
    assert reasons["reasons"]["no_kernel"]["latency_s"] == pytest.approx(
        sum(float(str(row["latency_s"])) for row in slow)
    )


@pytest.mark.parametrize("device", ["gs-tcm", "gs-tcm-sve8", "snapdragon-855", "a100", "zcu102", "adreno-640"])
def test_times_are_those_of_the_run_command(device: str) -> None:
    rows = gl.why("digits", [device], patterns=["block:4x1"], sparsities=[0.6]).rows
    ran = gl.run("digits", patterns=["dense", "block:4x1"], sparsities=[0.6], devices=[device]).rows
    times = {(row["pattern"], row["layer"]): row["latency_s"] for row in ran}
    for row in rows:
        assert row["dense_latency_s"] == pytest.approx(times["dense", row["layer"]], rel=1e-12)
        assert row["latency_s"] == pytest.approx(times["block:4x1", row["layer"]], rel=1e-12)


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_command_prints_a_line_for_layers_that_read_alike_and_writes_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "why"
    command = [
        "advise",
        "digits",
        "--device",
        "snapdragon-855",
        "--why",
        "--pattern",
        "unstructured",
        "--sparsity",
        "0.5",
    ]
    assert call(*command, "--out", str(out)) == 0
    printed = capsys.readouterr().out
    assert "Of 2 pruned layers 0 are faster, 2 are not." in printed
    assert "conv2, conv3" in printed
    assert CAUSE_NAMES["no_kernel"] in printed
    with (out / "why.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["layer"] for row in table] == ["conv1", "conv2", "conv3", "fc", "total"]
    assert json.loads((out / "why.json").read_text())["rows"][1]["cause"] == "no_kernel"
    assert sorted(path.name for path in out.iterdir()) == ["why.csv", "why.json"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--why", "--pattern", "dense"], "a dense layer cannot have got faster"),
        (["--why", "--sensitivity"], "questions of their own: ask one after the other"),
        (["--sparsity", "0.5"], "--sparsity is of a budget, --why and --sensitivity"),
        (["--why", "--tolerance", "0.5", "--sparsity", "0.5"], "tolerance is 0.5"),
        (["--why", "--pattern", "unstructured", "--sparsity", "1.5"], "--sparsity is 1.5"),
        (["--sensitivity", "--device", "a100"], "one device at a time"),
        (["--sensitivity", "--pattern", "unstructured", "--sparsity", "0.5", "--sparsity", "0.6"], "of one point"),
    ],
)
def test_a_wrong_question_is_one_line_and_status_2(
    arguments: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("advise", "digits", "--device", "gs-tcm", *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err


def test_every_cause_has_a_name_and_the_order_is_that_of_the_names() -> None:
    functions = {"overhead": "overhead", "dram_activations": "activation_traffic"}
    assert [functions.get(name, name) for name in CAUSE_NAMES if name != "none"] == [
        cause.__name__ for cause in CAUSES_IN_ORDER
    ]
    assert len(CAUSES_IN_ORDER) == 8


@dataclass(slots=True)
class Stops:
    """A progress that is interrupted at one step, as by Ctrl-C."""

    left: int

    def start(self, total: int, what: str) -> None:
        """Accept the number of steps."""

    def step(self, what: str) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt

    def stop(self) -> None:
        """Accept the end."""


def test_ctrl_c_leaves_the_patterns_and_the_fields_that_are_done() -> None:
    run = RunRequest(
        model="digits", devices=("adreno-640",), patterns=("unstructured", "gs:16,1"), sparsities=(0.5,), prune_all=True
    )
    with pytest.raises(AnswerInterrupted) as stopped:
        why(WhyRequest(run=run), Stops(left=6))  # in the second pattern
    assert stopped.value.report.manifest["complete"] is False
    assert {row["pattern"] for row in stopped.value.report.rows} == {"unstructured"}
    one = RunRequest(model="digits", devices=("adreno-640",))
    with pytest.raises(AnswerInterrupted) as stopped:
        sensitivity(SensitivityRequest(run=one), Stops(left=3))
    assert stopped.value.report.manifest["complete"] is False
    assert len(stopped.value.report.rows) == 3


def test_a_family_that_a_layer_cannot_take_is_left_out_where_nobody_asked_for_it() -> None:
    report = gl.why("digits", ["adreno-640"], sparsities=[0.5], prune_all=True)
    assert "a row has 9 columns" in report.manifest["left_out"]["bank_balanced:16"]  # type: ignore[index]
    assert "bank_balanced:16" not in {row["pattern"] for row in report.rows}
    with pytest.raises(PatternError):
        gl.why("digits", ["adreno-640"], patterns=["bank_balanced:16"], sparsities=[0.5], prune_all=True)
