# mypy: disable-error-code="no-untyped-def, misc"
"""Kernels whose time is the memory's: reads, copies, and a chain whose cycles are known."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def read(words, rounds):
    """Return the exclusive or of all ``words`` int64, read ``rounds`` times; the compiler makes vectors of it."""
    total = np.int64(0)
    for turn in range(rounds):
        once = np.int64(turn)
        for place in range(words.size):
            once ^= words[np.uintp(place)]
        total += once
    return total


@njit(cache=True, nogil=True)
def copy(words, target, rounds):
    """Copy ``words`` to ``target``, ``rounds`` times, a word changed each time so that no round is left out."""
    for turn in range(rounds):
        words[0] = turn
        for place in range(words.size):
            at = np.uintp(place)
            target[at] = words[at]


@njit(cache=True, nogil=True)
def chain(steps, factor, summand):
    """Return the end of a chain of ``steps`` dependent multiplications and additions."""
    value = np.int64(1)
    for _ in range(steps):
        value = value * factor + summand
    return value
