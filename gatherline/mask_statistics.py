"""How evenly a mask loads rows and banks, and how many bits its indices hold.

Two measures of a kept index, both given how many each row keeps:
*row bound*: sum over rows of log2 C(K, n), over all kept: what a mask needs that is random but for its row counts.
*gap entropy*: -sum p log2 p over the distances between the kept columns of a row (the first from column -1): what an
ideal code for single gaps spends on this very mask. Below the row bound a mask has structure within its rows.
Left out: the table of such a code, structure across rows, and the row counts themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from patterns import _mask_kernel
from patterns.base import BankOfColumn, Mask
from patterns.packing import bank_histogram

BINS = 16  # of a histogram at most

IntArray = npt.NDArray[np.int64]


def load_summary(loads: npt.NDArray[np.integer]) -> dict[str, object]:
    """Return min, mean, max, coefficient of variation (None for a mean of 0) and a histogram of ``loads`` (any shape).

    Bin i counts loads from edges[i] to below edges[i + 1]; bins are equally wide, a whole number.
    """
    flat = np.asarray(loads, dtype=np.int64).reshape(-1)
    low, high, mean = int(flat.min()), int(flat.max()), float(flat.mean())
    width = -(-(high - low + 1) // BINS)
    bins = -(-(high - low + 1) // width)
    return {
        "min": low,
        "mean": mean,
        "max": high,
        "cv": float(flat.std()) / mean if mean else None,
        "bin_edges": [low + width * place for place in range(bins + 1)],
        "bin_counts": np.bincount((flat - low) // width, minlength=bins).tolist(),
    }


def row_loads(mask: Mask) -> IntArray:
    """Return kept weights of each row of mask (groups, m, k), [groups x m]."""
    return np.asarray(np.count_nonzero(mask, axis=2), dtype=np.int64).reshape(-1)


def bank_counts(mask: Mask, banks: BankOfColumn, count: int) -> IntArray:
    """Return kept weights of each bundle of ``count`` rows in each bank, [bundles of all groups, count].

    A last bundle of fewer rows is left out where there are whole ones: its loads are lower for its rows, not its banks.
    """
    bundles = []
    for matrix, of_column in zip(mask, banks, strict=True):
        histogram = bank_histogram(matrix, of_column, count)
        whole = max(1, len(histogram) // count)
        bundles.append(np.add.reduceat(histogram, np.arange(whole) * count, axis=0, dtype=np.int64))
        if len(histogram) > count and len(histogram) % count:
            bundles[-1][-1] -= histogram[whole * count :].sum(axis=0)
    return np.concatenate(bundles)


def bank_summary(mask: Mask, banks: BankOfColumn, count: int) -> dict[str, object]:
    """Return the summary of what each bank holds of each bundle of ``count`` rows, and of the layer's banks in all."""
    per_bank = np.zeros(count, dtype=np.int64)
    for matrix, of_column in zip(mask, banks, strict=True):
        per_bank += np.bincount(of_column, weights=np.count_nonzero(matrix, axis=0), minlength=count).astype(np.int64)
    mean = float(per_bank.mean())
    return {
        "banks": count,
        "bundle_rows": count,
        **load_summary(bank_counts(mask, banks, count)),
        "per_bank": per_bank.tolist(),
        "per_bank_cv": float(per_bank.std()) / mean if mean else None,
    }


def row_bound_bits(kept: Sequence[int] | IntArray, columns: int) -> float | None:
    """Return sum over rows of log2 C(columns, n) over all kept, for rows that keep ``kept``; None for nothing kept."""
    counts, times = np.unique(np.asarray(kept, dtype=np.int64), return_counts=True)
    total = int((counts * times).sum())
    if not total:
        return None
    bits = sum(
        int(often) * (math.lgamma(columns + 1) - math.lgamma(n + 1) - math.lgamma(columns - n + 1))
        for n, often in zip(counts.tolist(), times, strict=True)
    )
    return max(0.0, bits / math.log(2) / total)


def gap_entropy_bits(mask: Mask) -> float | None:
    """Return the entropy of the gaps between kept columns of mask (groups, m, k), bits each; None for nothing kept."""
    counts = np.zeros(mask.shape[2] + 1, dtype=np.int64)
    _mask_kernel.gap_counts(np.ascontiguousarray(mask).reshape(-1, mask.shape[2]), counts)
    total = int(counts.sum())
    if not total:
        return None
    shares = counts[counts > 0] / total
    return max(0.0, -float((shares * np.log2(shares)).sum()))
