"""Ranking of scores, the part that every projection shares: exact counts, ties to the lowest index.

Deterministic at any thread count. Left out: sampling and histograms that approximate a percentile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from patterns import _kernels
from patterns.base import BankOfColumn, Mask, PatternError, Scores

MAX_BANKS = 32767  # a lane is a 16-bit number


def checked_scores(scores: Scores, sparsity: float) -> Scores:
    """Return ``scores`` (groups, m, k) as contiguous float32. Raises PatternError for a shape, a value, a sparsity."""
    if not (math.isfinite(sparsity) and 0 <= sparsity < 1):
        raise PatternError(f"sparsity is {sparsity}, and must be at least 0 and below 1")
    if scores.ndim != 3 or 0 in scores.shape:
        raise PatternError(f"scores have shape {scores.shape}, and must be (groups, m, k), none of them 0")
    array = np.ascontiguousarray(scores, dtype=np.float32)
    if math.isnan(array.max()):
        raise PatternError(f"scores hold {int(np.isnan(array).sum())} NaN, and must be numbers")
    if array.min() < 0:
        raise PatternError(f"scores hold {array.min()}, and must not be negative")
    return array


def kept_count(size: int, sparsity: float) -> int:
    """Return how many of ``size`` items stay at ``sparsity``."""
    return round((1 - sparsity) * size)


def magnitude_bits(scores: Scores) -> npt.NDArray[np.uint32]:
    """Return contiguous float32 scores as the integers that order alike, same shape."""
    return scores.view(np.uint32)


def nth_largest(arrays: Sequence[Scores], count: int) -> tuple[np.uint32, int]:
    """Return the bits of the ``count``-th largest score over all arrays, and how many scores exceed it.

    Two histograms, no copy: the arrays of a whole model need not fit in memory twice. 1 <= count <= sizes' sum.
    """
    flat = [magnitude_bits(array).reshape(-1) for array in arrays]
    high_counts = np.zeros(1 << 16, dtype=np.int64)
    for bits in flat:
        _kernels.count_high(bits, high_counts)
    high, above = _bin_of(high_counts, count)
    low_counts = np.zeros(1 << _kernels.LOW_BITS, dtype=np.int64)
    for bits in flat:
        _kernels.count_low(bits, high, low_counts)
    low, inside = _bin_of(low_counts, count - above)
    return np.uint32((high << _kernels.LOW_BITS) | low), above + inside


def _bin_of(counts: npt.NDArray[np.int64], count: int) -> tuple[int, int]:
    """Return the bin in which the ``count``-th largest lies, and how many lie in the bins above."""
    from_top = np.cumsum(counts[::-1])
    place = int(np.searchsorted(from_top, count))
    return len(counts) - 1 - place, int(from_top[place - 1]) if place else 0


def checked_outer(outer: Mask, scores: Scores) -> Mask:
    """Return ``outer`` contiguous. Raises PatternError unless it is a boolean mask of the shape of ``scores``."""
    if outer.dtype != np.bool_ or outer.shape != scores.shape:
        raise PatternError(
            f"outer mask is {outer.dtype} of shape {outer.shape}, and must be bool of the scores' {scores.shape}"
        )
    return np.ascontiguousarray(outer)


def keep_largest(scores: Scores, count: int) -> Mask:
    """Return a mask of exactly ``count`` largest scores; among equals the lowest indices."""
    out = np.zeros(scores.shape, dtype=np.bool_)
    if count >= scores.size:
        out[...] = True
    elif count > 0:
        threshold, above = nth_largest([scores], count)
        _kernels.keep_above(magnitude_bits(scores).reshape(-1), threshold, count - above, out.reshape(-1))
    return out


def keep_largest_within(scores: Scores, count: int, outer: Mask) -> Mask:
    """Return a mask of the ``count`` largest scores within ``outer``, of all that it has if they are fewer."""
    if outer.all():
        return keep_largest(scores, count)
    out = np.zeros(scores.shape, dtype=np.bool_)
    out[outer] = keep_largest(np.ascontiguousarray(scores[outer]), count)
    return out


def keep_largest_norms(norms: npt.NDArray[np.float64], count: int) -> Mask:
    """Return a mask of exactly ``count`` largest norms (any shape); among equals the lowest indices.

    Norms are 0 or more; one of -1 is not for choice (``within``), and stays out whatever the count.
    """
    flat = norms.reshape(-1)
    count = min(count, int(np.count_nonzero(flat >= 0)))
    if count >= flat.size:
        return np.ones(norms.shape, dtype=np.bool_)
    if count < 1:
        return np.zeros(norms.shape, dtype=np.bool_)
    threshold = np.partition(flat, flat.size - count)[flat.size - count]
    out: Mask = flat > threshold
    ties = np.flatnonzero(flat == threshold)
    out[ties[: count - int(np.count_nonzero(out))]] = True
    return out.reshape(norms.shape)


def within(norms: npt.NDArray[np.float64], allowed: Mask) -> npt.NDArray[np.float64]:
    """Return ``norms`` with -1 where not ``allowed``, as ``keep_largest_norms`` takes them."""
    return np.where(allowed, norms, -1.0)


def resolve_banks(banks: BankOfColumn | None, groups: int, columns: int, count: int) -> BankOfColumn:
    """Return the bank of each column, [groups, columns]; None means column mod ``count``. Raises PatternError."""
    if banks is None:
        return np.broadcast_to(np.arange(columns, dtype=np.int64) % count, (groups, columns))
    if banks.shape not in {(groups, columns), (columns,)}:
        raise PatternError(f"banks have shape {banks.shape}, and must have ({groups}, {columns})")
    if banks.size and (banks.min() < 0 or banks.max() >= count):
        worst = int(banks.min() if banks.min() < 0 else banks.max())
        raise PatternError(f"a column lies in bank {worst}, and banks are 0 to {count - 1}")
    return np.broadcast_to(banks.astype(np.int64, copy=False), (groups, columns))


def first_place(broken: Mask) -> tuple[int, ...]:
    """Return the index of the first True."""
    return tuple(int(place) for place in np.unravel_index(int(np.argmax(broken)), broken.shape))
