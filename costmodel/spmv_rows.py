"""What a sparse product with one vector needs to know of a mask: kept weights and stored slots, row by row.

A row of runs stores each kept weight with the zeros before it; a run longer than its field holds gets a stored zero
for each whole field of columns, at the end of a row too (``macko_size``). Everything is counted in the mask itself.
Leaves out: where in a row the weights lie, beyond its runs (``lines_of`` takes its slots as scattered: DEVIATIONS 29).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costmodel import _spmv_kernel
from patterns.base import Mask
from patterns.encodings.base import EncodedSize

Counts = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]
RUN_BITS = 4  # of MACKO: vlejd/macko_spmv media/README.md, "deltas can be stored using 4-bit integers"
LONGEST_RUN = (1 << RUN_BITS) - 1
PADDED_SLOTS = 8  # arrays end on a whole load of a lane: src/macko_spmv/cuda/cpu_compressor.cuh, padded size
POINTER_BYTES = 4  # src/macko_spmv/cuda/cpu_compressor.cuh: an int for each row and one more
_WORD = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Weights ``kept`` and ``slots`` stored in each row, [rows]; the rows of all groups, one group after another."""

    columns: int
    kept: Counts
    slots: Counts


def rows_of(mask: Mask) -> Rows:
    """Count the rows of ``mask`` [groups, m, k]."""
    groups, m, k = mask.shape
    flat = np.ascontiguousarray(mask).reshape(groups * m, k)
    kept, slots = np.zeros(groups * m, dtype=np.int64), np.zeros(groups * m, dtype=np.int64)
    if k % _WORD == 0:
        _spmv_kernel.count_slots_by_words(flat.view(np.uint64), LONGEST_RUN, kept, slots)
    else:
        _spmv_kernel.count_slots(flat.view(np.uint8), LONGEST_RUN, kept, slots)
    return Rows(columns=k, kept=kept, slots=slots)


def macko_size(rows: Rows, value_bytes: int) -> EncodedSize:
    """Return the bytes of MACKO's arrays: values and runs, padded to whole loads, and a pointer a row and one more."""
    stored = -(-int(rows.slots.sum()) // PADDED_SLOTS) * PADDED_SLOTS
    return EncodedSize(
        weight_bytes=stored * value_bytes,
        index_bytes=stored * RUN_BITS // 8 + (rows.slots.size + 1) * POINTER_BYTES,
        slots=stored,
    )


def lines_of(rows: Rows, value_bytes: int, lanes: int, slots_per_lane: int, line_bytes: int) -> Shares:
    """Return the cache lines that the gathers of each row touch, [rows].

    In one gather each of ``lanes`` lanes reads the operand of one slot, ``slots_per_lane`` slots from its neighbour's:
    1 + (lanes - 1) x the chance that this distance leaves the line. The distance is a sum of ``slots_per_lane`` gaps
    of a row whose slots are scattered: gamma distributed, so that the chance is E[min(distance, line)] / line.
    """
    distance = slots_per_lane * rows.columns * value_bytes / np.maximum(rows.slots, 1)
    reach = line_bytes / distance * slots_per_lane
    within = _gamma_below(slots_per_lane + 1, reach)
    short = _gamma_below(slots_per_lane, reach)
    leaves = (distance * within + line_bytes * (1 - short)) / line_bytes
    lines: Shares = rows.slots * (1 + (lanes - 1) * leaves) / lanes
    return lines


def sectors_of(rows: Rows, value_bytes: int, sector_bytes: int) -> Shares:
    """Return the sectors that the kept weights of each row fall into, scattered evenly, [rows]."""
    wide = sector_bytes // value_bytes
    empty = (1 - rows.kept / rows.columns) ** wide
    sectors: Shares = rows.columns / wide * (1 - empty)
    return sectors


def _gamma_below(shape: int, reach: Shares) -> Shares:
    """Return the chance that a gamma variable of whole ``shape`` and scale 1 stays below ``reach``."""
    term, total = np.ones_like(reach), np.zeros_like(reach)
    for at in range(shape):
        total += term
        term = term * reach / (at + 1)
    below: Shares = 1 - np.exp(-reach) * total
    return below
