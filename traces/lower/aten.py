"""Walks the nodes of an exported graph, in order, and lowers each aten operator or names it as unsupported.

Nothing is dropped: a node without tensors (an assertion, arithmetic on sizes) has no work, a constant one is folded,
and a graph that only switches gradients or autocast is walked in place. Left out: control flow (cond, while, map).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from traces.layer import ModelError
from traces.lower.aten_constant import fold
from traces.lower.aten_product import addmm, attention, convolution, einsum, linear, matmul, recurrent
from traces.lower.aten_scope import Scope, operators
from traces.lower.aten_vector import lower_vector
from traces.lower.pt2_graph import MALFORMED, Node, Ref, read_graph

PRODUCTS: Mapping[str, Callable[[Scope, Node], None]] = {
    "conv1d": convolution, "conv2d": convolution, "convolution": convolution,
    "linear": linear, "addmm": addmm, "baddbmm": addmm,
    "mm": matmul, "bmm": matmul, "matmul": matmul, "mv": matmul, "einsum": einsum,
    "lstm": recurrent, "gru": recurrent,
    "scaled_dot_product_attention": attention,
    "_scaled_dot_product_flash_attention": attention,
    "_scaled_dot_product_flash_attention_for_cpu": attention,
    "_scaled_dot_product_efficient_attention": attention,
    "_scaled_dot_product_cudnn_attention": attention,
    "_scaled_dot_product_fused_attention_overrideable": attention,
}  # fmt: skip
WITHOUT_WORK = operators(
    "_assert_tensor_metadata _assert_async _assert_scalar sym_constrain_range sym_constrain_range_for_size "
    "sym_size sym_numel sym_stride sym_storage_offset is_nonzero lazy_load_decompositions _enter_autocast "
    "_exit_autocast"
)
SIZE_ARITHMETIC = ("_operator.", "math.", "torch.sym_")
INLINED = frozenset({"wrap_with_set_grad_enabled", "wrap_with_autocast"})


def lower_graph(scope: Scope, *, strict: bool) -> None:
    """Lower every node of ``scope.graph``. Raises ModelError, if ``strict`` also for an unsupported operator."""
    for node in scope.graph.nodes:
        where = f"{scope.builder.where}: node {node.name} ({node.target})"
        before = len(scope.unsupported_nodes)
        try:
            _lower_node(scope, node, strict=strict)
        except ModelError:
            raise
        except MALFORMED as error:
            raise ModelError(f"{where}: its arguments do not fit the operator: {error!r}") from error
        if strict and len(scope.unsupported_nodes) > before:
            raise ModelError(f"{where}: {scope.unsupported_nodes[-1]}, and strict forbids leaving it out")


def _lower_node(scope: Scope, node: Node, *, strict: bool) -> None:
    if not node.writes and (node.op in WITHOUT_WORK or node.target.startswith(SIZE_ARITHMETIC)):
        return
    if node.target.startswith("torch.ops.higher_order."):
        if node.op in INLINED:
            _inline(scope, node, strict=strict)
        else:
            scope.unsupported(node, f"{node.op} holds a graph that depends on data, and is not lowered")
        return
    if not node.target.startswith("torch.ops.aten."):
        scope.unsupported(node, f"operator {node.target} is not lowered")
        return
    if fold(scope, node):
        return
    op = node.op[:-1] if node.op.endswith("_") and not node.op.startswith("__") else node.op
    if op in PRODUCTS:
        PRODUCTS[op](scope, node)
    elif not lower_vector(scope, node, op):
        scope.unsupported(node, f"operator {node.target.removeprefix('torch.ops.')} is not lowered")


def _inline(scope: Scope, node: Node, *, strict: bool) -> None:
    """Walk the graph of a node as if its nodes stood here; its inputs are the node's arguments after the graph."""
    labels = [value for _, value in node.arguments]
    position = next(index for index, value in enumerate(labels) if isinstance(value, dict) and "graph" in value)
    graph = read_graph(labels[position]["graph"], scope.symbols, f"{scope.builder.where}: node {node.name}")
    inner = Scope(graph, scope.builder, prefix=f"{scope.prefix}{node.name}.", symbols=scope.symbols)
    operands = labels[position + 1 :]
    for name, operand in zip(graph.inputs, operands, strict=True):
        if isinstance(operand, Ref):
            inner.values[name] = scope.value(operand)
    lower_graph(inner, strict=strict)
    scope.unsupported_nodes.extend(inner.unsupported_nodes)
    scope.weight_reads.update(inner.weight_reads)
    for name, result in zip(node.writes, graph.outputs, strict=True):
        scope.values[name] = inner.value(Ref(result))
