"""The density below which a pattern beats dense: closed forms, the run command's own latencies, files, bad input."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gatherline as gl
from costmodel.estimate import estimate
from costmodel.spec import InstructionMix, MemoryLevel, Pipes, RooflineDevice, RowKernel, Tile, TileKernel, Units
from gatherline.advice.break_even import AdviceInterrupted, BreakEvenReport, BreakEvenRequest, break_even, solve
from gatherline.advice.curves import study_of
from gatherline.advice.probing import Bench, pruned_trace
from gatherline.advice.ratios import DEFAULT_PATTERNS, GRID
from gatherline.cli import main
from gatherline.progress import SilentProgress
from gatherline.request import RunRequest
from patterns.catalog import ALL_PATTERNS, parse_pattern
from traces.layer import MatrixLayer, Network, Tensor, VectorLayer, Window

FP16_BYTES, INDEX_BYTES, POINTER_BYTES = 2, 2, 4
M, K = 64, 512
TOLERANCE = 0.001
HUGE = 10**15


def kernels() -> tuple[TileKernel, RowKernel]:
    dense = TileKernel(
        name="gemm", runtime="toy", encoding="dense", serves=(), kinds=("linear", "conv2d"), dtypes=("fp16",),
        unit="matrix", efficiency=1.0, tiles=(Tile(rows=1, positions=1, register_rows=1, register_positions=1),),
        blocking="cache",
    )  # fmt: skip
    sparse = RowKernel(
        name="spmm", runtime="toy", encoding="csr", serves=("unstructured",), kinds=("linear",), dtypes=("fp16",),
        unit="vector", efficiency=1.0, index_bytes=INDEX_BYTES, pointer_bytes=POINTER_BYTES, row_block=1,
        position_block=1, split="rows",
        mix=InstructionMix(weight_loads=1, index_loads=1, integer_operations=1, epilogue=1),
    )  # fmt: skip
    return dense, sparse


def toy() -> RooflineDevice:
    """A device that waits for nothing but its main memory, and starts an operator in no time."""
    return RooflineDevice(
        name="toy",
        summary="bound by its memory",
        kind="cpu",
        units=(Units(count=1, clock_hz=HUGE),),
        static_threads=True,
        matrix_macs_per_cycle=(("fp16", HUGE),),
        vector_macs_per_cycle=(("fp16", HUGE),),
        levels=(
            MemoryLevel(name="l1", bytes=HUGE, unit_bytes_per_s=HUGE, total_bytes_per_s=HUGE),
            MemoryLevel(name="dram", bytes=None, unit_bytes_per_s=10**9, total_bytes_per_s=10**9),
        ),
        overhead_s=0.0,
        vector_efficiency=1.0,
        pipes=Pipes(vector_bytes=16, loads_per_cycle=HUGE, instructions_per_cycle=HUGE),
        kernels=kernels(),
        sources=dict.fromkeys(
            (
                "units", "matrix_macs_per_cycle", "vector_macs_per_cycle", "levels", "overhead_s", "step_overhead_s",
                "vector_efficiency", "pipes", "kernels",
            ),
            "assumed",
        ),
    )  # fmt: skip


def linear_network(layers: int = 1, m: int = M, k: int = K, tokens: int = 1) -> Network:
    """``layers`` linear layers one after another, weights drawn from a seed."""
    rng = np.random.default_rng(7)
    window = Window(in_hw=(1, tokens), out_hw=(1, tokens))
    made = tuple(
        MatrixLayer(name=f"fc{at}", kind="linear", m=m, k=k, window=window, inputs=(f"x{at}",), outputs=(f"x{at + 1}",))
        for at in range(layers)
    )
    return Network(
        name="lines",
        layers=made,
        tensors={f"x{at}": Tensor(name=f"x{at}", shape=(1, tokens, k if at == 0 else m)) for at in range(layers + 1)},
        inputs=("x0",),
        outputs=(f"x{layers}",),
        weights={layer.name: rng.standard_normal((1, m, k), dtype=np.float32) for layer in made},
    )


def solved(network: Network, device: RooflineDevice, pattern: str, tolerance: float = TOLERANCE) -> BreakEvenReport:
    bench = Bench(request=RunRequest(prune_all=True), devices=[device])
    answers = solve(study_of(network, bench, tolerance), [parse_pattern(pattern)])
    return BreakEvenReport(manifest={}, answers=answers)


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def error_line(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert call(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def total_latency_s(report: Any, pattern: str) -> float:
    return next(row["latency_s"] for row in report.rows if row["layer"] == "total" and row["pattern"] == pattern)


# Closed forms


def test_a_memory_bound_layer_breaks_even_where_values_and_indices_take_the_bytes_of_the_dense_weights() -> None:
    found = solved(linear_network(), toy(), "unstructured").of("fc0", "unstructured", "toy").answer
    pointers = (M + 1) * POINTER_BYTES
    exact = (M * K * FP16_BYTES - pointers) / (M * K * (FP16_BYTES + INDEX_BYTES))
    assert exact == pytest.approx(FP16_BYTES / (FP16_BYTES + INDEX_BYTES), abs=0.01)  # v / (v + i), but for pointers
    assert found.verdict == "below"
    assert found.density is not None
    assert found.slower_density is not None
    assert found.density <= exact <= found.slower_density
    assert found.slower_density - found.density <= TOLERANCE + 1 / (M * K)


def test_just_below_the_break_even_the_model_is_faster_and_just_above_it_is_not() -> None:
    network = linear_network()
    found = solved(network, toy(), "unstructured").of("fc0", "unstructured", "toy")
    (layer,) = network.matrix_layers
    assert found.answer.best is not None
    for target, faster in ((found.answer.best.target, True), (found.answer.best.target + TOLERANCE, False)):
        trace = pruned_trace(layer, network.weights["fc0"], parse_pattern("unstructured"), target)
        result = estimate(trace, toy())
        assert result.kernel == "spmm"
        assert (result.latency_s < found.dense.latency_s) is faster


def test_a_network_of_equal_layers_breaks_even_where_its_layers_do() -> None:
    network = linear_network(layers=3, m=K)
    report = solved(network, toy(), "unstructured")
    whole = report.of("total", "unstructured", "toy").answer.density
    parts = [report.of(f"fc{at}", "unstructured", "toy").answer.density for at in range(3)]
    assert whole is not None
    assert all(part == pytest.approx(whole, abs=TOLERANCE) for part in parts)


def test_a_pattern_that_no_kernel_serves_is_never_faster_and_the_reason_says_so() -> None:
    report = solved(linear_network(), toy(), "gs:16,1")
    for layer in ("fc0", "total"):
        found = report.of(layer, "gs:16,1", "toy").answer
        assert found.verdict == "never"
        assert found.density is None
        assert found.certain is True  # the same kernel takes the same time, whatever its error
        assert "toy has no kernel for gs" in found.reason


def test_a_dense_kernel_is_probed_once_since_it_looks_at_no_mask() -> None:
    report = solved(linear_network(), toy(), "gs:16,1")
    assert [probe.target for probe in report.of("fc0", "gs:16,1", "toy").curve] == [GRID[0]]
    assert len(report.of("total", "gs:16,1", "toy").curve) == len(GRID)


def test_a_mask_that_keeps_everything_does_not_count_as_a_kernel_that_looks_at_no_mask() -> None:
    report = solved(linear_network(m=4, k=4), toy(), "unstructured")
    found = report.of("fc0", "unstructured", "toy")
    whole = [probe for probe in found.curve if probe.kept == probe.weights]
    assert whole  # 0.99 of 16 weights are 16
    assert all(probe.kernel == "gemm" for probe in whole)
    assert {probe.kernel for probe in found.curve if 0 < (probe.kept or 0) < probe.weights} == {"spmm"}


def test_a_mask_without_a_weight_does_not_hide_why_a_kernel_is_missing() -> None:
    found = solved(linear_network(m=16, k=32), toy(), "block:16x16").of("fc0", "block:16x16", "toy")
    assert any(probe.kept == 0 for probe in found.curve)  # 0.01 of 2 blocks
    assert found.answer.verdict == "never"
    assert "toy has no kernel for block" in found.answer.reason


def test_a_layer_that_cannot_take_the_pattern_stays_dense() -> None:
    report = solved(linear_network(), toy(), f"bank_balanced:{K + 1}")
    found = report.of("fc0", f"bank_balanced:{K + 1}", "toy").answer
    assert found.verdict == "never"
    assert f"stays dense: bank_balanced:{K + 1}: a row has {K} columns" in found.reason


# Patterns with few ratios


def test_n_of_m_is_tried_at_every_n_and_breaks_even_at_a_ratio_that_it_has() -> None:
    report = gl.break_even(
        linear_network(m=4096, k=4096, tokens=4096), ["a100"], patterns=["n_of_m:2,4"], prune_all=True
    )
    found = report.of("fc0", "n_of_m:2,4", "a100")
    assert [probe.pattern for probe in found.curve] == [f"n_of_m:{n},4" for n in (1, 2, 3)]
    assert found.answer.verdict == "below"
    assert (found.answer.density, found.answer.slower_density) == (2 / 4, 3 / 4)  # 3:4 has no kernel there
    assert found.row()["layer_pattern"] == "n_of_m:2,4"


def test_kernel_pattern_is_never_denser_than_four_weights_of_nine() -> None:
    report = gl.break_even("digits", ["gs-tcm"], patterns=["kernel_pattern"], tolerance=0.05)
    found = report.of("conv3", "kernel_pattern", "gs-tcm")
    assert found.answer.verdict == "always"
    assert found.answer.best is not None
    assert max(probe.mask_density or 0.0 for probe in found.curve) == found.answer.best.mask_density == 4 / 9
    assert f"stores {4 / 9:.3f} of all places, the model's own zeros among them" in found.answer.reason


def test_the_default_is_an_example_of_every_family_that_has_a_ratio() -> None:
    families = {kind.name for kind in ALL_PATTERNS if not kind.joined}
    assert {text.partition(":")[0] for text in DEFAULT_PATTERNS} == families - {"dense"}


# Real models


def test_the_zeros_of_a_model_stay_zero_so_nothing_denser_is_probed() -> None:
    found = gl.break_even("digits", ["gs-tcm"], patterns=["gs:16,1"], tolerance=0.05).of("conv2", "gs:16,1", "gs-tcm")
    own = np.count_nonzero(gl.load("digits").weights["conv2"]) / gl.load("digits").weights["conv2"].size
    assert max(probe.share for probe in found.curve) == own
    assert found.answer.verdict == "always"
    assert found.answer.density == own


@pytest.mark.parametrize(
    ("pattern", "device"),
    [("block:4x1", "gs-tcm"), ("kernel_pattern", "gs-tcm"), ("channel", "gs-tcm"), ("channel", "adreno-640")],
)
def test_the_networks_latencies_are_those_of_the_run_command(pattern: str, device: str) -> None:
    report = gl.break_even("digits", [device], patterns=[pattern], tolerance=0.05)
    found = report.of("total", pattern, device)
    best = found.answer.best
    assert best is not None
    ran = gl.run("digits", patterns=["dense", pattern], sparsities=[1 - best.target], devices=[device])
    assert total_latency_s(ran, "dense") == pytest.approx(found.dense.latency_s, rel=1e-12)
    assert total_latency_s(ran, pattern) == pytest.approx(best.latency_s, rel=1e-12)
    for row in ran.rows:  # and so are those of the layers that were probed at that sparsity
        if row["pattern"] == pattern and row["layer"] in ("conv2", "conv3"):
            at = [probe for probe in report.of(row["layer"], pattern, device).curve if probe.target == best.target]
            assert [probe.latency_s for probe in at] == [pytest.approx(row["latency_s"], rel=1e-12)]


def test_layers_that_a_run_leaves_alone_are_kept_and_all_prunes_them() -> None:
    some = gl.break_even("digits", ["adreno-640"], patterns=["unstructured"])
    assert [found.layer for found in some.answers if found.answer.verdict == "kept"] == ["conv1", "fc"]
    assert some.of("fc", "unstructured", "adreno-640").answer.reason == "the classifier stays dense"
    everything = gl.break_even("digits", ["adreno-640"], patterns=["unstructured"], prune_all=True)
    assert all(found.answer.verdict == "never" for found in everything.answers)


def test_a_total_counts_the_weights_that_the_run_command_removes_of_the_pruned_layers() -> None:
    report = gl.break_even("digits", ["gs-tcm"], patterns=["block:4x1"], tolerance=0.05)
    best = report.of("total", "block:4x1", "gs-tcm").answer.best
    assert best is not None
    ran = gl.run("digits", patterns=["block:4x1"], sparsities=[1 - best.target], devices=["gs-tcm"])
    sizes = {layer.name: layer.weight_elements for layer in gl.load("digits").matrix_layers}
    kept = sum(row["density"] * sizes[row["layer"]] for row in ran.rows if row["layer"] in ("conv2", "conv3"))
    assert best.mask_density == pytest.approx(kept / (sizes["conv2"] + sizes["conv3"]))


def test_densities_of_all_patterns_count_weights_that_are_not_zero_also_where_blocks_store_zeros() -> None:
    patterns = ["unstructured", "n_of_m:2,4", "block:4x1", "channel"]
    report = gl.break_even("digits", ["gs-tcm"], patterns=patterns, tolerance=0.05)
    weights = gl.load("digits").weights
    own = {name: np.count_nonzero(weights[name]) / weights[name].size for name in ("conv2", "conv3")}
    for pattern in patterns:
        for name, most in own.items():
            assert all(probe.share <= most for probe in report.of(name, pattern, "gs-tcm").curve)
    block = report.of("conv2", "block:4x1", "gs-tcm")
    best = block.answer.best
    assert best is not None
    trace = pruned_trace(gl.load("digits").matrix_layers[1], weights["conv2"], parse_pattern("block:4x1"), best.target)
    assert trace.mask is not None
    assert best.kept == np.count_nonzero(weights["conv2"][trace.mask])
    assert best.masked == np.count_nonzero(trace.mask)
    assert best.masked > best.kept
    assert block.row()["density"] == best.kept / trace.mask.size
    assert block.row()["mask_density"] == best.masked / trace.mask.size


def test_a_model_without_zeros_has_the_same_density_in_weights_and_in_its_masks() -> None:
    found = solved(linear_network(), toy(), "unstructured").of("fc0", "unstructured", "toy")
    assert all(probe.density == probe.mask_density for probe in found.curve)
    assert "zeros" not in found.answer.reason


def test_the_weights_of_a_total_are_counted_though_no_kernel_looks_at_some_masks() -> None:
    network = linear_network(layers=2, m=K)
    conv = MatrixLayer(name="conv", kind="conv2d", m=K, k=K, inputs=("x2",), outputs=("x3",))
    wider = Network(
        name="mixed",
        layers=(*network.layers, conv),
        tensors={**network.tensors, "x3": Tensor(name="x3", shape=(1, 1, K))},
        inputs=network.inputs,
        outputs=("x3",),
        weights={**network.weights, "conv": np.abs(network.weights["fc0"])},
    )
    report = solved(wider, toy(), "unstructured")
    assert report.of("conv", "unstructured", "toy").answer.verdict == "never"
    best = report.of("total", "unstructured", "toy").answer.best
    assert best is not None
    assert best.density == pytest.approx(best.target, abs=1 / K)


def test_one_threshold_over_the_model_is_probed_network_by_network() -> None:
    network = linear_network(layers=2, m=K)
    loud = {**network.weights, "fc1": 10 * network.weights["fc1"]}  # keeps its weights longest
    uneven = Network(
        name="uneven",
        layers=network.layers,
        tensors=network.tensors,
        inputs=network.inputs,
        outputs=network.outputs,
        weights=loud,
    )
    report = solved(uneven, toy(), "unstructured:global", tolerance=0.01)
    quiet, whole = (report.of(name, "unstructured:global", "toy") for name in ("fc0", "total"))
    assert quiet.answer.verdict == "below"
    assert whole.answer.density is not None
    assert whole.answer.density == pytest.approx(0.5, abs=0.02)  # bytes of both layers, whoever keeps them
    at_half = next(probe for probe in quiet.curve if probe.target == 0.5)
    assert at_half.share < 0.5


def test_the_answer_is_the_same_on_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("GATHERLINE_THREADS", threads)
        found.append(gl.break_even("digits", ["gs-tcm", "zcu102"], patterns=["block:4x1", "channel"]).to_json())
    assert found[0] == found[1]


def test_a_vector_layer_weighs_the_same_on_both_sides() -> None:
    network = linear_network()
    softmax = VectorLayer(
        name="soft", kind="softmax", op="Softmax", elements=M, input_elements=M, output_elements=M,
        inputs=("x1",), outputs=("y",),
    )  # fmt: skip
    longer = Network(
        name="longer",
        layers=(*network.layers, softmax),
        tensors={**network.tensors, "y": Tensor(name="y", shape=(1, 1, M))},
        inputs=network.inputs,
        outputs=("y",),
        weights=network.weights,
    )
    alone, beside = solved(network, toy(), "unstructured"), solved(longer, toy(), "unstructured")
    for layer in ("fc0", "total"):
        assert alone.of(layer, "unstructured", "toy").answer.density == pytest.approx(
            beside.of(layer, "unstructured", "toy").answer.density, abs=TOLERANCE
        )
    assert (
        beside.of("total", "unstructured", "toy").dense.latency_s
        >= alone.of("total", "unstructured", "toy").dense.latency_s
    )


# The command


def test_the_command_prints_a_table_and_writes_csv_json_and_a_plot_for_each_device(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    arguments = ("--device", "gs-tcm", "--device", "adreno-640", "--pattern", "block:4x1", "--pattern", "n_of_m:2,4")
    assert call("advise", "digits", *arguments, "--tolerance", "0.05", "--out", str(folder)) == 0
    out = capsys.readouterr().out
    assert "digits on gs-tcm, fp16: where sparse beats dense" in out
    assert "n_of_m:2,4 (any N of 4)" in out
    assert "adreno-640 has no kernel for block: dense kernel, zeros computed" in out
    names = {"break-even.csv", "break-even.json", "break-even-gs-tcm.png", "break-even-adreno-640.png"}
    assert {path.name for path in folder.iterdir()} == names
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in names if name.endswith(".png"))
    with (folder / "break-even.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 2 * 2 * (4 + 1)  # devices x patterns x (layers and total)
    assert {line["verdict"] for line in lines if line["device"] == "adreno-640"} == {"never", "kept"}


def test_json_holds_the_rows_with_the_curves_that_were_probed(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("advise", "digits", "--device", "gs-tcm", "--pattern", "block:4x1", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["schema"] == 1
    assert report["manifest"]["tolerance"] == 0.005
    total = next(row for row in report["rows"] if row["layer"] == "total")
    run = [point for point in total["curve"] if point["mask_density"] <= total["mask_density"]]
    assert len(total["curve"]) > len(GRID)
    assert all(point["faster"] for point in run)
    assert all(point["faster"] for point in total["curve"] if point["density"] < total["density"])
    assert all((point["latency_s"] < total["dense_latency_s"]) is point["faster"] for point in total["curve"])


class InterruptedAt(SilentProgress):
    """Ctrl-C at the first step of a pattern."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern

    def step(self, what: str) -> None:
        if what.startswith(self.pattern):
            raise KeyboardInterrupt


class Counted(SilentProgress):
    """How many steps were announced, and how many were made."""

    def __init__(self) -> None:
        self.total = self.steps = 0

    def start(self, total: int, what: str) -> None:
        self.total = total

    def step(self, what: str) -> None:
        self.steps += 1


def test_progress_makes_as_many_steps_as_it_announces() -> None:
    counted = Counted()
    run = RunRequest(model="digits", devices=("adreno-640",), patterns=("gs:16,1", "channel", "n_of_m:2,4"))
    break_even(BreakEvenRequest(run=run, tolerance=0.05), counted)
    assert counted.steps == counted.total > 0


def test_ctrl_c_leaves_the_patterns_that_are_done() -> None:
    asked = BreakEvenRequest(
        run=RunRequest(model="digits", devices=("adreno-640",), patterns=("gs:16,1", "block:4x1")), tolerance=0.05
    )
    with pytest.raises(AdviceInterrupted) as stopped:
        break_even(asked, InterruptedAt("block"))
    assert {found.pattern for found in stopped.value.report.answers} == {"gs:16,1"}
    assert stopped.value.report.manifest["complete"] is False
    with pytest.raises(KeyboardInterrupt) as nothing:
        break_even(asked, InterruptedAt("gs"))
    assert not isinstance(nothing.value, AdviceInterrupted)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--device", "gs-tcm", "--pattern", "wavy"), "pattern 'wavy' is not known"),
        (("--device", "gs-tcm", "--pattern", "dense"), "pattern dense keeps every weight"),
        (("--device", "gs-tcm", "--pattern", "n_of_m:1,1"), "pattern n_of_m:1,1 keeps every weight"),
        (
            (
                "--device",
                "gs-tmc",
            ),
            "device 'gs-tmc' is not known; did you mean gs-tcm",
        ),
        (("--device", "gs-tcm", "--tolerance", "0"), "tolerance is 0, and must be from 0.0001 to 0.05"),
        (("--device", "gs-tcm", "--tolerance", "0.5"), "tolerance is 0.5, and must be from 0.0001 to 0.05"),
        (("--device", "gs-tcm", "--tolerance", "nan"), "tolerance is nan, and must be from 0.0001 to 0.05"),
        (("--device", "gs-tcm", "--dtype", "fp64"), "dtype is 'fp64'"),
        (("--device", "snapdragon-855", "--threads", "99"), "threads is 99"),
        (("--device", "gs-tcm", "--encoding", "zip"), "zip"),
        ((), "--device"),
    ],
)
def test_bad_input_is_one_line_that_names_it(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert said in error_line(capsys, "advise", "digits", *arguments)


def test_sparsities_and_ratios_are_refused_since_they_are_what_is_searched() -> None:
    with pytest.raises(ValueError, match=r"sparsities is \(0.9,\), and a break-even searches them itself"):
        BreakEvenRequest(run=RunRequest(model="digits", devices=("gs-tcm",), sparsities=(0.9,)))
    with pytest.raises(ValueError, match="level is 1"):
        gl.break_even("digits", ["gs-tcm"], level=1)


def test_a_model_of_which_nothing_is_pruned_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="model lines: none of its 2 layers with weights is pruned by default"):
        gl.break_even(linear_network(layers=2, m=K), ["gs-tcm"], patterns=["unstructured"])
