"""What the kernels of ``costmodel/_spmv_kernel.py`` must equal, in plain Python, written from their rules."""

from __future__ import annotations

from collections.abc import Sequence


def stored_slots(row: Sequence[bool], longest: int) -> int:
    """Return the slots of one row: walk its columns, and store one where a weight is kept or a run is full."""
    slots = run = 0
    for kept in row:
        if kept or run == longest:
            slots += 1
            run = 0
        else:
            run += 1
    return slots


def last_end(seconds: Sequence[float], units: int) -> float:
    """Return when the last block ends, each in order on the unit that is free first."""
    free = [0.0] * units
    for one in seconds:
        first = free.index(min(free))
        free[first] += one
    return max(free)
