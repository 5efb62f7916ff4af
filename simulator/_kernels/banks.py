"""Banks of addresses, lockstep costs and lane order of a request stream, request by request.

Arrays only. Leaves out time: what the gather unit does with the banks is in ``gather.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

IntArray = npt.NDArray[np.int64]
BankArray = npt.NDArray[Any]  # uint16, or uint32 above 65,536 banks


@njit(cache=True, nogil=True)
def bank_numbers(address: IntArray, offset: int, banks: int, xor: bool, out: BankArray) -> None:
    """Write the bank of ``address + offset`` into ``out``; ``xor`` needs a power of two."""
    low = banks - 1
    if xor:
        bits = 0
        while (1 << bits) < banks:
            bits += 1
        for i in range(len(address)):
            moved = address[i] + offset
            out[i] = (moved ^ (moved >> bits)) & low
    elif banks & low == 0:
        for i in range(len(address)):
            out[i] = (address[i] + offset) & low
    else:
        divisor = np.uint32(banks)
        small = np.int64(1) << 32
        for i in range(len(address)):
            moved = address[i] + offset
            if moved < small:  # a 32-bit division takes half the time
                out[i] = np.uint32(moved) % divisor
            else:
                out[i] = moved % banks


@njit(cache=True, nogil=True)
def lockstep_costs(
    pointer: IntArray, address: IntArray, offset: int, banks: int, xor: bool, ports: int, out: IntArray
) -> None:
    """Write max over banks of ceil(count / ports) per set of requests, at least 1, into ``out``.

    Set s is ``address[pointer[s] - pointer[0] : pointer[s + 1] - pointer[0]] + offset``.
    """
    bits = 63  # an address is not negative: shifted so far, it changes no bank
    if xor:
        bits = 0
        while (1 << bits) < banks:
            bits += 1
    low = banks - 1
    power = banks & low == 0
    filled = np.zeros(banks, np.int64)  # base + requests of this set on the bank
    base = np.int64(0)
    first = pointer[0]
    for s in range(len(out)):
        top = base
        for i in range(pointer[s] - first, pointer[s + 1] - first):
            moved = address[i] + offset
            bank = (moved ^ (moved >> bits)) & low if power else moved % banks
            count = max(filled[bank], base) + 1
            filled[bank] = count
            top = max(top, count)
        cost = (top - base + ports - 1) // ports
        out[s] = cost if cost > 1 else 1
        base = top


@njit(cache=True, nogil=True)
def lanes_rise(pointer: IntArray, lane: npt.NDArray[np.int16]) -> bool:
    """Return whether the lanes rise inside each group; ``lane[0]`` is request ``pointer[0]``."""
    first = pointer[0]
    for g in range(len(pointer) - 1):
        falls = 0
        for i in range(pointer[g] - first + 1, pointer[g + 1] - first):
            falls += lane[i] <= lane[i - 1]
        if falls:
            return False
    return True
