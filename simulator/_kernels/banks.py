"""Banks of addresses, lockstep costs and lane order of a request stream, request by request.

Arrays only. Leaves out time: what the gather unit does with the banks is in ``gather.py``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

IntArray = npt.NDArray[np.int64]


@njit(cache=True, nogil=True)
def bank_numbers(address: IntArray, offset: npt.NDArray[np.uint64], banks: int, out: npt.NDArray[np.uint64]) -> None:
    """Write (address + offset) mod banks into ``out`` [offsets * addresses]; offsets below ``banks``."""
    divisor, small = np.uint32(banks), np.int64(1) << 32
    size = len(address)
    for i in range(size):
        # a 32-bit division takes half the time
        first = np.uint64(np.uint32(address[i]) % divisor if address[i] < small else address[i] % banks)
        for repeat in range(len(offset)):
            moved = first + offset[repeat]
            out[repeat * size + i] = moved if moved < np.uint64(banks) else moved - np.uint64(banks)


@njit(cache=True, nogil=True)
def lockstep_costs(
    pointer: IntArray, address: IntArray, offset: IntArray, banks: int, xor: bool, ports: int, out: IntArray
) -> None:
    """Write max over banks of ceil(count / ports) per set of requests, at least 1, into ``out`` [offsets * sets].

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
    sets = len(pointer) - 1
    for repeat in range(len(offset)):
        for s in range(sets):
            top = base
            for i in range(pointer[s] - first, pointer[s + 1] - first):
                moved = address[i] + offset[repeat]
                bank = (moved ^ (moved >> bits)) & low if power else moved % banks
                count = max(filled[bank], base) + 1
                filled[bank] = count
                top = max(top, count)
            cost = (top - base + ports - 1) // ports
            out[repeat * sets + s] = cost if cost > 1 else 1
            base = top


@njit(cache=True, nogil=True)
def lanes_rise(pointer: IntArray, lane: npt.NDArray[np.int16]) -> bool:
    """Return whether the lanes rise inside each group; ``lane[0]`` is request ``pointer[0]``."""
    falls = 0  # anywhere, then less those from one group to the next: a loop that becomes vector instructions
    for i in range(1, len(lane)):
        falls += lane[i] <= lane[i - 1]
    first = pointer[0]
    for g in range(1, len(pointer) - 1):
        start = pointer[g] - first
        falls -= lane[start] <= lane[start - 1]
    return falls == 0


@njit(cache=True, nogil=True)
def widest_group(pointer: IntArray) -> int:
    """Return the most requests of a group."""
    most = np.int64(0)
    for g in range(len(pointer) - 1):
        most = max(most, pointer[g + 1] - pointer[g])
    return int(most)
