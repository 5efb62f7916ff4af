"""VGG-16 as in torchvision, whose weight names it uses.

Reference: Simonyan and Zisserman 2014, arXiv 1409.1556, table 1, column D.
"""

from __future__ import annotations

from traces.builder import NetworkBuilder
from traces.layer import Network
from traces.workloads.blocks import activated, averaged, convolution, flat, max_pooled, projected
from traces.workloads.workload import WeightSource, Workload, resolve_shape

SHAPE = (1, 3, 224, 224)
STAGES = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # convolutions, channels; a max pooling after each
CLASSES = 1000


def vgg16(weights: WeightSource, batch: int = 1, input_shape: tuple[int, ...] | None = None) -> Network:
    """Build VGG-16."""
    net = NetworkBuilder("vgg16")
    x = net.input("image", resolve_shape("vgg16", SHAPE, batch, input_shape))
    index = 0  # torchvision counts convolution, activation and pooling
    for convolutions, channels in STAGES:
        for _ in range(convolutions):
            x = convolution(net, weights, f"features.{index}", x, channels, 3, activation="relu")
            index += 2
        x = max_pooled(net, f"features.{index}", x, 2, 2)
        index += 1
    x = flat(net, averaged(net, "avgpool", x, 7))
    x = activated(net, projected(net, weights, "classifier.0", x, 4096), "relu")
    x = activated(net, projected(net, weights, "classifier.3", x, 4096), "relu")
    return net.build([projected(net, weights, "classifier.6", x, CLASSES)])


VGG16 = Workload(
    name="vgg16",
    summary="image classifier, 13 convolutions and 3 large linear layers",
    source="Simonyan and Zisserman 2014, arXiv 1409.1556; torchvision vgg16, 15.47 GMAC with its classifier",
    macs=15_470_000_000,
    input_shape=SHAPE,
    build=vgg16,
)
