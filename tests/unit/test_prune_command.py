"""``simulate prune``: which layers, what is told, and one line for what cannot be."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatherline.api import prune
from gatherline.cli import main
from gatherline.loading import resolve_model
from patterns.catalog import parse_pattern
from traces.layout import column_banks
from traces.lower.onnx_file import read_onnx

LAYERS = ["conv1", "conv2", "conv3", "fc"]


def simulate(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(["prune", *arguments])
    captured = capsys.readouterr()
    assert isinstance(end.value.code, int)
    return end.value.code, captured.out, captured.err


def densities(report: Any) -> dict[str, float]:
    return {row["layer"]: row["density"] for row in report.rows}


def test_the_command_writes_tells_and_reads_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.onnx"
    code, text, errors = simulate(
        capsys, "digits", "--pattern", "gs:16,1", "--sparsity", "0.95", "-o", str(out), "--json"
    )
    assert (code, errors) == (0, "")
    report = json.loads(text)
    assert [row["layer"] for row in report["rows"]] == [*LAYERS, "total"]
    network = read_onnx(out)
    for row in report["rows"][:-1]:
        weights = network.weights[row["layer"]]
        assert row["density"] == np.count_nonzero(weights) / weights.size
    code, text, _ = simulate(capsys, "digits", "--pattern", "gs:16,1", "--sparsity", "0.95", "-o", str(out))
    assert code == 0
    assert "the classifier stays dense" in text
    assert f"wrote {out}" in text


def test_the_first_layer_and_the_classifier_stay_unless_all_and_keep_names_more(tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    default = densities(prune("digits", out, pattern="unstructured", sparsity=0.95))
    assert default["conv1"] == default["fc"] == 1.0
    assert default["conv2"] < 0.06
    more = densities(prune("digits", out, pattern="unstructured", sparsity=0.95, keep=["conv2"]))
    assert more["conv2"] > 0.09
    assert more["conv3"] < 0.06
    every = densities(prune("digits", out, pattern="unstructured", sparsity=0.95, prune_all=True))
    assert max(every.values()) < 0.06
    first = densities(prune("digits", out, pattern="unstructured", sparsity=0.95, prune_all=True, keep=["first"]))
    assert first["conv1"] == 1.0
    assert first["fc"] < 0.06


def test_a_weight_that_is_zero_stays_zero(tmp_path: Path) -> None:
    report = prune("digits", tmp_path / "out.onnx", pattern="unstructured", sparsity=0.5)
    before, after = resolve_model("digits"), read_onnx(tmp_path / "out.onnx")
    for name in ("conv2", "conv3"):
        assert np.array_equal(after.weights[name], before.weights[name])
    row = next(row for row in report.rows if row["layer"] == "conv2")
    assert "zeros of the model stay" in str(row["reason"])


def test_kept_norms_are_shares_of_the_norms_before(tmp_path: Path) -> None:
    report = prune("digits", tmp_path / "out.onnx", pattern="block:1x4", sparsity=0.5, prune_all=True)
    before, after = resolve_model("digits").weights, read_onnx(tmp_path / "out.onnx").weights
    for row in report.rows[:-1]:
        old, new = (np.abs(table[row["layer"]].astype(np.float64)) for table in (before, after))
        assert row["kept_l1"] == pytest.approx(new.sum() / old.sum())
        assert row["kept_l2"] == pytest.approx(math.sqrt((new**2).sum() / (old**2).sum()))
    olds = sum((before[name].astype(np.float64) ** 2).sum() for name in LAYERS)
    news = sum((after[name].astype(np.float64) ** 2).sum() for name in LAYERS)
    assert report.rows[-1]["kept_l2"] == pytest.approx(math.sqrt(news / olds))


def test_the_check_says_where_a_mask_breaks_its_rule(tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    report = prune("digits", out, pattern="gs:16,1", sparsity=0.2, prune_all=True)
    network, rule = read_onnx(out), parse_pattern("gs:16,1")
    for layer, row in zip(network.matrix_layers, report.rows, strict=False):
        mask, banks = network.weights[layer.name] != 0, column_banks(layer, 16)
        found = rule.check(mask, banks)
        assert row["explained"] == rule.explained(mask, banks)
        assert row["check"] == "holds" if found is None else str(row["check"]).endswith(found.text)
    assert report.rows[3]["check"] != "holds", "10 rows are no full bundle of 16"


@pytest.mark.parametrize(("ratios", "equal"), [("global", "unstructured:global"), ("uniform", "unstructured")])
def test_global_ratios_give_what_the_global_pattern_gives(tmp_path: Path, ratios: str, equal: str) -> None:
    one, other = tmp_path / "one.onnx", tmp_path / "other.onnx"
    prune("digits", one, pattern="unstructured", sparsity=0.95, ratios=ratios, prune_all=True)
    prune("digits", other, pattern=equal, sparsity=0.95, prune_all=True)
    assert one.read_bytes() == other.read_bytes()


def test_a_listed_layer_is_pruned_though_it_stays_dense_by_default_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("fc = 0.75\n")
    found = densities(prune("digits", tmp_path / "o.onnx", pattern="unstructured", ratios=tmp_path / "r.toml"))
    assert found["fc"] == 0.25
    assert found["conv1"] == 1.0
    rest = prune("digits", tmp_path / "o.onnx", pattern="unstructured", ratios=tmp_path / "r.toml", sparsity=0.95)
    assert densities(rest)["conv2"] == pytest.approx(0.05, abs=0.001)


def test_a_pattern_that_fixes_the_density_needs_no_sparsity(tmp_path: Path) -> None:
    report = prune("digits", tmp_path / "o.onnx", pattern="n_of_m:2,4", prune_all=True)
    assert {row["sparsity_target"] for row in report.rows} == {0.5}


def test_a_pattern_without_meaning_for_a_layer_says_what_it_did_instead(tmp_path: Path) -> None:
    report = prune("digits", tmp_path / "o.onnx", pattern="kernel_pattern", sparsity=0.95, prune_all=True)
    row = next(row for row in report.rows if row["layer"] == "fc")
    assert row["pattern"] == "unstructured"
    assert "for 3x3 windows" in str(row["reason"])


GOOD = ("--pattern", "gs:16,1", "--sparsity", "0.9")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("digits", "--pattern", "gs:16,1", "-o", "o.onnx"), "needs a sparsity"),
        (("digits", "--pattern", "gss:16,1", "--sparsity", "0.9", "-o", "o.onnx"), "did you mean gs?"),
        (("digits", "--pattern", "gs:16,1", "--sparsity", "1", "-o", "o.onnx"), "below 1"),
        (("digits", "--pattern", "dense", "--sparsity", "0.5", "-o", "o.onnx"), "removes nothing"),
        (("digits", *GOOD, "-o", "o.safetensors"), ".onnx is pruned to .onnx"),
        (("digits", *GOOD, "-o", "none/o.onnx"), "folder none is not there"),
        (("digits", *GOOD, "-o", "o.onnx", "--keep", "cnv2"), "did you mean conv2?"),
        (("digits", *GOOD, "-o", "o.onnx", "--keep", "conv2,,fc"), "--keep is 'conv2,,fc'"),
        (("digits", *GOOD, "-o", "o.onnx", "--keep", "*"), "no layer is left to prune"),
        (("digits", *GOOD, "-o", "o.onnx", "--ratios", "erx"), "did you mean erk?"),
        (("digits", *GOOD, "-o", "o.onnx", "--ratios", "none.toml"), "none.toml: cannot be read"),
        (("digits", *GOOD, "-o", "o.onnx", "--levels", "0.8,0.9"), "both given"),
        (("digits", "--pattern", "gs:16,1", "-o", "o.onnx", "--levels", "0.8,x"), "--levels is '0.8,x'"),
        (("digits", "--pattern", "gs:16,1", "-o", "o.onnx", "--levels", "0.9,0.9"), "all different"),
        (("digits", "--pattern", "n_of_m:2,4", "-o", "o.onnx", "--levels", "0.8,0.9"), "no levels"),
        (
            ("digits", "--pattern", "bank_balanced:500", "--sparsity", "0.5", "-o", "o.onnx"),
            "layer conv2: bank_balanced",
        ),
        (("digts", *GOOD, "-o", "o.onnx"), "did you mean digits?"),
        (("resnet50", *GOOD, "-o", "o.onnx"), "synthetic weights and no file"),
        (("none.onnx", *GOOD, "-o", "o.onnx"), "none.onnx: no such file"),
        (("none.h5", *GOOD, "-o", "o.onnx"), "none.h5"),
    ],
)
def test_what_cannot_be_is_one_line_and_writes_nothing(
    arguments: tuple[str, ...], error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, out, errors = simulate(capsys, *arguments)
    assert (code, out, errors.count("\n")) == (2, "", 1)
    assert error in errors
    assert not list(tmp_path.iterdir())


def test_the_model_itself_is_never_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, link = tmp_path / "m.onnx", tmp_path / "link.onnx"
    prune("digits", model, pattern="unstructured", sparsity=0.5)
    link.symlink_to(model)
    before = model.read_bytes()
    for out in (model, link):
        code, _, errors = simulate(capsys, str(model), *GOOD, "-o", str(out))
        assert code == 2
        assert "never written over" in errors
    assert model.read_bytes() == before
