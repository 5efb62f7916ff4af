"""Gather unit and MAC array over one repeat of a stream: DESIGN section 5, without a loop over cycles.

Requests are taken in (group, lane) order. Each gets the first cycle, from the one it is offered in, in which its bank
has a free port (or grants the same address, with coalescing); requests of lower priority change nothing for it.
Five families: ``lockstep`` (W = 1 on few banks, counts in a word), ``backlog`` (out of order on few banks: what each
bank has yet to grant, four banks to a word), ``queue`` (a queue per bank: out of order, or W = 1), ``ordered`` (in
order, one port, 64 cycles of a bank in one word) and ``ring`` (all that is left: in order with more ports, and
coalescing).

A call runs consecutive repeats of a short stream, or a chunk of groups of one repeat: ``numbers`` says where the last
chunk stopped, all arrays stay as they are. The bank of a request is
``(moved ^ (moved >> SHIFT)) & LOW``, ``moved = place[repeat * ROW + request] + offset[repeat]``: addresses, or banks
where their number is not a power of two (``SHIFT`` 63 and ``LOW`` -1 change nothing). Banks are found for a tile of
groups at a time, in a loop that becomes vector instructions and stays in the nearest cache.
Time 0 is the cycle of the first dispatch. What is left to the next repeat is rewritten relative to the
next first dispatch, everything that can no longer matter clamped, so that equal states have equal arrays.
Waiting words are counted as time passes: no group visible later can be granted before it is dispatched.
Leaves out: the scatter unit, but for the end of each bundle when nothing is left from an earlier repeat.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.cpython.unsafe.numbers import trailing_zeros

IntArray = npt.NDArray[np.int64]
WordArray = npt.NDArray[np.uint64]

# numbers: what a repeat takes over (first four), what it returns, and where a chunk of groups stops
CREDIT, CONSUME_FROM, WAITING, LEAVING, ADVANCE, LAST_GRANT, LAST_CONSUMED, PEAK, SCATTER_END, SCATTER_BUSY = range(10)
# ``CLOSING``: 1 with a repeat's last chunk; ``SEEN``: a bit for each that any place had, below 2^63
HEAD, LAST, POSITION, DISPATCH, HELD, CLOSING, SEEN = range(10, 17)
NUMBERS = 17
# unit: the parameters of the machine, where banks are found, and ``BUSY_ROW``: how far the scatters of a repeat lie
# from those of the one before, 0 where all repeats scatter alike
PORTS, LATENCY, MAC_LATENCY, NUM, DEN, IN_ORDER, COALESCE, SHIFT, LOW, ROW, BUSY_ROW = range(11)
UNIT = 11
TILE = 2048  # requests whose banks are found at once, or one group's: 16 KiB


@njit(cache=True, nogil=True)
def _credit(credit: int, cycles: int, num: int, den: int) -> int:
    """Return the credit left by a dispatch ``cycles`` after the last one."""
    if cycles >= num // den + 2:
        return den - 1  # the most that is left
    gained = credit + cycles * den
    return gained - num if gained < num + den else den - 1


@njit(cache=True, nogil=True)
def open_repeat(numbers: IntArray, window: IntArray, free: IntArray) -> None:
    """Set what the first chunk of a repeat goes on from; ``free`` [banks]: as in ``queue``, else of size 0."""
    numbers[SEEN] = 0
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


@njit(cache=True, nogil=True)
def _tile_stop(pointer: IntArray, group: int) -> int:
    """Return one past the last group of the tile that begins with ``group``."""
    stop = group + 1
    while stop < len(pointer) - 1 and pointer[stop + 1] - pointer[group] <= TILE:
        stop += 1
    return stop


@njit(cache=True, nogil=True)
def _find_banks(place: WordArray, first: int, offset: np.uint64, unit: IntArray, size: int, out: WordArray) -> np.int64:
    """Write the banks of ``size`` requests from ``first`` on into ``out``; return the bits of their places."""
    shift, low = np.uint64(unit[SHIFT]), np.uint64(unit[LOW])
    seen = np.uint64(0)
    for i in range(size):
        word = place[np.uint64(first + i)]  # unsigned: an index without a sign needs no wrap-around
        seen |= word
        word += offset
        out[i] = (word ^ (word >> shift)) & low
    return np.int64(seen)


@njit(cache=True, nogil=True)
def _find_nibbles(
    place: WordArray, first: int, offset: np.uint64, unit: IntArray, size: int, out: WordArray
) -> np.int64:
    """Write 1 in the nibble that counts the request's bank, below 16; else as ``_find_banks``."""
    shift, low = np.uint64(unit[SHIFT]), np.uint64(unit[LOW])
    one, two = np.uint64(1), np.uint64(2)
    seen = np.uint64(0)
    for i in range(size):
        word = place[np.uint64(first + i)]
        seen |= word
        word += offset
        out[i] = one << (((word ^ (word >> shift)) & low) << two)
    return np.int64(seen)


_LOW = np.uint64(0x0F0F0F0F0F0F0F0F)
_HIGH_BITS = np.uint64(0x8080808080808080)
_ONES = np.uint64(0x0101010101010101)


@njit(cache=True, nogil=True)
def _counts(nibble: WordArray, start: int, stop: int) -> tuple[np.uint64, np.uint64]:
    """Return how many requests of a group, at most 127, ask for banks 0, 2, ... and 1, 3, ...: a byte for each."""
    eight, four = np.uint64(8), np.uint64(4)
    even, odd = np.uint64(0), np.uint64(0)
    at, end = np.uint64(start), np.uint64(stop)
    while at + eight <= end:  # no nibble overflows
        count = np.uint64(0)
        for i in range(8):
            count += nibble[at + np.uint64(i)]
        even += count & _LOW
        odd += (count >> four) & _LOW
        at += eight
    count = np.uint64(0)
    while at < end:
        count += nibble[at]
        at += np.uint64(1)
    return even + (count & _LOW), odd + ((count >> four) & _LOW)


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
    pointer: IntArray,  # [G+1] first request of each group of the chunk
    place: WordArray,  # [rows * requests], or [0] if no request can wait for a port
    offset: WordArray,  # [repeats]
    tile: WordArray,  # [requests of a tile] space to work in
    bundle_end: IntArray,  # [bundles] groups of the chunk up to the end of each bundle that ends in it
    busy: IntArray,  # [rows * bundles] cycles that its scatter takes
    unit: IntArray,
    numbers: IntArray,
    window: IntArray,  # [1]
    leave_cycle: IntArray,  # ring of m(g) of the groups not yet consumed
    leave_words: IntArray,
    spare: IntArray,
    granted: IntArray,  # [G], or [0] when nobody asks
    consumed: IntArray,  # [G], or [0]
    ends: IntArray,  # [bundles] end of the bundle's scatter in the last repeat
) -> None:
    """Run groups with W = 1, at most 16 banks and 127 requests a group: no request is left when a group starts."""
    ports = unit[PORTS]
    counted = len(place) > 0
    latency, mac_latency = unit[LATENCY], unit[MAC_LATENCY]
    num, den = unit[NUM], unit[DEN]
    whole, part = num // den, num % den
    limited = num > den
    record = len(granted) > 0  # one repeat only
    groups = len(pointer) - 1
    mask = len(leave_cycle) - 1
    credit, consume_from, waiting = numbers[CREDIT], numbers[CONSUME_FROM], numbers[WAITING]
    head, tail, seen = numbers[HEAD], numbers[LEAVING], numbers[SEEN]
    dispatch = numbers[DISPATCH]
    last_grant, peak = numbers[LAST_GRANT], numbers[PEAK]
    end, scattering = numbers[SCATTER_END], numbers[SCATTER_BUSY]
    for repeat in range(len(offset)):
        bundle, bundle_stop = 0, bundle_end[0] if len(bundle_end) else 0
        busy_at = repeat * unit[BUSY_ROW]
        row = repeat * unit[ROW] - pointer[0]  # of the first request of the chunk in ``place``
        tile_stop = 0
        while tile_stop < groups:
            first_group, tile_stop = tile_stop, _tile_stop(pointer, tile_stop)
            base = pointer[first_group]
            if counted:
                seen |= _find_nibbles(place, row + base, offset[repeat], unit, pointer[tile_stop] - base, tile)
            stop = np.int64(0)
            for g in range(first_group, tile_stop):
                start = stop
                stop = pointer[g + 1] - base
                size = stop - start
                even, odd = np.uint64(0), np.uint64(0)
                cost = np.int64(1)
                if counted:
                    even, odd = _counts(tile, start, stop)
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
                    taken_by_scatter = busy[busy_at + bundle]
                    end = max(end, consume + mac_latency) + taken_by_scatter
                    ends[bundle] = end
                    scattering += taken_by_scatter
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
    numbers[SCATTER_END], numbers[SCATTER_BUSY] = end, scattering
    numbers[WAITING], numbers[HEAD], numbers[LEAVING] = waiting, head, tail
    numbers[SEEN] = seen
    numbers[DISPATCH] = dispatch
    window[0] = last_grant + 1
    if numbers[CLOSING]:
        _hand_over(unit, numbers, window, spare, leave_cycle, leave_words)


_PAIRS = np.uint64(0x00FF00FF00FF00FF)
_HIGH_16 = np.uint64(0x8000800080008000)
_REST_16 = np.uint64(0x7FFF7FFF7FFF7FFF)
_ONES_16 = np.uint64(0x0001000100010001)
MOST_BACKLOG = 0x7FFF  # four numbers below 2^15 in a word


@njit(cache=True, nogil=True)
def _asked(left: np.uint64, count: np.uint64) -> np.uint64:
    """Return each of four numbers of ``left`` whose count is not 0, else 0."""
    above = ((count + _REST_16) & _HIGH_16) >> np.uint64(15)
    return left & ((above << np.uint64(16)) - above)


@njit(cache=True, nogil=True)
def _greater_16(left: np.uint64, right: np.uint64) -> np.uint64:
    """Return the greater of each of four numbers."""
    above = (((left | _HIGH_16) - right) & _HIGH_16) >> np.uint64(15)
    mask = (above << np.uint64(16)) - above
    return (left & mask) | (right & ~mask)


@njit(cache=True, nogil=True)
def _without(left: np.uint64, granted: np.uint64) -> np.uint64:
    """Return the greater of 0 and the difference, for each of four numbers."""
    rest = (left | _HIGH_16) - granted
    above = (rest & _HIGH_16) >> np.uint64(15)
    return rest & ((above << np.uint64(15)) - above)


@njit(cache=True, nogil=True)
def _bank_of(word: int, number: int) -> int:
    """Return the bank whose backlog is a number of a word: bytes of even banks split in two words, then of odd ones."""
    return 4 * number + (0, 2, 1, 3)[word]


@njit(cache=True, nogil=True)
def _gathered(free: IntArray, word: int) -> np.uint64:
    """Return the backlogs of four banks in a word."""
    found = np.uint64(0)
    for number in range(4):
        bank = _bank_of(word, number)
        if bank < len(free):
            found |= np.uint64(free[bank]) << np.uint64(16 * number)
    return found


@njit(cache=True, nogil=True)
def _spread(left: np.uint64, word: int, free: IntArray) -> None:
    """Write the backlogs of a word to their banks."""
    for number in range(4):
        bank = _bank_of(word, number)
        if bank < len(free):
            free[bank] = np.int64((left >> np.uint64(16 * number)) & np.uint64(MOST_BACKLOG))


@njit(cache=True, nogil=True)
def backlog(
    pointer: IntArray,
    place: WordArray,
    offset: WordArray,
    tile: WordArray,
    bundle_end: IntArray,
    busy: IntArray,
    unit: IntArray,
    numbers: IntArray,
    window: IntArray,
    free: IntArray,  # [banks] requests not yet granted when the next group is dispatched
    leave_cycle: IntArray,
    leave_words: IntArray,
    spare: IntArray,
    granted: IntArray,
    consumed: IntArray,
    ends: IntArray,
) -> None:
    """Run groups out of order, at most 16 banks, 127 requests a group and MOST_BACKLOG visible requests.

    As ``queue``, but all banks move at once: a group's counts are added, a cycle takes the ports from each bank.
    """
    ports = unit[PORTS]
    latency, mac_latency = unit[LATENCY], unit[MAC_LATENCY]
    num, den = unit[NUM], unit[DEN]
    whole, part = num // den, num % den
    limited = num > den
    record = len(granted) > 0  # one repeat only
    groups = len(pointer) - 1
    mask = len(leave_cycle) - 1
    credit, consume_from, held = numbers[CREDIT], numbers[CONSUME_FROM], numbers[HELD]
    head, tail, seen = numbers[HEAD], numbers[LEAVING], numbers[SEEN]
    last, position, dispatch = numbers[LAST], numbers[POSITION], numbers[DISPATCH]
    last_grant, peak = numbers[LAST_GRANT], numbers[PEAK]
    end, scattering = numbers[SCATTER_END], numbers[SCATTER_BUSY]
    a_cycle = np.uint64(min(ports, MOST_BACKLOG)) * _ONES_16
    left0, left1, left2, left3 = _gathered(free, 0), _gathered(free, 1), _gathered(free, 2), _gathered(free, 3)
    for repeat in range(len(offset)):
        bundle, bundle_stop = 0, bundle_end[0] if len(bundle_end) else 0
        busy_at = repeat * unit[BUSY_ROW]
        row = repeat * unit[ROW] - pointer[0]  # of the first request of the chunk in ``place``
        tile_stop = 0
        while tile_stop < groups:
            first_group, tile_stop = tile_stop, _tile_stop(pointer, tile_stop)
            base = pointer[first_group]
            seen |= _find_nibbles(place, row + base, offset[repeat], unit, pointer[tile_stop] - base, tile)
            stop = np.int64(0)
            for g in range(first_group, tile_stop):
                start = stop
                stop = pointer[g + 1] - base
                size = stop - start
                even, odd = _counts(tile, start, stop)
                count0, count1 = even & _PAIRS, (even >> np.uint64(8)) & _PAIRS
                count2, count3 = odd & _PAIRS, (odd >> np.uint64(8)) & _PAIRS
                left0, left1, left2, left3 = left0 + count0, left1 + count1, left2 + count2, left3 + count3
                most = _greater_16(
                    _greater_16(_asked(left0, count0), _asked(left1, count1)),
                    _greater_16(_asked(left2, count2), _asked(left3, count3)),
                )
                most = _greater_16(most, most >> np.uint64(32))
                most = _greater_16(most, most >> np.uint64(16))
                slots = np.int64(most & np.uint64(MOST_BACKLOG))
                got = dispatch + (slots - 1 if ports == 1 else (slots - 1) // ports)
                consume = max(got + latency, consume_from)
                consume_from = consume + 1
                leave_cycle[tail & mask] = consume
                leave_words[tail & mask] = size
                tail += 1
                held += size
                if record:
                    granted[g] = got
                    consumed[g] = consume
                if g + 1 == bundle_stop:
                    taken_by_scatter = busy[busy_at + bundle]
                    end = max(end, consume + mac_latency) + taken_by_scatter
                    ends[bundle] = end
                    scattering += taken_by_scatter
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
                    left0, left1 = _without(left0, a_cycle), _without(left1, a_cycle)
                    left2, left3 = _without(left2, a_cycle), _without(left3, a_cycle)
                    waiting = ((left0 + left1 + left2 + left3) * _ONES_16) >> np.uint64(48)
                    peak = max(peak, held - np.int64(waiting))
                    cycle += 1
                    if cycle >= following or cycle > last:
                        break
                if cycle < following:
                    cycles = np.uint64(min(following - cycle, MOST_BACKLOG))
                    gone = np.uint64(min(cycles * np.uint64(ports), np.uint64(MOST_BACKLOG))) * _ONES_16
                    left0, left1 = _without(left0, gone), _without(left1, gone)
                    left2, left3 = _without(left2, gone), _without(left3, gone)
                dispatch = following
    _spread(left0, 0, free)
    _spread(left1, 1, free)
    _spread(left2, 2, free)
    _spread(left3, 3, free)
    numbers[CREDIT] = credit
    numbers[CONSUME_FROM] = consume_from
    numbers[LAST_GRANT] = last_grant
    numbers[LAST_CONSUMED] = consume_from - 1
    numbers[PEAK] = peak
    numbers[SCATTER_END], numbers[SCATTER_BUSY] = end, scattering
    numbers[HELD], numbers[HEAD], numbers[LEAVING] = held, head, tail
    numbers[SEEN] = seen
    numbers[LAST], numbers[POSITION], numbers[DISPATCH] = last, position, dispatch
    if numbers[CLOSING]:
        numbers[WAITING] = held - free.sum()
        _hand_over(unit, numbers, window, spare, leave_cycle, leave_words)


@njit(cache=True, nogil=True)
def queue(
    pointer: IntArray,
    place: WordArray,
    offset: WordArray,
    tile: WordArray,
    bundle_end: IntArray,
    busy: IntArray,
    unit: IntArray,
    numbers: IntArray,
    window: IntArray,  # [W] cycle from which group i of this repeat may be dispatched
    free: IntArray,  # [banks] first free port slot, cycle * ports + port
    leave_cycle: IntArray,
    leave_words: IntArray,
    spare: IntArray,
    granted: IntArray,
    consumed: IntArray,
    ends: IntArray,
) -> None:
    """Run groups with a queue per bank: all visible requests are offered (out of order, or W = 1)."""
    ports = unit[PORTS]
    banks = len(free)
    latency, mac_latency = unit[LATENCY], unit[MAC_LATENCY]
    num, den = unit[NUM], unit[DEN]
    whole, part = num // den, num % den
    limited = num > den
    record = len(granted) > 0  # one repeat only
    groups = len(pointer) - 1
    mask = len(leave_cycle) - 1
    credit, consume_from, held = numbers[CREDIT], numbers[CONSUME_FROM], numbers[HELD]
    head, tail, seen = numbers[HEAD], numbers[LEAVING], numbers[SEEN]
    last, position, dispatch = numbers[LAST], numbers[POSITION], numbers[DISPATCH]
    last_grant, peak = numbers[LAST_GRANT], numbers[PEAK]
    end, scattering = numbers[SCATTER_END], numbers[SCATTER_BUSY]
    for repeat in range(len(offset)):
        bundle, bundle_stop = 0, bundle_end[0] if len(bundle_end) else 0
        busy_at = repeat * unit[BUSY_ROW]
        row = repeat * unit[ROW] - pointer[0]  # of the first request of the chunk in ``place``
        tile_stop = 0
        while tile_stop < groups:
            first_group, tile_stop = tile_stop, _tile_stop(pointer, tile_stop)
            base = pointer[first_group]
            seen |= _find_banks(place, row + base, offset[repeat], unit, pointer[tile_stop] - base, tile)
            stop = np.int64(0)
            for g in range(first_group, tile_stop):
                start = stop
                stop = pointer[g + 1] - base
                size = stop - start
                first_slot = dispatch * ports
                top = first_slot
                for i in range(np.uint64(start), np.uint64(stop)):
                    bank = tile[i]
                    slot = max(free[bank], first_slot)
                    free[bank] = slot + 1
                    top = max(top, slot)
                got = top if ports == 1 else top // ports
                consume = max(got + latency, consume_from)
                consume_from = consume + 1
                leave_cycle[tail & mask] = consume
                leave_words[tail & mask] = size
                tail += 1
                held += size
                if record:
                    granted[g] = got
                    consumed[g] = consume
                if g + 1 == bundle_stop:
                    taken_by_scatter = busy[busy_at + bundle]
                    end = max(end, consume + mac_latency) + taken_by_scatter
                    ends[bundle] = end
                    scattering += taken_by_scatter
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
    numbers[SCATTER_END], numbers[SCATTER_BUSY] = end, scattering
    numbers[HELD], numbers[HEAD], numbers[LEAVING] = held, head, tail
    numbers[SEEN] = seen
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
    place: WordArray,
    offset: WordArray,
    tile: WordArray,
    lane: npt.NDArray[np.uint16],
    bundle_end: IntArray,
    busy: IntArray,
    unit: IntArray,
    numbers: IntArray,
    window: IntArray,
    lane_from: IntArray,  # [lanes] first cycle in which the lane can offer its next request
    taken: WordArray,  # [words, banks] ring: bit k of word w is the bank's port in cycle 64 w + k
    leave_cycle: IntArray,
    leave_words: IntArray,
    spare: IntArray,
    granted: IntArray,
    consumed: IntArray,
    ends: IntArray,
) -> None:
    """Run groups in order with one port a bank, 64 cycles of a bank in a word."""
    latency, mac_latency = unit[LATENCY], unit[MAC_LATENCY]
    num, den = unit[NUM], unit[DEN]
    whole, part = num // den, num % den
    limited = num > den
    record = len(granted) > 0  # one repeat only
    groups = len(pointer) - 1
    mask = len(leave_cycle) - 1
    credit, consume_from, waiting = numbers[CREDIT], numbers[CONSUME_FROM], numbers[WAITING]
    head, tail, seen = numbers[HEAD], numbers[LEAVING], numbers[SEEN]
    last, position, dispatch = numbers[LAST], numbers[POSITION], numbers[DISPATCH]
    last_grant, peak = numbers[LAST_GRANT], numbers[PEAK]
    end, scattering = numbers[SCATTER_END], numbers[SCATTER_BUSY]
    around, banks = taken.shape[0] - 1, taken.shape[1]
    one = np.uint64(1)
    bit_of = taken.ravel()
    for repeat in range(len(offset)):
        bundle, bundle_stop = 0, bundle_end[0] if len(bundle_end) else 0
        busy_at = repeat * unit[BUSY_ROW]
        row = repeat * unit[ROW] - pointer[0]  # of the first request of the chunk in ``place``
        tile_stop = 0
        while tile_stop < groups:
            first_group, tile_stop = tile_stop, _tile_stop(pointer, tile_stop)
            base = pointer[first_group]
            seen |= _find_banks(place, row + base, offset[repeat], unit, pointer[tile_stop] - base, tile)
            first_lane = np.uint64(base - pointer[0])
            stop = np.int64(0)
            for g in range(first_group, tile_stop):
                got = dispatch
                start = stop
                stop = pointer[g + 1] - base
                size = stop - start
                for i in range(np.uint64(start), np.uint64(stop)):
                    bank, offered = tile[i], lane[first_lane + i]
                    cycle = max(lane_from[offered], dispatch)
                    word = np.uint64(((cycle >> 6) & around) * banks) + bank
                    bits = bit_of[word]
                    free = ~bits >> np.uint64(cycle & 63)
                    while free == 0:  # no port until the next word
                        cycle = ((cycle >> 6) + 1) << 6
                        word = np.uint64(((cycle >> 6) & around) * banks) + bank
                        bits = bit_of[word]
                        free = ~bits
                    cycle += np.int64(trailing_zeros(free))
                    bit_of[word] = bits | (one << np.uint64(cycle & 63))
                    lane_from[offered] = cycle + 1
                    got = max(got, cycle)
                consume = max(got + latency, consume_from)
                consume_from = consume + 1
                leave_cycle[tail & mask] = consume
                leave_words[tail & mask] = size
                tail += 1
                if record:
                    granted[g] = got
                    consumed[g] = consume
                if g + 1 == bundle_stop:
                    taken_by_scatter = busy[busy_at + bundle]
                    end = max(end, consume + mac_latency) + taken_by_scatter
                    ends[bundle] = end
                    scattering += taken_by_scatter
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
                    bit = np.uint64(cycle & 63)
                    words = np.int64(0)
                    for bits in taken[(cycle >> 6) & around]:
                        words += np.int64((bits >> bit) & one)
                    waiting += words
                    while head < tail and leave_cycle[head & mask] <= cycle:
                        waiting -= leave_words[head & mask]
                        head += 1
                    peak = max(peak, waiting)
                    cycle += 1
                    if cycle & 63 == 0:
                        taken[((cycle >> 6) - 1) & around, :] = 0
                if cycle & 63 != 0 and following >> 6 > cycle >> 6:  # nothing was taken past ``last``
                    taken[(cycle >> 6) & around, :] = 0
                dispatch = following
    numbers[CREDIT] = credit
    numbers[CONSUME_FROM] = consume_from
    numbers[LAST_GRANT] = last_grant
    numbers[LAST_CONSUMED] = consume_from - 1
    numbers[PEAK] = peak
    numbers[SCATTER_END], numbers[SCATTER_BUSY] = end, scattering
    numbers[WAITING], numbers[HEAD], numbers[LEAVING] = waiting, head, tail
    numbers[SEEN] = seen
    numbers[LAST], numbers[POSITION], numbers[DISPATCH] = last, position, dispatch
    if numbers[CLOSING]:
        _align(taken, dispatch)
        for k in range(len(lane_from)):
            lane_from[k] = max(lane_from[k] - dispatch, 0)
        _hand_over(unit, numbers, window, spare, leave_cycle, leave_words)


@njit(cache=True, nogil=True)
def ring(
    pointer: IntArray,
    place: WordArray,
    offset: WordArray,
    tile: WordArray,
    lane: npt.NDArray[np.uint16],
    address: WordArray,  # [requests], or [0] without coalescing
    moved: WordArray,  # [repeats] words that each repeat lies above the first
    bundle_end: IntArray,
    busy: IntArray,
    unit: IntArray,
    numbers: IntArray,
    window: IntArray,
    lane_from: IntArray,
    used: npt.NDArray[np.int32],  # [cycles, banks] ring of ports taken
    words_at: IntArray,  # [cycles] ring of words granted
    held: WordArray,  # [cycles, banks, ports] ring of addresses granted, [1, 1, 1] without coalescing
    leave_cycle: IntArray,
    leave_words: IntArray,
    spare: IntArray,
    granted: IntArray,
    consumed: IntArray,
    ends: IntArray,
) -> None:
    """Run groups in either order, with any ports, with or without coalescing, cell by cell of (cycle, bank)."""
    ports = unit[PORTS]
    in_order, coalesce = unit[IN_ORDER] != 0, unit[COALESCE] != 0
    latency, mac_latency = unit[LATENCY], unit[MAC_LATENCY]
    num, den = unit[NUM], unit[DEN]
    whole, part = num // den, num % den
    limited = num > den
    record = len(granted) > 0  # one repeat only
    groups = len(pointer) - 1
    mask = len(leave_cycle) - 1
    credit, consume_from, waiting = numbers[CREDIT], numbers[CONSUME_FROM], numbers[WAITING]
    head, tail, seen = numbers[HEAD], numbers[LEAVING], numbers[SEEN]
    last, position, dispatch = numbers[LAST], numbers[POSITION], numbers[DISPATCH]
    last_grant, peak = numbers[LAST_GRANT], numbers[PEAK]
    end, scattering = numbers[SCATTER_END], numbers[SCATTER_BUSY]
    around = len(words_at) - 1
    banks = used.shape[1]
    ports_taken, address_held = used.ravel(), held.ravel()
    for repeat in range(len(offset)):
        bundle, bundle_stop = 0, bundle_end[0] if len(bundle_end) else 0
        busy_at = repeat * unit[BUSY_ROW]
        row = repeat * unit[ROW] - pointer[0]  # of the first request of the chunk in ``place``
        tile_stop = 0
        while tile_stop < groups:
            first_group, tile_stop = tile_stop, _tile_stop(pointer, tile_stop)
            base = pointer[first_group]
            seen |= _find_banks(place, row + base, offset[repeat], unit, pointer[tile_stop] - base, tile)
            first_request = np.uint64(base - pointer[0])
            stop = np.int64(0)
            for g in range(first_group, tile_stop):
                got = dispatch
                start = stop
                stop = pointer[g + 1] - base
                size = stop - start
                for i in range(np.uint64(start), np.uint64(stop)):
                    bank, offered = tile[i], lane[first_request + i]
                    cycle = max(lane_from[offered], dispatch) if in_order else dispatch
                    wanted = address[first_request + i] + moved[repeat] if coalesce else np.uint64(0)
                    while True:
                        cell = np.uint64((cycle & around) * banks) + bank
                        count = ports_taken[cell]
                        if coalesce:
                            first = cell * np.uint64(ports)
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
                        lane_from[offered] = cycle + 1
                    got = max(got, cycle)
                consume = max(got + latency, consume_from)
                consume_from = consume + 1
                leave_cycle[tail & mask] = consume
                leave_words[tail & mask] = size
                tail += 1
                if record:
                    granted[g] = got
                    consumed[g] = consume
                if g + 1 == bundle_stop:
                    taken_by_scatter = busy[busy_at + bundle]
                    end = max(end, consume + mac_latency) + taken_by_scatter
                    ends[bundle] = end
                    scattering += taken_by_scatter
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
                    row_at = cycle & around
                    waiting += words_at[row_at]
                    words_at[row_at] = 0
                    used[row_at, :] = 0
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
    numbers[SCATTER_END], numbers[SCATTER_BUSY] = end, scattering
    numbers[WAITING], numbers[HEAD], numbers[LEAVING] = waiting, head, tail
    numbers[SEEN] = seen
    numbers[LAST], numbers[POSITION], numbers[DISPATCH] = last, position, dispatch
    if numbers[CLOSING]:
        for k in range(len(lane_from)):
            lane_from[k] = max(lane_from[k] - dispatch, 0)
        _hand_over(unit, numbers, window, spare, leave_cycle, leave_words)
