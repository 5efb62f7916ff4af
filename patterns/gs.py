"""GS(B, k): bundles of B/k rows whose weights fall into full, conflict-free groups of B. DESIGN section 3.

How many groups a bundle gets is the paper's rule (``bundle_groups``). Which weights go into them is one of two
projections, and of either the mask is strictly GS wherever rows and banks have the weights for it:

- ``optimal`` (the default): the most kept score that so many groups can hold. For each bundle a transportation problem:
  rows supply k weights a group, banks take one a group, and a cell (row, bank) gives its largest first. Solved exactly,
  in integers: scores count to 2^-47 of the bundle's largest with 16 rows a bundle, to 2^-25 with the most there can be.
- ``greedy``, the paper's: group by group, B times, the largest unused weight of the rows that still want one, in a bank
  that the group has not used. The last choices of a group take what is left, and where rows and banks do not meet a
  slot stays empty. The paper leaves it so; here such slots are filled by exchanges: a row keeps a new weight in a full
  bank, another row drops its smallest there and looks for a new one, and so on to a bank with room.

Both fill as many slots as rows and banks allow before they look at scores, so a zero may be kept in a slot that would
be padding. A last bundle of fewer rows fills k slots a row and group, and its banks take at most one weight a group. A
bank with too few columns gives all it has. Equal scores: within a cell the lowest column; between cells any choice of
the same sum, the same every time. Infinite scores come before all finite ones.

Reference: Sun et al., arXiv 2112.10898 (greedy); Ahuja, Magnanti, Orlin, Network Flows, 1993, sections 9.7 and 14
(successive shortest paths, convex costs). Left out: another number of groups than the paper's rule gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from patterns import _gs_kernel
from patterns.base import BankOfColumn, Mask, Pattern, Scores, Violation
from patterns.packing import check_banks_and_k, group_counts
from patterns.selection import (
    checked_outer,
    checked_scores,
    keep_largest,
    keep_largest_within,
    kept_count,
    magnitude_bits,
    resolve_banks,
)

IntArray = npt.NDArray[np.int64]
Projection = Literal["optimal", "greedy"]
SUFFIX: dict[Projection, str] = {"optimal": "", "greedy": ",greedy"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherScatter(Pattern):
    """GS(banks, k): k = banks is horizontal, k = 1 vertical, between them hybrid."""

    banks: int
    k: int
    projection: Projection = "optimal"

    def __post_init__(self) -> None:
        check_banks_and_k(self.banks, self.k, f"gs:{self.banks},{self.k}")

    @property
    def rows_per_bundle(self) -> int:
        """Return how many consecutive rows share a bundle: B / k."""
        return self.banks // self.k

    @property
    def spelling(self) -> str:
        return f"gs:{self.banks},{self.k}{SUFFIX[self.projection]}"

    @property
    def nests(self) -> bool:
        return True

    @property
    def default_encoding(self) -> str:
        return "gs"

    def project(self, scores: Scores, sparsity: float, banks: BankOfColumn | None = None) -> Mask:
        """Return the mask of the paper's number of groups, its weights chosen by ``projection``.

        Raises PatternError for NaN, a sparsity outside [0, 1), or a bank of B or more.
        """
        array = checked_scores(scores, sparsity)
        of_column = resolve_banks(banks, array.shape[0], array.shape[2], self.banks)
        free = keep_largest(array, kept_count(array.size, sparsity))
        if free.all():  # there is nothing to choose, also where the banks do not divide the columns
            return free
        survivors = np.count_nonzero(free, axis=2)
        del free  # of a large layer as much as the mask
        out = np.zeros(array.shape, dtype=np.bool_)
        order = np.arange(array.shape[1], dtype=np.int64)
        everywhere = np.ones(array.shape[1:], dtype=np.bool_)
        for group in range(array.shape[0]):
            counts = bundle_groups(survivors[group], order, self.rows_per_bundle, self.k)
            project_bundles(self, array[group], everywhere, of_column[group], order, counts, out[group])
        return out

    def project_within(self, scores: Scores, sparsity: float, outer: Mask, banks: BankOfColumn | None = None) -> Mask:
        """Return the best mask of this rule at ``sparsity`` that keeps no weight outside ``outer`` (groups, m, k).

        No bundle gets more groups than ``outer`` packs into. Within an outer mask that is strictly GS the result is:
        whole groups of its packing (Konig) are one such mask, and this is the best. Raises PatternError as ``project``
        does, and for an outer mask of another shape.
        """
        array = checked_scores(scores, sparsity)
        of_column = resolve_banks(banks, array.shape[0], array.shape[2], self.banks)
        outer = checked_outer(outer, array)
        free = keep_largest_within(array, kept_count(array.size, sparsity), outer)
        if free.all():
            return free
        out = np.zeros(array.shape, dtype=np.bool_)
        order = np.arange(array.shape[1], dtype=np.int64)
        for group in range(array.shape[0]):
            counts = np.minimum(
                bundle_groups(np.count_nonzero(free[group], axis=1), order, self.rows_per_bundle, self.k),
                group_counts(outer[group], of_column[group], self.banks, self.k),
            )
            project_bundles(self, array[group], outer[group], of_column[group], order, counts, out[group])
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


class GsRule(Protocol):
    """What the projection of bundles needs to know of a pattern."""

    @property
    def banks(self) -> int: ...
    @property
    def k(self) -> int: ...
    @property
    def projection(self) -> Projection: ...


def project_bundles(
    rule: GsRule,
    scores: npt.NDArray[np.float32],
    allowed: Mask,
    banks: IntArray,
    order: IntArray,
    groups: IntArray,
    out: Mask,
) -> None:
    """Fill out [m, columns], False at first, with the projection of scores [m, columns] onto ``groups`` [bundles].

    Keeps only what ``allowed`` [m, columns] holds; bundle b has the rows order[b h : (b + 1) h], h = B/k.
    """
    column_order = np.argsort(banks, kind="stable").astype(np.int64)
    bank_start = np.searchsorted(banks[column_order], np.arange(rule.banks + 1)).astype(np.int64)
    kernel = _gs_kernel.gs_greedy if rule.projection == "greedy" else _gs_kernel.gs_optimal
    kernel(
        magnitude_bits(scores),
        np.ascontiguousarray(allowed),
        column_order,
        bank_start,
        order,
        groups,
        rule.banks // rule.k,
        rule.k,
        out,
    )


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
