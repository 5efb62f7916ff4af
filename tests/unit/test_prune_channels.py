"""``simulate prune --pattern channel`` and ``channel+P``: smaller files that compute what the masked original does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gatherline as gl
from gatherline.cli import main
from gatherline.levels import at_level, read_levels
from patterns.catalog import parse_pattern
from patterns.channel_then import ChannelThen
from tests.mixed_onnx import write_mixed
from tests.unit.test_onnx_shrink import DIGITS, built, export, named, outputs, random_input
from traces.channels import ChannelPlan, prune_channels
from traces.layer import MatrixLayer, Network
from traces.lower.onnx_file import read_onnx
from traces.lower.onnx_write import open_onnx, write_onnx
from traces.masks import Level, trace_network

pytestmark = pytest.mark.filterwarnings("ignore")


def plan_of(network: Network, share: float, keep: set[str]) -> ChannelPlan:
    return prune_channels(network, share, keep=frozenset(keep))


def full_mask(layer: MatrixLayer, plan: ChannelPlan, small: np.ndarray) -> np.ndarray:
    """Return what stays of the original's weights: not what reads a channel that is gone, nor what the mask removed."""
    shape = (layer.groups, layer.m, layer.k)
    inputs = np.zeros(layer.groups * layer.ci, dtype=bool)
    inputs[plan.columns[layer.name]] = True
    columns = np.tile(inputs.reshape(layer.groups, 1, layer.ci), (1, 1, layer.k // layer.ci))  # Ci innermost
    mask = np.broadcast_to(columns, shape).copy()
    rows = plan.kept[layer.name]
    for group in range(layer.groups):
        own = rows[rows // layer.m == group] % layer.m
        if layer.kind == "depthwise":
            continue  # a channel whose consumers do not read it may compute what it likes
        mask[group][np.ix_(own, np.flatnonzero(columns[group, 0]))] = small[group] != 0
    return mask


def assert_same_numbers(source: Path, small: Path, plan: ChannelPlan, shape: tuple[int, ...], folder: Path) -> None:
    original, found = open_onnx(source), read_onnx(small)
    keep = {layer.name: full_mask(layer, plan, found.weights[layer.name]) for layer in original.network.matrix_layers}
    write_onnx(original, keep, folder / "masked.onnx")
    x = random_input(shape)
    expected = outputs(folder / "masked.onnx", x)
    assert np.abs(expected - outputs(source, x)).max() > 1e-3  # what went is felt
    np.testing.assert_allclose(outputs(small, x), expected, rtol=1e-4, atol=1e-5)


NETS: list[Any] = ["digits", "resnet", "mobilenet", "resnext"]


def source_of(name: str, folder: Path) -> tuple[Path, tuple[int, ...]]:
    if name == "digits":
        return DIGITS, read_onnx(DIGITS).tensors[read_onnx(DIGITS).inputs[0]].shape
    return export(built(named(name)), named(name)[2], folder / f"{name}.onnx"), named(name)[2]


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("pattern", ["channel", "channel:0.25+gs:4,1", "channel+unstructured"])
def test_the_written_file_computes_what_the_masked_original_does(name: str, pattern: str, tmp_path: Path) -> None:
    source, shape = source_of(name, tmp_path)
    network, out = read_onnx(source), tmp_path / "out.onnx"
    report = gl.prune(source, out, pattern=pattern, sparsity=0.6)
    rule = parse_pattern(pattern)
    share = rule.channel_sparsity(0.6) if isinstance(rule, ChannelThen) else 0.6
    stay = {str(row["layer"]) for row in report.rows if "first layer" in str(row["reason"])}
    stay |= {str(row["layer"]) for row in report.rows if "classifier" in str(row["reason"])}
    stay |= {layer.name for layer in network.matrix_layers if layer.kind == "depthwise"}
    assert_same_numbers(source, out, plan_of(network, share, stay), shape, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    assert out.stat().st_size < source.stat().st_size


def test_rows_tell_channels_weights_and_norms_of_the_original(tmp_path: Path) -> None:
    source, out = write_mixed(tmp_path / "m.onnx"), tmp_path / "o.onnx"
    report = gl.prune(source, out, pattern="channel", sparsity=0.5)
    before, after = read_onnx(source), read_onnx(out)
    sizes = {layer.name: layer for layer in after.matrix_layers}
    for layer, row in zip(before.matrix_layers, report.rows, strict=False):
        now = sizes[layer.name]
        assert (row["channels_before"], row["channels_after"]) == (layer.groups * layer.m, now.groups * now.m)
        assert (row["weights"], row["weights_after"]) == (layer.weight_elements, now.weight_elements)
        old, new = (np.abs(net.weights[layer.name].astype(float)) for net in (before, after))
        assert row["kept_l1"] == pytest.approx(new.sum() / old.sum())
        assert row["kept_l2"] == pytest.approx(np.sqrt((new**2).sum() / (old**2).sum()))
        assert row["density"] == np.count_nonzero(new) / old.size
    by_name = {row["layer"]: row for row in report.rows}
    assert by_name["middle"]["channels_after"] == 48 / 2
    assert by_name["middle"]["weights_after"] == 48 / 2 * 64 / 2 * 9
    assert "the first layer stays dense" in str(by_name["first"]["reason"])
    assert by_name["total"]["weights_after"] == sum(layer.weight_elements for layer in after.matrix_layers)


def test_a_second_pattern_reaches_the_total_sparsity_in_each_layer(tmp_path: Path) -> None:
    out = tmp_path / "o.onnx"
    report = gl.prune(write_mixed(tmp_path / "m.onnx"), out, pattern="channel+unstructured", sparsity=0.9)
    for row in report.rows:
        if row["layer"] in ("point", "middle"):
            assert row["sparsity_of_pruned"] == pytest.approx(0.9, abs=1 / int(str(row["weights"])))
            assert (row["pattern"], row["check"]) == ("unstructured", "holds")
            assert int(str(row["weights_after"])) < int(str(row["weights"]))


def test_the_file_holds_the_masks_that_a_run_makes_of_the_original(tmp_path: Path) -> None:
    source, out = write_mixed(tmp_path / "m.onnx"), tmp_path / "o.onnx"
    spelling = "channel:0.25+unstructured"
    gl.prune(source, out, pattern=spelling, sparsity=0.8)
    found = read_onnx(out)
    level = Level(pattern=parse_pattern(spelling), sparsity=0.8)
    traces = [t for t in trace_network(read_onnx(source), level).traces if isinstance(t.layer, MatrixLayer)]
    assert [trace.layer.name for trace in traces] == [layer.name for layer in found.matrix_layers]
    for trace in traces:
        assert trace.mask is not None
        assert np.array_equal(trace.mask, found.weights[trace.layer.name] != 0)


def test_keep_leaves_all_output_channels_of_a_layer(tmp_path: Path) -> None:
    source, out = write_mixed(tmp_path / "m.onnx"), tmp_path / "o.onnx"
    report = gl.prune(source, out, pattern="channel", sparsity=0.5, keep=["point"])
    row = next(row for row in report.rows if row["layer"] == "point")
    assert row["channels_after"] == 64
    assert "--keep point" in str(row["reason"])


def test_levels_nest_within_channels_that_stay(tmp_path: Path) -> None:
    source, out = write_mixed(tmp_path / "m.onnx"), tmp_path / "o.onnx"
    report = gl.prune(source, out, pattern="channel:0.25+gs:16,1", levels=[0.9, 0.7])
    levels, network = read_levels(out), read_onnx(out)
    one, two = (at_level(network, levels, level) for level in (1, 2))
    for name in levels.layers:
        inner, outer = (level.weights[name] != 0 for level in (one, two))
        assert not (inner & ~outer).any()
        assert np.array_equal(outer, network.weights[name] != 0)
    totals = [row for row in report.rows if row["layer"] == "total"]
    assert [row["sparsity_target"] for row in totals] == [0.9, 0.7]
    reached = [float(str(row["sparsity_of_pruned"])) for row in totals]
    assert reached[0] > reached[1]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("m.safetensors", "--pattern", "channel", "--sparsity", "0.5", "-o", "o.safetensors"), "export the model as"),
        (("m.pt2", "--pattern", "channel+gs:16,1", "--sparsity", "0.5", "-o", "o.onnx"), "export the model as"),
        (("m.onnx", "--pattern", "channel", "--levels", "0.5,0.7", "-o", "o.onnx"), "network of another size"),
        (("m.onnx", "--pattern", "channel+gs:16,1", "--levels", "0.5,0.7", "-o", "o.onnx"), "other channels"),
        (("m.onnx", "--pattern", "channel:0.2+n_of_m:2,4", "--levels", "0.5,0.7", "-o", "o.onnx"), "fixes the density"),
        (("m.onnx", "--pattern", "channel", "--ratios", "erk", "--sparsity", "0.5", "-o", "o.onnx"), "one ratio"),
        (("m.onnx", "--pattern", "channel", "-o", "o.onnx"), "needs a sparsity"),
        (("m.onnx", "--pattern", "channel", "--sparsity", "0.5", "--repack", "-o", "o.onnx"), "repack"),
        (("m.onnx", "--pattern", "channel+unstructured:global", "--sparsity", "0.5", "-o", "o.onnx"), "ratios global"),
        (("m.onnx", "--pattern", "channel", "--sparsity", "0.5", "--keep", "*", "-o", "o.onnx"), "no layer is left"),
        (("m.onnx", "--pattern", "channel+bank_balanced:500", "--sparsity", "0.5", "-o", "o.onnx"), "layer point"),
    ],
)
def test_what_channels_cannot_be_asked_is_one_line_and_writes_nothing(
    arguments: tuple[str, ...], error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    write_mixed(tmp_path / "m.onnx")
    with pytest.raises(SystemExit) as end:
        main(["prune", *arguments])
    captured = capsys.readouterr()
    assert (end.value.code, captured.out, captured.err.count("\n")) == (2, "", 1)
    assert error in captured.err
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_the_table_shows_channels_only_where_they_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_mixed(tmp_path / "m.onnx")
    texts = []
    for pattern in ("channel", "unstructured"):
        with pytest.raises(SystemExit):
            main(["prune", str(source), "--pattern", pattern, "--sparsity", "0.5", "-o", str(tmp_path / "o.onnx")])
        texts.append(capsys.readouterr().out)
    assert "64 to 32" in texts[0]
    assert "weights left" in texts[0]
    assert "weights left" not in texts[1]
    with pytest.raises(SystemExit):
        main(
            [
                "prune",
                str(source),
                "--pattern",
                "channel",
                "--sparsity",
                "0.5",
                "--json",
                "-o",
                str(tmp_path / "o.onnx"),
            ]
        )
    assert json.loads(capsys.readouterr().out)["rows"][-1]["weights_after"] > 0
