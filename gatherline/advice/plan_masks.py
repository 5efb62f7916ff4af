"""From a plan to the traces of its network: every layer with the mask of its own pattern, checked by its digest.

A plan fits the model that it was made for, and the model that ``simulate prune --plan`` makes of it, whose masks come
out the same. Leaves out: what the masks cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gatherline.advice.masks import chosen_trace, mask_digest
from gatherline.advice.plan import Plan
from gatherline.advice.probing import kept_trace
from gatherline.request_error import RequestError
from patterns.base import PatternError
from patterns.dense import Dense
from patterns.names import nearest
from traces.fusion import fuse
from traces.layer import MatrixLayer, Network
from traces.masks import TracedNetwork
from traces.ratios import LayerShares
from traces.trace import LayerTrace

NOT_LISTED = "the plan leaves it as it is"


def check_layers(plan: Plan, network: Network) -> None:
    """Raise RequestError for an entry that is no layer with weights of ``network``."""
    names = [layer.name for layer in network.matrix_layers]
    for entry in plan.layers:
        if entry.layer not in names:
            raise RequestError(
                f"{where(plan)}no layer with weights is called {entry.layer}; {nearest(entry.layer, names)}"
            )


def where(plan: Plan) -> str:
    return f"{plan.path}: " if plan.path else ""


def planned_trace(plan: Plan, network: Network, layer: MatrixLayer, reason: str = NOT_LISTED) -> LayerTrace:
    """Return the trace of one layer. ``reason``: of one that stays. Raises RequestError where its mask is another."""
    entry, weight = plan.of(layer.name), network.weights[layer.name]
    if entry is None:
        return kept_trace(layer, weight, reason)
    try:
        trace = chosen_trace(layer, weight, entry.rule, entry.sparsity)
    except PatternError as error:
        raise RequestError(f"{where(plan)}{error}") from None
    if mask_digest(trace, weight) != entry.mask:
        why = (
            "the plan was edited, or made by a version with other masks"
            if network.digest == plan.model_hash
            else f"{network.name} is neither {plan.model} nor what pruning makes of it"
        )
        raise RequestError(
            f"{where(plan)}layer {layer.name}: {entry.pattern} at {_share(entry.sparsity)} makes another mask here "
            f"than the plan has: {why}"
        )
    return trace


def _share(sparsity: float | None) -> str:
    return "no sparsity" if sparsity is None else f"sparsity {sparsity:g}"


def planned_network(plan: Plan, network: Network, reasons: Mapping[str, str]) -> TracedNetwork:
    """Return the network that runs, and its traces as they are read. ``reasons``: why layers are never pruned."""
    check_layers(plan, network)
    fused = fuse(network)

    def traces() -> Iterator[LayerTrace]:
        for layer in fused.layers:
            if isinstance(layer, MatrixLayer):
                yield planned_trace(plan, network, layer, reasons.get(layer.name, ""))
            else:
                yield LayerTrace(layer=layer, pattern=Dense())

    return TracedNetwork(network=fused, traces=traces())


def plan_shares(plan: Plan, network: Network, reasons: Mapping[str, str]) -> LayerShares:
    """Return the sparsity of each layer that the plan prunes, and why the others stay."""
    pruned = {entry.layer: entry.sparsity for entry in plan.layers if entry.sparsity is not None}
    stay = {
        layer.name: reasons.get(layer.name, NOT_LISTED) for layer in network.matrix_layers if layer.name not in pruned
    }
    return LayerShares(sparsities=pruned, reasons=stay)
