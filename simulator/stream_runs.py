"""Streams that have been run, on any units and at any interval, so that none is run twice: for devices of one geometry.

A device that differs in DRAM or clock runs no kernel at all. Where no group asks a bank for more than its ports grant,
in no repeat, nothing ever waits in the gather unit: window, order, ports and coalescing move nothing, and all of them
share one run; so for the ports of the scatter unit. Such a stream, once run and so checked, takes other latencies and
intervals by ``conflict_free.py``. Left out: the same under hashed banks, where a move changes conflicts.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd
from typing import NamedTuple

import numpy as np

from simulator._kernels import banks as bank_kernels
from simulator.conflict_free import conflict_free_cycles
from simulator.issue import core_interval
from simulator.machine import StreamCycles, run_stream
from simulator.schedule.program import Program
from simulator.spec import Core, Device, GatherUnit, Hash, MacArray, Order, ScatterUnit, Scratchpad
from traces.stream import IntArray, RequestStream

NO_WAIT_PORTS = 1 << 40  # more than any group or bundle asks of a bank
_MOST_KEPT = 1 << 14  # results of a layer; past that all are forgotten
_ONE = Fraction(1)


_Gather = tuple[int, Order, int, bool, int]  # window, order, ports, coalesce, latency


class Units(NamedTuple):
    """All of a device that a stream's cycles depend on, but for the interval."""

    gather: _Gather
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
    delivered = _delivered(stream, supply)
    return delivered if supply.core is None else max(delivered, core_interval(stream, supply.core))


def buffer_binds(stream: RequestStream, supply: Supply) -> bool:
    """Return whether ``supplied`` is the weight buffer's: no interval of the device, and no core that is as slow."""
    if supply.interval is not None:
        return False
    return supply.core is None or _delivered(stream, supply) > core_interval(stream, supply.core)


def _delivered(stream: RequestStream, supply: Supply) -> Fraction:
    size_bytes = supply.lane_bytes if stream.bytes_per_group is None else stream.bytes_per_group
    return Fraction(size_bytes, supply.bytes_per_cycle)


def _reduced(stream: RequestStream, supply: Supply) -> tuple[int, int]:
    """Return ``supplied``, at least 1, as numerator and denominator: two whole numbers are faster in a key."""
    if supply.interval is not None or supply.core is not None:
        interval = supplied(stream, supply)
        return (interval.numerator, interval.denominator) if interval > 1 else (1, 1)
    size_bytes = supply.lane_bytes if stream.bytes_per_group is None else stream.bytes_per_group
    if size_bytes <= supply.bytes_per_cycle:
        return 1, 1
    common = gcd(size_bytes, supply.bytes_per_cycle)
    return size_bytes // common, supply.bytes_per_cycle // common


class _Known:
    """Mutable: what is known of a stream: runs by units and interval, and what its addresses ask of banks."""

    __slots__ = ("_costs", "_gathered", "runs", "stream", "widest")

    def __init__(self, stream: RequestStream) -> None:
        self.stream = stream
        self.runs: dict[tuple[Units, tuple[int, int]], StreamCycles] = {}
        self._gathered: dict[int, int] = {}  # by banks
        self._costs: dict[tuple[int, int], tuple[IntArray, int, int]] = {}  # by banks and ports
        self.widest = 0  # requests of a group, once known

    def most_gathered(self, banks: int) -> int:
        """Return the most requests of a group that lie in one bank of those not hashed, whatever moves them."""
        if banks not in self._gathered:
            costs = _lockstep(self.stream.group_ptr, self.stream.address, banks, 1)
            self._gathered[banks] = int(costs.max(initial=1))
        return self._gathered[banks]

    def scatter_costs(self, banks: int, ports: int) -> tuple[IntArray, int, int]:
        """Return the cycles of each scatter [bundles] on banks not hashed, whatever moves it; their sum and most."""
        if (banks, ports) not in self._costs:
            costs = _lockstep(self.stream.scatter_ptr, self.stream.scatter_address, banks, ports)
            self._costs[banks, ports] = costs, int(costs.sum()), int(costs.max(initial=1))
        return self._costs[banks, ports]


class _Visited:
    """Mutable: the streams of a program, and their cycles by units and supply. Keeps the program alive."""

    __slots__ = ("_most", "known", "largest_bytes", "program", "results")

    def __init__(self, program: Program, known: list[_Known]) -> None:
        self.program, self.known = program, known
        self.results: dict[tuple[Units, Supply], list[StreamCycles]] = {}
        self._most: dict[int, int] = {}  # by banks
        sizes = [each.stream.bytes_per_group for each in known]
        self.largest_bytes = None if None in sizes else max((size for size in sizes if size is not None), default=0)

    def _most_gathered(self, banks: int) -> int:
        if banks not in self._most:
            self._most[banks] = max((known.most_gathered(banks) for known in self.known), default=1)
        return self._most[banks]

    def plainest(self, units: Units, supply: Supply) -> tuple[Units, Supply]:
        """Return the plainest units and supply under which every stream takes as many cycles."""
        _, _, ports, _, latency = units.gather
        banks, hashed = units.banks
        if ports >= (self._most_gathered(banks) if hashed == "none" else NO_WAIT_PORTS):
            gather: _Gather = (1, "in_order", NO_WAIT_PORTS, False, latency)
            units = Units(gather, units.banks, units.mac_latency, units.scatter)
        largest = supply.lane_bytes if self.largest_bytes is None else max(self.largest_bytes, 0)
        if supply.interval is None and supply.core is None and largest <= supply.bytes_per_cycle:
            supply = AT_ONCE
        return units, supply


class StreamRuns:
    """Mutable: the runs of the streams of a layer's programs, which it keeps alive."""

    def __init__(self) -> None:
        self._alike: dict[tuple[object, ...], _Known] = {}
        self._known: dict[int, tuple[RequestStream, _Known]] = {}  # by id of a stream
        self._programs: dict[int, _Visited] = {}  # by id of the visits
        self._kept = 0

    def of_program(self, program: Program, units: Units, supply: Supply) -> list[StreamCycles]:
        """Return the cycles of each visit's stream of one core. Raises as ``run_stream``."""
        visited = self._programs.get(id(program.visits))
        if visited is None:
            known = [self._of(stream) for stream in program.streams]
            visited = self._programs[id(program.visits)] = _Visited(program, known)
        key = visited.plainest(units, supply)
        results = visited.results.get(key)
        if results is None:
            self._make_room(len(visited.known) + 1)
            plain, plain_supply = key
            results = [self._run(known, plain, _reduced(known.stream, plain_supply)) for known in visited.known]
            visited.results[key] = results
        return results

    def of_stream(self, stream: RequestStream, units: Units, interval: Fraction) -> StreamCycles:
        """Return ``run_stream``, run at most once for what gives equal cycles."""
        return self._run(self._of(stream), units, max(interval, _ONE).as_integer_ratio())

    def _run(self, known: _Known, units: Units, interval: tuple[int, int]) -> StreamCycles:
        key = (_plainest(known, units), interval)
        if key not in known.runs:
            known.runs[key] = _without_run(known, *key) or _run(known.stream, *key)
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
            for visited in self._programs.values():
                visited.results.clear()
            for known in self._alike.values():
                known.runs.clear()


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
    if ports == NO_WAIT_PORTS or (hashed == "none" and ports >= known.most_gathered(banks)):
        window, order, ports, coalesce = 1, "in_order", NO_WAIT_PORTS, False
    if hashed == "none" and known.scatter_costs(banks, scatter_ports)[2] == 1:
        scatter_ports = NO_WAIT_PORTS
    gather = (window, order, ports, coalesce, latency)
    return Units(gather, units.banks, units.mac_latency, (rmw_cycles, scatter_ports))


def _lockstep(pointer: IntArray, address: IntArray, banks: int, ports: int) -> IntArray:
    """Return the cycles of each set of addresses."""
    costs = np.empty(len(pointer) - 1, np.int64)
    owned = [np.require(array, np.int64, ["C", "W"]) for array in (pointer, address)]
    bank_kernels.lockstep_costs(*owned, np.zeros(1, np.int64), banks, False, ports, costs)
    return costs


def _without_run(known: _Known, units: Units, interval: tuple[int, int]) -> StreamCycles | None:
    """Return the cycles of a stream that has been run, and so checked, where they need no run; else None."""
    banks, hashed = units.banks
    rmw_cycles, scatter_ports = units.scatter
    no_conflicts = units.gather[2] == NO_WAIT_PORTS and (hashed == "none" or scatter_ports == NO_WAIT_PORTS)
    if not known.runs or not no_conflicts or known.stream.tile_end is not None:
        return None
    stream = known.stream
    known.widest = known.widest or int(bank_kernels.widest_group(np.require(stream.group_ptr, np.int64, ["C", "W"])))
    costs, turns, _ = known.scatter_costs(banks, scatter_ports)
    return conflict_free_cycles(
        stream, costs, turns=turns, widest=known.widest, interval=interval, latency=units.gather[4],
        mac_latency=units.mac_latency, rmw_cycles=rmw_cycles,
    )  # fmt: skip


def _run(stream: RequestStream, units: Units, interval: tuple[int, int]) -> StreamCycles:
    window, order, ports, coalesce, latency = units.gather
    banks, hashed = units.banks
    rmw_cycles, scatter_ports = units.scatter
    return run_stream(
        stream,
        GatherUnit(lanes=1, window=window, order=order, ports=ports, coalesce=coalesce, latency=latency),
        Scratchpad(banks=banks, hash=hashed, activation_bytes=1, output_bytes=1),
        MacArray(latency=units.mac_latency),
        ScatterUnit(rmw_cycles=rmw_cycles, ports=scatter_ports),
        interval=Fraction(*interval),
    )
