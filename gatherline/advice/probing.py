"""One probe: a layer's mask at one density, on one device, by the same path as ``simulate run``.

Results are kept by (device, shape of the layer, pattern, digest of the mask): a rule with few ratios, a small layer and
a model with zeros of its own give the same mask again and again. Leaves out: masks of the whole network at once
(``curves.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from costmodel.estimate import KERNEL_GAP
from costmodel.sparse import OUTSIDE_FIT
from costmodel.spec import RooflineDevice
from gatherline.advice.crossing import Probe
from gatherline.pipeline import run_layer
from gatherline.request import RunRequest, Target
from patterns.base import Pattern, PatternError, Scores
from patterns.n_of_m import NOfM
from patterns.n_of_m_both import NOfMBoth
from patterns.unstructured import Unstructured
from simulator.result import LayerResult
from simulator.simulate import Programs
from traces.layer import MatrixLayer
from traces.masks import Level, layer_rule, trace_layer
from traces.matching import match_density
from traces.trace import LayerTrace

LayerKey = tuple[str, int]  # name of the layer, number of the device


@dataclass(slots=True, kw_only=True)
class Bench:
    """Where probes are made: the request, its devices, and every result so far."""

    request: RunRequest
    devices: Sequence[Target]
    results: dict[object, LayerResult] = field(default_factory=dict)

    def probe(
        self, trace: LayerTrace, target: float, numbers: Iterable[int], weight: Scores | None
    ) -> dict[LayerKey, Probe]:
        """Return ``trace`` on some devices, by number. ``weight``: of its layer; None: none of what is kept is zero."""
        kept = weights_left(trace, weight)
        return {
            (trace.layer.name, number): _probe(trace, target, result, kept)
            for number, result in self.run(trace, numbers).items()
        }

    def run(self, trace: LayerTrace, numbers: Iterable[int]) -> dict[int, LayerResult]:
        """Return what ``trace`` takes on some devices, by number; what was run before is not run again.

        A result found again has the name of the layer that it was first of.
        """
        programs: Programs = {}
        digest = _digest(trace)
        found = {}
        for number in numbers:
            key = (number, *digest)
            result = self.results.get(key)
            if result is None:
                result = run_layer(self.request, trace, self.devices[number], programs)
                self.results[key] = result
            found[number] = result
        return found

    def runs_dense(self, pattern: Pattern, probe: Probe, number: int) -> bool:
        """Return whether the device runs every mask of ``pattern`` in this layer with its dense kernel, as ``probe``.

        A roofline chooses its kernel by the pattern and the layer; only N:M kernels look into the mask. A mask that
        keeps everything, as that of a single block, runs dense anywhere, and one that keeps nothing is no probe: they
        say nothing of others.
        """
        by_rule = isinstance(self.devices[number], RooflineDevice) and not isinstance(pattern, NOfM | NOfMBoth)
        sparse = probe.masked not in (0, probe.weights)
        return by_rule and sparse and self.request.encoding in (None, "dense") and probe.encoding == "dense"


def pruned_trace(layer: MatrixLayer, weight: Scores, pattern: Pattern, target: float) -> LayerTrace:
    """Return the trace of one layer that keeps ``target`` of its weights. Raises PatternError."""
    sparsity = 1.0 - target
    return trace_layer(
        layer,
        weight,
        Level(pattern=pattern, sparsity=sparsity),
        "",
        lambda of, scores: match_density(layer_rule(pattern, of)[0], of, scores, sparsity),
    )


def kept_trace(layer: MatrixLayer, weight: Scores, reason: str) -> LayerTrace:
    """Return the trace of a layer that stays as it is, for ``reason``: its own zeros are its mask."""
    return trace_layer(
        layer, weight, Level(pattern=Unstructured(), sparsity=None), reason, lambda _, scores: scores > 0
    )


def weights_left(trace: LayerTrace, weight: Scores | None) -> int:
    """Return how many weights a mask keeps that are not zero. ``weight``: None where no weight of the layer is."""
    if trace.mask is None or weight is None:
        return trace.kept
    return int(np.count_nonzero(trace.mask & (weight != 0)))


def refused(layer: str, dense: Probe, weight: Scores, target: float, error: PatternError) -> Probe:
    """Return the probe of a layer that cannot take the pattern: it stays dense."""
    kept = int(np.count_nonzero(weight))
    return replace(
        dense, target=target, kept=kept, reason=f"stays dense: {str(error).removeprefix(f'layer {layer}: ')}"
    )


def _digest(trace: LayerTrace) -> tuple[object, ...]:
    """Return what a result depends on but the device; a layer without weights is its own."""
    layer = trace.layer
    if not isinstance(layer, MatrixLayer) or trace.mask is None:
        return (layer,)
    bits = hashlib.blake2b(np.packbits(trace.mask).tobytes(), digest_size=16).digest()
    shape = replace(layer, name="", inputs=(), outputs=())
    return shape, trace.pattern.spelling, trace.reason, trace.weights_before, trace.macs_before, bits


def _probe(trace: LayerTrace, target: float, result: LayerResult, kept: int) -> Probe:
    return Probe(
        target=target,
        pattern=trace.pattern.spelling,
        kept=kept,
        masked=trace.kept,
        weights=trace.weights_dense,
        latency_s=result.latency_s,
        low_s=result.latency_low_s,
        high_s=result.latency_high_s,
        kernel=result.kernel,
        encoding=result.encoding,
        bound=result.bound,
        validated=result.validated,
        extrapolated=result.extrapolated,
        note=_without_targets(trace.reason),
        reason=_without_targets(result.reason),
        beyond="; ".join(part for part in result.reason.split("; ") if part.startswith((KERNEL_GAP, OUTSIDE_FIT))),
    )


def _without_targets(reason: str) -> str:
    """Return ``reason`` without what was asked and reached: a search asks for what cannot be had, and counts."""
    return "; ".join(part for part in reason.split("; ") if not part.startswith("asked "))
