"""Streams that have been run, on any units and at any interval, so that none is run twice: for devices of one geometry.

A device that differs in DRAM or clock runs no kernel at all. Where no group asks a bank for more than its ports grant,
in no repeat, nothing ever waits in the gather unit: window, order, ports and coalescing move nothing, and all of them
share one run; so for the ports of the scatter unit. Left out: what holds for a stream at several intervals, or under
hashed banks, where a move changes conflicts.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from simulator._kernels import banks as bank_kernels
from simulator.issue import core_interval
from simulator.machine import StreamCycles, run_stream
from simulator.schedule.program import Program
from simulator.spec import Core, Device, GatherUnit, Hash, MacArray, Order, ScatterUnit, Scratchpad
from traces.stream import IntArray, RequestStream

NO_WAIT_PORTS = 1 << 40  # more than any group or bundle asks of a bank
_MOST_KEPT = 1 << 15  # results of a layer; past that all are forgotten
_ONE = Fraction(1)


class Units(NamedTuple):
    """All of a device that a stream's cycles depend on, but for the interval."""

    gather: tuple[int, Order, int, bool, int]  # window, order, ports, coalesce, latency
    banks: tuple[int, Hash]
    mac_latency: int
    scatter: tuple[int, int]  # rmw cycles, ports

    def without_conflicts(self) -> Units:
        """Return units whose banks grant all that a group asks for at once."""
        window, order, _, coalesce, latency = self.gather
        return self._replace(gather=(window, order, NO_WAIT_PORTS, coalesce, latency))

    def without_stalls(self) -> Units:
        """Return units that scatter a bundle in a cycle."""
        return self._replace(scatter=(1, NO_WAIT_PORTS))


def units_of(device: Device) -> Units:
    """Return the units of a device."""
    gather, pad = device.gather, device.scratchpad
    return Units(
        gather=(gather.window, gather.order, gather.ports, gather.coalesce, gather.latency),
        banks=(pad.banks, pad.hash),
        mac_latency=device.mac.latency,
        scatter=(device.scatter.rmw_cycles, device.scatter.ports),
    )


class Supply(NamedTuple):
    """All of a device that a stream's interval depends on. ``lane_bytes``: a value and an index for each lane."""

    interval: Fraction | None
    bytes_per_cycle: int
    lane_bytes: int
    core: Core | None


def supply_of(device: Device) -> Supply:
    """Return what brings groups to the gather unit of a device."""
    widths = device.widths
    return Supply(
        interval=device.gather.interval,
        bytes_per_cycle=device.weight_buffer.bytes_per_cycle,
        lane_bytes=device.gather.lanes * (widths.value_bytes + widths.index_bytes),
        core=device.core,
    )


AT_ONCE = Supply(interval=_ONE, bytes_per_cycle=1, lane_bytes=0, core=None)  # a group a cycle: the most there is


def supplied(stream: RequestStream, supply: Supply) -> Fraction:
    """Return cycles per group: the device's own interval, or what the weight buffer or the core needs for a group."""
    if supply.interval is not None:
        return supply.interval
    size_bytes = supply.lane_bytes if stream.bytes_per_group is None else stream.bytes_per_group
    delivered = Fraction(size_bytes, supply.bytes_per_cycle)
    return delivered if supply.core is None else max(delivered, core_interval(stream, supply.core))


class _Known:
    """What is known of a stream: runs by units and interval, and the most that a set of addresses asks of a bank."""

    __slots__ = ("gathered", "runs", "scattered", "stream")

    def __init__(self, stream: RequestStream) -> None:
        self.stream = stream
        self.runs: dict[tuple[Units, Fraction], StreamCycles] = {}
        self.gathered: dict[int, int] = {}  # by banks
        self.scattered: dict[int, int] = {}


class StreamRuns:
    """Mutable: the runs of the streams of a layer's programs, which it keeps alive."""

    def __init__(self) -> None:
        self._alike: dict[tuple[object, ...], _Known] = {}
        self._known: dict[int, tuple[RequestStream, _Known]] = {}  # by id of a stream
        self._programs: dict[tuple[int, Units, Supply], tuple[Program, list[StreamCycles]]] = {}
        self._kept = 0

    def of_program(self, program: Program, units: Units, supply: Supply) -> list[StreamCycles]:
        """Return the cycles of each visit's stream of one core. Raises as ``run_stream``."""
        key = (id(program.visits), units, supply)
        found = self._programs.get(key)
        if found is None:
            results = [self.of_stream(stream, units, supplied(stream, supply)) for stream in program.streams]
            self._make_room(len(results) + 1)
            found = self._programs[key] = program, results
        return found[1]

    def of_stream(self, stream: RequestStream, units: Units, interval: Fraction) -> StreamCycles:
        """Return ``run_stream``, run at most once for what gives equal cycles."""
        known = self._of(stream)
        key = (_plainest(known, units), max(interval, _ONE))
        if key not in known.runs:
            known.runs[key] = _run(known.stream, *key)
        return known.runs[key]

    def _of(self, stream: RequestStream) -> _Known:
        entry = self._known.get(id(stream))
        if entry is None:
            entry = self._known[id(stream)] = stream, self._alike.setdefault(_identity(stream), _Known(stream))
        return entry[1]

    def _make_room(self, results: int) -> None:
        self._kept += results
        if self._kept > _MOST_KEPT:
            self._kept = results
            self._programs.clear()
            self._known.clear()
            self._alike.clear()


def _identity(stream: RequestStream) -> tuple[object, ...]:
    """Return what is equal for streams that run alike; of arrays that the stream keeps alive."""
    offset = b"" if stream.repeat_offset is None else stream.repeat_offset.tobytes()
    return (
        id(stream.address),
        id(stream.scatter_address),
        stream.repeats,
        offset,
        stream.repeat_stride,
        stream.scatter_stride,
        stream.serial,
        stream.gap,
    )


def _plainest(known: _Known, units: Units) -> Units:
    """Return the plainest units that take as many cycles."""
    window, order, ports, coalesce, latency = units.gather
    rmw_cycles, scatter_ports = units.scatter
    banks, hashed = units.banks
    stream = known.stream
    if ports == NO_WAIT_PORTS or (
        hashed == "none" and ports >= _most(known.gathered, stream.group_ptr, stream.address, banks)
    ):
        window, order, ports, coalesce = 1, "in_order", NO_WAIT_PORTS, False
    if scatter_ports == NO_WAIT_PORTS or (
        hashed == "none" and scatter_ports >= _most(known.scattered, stream.scatter_ptr, stream.scatter_address, banks)
    ):
        scatter_ports = NO_WAIT_PORTS
    gather = (window, order, ports, coalesce, latency)
    return units._replace(gather=gather, scatter=(rmw_cycles, scatter_ports))


def _most(found: dict[int, int], pointer: IntArray, address: IntArray, banks: int) -> int:
    """Return the most addresses of a set that lie in one bank of those not hashed, whatever they are moved by."""
    if banks not in found:
        costs = np.empty(len(pointer) - 1, np.int64)
        owned = [np.require(array, np.int64, ["C", "W"]) for array in (pointer, address)]
        bank_kernels.lockstep_costs(*owned, np.zeros(1, np.int64), banks, False, 1, costs)
        found[banks] = int(costs.max(initial=1))
    return found[banks]


def _run(stream: RequestStream, units: Units, interval: Fraction) -> StreamCycles:
    window, order, ports, coalesce, latency = units.gather
    banks, hashed = units.banks
    rmw_cycles, scatter_ports = units.scatter
    return run_stream(
        stream,
        GatherUnit(lanes=1, window=window, order=order, ports=ports, coalesce=coalesce, latency=latency),
        Scratchpad(banks=banks, hash=hashed, activation_bytes=1, output_bytes=1),
        MacArray(latency=units.mac_latency),
        ScatterUnit(rmw_cycles=rmw_cycles, ports=scatter_ports),
        interval=interval,
    )
