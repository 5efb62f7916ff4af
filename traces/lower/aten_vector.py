"""Operators without a matrix product: views, moves of data, element work, norms, pools and reductions.

A view (reshape, squeeze, a change of data type) costs nothing. A transpose that permutes axes longer than one, a slice
or a gather is a *move*: its output is written. A batch norm right after a convolution is folded into it, as inference
engines and the ONNX exporters do; its weights stay as the file has them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from traces.layer import Arrangement, VectorKind
from traces.lower.aten_constant import CASTS, FILLS, GIVEN_FILLS, RESHAPES
from traces.lower.aten_scope import Scope, operators
from traces.lower.pt2_graph import Node, Ref

VIEWS = RESHAPES | CASTS | operators("alpha_dropout feature_alpha_dropout native_dropout conj resolve_conj")
AXES = operators("t transpose permute swapaxes movedim")
PARTS = operators("slice select chunk split split_with_sizes unbind narrow")
GATHERS = operators("index index_select gather embedding take")
MOVES = operators(
    "repeat tile repeat_interleave flip roll pad constant_pad_nd reflection_pad1d reflection_pad2d "
    "replication_pad1d replication_pad2d pixel_shuffle pixel_unshuffle channel_shuffle upsample_nearest1d "
    "upsample_nearest2d copy index_put index_copy index_add scatter scatter_add slice_scatter select_scatter "
    "fill masked_scatter unfold im2col tril triu diagonal meshgrid arange one_hot"
)
JOINS = operators("cat concat concatenate stack hstack vstack")
INTERPOLATIONS: Mapping[str, int] = {  # source points read for each output
    "upsample_linear1d": 2, "upsample_bilinear2d": 4, "_upsample_bilinear2d_aa": 4, "upsample_bicubic2d": 16,
}  # fmt: skip
ELEMENT_WORK: Mapping[str, VectorKind] = {
    **dict.fromkeys(
        operators(
"relu relu6 gelu silu hardswish hardsigmoid sigmoid tanh elu selu leaky_relu prelu celu softplus mish "
"hardtanh log_sigmoid logsigmoid exp expm1 log log1p log2 sqrt rsqrt erf sin cos abs neg reciprocal pow "
"square clamp clamp_min clamp_max sign floor ceil round trunc softsign hardshrink softshrink tanhshrink "
"threshold glu logical_not bitwise_not isnan isinf isfinite nan_to_num rrelu"
), "activation"
    ),
    **dict.fromkeys(
        operators(
"add sub rsub maximum minimum eq ne lt le gt ge logical_and logical_or logical_xor bitwise_and bitwise_or "
"bitwise_xor where masked_fill __and__ __or__ __xor__ lerp addcmul addcdiv diff"
), "add"
    ),
    **dict.fromkeys(operators(
"mul div true_divide divide multiply remainder fmod floor_divide atan2"
), "mul"),
    **dict.fromkeys(operators(
"softmax _softmax log_softmax _log_softmax _safe_softmax"
), "softmax"),
}  # fmt: skip
REDUCTIONS = operators(
    "mean sum amax amin max min prod any all var std var_mean std_mean norm linalg_vector_norm argmax argmin "
    "logsumexp cumsum count_nonzero frobenius_norm cosine_similarity"
)
CHANNEL_NORMS = operators(
    "batch_norm _native_batch_norm_legit_no_training native_batch_norm _native_batch_norm_legit instance_norm "
    "cudnn_batch_norm _batch_norm_no_update"
)
NORMS = CHANNEL_NORMS | operators("layer_norm native_layer_norm group_norm native_group_norm rms_norm _fused_rms_norm")
CONVOLUTIONS = frozenset(["conv1d", "conv2d", "convolution"])
POOLS = operators(
    "max_pool1d max_pool2d avg_pool1d avg_pool2d max_pool1d_with_indices max_pool2d_with_indices lp_pool2d"
)
ADAPTIVE_POOLS = operators(
    "adaptive_avg_pool1d adaptive_avg_pool2d _adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d"
)
ALL_VECTOR_OPERATORS = frozenset().union(
    VIEWS, AXES, PARTS, GATHERS, MOVES, JOINS, INTERPOLATIONS, ELEMENT_WORK, REDUCTIONS, NORMS, POOLS, ADAPTIVE_POOLS,
    FILLS, GIVEN_FILLS, {"expand", "expand_as", "broadcast_to"},
)  # fmt: skip


def lower_vector(scope: Scope, node: Node, op: str) -> bool:
    """Lower ``node`` if its operator is one of this file's; False where it is not."""
    if op in NORMS:
        _norm(scope, node, op)
    elif op in POOLS or op in ADAPTIVE_POOLS or op in INTERPOLATIONS:
        _window(scope, node, op)
    elif op in PARTS:
        _parts(scope, node)
    elif op in GATHERS:
        _gather(scope, node, op)
    elif op in VIEWS or op in AXES or op in ("expand", "expand_as", "broadcast_to"):
        _view_or_move(scope, node, op)
    elif op in REDUCTIONS:
        _reduction(scope, node)
    elif op in ELEMENT_WORK:
        _element_work(scope, node, op)
    elif op in JOINS:
        _join(scope, node, op)
    elif op in MOVES or op in FILLS or op in GIVEN_FILLS:
        _move(scope, node, op)
    else:
        return False
    return True


def _element_work(scope: Scope, node: Node, op: str) -> None:
    """One operation for each output; channel by channel where one tensor and at most single numbers come in."""
    reads = [Ref(name) for name in node.reads]
    tensors, weights = scope.operands(reads)
    same = len(tensors) == 1 and scope.builder.shape(tensors[0]) == scope.shape(node.writes[0])
    single = weights <= len(reads) - len(tensors) or op == "prelu"
    scope.vector(node, ELEMENT_WORK[op], reads, channelwise=same and single and ELEMENT_WORK[op] != "softmax")
    _side_outputs(scope, node)


def _join(scope: Scope, node: Node, op: str) -> None:
    """Several tensors in one."""
    refs = node.argument("tensors", ())
    arrangement = None
    if op in ("cat", "concat", "concatenate"):
        axis = int(node.argument("dim", 0)) % len(scope.shape(node.writes[0]))
        arrangement = Arrangement(kind="concat", numbers=(axis,))
    constant = any(scope.constant(ref) is not None for ref in refs)
    scope.vector(node, "concat", refs, arrangement=None if constant else arrangement)


def _move(scope: Scope, node: Node, op: str) -> None:
    """Data written elsewhere; a pad by nothing is a view."""
    reads = [Ref(name) for name in node.reads]
    if op in ("pad", "constant_pad_nd") and scope.shape(reads[0]) == scope.shape(node.writes[0]):
        scope.view(node, reads[0])
    elif node.writes:
        scope.vector(node, "move", reads)


def _side_outputs(scope: Scope, node: Node) -> None:
    """Outputs beside the first (indices of a pool, statistics of a norm) are written where something reads them."""
    for index, name in enumerate(node.writes[1:], start=1):
        if name in scope.used:
            scope.vector(node, "reduce", [Ref(node.writes[0])], index=index)


def _first(node: Node) -> Ref:
    value = node.argument("self", node.argument("input"))
    return value if isinstance(value, Ref) else Ref(node.reads[0])


def _view_or_move(scope: Scope, node: Node, op: str) -> None:
    source = _first(node)
    before, after = scope.shape(source), scope.shape(node.writes[0])
    grows = math.prod(before) != math.prod(after)
    if grows or (op in AXES and _permutes(node, op, before)):
        order = _order(node, op, len(before)) if op in AXES else None
        arrangement = None if grows or order is None else Arrangement(kind="transpose", numbers=tuple(order))
        scope.vector(node, "move", [source], arrangement=arrangement)
    else:
        scope.view(node, source)
    if node.argument("train", node.argument("training", False)) is True and op.endswith("dropout"):
        scope.builder.notes.append(f"node {node.name}: exported in training mode; dropout is read as none")


def _order(node: Node, op: str, rank: int) -> list[int] | None:
    """Return the order in which axes are taken, None for an operator that is not followed."""
    order = list(range(rank))
    if op == "t":
        order.reverse()
    elif op == "permute":
        order = [int(axis) % rank for axis in node.argument("dims")]
    elif op == "movedim":
        return None
    else:
        first = int(node.argument("dim0", node.argument("axis0", 0)))
        second = int(node.argument("dim1", node.argument("axis1", 0)))
        order[first], order[second] = order[second], order[first]
    return order


def _permutes(node: Node, op: str, shape: tuple[int, ...]) -> bool:
    """Whether the order of the axes longer than one changes."""
    order = _order(node, op, len(shape))
    if order is None:
        return True
    moved = [axis for axis in order if shape[axis] > 1]
    return moved != sorted(moved)


def _part(scope: Scope, node: Node, index: int) -> Arrangement | None:
    """Return which slice of its input output ``index`` of a node is, None where that is not followed."""
    shape = scope.shape(_first(node))
    axis = int(node.argument("dim", 0)) % len(shape)
    op = node.op.removesuffix("_copy")
    begin, stride, count = 0, 1, 1
    if op == "slice":
        begin, stride = int(node.argument("start", 0)), int(node.argument("step", 1))
        count = scope.shape(node.writes[index])[axis]
    elif op == "select":
        begin = int(node.argument("index"))
    elif op == "unbind":
        begin = index
    elif op in ("chunk", "split", "split_with_sizes"):
        begin = sum(scope.shape(name)[axis] for name in node.writes[:index])
        count = scope.shape(node.writes[index])[axis]
    else:
        return None
    begin = min(begin + shape[axis] if begin < 0 else begin, shape[axis] - 1)
    numbers = [value for extent in shape for value in (0, 1, extent)]
    numbers[3 * axis : 3 * axis + 3] = [begin, stride, count]
    return Arrangement(kind="slice", numbers=tuple(numbers))


def _parts(scope: Scope, node: Node) -> None:
    """A part that is the whole is a view; each other part that something reads is written."""
    source = _first(node)
    for index, name in enumerate(node.writes):
        if math.prod(scope.shape(name)) == math.prod(scope.shape(source)):
            scope.values[name] = scope.builder.view(scope.out(node, index), scope.tensor(source), scope.shape(name))
        elif name in scope.used or len(node.writes) == 1:
            tensors, _ = scope.operands([source])
            out = scope.out(node, index)
            weights = 0 if tensors else math.prod(scope.shape(name))
            scope.builder.vector(
                scope.layer_name(node), "move", node.op, tensors, out, scope.shape(name),
                weight_elements=weights, input_elements=math.prod(scope.shape(name)) if tensors else 0,
                arrangement=_part(scope, node, index) if tensors else None,
            )  # fmt: skip
            scope.values[name] = out


def _gather(scope: Scope, node: Node, op: str) -> None:
    """Rows chosen by an index: a lookup in a table of weights is an embedding, in an activation a move."""
    table = node.argument("weight" if op == "embedding" else "self")
    stored = scope.constant(table)
    others = [Ref(name) for name in node.reads if name != table.name]
    shape, out = scope.shape(node.writes[0]), scope.out(node)
    if stored is None:
        read = math.prod(shape) + sum(math.prod(scope.shape(other)) for other in others)
        scope.vector(node, "move", [table, *others], input_elements=read)
        return
    tensors, indices = scope.operands(others)
    rows = math.prod(shape)
    scope.builder.vector(
        scope.layer_name(node, stored), "embedding", op, tensors, out, shape,
        weight_elements=rows + indices, stored_weight_elements=stored.stored_elements + indices,
    )  # fmt: skip
    scope.define(node, out)


def _norm(scope: Scope, node: Node, op: str) -> None:
    source = _first(node)
    training = bool(node.argument("training", node.argument("train", node.argument("use_input_stats", False))))
    if op in CHANNEL_NORMS and op != "instance_norm":
        if training:
            scope.builder.notes.append(f"node {node.name}: exported in training mode; counted as an inference norm")
        elif _follows_convolution(scope, node, source):
            scope.view(node, source)
            return
    named = scope.constant(node.argument("weight"))
    given = sum(constant.array.size for name in ("weight", "bias")
                     if (constant := scope.constant(node.argument(name))) is not None)  # fmt: skip
    shape, out = scope.shape(node.writes[0]), scope.out(node)
    # what is left of a channel norm at inference is a scale and a shift, with or without parameters of its own
    parameters = given if op not in CHANNEL_NORMS or op == "instance_norm" else 2 * shape[1]
    tensors, _ = scope.operands([source])
    scope.builder.vector(
        scope.layer_name(node, named), "norm", node.op, tensors, out, shape,
        weight_elements=parameters, channelwise=op in CHANNEL_NORMS,
    )  # fmt: skip
    scope.define(node, out)
    _side_outputs(scope, node)


def _follows_convolution(scope: Scope, node: Node, source: Ref) -> bool:
    """Whether the norm's input is a convolution's output that nothing else reads, and all its numbers are known."""
    producer = scope.producers.get(source.name)
    constants = [scope.constant(Ref(name)) for name in node.reads if name != source.name]
    return (
        producer is not None
        and producer.op in CONVOLUTIONS
        and scope.readers(source.name) == 1
        and None not in constants
        and scope.constant(producer.argument("weight")) is not None
        and set(node.writes[1:]).isdisjoint(scope.used)
    )


def _window(scope: Scope, node: Node, op: str) -> None:
    """Each output reads a window: the kernel's, the adaptive bin's, or the points between which it interpolates."""
    source = _first(node)
    before, after = scope.shape(source), scope.shape(node.writes[0])
    if op in INTERPOLATIONS:
        points = INTERPOLATIONS[op]
    elif op in ADAPTIVE_POOLS:
        axes = 1 if op.endswith("1d") else 2
        pairs = zip(before[-axes:], after[-axes:], strict=True)
        points = math.prod(-(-given // wanted) for given, wanted in pairs)
    else:
        points = _kernel_points(node.argument("kernel_size"), 1 if "1d" in op else 2)
    scope.vector(node, "pool", [source], elements=math.prod(after) * points, channelwise=True)
    _side_outputs(scope, node)


def _kernel_points(kernel: Any, axes: int) -> int:
    extents = [kernel] if isinstance(kernel, int) else list(kernel)
    return math.prod(int(extent) for extent in (extents * axes if len(extents) == 1 else extents))


def _reduction(scope: Scope, node: Node) -> None:
    """Reads every element once; over all axes but batch and channel it is an average pooling by another name."""
    reads = [Ref(name) for name in node.reads]
    shape = scope.shape(_first(node))
    axes = node.argument("dim", ())
    axes = (axes,) if isinstance(axes, int) else tuple(axes)
    spatial = bool(axes) and len(shape) > 2 and all(int(axis) % len(shape) >= 2 for axis in axes)
    over = {int(axis) % len(shape) for axis in axes} or set(range(len(shape)))
    through = Arrangement(kind="through", numbers=tuple(sorted(set(range(len(shape))) - over)))
    scope.vector(
        node, "reduce", reads, elements=math.prod(shape), channelwise=spatial,
        arrangement=None if node.op.startswith("cumsum") or len(reads) > 1 else through,
    )  # fmt: skip
    _side_outputs(scope, node)
