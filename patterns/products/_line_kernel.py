# mypy: disable-error-code="no-untyped-def, misc"
"""Kernels that multiply rows, columns and coordinates of stored weights with x [k, p], read where they lie.

Every kernel adds W x to y [m, p] and returns ``GOOD``, or the entry or line whose number leads outside.
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
def dense(values, v, table, x, y):
    columns = x.shape[0]
    for row in range(y.shape[0]):
        for column in range(columns):
            _add(y, row, _value(values, 0, row * columns + column, v, table), x, column)
    return GOOD


@njit(cache=True, nogil=True)
def rows(values, indices, pointers, level, entries, v, i, p, table, x, y):
    columns = x.shape[0]
    for row in range(y.shape[0]):
        first = _number(pointers, 0, row, p)
        last = first + _number(level, 0, row + 1, p) - _number(level, 0, row, p)
        if first < 0 or last < first or last > entries:
            return row
        for entry in range(first, last):
            column = _number(indices, 0, entry, i)
            if column < 0 or column >= columns:
                return entry
            _add(y, row, _value(values, 0, entry, v, table), x, column)
    return GOOD


@njit(cache=True, nogil=True)
def columns(values, indices, pointers, level, entries, v, i, p, table, x, y):
    row_count = y.shape[0]
    for column in range(x.shape[0]):
        first = _number(pointers, 0, column, p)
        last = first + _number(level, 0, column + 1, p) - _number(level, 0, column, p)
        if first < 0 or last < first or last > entries:
            return column
        for entry in range(first, last):
            row = _number(indices, 0, entry, i)
            if row < 0 or row >= row_count:
                return entry
            _add(y, row, _value(values, 0, entry, v, table), x, column)
    return GOOD


@njit(cache=True, nogil=True)
def coordinates(values, row_indices, column_indices, entries, v, i, table, x, y):
    for entry in range(entries):
        row = _number(row_indices, 0, entry, i)
        column = _number(column_indices, 0, entry, i)
        if row < 0 or row >= y.shape[0] or column < 0 or column >= x.shape[0]:
            return entry
        _add(y, row, _value(values, 0, entry, v, table), x, column)
    return GOOD


@njit(cache=True, nogil=True)
def padded_rows(values, indices, width, v, i, table, x, y):
    columns = x.shape[0]
    for row in range(y.shape[0]):
        for entry in range(row * width, (row + 1) * width):
            column = _number(indices, 0, entry, i)
            if column == columns:
                continue
            if column < 0 or column > columns:
                return entry
            _add(y, row, _value(values, 0, entry, v, table), x, column)
    return GOOD
