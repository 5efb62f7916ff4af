"""The state of a walk over an ONNX graph: which values are constants, which are data, and what shapes they have.

Constants are folded node by node with onnx's reference evaluator (plain numpy), so that masks, LSTM weights that come
out of Slice and Concat, dequantised weights and shape arithmetic disappear before anything is counted. Every shape is a
number by the time a node is reached: input shapes are fixed first, and each node is inferred with the values of its
constants. Left out: shapes that depend on data.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from traces.builder import NetworkBuilder
from traces.layer import ModelError
from traces.lower.onnx_tensors import LARGEST_TENSOR_ELEMENTS, Array, TensorReader

Shape = tuple[int, ...]

# Constants up to this size are shown to shape inference: shapes, axes, pads, scales, never weights.
_SHOWN_ELEMENTS = 1024

_CONTROL = ("If", "Loop", "Scan", "SequenceMap")
_RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
_NOT_FOLDED = frozenset((*_CONTROL, *_RANDOM))
_PARAMETER = re.compile(r"^(.+)\.(weight|bias)(_orig|_mask|_quantized)?$")
_RECURRENT_PARAMETER = re.compile(r"^(.+)\.(?:weight|bias)_[ih]h_l(\d+)(_reverse)?(?:_orig|_mask)?$")


class Unlowered(Exception):
    """An operator, or a form of one, that the lowering does not know; its text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node: optional inputs that are missing are "", attributes are plain Python values."""

    label: str  # for errors: the name in the file, or the first output
    name: str  # of the layers that it becomes
    op: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    proto: Any = field(repr=False)

    def input(self, index: int) -> str:
        return self.inputs[index] if index < len(self.inputs) else ""

    def output(self, index: int) -> str:
        return self.outputs[index] if index < len(self.outputs) else ""

    def integer(self, name: str, default: int) -> int:
        return int(self.attributes.get(name, default))

    def integers(self, name: str, default: Sequence[int]) -> tuple[int, ...]:
        return tuple(int(value) for value in self.attributes.get(name, default))


class Graph:
    """Values of one walk. Constants have arrays, data have types; a name is one or the other, or not yet known."""

    def __init__(self, builder: NetworkBuilder, reader: TensorReader, opset: int, strict: bool) -> None:
        self.builder, self.reader, self.opset, self.strict = builder, reader, opset, strict
        self.where = builder.where
        self.types: dict[str, Any] = {}  # TypeProto of each data tensor
        self.declared: dict[str, Any] = {}  # TypeProto that the file claims, used where inference gives none
        self.bindings: dict[str, int] = {}  # symbolic dimension -> extent
        self.unknown: dict[str, str] = {}  # tensor without a shape -> the node that made it
        self.origins: dict[str, str] = {}  # constant -> parameter that it was made from
        self.readers: dict[str, list[Any]] = {}  # tensor -> node protos that read it
        self.unbiased: set[str] = set()  # outputs of products whose bias may follow as an Add
        self.weighted: list[tuple[Node, tuple[str, ...]]] = []  # nodes with weights, and the layers that each made
        self._recurrent_names: dict[str, int] = {}
        self._constants: dict[str, Array] = {}
        self._packed: dict[str, Any] = {}

    # Values

    def pack(self, name: str, tensor: Any) -> None:
        """Keep an initializer as it is in the file until something reads it."""
        self._packed[name] = tensor
        self.origins.setdefault(name, name)

    def set_constant(self, name: str, value: Array, origin: str = "", *, like: str = "") -> None:
        """Keep a folded value, in the element type of the data tensor ``like`` if one is given."""
        import onnx

        if like:
            value = value.astype(onnx.helper.tensor_dtype_to_np_dtype(self.element_type(like)))
        self._constants[name] = value
        if origin:
            self.origins[name] = origin

    def constant(self, name: str) -> Array:
        if name not in self._constants:
            self._constants[name] = self.reader.array(self._packed.pop(name))
        return self._constants[name]

    def is_constant(self, name: str) -> bool:
        return name in self._constants or name in self._packed

    def shape(self, name: str) -> Shape:
        """Return the shape of a constant or of a data tensor."""
        if name in self._packed:
            return tuple(int(extent) for extent in self._packed[name].dims)
        return self._constants[name].shape if name in self._constants else self.builder.shape(name)

    def element_type(self, name: str) -> int:
        return int(self.types[name].tensor_type.elem_type)

    def used(self, name: str) -> bool:
        return bool(name) and name in self.readers

    def numbers(self, node: Node, index: int, attribute: str = "") -> tuple[int, ...] | None:
        """Return integers that are an input in new opsets and an attribute in old ones; None where neither is set."""
        name = node.input(index)
        if name:
            if not self.is_constant(name):
                raise Unlowered(f"its {attribute or f'input {index}'} depends on data")
            return tuple(int(value) for value in self.constant(name).reshape(-1))
        return node.integers(attribute, ()) if attribute in node.attributes else None

    def split(self, node: Node) -> tuple[tuple[str, ...], int]:
        """Return a node's data inputs without repeats, and the elements of its constant inputs (scalars: none)."""
        data: dict[str, None] = {}
        constants = 0
        for name in node.inputs:
            if name and self.is_constant(name):
                elements = math.prod(self.shape(name))
                constants += elements if elements > 1 else 0
            elif name:
                data[name] = None
        return tuple(data), constants

    # Names

    def parameter_name(self, names: Iterable[str]) -> str:
        """Return the module that the first recognisable parameter belongs to, "" where none is."""
        for name in names:
            origin = self.origins.get(name, "")
            if match := _RECURRENT_PARAMETER.match(origin):
                return f"{match[1]}.l{match[2]}"
            if match := _PARAMETER.match(origin):
                return match[1]
        return ""

    def recurrent_name(self, module: str) -> str:
        """Return torch's name of a recurrent layer: ``module.l0``, then ``module.l1``, unless it says so already."""
        if re.search(r"\.l\d+$", module):
            return module
        index = self._recurrent_names.get(module, 0)
        self._recurrent_names[module] = index + 1
        return f"{module}.l{index}"

    # Folding and inference

    def foldable(self, node: Node) -> bool:
        return (
            node.domain == ""
            and node.op not in _NOT_FOLDED
            and not any(isinstance(value, _Subgraph) for value in node.attributes.values())
            and all(self.is_constant(name) for name in node.inputs if name)
        )

    def fold(self, node: Node) -> None:
        """Compute a node all of whose inputs are constants."""
        import onnx.reference

        if node.op == "Constant":
            self.set_constant(node.outputs[0], self._literal(node))
            return
        for name, shape in self.infer(node).items():
            if shape is not None and math.prod(shape) > LARGEST_TENSOR_ELEMENTS:
                raise ModelError(
                    f"{self.where}: node {node.label} ({node.op}): its constant {name} has shape {shape}, and must "
                    f"hold at most {LARGEST_TENSOR_ELEMENTS} elements"
                )
        feeds = {name: self.constant(name) for name in node.inputs if name}
        try:
            with np.errstate(all="ignore"):
                if node.op == "GatherElements":  # the evaluator fails where the indices are smaller than the data
                    results = [_gather_elements(*(feeds[name] for name in node.inputs), axis=node.integer("axis", 0))]
                else:
                    evaluator = onnx.reference.ReferenceEvaluator(node.proto, opsets={"": self.opset})
                    results = evaluator.run(None, feeds)
        except Exception as error:  # the evaluator raises whatever numpy raises
            line = " ".join(str(error).split())[:160]
            raise ModelError(f"{self.where}: node {node.label} ({node.op}): cannot be folded: {line}") from None
        origin = next((self.origins[name] for name in node.inputs if name in self.origins), "")
        for name, value in zip([name for name in node.outputs if name], results, strict=False):
            self.set_constant(name, np.asarray(value), origin)

    def _literal(self, node: Node) -> Array:
        ((key, value),) = (
            (key, value) for key, value in node.attributes.items() if key.startswith(("value", "sparse"))
        )
        if key == "value":
            return self.reader.array(value)
        if key == "sparse_value":
            return self.reader.dense(value)
        kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
        return np.asarray(value, dtype=kinds.get(key))

    def infer(self, node: Node) -> dict[str, Shape | None]:
        """Return the shapes of the node's outputs, None where one is not known; remembers their types."""
        import onnx

        shapes: dict[str, Shape | None] = dict.fromkeys(name for name in node.outputs if name)
        inferred: dict[str, Any] = {}
        if node.domain == "" and onnx.defs.has(node.op):
            shown = {
                name: onnx.numpy_helper.from_array(self.constant(name))
                for name in node.inputs
                if name and self.is_constant(name) and math.prod(self.shape(name)) <= _SHOWN_ELEMENTS
            }
            try:
                inferred = onnx.shape_inference.infer_node_outputs(
                    onnx.defs.get_schema(node.op, self.opset, ""), node.proto,
                    {name: self._type(name) for name in node.inputs if name}, shown,
                    opset_imports=[onnx.helper.make_opsetid("", self.opset)],
                )  # fmt: skip
            except (onnx.shape_inference.InferenceError, onnx.defs.SchemaError) as error:
                line = " ".join(str(error).split())[:160]
                raise ModelError(f"{self.where}: node {node.label} ({node.op}): its shape is wrong: {line}") from None
        for name in tuple(shapes):
            for claim in (inferred.get(name), self.declared.get(name)):
                extents = self.extents(claim) if claim is not None else None
                if extents is not None:
                    shapes[name], self.types[name] = extents, claim
                    break
        return shapes

    def assume_type(self, name: str, node: Node) -> None:
        """Give an output that inference does not know the lowered shape and the element type of the first input."""
        import onnx

        like = self.element_type(node.inputs[0]) if node.inputs[0] in self.types else onnx.TensorProto.FLOAT
        self.types[name] = onnx.helper.make_tensor_type_proto(like, self.builder.shape(name))

    def extents(self, claim: Any) -> Shape | None:
        """Return the numbers of a tensor's TypeProto, None where a dimension or the rank is open."""
        if not claim.HasField("tensor_type") or not claim.tensor_type.HasField("shape"):
            return None
        found = []
        for dimension in claim.tensor_type.shape.dim:
            if dimension.HasField("dim_value"):
                found.append(int(dimension.dim_value))
            elif dimension.dim_param in self.bindings:
                found.append(self.bindings[dimension.dim_param])
            else:
                return None
        return tuple(found)

    def _type(self, name: str) -> Any:
        import onnx

        if not self.is_constant(name):
            return self.types[name]
        if name in self._packed:
            element_type = self._packed[name].data_type
        else:
            element_type = onnx.helper.np_dtype_to_tensor_dtype(self._constants[name].dtype)
        return onnx.helper.make_tensor_type_proto(element_type, self.shape(name))


def _gather_elements(data: Array, indices: Array, *, axis: int) -> Array:
    axis %= data.ndim
    reach = tuple(slice(None) if index == axis else slice(extent) for index, extent in enumerate(indices.shape))
    return np.asarray(np.take_along_axis(data[reach], indices, axis))


class _Subgraph:
    """An attribute that is a graph: kept for If, never folded."""

    def __init__(self, proto: Any) -> None:
        self.proto = proto


def subgraph(value: Any) -> Any:
    """Return the GraphProto behind an attribute, None where it is none."""
    return value.proto if isinstance(value, _Subgraph) else None


def attribute_values(proto: Any) -> dict[str, Any]:
    """Return a node's attributes as Python values; text is decoded, tensors and graphs stay protos."""
    import onnx

    values: dict[str, Any] = {}
    for attribute in proto.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode("utf-8", errors="replace")
        elif attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
            value = _Subgraph(value)
        values[attribute.name] = value
    return values
