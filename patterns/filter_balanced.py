"""Every row (filter) of a layer keeps the same number of weights, wherever they are in it.

So that processing elements with a row each end together. Reference: Han et al., ESE, FPGA 2017, arXiv 1612.00694, whose
load-balance-aware pruning gives the rows of each processing element the same count; here each row is one. It differs
from ``bank_balanced:1`` in that all rows of the layer keep equally many. Left out: several rows for one element.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from patterns import _kernels
from patterns.base import BankOfColumn, Mask, Pattern, Scores, Violation
from patterns.selection import checked_outer, checked_scores, first_place, kept_count, magnitude_bits


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterBalanced(Pattern):
    """The max(1, round((1 - sparsity) x k)) largest weights of each row, in all convolution groups alike."""

    @property
    def spelling(self) -> str:
        return "filter_balanced"

    @property
    def default_encoding(self) -> str:
        return "packed"

    @property
    def nests(self) -> bool:
        return True

    def limit(self, shape: tuple[int, int, int], sparsity: float) -> str:
        return "filter_balanced keeps one weight of each row at least" if kept_count(shape[2], sparsity) < 1 else ""

    def project(self, scores: Scores, sparsity: float, banks: BankOfColumn | None = None) -> Mask:
        array = checked_scores(scores, sparsity)
        return self._largest(array, sparsity, np.ones(array.shape, dtype=np.bool_))

    def project_within(self, scores: Scores, sparsity: float, outer: Mask, banks: BankOfColumn | None = None) -> Mask:
        """Return the largest scores of ``outer``, of each row as many as its poorest row has."""
        array = checked_scores(scores, sparsity)
        return self._largest(array, sparsity, checked_outer(outer, array))

    def _largest(self, array: Scores, sparsity: float, outer: Mask) -> Mask:
        columns = array.shape[2]
        allowed = outer.reshape(-1, columns)
        poorest = int(np.count_nonzero(allowed, axis=1).min())
        counts = np.full(len(allowed), min(max(1, kept_count(columns, sparsity)), poorest), dtype=np.int64)
        out = np.empty(array.shape, dtype=np.bool_)
        bits = magnitude_bits(array).reshape(-1, columns)
        _kernels.keep_in_segments(bits, allowed, counts, columns, out.reshape(-1, columns))
        return out

    def check(self, mask: Mask, banks: BankOfColumn | None = None) -> Violation | None:
        """Return the first row that keeps fewer than the fullest row of the layer."""
        kept = np.count_nonzero(mask, axis=2)
        if (kept == kept.max()).all():
            return None
        group, row = first_place(kept != kept.max())
        text = f"this row keeps {kept[group, row]} weights, and another of this layer {kept.max()}"
        return Violation(group=group, row=row, column=first_place(~mask[group, row])[0], text=text)

    def explained(self, mask: Mask, banks: BankOfColumn | None = None) -> float:
        """Return kept weights over what rows as full as the fullest would hold; 1 where nothing is kept."""
        kept = np.count_nonzero(mask, axis=2)
        slots = int(kept.max()) * kept.size
        return int(kept.sum()) / slots if slots else 1.0
