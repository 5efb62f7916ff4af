"""Decides, before a network runs on an FPGA, which engine is built for it: the pattern's, and one for all layers.

Layers count with the density that was asked for, or with that of the model's own zeros: their masks are not made yet.
Left out: engines for other devices, which are what they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from costmodel.fpga import Work
from costmodel.fpga_choice import engine_kernel, with_engine
from costmodel.problem import problem_of
from costmodel.spec import VALUE_BYTES, Dtype, RooflineDevice
from gatherline.best_encoding import BEST
from gatherline.request import RunRequest, Target
from patterns.channel import Channel
from patterns.channel_then import ChannelThen
from patterns.dense import Dense
from simulator.result import LayerResult
from traces.layer import MatrixLayer, Network, ProductLayer, VectorLayer
from traces.masks import NEARLY_DENSE, Level, kept_dense
from traces.tokens import TOKEN_SELECT


def built_for(device: Target, network: Network, level: Level, request: RunRequest) -> Target:
    """Return an FPGA with the engine that ``network`` gets at ``level``; every other device as it is.

    A device that comes with an engine keeps its kernel and size. Raises DeviceError, naming what is
    short, where none fits.
    """
    if not isinstance(device, RooflineDevice) or device.fabric is None or request.dtype not in device.dtypes:
        return device
    dtype: Dtype = request.dtype
    pattern = level.pattern.rule if isinstance(level.pattern, ChannelThen) else level.pattern
    encoding = None if request.encoding == BEST else request.encoding
    kernel = engine_kernel(device, pattern, dtype, encoding)
    works = [
        Work(problem=problem_of(layer, VALUE_BYTES[dtype]), slots=slots if kernel.serves else None)
        for layer, slots in _slots(network, level, request)
    ]
    return with_engine(device, works, kernel, pattern, dtype, _longest_list(network))


def _slots(network: Network, level: Level, request: RunRequest) -> list[tuple[MatrixLayer | ProductLayer, int | None]]:
    """Return each layer that an engine runs and the weights that it is expected to keep, None: all of them."""
    kept = kept_dense(network, request.prune_all) if level.shares is None else dict(level.shares.reasons)
    found: list[tuple[MatrixLayer | ProductLayer, int | None]] = []
    for layer in network.layers:
        if isinstance(layer, ProductLayer):
            found.append((layer, None))
        elif isinstance(layer, MatrixLayer) and layer.kind != "depthwise":
            dense = layer.name in kept or isinstance(level.pattern, Dense | Channel)
            found.append((layer, None if dense else _expected(network, layer, level.target(layer.name))))
    return found


def _expected(network: Network, layer: MatrixLayer, sparsity: float | None) -> int | None:
    if sparsity is not None:
        return round((1.0 - sparsity) * layer.weight_elements)
    own = int(np.count_nonzero(network.weights[layer.name]))
    return None if own >= NEARLY_DENSE * layer.weight_elements else own


def _longest_list(network: Network) -> int:
    """Return the most tokens that a layer of ``network`` sorts, 0 where none does."""
    return max(
        (
            network.tensors[layer.inputs[0]].shape[1]
            for layer in network.layers
            if isinstance(layer, VectorLayer) and layer.op == TOKEN_SELECT
        ),
        default=0,
    )


def fabric_columns(results: Sequence[LayerResult]) -> dict[str, object]:
    """Return the columns of an engine; of several layers the largest of each, which is the one engine they share."""
    uses = [result.fabric for result in results if result.fabric is not None]
    if not uses:
        return {}
    return {
        "mapping": "; ".join(dict.fromkeys(result.mapping for result in results if result.fabric is not None)),
        "dsp": max(use.dsp for use in uses),
        "bram36": max(use.bram36 for use in uses),
        "uram": max(use.uram for use in uses),
        "lut": max(use.lut for use in uses),
        "clock_hz": min(use.clock_hz for use in uses),
    }
