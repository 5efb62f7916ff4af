"""Hand-made networks of published tables: SqueezeNet, DenseNet-121, Inception v3 and v4.

Reference: Iandola et al. 2016, arXiv 1602.07360, and forresti/SqueezeNet (1.0, 1.1); Huang et al. 2017, arXiv
1608.06993, table 1; Szegedy et al. 2015, arXiv 1512.00567, and 2016, arXiv 1602.07261, figures 3 to 9. Windows of the
Inceptions are padded as their authors' code pads them. Left out: auxiliary classifiers, dropout.
"""

from __future__ import annotations

from costmodel.validation.net_blocks import WEIGHTS, classified, joined, mean_pooled, windowed
from traces.builder import NetworkBuilder
from traces.layer import Network
from traces.workloads.blocks import activated, averaged, convolution, flat, max_pooled

FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))  # squeezed, expanded
DENSE_BLOCKS, GROWTH = (6, 12, 24, 16), 32  # DenseNet-121


def squeezenet(version: str, batch: int = 1) -> Network:
    """Build SqueezeNet 1.0 or 1.1 at 224 pixels; pools round up."""
    first, kernel, pooled = (96, 7, (2, 6)) if version == "1.0" else (64, 3, (1, 3))
    net = NetworkBuilder(f"squeezenet-{version}")
    x = net.input("image", (batch, 3, 224, 224))
    x = windowed(net, "conv1", x, first, (kernel, kernel), stride=2)
    x = _pooled_up(net, "pool1", x)
    for index, (inner, outer) in enumerate(FIRES):
        part = f"fire{index + 2}"
        y = convolution(net, WEIGHTS, f"{part}.squeeze", x, inner, 1, activation="relu")
        parts = [
            convolution(net, WEIGHTS, f"{part}.expand{taps}", y, outer, taps, activation="relu") for taps in (1, 3)
        ]
        x = joined(net, f"{part}.join", parts)
        if index in pooled:
            x = _pooled_up(net, f"{part}.pool", x)
    x = convolution(net, WEIGHTS, "conv10", x, 1000, 1, activation="relu")
    return net.build([flat(net, averaged(net, "mean", x))])


def _pooled_up(net: NetworkBuilder, name: str, x: str) -> str:
    """A 3x3 maximum of stride 2 whose last window may stand over the edge."""
    height = net.shape(x)[2]
    return max_pooled(net, name, x, 3, 2, padding=0 if (height - 3) % 2 == 0 else 1)


def densenet121(batch: int = 1) -> Network:
    """Build DenseNet-121: each layer reads all maps before it, normalised and rectified anew."""
    net = NetworkBuilder("densenet121")
    x = net.input("image", (batch, 3, 224, 224))
    x = convolution(net, WEIGHTS, "stem", x, 64, 7, stride=2, activation="relu")
    x = max_pooled(net, "pool0", x, 3, 2, padding=1)
    for stage, layers in enumerate(DENSE_BLOCKS):
        for layer in range(layers):
            part = f"block{stage}.{layer}"
            y = _normalised(net, f"{part}.norm", x)
            y = convolution(net, WEIGHTS, f"{part}.conv1", y, 4 * GROWTH, 1, activation="relu")
            y = convolution(net, WEIGHTS, f"{part}.conv2", y, GROWTH, 3)
            x = joined(net, f"{part}.join", [x, y])
        x = _normalised(net, f"norm{stage}", x)
        if stage + 1 < len(DENSE_BLOCKS):
            x = convolution(net, WEIGHTS, f"transition{stage}", x, net.shape(x)[1] // 2, 1)
            x = mean_pooled(net, f"pool{stage + 1}", x, 2, 2)
    return classified(net, x)


def _normalised(net: NetworkBuilder, name: str, x: str) -> str:
    """A batch norm that no convolution before it can take up, with its ReLU."""
    channels = net.shape(x)[1]
    y = net.vector(name, "norm", "affine", [x], name, net.shape(x), weight_elements=2 * channels)
    return activated(net, y, "relu")


Branch = tuple[tuple[int, tuple[int, int]], ...]  # channels and window of each convolution in turn


def _branch(net: NetworkBuilder, name: str, x: str, branch: Branch, stride: int = 1) -> str:
    """Convolutions one after another, padded to keep the size; with ``stride`` 2 the last one is not padded."""
    for index, (channels, kernel) in enumerate(branch):
        last = stride == 2 and index + 1 == len(branch)
        padding = (0, 0) if last else (kernel[0] // 2, kernel[1] // 2)
        step = 2 if last else 1
        x = windowed(net, f"{name}.{index}", x, channels, kernel, stride=step, padding=padding)
    return x


def _mixed(net: NetworkBuilder, name: str, x: str, branches: tuple[Branch, ...], pooled: int) -> str:
    """Branches side by side, and a 3x3 mean before a 1x1 convolution to ``pooled`` channels."""
    parts = [_branch(net, f"{name}.{index}", x, branch) for index, branch in enumerate(branches)]
    mean = mean_pooled(net, f"{name}.mean", x, 3, 1, padding=1)
    return joined(net, f"{name}.join", [*parts, windowed(net, f"{name}.pool", mean, pooled, (1, 1))])


def _reduced(net: NetworkBuilder, name: str, x: str, branches: tuple[Branch, ...]) -> str:
    """Branches of stride 2 and a maximum of stride 2 side by side."""
    parts = [_branch(net, f"{name}.{index}", x, branch, stride=2) for index, branch in enumerate(branches)]
    return joined(net, f"{name}.join", [*parts, max_pooled(net, f"{name}.max", x, 3, 2)])


def _split_end(net: NetworkBuilder, name: str, x: str, stem: Branch, channels: int) -> str:
    """A branch that ends in a 1x3 and a 3x1 window side by side."""
    y = _branch(net, f"{name}.stem", x, stem)
    ends = [
        windowed(net, f"{name}.wide", y, channels, (1, 3), padding=(0, 1)),
        windowed(net, f"{name}.high", y, channels, (3, 1), padding=(1, 0)),
    ]
    return joined(net, f"{name}.join", ends)


def inception_v3(batch: int = 1) -> Network:
    """Build Inception v3 at 299 pixels."""
    net = NetworkBuilder("inception_v3")
    x = net.input("image", (batch, 3, 299, 299))
    x = windowed(net, "stem.0", x, 32, (3, 3), stride=2)
    x = windowed(net, "stem.1", x, 32, (3, 3))
    x = windowed(net, "stem.2", x, 64, (3, 3), padding=(1, 1))
    x = max_pooled(net, "stem.pool", x, 3, 2)
    x = windowed(net, "stem.3", x, 80, (1, 1))
    x = windowed(net, "stem.4", x, 192, (3, 3))
    x = max_pooled(net, "stem.pool2", x, 3, 2)
    for index, pooled in enumerate((32, 64, 64)):
        branches: tuple[Branch, ...] = (
            ((64, (1, 1)),),
            ((48, (1, 1)), (64, (5, 5))),
            ((64, (1, 1)), (96, (3, 3)), (96, (3, 3))),
        )
        x = _mixed(net, f"a{index}", x, branches, pooled)
    x = _reduced(net, "b", x, (((384, (3, 3)),), ((64, (1, 1)), (96, (3, 3)), (96, (3, 3)))))
    for index, inner in enumerate((128, 160, 160, 192)):
        x = _mixed(net, f"c{index}", x, _sevens(inner, 192), 192)
    sevens: Branch = ((192, (1, 1)), (192, (1, 7)), (192, (7, 1)), (192, (3, 3)))
    x = _reduced(net, "d", x, (((192, (1, 1)), (320, (3, 3))), sevens))
    for index in range(2):
        name = f"e{index}"
        parts = [
            _branch(net, f"{name}.0", x, ((320, (1, 1)),)),
            _split_end(net, f"{name}.1", x, ((384, (1, 1)),), 384),
            _split_end(net, f"{name}.2", x, ((448, (1, 1)), (384, (3, 3))), 384),
        ]
        mean = mean_pooled(net, f"{name}.mean", x, 3, 1, padding=1)
        x = joined(net, f"{name}.join", [*parts, windowed(net, f"{name}.pool", mean, 192, (1, 1))])
    return classified(net, x)


def _sevens(inner: int, channels: int) -> tuple[Branch, ...]:
    return (
        ((channels, (1, 1)),),
        ((inner, (1, 1)), (inner, (1, 7)), (channels, (7, 1))),
        ((inner, (1, 1)), (inner, (7, 1)), (inner, (1, 7)), (inner, (7, 1)), (channels, (1, 7))),
    )


def inception_v4(batch: int = 1) -> Network:
    """Build Inception v4 at 299 pixels."""
    net = NetworkBuilder("inception_v4")
    x = _stem_v4(net, net.input("image", (batch, 3, 299, 299)))
    for index in range(4):
        branches: tuple[Branch, ...] = (
            ((96, (1, 1)),),
            ((64, (1, 1)), (96, (3, 3))),
            ((64, (1, 1)), (96, (3, 3)), (96, (3, 3))),
        )
        x = _mixed(net, f"a{index}", x, branches, 96)
    x = _reduced(net, "ra", x, (((384, (3, 3)),), ((192, (1, 1)), (224, (3, 3)), (256, (3, 3)))))
    for index in range(7):
        branches = (
            ((384, (1, 1)),),
            ((192, (1, 1)), (224, (1, 7)), (256, (7, 1))),
            ((192, (1, 1)), (192, (7, 1)), (224, (1, 7)), (224, (7, 1)), (256, (1, 7))),
        )
        x = _mixed(net, f"b{index}", x, branches, 128)
    long: Branch = ((256, (1, 1)), (256, (1, 7)), (320, (7, 1)), (320, (3, 3)))
    x = _reduced(net, "rb", x, (((192, (1, 1)), (192, (3, 3))), long))
    for index in range(3):
        name = f"c{index}"
        parts = [
            _branch(net, f"{name}.0", x, ((256, (1, 1)),)),
            _split_end(net, f"{name}.1", x, ((384, (1, 1)),), 256),
            _split_end(net, f"{name}.2", x, ((384, (1, 1)), (448, (3, 1)), (512, (1, 3))), 256),
        ]
        mean = mean_pooled(net, f"{name}.mean", x, 3, 1, padding=1)
        x = joined(net, f"{name}.join", [*parts, windowed(net, f"{name}.pool", mean, 256, (1, 1))])
    return classified(net, x)


def _stem_v4(net: NetworkBuilder, x: str) -> str:
    x = windowed(net, "stem.0", x, 32, (3, 3), stride=2)
    x = windowed(net, "stem.1", x, 32, (3, 3))
    x = windowed(net, "stem.2", x, 64, (3, 3), padding=(1, 1))
    x = _reduced(net, "stem.r0", x, (((96, (3, 3)),),))
    short = windowed(net, "stem.s1", windowed(net, "stem.s0", x, 64, (1, 1)), 96, (3, 3))
    long = _branch(net, "stem.l", x, ((64, (1, 1)), (64, (1, 7)), (64, (7, 1))))
    x = joined(net, "stem.join", [short, windowed(net, "stem.l3", long, 96, (3, 3))])
    return _reduced(net, "stem.r1", x, (((192, (3, 3)),),))
