"""Networks of published tables that are no built-ins: MobileNets by width, EfficientNet-Lite, vision transformers.

``zoo`` names those of the other files (``searched_nets``, ``classic_nets``, ``detection_nets``), and BERT-base at any
number of tokens.

Shapes alone matter here; weights have no values. Reference: Howard et al. 2017, arXiv 1704.04861; Sandler et al. 2018,
arXiv 1801.04381; Tan and Le 2019, arXiv 1905.11946 and tensorflow/tpu models/official/efficientnet/lite README;
Dosovitskiy et al. 2020, arXiv 2010.11929, table 1.
"""

from __future__ import annotations

from math import ceil

from costmodel.validation.classic_nets import densenet121, inception_v3, inception_v4, squeezenet
from costmodel.validation.detection_nets import picodet_m
from costmodel.validation.measurement import ValidationError
from costmodel.validation.net_blocks import CLASSES, WEIGHTS, classified, rounded
from costmodel.validation.searched_nets import efficientnet, ghostnet, mobilenet_v3
from traces.builder import NetworkBuilder
from traces.layer import Network
from traces.workloads.blocks import activated, added, attended, convolution, normed, projected
from traces.workloads.catalog import built_in
from traces.workloads.mobilenet import V1_STAGES, V2_STAGES

EFFICIENTNET_LITE = {  # name: width, depth, pixels (the README's table)
    "0": (1.0, 1.0, 224),
    "1": (1.0, 1.1, 240),
    "2": (1.1, 1.2, 260),
    "3": (1.2, 1.4, 280),
    "4": (1.4, 1.8, 300),
}
EFFICIENTNET_STAGES = (  # expansion, kernel, stride, channels, blocks: arXiv 1905.11946, table 1
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
TRANSFORMERS = {  # name: width, blocks, heads, patch: arXiv 2010.11929, table 1
    "base16": (768, 12, 12, 16),
    "base32": (768, 12, 12, 32),
    "huge14": (1280, 32, 16, 14),
}


def zoo(name: str, batch: int = 1) -> Network:
    """Build the network called ``name``. Raises ValidationError where there is none."""
    match name.split("-"):
        case ["mobilenet_v3", "large" | "small" as size]:
            return mobilenet_v3(size, batch=batch)
        case ["mobilenet_v3", "large" | "small" as size, "minimal"]:
            return mobilenet_v3(size, batch=batch, minimal=True)
        case ["ghostnet"]:
            return ghostnet(batch)
        case ["efficientnet", "b0" | "b1" as size]:
            return efficientnet(size, batch)
        case ["squeezenet", "1.0" | "1.1" as version]:
            return squeezenet(version, batch)
        case ["densenet121"]:
            return densenet121(batch)
        case ["inception_v3"]:
            return inception_v3(batch)
        case ["inception_v4"]:
            return inception_v4(batch)
        case ["picodet_m", pixels] if pixels.isdecimal():
            return picodet_m(int(pixels), batch)
        case ["bert_base", tokens] if tokens.isdecimal():
            return built_in("bert_base", input_shape=(batch, int(tokens)))
        case _:
            raise ValidationError(f"net 'zoo/{name}' names no network that is known")


def mobilenet_v1(width: float, pixels: int, batch: int = 1) -> Network:
    """Build MobileNet v1 at a width; channels are rounded to whole numbers, as its authors do."""
    net = NetworkBuilder(f"mobilenet_v1-{width:g}")
    x = net.input("image", (batch, 3, pixels, pixels))
    x = convolution(net, WEIGHTS, "conv_stem", x, int(32 * width), 3, stride=2, activation="relu")
    index = 0
    for blocks, channels, first_stride in V1_STAGES:
        for block in range(blocks):
            name, stride, inner = f"blocks.{index}", first_stride if block == 0 else 1, net.shape(x)[1]
            x = convolution(net, WEIGHTS, f"{name}.dw", x, inner, 3, stride=stride, groups=inner, activation="relu")
            x = convolution(net, WEIGHTS, f"{name}.pw", x, int(channels * width), 1, activation="relu")
            index += 1
    return classified(net, x)


def mobilenet_v2(width: float, pixels: int, batch: int = 1) -> Network:
    """Build MobileNet v2 at a width; the last convolution has 1280 channels, more only above width 1."""
    net = NetworkBuilder(f"mobilenet_v2-{width:g}")
    x = net.input("image", (batch, 3, pixels, pixels))
    x = convolution(net, WEIGHTS, "stem", x, rounded(32 * width), 3, stride=2, activation="relu6")
    index = 0
    for expansion, channels, blocks, first_stride in V2_STAGES:
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            x = _inverted_residual(net, f"blocks.{index}", x, expansion, 3, stride, rounded(channels * width))
            index += 1
    x = convolution(net, WEIGHTS, "last", x, rounded(1280 * max(width, 1.0)), 1, activation="relu6")
    return classified(net, x)


def efficientnet_lite(name: str, batch: int = 1) -> Network:
    """Build EfficientNet-Lite 0 to 4: no squeeze-and-excitation; stem and last layer keep their width."""
    width, depth, pixels = EFFICIENTNET_LITE[name]
    net = NetworkBuilder(f"efficientnet_lite{name}")
    x = net.input("image", (batch, 3, pixels, pixels))
    x = convolution(net, WEIGHTS, "stem", x, 32, 3, stride=2, activation="relu6")
    index = 0
    for stage, (expansion, kernel, first_stride, channels, blocks) in enumerate(EFFICIENTNET_STAGES):
        ends = stage in (0, len(EFFICIENTNET_STAGES) - 1)  # the first and the last stage keep their depth
        for block in range(blocks if ends else ceil(blocks * depth)):
            stride = first_stride if block == 0 else 1
            x = _inverted_residual(net, f"blocks.{index}", x, expansion, kernel, stride, rounded(channels * width))
            index += 1
    x = convolution(net, WEIGHTS, "last", x, 1280, 1, activation="relu6")
    return classified(net, x)


def _inverted_residual(
    net: NetworkBuilder, name: str, x: str, expansion: int, kernel: int, stride: int, channels: int
) -> str:
    inner = net.shape(x)[1]
    hidden, y = inner * expansion, x
    if expansion != 1:
        y = convolution(net, WEIGHTS, f"{name}.expand", y, hidden, 1, activation="relu6")
    y = convolution(net, WEIGHTS, f"{name}.dw", y, hidden, kernel, stride=stride, groups=hidden, activation="relu6")
    y = convolution(net, WEIGHTS, f"{name}.project", y, channels, 1)
    return added(net, f"{name}.add", x, y) if stride == 1 and inner == channels else y


def vit(name: str, pixels: int, batch: int = 1) -> Network:
    """Build a vision transformer; its MLP is four times as wide as its blocks."""
    width, blocks, heads, patch = TRANSFORMERS[name]
    net = NetworkBuilder(f"vit-{name}")
    x = net.input("image", (batch, 3, pixels, pixels))
    tokens = 1 + (pixels // patch) ** 2
    weight = WEIGHTS("patches.weight", (width, 3, patch, patch))
    x = net.conv("patches", x, weight, "patches", stride=(patch, patch))
    token = net.constant("class_token", (1, 1, width))
    x = net.vector("join", "concat", "concat", [token, x], "join", (batch, tokens, width))
    x = added(net, "position", x, net.constant("positions", (batch, tokens, width)))
    for block in range(blocks):
        part = f"blocks.{block}"
        qkv = projected(net, WEIGHTS, f"{part}.qkv", normed(net, f"{part}.norm1", x), 3 * width)
        y = attended(net, f"{part}.attention", qkv, qkv, qkv, heads=heads, width=width)
        x = added(net, f"{part}.add1", x, projected(net, WEIGHTS, f"{part}.proj", y, width))
        y = projected(net, WEIGHTS, f"{part}.mlp1", normed(net, f"{part}.norm2", x), 4 * width)
        y = projected(net, WEIGHTS, f"{part}.mlp2", activated(net, y, "gelu"), width)
        x = added(net, f"{part}.add2", x, y)
    x = normed(net, "norm", x)
    first = (batch, width)
    x = net.vector("first", "move", "slice", [x], "first", first, input_elements=batch * width)
    return net.build([projected(net, WEIGHTS, "head", x, CLASSES)])
