# mypy: disable-error-code="no-untyped-def, misc"
"""Kernels that multiply blocks and 3x3 kernels of stored weights with x [k, p], read where they lie.

Every kernel adds W x to y [m, p] and returns ``GOOD``, or the entry or row whose number leads outside.
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
def blocks(values, indices, pointers, level, entries, height, width, v, i, p, table, x, y):
    rows, columns = y.shape[0], x.shape[0]
    for block_row in range((rows + height - 1) // height):
        first = _number(pointers, 0, block_row, p)
        last = first + _number(level, 0, block_row + 1, p) - _number(level, 0, block_row, p)
        if first < 0 or last < first or last > entries:
            return block_row
        for entry in range(first, last):
            block_column = _number(indices, 0, entry, i)
            if block_column < 0 or block_column >= (columns + width - 1) // width:
                return entry
            for row in range(block_row * height, min(rows, (block_row + 1) * height)):
                slot = (entry * height + row - block_row * height) * width - block_column * width
                for column in range(block_column * width, min(columns, (block_column + 1) * width)):
                    _add(y, row, _value(values, 0, slot + column, v, table), x, column)
    return GOOD


@njit(cache=True, nogil=True)
def kernels(values, indices, shape_ids, pointers, level, entries, taps, v, i, p, table, x, y):
    """taps [8, 4]: those of each shape; columns lie tap by tap."""
    channels = x.shape[0] // 9
    kept = taps.shape[1]
    for row in range(y.shape[0]):
        first = _number(pointers, 0, row, p)
        last = first + _number(level, 0, row + 1, p) - _number(level, 0, row, p)
        if first < 0 or last < first or last > entries:
            return row
        for entry in range(first, last):
            channel = _number(indices, 0, entry, i)
            if channel < 0 or channel >= channels:
                return entry
            shape = _number(shape_ids, 0, entry, 3)
            for slot in range(kept):
                weight = _value(values, 0, entry * kept + slot, v, table)
                _add(y, row, weight, x, taps[shape, slot] * channels + channel)
    return GOOD
