"""ONNX operators that multiply two matrices: convolution, Gemm, MatMul and Einsum.

One function per operator. Left out: convolutions of three dimensions, transposed ones, and those whose weights are
computed from data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from traces.lower.onnx_graph import Graph, Node, Shape, Unlowered
from traces.lower.onnx_tensors import Array

Shapes = Mapping[str, Shape | None]
Lowering = Callable[[Graph, Node, Shapes], None]


def lower_conv(graph: Graph, node: Node, shapes: Shapes) -> None:
    """A 1-D or 2-D convolution, its padding made explicit."""
    weight = weight_of(graph, node, 1)
    spatial = weight.ndim - 2
    if spatial not in (1, 2):
        raise Unlowered(f"a {spatial}-D convolution is not lowered, only 1-D and 2-D")
    strides = node.integers("strides", (1,) * spatial)
    dilations = node.integers("dilations", (1,) * spatial)
    pads = _pads(node, graph.shape(node.inputs[0])[2:], weight.shape[2:], strides, dilations)
    one_d = spatial == 1
    graph.builder.conv(
        node.name, node.inputs[0], weight, node.outputs[0],
        stride=(1, *strides) if one_d else strides,
        dilation=(1, *dilations) if one_d else dilations,
        padding=(0, pads[0], 0, pads[1]) if one_d else pads,
        groups=node.integer("group", 1),
    )  # fmt: skip
    _note_data_bias(graph, node, 2)


def _pads(node: Node, extents: Shape, kernel: Shape, strides: Shape, dilations: Shape) -> Shape:
    """Return (begin, ..., end, ...) of every axis, from ``pads`` or from ``auto_pad``."""
    mode = node.attributes.get("auto_pad", "NOTSET")
    if mode == "NOTSET":
        return node.integers("pads", (0,) * (2 * len(kernel)))
    begins, ends = [], []
    for extent, width, stride, dilation in zip(extents, kernel, strides, dilations, strict=True):
        total = max((-(-extent // stride) - 1) * stride + dilation * (width - 1) + 1 - extent, 0)
        if mode == "VALID":
            total = 0
        begins.append(total // 2 if mode != "SAME_LOWER" else total - total // 2)
        ends.append(total - begins[-1])
    return (*begins, *ends)


def lower_gemm(graph: Graph, node: Node, shapes: Shapes) -> None:
    """alpha A' B' + beta C: a linear layer where one factor is constant, else a product."""
    a, b, out = node.inputs[0], node.inputs[1], node.outputs[0]
    trans_a, trans_b = node.integer("transA", 0), node.integer("transB", 0)
    rows = graph.shape(a)[1 if trans_a else 0]
    inner = graph.shape(a)[0 if trans_a else 1]
    columns = graph.shape(b)[0 if trans_b else 1]
    data_bias = bool(node.input(2)) and not graph.is_constant(node.input(2))
    target = f"{out}.product" if data_bias else out
    alpha = float(node.attributes.get("alpha", 1.0))
    if graph.is_constant(b):
        weight = graph.constant(b) if trans_b else graph.constant(b).T
        x = _transposed(graph, node, a) if trans_a else a
        graph.builder.linear(node.name, x, _scaled(weight, alpha), target)
    elif graph.is_constant(a):
        weight = graph.constant(a).T if trans_a else graph.constant(a)
        _left_constant(graph, node, _scaled(weight, alpha), b, target, transposed=bool(trans_b))
    else:
        graph.builder.product(node.name, a, b, target, (rows, columns), m=rows, k=inner, p=columns)
    if data_bias:
        graph.builder.vector(f"{node.name}.bias", "add", "Gemm", [target, node.inputs[2]], out, (rows, columns))


def lower_matmul(graph: Graph, node: Node, shapes: Shapes) -> None:
    """A linear layer where one factor is constant (batched weights become a grouped one), else a product."""
    a, b, out = node.inputs[0], node.inputs[1], node.outputs[0]
    if graph.is_constant(b):
        _right_constant(graph, node, _float32(graph.constant(b)), a, out)
    elif graph.is_constant(a):
        weight = _float32(graph.constant(a))
        _left_constant(graph, node, weight, b, out, transposed=False)
    else:
        left, right = graph.shape(a), graph.shape(b)
        left = (1, *left) if len(left) == 1 else left
        right = (*right, 1) if len(right) == 1 else right
        out_shape = _matmul_shape(graph.shape(a), graph.shape(b))
        graph.builder.product(node.name, a, b, out, out_shape, m=left[-2], k=left[-1], p=right[-1])
    if graph.is_constant(a) or graph.is_constant(b):
        graph.unbiased.add(out)


def _matmul_shape(left: Shape, right: Shape) -> Shape:
    lead = np.broadcast_shapes(left[:-2], right[:-2])
    rows = () if len(left) == 1 else (left[-2],)
    columns = () if len(right) == 1 else (right[-1],)
    return (*lead, *rows, *columns)


def _right_constant(graph: Graph, node: Node, weight: Array, x: str, out: str) -> None:
    """x W with W [..., K, N]: linear, or, with one matrix per leading index of x, a grouped 1 x 1 convolution."""
    shape = graph.shape(x)
    if weight.ndim == 1:
        graph.builder.linear(node.name, x, weight[None, :], f"{out}.column")
        graph.builder.view(out, f"{out}.column", shape[:-1])
        return
    lead, (inner, columns) = weight.shape[:-2], weight.shape[-2:]
    count = math.prod(lead)
    if count == 1:
        target = out if len(shape) >= weight.ndim else f"{out}.flat"
        graph.builder.linear(node.name, x, weight.reshape(inner, columns).T, target)
        if target != out:
            graph.builder.view(out, target, _matmul_shape(shape, weight.shape))
        return
    rows = shape[-2] if len(shape) > 1 else 1
    own = shape[:-2] if len(shape) > 2 else ()
    if own[len(own) - len(lead) :] != lead:
        raise Unlowered(f"constant matrices {weight.shape} meet {shape}, and must match its leading dimensions")
    batch = math.prod(own) // count
    # each group holds its own features: (batch, group, row, feature) is read as (batch, group x feature, row)
    graph.builder.view(f"{out}.x", x, (batch, count * inner, rows))
    kernel = weight.reshape(count, inner, columns).transpose(0, 2, 1).reshape(count * columns, inner, 1)
    graph.builder.conv(node.name, f"{out}.x", kernel, f"{out}.y", groups=count)
    graph.builder.view(out, f"{out}.y", _matmul_shape(shape, weight.shape))


def _left_constant(graph: Graph, node: Node, weight: Array, x: str, out: str, *, transposed: bool) -> None:
    """W X with W [M, K]: a linear layer over the columns of X, which are brought together before and apart after."""
    shape = graph.shape(x)
    lead = weight.shape[:-2]
    if math.prod(lead) != 1 or weight.ndim < 2:
        raise Unlowered(f"a constant left factor of shape {weight.shape} is not lowered, only one matrix")
    rows, inner = weight.shape[-2:]
    matrix = weight.reshape(rows, inner)
    if len(shape) == 1:
        graph.builder.linear(node.name, x, matrix, f"{out}.rows")
        graph.builder.view(out, f"{out}.rows", (*lead, rows))
        return
    outer = list(range(len(shape) - 2))
    swap = [*outer, len(shape) - 1, len(shape) - 2]
    columns = x if transposed else _moved(graph, node, x, swap, tuple(shape[axis] for axis in swap), f"{out}.columns")
    graph.builder.linear(node.name, columns, matrix, f"{out}.rows")
    positions = graph.shape(f"{out}.rows")
    apart = _moved(graph, node, f"{out}.rows", swap, tuple(positions[axis] for axis in swap), f"{out}.apart")
    graph.builder.view(out, apart, (*np.broadcast_shapes(lead, shape[:-2]), rows, positions[-2]))


def lower_einsum(graph: Graph, node: Node, shapes: Shapes) -> None:
    """Two factors with batch, free and contracted indices: a linear layer, or a product of two activations."""
    equation = str(node.attributes["equation"]).replace(" ", "")
    left, _, result = equation.partition("->")
    terms = left.split(",")
    if len(terms) != 2 or not result or "." in equation or any(len(set(t)) != len(t) for t in (*terms, result)):
        raise Unlowered(f"einsum {equation} is not lowered, only two factors with named indices")
    (a, b), (x, y) = terms, (node.inputs[0], node.inputs[1])
    if graph.is_constant(x):
        (a, b), (x, y) = (b, a), (y, x)
    extents = dict(zip(a + b, (*graph.shape(x), *graph.shape(y)), strict=True))
    shared = [index for index in a if index in b and index in result]
    inner = [index for index in a if index in b and index not in result]
    free_a = [index for index in a if index not in b]
    free_b = [index for index in b if index not in a]
    if not inner or any(index not in result for index in (*free_a, *free_b)):
        raise Unlowered(f"einsum {equation} sums an index of one factor alone")

    def size(indices: list[str]) -> int:
        return math.prod(extents[index] for index in indices)

    out, out_shape = node.outputs[0], tuple(extents[index] for index in result)
    if not graph.is_constant(y):
        graph.builder.product(node.name, x, y, out, out_shape, m=size(free_a), k=size(inner), p=size(free_b))
        return
    if shared:
        raise Unlowered(f"einsum {equation} has one constant matrix for each of its indices {''.join(shared)}")
    order = [b.index(index) for index in (*free_b, *inner)]
    weight = _float32(graph.constant(y)).transpose(order).reshape(size(free_b), size(inner))
    positions = tuple(extents[index] for index in free_a)
    rows = _moved(
        graph, node, x, [a.index(index) for index in (*free_a, *inner)], (*positions, size(inner)), f"{out}.x"
    )
    natural = [*free_a, *free_b]
    graph.builder.linear(node.name, rows, weight, f"{out}.rows")
    graph.builder.view(f"{out}.y", f"{out}.rows", tuple(extents[index] for index in natural))
    moved = _moved(graph, node, f"{out}.y", [natural.index(index) for index in result], out_shape, f"{out}.z")
    graph.builder.view(out, moved, out_shape)


def _moved(graph: Graph, node: Node, x: str, order: list[int], shape: Shape, name: str) -> str:
    """Return ``x`` with its axes in ``order`` and then in ``shape``: a move only where order changes the bytes."""
    extents = graph.shape(x)
    wide = [axis for axis in order if extents[axis] > 1]
    if wide == sorted(wide):
        return graph.builder.view(name, x, shape)
    return graph.builder.vector(f"{node.name}.move", "move", node.op, [x], name, shape)


def _transposed(graph: Graph, node: Node, x: str) -> str:
    rows, columns = graph.shape(x)
    return _moved(graph, node, x, [1, 0], (columns, rows), f"{node.outputs[0]}.x")


def weight_of(graph: Graph, node: Node, index: int) -> Array:
    if not graph.is_constant(node.input(index)):
        raise Unlowered(f"its weight {node.input(index)} is computed from data")
    return _float32(graph.constant(node.input(index)))


def _float32(values: Array) -> Array:
    """Return weights as float32, which also understands half and 8-bit floats."""
    return np.asarray(values, dtype=np.float32)


def _scaled(values: Array, factor: float) -> Array:
    return _float32(values) if factor == 1.0 else _float32(values) * np.float32(factor)


def _note_data_bias(graph: Graph, node: Node, index: int) -> None:
    if node.input(index) and not graph.is_constant(node.input(index)):
        graph.builder.notes.append(
            f"layer {node.name}: its bias is computed from data, and its addition is not counted"
        )


MATRIX_LOWERINGS: dict[str, Lowering] = {
    "Conv": lower_conv,
    "Gemm": lower_gemm,
    "MatMul": lower_matmul,
    "Einsum": lower_einsum,
}
