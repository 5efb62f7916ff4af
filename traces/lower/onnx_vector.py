"""ONNX operators without a matrix product: element work, pooling, norms, moves, and views that cost nothing.

One function per family; the tables at the end say which operator belongs to which. Decomposed functions (a LayerNorm of
an old opset, say) stay the several layers that the file holds. Left out: operators whose output shape depends on data.
"""

from __future__ import annotations

import math

from traces.layer import Arrangement, VectorKind
from traces.lower.onnx_graph import Graph, Node, Shape, Unlowered
from traces.lower.onnx_matrix import Lowering, Shapes


def _out_shape(node: Node, shapes: Shapes, index: int = 0) -> Shape:
    shape = shapes[node.outputs[index]]
    if shape is None:
        raise Unlowered("its output's shape cannot be inferred")
    return shape


def _only_output(graph: Graph, node: Node) -> None:
    for index, name in enumerate(node.outputs[1:], start=1):
        if graph.used(name):
            raise Unlowered(f"its output {index} is used, and only output 0 is lowered")


def _pointwise(kind: VectorKind) -> Lowering:
    def lower(graph: Graph, node: Node, shapes: Shapes) -> None:
        shape = _out_shape(node, shapes)
        if node.op == "Add" and _is_bias(graph, node):
            return
        _only_output(graph, node)
        data, constants = graph.split(node)
        graph.builder.vector(
            node.name, kind, node.op, data, node.outputs[0], shape, weight_elements=constants,
            channelwise=len(data) == 1 and graph.shape(data[0]) == shape and _per_channel(graph, node, len(shape)),
        )  # fmt: skip

    return lower


def _per_channel(graph: Graph, node: Node, rank: int) -> bool:
    """Return whether every constant operand is a scalar, or has one value per channel: axis 1 of a map, else any."""
    for name in node.inputs:
        if name and graph.is_constant(name):
            shape = graph.shape(name)
            wide = [axis + rank - len(shape) for axis, extent in enumerate(shape) if extent > 1]
            if len(wide) > 1 or (wide and rank == 4 and wide != [1]) or wide == [0]:
                return False
    return True


def _is_bias(graph: Graph, node: Node) -> bool:
    """Resolve the Add that is the bias of the linear layer before it: read with the weights, no layer of its own."""
    for x, bias in (node.inputs, node.inputs[::-1]):
        if x not in graph.unbiased or not graph.is_constant(bias) or len(graph.readers[x]) > 1:
            continue
        shape = graph.shape(bias)
        if shape and shape == (1,) * (len(shape) - 1) + graph.shape(x)[-1:] and len(shape) <= len(graph.shape(x)):
            graph.builder.view(node.outputs[0], x, graph.shape(x))
            return True
    return False


def lower_norm(graph: Graph, node: Node, shapes: Shapes) -> None:
    """A norm over features: every output depends on all channels."""
    _norm(graph, node, shapes, channelwise=False)


def lower_instance_norm(graph: Graph, node: Node, shapes: Shapes) -> None:
    """A norm within each channel."""
    _norm(graph, node, shapes, channelwise=True)


def lower_batch_norm(graph: Graph, node: Node, shapes: Shapes) -> None:
    """A scale and a shift per channel: mean and variance are folded into them."""
    if node.integer("training_mode", 0):
        raise Unlowered("it is in training mode")
    _only_output(graph, node)
    x = node.inputs[0]
    graph.builder.vector(
        node.name, "norm", node.op, [x], node.outputs[0], graph.shape(x),
        weight_elements=2 * graph.shape(x)[1], channelwise=True,
    )  # fmt: skip


def _norm(graph: Graph, node: Node, shapes: Shapes, *, channelwise: bool) -> None:
    _only_output(graph, node)
    data, constants = graph.split(node)
    shape = graph.shape(node.inputs[0])
    graph.builder.vector(
        node.name, "norm", node.op, data, node.outputs[0], shape, weight_elements=constants, channelwise=channelwise
    )


def lower_skip_norm(graph: Graph, node: Node, shapes: Shapes) -> None:
    """A residual addition and the norm of its sum, as ONNX Runtime fuses them; output 3 is the sum."""
    if graph.used(node.output(1)) or graph.used(node.output(2)):
        raise Unlowered("its mean or variance is used")
    shape = graph.shape(node.inputs[0])
    total = node.output(3) or f"{node.outputs[0]}.sum"
    graph.builder.vector(f"{node.name}.add", "add", node.op, list(node.inputs[:2]), total, shape)
    constants = graph.split(node)[1]
    graph.builder.vector(node.name, "norm", node.op, [total], node.outputs[0], shape, weight_elements=constants)


def lower_softmax(graph: Graph, node: Node, shapes: Shapes) -> None:
    """A softmax over one axis."""
    graph.builder.vector(node.name, "softmax", node.op, [node.inputs[0]], node.outputs[0], graph.shape(node.inputs[0]))


def lower_pool(graph: Graph, node: Node, shapes: Shapes) -> None:
    """A pool over windows: as many operations for each output as the window has elements."""
    _only_output(graph, node)
    shape = _out_shape(node, shapes)
    elements = math.prod(shape) * math.prod(node.integers("kernel_shape", ()))
    graph.builder.vector(
        node.name, "pool", node.op, [node.inputs[0]], node.outputs[0], shape, elements=elements, channelwise=True
    )


def lower_global_pool(graph: Graph, node: Node, shapes: Shapes) -> None:
    """A pool over the whole map: one operation for each input element."""
    elements = math.prod(graph.shape(node.inputs[0]))
    shape = _out_shape(node, shapes)
    graph.builder.vector(
        node.name, "pool", node.op, [node.inputs[0]], node.outputs[0], shape, elements=elements, channelwise=True
    )


def lower_reduce(graph: Graph, node: Node, shapes: Shapes) -> None:
    """A reduction: one operation for each input element. Over both axes of a map it keeps channels apart."""
    x, shape = node.inputs[0], graph.shape(node.inputs[0])
    axes = graph.numbers(node, 1, "axes")
    over = {axis % len(shape) for axis in axes} if axes and shape else set(range(len(shape)))
    graph.builder.vector(
        node.name, "reduce", node.op, [x], node.outputs[0], _out_shape(node, shapes),
        elements=math.prod(shape), channelwise=len(shape) == 4 and over == {2, 3},
        arrangement=Arrangement(kind="through", numbers=tuple(sorted({*range(len(shape))} - over))),
    )  # fmt: skip


def lower_scan(graph: Graph, node: Node, shapes: Shapes) -> None:
    """An arg-max, a running sum or a selection of the largest: every output that is used."""
    for index, name in enumerate(node.outputs):
        if graph.used(name):
            graph.builder.vector(
                node.name, "reduce", node.op, [node.inputs[0]], name, _out_shape(node, shapes, index),
                elements=math.prod(graph.shape(node.inputs[0])),
            )  # fmt: skip


def lower_view(graph: Graph, node: Node, shapes: Shapes) -> None:
    """Another shape, or another name, for the same bytes."""
    _only_output(graph, node)
    if graph.is_constant(node.inputs[0]):
        raise Unlowered("it shows a constant in a shape that depends on data")
    shape = shapes[node.outputs[0]]
    graph.builder.view(node.outputs[0], node.inputs[0], graph.shape(node.inputs[0]) if shape is None else shape)


def lower_cast_like(graph: Graph, node: Node, shapes: Shapes) -> None:
    """A constant in the type of data stays a constant; data of another type are a view."""
    x = node.inputs[0]
    if graph.is_constant(x):
        graph.set_constant(node.outputs[0], graph.constant(x), graph.origins.get(x, ""), like=node.inputs[1])
    else:
        lower_view(graph, node, shapes)


def lower_cast(graph: Graph, node: Node, shapes: Shapes) -> None:
    """A view between floating types (the device's data type decides the bytes), else a conversion of every element."""
    import onnx

    floats = {getattr(onnx.TensorProto, name) for name in ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE")}
    target = node.integer("to", onnx.TensorProto.FLOAT)
    source = graph.element_type(node.inputs[0])
    if target == source or {target, source} <= floats:
        lower_view(graph, node, shapes)
    else:
        _pointwise("activation")(graph, node, shapes)


def lower_transpose(graph: Graph, node: Node, shapes: Shapes) -> None:
    """A move where axes longer than one change their order, else a view."""
    shape = graph.shape(node.inputs[0])
    order = node.integers("perm", range(len(shape))[::-1])
    wide = [axis for axis in order if shape[axis] > 1]
    if wide == sorted(wide):
        lower_view(graph, node, shapes)
    else:
        lower_move(graph, node, shapes)


def lower_move(graph: Graph, node: Node, shapes: Shapes) -> None:
    """Data that change place: every output that is used is written once. The whole tensor in order is a view."""
    data, constants = graph.split(node)
    constants = constants if node.op.startswith("Scatter") else 0  # elsewhere they are indices, pads and sizes
    for index, name in enumerate(node.outputs):
        if not graph.used(name):
            continue
        shape = _out_shape(node, shapes, index)
        if node.op in _WHOLE and shape == graph.shape(node.inputs[0]) and not _reverses(graph, node):
            graph.builder.view(name, node.inputs[0], shape)
        else:
            graph.builder.vector(
                node.name, "move", node.op, data, name, shape, weight_elements=constants,
                input_elements=_read_elements(graph, node, data, shape),
                arrangement=_arrangement(graph, node, index, shape) if len(data) == 1 else None,
            )  # fmt: skip


def _arrangement(graph: Graph, node: Node, index: int, shape: Shape) -> Arrangement | None:
    """Return where output ``index`` of a move comes from, None for an operator that is not followed."""
    source = graph.shape(node.inputs[0])
    if graph.is_constant(node.inputs[0]):
        return None
    if node.op == "Transpose":
        return Arrangement(kind="transpose", numbers=node.integers("perm", range(len(source))[::-1]))
    if node.op == "Pad":
        return _pad_arrangement(graph, node, source)
    start, step, count = [0] * len(source), [1] * len(source), list(source)
    if node.op == "Split":
        axis = node.integer("axis", 0) % len(source)
        start[axis] = sum(graph.builder.shape(name)[axis] for name in node.outputs[:index] if graph.used(name))
        if not all(graph.used(name) for name in node.outputs[:index]):
            return None
        count[axis] = shape[axis]
    elif node.op == "Slice":
        first, axes = graph.numbers(node, 1, "starts") or (), graph.numbers(node, 3, "axes")
        steps = graph.numbers(node, 4, "steps") or (1,) * len(first)
        for axis, begin, stride in zip(axes or range(len(first)), first, steps, strict=True):
            extent = source[axis]
            low = begin + extent if begin < 0 else begin
            start[axis] = min(max(low, 0), extent if stride > 0 else extent - 1)
            step[axis], count[axis] = stride, shape[axis]
    elif node.op == "Gather" and graph.is_constant(node.inputs[1]) and math.prod(graph.shape(node.inputs[1])) == 1:
        axis = node.integer("axis", 0) % len(source)
        start[axis], count[axis] = int(graph.constant(node.inputs[1]).item()) % source[axis], 1
    else:
        return None
    return Arrangement(
        kind="slice", numbers=tuple(value for part in zip(start, step, count, strict=True) for value in part)
    )


def _pad_arrangement(graph: Graph, node: Node, source: Shape) -> Arrangement | None:
    """Return the axes that a Pad leaves alone."""
    pads, axes = graph.numbers(node, 1, "pads") or (), graph.numbers(node, 3) or tuple(range(len(source)))
    if len(pads) != 2 * len(axes):
        return None
    padded = {
        axis % len(source)
        for axis, low, high in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True)
        if low or high
    }
    return Arrangement(kind="through", numbers=tuple(axis for axis in range(len(source)) if axis not in padded))


def _read_elements(graph: Graph, node: Node, data: tuple[str, ...], shape: Shape) -> int:
    """Return what a move reads: a selection only what it copies, beside its indices; others all of their inputs."""
    everything = sum(math.prod(graph.shape(name)) for name in data)
    if node.op in ("Slice", "Split", "Gather", "GatherElements", "GatherND"):
        return min(everything, everything - math.prod(graph.shape(node.inputs[0])) + math.prod(shape))
    return everything


# Moves that leave everything in place where their output is as large as their input
_WHOLE = frozenset(("Slice", "Split", "Expand", "Pad", "Tile"))


def _reverses(graph: Graph, node: Node) -> bool:
    """Return whether this is a Slice that walks backwards, or a Pad that crops one side and fills the other."""
    if node.op == "Pad":
        return any(graph.numbers(node, 1, "pads") or ())
    return node.op == "Slice" and any(step < 0 for step in graph.numbers(node, 4, "steps") or ())


def lower_resize(graph: Graph, node: Node, shapes: Shapes) -> None:
    """A resize: nearest moves, linear reads two neighbours an axis, cubic four."""
    shape = _out_shape(node, shapes)
    before = graph.shape(node.inputs[0])
    axes = sum(new != old for new, old in zip(shape, before, strict=True))
    taps = {"nearest": 1, "linear": 2, "cubic": 4}.get(str(node.attributes.get("mode", "nearest")), 2)
    if not axes:
        graph.builder.view(node.outputs[0], node.inputs[0], shape)
        return
    graph.builder.vector(
        node.name, "move", node.op, [node.inputs[0]], node.outputs[0], shape, elements=math.prod(shape) * taps**axes,
        arrangement=Arrangement(
            kind="through", numbers=tuple(axis for axis, extent in enumerate(before) if extent == shape[axis])
        ),
    )  # fmt: skip


def lower_concat(graph: Graph, node: Node, shapes: Shapes) -> None:
    """Several tensors in one; constants among them (a class token) are read as weights."""
    shape = _out_shape(node, shapes)
    data, constants = graph.split(node)
    if len(data) == 1 and graph.shape(data[0]) == shape:
        graph.builder.view(node.outputs[0], data[0], shape)
    else:
        arrangement = None
        if len(data) == len(node.inputs):
            arrangement = Arrangement(kind="concat", numbers=(node.integer("axis", 0) % len(shape),))
        graph.builder.vector(
            node.name, "concat", node.op, data, node.outputs[0], shape, weight_elements=constants,
            arrangement=arrangement,
        )  # fmt: skip


def lower_gather(graph: Graph, node: Node, shapes: Shapes) -> None:
    """Rows of a table that data choose: an embedding. Rows of data: a move."""
    table = node.inputs[0]
    if not graph.is_constant(table):
        lower_move(graph, node, shapes)
        return
    shape = _out_shape(node, shapes)
    graph.builder.vector(
        node.name, "embedding", node.op, [node.inputs[1]], node.outputs[0], shape,
        weight_elements=math.prod(shape), stored_weight_elements=math.prod(graph.shape(table)),
    )  # fmt: skip


def lower_fused_activation(graph: Graph, node: Node, shapes: Shapes) -> None:
    """An activation of ONNX Runtime's own domain, perhaps with a bias: same shape as its input."""
    data, constants = graph.split(node)
    graph.builder.vector(
        node.name, "activation", node.op, data, node.outputs[0], graph.shape(node.inputs[0]),
        weight_elements=constants, channelwise=len(data) == 1,
    )  # fmt: skip


_ACTIVATIONS = (
    "Relu", "LeakyRelu", "PRelu", "ThresholdedRelu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Swish",
    "Tanh", "Elu", "Selu", "Celu", "Gelu", "Mish", "Softplus", "Softsign", "Shrink", "Erf", "Exp", "Log", "Sqrt",
    "Reciprocal", "Neg", "Abs", "Floor", "Ceil", "Round", "Sign", "Not", "IsNaN", "IsInf", "Sin", "Cos", "Tan",
    "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "BitwiseNot",
)  # fmt: skip
_ADDITIONS = (
    "Add", "Sub", "Sum", "Mean", "Min", "Max", "Where", "And", "Or", "Xor", "Equal", "Less", "LessOrEqual",
    "Greater", "GreaterOrEqual", "Mod", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor",
)  # fmt: skip
_MULTIPLICATIONS = ("Mul", "Div", "Pow", "RotaryEmbedding")
REDUCTIONS = ("Mean", "Sum", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare")
POOLS = ("MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
ELEMENTWISE_OPERATORS = tuple(op for op in (*_ACTIVATIONS, *_ADDITIONS, *_MULTIPLICATIONS) if op != "RotaryEmbedding")
_VIEWS = (
    "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "QuantizeLinear", "DequantizeLinear",
)  # fmt: skip
_MOVES = (
    "Slice", "Split", "Expand", "Pad", "Tile", "DepthToSpace", "SpaceToDepth", "Trilu", "ReverseSequence",
    "ScatterElements", "ScatterND", "Scatter", "OneHot",
)  # fmt: skip
_NORMS = (
    "LayerNormalization", "GroupNormalization", "RMSNormalization", "SimplifiedLayerNormalization", "LRN",
    "LpNormalization", "MeanVarianceNormalization",
)  # fmt: skip

VECTOR_LOWERINGS: dict[str, Lowering] = {
    **dict.fromkeys(_ACTIVATIONS, _pointwise("activation")),
    **dict.fromkeys(_ADDITIONS, _pointwise("add")),
    **dict.fromkeys(_MULTIPLICATIONS, _pointwise("mul")),
    **{f"Reduce{name}": lower_reduce for name in REDUCTIONS},
    **dict.fromkeys(_VIEWS, lower_view),
    **dict.fromkeys(_MOVES, lower_move),
    "BatchNormalization": lower_batch_norm,
    "InstanceNormalization": lower_instance_norm,
    **dict.fromkeys(_NORMS, lower_norm),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), lower_softmax),
    **dict.fromkeys(POOLS[:3], lower_pool),
    **dict.fromkeys(POOLS[3:], lower_global_pool),
    **dict.fromkeys(("ArgMax", "ArgMin", "CumSum", "TopK"), lower_scan),
    **dict.fromkeys(("Gather", "GatherElements", "GatherND"), lower_gather),
    **dict.fromkeys(("Resize", "Upsample"), lower_resize),
    "Transpose": lower_transpose,
    "CastLike": lower_cast_like,
    "Cast": lower_cast,
    "Concat": lower_concat,
}

# ONNX Runtime's own operators that keep their first input's shape
CONTRIB_LOWERINGS: dict[str, Lowering] = {
    **dict.fromkeys(("Gelu", "FastGelu", "BiasGelu", "QuickGelu"), lower_fused_activation),
    "SimplifiedLayerNormalization": lower_norm,
    **dict.fromkeys(("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"), lower_skip_norm),
}
