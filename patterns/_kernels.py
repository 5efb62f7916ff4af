# mypy: disable-error-code="no-untyped-def, misc"
"""Kernels that rank and count: arrays in, arrays out. Plain-Python twins are in tests/properties.

Scores enter as the bits of non-negative float32 (``uint32``), which order as the numbers do; the sign bit is ignored,
so that -0.0 is 0.0. Left out: any meaning; rows, columns and banks are numbers here.
"""

from __future__ import annotations

import numpy as np
from numba import njit

MAGNITUDE = np.uint32(0x7FFFFFFF)
LOW_BITS = 15  # of 31: a first histogram over the 16 high bits, a second over the 15 low ones


@njit(cache=True, nogil=True)
def count_high(bits, histogram):
    """Add the 16 high magnitude bits of bits [n] uint32 to histogram [65536] int64."""
    for i in range(bits.size):
        histogram[(bits[i] & MAGNITUDE) >> LOW_BITS] += 1


@njit(cache=True, nogil=True)
def count_low(bits, high, histogram):
    """Add the 15 low bits of those elements whose high bits are ``high`` to histogram [32768] int64."""
    for i in range(bits.size):
        value = bits[i] & MAGNITUDE
        if value >> LOW_BITS == high:
            histogram[value & np.uint32(0x7FFF)] += 1


@njit(cache=True, nogil=True)
def keep_above(bits, threshold, ties, out):
    """out [n] bool: elements above ``threshold`` (uint32), and the first ``ties`` of those equal to it."""
    for i in range(bits.size):
        value = bits[i] & MAGNITUDE
        if value > threshold:
            out[i] = True
        elif value == threshold and ties > 0:
            out[i] = True
            ties -= 1
        else:
            out[i] = False


@njit(cache=True, nogil=True)
def keep_n_of_m(bits, n, m, out):
    """out [rows, k] bool: the n largest of every m consecutive of a row of bits, lowest column first among equals."""
    rows, columns = bits.shape
    for r in range(rows):
        for start in range(0, columns, m):
            stop = min(start + m, columns)
            for c in range(start, stop):
                out[r, c] = False
            for _ in range(min(n, stop - start)):
                best = -1
                for c in range(start, stop):
                    if not out[r, c] and (best < 0 or bits[r, c] & MAGNITUDE > bits[r, best] & MAGNITUDE):
                        best = c
                out[r, best] = True


@njit(cache=True, nogil=True)
def block_energy(scores, height, width, out):
    """out [block rows, block columns] float64: sum of squares of scores [m, k] in each block; out starts at zero."""
    rows, columns = scores.shape
    for r in range(rows):
        for c in range(columns):
            value = np.float64(scores[r, c])
            out[r // height, c // width] += value * value


@njit(cache=True, nogil=True)
def block_kept(mask, height, width, out):
    """out [block rows, block columns] int64: kept weights of mask [m, k] in each block; out starts at zero."""
    rows, columns = mask.shape
    for r in range(rows):
        for c in range(columns):
            if mask[r, c]:
                out[r // height, c // width] += 1


@njit(cache=True, nogil=True)
def row_bank_counts(mask, banks, out):
    """out [m, B] int32: kept weights of each row of mask [m, k] in each bank; out starts at zero."""
    rows, columns = mask.shape
    for r in range(rows):
        for c in range(columns):
            if mask[r, c]:
                out[r, banks[c]] += 1
