"""The graph of a ``.pt2`` as frozen values: nodes with named arguments, and the shape of every tensor.

A symbolic extent is an expression over the symbols of the inputs; it is parsed, never evaluated as Python, and
resolved by the shapes that the user gives. Left out: shapes that depend on data (they have no value before a run).
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from traces.layer import ModelError

MAX_EXPRESSION_CHARACTERS = 100_000
LARGEST_EXTENT = 1 << 48

# what Python raises where JSON from a file does not have the form that the export schema promises
MALFORMED = (
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    ValueError,
    ArithmeticError,
    RecursionError,
    StopIteration,
)


@dataclass(frozen=True, slots=True)
class Ref:
    """The name of a tensor, as an argument or an output of a node."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operator: ``op`` is its name without namespace and overload, ``module`` the path of its nn.Module."""

    name: str
    target: str
    op: str
    module: str
    module_class: str
    arguments: tuple[tuple[str, Any], ...]  # a graph argument stays JSON
    outputs: tuple[Any, ...]

    def argument(self, name: str, default: Any = None) -> Any:
        """The argument of that name; ``default`` where the node does not give it or gives None."""
        for label, value in self.arguments:
            if label == name:
                return default if value is None else value
        return default

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(ref.name for _, value in self.arguments for ref in _refs(value))

    @property
    def writes(self) -> tuple[str, ...]:
        return tuple(ref.name for output in self.outputs for ref in _refs(output))


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Nodes in the order in which they run; ``shapes`` of all their tensors; inputs and outputs by name."""

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]


def _refs(value: Any) -> list[Ref]:
    if isinstance(value, Ref):
        return [value]
    if isinstance(value, tuple):
        return [ref for item in value for ref in _refs(item)]
    return []


def read_graph(graph: Mapping[str, Any], symbols: Mapping[str, int], where: str) -> Graph:
    """Turn the JSON of a graph into values. Raises ModelError where it does not follow the export schema."""
    try:
        sizes = {name: resolve_sizes(meta["sizes"], symbols, f"{where}: tensor {name}") for name, meta in
                 graph["tensor_values"].items()}  # fmt: skip
        scalars: dict[str, Any] = {}
        for table in ("sym_int_values", "sym_float_values", "sym_bool_values"):
            for name, value in graph.get(table, {}).items():
                scalars[name] = _scalar(value, symbols)
        nodes = tuple(_node(node, scalars) for node in graph["nodes"])
        inputs = tuple(_name(argument) for argument in graph["inputs"])
        outputs = tuple(ref.name for argument in graph["outputs"] for ref in _refs(_value(argument, scalars)))
    except ModelError:
        raise
    except MALFORMED as error:
        raise ModelError(f"{where}: the graph does not follow the export schema: {error!r}") from error
    return Graph(nodes=nodes, inputs=inputs, outputs=outputs, shapes=sizes)


def resolve_sizes(sizes: Sequence[Any], symbols: Mapping[str, int], where: str) -> tuple[int, ...]:
    """Extents of a tensor; a symbolic one is computed from ``symbols``."""
    extents = []
    for axis, size in enumerate(sizes):
        if "as_int" in size:
            extent = size["as_int"]
        else:
            expression = size["as_expr"]["expr_str"]
            extent = evaluate(expression, symbols, f"{where}: dimension {axis}")
        if type(extent) is not int or not 0 <= extent < LARGEST_EXTENT:
            raise ModelError(f"{where}: dimension {axis} is {extent}, and must be a whole number from 0 to 2^48")
        extents.append(extent)
    return tuple(extents)


def symbol_name(size: Mapping[str, Any]) -> str | None:
    """The symbol that a size is, where it is one symbol and no more."""
    expression = size.get("as_expr", {}).get("expr_str", "")
    try:
        tree = ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return _symbol(tree)


def _symbol(tree: ast.expr) -> str | None:
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "Symbol" and tree.args:
        name = tree.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            return name.value
    return None


def evaluate(expression: str, symbols: Mapping[str, int], where: str) -> int:
    """Compute a size expression as torch writes it, such as ``Add(Symbol('s0', integer=True), Integer(-1))``."""
    if len(expression) > MAX_EXPRESSION_CHARACTERS:
        raise ModelError(f"{where}: its size expression has {len(expression)} characters, and at most 100,000 are read")
    try:
        return _evaluate(ast.parse(expression, mode="eval").body, symbols, where)
    except (SyntaxError, ValueError, RecursionError, MemoryError, ZeroDivisionError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{where}: its size {expression[:80]} cannot be computed: {error}") from error


def _evaluate(tree: ast.expr, symbols: Mapping[str, int], where: str) -> int:
    name = _symbol(tree)
    if name is not None:
        if name not in symbols:
            raise ModelError(f"{where}: its size depends on {name}, which no input shape gives")
        return symbols[name]
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        raise ModelError(f"{where}: its size holds {ast.unparse(tree)[:60]}, which is not a size expression")
    if tree.func.id == "Integer":
        value = ast.literal_eval(tree.args[0])
        if type(value) is not int:
            raise ModelError(f"{where}: its size holds {value!r}, and must hold whole numbers")
        return value
    operands = [_evaluate(operand, symbols, where) for operand in tree.args]
    value = _operation(tree.func.id, operands, where)
    if abs(value) >= LARGEST_EXTENT:
        raise ModelError(f"{where}: its size is beyond 2^48")
    return value


def _operation(name: str, operands: list[int], where: str) -> int:
    match name, operands:
        case "Add", [*terms] if terms:
            return sum(terms)
        case "Mul", [*factors] if factors:
            return math.prod(factors)
        case "Max", [*values] if values:
            return max(values)
        case "Min", [*values] if values:
            return min(values)
        case "Pow", [base, exponent] if 0 <= exponent <= 8:
            return int(base**exponent)
        case (("FloorDiv" | "CleanDiv"), [dividend, divisor]):
            return dividend // divisor
        case "CeilDiv", [dividend, divisor]:
            return -(-dividend // divisor)
        case (("Mod" | "PythonMod"), [dividend, divisor]):
            return dividend % divisor
    raise ModelError(f"{where}: its size holds {name} of {len(operands)} operands, which is not read")


def _scalar(value: Mapping[str, Any], symbols: Mapping[str, int]) -> Any:
    """A symbolic number by value; None where it depends on data (only operators that carry no tensor read it)."""
    if "as_expr" not in value:
        return next(iter(value.values()))
    try:
        return evaluate(value["as_expr"]["expr_str"], symbols, "")
    except ModelError:
        return None


def _name(argument: Mapping[str, Any]) -> str:
    """The name of an input of a graph, or '' where the input is not a tensor."""
    (kind, value), = argument.items()  # fmt: skip
    return str(value["name"]) if kind == "as_tensor" else ""


def _node(node: Mapping[str, Any], scalars: Mapping[str, Any]) -> Node:
    target = str(node["target"])
    parts = target.removeprefix("torch.ops.").split(".")
    operator = parts[1] if len(parts) > 1 else parts[0]
    module, module_class = _module(node.get("metadata", {}).get("nn_module_stack", ""))
    arguments = tuple((str(item["name"]), _value(item["arg"], scalars)) for item in node["inputs"])
    outputs = tuple(_value(output, scalars) for output in node["outputs"])
    written = [ref.name for output in outputs for ref in _refs(output)]
    return Node(
        name=str(node.get("name") or (written[0] if written else operator)),
        target=target,
        op=operator,
        module=module,
        module_class=module_class,
        arguments=arguments,
        outputs=outputs,
    )  # fmt: skip


def _module(stack: str) -> tuple[str, str]:
    """Path and class of the innermost module: entries ``key,path,class`` joined by semicolons."""
    fields = stack.rsplit(";", maxsplit=1)[-1].split(",")
    if len(fields) != 3:
        return "", ""
    return fields[1], fields[2].rsplit(".", 1)[-1]


def _value(argument: Mapping[str, Any], scalars: Mapping[str, Any]) -> Any:
    """A tagged argument as a value: Ref for a tensor, tuple for a list, None for nothing; a graph stays JSON."""
    (kind, value), = argument.items()  # fmt: skip
    match kind:
        case "as_none":
            return None
        case "as_tensor":
            return Ref(str(value["name"]))
        case "as_tensors":
            return tuple(Ref(str(item["name"])) for item in value)
        case "as_nested_tensors":
            return tuple(tuple(Ref(str(item["name"])) for item in row) for row in value)
        case "as_optional_tensor":
            return _value(value, scalars)
        case "as_optional_tensors":
            return tuple(_value(item, scalars) for item in value)
        case "as_sym_int" | "as_sym_float" | "as_sym_bool":
            return scalars.get(value["as_name"]) if "as_name" in value else next(iter(value.values()))
        case "as_sym_ints" | "as_sym_floats" | "as_sym_bools":
            return tuple(
                scalars.get(item["as_name"]) if "as_name" in item else next(iter(item.values())) for item in value
            )
        case "as_ints" | "as_floats" | "as_bools" | "as_strings":
            return tuple(value)
    return value
