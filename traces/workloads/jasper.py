"""Jasper 10x5 with dense residuals: speech to text, 1-D convolutions over time.

Input: 64 filter-bank features a frame, 10 ms apart; 1000 frames (10 s) are assumed. The input of every block so far
reaches each later block through a 1 x 1 convolution, added before the block's last activation. 333 M parameters.
Reference: Li et al. 2019, arXiv 1904.03288, tables 1 and 5, figure 2.
"""

from __future__ import annotations

from traces.builder import NetworkBuilder
from traces.layer import Network
from traces.workloads.blocks import activated, added
from traces.workloads.workload import WeightSource, Workload, resolve_shape

SHAPE = (1, 64, 1000)
BLOCKS = (  # kernel, channels
    (11, 256),
    (11, 256),
    (13, 384),
    (13, 384),
    (17, 512),
    (17, 512),
    (21, 640),
    (21, 640),
    (25, 768),
    (25, 768),
)
REPEATS = 5
CHARACTERS = 29  # 26 letters, space, apostrophe, blank


def jasper(weights: WeightSource, batch: int = 1, input_shape: tuple[int, ...] | None = None) -> Network:
    """Build Jasper DR 10x5."""
    net = NetworkBuilder("jasper")
    x = net.input("features", resolve_shape("jasper", SHAPE, batch, input_shape))
    x = activated(net, _convolution(net, weights, "conv1", x, 256, 11, stride=2), "relu")
    panes: list[str] = []
    for index, (kernel, channels) in enumerate(BLOCKS, start=1):
        panes.append(x)
        x = _block(net, weights, f"block{index}", panes, channels, kernel)
    x = activated(net, _convolution(net, weights, "conv2", x, 896, 29, dilation=2), "relu")
    x = activated(net, _convolution(net, weights, "conv3", x, 1024, 1), "relu")
    x = _convolution(net, weights, "conv4", x, CHARACTERS, 1)
    return net.build([net.vector("softmax", "softmax", "log_softmax", [x], "softmax", net.shape(x))])


def _block(net: NetworkBuilder, weights: WeightSource, name: str, panes: list[str], channels: int, kernel: int) -> str:
    y = panes[-1]
    for repeat in range(1, REPEATS):
        y = activated(net, _convolution(net, weights, f"{name}.conv{repeat}", y, channels, kernel), "relu")
    y = _convolution(net, weights, f"{name}.conv{REPEATS}", y, channels, kernel)
    for index, pane in enumerate(panes, start=1):
        residual = _convolution(net, weights, f"{name}.residual{index}", pane, channels, 1)
        y = added(net, f"{name}.add{index}", y, residual)
    return activated(net, y, "relu")


def _convolution(
    net: NetworkBuilder,
    weights: WeightSource,
    name: str,
    x: str,
    channels: int,
    kernel: int,
    *,
    stride: int = 1,
    dilation: int = 1,
) -> str:
    weight = weights(f"{name}.weight", (channels, net.shape(x)[1], kernel))
    pad = kernel // 2 * dilation
    return net.conv(name, x, weight, name, stride=(1, stride), padding=(0, pad, 0, pad), dilation=(1, dilation))


JASPER = Workload(
    name="jasper",
    summary="speech recognition, 10 blocks of 5 1-D convolutions, dense residuals, 10 s of speech",
    source="Li et al. 2019, arXiv 1904.03288, tables 1 and 5 (Jasper DR 10x5, 333 M parameters)",
    macs=None,
    input_shape=SHAPE,
    build=jasper,
)
