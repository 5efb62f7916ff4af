# mypy: disable-error-code="no-untyped-def, misc"
"""Counts over a mask that need its kept columns in order. The plain-Python twin is in tests/unit."""

from __future__ import annotations

from numba import njit


@njit(cache=True, nogil=True)
def gap_counts(mask, out):
    """out [k + 1] int64: how often each gap occurs in mask [m, k]; out starts at zero.

    A gap is the distance to the kept column before it in the same row, for the first one of a row column + 1.
    """
    rows, columns = mask.shape
    for r in range(rows):
        before = -1
        for c in range(columns):
            if mask[r, c]:
                out[c - before] += 1
                before = c
