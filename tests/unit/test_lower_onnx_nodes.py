"""Operators of ONNX one by one, in graphs made by hand: what each becomes, and that none is dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from traces.layer import (
    MatrixLayer,
    ModelError,
    Network,
    ProductLayer,
    UnsupportedLayer,
    VectorLayer,
)
from traces.lower.onnx_vector import VECTOR_LOWERINGS
from traces.lower.read import read_model

Arrays = dict[str, np.ndarray]


def model_of(nodes: list[Any], inputs: dict[str, tuple[int, ...]], constants: Arrays, opset: int = 20) -> Any:
    """A model whose outputs are those of the last node; inputs are float32."""
    graph = helper.make_graph(
        nodes,
        "hand_made",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_empty_tensor_value_info(name) for name in nodes[-1].output if name],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("mine", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


class Bench:
    """Writes a hand-made graph to a file and lowers it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "hand_made.onnx"

    def lower(
        self, nodes: list[Any], inputs: dict[str, tuple[int, ...]], constants: Arrays | None = None, **options: Any
    ) -> Network:
        onnx.save(model_of(nodes, inputs, constants or {}, options.pop("opset", 20)), self.path)
        return read_model(self.path, **{"strict": True, **options})

    def before_a_product(self, node: Any, shapes: list[tuple[int, ...]], constants: Arrays, **options: Any) -> Network:
        """Lower one node over inputs a, b, ... with a product beside it, since a network needs one."""
        names = dict(zip("abc", shapes, strict=False))
        product = helper.make_node("MatMul", ["p", "q"], ["pq"])
        nodes = [product, node]
        return self.lower(nodes, {"p": (2, 3), "q": (3, 4), **names}, constants, **options)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def filled(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def only_matrix(network: Network) -> MatrixLayer:
    (layer,) = network.matrix_layers
    return layer


def vectors(network: Network) -> list[VectorLayer]:
    return [layer for layer in network.layers if isinstance(layer, VectorLayer)]


def shape_of_output(network: Network) -> tuple[int, ...]:
    return network.tensors[network.outputs[0]].shape


# Matrix products


@pytest.mark.parametrize(
    ("mode", "padding", "side"),
    [("SAME_UPPER", (0, 0, 1, 1), 4), ("SAME_LOWER", (1, 1, 0, 0), 4), ("VALID", (0,) * 4, 3)],
)
def test_automatic_padding_becomes_numbers(bench: Bench, mode: str, padding: tuple[int, ...], side: int) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], auto_pad=mode, strides=[2, 2])
    layer = only_matrix(bench.lower([node], {"x": (1, 2, 8, 8)}, {"w": filled(4, 2, 3, 3)}))
    assert layer.window.padding == padding
    assert layer.macs == 4 * (3 * 3 * 2) * side * side


def test_unequal_padding_keeps_its_sides(bench: Bench) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[0, 1, 2, 3])
    layer = only_matrix(bench.lower([node], {"x": (1, 2, 8, 8)}, {"w": filled(4, 2, 3, 3)}))
    assert layer.window.padding == (0, 1, 2, 3)
    assert layer.window.out_hw == (8 + 0 + 2 - 2, 8 + 1 + 3 - 2)


@pytest.mark.parametrize(("trans_a", "trans_b"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_gemm_has_its_weights_as_rows_whatever_is_transposed(bench: Bench, trans_a: int, trans_b: int) -> None:
    weight = filled(5, 7)
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], transA=trans_a, transB=trans_b, alpha=2.0)
    shape = (7, 3) if trans_a else (3, 7)
    network = bench.lower([node], {"x": shape}, {"w": weight if trans_b else weight.T.copy(), "b": filled(5)})
    layer = only_matrix(network)
    assert (layer.m, layer.k, layer.p) == (5, 7, 3)
    np.testing.assert_array_equal(network.weights[layer.name][0], 2 * weight)
    assert sum(layer.kind == "move" for layer in network.layers) == trans_a


def test_a_constant_left_factor_works_on_columns(bench: Bench) -> None:
    node = helper.make_node("MatMul", ["w", "x"], ["y"])
    network = bench.lower([node], {"x": (2, 7, 3)}, {"w": filled(5, 7)})
    layer = only_matrix(network)
    assert (layer.m, layer.k, layer.p) == (5, 7, 2 * 3)
    assert [layer.kind for layer in network.layers] == ["move", "linear", "move"]
    assert shape_of_output(network) == (2, 5, 3)


def test_one_constant_matrix_for_each_leading_index_is_a_grouped_layer(bench: Bench) -> None:
    experts = filled(4, 7, 5)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    network = bench.lower([node], {"x": (2, 4, 3, 7)}, {"w": experts})
    layer = only_matrix(network)
    assert (layer.groups, layer.m, layer.k, layer.p) == (4, 5, 7, 2 * 3)
    np.testing.assert_array_equal(network.weights[layer.name], experts.transpose(0, 2, 1))


@pytest.mark.parametrize(
    ("a", "b", "macs"),
    [
        ((3, 7), (7, 5), 3 * 7 * 5),
        ((2, 4, 3, 7), (2, 4, 7, 5), 2 * 4 * 3 * 7 * 5),
        ((2, 4, 3, 7), (7, 5), 2 * 4 * 3 * 7 * 5),
        ((7,), (7, 5), 7 * 5),
        ((3, 7), (7,), 3 * 7),
    ],
)
def test_a_product_of_two_activations_has_no_weights(
    bench: Bench, a: tuple[int, ...], b: tuple[int, ...], macs: int
) -> None:
    network = bench.lower([helper.make_node("MatMul", ["a", "b"], ["y"])], {"a": a, "b": b})
    (layer,) = network.layers
    assert isinstance(layer, ProductLayer)
    assert layer.macs == macs
    assert not network.weights


@pytest.mark.parametrize(
    ("equation", "a", "b", "macs"),
    [
        ("bhqd,bhkd->bhqk", (2, 3, 5, 4), (2, 3, 6, 4), 2 * 3 * 5 * 4 * 6),
        ("bhqk,bkhd->bqhd", (2, 3, 5, 6), (2, 6, 3, 4), 2 * 3 * 5 * 6 * 4),
        ("bqhd,bkhd->bhqk", (2, 5, 3, 4), (2, 6, 3, 4), 2 * 3 * 5 * 4 * 6),
    ],
)
def test_einsums_of_attention_are_products(
    bench: Bench, equation: str, a: tuple[int, ...], b: tuple[int, ...], macs: int
) -> None:
    network = bench.lower([helper.make_node("Einsum", ["a", "b"], ["y"], equation=equation)], {"a": a, "b": b})
    assert network.macs == macs
    assert shape_of_output(network) == np.einsum(equation, np.zeros(a), np.zeros(b)).shape


def test_an_einsum_with_a_constant_is_a_linear_layer(bench: Bench) -> None:
    weight = filled(8, 3, 4)
    node = helper.make_node("Einsum", ["x", "w"], ["y"], equation="btd,dhe->bhte")
    network = bench.lower([node], {"x": (2, 5, 8)}, {"w": weight})
    layer = only_matrix(network)
    assert (layer.m, layer.k, layer.p) == (3 * 4, 8, 2 * 5)
    np.testing.assert_array_equal(network.weights[layer.name][0], weight.reshape(8, 12).T)
    assert shape_of_output(network) == (2, 3, 5, 4)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("layout", [0, 1])
def test_an_lstm_counts_every_direction_in_either_layout(bench: Bench, direction: str, layout: int) -> None:
    directions = 2 if direction == "bidirectional" else 1
    node = helper.make_node(
        "LSTM", ["x", "w", "r", "b"], ["y", "h", "c"], name="rnn", direction=direction, layout=layout, hidden_size=6
    )
    constants = {"w": filled(directions, 24, 5), "r": filled(directions, 24, 6), "b": filled(directions, 48)}
    network = bench.lower([node], {"x": (2, 7, 5) if layout else (7, 2, 5)}, constants)
    assert network.macs == directions * 7 * 2 * 24 * (5 + 6)
    assert all(layer.serial == (layer.kind == "lstm_hidden") for layer in network.matrix_layers)
    assert sum(layer.weight_elements for layer in vectors(network)) == directions * 48


def test_attention_over_a_cache_counts_the_keys_of_the_past(bench: Bench) -> None:
    node = helper.make_node("Attention", ["q", "k", "v", "", "pk", "pv"], ["y", "nk", "nv"])
    shapes = {"q": (2, 8, 3, 4), "k": (2, 2, 3, 4), "v": (2, 2, 3, 5), "pk": (2, 2, 10, 4), "pv": (2, 2, 10, 5)}
    network = bench.lower([node], shapes, opset=23)
    assert network.macs == 2 * 8 * 3 * 13 * 4 + 2 * 8 * 3 * 13 * 5


# Constants


def test_masks_dequantised_and_sparse_weights_are_folded(bench: Bench) -> None:
    weight, mask = filled(4, 6), (filled(4, 6, seed=1) > 0).astype(np.float32)
    nodes = [
        helper.make_node("Mul", ["fc.weight_orig", "fc.weight_mask"], ["w"]),
        helper.make_node("Gemm", ["x", "w"], ["h"], transB=1),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["v"], axis=0),
        helper.make_node("Gemm", ["h", "v"], ["y"], name="/tail/Gemm", transB=1),
    ]
    quantised = np.array([[7, 3, 3, 9], [3, 3, 0, 3]], dtype=np.uint8)
    scale, zero = np.array([0.5, 2.0], dtype=np.float32), np.array([3, 3], dtype=np.uint8)
    constants = {"fc.weight_orig": weight, "fc.weight_mask": mask, "q": quantised, "scale": scale, "zero": zero}
    network = bench.lower(nodes, {"x": (1, 6)}, constants)
    assert [layer.name for layer in network.layers] == ["fc", "tail"]
    np.testing.assert_array_equal(network.weights["fc"][0], weight * mask)
    np.testing.assert_array_equal(network.weights["tail"][0], (quantised.astype(float) - 3) * scale[:, None])


@pytest.mark.parametrize("flat", [True, False])
def test_a_sparse_initializer_is_made_dense(bench: Bench, flat: bool) -> None:
    model = model_of([helper.make_node("Gemm", ["x", "fc.weight"], ["y"], transB=1)], {"x": (1, 6)}, {})
    expected = np.zeros((4, 6), dtype=np.float32)
    expected[0, 2], expected[3, 5] = 1.5, -2.0
    indices = np.array([2, 23] if flat else [[0, 2], [3, 5]])
    values = numpy_helper.from_array(np.array([1.5, -2.0], dtype=np.float32), "fc.weight")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, numpy_helper.from_array(indices), [4, 6]))
    onnx.save(model, bench.path)
    np.testing.assert_array_equal(read_model(bench.path, strict=True).weights["fc"][0], expected)


def test_shape_arithmetic_costs_nothing(bench: Bench) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Concat", ["n", "rest"], ["t"], axis=0),
        helper.make_node("Reshape", ["x", "t"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w"], ["y"], transB=1),
    ]
    constants = {"zero": np.array([0]), "rest": np.array([-1]), "w": filled(5, 12)}
    network = bench.lower(nodes, {"x": (2, 3, 4)}, constants)
    assert [layer.kind for layer in network.layers] == ["linear"]


def test_a_constant_condition_takes_one_branch(bench: Bench) -> None:
    def branch(name: str, op: str) -> Any:
        node = helper.make_node(op, ["h"], [f"{name}_out"])
        return helper.make_graph([node], name, [], [helper.make_empty_tensor_value_info(f"{name}_out")])

    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["h"], transB=1),
        helper.make_node("If", ["yes"], ["y"], then_branch=branch("a", "Relu"), else_branch=branch("b", "Softmax")),
    ]
    network = bench.lower(nodes, {"x": (2, 6)}, {"w": filled(4, 6), "yes": np.array(True)})
    assert [layer.kind for layer in network.layers] == ["linear", "activation"]


def test_functions_of_the_model_are_inlined_and_endless_ones_refused(bench: Bench) -> None:
    model = model_of([helper.make_node("Twice", ["x", "w"], ["y"], domain="mine")], {"x": (1, 6)}, {"w": filled(6, 6)})
    body = [helper.make_node("MatMul", ["a", "b"], ["t"]), helper.make_node("MatMul", ["t", "b"], ["c"])]
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("mine", 1)]
    model.functions.append(helper.make_function("mine", "Twice", ["a", "b"], ["c"], body, opsets))
    onnx.save(model, bench.path)
    assert read_model(bench.path, strict=True).macs == 2 * 6 * 6
    model.functions[0].node[1].op_type, model.functions[0].node[1].domain = "Twice", "mine"
    onnx.save(model, bench.path)
    with pytest.raises(ModelError, match="function Twice calls itself"):
        read_model(bench.path)


def test_a_constant_too_large_to_fold_is_refused(bench: Bench) -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["s"], ["w"], name="bomb"),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    with pytest.raises(
        ModelError, match=r"node bomb \(ConstantOfShape\): its constant w has shape \(1000000, 1000000\)"
    ):
        bench.lower(nodes, {"x": (1, 10**6)}, {"s": np.array([10**6, 10**6])})


# Vector work


def test_channelwise_follows_from_the_operands(bench: Bench) -> None:
    cases = {
        "scalar": (np.float32(2.0), True),
        "per channel": (filled(6, 1, 1), True),
        "per pixel": (filled(4, 4), False),
    }
    for constant, channelwise in cases.values():
        node = helper.make_node("Mul", ["a", "s"], ["y"])
        network = bench.before_a_product(node, [(1, 6, 4, 4)], {"s": np.asarray(constant)})
        (layer,) = vectors(network)
        assert layer.channelwise == channelwise
        assert layer.weight_elements == (np.size(constant) if np.size(constant) > 1 else 0)


def test_a_gather_of_constants_is_an_embedding_and_of_data_a_move(bench: Bench) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "i"], ["e"]),
        helper.make_node("Gather", ["e", "last"], ["h"], axis=1),
        helper.make_node("MatMul", ["h", "w"], ["y"]),
    ]
    constants = {"table": filled(100, 6), "last": np.array(-1), "w": filled(6, 5)}
    network = bench.lower(nodes, {"x": (2, 7)}, constants)
    assert [layer.kind for layer in network.layers] == ["activation", "embedding", "move", "linear"]
    embedding, selection = vectors(network)[1:]
    assert (embedding.weight_elements, embedding.stored_weight_elements) == (2 * 7 * 6, 100 * 6)
    assert selection.input_elements == selection.output_elements == 2 * 6


def test_an_output_of_a_split_that_nobody_reads_is_not_written(bench: Bench) -> None:
    nodes = [
        helper.make_node("Split", ["x"], ["a", "b", "c"], axis=1, num_outputs=3),
        helper.make_node("MatMul", ["a", "c"], ["y"]),
    ]
    network = bench.lower(nodes, {"x": (3, 9)})
    assert [layer.kind for layer in network.layers] == ["move", "move", "product"]


@pytest.mark.parametrize(
    ("op", "attributes", "shape", "kind", "elements"),
    [
        ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2]}, (1, 2, 9, 9), "pool", 2 * 4 * 4 * 9),
        ("AveragePool", {"kernel_shape": [2, 2], "ceil_mode": 1, "strides": [2, 2]}, (1, 2, 5, 5), "pool", 2 * 9 * 4),
        ("GlobalAveragePool", {}, (1, 2, 9, 9), "pool", 2 * 81),
        ("ReduceMean", {"keepdims": 0}, (1, 2, 9, 9), "reduce", 2 * 81),
        ("Softmax", {"axis": -1}, (3, 8), "softmax", 3 * 8),
        ("ArgMax", {"axis": 1}, (3, 8), "reduce", 3 * 8),
        ("Transpose", {"perm": [0, 2, 1]}, (2, 3, 4), "move", 2 * 3 * 4),
        ("DepthToSpace", {"blocksize": 2}, (1, 8, 3, 3), "move", 8 * 9),
        ("LpNormalization", {}, (3, 8), "norm", 3 * 8),
        ("HardSwish", {}, (3, 8), "activation", 3 * 8),
        ("Mish", {}, (3, 8), "activation", 3 * 8),
    ],
)
def test_vector_work_has_its_kind_and_its_operations(
    bench: Bench, op: str, attributes: dict[str, Any], shape: tuple[int, ...], kind: str, elements: int
) -> None:
    network = bench.before_a_product(helper.make_node(op, ["a"], ["y"], **attributes), [shape], {})
    (layer,) = vectors(network)
    assert (layer.kind, layer.elements) == (kind, elements)


@pytest.mark.parametrize(
    ("op", "constants", "shape"),
    [
        ("Reshape", {"s": np.array([6, -1])}, (2, 3, 4)),
        ("Flatten", {}, (2, 3, 4)),
        ("Squeeze", {"s": np.array([1])}, (2, 1, 4)),
        ("Unsqueeze", {"s": np.array([0, 2])}, (2, 4)),
        ("Identity", {}, (2, 4)),
        ("Dropout", {}, (2, 4)),
        ("Expand", {"s": np.array([2, 4])}, (2, 4)),
        ("Slice", {"s": np.array([0]), "e": np.array([99]), "x": np.array([1])}, (2, 4)),
        ("Pad", {"s": np.array([0, 0, 0, 0])}, (2, 4)),
        ("Concat", {}, (2, 4)),
        ("QuantizeLinear", {"s": np.float32(0.1), "z": np.int8(0)}, (2, 4)),
    ],
)
def test_what_moves_no_bytes_is_no_layer(bench: Bench, op: str, constants: Arrays, shape: tuple[int, ...]) -> None:
    attributes = {"axis": 0} if op == "Concat" else {}
    node = helper.make_node(op, ["a", *constants], ["y"], **attributes)
    named = {name: np.asarray(value) for name, value in constants.items()}
    assert not vectors(bench.before_a_product(node, [shape], named))


def test_a_transpose_of_unit_axes_is_a_view_and_a_reversing_slice_is_not(bench: Bench) -> None:
    turn = helper.make_node("Transpose", ["a"], ["y"], perm=[1, 0, 2])
    assert not vectors(bench.before_a_product(turn, [(1, 3, 4)], {}))
    reverse = helper.make_node("Slice", ["a", "s", "e", "x", "d"], ["y"])
    ends = {"s": np.array([-1]), "e": np.array([-99]), "x": np.array([1]), "d": np.array([-1])}
    assert [layer.kind for layer in vectors(bench.before_a_product(reverse, [(2, 4)], ends))] == ["move"]


BINARY = ("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Sum", "Mean", "Mod", "Equal", "Less", "Greater")
UNARY = (
    *("Relu", "LeakyRelu", "ThresholdedRelu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu", "Selu"),
    *("Celu", "Gelu", "Mish", "Softplus", "Softsign", "Erf", "Exp", "Log", "Sqrt", "Reciprocal", "Neg", "Abs"),
    *("Floor", "Ceil", "Round", "Sign", "Sin", "Cos", "LogSoftmax", "IsNaN"),
)


@pytest.mark.parametrize("op", [*UNARY, *BINARY, "PRelu"])
def test_every_elementwise_operator_is_one_vector_layer(bench: Bench, op: str) -> None:
    assert op in VECTOR_LOWERINGS
    operands = ["a", "b"] if op in BINARY else ["a", "slope"] if op == "PRelu" else ["a"]
    attributes = {"fmod": 1} if op == "Mod" else {}
    network = bench.before_a_product(
        helper.make_node(op, operands, ["y"], **attributes), [(1, 2, 4, 4)] * 2, {"slope": filled(2, 1, 1)}
    )
    (layer,) = vectors(network)
    assert layer.elements == 2 * 4 * 4
    assert layer.channelwise == (op not in (*BINARY, "LogSoftmax"))


@pytest.mark.parametrize(
    ("op", "operands", "weights", "channelwise"),
    [
        ("BatchNormalization", ["scale", "shift", "mean", "var"], 2 * 6, True),
        ("InstanceNormalization", ["scale", "shift"], 2 * 6, True),
        ("LayerNormalization", ["plane"], 16, False),
    ],
)
def test_norms_read_their_parameters(
    bench: Bench, op: str, operands: list[str], weights: int, channelwise: bool
) -> None:
    constants = {name: filled(6) for name in ("scale", "shift", "mean", "var")} | {"plane": filled(4, 4)}
    attributes = {"axis": 2} if op == "LayerNormalization" else {}
    node = helper.make_node(op, ["a", *operands], ["y"], **attributes)
    (layer,) = vectors(bench.before_a_product(node, [(1, 6, 4, 4)], constants))
    assert (layer.kind, layer.weight_elements, layer.channelwise) == ("norm", weights, channelwise)


# What is not lowered


def test_an_unsupported_operator_is_named_and_its_consumers_are_counted(bench: Bench) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"], name="cube"),
        helper.make_node("Flatten", ["h"], ["f"]),
        helper.make_node("MatMul", ["f", "v"], ["y"]),
    ]
    constants = {"w": filled(4, 2, 3, 3, 3), "v": filled(4 * 8, 5)}
    network = bench.lower(nodes, {"x": (1, 2, 4, 4, 4)}, constants, strict=False)
    missing = network.layers[0]
    assert isinstance(missing, UnsupportedLayer)
    assert (missing.name, missing.op) == ("cube", "Conv")
    assert "3-D convolution" in missing.reason
    assert network.macs == 5 * 4 * 8
    with pytest.raises(ModelError, match=r"node cube \(Conv\): a 3-D convolution is not lowered.*strict"):
        bench.lower(nodes, {"x": (1, 2, 4, 4, 4)}, constants)


def test_a_custom_operator_without_a_shape_stops_only_what_reads_it(bench: Bench) -> None:
    product = helper.make_node("MatMul", ["x", "w"], ["h"])
    custom = helper.make_node("Secret", ["h"], ["y"], name="hidden", domain="mine")
    network = bench.lower([product, custom], {"x": (1, 6)}, {"w": filled(6, 6)}, strict=False)
    assert [layer.kind for layer in network.layers] == ["linear", "unsupported"]
    assert network.layers[1].op == "mine.Secret"
    after = helper.make_node("Relu", ["y"], ["z"], name="next")
    with pytest.raises(
        ModelError, match=r"node next \(Relu\): it reads y, whose shape is not known: it comes from node hidden"
    ):
        bench.lower([product, custom, after], {"x": (1, 6)}, {"w": filled(6, 6)}, strict=False)


def test_a_shape_that_depends_on_data_is_unsupported_by_name(bench: Bench) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("NonZero", ["h"], ["y"], name="where_is_it"),
    ]
    network = bench.lower(nodes, {"x": (1, 6)}, {"w": filled(6, 6)}, strict=False)
    assert isinstance(network.layers[1], UnsupportedLayer)
    assert any("output y has no known shape" in note for note in network.notes)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_weight_that_is_no_number_is_refused_by_layer(bench: Bench, bad: float) -> None:
    weight = filled(4, 6)
    weight[1, 2] = bad
    with pytest.raises(ModelError, match=r"layer fc: a weight is (NaN|infinite)"):
        bench.lower(
            [helper.make_node("Gemm", ["x", "fc.weight"], ["y"], transB=1)], {"x": (1, 6)}, {"fc.weight": weight}
        )
