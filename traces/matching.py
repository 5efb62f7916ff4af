"""What patterns have in common at one sparsity: as many kept weights, or as many slots. ADR 0007.

``density``: where whole groups overshoot the target, weights leave and their slots become padding. ``slots``: the
sparsity is searched whose slots, padding included, come nearest below the target's share.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from patterns.base import Mask, Pattern, Scores
from patterns.block import Block
from patterns.block_punched import BlockPunched
from patterns.channel import Channel
from patterns.channel_then import ChannelThen
from patterns.dense import Dense
from patterns.gs import GatherScatter
from patterns.gs_scatter import GatherScatterPermuted
from patterns.kernel_pattern import KernelPattern
from patterns.n_of_m import NOfM
from patterns.n_of_m_both import NOfMBoth
from patterns.packing import best_packing, group_counts, row_order
from patterns.unstructured import Unstructured
from traces.layer import MatrixLayer
from traces.layout import column_banks

Match = Literal["density", "slots"]
LAYOUT_BANKS = 16  # the banks that a mask assumes where its pattern names none
WHOLE = Block | BlockPunched | Channel | KernelPattern  # keep or drop several weights at once, zeros with them
FIXED = WHOLE | NOfM | NOfMBoth  # say themselves what is kept: nothing to trim down to a density or to slots


def pattern_banks(pattern: Pattern) -> int:
    """Return the banks whose layout a pattern's masks assume."""
    rule = pattern.rule if isinstance(pattern, ChannelThen) else pattern
    return rule.banks if isinstance(rule, GatherScatter | GatherScatterPermuted) else LAYOUT_BANKS


def match_density(pattern: Pattern, layer: MatrixLayer, scores: Scores, sparsity: float) -> Mask:
    """Project at the target; where whole groups overshoot it, weights leave: padding.

    The smallest leave, and of rows that are sorted by their counts those that let the order stand.
    """
    mask = pattern.project(scores, sparsity, column_banks(layer, pattern_banks(pattern)))
    if isinstance(pattern, FIXED):
        return mask  # the rule fixes what is kept
    wanted = round((1.0 - sparsity) * mask.size)
    if np.count_nonzero(mask) <= wanted:
        return mask
    if isinstance(pattern, GatherScatterPermuted) and pattern.rows_per_bundle > 1:
        return _trimmed_in_order(mask & (scores > 0), scores, wanted)
    return Unstructured().project_within(scores, sparsity, mask)


def _trimmed_in_order(mask: Mask, scores: Scores, wanted: int) -> Mask:
    """Return ``mask`` with ``wanted`` weights at most, and with its rows in the same order by kept count.

    The order is read off the finished mask, so whoever trims it freely moves rows into other bundles, which then need
    more groups. Rows lose their smallest weight, one each, the emptiest rows first, and all again where that is not
    enough: what was before another row stays before it, and no bundle needs a group more.
    """
    order = np.stack([row_order(part, sort=True) for part in mask])
    rows = (order + np.arange(len(mask))[:, None] * mask.shape[1]).T.reshape(-1)  # by place in the order, then group
    out = mask.reshape(-1, mask.shape[2]).copy()
    held = np.where(out, scores.reshape(out.shape), np.float32(np.inf))
    excess = int(np.count_nonzero(out)) - wanted
    while excess > 0:
        filled = rows[out[rows].any(axis=1)][:excess]
        smallest = np.argmin(held[filled], axis=1)
        out[filled, smallest] = False
        held[filled, smallest] = np.inf
        excess -= len(filled)
    return out.reshape(mask.shape)


def match_slots(pattern: Pattern, layer: MatrixLayer, scores: Scores, sparsity: float) -> Mask:
    """Project at the sparsity whose slots, padding included, come nearest below the target's share of all weights."""
    budget = (1.0 - sparsity) * scores.size
    banks = column_banks(layer, pattern_banks(pattern))
    low, high = sparsity, 1.0
    best = pattern.project(scores, sparsity, banks)
    if slots(pattern, best, banks) <= budget:
        return best
    for _ in range(12):
        middle = (low + high) / 2
        mask = pattern.project(scores, middle, banks)
        if slots(pattern, mask, banks) <= budget:
            high, best = middle, mask
        else:
            low = middle
    return best


def slots(pattern: Pattern, mask: Mask, banks: np.ndarray) -> int:
    """Return the weight slots that a mask pays for where its pattern runs: packed groups, or what it keeps."""
    if isinstance(pattern, FIXED | Dense):
        return int(np.count_nonzero(mask))
    width = pattern_banks(pattern)
    own = None
    if isinstance(pattern, GatherScatter | GatherScatterPermuted):
        own = pattern.k, isinstance(pattern, GatherScatterPermuted)
    total = 0
    for part, lanes in zip(mask, banks, strict=True):
        k, sort = own or best_packing(part, lanes, width)
        total += int(group_counts(part, lanes, width, k, row_order(part, sort)).sum()) * width
    return total
