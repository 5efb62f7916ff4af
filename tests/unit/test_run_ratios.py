"""``--ratios`` in run and trace: each layer's own target, by a method, a list or a published profile."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gatherline as gl
from gatherline.cli import main
from gatherline.request import RequestError
from gatherline.shares import layer_shares
from tests.mixed_onnx import write_mixed
from traces.lower.onnx_file import read_onnx
from traces.masks import kept_dense
from traces.ratios import RatioError, layer_sparsities
from traces.workloads.catalog import built_in
from traces.workloads.mobilenet import MOBILENET_V1
from traces.workloads.profile import overall_sparsity, profile_sparsities, profile_weights
from traces.workloads.profile_catalog import ALL_PROFILES

MATRICES = ("first", "dw", "point", "middle", "head")
Rows = Mapping[str, Mapping[str, Any]]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_mixed(tmp_path / "mixed.onnx")


def rows_of(model: Path | str, pattern: str = "unstructured", **options: Any) -> Rows:
    report = gl.run(str(model), patterns=[pattern], devices=["gs-tcm"], **options)
    return {str(row["layer"]): row for row in report.rows}


def close(density: float, share: float, weights: int) -> bool:
    return abs(density - (1 - share)) <= 1 / weights


@pytest.mark.parametrize("method", ["erk", "global"])
def test_a_method_gives_each_layer_its_own_target_and_the_total_what_was_asked(model: Path, method: Any) -> None:
    rows, network = rows_of(model, sparsities=[0.8], ratios=method), read_onnx(model)
    wanted = layer_sparsities(network, method, 0.8, kept_dense(network, False))
    assert len({round(share, 3) for share in wanted.values()}) > 1
    for name, share in wanted.items():
        assert rows[name]["sparsity_target"] == share
        assert close(rows[name]["density"], share, network.weights[name].size)
    assert {rows[name]["sparsity_target"] for name in MATRICES if name not in wanted} == {None}
    assert rows["total"]["sparsity_target"] == 0.8
    assert {row["sparsity_overall"] for row in rows.values()} == {0.8}
    assert {row["ratios"] for row in rows.values()} == {method}


def test_uniform_is_what_a_run_without_ratios_does(model: Path) -> None:
    plain = gl.run(str(model), patterns=["gs:16,1"], sparsities=[0.8], devices=["gs-tcm"])
    named = gl.run(str(model), patterns=["gs:16,1"], sparsities=[0.8], devices=["gs-tcm"], ratios="uniform")
    assert plain.rows == named.rows
    assert {row["ratios"] for row in plain.rows} == {"uniform"}


@pytest.mark.parametrize("suffix", [".toml", ".csv"])
def test_a_list_names_the_layers_and_all_others_stay(model: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"r{suffix}"
    toml, table = "head = 0.5\nmiddle = 0.9\npoint = 0.0\n", "layer,sparsity\nhead,0.5\nmiddle,0.9\npoint,0\n"
    path.write_text(toml if suffix == ".toml" else table)
    rows, network = rows_of(model, ratios=str(path)), read_onnx(model)
    for name, share in (("head", 0.5), ("middle", 0.9)):
        assert rows[name]["sparsity_target"] == share
        assert close(rows[name]["density"], share, network.weights[name].size)
    assert rows["point"]["density"] == 1.0
    assert rows["point"]["sparsity_target"] == 0.0
    assert "leave it as it is" in rows["point"]["reason"]
    assert "the first layer stays dense" in rows["first"]["reason"]
    sizes = {name: network.weights[name].size for name in ("head", "middle")}
    overall = (0.5 * sizes["head"] + 0.9 * sizes["middle"]) / sum(sizes.values())
    assert rows["total"]["sparsity_target"] == pytest.approx(overall)


@pytest.mark.parametrize(
    "pattern", ["gs:16,1", "gs_scatter:16,4", "block:4x1", "bank_balanced:4", "channel:0.25+gs:4,1"]
)
def test_any_pattern_takes_the_shares_of_a_list(model: Path, tmp_path: Path, pattern: str) -> None:
    (tmp_path / "r.toml").write_text("middle = 0.9\npoint = 0.5\n")
    rows = rows_of(model, pattern, ratios=str(tmp_path / "r.toml"))
    assert rows["middle"]["density"] == pytest.approx(0.1, abs=0.01)
    assert rows["point"]["density"] == pytest.approx(0.5, abs=0.01)


def test_prune_and_run_mean_the_same_ratios(model: Path, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('head = 0.75\n"[mp]*" = 0.6\n')
    for ratios, sparsity in (("erk", 0.8), ("global", 0.8), (str(tmp_path / "r.toml"), None)):
        asked = {} if sparsity is None else {"sparsities": [sparsity]}
        run = rows_of(model, ratios=ratios, **asked)
        out = tmp_path / "o.onnx"
        pruned = gl.prune(model, out, pattern="unstructured", sparsity=sparsity, ratios=ratios).rows
        found = read_onnx(out)
        for row in pruned[:-1]:
            name = str(row["layer"])
            assert (
                run[name]["density"]
                == row["density"]
                == np.count_nonzero(found.weights[name]) / found.weights[name].size
            )
            assert (run[name]["sparsity_target"] or 0.0) == (row["sparsity_target"] or 0.0)
        assert run["total"]["sparsity_target"] == pytest.approx(pruned[-1]["sparsity_target"])


@pytest.mark.parametrize("profile", ALL_PROFILES, ids=lambda profile: profile.name)
def test_every_profile_fits_its_own_network_by_either_name(profile: Any) -> None:
    network = built_in(profile.base.name)
    kept = kept_dense(network, False)
    for name in (profile.name, profile.column):
        shares = layer_shares(network, name, None, kept)
        assert {layer: shares.sparsities[layer] for layer in profile_sparsities(profile)} == profile_sparsities(profile)
        assert set(shares.pruned) | set(shares.reasons) == {layer.name for layer in network.matrix_layers}
    sizes = profile_weights(profile)
    removed = sum(share * sizes[name] for name, share in shares.pruned.items())
    assert removed / sum(sizes.values()) == pytest.approx(overall_sparsity(profile))


def test_a_profile_runs_on_its_network_with_any_pattern() -> None:
    name = "sparsezoo-moderate"
    rows = rows_of("mobilenet_v1", "gs:16,1", ratios=name, input_shape="1,3,32,32")
    profile = next(profile for profile in ALL_PROFILES if profile.column == name)
    sizes = profile_weights(profile)
    for layer, share in profile_sparsities(profile).items():
        assert rows[layer]["sparsity_target"] == share
        assert rows[layer]["density"] <= 1 - share + 16 / sizes[layer] or not share
    dense = [layer for layer, share in profile_sparsities(profile).items() if share == 0.0]
    assert dense
    assert {rows[layer]["density"] for layer in dense} == {1.0}
    assert "leave it as it is" in rows[dense[0]]["reason"]


def test_a_layer_that_a_profile_names_is_pruned_though_it_is_the_first_or_the_last() -> None:
    network = built_in("resnet50")
    kept = kept_dense(network, False)
    assert {"conv1", "fc"} <= set(kept)
    assert {"conv1", "fc"} <= set(layer_shares(network, "str-90.23", None, kept).pruned)
    assert "layer1.0.conv1" in layer_shares(network, "erk-90", None, kept).reasons  # its share is 0: it stays


def test_a_profile_of_another_network_is_refused(model: Path) -> None:
    with pytest.raises(RatioError, match="mobilenet_v1 is another network: it has no layer conv1 with weights"):
        layer_shares(built_in("mobilenet_v1"), "str-90.23", None, {})
    with pytest.raises(RatioError, match="are of bert_base"):
        rows_of(model, ratios="sparsezoo-pruned80")


def test_two_targets_of_a_method_stay_apart_in_rows_and_pictures(model: Path, tmp_path: Path) -> None:
    report = gl.run(str(model), patterns=["gs:16,1"], sparsities=[0.7, 0.9], devices=["gs-tcm"], ratios="erk")
    totals = [row for row in report.rows if row["layer"] == "total"]
    assert [row["sparsity_target"] for row in totals] == [0.7, 0.9]
    layers = [row for row in report.rows if row["sparsity_overall"] == 0.9]
    assert len(layers) == len(report.rows) / 2
    assert {path.name for path in report.write(tmp_path / "out")} >= {"rows.csv", "layers-gs-tcm.png"}
    with (tmp_path / "out" / "rows.csv").open() as stream:
        assert [row["ratios"] for row in csv.DictReader(stream)] == ["erk"] * len(report.rows)


@pytest.mark.parametrize("ratios", ["erk", "list"])
def test_replay_of_a_trace_with_ratios_equals_the_run(model: Path, tmp_path: Path, ratios: str) -> None:
    (tmp_path / "r.toml").write_text("middle = 0.9\npoint = 0.0\n")
    options: dict[str, Any] = {"ratios": str(tmp_path / "r.toml")} if ratios == "list" else {"ratios": "erk"}
    sparsity = None if ratios == "list" else 0.8
    gl.trace(model, tmp_path / "t", pattern="gs:16,1", sparsity=sparsity, device="gs-tcm", **options)
    asked = [] if sparsity is None else [sparsity]
    run = gl.run(str(model), patterns=["gs:16,1"], sparsities=asked, devices=["gs-tcm"], **options)
    assert gl.replay(tmp_path / "t", "gs-tcm").rows == run.rows
    index = tmp_path / "t" / "trace.json"
    changed = json.loads(index.read_text())
    changed["run"]["layer_targets"] = {"middle": "much"}
    index.write_text(json.dumps(changed))
    with pytest.raises(ValueError, match=r"layer_targets\.middle"):
        gl.replay(tmp_path / "t", "gs-tcm")


def test_dense_beside_ratios_stays_dense_and_names_none(model: Path) -> None:
    report = gl.run(str(model), patterns=["dense", "gs:16,1"], sparsities=[0.8], devices=["gs-tcm"], ratios="erk")
    dense = [row for row in report.rows if row["pattern"] == "dense"]
    assert {(row["ratios"], row["sparsity_overall"]) for row in dense} == {(None, None)}
    assert {row["density"] for row in dense} == {1.0, None}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--ratios", "erx", "--sparsity", "0.9"), "did you mean erk?"),
        (("--ratios", "str-90", "--sparsity", "0.9"), "did you mean str-9"),
        (("--ratios", "?", "--sparsity", "0.9"), "simulate list models names the profiles"),
        (("--ratios", "erk"), "ratios erk need a sparsity"),
        (("--ratios", "r.toml", "--sparsity", "0.9"), "sparsities were given too"),
        (("--ratios", "str-90.23", "--sparsity", "0.9"), "sparsities were given too"),
        (("--ratios", "none.toml"), "none.toml: cannot be read"),
        (("--ratios", "bad.toml"), "no layer with weights is called midle; did you mean middle?"),
        (("--ratios", "erk", "--sparsity", "0.9", "--pattern", "channel"), "one ratio for all layers"),
        (("--ratios", "erk", "--sparsity", "0.9", "--pattern", "unstructured:global"), "ratios of its own"),
        (("--ratios", "zero.toml"), "no layer is left to prune"),
        (("--ratios", "str-90.23"), "mixed is another network"),
    ],
)
def test_ratios_that_cannot_be_are_one_line(
    arguments: tuple[str, ...], error: str, model: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(model.parent)
    Path("r.toml").write_text("middle = 0.9\n")
    Path("bad.toml").write_text("midle = 0.9\n")
    Path("zero.toml").write_text("middle = 0\n")
    with pytest.raises(SystemExit) as end:
        main(["run", "mixed.onnx", "--device", "gs-tcm", *arguments])
    captured = capsys.readouterr()
    assert (end.value.code, captured.out, captured.err.count("\n")) == (2, "", 1)
    assert error in captured.err


def test_a_file_with_the_names_of_the_network_is_pruned_to_a_profile(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    tensors: dict[str, np.ndarray] = {}
    rng = np.random.default_rng(0)

    def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
        tensors[name] = rng.standard_normal(shape, dtype=np.float32)
        return tensors[name]

    MOBILENET_V1.build(drawn, 1, (1, 3, 32, 32))
    save_file(tensors, tmp_path / "mine.safetensors")
    report = gl.prune(
        tmp_path / "mine.safetensors", tmp_path / "out.safetensors", pattern="unstructured", arch="mobilenet_v1",
        ratios="sparsezoo-moderate",
    )  # fmt: skip
    profile = next(profile for profile in ALL_PROFILES if profile.column == "sparsezoo-moderate")
    rows, sizes = {str(row["layer"]): row for row in report.rows}, profile_weights(profile)
    for layer, share in profile_sparsities(profile).items():
        assert close(float(str(rows[layer]["density"])), share, sizes[layer])
    with pytest.raises(RequestError, match="say it all"):
        gl.prune(tmp_path / "mine.safetensors", tmp_path / "o.safetensors", pattern="unstructured", sparsity=0.5,
                 arch="mobilenet_v1", ratios="sparsezoo-moderate")  # fmt: skip


def test_a_sparsity_of_0_shared_out_leaves_all_layers_as_they_are(model: Path) -> None:
    rows = rows_of(model, sparsities=[0.0, 0.8], ratios="erk")
    assert rows["total"]["sparsity_target"] == 0.8
    report = gl.run(str(model), patterns=["gs:16,1"], sparsities=[0.0], devices=["gs-tcm"], ratios="erk")
    assert {row["density"] for row in report.rows} == {1.0, None}
    assert "a sparsity of 0" in {str(row["layer"]): str(row["reason"]) for row in report.rows}["middle"]
