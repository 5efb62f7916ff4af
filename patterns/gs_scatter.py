"""GS(B, k) after a permutation of the rows: rows of like survivor counts share a bundle. DESIGN section 3.

Rows are sorted stably by survivor count and bundled; then rows whose bundles got equally many groups are put back in
their own order. So the order can be read off a finished mask: its rows sorted stably by kept count (ADR). Which weights
a bundle keeps is as in ``patterns.gs``.

Nested levels share the order of the outermost, densest mask, read off it in the same way; that one permutation is what
is stored. An inner level keeps bundles apart that the outer one kept apart: they get different numbers of groups,
in the same sequence, or none. So its own rows, sorted, give the same order again (but for rows that keep nothing,
whose order means nothing), and each level obeys the rule on its own. The price is that groups move between bundles, by
the least squares that allow it, when many outer bundles differ by one group.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from patterns.base import BankOfColumn, Mask, Pattern, Scores, Violation
from patterns.gs import (
    SUFFIX,
    IntArray,
    Projection,
    bundle_groups,
    project_bundles,
    unfilled_bundle,
)
from patterns.packing import check_banks_and_k, group_counts, row_order
from patterns.selection import (
    checked_outer,
    checked_scores,
    keep_largest,
    keep_largest_within,
    kept_count,
    resolve_banks,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherScatterPermuted(Pattern):
    """GS(banks, k) of rows sorted by their counts; a stored row costs one index."""

    banks: int
    k: int
    projection: Projection = "optimal"

    def __post_init__(self) -> None:
        check_banks_and_k(self.banks, self.k, f"gs_scatter:{self.banks},{self.k}")

    @property
    def rows_per_bundle(self) -> int:
        """Return how many rows, in the permuted order, share a bundle: B / k."""
        return self.banks // self.k

    @property
    def spelling(self) -> str:
        return f"gs_scatter:{self.banks},{self.k}{SUFFIX[self.projection]}"

    @property
    def nests(self) -> bool:
        return True

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
        everywhere = np.ones(array.shape[1:], dtype=np.bool_)
        for group in range(array.shape[0]):
            order = row_order(kept[group], sort=True)
            counts = bundle_groups(np.count_nonzero(kept[group], axis=1), order, self.rows_per_bundle, self.k)
            of_row = np.repeat(counts, self.rows_per_bundle)[: len(order)]
            order = order[np.lexsort((order, of_row))]
            counts = np.sort(counts)  # follows the rows; a short last bundle has the most groups already, or as many
            project_bundles(self, array[group], everywhere, of_column[group], order, counts, out[group])
        return out

    def project_within(self, scores: Scores, sparsity: float, outer: Mask, banks: BankOfColumn | None = None) -> Mask:
        """Return the best mask of this rule in the row order of ``outer`` that keeps no weight outside it.

        Strictly GS where ``outer`` is. Raises PatternError as ``project`` does, and for an outer mask of another shape.
        """
        array = checked_scores(scores, sparsity)
        of_column = resolve_banks(banks, array.shape[0], array.shape[2], self.banks)
        if checked_outer(outer, array).all():
            return self.project(scores, sparsity, banks)  # no levels yet, so no order to keep
        free = keep_largest_within(array, kept_count(array.size, sparsity), outer)
        out = np.zeros(array.shape, dtype=np.bool_)
        for group in range(array.shape[0]):
            order = row_order(outer[group], sort=True)
            most = group_counts(outer[group], of_column[group], self.banks, self.k, order)
            wanted = bundle_groups(np.count_nonzero(free[group], axis=1), order, self.rows_per_bundle, self.k)
            counts = rising_groups(wanted, most)
            project_bundles(self, array[group], outer[group], of_column[group], order, counts, out[group])
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


def rising_groups(wanted: IntArray, most: IntArray) -> IntArray:
    """Return groups [bundles] nearest to ``wanted`` (least squares), equal where ``most`` is, rising where it rises.

    At most ``most``; bundles without a group may follow each other. Where ``most`` falls (only in a mask that is not
    strictly GS), the bundles before count as if they had as few. Exact: a table of the least cost of each number.
    """
    limit = np.minimum.accumulate(most[::-1])[::-1]
    _, first, of_bundle, size = np.unique(limit, return_index=True, return_inverse=True, return_counts=True)
    number = np.arange(limit[-1] + 1, dtype=np.int64)
    mean = np.add.reduceat(wanted, first) / size
    cost = np.where(number <= limit[first][:, None], size[:, None] * (number - mean[:, None]) ** 2, np.inf)
    for at in range(1, len(first)):
        cost[at, 1:] += np.minimum.accumulate(cost[at - 1])[:-1]
        cost[at, 0] += cost[at - 1, 0]
    chosen = np.empty(len(first), dtype=np.int64)
    below = len(number)
    for at in range(len(first) - 1, -1, -1):
        chosen[at] = np.argmin(cost[at, :below])  # among equals the fewest
        below = max(1, int(chosen[at]))
    return chosen[of_bundle]
