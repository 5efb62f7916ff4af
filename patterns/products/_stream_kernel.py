# mypy: disable-error-code="no-untyped-def, misc"
"""Kernels that multiply streams without pointers with x [k, p]: bitmap, runs of zeros and N:M, read where they lie.

Every kernel adds W x to y [m, p] and returns ``GOOD``, or the entry whose number leads outside.
"""

from __future__ import annotations

import numpy as np
from numba import njit

GOOD = -1


@njit(cache=True, nogil=True)
def _odd_number(data, start, place, bits):
    """Return what ``_number`` does, for any width; apart, so that the usual widths become a few instructions."""
    bit = place * bits
    number = np.int64(0)
    done = 0
    while done < bits:
        inside = bit & 7
        take = min(8 - inside, bits - done)
        number |= np.int64((data[np.uintp(start + (bit >> 3))] >> inside) & ((1 << take) - 1)) << done
        bit += take
        done += take
    return number


@njit(cache=True, nogil=True)
def _number(data, start, place, bits):
    """Return field ``place`` of ``bits`` bits of the fields from byte ``start`` on. The same in each kernel file.

    Indices are unsigned, for which no code is made that looks for negative ones.
    """
    if bits == 8:
        return np.int64(data[np.uintp(start + place)])
    if bits == 16:
        at = np.uintp(start + 2 * place)
        return np.int64(data[at]) | np.int64(data[at + np.uintp(1)]) << 8
    if bits == 32:
        at = np.uintp(start + 4 * place)
        low = np.int64(data[at]) | np.int64(data[at + np.uintp(1)]) << 8
        return low | np.int64(data[at + np.uintp(2)]) << 16 | np.int64(data[at + np.uintp(3)]) << 24
    return _odd_number(data, start, place, bits)


@njit(cache=True, nogil=True)
def _value(data, start, place, bits, table):
    """Return weight ``place`` as a number of table's type: table[code], or the code itself as a float32."""
    code = _number(data, start, place, bits)
    if bits > 16:
        return np.uint32(code).view(table.dtype)
    return table[np.uintp(code)]


@njit(cache=True, nogil=True)
def _add(y, row, weight, x, column):
    """Add weight times x[column] to y[row]. Rows are not cut out as arrays: that would count references."""
    to = np.uintp(row)
    of = np.uintp(column)
    for position in range(y.shape[1]):
        q = np.uintp(position)
        y[to, q] += weight * x[of, q]


@njit(cache=True, nogil=True)
def bitmap(bits, values, entries, v, table, x, y):
    columns = x.shape[0]
    entry = 0
    for row in range(y.shape[0]):
        for place in range(row * columns, (row + 1) * columns):
            if bits[place >> 3] >> (place & 7) & 1:
                if entry == entries:
                    return entry
                _add(y, row, _value(values, 0, entry, v, table), x, place - row * columns)
                entry += 1
    return GOOD


@njit(cache=True, nogil=True)
def runs(values, run_lengths, entries, v, i, table, x, y):
    """An inserted zero adds 0 x: it is multiplied, as the machine that stores it does."""
    columns = x.shape[0]
    row = 0
    column = -1
    for entry in range(entries):
        run = _number(run_lengths, 0, entry, i)
        if run < 0 or run >= y.shape[0] * columns:
            return entry
        column += run + 1
        while column >= columns:
            column -= columns
            row += 1
        if row >= y.shape[0]:
            return entry
        _add(y, row, _value(values, 0, entry, v, table), x, column)
    return GOOD


@njit(cache=True, nogil=True)
def segments(values, indices, n, m, index_bits, v, table, x, y):
    """An empty slot adds 0 x, and nothing where its index is past the segment's columns."""
    columns = x.shape[0]
    entry = 0
    for row in range(y.shape[0]):
        for start in range(0, columns, m):
            held = min(m, columns - start)
            for _ in range(min(n, held)):
                place = _number(indices, 0, entry, index_bits)
                if place < held:
                    _add(y, row, _value(values, 0, entry, v, table), x, start + place)
                entry += 1
    return GOOD
