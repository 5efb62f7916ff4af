"""The built-in model ``digits``: the committed files are what ``digits.json`` says they are."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from patterns.gs import GatherScatter
from traces.layer import MatrixLayer, Network
from traces.layout import column_banks
from traces.lower.read import read_model

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "gatherline" / "models"
PRUNED = ("conv2", "conv3")
BANKS = 16


def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_digits", ROOT / "examples" / "train_digits.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def card() -> dict[str, Any]:
    return json.loads((MODELS / "digits.json").read_text())


@pytest.fixture(scope="module", params=["digits.onnx", "digits.pt2"])
def network(request: pytest.FixtureRequest) -> Network:
    return read_model(MODELS / request.param)


@pytest.mark.parametrize("name", ["digits.onnx", "digits.pt2"])
def test_each_file_is_below_300_kb_and_names_no_path_of_the_machine_that_made_it(name: str) -> None:
    content = (MODELS / name).read_bytes()
    assert len(content) < 300_000
    assert str(ROOT).encode() not in content
    assert b"site-packages" not in content
    assert b"stack_trace" not in content


def test_the_layers_have_the_macs_of_the_network_that_was_trained(network: Network) -> None:
    kernel = 3 * 3
    assert [layer.macs for layer in network.matrix_layers] == [
        32 * (kernel * 1) * (8 * 8),
        64 * (kernel * 32) * (8 * 8),
        64 * (kernel * 64) * (4 * 4),
        10 * (64 * 2 * 2),
    ]


def pruned_layers(network: Network) -> list[MatrixLayer]:
    first, *middle, classifier = network.matrix_layers
    assert np.count_nonzero(network.weights[first.name]) == first.weight_elements
    assert np.count_nonzero(network.weights[classifier.name]) == classifier.weight_elements
    assert len(middle) == len(PRUNED)
    return middle


def test_the_layers_between_the_first_and_the_classifier_are_strictly_gs_16_1(network: Network) -> None:
    pattern = GatherScatter(banks=BANKS, k=1)
    for layer in pruned_layers(network):
        mask = network.weights[layer.name] != 0
        banks = column_banks(layer, BANKS)
        assert pattern.check(mask, banks=banks) is None
        assert pattern.explained(mask, banks=banks) == 1.0  # fill: kept weights over slots


def test_the_layers_between_the_first_and_the_classifier_keep_a_tenth(network: Network, card: dict[str, Any]) -> None:
    for name, layer in zip(PRUNED, pruned_layers(network), strict=True):
        kept = int(np.count_nonzero(network.weights[layer.name]))
        assert kept == card["layers"][name]["kept"]
        assert layer.weight_elements == card["layers"][name]["weights"]
        assert kept / layer.weight_elements == pytest.approx(0.10, abs=0.01)


def test_both_files_hold_the_same_weights() -> None:
    onnx_file, pt2_file = read_model(MODELS / "digits.onnx"), read_model(MODELS / "digits.pt2")
    for a, b in zip(onnx_file.matrix_layers, pt2_file.matrix_layers, strict=True):
        np.testing.assert_array_equal(onnx_file.weights[a.name], pt2_file.weights[b.name])


def test_the_card_counts_what_is_in_the_file(card: dict[str, Any]) -> None:
    kernel = 3 * 3
    weights = 32 * kernel + 64 * kernel * 32 + 64 * kernel * 64 + 10 * (64 * 2 * 2)
    biases = 32 + 64 + 64 + 10
    assert card["parameters"] == weights + biases
    dropped = sum(layer["weights"] - layer["kept"] for layer in card["layers"].values())
    assert card["parameters_nonzero"] == weights + biases - dropped


def test_onnxruntime_reproduces_the_accuracy_of_the_card(card: dict[str, Any]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    data = example().read_digits(card["seed"])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(MODELS / "digits.onnx", options, providers=["CPUExecutionProvider"])
    logits = [session.run(None, {"image": image[None]})[0] for image in data.test_x.numpy()]
    digits = np.concatenate(logits).argmax(axis=1)
    right = int((digits == data.test_y.numpy()).sum())
    assert right == card["correct"]["fine_tuned"]
    assert len(digits) == card["test_images"]
    assert card["accuracy"]["fine_tuned"] == right / len(digits)
    assert card["accuracy"]["fine_tuned"] >= 0.97


@pytest.mark.slow
def test_the_example_trains_prunes_and_exports_a_model_that_is_strictly_gs_16_1(tmp_path: Path) -> None:
    example().main(["--out", str(tmp_path), "--epochs", "2", "--fine-tune-epochs", "2"])
    made = read_model(tmp_path / "digits.onnx")
    for layer in pruned_layers(made):
        mask = made.weights[layer.name] != 0
        assert GatherScatter(banks=BANKS, k=1).check(mask, banks=column_banks(layer, BANKS)) is None
