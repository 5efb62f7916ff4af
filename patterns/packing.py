"""Packs any mask into conflict-free groups: exactly as many as Konig's theorem allows, no fewer. DESIGN section 3.

A bundle is B/k consecutive rows of an order, a group up to B kept weights of one bundle, at most k a row, all in
different banks. Left out: balance of the requests over the groups of a bundle (a group has at least one).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns import _kernels, _packing_kernel
from patterns.base import PatternError
from patterns.selection import MAX_BANKS

IntArray = npt.NDArray[np.int64]
Mask2d = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Packing:
    """Groups of one matrix. Requests of group g are group_ptr[g] : group_ptr[g + 1], sorted by lane.

    ``lane`` = place of the row in its bundle x k + slot (0 to k - 1). ``bundle_end`` [bundles]: groups up to and with
    each bundle; a bundle without weights adds none. ``order`` [m]: bundle b holds rows order[b h : (b + 1) h], h = B/k.
    """

    group_ptr: IntArray
    row: npt.NDArray[np.int32]
    column: npt.NDArray[np.int32]
    lane: npt.NDArray[np.int16]
    bundle_end: IntArray
    order: IntArray
    banks: int
    k: int

    @property
    def groups(self) -> int:
        return len(self.group_ptr) - 1

    @property
    def slots(self) -> int:
        """Weight slots of all groups, padding included."""
        return self.groups * self.banks


@dataclass(frozen=True, slots=True, kw_only=True)
class PackingKey:
    """Names the packing of all columns of a layer's convolution group: the same mask, the same key, the same packing.

    ``banks`` of the scratchpad that the columns lie in; they are taken modulo ``width``, the slots of a group.
    """

    banks: int
    width: int
    k: int
    sort: bool
    group: int


def check_banks_and_k(banks: int, k: int, where: str) -> None:
    """Raise PatternError unless ``k`` divides ``banks`` and both are in range."""
    if not 1 <= banks <= MAX_BANKS:
        raise PatternError(f"{where}: B is {banks}, and must be 1 to {MAX_BANKS}")
    if k < 1 or banks % k:
        raise PatternError(f"{where}: k is {k}, and must divide B, which is {banks}")


def bank_histogram(mask2d: Mask2d, banks: IntArray, count: int) -> npt.NDArray[np.int32]:
    """Return kept weights of each row in each bank, [m, count]. Raises PatternError for banks that do not fit."""
    rows, columns = mask2d.shape
    if banks.shape != (columns,):
        raise PatternError(f"banks have shape {banks.shape}, and must have ({columns},)")
    if columns and (banks.min() < 0 or banks.max() >= count):
        raise PatternError(f"a column lies in bank {int(banks.max())}, and banks are 0 to {count - 1}")
    out = np.zeros((rows, count), dtype=np.int32)
    _kernels.row_bank_counts(np.ascontiguousarray(mask2d), np.ascontiguousarray(banks, dtype=np.int64), out)
    return out


def counts_from_histogram(histogram: npt.NDArray[np.int32], rows_per_bundle: int, k: int, order: IntArray) -> IntArray:
    """Return groups per bundle: max(ceil(largest row count / k), largest bank count)."""
    sorted_rows = histogram[order]
    starts = np.arange(0, len(order), rows_per_bundle)
    in_rows = np.maximum.reduceat(sorted_rows.sum(axis=1, dtype=np.int64), starts)
    in_banks = np.add.reduceat(sorted_rows, starts, axis=0, dtype=np.int64).max(axis=1)
    counts: IntArray = np.maximum(-(-in_rows // k), in_banks)
    return counts


def group_counts(mask2d: Mask2d, banks: IntArray, B: int, k: int, order: IntArray | None = None) -> IntArray:
    """Return the groups of each bundle of mask2d [m, columns], int64 [bundles]: Konig's bound, which is reached.

    banks [columns]: bank of each column. ``order`` [m]: rows as bundles take them, as they are if None.
    """
    check_banks_and_k(B, k, "packing")
    rows = np.arange(mask2d.shape[0], dtype=np.int64) if order is None else order
    return counts_from_histogram(bank_histogram(mask2d, banks, B), B // k, k, rows)


def row_order(mask2d: Mask2d, sort: bool) -> IntArray:
    """Return the rows as they are, or sorted stably by kept count, fewest first: int64 [m]."""
    if not sort:
        return np.arange(mask2d.shape[0], dtype=np.int64)
    return np.argsort(np.count_nonzero(mask2d, axis=1), kind="stable").astype(np.int64)


def pack(
    mask2d: Mask2d, banks: IntArray, B: int, k: int, *, sort: bool = False, order: IntArray | None = None
) -> Packing:
    """Pack mask2d [m, columns] into exactly ``group_counts`` groups per bundle, conflict-free, at most k a row.

    ``order`` overrides ``sort``. Raises PatternError where k does not divide B or a bank does not fit.
    Reference: Konig 1916, edge colouring of bipartite graphs.
    """
    rows = row_order(mask2d, sort) if order is None else np.ascontiguousarray(order, dtype=np.int64)
    if order is not None and not np.array_equal(np.sort(rows), np.arange(mask2d.shape[0])):
        raise PatternError(f"packing: order must hold each of the {mask2d.shape[0]} rows once")
    counts = group_counts(mask2d, banks, B, k, rows)
    kept = int(np.count_nonzero(mask2d))
    packing = Packing(
        group_ptr=np.empty(int(counts.sum()) + 1, dtype=np.int64),
        row=np.empty(kept, dtype=np.int32),
        column=np.empty(kept, dtype=np.int32),
        lane=np.empty(kept, dtype=np.int16),
        bundle_end=np.cumsum(counts),
        order=rows,
        banks=B,
        k=k,
    )
    _packing_kernel.colour_bundles(
        np.ascontiguousarray(mask2d),
        np.ascontiguousarray(banks, dtype=np.int64),
        rows,
        counts,
        B,
        k,
        packing.group_ptr,
        packing.row,
        packing.column,
        packing.lane,
    )
    return packing


def best_packing(mask2d: Mask2d, banks: IntArray, B: int) -> tuple[int, bool]:
    """Return the (k, sort) with the fewest groups over all k that divide B; ties: unsorted first, then smaller k.

    Counts only: nothing is packed.
    """
    check_banks_and_k(B, 1, "packing")
    histogram = bank_histogram(mask2d, banks, B)
    best: tuple[int, int, bool] | None = None
    for sort in (False, True):
        order = row_order(mask2d, sort)
        for k in (divisor for divisor in range(1, B + 1) if B % divisor == 0):
            groups = int(counts_from_histogram(histogram, B // k, k, order).sum())
            if best is None or groups < best[0]:
                best = (groups, k, sort)
    assert best is not None  # 1 divides B
    return best[1], best[2]
