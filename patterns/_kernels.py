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
def _nth_largest(values, size, count):
    """Return the ``count``-th largest of values [:size] uint32, by quickselect: their order is lost."""
    low, high, place = 0, size - 1, count - 1
    while low < high:
        a, b, c = values[low], values[(low + high) // 2], values[high]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = low, high
        while i <= j:
            while values[i] > pivot:
                i += 1
            while values[j] < pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if place <= j:
            high = j
        elif place >= i:
            low = i
        else:
            break
    return values[place]


@njit(cache=True, nogil=True)
def keep_in_segments(bits, allowed, counts, m, out):
    """out [rows, k] bool: the counts[row] largest allowed of every m consecutive of a row, or all that are allowed.

    bits [rows, k] uint32, allowed [rows, k] bool, counts [rows] int64. Among equals the lowest column stays.
    """
    rows, columns = bits.shape
    values = np.empty(min(m, columns), dtype=np.uint32)
    for r in range(rows):
        for start in range(0, columns, m):
            stop = min(start + m, columns)
            size = 0
            for c in range(start, stop):
                out[r, c] = allowed[r, c]
                if allowed[r, c]:
                    values[size] = bits[r, c] & MAGNITUDE
                    size += 1
            count = counts[r]
            if count >= size:
                continue
            if count == 0:
                out[r, start:stop] = False
                continue
            threshold = _nth_largest(values, size, count)
            ties = count
            for c in range(start, stop):
                if out[r, c] and bits[r, c] & MAGNITUDE > threshold:
                    ties -= 1
            for c in range(start, stop):
                if out[r, c] and bits[r, c] & MAGNITUDE <= threshold:
                    if bits[r, c] & MAGNITUDE == threshold and ties > 0:
                        ties -= 1
                    else:
                        out[r, c] = False


@njit(cache=True, nogil=True)
def punched_energy(scores, height, label, out):
    """out [block rows, labels] float64: sum of squares of scores [m, k] by label [k]; out starts at zero."""
    rows, columns = scores.shape
    for r in range(rows):
        for c in range(columns):
            value = np.float64(scores[r, c])
            out[r // height, label[c]] += value * value


@njit(cache=True, nogil=True)
def punched_kept(mask, height, label, out):
    """out [block rows, labels] int64: kept weights of mask [m, k] by label [k]; out starts at zero."""
    rows, columns = mask.shape
    for r in range(rows):
        for c in range(columns):
            if mask[r, c]:
                out[r // height, label[c]] += 1


@njit(cache=True, nogil=True)
def best_shapes(scores, allowed, shapes, shape, energy):
    """The shape of largest energy of each 3x3 kernel, among those whose taps are all allowed; the first among equals.

    scores [rows, 9 x ci] float32, allowed [rows, 9 x ci] bool, shapes [8, 4] int64. Out: shape [rows, ci] int8 and its
    energy [rows, ci] float64; -1 and -1.0 where no shape is allowed.
    """
    rows, channels = shape.shape
    squares = np.empty(9, dtype=np.float64)
    for r in range(rows):
        for c in range(channels):
            best, most = -1, -1.0
            for tap in range(9):
                value = np.float64(scores[r, tap * channels + c])
                squares[tap] = value * value if allowed[r, tap * channels + c] else -np.inf
            for s in range(shapes.shape[0]):
                total = 0.0
                for t in range(shapes.shape[1]):
                    square = squares[shapes[s, t]]
                    if square < 0:  # not allowed; an infinite score in the shape must not hide it
                        total = -1.0
                        break
                    total += square
                if total > most:
                    best, most = s, total
            shape[r, c] = best
            energy[r, c] = most


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
