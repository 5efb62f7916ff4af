"""A level ready to run on machines: its traces, read again and again, and what rows need of its network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from gatherline.fpga_engine import built_for
from gatherline.request import RequestError, RunRequest, Target, levels, lower
from gatherline.sweep.point import LevelChoice, RunOptions, run_request
from traces.layer import MatrixLayer, Network, UnsupportedLayer
from traces.liveness import peak_activation_elements
from traces.masks import Level, trace_network
from traces.trace import LayerTrace


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TracedLevel:
    """Network facts of a level, and its traces in memory."""

    model: str
    digest: str
    batch: int
    synthetic: bool
    unsupported: tuple[str, ...]
    activation_peak_elements: int
    pattern: str
    sparsity_target: float | None
    layer_targets: Mapping[str, float] | None
    kept_l1: float | None
    kept_l2: float | None
    notes: tuple[str, ...]
    network: Network
    level: Level
    held: tuple[LayerTrace, ...]

    def traces(self) -> Iterator[LayerTrace]:
        """Yield the layers in order."""
        return iter(self.held)

    def built(self, device: Target, request: RunRequest) -> Target:
        """Return an FPGA with its engine for this level; every other device as it is."""
        return built_for(device, self.network, self.level, request)


def traced_level(level: LevelChoice, cache: object = None) -> TracedLevel:
    """Return the level of a choice. Raises ModelError, PatternError, RequestError."""
    request = run_request(level, RunOptions())
    network = lower(request)
    asked = levels(network, request)
    if len(asked) != 1:
        raise RequestError(f"pattern {level.pattern}: it makes {len(asked)} levels, and a point is of one")
    traced = trace_network(network, asked[0], prune_all=level.prune_all, match=level.match)
    held = tuple(traced.traces)
    l1, l2 = _kept(network, traced.network, held)
    smaller = traced.network
    serial = [layer.batch for layer in smaller.matrix_layers if layer.serial]
    shape = smaller.tensors[smaller.inputs[0]].shape
    return TracedLevel(
        model=smaller.name, digest=network.digest, batch=serial[0] if serial else (shape[0] if shape else 1),
        synthetic=smaller.synthetic, pattern=asked[0].pattern.spelling, sparsity_target=asked[0].sparsity,
        unsupported=tuple(f"{each.op} ({each.name})" for each in smaller.layers if isinstance(each, UnsupportedLayer)),
        activation_peak_elements=peak_activation_elements(smaller),
        layer_targets=None if asked[0].shares is None else asked[0].shares.sparsities,
        kept_l1=l1, kept_l2=l2, notes=network.notes, network=smaller, level=asked[0], held=held,
    )  # fmt: skip


def _kept(network: Network, smaller: Network, traces: tuple[LayerTrace, ...]) -> tuple[float | None, float | None]:
    whole, kept = np.zeros(2), np.zeros(2)
    for layer in network.matrix_layers:
        whole += _norms(network.weights[layer.name])
    for trace in traces:
        if isinstance(trace.layer, MatrixLayer):
            kept += _norms(np.where(trace.mask, smaller.weights[trace.layer.name], np.float32(0)))
    return (float(kept[0] / whole[0]), float(kept[1] / whole[1])) if whole.all() else (None, None)


def _norms(weight: np.ndarray) -> np.ndarray:
    wide = weight.astype(np.float64)
    return np.array([np.abs(wide).sum(), np.square(wide).sum()])
