"""``simulate inspect``: what each layer's mask obeys, its loads, index bits and bytes, and pictures of masks."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gatherline as gl
from gatherline import cli
from gatherline.inspect_request import Questions
from gatherline.inspection import inspect_network
from gatherline.report.inspection_table import print_inspection
from gatherline.report.mask_picture import (
    MAP_COLUMNS,
    MAP_ROWS,
    WINDOW_COLUMNS,
    WINDOW_ROWS,
    density_map,
    mask_figure,
    window_corner,
)
from gatherline.request import RequestError
from patterns.catalog import parse_pattern
from patterns.encodings.base import ByteWidths, EncodedSize, Widths
from patterns.encodings.catalog import ALL_ENCODINGS, encoding
from patterns.encodings.sizes import encoding_sizes
from patterns.unstructured import Unstructured
from traces.layer import MatrixLayer, Network
from traces.layout import column_banks

Row = dict[str, Any]


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    return int(ended.value.code or 0)


def rows_of(**options: Any) -> dict[str, Row]:
    return {str(row["layer"]): row for row in gl.inspect("digits", **options).rows}


@pytest.fixture(scope="module")
def digits() -> Network:
    return gl.load("digits")


def test_a_row_tells_shape_density_patterns_loads_and_index_bits(digits: Network) -> None:
    row = rows_of()["conv2"]
    mask = digits.weights["conv2"] != 0
    assert (row["weights"], row["kept"]) == (64 * 288, int(mask.sum()))
    assert row["density"] == row["kept"] / row["weights"]
    assert next(iter(row["patterns"].items())) == ("gs:16,1", 1.0)
    per_row = mask.sum(axis=2).reshape(-1)
    assert (row["row_load"]["min"], row["row_load"]["max"]) == (per_row.min(), per_row.max())
    assert row["row_load"]["cv"] == pytest.approx(per_row.std() / per_row.mean())
    assert sum(row["row_load"]["bin_counts"]) == 64
    assert sum(row["bank_load"]["per_bank"]) == row["kept"]
    assert row["bank_load"]["per_bank_cv"] == 0  # GS(16,1) loads its banks alike
    assert sum(row["bank_load"]["bin_counts"]) == 64 // 16 * 16
    assert 0 < row["index_entropy"]["row_bound_bits"] <= np.log2(288)
    assert all(candidate["chance"] is not None or candidate["reason"] for candidate in row["candidates"])


def test_a_layer_without_weights_has_no_mask_facts() -> None:
    row = rows_of(encodings=True)["relu"]
    assert (row["density"], row["row_load"], row["patterns"], row["candidates"]) == (None, None, {}, [])
    assert "encodings" not in row


def test_encodings_without_parameters_take_what_encoding_sizes_says(digits: Network) -> None:
    layer = next(layer for layer in digits.matrix_layers if layer.name == "conv2")
    mask = digits.weights["conv2"][0] != 0
    shown = {size["encoding"]: size for size in rows_of(encodings=True)["conv2"]["encodings"]}
    assert list(shown) == [member.name for member in ALL_ENCODINGS]
    for name, size in encoding_sizes(mask, Unstructured(), ByteWidths(), column_banks(layer, 16)[0]):
        if isinstance(size, EncodedSize):
            assert shown[name]["total_bytes"] == size.total_bytes
            assert shown[name]["value_bytes"] == size.weight_bytes
            assert shown[name]["index_bits_per_kept"] == pytest.approx(8 * size.index_bytes / mask.sum())


def test_pointers_are_told_from_indices() -> None:
    row = rows_of(encodings=True)["conv2"]
    csr = next(size for size in row["encodings"] if size["encoding"] == "csr")
    assert csr["index_bytes"] == 2 * row["kept"]
    assert csr["pointer_bytes"] == 4 * (row["m"] + 1)
    assert csr["total_bytes"] == 2 * row["kept"] + csr["index_bytes"] + csr["pointer_bytes"]


def test_an_encoding_with_parameters_takes_those_with_the_fewest_bytes(digits: Network) -> None:
    layer = next(layer for layer in digits.matrix_layers if layer.name == "conv2")
    mask = digits.weights["conv2"][0] != 0
    shown = next(size for size in rows_of(encodings=True)["conv2"]["encodings"] if size["encoding"] == "gs")
    sizes = {
        spelling: encoding("gs").size(
            mask, parse_pattern(spelling), Widths(), column_banks(layer, int(spelling[3:].split(",")[0]))[0]
        )
        for spelling in ("gs:8,1", "gs:16,1", "gs:16,16")
    }
    assert shown["pattern"] == "gs:16,1"
    assert shown["total_bytes"] == sizes["gs:16,1"].total_bytes == min(size.total_bytes for size in sizes.values())


def test_an_encoding_that_cannot_hold_a_mask_says_why_and_is_never_the_best() -> None:
    sizes = rows_of(encodings=True)["conv2"]["encodings"]
    refused = next(size for size in sizes if size["encoding"] == "n_of_m")
    assert refused["total_bytes"] is None
    assert "n_of_m:4,8 allows 4" in refused["reason"]
    (best,) = [size for size in sizes if size["best"]]
    assert best["total_bytes"] == min(size["total_bytes"] for size in sizes if size["total_bytes"] is not None)


def test_totals_sum_the_layers_and_count_those_stored_dense() -> None:
    report = gl.inspect("digits", encodings=True)
    layers = [{size["encoding"]: size for size in row["encodings"]} for row in report.rows if "encodings" in row]  # type: ignore[attr-defined]
    totals = {total["encoding"]: total for total in report.manifest["encoding_totals"]}  # type: ignore[attr-defined]
    for name in (member.name for member in ALL_ENCODINGS):
        held = [layer[name]["total_bytes"] for layer in layers]
        dense = [layer["dense"]["total_bytes"] for layer in layers]
        expected = sum(other if own is None else own for own, other in zip(held, dense, strict=True))
        assert (totals[name]["total_bytes"], totals[name]["stored_dense"]) == (expected, held.count(None))
    best = sum(next(size["total_bytes"] for size in layer.values() if size["best"]) for layer in layers)
    assert totals["best"]["total_bytes"] == best


@pytest.mark.parametrize(("dtype", "value_bytes"), [("fp32", 4), ("fp16", 2), ("int8", 1)])
def test_values_have_the_width_of_the_type(dtype: str, value_bytes: int) -> None:
    row = rows_of(encodings=True, dtype=dtype)["conv2"]
    assert row["encodings"][0]["total_bytes"] == value_bytes * row["weights"]


def test_index_bits_move_the_bytes_of_indices() -> None:
    def csr(index_bits: int | str) -> int:
        sizes = rows_of(encodings=True, index_bits=index_bits)["conv2"]["encodings"]
        return int(next(size["index_bytes"] for size in sizes if size["encoding"] == "csr"))

    kept = rows_of()["conv2"]["kept"]
    assert csr(16) == 2 * kept
    assert csr("minimal") == -(-kept * (288 - 1).bit_length() // 8)
    assert csr("minimal_bytes") == 2 * kept


def test_a_pattern_asked_for_tells_what_it_would_keep_of_these_weights(digits: Network) -> None:
    rows = rows_of(pattern="n_of_m:2,4")
    weights = np.abs(digits.weights["conv2"]).astype(np.float64)
    kept = weights * parse_pattern("n_of_m:2,4").project(np.abs(digits.weights["conv2"]), 0.5)
    assert rows["conv2"]["kept_l1"] == pytest.approx(kept.sum() / weights.sum())
    assert rows["conv2"]["kept_l2"] == pytest.approx(np.sqrt((kept**2).sum() / (weights**2).sum()))
    assert rows["conv1"]["reason"] == "the first layer stays dense"
    assert (rows["conv1"]["kept_l1"], rows["conv1"]["kept_l2"]) == (1.0, 1.0)
    assert rows_of(pattern="n_of_m:2,4", prune_all=True)["conv1"]["density"] < 1


def test_a_grouped_layer_and_one_that_keeps_nothing_are_inspected(digits: Network) -> None:
    weights = np.random.default_rng(0).standard_normal((2, 16, 288)).astype(np.float32)
    layer = next(layer for layer in digits.matrix_layers if layer.name == "conv2")
    grouped = replace(layer, groups=2, m=16)
    for kept in (weights * (weights > 1), np.zeros_like(weights)):
        network = replace(digits, layers=(grouped,), weights={"conv2": kept})
        found = inspect_network(network, {}, Questions(encodings=True, layers=("conv2",)))
        (row,) = found.rows
        assert row["kept"] == np.count_nonzero(kept)
        assert mask_figure(found.masks[0]).axes
        json.loads(found.to_json())
    assert row["reason"] == "no weight is kept"
    assert row["patterns"] == {}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"layers": ("conv22",)}, ("conv22", "did you mean conv2?")),
        ({"layers": ("relu",)}, ("relu", "no weights")),
        ({"pattern": "channel", "sparsity": 0.5}, ("channel",)),
        ({"pattern": "channel+gs:16,1", "sparsity": 0.5}, ("channel+gs:16,1",)),
        ({"pattern": "gs:16,1"}, ("gs:16,1", "sparsity")),
        ({"sparsity": 1.0}, ("1.0", "below 1")),
        ({"dtype": "fp17"}, ("fp17", "fp16")),
        ({"index_bits": "few"}, ("few", "minimal")),
        ({"index_bits": 0}, ("0", "1 to 64")),
    ],
)
def test_a_question_that_cannot_be_is_refused_by_name(options: dict[str, Any], says: tuple[str, ...]) -> None:
    with pytest.raises(RequestError) as refused:
        gl.inspect("digits", **options)
    for words in says:
        assert words in str(refused.value)


def test_the_command_refuses_in_one_line_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("inspect", "digits", "--layer", "conv22") == cli.WRONG_INPUT
    err = capsys.readouterr().err
    assert err == "simulate: error: layer 'conv22' is not in digits; did you mean conv2?\n"


def test_a_pipe_gets_every_column_and_a_layer_asked_for_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("inspect", "digits", "--encodings", "--layer", "conv2") == 0
    out = capsys.readouterr().out
    header = out.splitlines()[0]
    for column in ("m", "k", "p", "groups", "MMAC", "density", "row load", "bank load", "least bits", "gap bits"):
        assert f" {column} " in header
    assert "Too narrow" not in out
    line = next(line for line in out.splitlines() if line.startswith("conv2 "))
    assert "gs:16,1 100 % (" in line
    assert "layer conv2" in out
    assert "n_of_m cannot hold it: " in out
    assert "n_of_m cannot hold 4 layers, counted dense: " in out
    assert "\x1b" not in out


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_narrow_terminal_loses_whole_columns_and_is_told(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    report = gl.inspect("digits", encodings=True, pattern="gs:16,1", sparsity=0.9)
    stream = _Terminal()
    print_inspection(report.rows, report.manifest, ("conv2",), stream)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    assert max(len(line) for line in plain.splitlines()) <= width
    assert "Too narrow for: kind" in plain


def test_out_holds_a_table_the_json_and_a_picture_for_each_layer_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "seen"
    assert call("inspect", "digits", "--layer", "conv3", "--layer", "fc", "--out", str(out), "--json") == 0
    shown = capsys.readouterr()
    assert sorted(path.name for path in out.iterdir()) == [
        "inspect.json", "layers.csv", "mask-conv3.png", "mask-fc.png",
    ]  # fmt: skip
    assert (out / "inspect.json").read_text() == shown.out
    assert shown.err.count("wrote ") == 4
    with (out / "layers.csv").open(newline="") as file:
        rows = {row["layer"]: row for row in csv.DictReader(file)}
    assert rows["conv2"]["obeys"] == "gs:16,1"
    assert float(rows["conv2"]["row_load_mean"]) == int(rows["conv2"]["kept"]) / 64
    assert (out / "mask-fc.png").read_bytes().startswith(b"\x89PNG")


def test_without_layers_the_pruned_ones_with_the_most_macs_are_drawn(tmp_path: Path) -> None:
    written = gl.inspect("digits").write(tmp_path)
    assert [path.name for path in written] == ["layers.csv", "inspect.json", "mask-conv2.png", "mask-conv3.png"]


def test_names_of_layers_make_safe_and_different_files(digits: Network, tmp_path: Path) -> None:
    layer = next(layer for layer in digits.matrix_layers if layer.name == "conv2")
    names = ("../$up", ".._$up")
    network = replace(
        digits,
        layers=tuple(replace(layer, name=name) for name in names),
        weights=dict.fromkeys(names, digits.weights["conv2"]),
    )
    written = inspect_network(network, {}, Questions(layers=names)).write(tmp_path)
    pictures = [path.name for path in written if path.suffix == ".png"]
    assert len(set(pictures)) == len(names)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in written)


def test_the_same_mask_gives_the_same_picture(tmp_path: Path) -> None:
    first = gl.inspect("digits", layers=("conv2",)).write(tmp_path / "a")[-1]
    second = gl.inspect("digits", layers=("conv2",)).write(tmp_path / "b")[-1]
    assert first.read_bytes() == second.read_bytes()


def test_a_picture_has_titles_units_and_its_scale() -> None:
    view = gl.inspect("digits", layers=("conv3",)).masks[0]
    figure = mask_figure(view)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert any(title == f"the whole layer, density: a cell is 1 x {-(-576 // MAP_COLUMNS)} weights" for title in titles)
    assert any(title.startswith(f"weight by weight: rows 0 to {WINDOW_ROWS - 1} of 64") for title in titles)
    drawn = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert len(drawn) == 4
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in drawn)
    (legend,) = [found for axes in drawn[:1] if (found := axes.get_legend())]
    assert [text.get_text() for text in legend.get_texts()] == [
        "kept weight, coloured by bank as below", "every other bundle of 16 rows",
    ]  # fmt: skip


def test_a_density_map_keeps_the_count_of_weights_and_fits_its_cells() -> None:
    mask = np.random.default_rng(0).random((1000, 777)) < 0.3
    cells, height, width = density_map(mask)
    assert cells.shape[0] <= MAP_ROWS
    assert cells.shape[1] <= MAP_COLUMNS
    heights = np.minimum(1000 - np.arange(cells.shape[0]) * height, height)
    widths = np.minimum(777 - np.arange(cells.shape[1]) * width, width)
    assert (cells * heights[:, None] * widths).sum() == pytest.approx(mask.sum())
    assert cells[0, 0] == mask[:height, :width].mean()


def test_the_window_shows_where_density_is_nearest_the_layers() -> None:
    mask = np.zeros((2 * WINDOW_ROWS, 3 * WINDOW_COLUMNS), dtype=np.bool_)
    mask[WINDOW_ROWS:, WINDOW_COLUMNS : 2 * WINDOW_COLUMNS] = True
    mask[:WINDOW_ROWS, 2 * WINDOW_COLUMNS :: 6] = True  # a sixth, as 7/36 of all are kept
    assert window_corner(mask) == (0, 2 * WINDOW_COLUMNS)
    assert window_corner(mask[:5, :7]) == (0, 0)


def test_an_inspection_without_pictures_does_not_load_matplotlib() -> None:
    program = "import gatherline.inspection, sys; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.slow
def test_random_zeros_of_a_whole_resnet50_are_called_unstructured() -> None:
    network = gl.load("resnet50")
    random = np.random.default_rng(0)
    pruned = {
        layer.name: network.weights[layer.name] * (random.random(network.weights[layer.name].shape) < 0.1)
        for layer in network.matrix_layers
        if isinstance(layer, MatrixLayer)
    }
    network = replace(network, weights=pruned)
    found = inspect_network(network, {}, Questions())
    assert all(row["patterns"] == {"unstructured": 1.0} for row in found.rows if row["kept"])
