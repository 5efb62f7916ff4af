# mypy: disable-error-code="no-untyped-def, misc"
"""Kernels that pack numbers into fields of any width, bit by bit, little-endian, and read them back."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def pack_fields(numbers, bits, out):
    """Write numbers [n] uint64, each below 2^bits, into out [ceil(n bits / 8)] uint8, zero at first."""
    place = 0
    for number in numbers:
        left = bits
        rest = number
        while left > 0:
            inside = place & 7
            take = min(8 - inside, left)
            out[place >> 3] |= np.uint8((rest << np.uint64(inside)) & np.uint64(255))
            rest >>= np.uint64(take)
            place += take
            left -= take


@njit(cache=True, nogil=True)
def unpack_fields(data, bits, out):
    """Read out [n] uint64 from data [at least ceil(n bits / 8)] uint8."""
    place = 0
    for at in range(len(out)):
        number = np.uint64(0)
        done = 0
        while done < bits:
            inside = place & 7
            take = min(8 - inside, bits - done)
            part = (np.uint64(data[place >> 3]) >> np.uint64(inside)) & np.uint64((1 << take) - 1)
            number |= part << np.uint64(done)
            place += take
            done += take
        out[at] = number
