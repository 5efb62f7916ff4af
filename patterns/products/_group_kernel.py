# mypy: disable-error-code="no-untyped-def, misc"
"""Kernel that multiplies joined groups of stored weights with x [k, p], read where they lie.

It adds W x to y [m, p] and returns ``GOOD``, or the group or bundle whose number leads outside.
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
def groups(data, pointers, level, order, permuted, entries, banks, k, v, i, p, table, x, y):
    """order: stored row indices, read where ``permuted``. An empty slot has the number of columns as its index."""
    rows, columns = y.shape[0], x.shape[0]
    high = banks // k
    value_bytes = (banks * v + 7) // 8
    group_bytes = value_bytes + (banks * i + 7) // 8
    for bundle in range((rows + high - 1) // high):
        first = _number(pointers, 0, bundle, p)
        last = first + _number(level, 0, bundle + 1, p) - _number(level, 0, bundle, p)
        if first < 0 or last < first or last > entries:
            return bundle
        for group in range(first, last):
            start = group * group_bytes
            for lane in range(banks):
                column = _number(data, start + value_bytes, lane, i)
                if column == columns:
                    continue
                row = bundle * high + lane // k
                if column < 0 or column > columns or row >= rows:
                    return group
                if permuted:
                    row = _number(order, 0, row, i)
                    if row < 0 or row >= rows:
                        return group
                _add(y, row, _value(data, start, lane, v, table), x, column)
    return GOOD
