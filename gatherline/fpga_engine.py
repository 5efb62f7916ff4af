"""Decides, before a network runs on an FPGA, which engine is built for it: the pattern's, and one for all layers.

Layers count with the density that was asked for, or with that of the model's own zeros: their masks are not made yet.
Left out: engines for other devices, which are what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from costmodel.fpga import Work
from costmodel.fpga_choice import engine_kernel, with_engine
from costmodel.problem import problem_of
from costmodel.spec import VALUE_BYTES, Dtype, RooflineDevice
from gatherline.best_encoding import BEST
from gatherline.request import RunRequest, Target
from patterns.base import Pattern
from patterns.channel import Channel
from patterns.channel_then import ChannelThen
from patterns.dense import Dense
from simulator.result import LayerResult
from traces.layer import MatrixLayer, Network, ProductLayer, VectorLayer
from traces.masks import NEARLY_DENSE, Level, kept_dense
from traces.tokens import TOKEN_SELECT

Product = MatrixLayer | ProductLayer


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineWork:
    """What an engine is chosen by: a level's rule, the layers that it runs, and the longest list of tokens to sort.

    ``slots``: weights that each of ``layers`` is expected to keep, None: all of them.
    """

    pattern: Pattern
    layers: tuple[Product, ...]
    slots: tuple[int | None, ...]
    tokens: int


def engine_work(network: Network, level: Level, prune_all: bool) -> EngineWork:
    """Return what ``network``, as it runs at ``level``, asks of an engine."""
    found = _slots(network, level, prune_all)
    return EngineWork(
        pattern=level.pattern,
        layers=tuple(layer for layer, _ in found),
        slots=tuple(slots for _, slots in found),
        tokens=_longest_list(network),
    )


def built_for(device: Target, network: Network, level: Level, request: RunRequest) -> Target:
    """Return an FPGA with the engine that ``network`` gets at ``level``; every other device as it is.

    A device that comes with an engine keeps its kernel and size. Raises DeviceError, naming what is
    short, where none fits.
    """
    if _takes_engine(device, request.dtype) is None:
        return device
    return built_for_work(device, engine_work(network, level, request.prune_all), request.dtype, request.encoding)


def built_for_work(device: Target, work: EngineWork, dtype: str, encoding: str | None) -> Target:
    """Return ``device`` as ``built_for`` does, from what was kept of the network. Raises DeviceError."""
    fpga = _takes_engine(device, dtype)
    if fpga is None:
        return device
    kept: Dtype = dtype  # type: ignore[assignment]  # one of the device's own, as just checked
    pattern = work.pattern.rule if isinstance(work.pattern, ChannelThen) else work.pattern
    kernel = engine_kernel(fpga, pattern, kept, None if encoding == BEST else encoding)
    works = [
        Work(problem=problem_of(layer, VALUE_BYTES[kept]), slots=slots if kernel.serves else None)
        for layer, slots in zip(work.layers, work.slots, strict=True)
    ]
    return with_engine(fpga, works, kernel, pattern, kept, work.tokens)


def _takes_engine(device: Target, dtype: str) -> RooflineDevice | None:
    if not isinstance(device, RooflineDevice) or device.fabric is None or dtype not in device.dtypes:
        return None
    return device


def _slots(network: Network, level: Level, prune_all: bool) -> list[tuple[Product, int | None]]:
    """Return each layer that an engine runs and the weights that it is expected to keep, None: all of them."""
    kept = kept_dense(network, prune_all) if level.shares is None else dict(level.shares.reasons)
    found: list[tuple[Product, int | None]] = []
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
