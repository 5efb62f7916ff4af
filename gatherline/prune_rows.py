"""What ``simulate prune`` tells: a row per level and layer, and totals. Computes no mask."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gatherline.prune_masks import LayerMasks
from gatherline.prune_smaller import Smaller
from patterns.base import Mask, Pattern
from patterns.channel import Channel
from traces.layer import FloatArray, MatrixLayer, Network
from traces.layout import column_banks
from traces.matching import pattern_banks

TOTAL, HOLDS = "total", "holds"
NOTED_GAP = 0.005  # a reached sparsity that is further from the target than this gets a remark


class Asked(Protocol):
    """What rows tell of a request."""

    @property
    def pattern(self) -> str: ...
    @property
    def rule(self) -> Pattern: ...
    @property
    def targets(self) -> tuple[float, ...]: ...
    @property
    def levels(self) -> tuple[float, ...]: ...
    @property
    def listed(self) -> bool: ...


def prune_rows(
    request: Asked,
    network: Network,
    pruned: Mapping[str, LayerMasks],
    reasons: Mapping[str, str],
    hidden: Mapping[str, FloatArray],
    smaller: Smaller | None = None,
) -> list[dict[str, object]]:
    """Return, level by level (the sparsest first), a row for each layer with weights and one for all of them.

    Weights, norms and shares are of the original layers, also where ``smaller`` is what is left of them.
    """
    rows = []
    for index, target in enumerate(request.targets):
        level = index + 1 if request.levels else None
        counts, taking_part = [], []
        for layer in network.matrix_layers:
            masks = pruned.get(layer.name)
            before = hidden.get(layer.name, network.weights[layer.name]) if masks else network.weights[layer.name]
            after = before if smaller is None else smaller.plan.network.weights[layer.name]
            counted = _counted(before, after, masks.masks[index] if masks else None)
            counts.append(counted)
            if masks is not None or after.size < before.size:
                taking_part.append((layer.weight_elements, 0.0 if masks is None else masks.targets[index], counted))
            about = {"model": network.name, "layer": layer.name, "kind": layer.kind, "level": level}
            facts = _layer_facts(masks, index, counted, reasons.get(layer.name, ""))
            if masks is None and after.size < before.size:
                facts |= {"pattern": "channel", "sparsity_of_pruned": 1 - counted.kept / counted.weights}
            sizes = _sizes(layer, smaller)
            if isinstance(request.rule, Channel) and sizes["channels_after"] < sizes["channels_before"]:
                facts["sparsity_target"] = target
            rows.append(about | facts | sizes)
        asked = target
        if request.listed:  # of all pruned layers together
            asked = sum(size * own for size, own, _ in taking_part) / sum(size for size, _, _ in taking_part)
        about = {"model": network.name, "layer": TOTAL, "kind": None, "level": level, "pattern": request.pattern}
        part, whole = _sum([counted for *_, counted in taking_part]), _sum(counts)
        reached = 1 - part.kept / part.weights if part.weights else 0.0
        rows.append(
            about
            | {"sparsity_target": asked, "sparsity_of_pruned": reached}
            | _shares(whole)
            | {"check": None, "explained": None, "reason": f"{len(taking_part)} of {len(counts)} layers pruned"}
            | {"channels_before": None, "channels_after": None, "weights_after": whole.stored}
        )
    return rows


def _sizes(layer: MatrixLayer, smaller: Smaller | None) -> dict[str, int]:
    """Return output channels before and after, and the weights that the written layer has, zeros included."""
    now = layer if smaller is None else smaller.layers[layer.name]
    return {
        "channels_before": layer.groups * layer.m,
        "channels_after": now.groups * now.m,
        "weights_after": now.weight_elements,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """Weights of a layer: all, those of the written layer; not 0: before, when channels are gone, kept; norms."""

    weights: int
    stored: int
    nonzero: int
    left: int
    kept: int
    l1: tuple[float, float]
    squares: tuple[float, float]


def _counted(before: FloatArray, left: FloatArray, mask: Mask | None) -> _Counts:
    size, after = (np.abs(weights).astype(np.float64) for weights in (before, left))
    if mask is not None:
        after = np.where(mask, after, 0.0)
    return _Counts(
        weights=size.size,
        stored=left.size,
        left=int(np.count_nonzero(left)),
        nonzero=int(np.count_nonzero(size)),
        kept=int(np.count_nonzero(after)),
        l1=(float(size.sum()), float(after.sum())),
        squares=(float(np.square(size).sum()), float(np.square(after).sum())),
    )


def _sum(counts: Sequence[_Counts]) -> _Counts:
    return _Counts(
        weights=sum(one.weights for one in counts),
        stored=sum(one.stored for one in counts),
        left=sum(one.left for one in counts),
        nonzero=sum(one.nonzero for one in counts),
        kept=sum(one.kept for one in counts),
        l1=(sum(one.l1[0] for one in counts), sum(one.l1[1] for one in counts)),
        squares=(sum(one.squares[0] for one in counts), sum(one.squares[1] for one in counts)),
    )


def _shares(counts: _Counts) -> dict[str, object]:
    """Return densities and the share of the weights' L1 and L2 norm that is kept; 1 where there was none."""
    return {
        "weights": counts.weights,
        "density_before": counts.nonzero / counts.weights,
        "density": counts.kept / counts.weights,
        "sparsity": 1 - counts.kept / counts.weights,
        "kept_l1": counts.l1[1] / counts.l1[0] if counts.l1[0] else 1.0,
        "kept_l2": math.sqrt(counts.squares[1] / counts.squares[0]) if counts.squares[0] else 1.0,
    }


def _layer_facts(masks: LayerMasks | None, index: int, counted: _Counts, reason: str) -> dict[str, object]:
    if masks is None:
        untouched = {"pattern": None, "sparsity_target": None, "sparsity_of_pruned": None}
        return untouched | _shares(counted) | {"check": None, "explained": None, "reason": reason}
    target = masks.targets[index]
    remarks = [reason, masks.reason]
    if abs(1 - counted.kept / counted.weights - target) > NOTED_GAP:
        own = 1 - counted.left / counted.weights
        gone = "zeros of the model stay" if counted.stored == counted.weights else "channels went, and zeros stay"
        least = masks.limit or f"what {masks.pattern.spelling} reaches on this shape"
        why = gone if own > target else least
        remarks.append(f"sparsity {1 - counted.kept / counted.weights:.4f} where {target:g} was asked: {why}")
    if not counted.kept:
        remarks.append("no weight is kept")
    about = {
        "pattern": masks.pattern.spelling,
        "sparsity_target": target,
        "sparsity_of_pruned": 1 - counted.kept / counted.weights,
    }
    text = "; ".join(remark for remark in remarks if remark)
    return about | _shares(counted) | _checked(masks, index) | {"reason": text}


def _checked(masks: LayerMasks, index: int) -> dict[str, object]:
    """Return "holds", or the first place where the mask breaks its rule, and the share that the rule explains."""
    banks = column_banks(masks.layer, pattern_banks(masks.pattern))
    found = masks.pattern.check(masks.masks[index], banks)
    if found is None:
        return {"check": HOLDS, "explained": 1.0}
    place = f"group {found.group}, row {found.row}, column {found.column}"
    return {"check": f"{place}: {found.text}", "explained": masks.pattern.explained(masks.masks[index], banks)}
