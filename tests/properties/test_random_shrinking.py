"""Random small networks in which channels meet: the shrunk ONNX file computes what the masked one does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from traces.channels import prune_channels
from traces.lower.onnx_file import read_onnx
from traces.lower.onnx_shrink import shrink_onnx

SIDE = 3
OPERATORS = (
    "conv", "conv", "grouped", "depthwise", "relu", "norm", "add", "mul", "gate", "concat", "split", "slice", "shuffle",
    "pool", "rows", "slope",
)  # fmt: skip


class Maker:
    """Grows an ONNX graph node by node; every map is (1, C, SIDE, SIDE)."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.weights: dict[str, np.ndarray] = {}
        self.maps: list[tuple[str, int]] = [("x", 4)]

    def constant(self, values: np.ndarray) -> str:
        name = f"c{len(self.weights)}"
        self.weights[name] = values
        return name

    def weight(self, *shape: int) -> str:
        name = f"layer{len(self.nodes)}.weight"
        self.weights[name] = self.random.standard_normal(shape).astype(np.float32) / 2
        return name

    def node(self, op: str, inputs: list[str], count: int = 1, **attributes: Any) -> list[str]:
        from onnx import helper

        outputs = [f"t{len(self.nodes)}_{index}" for index in range(count)]
        self.nodes.append(helper.make_node(op, inputs, outputs, name=f"n{len(self.nodes)}", **attributes))
        return outputs

    def grow(self, op: str, pick: int, other: int, width: int) -> None:
        name, channels = self.maps[pick % len(self.maps)]
        out, wide = name, channels
        if op == "conv":
            wide = width
            (out,) = self.node("Conv", [name, self.weight(width, channels, 3, 3)], pads=[1, 1, 1, 1])
        elif op == "grouped" and channels % 2 == 0:
            wide = 2 * width
            (out,) = self.node("Conv", [name, self.weight(wide, channels // 2, 1, 1)], group=2)
        elif op == "depthwise" and channels > 1:
            wide = channels * (1 + width % 2)
            (out,) = self.node("Conv", [name, self.weight(wide, 1, 3, 3)], group=channels, pads=[1, 1, 1, 1])
        elif op == "relu":
            (out,) = self.node("Sigmoid" if width % 2 else "Relu", [name])
        elif op == "norm":
            values = [self.random.uniform(0.5, 1.5, channels).astype(np.float32) for _ in range(4)]
            (out,) = self.node("BatchNormalization", [name, *(self.constant(value) for value in values)])
        elif op in ("add", "mul"):
            same = [entry for entry in self.maps if entry[1] == channels]
            (out,) = self.node(op.title(), [name, same[other % len(same)][0]])
        elif op == "gate":
            (pooled,) = self.node("GlobalAveragePool", [name])
            (gate,) = self.node("Conv", [pooled, self.weight(channels, channels, 1, 1)])
            (out,) = self.node("Mul", [gate, name])
        elif op == "concat":
            second, more = self.maps[other % len(self.maps)]
            wide = channels + more
            (out,) = self.node("Concat", [name, second], axis=1)
        elif op == "split" and channels > 1:
            first = 1 + other % (channels - 1)
            halves = self.node("Split", [name, self.constant(np.asarray([first, channels - first]))], 2, axis=1)
            self.maps.append((halves[0], first))
            out, wide = halves[1], channels - first
        elif op == "slice":
            start, step = other % channels, 1 + width % 2
            wide = len(range(start, channels, step))
            numbers = [self.constant(np.asarray([value])) for value in (start, 2**31, 1, step)]
            (out,) = self.node("Slice", [name, *numbers])
        elif op == "shuffle" and channels % 2 == 0:
            (parts,) = self.node("Reshape", [name, self.constant(np.asarray([1, 2, channels // 2, SIDE, SIDE]))])
            (moved,) = self.node("Transpose", [parts], perm=[0, 2, 1, 3, 4])
            (out,) = self.node("Reshape", [moved, self.constant(np.asarray([1, channels, SIDE, SIDE]))])
        elif op == "pool":
            (out,) = self.node("MaxPool", [name], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        elif op == "slope":
            slope = self.random.uniform(0.1, 1, (channels, 1, 1)).astype(np.float32)
            (out,) = self.node("PRelu", [name, self.constant(slope)])
        elif op == "rows":  # features last, a linear layer over them, and back
            (rows,) = self.node("Transpose", [name], perm=[0, 2, 3, 1])
            wide = width
            (product,) = self.node("MatMul", [rows, self.weight(channels, width)])
            (out,) = self.node("Transpose", [product], perm=[0, 3, 1, 2])
        self.maps.append((out, wide))

    def model(self) -> Any:
        """Read the last maps by a flattened linear layer."""
        import onnx
        from onnx import TensorProto, helper

        (all_maps,) = self.node("Concat", [name for name, _ in self.maps[-3:]], axis=1)
        features = sum(wide for _, wide in self.maps[-3:]) * SIDE * SIDE
        (flat,) = self.node("Flatten", [all_maps])
        self.node("Gemm", [flat, self.weight(3, features)], transB=1)
        initializers = [onnx.numpy_helper.from_array(values, name) for name, values in self.weights.items()]
        y = self.nodes[-1].output[0]
        graph = helper.make_graph(
            self.nodes, "random",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, SIDE, SIDE])],
            [helper.make_tensor_value_info(y, TensorProto.FLOAT, [1, 3])], initializers,
        )  # fmt: skip
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(path: Path, x: np.ndarray) -> np.ndarray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


STEPS = st.lists(
    st.tuples(st.sampled_from(OPERATORS), st.integers(0, 9), st.integers(0, 9), st.integers(1, 6)),
    min_size=2, max_size=12,
)  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, st.floats(0, 0.95), st.integers(0, 1000))
def test_random_networks_shrink_to_what_the_masked_ones_compute(
    tmp_path: Path, steps: list[tuple[str, int, int, int]], sparsity: float, seed: int
) -> None:
    import onnx

    maker = Maker(seed)
    maker.grow("conv", 0, 0, 6)
    for step in steps:
        maker.grow(*step)
    model = maker.model()
    source, small, masked = (tmp_path / f"{name}.onnx" for name in ("source", "small", "masked"))
    onnx.save(model, source)
    network = read_onnx(source, strict=True)
    plan = prune_channels(network, sparsity)
    shrink_onnx(source, plan, small)

    layers = {layer.name: layer for layer in network.matrix_layers}
    for tensor in model.graph.initializer:
        if tensor.name.endswith(".weight") and tensor.name.removesuffix(".weight") in layers:
            layer = layers[tensor.name.removesuffix(".weight")]
            values = onnx.numpy_helper.to_array(tensor).copy()
            stays = np.zeros(layer.groups * layer.ci, dtype=bool)
            stays[plan.columns[layer.name]] = True
            if values.ndim == 4:
                values *= np.repeat(stays.reshape(layer.groups, layer.ci), layer.m, axis=0)[:, :, None, None]
            else:
                values *= stays[:, None] if values.shape[0] == layer.k and values.shape[1] == layer.m else stays
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, masked)
    x = np.random.default_rng(seed).standard_normal((1, 4, SIDE, SIDE)).astype(np.float32)
    expected = run(masked, x)
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(run(small, x) / scale, expected / scale, rtol=0, atol=1e-4)
    for ours, theirs in zip(read_onnx(small).matrix_layers, plan.network.matrix_layers, strict=True):
        assert (ours.name, ours.kind, ours.macs) == (theirs.name, theirs.kind, theirs.macs)
