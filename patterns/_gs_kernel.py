# mypy: disable-error-code="no-untyped-def, misc"
"""The kernels of the GS(B, k) projections: heaps of unused weights, one for each row and bank (a cell) of a bundle.

A key is the score's bits above the inverted column, so that keys order by score, then by lowest column. A cell's kept
weights lie behind its heap, the smallest first. ``gs_greedy`` is the paper's projection, ``gs_optimal`` the
transportation problem by successive shortest paths. Twins: tests/reference/gs_projection.py. Left out: any sum of
floats; the optimum is of integers (``_value``).
"""

from __future__ import annotations

import numpy as np
from numba import njit

MAGNITUDE = np.uint32(0x7FFFFFFF)  # -0.0 is 0.0
LAST = np.uint64(0xFFFFFFFF)
NO_KEY = np.uint64(0)
INFINITE = np.uint32(0x7F800000)
FAR = np.int64(1 << 62)


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
def _augment(keys, unused, held, rows, source, groups, bank_start, out, row_of, bank_kept, queue, via, seen):
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
                if not seen[other] and unused[other, bank] < held[other, bank]:
                    seen[other] = True
                    via[other] = bank
                    queue[tail, 0] = other
                    queue[tail, 1] = head
                    tail += 1
        head += 1
    return False


@njit(cache=True, nogil=True)
def _load(bits, allowed, column_order, bank_start, row_of, keys, unused, held):
    """Make the heaps of one bundle from the allowed weights of its rows; returns the largest finite score's bits."""
    top = np.uint32(0)
    for r in range(row_of.size):
        source = row_of[r]
        for bank in range(bank_start.size - 1):
            start = bank_start[bank]
            size = 0
            for i in range(start, bank_start[bank + 1]):
                column = column_order[i]
                if allowed[source, column]:
                    score = bits[source, column] & MAGNITUDE
                    if top < score < INFINITE:
                        top = score
                    keys[r, start + size] = (np.uint64(score) << np.uint64(32)) | (LAST - np.uint64(column))
                    size += 1
            held[r, bank] = size
            unused[r, bank] = size
            for node in range(size // 2 - 1, -1, -1):
                _sift_down(keys[r], start, size, node)
    return top


@njit(cache=True, nogil=True)
def gs_greedy(bits, allowed, column_order, bank_start, row_order, groups, rows_per_bundle, k, out):
    """Fill out [m, k] bool with the greedy GS(B, k) projection; out starts False. DESIGN section 3.

    bits [m, k] uint32; allowed [m, k] bool: weights that may be kept. column_order [k]: columns sorted by bank, those
    of bank b at bank_start[b] : bank_start[b + 1]. row_order [m]: rows as bundles take them. groups [bundles]: groups
    of each bundle. Slots that the greedy choice leaves empty are filled by exchanges as long as rows and banks have
    weights for it.
    """
    rows_total, columns = bits.shape
    banks = bank_start.size - 1
    keys = np.empty((rows_per_bundle, columns), dtype=np.uint64)
    unused = np.empty((rows_per_bundle, banks), dtype=np.int64)
    held = np.empty((rows_per_bundle, banks), dtype=np.int64)
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
        _load(bits, allowed, column_order, bank_start, row_of, keys, unused, held)
        row_kept[:] = 0
        bank_kept[:] = 0
        for _ in range(groups[bundle]):
            _fill_group(keys, unused, rows, k, bank_start, out, row_of, row_kept, bank_kept, bank_used, wants, best)
        for r in range(rows):
            while row_kept[r] < k * groups[bundle]:
                if not _augment(
                    keys, unused, held, rows, r, groups[bundle], bank_start, out, row_of, bank_kept, queue, via, seen
                ):
                    break
                row_kept[r] += 1


@njit(cache=True, nogil=True)
def _value(key, exponent, shift, infinite):
    """Return a key's score as an integer: its 24-bit mantissa, shifted; ``exponent`` is the bundle's largest.

    Exact where the score is at least 2^-shift of the bundle's largest, rounded down below; never 0 unless the score is.
    Infinity counts more than any exchange of finite scores can bring.
    """
    score = np.int64(key >> np.uint64(32))
    if score == 0:
        return np.int64(0)
    own = score >> 23
    if own == 255:
        return infinite
    mantissa = score & 0x7FFFFF
    if own:
        mantissa |= 1 << 23
    else:
        own = np.int64(1)  # a subnormal
    places = shift - (exponent - own)
    if places >= 0:
        return mantissa << places
    return max(np.int64(1), mantissa >> min(-places, 63))


@njit(cache=True, nogil=True)
def _refresh(keys, unused, held, row, bank, bank_start, exponent, shift, infinite, gain, loss):
    """Set what the next weight of a cell would bring (-1: there is none) and its last one cost (FAR: none)."""
    at = bank_start[bank] + unused[row, bank]
    gain[row, bank] = _value(keys[row, bank_start[bank]], exponent, shift, infinite) if unused[row, bank] else -1
    loss[row, bank] = _value(keys[row, at], exponent, shift, infinite) if unused[row, bank] < held[row, bank] else FAR


@njit(cache=True, nogil=True)
def _search(gain, loss, rows, bank_kept, groups, cost, before, waiting, queue):
    """Find the cheapest way to take one weight out of some bank that has too many; returns the node where it ends.

    Nodes: rows, then banks. From a bank to a row: the row drops its smallest weight there. From a row to a bank: it
    keeps its next one there. Ends in a bank with room or, where none is reached, in a row, which stays one short.
    There is no circle of negative cost, so that costs settle (Bellman-Ford, a queue of changed nodes).
    """
    banks = bank_kept.size
    nodes = rows + banks
    cost[:nodes] = FAR
    waiting[:nodes] = False
    head, size = 0, 0
    for bank in range(banks):
        if bank_kept[bank] > groups:
            cost[rows + bank] = 0
            before[rows + bank] = -1
            waiting[rows + bank] = True
            queue[size] = rows + bank
            size += 1
    while size:
        node = queue[head]
        head = head + 1 if head + 1 < nodes else 0
        size -= 1
        waiting[node] = False
        if node < rows:
            first, count = rows, banks
        elif bank_kept[node - rows] < groups:
            continue  # ends here: to go on would be a circle through what all banks drain into
        else:
            first, count = 0, rows
        for i in range(count):
            if node < rows:
                if gain[node, i] < 0:
                    continue
                there = cost[node] - gain[node, i]
            else:
                if loss[i, node - rows] == FAR:
                    continue
                there = cost[node] + loss[i, node - rows]
            if there < cost[first + i]:
                cost[first + i] = there
                before[first + i] = node
                if not waiting[first + i]:
                    waiting[first + i] = True
                    place = head + size
                    queue[place if place < nodes else place - nodes] = first + i
                    size += 1
    end = -1
    for bank in range(banks):
        if bank_kept[bank] < groups and cost[rows + bank] < FAR and (end < 0 or cost[rows + bank] < cost[end]):
            end = rows + bank
    if end < 0:
        for r in range(rows):
            if cost[r] < FAR and (end < 0 or cost[r] < cost[end]):
                end = r
    return end


@njit(cache=True, nogil=True)
def gs_optimal(bits, allowed, column_order, bank_start, row_order, groups, rows_per_bundle, k, out):
    """Fill out [m, k] bool with the GS(B, k) mask of most slots and, among those, most score; arguments as gs_greedy.

    Every row first takes its largest k x groups weights: the best choice while banks have no limit. Then the banks
    with more than ``groups`` are relieved one weight at a time along a cheapest path, which keeps the choice the best
    for the limits met so far (successive shortest paths).
    """
    rows_total, columns = bits.shape
    banks = bank_start.size - 1
    nodes = rows_per_bundle + banks
    keys = np.empty((rows_per_bundle, columns), dtype=np.uint64)
    unused = np.empty((rows_per_bundle, banks), dtype=np.int64)
    held = np.empty((rows_per_bundle, banks), dtype=np.int64)
    gain = np.empty((rows_per_bundle, banks), dtype=np.int64)
    loss = np.empty((rows_per_bundle, banks), dtype=np.int64)
    bank_kept = np.empty(banks, dtype=np.int64)
    bank_open = np.zeros(banks, dtype=np.bool_)
    cost = np.empty(nodes, dtype=np.int64)
    before = np.empty(nodes, dtype=np.int64)
    waiting = np.empty(nodes, dtype=np.bool_)
    queue = np.empty(nodes, dtype=np.int64)
    turns = 2 * rows_per_bundle + 2  # a path visits no row twice: so many weights change at most, and one more
    bits_of_turns = 0
    while turns >> bits_of_turns:
        bits_of_turns += 1
    shift = max(0, 60 - 2 * bits_of_turns - 24)  # a path's cost stays below FAR, an infinite score on it or not
    infinite = np.int64(turns) << (24 + shift)
    for bundle in range(groups.size):
        limit = groups[bundle]
        if limit == 0:
            continue
        first = bundle * rows_per_bundle
        rows = min(rows_per_bundle, rows_total - first)
        row_of = row_order[first : first + rows]
        top = _load(bits, allowed, column_order, bank_start, row_of, keys, unused, held)
        exponent = max(np.int64(1), np.int64(top) >> 23)
        bank_kept[:] = 0
        for r in range(rows):
            if rows_per_bundle == 1:  # a bank is limited on its own: its largest
                for bank in range(banks):
                    for _ in range(min(limit, held[r, bank])):
                        _take(keys, unused, r, bank, bank_start, out, row_of[r])
                continue
            for _ in range(min(k * limit, held[r].sum())):
                bank = _best_bank(keys, unused, r, bank_start, bank_open)
                _take(keys, unused, r, bank, bank_start, out, row_of[r])
                bank_kept[bank] += 1
        surplus = 0
        for bank in range(banks):
            surplus += max(0, bank_kept[bank] - limit)
        if surplus == 0:
            continue
        for r in range(rows):
            for bank in range(banks):
                _refresh(keys, unused, held, r, bank, bank_start, exponent, shift, infinite, gain, loss)
        for _ in range(surplus):
            node = _search(gain, loss, rows, bank_kept, limit, cost, before, waiting, queue)
            if node >= rows:
                bank_kept[node - rows] += 1
            while True:
                if node < rows:
                    bank = before[node] - rows
                    _give_back(keys, unused, node, bank, bank_start, out, row_of[node])
                    _refresh(keys, unused, held, node, bank, bank_start, exponent, shift, infinite, gain, loss)
                elif before[node] < 0:
                    bank_kept[node - rows] -= 1
                    break
                else:
                    r = before[node]
                    _take(keys, unused, r, node - rows, bank_start, out, row_of[r])
                    _refresh(keys, unused, held, r, node - rows, bank_start, exponent, shift, infinite, gain, loss)
                node = before[node]
