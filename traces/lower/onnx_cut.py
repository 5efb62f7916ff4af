"""The walk that cuts the nodes of an ONNX graph to the channels that a plan leaves.

Follows the channels of every tensor from node to node, as ``traces.channel_graph`` does over layers; how an operator is
cut is in ``onnx_cut_nodes``. A node whose input shrinks and that is not known there is an error that names it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from traces.channel_labels import (
    Indices,
    Irregular,
    Labels,
    along,
    channels,
    fixed,
    taken,
)
from traces.channels import ChannelPlan
from traces.layer import MatrixLayer, ModelError
from traces.lower.onnx_file import node_of
from traces.lower.onnx_graph import Graph, Node
from traces.lower.onnx_tensors import Array

Cut = Callable[["Cutter", Node], Labels | None]  # cuts a node's constants, returns the labels of its output
CutProduct = Callable[["Cutter", Node, MatrixLayer], None]


class Cutter:
    """Rewrites one model in place."""

    MARK = "cut from "  # a cut tensor's note of the name that it would like to have

    def __init__(
        self,
        graph: Graph,
        model: Any,
        plan: ChannelPlan,
        products: Mapping[str, CutProduct],
        others: Mapping[tuple[str, str], Cut],
    ) -> None:
        self.graph, self.model, self.plan = graph, model, plan
        self.products, self.others = products, others
        network = graph.builder.build([output.name for output in model.graph.output])
        self.layers = {layer.outputs[0]: layer for layer in network.matrix_layers}
        self.labels: dict[str, Labels] = {}
        self.left: dict[str, Array] = {}  # constants that come from shapes which changed
        self.derived: set[str] = set()  # constants that come from shapes of data
        self.made = 0
        self.done: set[str] = set()

    def run(self) -> None:
        """Cut every node. Raises ModelError naming the node that cannot be cut."""
        for proto in list(self.model.graph.node):
            node = node_of(self.graph, proto)
            if node.domain == "" and node.op in ("Shape", "Size"):
                self._shape(node)
            elif self.graph.foldable(node):
                self._fold(node)
            else:
                try:
                    self._cut(node)
                except Irregular as irregular:
                    raise self.refusal(node, str(irregular)) from None
        for layer in self.layers.values():
            before = layer.groups * layer.m, layer.groups * layer.ci
            after = len(self.plan.kept[layer.name]), len(self.plan.columns[layer.name])
            if layer.name not in self.done and before != after:
                raise ModelError(
                    f"{self.graph.where}: layer {layer.name}: its weights cannot be cut, only those of Conv, Gemm and "
                    "MatMul; a layer in keep stays whole"
                )

    def refusal(self, node: Node, why: str) -> ModelError:
        return ModelError(
            f"{self.graph.where}: node {node.label} ({node.op}): its channels cannot be followed: {why}; a layer in "
            "keep stays whole"
        )

    # Values

    def of(self, name: str) -> Labels:
        return self.labels.get(name) or fixed(self.graph.shape(name))

    def value(self, name: str) -> Array:
        return self.left[name] if name in self.left else self.graph.constant(name)

    def _shape(self, node: Node) -> None:
        small = self.of(node.inputs[0]).small
        start, end = node.integer("start", 0), node.integer("end", len(small))
        value = small[start:end] if node.op == "Shape" else math.prod(small)
        self.derived.add(node.outputs[0])
        if self.of(node.inputs[0]).small != self.of(node.inputs[0]).shape:
            self.left[node.outputs[0]] = np.asarray(value, dtype=np.int64)

    def _fold(self, node: Node) -> None:
        """Compute a constant again where it depends on a shape that changed."""
        import onnx.reference

        if any(name in self.derived for name in node.inputs):
            self.derived.update(node.outputs)
        if not any(name in self.left for name in node.inputs):
            return
        feeds = {name: self.value(name) for name in node.inputs if name}
        evaluator = onnx.reference.ReferenceEvaluator(node.proto, opsets={"": self.graph.opset})
        for name, value in zip([name for name in node.outputs if name], evaluator.run(None, feeds), strict=False):
            self.left[name] = np.asarray(value)

    def put(self, node: Node, index: int, value: Array) -> None:
        """Let input ``index`` of a node be another constant; nothing happens where it is that already."""
        import onnx

        name = node.input(index)
        if name and self.graph.is_constant(name):
            now = self.value(name)
            if now.shape == value.shape and now.dtype == value.dtype and np.array_equal(now, value):
                return
        self.made += 1
        tensor = onnx.numpy_helper.from_array(np.ascontiguousarray(value), f"{name or node.label}/cut{self.made}")
        tensor.doc_string = f"{self.MARK}{self.graph.origins.get(name, name)}" if name else ""
        self.model.graph.initializer.append(tensor)
        while len(node.proto.input) <= index:
            node.proto.input.append("")
        node.proto.input[index] = tensor.name

    def put_numbers(self, node: Node, index: int, attribute: str, values: Sequence[int]) -> None:
        """Set integers that are an input in new opsets and an attribute in old ones."""
        import onnx

        old = next((entry for entry in node.proto.attribute if entry.name == attribute), None)
        if old is None:
            self.put(node, index, np.asarray(values, dtype=np.int64))
        elif tuple(onnx.helper.get_attribute_value(old)) != tuple(values):
            del old.ints[:]
            old.ints.extend(values)

    def meet(self, first: Indices, second: Indices) -> None:
        if (first != second).any():
            raise Irregular("it ties channels that the plan does not tie")

    # Nodes

    def _cut(self, node: Node) -> None:
        """Cut the constants of one node, and give its outputs their labels."""
        if node.outputs and self.graph.is_constant(node.outputs[0]):
            return  # a constant in the type of data, or a branch that was folded
        if not any(self.graph.builder.known(name) for name in node.outputs):
            self.model.graph.node.remove(node.proto)  # a move that nobody reads is no layer
            return
        sources = [self.of(name) for name in node.inputs if name and not self.graph.is_constant(name)]
        layer = self._layer(node)
        if layer is not None and node.domain == "" and node.op in self.products:
            self.done.add(layer.name)
            self.products[node.op](self, node, layer)
            return
        if all(not source.ids.any() and source.small == source.shape for source in sources):
            self._check_captured(node)
            return  # nothing here shrinks, or carries anything that could
        cut = self.others.get((node.domain, node.op))
        found = cut(self, node) if cut is not None else None
        if found is not None:
            self.labels[node.outputs[0]] = found
        elif cut is None and any(source.small != source.shape for source in sources):
            raise self.refusal(node, f"operator {node.op} is not known here")
        for name in node.outputs[1:]:
            if name and self.graph.used(name) and name not in self.labels and cut is not None:
                raise self.refusal(node, f"its output {name} is read")

    def _check_captured(self, node: Node) -> None:
        """Refuse a subgraph that reads a tensor which shrinks."""
        for attribute in node.proto.attribute:
            for inner in (attribute.g, *attribute.graphs):
                for read in inner.node:
                    for name in read.input:
                        if name in self.labels and self.labels[name].small != self.labels[name].shape:
                            raise self.refusal(node, f"a subgraph reads {name}")

    def _layer(self, node: Node) -> MatrixLayer | None:
        out = node.output(0)
        names = (out, f"{out}.product", f"{out}.flat", f"{out}.column")
        return next((self.layers[name] for name in names if name in self.layers), None)

    def inputs(self, node: Node, layer: MatrixLayer, axis: int) -> Indices:
        """Return the input channels of a layer that are left, by the tensor that it reads: those of the plan."""
        found = channels(self.of(node.inputs[0]), axis)
        planned = self.plan.columns[layer.name]
        if found is None or not np.array_equal(found[1], planned):
            raise self.refusal(node, "its input does not hold the channels that the plan says")
        return planned

    def must_stay(self, node: Node, layer: MatrixLayer) -> None:
        """A product whose weight is not its right factor: it is not cut."""
        self.done.discard(layer.name)
        if any(self.of(name).small != self.of(name).shape for name in node.inputs if name in self.labels):
            raise self.refusal(node, "its weight is no constant right factor")

    def outputs(self, node: Node, layer: MatrixLayer, axis: int) -> None:
        out = node.outputs[0]
        shape = self.graph.shape(out)
        if len(shape) == 0 or shape[axis] != layer.groups * layer.m:  # a vector factor leaves no axis behind
            return
        self.labels[out] = along(shape, axis, self.plan.units[layer.name], self.plan.kept[layer.name])

    def bias(self, node: Node, index: int, labels: Labels) -> None:
        name = node.input(index)
        if not name:
            return
        if self.graph.is_constant(name):
            self.put(node, index, taken(self.graph.constant(name), labels))
        elif labels.small != labels.shape:
            raise self.refusal(node, "its bias is computed from data")
