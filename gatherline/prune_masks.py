"""The masks of one layer at the sparsities that are asked of it, and the rule that held. Left out: files and rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from patterns.base import BankOfColumn, Mask, Pattern, PatternError, Scores
from patterns.nesting import nested_masks
from traces.layer import FloatArray, MatrixLayer
from traces.layout import column_banks
from traces.masks import layer_rule
from traces.matching import WHOLE, pattern_banks


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerMasks:
    """What one layer becomes: the rule that held, its masks (the sparsest level first), targets and remarks."""

    layer: MatrixLayer
    pattern: Pattern
    targets: tuple[float, ...]
    masks: tuple[Mask, ...]
    reason: str
    limit: str = ""  # why the rule cannot reach the lowest target, where it cannot


def mask_layer(layer: MatrixLayer, weights: FloatArray, pattern: Pattern, targets: Sequence[float]) -> LayerMasks:
    """Return the masks of one layer at ``targets`` (sparsities, the highest first), each within the next.

    A weight that is 0 is never kept, but for blocks and kernel shapes, which store it. The rule is applied as it
    stands: what rounding to whole groups keeps more stays. Raises PatternError that names the layer.
    """
    rule, why = layer_rule(pattern, layer)
    scores = np.abs(weights)
    banks = column_banks(layer, pattern_banks(rule))
    try:
        masks = _level_masks(rule, scores, targets, banks)
    except PatternError as error:
        raise PatternError(f"layer {layer.name}: {error} (--keep {layer.name} leaves it as it is)") from None
    if not isinstance(rule, WHOLE):
        masks = tuple(mask & (scores > 0) for mask in masks)
    limit = rule.limit((layer.groups, layer.m, layer.k), targets[-1])
    return LayerMasks(layer=layer, pattern=rule, targets=tuple(targets), masks=masks, reason=why, limit=limit)


def _level_masks(
    rule: Pattern, scores: Scores, targets: Sequence[float], banks: BankOfColumn | None
) -> tuple[Mask, ...]:
    """Return a mask for each of ``targets``: two may ask the same of a layer, and 1.0 is to keep nothing of it."""
    shares = sorted({target for target in targets if target < 1.0}, reverse=True)
    found = dict(zip(shares, nested_masks(rule, scores, shares, banks) if shares else (), strict=True))
    nothing = np.zeros(scores.shape, dtype=np.bool_)
    return tuple(found.get(target, nothing) for target in targets)
