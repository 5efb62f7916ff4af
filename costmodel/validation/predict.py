"""What the cost models say of a measurement: its layers, masks where it was sparse, and the sum of their times.

A sparse measurement is predicted at both ends of its density, with masks drawn from one seed: which weights were kept
is never published. In a scope of several layers the first one, the classifier and depthwise layers stay dense.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from costmodel.estimate import estimate, estimate_rows
from costmodel.selection import rows_kernel
from costmodel.spec import RooflineDevice
from costmodel.validation.bands import family_of
from costmodel.validation.drawn import drawn_mask, drawn_rows
from costmodel.validation.measurement import Measurement, ValidationError
from costmodel.validation.nets import layers_of
from patterns.base import Pattern
from patterns.catalog import parse_pattern
from patterns.dense import Dense
from patterns.unstructured import Unstructured
from simulator.result import LayerResult
from traces.layer import Layer, MatrixLayer
from traces.trace import LayerTrace

SEED = 0  # of the masks


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Seconds at the two ends of the measured density, least first (equal where it is one).

    ``family``: the sparse kernels that took time, "dense" where none did. ``macs_least``, ``macs_most``: multiply-adds
    of the smallest and the largest layer with weights; ``density``: of the sparsest of them.
    """

    low_s: float
    high_s: float
    family: str
    macs_least: int
    macs_most: int
    density: float

    def nearest_s(self, measured_s: float) -> float:
        """Return the predicted time nearest to ``measured_s``, which may lie between the ends."""
        return min(max(measured_s, self.low_s), self.high_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """One device and the layers that were estimated on it, each geometry once."""

    device: RooflineDevice
    folder: Path
    seed: int = SEED
    results: dict[object, LayerResult] = field(default_factory=dict)
    nets: dict[object, tuple[LayerResult, ...]] = field(default_factory=dict)


def obstacle(predictor: Predictor, row: Measurement) -> str:
    """Return why the device can say nothing about ``row``, "" where it can."""
    device, key = predictor.device, row.key
    if key.dtype not in device.dtypes:
        return f"{device.name} has no {key.dtype}"
    if device.static_threads and key.threads > device.unit_count:
        return f"{device.name} has {device.unit_count} cores in its model, fewer than the threads"
    return ""


def predict(predictor: Predictor, row: Measurement) -> Prediction:
    """Return what the device's model says of ``row``. Raises DeviceError where it has no kernel for a layer."""
    ends = sorted({row.density_low, row.density_high})
    found = [_net(predictor, row, density) for density in ends]
    totals = sorted(sum(result.latency_s for result in results) for results in found)
    first = found[0]
    macs = [result.counters.macs_dense for result in first if result.m]
    taken: dict[str, float] = {}
    for result in first:
        taken[family_of(result)] = taken.get(family_of(result), 0.0) + result.latency_s
    sparse = {name: time for name, time in taken.items() if name != "dense"}
    return Prediction(
        low_s=totals[0],
        high_s=totals[-1],
        family=max(sparse, key=lambda name: sparse[name]) if sparse else "dense",
        macs_least=min(macs),
        macs_most=max(macs),
        density=ends[0],
    )


def _net(predictor: Predictor, row: Measurement, density: float) -> tuple[LayerResult, ...]:
    key = (row.net, row.batch, row.key.dtype, row.key.threads, row.pattern, row.scope, row.blocks, density)
    if key not in predictor.nets:
        layers = layers_of(row.net, predictor.folder, row.batch)
        pattern = parse_pattern(row.pattern)
        pruned = _pruned(layers, row) if not isinstance(pattern, Dense) else frozenset()
        rules = ((layer, _rule(layer, row, pattern) if layer.name in pruned else Dense()) for layer in layers)
        predictor.nets[key] = tuple(_result(predictor, row, layer, rule, density) for layer, rule in rules)
    return predictor.nets[key]


def _rule(layer: Layer, row: Measurement, pattern: Pattern) -> Pattern:
    """Return the pattern of ``layer``: its own where ``row`` names one, else that of the row."""
    own = (parse_pattern(spelling) for start, spelling in row.blocks if layer.name.startswith(start))
    return next(own, pattern)


def _pruned(layers: tuple[Layer, ...], row: Measurement) -> frozenset[str]:
    """Return the names of the layers that the scope of ``row`` prunes."""
    matrices = [layer for layer in layers if isinstance(layer, MatrixLayer)]
    inner = matrices[1:-1] if len(matrices) > 1 else matrices
    match row.scope:
        case "all":
            chosen: Iterator[MatrixLayer] = (layer for layer in inner if layer.kind != "depthwise")
        case "pointwise":
            chosen = (layer for layer in inner if layer.kind == "conv2d" and layer.window.kernel == (1, 1))
        case "mlp":
            chosen = (layer for layer in inner if ".mlp" in layer.name)
        case _:
            raise ValidationError(f"{row.where}: scope is {row.scope!r}, and must be all, pointwise or mlp")
    return frozenset(layer.name for layer in chosen)


def _result(predictor: Predictor, row: Measurement, layer: Layer, rule: Pattern, density: float) -> LayerResult:
    geometry = replace(layer, name="", inputs=(), outputs=())
    key = (geometry, rule.spelling, density, row.key.dtype, row.key.threads)
    if key not in predictor.results:
        predictor.results[key] = _estimated(predictor, row, layer, rule, density)
    return predictor.results[key]


def _estimated(predictor: Predictor, row: Measurement, layer: Layer, rule: Pattern, density: float) -> LayerResult:
    device, dtype = predictor.device, row.key.dtype
    if isinstance(layer, MatrixLayer) and isinstance(rule, Unstructured):
        kernel = rows_kernel(layer, rule, device, dtype)
        if kernel is not None:  # as it was timed, on weights that are all kept too
            return estimate_rows(layer, drawn_rows(layer, density, predictor.seed), kernel, device, dtype=dtype)
    mask = drawn_mask(layer, rule, density, predictor.seed) if isinstance(layer, MatrixLayer) else None
    trace = LayerTrace(layer=layer, pattern=rule, mask=mask)
    threads = row.key.threads if device.static_threads else 1
    return estimate(trace, device, dtype=dtype, threads=threads)
