"""Operators that are matrix products: convolutions, linear layers, products of activations, attention, LSTM and GRU.

A product with a weight known from the file is a layer with weights; one of two activations has none. Left out:
transposed and 3-D convolutions, recurrent layers with projections or packed sequences (each named as unsupported).
"""

from __future__ import annotations

import math
from typing import Any

from traces.builder import Cell
from traces.lower.aten_scope import Constant, Scope, as_pair, float_array
from traces.lower.pt2_graph import Node, Ref

RUN_TIME_WEIGHT = "its weight is computed at run time, and only weights known from the file are lowered"


def convolution(scope: Scope, node: Node) -> None:
    """conv1d, conv2d and convolution; ``padding`` in numbers or as 'same' and 'valid'."""
    weight = scope.constant(node.argument("weight"))
    if weight is None:
        return scope.unsupported(node, RUN_TIME_WEIGHT)
    if node.argument("transposed", False) or weight.array.ndim not in (3, 4):
        return scope.unsupported(node, "only 1-D and 2-D convolutions that are not transposed are lowered")
    source = node.argument("input")
    x, name = scope.tensor(source), scope.layer_name(node, weight)
    shape = scope.builder.shape(x)
    unbatched = len(shape) == weight.array.ndim - 1
    if unbatched:
        x = scope.builder.view(f"{scope.out(node)}.batch", x, (1, *shape))
    dilation = as_pair(node.argument("dilation"), 1)
    out = scope.out(node)
    written = scope.builder.conv(
        name, x, float_array(weight), f"{out}.batched" if unbatched else out,
        stride=as_pair(node.argument("stride"), 1), padding=_padding(node, weight, dilation), dilation=dilation,
        groups=int(node.argument("groups", 1)),
    )  # fmt: skip
    if unbatched:
        written = scope.builder.view(out, written, scope.builder.shape(written)[1:])
    return scope.define(node, written)


def _padding(node: Node, weight: Constant, dilation: tuple[int, int]) -> tuple[int, int, int, int]:
    """Padding as (top, left, bottom, right); torch puts the odd one of 'same' at the end."""
    padding = node.argument("padding")
    if not isinstance(padding, str):
        above, left = as_pair(padding, 0)
        return above, left, above, left
    if padding == "valid":
        return 0, 0, 0, 0
    kernel = weight.array.shape[2:]
    height, width = kernel if len(kernel) == 2 else (1, kernel[0])
    total_y, total_x = dilation[0] * (height - 1), dilation[1] * (width - 1)
    return total_y // 2, total_x // 2, total_y - total_y // 2, total_x - total_x // 2


def linear(scope: Scope, node: Node) -> None:
    """y = x W^T + b."""
    weight = scope.constant(node.argument("weight"))
    x = node.argument("input")
    if weight is not None and weight.array.ndim == 2:
        return _linear(scope, node, x, weight, float_array(weight))
    shape, rows = scope.shape(x), scope.shape(node.argument("weight"))
    if len(rows) != 2 or len(shape) < 1:
        return scope.unsupported(node, "only weights with two axes are lowered")
    m = math.prod(shape[:-1])
    return _product(scope, node, x, node.argument("weight"), m=m, k=shape[-1], p=rows[0])


def _linear(scope: Scope, node: Node, x: Ref, named: Constant, weight: Any) -> None:
    out = scope.builder.linear(scope.layer_name(node, named), scope.tensor(x), weight, scope.out(node))
    scope.define(node, out)


def _product(scope: Scope, node: Node, a: Ref, b: Ref, *, m: int, k: int, p: int) -> None:
    out = scope.builder.product(
        scope.layer_name(node), scope.tensor(a), scope.tensor(b), scope.out(node), scope.shape(node.writes[0]),
        m=m, k=k, p=p,
    )  # fmt: skip
    scope.define(node, out)


def matmul(scope: Scope, node: Node) -> None:
    """mm, bmm, matmul and mv, each with a weight on either side or none."""
    a = node.argument("self")
    b = node.argument("other", node.argument("mat2", node.argument("vec")))
    _matmul(scope, node, a, b)


def _matmul(scope: Scope, node: Node, a: Ref, b: Ref) -> None:
    left, right = scope.constant(a), scope.constant(b)
    if right is not None and left is not None:  # a state that starts as zeros meets a parameter
        left, right = (None, right) if right.fqn else (left, None)
    if right is not None and _one_matrix(right):
        matrix = right.array[(0,) * (right.array.ndim - 2)]
        return _linear(scope, node, a, right, float_array(Constant(matrix)).T)
    if right is not None and right.array.ndim == len(scope.shape(a)) == 3:
        return _grouped(scope, node, a, right)
    if left is not None and left.array.ndim == 2 and right is None and len(scope.shape(b)) >= 2:
        return _weight_on_the_left(scope, node, left, b)
    rows, columns = scope.shape(a), scope.shape(b)
    m = rows[-2] if len(rows) > 1 else 1
    p = columns[-1] if len(columns) > 1 else 1
    if (left is not None and left.fqn) or right is not None:
        return scope.unsupported(node, f"a weight in a product of {rows} and {columns} is not lowered")
    return _product(scope, node, a, b, m=m, k=rows[-1], p=p)


def _one_matrix(weight: Constant) -> bool:
    """Whether a weight is one matrix, perhaps repeated over the axes before its last two."""
    lead = zip(weight.array.shape[:-2], weight.array.strides[:-2], strict=True)
    return weight.array.ndim > 1 and all(extent == 1 or stride == 0 for extent, stride in lead)


def _grouped(scope: Scope, node: Node, x: Ref, weight: Constant) -> None:
    """A batch of products, each with its own weight [k, n]: a grouped 1 x 1 convolution, one group each."""
    builder, out = scope.builder, scope.out(node)
    groups, k, n = weight.array.shape
    positions = scope.shape(x)[1]
    channels_first = builder.view(f"{out}.channels", scope.tensor(x), (1, groups * k, positions))
    kernels = float_array(weight).transpose(0, 2, 1).reshape(groups * n, k, 1)
    written = builder.conv(scope.layer_name(node, weight), channels_first, kernels, f"{out}.groups", groups=groups)
    scope.define(node, builder.view(out, written, scope.shape(node.writes[0])))


def _weight_on_the_left(scope: Scope, node: Node, weight: Constant, x: Ref) -> None:
    """Y = W X: the same product as X^T W^T, seen in the other order; no bytes move for it."""
    builder, out, shape = scope.builder, scope.out(node), scope.shape(x)
    turned = builder.view(f"{out}.columns", scope.tensor(x), (*shape[:-2], shape[-1], shape[-2]))
    written = builder.linear(scope.layer_name(node, weight), turned, float_array(weight), f"{out}.rows")
    scope.define(node, builder.view(out, written, scope.shape(node.writes[0])))


def addmm(scope: Scope, node: Node) -> None:
    """self + mat1 mat2; a constant ``self`` is a bias, which rides on the product as in a linear layer."""
    addend = node.argument("self")
    a = node.argument("mat1", node.argument("batch1"))
    b = node.argument("mat2", node.argument("batch2"))
    if scope.constant(addend) is not None:
        return _matmul(scope, node, a, b)
    shape, name = scope.shape(node.writes[0]), scope.layer_name(node)
    if scope.constant(a) is not None or scope.constant(b) is not None:
        return scope.unsupported(node, "a weight with an activation as its addend is not lowered")
    product = scope.builder.product(
        name, scope.tensor(a), scope.tensor(b), f"{scope.out(node)}.product", shape,
        m=shape[-2], k=scope.shape(a)[-1], p=shape[-1],
    )  # fmt: skip
    tensors, _ = scope.operands([addend])
    written = scope.builder.vector(f"{name}.add", "add", "add", [product, *tensors], scope.out(node), shape)
    return scope.define(node, written)


def einsum(scope: Scope, node: Node) -> None:
    """Two operands without diagonals or ellipsis: the letters that only the operands share are summed over."""
    equation, refs = str(node.argument("equation", "")), node.argument("tensors", ())
    terms, _, result = equation.replace(" ", "").partition("->")
    letters = terms.split(",")
    plain = result and all(term.isalpha() and len(set(term)) == len(term) for term in letters)
    if len(refs) != 2 or len(letters) != 2 or not plain:
        return scope.unsupported(node, f"einsum {equation!r}: only two operands with distinct letters are lowered")
    first, second = letters
    extents = dict(zip(first, scope.shape(refs[0]), strict=True)) | dict(zip(second, scope.shape(refs[1]), strict=True))
    summed = [letter for letter in first if letter in second and letter not in result]
    if set(first + second) != set(result) | set(summed):
        return scope.unsupported(node, f"einsum {equation!r}: a letter of one operand that is summed is not lowered")
    weight = scope.constant(refs[1])
    outputs = [letter for letter in second if letter not in summed]
    tail = first.endswith("".join(summed)) and result == first.removesuffix("".join(summed)) + "".join(outputs)
    if weight is not None and summed and tail and not set(outputs) & set(first):
        matrix = float_array(weight).transpose([second.index(letter) for letter in (*outputs, *summed)])
        rows = math.prod(extents[letter] for letter in outputs)
        return _folded_linear(scope, node, refs[0], weight, matrix.reshape(rows, -1))
    if weight is not None or scope.constant(refs[0]) is not None:
        return scope.unsupported(node, f"einsum {equation!r}: this order of a weight's axes is not lowered")
    m = math.prod(extents[letter] for letter in first if letter not in second)
    p = math.prod(extents[letter] for letter in outputs if letter not in first)
    return _product(scope, node, refs[0], refs[1], m=m, k=math.prod(extents[letter] for letter in summed), p=p)


def _folded_linear(scope: Scope, node: Node, x: Ref, named: Constant, weight: Any) -> None:
    """A linear layer whose input and output axes are each several of the tensor's."""
    builder, out, shape = scope.builder, scope.out(node), scope.shape(x)
    lead = math.prod(shape) // weight.shape[1]
    flat = builder.view(f"{out}.input", scope.tensor(x), (lead, weight.shape[1]))
    written = builder.linear(scope.layer_name(node, named), flat, weight, f"{out}.output")
    scope.define(node, builder.view(out, written, scope.shape(node.writes[0])))


def attention(scope: Scope, node: Node) -> None:
    """Scaled dot-product attention: scores Q K^T, an addition where a mask is given, softmax, and the values' product.

    A causal mask saves nothing here: both products are counted in full.
    """
    q, k, v = (scope.shape(node.argument(name)) for name in ("query", "key", "value"))
    builder, out, base = scope.builder, scope.out(node), scope.layer_name(node)
    if node.module:
        base = node.module
    query, key, value = (scope.tensor(node.argument(name)) for name in ("query", "key", "value"))
    shape = (*scope.shape(node.writes[0])[:-2], q[-2], k[-2])
    scores = builder.product(f"{base}.scores", query, key, f"{out}.scores", shape, m=q[-2], k=q[-1], p=k[-2])
    mask = node.argument("attn_mask", node.argument("attn_bias"))
    if mask is not None:
        tensors, weights = scope.operands([mask])
        scores = builder.vector(
            f"{base}.mask", "add", "add", [scores, *tensors], f"{out}.masked", shape, weight_elements=weights
        )
    weights_of_values = builder.vector(f"{base}.softmax", "softmax", "softmax", [scores], f"{out}.softmax", shape)
    product_shape = scope.shape(node.writes[0])
    builder.product(
        f"{base}.values", weights_of_values, value, out, product_shape, m=q[-2], k=k[-2], p=v[-1]
    )  # fmt: skip
    scope.define(node, out)
    for index, name in enumerate(node.writes[1:], start=1):  # log-sum-exp and random state, rarely read
        if name in scope.used:
            scope.vector(node, "reduce", [Ref(node.writes[0])], index=index)


def recurrent(scope: Scope, node: Node) -> None:
    """lstm.input and gru.input: every layer and direction, weights in one flat list, time or batch first."""
    cell: Cell = "lstm" if node.op == "lstm" else "gru"
    params = [scope.constant(ref) for ref in node.argument("params", ())]
    layers, biased = int(node.argument("num_layers", 1)), bool(node.argument("has_biases", True))
    directions = 2 if node.argument("bidirectional", False) else 1
    each = 4 if biased else 2
    weights = [param for param in params if param is not None]
    if not node.target.endswith(f"{cell}.input"):
        return scope.unsupported(node, "packed sequences are not lowered")
    if len(weights) != len(params):
        return scope.unsupported(node, RUN_TIME_WEIGHT)
    if len(weights) != layers * directions * each:
        return scope.unsupported(node, "a projection of the hidden state is not lowered")  # fmt: skip
    x = scope.tensor(node.argument("input"))
    shape = scope.builder.shape(x)
    _initial_state(scope, node, weights[0])
    batch, steps = (shape[0], shape[1]) if node.argument("batch_first", False) else (shape[1], shape[0])
    for layer in range(layers):
        outs = []
        for direction in range(directions):
            start = (layer * directions + direction) * each
            label = f"l{layer}" + ("_reverse" if direction else "")
            outs.append(_cell(scope, node, cell, x, weights[start : start + each], label, steps, batch))
        x = outs[0]
        if directions == 2:
            width = sum(scope.builder.shape(out)[-1] for out in outs)
            x = scope.builder.vector(
                f"{_stem(scope, node, weights[0])}.l{layer}.concat", "concat", "concat", outs,
                f"{scope.out(node)}.l{layer}.concat", (steps, batch, width),
            )  # fmt: skip
    scope.define(node, scope.builder.view(scope.out(node), x, scope.shape(node.writes[0])))
    stem = _stem(scope, node, weights[0])
    for index, name in enumerate(node.writes[1:], start=1):  # the last hidden and cell states
        if name in scope.used:
            elements = math.prod(scope.shape(name))
            scope.vector(
                node, "move", [Ref(node.writes[0])], index=index, name=f"{stem}.state", input_elements=elements
            )
    return None


def _initial_state(scope: Scope, node: Node, weight: Constant) -> None:
    """States that the user computes are read once; zeros cost nothing."""
    states = node.argument("hx", ())
    for ref in (states,) if isinstance(states, Ref) else states:
        if scope.constant(ref) is None:
            scope.builder.vector(
                f"{_stem(scope, node, weight)}.initial_state", "move", "initial_state", [scope.tensor(ref)],
                f"{scope.out(node)}.{ref.name}", scope.shape(ref),
            )  # fmt: skip


def _stem(scope: Scope, node: Node, weight: Constant) -> str:
    """The module's path, from a parameter named like ``lstm.weight_ih_l0``."""
    path, _, leaf = weight.fqn.rpartition(".")
    return (path or node.op) if leaf.startswith("weight_ih") else scope.layer_name(node)


def _cell(
    scope: Scope, node: Node, cell: Cell, x: str, weights: list[Constant], label: str, steps: int, batch: int
) -> str:
    w_ih, w_hh, *biases = weights
    out = f"{scope.out(node)}.{label}"
    scope.builder.recurrent(
        f"{_stem(scope, node, w_ih)}.{label}", x, float_array(w_ih), float_array(w_hh), out,
        cell=cell, steps=steps, batch=batch, parameters=sum(bias.array.size for bias in biases),
    )  # fmt: skip
    return out
