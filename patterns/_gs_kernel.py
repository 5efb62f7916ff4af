# mypy: disable-error-code="no-untyped-def, misc"
"""The kernel of the greedy GS(B, k) projection: heaps of unused weights, one for each row and bank of a bundle.

A key is the score's bits above the inverted column, so that keys order by score, then by lowest column. Its naive twin
is in tests/properties. Left out: the optimal projection.
"""

from __future__ import annotations

import numpy as np
from numba import njit

MAGNITUDE = np.uint32(0x7FFFFFFF)  # -0.0 is 0.0
LAST = np.uint64(0xFFFFFFFF)
NO_KEY = np.uint64(0)


@njit(cache=True, nogil=True)
def _sift_down(keys, start, size, node):
    """Restore the max-heap keys[start : start + size] where only ``node`` may be too small."""
    key = keys[start + node]
    while True:
        child = 2 * node + 1
        if child >= size:
            break
        if child + 1 < size and keys[start + child + 1] > keys[start + child]:
            child += 1
        if keys[start + child] <= key:
            break
        keys[start + node] = keys[start + child]
        node = child
    keys[start + node] = key


@njit(cache=True, nogil=True)
def _take(keys, unused, row, bank, bank_start, out, out_row):
    """Keep the largest unused weight of a cell: it moves behind the cell's heap, where the last one taken is first."""
    start = bank_start[bank]
    size = unused[row, bank] - 1
    key = keys[row, start]
    keys[row, start] = keys[row, start + size]
    keys[row, start + size] = key
    unused[row, bank] = size
    if size > 1:
        _sift_down(keys[row], start, size, 0)
    out[out_row, np.int64(LAST - (key & LAST))] = True


@njit(cache=True, nogil=True)
def _give_back(keys, unused, row, bank, bank_start, out, out_row):
    """Drop the weight of a cell that was taken last, which is its smallest kept one, back onto its heap."""
    start = bank_start[bank]
    node = unused[row, bank]
    key = keys[row, start + node]
    unused[row, bank] = node + 1
    out[out_row, np.int64(LAST - (key & LAST))] = False
    while node > 0:
        parent = (node - 1) // 2
        if keys[row, start + parent] >= key:
            break
        keys[row, start + node] = keys[row, start + parent]
        node = parent
    keys[row, start + node] = key


@njit(cache=True, nogil=True)
def _best_bank(keys, unused, row, bank_start, bank_used):
    """Return the unused bank in which the row's largest unused weight lies, or -1."""
    best = -1
    best_key = NO_KEY
    for bank in range(bank_used.size):
        if not bank_used[bank] and unused[row, bank] > 0:
            key = keys[row, bank_start[bank]]
            if key > best_key:
                best_key = key
                best = bank
    return best


@njit(cache=True, nogil=True)
def _fill_group(keys, unused, rows, k, bank_start, out, row_of, row_kept, bank_kept, bank_used, wants, best):
    """Build one group greedily: the largest unused weight over rows that want one and banks not yet used, B times."""
    bank_used[:] = False
    for r in range(rows):
        wants[r] = k
        best[r] = _best_bank(keys, unused, r, bank_start, bank_used)
    for _ in range(bank_used.size):
        chosen = -1
        chosen_key = NO_KEY
        for r in range(rows):
            if wants[r] > 0 and best[r] >= 0:
                key = keys[r, bank_start[best[r]]]
                if key > chosen_key:
                    chosen_key = key
                    chosen = r
        if chosen < 0:
            return
        bank = best[chosen]
        _take(keys, unused, chosen, bank, bank_start, out, row_of[chosen])
        row_kept[chosen] += 1
        bank_kept[bank] += 1
        wants[chosen] -= 1
        bank_used[bank] = True
        for r in range(rows):
            if wants[r] > 0 and best[r] == bank:
                best[r] = _best_bank(keys, unused, r, bank_start, bank_used)


@njit(cache=True, nogil=True)
def _augment(keys, unused, rows, source, groups, bank_start, out, row_of, bank_kept, queue, via, seen):
    """Give row ``source`` one more weight along a shortest alternating path to a bank with room; False if none is.

    A path is: keep a new weight of the row in a full bank, drop another row's weight there, which then looks for a new
    one, and so on. via [rows]: the bank through which the search reached the row.
    """
    seen[:rows] = False
    seen[source] = True
    queue[0, 0] = source
    queue[0, 1] = -1
    head, tail = 0, 1
    while head < tail:
        row = queue[head, 0]
        for bank in range(bank_kept.size):
            if unused[row, bank] == 0:
                continue
            if bank_kept[bank] < groups:
                bank_kept[bank] += 1
                at = head
                to = bank
                while True:
                    current = queue[at, 0]
                    _take(keys, unused, current, to, bank_start, out, row_of[current])
                    if queue[at, 1] < 0:
                        return True
                    to = via[current]
                    _give_back(keys, unused, current, to, bank_start, out, row_of[current])
                    at = queue[at, 1]
            for other in range(rows):
                if not seen[other] and unused[other, bank] < bank_start[bank + 1] - bank_start[bank]:
                    seen[other] = True
                    via[other] = bank
                    queue[tail, 0] = other
                    queue[tail, 1] = head
                    tail += 1
        head += 1
    return False


@njit(cache=True, nogil=True)
def gs_project(bits, column_order, bank_start, row_order, groups, rows_per_bundle, k, out):
    """Fill out [m, k] bool with the greedy GS(B, k) projection; out starts False. DESIGN section 3.

    column_order [k]: columns sorted by bank, those of bank b at bank_start[b] : bank_start[b + 1]. row_order [m]: rows
    as bundles take them. groups [bundles]: groups of each bundle. Slots that the greedy choice leaves empty are filled
    by exchanges as long as rows and banks have weights for it.
    """
    rows_total, columns = bits.shape
    banks = bank_start.size - 1
    keys = np.empty((rows_per_bundle, columns), dtype=np.uint64)
    unused = np.empty((rows_per_bundle, banks), dtype=np.int64)
    row_kept = np.empty(rows_per_bundle, dtype=np.int64)
    wants = np.empty(rows_per_bundle, dtype=np.int64)
    best = np.empty(rows_per_bundle, dtype=np.int64)
    via = np.empty(rows_per_bundle, dtype=np.int64)
    seen = np.empty(rows_per_bundle, dtype=np.bool_)
    queue = np.empty((rows_per_bundle, 2), dtype=np.int64)
    bank_kept = np.empty(banks, dtype=np.int64)
    bank_used = np.empty(banks, dtype=np.bool_)
    for bundle in range(groups.size):
        if groups[bundle] == 0:
            continue
        first = bundle * rows_per_bundle
        rows = min(rows_per_bundle, rows_total - first)
        row_of = row_order[first : first + rows]
        for r in range(rows):
            source = row_of[r]
            for i in range(columns):
                column = column_order[i]
                score = np.uint64(bits[source, column] & MAGNITUDE)
                keys[r, i] = (score << np.uint64(32)) | (LAST - np.uint64(column))
            for bank in range(banks):
                start = bank_start[bank]
                size = bank_start[bank + 1] - start
                unused[r, bank] = size
                for node in range(size // 2 - 1, -1, -1):
                    _sift_down(keys[r], start, size, node)
        row_kept[:] = 0
        bank_kept[:] = 0
        for _ in range(groups[bundle]):
            _fill_group(keys, unused, rows, k, bank_start, out, row_of, row_kept, bank_kept, bank_used, wants, best)
        for r in range(rows):
            while row_kept[r] < k * groups[bundle]:
                if not _augment(
                    keys, unused, rows, r, groups[bundle], bank_start, out, row_of, bank_kept, queue, via, seen
                ):
                    break
                row_kept[r] += 1
