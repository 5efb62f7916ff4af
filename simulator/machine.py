"""Cycles of a request stream on a gather unit, a MAC array and a scatter unit: DESIGN section 5, all repeats.

Repeats are run one by one by ``GatherRun``, each from the state the last one left. The state is relative to time, and
to the repeat's address offset where a move only permutes banks, so equal states have equal futures: a repeat already
seen is looked up, and once the states run in a circle whole circles are jumped. The gather unit never waits for the
scatter unit, so the scatter unit is a maximum of two lines on top, and is jumped in closed form.
Equal to replaying every repeat, to the cycle. Leaves out: DMA and DRAM (``simulator/engine.py``).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

import numpy as np

from simulator.gather_run import GatherRun, Kind, Step, UnitState
from simulator.spec import DeviceError, GatherUnit, MacArray, ScatterUnit, Scratchpad
from traces.stream import IntArray, RequestStream, TraceError

MEMO_BYTES = 1 << 26  # states remembered; past that they are forgotten and the search for a circle starts again
_NO_SCATTER = ScatterUnit(rmw_cycles=1)
_NO_TILES = np.zeros(0, np.int64)


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
    return _serial(run, moves) if stream.serial else _concatenated(run, moves)


def granted(stream: RequestStream, gather: GatherUnit, scratchpad: Scratchpad, *, interval: Fraction) -> IntArray:
    """Return granted(g) of the first repeat [G], in cycles; raises as ``run_stream``."""
    run = _prepare(stream, gather, scratchpad, MacArray(latency=1), _NO_SCATTER, interval)
    out = np.zeros(stream.groups, np.int64)
    run.step(run.empty(), _Moves(stream, run).kind(0), out, np.zeros(stream.groups, np.int64))
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
        kind = moves.kind(repeat)
        step, state = run.step(state, kind, grants[repeat], takes[repeat])
        grants[repeat] += base
        takes[repeat] += base
        ready = takes[repeat, stream.bundle_end - 1] + mac.latency
        for at, busy in zip(ready.tolist(), run.busy(kind.scatter).tolist(), strict=True):
            starts.append(max(at, end))
            end = starts[-1] + busy
            ends.append(end)
        if stream.serial:
            state, base = run.empty(), end + stream.gap
        else:
            state, base = run.after_move(state, kind), base + step.advance
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
    offset = stream.repeat_offset
    last = stream.repeats - 1
    most_offset = last * max(stream.repeat_stride, 0) if offset is None else int(offset.max())
    highest = int(stream.address.max()) + max(most_offset, 0)
    if len(stream.scatter_address):
        highest = max(highest, int(stream.scatter_address.max()) + last * max(stream.scatter_stride, 0))
    if highest >= 1 << 62:
        raise TraceError(f"trace layer {stream.name}: address is {highest}, and must be below 2^62")
    scatters = (stream.bundles + len(stream.scatter_address)) * scatter.rmw_cycles
    waits = stream.groups * (int(interval) + 2) + len(stream.address)
    cycles = stream.repeats * (waits + scatters + stream.gap + gather.latency + mac.latency)
    if cycles >= 1 << 62:
        raise TraceError(f"trace layer {stream.name}: it may take {cycles} cycles, and they must be below 2^62")
    return GatherRun(stream, gather, scratchpad, mac, scatter, interval)


class _Moves:
    """The kind of each repeat. ``period``: kinds are periodic in the repeat from the first on; None: not known."""

    def __init__(self, stream: RequestStream, run: GatherRun) -> None:
        modulus = run.banks * run.banks if run.xor else 1  # what of an offset changes conflicts, not only banks
        turn = 0 if run.coalesce else (1 if run.xor else run.banks)  # what of a move changes the state (0: all)
        self._stream, self._modulus, self._turn = stream, modulus, turn
        self._kinds: list[Kind] | None = None
        self._indices: list[int] = []
        self.period: int | None = None
        if stream.repeat_offset is None:
            strides = (stream.repeat_stride, stream.scatter_stride)
            self.period = lcm(*(modulus // gcd(modulus, stride) for stride in strides))
            return
        offset = stream.repeat_offset.astype(np.int64)
        scatter = np.arange(len(offset), dtype=np.int64) * stream.scatter_stride
        move = np.diff(offset, append=offset[-1])
        move[-1] = move[0]  # nothing follows the last repeat
        if stream.serial:
            move[:] = 0
        columns = np.stack([offset % modulus, scatter % modulus, move % turn if turn else move], axis=1)
        kinds, indices = np.unique(columns, axis=0, return_inverse=True)
        self._kinds = [Kind(*row) for row in kinds.tolist()]
        self._indices = indices.reshape(-1).tolist()
        if len(self._kinds) == 1:
            self.period = 1

    def index(self, repeat: int) -> int:
        """Return a number that is equal for repeats of equal kind."""
        if self._kinds is None:
            assert self.period is not None
            return repeat % self.period
        return self._indices[repeat]

    def kind(self, repeat: int) -> Kind:
        """Return the kind of a repeat."""
        if self._kinds is not None:
            return self._kinds[self._indices[repeat]]
        stride, scatter, modulus = self._stream.repeat_stride, self._stream.scatter_stride, self._modulus
        move = stride % self._turn if self._turn else stride
        return Kind(repeat * stride % modulus, repeat * scatter % modulus, move)


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
        self.steps: dict[tuple[int, int], tuple[Step, int]] = {}
        self.bytes = 0

    def number(self, state: UnitState) -> int:
        key = state.key()
        found = self.numbers.setdefault(key, len(self.states))
        if found == len(self.states):
            self.states.append(state)
            self.bytes += 2 * len(key) + 1024  # the key, the arrays, and about what their objects take
        return found


def _concatenated(run: GatherRun, moves: _Moves) -> StreamCycles:
    repeats = run.stream.repeats
    memo, totals = _Memo(), _Totals()
    seen: dict[tuple[int, int], int] = {}
    path: list[Step] = []
    searching = moves.period is not None
    state = memo.number(run.empty())
    tile_ends: tuple[int, ...] = ()
    repeat = 0
    while repeat < repeats:
        mark = (state, moves.index(repeat))
        if searching:
            first = seen.setdefault(mark, len(path))
            times = (repeats - repeat) // (len(path) - first) if first < len(path) else 0
            if times:
                totals.jump(path[first:], times)
                repeat += times * (len(path) - first)
                searching = False
                continue  # comes back to the same state and index
        found = memo.steps.get(mark)
        if found is None:
            if memo.bytes > MEMO_BYTES and len(memo.states) > 1:  # one state may be larger than that
                current, memo = memo.states[state], _Memo()
                state = memo.number(current)
                seen, path = {}, []
                continue
            kind = moves.kind(repeat)
            tiles = _tile_bundles(run.stream) if repeat == 0 else _NO_TILES
            step, left = run.step(memo.states[state], kind, tile_bundles=tiles)
            tile_ends = tile_ends or tuple(tiles.tolist())
            found = step, memo.number(run.after_move(left, kind))
            memo.steps[mark] = found
        step, state = found
        totals.add(step)
        if searching:
            path.append(step)
        repeat += 1
    return StreamCycles(
        gather=totals.last_grant + 1,
        consumed=totals.consumed + 1,
        cycles=totals.end,
        scatter_busy=totals.busy,
        waiting_words=max(totals.peak, run.peak_of_rest(memo.states[state])),
        tile_ends=tile_ends,
    )


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
            step, left = run.step(run.empty(), moves.kind(first), tile_bundles=tiles)
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
