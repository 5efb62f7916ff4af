"""What the lowering of an exported graph knows while it walks the nodes: which names are weights, which are tensors.

A *constant* is an array that is known before any input is: a parameter, a buffer, or what folding made of them. An
*activation* is a tensor of the network builder. Knows no operator.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from traces.builder import NetworkBuilder
from traces.layer import Arrangement, ModelError, VectorKind
from traces.lower.pt2_graph import Graph, Node, Ref

Array = npt.NDArray[Any]

# what torch appends to a module's path for its weight: plain, pruned, parametrized, attention, recurrent
WEIGHT_SUFFIX = re.compile(r"[._]weight(_orig|_v)?$|\.parametrizations\.weight\.original\d?$")


@dataclass(frozen=True, slots=True)
class Constant:
    """An array known from the file, and the name of the parameter that it comes from ('' for none)."""

    array: Array
    fqn: str = ""

    @property
    def stored_elements(self) -> int:
        """Elements in memory: an axis that is only repeated (stride 0) counts once."""
        total = 1
        for extent, stride in zip(self.array.shape, self.array.strides, strict=True):
            total *= extent if stride else 1
        return total


class Scope:
    """One graph while it is lowered: its values by name, and short ways to write layers into the builder."""

    def __init__(self, graph: Graph, builder: NetworkBuilder, *, symbols: Mapping[str, int], prefix: str = "") -> None:
        self.graph = graph
        self.builder = builder
        self.symbols = symbols
        self.prefix = prefix
        self.values: dict[str, Constant | str] = {}
        self.weight_reads: Counter[str] = Counter()  # layers that were named after a parameter
        self.unsupported_nodes: list[str] = []  # the reasons, in order
        self.producers = {name: node for node in graph.nodes for name in node.writes}
        self._reads = Counter([name for node in graph.nodes for name in node.reads] + list(graph.outputs))
        self.used = frozenset(self._reads)

    # Reading

    def shape(self, ref: Ref | str) -> tuple[int, ...]:
        name = ref.name if isinstance(ref, Ref) else ref
        if name not in self.graph.shapes:
            raise ModelError(f"{self.builder.where}: tensor {name} has no shape in the file")
        return self.graph.shapes[name]

    def value(self, ref: Ref) -> Constant | str:
        if ref.name not in self.values:
            raise ModelError(f"{self.builder.where}: tensor {ref.name} is read before any node writes it")
        return self.values[ref.name]

    def constant(self, ref: Any) -> Constant | None:
        """The constant behind a reference; None where it is an activation or no tensor at all."""
        if not isinstance(ref, Ref):
            return None
        value = self.value(ref)
        return value if isinstance(value, Constant) else None

    def tensor(self, ref: Ref) -> str:
        """The builder's name of a reference; a constant that is used as an activation becomes a tensor of its own."""
        value = self.value(ref)
        if isinstance(value, str):
            return value
        name = f"{self.prefix}{value.fqn or ref.name}"
        if not self.builder.known(name):
            self.builder.constant(name, value.array.shape)
        elif self.builder.shape(name) != value.array.shape:
            name = self.builder.constant(f"{self.prefix}{ref.name}", value.array.shape)
        return name

    def operands(self, refs: Sequence[Any]) -> tuple[list[str], int]:
        """Split references into activations to read and the number of constant elements beside them."""
        tensors: list[str] = []
        weights = 0
        for ref in refs:
            if not isinstance(ref, Ref):
                continue
            value = self.value(ref)
            if isinstance(value, Constant):
                weights += value.stored_elements
            else:
                tensors.append(value)
        return tensors, weights

    def readers(self, name: str) -> int:
        """How many arguments and outputs of the graph read a value."""
        return self._reads[name]

    # Writing

    def out(self, node: Node, index: int = 0) -> str:
        """The builder's name for an output of ``node``."""
        return self.prefix + node.writes[index]

    def define(self, node: Node, tensor: str, index: int = 0) -> None:
        """Bind an output of ``node`` to a tensor of the builder; the shapes must agree with the file."""
        name = node.writes[index]
        found, declared = self.builder.shape(tensor), self.shape(name)
        if found != declared:
            raise ModelError(
                f"{self.builder.where}: node {node.name} ({node.target}) gives shape {found}, "
                f"and the file says {declared}"
            )
        self.values[name] = tensor

    def vector(
        self,
        node: Node,
        kind: VectorKind,
        refs: Sequence[Any],
        *,
        elements: int | None = None,
        input_elements: int | None = None,
        channelwise: bool = False,
        arrangement: Arrangement | None = None,
        index: int = 0,
        name: str | None = None,
    ) -> None:
        """Write a layer without a matrix product; constants among ``refs`` are the parameters that it reads."""
        tensors, weights = self.operands(refs)
        out, shape = self.out(node, index), self.shape(node.writes[index])
        self.builder.vector(
            name or self.layer_name(node), kind, node.op, tensors, out, shape,
            elements=elements, input_elements=input_elements if tensors else None,
            weight_elements=weights, channelwise=channelwise, arrangement=arrangement,
        )  # fmt: skip
        self.define(node, out, index)

    def view(self, node: Node, ref: Ref) -> None:
        """The output of ``node`` shows the buffer of ``ref``."""
        out = self.out(node)
        self.define(node, self.builder.view(out, self.tensor(ref), self.shape(node.writes[0])))

    def unsupported(self, node: Node, reason: str) -> None:
        """Name an operator that is not lowered; its outputs still exist."""
        reads = [value for name in node.reads if isinstance(value := self.values.get(name), str)]
        written = [(self.prefix + name, self.shape(name)) for name in node.writes if name not in self.values]
        self.unsupported_nodes.append(reason)
        self.builder.unsupported(f"{self.prefix}{node.name}", node.target, reason, reads, written)
        for name in node.writes:
            self.values.setdefault(name, self.prefix + name)

    # Names

    def layer_name(self, node: Node, constant: Constant | None = None) -> str:
        """Path of the module in the user's model; with the operator where the module does more than that one."""
        if constant is not None and constant.fqn:
            self.weight_reads[constant.fqn] += 1
            return WEIGHT_SUFFIX.sub("", constant.fqn)
        if not node.module:
            return f"{self.prefix}{node.name}"
        operator = node.op.strip("_")
        if node.module_class.lower() == operator.replace("_", ""):
            return node.module
        return f"{node.module}.{operator}"


def as_pair(value: Any, default: int) -> tuple[int, int]:
    """Two spatial parameters from one, two or none; of a single one in a list, the height is left at ``default``."""
    if value is None or (isinstance(value, tuple) and not value):
        return default, default
    if isinstance(value, int):
        return value, value
    if len(value) == 1:
        return default, int(value[0])
    return int(value[0]), int(value[1])


def operators(text: str) -> frozenset[str]:
    """Names of operators, written as one text."""
    return frozenset(text.split())


def float_array(constant: Constant) -> npt.NDArray[np.float32]:
    """The values of a weight in 32-bit floating point."""
    return np.asarray(constant.array, dtype=np.float32)
