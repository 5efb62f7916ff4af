"""One repeat of a stream through the gather unit and the MAC array, from one state of the units to the next.

Chooses the kernel family, cuts a repeat into chunks of groups in the form the kernels take, and holds what a repeat
leaves to the next as a value that compares by its bytes. Memory is bounded by a chunk and the machine's state, not by
the stream. Leaves out: how repeats follow each other (``simulator/machine.py``).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from simulator._kernels import banks as bank_kernels
from simulator._kernels import gather as kernels
from simulator.spec import DeviceError, GatherUnit, MacArray, ScatterUnit, Scratchpad
from traces.stream import IntArray, RequestStream

Family = Literal["lockstep", "queue", "ordered", "ring"]

CHUNK_REQUESTS = 1 << 17  # their banks stay in a core's cache; a chunk has more only if one group has more
MOST_RING_BYTES = 1 << 31
_LOCKSTEP_BANKS, _LOCKSTEP_REQUESTS = 16, 127  # nibbles in a word; a byte without its highest bit
_NONE = np.zeros(0, np.int64)


class Kind(NamedTuple):
    """What tells one repeat from another: address classes (0 with modulo banks), and the move to the next repeat."""

    gather: int
    scatter: int
    move: int


class Step(NamedTuple):
    """One repeat's outcome in cycles after its first dispatch. The scatter unit is a line on top of it.

    ``advance``: first dispatch of the next repeat; ``scatter_end``: end of the last scatter if nothing was left from
    earlier repeats; ``scatter_busy``: cycles of all its scatters.
    """

    advance: int
    last_grant: int
    last_consumed: int
    peak_words: int
    scatter_end: int
    scatter_busy: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnitState:
    """What a repeat takes over, relative to its first dispatch; addresses and modulo banks relative to its offset."""

    numbers: IntArray  # credit, first cycle the MAC array is free, words waiting, groups waiting
    window: IntArray  # [W] first cycle in which group i may be dispatched
    lane_from: IntArray  # [lanes], ``queue``: [0]
    bank: npt.NDArray[Any]  # [rows, banks] free slots, bits or ports taken, as the family keeps them
    words_at: IntArray  # [rows] words granted in the cycle, ``ring`` only
    held: IntArray  # [rows, banks, ports] addresses granted, coalescing only
    leave_cycle: IntArray  # [groups waiting] m(g)
    leave_words: IntArray

    def key(self) -> bytes:
        """Return bytes that are equal exactly for equal states of one machine and stream."""
        arrays = (self.window, self.lane_from, self.bank, self.words_at, self.held, self.leave_cycle, self.leave_words)
        sizes = np.array([array.size for array in arrays], np.int64)
        return b"".join([sizes.tobytes(), self.numbers.tobytes(), *(array.tobytes() for array in arrays)])

    def moved(self, words: int, *, rotate: bool) -> UnitState:
        """Return the state as the next repeat sees it, whose addresses lie ``words`` higher."""
        bank, held = self.bank, self.held
        if rotate and words % bank.shape[1]:
            bank = np.roll(bank, -words, axis=1)
            held = np.roll(held, -words, axis=1) if held.size else held
        if held.size:
            granted = np.arange(held.shape[2]) < bank[:, :, None]
            held = np.where(granted, held - words, 0)
        return UnitState(
            numbers=self.numbers,
            window=self.window,
            lane_from=self.lane_from,
            bank=bank,
            words_at=self.words_at,
            held=held,
            leave_cycle=self.leave_cycle,
            leave_words=self.leave_words,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Chunk:
    """Consecutive groups of a stream: numbers of its first group and bundle, and the stream's arrays cut to it."""

    group: int
    bundle: int
    pointer: IntArray  # [groups + 1] request numbers in the stream
    address: IntArray
    lane: npt.NDArray[np.uint16]
    bundle_end: IntArray  # [bundles that end in it] counted from the first group
    scatter_ptr: IntArray  # [bundles + 1] numbers in the stream
    scatter_address: IntArray


def power_of_two(least: int) -> int:
    """Return the smallest power of two that is at least ``least``."""
    return 1 << max(least - 1, 0).bit_length()


class GatherRun:
    """The arrays of one stream on one machine; ``step`` runs one repeat. Not shared between threads."""

    def __init__(
        self,
        stream: RequestStream,
        gather: GatherUnit,
        scratchpad: Scratchpad,
        mac: MacArray,
        scatter: ScatterUnit,
        interval: Fraction,
    ) -> None:
        self.stream, self.scratchpad, self.scatter = stream, scratchpad, scatter
        self.banks, self.xor = scratchpad.banks, scratchpad.hash == "xor"
        widest = max(int(np.diff(part).max()) for part in _parts(stream.group_ptr))
        groups = stream.groups * (1 if stream.serial else stream.repeats)
        window, ports = min(gather.window, groups), gather.ports
        self.coalesce = gather.coalesce
        if ports >= widest:  # no request ever waits for a port: neither window, order nor coalescing matters
            window, ports, self.coalesce = 1, widest, False
        self.window, self.ports = window, ports
        in_order = gather.order == "in_order"
        self.family: Family = "ring"
        self._counted = ports < widest  # otherwise a bank never matters
        few = self.banks <= _LOCKSTEP_BANKS and widest <= _LOCKSTEP_REQUESTS
        if not self.coalesce and window == 1 and (few or not self._counted):
            self.family = "lockstep"
        elif not self.coalesce and (window == 1 or not in_order):
            self.family = "queue"
        elif not self.coalesce and ports == 1:
            self.family = "ordered"
        self._by_lane = self.family in ("ordered", "ring")  # elsewhere a group's grants depend on its banks alone
        self.lanes = int(stream.lane.max()) + 1 if self._by_lane else 0
        num, den = interval.numerator, interval.denominator
        if interval <= 1:
            num = den = 1  # a dispatch a cycle is the most there is
        if max(num, den) >= 1 << 60:
            raise DeviceError(f"interval is {interval}, and its numerator and denominator must be below 2^60")
        unit = (ports, gather.latency, mac.latency, num, den, int(in_order), int(self.coalesce))
        self._unit = np.array(unit, np.int64)
        self._reach = window * widest  # a visible request waits fewer cycles than there are visible requests
        self._allocate(gather)
        self._bank_class: int | None = None
        self._busy_class: int | None = None
        self._bank = np.empty(0, np.uint16 if self.banks <= 1 << 16 else np.uint32)
        self._busy = self.ends = _NONE  # ``ends``: of the last chunk's scatters, nothing left from before the repeat
        self._only: _Chunk | None = None
        if len(stream.address) <= CHUNK_REQUESTS and len(stream.scatter_address) <= CHUNK_REQUESTS:
            self._only = self._cut(0, stream.groups)

    def _chunks(self) -> Iterator[_Chunk]:
        if self._only is not None:
            yield self._only
            return
        pointer, scatter, ends = self.stream.group_ptr, self.stream.scatter_ptr, self.stream.bundle_end
        group = 0
        while group < self.stream.groups:
            stop = bisect_right(pointer, int(pointer[group]) + CHUNK_REQUESTS, group, self.stream.groups + 1) - 1
            bundle = bisect_right(ends, group)
            scattered = (
                bisect_right(scatter, int(scatter[bundle]) + CHUNK_REQUESTS, bundle, self.stream.bundles + 1) - 1
            )
            if scattered < self.stream.bundles:  # as many bundles as scatter a chunk's words, or one
                stop = min(stop, int(ends[max(scattered - 1, bundle)]))
            stop = max(stop, group + 1)
            yield self._cut(group, stop)
            group = stop

    def _cut(self, group: int, stop: int) -> _Chunk:
        """Return groups ``group`` to ``stop`` - 1, by (group, lane) where the order of lanes matters."""
        stream = self.stream
        pointer = _owned(stream.group_ptr[group : stop + 1], np.int64)
        bundle, beyond = bisect_right(stream.bundle_end, group), bisect_right(stream.bundle_end, stop)
        scatter_ptr = _owned(stream.scatter_ptr[bundle : beyond + 1], np.int64)
        address = _owned(stream.address[pointer[0] : pointer[-1]], np.int64)
        lane = np.zeros(0, np.int16)
        if self._by_lane:
            lane = _owned(stream.lane[pointer[0] : pointer[-1]], np.int16)
            if not bank_kernels.lanes_rise(pointer, lane):
                of_group = np.repeat(np.arange(stop - group), np.diff(pointer))
                order = np.lexsort((lane, of_group))
                lane, address = lane[order], address[order]
        return _Chunk(
            group=group,
            bundle=bundle,
            pointer=pointer,
            address=address,
            lane=lane.view(np.uint16),  # unsigned: an index without a sign needs no wrap-around
            bundle_end=_owned(stream.bundle_end[bundle:beyond], np.int64) - group,
            scatter_ptr=scatter_ptr,
            scatter_address=_owned(stream.scatter_address[scatter_ptr[0] : scatter_ptr[-1]], np.int64),
        )

    def _allocate(self, gather: GatherUnit) -> None:
        rows = {
            "lockstep": 1,
            "queue": 1,
            "ordered": power_of_two(self._reach // 64 + 2),
            "ring": power_of_two(self._reach + 1),
        }
        self._rows = rows[self.family]
        leaving = power_of_two(self._reach + int(self._unit[kernels.LATENCY]) + 4)
        cell_bytes = 8 + (8 * self.ports if self.coalesce else 0)
        if self._rows * self.banks * cell_bytes + leaving * 32 > MOST_RING_BYTES:
            raise DeviceError(
                f"GatherUnit.window is {gather.window}, and with {self.banks} banks and a latency of {gather.latency} "
                f"its reservations must fit {MOST_RING_BYTES} bytes"
            )
        kind = {"lockstep": np.int64, "queue": np.int64, "ordered": np.uint64, "ring": np.int32}[self.family]
        self._table = np.zeros((self._rows, self.banks), kind)
        self._words_at = np.zeros(self._rows if self.family == "ring" else 0, np.int64)
        self._held = np.zeros((self._rows, self.banks, self.ports) if self.coalesce else (1, 1, 1), np.int64)
        self._leave = np.zeros((2, leaving), np.int64)
        self._spare = np.zeros(self.window + 2 * leaving, np.int64)

    def empty(self) -> UnitState:
        """Return the state of units that have nothing to do."""
        return UnitState(
            numbers=np.array([0, self._unit[kernels.LATENCY], 0, 0], np.int64),
            window=np.arange(self.window, dtype=np.int64),
            lane_from=np.zeros(self.lanes, np.int64),
            bank=self._table[:0].copy() if self._by_lane else np.zeros((1, self.banks), np.int64),
            words_at=_NONE,
            held=np.zeros((0, self.banks, self.ports if self.coalesce else 0), np.int64),
            leave_cycle=_NONE,
            leave_words=_NONE,
        )

    def busy(self, scatter_class: int) -> IntArray:
        """Return the scatter cycles of each bundle [bundles], all addresses moved by ``scatter_class`` words."""
        return np.concatenate([self._scatters(chunk, scatter_class).copy() for chunk in self._chunks()])

    def _scatters(self, chunk: _Chunk, scatter_class: int) -> IntArray:
        """Return the scatter cycles of each bundle that ends in the chunk."""
        if self._only is None or self._busy_class != scatter_class:
            if len(self._busy) < len(chunk.bundle_end):
                self._busy, self.ends = np.empty((2, len(chunk.bundle_end)), np.int64)
            busy = self._busy[: len(chunk.bundle_end)]
            machine = (self.banks, self.xor, self.scatter.ports)
            bank_kernels.lockstep_costs(chunk.scatter_ptr, chunk.scatter_address, scatter_class, *machine, busy)
            busy *= self.scatter.rmw_cycles
            self._busy_class = scatter_class
        return self._busy[: len(chunk.bundle_end)]

    def _numbered(self, chunk: _Chunk, gather_class: int) -> npt.NDArray[Any]:
        """Return the bank of each request of the chunk."""
        size = len(chunk.address) if self._counted else 0
        if size and (self._only is None or self._bank_class != gather_class):
            if len(self._bank) < size:
                self._bank = np.empty(size, self._bank.dtype)
            bank_kernels.bank_numbers(chunk.address, gather_class, self.banks, self.xor, self._bank)
            self._bank_class = gather_class
        return self._bank[:size]

    def step(
        self,
        state: UnitState,
        kind: Kind,
        granted: IntArray = _NONE,
        consumed: IntArray = _NONE,
        tile_bundles: IntArray = _NONE,
    ) -> tuple[Step, UnitState]:
        """Run one repeat; ``granted`` and ``consumed`` [G], if given, receive each group's cycles.

        ``tile_bundles``: bundles, rising, that are replaced by the ends of their scatters, nothing left from before.
        """
        numbers = np.zeros(kernels.NUMBERS, np.int64)
        numbers[:4] = state.numbers
        window, lane_from = state.window.copy(), state.lane_from.copy()
        leaving = len(state.leave_cycle)
        self._leave[0, :leaving], self._leave[1, :leaving] = state.leave_cycle, state.leave_words
        rows = len(state.bank)
        self._table[:rows] = state.bank
        self._table[rows:] = 0
        if self.family == "ring":
            self._words_at[:rows] = state.words_at
            self._words_at[rows:] = 0
            if self.coalesce:
                self._held[:rows] = state.held
        kernels.open_repeat(numbers, window, self._table[0] if self.family == "queue" else _NONE)
        tile = 0
        for chunk in self._chunks():
            groups, bundles = len(chunk.pointer) - 1, len(chunk.bundle_end)
            part = slice(chunk.group, chunk.group + groups)
            numbers[kernels.CLOSING] = part.stop == self.stream.groups
            self._run(chunk, kind, numbers, window, lane_from, granted[part], consumed[part])
            while tile < len(tile_bundles) and tile_bundles[tile] < chunk.bundle + bundles:
                tile_bundles[tile] = self.ends[tile_bundles[tile] - chunk.bundle]
                tile += 1
        advance, last_grant, last_consumed, peak_words, scatter_end, busy = numbers[
            kernels.ADVANCE : kernels.HEAD
        ].tolist()
        step = Step(advance, last_grant, last_consumed, peak_words, scatter_end, busy)
        return step, self._left(numbers, window, lane_from, step.advance)

    def _run(
        self,
        chunk: _Chunk,
        kind: Kind,
        numbers: IntArray,
        window: IntArray,
        lane_from: IntArray,
        granted: IntArray,
        consumed: IntArray,
    ) -> None:
        """Run a chunk from where ``numbers`` says the last one stopped."""
        bank, busy = self._numbered(chunk, kind.gather), self._scatters(chunk, kind.scatter)
        work = (chunk.bundle_end, busy, self._unit, numbers, window)
        back = (*self._leave, self._spare, granted, consumed, self.ends)
        if self.family == "lockstep":
            kernels.lockstep(chunk.pointer, bank, *work, *back)
        elif self.family == "queue":
            kernels.queue(chunk.pointer, bank, *work, self._table[0], *back)
        elif self.family == "ordered":
            kernels.ordered(chunk.pointer, bank, chunk.lane, *work, lane_from, self._table, *back)
        else:
            address = chunk.address if self.coalesce else _NONE
            cells = (lane_from, self._table, self._words_at, self._held)
            kernels.ring(chunk.pointer, bank, chunk.lane, address, *work, *cells, *back)

    def after_move(self, state: UnitState, kind: Kind) -> UnitState:
        """Return what a repeat of ``kind`` left, as the next repeat sees it."""
        return state.moved(kind.move, rotate=not self.xor)

    def _left(self, numbers: IntArray, window: IntArray, lane_from: IntArray, advance: int) -> UnitState:
        leaving = int(numbers[kernels.LEAVING])
        bank, words_at = self._table, self._words_at
        held = np.zeros((0, self.banks, 0), np.int64)
        if self.family == "ring":
            order = (np.arange(self._rows) + advance) & (self._rows - 1)
            words_at = self._words_at[order]
            order = order[: _used(words_at)]
            words_at, bank = words_at[: len(order)], self._table[order]
            if self.coalesce:
                held = np.where(np.arange(self.ports) < bank[:, :, None], self._held[order], 0)
        elif self.family == "ordered":
            bank = self._table[: _used(np.asarray(self._table.any(axis=1)))]
        return UnitState(
            numbers=numbers[:4].copy(),
            window=window,
            lane_from=lane_from,
            bank=bank.copy(),
            words_at=words_at,
            held=held,
            leave_cycle=self._leave[0, :leaving].copy(),
            leave_words=self._leave[1, :leaving].copy(),
        )

    def peak_of_rest(self, state: UnitState) -> int:
        """Return the most words that wait from the state's time 0 on, if no group follows."""
        if self.family in ("lockstep", "queue"):
            slots = np.arange(-(-int(state.bank.max()) // self.ports)) * self.ports
            words = np.clip(state.bank[0] - slots[:, None], 0, self.ports).sum(axis=1)
        elif self.family == "ordered":
            bits = np.arange(64, dtype=np.uint64)[None, :, None]
            words = ((state.bank[:, None, :] >> bits) & np.uint64(1)).sum(axis=2).reshape(-1).astype(np.int64)
        else:
            words = state.words_at
        if not len(words):
            return 0
        gone = np.concatenate([[0], np.cumsum(state.leave_words)])
        left = gone[np.searchsorted(state.leave_cycle, np.arange(len(words)), side="right")]
        return int((state.numbers[kernels.WAITING] + np.cumsum(words) - left).max())


def _owned(array: npt.NDArray[Any], kind: type[np.signedinteger[Any]]) -> npt.NDArray[Any]:
    """Return the array, or a copy where it is not contiguous, writable or of that type: one compilation for all."""
    return np.require(array, kind, ["C", "W"])


def _parts(pointer: IntArray) -> Iterator[IntArray]:
    """Cut pointers into parts of bounded length that share their ends."""
    for first in range(0, len(pointer) - 1, CHUNK_REQUESTS):
        yield pointer[first : first + CHUNK_REQUESTS + 1]


def _used(rows: npt.NDArray[Any]) -> int:
    """Return one past the last row that is not zero."""
    used = np.flatnonzero(rows)
    return int(used[-1]) + 1 if len(used) else 0
