"""Where an ONNX file keeps the weights of each layer: which node reads them, and which stored elements they are.

A *site* is one constant that one node multiplies by; it knows the place of every element in the layer's matrix. A
constant that the file computes (LSTM weights out of Slice and Concat, a Transpose before a MatMul, DequantizeLinear) is
followed back to the initializers, as long as the nodes between only move elements: they are run on element numbers in
place of values. Left out: weights that arithmetic makes (a mask, weight norm); those are stored anew, folded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from traces.builder import GATES, Cell
from traces.lower.onnx_graph import Graph, Node
from traces.lower.onnx_sequence import gate_order
from traces.lower.onnx_tensors import Array

Ids = npt.NDArray[np.int64]
Places = Callable[[Ids], Ids]  # numbers in the constant's shape -> the same numbers as (groups, m, k)

# operators that only move elements of their first input (of every input: Concat)
MOVES = frozenset({
    "Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Concat", "Split", "Gather",
    "Expand", "Tile", "Cast",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightSite:
    """One layer's weights in the graph: input ``position`` of ``node`` reads the constant ``name``."""

    layer: str
    node: Any = field(repr=False)
    position: int
    name: str
    places: Places = field(repr=False)


def weight_sites(graph: Graph) -> list[WeightSite]:
    """Return the site of every layer with weights, in the order in which the layers run."""
    return [site for node, layers in graph.weighted for site in _sites(graph, node, layers)]


def _sites(graph: Graph, node: Node, layers: tuple[str, ...]) -> list[WeightSite]:
    if node.op in ("LSTM", "GRU"):
        return _recurrent_sites(node, layers)
    position = 1 if node.op == "Conv" or graph.is_constant(node.input(1)) else 0
    name = node.inputs[position]
    makers: dict[str, Callable[[Graph, Node, int], Places]] = {
        "Conv": _conv_places, "Gemm": _gemm_places, "MatMul": _matmul_places, "Einsum": _einsum_places,
    }  # fmt: skip
    places = makers[node.op](graph, node, position)
    return [WeightSite(layer=layers[0], node=node.proto, position=position, name=name, places=places)]


def _conv_places(graph: Graph, node: Node, position: int) -> Places:
    groups = node.integer("group", 1)

    def places(ids: Ids) -> Ids:
        channels_last = ids.transpose(0, *range(2, ids.ndim), 1)
        return channels_last.reshape(groups, ids.shape[0] // groups, -1)

    return places


def _gemm_places(graph: Graph, node: Node, position: int) -> Places:
    turned = not node.integer("transB", 0) if position == 1 else bool(node.integer("transA", 0))
    return lambda ids: (ids.T if turned else ids)[None]


def _matmul_places(graph: Graph, node: Node, position: int) -> Places:
    def places(ids: Ids) -> Ids:
        if ids.ndim == 1:
            return ids[None, None, :]
        matrices = ids.reshape(-1, *ids.shape[-2:])
        return matrices.transpose(0, 2, 1) if position == 1 else matrices

    return places


def _einsum_places(graph: Graph, node: Node, position: int) -> Places:
    left, _, result = str(node.attributes["equation"]).replace(" ", "").partition("->")
    terms = left.split(",")
    position = 0 if graph.is_constant(node.input(0)) else 1  # as the reader chooses
    other, own = terms[1 - position], terms[position]
    free = [index for index in own if index not in other]
    inner = [index for index in other if index in own and index not in result]

    def places(ids: Ids) -> Ids:
        rows = math.prod(ids.shape[own.index(index)] for index in free)
        return ids.transpose([own.index(index) for index in (*free, *inner)]).reshape(1, rows, -1)

    return places


def _recurrent_sites(node: Node, layers: tuple[str, ...]) -> list[WeightSite]:
    """Layers come as ih, hh of each direction; W [directions, gates x H, in] and R [directions, gates x H, H]."""
    cell: Cell = "lstm" if node.op == "LSTM" else "gru"

    def places_of(direction: int) -> Places:
        def places(ids: Ids) -> Ids:
            own = ids[direction]
            ordered: Ids = own.reshape(GATES[cell], -1, own.shape[-1])[gate_order(cell)].reshape(1, *own.shape)
            return ordered

        return places

    return [
        WeightSite(
            layer=layer,
            node=node.proto,
            position=1 + number % 2,
            name=node.inputs[1 + number % 2],
            places=places_of(number // 2),
        )
        for number, layer in enumerate(layers)
    ]


@dataclass(slots=True, kw_only=True)
class Leaf:
    """A stored tensor, and the number of its first element; ``zero``: what stands for 0 in it (None: 0 itself)."""

    tensor: Any
    first: int
    size: int
    zero: Array | None = None


class Origins:
    """Follows constants back to stored tensors. Numbers run over the elements of all tensors met so far."""

    def __init__(self, model: Any, graph: Graph) -> None:
        self.graph = graph
        self.producers = {name: node for node in model.graph.node for name in node.output if name}
        self.leaves: dict[str, Leaf] = {}
        self._stored = {tensor.name: tensor for tensor in model.graph.initializer}
        self._total = 0

    def numbers(self, name: str, path: set[str]) -> Ids | None:
        """Return the number of the stored element behind each element of ``name``; None where values are computed.

        Adds every constant that was passed to ``path``.
        """
        path.add(name)
        node = self.producers.get(name)
        tensor = self._stored.get(name)
        if node is not None and node.op_type == "Constant":
            tensor = next((attribute.t for attribute in node.attribute if attribute.name == "value"), None)
        if tensor is not None:
            return self._leaf(name, tensor)
        if node is None or node.domain not in ("", "ai.onnx"):
            return None
        if node.op_type == "DequantizeLinear":
            return self._dequantized(node, path)
        return self._moved(name, node, path)

    def _leaf(self, name: str, tensor: Any) -> Ids:
        shape = tuple(int(extent) for extent in tensor.dims)
        if name not in self.leaves:
            self.leaves[name] = Leaf(tensor=tensor, first=self._total, size=math.prod(shape))
            self._total += math.prod(shape)
        leaf = self.leaves[name]
        return np.arange(leaf.first, leaf.first + leaf.size, dtype=np.int64).reshape(shape)

    def _moved(self, name: str, node: Any, path: set[str]) -> Ids | None:
        if node.op_type not in MOVES or any(self.graph.constant(n).dtype.kind in "biu" for n in _data_inputs(node)):
            return None
        feeds: dict[str, Ids] = {}
        for source in _data_inputs(node):
            found = self.numbers(source, path)
            if found is None:
                return None
            feeds[source] = found
        if node.op_type == "Cast":
            return feeds[node.input[0]]
        moved: Ids = run_node(self.graph, node, name, feeds)
        return moved

    def _dequantized(self, node: Any, path: set[str]) -> Ids | None:
        """A quantized tensor that is stored: what stands for 0 in it is its zero point."""
        source = node.input[0]
        if source not in self._stored:
            return None
        values = self.graph.constant(source)
        attributes = {attribute.name: attribute.i for attribute in node.attribute}
        if values.dtype.itemsize * 8 not in (8, 16) or attributes.get("block_size"):
            return None
        point = self.graph.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1, np.int8)
        shape = [1] * values.ndim
        if point.size > 1:
            if point.ndim != 1:
                return None
            shape[attributes.get("axis", 1)] = -1
        zero = np.broadcast_to(point.astype(values.dtype).reshape(shape), values.shape)
        found = self.numbers(source, path)
        self.leaves[source].zero = np.ascontiguousarray(zero).reshape(-1)
        return found


def _data_inputs(node: Any) -> list[str]:
    return list(node.input) if node.op_type == "Concat" else [node.input[0]]


def run_node(graph: Graph, node: Any, name: str, feeds: Mapping[str, Any]) -> Any:
    """Return output ``name`` of a node that moves elements, run on ``feeds`` in place of its data inputs."""
    import onnx.reference

    others = {other: graph.constant(other) for other in node.input if other and other not in feeds}
    evaluator = onnx.reference.ReferenceEvaluator(node, opsets={"": graph.opset})
    results = evaluator.run(None, {**others, **feeds})
    return np.asarray(results[list(node.output).index(name)])


def unmasked(graph: Graph, origins: Origins, name: str) -> Array | None:
    """Return ``name`` as it would be without the masks that the file multiplies it by, None where there is none.

    A mask is a constant factor of the same shape that holds only 0 and 1.
    """
    node = origins.producers.get(name)
    if node is None or not all(graph.is_constant(source) for source in node.input if source):
        return None
    if node.op_type == "Mul" and graph.shape(node.input[0]) == graph.shape(node.input[1]):
        for mask, values in (node.input, tuple(reversed(node.input))):
            factor = graph.constant(mask)
            if ((factor == 0) | (factor == 1)).all():
                return graph.constant(values)
        return None
    if node.op_type not in MOVES:
        return None
    hidden = {source: unmasked(graph, origins, source) for source in _data_inputs(node)}
    if all(values is None for values in hidden.values()):
        return None
    feeds = {source: graph.constant(source) if values is None else values for source, values in hidden.items()}
    return np.asarray(run_node(graph, node, name, feeds))
