"""Folds operators whose operands are all known from the file: masks, views of weights, simple reparametrizations.

``torch.nn.utils.prune`` leaves ``weight_orig x weight_mask``, weight norm leaves ``g v / |v|``; both end as one weight.
What is not folded here stays an operator that runs, with the weights as its parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from traces.layer import ModelError
from traces.lower.aten_scope import Array, Constant, Scope, operators
from traces.lower.pt2_archive import DTYPES
from traces.lower.pt2_graph import Node, Ref

LARGEST_GROWN_ELEMENTS = 1 << 24  # a fold may not make an array larger than this and than all of its operands

RESHAPES = operators(
    "view reshape _unsafe_view flatten unflatten unsqueeze squeeze view_as reshape_as ravel _reshape_alias "
    "clone contiguous alias detach detach_ lift lift_fresh lift_fresh_copy dropout dropout_ feature_dropout "
    "positive"
)
CASTS = operators("to _to_copy type_as float half double bool long")
FILLS: Mapping[str, int] = {"zeros": 0, "ones": 1, "zeros_like": 0, "ones_like": 1, "new_zeros": 0, "new_ones": 1}
GIVEN_FILLS = frozenset({"full", "full_like", "new_full", "scalar_tensor"})
BINARY: Mapping[str, Callable[[Any, Any], Any]] = {
    "mul": np.multiply, "div": np.true_divide, "pow": np.power, "maximum": np.maximum, "minimum": np.minimum,
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "logical_and": np.logical_and, "logical_or": np.logical_or, "mv": np.matmul, "dot": np.dot, "vdot": np.dot,
}  # fmt: skip
UNARY: Mapping[str, Callable[[Any], Any]] = {
    "neg": np.negative, "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x),
    "abs": np.abs, "square": np.square, "tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "reciprocal": lambda x: 1 / x, "logical_not": np.logical_not,
}  # fmt: skip
REDUCTIONS: Mapping[str, Callable[..., Any]] = {"sum": np.sum, "mean": np.mean, "amax": np.max, "amin": np.min}


def fold(scope: Scope, node: Node) -> bool:
    """Fold ``node`` if all of its tensors are constants and it is one of the operators known here."""
    operands = [scope.constant(Ref(name)) for name in node.reads]
    known = [operand for operand in operands if operand is not None]
    if len(known) != len(operands) or not node.writes:
        return False
    shapes = [scope.shape(name) for name in node.writes]
    largest = max([LARGEST_GROWN_ELEMENTS, *(operand.stored_elements for operand in known)])
    if any(int(np.prod(shape, dtype=object)) > largest for shape in shapes):
        return False
    with np.errstate(all="ignore"):  # what is not finite is named where it becomes a weight
        results = _fold(scope, node, shapes)
    if results is None:
        return False
    for name, result, shape in zip(node.writes, results, shapes, strict=True):
        if result.shape != shape:
            raise ModelError(
                f"{scope.builder.where}: node {node.name} ({node.target}) folds to shape {result.shape}, "
                f"and the file says {shape}"
            )
        scope.values[name] = Constant(result, _origin(known))
        if node.op.endswith("_") and node.reads:  # in place: whoever reads the operand later sees the result
            scope.values[node.reads[0]] = scope.values[name]
    return True


def _origin(operands: list[Constant]) -> str:
    """The parameter that a result is named after: the largest operand with a name that is not a mask."""
    named = [operand for operand in operands if operand.fqn and not operand.fqn.endswith("_mask")]
    return max(named, key=lambda operand: operand.array.size).fqn if named else ""


def _fold(scope: Scope, node: Node, shapes: list[tuple[int, ...]]) -> list[Array] | None:
    def read(name: str, default: Any = None) -> Any:
        value = node.argument(name, default)
        constant = scope.constant(value)
        return constant.array if constant is not None else value

    op = node.op.rstrip("_") if node.op.endswith("_") else node.op
    if op in ("chunk", "split", "split_with_sizes", "unbind"):
        return _pieces(read("self"), int(read("dim", 0)), shapes, keep_axis=op != "unbind")
    if op in ("_weight_norm", "_weight_norm_interface"):
        return _weight_norm(read)[: len(shapes)]
    if len(shapes) != 1:
        return None
    if op in ("cat", "concat", "concatenate"):
        parts = [scope.constant(ref) for ref in node.argument("tensors", ())]
        return [np.concatenate([part.array for part in parts if part is not None], axis=int(read("dim", 0)))]
    result = _generated(op, read, shapes[0])
    if result is None:
        result = _rearranged(op, read, shapes[0])
    if result is None:
        result = _computed(op, read)
    return None if result is None else [np.asarray(result)]


def _pieces(array: Array, axis: int, shapes: list[tuple[int, ...]], *, keep_axis: bool) -> list[Array]:
    if not keep_axis:
        return [np.take(array, index, axis=axis) for index in range(len(shapes))]
    ends = np.cumsum([shape[axis] for shape in shapes])
    return [np.asarray(part) for part in np.split(array, ends[:-1], axis=axis)]


def _generated(op: str, read: Callable[..., Any], shape: tuple[int, ...]) -> Array | None:
    """Arrays made from numbers alone; a filled one takes the memory of one element."""
    if op in FILLS:
        return np.broadcast_to(np.float32(FILLS[op]), shape)
    if op in GIVEN_FILLS:
        value = read("fill_value", read("s", 0))
        return np.broadcast_to(np.asarray(value), shape)
    if op == "arange":
        start, step = read("start", 0), read("step", 1)
        return np.asarray(start + step * np.arange(shape[0]))
    return None


def _rearranged(op: str, read: Callable[..., Any], shape: tuple[int, ...]) -> Array | None:
    """The same values in another shape, order or selection."""
    array: Array = read("self", read("input"))
    if op in RESHAPES:
        return np.reshape(array, shape)
    if op in CASTS:
        return _cast(np.reshape(array, shape), read("dtype"))
    match op:
        case "t":
            return np.transpose(array)
        case "transpose" | "swapaxes":
            return np.swapaxes(array, read("dim0", read("axis0")), read("dim1", read("axis1")))
        case "permute":
            return np.transpose(array, read("dims"))
        case "expand" | "expand_as" | "broadcast_to":
            return np.broadcast_to(array, shape)
        case "slice":
            selection = [slice(None)] * np.ndim(array)
            selection[read("dim", 0)] = slice(read("start"), read("end"), read("step", 1))
            return np.asarray(array[tuple(selection)])
        case "select":
            return np.asarray(np.take(array, read("index"), axis=read("dim")))
        case "tril":
            return np.tril(array, read("diagonal", 0))
        case "triu":
            return np.triu(array, read("diagonal", 0))
    return None


def _cast(array: Array, dtype: Any) -> Array:
    """Values in the data type asked for; bfloat16 stays in 32 bits, which hold it exactly."""
    kind = DTYPES.get(dtype, "") if isinstance(dtype, int) else ""
    if kind in ("?", "<i1", "<i2", "<i4", "<i8", "<u1"):
        return array.astype(kind)
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def _computed(op: str, read: Callable[..., Any]) -> Array | None:
    """Arithmetic on the values."""
    left, right = read("self"), read("other", read("exponent", read("vec", read("tensor"))))
    if op in BINARY and not isinstance(right, Ref) and read("rounding_mode") is None:
        return np.asarray(BINARY[op](left, right))
    if op in ("add", "sub"):
        scaled = np.multiply(right, read("alpha", 1))
        return np.asarray(np.add(left, scaled) if op == "add" else np.subtract(left, scaled))
    if op in UNARY:
        return np.asarray(UNARY[op](left))
    if op in REDUCTIONS:
        axes = read("dim")
        axis = axes if axes is None or isinstance(axes, int) else (tuple(axes) or None)
        return np.asarray(REDUCTIONS[op](left, axis=axis, keepdims=bool(read("keepdim", False))))
    return None


def _weight_norm(read: Callable[..., Any]) -> list[Array]:
    """The weight g v / |v| and the norms |v|, taken over all axes but one."""
    v, g, kept = read("v"), read("g"), int(read("dim", 0))
    others = tuple(axis for axis in range(np.ndim(v)) if axis != kept % np.ndim(v))
    norms = np.sqrt(np.sum(np.square(v), axis=others, keepdims=True))
    return [np.asarray(v * (g / norms)), np.asarray(norms)]
