"""How sparse each layer becomes: uniform, one threshold, Erdos-Renyi-Kernel, or as a list says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from traces.builder import NetworkBuilder
from traces.layer import Network
from traces.ratios import (
    RatioError,
    layer_sparsities,
    listed_sparsities,
    named_layers,
    read_ratios,
    tensor_extents,
)


def network() -> Network:
    """A stem, a wide and a narrow convolution, a depthwise one, a classifier."""
    rng = np.random.default_rng(0)
    net = NetworkBuilder("net")
    x = net.input("x", (1, 3, 8, 8))
    x = net.conv("stem", x, rng.normal(size=(8, 3, 3, 3)).astype(np.float32), "a", padding=(1, 1, 1, 1))
    x = net.conv("wide", x, 4 * rng.normal(size=(64, 8, 3, 3)).astype(np.float32), "b", padding=(1, 1, 1, 1))
    x = net.conv("narrow", x, rng.normal(size=(8, 64, 1, 1)).astype(np.float32), "c")
    x = net.conv("dw", x, rng.normal(size=(8, 1, 3, 3)).astype(np.float32), "d", groups=8)
    x = net.view("flat", x, (1, 8 * 6 * 6))
    return net.build([net.linear("fc", x, rng.normal(size=(10, 288)).astype(np.float32), "e")])


SIZES = {"stem": 8 * 27, "wide": 64 * 72, "narrow": 8 * 64, "dw": 8 * 9, "fc": 10 * 288}


def removed(sparsities: dict[str, float]) -> float:
    return sum(sparsities[name] * SIZES[name] for name in sparsities)


def test_uniform_ratios_are_the_target_in_each_layer_that_is_pruned() -> None:
    assert layer_sparsities(network(), "uniform", 0.9, {"stem", "fc"}) == {"wide": 0.9, "narrow": 0.9, "dw": 0.9}


def test_global_ratios_come_from_one_threshold_and_remove_the_target_in_total() -> None:
    found = layer_sparsities(network(), "global", 0.6, {"dw"})
    assert removed(found) == round(0.6 * (sum(SIZES.values()) - SIZES["dw"]))
    ranked = {name: np.sort(np.abs(network().weights[name]).reshape(-1)) for name in found}
    dropped = [ranked[name][round(found[name] * SIZES[name]) - 1] for name in found]
    kept = [ranked[name][round(found[name] * SIZES[name])] for name in found]
    assert max(dropped) < min(kept)
    assert found["wide"] < found["narrow"]  # its weights are four times as large


def test_a_layer_whose_weights_all_lie_below_the_global_threshold_has_sparsity_one() -> None:
    net = network()
    weights = dict(net.weights) | {"narrow": net.weights["narrow"] * np.float32(1e-6)}
    small = Network(
        name="n", layers=net.layers, tensors=net.tensors, inputs=net.inputs, outputs=net.outputs, weights=weights
    )
    assert layer_sparsities(small, "global", 0.9)["narrow"] == 1.0


def test_erk_densities_follow_the_sum_over_the_product_of_a_tensors_extents() -> None:
    found = layer_sparsities(network(), "erk", 0.9, {"stem", "dw", "narrow"})
    wide, fc = (64 + 8 + 3 + 3) / (64 * 8 * 3 * 3), (10 + 288) / (10 * 288)
    scale = 0.1 * (SIZES["wide"] + SIZES["fc"]) / (wide * SIZES["wide"] + fc * SIZES["fc"])
    assert found == pytest.approx({"wide": 1 - scale * wide, "fc": 1 - scale * fc})


def test_erk_caps_a_layer_at_dense_and_gives_what_is_left_to_the_others() -> None:
    found = layer_sparsities(network(), "erk", 0.5)
    assert found["dw"] == 0.0
    stem, fc = (8 + 3 + 3 + 3) / (8 * 3 * 3 * 3), (10 + 288) / (10 * 288)
    assert (1 - found["stem"]) / (1 - found["fc"]) == pytest.approx(stem / fc)
    assert removed(found) == pytest.approx(0.5 * sum(SIZES.values()))
    assert all(0.0 <= value < 1.0 for value in found.values())


def test_erk_at_no_sparsity_leaves_all_dense() -> None:
    assert set(layer_sparsities(network(), "erk", 0.0).values()) == {0.0}


def test_extents_are_those_of_the_tensor_as_a_framework_stores_it() -> None:
    found = {layer.name: tensor_extents(layer) for layer in network().matrix_layers}
    assert found == {
        "stem": (8, 3, 3, 3), "wide": (64, 8, 3, 3), "narrow": (8, 64, 1, 1), "dw": (8, 1, 3, 3), "fc": (10, 288),
    }  # fmt: skip


def test_a_list_names_layers_exactly_or_by_glob_and_the_exact_name_wins(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('"*r*" = 0.5\nnarrow = 0.75\n')
    entries = read_ratios(tmp_path / "r.toml")
    assert listed_sparsities(network(), entries) == {"narrow": 0.75}
    (tmp_path / "r.csv").write_text("layer,macs,sparsity\nw*,7,0.5\nfc,9,0.25\n")
    assert listed_sparsities(network(), read_ratios(tmp_path / "r.csv"), {"fc"}) == {"wide": 0.5, "fc": 0.25}


def test_dotted_keys_and_tables_of_toml_are_layer_names_with_dots(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("layer1.0.conv1 = 0.5\n[layer2]\nconv1 = 0.25\n")
    assert read_ratios(tmp_path / "r.toml") == {"layer1.0.conv1": 0.5, "layer2.conv1": 0.25}


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("r.toml", "wide = 1.0", "wide is 1.0"),
        ("r.toml", "wide = nan", "wide is nan"),
        ("r.toml", "wide = true", "wide has True"),
        ("r.toml", "wide = ", "not TOML"),
        ("r.toml", "", "lists no layer"),
        ("r.toml", 'a.b = 0.1\n"a.b" = 0.2', "twice"),
        ("r.csv", "layer,density\nwide,0.1\n", "columns layer and sparsity"),
        ("r.csv", "layer,sparsity\nwide,much\n", "'much'"),
        ("r.csv", "layer,sparsity\nwide,0.1\nwide,0.2\n", "twice"),
        ("r.txt", "wide = 0.1", "suffix"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_by_file_and_value(
    tmp_path: Path, name: str, text: str, error: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RatioError, match=error):
        read_ratios(tmp_path / name)


def test_an_unknown_layer_is_named_with_the_nearest_one() -> None:
    with pytest.raises(RatioError, match=r"wied; did you mean wide\?"):
        listed_sparsities(network(), {"wied": 0.5})
    with pytest.raises(RatioError, match=r"narow; did you mean narrow\?"):
        named_layers(network(), ["narow"])


def test_words_name_the_first_the_last_and_depthwise_layers() -> None:
    found = named_layers(network(), ["first", "last", "depthwise", "w*"])
    assert found == {"stem": "first", "fc": "last", "dw": "depthwise", "wide": "w*"}


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, float("nan")])
def test_a_sparsity_outside_zero_to_one_is_refused(sparsity: float) -> None:
    with pytest.raises(RatioError, match="sparsity is"):
        layer_sparsities(network(), "erk", sparsity)
