"""What each layer could become, and what that costs: a table of options for every layer that may be pruned.

Every option is run by the same models as ``simulate run``, with the mask of the layer's own weights. A layer may always
stay as it is. Options whose device runs the dense kernel on every mask are left out: they cost what dense costs and
lose weight. Leaves out: patterns that look at several layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from costmodel.energy import energy, not_priced
from costmodel.tables.catalog import technology_named
from gatherline.advice.choices import variants
from gatherline.advice.crossing import Probe
from gatherline.advice.masks import Kept, chosen_trace, kept_of
from gatherline.advice.probing import Bench, kept_trace
from gatherline.progress import Progress
from patterns.base import Pattern, PatternError, Scores
from patterns.dense import Dense
from simulator.parallel import in_order, thread_count
from simulator.result import LayerResult
from simulator.spec import Device
from traces.fusion import fuse
from traces.layer import MatrixLayer, Network
from traces.masks import NEARLY_DENSE, kept_dense
from traces.trace import LayerTrace

STAYS = "stays"  # the family of the option that leaves a layer as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One thing that a layer could become. ``family``: the pattern as asked; ``pattern``: with its own N of N:M.

    ``sparsity``: as asked, None for a layer as it is and one run dense; ``rule``: the pattern that holds for the layer.
    """

    family: str
    pattern: str
    rule: str
    sparsity: float | None
    kept: Kept
    result: LayerResult
    energy_pj: float | None

    @property
    def stored_bytes(self) -> int:
        return self.result.counters.weight_bytes + self.result.counters.index_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """A layer without weights: what it takes, whatever is pruned."""

    result: LayerResult
    energy_pj: float | None

    @property
    def stored_bytes(self) -> int:
        return self.result.counters.weight_bytes + self.result.counters.index_bytes


Part = Option | Plain


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTable:
    """The options of one layer; the first leaves it as it is. ``refused``: patterns that it cannot take, and why."""

    layer: MatrixLayer
    options: tuple[Option, ...]
    refused: tuple[str, ...] = ()

    @property
    def stays(self) -> Option:
        return self.options[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The network as it runs, the tables of the layers that may be pruned, and what every other layer takes.

    ``reasons``: why layers with weights are not pruned. ``l1``, ``squares``: of all weights of the network.
    """

    network: Network
    layers: tuple[LayerTable, ...]
    fixed: dict[str, Part]
    reasons: dict[str, str]
    l1: float
    squares: float


def option_tables(
    network: Network, bench: Bench, patterns: Sequence[Pattern], sparsities: Sequence[float], shown: Progress
) -> Tables:
    """Return the options of every layer of ``network`` on the one device of ``bench``."""
    reasons = kept_dense(network, bench.request.prune_all)
    fused = fuse(network)
    pruned = tuple(layer for layer in fused.matrix_layers if layer.name not in reasons)
    shown.start(len(fused.layers) + len(pruned), f"{network.name}: options of {len(pruned)} layers")
    fixed: dict[str, Part] = {}
    try:
        for layer in fused.layers:
            if isinstance(layer, MatrixLayer):
                if layer.name in reasons:
                    weight = network.weights[layer.name]
                    fixed[layer.name] = staying_option(bench, layer, weight, reasons[layer.name])
            else:
                trace = LayerTrace(layer=layer, pattern=Dense())
                result = replace(bench.run(trace, (0,))[0], layer=layer.name)
                fixed[layer.name] = Plain(result=result, energy_pj=energy_of(bench, result))
            shown.step(layer.name)

        def table(layer: MatrixLayer) -> LayerTable:
            return _table(network, layer, bench, patterns, sparsities)

        tables = []
        for found in in_order(table, pruned, thread_count()):
            tables.append(found)
            shown.step(found.layer.name)
    finally:
        shown.stop()
    wholes = [one.kept for one in fixed.values() if isinstance(one, Option)]
    wholes += [found.stays.kept for found in tables]
    return Tables(
        network=fused,
        layers=tuple(tables),
        fixed=fixed,
        reasons=reasons,
        l1=sum(kept.of_l1 for kept in wholes),
        squares=sum(kept.of_squares for kept in wholes),
    )


def _table(
    network: Network, layer: MatrixLayer, bench: Bench, patterns: Sequence[Pattern], sparsities: Sequence[float]
) -> LayerTable:
    weight = network.weights[layer.name]
    stays = staying_option(bench, layer, weight, "")
    options = [stays]
    if stays.kept.weights < NEARLY_DENSE * weight.size:  # its zeros may also be computed
        trace = chosen_trace(layer, weight, Dense(), None)
        options.append(_option(bench, trace, bench.run(trace, (0,))[0], stays.kept, "dense", "dense", None))
    refused = []
    for pattern in patterns:
        try:
            options += _of_pattern(layer, weight, bench, pattern, sparsities, stays.kept)
        except PatternError as error:
            refused.append(str(error))
    return LayerTable(layer=layer, options=tuple(options), refused=tuple(refused))


def staying_option(bench: Bench, layer: MatrixLayer, weight: Scores, reason: str) -> Option:
    """Return the option that leaves ``layer`` as it is, for ``reason`` ("" where it could be pruned)."""
    trace = kept_trace(layer, weight, reason)
    return _option(bench, trace, bench.run(trace, (0,))[0], kept_of(trace, weight), STAYS, "", None)


def _of_pattern(
    layer: MatrixLayer, weight: Scores, bench: Bench, pattern: Pattern, sparsities: Sequence[float], whole: Kept
) -> Iterator[Option]:
    """Yield the options of one pattern, the sparsest first; none where its masks run dense. Raises PatternError."""
    for rule, sparsity in reversed(variants(pattern, sparsities)):
        trace = chosen_trace(layer, weight, rule, sparsity)
        result = bench.run(trace, (0,))[0]
        if bench.runs_dense(rule, _seen(trace, sparsity, result), 0):
            return
        kept = kept_of(trace, weight, whole)
        if kept.weights:
            yield _option(bench, trace, result, kept, pattern.spelling, rule.spelling, sparsity)


def _seen(trace: LayerTrace, sparsity: float, result: LayerResult) -> Probe:
    return Probe(
        target=1.0 - sparsity, pattern=trace.pattern.spelling, kept=None, masked=trace.kept,
        weights=trace.weights_dense, latency_s=result.latency_s, encoding=result.encoding,
    )  # fmt: skip


def _option(
    bench: Bench,
    trace: LayerTrace,
    result: LayerResult,
    kept: Kept,
    family: str,
    pattern: str,
    sparsity: float | None,
) -> Option:
    return Option(
        family=family,
        pattern=pattern,
        rule=trace.pattern.spelling,
        sparsity=sparsity,
        kept=kept,
        result=replace(result, layer=trace.layer.name),
        energy_pj=energy_of(bench, result),
    )


def energy_of(bench: Bench, result: LayerResult) -> float | None:
    """Return the picojoules of one layer, None where no table prices the device."""
    (device,), technology = bench.devices, technology_named(bench.request.technology)
    if not isinstance(device, Device) or not_priced(device, technology):
        return None
    return float(energy(result.counters, device, technology).total_pj)
