"""The DRAM that a device's transfers share: in the order of asking, each from when it is asked for to its last data.

Two models with one interface, chosen by ``open_memory``: a *flat* one, in which a transfer holds the bus for whole
bursts at the sustained rate, and a *timed* one with channels, banks, rows and refresh (``simulator/_kernels/dram.py``).
Cycles of the two clocks are converted exactly, rounded up. Left out: reordering of transfers, bursts of two transfers
that alternate.
"""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache

import numpy as np

from simulator._kernels import dram as kernel
from simulator.spec import DeviceError, Dram, DramTiming
from traces.stream import IntArray

MOST_TRANSFER_BYTES = 1 << 36  # the timed model walks over bursts: about half a minute
MOST_TICKS = 1 << 61


class DramState:
    """Mutable state of one timed DRAM: open rows, the times that rules look back to, what was served."""

    def __init__(self, timing: DramTiming) -> None:
        self._timing = _numbers(timing)
        never, count = kernel.NEVER, timing.channels
        self._channels = np.full((count, kernel.CHANNEL_STATE), never, dtype=np.int64)
        self._channels[:, kernel.DUE] = timing.refi
        for name in (kernel.READING, kernel.SERVED, kernel.ACTIVATES, kernel.REFRESHES):
            self._channels[:, name] = 0
        self._activates = np.full((count, 4), never, dtype=np.int64)
        self._queue = np.full((count, timing.queue), never, dtype=np.int64)
        self._groups = np.full((count, timing.bank_groups, kernel.GROUP_STATE), never, dtype=np.int64)
        self._banks = np.full((count, timing.banks, kernel.BANK_STATE), never, dtype=np.int64)
        self._banks[:, :, kernel.ROW] = -1
        self._result = np.zeros(2, dtype=np.int64)

    @property
    def arrays(self) -> tuple[IntArray, IntArray, IntArray, IntArray, IntArray, IntArray]:
        """The timing and the state, as the kernel takes them."""
        return self._timing, self._channels, self._activates, self._queue, self._groups, self._banks

    def serve(self, address: int, size_bytes: int, is_write: bool, arrival: int) -> tuple[int, int]:
        """Return when the last burst was taken into the queue and when its last data end, in cycles of the DRAM."""
        kernel.serve(*self.arrays, address, size_bytes, is_write, arrival, self._result)
        return int(self._result[0]), int(self._result[1])

    @property
    def bursts(self) -> int:
        """Bursts served so far; those that found their row open needed no activate."""
        return int(self._channels[:, kernel.SERVED].sum())

    @property
    def activates(self) -> int:
        return int(self._channels[:, kernel.ACTIVATES].sum())

    @property
    def refreshes(self) -> int:
        return int(self._channels[:, kernel.REFRESHES].sum())


_CYCLES = (
    "QUEUE", "BURST", "CL", "CWL", "RCD", "RP", "RAS", "RRD_S", "RRD_L", "FAW", "CCD_S", "CCD_L", "WR", "RTP", "WTR_S",
    "WTR_L", "TURNAROUND", "REFI", "RFC",
)  # fmt: skip
assert all(getattr(kernel, name) == 5 + place for place, name in enumerate(_CYCLES))
assert {name.lower() for name in _CYCLES} <= {part.name for part in fields(DramTiming)}


@lru_cache(maxsize=64)
def _numbers(timing: DramTiming) -> IntArray:
    """Return a timing as the kernel takes it; nobody writes to it."""
    bits = {name: getattr(timing, name).bit_length() - 1 for name in ("channels", "bank_groups", "banks_per_group")}
    columns = timing.row_bytes // timing.burst_bytes
    return np.array(
        [*bits.values(), columns.bit_length() - 1, timing.burst_bytes.bit_length() - 1]
        + [getattr(timing, name.lower()) for name in _CYCLES],
        dtype=np.int64,
    )


class FlatMemory:
    """A bus at a sustained rate: a transfer holds it for whole bursts, data read arrive a latency later."""

    def __init__(self, dram: Dram, clock_hz: int) -> None:
        self.dram, self.clock_hz = dram, clock_hz
        self._free = 0

    def serve(self, now: int, address: int, size_bytes: int, is_write: bool) -> tuple[int, int]:
        """Return the cycles in which the transfer is handed over and in which its last data are there."""
        self._free = max(self._free, now) + bus_cycles(self.dram, size_bytes, self.clock_hz)
        return self._free, self._free + (0 if is_write else self.dram.latency_cycles)


class TimedMemory:
    """A DRAM with rows and banks. Core cycles in and out."""

    def __init__(self, dram: Dram, timing: DramTiming, clock_hz: int) -> None:
        self.latency_cycles = dram.latency_cycles
        self.state = DramState(timing)
        self._hz, self._core_hz = timing.clock_hz, clock_hz

    def serve(self, now: int, address: int, size_bytes: int, is_write: bool) -> tuple[int, int]:
        """Return the cycles in which the transfer is handed over and in which its last data are there.

        Handed over: its last burst is in the controller's queue, data to be written with it. Raises DeviceError.
        """
        arrival = -(-now * self._hz // self._core_hz)
        if size_bytes > MOST_TRANSFER_BYTES:
            raise DeviceError(
                f"a transfer has {size_bytes} bytes, and must have at most {MOST_TRANSFER_BYTES} with a DRAM timing; "
                f'dram.timing = "flat" takes any'
            )
        if arrival > MOST_TICKS or address > MOST_TICKS:
            raise DeviceError(
                f"a transfer to address {address} comes in DRAM cycle {arrival}, and both must fit 61 bits"
            )
        taken, done = self.state.serve(address, size_bytes, is_write, arrival)
        return self._core(taken), self._core(done) + (0 if is_write else self.latency_cycles)

    def _core(self, ticks: int) -> int:
        return -(-ticks * self._core_hz // self._hz)


Memory = FlatMemory | TimedMemory


def open_memory(dram: Dram, clock_hz: int) -> Memory:
    """Return the DRAM of a device whose cores run at ``clock_hz``, idle and with all banks closed at cycle 0."""
    return FlatMemory(dram, clock_hz) if dram.timing is None else TimedMemory(dram, dram.timing, clock_hz)


def bus_cycles(dram: Dram, size_bytes: int, clock_hz: int) -> int:
    """Return the cycles for which a transfer of ``size_bytes`` holds the bus; nothing to move costs nothing."""
    bursts = -(-size_bytes // dram.burst_bytes)
    return -(-bursts * dram.burst_bytes * clock_hz // dram.bytes_per_s)


def least_cycles(dram: Dram, size_bytes: int, clock_hz: int) -> int:
    """Return cycles in which no transfers of ``size_bytes`` in all are done: the peak rate, and refreshes between."""
    timing = dram.timing
    if timing is None:
        return size_bytes * clock_hz // dram.bytes_per_s
    ticks = size_bytes * timing.clock_hz // timing.bytes_per_s
    silent = max(0, timing.rfc - timing.cl - timing.cwl - timing.burst)  # data of earlier commands may still move
    return (ticks + ticks // timing.refi * silent) * clock_hz // timing.clock_hz
