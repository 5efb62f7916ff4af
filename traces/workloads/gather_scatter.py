"""The two products that the gather-scatter patterns were published with, one layer each.

``spmv1024``: a 1024 x 1024 product with one vector, such as an attention projection of GNMT. ``conv3x3_128``: a 3 x 3
convolution of 8 x 8 x 128 to 6 x 6 x 128. The only layer is first and last at once: prune it with ``--all``.
Reference: Sun et al. 2021, arXiv 2112.10898.
"""

from __future__ import annotations

from traces.builder import NetworkBuilder
from traces.layer import ModelError, Network
from traces.workloads.workload import WeightSource, Workload, resolve_shape

FEATURES = 1024
CHANNELS = 128
MAP_SHAPE = (1, CHANNELS, 8, 8)
KERNEL = 3


def spmv1024(weights: WeightSource, batch: int = 1, input_shape: tuple[int, ...] | None = None) -> Network:
    """Build the matrix-vector product."""
    shape = resolve_shape("spmv1024", (1, FEATURES), batch, input_shape)
    if shape[1] != FEATURES:
        raise ModelError(f"spmv1024: input shape {shape} has {shape[1]} features, and must have {FEATURES}")
    net = NetworkBuilder("spmv1024")
    x = net.input("x", shape)
    return net.build([net.linear("projection", x, weights("projection.weight", (FEATURES, FEATURES)), "y")])


def conv3x3_128(weights: WeightSource, batch: int = 1, input_shape: tuple[int, ...] | None = None) -> Network:
    """Build the convolution, without padding."""
    shape = resolve_shape("conv3x3_128", MAP_SHAPE, batch, input_shape)
    if min(shape[2:]) < KERNEL:
        raise ModelError(f"conv3x3_128: input shape {shape} is smaller than the {KERNEL} x {KERNEL} window")
    net = NetworkBuilder("conv3x3_128")
    x = net.input("x", shape)
    return net.build([net.conv("conv", x, weights("conv.weight", (CHANNELS, CHANNELS, KERNEL, KERNEL)), "y")])


SPMV1024 = Workload(
    name="spmv1024",
    summary="one 1024 x 1024 product with a vector; prune with --all",
    source="Sun et al. 2021, arXiv 2112.10898: an attention projection of GNMT",
    macs=FEATURES * FEATURES,
    input_shape=(1, FEATURES),
    build=spmv1024,
)
CONV3X3_128 = Workload(
    name="conv3x3_128",
    summary="one 3 x 3 convolution, 8 x 8 x 128 to 6 x 6 x 128; prune with --all",
    source="Sun et al. 2021, arXiv 2112.10898",
    macs=6 * 6 * CHANNELS * CHANNELS * KERNEL * KERNEL,
    input_shape=MAP_SHAPE,
    build=conv3x3_128,
)
