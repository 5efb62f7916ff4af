"""A ``.pt2`` read without torch gives the hand counts, the weights that torch has, and one line for bad input."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models import ALL_MODELS, TinyModel
from traces.layer import MatrixLayer, ModelError, Network, ProductLayer, VectorLayer
from traces.lower.pt2_file import read_pt2
from traces.lower.torch_module import lower_module

pytestmark = pytest.mark.filterwarnings("ignore")
Export = Callable[[str], Path]


def counts(network: Network) -> tuple[tuple[str, int], ...]:
    return tuple((layer.kind, layer.macs) for layer in network.layers if isinstance(layer, MatrixLayer | ProductLayer))


def by_name(name: str) -> TinyModel:
    return next(model for model in ALL_MODELS if model.name == name)


def save(module: Any, args: tuple[Any, ...], path: Path, **options: Any) -> Path:
    import torch

    torch.export.save(torch.export.export(module, args, **options), path)
    return path


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Return a function that exports a tiny model once per session, by name."""
    import torch

    folder = tmp_path_factory.mktemp("pt2")

    def export(name: str) -> Path:
        path = folder / f"{name}.pt2"
        if not path.exists():
            model = by_name(name)
            save(model.build(), (torch.zeros(model.input_shape),), path)
        return path

    return export


@pytest.mark.parametrize("model", ALL_MODELS, ids=lambda model: model.name)
def test_every_layer_does_the_macs_counted_by_hand(model: TinyModel, exported: Export) -> None:
    network = read_pt2(exported(model.name), strict=True)
    assert counts(network) == model.counts
    assert network.macs == model.macs
    kept = sum(int(np.count_nonzero(weight)) for weight in network.weights.values())
    assert kept == model.kept * sum(layer.weight_elements for layer in network.matrix_layers)


@pytest.mark.parametrize("name", ["residual_net", "attention_net", "masked_mlp"])
def test_a_graph_decomposed_to_core_operators_does_the_same_macs(name: str, tmp_path: Path) -> None:
    import torch

    model = by_name(name)
    program = torch.export.export(model.build(), (torch.zeros(model.input_shape),)).run_decompositions()
    torch.export.save(program, tmp_path / "core.pt2")
    assert counts(read_pt2(tmp_path / "core.pt2", strict=True)) == model.counts


def test_a_recurrent_layer_decomposed_into_steps_does_the_same_macs(tmp_path: Path) -> None:
    import torch

    model = by_name("lstm_net")
    program = torch.export.export(model.build(), (torch.zeros(model.input_shape),)).run_decompositions()
    torch.export.save(program, tmp_path / "steps.pt2")
    network = read_pt2(tmp_path / "steps.pt2", strict=True)
    assert network.macs == model.macs
    assert "lstm.weight_hh_l0 is read by 7 layers, and counted in the memory of each" in network.notes


def test_layers_are_named_by_the_path_of_their_weight(exported: Export) -> None:
    names = [layer.name for layer in read_pt2(exported("residual_net")).matrix_layers]
    assert names == ["stem", "depthwise", "pointwise", "grouped", "fc"]
    names = [layer.name for layer in read_pt2(exported("lstm_net")).matrix_layers]
    assert names[:4] == ["lstm.l0.ih", "lstm.l0.hh", "lstm.l0_reverse.ih", "lstm.l0_reverse.hh"]


def test_the_masks_of_torch_prune_are_folded_into_the_weights(exported: Export) -> None:
    network, model = read_pt2(exported("masked_mlp")), by_name("masked_mlp").build()
    assert [layer.name for layer in network.matrix_layers] == ["0", "2"]
    np.testing.assert_array_equal(network.weights["0"][0], model[0].weight.detach().numpy())
    assert not any(layer.kind == "mul" for layer in network.layers)


def test_convolution_weights_have_their_input_channels_innermost(exported: Export) -> None:
    weight = by_name("residual_net").build().grouped.weight.detach().numpy()  # [12, 4, 3, 3] in 2 groups
    expected = weight.transpose(0, 2, 3, 1).reshape(2, 12 // 2, 3 * 3 * 4)
    np.testing.assert_array_equal(read_pt2(exported("residual_net")).weights["grouped"], expected)


def test_gates_of_recurrent_layers_are_in_the_order_of_torch(exported: Export) -> None:
    network, cell = read_pt2(exported("lstm_net")), by_name("lstm_net").build().lstm
    for layer in ("l0", "l1", "l0_reverse", "l1_reverse"):
        for product in ("ih", "hh"):
            ours = network.weights[f"lstm.{layer}.{product}"][0]
            np.testing.assert_array_equal(ours, getattr(cell, f"weight_{product}_{layer}").detach().numpy())


def test_a_flatten_tells_how_many_columns_share_a_channel(exported: Export) -> None:
    network = read_pt2(exported("residual_net"))
    assert next(layer for layer in network.matrix_layers if layer.name == "fc").columns_per_channel == 2 * 2


def test_a_batch_norm_after_a_convolution_is_no_layer_and_elsewhere_reads_scale_and_shift() -> None:
    import torch
    from torch import nn

    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4))
    layers = lower_module(net, (torch.zeros(1, 3, 5, 5),)).layers
    assert [layer.kind for layer in layers] == ["conv2d", "activation", "norm"]
    assert isinstance(layers[2], VectorLayer)
    assert (layers[2].weight_elements, layers[2].channelwise) == (2 * 4, True)


def test_weight_norm_folds_into_one_weight() -> None:
    import torch
    from torch import nn

    linear = nn.utils.parametrizations.weight_norm(nn.Linear(6, 4))
    network = lower_module(linear, (torch.zeros(2, 6),), name="net")
    (layer,) = network.matrix_layers
    np.testing.assert_allclose(network.weights[layer.name][0], linear.weight.detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_weights_of_every_float_type_keep_their_values(dtype: str) -> None:
    import torch

    linear = torch.nn.Linear(6, 4).to(getattr(torch, dtype))
    network = lower_module(linear, (torch.zeros(2, 6, dtype=getattr(torch, dtype)),))
    np.testing.assert_array_equal(network.weights["weight"][0], linear.weight.detach().float().numpy())


def test_a_weight_stored_transposed_is_read_through_its_strides() -> None:
    import torch

    linear = torch.nn.Linear(6, 4, bias=False)
    linear.weight = torch.nn.Parameter(torch.randn(6, 4).t())
    network = lower_module(linear, (torch.zeros(2, 6),))
    np.testing.assert_array_equal(network.weights["weight"][0], linear.weight.detach().numpy())


def test_work_without_gradients_is_walked_in_place_and_an_unknown_operator_is_named() -> None:
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x: Any) -> Any:
            with torch.no_grad():
                y = self.fc(x)
            return torch.topk(y, 2)[0]

    module = Net()
    module.train()
    network = lower_module(module, (torch.zeros(2, 4),))
    assert counts(network) == (("linear", 2 * 3 * 4),)
    assert [layer.op for layer in network.layers if layer.kind == "unsupported"] == ["torch.ops.aten.topk.default"]
    assert module.training
    with pytest.raises(ModelError, match=r"node topk .*is not lowered, and strict forbids leaving it out"):
        lower_module(module, (torch.zeros(2, 4),), strict=True)


def test_a_module_that_cannot_be_lowered_is_named() -> None:
    import torch

    class Branch(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x if x.sum() > 0 else -x

    with pytest.raises(ModelError, match=r"model branch: torch\.export cannot export it: "):
        lower_module(Branch(), (torch.zeros(2, 4),), name="branch")
    with pytest.raises(ModelError, match=r"model dict: a dict, and must be a torch\.nn\.Module"):
        lower_module({}, (torch.zeros(2, 4),))
    with pytest.raises(ModelError, match="model ReLU: no layer with a matrix product was found"):
        lower_module(torch.nn.ReLU(), (torch.zeros(2, 4),))


@pytest.mark.slow
def test_resnet50_does_the_macs_that_its_paper_states() -> None:
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification

    model = ResNetForImageClassification(ResNetConfig(num_labels=1000)).eval()
    network = lower_module(model, (torch.zeros(1, 3, 224, 224),), strict=True)
    assert round(network.macs / 10**6) == 4089


@pytest.fixture(scope="session")
def symbolic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolution, a pool and a linear layer over the pixels, with batch, height and width left open."""
    import torch
    from torch import nn
    from torch.export import Dim

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
            self.fc = nn.Linear(4, 5)

        def forward(self, x: Any) -> Any:
            y = nn.functional.avg_pool2d(self.conv(x), 2).flatten(2).transpose(1, 2)
            return self.fc(y.reshape(-1, 4))

    path = tmp_path_factory.mktemp("symbolic") / "open.pt2"
    dims = ({0: Dim("batch"), 2: Dim("height", min=8, max=512), 3: Dim("width", min=8)},)
    return save(Net(), (torch.zeros(2, 3, 32, 32),), path, dynamic_shapes=dims)


def test_symbolic_dimensions_follow_the_input_shape(symbolic: Path) -> None:
    pixels = (64 // 2) * (32 // 2)
    for shapes in ((4, 3, 64, 32), {"x": (4, 3, 64, 32)}):
        network = read_pt2(symbolic, input_shapes=shapes)
        assert counts(network) == (("conv2d", 4 * 4 * (3 * 3 * 3) * pixels), ("linear", 4 * 5 * 4 * pixels // 4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"open.pt2: input x: dimension 0 \(s\d+\) is open, and --input-shape or --batch must fix it"),
        ({"batch": 2}, r"open.pt2: input x: dimension 2 \(s\d+\) is open, and --input-shape must fix it"),
        ({"input_shapes": (1, 4, 32, 32)}, r"input x: dimension 1 is to be 4, and the file fixes it at 3"),
        ({"input_shapes": (1, 3, 600, 32)}, r"is to be 600, and the file was exported for 8 to 512"),
        ({"input_shapes": (1, 3, 32)}, r"input x: shape \(1, 3, 32\) has 3 dimensions, and the file has 4"),
        ({"input_shapes": {"y": (1, 3, 32, 32)}}, r"there is no input y; known are x"),
        ({"input_shapes": (1, 3, 0, 32)}, r"every extent must be at least 1"),
        ({"input_shapes": (1, 3, 32, 32), "batch": 2}, r"batch is 2, and --input-shape says 1"),
    ],
)
def test_a_shape_that_does_not_fit_is_named(symbolic: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_pt2(symbolic, **options)


def test_reading_imports_neither_torch_nor_pickle_loads(exported: Export) -> None:
    code = (
        "import sys, pickle\n"
        "def refuse(*args, **kwargs): raise SystemExit('a pickle was opened')\n"
        "pickle.load = pickle.loads = pickle.Unpickler = refuse\n"
        "from traces.lower.read import read_model\n"
        f"network = read_model({str(exported('masked_mlp'))!r})\n"
        "print(network.macs, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(by_name("masked_mlp").macs), "False"]


def test_the_same_file_gives_the_same_network_under_another_name(exported: Export, tmp_path: Path) -> None:
    copy = tmp_path / "renamed.pt2"
    copy.write_bytes(exported("masked_mlp").read_bytes())
    ours, theirs = read_pt2(copy), read_pt2(exported("masked_mlp"))
    assert (ours.layers, ours.digest, ours.name) == (theirs.layers, theirs.digest, "renamed")
