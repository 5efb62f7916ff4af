"""A detector of published tables: PicoDet-M at 320 pixels (ESNet, CSP-PAN, a head that shares its branches).

Reference: Yu et al. 2021, arXiv 2111.00902; widths from PaddlePaddle/PaddleDetection configs/picodet/_base_/
picodet_esnet.yml @0b437549 and ppdet/modeling. Left out: the decoding of boxes, which the exported net has not.
"""

from __future__ import annotations

from costmodel.validation.net_blocks import WEIGHTS, joined, rounded, squeezed
from traces.builder import NetworkBuilder
from traces.layer import Network
from traces.workloads.blocks import added, convolution, max_pooled

STAGES = (  # channels, share of them inside each block
    (128, (0.875, 0.5, 1.0)),
    (256, (0.625, 0.5, 0.75, 0.625, 0.625, 0.5, 0.625)),
    (512, (1.0, 0.625, 0.75)),
)
WIDTH, HEAD_LAYERS, CLASSES, BINS = 128, 4, 80, 8  # of neck and head; bins of each side of a box
ACTIVATION = "hardswish"


def picodet_m(pixels: int, batch: int = 1) -> Network:
    """Build PicoDet-M."""
    net = NetworkBuilder("picodet_m")
    x = net.input("image", (batch, 3, pixels, pixels))
    x = convolution(net, WEIGHTS, "stem", x, 24, 3, stride=2, activation=ACTIVATION)
    x = max_pooled(net, "pool", x, 3, 2, padding=1)
    maps = []
    for stage, (channels, shares) in enumerate(STAGES):
        for block, share in enumerate(shares):
            make = _halved if block == 0 else _kept
            x = make(net, f"stage{stage}.{block}", x, rounded(int(channels * share)), channels)
        maps.append(x)
    outputs = [_head(net, f"head{at}", x) for at, x in enumerate(_neck(net, maps))]
    return net.build(outputs)


def _pointwise(net: NetworkBuilder, name: str, x: str, channels: int) -> str:
    return convolution(net, WEIGHTS, name, x, channels, 1, activation=ACTIVATION)


def _depthwise(net: NetworkBuilder, name: str, x: str, kernel: int, stride: int, activation: str | None) -> str:
    channels = net.shape(x)[1]
    return convolution(net, WEIGHTS, name, x, channels, kernel, stride=stride, groups=channels, activation=activation)


def _halved(net: NetworkBuilder, name: str, x: str, inside: int, channels: int) -> str:
    """A block of stride 2: two branches side by side, then a separable layer."""
    left = _pointwise(net, f"{name}.left", _depthwise(net, f"{name}.left_dw", x, 3, 2, None), channels // 2)
    right = _depthwise(net, f"{name}.dw", _pointwise(net, f"{name}.pw", x, inside // 2), 3, 2, None)
    right = squeezed(net, f"{name}.se", right, inside // 8, "relu", "hardsigmoid")
    right = _pointwise(net, f"{name}.right", right, channels // 2)
    x = joined(net, f"{name}.join", [left, right])
    return _pointwise(net, f"{name}.last", _depthwise(net, f"{name}.last_dw", x, 3, 1, ACTIVATION), channels)


def _kept(net: NetworkBuilder, name: str, x: str, inside: int, channels: int) -> str:
    """A block of stride 1: half of the channels pass, the other half goes through it; then they are shuffled."""
    batch, _, height, width = net.shape(x)
    half = (batch, channels // 2, height, width)
    elements = batch * (channels // 2) * height * width
    y = net.vector(f"{name}.split", "move", "slice", [x], f"{name}.split", half, input_elements=elements)
    y = _pointwise(net, f"{name}.pw", y, inside // 2)
    y = joined(net, f"{name}.inner", [y, _depthwise(net, f"{name}.dw", y, 3, 1, None)])
    y = squeezed(net, f"{name}.se", y, inside // 4, "relu", "hardsigmoid")
    y = _pointwise(net, f"{name}.linear", y, channels // 2)
    rest = net.vector(f"{name}.rest", "move", "slice", [x], f"{name}.rest", half, input_elements=elements)
    x = joined(net, f"{name}.join", [rest, y])
    return net.vector(f"{name}.shuffle", "move", "shuffle", [x], f"{name}.shuffle", net.shape(x))


def _separable(net: NetworkBuilder, name: str, x: str, stride: int) -> str:
    return _pointwise(net, f"{name}.pw", _depthwise(net, f"{name}.dw", x, 5, stride, ACTIVATION), WIDTH)


def _csp(net: NetworkBuilder, name: str, x: str) -> str:
    short = _pointwise(net, f"{name}.short", x, WIDTH // 2)
    main = _pointwise(net, f"{name}.inner", _pointwise(net, f"{name}.main", x, WIDTH // 2), WIDTH // 2)
    main = _depthwise(net, f"{name}.dw", main, 5, 1, ACTIVATION)
    main = _pointwise(net, f"{name}.pw", main, WIDTH // 2)
    return _pointwise(net, f"{name}.final", joined(net, f"{name}.join", [main, short]), WIDTH)


def _enlarged(net: NetworkBuilder, name: str, x: str, like: str) -> str:
    batch, channels, _, _ = net.shape(x)
    return net.vector(name, "move", "resize", [x], name, (batch, channels, *net.shape(like)[2:]))


def _neck(net: NetworkBuilder, maps: list[str]) -> list[str]:
    inputs = [_pointwise(net, f"neck.in{at}", x, WIDTH) for at, x in enumerate(maps)]
    inner = [inputs[-1]]
    for at in (1, 0):
        up = _enlarged(net, f"neck.up{at}", inner[0], inputs[at])
        inner.insert(0, _csp(net, f"neck.down{at}", joined(net, f"neck.join{at}", [up, inputs[at]])))
    outputs = [inner[0]]
    for at in (1, 2):
        down = _separable(net, f"neck.reduce{at}", outputs[-1], 2)
        outputs.append(_csp(net, f"neck.up_csp{at}", joined(net, f"neck.up_join{at}", [down, inner[at]])))
    first = _separable(net, "neck.top1", inputs[-1], 2)
    second = _separable(net, "neck.top2", outputs[-1], 2)
    return [*outputs, added(net, "neck.top", first, second)]


def _head(net: NetworkBuilder, name: str, x: str) -> str:
    for layer in range(HEAD_LAYERS):
        x = _separable(net, f"{name}.{layer}", x, 1)
    return convolution(net, WEIGHTS, f"{name}.out", x, CLASSES + 4 * BINS, 1)
