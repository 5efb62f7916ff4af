"""One repeat of a stream through the gather unit and the MAC array, from one state of the units to the next.

Chooses the kernel family, keeps a repeat's arrays in the form the kernels take, and holds what a repeat leaves to the
next as a value that compares by its bytes. Leaves out: how repeats follow each other (``simulator/machine.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from simulator._kernels import banks as bank_kernels
from simulator._kernels import gather as kernels
from simulator.spec import DeviceError, GatherUnit, MacArray, ScatterUnit, Scratchpad
from traces.stream import IntArray, RequestStream

Family = Literal["queue", "ordered", "ring"]

MOST_RING_BYTES = 1 << 31
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
        self.sizes = np.diff(stream.group_ptr).astype(np.int32)
        self.bundle_sizes = np.diff(stream.bundle_end, prepend=0).astype(np.int64)
        widest = int(self.sizes.max())
        groups = stream.groups * (1 if stream.serial else stream.repeats)
        window, ports = min(gather.window, groups), gather.ports
        self.coalesce = gather.coalesce
        if ports >= widest:  # no request ever waits for a port: neither window, order nor coalescing matters
            window, ports, self.coalesce = 1, widest, False
        self.window, self.ports = window, ports
        in_order = gather.order == "in_order"
        self.family: Family = "ring"
        if not self.coalesce and (window == 1 or not in_order):
            self.family = "queue"
        elif not self.coalesce and ports == 1:
            self.family = "ordered"
        self.lanes = int(stream.lane.max()) + 1 if self.family != "queue" else 0
        num, den = interval.numerator, interval.denominator
        if interval <= 1:
            num = den = 1  # a dispatch a cycle is the most there is
        if max(num, den) >= 1 << 60:
            raise DeviceError(f"interval is {interval}, and its numerator and denominator must be below 2^60")
        unit = (ports, gather.latency, mac.latency, num, den, int(in_order), int(self.coalesce))
        self._unit = np.array(unit, np.int64)
        self._reach = window * widest  # a visible request waits fewer cycles than there are visible requests
        self._lane, self._address = self._by_lane()
        self._allocate(gather)
        self._bank_class: int | None = None
        self._busy_class: int | None = None
        self._bank = np.empty(len(stream.address), np.uint16 if self.banks <= 1 << 16 else np.uint32)
        self._busy = np.zeros(stream.bundles, np.int64)

    def _by_lane(self) -> tuple[npt.NDArray[np.uint16], IntArray]:
        """Return lanes and addresses, by (group, lane) where the order of lanes matters."""
        stream = self.stream
        address = _owned(stream.address, np.int64)
        if self.family == "queue":  # a group's grants depend on its banks alone
            return np.zeros(0, np.uint16), address
        lane = _owned(stream.lane, np.int16)
        if not bank_kernels.lanes_rise(_owned(stream.group_ptr, np.int64), lane):
            group = np.repeat(np.arange(stream.groups), self.sizes)
            order = np.lexsort((lane, group))
            lane, address = lane[order], address[order]
        return lane.view(np.uint16), address  # unsigned: an index without a sign needs no wrap-around

    def _allocate(self, gather: GatherUnit) -> None:
        rows = {"queue": 1, "ordered": power_of_two(self._reach // 64 + 2), "ring": power_of_two(self._reach + 1)}
        self._rows = rows[self.family]
        leaving = power_of_two(self._reach + int(self._unit[kernels.LATENCY]) + 4)
        cell_bytes = 8 + (8 * self.ports if self.coalesce else 0)
        if self._rows * self.banks * cell_bytes + leaving * 32 > MOST_RING_BYTES:
            raise DeviceError(
                f"GatherUnit.window is {gather.window}, and with {self.banks} banks and a latency of {gather.latency} "
                f"its reservations must fit {MOST_RING_BYTES} bytes"
            )
        kind = {"queue": np.int64, "ordered": np.uint64, "ring": np.int32}[self.family]
        self._table = np.zeros((self._rows, self.banks), kind)
        self._words_at = np.zeros(self._rows if self.family == "ring" else 0, np.int64)
        self._held = np.zeros((self._rows, self.banks, self.ports) if self.coalesce else (1, 1, 1), np.int64)
        self._leave = np.zeros((2, leaving), np.int64)
        self._spare = np.zeros(self.window + 2 * leaving, np.int64)
        self._ready = np.zeros(self.stream.bundles, np.int64)
        self.ends = np.zeros(self.stream.bundles, np.int64)  # of the last step's scatters, nothing left from before

    def empty(self) -> UnitState:
        """Return the state of units that have nothing to do."""
        return UnitState(
            numbers=np.array([0, self._unit[kernels.LATENCY], 0, 0], np.int64),
            window=np.arange(self.window, dtype=np.int64),
            lane_from=np.zeros(self.lanes, np.int64),
            bank=self._table[:0].copy() if self.family != "queue" else np.zeros((1, self.banks), np.int64),
            words_at=_NONE,
            held=np.zeros((0, self.banks, self.ports if self.coalesce else 0), np.int64),
            leave_cycle=_NONE,
            leave_words=_NONE,
        )

    def busy(self, scatter_class: int) -> IntArray:
        """Return the scatter cycles of each bundle [bundles], all addresses moved by ``scatter_class`` words."""
        if self._busy_class != scatter_class:
            address = _owned(self.stream.scatter_address, np.int64)
            bank = np.empty(len(address), self._bank.dtype)
            bank_kernels.bank_numbers(address, scatter_class, self.banks, self.xor, bank)
            pointer = _owned(self.stream.scatter_ptr, np.int64)
            bank_kernels.lockstep_costs(pointer, bank, self.banks, self.scatter.ports, self._busy)
            self._busy *= self.scatter.rmw_cycles
            self._busy_class = scatter_class
        return self._busy

    def step(
        self, state: UnitState, kind: Kind, granted: IntArray = _NONE, consumed: IntArray = _NONE
    ) -> tuple[Step, UnitState]:
        """Run one repeat; ``granted`` and ``consumed`` [G], if given, receive each group's cycles."""
        if self._bank_class != kind.gather:
            bank_kernels.bank_numbers(self._address, kind.gather, self.banks, self.xor, self._bank)
            self._bank_class = kind.gather
        busy = self.busy(kind.scatter)
        numbers = np.zeros(kernels.NUMBERS, np.int64)
        numbers[:4] = state.numbers
        window, lane_from = state.window.copy(), state.lane_from.copy()
        leaving = len(state.leave_cycle)
        self._leave[0, :leaving], self._leave[1, :leaving] = state.leave_cycle, state.leave_words
        rows = len(state.bank)
        self._table[:rows] = state.bank
        self._table[rows:] = 0
        front = (self._unit, numbers, window)
        back = (*self._leave, self._spare, granted, consumed, self._ready, self.ends)
        work = (self.bundle_sizes, busy)
        if self.family == "queue":
            kernels.queue(self.sizes, self._bank, *work, *front, self._table[0], *back)
        elif self.family == "ordered":
            kernels.ordered(self.sizes, self._bank, self._lane, *work, *front, lane_from, self._table, *back)
        else:
            self._words_at[:rows] = state.words_at
            self._words_at[rows:] = 0
            if self.coalesce:
                self._held[:rows] = state.held
            address = self._address if self.coalesce else _NONE
            cells = (lane_from, self._table, self._words_at, self._held)
            kernels.ring(self.sizes, self._bank, self._lane, address, *work, *front, *cells, *back)
        advance, last_grant, last_consumed, peak_words, scatter_end = numbers[kernels.ADVANCE :].tolist()
        step = Step(advance, last_grant, last_consumed, peak_words, scatter_end, int(busy.sum()))
        return step, self._left(numbers, window, lane_from, step.advance)

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
        if self.family == "queue":
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


def _used(rows: npt.NDArray[Any]) -> int:
    """Return one past the last row that is not zero."""
    used = np.flatnonzero(rows)
    return int(used[-1]) + 1 if len(used) else 0
