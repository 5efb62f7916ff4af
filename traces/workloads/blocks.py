"""What the built-in networks are made of: a convolution, its activation, pooling, norms and attention.

As in an inference engine, batch norm is folded into the convolution before it and makes no layer. Heads of an
attention are read in place, and its scale is folded into the query weights, so neither makes a layer.
"""

from __future__ import annotations

from traces.builder import NetworkBuilder
from traces.workloads.workload import WeightSource


def convolution(
    net: NetworkBuilder,
    weights: WeightSource,
    name: str,
    x: str,
    channels: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: str | None = None,
) -> str:
    """Append a k x k convolution named by its torch module, padded by k // 2, and its activation, if any."""
    shape = (channels, net.shape(x)[1] // groups, kernel, kernel)
    pad = kernel // 2
    out = net.conv(
        name,
        x,
        weights(f"{name}.weight", shape),
        name,
        stride=(stride, stride),
        padding=(pad, pad, pad, pad),
        groups=groups,
    )
    return out if activation is None else activated(net, out, activation)


def activated(net: NetworkBuilder, x: str, activation: str) -> str:
    """Append an element-wise activation."""
    name = f"{x}.{activation}"
    return net.vector(name, "activation", activation, [x], name, net.shape(x), channelwise=True)


def added(net: NetworkBuilder, name: str, a: str, b: str) -> str:
    """Append a residual addition."""
    return net.vector(name, "add", "add", [a, b], name, net.shape(a))


def normed(net: NetworkBuilder, name: str, x: str) -> str:
    """Append a layer norm over the last axis, with scale and shift."""
    shape = net.shape(x)
    return net.vector(name, "norm", "layer_norm", [x], name, shape, weight_elements=2 * shape[-1])


def projected(net: NetworkBuilder, weights: WeightSource, name: str, x: str, features: int) -> str:
    """Append a linear layer named by its torch module."""
    return net.linear(name, x, weights(f"{name}.weight", (features, net.shape(x)[-1])), name)


def max_pooled(net: NetworkBuilder, name: str, x: str, kernel: int, stride: int, padding: int = 0) -> str:
    """Append a k x k max pooling: k x k element operations for each output."""
    batch, channels, *extents = net.shape(x)
    out = (batch, channels, *((extent + 2 * padding - kernel) // stride + 1 for extent in extents))
    operations = batch * channels * out[2] * out[3] * kernel * kernel
    return net.vector(name, "pool", "max_pool", [x], name, out, elements=operations, channelwise=True)


def averaged(net: NetworkBuilder, name: str, x: str, size: int = 1) -> str:
    """Append an average pooling to size x size outputs; nothing where the map has that size. Reads each input once."""
    batch, channels, height, width = net.shape(x)
    if (height, width) == (size, size):
        return x
    operations = batch * channels * height * width
    out = (batch, channels, size, size)
    return net.vector(name, "pool", "average_pool", [x], name, out, elements=operations, channelwise=True)


def flat(net: NetworkBuilder, x: str) -> str:
    """Return the view of (N, C, H, W) as (N, C x H x W)."""
    batch, channels, height, width = net.shape(x)
    return net.view(f"{x}.flat", x, (batch, channels * height * width))


def attended(net: NetworkBuilder, name: str, query: str, key: str, value: str, *, heads: int, width: int) -> str:
    """Append scores, softmax and context of multi-head attention of ``width`` features over (N, tokens, ...) tensors.

    ``query``, ``key`` and ``value`` may be one tensor that holds all three side by side.
    """
    batch, queries, keys = *net.shape(query)[:2], net.shape(key)[1]
    scores, softmax, context = f"{name}.scores", f"{name}.softmax", f"{name}.context"
    shape = (batch, heads, queries, keys)
    net.product(scores, query, key, scores, shape, m=queries, k=width // heads, p=keys)
    net.vector(softmax, "softmax", "softmax", [scores], softmax, shape)
    out = (batch, queries, width)
    return net.product(context, softmax, value, context, out, m=queries, k=keys, p=width // heads)


def embedded(net: NetworkBuilder, name: str, ids: str, width: int, shape: tuple[int, ...], stored: int) -> str:
    """Append the lookup of one row of ``width`` a token; ``stored``: elements of the table (0 where another has it)."""
    tokens = shape[0] * shape[1]
    return net.vector(
        name,
        "embedding",
        "embedding",
        [ids],
        name,
        (*shape, width),
        weight_elements=tokens * width,
        stored_weight_elements=stored,
    )
