"""ONNX files written again with weights removed: where they are stored, and with the numbers they must give."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from gatherline.api import prune
from tests.models import ALL_MODELS, TinyModel
from traces.layer import MatrixLayer, ModelError
from traces.lower import onnx_write
from traces.lower.onnx_file import read_onnx
from traces.lower.onnx_write import hidden_weights, open_onnx, write_onnx

Array = npt.NDArray[Any]


def export(model: TinyModel, path: Path, *, dynamo: bool) -> tuple[Any, Any]:
    """Export a tiny model, with external data where the exporter makes them; return it and an input."""
    import torch

    net, x = model.build(), torch.randn(*model.input_shape, generator=torch.Generator().manual_seed(1))
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (x,), str(path), dynamo=dynamo)
    return net, x


def run_onnx(path: Path, *inputs: Array) -> Array:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options)
    feeds = {need.name: value for need, value in zip(session.get_inputs(), inputs, strict=True)}
    return np.asarray(session.run(None, feeds)[0])


def parameter(net: Any, layer: MatrixLayer) -> Any:
    """Return the torch parameter that a layer's weights are; masks of torch's prune are removed before."""
    recurrent = re.match(r"(.*)\.l(\d+)(_reverse)?\.(ih|hh)$", layer.name)
    if recurrent:
        module, number, reverse, side = recurrent.groups()
        return getattr(net.get_submodule(module), f"weight_{side}_l{number}{reverse or ''}")
    return net.get_submodule(layer.name).weight


def as_stored(mask: Array, shape: tuple[int, ...]) -> Array:
    """Return (groups, m, k), Ci innermost, in the order in which torch stores the tensor."""
    rows, channels, *kernel = shape
    return np.moveaxis(mask.reshape(rows, *kernel, channels), -1, 1)


def same_graph(old: Any, new: Any) -> None:
    """Also the weights of an LSTM, which come out of Slice, Concat and Transpose, are removed where they are stored."""
    assert [node.op_type for node in new.graph.node] == [node.op_type for node in old.graph.node]
    for proto in (
        lambda model: model.graph.initializer,
        lambda model: model.graph.input,
        lambda model: model.graph.output,
    ):
        assert [value.name for value in proto(new)] == [value.name for value in proto(old)]
    assert [entry.version for entry in new.opset_import] == [entry.version for entry in old.opset_import]


SECONDS = {"residual_net", "speech_net", "gru_net", "attention_net"}  # whose dynamo exports are left to the slow run
EXPORTS = [
    pytest.param(
        model, dynamo, id=f"{model.name}-{dynamo}", marks=[pytest.mark.slow] * (dynamo and model.name in SECONDS)
    )
    for model in ALL_MODELS
    for dynamo in (True, False)
]


@pytest.mark.parametrize(("model", "dynamo"), EXPORTS)
def test_the_pruned_file_computes_what_the_masked_torch_model_does(
    model: TinyModel, dynamo: bool, tmp_path: Path
) -> None:
    import torch
    from torch.nn.utils import prune as torch_prune

    source, out = tmp_path / "model.onnx", tmp_path / "out" / "pruned.onnx"
    out.parent.mkdir()
    net, x = export(model, source, dynamo=dynamo)
    prune(source, out, pattern="unstructured", sparsity=0.6, prune_all=True)
    before, after = read_onnx(source), read_onnx(out)
    for module in net.modules():
        if hasattr(module, "weight_mask"):
            torch_prune.remove(module, "weight")
    with torch.no_grad():
        for layer in before.matrix_layers:
            mask = after.weights[layer.name] != 0
            assert np.array_equal(after.weights[layer.name], np.where(mask, before.weights[layer.name], 0))
            assert np.count_nonzero(mask) == min(round(0.4 * mask.size), np.count_nonzero(before.weights[layer.name]))
            weight = parameter(net, layer)
            weight *= torch.from_numpy(as_stored(mask, tuple(weight.shape)))
        expected = net(x).numpy()
    same_graph(onnx.load(source), onnx.load(out))
    np.testing.assert_allclose(run_onnx(out, x.numpy()), expected, atol=1e-5)


def matmul_model(path: Path, weight: Array | TensorProto, nodes: list[Any] | None = None, **extra: Any) -> Path:
    """Write y = x W, or ``nodes`` from x [2, 8] to y [2, 6] over the initializers ``extra`` and W [8, 6]."""
    tensors = [weight if isinstance(weight, TensorProto) else numpy_helper.from_array(weight, "W")]
    tensors += [numpy_helper.from_array(value, name) for name, value in extra.pop("tensors", {}).items()]
    kind = extra.pop("kind", TensorProto.FLOAT)
    graph = helper.make_graph(
        nodes or [helper.make_node("MatMul", ["x", "W"], ["y"], name="layer")], "g",
        [helper.make_tensor_value_info("x", kind, [2, 8]), *extra.pop("inputs", [])],
        [helper.make_tensor_value_info("y", kind, extra.pop("out", [2, 6]))], tensors,
    )  # fmt: skip
    opset = extra.pop("opset", 18)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=extra.pop("ir", 8))
    path.write_bytes(model.SerializeToString())
    return path


def weight(seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(8, 6)).astype(np.float32)


def keep_half(shape: tuple[int, ...], seed: int = 1) -> Array:
    return np.random.default_rng(seed).random(shape) < 0.5


X = np.random.default_rng(5).normal(size=(2, 8)).astype(np.float32)


def pruned(path: Path, keep: dict[str, Array], *, repack: bool = False) -> tuple[Path, dict[str, str]]:
    out = path.with_name("out.onnx")
    return out, write_onnx(open_onnx(path), keep, out, repack=repack)


@pytest.mark.parametrize("trans", [0, 1])
@pytest.mark.parametrize("left", [False, True], ids=["weight on the right", "weight on the left"])
def test_gemm_weights_are_removed_on_either_side_transposed_or_not_and_scaled(
    trans: int, left: bool, tmp_path: Path
) -> None:
    w = weight()
    stored = w.T.copy() if trans else w
    if left:  # y' = A' x'
        stored = w if trans else w.T.copy()
        nodes = [helper.make_node("Gemm", ["W", "x"], ["y"], name="layer", transA=trans, transB=1, alpha=2.0)]
    else:
        nodes = [helper.make_node("Gemm", ["x", "W"], ["y"], name="layer", transB=trans, alpha=2.0)]
    path = matmul_model(tmp_path / "m.onnx", stored, nodes, out=[6, 2] if left else [2, 6])
    keep = keep_half((1, 6, 8))
    out, remarks = pruned(path, {"layer": keep})
    assert not remarks
    expected = 2 * (X @ (w * keep[0].T))
    np.testing.assert_allclose(run_onnx(out, X), expected.T if left else expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE])
@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
def test_the_bits_of_a_kept_weight_and_its_type_do_not_change(dtype: int, raw: bool, tmp_path: Path) -> None:
    values = weight().astype(helper.tensor_dtype_to_np_dtype(dtype))
    tensor = numpy_helper.from_array(values, "W")
    if not raw:
        tensor = helper.make_tensor("W", dtype, [8, 6], values.astype(np.float64).flatten())
    keep = keep_half((1, 6, 8))
    out, _ = pruned(matmul_model(tmp_path / "m.onnx", tensor, kind=dtype), {"layer": keep})
    (found,) = onnx.load(out).graph.initializer
    assert (found.name, found.data_type) == ("W", dtype)
    bits = f"<u{values.itemsize}"
    expected = np.where(keep[0].T, values.view(bits), 0)
    assert np.array_equal(np.frombuffer(found.raw_data, dtype=bits).reshape(8, 6), expected)


def test_two_layers_that_agree_on_a_shared_weight_keep_sharing_it(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["a"], name="one"),
        helper.make_node("MatMul", ["x", "W"], ["b"], name="two"),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    keep = keep_half((1, 6, 8))
    out, remarks = pruned(matmul_model(tmp_path / "m.onnx", weight(), nodes), {"one": keep, "two": keep})
    assert not remarks
    assert [tensor.name for tensor in onnx.load(out).graph.initializer] == ["W"]
    np.testing.assert_allclose(run_onnx(out, X), 2 * X @ (weight() * keep[0].T), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("second", [True, False], ids=["other mask", "left dense"])
def test_layers_that_share_a_weight_and_want_other_masks_get_their_own(second: bool, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["a"], name="one"),
        helper.make_node("MatMul", ["x", "W"], ["b"], name="two"),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    keep = {"one": keep_half((1, 6, 8))} | ({"two": keep_half((1, 6, 8), seed=2)} if second else {})
    out, remarks = pruned(matmul_model(tmp_path / "m.onnx", weight(), nodes), keep)
    assert "tensor of its own" in remarks["one"]
    other = weight() * keep["two"][0].T if second else weight()
    np.testing.assert_allclose(run_onnx(out, X), X @ (weight() * keep["one"][0].T) + X @ other, rtol=1e-4, atol=1e-6)


def test_what_else_reads_a_weight_still_reads_all_of_it(tmp_path: Path) -> None:
    """An embedding table that is the classifier's weight too: only the classifier is pruned."""
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["a"], name="layer"),
        helper.make_node("Gather", ["W", "row"], ["b"], axis=0),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("row", TensorProto.INT64, [2])]
    keep = keep_half((1, 6, 8))
    out, remarks = pruned(matmul_model(tmp_path / "m.onnx", weight(), nodes, inputs=inputs), {"layer": keep})
    assert "read elsewhere" in remarks["layer"]
    rows = np.array([3, 5])
    np.testing.assert_allclose(run_onnx(out, X, rows), X @ (weight() * keep[0].T) + weight()[rows], rtol=1e-5)


def masked_model(path: Path) -> tuple[Path, Array]:
    mask = keep_half((8, 6), seed=3).astype(np.float32)
    nodes = [
        helper.make_node("Mul", ["fc.weight_orig", "fc.weight_mask"], ["m"]),
        helper.make_node("MatMul", ["x", "m"], ["y"]),
    ]
    tensor = numpy_helper.from_array(weight(), "fc.weight_orig")
    return matmul_model(path, tensor, nodes, tensors={"fc.weight_mask": mask}), mask


def test_a_mask_of_the_file_is_folded_and_the_layer_keeps_its_name(tmp_path: Path) -> None:
    path, mask = masked_model(tmp_path / "m.onnx")
    keep = keep_half((1, 6, 8))
    out, remarks = pruned(path, {"fc": keep})
    assert "folded" in remarks["fc"]
    assert [tensor.name for tensor in onnx.load(out).graph.initializer] == ["fc.weight"]
    assert [node.op_type for node in onnx.load(out).graph.node] == ["MatMul"]
    np.testing.assert_allclose(run_onnx(out, X), X @ (weight() * mask * keep[0].T), rtol=1e-5)


def test_repacking_chooses_among_weights_behind_the_mask(tmp_path: Path) -> None:
    path, mask = masked_model(tmp_path / "m.onnx")
    hidden = hidden_weights(open_onnx(path))["fc"]
    assert np.array_equal(hidden[0], weight().T)
    out = tmp_path / "out.onnx"
    prune(path, out, pattern="unstructured", sparsity=0.5, prune_all=True, repack=True)
    kept = read_onnx(out).weights["fc"]
    largest = np.abs(weight()) >= np.sort(np.abs(weight()).flatten())[24]
    assert np.array_equal(kept[0], (weight() * largest).T)
    assert (largest & (mask == 0)).any(), "nothing was behind the mask"
    prune(path, out, pattern="unstructured", sparsity=0.1, prune_all=True)
    assert np.array_equal(read_onnx(out).weights["fc"][0], (weight() * mask).T)


def test_a_quantized_weight_becomes_its_zero_point(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(-100, 100, size=(8, 6)).astype(np.int8)
    points = np.array([3, 0, -5, 7, 1, 2], dtype=np.int8)
    nodes = [
        helper.make_node("DequantizeLinear", ["W", "s", "z"], ["w"], axis=1),
        helper.make_node("MatMul", ["x", "w"], ["y"], name="layer"),
    ]
    scale = np.linspace(0.1, 0.6, 6, dtype=np.float32)
    path = matmul_model(tmp_path / "m.onnx", stored, nodes, tensors={"s": scale, "z": points})
    keep = keep_half((1, 6, 8))
    out, remarks = pruned(path, {"layer": keep})
    assert not remarks
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(out).graph.initializer}
    assert np.array_equal(found["W"], np.where(keep[0].T, stored, points))


def test_a_weight_that_arithmetic_makes_is_stored_as_a_tensor_of_its_own(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Mul", ["W", "two"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"], name="layer"),
    ]
    path = matmul_model(tmp_path / "m.onnx", weight(), nodes, tensors={"two": np.float32(2)})
    keep = keep_half((1, 6, 8))
    out, remarks = pruned(path, {"layer": keep})
    assert "computed" in remarks["layer"]
    np.testing.assert_allclose(run_onnx(out, X), X @ (2 * weight() * keep[0].T), rtol=1e-5)


def test_a_sparse_initializer_and_a_constant_node_are_weights_too(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Constant", [], ["W2"], value=numpy_helper.from_array(weight(7), "v")),
        helper.make_node("MatMul", ["x", "S"], ["a"], name="one"),
        helper.make_node("MatMul", ["x", "W2"], ["b"], name="two"),
        helper.make_node("Add", ["a", "b"], ["c"]),
        helper.make_node("Add", ["c", "W"], ["y"]),
    ]
    path = matmul_model(tmp_path / "m.onnx", weight()[:2], nodes)
    model = onnx.load(path)
    places = np.array([1, 10, 30, 47])
    values = numpy_helper.from_array(np.array([1, 2, 3, 4], dtype=np.float32), "S")
    model.graph.sparse_initializer.append(
        helper.make_sparse_tensor(values, numpy_helper.from_array(places, "i"), [8, 6])
    )
    path.write_bytes(model.SerializeToString())
    keep = {"one": np.ones((1, 6, 8), dtype=bool), "two": keep_half((1, 6, 8))}
    keep["one"][0, 10 % 6, 10 // 6] = False
    out, _ = pruned(path, keep)
    after = read_onnx(out).weights
    assert np.count_nonzero(after["one"]) == len(places) - 1
    assert np.array_equal(after["two"][0], (weight(7) * keep["two"][0].T).T)


def test_files_of_old_versions_list_a_new_tensor_among_their_inputs(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Mul", ["W", "two"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"], name="layer"),
    ]
    two, both = np.float32(2), ["W", "two"]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip(both, ([8, 6], []), strict=True)
    ]
    path = matmul_model(tmp_path / "m.onnx", weight(), nodes, tensors={"two": two}, inputs=inputs, ir=3, opset=9)
    keep = keep_half((1, 6, 8))
    out, _ = pruned(path, {"layer": keep})
    new = onnx.load(out).graph
    assert {tensor.name for tensor in new.initializer} | {"x"} == {info.name for info in new.input}
    np.testing.assert_allclose(read_onnx(out).weights["layer"][0], (2 * weight() * keep[0].T).T)


def test_external_data_come_inside_and_the_source_is_left_as_it_was(tmp_path: Path) -> None:
    source = matmul_model(tmp_path / "m.onnx", weight())
    onnx.save(onnx.load(source), source, save_as_external_data=True, location="m.data", size_threshold=0)
    before = (source.read_bytes(), (tmp_path / "m.data").read_bytes())
    out, _ = pruned(source, {"layer": keep_half((1, 6, 8))})
    assert (source.read_bytes(), (tmp_path / "m.data").read_bytes()) == before
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert run_onnx(out.rename(elsewhere / "alone.onnx"), X).shape == (2, 6)


def test_large_weights_lie_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_write, "LARGEST_INLINE_BYTES", 8)
    keep = keep_half((1, 6, 8))
    out, _ = pruned(matmul_model(tmp_path / "m.onnx", weight()), {"layer": keep})
    assert (tmp_path / "out.onnx.data").stat().st_size == weight().nbytes
    np.testing.assert_allclose(run_onnx(out, X), X @ (weight() * keep[0].T), rtol=1e-5)
    with pytest.raises(ModelError, match=r"out.onnx.data is there already"):
        pruned(tmp_path / "m.onnx", {"layer": keep})
    assert not [path for path in tmp_path.iterdir() if "aside" in path.name]


def test_a_weight_that_is_not_a_number_is_refused_by_its_layers_name(tmp_path: Path) -> None:
    bad = weight()
    bad[2, 3] = np.nan
    path = matmul_model(tmp_path / "m.onnx", bad)
    with pytest.raises(ModelError, match="layer layer: a weight is NaN"):
        prune(path, tmp_path / "out.onnx", pattern="unstructured", sparsity=0.5, prune_all=True)
    assert not (tmp_path / "out.onnx").exists()


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a.onnx", tmp_path / "b.onnx"
    prune("digits", first, pattern="gs:16,1", sparsity=0.95)
    prune("digits", second, pattern="gs:16,1", sparsity=0.95)
    assert first.read_bytes() == second.read_bytes()
