"""GS(B, k): bundles of B/k rows whose weights fall into full, conflict-free groups of B. DESIGN section 3.

Reference: Sun et al., arXiv 2112.10898. Left out: the optimal projection (a transportation problem), and nesting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns import _gs_kernel
from patterns.base import BankOfColumn, Mask, Pattern, Scores, Violation
from patterns.packing import check_banks_and_k, group_counts
from patterns.selection import checked_scores, keep_largest, kept_count, magnitude_bits, resolve_banks

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherScatter(Pattern):
    """GS(banks, k): k = banks is horizontal, k = 1 vertical, between them hybrid."""

    banks: int
    k: int

    def __post_init__(self) -> None:
        check_banks_and_k(self.banks, self.k, f"gs:{self.banks},{self.k}")

    @property
    def rows_per_bundle(self) -> int:
        return self.banks // self.k

    @property
    def spelling(self) -> str:
        return f"gs:{self.banks},{self.k}"

    @property
    def default_encoding(self) -> str:
        return "gs"

    def project(self, scores: Scores, sparsity: float, banks: BankOfColumn | None = None) -> Mask:
        """Return the paper's greedy projection; slots it leaves empty are filled by exchanges, where rows and banks
        have weights for it. Raises PatternError for NaN, a sparsity outside [0, 1), or a bank of B or more.
        """
        array = checked_scores(scores, sparsity)
        of_column = resolve_banks(banks, array.shape[0], array.shape[2], self.banks)
        free = keep_largest(array, kept_count(array.size, sparsity))
        if free.all():  # there is nothing to choose, also where the banks do not divide the columns
            return free
        survivors = np.count_nonzero(free, axis=2)
        out = np.zeros(array.shape, dtype=np.bool_)
        order = np.arange(array.shape[1], dtype=np.int64)
        for group in range(array.shape[0]):
            counts = bundle_groups(survivors[group], order, self.rows_per_bundle, self.k)
            project_bundles(array[group], of_column[group], order, counts, self.banks, self.k, out[group])
        return out

    def check(self, mask: Mask, banks: BankOfColumn | None = None) -> Violation | None:
        """Return the first bundle whose fill is below 1 (a bundle of fewer rows cannot reach it)."""
        of_column = resolve_banks(banks, mask.shape[0], mask.shape[2], self.banks)
        order = np.arange(mask.shape[1], dtype=np.int64)
        for group in range(mask.shape[0]):
            found = unfilled_bundle(mask[group], of_column[group], order, self.banks, self.k)
            if found is not None:
                bundle, kept, groups = found
                slots = f"{groups} groups of {self.banks} slots"
                text = f"bundle {bundle} keeps {kept} weights in {slots}, and {self.spelling} fills every slot"
                return Violation(group=group, row=bundle * self.rows_per_bundle, column=0, text=text)
        return None

    def explained(self, mask: Mask, banks: BankOfColumn | None = None) -> float:
        """Return the fill: kept / (groups x B) over all bundles; 1 where nothing is kept."""
        of_column = resolve_banks(banks, mask.shape[0], mask.shape[2], self.banks)
        groups = sum(
            int(group_counts(matrix, column_banks, self.banks, self.k).sum())
            for matrix, column_banks in zip(mask, of_column, strict=True)
        )
        return int(np.count_nonzero(mask)) / (groups * self.banks) if groups else 1.0


def bundle_groups(survivors: IntArray, order: IntArray, rows_per_bundle: int, k: int) -> IntArray:
    """Return the groups that the projection gives each bundle, from the survivors of each row [m].

    A group of a full bundle holds B weights, of a last bundle of fewer rows k times those rows; that number stands for
    B in the paper's rule, so that a short bundle keeps its density (ADR).
    """
    starts = np.arange(0, len(order), rows_per_bundle)
    counts = np.add.reduceat(survivors[order].astype(np.int64), starts)
    holds = np.minimum(len(order) - starts, rows_per_bundle) * k
    rounded = np.where(counts // holds > 8, (counts + holds // 2) // holds * holds, counts)
    return np.asarray(-(-rounded // holds), dtype=np.int64)


def project_bundles(
    scores: npt.NDArray[np.float32],
    banks: IntArray,
    order: IntArray,
    groups: IntArray,
    bank_count: int,
    k: int,
    out: Mask,
) -> None:
    """Fill out [m, columns], False at first, with the projection of scores [m, columns] onto ``groups`` [bundles]."""
    column_order = np.argsort(banks, kind="stable").astype(np.int64)
    bank_start = np.searchsorted(banks[column_order], np.arange(bank_count + 1)).astype(np.int64)
    _gs_kernel.gs_project(magnitude_bits(scores), column_order, bank_start, order, groups, bank_count // k, k, out)


def unfilled_bundle(
    mask2d: Mask, banks: IntArray, order: IntArray, bank_count: int, k: int
) -> tuple[int, int, int] | None:
    """Return (bundle, kept, groups) of the first bundle whose fill is below 1, or None."""
    groups = group_counts(mask2d, banks, bank_count, k, order)
    starts = np.arange(0, len(order), bank_count // k)
    kept = np.add.reduceat(np.count_nonzero(mask2d, axis=1)[order], starts)
    broken = np.flatnonzero(kept != groups * bank_count)
    if not len(broken):
        return None
    bundle = int(broken[0])
    return bundle, int(kept[bundle]), int(groups[bundle])
