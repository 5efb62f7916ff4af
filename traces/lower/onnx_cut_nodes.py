"""How each ONNX operator is cut: which of its constants meet channels, and what its output then holds.

One function per family; the tables at the end say which operator belongs to which. Left out: operators that mix
channels, which the plan keeps whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from traces.channel_labels import Labels, channels, concatenated, merged, reshaped, sliced, taken, through, transposed
from traces.layer import MatrixLayer
from traces.lower.onnx_cut import Cut, CutProduct, Cutter
from traces.lower.onnx_graph import Node
from traces.lower.onnx_vector import ELEMENTWISE_OPERATORS, POOLS, REDUCTIONS

_FUSED = ("Gelu", "FastGelu", "BiasGelu", "QuickGelu")
_SAME = (*ELEMENTWISE_OPERATORS, "Cast", "QuantizeLinear", "DequantizeLinear")
_VIEWS = ("Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout")


def _conv(cutter: Cutter, node: Node, layer: MatrixLayer) -> None:
    weight = cutter.graph.constant(node.inputs[1])
    rows, inputs = cutter.plan.kept[layer.name], cutter.inputs(node, layer, 1)
    groups = layer.groups
    if layer.kind == "depthwise":
        groups, cut = len(inputs), weight[rows]
    else:
        columns = inputs.reshape(groups, -1) % layer.ci
        cut = weight[rows[:, None], columns[rows // layer.m]] if groups > 1 else weight[rows][:, inputs]
    cutter.put(node, 1, cut)
    for attribute in node.proto.attribute:
        if attribute.name == "group":
            attribute.i = groups
    cutter.outputs(node, layer, 1)
    name = node.input(2)
    if name and not cutter.graph.is_constant(name):
        cutter.bias(node, 2, cutter.of(node.outputs[0]))
    elif name:
        cutter.put(node, 2, cutter.graph.constant(name)[rows])


def _gemm(cutter: Cutter, node: Node, layer: MatrixLayer) -> None:
    rows = cutter.plan.kept[layer.name]
    if not cutter.graph.is_constant(node.inputs[1]) or node.integer("transA", 0):
        cutter.must_stay(node, layer)
        return
    inputs = cutter.inputs(node, layer, -1)
    weight = cutter.graph.constant(node.inputs[1])
    cutter.put(node, 1, weight[np.ix_(rows, inputs)] if node.integer("transB", 0) else weight[np.ix_(inputs, rows)])
    cutter.outputs(node, layer, -1)
    cutter.bias(node, 2, cutter.of(node.outputs[0]))


def _matmul(cutter: Cutter, node: Node, layer: MatrixLayer) -> None:
    name = node.inputs[1]
    if not cutter.graph.is_constant(name) or layer.groups > 1 or layer.kind != "linear":
        cutter.must_stay(node, layer)
        return
    weight = cutter.graph.constant(name)
    rows, inputs = cutter.plan.kept[layer.name], cutter.inputs(node, layer, -1)
    cutter.put(node, 1, weight[inputs] if weight.ndim == 1 else weight[..., inputs, :][..., rows])
    if weight.ndim > 1:
        cutter.outputs(node, layer, -1)


def _same(cutter: Cutter, node: Node) -> Labels:
    """Element by element, constants broadcast."""
    graph = cutter.graph
    shape = graph.shape(node.outputs[0])
    data = [cutter.of(name) for name in node.inputs if name and not graph.is_constant(name)]
    found = merged(data, shape, cutter.meet)
    for index, name in enumerate(node.inputs):
        if name and graph.is_constant(name) and math.prod(graph.shape(name)) > 1:
            if node.op.endswith("Linear"):
                raise cutter.refusal(node, "it has a scale for each channel")
            cutter.put(node, index, taken(cutter.value(name), found))
    return found


def _view(cutter: Cutter, node: Node) -> Labels:
    return reshaped(cutter.of(node.inputs[0]), cutter.graph.shape(node.outputs[0]))


def _reshape(cutter: Cutter, node: Node) -> Labels:
    """A view whose shape is a constant: written anew where it names a channel count."""
    source = cutter.of(node.inputs[0])
    found = _view(cutter, node)
    allow_zero = bool(node.integer("allowzero", 0))
    given = [int(v) for v in (cutter.value(node.inputs[1]) if node.input(1) else node.integers("shape", ()))]
    open_batch = node.input(1) in cutter.derived  # a batch that the file leaves open stays open
    wanted = list(found.small)
    for axis, value in enumerate(given):
        if value == 0 and not allow_zero and axis < len(source.small) and source.small[axis] == wanted[axis]:
            wanted[axis] = 0
    if _resolved(given, source.small, allow_zero) == list(found.small):
        return found
    if -1 in given:
        wanted[given.index(-1)] = -1
    elif open_batch and not allow_zero and source.small and wanted and source.small[0] == wanted[0]:
        wanted[0] = 0
    if _resolved(wanted, source.small, allow_zero) != list(found.small):
        wanted = list(found.small)
    cutter.put_numbers(node, 1, "shape", wanted)
    return found


def _resolved(values: Sequence[int], source: Sequence[int], allow_zero: bool) -> list[int]:
    """Return the shape that a Reshape makes of one of shape ``source``; nonsense stays negative."""
    shape = [source[a] if v == 0 and not allow_zero and a < len(source) else v for a, v in enumerate(values)]
    known = math.prod(extent for extent in shape if extent != -1)
    if -1 in shape and known and math.prod(source) % known == 0:
        shape[shape.index(-1)] = math.prod(source) // known
    return shape


def _expand(cutter: Cutter, node: Node) -> Labels | None:
    source = cutter.of(node.inputs[0])
    if source.shape != cutter.graph.shape(node.outputs[0]):
        return _stays(cutter, node)
    cutter.put_numbers(node, 1, "shape", source.small)
    return source


def _tile(cutter: Cutter, node: Node) -> Labels | None:
    source = cutter.of(node.inputs[0])
    return source if source.shape == cutter.graph.shape(node.outputs[0]) else _stays(cutter, node)


def _stays(cutter: Cutter, node: Node) -> Labels | None:
    """Its input must be whole: its output carries no channels."""
    if any(cutter.of(name).small != cutter.of(name).shape for name in node.inputs if name in cutter.labels):
        raise cutter.refusal(node, "a tensor that it mixes shrinks")
    return None


def _norm(cutter: Cutter, node: Node) -> Labels | None:
    """A norm with parameters for each channel."""
    source = cutter.of(node.inputs[0])
    found = channels(source, 1)
    if found is None:
        return _stays(cutter, node)
    for index in range(1, len(node.inputs)):
        cutter.put(node, index, cutter.graph.constant(node.inputs[index])[found[1]])
    return source


def _mixed(axes: Callable[[Cutter, Node], Sequence[int]]) -> Cut:
    """An operator that mixes all axes but some."""

    def cut(cutter: Cutter, node: Node) -> Labels | None:
        source = cutter.of(node.inputs[0])
        found = through(source, axes(cutter, node), cutter.graph.shape(node.outputs[0]))
        if found is not None and node.op in ("Resize", "Upsample"):
            sizes = node.input(3)
            if sizes and not node.attributes.get("axes"):
                cutter.put(node, 3, np.asarray(found.small, dtype=np.int64))
        return _stays(cutter, node) if found is None else found

    return cut


def _unreduced(cutter: Cutter, node: Node) -> tuple[int, ...]:
    rank = len(cutter.graph.shape(node.inputs[0]))
    axes = cutter.graph.numbers(node, 1, "axes")
    over = {axis % rank for axis in axes} if axes else set(range(rank))
    return tuple(axis for axis in range(rank) if axis not in over)


def _unscaled(cutter: Cutter, node: Node) -> tuple[int, ...]:
    before, after = cutter.graph.shape(node.inputs[0]), cutter.graph.shape(node.outputs[0])
    return tuple(axis for axis, extent in enumerate(before) if extent == after[axis])


def _unpadded(cutter: Cutter, node: Node) -> tuple[int, ...]:
    rank = len(cutter.graph.shape(node.inputs[0]))
    pads = cutter.graph.numbers(node, 1, "pads") or ()
    axes = cutter.graph.numbers(node, 3) or tuple(range(rank))
    padded = {a % rank for a, low, high in zip(axes, pads, pads[len(axes) :], strict=False) if low or high}
    return tuple(axis for axis in range(rank) if axis not in padded)


def _transpose(cutter: Cutter, node: Node) -> Labels:
    source = cutter.of(node.inputs[0])
    return transposed(source, node.integers("perm", range(len(source.shape))[::-1]))


def _concat(cutter: Cutter, node: Node) -> Labels:
    parts = [cutter.of(name) for name in node.inputs]
    return concatenated(parts, node.integer("axis", 0) % len(parts[0].shape), cutter.meet)


def _slice(cutter: Cutter, node: Node) -> Labels:
    """Begin and end where the channels that are left do."""
    graph, source = cutter.graph, cutter.of(node.inputs[0])
    rank, out = len(source.shape), graph.shape(node.outputs[0])
    starts, ends = list(graph.numbers(node, 1, "starts") or ()), list(graph.numbers(node, 2, "ends") or ())
    axes = [axis % rank for axis in graph.numbers(node, 3, "axes") or range(len(starts))]
    steps = list(graph.numbers(node, 4, "steps") or (1,) * len(starts))
    for place, axis in enumerate(axes):
        extent = source.shape[axis]
        low = starts[place] + extent if starts[place] < 0 else starts[place]
        low = min(max(low, 0), extent if steps[place] > 0 else extent - 1)
        positions = low + steps[place] * np.arange(out[axis], dtype=np.int64)
        moved = source.small[axis] != source.shape[axis]
        source, left = sliced(source, axis, positions)
        if moved:
            stride = int(left[1] - left[0]) if len(left) > 1 else 1
            end = int(left[-1]) + stride
            starts[place], steps[place] = int(left[0]), stride
            ends[place] = end if end >= 0 else -(2**31)
    cutter.put_numbers(node, 1, "starts", starts)
    cutter.put_numbers(node, 2, "ends", ends)
    if node.input(4) or any(step != 1 for step in steps):
        cutter.put_numbers(node, 3, "axes", axes)
        cutter.put_numbers(node, 4, "steps", steps)
    return source


def _split(cutter: Cutter, node: Node) -> None:
    """Give every output its part, and say how large the parts are."""
    graph, source = cutter.graph, cutter.of(node.inputs[0])
    axis = node.integer("axis", 0) % len(source.shape)
    extent, count = source.shape[axis], len(node.outputs)
    even = -(-extent // count)
    sizes = graph.numbers(node, 1, "split") or [min(even, extent - even * place) for place in range(count)]
    start, small = 0, []
    for name, size in zip(node.outputs, sizes, strict=True):
        part, _ = sliced(source, axis, np.arange(start, start + size, dtype=np.int64))
        start += size
        small.append(part.small[axis])
        if name:
            cutter.labels[name] = part
    if small == list(sizes):
        return
    for attribute in [entry for entry in node.proto.attribute if entry.name == "num_outputs"]:
        node.proto.attribute.remove(attribute)
    if node.input(1) or graph.opset >= 13:
        cutter.put(node, 1, np.asarray(small, dtype=np.int64))
    else:
        import onnx

        for attribute in [entry for entry in node.proto.attribute if entry.name == "split"]:
            node.proto.attribute.remove(attribute)
        node.proto.attribute.append(onnx.helper.make_attribute("split", small))


def _gather(cutter: Cutter, node: Node) -> Labels | None:
    """One index of an axis: a slice."""
    graph, source = cutter.graph, cutter.of(node.inputs[0])
    if not graph.is_constant(node.inputs[1]) or math.prod(graph.shape(node.inputs[1])) != 1:
        return _stays(cutter, node)
    axis = node.integer("axis", 0) % len(source.shape)
    index = graph.constant(node.inputs[1])
    carries = axis in source.axes
    part, left = sliced(source, axis, np.asarray([int(index.item()) % source.shape[axis]], dtype=np.int64))
    if carries:
        cutter.put(node, 1, left.astype(index.dtype).reshape(index.shape))
    return reshaped(part, graph.shape(node.outputs[0]))


PRODUCT_CUTS: dict[str, CutProduct] = {"Conv": _conv, "Gemm": _gemm, "MatMul": _matmul}

_STANDARD: dict[str, Cut] = {
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(_VIEWS, _view),
    **dict.fromkeys(POOLS, _mixed(lambda cutter, node: (0, 1))),
    **{f"Reduce{name}": _mixed(_unreduced) for name in REDUCTIONS},
    "CastLike": lambda cutter, node: cutter.of(node.inputs[0]),
    "Reshape": _reshape,
    "Expand": _expand,
    "Tile": _tile,
    "BatchNormalization": _norm,
    "InstanceNormalization": _norm,
    "Pad": _mixed(_unpadded),
    "Resize": _mixed(_unscaled),
    "Upsample": _mixed(_unscaled),
    "Transpose": _transpose,
    "Concat": _concat,
    "Slice": _slice,
    "Split": _split,
    "Gather": _gather,
}

OTHER_CUTS: dict[tuple[str, str], Cut] = {
    **{("", op): cut for op, cut in _STANDARD.items()},
    **{("com.microsoft", op): _same for op in _FUSED},
}
