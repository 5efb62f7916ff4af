"""GS(B, k) after a permutation of the rows: rows of like survivor counts share a bundle. DESIGN section 3.

Rows are sorted stably by survivor count and bundled; then rows whose bundles got equally many groups are put back in
their own order. So the order can be read off a finished mask: its rows sorted stably by kept count (ADR).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from patterns.base import BankOfColumn, Mask, Pattern, Scores, Violation
from patterns.gs import bundle_groups, project_bundles, unfilled_bundle
from patterns.packing import check_banks_and_k, group_counts, row_order
from patterns.selection import checked_scores, keep_largest, kept_count, resolve_banks


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherScatterPermuted(Pattern):
    """GS(banks, k) of rows sorted by their counts; a stored row costs one index."""

    banks: int
    k: int

    def __post_init__(self) -> None:
        check_banks_and_k(self.banks, self.k, f"gs_scatter:{self.banks},{self.k}")

    @property
    def rows_per_bundle(self) -> int:
        return self.banks // self.k

    @property
    def spelling(self) -> str:
        return f"gs_scatter:{self.banks},{self.k}"

    @property
    def default_encoding(self) -> str:
        return "gs"

    def project(self, scores: Scores, sparsity: float, banks: BankOfColumn | None = None) -> Mask:
        array = checked_scores(scores, sparsity)
        of_column = resolve_banks(banks, array.shape[0], array.shape[2], self.banks)
        kept = keep_largest(array, kept_count(array.size, sparsity))
        if kept.all():  # there is nothing to choose
            return kept
        out = np.zeros(array.shape, dtype=np.bool_)
        for group in range(array.shape[0]):
            order = row_order(kept[group], sort=True)
            counts = bundle_groups(np.count_nonzero(kept[group], axis=1), order, self.rows_per_bundle, self.k)
            of_row = np.repeat(counts, self.rows_per_bundle)[: len(order)]
            order = order[np.lexsort((order, of_row))]
            counts = np.sort(counts)  # follows the rows; a short last bundle has the most groups already, or as many
            project_bundles(array[group], of_column[group], order, counts, self.banks, self.k, out[group])
        return out

    def check(self, mask: Mask, banks: BankOfColumn | None = None) -> Violation | None:
        of_column = resolve_banks(banks, mask.shape[0], mask.shape[2], self.banks)
        for group in range(mask.shape[0]):
            order = row_order(mask[group], sort=True)
            found = unfilled_bundle(mask[group], of_column[group], order, self.banks, self.k)
            if found is not None:
                bundle, kept, groups = found
                slots = f"{groups} groups of {self.banks} slots, and {self.spelling} fills every slot"
                text = f"bundle {bundle} of the sorted rows keeps {kept} weights in {slots}"
                row = int(order[bundle * self.rows_per_bundle])
                return Violation(group=group, row=row, column=0, text=text)
        return None

    def explained(self, mask: Mask, banks: BankOfColumn | None = None) -> float:
        """Return the fill of the rows sorted by kept count; 1 where nothing is kept."""
        of_column = resolve_banks(banks, mask.shape[0], mask.shape[2], self.banks)
        groups = sum(
            int(group_counts(matrix, column_banks, self.banks, self.k, row_order(matrix, sort=True)).sum())
            for matrix, column_banks in zip(mask, of_column, strict=True)
        )
        return int(np.count_nonzero(mask)) / (groups * self.banks) if groups else 1.0
