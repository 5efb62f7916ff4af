"""A DRAM behind an in-order, open-page controller: bursts in, clock cycles out. Times are cycles of the DRAM's clock.

A burst becomes visible to its channel when its transfer has arrived and the column command of the burst ``QUEUE``
before it has been issued. From then on its commands (precharge and activate where its row is not open, then read or
write) are issued as early as the rules allow, after those of the same kind of every earlier burst of the channel. So
activates run ahead of data. A refresh of all banks is due every REFI: the first burst whose column command would not
come before it waits until it is done.
Address, from low to high: byte of a burst, channel, bank group, burst of the row, bank of the group, row.
Leaves out: the command bus (one command a cycle), ranks, reordering, refresh of single banks, the end of the last row.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

IntArray = npt.NDArray[np.int64]

# timing: the numbers of a DRAM; powers of two come as their logarithms
(
    CHANNEL_BITS, GROUP_BITS, BANK_BITS, COLUMN_BITS, BURST_BITS, QUEUE, BURST, CL, CWL, RCD, RP, RAS, RRD_S, RRD_L,
    FAW, CCD_S, CCD_L, WR, RTP, WTR_S, WTR_L, TURNAROUND, REFI, RFC,
) = range(24)  # fmt: skip
TIMINGS = 24
# of a channel: last activate, last column command, last write command, end of data on the bus, 1 if they were read,
# when the next refresh is due, bursts served, activates issued
LAST_ACTIVATE, LAST_COLUMN, LAST_WRITE, BUS_FREE, READING, DUE, SERVED, ACTIVATES, REFRESHES = range(9)
CHANNEL_STATE = 9
# of a bank group: last activate, last column command, last write command
GROUP_STATE = 3
# of a bank: open row or -1; from when on a column command (open) or an activate (closed) is allowed; a precharge
ROW, READY, PRECHARGE = range(3)
BANK_STATE = 3
NEVER = -(1 << 40)


@njit(cache=True, nogil=True)
def _refresh(timing: IntArray, state: IntArray, banks: IntArray, visible: int) -> None:
    """Close the banks of a channel and refresh it; refreshes that pass before ``visible`` leave the same state."""
    start = state[DUE]
    for b in range(len(banks)):
        ready = banks[b, READY] if banks[b, ROW] < 0 else banks[b, PRECHARGE] + timing[RP]
        start = max(start, ready)
    for b in range(len(banks)):
        banks[b, ROW] = -1
        banks[b, READY] = start + timing[RFC]
    state[DUE] += timing[REFI]
    state[REFRESHES] += 1
    if visible >= state[DUE] + timing[REFI]:
        passed = (visible - state[DUE]) // timing[REFI]
        state[DUE] += passed * timing[REFI]
        state[REFRESHES] += passed


@njit(cache=True, nogil=True)
def _serve_one(
    timing: IntArray,
    state: IntArray,
    activates: IntArray,
    queue: IntArray,
    group: IntArray,
    banks: IntArray,
    bank: IntArray,
    row: int,
    is_write: bool,
    arrival: int,
) -> bool:
    """Serve one burst of a channel, by every rule; return whether a refresh came before it."""
    data_delay = timing[CWL] if is_write else timing[CL]
    written = timing[CWL] + timing[BURST]  # from a write command to the end of its data
    slot = state[SERVED] % timing[QUEUE]
    visible = max(np.int64(arrival), queue[slot])
    refreshed = False
    while True:
        is_hit = bank[ROW] == row
        activate = np.int64(NEVER)
        if is_hit:
            column = max(visible, bank[READY])
        else:
            activate = bank[READY] if bank[ROW] < 0 else max(visible, bank[PRECHARGE]) + timing[RP]
            activate = max(activate, visible)
            activate = max(activate, state[LAST_ACTIVATE] + timing[RRD_S])
            activate = max(activate, group[0] + timing[RRD_L])
            activate = max(activate, activates[state[ACTIVATES] & 3] + timing[FAW])
            column = activate + timing[RCD]
        column = max(column, state[LAST_COLUMN] + timing[CCD_S])
        column = max(column, group[1] + timing[CCD_L])
        bus = state[BUS_FREE]
        if is_write:
            bus += timing[TURNAROUND] * state[READING]
        else:
            column = max(column, state[LAST_WRITE] + written + timing[WTR_S])
            column = max(column, group[2] + written + timing[WTR_L])
        column = max(column, bus - data_delay)
        if column < state[DUE]:
            break
        _refresh(timing, state, banks, visible)
        refreshed = True
    if not is_hit:
        bank[ROW] = row
        bank[READY] = activate + timing[RCD]
        bank[PRECHARGE] = activate + timing[RAS]
        state[LAST_ACTIVATE] = activate
        group[0] = activate
        activates[state[ACTIVATES] & 3] = activate
        state[ACTIVATES] += 1
    state[LAST_COLUMN] = column
    group[1] = column
    if is_write:
        state[LAST_WRITE] = column
        group[2] = column
        bank[PRECHARGE] = max(bank[PRECHARGE], column + written + timing[WR])
    else:
        bank[PRECHARGE] = max(bank[PRECHARGE], column + timing[RTP])
    state[READING] = 0 if is_write else 1
    state[BUS_FREE] = column + data_delay + timing[BURST]
    queue[slot] = column
    state[SERVED] += 1
    return refreshed


@njit(cache=True, nogil=True)
def _serve_hits(
    timing: IntArray,
    state: IntArray,
    queue: IntArray,
    groups: IntArray,
    banks: IntArray,  # of the open rows: those from the first group's on
    first_group: int,
    count: int,
    step: int,
    is_write: bool,
) -> None:
    """Serve ``count`` bursts of a channel in open rows, a column command every ``step`` cycles after the last one."""
    last = state[LAST_COLUMN]
    depth, served = timing[QUEUE], state[SERVED]
    column = last + count * step
    slot = (served + count - 1) % depth
    for back in range(min(count, depth)):
        queue[slot] = column - back * step
        slot = depth - 1 if slot == 0 else slot - 1
    closing = timing[CWL] + timing[BURST] + timing[WR] if is_write else timing[RTP]
    mask = len(groups) - 1
    for back in range(min(count, len(groups))):
        g = (first_group + count - 1 - back) & mask
        groups[g, 1] = column - back * step
        if is_write:
            groups[g, 2] = column - back * step
        banks[g, PRECHARGE] = max(banks[g, PRECHARGE], column - back * step + closing)
    state[LAST_COLUMN] = column
    if is_write:
        state[LAST_WRITE] = column
    state[BUS_FREE] = column + (timing[CWL] if is_write else timing[CL]) + timing[BURST]
    state[SERVED] = served + count


@njit(cache=True, nogil=True)
def _serve_channel(
    timing: IntArray,
    state: IntArray,
    activates: IntArray,
    queue: IntArray,
    groups: IntArray,
    banks: IntArray,
    first: int,
    last: int,
    is_write: bool,
    arrival: int,
) -> np.int64:
    """Serve bursts ``first`` to ``last`` of a channel, counted in it; return when the last was taken into the queue.

    Once every bank group has had a burst in its open row, the bus or a group alone sets the pace until the row ends or
    a refresh is due: these bursts are served at once.
    """
    group_count = 1 << timing[GROUP_BITS]
    set_mask = (1 << (timing[GROUP_BITS] + timing[COLUMN_BITS])) - 1  # bursts of a row in every group
    step = max(timing[CCD_S], timing[BURST])
    if group_count == 1:
        step = max(step, timing[CCD_L])
    is_even = timing[CCD_L] <= group_count * step  # else no group is ready when its turn comes
    taken = np.int64(arrival)
    k = first
    while k <= last:
        set_last = min(last, k | set_mask)
        high = k >> (timing[GROUP_BITS] + timing[COLUMN_BITS])
        row = high >> timing[BANK_BITS]
        open_banks = banks[(high & ((1 << timing[BANK_BITS]) - 1)) << timing[GROUP_BITS] :]
        unseen = group_count
        while k <= set_last:
            at_once = 0
            if unseen <= 0 and is_even:
                at_once = max(min(set_last - k + 1, (state[DUE] - 1 - state[LAST_COLUMN]) // step), 0)
            count = max(at_once, 1)
            if k + count > last:  # the last burst of all is the last taken into the queue
                before = state[LAST_COLUMN] + (count - timing[QUEUE]) * step
                if count <= timing[QUEUE]:
                    before = queue[(state[SERVED] + count - 1) % timing[QUEUE]]
                taken = max(taken, before)
            g = k & (group_count - 1)
            if at_once:
                _serve_hits(timing, state, queue, groups, open_banks, g, at_once, step, is_write)
                k += at_once
                continue
            if _serve_one(timing, state, activates, queue, groups[g], banks, open_banks[g], row, is_write, arrival):
                unseen = group_count
            unseen -= 1
            k += 1
    return taken


@njit(cache=True, nogil=True)
def serve(
    timing: IntArray,
    channels: IntArray,
    activates: IntArray,
    queue: IntArray,
    groups: IntArray,
    banks: IntArray,
    address: int,
    size_bytes: int,
    is_write: bool,
    arrival: int,
    result: IntArray,
) -> None:
    """Serve one transfer. ``result``: when its last burst was taken into the queue, when its last data end.

    State, all int64: channels [channels, CHANNEL_STATE], activates [channels, 4] (the last four), queue [channels,
    QUEUE] (column commands of the last bursts), groups [channels, groups, GROUP_STATE], banks [channels, banks,
    BANK_STATE] with the bank of a group in the high bits.
    """
    taken = np.int64(arrival)
    done = np.int64(arrival)
    first, last = address >> timing[BURST_BITS], address + size_bytes - 1 >> timing[BURST_BITS]
    for c in range(len(channels)):  # each by itself: they share nothing
        low = (first - c + len(channels) - 1) >> timing[CHANNEL_BITS]
        high = (last - c) >> timing[CHANNEL_BITS]
        if low > high:
            continue
        state = channels[c]
        of_channel = _serve_channel(
            timing, state, activates[c], queue[c], groups[c], banks[c], low, high, is_write, arrival
        )
        taken = max(taken, of_channel)
        done = max(done, state[BUS_FREE])
    result[0] = taken
    result[1] = done


# bus: what moves transfers. ``TIMED``: 1 with the rules above, cycles of both clocks converted up; else flat
(
    TIMED, BUFFERS_IN, BUFFERS_OUT, LATENCY, CORE_HZ, BURST_BYTES, BYTES_PER_S, DRAM_HZ, MOST_CYCLE, MOST_TICK,
) = range(10)  # fmt: skip
BUS = 10
# of a core: the tile that is loaded, its next transfer, the tile that runs next, the tile that is stored; whether a
# load or a store waits for the DRAM, and since when: cycle and round
LOADED, MOVING, COMPUTED, STORED, LOADS, STORES = range(6)
CORE_STATE = 6


@njit(cache=True, nogil=True)
def _scaled_up(count: int, num: int, den: int) -> np.int64:
    """Return count * num / den, rounded up; num and den below 2^38, and the result below 2^62."""
    whole, rest = count // den, count % den
    high, low = rest * (num >> 16), rest * (num & 0xFFFF)  # rest * num may not fit
    return np.int64(whole * num + (high // den << 16) + ((high % den << 16) + low + den - 1) // den)


@njit(cache=True, nogil=True)
def _start_what_can(
    bus: IntArray,
    core: IntArray,
    first: int,
    tiles: int,
    load_ptr: IntArray,
    store_bytes: IntArray,
    compute: IntArray,
    asked: IntArray,
    loaded: IntArray,
    ran: IntArray,
    stored: IntArray,
    there: IntArray,
) -> None:
    """Go on with a core until its load and its store wait for the DRAM, or for each other.

    A moment is a cycle and a round: what a transfer sets off in the cycle in which it was handed over is asked for
    after all that was asked for before it.
    """
    moved = True
    while moved:
        moved = False
        i = core[LOADED]
        if not core[LOADS] and i < tiles and core[COMPUTED] > i - bus[BUFFERS_IN]:
            for part in range(2):
                asked[0, part] = loaded[first + i - 1, part] if i else 0
            if i >= bus[BUFFERS_IN]:
                _later(asked[0], ran[first + i - bus[BUFFERS_IN]])
            there[first + i] = asked[0, 0]
            core[MOVING] = load_ptr[first + i]
            core[LOADS] = 1
            moved = True
        if core[LOADS] and core[MOVING] == load_ptr[first + i + 1]:
            loaded[first + i] = asked[0]
            core[LOADED] += 1
            core[LOADS] = 0
            moved = True
        i = core[COMPUTED]
        if i < core[LOADED] and core[STORED] > i - bus[BUFFERS_OUT]:
            begin = ran[first + i]
            for part in range(2):
                begin[part] = loaded[first + i, part]
            if i:
                _later(begin, ran[first + i - 1])
            if i >= bus[BUFFERS_OUT]:
                _later(begin, stored[first + i - bus[BUFFERS_OUT]])
            takes = max(there[first + i] - begin[0], 0) + compute[first + i]
            if takes:
                begin[0] += takes
                begin[1] = 0
            core[COMPUTED] += 1
            moved = True
        i = core[STORED]
        if not core[STORES] and i < core[COMPUTED]:
            for part in range(2):
                asked[1, part] = ran[first + i, part]
            if i:
                _later(asked[1], stored[first + i - 1])
            core[STORES] = 1
            moved = True
        if core[STORES] and not store_bytes[first + i]:
            stored[first + i] = asked[1]
            core[STORED] += 1
            core[STORES] = 0
            moved = True


@njit(cache=True, nogil=True)
def _later(moment: IntArray, other: IntArray) -> None:
    """Set ``moment`` to the later of the two."""
    if other[0] > moment[0] or (other[0] == moment[0] and other[1] > moment[1]):
        moment[0] = other[0]
        moment[1] = other[1]


@njit(cache=True, nogil=True)
def run_tiles(
    bus: IntArray,
    timing: IntArray,
    channels: IntArray,
    activates: IntArray,
    queue: IntArray,
    groups: IntArray,
    banks: IntArray,
    core_ptr: IntArray,  # [cores + 1] first tile of each core
    load_ptr: IntArray,  # [tiles + 1] first transfer of each tile's load
    load_bytes: IntArray,  # [transfers], none empty
    load_address: IntArray,
    store_bytes: IntArray,  # [tiles]
    store_address: IntArray,
    compute: IntArray,  # [tiles] cycles
) -> np.int64:
    """Return the cycle in which the last tile has been stored; -1 where a time leaves what 64 bits can count.

    The DRAM's state as in ``serve``, idle; empty with a flat bus.
    """
    cores, tiles = len(core_ptr) - 1, len(store_bytes)
    state = np.zeros((cores, CORE_STATE), np.int64)
    asked = np.zeros((cores, 2, 2), np.int64)
    loaded = np.zeros((tiles, 2), np.int64)
    ran = np.zeros((tiles, 2), np.int64)
    stored = np.zeros((tiles, 2), np.int64)
    there = np.zeros(tiles, np.int64)
    result = np.zeros(2, np.int64)
    bus_free = last_there = np.int64(0)
    for c in range(cores):
        _start_what_can(
            bus, state[c], core_ptr[c], core_ptr[c + 1] - core_ptr[c], load_ptr, store_bytes, compute, asked[c],
            loaded, ran, stored, there,
        )  # fmt: skip
    while True:
        rank = -1
        for c in range(cores):
            for way in range(2):
                if state[c, LOADS + way] and (
                    rank < 0
                    or asked[c, way, 0] < asked[rank >> 1, rank & 1, 0]
                    or (
                        asked[c, way, 0] == asked[rank >> 1, rank & 1, 0]
                        and asked[c, way, 1] < asked[rank >> 1, rank & 1, 1]
                    )
                ):
                    rank = 2 * c + way
        if rank < 0:
            break
        c, is_write = rank >> 1, rank & 1 == 1
        core, moment = state[c], asked[c, rank & 1]
        first = core_ptr[c]
        tile = first + core[STORED] if is_write else first + core[LOADED]
        size = store_bytes[tile] if is_write else load_bytes[core[MOVING]]
        now = moment[0]
        if now > bus[MOST_CYCLE]:
            return np.int64(-1)
        if bus[TIMED]:
            address = store_address[tile] if is_write else load_address[core[MOVING]]
            arrival = _scaled_up(now, bus[DRAM_HZ], bus[CORE_HZ])
            serve(timing, channels, activates, queue, groups, banks, address, size, is_write, arrival, result)
            if result[1] > bus[MOST_TICK]:
                return np.int64(-1)
            handed_over = _scaled_up(result[0], bus[CORE_HZ], bus[DRAM_HZ])
            done = _scaled_up(result[1], bus[CORE_HZ], bus[DRAM_HZ])
        else:
            moved = -(-size // bus[BURST_BYTES]) * bus[BURST_BYTES]
            bus_free = max(bus_free, now) - (-moved * bus[CORE_HZ] // bus[BYTES_PER_S])
            handed_over = done = bus_free
        if handed_over > now:
            moment[0], moment[1] = handed_over, 0
        else:
            moment[1] += 1
        if is_write:
            last_there = max(last_there, done)
            stored[tile] = moment
            core[STORED] += 1
            core[STORES] = 0
        else:
            there[tile] = max(there[tile], done + bus[LATENCY])
            core[MOVING] += 1
        _start_what_can(
            bus, core, first, core_ptr[c + 1] - first, load_ptr, store_bytes, compute, asked[c], loaded, ran, stored,
            there,
        )  # fmt: skip
    for c in range(cores):
        if core_ptr[c + 1] > core_ptr[c]:
            last_there = max(last_there, stored[core_ptr[c + 1] - 1, 0])
    return last_there
