"""A small ONNX network with a layer of each kind that patterns tell apart, made without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_mixed(path: Path, seed: int = 0) -> Path:
    """Write 3x3, depthwise 3x3, 1x1, 3x3 and a classifier (first, dw, point, middle, head); return the path."""
    import onnx
    from onnx import helper, numpy_helper

    rng = np.random.default_rng(seed)
    shapes = {
        "first": (32, 8, 3, 3),
        "dw": (32, 1, 3, 3),
        "point": (64, 32, 1, 1),
        "middle": (48, 64, 3, 3),
        "head": (16, 48),
    }

    def drawn(shape: tuple[int, ...]) -> np.ndarray:
        return (rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)

    weights = {
        f"{name}.weight": numpy_helper.from_array(drawn(shape), f"{name}.weight") for name, shape in shapes.items()
    }
    nodes, x = [], "x"
    for name, groups, pads in (("first", 1, 1), ("dw", 32, 1), ("point", 1, 0), ("middle", 1, 1)):
        nodes.append(
            helper.make_node("Conv", [x, f"{name}.weight"], [f"{name}.out"], name=name, group=groups, pads=[pads] * 4)
        )
        nodes.append(helper.make_node("Relu", [f"{name}.out"], [f"{name}.relu"], name=f"{name}.relu"))
        x = f"{name}.relu"
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["pooled"], name="pool"))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"], name="flatten"))
    nodes.append(helper.make_node("Gemm", ["flat", "head.weight"], ["y"], name="head", transB=1))
    graph = helper.make_graph(
        nodes,
        "mixed",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 8, 6, 6])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 16])],
        initializer=list(weights.values()),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
