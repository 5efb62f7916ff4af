# mypy: disable-error-code="no-untyped-def, misc"
"""The kernel that packs weights into conflict-free groups: edge colouring of a bipartite multigraph.

Left out: anything but the colouring; how many colours suffice is the caller's sum (``patterns.packing``).
Reference: Konig 1916; alternating paths as in Kempe 1879.
"""

from __future__ import annotations

import numpy as np
from numba import njit

DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)


def _bit_positions() -> np.ndarray:
    table = np.zeros(64, dtype=np.int64)
    for position in range(64):
        table[((1 << position) * int(DE_BRUIJN) & (2**64 - 1)) >> 58] = position
    return table


BIT_POSITION = _bit_positions()


@njit(cache=True, nogil=True)
def _lowest_bit(word):
    return BIT_POSITION[((word & (~word + np.uint64(1))) * DE_BRUIJN) >> np.uint64(58)]


@njit(cache=True, nogil=True)
def _free_colour(free, words):
    """Return the lowest colour in free [words]; there is one."""
    for w in range(words):
        if free[w]:
            return w * 64 + _lowest_bit(free[w])
    return -1


@njit(cache=True, nogil=True)
def _flip(free, colour):
    free[colour >> 6] ^= np.uint64(1) << np.uint64(colour & 63)


@njit(cache=True, nogil=True)
def _colour_edge(edge, lane, bank, edge_lane, edge_bank, at_lane, at_bank, free_lane, free_bank, words):
    """Give ``edge`` a colour free at its lane and its bank, recolouring an alternating path where none is."""
    for w in range(words):
        both = free_lane[lane, w] & free_bank[bank, w]
        if both:
            colour = w * 64 + _lowest_bit(both)
            at_lane[colour, lane] = edge
            at_bank[colour, bank] = edge
            _flip(free_lane[lane], colour)
            _flip(free_bank[bank], colour)
            return
    a = _free_colour(free_lane[lane], words)
    b = _free_colour(free_bank[bank], words)
    # the path of colours a, b, a, ... from the bank never meets the lane: its edges swap colours, and a is free
    moved = at_bank[a, bank]
    at_bank[b, bank] = moved
    old, new = a, b
    while True:
        far = edge_lane[moved]  # the near end is a bank
        pushed = at_lane[new, far]
        at_lane[new, far] = moved
        if pushed < 0:
            at_lane[old, far] = -1
            _flip(free_lane[far], old)
            _flip(free_lane[far], new)
            break
        at_lane[old, far] = pushed
        moved = pushed
        far = edge_bank[moved]  # the near end is a lane
        pushed = at_bank[old, far]
        at_bank[old, far] = moved
        if pushed < 0:
            at_bank[new, far] = -1
            _flip(free_bank[far], old)
            _flip(free_bank[far], new)
            break
        at_bank[new, far] = pushed
        moved = pushed
    at_bank[a, bank] = edge
    at_lane[a, lane] = edge
    _flip(free_bank[bank], b)
    _flip(free_lane[lane], a)


@njit(cache=True, nogil=True)
def colour_bundles(mask, banks, row_order, groups, bank_count, k, group_ptr, row, column, lane):
    """Pack mask [m, k] into ``groups`` [bundles] conflict-free groups each, by edge colouring (Konig's theorem).

    A row is split into k lanes of at most ``groups`` weights; lanes and banks are the two sides of a bipartite
    multigraph, weights its edges, groups its colours. Fills group_ptr [G + 1], row, column and lane [kept].
    """
    rows_total, columns = mask.shape
    rows_per_bundle = bank_count // k
    most = max(1, groups.max())
    capacity = most * bank_count
    edge_lane = np.empty(capacity, dtype=np.int32)
    edge_bank = np.empty(capacity, dtype=np.int32)
    edge_column = np.empty(capacity, dtype=np.int32)
    at_lane = np.empty((most, bank_count), dtype=np.int32)  # one colour's edges lie in one cache line
    at_bank = np.empty((most, bank_count), dtype=np.int32)
    all_words = (most + 63) // 64
    free_lane = np.empty((bank_count, all_words), dtype=np.uint64)
    free_bank = np.empty((bank_count, all_words), dtype=np.uint64)
    done = 0
    group = 0
    group_ptr[0] = 0
    for bundle in range(groups.size):
        colours = groups[bundle]
        if colours == 0:
            continue
        words = (colours + 63) // 64
        at_lane[:colours] = -1
        at_bank[:colours] = -1
        for w in range(words):
            left = colours - w * 64
            full = ~np.uint64(0) if left >= 64 else (np.uint64(1) << np.uint64(left)) - np.uint64(1)
            for node in range(bank_count):
                free_lane[node, w] = full
                free_bank[node, w] = full
        first = bundle * rows_per_bundle
        rows = min(rows_per_bundle, rows_total - first)
        edge = 0
        for r in range(rows):
            source = row_order[first + r]
            taken = 0
            for c in range(columns):
                if mask[source, c]:
                    edge_lane[edge] = r * k + taken % k
                    edge_bank[edge] = banks[c]
                    edge_column[edge] = c
                    _colour_edge(
                        edge,
                        edge_lane[edge],
                        edge_bank[edge],
                        edge_lane,
                        edge_bank,
                        at_lane,
                        at_bank,
                        free_lane,
                        free_bank,
                        words,
                    )
                    edge += 1
                    taken += 1
        for colour in range(colours):
            for slot in range(bank_count):
                edge = at_lane[colour, slot]
                if edge >= 0:
                    row[done] = row_order[first + slot // k]
                    column[done] = edge_column[edge]
                    lane[done] = slot
                    done += 1
            group += 1
            group_ptr[group] = done
