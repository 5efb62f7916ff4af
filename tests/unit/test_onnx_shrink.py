"""The ONNX file of a channel-pruned network is smaller, valid, and computes what the masked network does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gatherline
from tests.models import ALL_MODELS
from tests.pruned_models import ALL_PRUNED
from traces.channels import ChannelPlan, prune_channels
from traces.layer import MatrixLayer, ModelError, VectorLayer
from traces.lower.onnx_file import read_onnx
from traces.lower.onnx_shrink import shrink_onnx
from traces.lower.pt2_file import read_pt2

Model = tuple[str, Callable[[], Any], tuple[int, ...]]
DIGITS = Path(gatherline.__file__).parent / "models" / "digits.onnx"
# the newer exporter takes seconds a model: the rest of them are slow tests
BOTH = [
    pytest.param(model, exporter, marks=[pytest.mark.slow] if slow else [], id=f"{model[0]}-{exporter}")
    for model in ALL_PRUNED
    for exporter in ("torchscript", "dynamo")
    for slow in (exporter == "dynamo" and model[0] != "shufflenet",)
]
pytestmark = pytest.mark.filterwarnings("ignore")


def export(net: Any, shape: tuple[int, ...], path: Path, exporter: str = "torchscript", **options: Any) -> Path:
    import torch

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    if exporter == "dynamo":
        options = {"external_data": False, **options}
    torch.onnx.export(net, (torch.zeros(shape),), str(path), dynamo=exporter == "dynamo", verbose=False, **options)
    return path


def built(model: Model) -> Any:
    import torch

    torch.manual_seed(0)
    return model[1]().eval()


def named(name: str) -> Model:
    return next(model for model in ALL_PRUNED if model[0] == name)


def outputs(path: Path, x: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: x})[0])


def random_input(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


def mask(net: Any, plan: ChannelPlan) -> None:
    """Set to zero what each layer of a torch model takes from the channels that the plan removes."""
    import torch

    with torch.no_grad():
        for name, columns in plan.columns.items():
            layer = net.get_submodule(name)
            groups, (co, ci) = getattr(layer, "groups", 1), layer.weight.shape[:2]
            stays = np.zeros(groups * ci, dtype=np.float32)
            stays[columns] = 1
            rows = np.repeat(stays.reshape(groups, ci), co // groups, axis=0)
            layer.weight *= torch.from_numpy(rows.reshape(co, ci, *[1] * (layer.weight.dim() - 2)))


def assert_same_layers(path: Path, plan: ChannelPlan, source: Path) -> None:
    """The file lowered again is the plan's network, layer by layer, tensor by tensor."""
    found = read_onnx(path, strict=True)
    assert [type(layer) for layer in found.layers] == [type(layer) for layer in plan.network.layers]
    for ours, theirs in zip(found.layers, plan.network.layers, strict=True):
        assert ours.name == theirs.name
        assert found.tensors[ours.outputs[0]].shape == plan.network.tensors[theirs.outputs[0]].shape
        if isinstance(ours, MatrixLayer) and isinstance(theirs, MatrixLayer):
            assert (ours.kind, ours.groups, ours.m, ours.k, ours.p) == (
                theirs.kind, theirs.groups, theirs.m, theirs.k, theirs.p
            )  # fmt: skip
            assert (ours.macs, ours.columns_per_channel) == (theirs.macs, theirs.columns_per_channel)
            np.testing.assert_allclose(found.weights[ours.name], plan.network.weights[ours.name], rtol=1e-6)
        elif isinstance(ours, VectorLayer) and isinstance(theirs, VectorLayer):
            for field in ("elements", "input_elements", "output_elements", "weight_elements", "arrangement"):
                assert getattr(ours, field) == getattr(theirs, field), (ours.name, field)
    assert found.macs == plan.network.macs < read_onnx(source).macs


@pytest.mark.parametrize(("model", "exporter"), BOTH)
def test_the_shrunk_file_computes_what_the_masked_network_does(model: Model, exporter: str, tmp_path: Path) -> None:
    net, shape = built(model), model[2]
    source = export(net, shape, tmp_path / "source.onnx", exporter)
    x = random_input(shape)
    for sparsity in (0.3, 0.5, 0.9):
        plan = prune_channels(read_onnx(source), sparsity)
        small = tmp_path / "small.onnx"
        assert shrink_onnx(source, plan, small) is plan
        assert_same_layers(small, plan, source)
        assert small.stat().st_size < source.stat().st_size
        copy = built(model)
        mask(copy, plan)
        expected = outputs(export(copy, shape, tmp_path / "masked.onnx"), x)
        assert np.abs(expected - outputs(source, x)).max() > 1e-3  # the mask is felt
        np.testing.assert_allclose(outputs(small, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["residual_net", "speech_net", "attention_net", "lstm_net"])
def test_the_models_of_the_readers_shrink_too(name: str, tmp_path: Path) -> None:
    """A grouped and dilated convolution, 1-D convolutions, attention; a recurrent network keeps all its channels."""
    model = next(model for model in ALL_MODELS if model.name == name)
    net = model.build()
    source = export(net, model.input_shape, tmp_path / "source.onnx")
    plan = shrink_onnx(source, 0.5, tmp_path / "small.onnx")
    x = random_input(model.input_shape)
    if name == "lstm_net":
        assert set(plan.reasons) == set(plan.kept)
        assert np.array_equal(outputs(tmp_path / "small.onnx", x), outputs(source, x))
        return
    assert_same_layers(tmp_path / "small.onnx", plan, source)
    mask(net, plan)
    expected = outputs(export(net, model.input_shape, tmp_path / "masked.onnx"), x)
    np.testing.assert_allclose(outputs(tmp_path / "small.onnx", x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [pytest.param("inception", marks=pytest.mark.slow), "shufflenet"])
def test_an_exported_program_ties_the_same_channels(name: str, tmp_path: Path) -> None:
    import torch

    net, shape = built(named(name)), named(name)[2]
    torch.export.save(torch.export.export(net, (torch.zeros(shape),)), tmp_path / "source.pt2")
    plan = prune_channels(read_pt2(tmp_path / "source.pt2"), 0.5)
    other = prune_channels(read_onnx(export(net, shape, tmp_path / "source.onnx")), 0.5)
    assert set(plan.kept) == set(other.kept)
    for layer in plan.kept:
        assert np.array_equal(plan.kept[layer], other.kept[layer])
        assert np.array_equal(plan.columns[layer], other.columns[layer])
    assert plan.network.macs == other.network.macs


@pytest.mark.parametrize("model", ALL_PRUNED, ids=lambda model: model[0])
def test_every_model_shrinks_in_the_layers_that_it_is_about(model: Model, tmp_path: Path) -> None:
    source = export(built(model), model[2], tmp_path / "source.onnx")
    plan = prune_channels(read_onnx(source), 0.5)
    stays = {name for name, rows in plan.kept.items() if name in plan.reasons}
    trunk = {"patch", "qkv", "proj", "down", "head"}  # a norm over features and products of two activations
    assert stays == {"resnet": {"fc"}, "mobilenet": {"fc2"}, "vit": trunk}.get(model[0], {"out"})


def test_digits_shrinks_and_computes_what_its_masked_file_does(tmp_path: Path) -> None:
    import onnx

    plan = shrink_onnx(DIGITS, 0.5, tmp_path / "small.onnx")
    assert_same_layers(tmp_path / "small.onnx", plan, DIGITS)
    model = onnx.load(DIGITS)
    names = {layer.name: layer for layer in read_onnx(DIGITS).matrix_layers}
    cut = 0
    for tensor in model.graph.initializer:
        layer = names.get(tensor.name.removesuffix(".weight"))
        if layer is None or not tensor.name.endswith(".weight"):
            continue
        values = onnx.numpy_helper.to_array(tensor).copy()
        away = np.setdiff1d(np.arange(layer.ci), plan.columns[layer.name])
        assert values.shape[:2] == (layer.m, layer.ci)
        values[:, away] = 0
        cut += len(away)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    assert cut
    onnx.save(model, tmp_path / "masked.onnx")
    network = read_onnx(DIGITS)
    x = random_input(network.tensors[network.inputs[0]].shape)
    np.testing.assert_allclose(
        outputs(tmp_path / "small.onnx", x), outputs(tmp_path / "masked.onnx", x), rtol=1e-4, atol=1e-5
    )


def test_an_open_batch_stays_open(tmp_path: Path) -> None:
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8 * 4, 5)

        def forward(self, x: Any) -> Any:
            y = torch.relu(self.a(x))
            n, c, h, w = y.shape
            y = y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
            return self.fc(y.reshape(n, c * h * w))

    torch.manual_seed(0)
    net = Net().eval()
    axes = {"x": {0: "batch"}}
    source = export(net, (2, 3, 4, 4), tmp_path / "source.onnx", input_names=["x"], dynamic_axes=axes)
    plan = shrink_onnx(source, 0.5, tmp_path / "small.onnx", batch=2)
    mask(net, plan)
    for batch in (1, 2, 5):
        x = random_input((batch, 3, 4, 4))
        expected = net(torch.from_numpy(x)).detach().numpy()
        np.testing.assert_allclose(outputs(tmp_path / "small.onnx", x), expected, rtol=1e-4, atol=1e-5)


def test_external_data_are_read_from_the_model_s_folder_alone(tmp_path: Path) -> None:
    import onnx

    source = export(built(named("mobilenet")), (2, 3, 8, 8), tmp_path / "whole.onnx")
    (tmp_path / "folder").mkdir()
    outside = tmp_path / "folder" / "source.onnx"
    onnx.save(
        onnx.load(source), outside, save_as_external_data=True, location="weights.bin", size_threshold=0,
        convert_attribute=False,
    )  # fmt: skip
    shrink_onnx(outside, 0.5, tmp_path / "small.onnx")
    shrink_onnx(source, 0.5, tmp_path / "also.onnx")
    x = random_input((2, 3, 8, 8))
    assert np.array_equal(outputs(tmp_path / "small.onnx", x), outputs(tmp_path / "also.onnx", x))
    (tmp_path / "folder" / "weights.bin").rename(tmp_path / "weights.bin")
    (tmp_path / "folder" / "weights.bin").symlink_to(tmp_path / "weights.bin")
    with pytest.raises(ModelError, match="must be a file inside the model's folder"):
        shrink_onnx(outside, 0.5, tmp_path / "refused.onnx")
    assert not (tmp_path / "refused.onnx").exists()


def test_the_same_input_gives_the_same_bytes_and_leaves_nothing_aside(tmp_path: Path) -> None:
    shrink_onnx(DIGITS, 0.5, tmp_path / "a.onnx")
    shrink_onnx(DIGITS, 0.5, tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "b.onnx"]


def test_a_plan_of_another_file_is_refused(tmp_path: Path) -> None:
    net = built(named("vit"))
    source = export(net, (1, 3, 8, 8), tmp_path / "source.onnx")
    plan = prune_channels(read_onnx(source), 0.5)
    mask(net, plan)
    other = export(net, (1, 3, 8, 8), tmp_path / "other.onnx")
    with pytest.raises(ModelError, match=r"other\.onnx: the plan was made from .*source\.onnx, another file"):
        shrink_onnx(other, plan, tmp_path / "small.onnx")


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"absent/small\.onnx: cannot be written"):
        shrink_onnx(DIGITS, 0.5, tmp_path / "absent" / "small.onnx")


def test_a_product_whose_weight_cannot_be_cut_is_named(tmp_path: Path) -> None:
    """An Einsum is a linear layer to us, and its weight is not cut: the error names it, and keep gets round it."""
    import onnx
    from onnx import TensorProto, helper

    weights = {name: random_input(shape) for name, shape in (("a.weight", (4, 6)), ("b.weight", (6, 5)))}
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "a.weight"], ["h"], name="first"),
            helper.make_node("Einsum", ["h", "b.weight"], ["y"], name="second", equation="bi,io->bo"),
        ],
        "einsum",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 5])],
        [onnx.numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    source = tmp_path / "source.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), source)
    with pytest.raises(ModelError, match=r"node second \(Einsum\): its channels cannot be followed"):
        shrink_onnx(source, 0.5, tmp_path / "small.onnx")
    plan = shrink_onnx(source, 0.5, tmp_path / "small.onnx", keep=frozenset({"a"}))
    assert plan.network.macs == read_onnx(source).macs
