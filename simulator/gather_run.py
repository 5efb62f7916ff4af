"""Repeats of a stream through the gather unit and the MAC array, from one state of the units to the next.

Chooses the kernel family, cuts a repeat into chunks of groups in the form the kernels take or gives them many short
repeats at once, and holds what is left to the next repeat as a value that compares by its bytes. Memory is bounded by a
chunk and the machine's state, not by the stream. Leaves out: how repeats follow each other (``simulator/machine.py``).
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
from traces.stream import IntArray, RequestStream, TraceError

WordArray = npt.NDArray[np.uint64]
Family = Literal["lockstep", "backlog", "queue", "ordered", "ring"]

CHUNK_REQUESTS = 1 << 17  # in a call of a kernel; a chunk has more only if one group has more
STEP_REQUESTS = 1 << 15  # what a step costs beside its requests, as so many requests; measured on small streams
MOST_BACKLOG = kernels.MOST_BACKLOG
MOST_RING_BYTES = 1 << 31
_COUNTED_BANKS, _COUNTED_REQUESTS = 16, 127  # nibbles in a word; a byte without its highest bit
_NONE = np.zeros(0, np.int64)
_NO_PLACES = np.zeros(0, np.uint64)


class Block(NamedTuple):
    """Consecutive repeats, and what tells them from others: words by which their addresses lie higher.

    ``gather`` [repeats]: for banks only, modulo the move after which they recur; ``scatter`` [repeats], or [1] where
    all are alike: as ``gather``; ``moved`` [repeats]: above the first one's; ``move``: of the next repeat after them,
    above the first one's.
    """

    gather: IntArray
    scatter: IntArray
    moved: IntArray
    move: int


class Step(NamedTuple):
    """The outcome of a block of repeats in cycles after its first dispatch. The scatter unit is a line on top of it.

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
    address: WordArray
    lane: npt.NDArray[np.uint16]
    bundle_end: IntArray  # [bundles that end in it] counted from the first group
    scatter_ptr: IntArray  # [bundles + 1] numbers in the stream
    scatter_address: IntArray


def power_of_two(least: int) -> int:
    """Return the smallest power of two that is at least ``least``."""
    return 1 << max(least - 1, 0).bit_length()


class GatherRun:
    """The arrays of one stream on one machine; ``step`` runs one repeat or several. Not shared between threads."""

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
        widest = max(bank_kernels.widest_group(_owned(part, np.int64)) for part in _parts(stream.group_ptr))
        groups = stream.groups * (1 if stream.serial else stream.repeats)
        window, ports = min(gather.window, groups), gather.ports
        self.coalesce = gather.coalesce
        if ports >= widest:  # no request ever waits for a port: neither window, order nor coalescing matters
            window, ports, self.coalesce = 1, widest, False
        self.window, self.ports = window, ports
        in_order = gather.order == "in_order"
        self.family: Family = "ring"
        self._counted = ports < widest  # otherwise a bank never matters
        self._reach = window * widest  # a visible request waits fewer cycles than there are visible requests
        few = self.banks <= _COUNTED_BANKS and widest <= _COUNTED_REQUESTS
        if not self.coalesce and window == 1 and (few or not self._counted):
            self.family = "lockstep"
        elif not self.coalesce and (window == 1 or not in_order):
            self.family = "backlog" if few and self._reach <= MOST_BACKLOG else "queue"
        elif not self.coalesce and ports == 1:
            self.family = "ordered"
        self._by_lane = self.family in ("ordered", "ring")  # elsewhere a group's grants depend on its banks alone
        self.lanes = int(stream.lane.max()) + 1 if self._by_lane else 0
        num, den = interval.numerator, interval.denominator
        if interval <= 1:
            num = den = 1  # a dispatch a cycle is the most there is
        if max(num, den) >= 1 << 60:
            raise DeviceError(f"interval is {interval}, and its numerator and denominator must be below 2^60")
        power = self.banks & (self.banks - 1) == 0
        shift = self.banks.bit_length() - 1 if self.xor else 63
        self._unit = np.zeros(kernels.UNIT, np.int64)
        self._unit[: kernels.SHIFT] = ports, gather.latency, mac.latency, num, den, int(in_order), int(self.coalesce)
        self._unit[kernels.SHIFT : kernels.ROW] = shift, self.banks - 1 if power else -1
        self._divided = self._counted and not power  # a kernel gets banks instead of addresses
        self._allocate(gather)
        self._tile = np.empty(max(kernels.TILE, widest), np.uint64)
        self._places = np.empty(0, np.uint64)
        self._busy_class: int | None = None
        self._busy = self.ends = _NONE  # ``ends``: of the last repeat's scatters, nothing left from before the step
        last = stream.repeats - 1
        offset = stream.repeat_offset
        self._most_moved = max(last * stream.repeat_stride if offset is None else int(offset.max()), 0)
        self._only: _Chunk | None = None
        if len(stream.address) <= CHUNK_REQUESTS and len(stream.scatter_address) <= CHUNK_REQUESTS:
            self._only = self._cut(0, stream.groups)
        requests = max(len(stream.address), len(stream.scatter_address), stream.bundles)
        self.step_requests = STEP_REQUESTS + self._state_bytes // 8
        # enough repeats in a step that what it costs beside them is a sixteenth, if a repeat is a chunk
        self.block_repeats = max(16 * self.step_requests // requests, 1) if self._only is not None else 1

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
        if not self._counted or self._divided:  # no kernel sees the addresses
            self._refuse_above(address)
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
            address=address.view(np.uint64),
            lane=lane.view(np.uint16),  # unsigned: an index without a sign needs no wrap-around
            bundle_end=_owned(stream.bundle_end[bundle:beyond], np.int64) - group,
            scatter_ptr=scatter_ptr,
            scatter_address=_owned(stream.scatter_address[scatter_ptr[0] : scatter_ptr[-1]], np.int64),
        )

    def _allocate(self, gather: GatherUnit) -> None:
        rows = {
            "lockstep": 1,
            "backlog": 1,
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
        kind = {"ordered": np.uint64, "ring": np.int32}.get(self.family, np.int64)
        self._table = np.zeros((self._rows, self.banks), kind)  # all 0 between steps, as the next two
        self._words_at = np.zeros(self._rows if self.family == "ring" else 0, np.int64)
        self._held = np.zeros((self._rows, self.banks, self.ports) if self.coalesce else (1, 1, 1), np.int64)
        self._leave = np.zeros((2, leaving), np.int64)
        self._spare = np.zeros(self.window + 2 * leaving, np.int64)
        self._state_bytes = 8 * self.window + (self._table.nbytes if self.family == "ordered" else 0)

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
        moved = np.array([scatter_class], np.int64)
        return np.concatenate([self._scatters(chunk, moved).copy() for chunk in self._chunks()])

    def _scatters(self, chunk: _Chunk, moved: IntArray) -> IntArray:
        """Return the scatter cycles of each bundle that ends in the chunk, by entry of ``moved``."""
        size = len(moved) * len(chunk.bundle_end)
        known = int(moved[0]) if self._only is not None and len(moved) == 1 else None
        if known is None or known != self._busy_class:
            if len(self._busy) < size:
                self._busy = np.empty(size, np.int64)
            if len(self.ends) < len(chunk.bundle_end):
                self.ends = np.empty(len(chunk.bundle_end), np.int64)
            machine = (self.banks, self.xor, self.scatter.ports)
            bank_kernels.lockstep_costs(chunk.scatter_ptr, chunk.scatter_address, moved, *machine, self._busy[:size])
            self._busy[:size] *= self.scatter.rmw_cycles
            self._busy_class = known
        return self._busy[:size]

    def _placed(self, chunk: _Chunk, block: Block) -> tuple[WordArray, WordArray]:
        """Return the places of the chunk's requests and what each repeat adds to them, as the kernels take them."""
        offset = block.gather.view(np.uint64)
        if not self._counted:
            return _NO_PLACES, offset
        if not self._divided:
            return chunk.address, offset
        size = len(offset) * len(chunk.address)
        if len(self._places) < size:
            self._places = np.empty(size, np.uint64)
        bank_kernels.bank_numbers(chunk.address.view(np.int64), offset, self.banks, self._places)
        return self._places[:size], np.zeros(len(offset), np.uint64)

    def _refuse_above(self, address: IntArray) -> None:
        highest = int(address.max()) + self._most_moved
        if highest >= 1 << 62:
            raise TraceError(f"trace layer {self.stream.name}: address is {highest}, and must be below 2^62")

    def step(
        self,
        state: UnitState,
        block: Block,
        granted: IntArray = _NONE,
        consumed: IntArray = _NONE,
        tile_bundles: IntArray = _NONE,
    ) -> tuple[Step, UnitState]:
        """Run a block of repeats: one, or up to ``block_repeats`` of a stream that fits a chunk.

        ``granted`` and ``consumed`` [G], if given, receive each group's cycles, of one repeat. ``tile_bundles``:
        bundles, rising, that are replaced by the ends of their scatters in the only repeat, nothing left from before.
        """
        numbers = np.zeros(kernels.NUMBERS, np.int64)
        numbers[:4] = state.numbers
        window, lane_from = state.window.copy(), state.lane_from.copy()
        leaving = len(state.leave_cycle)
        self._leave[0, :leaving], self._leave[1, :leaving] = state.leave_cycle, state.leave_words
        rows = len(state.bank)
        self._table[:rows] = state.bank
        if self.family == "ring":
            self._words_at[:rows] = state.words_at
            if self.coalesce:
                self._held[:rows] = state.held
        kernels.open_repeat(numbers, window, self._table[0] if self.family in ("backlog", "queue") else _NONE)
        tile = 0
        for chunk in self._chunks():
            groups, bundles = len(chunk.pointer) - 1, len(chunk.bundle_end)
            part = slice(chunk.group, chunk.group + groups)
            numbers[kernels.CLOSING] = part.stop == self.stream.groups
            self._run(chunk, block, numbers, window, lane_from, granted[part], consumed[part])
            if numbers[kernels.SEEN] + self._most_moved >= 1 << 62:  # at least the highest address, below twice that
                self._refuse_above(self.stream.address)
            while tile < len(tile_bundles) and tile_bundles[tile] < chunk.bundle + bundles:
                tile_bundles[tile] = self.ends[tile_bundles[tile] - chunk.bundle]
                tile += 1
        step = Step(*numbers[kernels.ADVANCE : kernels.HEAD].tolist())
        return step, self._left(numbers, window, lane_from)

    def _run(
        self,
        chunk: _Chunk,
        block: Block,
        numbers: IntArray,
        window: IntArray,
        lane_from: IntArray,
        granted: IntArray,
        consumed: IntArray,
    ) -> None:
        """Run a chunk from where ``numbers`` says the last one stopped."""
        place, offset = self._placed(chunk, block)
        busy = self._scatters(chunk, block.scatter)
        self._unit[kernels.ROW] = len(chunk.address) if self._divided else 0
        self._unit[kernels.BUSY_ROW] = len(chunk.bundle_end) if len(block.scatter) > 1 else 0
        found = (chunk.pointer, place, offset, self._tile)
        work = (chunk.bundle_end, busy, self._unit, numbers, window)
        back = (*self._leave, self._spare, granted, consumed, self.ends)
        if self.family == "lockstep":
            kernels.lockstep(*found, *work, *back)
        elif self.family == "backlog":
            kernels.backlog(*found, *work, self._table[0], *back)
        elif self.family == "queue":
            kernels.queue(*found, *work, self._table[0], *back)
        elif self.family == "ordered":
            kernels.ordered(*found, chunk.lane, *work, lane_from, self._table, *back)
        else:
            address = chunk.address if self.coalesce else _NO_PLACES
            cells = (lane_from, self._table, self._words_at, self._held.view(np.uint64))
            kernels.ring(*found, chunk.lane, address, block.moved.view(np.uint64), *work, *cells, *back)

    def after_move(self, state: UnitState, block: Block) -> UnitState:
        """Return what a block left, as the next repeat sees it."""
        return state.moved(block.move, rotate=not self.xor)

    def _left(self, numbers: IntArray, window: IntArray, lane_from: IntArray) -> UnitState:
        """Return what a step left, and clear the tables."""
        leaving = int(numbers[kernels.LEAVING])
        words_at, held = _NONE, np.zeros((0, self.banks, 0), np.int64)
        if self.family == "ring":
            begin, end = int(numbers[kernels.DISPATCH]), int(numbers[kernels.LAST]) + 1
            rows = np.arange(begin, max(begin, end)) & (self._rows - 1)
            words_at, bank = self._words_at[rows], self._table[rows]
            if self.coalesce:
                held = np.where(np.arange(self.ports) < bank[:, :, None], self._held[rows], 0)
            self._table[rows] = 0
            self._words_at[rows] = 0
        else:
            used = _used(np.asarray(self._table.any(axis=1))) if self.family == "ordered" else 1
            bank = self._table[:used].copy()
            self._table[:used] = 0
        return UnitState(
            numbers=numbers[:4].copy(),
            window=window,
            lane_from=lane_from,
            bank=bank,
            words_at=words_at,
            held=held,
            leave_cycle=self._leave[0, :leaving].copy(),
            leave_words=self._leave[1, :leaving].copy(),
        )

    def peak_of_rest(self, state: UnitState) -> int:
        """Return the most words that wait from the state's time 0 on, if no group follows."""
        if self.family in ("lockstep", "backlog", "queue"):
            if not state.bank.any():
                return 0
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
