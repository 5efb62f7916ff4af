# mypy: disable-error-code="no-untyped-def, misc"
"""The largest N of M in rows and columns at once of each M x M tile: a transportation problem, solved exactly.

The scores of a tile become whole numbers (41 bits below the tile's largest finite one), so that no sum is rounded and
every comparison is exact. Full tiles of 4 x 4 with N = 2 try all 90 masks; others send one unit after another along
the cheapest path (Dijkstra with potentials). Left out: any meaning. Twin: tests/properties/test_tile_masks.py.
"""

from __future__ import annotations

import numpy as np
from numba import njit

SCALE = np.int64(1) << 40
FAR = np.int64(1) << 62


@njit(cache=True, nogil=True)
def _whole_numbers(scores, allowed, first_row, first_column, weight):
    """weight [r, c] int64: 0 where not allowed, then rising with the score; one infinite beats all finite together."""
    rows, columns = weight.shape
    most = 0.0
    for i in range(rows):
        for j in range(columns):
            value = np.float64(scores[first_row + i, first_column + j])
            if allowed[first_row + i, first_column + j] and most < value < np.inf:
                most = value
    for i in range(rows):
        for j in range(columns):
            value = np.float64(scores[first_row + i, first_column + j])
            if not allowed[first_row + i, first_column + j]:
                weight[i, j] = 0
            elif value == np.inf:
                weight[i, j] = (rows * columns + 1) * 2 * SCALE
            elif value > 0:
                weight[i, j] = 2 + np.int64(value / most * SCALE)
            else:
                weight[i, j] = 1


@njit(cache=True, nogil=True)
def _best_of_90(weight, pairs, masks):
    """Return the place in masks [90, 4] of the heaviest: a mask names for each row one of the pairs [6, 2]."""
    of_pair = np.empty((4, 6), dtype=np.int64)
    for i in range(4):
        for p in range(6):
            of_pair[i, p] = weight[i, pairs[p, 0]] + weight[i, pairs[p, 1]]
    best, most = 0, np.int64(-1)
    for at in range(masks.shape[0]):
        total = (
            of_pair[0, masks[at, 0]] + of_pair[1, masks[at, 1]] + of_pair[2, masks[at, 2]] + of_pair[3, masks[at, 3]]
        )
        if total > most:
            best, most = at, total
    return best


@njit(cache=True, nogil=True)
def _cheapest_path(weight, used, filled, cap, source, near, far, from_near, from_far, price_near, price_far):
    """Find the cheapest path from ``source`` to a far node with room; return that node and its distance.

    near, far: distances, FAR where not reached; prices make every reduced cost at least 0.
    """
    sources, targets = weight.shape
    near[:] = FAR
    far[:] = FAR
    done_near = np.zeros(sources, dtype=np.bool_)
    done_far = np.zeros(targets, dtype=np.bool_)
    near[source] = 0
    end, end_cost = -1, FAR
    while True:
        at, cost, is_far = -1, end_cost, False
        for s in range(sources):
            if not done_near[s] and near[s] < cost:
                at, cost, is_far = s, near[s], False
        for t in range(targets):
            if not done_far[t] and far[t] < cost:
                at, cost, is_far = t, far[t], True
        if at < 0:
            return end, end_cost
        if is_far:
            done_far[at] = True
            if filled[at] < cap and cost + price_far[at] < end_cost:
                end, end_cost = at, cost + price_far[at]
            for s in range(sources):
                if used[s, at] and not done_near[s]:
                    step = cost + weight[s, at] - price_near[s] + price_far[at]
                    if step < near[s]:
                        near[s] = step
                        from_near[s] = at
        else:
            done_near[at] = True
            for t in range(targets):
                if not used[at, t] and not done_far[t]:
                    step = cost - weight[at, t] + price_near[at] - price_far[t]
                    if step < far[t]:
                        far[t] = step
                        from_far[t] = at


@njit(cache=True, nogil=True)
def transport(weight, supply, cap, used):
    """used [s, t] bool: ``supply`` of each row of weight [s, t] int64, at most ``cap`` of a column, the heaviest such.

    s x supply must not exceed t x cap.
    """
    sources, targets = weight.shape
    used[:, :] = False
    filled = np.zeros(targets, dtype=np.int64)
    price_near, price_far = np.zeros(sources, dtype=np.int64), np.zeros(targets, dtype=np.int64)
    near, far = np.empty(sources, dtype=np.int64), np.empty(targets, dtype=np.int64)
    from_near, from_far = np.empty(sources, dtype=np.int64), np.empty(targets, dtype=np.int64)
    for source in range(sources):
        price = -FAR
        for t in range(targets):
            price = max(price, price_far[t] + weight[source, t])
        price_near[source] = price
        for _ in range(supply):
            end, cost = _cheapest_path(
                weight, used, filled, cap, source, near, far, from_near, from_far, price_near, price_far
            )
            for s in range(source + 1):
                price_near[s] += min(near[s] - cost, 0)
            for t in range(targets):
                price_far[t] += min(far[t] - cost, 0)
            filled[end] += 1
            while True:
                s = from_far[end]
                used[s, end] = True
                if s == source:
                    break
                end = from_near[s]
                used[s, end] = False


@njit(cache=True, nogil=True)
def keep_in_tiles(scores, allowed, n, m, pairs, masks, out):
    """out [rows, k] bool: of each m x m tile the heaviest n of each row and column, less what is not allowed.

    scores [rows, k] float32 at least 0; allowed [rows, k] bool; pairs [6, 2] and masks [90, 4] int64: all masks of a
    4 x 4 tile with 2. A tile of r < m rows or c < m columns keeps min(r min(n, c), c min(n, r)), at most n of each.
    """
    rows, columns = scores.shape
    for first_row in range(0, rows, m):
        high = min(m, rows - first_row)
        for first_column in range(0, columns, m):
            wide = min(m, columns - first_column)
            weight = np.empty((high, wide), dtype=np.int64)
            _whole_numbers(scores, allowed, first_row, first_column, weight)
            in_row, in_column = min(n, wide), min(n, high)
            used = np.zeros((high, wide), dtype=np.bool_)
            if m == 4 and n == 2 and high == 4 and wide == 4:
                best = _best_of_90(weight, pairs, masks)
                for i in range(4):
                    used[i, pairs[masks[best, i], 0]] = True
                    used[i, pairs[masks[best, i], 1]] = True
            elif high * in_row <= wide * in_column:
                transport(weight, in_row, in_column, used)
            else:
                turned = np.zeros((wide, high), dtype=np.bool_)
                transport(np.ascontiguousarray(weight.T), in_column, in_row, turned)
                used[:, :] = turned.T
            for i in range(high):
                for j in range(wide):
                    out[first_row + i, first_column + j] = used[i, j] and allowed[first_row + i, first_column + j]
