"""Cycles of a request stream on a gather unit, a MAC array and a scatter unit: DESIGN section 5, all repeats.

Repeats are run by ``GatherRun``, each from the state the last one left. The state is relative to time, and to the
repeat's address offset where a move only permutes banks, so equal states have equal futures: a repeat already seen is
looked up, and once the states run in a circle whole circles are jumped. To look costs more than to run a short repeat,
so it goes on until a sixteenth of what all repeats cost is spent; from then on many repeats are run at once, and
circles are looked for from one such block to the next. The gather unit never waits for the scatter unit, so the scatter
unit is a maximum of two lines on top, and is jumped in closed form.
Equal to replaying every repeat, to the cycle. Leaves out: DMA and DRAM (``simulator/engine.py``).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

import numpy as np

from simulator.gather_run import Block, GatherRun, Step, UnitState
from simulator.spec import DeviceError, GatherUnit, MacArray, ScatterUnit, Scratchpad
from traces.stream import IntArray, RequestStream, TraceError

LOOK_UP_REQUESTS = 1 << 9  # what it costs to look up a repeat, as so many requests
MEMO_BYTES = 1 << 26  # states remembered; past that they are forgotten and the search for a circle starts again
_NO_SCATTER = ScatterUnit(rmw_cycles=1)
_NO_TILES = np.zeros(0, np.int64)
_FEW = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamCycles:
    """What a stream takes, all repeats.

    ``gather``: 1 + the last grant. ``consumed``: 1 + the cycle in which the MAC array takes the last group. ``cycles``:
    end of the last scatter. ``scatter_busy``: cycles in which the scatter unit works. ``waiting_words``: most words
    granted in a cycle <= t whose group is consumed after t, over all t. ``tile_ends``: with ``tile_end``, the end of
    each tile's last scatter in the first repeat. Serial streams count from the start of the first repeat, with gaps.
    """

    gather: int
    consumed: int
    cycles: int
    scatter_busy: int
    waiting_words: int
    tile_ends: tuple[int, ...] = ()


def run_stream(
    stream: RequestStream,
    gather: GatherUnit,
    scratchpad: Scratchpad,
    mac: MacArray,
    scatter: ScatterUnit,
    *,
    interval: Fraction,
) -> StreamCycles:
    """Run a checked stream; ``interval``: cycles a group, at least (1 or less never limits).

    Raises TraceError if the stream could overflow 64 bits, DeviceError if the window needs too much memory.
    """
    run = _prepare(stream, gather, scratchpad, mac, scatter, interval)
    moves = _Moves(stream, run)
    return _serial(run, moves) if stream.serial else _Repeats(run, moves).cycles()


def granted(stream: RequestStream, gather: GatherUnit, scratchpad: Scratchpad, *, interval: Fraction) -> IntArray:
    """Return granted(g) of the first repeat [G], in cycles; raises as ``run_stream``."""
    run = _prepare(stream, gather, scratchpad, MacArray(latency=1), _NO_SCATTER, interval)
    out = np.zeros(stream.groups, np.int64)
    run.step(run.empty(), _Moves(stream, run).block(0, 1), out, np.zeros(stream.groups, np.int64))
    return out


def schedule(
    stream: RequestStream,
    gather: GatherUnit,
    scratchpad: Scratchpad,
    mac: MacArray,
    scatter: ScatterUnit,
    *,
    interval: Fraction,
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Return granted and consumed [R * G], scatter start and end [R * bundles] of every repeat, replayed one by one.

    Memory grows with the repeats: for tests and timelines. Raises as ``run_stream``.
    """
    run = _prepare(stream, gather, scratchpad, mac, scatter, interval)
    moves = _Moves(stream, run)
    grants = np.zeros((stream.repeats, stream.groups), np.int64)
    takes = np.zeros((stream.repeats, stream.groups), np.int64)
    starts: list[int] = []
    ends: list[int] = []
    state, base, end = run.empty(), 0, 0
    for repeat in range(stream.repeats):
        block = moves.block(repeat, 1)
        step, state = run.step(state, block, grants[repeat], takes[repeat])
        grants[repeat] += base
        takes[repeat] += base
        ready = takes[repeat, stream.bundle_end - 1] + mac.latency
        for at, busy in zip(ready.tolist(), run.busy(int(block.scatter[0])).tolist(), strict=True):
            starts.append(max(at, end))
            end = starts[-1] + busy
            ends.append(end)
        if stream.serial:
            state, base = run.empty(), end + stream.gap
        else:
            state, base = run.after_move(state, block), base + step.advance
    return grants.reshape(-1), takes.reshape(-1), np.array(starts, np.int64), np.array(ends, np.int64)


def _prepare(
    stream: RequestStream,
    gather: GatherUnit,
    scratchpad: Scratchpad,
    mac: MacArray,
    scatter: ScatterUnit,
    interval: Fraction,
) -> GatherRun:
    """Refuse what 64 bits cannot count, then lay the stream out for the kernels."""
    if interval <= 0:
        raise DeviceError(f"interval is {interval}, and must be above 0 cycles per group")
    if len(stream.scatter_address):  # gathered addresses are held against it by those who read them anyway
        highest = int(stream.scatter_address.max()) + (stream.repeats - 1) * max(stream.scatter_stride, 0)
        if highest >= 1 << 62:
            raise TraceError(f"trace layer {stream.name}: address is {highest}, and must be below 2^62")
    scatters = (stream.bundles + len(stream.scatter_address)) * scatter.rmw_cycles
    waits = stream.groups * (int(interval) + 2) + len(stream.address)
    cycles = stream.repeats * (waits + scatters + stream.gap + gather.latency + mac.latency)
    if cycles >= 1 << 62:
        raise TraceError(f"trace layer {stream.name}: it may take {cycles} cycles, and they must be below 2^62")
    return GatherRun(stream, gather, scratchpad, mac, scatter, interval)


class _Moves:
    """What moves each repeat. ``period``: kinds of repeats are periodic from the first on; None: not known."""

    def __init__(self, stream: RequestStream, run: GatherRun) -> None:
        self._xor, self._banks = run.xor, run.banks
        self._modulus = run.banks * run.banks if run.xor else 1  # what of an offset changes conflicts, not only banks
        self._turn = 0 if run.coalesce else (1 if run.xor else run.banks)  # what of a move changes the state (0: all)
        self._stream = stream
        self._offset: IntArray | None = None
        self._numbers: dict[tuple[int, int, int], int] = {}
        self.period: int | None = None
        if stream.repeat_offset is None:
            strides = (stream.repeat_stride, stream.scatter_stride)
            self.period = lcm(*(self._modulus // gcd(self._modulus, stride) for stride in strides))
            return
        offset = stream.repeat_offset.astype(np.int64)
        after = 0 if len(offset) == 1 else offset[1] - offset[0]  # nothing follows the last repeat
        self._offset = np.append(offset, offset[-1] + after)
        # whether all are of one kind: mostly the first few tell
        if all(self._alike(self._offset[:count]) for count in (_FEW, len(self._offset))):
            self.period = 1

    def _alike(self, offset: IntArray) -> bool:
        move = np.diff(offset)
        if self._stream.serial:
            move[:] = 0
        elif self._turn:
            move %= self._turn
        here = offset % self._modulus if self._xor else _NO_TILES
        there = (len(offset) - 1) * self._stream.scatter_stride % self._modulus
        return not np.any(move != move[0]) and not np.any(here != here[:1]) and not there

    def _move(self, words: int) -> int:
        return words % self._turn if self._turn else words

    def index(self, repeat: int) -> int:
        """Return a number that is equal for repeats of equal kind."""
        if self.period is not None:
            return repeat % self.period
        assert self._offset is not None
        here, after = int(self._offset[repeat]), int(self._offset[repeat + 1])
        move = 0 if self._stream.serial else self._move(after - here)
        kind = (here % self._modulus, repeat * self._stream.scatter_stride % self._modulus, move)
        return self._numbers.setdefault(kind, len(self._numbers))

    def block(self, repeat: int, count: int) -> Block:
        """Return repeats ``repeat`` to ``repeat`` + ``count`` - 1."""
        if self._offset is None:
            moved = np.arange(count + 1, dtype=np.int64) * self._stream.repeat_stride
            offset = moved[:-1] + repeat * self._stream.repeat_stride
        else:
            offset = self._offset[repeat : repeat + count]
            moved = self._offset[repeat : repeat + count + 1] - offset[0]
        scatter = np.zeros(1, np.int64)
        if self._xor:
            scatter = np.arange(repeat, repeat + count, dtype=np.int64) * self._stream.scatter_stride % self._modulus
            if not np.any(scatter != scatter[0]):
                scatter = scatter[:1]
        gather = offset % self._modulus if self._xor else moved[:-1] % self._banks
        return Block(gather, scatter, moved[:-1], self._move(int(moved[-1])))


class _Totals:
    """Absolute cycles after the repeats so far; ``base``: first dispatch of the next one."""

    __slots__ = ("base", "busy", "consumed", "end", "last_grant", "peak")

    def __init__(self) -> None:
        self.base = self.busy = self.consumed = self.end = self.last_grant = self.peak = 0

    def add(self, step: Step) -> None:
        self.last_grant = max(self.last_grant, self.base + step.last_grant)
        self.consumed = self.base + step.last_consumed
        self.end = max(self.end + step.scatter_busy, self.base + step.scatter_end)
        self.peak = max(self.peak, step.peak_words)
        self.busy += step.scatter_busy
        self.base += step.advance

    def jump(self, circle: list[Step], times: int) -> None:
        """Add a circle of steps ``times`` times."""
        once = _Totals()
        for step in circle:
            once.add(step)  # from 0: the end with nothing left from before, since every scatter ends after 0
        before = self.base + (times - 1) * once.base
        self.last_grant = max(self.last_grant, before + once.last_grant)
        self.consumed = before + once.consumed
        # each circle maps the end e to max(e + busy, its base + end); both lines are widest at the first or the last
        ahead = max((times - 1) * once.base, (times - 1) * once.busy)
        self.end = max(self.end + times * once.busy, self.base + once.end + ahead)
        self.peak = max(self.peak, once.peak)
        self.busy += times * once.busy
        self.base += times * once.base


class _Memo:
    """States by number, and the repeats already run from them."""

    def __init__(self) -> None:
        self.numbers: dict[bytes, int] = {}
        self.states: list[UnitState] = []
        self.steps: dict[tuple[int, int, int], tuple[Step, int]] = {}
        self.bytes = 0

    def number(self, state: UnitState) -> int:
        key = state.key()
        found = self.numbers.setdefault(key, len(self.states))
        if found == len(self.states):
            self.states.append(state)
            self.bytes += 2 * len(key) + 1024  # the key, the arrays, and about what their objects take
        return found


class _Repeats:
    """Runs repeats in their order, ``width`` of them in a step, and looks for states that run in a circle."""

    def __init__(self, run: GatherRun, moves: _Moves) -> None:
        self._run, self._moves, self._totals = run, moves, _Totals()
        self._size = len(run.stream.address)
        self._to_spend = run.stream.repeats * self._size // 16  # on looking, as requests
        self._width, self._remembering = 1, self._to_spend >= run.step_requests
        if not self._remembering:
            self._width = run.block_repeats
        self._searching = self._remembering and moves.period is not None
        self._tile_ends: tuple[int, ...] = ()
        self._state = run.empty()
        self._forget()

    def _forget(self) -> None:
        self._memo = _Memo()
        self._number = self._memo.number(self._state) if self._remembering else 0
        self._seen: dict[tuple[int, int, int], tuple[int, int]] = {}
        self._path: list[Step] = []

    def cycles(self) -> StreamCycles:
        """Run all repeats from empty units."""
        repeat, repeats = 0, self._run.stream.repeats
        while repeat < repeats:
            count = min(self._width, repeats - repeat)
            if repeat == 0 and self._run.stream.tile_end is not None:
                count = 1  # the tiles' ends are asked for in the first one
            jumped = self._jump(repeat, count)
            repeat += jumped or self._step(repeat, count)
        totals = self._totals
        return StreamCycles(
            gather=totals.last_grant + 1,
            consumed=totals.consumed + 1,
            cycles=totals.end,
            scatter_busy=totals.busy,
            waiting_words=max(totals.peak, self._run.peak_of_rest(self._state)),
            tile_ends=self._tile_ends,
        )

    def _jump(self, repeat: int, count: int) -> int:
        """Return how many repeats were jumped: whole circles, if the state and the next step have been met before."""
        if not self._searching:
            return 0
        mark = (self._number, self._moves.index(repeat), count)
        first, before = self._seen.setdefault(mark, (len(self._path), repeat))
        circle = repeat - before
        times = (self._run.stream.repeats - repeat) // circle if circle else 0
        if times:
            self._totals.jump(self._path[first:], times)
            self._searching = False
        return times * circle

    def _step(self, repeat: int, count: int) -> int:
        """Run or look up a step; return its repeats, or 0 if the states were forgotten instead."""
        if not self._remembering:
            step, self._state = self._new_step(repeat, count)
            self._totals.add(step)
            return count
        mark = (self._number, self._moves.index(repeat), count)
        found = self._memo.steps.get(mark)
        if found is None:
            if self._memo.bytes > MEMO_BYTES and len(self._memo.states) > 1:  # one state may be larger than that
                self._forget()
                return 0
            step, left = self._new_step(repeat, count)
            found = step, self._memo.number(left)
            self._memo.steps[mark] = found
            self._to_spend -= self._run.step_requests
        else:
            self._to_spend += self._size - LOOK_UP_REQUESTS
        step, self._number = found
        self._state = self._memo.states[self._number]
        self._totals.add(step)
        if self._searching:
            self._path.append(step)
        if self._to_spend < self._run.step_requests and self._width < self._run.block_repeats:
            self._width = self._run.block_repeats
            self._remembering = self._searching
        return count

    def _new_step(self, repeat: int, count: int) -> tuple[Step, UnitState]:
        block = self._moves.block(repeat, count)
        tiles = _tile_bundles(self._run.stream) if repeat == 0 else _NO_TILES
        step, left = self._run.step(self._state, block, tile_bundles=tiles)
        self._tile_ends = self._tile_ends or tuple(tiles.tolist())
        return step, self._run.after_move(left, block)


def _serial(run: GatherRun, moves: _Moves) -> StreamCycles:
    """Run each repeat from empty units: its kind says everything about it."""
    repeats, gap = run.stream.repeats, run.stream.gap
    steps: dict[int, tuple[Step, int]] = {}
    tile_ends: tuple[int, ...] = ()
    base = busy = peak = 0
    each = 1 if moves.period is None else moves.period
    for first in range(repeats if moves.period is None else min(each, repeats)):
        index = moves.index(first)
        if index not in steps:
            tiles = _tile_bundles(run.stream) if first == 0 else _NO_TILES
            step, left = run.step(run.empty(), moves.block(first, 1), tile_bundles=tiles)
            steps[index] = step, run.peak_of_rest(left)
            tile_ends = tile_ends or tuple(tiles.tolist())
        step, rest = steps[index]
        times = 1 if moves.period is None else (repeats - first - 1) // each + 1
        base += times * (step.scatter_end + gap)
        busy += times * step.scatter_busy
        peak = max(peak, step.peak_words, rest)
    last = steps[moves.index(repeats - 1)][0]
    start = base - gap - last.scatter_end
    return StreamCycles(
        gather=start + last.last_grant + 1,
        consumed=start + last.last_consumed + 1,
        cycles=base - gap,
        scatter_busy=busy,
        waiting_words=peak,
        tile_ends=tile_ends,
    )


def _tile_bundles(stream: RequestStream) -> IntArray:
    """Return the last bundle of each tile."""
    if stream.tile_end is None:
        return _NO_TILES
    return np.array([bisect_left(stream.bundle_end, end) for end in stream.tile_end.tolist()], np.int64)
