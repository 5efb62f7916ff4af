"""MobileNet v1 and v2, width 1.0: depthwise separable convolutions.

Weight names: v1 as in timm's mobilenetv1_100, v2 as in torchvision's mobilenet_v2.
Reference: Howard et al. 2017, arXiv 1704.04861, table 1; Sandler et al. 2018, arXiv 1801.04381, table 2.
"""

from __future__ import annotations

from traces.builder import NetworkBuilder
from traces.layer import Network
from traces.workloads.blocks import added, averaged, convolution, flat, projected
from traces.workloads.workload import WeightSource, Workload, resolve_shape

SHAPE = (1, 3, 224, 224)
CLASSES = 1000
V1_STAGES = ((1, 64, 1), (2, 128, 2), (2, 256, 2), (6, 512, 2), (2, 1024, 2))  # blocks, channels, first stride
V2_STAGES = (  # expansion, channels, blocks, first stride
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v1(weights: WeightSource, batch: int = 1, input_shape: tuple[int, ...] | None = None) -> Network:
    """Build MobileNet v1, width 1.0."""
    net = NetworkBuilder("mobilenet_v1")
    x = net.input("image", resolve_shape("mobilenet_v1", SHAPE, batch, input_shape))
    x = convolution(net, weights, "conv_stem", x, 32, 3, stride=2, activation="relu")
    for stage, (blocks, channels, first_stride) in enumerate(V1_STAGES):
        for block in range(blocks):
            name, stride, width = f"blocks.{stage}.{block}", first_stride if block == 0 else 1, net.shape(x)[1]
            x = convolution(
                net, weights, f"{name}.conv_dw", x, width, 3, stride=stride, groups=width, activation="relu"
            )
            x = convolution(net, weights, f"{name}.conv_pw", x, channels, 1, activation="relu")
    x = flat(net, averaged(net, "global_pool", x))
    return net.build([projected(net, weights, "classifier", x, CLASSES)])


def mobilenet_v2(weights: WeightSource, batch: int = 1, input_shape: tuple[int, ...] | None = None) -> Network:
    """Build MobileNet v2, width 1.0."""
    net = NetworkBuilder("mobilenet_v2")
    x = net.input("image", resolve_shape("mobilenet_v2", SHAPE, batch, input_shape))
    x = convolution(net, weights, "features.0.0", x, 32, 3, stride=2, activation="relu6")
    index = 1
    for expansion, channels, blocks, first_stride in V2_STAGES:
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            x = _inverted_residual(net, weights, f"features.{index}", x, expansion, channels, stride)
            index += 1
    x = convolution(net, weights, f"features.{index}.0", x, 1280, 1, activation="relu6")
    x = flat(net, averaged(net, "avgpool", x))
    return net.build([projected(net, weights, "classifier.1", x, CLASSES)])


def _inverted_residual(
    net: NetworkBuilder, weights: WeightSource, name: str, x: str, expansion: int, channels: int, stride: int
) -> str:
    width = net.shape(x)[1]
    hidden, y, part = width * expansion, x, 0
    if expansion != 1:
        y = convolution(net, weights, f"{name}.conv.{part}.0", y, hidden, 1, activation="relu6")
        part += 1
    y = convolution(
        net, weights, f"{name}.conv.{part}.0", y, hidden, 3, stride=stride, groups=hidden, activation="relu6"
    )
    y = convolution(net, weights, f"{name}.conv.{part + 1}", y, channels, 1)
    return added(net, f"{name}.add", x, y) if stride == 1 and width == channels else y


MOBILENET_V1 = Workload(
    name="mobilenet_v1",
    summary="mobile image classifier, 13 depthwise separable blocks, width 1.0",
    source="Howard et al. 2017, arXiv 1704.04861, table 8: 569 million multiply-adds",
    macs=569_000_000,
    input_shape=SHAPE,
    build=mobilenet_v1,
)
MOBILENET_V2 = Workload(
    name="mobilenet_v2",
    summary="mobile image classifier, 17 inverted residuals, width 1.0",
    source="Sandler et al. 2018, arXiv 1801.04381, table 4: 300 million multiply-adds; 314 million with batch norms",
    macs=(300_000_000, 314_000_000),
    input_shape=SHAPE,
    build=mobilenet_v2,
)
