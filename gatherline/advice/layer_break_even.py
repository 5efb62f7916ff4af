"""The break-even density of one layer that is not faster: between which densities its pattern starts to lose.

The rule of ADR 0022: the end of the unbroken run of faster probes, from the sparsest on. Probes end at the first one
that is no faster, so a layer that never gains costs one probe. Leaves out: densities above the layer's own.
"""

from __future__ import annotations

from gatherline.advice.crossing import Probe, ends, settle
from gatherline.advice.evidence import Evidence
from gatherline.advice.probing import Bench, pruned_trace, weights_left
from gatherline.advice.ratios import has_listed_ratios, pattern_at, targets
from patterns.base import Pattern, PatternError
from patterns.channel import Channel
from patterns.dense import Dense
from patterns.unstructured import Unstructured


def own_density(evidence: Evidence) -> float:
    """Return the share of the layer's weights that are kept and are not zero."""
    return weights_left(evidence.trace, evidence.weight) / evidence.layer.weight_elements


def break_even_below(evidence: Evidence) -> tuple[Probe, Probe] | None:
    """Return the last faster probe and the first that is not, both at or below the layer's own density.

    None where no unbroken run of faster probes begins at the sparsest, and where the layer's rule has no densities.
    """
    rule = evidence.trace.pattern
    if isinstance(rule, Dense | Channel):
        return None
    if isinstance(rule, Unstructured) and rule.scope == "global":  # of one layer, its own threshold
        rule = Unstructured()
    bench = Bench(request=evidence.request, devices=[evidence.device])
    own, dense_s = own_density(evidence), evidence.dense.latency_s
    curve: dict[float, Probe] = {}
    for target in targets(rule):
        if target >= own:
            curve[own] = _own_probe(evidence, own)  # it is no faster, and ends the run
            break
        curve[target] = _probe(bench, evidence, rule, target)
        if curve[target].kept and curve[target].latency_s >= dense_s:
            break

    def ask(target: float, keys: frozenset[str]) -> dict[str, Probe]:
        return {key: _probe(bench, evidence, rule, target) for key in keys}

    name = evidence.layer.name
    settle({name: curve}, {name: dense_s}, ask, 1.0 if has_listed_ratios(rule) else evidence.tolerance)
    found = ends(curve, dense_s)
    return (found[0], found[1]) if len(found) == 2 and found[0].share < own else None


def _probe(bench: Bench, evidence: Evidence, rule: Pattern, target: float) -> Probe:
    layer, weight = evidence.layer, evidence.weight
    try:
        trace = pruned_trace(layer, weight, pattern_at(rule, target), target)
    except PatternError:  # no mask at this density: the layer would run as it is
        return _own_probe(evidence, target)
    return bench.probe(trace, target, [0], weight)[layer.name, 0]


def _own_probe(evidence: Evidence, target: float) -> Probe:
    result = evidence.sparse
    return Probe(
        target=target,
        pattern=evidence.trace.pattern.spelling,
        kept=weights_left(evidence.trace, evidence.weight),
        masked=evidence.trace.kept,
        weights=evidence.layer.weight_elements,
        latency_s=result.latency_s,
        kernel=result.kernel,
        encoding=result.encoding,
        bound=result.bound,
    )
