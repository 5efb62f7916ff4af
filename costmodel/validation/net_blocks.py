"""Blocks that the networks of published tables share: rounded widths, squeeze and excitation, joined channels."""

from __future__ import annotations

from traces.builder import NetworkBuilder
from traces.layer import Network
from traces.workloads.blocks import activated, averaged, convolution, flat, projected
from traces.workloads.workload import SyntheticWeights

CLASSES = 1000
WEIGHTS = SyntheticWeights(seed=0)  # never drawn


def rounded(channels: float, divisor: int = 8) -> int:
    """Return the nearest multiple of ``divisor`` that is no more than a tenth below ``channels``, as MobileNets do."""
    found = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return found + divisor if found < 0.9 * channels else found


def squeezed(net: NetworkBuilder, name: str, x: str, inner: int, activation: str, gate: str) -> str:
    """Append squeeze and excitation: the means of the channels, two 1x1 layers, a scale of each channel."""
    y = averaged(net, f"{name}.pool", x)
    y = convolution(net, WEIGHTS, f"{name}.reduce", y, inner, 1, activation=activation)
    y = convolution(net, WEIGHTS, f"{name}.expand", y, net.shape(x)[1], 1, activation=gate)
    return net.vector(f"{name}.scale", "mul", "scale", [x, y], f"{name}.scale", net.shape(x))


def joined(net: NetworkBuilder, name: str, parts: list[str]) -> str:
    """Append a concatenation along channels."""
    batch, _, height, width = net.shape(parts[0])
    shape = (batch, sum(net.shape(part)[1] for part in parts), height, width)
    return net.vector(name, "concat", "concat", parts, name, shape)


def windowed(
    net: NetworkBuilder,
    name: str,
    x: str,
    channels: int,
    kernel: tuple[int, int],
    *,
    stride: int = 1,
    padding: tuple[int, int] = (0, 0),
) -> str:
    """Append a convolution with its ReLU; ``kernel`` and ``padding``: height, width."""
    weight = WEIGHTS(f"{name}.weight", (channels, net.shape(x)[1], *kernel))
    out = net.conv(name, x, weight, name, stride=(stride, stride), padding=(*padding, *padding))
    return activated(net, out, "relu")


def mean_pooled(net: NetworkBuilder, name: str, x: str, kernel: int, stride: int, padding: int = 0) -> str:
    """Append a k x k average pooling: k x k element operations for each output."""
    batch, channels, height, width = net.shape(x)
    out = (batch, channels, *((extent + 2 * padding - kernel) // stride + 1 for extent in (height, width)))
    operations = batch * channels * out[2] * out[3] * kernel * kernel
    return net.vector(name, "pool", "average_pool", [x], name, out, elements=operations, channelwise=True)


def classified(net: NetworkBuilder, x: str) -> Network:
    """End with the mean of each channel and a linear classifier."""
    x = flat(net, averaged(net, "pool", x))
    return net.build([projected(net, WEIGHTS, "classifier", x, CLASSES)])
