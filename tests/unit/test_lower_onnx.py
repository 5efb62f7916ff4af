"""ONNX files of both torch exporters give the hand counts, layer by layer, and the weights that torch has."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models import ALL_MODELS, TinyModel
from traces.layer import MatrixLayer, ModelError, Network, ProductLayer, UnsupportedLayer
from traces.lower.read import read_model

EXPORTERS = ("dynamo", "torchscript")
Export = Callable[..., Path]


def counts(network: Network) -> tuple[tuple[str, int], ...]:
    return tuple((layer.kind, layer.macs) for layer in network.layers if isinstance(layer, MatrixLayer | ProductLayer))


def export_onnx(model: Any, args: tuple[Any, ...], path: Path, exporter: str, **options: Any) -> Path:
    import torch

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    if exporter == "dynamo":
        options = {"external_data": False, **options}
    torch.onnx.export(model, args, str(path), dynamo=exporter == "dynamo", verbose=False, **options)
    return path


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Return a function that exports a tiny model once per session, by name and exporter."""
    import torch

    folder = tmp_path_factory.mktemp("onnx")
    made: dict[tuple[str, str], Path] = {}

    def export(model: TinyModel, exporter: str) -> Path:
        key = (model.name, exporter)
        if key not in made:
            path = folder / f"{model.name}_{exporter}.onnx"
            made[key] = export_onnx(model.build(), (torch.zeros(model.input_shape),), path, exporter)
        return made[key]

    return export


def by_name(name: str) -> TinyModel:
    return next(model for model in ALL_MODELS if model.name == name)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("model", ALL_MODELS, ids=lambda model: model.name)
def test_both_exporters_give_the_hand_counts_layer_by_layer(model: TinyModel, exporter: str, exported: Export) -> None:
    network = read_model(exported(model, exporter), strict=True)
    assert counts(network) == model.counts
    assert network.macs == model.macs
    kept = sum(int(np.count_nonzero(weight)) for weight in network.weights.values())
    assert kept == model.kept * sum(layer.weight_elements for layer in network.matrix_layers)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", ALL_MODELS, ids=lambda model: model.name)
def test_weighted_layers_have_the_same_names_and_weights_from_both_exporters(
    model: TinyModel, exported: Export
) -> None:
    dynamo, script = (read_model(exported(model, exporter)) for exporter in EXPORTERS)
    assert [layer.name for layer in dynamo.matrix_layers] == [layer.name for layer in script.matrix_layers]
    for layer in dynamo.matrix_layers:
        np.testing.assert_allclose(dynamo.weights[layer.name], script.weights[layer.name], rtol=1e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_gates_of_recurrent_layers_are_in_the_order_of_torch(exporter: str, exported: Export) -> None:
    for name, module, layers in (
        ("lstm_net", "lstm", ("l0", "l1", "l0_reverse", "l1_reverse")),
        ("gru_net", "gru", ("l0",)),
    ):
        network = read_model(exported(by_name(name), exporter))
        cell = getattr(by_name(name).build(), module)
        for layer in layers:
            for product in ("ih", "hh"):
                ours = network.weights[f"{module}.{layer}.{product}"][0]
                np.testing.assert_array_equal(ours, getattr(cell, f"weight_{product}_{layer}").detach().numpy())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_convolution_weights_have_their_input_channels_innermost(exporter: str, exported: Export) -> None:
    network = read_model(exported(by_name("residual_net"), exporter))
    weight = by_name("residual_net").build().grouped.weight.detach().numpy()  # [12, 4, 3, 3] in 2 groups
    expected = weight.transpose(0, 2, 3, 1).reshape(2, 12 // 2, 3 * 3 * 4)
    np.testing.assert_array_equal(network.weights["grouped"], expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_flatten_tells_how_many_columns_share_a_channel(exporter: str, exported: Export) -> None:
    network = read_model(exported(by_name("residual_net"), exporter))
    assert next(layer for layer in network.matrix_layers if layer.name == "fc").columns_per_channel == 2 * 2


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_bias_is_no_layer_even_where_it_follows_a_matmul_as_an_add(exporter: str, exported: Export) -> None:
    network = read_model(exported(by_name("attention_net"), exporter))
    assert sum(layer.kind == "add" for layer in network.layers) == 2  # the two residual joins


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("masked_mlp", {"optimize": False}),
        ("lstm_net", {"optimize": False}),
        ("attention_net", {"opset_version": 23}),
    ],
    ids=["masks", "slices of LSTM weights", "fused attention"],
)
def test_masks_slices_and_fused_attention_are_lowered_from_the_raw_graph(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    import torch

    model = by_name(name)
    path = export_onnx(model.build(), (torch.zeros(model.input_shape),), tmp_path / "m.onnx", "dynamo", **options)
    network = read_model(path, strict=True)
    assert counts(network) == model.counts
    weights = list(network.weights.values())
    kept = sum(int(np.count_nonzero(weight)) for weight in weights)
    assert kept == model.kept * sum(weight.size for weight in weights)


@pytest.mark.filterwarnings("ignore")
def test_an_open_batch_needs_a_value_and_scales_the_counts(tmp_path: Path) -> None:
    import torch

    model = by_name("attention_net")
    path = export_onnx(
        model.build(), (torch.zeros(2, *model.input_shape[1:]),), tmp_path / "m.onnx", "dynamo",
        dynamic_shapes=({0: torch.export.Dim("n", min=1, max=64)},),
    )  # fmt: skip
    with pytest.raises(
        ModelError, match=r"input x: dimension 0 \(\w+\) is open, and --input-shape or --batch must fix"
    ):
        read_model(path)
    assert counts(read_model(path, batch=1, strict=True)) == model.counts
    assert read_model(path, batch=5, strict=True).macs == 5 * model.macs
    assert read_model(path, input_shapes=(3, 3, 8, 8), strict=True).macs == 3 * model.macs
    with pytest.raises(ModelError, match="batch is 4, and --input-shape says 3"):
        read_model(path, input_shapes={"x": (3, 3, 8, 8)}, batch=4)
    with pytest.raises(ModelError, match="dimension 2 is to be 9, and the file fixes it at 8"):
        read_model(path, input_shapes=(1, 3, 9, 8))


@pytest.mark.filterwarnings("ignore")
def test_a_fixed_batch_stays_and_may_be_repeated(exported: Export) -> None:
    path = exported(by_name("masked_mlp"), "torchscript")
    assert read_model(path, batch=3).macs == by_name("masked_mlp").macs
    with pytest.raises(ModelError, match=r"the batch \(dimension 0\) is to be 1, and the file fixes it at 3"):
        read_model(path, batch=1)


def resnet18_macs(pixels: int) -> int:
    """Multiply-accumulates of ResNet-18 on a square image, stage by stage, classifier included."""
    side = pixels // 4  # after the stem and its pool, each of stride 2
    total = 64 * (7 * 7 * 3) * (pixels // 2) ** 2
    for width, before in ((64, 64), (128, 64), (256, 128), (512, 256)):
        side = side if width == before else side // 2
        total += (9 * before * width + 3 * 9 * width * width) * side**2
        total += 0 if width == before else before * width * side**2  # the projection of the shortcut
    return total + 512 * 1000


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_resnet_18_has_its_hand_count(exporter: str, tmp_path: Path) -> None:
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(
        embedding_size=64, hidden_sizes=[64, 128, 256, 512], depths=[2] * 4, layer_type="basic", num_labels=1000
    )
    model = ResNetForImageClassification(config).eval()
    path = export_onnx(model, (torch.zeros(1, 3, 64, 64),), tmp_path / "resnet18.onnx", exporter)
    network = read_model(path, strict=True)
    assert network.macs == resnet18_macs(64)
    assert [layer.kind for layer in network.matrix_layers] == ["conv2d"] * 20 + ["linear"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exporter", EXPORTERS)
def test_a_vision_transformer_has_its_hand_count(exporter: str, tmp_path: Path) -> None:
    import torch
    from transformers import ViTConfig, ViTForImageClassification

    width, hidden, blocks, patches, labels = 48, 96, 2, (32 // 8) ** 2, 10
    config = ViTConfig(
        hidden_size=width, num_hidden_layers=blocks, num_attention_heads=3, intermediate_size=hidden,
        image_size=32, patch_size=8, num_labels=labels,
    )  # fmt: skip
    model = ViTForImageClassification(config).eval()
    path = export_onnx(model, (torch.zeros(1, 3, 32, 32),), tmp_path / "vit.onnx", exporter)
    network = read_model(path, strict=True)
    tokens = patches + 1
    block = tokens * (4 * width * width + 2 * width * hidden) + 2 * tokens * tokens * width
    assert network.macs == patches * width * (8 * 8 * 3) + blocks * block + width * labels
    assert sum(isinstance(layer, ProductLayer) for layer in network.layers) == 2 * blocks
    assert not any(isinstance(layer, UnsupportedLayer) for layer in network.layers)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_bert_has_its_hand_count_and_its_tables_are_embeddings(tmp_path: Path) -> None:
    import torch
    from transformers import BertConfig, BertModel

    config = BertConfig(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=3, intermediate_size=96, vocab_size=100
    )
    path = export_onnx(BertModel(config).eval(), (torch.zeros(2, 12, dtype=torch.long),), tmp_path / "b.onnx", "dynamo")
    network = read_model(path, strict=True)
    block = 12 * (4 * 48 * 48 + 2 * 48 * 96) + 2 * 12 * 12 * 48
    assert network.macs == 2 * (2 * block + 48 * 48)  # the pooler reads one token
    words = next(layer for layer in network.layers if layer.kind == "embedding")
    assert (words.weight_elements, words.stored_weight_elements) == (2 * 12 * 48, 100 * 48)


@pytest.mark.filterwarnings("ignore")
def test_reading_an_onnx_file_imports_no_torch(exported: Export) -> None:
    import subprocess
    import sys

    path = exported(by_name("masked_mlp"), "torchscript")
    code = (
        "import sys; from traces.lower.read import read_model; "
        f"read_model({str(path)!r}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
