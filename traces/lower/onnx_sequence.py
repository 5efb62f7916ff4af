"""ONNX operators over sequences: LSTM, GRU and scaled dot-product attention.

Left out: sequence lengths shorter than the input (every step is counted), peephole weights (vectors, no matrix), and
recurrent layers whose weights are computed from data.
"""

from __future__ import annotations

import math

from traces.builder import GATES, Cell
from traces.layer import ModelError
from traces.lower.onnx_graph import Graph, Node, Unlowered
from traces.lower.onnx_matrix import Lowering, Shapes, weight_of
from traces.lower.onnx_tensors import Array

# Rows of W and R are kept in torch's order: i f g o from ONNX's i o f c, and r z n from z r h.
_TORCH_GATES: dict[Cell, tuple[int, ...]] = {"lstm": (0, 2, 3, 1), "gru": (1, 0, 2)}


def lower_lstm(graph: Graph, node: Node, shapes: Shapes) -> None:
    """Every direction of one LSTM layer."""
    _recurrent(graph, node, "lstm")


def lower_gru(graph: Graph, node: Node, shapes: Shapes) -> None:
    """Every direction of one GRU layer."""
    _recurrent(graph, node, "gru")


def _recurrent(graph: Graph, node: Node, cell: Cell) -> None:
    x, out = node.inputs[0], node.output(0) or f"{node.label}.Y"
    w, r = weight_of(graph, node, 1), weight_of(graph, node, 2)
    batch_first = node.integer("layout", 0) == 1
    shape = graph.shape(x)
    steps, batch = (shape[1], shape[0]) if batch_first else (shape[0], shape[1])
    directions, hidden = w.shape[0], r.shape[2]
    if directions != (2 if node.attributes.get("direction") == "bidirectional" else 1) or w.shape[2] != shape[2]:
        raise ModelError(
            f"{graph.where}: node {node.label} ({node.op}): weights {w.shape} do not fit input {shape} and "
            "its direction"
        )
    parameters = math.prod(graph.shape(node.input(3))) if node.input(3) else 0
    first = "_reverse" if node.attributes.get("direction") == "reverse" else ""
    stem = graph.recurrent_name(node.name)
    state = (batch, directions, hidden) if batch_first else (directions, batch, hidden)
    for name in (node.input(5), node.input(6)):  # zeros cost nothing, states that are data are read once
        if name and not graph.is_constant(name):
            graph.builder.vector(f"{stem}.initial_state", "move", node.op, [name], f"{out}.{name}", state)
    parts = [
        graph.builder.recurrent(
            f"{stem}{tag}", x, _torch_order(w[index], cell), _torch_order(r[index], cell), f"{out}{tag}.steps",
            cell=cell, steps=steps, batch=batch, parameters=parameters // directions,
        )
        for index, tag in zip(range(directions), (first, "_reverse"), strict=False)
    ]  # fmt: skip
    if node.output(0):
        order = (batch, steps, directions, hidden) if batch_first else (steps, directions, batch, hidden)
        if directions == 2:
            graph.builder.vector(f"{stem}.concat", "concat", node.op, parts, out, order)
        else:
            graph.builder.view(out, parts[0], order)
    for name in (node.output(1), node.output(2)):  # the last hidden and cell states
        if graph.used(name):
            elements = math.prod(state)
            graph.builder.vector(f"{stem}.state", "move", node.op, parts, name, state, input_elements=elements)


def gate_order(cell: Cell) -> list[int]:
    """Return the places of ONNX's gates in torch's order."""
    return list(_TORCH_GATES[cell])


def _torch_order(rows: Array, cell: Cell) -> Array:
    """Return the gates' rows [gates x H, in] in torch's order."""
    gates = rows.reshape(GATES[cell], -1, rows.shape[-1])
    return gates[gate_order(cell)].reshape(rows.shape)


def lower_attention(graph: Graph, node: Node, shapes: Shapes) -> None:
    """Scaled dot-product attention: scores, softmax, values. Q, K, V [N, T, heads x D] or [N, heads, T, D]."""
    if any(graph.is_constant(name) for name in node.inputs[:3]):
        raise Unlowered("attention over constant queries, keys or values is not lowered")
    if graph.used(node.output(3)):
        raise Unlowered("its fourth output, the raw scores, is used")
    q, k, v = (graph.shape(name) for name in node.inputs[:3])
    heads, kv_heads = (q[1], k[1]) if len(q) == 4 else (node.integer("q_num_heads", 1), node.integer("kv_num_heads", 1))
    queries, width = (q[2], q[3]) if len(q) == 4 else (q[1], q[2] // heads)
    value_width = v[3] if len(v) == 4 else v[2] // kv_heads
    past = graph.shape(node.input(4))[2] if node.input(4) else 0
    keys = past + (k[2] if len(k) == 4 else k[1])
    out = node.outputs[0]
    sources = list(node.inputs[:3])
    for index in (1, 2):  # the cache that is handed on is the old one with the new keys or values behind it
        present, before = node.output(index), node.input(index + 3)
        if graph.used(present) or before:
            present = present or f"{out}.cache{index}"
            kept = (q[0], kv_heads, keys, width if index == 1 else value_width)
            reads = [before, sources[index]] if before else [sources[index]]
            sources[index] = graph.builder.vector(f"{node.name}.cache", "concat", node.op, reads, present, kept)
    scores = (q[0], heads, queries, keys)
    graph.builder.product(
        f"{node.name}.scores", sources[0], sources[1], f"{out}.scores", scores, m=queries, k=width, p=keys
    )
    masked = f"{out}.scores"
    if node.input(3):
        reads = [masked] if graph.is_constant(node.input(3)) else [masked, node.input(3)]
        size = math.prod(graph.shape(node.input(3))) if graph.is_constant(node.input(3)) else 0
        masked = graph.builder.vector(
            f"{node.name}.mask", "add", node.op, reads, f"{out}.masked", scores, weight_elements=size
        )
    graph.builder.vector(f"{node.name}.softmax", "softmax", node.op, [masked], f"{out}.softmax", scores)
    shape = (q[0], heads, queries, value_width) if len(q) == 4 else (q[0], queries, heads * value_width)
    graph.builder.product(
        f"{node.name}.values", f"{out}.softmax", sources[2], out, shape, m=queries, k=keys, p=value_width
    )


SEQUENCE_LOWERINGS: dict[str, Lowering] = {"LSTM": lower_lstm, "GRU": lower_gru, "Attention": lower_attention}
