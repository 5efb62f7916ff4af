"""ResNet-50 v1.5 (stride in the 3 x 3 convolution) as in torchvision, whose weight names it uses.

Reference: He et al. 2015, arXiv 1512.03385, table 1; torchvision.models.resnet50 ("4.089 G" multiply-adds).
"""

from __future__ import annotations

from traces.builder import NetworkBuilder
from traces.layer import Network
from traces.workloads.blocks import activated, added, averaged, convolution, flat, max_pooled, projected
from traces.workloads.workload import WeightSource, Workload, resolve_shape

SHAPE = (1, 3, 224, 224)
STAGES = ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2))  # blocks, width, stride of the first block
EXPANSION = 4
CLASSES = 1000


def resnet50(weights: WeightSource, batch: int = 1, input_shape: tuple[int, ...] | None = None) -> Network:
    """Build ResNet-50."""
    net = NetworkBuilder("resnet50")
    x = net.input("image", resolve_shape("resnet50", SHAPE, batch, input_shape))
    x = convolution(net, weights, "conv1", x, 64, 7, stride=2, activation="relu")
    x = max_pooled(net, "maxpool", x, 3, 2, 1)
    for stage, (blocks, width, stride) in enumerate(STAGES, start=1):
        for block in range(blocks):
            x = _bottleneck(net, weights, f"layer{stage}.{block}", x, width, stride if block == 0 else 1)
    x = flat(net, averaged(net, "avgpool", x))
    return net.build([projected(net, weights, "fc", x, CLASSES)])


def _bottleneck(net: NetworkBuilder, weights: WeightSource, name: str, x: str, width: int, stride: int) -> str:
    out = width * EXPANSION
    y = convolution(net, weights, f"{name}.conv1", x, width, 1, activation="relu")
    y = convolution(net, weights, f"{name}.conv2", y, width, 3, stride=stride, activation="relu")
    y = convolution(net, weights, f"{name}.conv3", y, out, 1)
    if stride != 1 or net.shape(x)[1] != out:
        x = convolution(net, weights, f"{name}.downsample.0", x, out, 1, stride=stride)
    return activated(net, added(net, f"{name}.add", y, x), "relu")


RESNET50 = Workload(
    name="resnet50",
    summary="image classifier, 53 convolutions and a classifier, residual bottlenecks",
    source="He et al. 2015, arXiv 1512.03385; torchvision resnet50 (v1.5), 4.089 GMAC with its classifier",
    macs=4_089_000_000,
    input_shape=SHAPE,
    build=resnet50,
)
