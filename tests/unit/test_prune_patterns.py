"""``simulate prune`` with every pattern there is, on layers of each kind: what is reached, and what is said."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import gatherline as gl
from patterns.catalog import ALL_PATTERNS, parse_pattern
from tests.mixed_onnx import write_mixed
from traces.layout import column_banks
from traces.lower.onnx_file import read_onnx
from traces.matching import pattern_banks

EXAMPLES = [kind.example for kind in ALL_PATTERNS if kind.name != "dense"]
TOO_NARROW = {"bank_balanced:16": ["dw"]}  # a depthwise row has 9 columns


def by_layer(rows: list[dict[str, object]]) -> dict[str, Mapping[str, object]]:
    return {str(row["layer"]): row for row in rows}


@pytest.mark.parametrize("spelling", EXAMPLES)
def test_rows_say_what_the_written_file_holds(spelling: str, tmp_path: Path) -> None:
    source, out = write_mixed(tmp_path / "m.onnx"), tmp_path / "o.onnx"
    report = gl.prune(source, out, pattern=spelling, sparsity=0.75, prune_all=True, keep=TOO_NARROW.get(spelling, []))
    before, network = read_onnx(source), read_onnx(out)
    rows = by_layer(report.rows)
    kept = 0
    for layer in network.matrix_layers:
        row, weights = rows[layer.name], network.weights[layer.name]
        assert row["density"] == np.count_nonzero(weights) / before.weights[layer.name].size
        kept += np.count_nonzero(weights)
        if row["check"] is None:
            continue
        rule = parse_pattern(str(row["pattern"]))
        found = rule.check(weights != 0, column_banks(layer, pattern_banks(rule)))
        assert row["check"] == "holds" if found is None else str(row["check"]).endswith(found.text)
        reached, asked = float(str(row["sparsity_of_pruned"])), 0.75
        assert abs(reached - asked) <= 0.005 or f"sparsity {reached:.4f} where 0.75 was asked" in str(row["reason"])
    assert rows["total"]["density"] == kept / sum(before.weights[layer.name].size for layer in before.matrix_layers)


@pytest.mark.parametrize("spelling", EXAMPLES)
def test_convolutions_and_pointwise_layers_obey_every_pattern(spelling: str, tmp_path: Path) -> None:
    report = gl.prune(write_mixed(tmp_path / "m.onnx"), tmp_path / "o.onnx", pattern=spelling, sparsity=0.75)
    rows = by_layer(report.rows)
    wanted = {None} if spelling == "channel" else {"holds"}
    assert {rows[name]["check"] for name in ("point", "middle")} == wanted
    assert {rows[name]["check"] for name in ("first", "dw", "head")} == {None}
    middle = float(str(rows["middle"]["sparsity_of_pruned"]))
    fixed = parse_pattern(spelling).fixes_density
    if spelling == "channel":
        assert middle == pytest.approx(1 - 0.25 * 0.25)  # rows and columns go
    else:
        assert middle == pytest.approx(0.5 if fixed else 0.75, abs=0.01)


@pytest.mark.parametrize("spelling", ["n_of_m:2,4", "n_of_m_both:2,4", "n_of_m:1,4"])
def test_a_fixed_density_needs_no_sparsity_and_is_what_is_asked(spelling: str, tmp_path: Path) -> None:
    report = gl.prune(write_mixed(tmp_path / "m.onnx"), tmp_path / "o.onnx", pattern=spelling)
    n, m = (int(number) for number in spelling.partition(":")[2].split(","))
    row = by_layer(report.rows)["middle"]
    assert row["sparsity_target"] == row["sparsity_of_pruned"] == 1 - n / m


@pytest.mark.parametrize(
    ("spelling", "instead"), [("kernel_pattern", "unstructured"), ("block_punched:8x4", "block:8x4")]
)
def test_a_pattern_of_windows_falls_back_on_1x1_and_says_so(spelling: str, instead: str, tmp_path: Path) -> None:
    rows = by_layer(
        gl.prune(write_mixed(tmp_path / "m.onnx"), tmp_path / "o.onnx", pattern=spelling, sparsity=0.75).rows
    )
    assert rows["middle"]["pattern"] == spelling
    assert rows["point"]["pattern"] == instead
    assert "not 1x1" in str(rows["point"]["reason"])


NESTING = [example for example in EXAMPLES if parse_pattern(example).nests and not parse_pattern(example).fixes_density]


@pytest.mark.parametrize("spelling", [*(one for one in NESTING if one != "channel"), "channel:0.25+gs:16,16"])
def test_levels_of_every_pattern_that_nests_run(spelling: str, tmp_path: Path) -> None:
    out = tmp_path / "o.onnx"
    gl.prune(write_mixed(tmp_path / "m.onnx"), out, pattern=spelling, levels=[0.9, 0.75])
    dense, one, two = (gl.run(str(out), devices=["gs-tcm"], level=level).rows[-1] for level in (None, 1, 2))
    assert dense["density"] == two["density"]
    assert float(str(one["density"])) < float(str(two["density"]))
    assert int(str(one["macs_effectual"])) < int(str(two["macs_effectual"]))
