"""Gather unit and MAC array over one repeat of a stream: DESIGN section 5, without a loop over cycles.

Requests are taken in (group, lane) order. Each gets the first cycle, from the one it is offered in, in which its bank
has a free port (or grants the same address, with coalescing); requests of lower priority change nothing for it.
Four families: ``lockstep`` (W = 1 on few banks, counts in a word), ``queue`` (a queue per bank: out of order, or
lockstep), ``ordered`` (in order, one port, 64 cycles of a bank in one word) and ``ring`` (all that is left: in order
with more ports, and coalescing).

A repeat is run in chunks of groups: ``numbers`` says where the last chunk stopped, all arrays stay as they are.
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

# numbers: what a repeat takes over (first four), what it returns, and where a chunk of groups stops
CREDIT, CONSUME_FROM, WAITING, LEAVING, ADVANCE, LAST_GRANT, LAST_CONSUMED, PEAK, SCATTER_END, SCATTER_BUSY = range(10)
HEAD, LAST, POSITION, DISPATCH, HELD, CLOSING = range(10, 16)  # ``CLOSING``: 1 with a repeat's last chunk
NUMBERS = 16
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
def open_repeat(numbers: IntArray, window: IntArray, free: IntArray) -> None:
    """Set what the first chunk of a repeat goes on from; ``free`` [banks]: as in ``queue``, [0] in other families."""
    numbers[LAST_GRANT] = numbers[PEAK] = numbers[SCATTER_BUSY] = 0
    numbers[SCATTER_END] = -(1 << 62)  # with the scatter unit idle before
    numbers[HEAD] = numbers[POSITION] = numbers[DISPATCH] = 0
    numbers[LAST] = window[len(window) - 1] - 1
    numbers[HELD] = numbers[WAITING] + free.sum()


@njit(cache=True, nogil=True)
def _hand_over(
    unit: IntArray,
    numbers: IntArray,
    window: IntArray,
    spare: IntArray,
    leave_cycle: IntArray,
    leave_words: IntArray,
) -> None:
    """Rewrite window, leaving groups and numbers relative to the first dispatch of the next repeat."""
    base, position = numbers[DISPATCH], numbers[POSITION]
    head, tail, waiting = numbers[HEAD], numbers[LEAVING], numbers[WAITING]
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
    numbers[CONSUME_FROM] = max(numbers[CONSUME_FROM] - base, unit[LATENCY])
    numbers[WAITING] = waiting
    numbers[LEAVING] = kept
    numbers[ADVANCE] = base


_LOW = np.uint64(0x0F0F0F0F0F0F0F0F)
_HIGH_BITS = np.uint64(0x8080808080808080)
_ONES = np.uint64(0x0101010101010101)


@njit(cache=True, nogil=True)
def _counts_sum(counts: np.uint64, most: int) -> np.int64:
    """Return the sum over the eight bytes of ``counts`` of min(byte, most); bytes and sum below 128."""
    limit = np.uint64(min(most, 127)) * _ONES
    above = (((counts | _HIGH_BITS) - limit) & _HIGH_BITS) >> np.uint64(7)
    mask = (above << np.uint64(8)) - above
    return np.int64((((limit & mask) | (counts & ~mask)) * _ONES) >> np.uint64(56))


@njit(cache=True, nogil=True)
def _greater(left: np.uint64, right: np.uint64) -> np.uint64:
    """Return the greater of each of eight bytes, all below 128."""
    above = (((left | _HIGH_BITS) - right) & _HIGH_BITS) >> np.uint64(7)
    mask = (above << np.uint64(8)) - above
    return (left & mask) | (right & ~mask)


@njit(cache=True, nogil=True)
def lockstep(
    pointer: IntArray,
    bank: AnyArray,  # [requests] below 16, or [0] if no request can wait for a port
    bundle_end: IntArray,
    busy: IntArray,
    unit: IntArray,
    numbers: IntArray,
    window: IntArray,  # [1]
    leave_cycle: IntArray,
    leave_words: IntArray,
    spare: IntArray,
    granted: IntArray,
    consumed: IntArray,
    ends: IntArray,
) -> None:
    """Run a chunk with W = 1, at most 16 banks and 127 requests a group: no request is left when a group starts.

    A bank's requests are counted in a nibble of a word for up to 15 requests, then in a byte of one of two words.
    """
    ports, latency, num, den = unit[PORTS], unit[LATENCY], unit[NUM], unit[DEN]
    mac_latency = unit[MAC_LATENCY]
    whole, part = num // den, num % den
    limited = num > den
    record = len(granted) > 0
    counted = len(bank) > 0
    mask = len(leave_cycle) - 1
    credit, consume_from, waiting = numbers[CREDIT], numbers[CONSUME_FROM], numbers[WAITING]
    head, tail = numbers[HEAD], numbers[LEAVING]
    dispatch, last_grant, peak, end = numbers[DISPATCH], numbers[LAST_GRANT], numbers[PEAK], numbers[SCATTER_END]
    bundle, bundle_stop = 0, bundle_end[0] if len(bundle_end) else 0
    base = pointer[0]
    stop = np.int64(0)
    one, four, low = np.uint64(1), np.uint64(4), _LOW
    for g in range(len(pointer) - 1):
        start = stop
        stop = pointer[g + 1] - base
        size = stop - start
        even, odd = np.uint64(0), np.uint64(0)
        cost = np.int64(1)
        if counted:
            at = start
            while at < stop:
                until = min(stop, at + 8)
                count = np.uint64(0)
                for i in range(np.uint64(at), np.uint64(until)):
                    count += one << (np.uint64(bank[i]) * four)
                even += count & low
                odd += (count >> four) & low
                at = until
            most = _greater(even, odd)
            most = _greater(most, most >> np.uint64(32))
            most = _greater(most, most >> np.uint64(16))
            most = _greater(most, most >> np.uint64(8))
            cost = np.int64(most & np.uint64(255))
            if ports > 1:
                cost = (cost + ports - 1) // ports
        got = dispatch + cost - 1
        consume = max(got + latency, consume_from)
        consume_from = consume + 1
        while head < tail and leave_cycle[head & mask] <= dispatch:
            waiting -= leave_words[head & mask]
            head += 1
        if waiting + size > peak:
            if cost == 1:
                peak = waiting + size
            else:
                peak = max(peak, waiting + _counts_sum(even, ports) + _counts_sum(odd, ports))
                cycle = dispatch + 1
                while head < tail and leave_cycle[head & mask] <= cycle:
                    waiting -= leave_words[head & mask]
                    head += 1
                while waiting + size > peak and cycle <= got:
                    reach = (cycle - dispatch + 1) * ports
                    peak = max(peak, waiting + _counts_sum(even, reach) + _counts_sum(odd, reach))
                    cycle += 1
                    while head < tail and leave_cycle[head & mask] <= cycle:
                        waiting -= leave_words[head & mask]
                        head += 1
        waiting += size
        leave_cycle[tail & mask] = consume
        leave_words[tail & mask] = size
        tail += 1
        if record:
            granted[g] = got
            consumed[g] = consume
        if g + 1 == bundle_stop:
            end = max(end, consume + mac_latency) + busy[bundle]
            ends[bundle] = end
            numbers[SCATTER_BUSY] += busy[bundle]
            bundle += 1
            if bundle < len(bundle_end):
                bundle_stop = bundle_end[bundle]
        last_grant = got
        following = got + 1
        if limited:
            following = max(following, dispatch + whole + (credit < part))
            credit = _credit(credit, following - dispatch, num, den)
        dispatch = following
    numbers[CREDIT] = credit
    numbers[CONSUME_FROM] = consume_from
    numbers[LAST_GRANT] = last_grant
    numbers[LAST_CONSUMED] = consume_from - 1
    numbers[PEAK] = peak
    numbers[SCATTER_END] = end
    numbers[WAITING], numbers[HEAD], numbers[LEAVING] = waiting, head, tail
    numbers[DISPATCH] = dispatch
    window[0] = last_grant + 1
    if numbers[CLOSING]:
        _hand_over(unit, numbers, window, spare, leave_cycle, leave_words)


@njit(cache=True, nogil=True)
def queue(
    pointer: IntArray,  # [G+1] first request of each group of the chunk
    bank: AnyArray,  # [requests]
    bundle_end: IntArray,  # [bundles] groups of the chunk up to the end of each bundle that ends in it
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
    ends: IntArray,  # [bundles] end of the bundle's scatter
) -> None:
    """Run a chunk with a queue per bank: all visible requests are offered (out of order, or W = 1)."""
    ports, latency, num, den = unit[PORTS], unit[LATENCY], unit[NUM], unit[DEN]
    mac_latency = unit[MAC_LATENCY]
    whole, part = num // den, num % den
    limited = num > den
    record = len(granted) > 0
    mask = len(leave_cycle) - 1
    banks = len(free)
    credit, consume_from = numbers[CREDIT], numbers[CONSUME_FROM]
    head, tail = numbers[HEAD], numbers[LEAVING]
    held = numbers[HELD]  # words of groups that are dispatched and not consumed, granted or not
    last, position, dispatch = numbers[LAST], numbers[POSITION], numbers[DISPATCH]
    last_grant, peak, end = numbers[LAST_GRANT], numbers[PEAK], numbers[SCATTER_END]
    bundle, bundle_stop = 0, bundle_end[0] if len(bundle_end) else 0
    base = pointer[0]
    stop = np.int64(0)
    for g in range(len(pointer) - 1):
        first_slot = dispatch * ports
        top = first_slot
        start = stop
        stop = pointer[g + 1] - base
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
        held += stop - start
        if record:
            granted[g] = got
            consumed[g] = consume
        if g + 1 == bundle_stop:
            end = max(end, consume + mac_latency) + busy[bundle]
            ends[bundle] = end
            numbers[SCATTER_BUSY] += busy[bundle]
            bundle += 1
            if bundle < len(bundle_end):
                bundle_stop = bundle_end[bundle]
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
        while True:
            while head < tail and leave_cycle[head & mask] <= cycle:
                held -= leave_words[head & mask]
                head += 1
            if held <= peak:  # and no cycle before the next dispatch can exceed it
                break
            granted_slots = (cycle + 1) * ports
            words = held
            for b in range(banks):
                words -= max(free[b] - granted_slots, 0)
            peak = max(peak, words)
            cycle += 1
            if cycle >= following or cycle > last:
                break
        dispatch = following
    numbers[CREDIT] = credit
    numbers[CONSUME_FROM] = consume_from
    numbers[LAST_GRANT] = last_grant
    numbers[LAST_CONSUMED] = consume_from - 1
    numbers[PEAK] = peak
    numbers[SCATTER_END] = end
    numbers[HELD], numbers[HEAD], numbers[LEAVING] = held, head, tail
    numbers[LAST], numbers[POSITION], numbers[DISPATCH] = last, position, dispatch
    if numbers[CLOSING]:
        for b in range(banks):
            free[b] = max(free[b] - dispatch * ports, 0)
            held -= free[b]
        numbers[WAITING] = held
        _hand_over(unit, numbers, window, spare, leave_cycle, leave_words)


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
    pointer: IntArray,
    bank: AnyArray,
    lane: npt.NDArray[np.uint16],
    bundle_end: IntArray,
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
    ends: IntArray,
) -> None:
    """Run a chunk in order with one port a bank, 64 cycles of a bank in a word."""
    latency, num, den = unit[LATENCY], unit[NUM], unit[DEN]
    mac_latency = unit[MAC_LATENCY]
    whole, part = num // den, num % den
    limited = num > den
    record = len(granted) > 0
    mask = len(leave_cycle) - 1
    around, banks = taken.shape[0] - 1, taken.shape[1]
    credit, consume_from, waiting = numbers[CREDIT], numbers[CONSUME_FROM], numbers[WAITING]
    head, tail = numbers[HEAD], numbers[LEAVING]
    last, position, dispatch = numbers[LAST], numbers[POSITION], numbers[DISPATCH]
    last_grant, peak, end = numbers[LAST_GRANT], numbers[PEAK], numbers[SCATTER_END]
    bundle, bundle_stop = 0, bundle_end[0] if len(bundle_end) else 0
    base = pointer[0]
    stop = np.int64(0)
    one = np.uint64(1)
    bit_of = taken.ravel()
    for g in range(len(pointer) - 1):
        got = dispatch
        start = stop
        stop = pointer[g + 1] - base
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
        if g + 1 == bundle_stop:
            end = max(end, consume + mac_latency) + busy[bundle]
            ends[bundle] = end
            numbers[SCATTER_BUSY] += busy[bundle]
            bundle += 1
            if bundle < len(bundle_end):
                bundle_stop = bundle_end[bundle]
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
    numbers[CREDIT] = credit
    numbers[CONSUME_FROM] = consume_from
    numbers[LAST_GRANT] = last_grant
    numbers[LAST_CONSUMED] = consume_from - 1
    numbers[PEAK] = peak
    numbers[SCATTER_END] = end
    numbers[WAITING], numbers[HEAD], numbers[LEAVING] = waiting, head, tail
    numbers[LAST], numbers[POSITION], numbers[DISPATCH] = last, position, dispatch
    if numbers[CLOSING]:
        _align(taken, dispatch)
        for k in range(len(lane_from)):
            lane_from[k] = max(lane_from[k] - dispatch, 0)
        _hand_over(unit, numbers, window, spare, leave_cycle, leave_words)


@njit(cache=True, nogil=True)
def ring(
    pointer: IntArray,
    bank: AnyArray,
    lane: npt.NDArray[np.uint16],
    address: IntArray,  # [requests], or [0] without coalescing
    bundle_end: IntArray,
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
    ends: IntArray,
) -> None:
    """Run a chunk in either order, with any ports, with or without coalescing, cell by cell of (cycle, bank)."""
    ports, latency, num, den = unit[PORTS], unit[LATENCY], unit[NUM], unit[DEN]
    mac_latency = unit[MAC_LATENCY]
    in_order, coalesce = unit[IN_ORDER] != 0, unit[COALESCE] != 0
    whole, part = num // den, num % den
    limited = num > den
    record = len(granted) > 0
    mask = len(leave_cycle) - 1
    around = len(words_at) - 1
    banks = used.shape[1]
    ports_taken, address_held = used.ravel(), held.ravel()
    credit, consume_from, waiting = numbers[CREDIT], numbers[CONSUME_FROM], numbers[WAITING]
    head, tail = numbers[HEAD], numbers[LEAVING]
    last, position, dispatch = numbers[LAST], numbers[POSITION], numbers[DISPATCH]
    last_grant, peak, end = numbers[LAST_GRANT], numbers[PEAK], numbers[SCATTER_END]
    bundle, bundle_stop = 0, bundle_end[0] if len(bundle_end) else 0
    base = pointer[0]
    stop = np.int64(0)
    for g in range(len(pointer) - 1):
        got = dispatch
        start = stop
        stop = pointer[g + 1] - base
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
        if g + 1 == bundle_stop:
            end = max(end, consume + mac_latency) + busy[bundle]
            ends[bundle] = end
            numbers[SCATTER_BUSY] += busy[bundle]
            bundle += 1
            if bundle < len(bundle_end):
                bundle_stop = bundle_end[bundle]
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
    numbers[CREDIT] = credit
    numbers[CONSUME_FROM] = consume_from
    numbers[LAST_GRANT] = last_grant
    numbers[LAST_CONSUMED] = consume_from - 1
    numbers[PEAK] = peak
    numbers[SCATTER_END] = end
    numbers[WAITING], numbers[HEAD], numbers[LEAVING] = waiting, head, tail
    numbers[LAST], numbers[POSITION], numbers[DISPATCH] = last, position, dispatch
    if numbers[CLOSING]:
        for k in range(len(lane_from)):
            lane_from[k] = max(lane_from[k] - dispatch, 0)
        _hand_over(unit, numbers, window, spare, leave_cycle, leave_words)
