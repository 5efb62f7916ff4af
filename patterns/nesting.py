"""Nested levels: masks M1 within M2 within ... Ml of the same values, one for each of several sparsities.

DESIGN section 3. Reference: Qin et al., 2021, arXiv 2112.10930. The densest level is projected first and is the best of
its rule; each sparser one is the best within the one before, so it may hold less than a mask of its own would. Left
out: levels that share the loss among them, and how they are stored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from patterns.base import BankOfColumn, Mask, Pattern, PatternError, Scores, Violation
from patterns.selection import first_place


def checked_levels(pattern: Pattern, sparsities: Sequence[float]) -> tuple[float, ...]:
    """Return ``sparsities`` by rising density. Raises PatternError for levels that cannot be told apart."""
    if not sparsities:
        raise PatternError("levels are none, and must be one sparsity or more")
    for sparsity in sparsities:
        if not (math.isfinite(sparsity) and 0 <= sparsity < 1):
            raise PatternError(f"levels: sparsity is {sparsity}, and must be at least 0 and below 1")
    if len(set(sparsities)) < len(sparsities):
        raise PatternError(f"levels are {', '.join(map(str, sparsities))}, and must be distinct")
    if len(sparsities) > 1 and not pattern.nests:
        raise PatternError(f"levels: {pattern.spelling} does not nest")
    if len(sparsities) > 1 and pattern.fixes_density:
        raise PatternError(f"levels: {pattern.spelling} fixes how much is kept, and its levels would be one mask")
    return tuple(sorted(sparsities, reverse=True))


def nested_masks(
    pattern: Pattern, scores: Scores, sparsities: Sequence[float], banks: BankOfColumn | None = None
) -> tuple[Mask, ...]:
    """Return a mask (groups, m, k) for each of ``sparsities``, by rising density: level 1, the sparsest, first.

    Raises PatternError for levels that are out of range or not distinct, and for a pattern that does not nest.
    """
    levels = checked_levels(pattern, sparsities)
    masks = [pattern.project(scores, levels[-1], banks)]
    for sparsity in reversed(levels[:-1]):
        masks.append(pattern.project_within(scores, sparsity, masks[-1], banks))
    return tuple(reversed(masks))


def check_nesting(masks: Sequence[Mask]) -> Violation | None:
    """Return the first weight that a level keeps and the next one does not, or None. Level 1, the sparsest, first."""
    _check_shapes(masks)
    for level, (inner, outer) in enumerate(pairwise(masks), start=1):
        outside = inner & ~outer
        if outside.any():
            group, row, column = first_place(outside)
            text = f"level {level} keeps this weight, and level {level + 1} does not"
            return Violation(group=group, row=row, column=column, text=text)
    return None


def nested_share(masks: Sequence[Mask]) -> float:
    """Return the share of the weights of each level but the last that the next one keeps too; 1 where there are none.

    What two masks share by chance is the density of the denser one.
    """
    _check_shapes(masks)
    inside = sum(int(np.count_nonzero(inner & outer)) for inner, outer in pairwise(masks))
    kept = sum(int(np.count_nonzero(inner)) for inner in masks[:-1])
    return inside / kept if kept else 1.0


def _check_shapes(masks: Sequence[Mask]) -> None:
    for mask in masks:
        if mask.dtype != np.bool_ or mask.ndim != 3 or mask.shape != masks[0].shape:
            raise PatternError(f"levels: a mask is {mask.dtype} of shape {mask.shape}, and must be bool as the first")
