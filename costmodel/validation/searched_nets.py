"""Searched mobile networks of published tables: MobileNet v3, GhostNet, EfficientNet, all with squeeze and excitation.

Reference: Howard et al. 2019, arXiv 1905.02244, tables 1 and 2 (minimalistic: the README of tensorflow/models
research/slim/nets/mobilenet); Han et al. 2020, arXiv 1911.11907, table 7; Tan and Le 2019, arXiv 1905.11946, table 1.
"""

from __future__ import annotations

from math import ceil

from costmodel.validation.net_blocks import WEIGHTS, classified, joined, rounded, squeezed
from traces.builder import NetworkBuilder
from traces.layer import Network
from traces.workloads.blocks import added, averaged, convolution

Stage = tuple[int, int, int, bool, str, int]  # kernel, expanded channels, channels, squeezed, activation, stride
MOBILENET_V3: dict[str, tuple[tuple[Stage, ...], int, int]] = {  # stages, last convolution, last hidden layer
    "large": (
        (
            (3, 16, 16, False, "relu", 1),
            (3, 64, 24, False, "relu", 2),
            (3, 72, 24, False, "relu", 1),
            (5, 72, 40, True, "relu", 2),
            (5, 120, 40, True, "relu", 1),
            (5, 120, 40, True, "relu", 1),
            (3, 240, 80, False, "hardswish", 2),
            (3, 200, 80, False, "hardswish", 1),
            (3, 184, 80, False, "hardswish", 1),
            (3, 184, 80, False, "hardswish", 1),
            (3, 480, 112, True, "hardswish", 1),
            (3, 672, 112, True, "hardswish", 1),
            (5, 672, 160, True, "hardswish", 2),
            (5, 960, 160, True, "hardswish", 1),
            (5, 960, 160, True, "hardswish", 1),
        ),
        960,
        1280,
    ),
    "small": (
        (
            (3, 16, 16, True, "relu", 2),
            (3, 72, 24, False, "relu", 2),
            (3, 88, 24, False, "relu", 1),
            (5, 96, 40, True, "hardswish", 2),
            (5, 240, 40, True, "hardswish", 1),
            (5, 240, 40, True, "hardswish", 1),
            (5, 120, 48, True, "hardswish", 1),
            (5, 144, 48, True, "hardswish", 1),
            (5, 288, 96, True, "hardswish", 2),
            (5, 576, 96, True, "hardswish", 1),
            (5, 576, 96, True, "hardswish", 1),
        ),
        576,
        1024,
    ),
}
GHOSTNET: tuple[tuple[int, int, int, bool, int], ...] = (  # kernel, expanded, channels, squeezed, stride
    (3, 16, 16, False, 1),
    (3, 48, 24, False, 2),
    (3, 72, 24, False, 1),
    (5, 72, 40, True, 2),
    (5, 120, 40, True, 1),
    (3, 240, 80, False, 2),
    (3, 200, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 480, 112, True, 1),
    (3, 672, 112, True, 1),
    (5, 672, 160, True, 2),
    (5, 960, 160, False, 1),
    (5, 960, 160, True, 1),
    (5, 960, 160, False, 1),
    (5, 960, 160, True, 1),
)
EFFICIENTNET = {"b0": (1.0, 1.0, 224), "b1": (1.0, 1.1, 240)}  # width, depth, pixels
EFFICIENTNET_STAGES = (  # expansion, kernel, stride, channels, blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


def mobilenet_v3(name: str, width: float = 1.0, pixels: int = 224, batch: int = 1, *, minimal: bool = False) -> Network:
    """Build MobileNet v3; ``minimal``: 3x3 windows, ReLU and no squeeze and excitation throughout.

    The hidden layer before the classifier keeps its width below width 1.
    """
    stages, last, hidden = MOBILENET_V3[name]
    swish = "relu" if minimal else "hardswish"
    net = NetworkBuilder(f"mobilenet_v3-{name}")
    x = net.input("image", (batch, 3, pixels, pixels))
    x = convolution(net, WEIGHTS, "stem", x, rounded(16 * width), 3, stride=2, activation=swish)
    for index, (kernel, expanded, channels, squeeze, named, stride) in enumerate(stages):
        part, inner, inside = f"blocks.{index}", net.shape(x)[1], rounded(expanded * width)
        activation = "relu" if minimal else named
        y = x
        if expanded != inner or index:
            y = convolution(net, WEIGHTS, f"{part}.expand", y, inside, 1, activation=activation)
        taps = 3 if minimal else kernel
        y = convolution(
            net, WEIGHTS, f"{part}.dw", y, inside, taps, stride=stride, groups=inside, activation=activation
        )
        if squeeze and not minimal:
            y = squeezed(net, f"{part}.se", y, rounded(inside / 4), "relu", "hardsigmoid")
        y = convolution(net, WEIGHTS, f"{part}.project", y, rounded(channels * width), 1)
        x = added(net, f"{part}.add", x, y) if stride == 1 and net.shape(x) == net.shape(y) else y
    x = convolution(net, WEIGHTS, "last", x, rounded(last * width), 1, activation=swish)
    x = averaged(net, "mean", x)
    x = convolution(net, WEIGHTS, "hidden", x, max(hidden, rounded(hidden * width)), 1, activation=swish)
    return classified(net, x)


def ghostnet(batch: int = 1) -> Network:
    """Build GhostNet at width 1: half of each layer's channels come from a cheap depthwise layer on the other half."""
    net = NetworkBuilder("ghostnet")
    x = net.input("image", (batch, 3, 224, 224))
    x = convolution(net, WEIGHTS, "stem", x, 16, 3, stride=2, activation="relu")
    for index, (kernel, expanded, channels, squeeze, stride) in enumerate(GHOSTNET):
        part, inner = f"blocks.{index}", net.shape(x)[1]
        y = _ghost(net, f"{part}.ghost1", x, expanded, "relu")
        if stride > 1:
            y = convolution(net, WEIGHTS, f"{part}.dw", y, expanded, kernel, stride=stride, groups=expanded)
        if squeeze:
            y = squeezed(net, f"{part}.se", y, rounded(expanded / 4, 4), "relu", "hardsigmoid")
        y = _ghost(net, f"{part}.ghost2", y, channels, None)
        if stride > 1 or inner != channels:
            x = convolution(net, WEIGHTS, f"{part}.short_dw", x, inner, kernel, stride=stride, groups=inner)
            x = convolution(net, WEIGHTS, f"{part}.short_pw", x, channels, 1)
        x = added(net, f"{part}.add", x, y)
    x = convolution(net, WEIGHTS, "last", x, 960, 1, activation="relu")
    x = averaged(net, "mean", x)
    return classified(net, convolution(net, WEIGHTS, "hidden", x, 1280, 1, activation="relu"))


def _ghost(net: NetworkBuilder, name: str, x: str, channels: int, activation: str | None) -> str:
    own = ceil(channels / 2)
    y = convolution(net, WEIGHTS, f"{name}.primary", x, own, 1, activation=activation)
    cheap = convolution(net, WEIGHTS, f"{name}.cheap", y, own, 3, groups=own, activation=activation)
    return joined(net, f"{name}.join", [y, cheap])


def efficientnet(name: str, batch: int = 1) -> Network:
    """Build EfficientNet B0 or B1; the squeezed width is a quarter of a block's input channels."""
    width, depth, pixels = EFFICIENTNET[name]
    net = NetworkBuilder(f"efficientnet_{name}")
    x = net.input("image", (batch, 3, pixels, pixels))
    x = convolution(net, WEIGHTS, "stem", x, rounded(32 * width), 3, stride=2, activation="swish")
    index = 0
    for expansion, kernel, first_stride, channels, blocks in EFFICIENTNET_STAGES:
        for block in range(ceil(blocks * depth)):
            stride = first_stride if block == 0 else 1
            x = _efficient(net, f"blocks.{index}", x, expansion, kernel, stride, rounded(channels * width))
            index += 1
    x = convolution(net, WEIGHTS, "last", x, rounded(1280 * width), 1, activation="swish")
    return classified(net, x)


def _efficient(net: NetworkBuilder, name: str, x: str, expansion: int, kernel: int, stride: int, channels: int) -> str:
    inner = net.shape(x)[1]
    hidden, y = inner * expansion, x
    if expansion != 1:
        y = convolution(net, WEIGHTS, f"{name}.expand", y, hidden, 1, activation="swish")
    y = convolution(net, WEIGHTS, f"{name}.dw", y, hidden, kernel, stride=stride, groups=hidden, activation="swish")
    y = squeezed(net, f"{name}.se", y, max(inner // 4, 1), "swish", "sigmoid")
    y = convolution(net, WEIGHTS, f"{name}.project", y, channels, 1)
    return added(net, f"{name}.add", x, y) if stride == 1 and inner == channels else y
