"""Numba kernels of sparse products with one vector: slots of each row, and blocks handed to units as they come free."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def count_slots(mask, longest, kept, slots):
    """Fill ``kept`` and ``slots`` [rows] from ``mask`` [rows, k], 0 or 1: a stored zero for each whole ``longest`` + 1
    columns without a kept weight, at the end of a row too."""
    rows, k = mask.shape
    for row in range(rows):
        run = 0
        count = 0
        inserted = 0
        for column in range(k):
            if mask[row, column]:
                inserted += run // (longest + 1)
                count += 1
                run = 0
            else:
                run += 1
        kept[row] = count
        slots[row] = count + inserted + run // (longest + 1)


@njit(cache=True)
def count_slots_by_words(words, longest, kept, slots):
    """As ``count_slots``, from words [rows, k / 8] of eight little-endian columns each; runs must exceed 7."""
    rows, per_row = words.shape
    ones = np.uint64(0x0101010101010101)
    eight, lowest = np.uint64(8), np.uint64(0xFF)
    for row in range(rows):
        run, count, inserted = 0, np.int64(0), 0
        for at in range(per_row):
            word = words[row, at]
            if word == np.uint64(0):
                run += 8
                continue
            count += np.int64((word * ones) >> np.uint64(56))
            if run + 8 > longest:
                first = word
                while (first & lowest) == np.uint64(0):
                    run += 1
                    first >>= eight
                inserted += run // (longest + 1)
            run = 0
            while (word >> np.uint64(56)) == np.uint64(0):
                run += 1
                word <<= eight
        kept[row] = count
        slots[row] = count + inserted + run // (longest + 1)


@njit(cache=True)
def makespan(seconds, units, free):
    """Return when the last of the blocks ends that take ``seconds`` [blocks], in order, each on the first free unit.

    ``free`` [units]: scratch, kept as a heap whose first entry is the least.
    """
    for unit in range(units):
        free[unit] = 0.0
    last = 0.0
    for block in range(seconds.size):
        end = free[0] + seconds[block]
        last = max(last, end)
        at = 0
        while True:
            child = 2 * at + 1
            if child >= units:
                break
            if child + 1 < units and free[child + 1] < free[child]:
                child += 1
            if free[child] >= end:
                break
            free[at] = free[child]
            at = child
        free[at] = end
    return last
