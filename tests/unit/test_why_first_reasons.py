"""Each reason that is seldom the first, met as the first through the command; and how the answers read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import gatherline as gl
from costmodel.device_file import load_target
from gatherline.advice.causes import _less_overhead
from gatherline.advice.field_steps import choice_label
from gatherline.advice.wording import told_apart, verdict_without
from gatherline.cli import main
from gatherline.device_fields import device_fields
from simulator.memory.timings import ALL_TIMINGS
from simulator.spec import DeviceError


def linear_model(path: Path, weight: np.ndarray[Any, Any], positions: int) -> Path:
    """Write an ONNX file of one product: ``positions`` rows of activations with ``weight`` [m, k]."""
    m, k = weight.shape
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="fc")],
        "one",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, positions, k])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, positions, m])],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(weight.T, dtype=np.float32), "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def random_weight(m: int, k: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(7).standard_normal((m, k)).astype(np.float32)


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """Return the row of the only layer that ``simulate advise --why`` prints with ``--json``."""
    with pytest.raises(SystemExit) as ended:
        main(("advise", *arguments, "--why", "--all", "--json"))
    out = capsys.readouterr().out
    assert ended.value.code == 0
    row: dict[str, Any] = json.loads(out)["rows"][0]
    return row


def device(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


QUICK = """base = "gs-tcm"
[dram]
bytes_per_s = 1e13
burst_bytes = 32
latency_cycles = 1
"""


def test_a_slow_weight_buffer_makes_index_bytes_the_first_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = linear_model(tmp_path / "one.onnx", random_weight(64, 2048), 64)
    slow = device(tmp_path / "slow.toml", f"{QUICK}[weight_buffer]\nbytes_per_cycle = 16\n")
    row = asked(capsys, str(model), "--device", slow, "--pattern", "n_of_m:1,2", "--sparsity", "0.5")
    assert row["cause"] == "index_bytes"
    assert row["without_s"] == pytest.approx(row["latency_s"] / 2, rel=0.1)  # 64 bytes a group to 32


def test_one_full_row_on_one_of_four_cores_is_load_imbalance_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weight = random_weight(125, 256)
    weight[0] *= 1000
    model = linear_model(tmp_path / "one.onnx", weight, 2000)
    fast_dense = device(
        tmp_path / "fast.toml",
        'base = "raspberry-pi-3b-eigen"\noverhead_s = 1e-6\nthread_overhead_s = 1e-7\n[matrix_macs_per_cycle]\n'
        "fp32 = 10000\n[pipes]\nloads_per_cycle = 100.0\ninstructions_per_cycle = 200.0\n",
    )
    options = ("--pattern", "unstructured", "--sparsity", "0.992", "--dtype", "fp32", "--threads", "4")
    row = asked(capsys, str(model), "--device", fast_dense, *options)
    assert row["cause"] == "load_imbalance"
    assert row["numbers"]["worst_row"] >= 0.99 * 256
    assert row["numbers"]["mean_row"] == pytest.approx(0.008 * 256, rel=0.01)
    assert row["also_reason"] == "padding"


def test_one_weight_in_a_word_of_sixteen_is_padding_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = linear_model(tmp_path / "one.onnx", random_weight(256, 16), 64)
    quick = device(tmp_path / "quick.toml", QUICK)
    options = ("--pattern", "n_of_m:1,16", "--sparsity", "0.9375", "--order", "csr")
    row = asked(capsys, str(model), "--device", quick, *options)
    assert row["cause"] == "padding"
    assert row["numbers"]["macs_issued"] == 16 * row["numbers"]["macs_effectual"]


def test_activations_behind_a_slow_dram_are_the_first_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = linear_model(tmp_path / "one.onnx", random_weight(16, 64), 4096)
    slow = device(tmp_path / "slow.toml", QUICK.replace("1e13", "1e8"))
    row = asked(capsys, str(model), "--device", slow, "--pattern", "n_of_m:1,2", "--sparsity", "0.5")
    assert row["cause"] == "dram_activations"
    assert row["numbers"]["activation_dram_bytes"] >= (16 + 64) * 4096 * 2


CSR = ("--pattern", "n_of_m:7,16", "--sparsity", "0.5625", "--order", "csr")


def test_a_reason_is_told_with_the_largest_other_one_and_what_packing_does_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = linear_model(tmp_path / "one.onnx", random_weight(64, 512), 64)
    quick = device(tmp_path / "quick.toml", QUICK)
    row = asked(capsys, str(model), "--device", quick, *CSR)
    gap_s = row["latency_s"] - row["dense_latency_s"]
    assert row["cause"] == "below_break_even"
    assert row["also_reason"] == "bank_conflicts"
    assert f"{row['conflict_cycles']} of {row['cycles']} cycles are lost" in row["also_number"]
    assert f"more than the gap to dense ({gap_s * 1e9:.4g} ns)" in row["also_number"]
    packed_s = gl.run(str(model), patterns=["n_of_m:7,16"], sparsities=[0.5625], devices=[quick], prune_all=True).rows[
        0
    ]
    told = f"packed order instead of --order csr: {float(str(packed_s['latency_s'])) * 1e6:.4g} µs, faster than dense"
    assert told in row["also_change"]
    with pytest.raises(SystemExit):
        main(("advise", str(model), "--device", quick, "--why", "--all", *CSR))
    printed = " ".join(capsys.readouterr().out.split())
    assert "also bank conflicts:" in printed


def test_the_title_says_which_pattern_ran_instead_of_the_one_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    common = ("advise", "digits", "--why", "--sparsity", "0.5")
    with pytest.raises(SystemExit):
        main((*common, "--device", "gs-tcm", "--all", "--pattern", "kernel_pattern"))
    assert "kernel_pattern at 50 %, run as unstructured in 1 of 4 layers" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main((*common, "--device", "gs-tcm", "--pattern", "n_of_m:1,4"))
    printed = capsys.readouterr().out.splitlines()[0]
    rows = [row for row in gl.why("digits", ["gs-tcm"], patterns=["n_of_m:1,4"], sparsities=[0.5]).rows if row["kept"]]
    pruned = [row for row in rows if row["verdict"] != "kept"]
    weights = sum(int(str(row["m"])) * int(str(row["k"])) for row in pruned)
    kept = sum(int(str(row["kept"])) for row in pruned)
    assert printed.endswith(f"n_of_m:1,4 at 50 % (density {kept / weights:.3g} reached)")
    rows = gl.why(
        "digits", ["x86-avx512"], patterns=["kernel_pattern"], sparsities=[0.1], dtype="fp32", prune_all=True
    ).rows
    told = [
        str(row["proof"])
        for row in rows
        if row["layer_pattern"] == "unstructured" and row["cause"] == "below_break_even"
    ]
    assert told
    assert all("(kernel_pattern runs as unstructured here)" in proof for proof in told)


def test_the_proof_of_a_missing_kernel_is_what_the_device_says_and_not_what_the_mask_says() -> None:
    rows = gl.why("digits", ["adreno-640"], patterns=["kernel_pattern"], sparsities=[0.5], prune_all=True).rows
    missing = [row for row in rows if row["cause"] == "no_kernel" and row["layer"] != "total"]
    assert missing
    assert all("adreno-640 has no kernel for" in str(row["proof"]) for row in missing)


def test_an_fpga_names_the_engines_that_exist() -> None:
    rows = gl.why(
        "digits", ["zcu102"], patterns=["kernel_pattern"], sparsities=[0.5], prune_all=True, dtype="int8"
    ).rows
    missing = [row for row in rows if row["cause"] == "no_kernel" and row["layer"] != "total"]
    assert missing
    for row in missing:
        assert "an engine for bank_balanced, block, " in str(row["change"])
        assert "exists" in str(row["change"])


def test_a_remedy_that_does_not_help_is_left_out() -> None:
    helps, fails = (1e-6, 2e-6), (3e-6, 2e-6)
    assert "8 times the batch" not in _less_overhead(helps, fails)
    assert "fused" not in _less_overhead(fails, helps)
    assert "still no faster" not in _less_overhead(helps, fails) + _less_overhead(fails, helps)
    assert _less_overhead(fails, fails).startswith("nothing tried")


def test_times_that_differ_never_read_alike() -> None:
    assert verdict_without(151.3001e-6, 151.3004e-6) == "151.3001 µs, faster than dense (151.3004 µs)"
    assert told_apart(1e-3, 2e-3) == ("1 ms", "2 ms")
    assert len(set(told_apart(0.1 + 0.2, 0.3))) == 1  # sums in another order are the same time


def test_a_dram_timing_is_labelled_with_the_rate_of_its_channels() -> None:
    for timing in ALL_TIMINGS:
        assert choice_label("dram.timing", timing.name) == f"{timing.name} ({timing.bytes_per_s / 1e9:.3g} GB/s)"
    assert choice_label("dram.timing", "flat") == "flat"
    assert choice_label("scratchpad.hash", "xor") == "xor"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('base = "a100"\n[levels.dram]\ntotal_bytes_per_s = {}\n', "levels.dram.total_bytes_per_s"),
        ('base = "gs-tcm"\n[dram]\nbytes_per_s = {}\n', "dram.bytes_per_s"),
    ],
)
def test_a_whole_number_may_be_written_as_a_power_of_ten_and_a_fraction_may_not(
    text: str, path: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text.format("2e9"))
    value = device_fields(load_target(file))[path].value
    assert value == 2 * 10**9
    assert type(value) is int
    file.write_text(text.format("2.5"))
    with pytest.raises(DeviceError, match=f"{path} is 2.5, and must be of type int"):
        load_target(file)
