"""From a network, a pattern and a target to one trace per layer: which layers are pruned, and with what mask.

By default the first layer with weights, the classifier (the last) and depthwise layers stay dense. A model's own
zeros keep score 0 and are never brought back. Left out: schedules, scores other than |w|.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from patterns.base import Mask, Pattern, PatternError, Scores
from patterns.block_punched import BlockPunched
from patterns.channel import Channel
from patterns.channel_then import ChannelThen
from patterns.dense import Dense
from patterns.kernel_pattern import KernelPattern
from patterns.unstructured import Unstructured, global_threshold, project_with_threshold
from traces.channels import kept_reasons, prune_channels
from traces.fusion import fuse
from traces.layer import Layer, MatrixLayer, Network, ProductLayer
from traces.layout import column_banks
from traces.matching import FIXED, WHOLE, Match, match_density, match_slots, pattern_banks, slots
from traces.ratios import LayerShares
from traces.trace import LayerTrace
from traces.weights import magnitudes

__all__ = [
    "FIXED", "NEARLY_DENSE", "WHOLE", "Level", "Match", "TracedNetwork", "kept_dense", "layer_rule", "own_rule",
    "pattern_banks", "slots", "trace_layer", "trace_network",
]  # fmt: skip

NEARLY_DENSE = 0.95  # assumed: no sparse format gains on a layer that keeps so much; left as it is, it runs dense


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One question about a network: a pattern and a target sparsity (None: the zeros that the model has).

    ``shares``: each layer's own target, where it is not ``sparsity``, which is then that of all of them together.
    """

    pattern: Pattern
    sparsity: float | None
    shares: LayerShares | None = None

    def target(self, layer: str) -> float | None:
        """Return the sparsity that is asked of a layer; None for one that ``shares`` do not name."""
        return self.sparsity if self.shares is None else self.shares.sparsities.get(layer)


def kept_dense(network: Network, prune_all: bool) -> dict[str, str]:
    """Return the layers that are not pruned, with the reason."""
    matrices = network.matrix_layers
    if prune_all or not matrices:
        return {}
    reasons = {layer.name: "depthwise layers stay dense" for layer in matrices if layer.kind == "depthwise"}
    reasons[matrices[0].name] = "the first layer stays dense"
    reasons[matrices[-1].name] = "the classifier stays dense"
    return reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedNetwork:
    """The network that runs (smaller after channel pruning, activations fused); its traces are made as they are read.

    ``traces`` can be read once.
    """

    network: Network
    traces: Iterator[LayerTrace]


def trace_network(
    network: Network, level: Level, *, prune_all: bool = False, match: Match = "density"
) -> TracedNetwork:
    """Return one trace per layer, in order. Raises PatternError where a layer cannot take the pattern.

    Which layers stay as they are: those that ``level.shares`` say, or else the default, which ``prune_all`` lifts.
    """
    keep = kept_dense(network, prune_all) if level.shares is None else dict(level.shares.reasons)
    if level.shares is not None and (isinstance(level.pattern, Channel) or _is_global(_masking(level.pattern))):
        raise PatternError(f"pattern {level.pattern.spelling} takes one ratio for all layers, and shares are by layer")
    if isinstance(level.pattern, Channel) and level.sparsity is not None:
        plan = prune_channels(network, level.sparsity, keep=frozenset(keep))
        smaller = fuse(plan.network)
        return TracedNetwork(
            network=smaller,
            traces=_channel_traces(network, smaller, {**plan.reasons, **kept_reasons(network, smaller, keep)}, level),
        )
    if isinstance(level.pattern, ChannelThen) and level.sparsity is not None:
        return _trace_smaller(network, level, level.pattern, level.sparsity, keep, match)
    network = fuse(network)
    return TracedNetwork(network=network, traces=_masked_traces(network, level, keep, match))


def _masked_traces(network: Network, level: Level, keep: dict[str, str], match: Match) -> Iterator[LayerTrace]:
    project = _projector(network, level, keep, match)
    for layer in network.layers:
        if not isinstance(layer, MatrixLayer):
            yield LayerTrace(layer=layer, pattern=Dense(), sparsity_target=None)
            continue
        own = level
        if level.shares is not None:
            own = Level(pattern=level.pattern, sparsity=level.target(layer.name))
            project = _projector(network, own, keep, match)
        trace = _trace_of(layer, network.weights, own, keep.get(layer.name, ""), project)
        if layer.name not in keep and own.sparsity is not None:
            trace = _out_of_reach(trace, own.sparsity, network.weights)
            trace = _over_budget(trace) if match == "slots" else trace
        yield trace


def _out_of_reach(trace: LayerTrace, sparsity: float, weights: Mapping[str, Scores]) -> LayerTrace:
    """Say what was reached where the rule of a layer cannot remove ``sparsity`` of the weights it was given."""
    if not isinstance(trace.layer, MatrixLayer) or trace.sparsity_target is None or isinstance(trace.pattern, Dense):
        return trace
    limit = trace.pattern.limit((trace.layer.groups, trace.layer.m, trace.layer.k), sparsity)
    if not limit or trace.kept == round((1.0 - trace.sparsity_target) * trace.weights_dense):  # trimmed to it
        return trace
    weight = weights[trace.layer.name]
    zeros = np.count_nonzero(weight) < NEARLY_DENSE * weight.size and not isinstance(trace.pattern, WHOLE)
    why = f"asked {trace.sparsity_target:g}, reached {1 - trace.kept / trace.weights_dense:.4g}: {limit}"
    why += ", and zeros of the model stay zero" if zeros else ""
    return replace(trace, reason="; ".join(text for text in (trace.reason, why) if text))


def _over_budget(trace: LayerTrace) -> LayerTrace:
    """Say so where even the sparsest mask of a rule pays for more slots than the target allows."""
    if trace.mask is None or trace.sparsity_target is None or not isinstance(trace.layer, MatrixLayer):
        return trace
    paid = slots(trace.pattern, trace.mask, column_banks(trace.layer, pattern_banks(trace.pattern)))
    budget = (1.0 - trace.sparsity_target) * trace.mask.size
    if paid <= budget or isinstance(trace.pattern, Dense | Unstructured | FIXED):
        return trace
    why = f"{trace.pattern.spelling} has no mask of {int(budget)} slots or fewer here; this one pays for {paid}"
    return replace(trace, reason="; ".join(text for text in (trace.reason, why) if text))


def _masking(pattern: Pattern) -> Pattern:
    """Return the rule that masks: of two rules the second."""
    return pattern.rule if isinstance(pattern, ChannelThen) else pattern


def _is_global(pattern: Pattern) -> bool:
    return isinstance(pattern, Unstructured) and pattern.scope == "global"


Projector = Callable[[MatrixLayer, Scores], Mask]


def trace_layer(layer: MatrixLayer, weight: Scores, level: Level, reason: str, project: Projector) -> LayerTrace:
    """Return the trace of one layer with weights; with a ``reason`` it stays as it is."""
    return _trace_of(layer, {layer.name: weight}, level, reason, project)


def _trace_of(
    layer: MatrixLayer, weights: Mapping[str, Scores], level: Level, reason: str, project: Projector
) -> LayerTrace:
    if isinstance(level.pattern, Dense):
        mask = np.ones((layer.groups, layer.m, layer.k), dtype=np.bool_)
        return LayerTrace(layer=layer, pattern=Dense(), mask=mask, sparsity_target=level.sparsity)
    scores = magnitudes(weights, layer.name)  # a layer of 100 M weights is in memory once, not twice
    if level.sparsity is None or reason:
        own = scores > 0
        pattern, why = (Unstructured(), reason) if reason else own_rule(level.pattern, layer, own)
        if np.count_nonzero(own) >= NEARLY_DENSE * own.size:
            pattern, why = Dense(), reason
        return LayerTrace(layer=layer, pattern=pattern, mask=own, sparsity_target=level.sparsity, reason=why)
    try:
        mask = project(layer, scores)
    except PatternError as error:
        raise PatternError(f"layer {layer.name}: {error}") from None
    pattern, why = layer_rule(level.pattern, layer)
    if not isinstance(pattern, WHOLE):
        mask &= scores > 0  # a block and a shape keep their zeros, any other rule does without
    return LayerTrace(layer=layer, pattern=pattern, mask=mask, sparsity_target=level.sparsity, reason=why)


def layer_rule(pattern: Pattern, layer: MatrixLayer) -> tuple[Pattern, str]:
    """Return the rule that holds for a layer, and why it is not the one asked for."""
    if isinstance(pattern, KernelPattern) and layer.window.kernel != (3, 3):
        kh, kw = layer.window.kernel
        return Unstructured(), f"{pattern.spelling} is for 3x3 windows and not {kh}x{kw}: plain ratio, unstructured"
    if isinstance(pattern, BlockPunched):
        kh, kw = layer.window.kernel
        if kh * kw == pattern.taps > 1:
            return pattern, ""
        if kh * kw > 1:
            return replace(pattern, taps=kh * kw), ""
        blocks = pattern.without_kernels()
        return blocks, f"{pattern.spelling} is for windows of several positions and not 1x1: {blocks.spelling}"
    return pattern, ""


def own_rule(pattern: Pattern, layer: MatrixLayer, own: Mask) -> tuple[Pattern, str]:
    """Return the rule that stores a model's own zeros, and why it is not the one asked for."""
    pattern, why = layer_rule(pattern, layer)
    found = pattern.first_uncovered(own) if isinstance(pattern, KernelPattern) else None
    if found is None:
        banks = column_banks(layer, pattern_banks(pattern))
        broken = None if isinstance(pattern, Dense | Channel | ChannelThen) else pattern.check(own, banks)
        if broken is not None:
            where = f"group {broken.group}, row {broken.row}, column {broken.column}: {broken.text}"
            why = f"the zeros of the model are not quite {pattern.spelling}: {where}"
        return pattern, why
    where = f"group {found.group}, row {found.row}: {found.text}"
    return Unstructured(), f"the zeros of the model are no {pattern.spelling}: {where}"


def _projector(network: Network, level: Level, keep: dict[str, str], match: Match) -> Projector:
    pattern, sparsity = level.pattern, level.sparsity
    if sparsity is None or isinstance(pattern, Dense):
        return lambda layer, scores: scores > 0
    if sparsity == 1.0:  # a layer's own share, where one threshold over all of them is above all that it has
        return lambda layer, scores: np.zeros(scores.shape, dtype=np.bool_)
    if _is_global(pattern):
        pruned = [layer for layer in network.matrix_layers if layer.name not in keep]
        threshold = global_threshold([np.abs(network.weights[layer.name]) for layer in pruned], sparsity)
        return lambda layer, scores: project_with_threshold(scores, threshold)
    if match == "slots":
        return lambda layer, scores: match_slots(layer_rule(pattern, layer)[0], layer, scores, sparsity)
    return lambda layer, scores: match_density(layer_rule(pattern, layer)[0], layer, scores, sparsity)


def _trace_smaller(
    network: Network, level: Level, pattern: ChannelThen, sparsity: float, keep: dict[str, str], match: Match
) -> TracedNetwork:
    """Take channels away, then mask what remains of each layer so that its share of its first weights is gone."""
    plan = prune_channels(network, pattern.channel_sparsity(sparsity), keep=frozenset(keep))
    smaller = fuse(plan.network)
    reasons = {name: f"all its output channels stay: {why}" for name, why in plan.reasons.items() if name not in keep}
    keep = {**keep, **kept_reasons(network, smaller, keep)}
    traces = _smaller_traces(network, smaller, level, pattern, sparsity, keep, reasons, match)
    return TracedNetwork(network=smaller, traces=traces)


def _smaller_traces(
    network: Network,
    smaller: Network,
    level: Level,
    pattern: ChannelThen,
    sparsity: float,
    keep: dict[str, str],
    reasons: Mapping[str, str],
    match: Match,
) -> Iterator[LayerTrace]:
    before: dict[str, Layer] = {layer.name: layer for layer in network.layers}
    pruned = [layer for layer in smaller.matrix_layers if layer.name not in keep]
    everywhere = _is_global(pattern.rule)
    over_all = Level(
        pattern=pattern.rule, sparsity=_rest(pattern, sparsity, [before[layer.name] for layer in pruned], pruned)
    )
    project = _projector(smaller, over_all, keep, match)
    for layer in smaller.layers:
        old = before[layer.name]
        if not isinstance(layer, MatrixLayer) or not isinstance(old, MatrixLayer):
            macs_before = old.macs if isinstance(old, ProductLayer) else None
            yield LayerTrace(layer=layer, pattern=Dense(), macs_before=macs_before)
            continue
        own, target = over_all, level.target(layer.name)
        if not everywhere:
            rest = _rest(pattern, sparsity if target is None else target, [old], [layer])
            own = Level(pattern=pattern.rule, sparsity=rest)
            project = _projector(smaller, own, keep, match)
        trace = _trace_of(layer, smaller.weights, own, keep.get(layer.name, ""), project)
        trace = _over_budget(trace) if match == "slots" and layer.name not in keep else trace
        why = [reasons.get(layer.name, ""), trace.reason]
        left = layer.weight_elements / old.weight_elements
        if layer.name not in keep and not everywhere and target is not None and left < 1 - target:
            reached = 1 - left
            why.append(f"asked {target:g}, reached {reached:.4g}: the channels alone remove that")
        trace = replace(
            trace,
            sparsity_target=target,
            weights_before=old.weight_elements,
            macs_before=old.macs,
            reason="; ".join(text for text in why if text),
        )
        assert own.sparsity is not None
        yield trace if layer.name in keep else _out_of_reach(trace, own.sparsity, smaller.weights)


def _rest(pattern: ChannelThen, sparsity: float, before: Sequence[Layer], after: Sequence[MatrixLayer]) -> float:
    """Return what the second pattern removes of the weights ``after`` the channels went from the layers ``before``."""
    counts = sum(layer.weight_elements for layer in before if isinstance(layer, MatrixLayer))
    return pattern.rest_sparsity(sparsity, counts, sum(layer.weight_elements for layer in after)) if after else 0.0


def _channel_traces(
    network: Network, smaller: Network, reasons: Mapping[str, str], level: Level
) -> Iterator[LayerTrace]:
    """Layers of the network that channel pruning leaves: smaller and dense."""
    before: dict[str, Layer] = {layer.name: layer for layer in network.layers}
    for layer in smaller.layers:
        old = before[layer.name]
        if not isinstance(layer, MatrixLayer) or not isinstance(old, MatrixLayer):
            macs_before = old.macs if isinstance(old, ProductLayer) else None
            yield LayerTrace(layer=layer, pattern=Dense(), macs_before=macs_before)
            continue
        yield LayerTrace(
            layer=layer,
            pattern=level.pattern if layer.weight_elements < old.weight_elements else Dense(),
            mask=np.ones((layer.groups, layer.m, layer.k), dtype=np.bool_),
            sparsity_target=level.sparsity,
            weights_before=old.weight_elements,
            macs_before=old.macs,
            reason=reasons.get(layer.name, ""),
        )
