"""Rows of the real command obey DESIGN section 7: columns, types, units, sums, identities, and every option moves them.

Run on a small network that the tests export with both ONNX exporters and as ``.pt2``, on the embedded model with its
own zeros, and on built-in networks.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatherline import cli

pytestmark = pytest.mark.filterwarnings("ignore")


def names(text: str) -> list[str]:
    return text.split()


DIGITS = Path(str(files("gatherline") / "models" / "digits.onnx"))
SIMULATE = (sys.executable, "-c", "from gatherline.cli import main; main()")
DONE_WHEN = names(
    "--pattern gs:16,1 --pattern unstructured --pattern block:1x16 --sparsity 0.8 --sparsity 0.9 "
    "--device gs-tcm --device snapdragon-855 --json"
)

# the columns as DESIGN section 7 spells them, with the types that JSON gives them
NUMBER = (int, float)
TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(names("model layer kind pattern device device_kind model_kind dtype validated"), (str,)),
    **dict.fromkeys(names("bound mapping encoding kernel reason"), (str, type(None))),
    **dict.fromkeys(names("m k p groups peak_memory_bytes"), (int, type(None))),
    **dict.fromkeys(names("cycles compute_cycles gather_cycles conflict_cycles stall_cycles"), (int, type(None))),
    **dict.fromkeys(names("macs_dense macs_effectual macs_issued batch threads"), (int,)),
    **dict.fromkeys(names("weight_bytes index_bytes activation_bytes dram_bytes scratchpad_bytes"), (int,)),
    **dict.fromkeys(names("sparsity_target density energy_pj latency_low_s latency_high_s"), (*NUMBER, type(None))),
    **dict.fromkeys(names("latency_s utilization"), NUMBER),
    **dict.fromkeys(names("synthetic extrapolated"), (bool,)),
}  # fmt: skip
SECTION_7 = names("""model layer kind m k p groups pattern sparsity_target density device device_kind model_kind
latency_s cycles compute_cycles gather_cycles conflict_cycles stall_cycles macs_dense macs_effectual macs_issued
weight_bytes index_bytes activation_bytes dram_bytes scratchpad_bytes energy_pj bound utilization mapping dtype
batch threads encoding kernel latency_low_s latency_high_s validated synthetic extrapolated reason peak_memory_bytes""")

Row = dict[str, Any]
Simulate = Callable[..., dict[str, Any]]


@pytest.fixture
def simulate(capsys: pytest.CaptureFixture[str]) -> Simulate:
    """Run the command, which must succeed, and return the JSON that it prints."""

    def call(*arguments: str | Path) -> dict[str, Any]:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert ended.value.code == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    return call


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A user's own network, exported three ways: strided, residual, depthwise, pointwise and linear layers."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 64, 3, stride=2, padding=1)
            self.bn = nn.BatchNorm2d(64)
            self.mid = nn.Conv2d(64, 64, 3, padding=1)
            self.dw = nn.Conv2d(64, 64, 3, padding=1, groups=64)
            self.wide = nn.Conv2d(64, 128, 1)
            self.fc = nn.Linear(128, 10)

        def forward(self, x: Any) -> Any:
            x = torch.relu(self.bn(self.stem(x)))
            x = x + torch.relu(self.mid(x))
            return self.fc(torch.relu(self.wide(self.dw(x))).mean((2, 3)))

    torch.manual_seed(0)
    net, example = Net().eval(), (torch.zeros(1, 3, 16, 16),)
    folder = tmp_path_factory.mktemp("exports")
    paths = {"dynamo": folder / "theirs.onnx", "torchscript": folder / "script.onnx", "pt2": folder / "theirs.pt2"}
    torch.onnx.export(net, example, paths["dynamo"], dynamo=True, external_data=False, verbose=False)
    torch.onnx.export(net, example, str(paths["torchscript"]), dynamo=False)
    torch.export.save(torch.export.export(net, example), paths["pt2"])
    return paths


PIXELS = 8 * 8  # after the stem's stride of 2
MACS = {
    "stem": 64 * (3 * 3 * 3) * PIXELS,
    "mid": 64 * (3 * 3 * 64) * PIXELS,
    "dw": 64 * (3 * 3) * PIXELS,
    "wide": 128 * 64 * PIXELS,
    "fc": 10 * 128,
}


@pytest.fixture(scope="module")
def lstm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recurrence whose input has time first: 5 steps of 3 samples."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Linear(16, 16)
            self.lstm = nn.LSTM(16, 32)
            self.fc = nn.Linear(32, 4)

        def forward(self, x: Any) -> Any:
            y, _ = self.lstm(self.embed(x))
            return self.fc(y[-1])

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("lstm") / "lstm.onnx"
    torch.onnx.export(Net().eval(), (torch.zeros(5, 3, 16),), str(path), dynamo=False)
    return path


def layers(report: dict[str, Any], **wanted: object) -> list[Row]:
    """Return the rows of layers whose columns have these values."""
    return [row for row in report["rows"] if row["layer"] != "total" and wanted.items() <= row.items()]


def totals(report: dict[str, Any]) -> list[Row]:
    return [row for row in report["rows"] if row["layer"] == "total"]


def level(row: Row) -> tuple[object, ...]:
    return row["model"], row["pattern"], row["sparsity_target"], row["device"]


def check(report: dict[str, Any]) -> None:
    """Assert all that holds for the rows of any run."""
    assert report["schema"] == 1
    assert {"version", "seed", "model_hash", "devices", "packages"} <= set(report["manifest"])
    assert set(report["manifest"]["devices"]) == {row["device"] for row in report["rows"]}
    assert all(len(entry["hash"]) == 64 for entry in report["manifest"]["devices"].values())
    assert len({(*level(row), row["layer"]) for row in report["rows"]}) == len(report["rows"])
    for key, rows in itertools.groupby(report["rows"], level):
        own = list(rows)
        assert [row["layer"] for row in own].count("total") == 1, key
        assert own[-1]["layer"] == "total"
        for row in own:
            _check_row(row)
        _check_total(own[:-1], own[-1])


def _check_row(row: Row) -> None:
    assert list(row)[: len(SECTION_7)] == SECTION_7
    for column in SECTION_7:
        value = row[column]
        assert type(value) in TYPES[column], (column, value)
        if type(value) in NUMBER:
            assert math.isfinite(value), column
            assert value >= 0, column
    cycle = row["model_kind"] == "cycle"
    for column in ("cycles", "compute_cycles", "gather_cycles", "conflict_cycles", "stall_cycles"):
        assert (row[column] is not None) == cycle, column
    if cycle:
        assert row["latency_s"] == pytest.approx(row["cycles"] / 1e9, rel=1e-12)  # gs-tcm runs at 1 GHz
        assert max(row["compute_cycles"], row["gather_cycles"]) <= row["cycles"]
        assert row["conflict_cycles"] <= row["compute_cycles"]
        assert row["stall_cycles"] <= row["cycles"]
        lost = sum(value for name, value in row.items() if name.startswith("lost_"))
        assert lost + row["effectual_cycles"] == pytest.approx(row["cycles"], rel=1e-9)
    assert row["macs_effectual"] <= row["macs_issued"]
    assert row["macs_effectual"] <= row["macs_dense"]
    assert 0 <= row["utilization"] <= 1
    if row["density"] is not None:
        assert 0 <= row["density"] <= 1
    # seconds and bytes: no device is quicker than its peaks
    assert row["latency_s"] * row["peak_macs_per_s"] >= row["macs_effectual"] * (1 - 1e-9)
    assert row["latency_s"] * row["dram_bytes_per_s"] >= row["dram_bytes"] * (1 - 1e-9)
    if row["latency_s"] and row["macs_effectual"]:
        share = row["macs_effectual"] / (row["peak_macs_per_s"] * row["latency_s"])
        assert row["utilization"] == pytest.approx(share, rel=1e-6)
    if row["validated"] == "not validated":
        assert row["latency_low_s"] is None
        assert row["latency_high_s"] is None
    assert (row["peak_memory_bytes"] is None) == (row["layer"] != "total")
    if row["m"] is not None and row["layer"] != "total":
        own = row["groups"] * row["m"] * row["k"] * row["p"]
        assert row["macs_dense"] == own or (row["pattern"] == "channel" and row["macs_dense"] > own)
        if row["density"] is not None:
            assert row["macs_effectual"] == pytest.approx(row["density"] * row["macs_dense"], rel=1e-12)


def _check_total(own: list[Row], total: Row) -> None:
    summed = names("macs_dense macs_effectual macs_issued weight_bytes index_bytes activation_bytes dram_bytes")
    if total["model_kind"] == "cycle":
        summed += ["cycles", "compute_cycles", "gather_cycles", "conflict_cycles", "stall_cycles"]
    for column in summed:
        assert total[column] == sum(row[column] for row in own), column
    assert total["latency_s"] == pytest.approx(sum(row["latency_s"] for row in own), rel=1e-12)
    assert total["scratchpad_bytes"] == max(row["scratchpad_bytes"] for row in own)
    memory = ("weight_bytes", "index_bytes", "activation_peak_bytes", "scratchpad_bytes")
    assert total["peak_memory_bytes"] == sum(total[column] for column in memory)
    largest = max(row["activation_bytes"] for row in own)  # inputs and outputs of a layer are alive together
    assert largest // 2 <= total["activation_peak_bytes"] <= total["activation_bytes"]
    if total["pattern"] == "channel":  # whose layers have shrunk
        return
    weighted = [row for row in own if row["density"] is not None]
    sizes = [row["groups"] * row["m"] * row["k"] for row in weighted]
    kept = sum(row["density"] * size for row, size in zip(weighted, sizes, strict=True))
    assert total["density"] == pytest.approx(kept / sum(sizes), rel=1e-12)


# The command that the spine is done with


def test_the_main_job_on_a_users_export_gives_rows_that_obey_the_contract(
    simulate: Simulate, exports: dict[str, Path]
) -> None:
    report = simulate("run", exports["dynamo"], *DONE_WHEN)
    check(report)
    asked = itertools.product(("gs:16,1", "unstructured", "block:1x16"), (0.8, 0.9), ("gs-tcm", "snapdragon-855"))
    assert {level(row)[1:] for row in totals(report)} == set(asked)
    for row in totals(report):
        assert row["macs_dense"] == sum(MACS.values())
        assert row["synthetic"] is False
    for pattern, sparsity, device in itertools.product(("gs:16,1", "unstructured"), (0.8, 0.9), ("gs-tcm",)):
        found = {row["layer"]: row for row in layers(report, pattern=pattern, sparsity_target=sparsity, device=device)}
        assert {name: found[name]["macs_dense"] for name in MACS} == MACS
        for name in ("mid", "wide"):
            size = found[name]["m"] * found[name]["k"]
            assert found[name]["density"] == round((1 - sparsity) * size) / size
        for name in ("stem", "dw", "fc"):
            assert found[name]["density"] == 1.0
            assert "dense" in found[name]["reason"]
    for row in layers(report, pattern="block:1x16", layer="wide"):
        blocks = row["density"] * row["m"] * row["k"] / 16
        assert blocks == round(blocks)
    # sparser is smaller, and on the machine that reads masks also quicker
    by_level = {level(row)[1:]: row for row in totals(report)}
    for pattern in ("gs:16,1", "unstructured", "block:1x16"):
        dense_side, sparse_side = by_level[pattern, 0.8, "gs-tcm"], by_level[pattern, 0.9, "gs-tcm"]
        assert sparse_side["cycles"] < dense_side["cycles"]
        assert sparse_side["peak_memory_bytes"] < dense_side["peak_memory_bytes"]


def test_both_exporters_and_pt2_agree_in_every_column_of_every_row(
    simulate: Simulate, exports: dict[str, Path]
) -> None:
    reports = [simulate("run", path, *DONE_WHEN) for path in exports.values()]
    named = ("model", "layer", "reason")  # fused layers are named in a reason
    plain = [[{k: v for k, v in row.items() if k not in named} for row in report["rows"]] for report in reports]
    assert plain[0] == plain[1]
    assert plain[0] == plain[2]
    for first, *others in zip(*(layers(report) for report in reports), strict=True):
        if first["m"] is not None:
            assert {other["layer"] for other in others} == {first["layer"]}


def test_density_is_that_of_the_masks_in_the_file(simulate: Simulate) -> None:
    import onnx

    model = onnx.load(DIGITS)
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    report = simulate("run", "digits", "--json")
    check(report)
    for name in ("conv1", "conv2", "conv3", "fc"):
        weight = weights[f"{name}.weight"]
        for row in layers(report, layer=name):
            assert row["density"] == np.count_nonzero(weight) / weight.size
            assert (row["m"], row["k"]) == (weight.shape[0], weight[0].size)
    kinds = {row["device_kind"] for row in report["rows"]}
    assert len(kinds) == len({row["device"] for row in report["rows"]})  # one of each kind


def test_a_recurrence_obeys_the_contract(simulate: Simulate, lstm: Path) -> None:
    report = simulate("run", lstm, "--pattern", "gs:16,4", "--pattern", "dense", "--sparsity", "0.75", "--json")
    check(report)
    steps, samples, hidden = 5, 3, 32
    for row in layers(report, kind="lstm_hidden"):
        assert row["macs_dense"] == steps * samples * (4 * hidden) * hidden
        assert row["density"] in (0.25, 1.0)
    assert {row["batch"] for row in report["rows"]} == {samples}


def test_channel_pruning_shrinks_layers_and_is_counted_alike_on_every_device(simulate: Simulate) -> None:
    report = simulate("run", "digits", "--pattern", "channel", "--sparsity", "0.75", "--json")
    check(report)
    for name, kept, of in (("conv1", 1, 1), ("conv2", 1, 4), ("conv3", 1, 4 * 4), ("fc", 1, 4)):
        for row in layers(report, layer=name):  # a quarter of the channels, then of its consumer's inputs too
            assert row["density"] == kept / of
            assert row["groups"] * row["m"] * row["k"] * row["p"] == row["macs_effectual"]
            assert row["macs_dense"] * kept == row["macs_effectual"] * of


def test_a_built_in_network_is_marked_synthetic_in_every_row(simulate: Simulate) -> None:
    report = simulate("run", "deit_tiny", "--device", "a100", "--pattern", "n_of_m:2,4", "--sparsity", "0.5", "--json")
    check(report)
    assert all(row["synthetic"] is True for row in report["rows"])
    assert report["manifest"]["synthetic"] is True
    assert totals(report)[0]["macs_dense"] == pytest.approx(1.254e9, rel=5e-4)


def test_a_folder_of_results_does_not_hide_the_built_in_network_of_its_name(
    simulate: Simulate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mobilenet_v1", "digits"):
        (tmp_path / name).mkdir()
        assert simulate("inspect", name, "--json")["manifest"]["model"] == name


def test_macs_of_run_and_inspect_are_the_published_ones(simulate: Simulate) -> None:
    shown = simulate("inspect", "resnet50", "--json")
    ran = simulate("run", "resnet50", "--device", "snapdragon-855", "--json")
    check(ran)
    macs = sum(row["macs"] for row in shown["rows"])
    assert macs == totals(ran)[0]["macs_dense"]
    assert macs == pytest.approx(4.089e9, rel=5e-4)
    assert [row["layer"] for row in shown["rows"]] == [row["layer"] for row in layers(ran)]


# The same input gives the same bytes


def test_the_same_bytes_in_any_process_at_any_thread_count(exports: dict[str, Path]) -> None:
    arguments = ("run", str(exports["dynamo"]), "--pattern", "gs:16,1", "--pattern", "unstructured")
    options = ("--sparsity", "0.9", "--device", "gs-tcm-ooo", "--device", "zcu102", "--json")
    found = set()
    for threads, seed in (("1", "1"), ("2", "77")):
        settings = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(settings, threads), "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [*SIMULATE, *arguments, *options], capture_output=True, env=environment, check=True, timeout=120
        )
        found.add(done.stdout)
    assert len(found) == 1


# A replayed trace equals the run

SAME = names(
    "kind m k p groups density cycles compute_cycles gather_cycles conflict_cycles stall_cycles latency_s macs_dense "
    "macs_effectual macs_issued weight_bytes index_bytes activation_bytes dram_bytes scratchpad_bytes utilization "
    "mapping encoding bound reason peak_memory_bytes pattern sparsity_target synthetic batch dtype"
)


@pytest.mark.parametrize("device", ["gs-tcm", "gs-tcm-ooo"])
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--pattern", "dense"),
        ("--pattern", "gs:16,1", "--sparsity", "0.9"),
        ("--pattern", "gs_scatter:16,4", "--sparsity", "0.9", "--all"),
        ("--pattern", "unstructured", "--sparsity", "0.9"),
        ("--pattern", "unstructured", "--sparsity", "0.9", "--order", "csr"),
        ("--pattern", "unstructured", "--sparsity", "0.9", "--encoding", "bitmap", "--dtype", "int8"),
        ("--pattern", "block:16x1", "--sparsity", "0.9", "--dtype", "fp32"),
        ("--pattern", "n_of_m:2,4", "--sparsity", "0.5"),
        ("--pattern", "channel", "--sparsity", "0.5"),
        ("--pattern", "bank_balanced:16", "--sparsity", "0.75"),
    ],
)
def test_a_replayed_trace_equals_the_run(
    simulate: Simulate, capsys: pytest.CaptureFixture[str], tmp_path: Path, device: str, options: tuple[str, ...]
) -> None:
    _replays_as_it_ran(simulate, capsys, tmp_path, "digits", device, options)


def test_a_replayed_recurrence_equals_the_run(
    simulate: Simulate, capsys: pytest.CaptureFixture[str], tmp_path: Path, lstm: Path
) -> None:
    for options in (("--pattern", "dense"), ("--pattern", "gs:16,1", "--sparsity", "0.75")):
        _replays_as_it_ran(simulate, capsys, tmp_path, str(lstm), "gs-tcm-ooo", options)


def _replays_as_it_ran(
    simulate: Simulate,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    model: str,
    device: str,
    options: tuple[str, ...],
) -> None:
    ran = simulate("run", model, *options, "--device", device, "--json")
    check(ran)
    with pytest.raises(SystemExit) as ended:
        cli.main(["trace", model, *options, "--device", device, "-o", str(tmp_path / "t")])
    assert ended.value.code == 0, capsys.readouterr().err
    capsys.readouterr()
    replayed = simulate("replay", tmp_path / "t", "--device", device, "--json")
    assert [row["layer"] for row in replayed["rows"]] == [row["layer"] for row in ran["rows"]]
    for before, after in zip(ran["rows"], replayed["rows"], strict=True):
        assert {name: after[name] for name in SAME} == {name: before[name] for name in SAME}


def test_per_group_grants_are_those_of_the_first_repeat(simulate: Simulate, tmp_path: Path) -> None:
    folder = tmp_path / "t"
    folder.mkdir()
    np.savez(
        folder / "layer0.npz",
        group_ptr=np.array([0, 3, 4], np.int64), lane=np.array([0, 1, 2, 0], np.int16),
        address=np.array([0, 16, 32, 1], np.int64), bundle_end=np.array([2], np.int64),
        scatter_ptr=np.array([0, 1], np.int64), scatter_address=np.array([0], np.int64),
    )  # fmt: skip
    (folder / "trace.json").write_text('{"schema": 1, "layers": [{"name": "layer0", "repeats": 2}]}')
    report = simulate(
        "replay", folder, "--device", "gs-tcm", "--per-group", tmp_path / "g.npy", "--json"
    )  # three requests to one bank in lockstep, then one: 3 + 1 cycles
    assert np.load(tmp_path / "g.npy").tolist() == [3 - 1, 3 + 1 - 1]
    (row,) = layers(report)
    assert row["gather_cycles"] == 2 * (3 + 1)
    assert row["dram_bytes"] == 0
    assert row["cycles"] == row["compute_cycles"] == 8 - 1 + 2 + 3 + 1  # last grant + latency + mac latency + one write


# Every option moves a number, or the row says why not


def moved(simulate: Simulate, *base: str, option: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    before, after = simulate("run", *base, "--json"), simulate("run", *base, *option, "--json")
    check(before)
    check(after)
    assert before["rows"] != after["rows"], option
    return before, after


PRUNED = ("digits", "--pattern", "unstructured", "--sparsity", "0.9", "--device", "gs-tcm")


def test_column_order_costs_conflicts_that_packing_avoids(simulate: Simulate) -> None:
    packed, csr = moved(simulate, *PRUNED, option=("--order", "csr"))
    (first,), (second,) = layers(packed, layer="conv3"), layers(csr, layer="conv3")
    assert (first["encoding"], second["encoding"]) == ("packed", "csr")
    assert first["conflict_cycles"] == 0 < second["conflict_cycles"]
    assert first["density"] == second["density"]


@pytest.mark.parametrize("encoding", ["csr", "bitmap", "dense"])
def test_an_encoding_decides_bytes_and_stream(simulate: Simulate, encoding: str) -> None:
    before, after = moved(simulate, *PRUNED, option=("--encoding", encoding))
    (first,), (second,) = layers(before, layer="conv3"), layers(after, layer="conv3")
    assert (first["encoding"], second["encoding"]) == ("packed", encoding)
    kept, size = round(second["density"] * 64 * 576), 64 * 576
    weights = {"csr": kept * 2, "bitmap": kept * 2, "dense": size * 2}
    indices = {"csr": kept * 2 + (64 + 1) * 4, "bitmap": size // 8, "dense": 0}
    assert (second["weight_bytes"], second["index_bytes"]) == (weights[encoding], indices[encoding])
    (dense,) = layers(after, layer="conv1")
    assert dense["encoding"] == "dense"
    assert encoding == "dense" or f"encoding {encoding} not used: the mask is dense" in dense["reason"]


def test_blocks_can_be_stored_as_bsr_or_as_csr(simulate: Simulate) -> None:
    base = ("digits", "--pattern", "block:1x16", "--sparsity", "0.9", "--device", "gs-tcm")
    before, after = moved(simulate, *base, option=("--encoding", "csr"))
    (first,), (second,) = layers(before, layer="conv3"), layers(after, layer="conv3")
    assert (first["encoding"], second["encoding"]) == ("bsr", "csr")
    assert first["index_bytes"] < second["index_bytes"]


def test_equal_slots_keep_fewer_weights_than_equal_density(simulate: Simulate) -> None:
    base = ("digits", "--pattern", "gs:16,16", "--sparsity", "0.9", "--device", "gs-tcm", "--all")
    before, after = moved(simulate, *base, option=("--match", "slots"))
    (first,), (second,) = totals(before), totals(after)
    assert second["weight_slots"] <= first["weight_slots"]
    for row in layers(after, pattern="gs:16,16"):
        if row["m"] is not None:
            assert row["weight_slots"] <= 0.1 * row["m"] * row["k"] or row["density"] == 1.0, row["layer"]


def test_all_prunes_the_first_layer_and_the_classifier(simulate: Simulate) -> None:
    before, after = moved(simulate, *PRUNED, option=("--all",))
    for name in ("conv1", "fc"):
        (kept,), (pruned,) = layers(before, layer=name), layers(after, layer=name)
        assert kept["density"] == 1.0
        assert pruned["density"] == pytest.approx(0.1, abs=0.01)


def test_dtype_is_the_width_of_values(simulate: Simulate) -> None:
    reports = {dtype: simulate("run", *PRUNED, "--dtype", dtype, "--json") for dtype in ("int8", "fp16", "fp32")}
    for dtype, width in (("int8", 1), ("fp16", 2), ("fp32", 4)):
        check(reports[dtype])
        for row, half in zip(reports[dtype]["rows"], reports["fp16"]["rows"], strict=True):
            assert row["dtype"] == dtype
            assert row["weight_bytes"] * 2 == half["weight_bytes"] * width
            assert row["activation_bytes"] * 2 == half["activation_bytes"] * width
    for device in ("snapdragon-855", "adreno-640", "a100", "zcu102"):
        narrow, wide = (
            simulate("run", "digits", "--device", device, "--dtype", dtype, "--json") for dtype in ("fp16", "fp32")
        )
        check(wide)
        assert totals(narrow)[0]["latency_s"] < totals(wide)[0]["latency_s"]


def test_a_device_asked_for_twice_has_its_rows_once(simulate: Simulate) -> None:
    once, twice = simulate("run", *PRUNED, "--json"), simulate("run", *PRUNED, "--device", "gs-tcm", "--json")
    assert once["rows"] == twice["rows"]


def test_a_layer_without_a_kept_weight_says_so(simulate: Simulate, lstm: Path) -> None:
    report = simulate("run", lstm, "--pattern", "block:32x32", "--sparsity", "0.999", "--device", "gs-tcm", "--json")
    check(report)
    for row in layers(report, density=0.0):
        assert "no weight is kept" in row["reason"]
        assert row["macs_effectual"] == 0
    assert layers(report, density=0.0)


def test_own_zeros_that_break_the_rule_asked_for_are_named(simulate: Simulate) -> None:
    for pattern, device in itertools.product(("n_of_m:2,4", "block:1x16", "bank_balanced:16"), ("gs-tcm", "a100")):
        (row,) = layers(simulate("run", "digits", "--pattern", pattern, "--device", device, "--json"), layer="conv3")
        assert f"the zeros of the model are not quite {pattern}" in row["reason"]
    (row,) = layers(simulate("run", "digits", "--pattern", "gs:16,1", "--device", "gs-tcm", "--json"), layer="conv3")
    assert row["reason"] is None  # the model was pruned to it


def test_threads_speed_up_a_cpu_and_nothing_else(simulate: Simulate) -> None:
    base = ("resnet50", "--pattern", "dense", "--device", "snapdragon-855", "--device", "a100")
    before, after = moved(simulate, *base, option=("--threads", "4"))
    one, four = ({row["device"]: row for row in totals(report)} for report in (before, after))
    assert one["snapdragon-855"]["latency_s"] > 2 * four["snapdragon-855"]["latency_s"]
    assert (four["snapdragon-855"]["threads"], four["a100"]["threads"]) == (4, 1)
    assert one["a100"]["latency_s"] == four["a100"]["latency_s"]
    for row in layers(after, device="a100"):
        assert row["m"] is None or "threads has no meaning" in row["reason"]
    for row in layers(simulate("run", *PRUNED, "--threads", "2", "--json")):
        assert row["m"] is None or "threads has no meaning" in row["reason"]


def test_batch_multiplies_positions(simulate: Simulate) -> None:
    base = ("mobilenet_v1", "--device", "a100")
    before, after = moved(simulate, *base, option=("--batch", "4"))
    assert totals(after)[0]["macs_dense"] == 4 * totals(before)[0]["macs_dense"]
    assert totals(after)[0]["batch"] == 4
    assert totals(after)[0]["weight_bytes"] == totals(before)[0]["weight_bytes"]


def test_seed_and_input_shape_make_another_network(simulate: Simulate) -> None:
    base = ("mobilenet_v1", "--pattern", "unstructured:global", "--sparsity", "0.9", "--device", "snapdragon-855")
    before, after = moved(simulate, *base, option=("--seed", "1"))
    assert before["manifest"]["model_hash"] != after["manifest"]["model_hash"]
    _, small = moved(simulate, *base, option=("--input-shape", "1,3,112,112"))
    assert totals(small)[0]["macs_dense"] < 0.27 * totals(before)[0]["macs_dense"]


def test_the_mapping_of_a_row_can_be_forced_and_another_one_moves_it(simulate: Simulate) -> None:
    before = simulate("run", *PRUNED, "--json")
    (chosen,) = layers(before, layer="conv2")
    forced = simulate("run", *PRUNED, "--mapping", chosen["mapping"], "--json")
    check(forced)
    (same,) = layers(forced, layer="conv2")
    assert {name: same[name] for name in SAME} == {name: chosen[name] for name in SAME}
    narrow = "rows=32 tile=1x1 channels=16 strips=1x4x4 order=rcp"
    other = simulate("run", *PRUNED, "--mapping", narrow, "--json")
    check(other)
    for row in layers(other):
        if row["m"] is not None:
            assert row["mapping"] == narrow
    (moved_row,) = layers(other, layer="conv2")
    assert moved_row["dram_bytes"] > chosen["dram_bytes"]
    assert (moved_row["macs_effectual"], moved_row["density"]) == (chosen["macs_effectual"], chosen["density"])


def test_an_option_without_meaning_for_a_device_is_said_in_the_row(simulate: Simulate) -> None:
    mapping = "rows=64 tile=1x1 channels=64 strips=1x4x4 order=rpc"
    base = ("run", "digits", "--device", "a100", "--json")
    for option, says in (
        (("--order", "csr"), "order csr has no meaning on a100"),
        (("--mapping", mapping), "a mapping has no meaning on a100"),
        (("--encoding", "bitmap"), "no kernel of a100 reads bitmap"),
        (("--threads", "2"), "threads has no meaning on a100"),
    ):
        (row,) = layers(simulate(*base, *option), layer="conv2")
        assert says in row["reason"]
    (row,) = layers(
        simulate("run", "digits", "--pattern", "gs:16,1", "--device", "gs-tcm", "--order", "csr", "--json"),
        layer="conv2",
    )
    assert "order csr has no meaning for gs:16,1" in row["reason"]


def test_an_unsupported_operator_is_named_in_its_row_and_in_the_total(simulate: Simulate, tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    weight = onnx.numpy_helper.from_array(np.ones((32, 32), np.float32), "w")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="first"),
        helper.make_node("Det", ["h"], ["y"], name="odd"),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", [4, 32, 32]), ("y", [4]))
    ]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], [weight])
    path = tmp_path / "u.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    report = simulate("run", path, "--json")
    check(report)
    for row in layers(report, kind="unsupported"):
        assert "Det" in row["reason"]
    assert len(layers(report, kind="unsupported")) == len(totals(report))
    for row in totals(report):
        assert "Det (odd)" in row["reason"]
