"""Whole output channels by L2 norm of their rows. DESIGN section 3.

Reference: Li et al., Pruning filters for efficient ConvNets, ICLR 2017, arXiv 1608.08710 (which ranks by L1). Left
out: the surgery on the network (consumers, joins), which needs to know the network: ``traces.channels``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from patterns.base import BankOfColumn, Mask, Pattern, Scores, Violation
from patterns.selection import checked_outer, checked_scores, first_place, keep_largest_norms, kept_count, within


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel(Pattern):
    """Each convolution group keeps the same number of rows, max(1, round((1 - sparsity) x m)), and these whole."""

    @property
    def spelling(self) -> str:
        return "channel"

    @property
    def default_encoding(self) -> str:
        return "dense"

    @property
    def nests(self) -> bool:
        return True

    def limit(self, shape: tuple[int, int, int], sparsity: float) -> str:
        return "channel keeps one row of each group at least" if kept_count(shape[1], sparsity) < 1 else ""

    def project(self, scores: Scores, sparsity: float, banks: BankOfColumn | None = None) -> Mask:
        return self._largest(checked_scores(scores, sparsity), sparsity, None)

    def project_within(self, scores: Scores, sparsity: float, outer: Mask, banks: BankOfColumn | None = None) -> Mask:
        """Return the rows of largest norm among those that ``outer`` keeps whole, as many in each group."""
        array = checked_scores(scores, sparsity)
        return self._largest(array, sparsity, checked_outer(outer, array))

    def _largest(self, array: Scores, sparsity: float, outer: Mask | None) -> Mask:
        rows = array.shape[1]
        energy = np.einsum("gmk,gmk->gm", array, array, dtype=np.float64)
        count = max(1, kept_count(rows, sparsity))
        if outer is not None:
            whole = np.asarray(outer.all(axis=2))
            energy = within(energy, whole)
            count = min(count, int(whole.sum(axis=1).min()))
        kept = np.stack([keep_largest_norms(group, count) for group in energy])
        return np.ascontiguousarray(np.broadcast_to(kept[:, :, None], array.shape))

    def check(self, mask: Mask, banks: BankOfColumn | None = None) -> Violation | None:
        """Return the first row that is neither whole nor empty."""
        kept = np.count_nonzero(mask, axis=2)
        broken = (kept != 0) & (kept != mask.shape[2])
        if not broken.any():
            return None
        group, row = first_place(broken)
        text = (
            f"{kept[group, row]} of the {mask.shape[2]} weights of this row are kept, and a channel stays or goes whole"
        )
        return Violation(group=group, row=row, column=first_place(~mask[group, row])[0], text=text)

    def explained(self, mask: Mask, banks: BankOfColumn | None = None) -> float:
        """Return kept weights over the weights of the rows that hold any; 1 where nothing is kept."""
        kept = np.count_nonzero(mask, axis=2)
        rows = int(np.count_nonzero(kept))
        return int(kept.sum()) / (rows * mask.shape[2]) if rows else 1.0
