"""Gather unit and MAC array over one repeat of a stream: DESIGN section 5, without a loop over cycles.

Requests are taken in (group, lane) order. Each gets the first cycle, from the one it is offered in, in which its bank
has a free port (or grants the same address, with coalescing); requests of lower priority change nothing for it.
Three families: ``queue`` (a queue per bank: out of order, or lockstep), ``ordered`` (in order, one port, 64 cycles of
a bank in one word) and ``ring`` (all that is left: in order with more ports, and coalescing).

Time 0 of a repeat is the cycle of its first dispatch. What a repeat leaves to the next is rewritten relative to the
next first dispatch, everything that can no longer matter clamped, so that equal states have equal arrays.
Waiting words are counted as time passes: no group visible later can be granted before it is dispatched.
Leaves out: the scatter unit, but for the end of each bundle when nothing is left from an earlier repeat.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.cpython.unsafe.numbers import trailing_zeros

IntArray = npt.NDArray[np.int64]
AnyArray = npt.NDArray[Any]

# numbers: what a repeat takes over (first four) and what it returns
CREDIT, CONSUME_FROM, WAITING, LEAVING, ADVANCE, LAST_GRANT, LAST_CONSUMED, PEAK, SCATTER_END = range(9)
NUMBERS = 9
# unit: the parameters of the machine
PORTS, LATENCY, MAC_LATENCY, NUM, DEN, IN_ORDER, COALESCE = range(7)
UNIT = 7


@njit(cache=True, nogil=True)
def _credit(credit: int, cycles: int, num: int, den: int) -> int:
    """Return the credit left by a dispatch ``cycles`` after the last one."""
    if cycles >= num // den + 2:
        return den - 1  # the most that is left
    gained = credit + cycles * den
    return gained - num if gained < num + den else den - 1


@njit(cache=True, nogil=True)
def _scatter_ends(ready: IntArray, busy: IntArray, ends: IntArray) -> int:
    """Write the end of each bundle's scatter, with the unit idle before; return the last."""
    end = np.int64(-(1 << 62))
    for b in range(len(ready)):
        end = max(end, ready[b]) + busy[b]
        ends[b] = end
    return int(end)


@njit(cache=True, nogil=True)
def _hand_over(
    unit: IntArray,
    numbers: IntArray,
    window: IntArray,
    spare: IntArray,
    position: int,
    leave_cycle: IntArray,
    leave_words: IntArray,
    head: int,
    tail: int,
    waiting: int,
    consume_from: int,
    base: int,
) -> None:
    """Rewrite window, leaving groups and numbers relative to ``base``, the first dispatch of the next repeat."""
    size = len(window)
    for i in range(size):
        slot = position + i
        spare[i] = window[slot - size if slot >= size else slot]
    for i in range(size):
        window[i] = max(spare[i] - base, i)  # group i of the next repeat is dispatched at i or later anyway
    mask = len(leave_cycle) - 1
    while head < tail and leave_cycle[head & mask] < base:
        waiting -= leave_words[head & mask]
        head += 1
    kept = tail - head
    for i in range(kept):
        spare[size + i] = leave_cycle[(head + i) & mask] - base
        spare[size + kept + i] = leave_words[(head + i) & mask]
    for i in range(kept):
        leave_cycle[i] = spare[size + i]
        leave_words[i] = spare[size + kept + i]
    numbers[CONSUME_FROM] = max(consume_from - base, unit[LATENCY])
    numbers[WAITING] = waiting
    numbers[LEAVING] = kept
    numbers[ADVANCE] = base


@njit(cache=True, nogil=True)
def queue(
    sizes: npt.NDArray[np.int32],  # [G] requests of each group
    bank: AnyArray,  # [requests]
    bundle_sizes: IntArray,  # [bundles] groups of each bundle
    busy: IntArray,  # [bundles] cycles that its scatter takes
    unit: IntArray,
    numbers: IntArray,
    window: IntArray,  # [W] cycle from which group i of this repeat may be dispatched
    free: IntArray,  # [banks] first free port slot, cycle * ports + port
    leave_cycle: IntArray,  # ring of m(g) of the groups not yet consumed
    leave_words: IntArray,
    spare: IntArray,
    granted: IntArray,  # [G], or [0] when nobody asks
    consumed: IntArray,  # [G], or [0]
    ready: IntArray,  # [bundles]
    ends: IntArray,  # [bundles]
) -> None:
    """Run one repeat with a queue per bank: all visible requests are offered (out of order, or W = 1)."""
    ports, latency, num, den = unit[PORTS], unit[LATENCY], unit[NUM], unit[DEN]
    whole, part = num // den, num % den
    limited = num > den
    record = len(granted) > 0
    mask = len(leave_cycle) - 1
    banks = len(free)
    credit, consume_from, waiting = numbers[CREDIT], numbers[CONSUME_FROM], numbers[WAITING]
    head, tail = np.int64(0), numbers[LEAVING]
    ahead = np.int64(0)  # words of visible groups whose cycle has not come yet
    for b in range(banks):
        ahead += free[b]
    last = window[len(window) - 1] - 1
    position, bundle, left = 0, 0, bundle_sizes[0]
    dispatch, stop, peak = np.int64(0), np.int64(0), np.int64(0)
    last_grant = np.int64(0)
    for g in range(len(sizes)):
        first_slot = dispatch * ports
        top = first_slot
        start = stop
        stop = start + sizes[g]
        for i in range(np.uint64(start), np.uint64(stop)):
            slot = max(free[bank[i]], first_slot)
            free[bank[i]] = slot + 1
            top = max(top, slot)
        got = top if ports == 1 else top // ports
        consume = max(got + latency, consume_from)
        consume_from = consume + 1
        leave_cycle[tail & mask] = consume
        leave_words[tail & mask] = stop - start
        tail += 1
        ahead += stop - start
        if record:
            granted[g] = got
            consumed[g] = consume
        left -= 1
        if left == 0:
            ready[bundle] = consume + unit[MAC_LATENCY]
            bundle += 1
            if bundle < len(bundle_sizes):
                left = bundle_sizes[bundle]
        last_grant = max(last_grant, got)
        last = max(last, got)
        window[position] = last + 1
        position += 1
        if position == len(window):
            position = 0
        following = dispatch + 1
        if limited:
            following = dispatch + whole + (credit < part)
        following = max(following, window[position])
        if limited:
            credit = _credit(credit, following - dispatch, num, den)
        # all grants of the cycles before the next dispatch are known
        cycle = dispatch
        while cycle < following and cycle <= last:
            while head < tail and leave_cycle[head & mask] <= cycle:
                waiting -= leave_words[head & mask]
                head += 1
            slot = cycle * ports
            words = np.int64(0)
            if waiting + ahead <= peak:  # no cycle before the next dispatch can exceed the peak: count them as one
                if following > last:
                    words = ahead
                else:
                    beyond = following * ports
                    for b in range(banks):
                        words += max(free[b] - slot, 0) - max(free[b] - beyond, 0)
                cycle = following
            else:
                for b in range(banks):
                    words += min(max(free[b] - slot, 0), ports)
                cycle += 1
            ahead -= words
            waiting += words
            peak = max(peak, waiting)
        dispatch = following
    for b in range(banks):
        free[b] = max(free[b] - dispatch * ports, 0)
    numbers[CREDIT] = credit
    numbers[LAST_GRANT] = last_grant
    numbers[LAST_CONSUMED] = consume_from - 1
    numbers[PEAK] = peak
    numbers[SCATTER_END] = _scatter_ends(ready, busy, ends)
    _hand_over(
        unit, numbers, window, spare, position, leave_cycle, leave_words, head, tail, waiting, consume_from, dispatch
    )


@njit(cache=True, nogil=True)
def _align(taken: npt.NDArray[np.uint64], base: int) -> None:
    """Move the ring of bits so that cycle ``base`` becomes bit 0 of word 0; what lies before ``base`` is dropped."""
    words, banks = taken.shape
    down = np.uint64(base & 63)
    up = np.uint64((64 - (base & 63)) & 63)
    moved = np.zeros(words, np.uint64)
    for b in range(banks):
        for w in range(words):
            row = (base >> 6) + w
            moved[w] = taken[row & (words - 1), b] >> down
            if down != 0 and w < words - 1:  # the word after the last is the first, of which only the past is left
                moved[w] |= taken[(row + 1) & (words - 1), b] << up
        for w in range(words):
            taken[w, b] = moved[w]


@njit(cache=True, nogil=True)
def ordered(
    sizes: npt.NDArray[np.int32],
    bank: AnyArray,
    lane: npt.NDArray[np.uint16],
    bundle_sizes: IntArray,
    busy: IntArray,
    unit: IntArray,
    numbers: IntArray,
    window: IntArray,
    lane_from: IntArray,  # [lanes] first cycle in which the lane can offer its next request
    taken: npt.NDArray[np.uint64],  # [words, banks] ring: bit k of word w is the bank's port in cycle 64 w + k
    leave_cycle: IntArray,
    leave_words: IntArray,
    spare: IntArray,
    granted: IntArray,
    consumed: IntArray,
    ready: IntArray,
    ends: IntArray,
) -> None:
    """Run one repeat in order with one port a bank, 64 cycles of a bank in a word."""
    latency, num, den = unit[LATENCY], unit[NUM], unit[DEN]
    whole, part = num // den, num % den
    limited = num > den
    record = len(granted) > 0
    mask = len(leave_cycle) - 1
    around, banks = taken.shape[0] - 1, taken.shape[1]
    credit, consume_from, waiting = numbers[CREDIT], numbers[CONSUME_FROM], numbers[WAITING]
    head, tail = np.int64(0), numbers[LEAVING]
    last = window[len(window) - 1] - 1
    position, bundle, left = 0, 0, bundle_sizes[0]
    dispatch, stop, peak = np.int64(0), np.int64(0), np.int64(0)
    last_grant = np.int64(0)
    one = np.uint64(1)
    bit_of = taken.ravel()
    for g in range(len(sizes)):
        got = dispatch
        start = stop
        stop = start + sizes[g]
        for i in range(np.uint64(start), np.uint64(stop)):
            cycle = max(lane_from[lane[i]], dispatch)
            word = np.uint64(((cycle >> 6) & around) * banks + bank[i])
            bits = bit_of[word]
            free = ~bits >> np.uint64(cycle & 63)
            while free == 0:  # no port until the next word
                cycle = ((cycle >> 6) + 1) << 6
                word = np.uint64(((cycle >> 6) & around) * banks + bank[i])
                bits = bit_of[word]
                free = ~bits
            cycle += np.int64(trailing_zeros(free))
            bit_of[word] = bits | (one << np.uint64(cycle & 63))
            lane_from[lane[i]] = cycle + 1
            got = max(got, cycle)
        consume = max(got + latency, consume_from)
        consume_from = consume + 1
        leave_cycle[tail & mask] = consume
        leave_words[tail & mask] = stop - start
        tail += 1
        if record:
            granted[g] = got
            consumed[g] = consume
        left -= 1
        if left == 0:
            ready[bundle] = consume + unit[MAC_LATENCY]
            bundle += 1
            if bundle < len(bundle_sizes):
                left = bundle_sizes[bundle]
        last_grant = max(last_grant, got)
        last = max(last, got)
        window[position] = last + 1
        position += 1
        if position == len(window):
            position = 0
        following = dispatch + 1
        if limited:
            following = dispatch + whole + (credit < part)
        following = max(following, window[position])
        if limited:
            credit = _credit(credit, following - dispatch, num, den)
        # all grants of the cycles before the next dispatch are known
        cycle = dispatch
        while cycle < following and cycle <= last:
            row = (cycle >> 6) & around
            bit = np.uint64(cycle & 63)
            words = np.int64(0)
            for bits in taken[row]:
                words += np.int64((bits >> bit) & one)
            waiting += words
            while head < tail and leave_cycle[head & mask] <= cycle:
                waiting -= leave_words[head & mask]
                head += 1
            peak = max(peak, waiting)
            cycle += 1
            if cycle & 63 == 0:
                taken[row, :] = 0
        if cycle & 63 != 0 and following >> 6 > cycle >> 6:  # nothing was taken past ``last``
            taken[(cycle >> 6) & around, :] = 0
        dispatch = following
    _align(taken, dispatch)
    for k in range(len(lane_from)):
        lane_from[k] = max(lane_from[k] - dispatch, 0)
    numbers[CREDIT] = credit
    numbers[LAST_GRANT] = last_grant
    numbers[LAST_CONSUMED] = consume_from - 1
    numbers[PEAK] = peak
    numbers[SCATTER_END] = _scatter_ends(ready, busy, ends)
    _hand_over(
        unit, numbers, window, spare, position, leave_cycle, leave_words, head, tail, waiting, consume_from, dispatch
    )


@njit(cache=True, nogil=True)
def ring(
    sizes: npt.NDArray[np.int32],
    bank: AnyArray,
    lane: npt.NDArray[np.uint16],
    address: IntArray,  # [requests], or [0] without coalescing
    bundle_sizes: IntArray,
    busy: IntArray,
    unit: IntArray,
    numbers: IntArray,
    window: IntArray,
    lane_from: IntArray,
    used: npt.NDArray[np.int32],  # [cycles, banks] ring of ports taken
    words_at: IntArray,  # [cycles] ring of words granted
    held: IntArray,  # [cycles, banks, ports] ring of addresses granted, [1, 1, 1] without coalescing
    leave_cycle: IntArray,
    leave_words: IntArray,
    spare: IntArray,
    granted: IntArray,
    consumed: IntArray,
    ready: IntArray,
    ends: IntArray,
) -> None:
    """Run one repeat in either order, with any ports, with or without coalescing, cell by cell of (cycle, bank)."""
    ports, latency, num, den = unit[PORTS], unit[LATENCY], unit[NUM], unit[DEN]
    in_order, coalesce = unit[IN_ORDER] != 0, unit[COALESCE] != 0
    whole, part = num // den, num % den
    limited = num > den
    record = len(granted) > 0
    mask = len(leave_cycle) - 1
    around = len(words_at) - 1
    banks = used.shape[1]
    ports_taken, address_held = used.ravel(), held.ravel()
    credit, consume_from, waiting = numbers[CREDIT], numbers[CONSUME_FROM], numbers[WAITING]
    head, tail = np.int64(0), numbers[LEAVING]
    last = window[len(window) - 1] - 1
    position, bundle, left = 0, 0, bundle_sizes[0]
    dispatch, stop, peak = np.int64(0), np.int64(0), np.int64(0)
    last_grant = np.int64(0)
    for g in range(len(sizes)):
        got = dispatch
        start = stop
        stop = start + sizes[g]
        for i in range(np.uint64(start), np.uint64(stop)):
            cycle = max(lane_from[lane[i]], dispatch) if in_order else dispatch
            wanted = address[i] if coalesce else 0
            while True:
                cell = np.uint64((cycle & around) * banks + bank[i])
                count = ports_taken[cell]
                if coalesce:
                    first = np.uint64(cell * np.uint64(ports))
                    shared = False
                    for p in range(first, first + np.uint64(count)):
                        shared |= address_held[p] == wanted
                    if shared:
                        break
                if count < ports:
                    if coalesce:
                        address_held[first + np.uint64(count)] = wanted
                    ports_taken[cell] = count + 1
                    break
                cycle += 1
            words_at[cycle & around] += 1
            if in_order:
                lane_from[lane[i]] = cycle + 1
            got = max(got, cycle)
        consume = max(got + latency, consume_from)
        consume_from = consume + 1
        leave_cycle[tail & mask] = consume
        leave_words[tail & mask] = stop - start
        tail += 1
        if record:
            granted[g] = got
            consumed[g] = consume
        left -= 1
        if left == 0:
            ready[bundle] = consume + unit[MAC_LATENCY]
            bundle += 1
            if bundle < len(bundle_sizes):
                left = bundle_sizes[bundle]
        last_grant = max(last_grant, got)
        last = max(last, got)
        window[position] = last + 1
        position += 1
        if position == len(window):
            position = 0
        following = dispatch + 1
        if limited:
            following = dispatch + whole + (credit < part)
        following = max(following, window[position])
        if limited:
            credit = _credit(credit, following - dispatch, num, den)
        # all grants of the cycles before the next dispatch are known
        cycle = dispatch
        while cycle < following and cycle <= last:
            row = cycle & around
            waiting += words_at[row]
            words_at[row] = 0
            used[row, :] = 0
            while head < tail and leave_cycle[head & mask] <= cycle:
                waiting -= leave_words[head & mask]
                head += 1
            peak = max(peak, waiting)
            cycle += 1
        dispatch = following
    for k in range(len(lane_from)):
        lane_from[k] = max(lane_from[k] - dispatch, 0)
    numbers[CREDIT] = credit
    numbers[LAST_GRANT] = last_grant
    numbers[LAST_CONSUMED] = consume_from - 1
    numbers[PEAK] = peak
    numbers[SCATTER_END] = _scatter_ends(ready, busy, ends)
    _hand_over(
        unit, numbers, window, spare, position, leave_cycle, leave_words, head, tail, waiting, consume_from, dispatch
    )
