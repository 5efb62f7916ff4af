"""Latency over density of every layer and of the network, for one pattern on all devices at once.

A pattern that masks each layer by itself is searched layer by layer; one that looks at the whole network (channels, one
threshold) is probed network by network. Layers that ``simulate run`` leaves as they are stay so here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum

from gatherline.advice.crossing import Probe, ends, settle
from gatherline.advice.probing import Bench, LayerKey, kept_trace, pruned_trace, refused, weights_left
from gatherline.advice.ratios import has_listed_ratios, pattern_at, targets
from gatherline.progress import Progress
from gatherline.report.columns import TOTAL
from patterns.base import Pattern, PatternError, Scores
from patterns.dense import Dense
from simulator.parallel import in_order, thread_count
from traces.fusion import fuse
from traces.layer import MatrixLayer, Network
from traces.masks import Level, kept_dense, trace_network
from traces.trace import LayerTrace

Curves = dict[LayerKey, dict[float, Probe]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What all patterns of one question share. ``network``: as read; ``layers``: all that run, activations fused.

    ``kept``: layers that are not pruned, with the reason. ``dense``: every layer and the total, unpruned. ``fixed``:
    what layers that are not pruned take. They are as the model has them, zeros too, on both sides of the comparison.
    """

    bench: Bench
    network: Network
    pruned: tuple[MatrixLayer, ...]
    kept: Mapping[str, str]
    dense: Mapping[LayerKey, Probe]
    fixed: Mapping[LayerKey, Probe]
    tolerance: float

    @property
    def numbers(self) -> range:
        return range(len(self.bench.devices))

    @property
    def names(self) -> frozenset[str]:
        return frozenset(layer.name for layer in self.pruned)


def study_of(network: Network, bench: Bench, tolerance: float) -> Study:
    """Return the study of ``network`` on the bench's devices: everything dense is run here."""
    kept = kept_dense(network, bench.request.prune_all)
    numbers = range(len(bench.devices))
    dense: dict[LayerKey, Probe] = {}
    for trace in trace_network(network, Level(pattern=Dense(), sparsity=None)).traces:
        dense |= bench.probe(trace, 1.0, numbers, None)
    fixed = dict(dense)
    fused = fuse(network)
    for layer in fused.matrix_layers:
        if layer.name in kept:
            trace = kept_trace(layer, network.weights[layer.name], kept[layer.name])
            fixed |= bench.probe(trace, 1.0, numbers, None)  # its mask is what is not zero
        else:
            for number in numbers:
                del fixed[layer.name, number]
    pruned = tuple(layer for layer in fused.matrix_layers if layer.name not in kept)
    names = frozenset(layer.name for layer in pruned)
    for number in numbers:
        dense[TOTAL, number] = total({**dense, **fixed}, 1.0, number, "dense", names)
    return Study(bench=bench, network=network, pruned=pruned, kept=kept, dense=dense, fixed=fixed, tolerance=tolerance)


def total(probes: Mapping[LayerKey, Probe], target: float, number: int, pattern: str, pruned: frozenset[str]) -> Probe:
    """Return the sum over the layers of one device, exact in any order; a band only where all layers have one.

    Weights are those of the ``pruned`` layers, as a sparsity asked of a network is.
    """
    found = [probe for (layer, device), probe in probes.items() if device == number and layer != TOTAL]
    weighed = [probes[layer, number] for layer in sorted(pruned)]
    low, high = [probe.low_s for probe in found], [probe.high_s for probe in found]
    return Probe(
        target=target,
        pattern=pattern,
        kept=_sum(probe.kept for probe in weighed),
        masked=_sum(probe.masked for probe in weighed),
        weights=sum(probe.weights for probe in weighed),
        latency_s=fsum(probe.latency_s for probe in found),
        low_s=None if None in low else fsum(value for value in low if value is not None),
        high_s=None if None in high else fsum(value for value in high if value is not None),
        validated="; ".join(dict.fromkeys(probe.validated for probe in found)),
        extrapolated=any(probe.extrapolated for probe in found),
        beyond=_beyond(weighed),
    )


def _beyond(probes: Sequence[Probe]) -> str:
    every = [part for probe in probes if probe.beyond for part in probe.beyond.split("; ")]
    return "; ".join(f"{part}: {times} of {len(probes)} pruned layers" for part, times in Counter(every).items())


def _sum(counts: Iterable[int | None]) -> int | None:
    """Return the sum, None where one was not counted."""
    known = list(counts)
    return None if None in known else sum(count for count in known if count is not None)


class _Layers:
    """The search layer by layer: the probes of each pruned layer, those that hold at every density apart."""

    def __init__(self, study: Study, pattern: Pattern) -> None:
        self.study = study
        self.pattern = pattern
        self.tolerance = 1.0 if has_listed_ratios(pattern) else study.tolerance
        self.dense_s = {key: probe.latency_s for key, probe in study.dense.items()}
        self.curves: Curves = {(layer.name, n): {} for layer in study.pruned for n in study.numbers}
        self.always: dict[LayerKey, Probe] = {}  # a kernel that looks at no mask: one probe is all

    def probe(self, layer: MatrixLayer, target: float, numbers: Iterable[int]) -> None:
        """Add the probes of a layer on some devices, but those that are known."""
        keys = [(layer.name, number) for number in numbers]
        wanted = [key for key in keys if key not in self.always and target not in self.curves[key]]
        if not wanted:
            return
        weight = self.study.network.weights[layer.name]
        try:
            trace = self.trace(layer, weight, target)
        except PatternError as error:
            for key in wanted:
                self.always[key] = refused(layer.name, self.study.dense[key], weight, target, error)
                self.curves[key][target] = self.always[key]
            return
        for key, probe in self.study.bench.probe(trace, target, [number for _, number in wanted], weight).items():
            self.curves[key][target] = probe
            if self.study.bench.runs_dense(self.pattern, probe, key[1]):
                self.always[key] = replace(probe, kept=None, masked=None)

    def trace(self, layer: MatrixLayer, weight: Scores, target: float) -> LayerTrace:
        return pruned_trace(layer, weight, pattern_at(self.pattern, target), target)

    def settle(self, layer: MatrixLayer) -> str:
        """Probe one layer on all devices: the first targets, then between those where its crossing lies."""
        for target in targets(self.pattern):
            self.probe(layer, target, self.study.numbers)

        def ask(target: float, keys: frozenset[LayerKey]) -> dict[LayerKey, Probe]:
            self.probe(layer, target, sorted(number for _, number in keys))
            return {key: self.curves[key][target] for key in keys}

        own = {key: curve for key, curve in self.curves.items() if key[0] == layer.name}
        settle(own, self.dense_s, ask, self.tolerance)
        return layer.name

    def total(self, target: float, number: int) -> Probe:
        """Return the network with all pruned layers at one target; they have been probed there."""
        probes: dict[LayerKey, Probe] = dict(self.study.fixed)
        for layer in self.study.pruned:
            key = layer.name, number
            probes[key] = self.always.get(key) or self.curves[key][target]
        return total(probes, target, number, pattern_at(self.pattern, target).spelling, self.study.names)

    def counted(self, probe: Probe, number: int) -> Probe:
        """Return a total with the weights counted of the layers whose masks no kernel looks at, too."""
        if probe.kept is not None:
            return probe
        kept = masked = 0
        for layer in self.study.pruned:
            known = self.always.get((layer.name, number)) or self.curves[layer.name, number][probe.target]
            if known.kept is not None and known.masked is not None:
                kept, masked = kept + known.kept, masked + known.masked
                continue
            weight = self.study.network.weights[layer.name]
            trace = self.trace(layer, weight, probe.target)
            kept, masked = kept + weights_left(trace, weight), masked + trace.kept
        return replace(probe, kept=kept, masked=masked)


def curves_by_layer(study: Study, pattern: Pattern, shown: Progress) -> Curves:
    """Return the curves of the pruned layers and of the total, each layer searched by itself."""
    layers = _Layers(study, pattern)
    for name in in_order(layers.settle, study.pruned, thread_count()):
        shown.step(f"{pattern.spelling} {name}")
    totals: Curves = {
        (TOTAL, n): {target: layers.total(target, n) for target in targets(pattern)} for n in study.numbers
    }

    def ask(target: float, keys: frozenset[LayerKey]) -> dict[LayerKey, Probe]:
        numbers = sorted(number for _, number in keys)
        list(in_order(lambda layer: layers.probe(layer, target, numbers), study.pruned, thread_count()))
        return {(TOTAL, number): layers.total(target, number) for number in numbers}

    settle(totals, layers.dense_s, ask, layers.tolerance)
    for layer in study.pruned:  # what the total asked for may have moved the crossing of a layer
        layers.settle(layer)
    for (_, number), curve in totals.items():  # what the answer names is counted: the ends of the crossing
        for probe in ends(curve, layers.dense_s[TOTAL, number]):
            curve[probe.target] = layers.counted(probe, number)
    shown.step(f"{pattern.spelling} {TOTAL}")
    return {**layers.curves, **totals}


def curves_over_network(study: Study, pattern: Pattern, shown: Progress) -> Curves:
    """Return the curves of the pruned layers and of the total, from whole networks. Raises PatternError."""
    names = [*(layer.name for layer in study.pruned), TOTAL]
    curves: Curves = {(name, n): {} for name in names for n in study.numbers}

    def ask(target: float, keys: frozenset[LayerKey]) -> dict[LayerKey, Probe]:
        return _whole(study, pattern, target, sorted({number for _, number in keys}), names)

    for target in targets(pattern):
        for key, probe in ask(target, frozenset(curves)).items():
            curves[key][target] = probe
        shown.step(f"{pattern.spelling} {target:g}")
    settle(curves, {key: probe.latency_s for key, probe in study.dense.items()}, ask, study.tolerance)
    shown.step(f"{pattern.spelling} {TOTAL}")
    return curves


def _whole(
    study: Study, pattern: Pattern, target: float, numbers: Sequence[int], names: Sequence[str]
) -> dict[LayerKey, Probe]:
    level = Level(pattern=pattern, sparsity=1.0 - target)
    traced = trace_network(study.network, level, prune_all=study.bench.request.prune_all)
    probes: dict[LayerKey, Probe] = {}

    def probe(trace: LayerTrace) -> dict[LayerKey, Probe]:
        pruned = trace.layer.name in study.names  # no other is counted
        weight = traced.network.weights[trace.layer.name] if pruned else None
        return study.bench.probe(trace, target, numbers, weight)

    for found in in_order(probe, traced.traces, thread_count()):
        probes |= found
    probes |= {(TOTAL, number): total(probes, target, number, pattern.spelling, study.names) for number in numbers}
    return {(name, number): probes[name, number] for name in names for number in numbers}
