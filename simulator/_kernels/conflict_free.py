"""A stream whose groups are each granted in the cycle of their dispatch: group n in cycle ceil(n * num / den).

Arrays and whole numbers; ``num`` / ``den``: cycles a group, at least 1. Leaves out: conflicts of banks (``gather.py``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

IntArray = npt.NDArray[np.int64]


@njit(cache=True, nogil=True)
def last_scatter(bundle_end: IntArray, cost: IntArray, repeats: int, num: int, den: int, busy: int) -> np.int64:
    """Return the end of the last scatter of all repeats, each result ready when its last group is granted.

    ``cost`` [bundles]: turns of the scatter unit, of ``busy`` cycles each. The last scatter ends when a result that was
    ready and all scatters from it on are done. From one repeat to the next this moves by the same amount, but for
    rounding up, so the most of it comes in the first repeat or in the last.
    """
    bundles = len(bundle_end)
    groups = bundle_end[bundles - 1]
    whole = np.int64(0)
    for b in range(bundles):
        whole += cost[b] * busy
    end = left = np.int64(0)
    for b in range(bundles - 1, -1, -1):
        left += cost[b] * busy
        first = bundle_end[b] - 1
        last = first + (repeats - 1) * groups
        end = max(end, (first * num + den - 1) // den + left + (repeats - 1) * whole)
        end = max(end, (last * num + den - 1) // den + left)
    return end


@njit(cache=True, nogil=True)
def most_waiting(pointer: IntArray, stop: int, num: int, den: int, latency: int, bound: int) -> np.int64:
    """Return the most requests of groups dispatched within ``latency`` cycles, of the first ``stop`` groups.

    ``pointer`` [G + 1]: of one repeat; group n has the requests of group n mod G. ``bound``: no such sum is above it.
    """
    groups = len(pointer) - 1
    most = words = np.int64(0)
    whole, part = num // den, num % den
    first = g = 0  # of the oldest group, of the newest, in their repeats
    oldest = cycle = 0  # num * n // den of both, and the remainders
    oldest_rest = rest = 0
    for _ in range(stop):
        now = cycle + (rest > 0)
        words += pointer[g + 1] - pointer[g]
        while oldest + (oldest_rest > 0) <= now - latency:
            words -= pointer[first + 1] - pointer[first]
            first = first + 1 if first + 1 < groups else 0
            oldest, oldest_rest = oldest + whole, oldest_rest + part
            if oldest_rest >= den:
                oldest, oldest_rest = oldest + 1, oldest_rest - den
        most = max(most, words)
        if most == bound:
            break
        g = g + 1 if g + 1 < groups else 0
        cycle, rest = cycle + whole, rest + part
        if rest >= den:
            cycle, rest = cycle + 1, rest - den
    return most
