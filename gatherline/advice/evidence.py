"""What a verdict on one layer stands on: the layer as it was pruned and dense, both results, and the device.

A ``Finding`` is one cause with the number that proves it. Left out: the causes themselves (``causes.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gatherline.pipeline import run_layer
from gatherline.request import RunRequest, Target
from patterns.base import Scores
from simulator.result import LayerResult
from traces.layer import MatrixLayer
from traces.trace import LayerTrace

MATERIAL_SHARE = 0.25  # assumed: a cause that takes as much of the sparse time is one, whatever the gap
LEAST_SHARE = 0.01  # assumed: one that takes less of it is none, however small the gap


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One layer, pruned and dense. ``dense_device``: what the dense one ran on (an FPGA is built for each network).

    ``asked``: the pattern as it was asked for; ``weight``: of the layer that was pruned; ``tolerance``: of the search
    for a break-even.
    """

    request: RunRequest
    trace: LayerTrace
    dense_trace: LayerTrace
    sparse: LayerResult
    dense: LayerResult
    device: Target
    dense_device: Target
    weight: Scores
    tolerance: float
    asked: str = ""

    @property
    def layer(self) -> MatrixLayer:
        assert isinstance(self.trace.layer, MatrixLayer)
        return self.trace.layer

    @property
    def gap_s(self) -> float:
        """How much longer the sparse layer takes than the dense one, 0 where they are alike."""
        return self.sparse.latency_s - self.dense.latency_s

    @property
    def dense_bytes(self) -> int:
        return self.dense.counters.weight_bytes

    def holds_back(self, lost_s: float) -> bool:
        """Return whether ``lost_s`` makes a cause: more than the gap and 1 % of the sparse time, or a quarter of it."""
        total_s = self.sparse.latency_s
        closes = lost_s > self.gap_s + 1e-9 * total_s and lost_s >= LEAST_SHARE * total_s
        return closes or lost_s >= MATERIAL_SHARE * total_s

    def again(self, trace: LayerTrace | None = None, device: Target | None = None) -> float:
        """Return the seconds of the sparse layer with another trace or on another device."""
        return run_layer(self.request, trace or self.trace, device or self.device, {}).latency_s

    def dense_again(self, trace: LayerTrace | None = None, device: Target | None = None) -> float:
        """Return the seconds of the dense layer with another trace or on another device."""
        return run_layer(self.request, trace or self.dense_trace, device or self.dense_device, {}).latency_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One cause that holds for a layer: its number in words (``proof``) and as ``numbers``, and what would change it.

    ``lost_s``: of the sparse time, what goes with this cause alone; ``without_s`` and ``dense_without_s``: both times
    without it. All None where there is nothing to take away, as where a kernel is missing.
    """

    cause: str
    proof: str
    change: str
    numbers: Mapping[str, object]
    lost_s: float | None = None
    without_s: float | None = None
    dense_without_s: float | None = None

    @property
    def suffices(self) -> bool | None:
        """Whether the layer would be faster than dense without this cause alone; None where it cannot be taken away."""
        if self.without_s is None or self.dense_without_s is None:
            return None
        return self.without_s < self.dense_without_s * (1 - 1e-9)
