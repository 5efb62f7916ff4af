"""Runs the streams of a program on a device, each kind of stream once, and the transfers around them.

Cycles of a stream come from the kernels, the overlap of transfers and compute from the SimPy engine, or from a kernel
that equals it where nobody wants to know when each tile ran. Left out: overlap between layers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from simulator.engine import Recorder, Tile, Traffic, Transfer, run_cores, unrecorded
from simulator.machine import StreamCycles
from simulator.memory.regions import place, place_cores, region_unit
from simulator.schedule.program import Program, TileRun, Visit, proportional
from simulator.spec import Device
from simulator.stream_runs import StreamRuns, supplied, supply_of, units_of
from simulator.tile_arrays import TileArrays, run_arrays, tile_arrays
from traces.stream import IntArray, RequestStream

_MOST = 1 << 60


def run_parts(
    program: Program, device: Device, interval: Fraction | None = None, known: StreamRuns | None = None
) -> list[list[StreamCycles]]:
    """Return ``run_streams`` of each core; what several cores run is run once."""
    known = known or StreamRuns()
    return [run_streams(part, device, interval, known) for part in program.parts]


def run_streams(
    program: Program, device: Device, interval: Fraction | None = None, known: StreamRuns | None = None
) -> list[StreamCycles]:
    """Return the cycles of each visit's stream of one core; ``interval`` instead of what the weight buffer allows.

    ``known``: what of the same layer has been run, on any units, so that nothing is run twice.
    """
    supply = supply_of(device)
    if interval is not None:
        supply = supply._replace(interval=interval)
    return (known or StreamRuns()).of_program(program, units_of(device), supply)


def stream_interval(stream: RequestStream, device: Device) -> Fraction:
    """Return cycles per group: the device's own interval, or what the weight buffer or the core needs for a group."""
    return supplied(stream, supply_of(device))


def group_bytes(stream: RequestStream, device: Device) -> int:
    """Return the bytes of values and indices of a group; a stream that does not say has both for each lane."""
    if stream.bytes_per_group is not None:
        return stream.bytes_per_group
    return device.gather.lanes * (device.widths.value_bytes + device.widths.index_bytes)


def buffer_bytes(program: Program, device: Device) -> tuple[int, int]:
    """Return (values, indices) read out of the weight buffer by all visits, repeats and cores.

    Every group is read once, for all positions of a word. Indices have their share of the stored bytes.
    """
    read = sum(stream.groups * stream.repeats * group_bytes(stream, device) for stream in program.streams)
    stored = program.weight_bytes + program.index_bytes
    indices = read * program.index_bytes // stored if stored else 0
    return read - indices, indices


def with_transfers(
    program: Program,
    results: Sequence[list[StreamCycles]],
    device: Device,
    transfers: list[Transfer] | None = None,
    record: Recorder = unrecorded,
    known: ProgramTiles | None = None,
) -> tuple[Traffic, int]:
    """Return what DMA and DRAM make of a program, every tile waiting for its bytes, and the cycles without sharing.

    ``results``: by core, as ``run_streams`` gives. The second number is the most that a core takes with the DRAM and
    the second level to itself, its regions the first there. ``transfers``: a list that receives what the DRAM is asked
    for by all of them together; ``record`` is told when each tile ran. Where neither is asked for, and without a second
    level, a kernel does what the engine would. ``known``: the tiles of the same layer's programs as arrays.
    """
    pad = device.scratchpad
    if transfers is None and record is unrecorded and not device.second_level.bytes:
        found = (known or ProgramTiles()).run(program, results, device)
        if found is not None:
            return found

    def run(cores: list[list[Tile]], seen: list[Transfer] | None = None, told: Recorder = unrecorded) -> Traffic:
        buffers = (pad.activation_buffers, pad.output_buffers)
        return run_cores(cores, device.dram, device.clock_hz, *buffers, device.second_level, seen, told)

    both = zip(program.parts, results, strict=True)
    tiles = [
        list(_tiles(part, core, found, device.vector_unit.elements_per_cycle))
        for core, (part, found) in enumerate(both)
    ]
    unit_bytes = region_unit(device.dram)
    together = run(place_cores(tiles, unit_bytes), transfers, record)
    if len(tiles) == 1:
        return together, together.cycles
    different = {(id(part.visits), part.vector_runs): own for part, own in zip(program.parts, tiles, strict=True)}
    return together, max(run([place(own, unit_bytes)]).cycles for own in different.values())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _PlacedTiles:
    """The tiles of some cores, and how the cycles of a visit are shared out to its runs: by repeats.

    All [tiles]: ``visit``, counted over the cores' visits that have a stream, or -1; a tile has those cycles of the
    visit that lie between shares ``low`` and ``high`` of ``total``. ``elements``: of element work.
    """

    arrays: TileArrays
    visit: IntArray
    low: IntArray
    high: IntArray
    total: IntArray
    elements: IntArray
    most_total: int

    def compute(self, results: Sequence[StreamCycles], elements_per_cycle: int) -> IntArray | None:
        """Return the cycles of each tile; None where 64 bits may not hold them."""
        found = -(-self.elements // elements_per_cycle)
        if not results:
            return found
        cycles = [result.cycles for result in results]
        if max(cycles) * self.most_total >= _MOST:
            return None
        of_visit = np.array([*cycles, 0], np.int64)[self.visit]
        found += of_visit * self.high // self.total - of_visit * self.low // self.total
        for number, result in enumerate(results):
            if result.tile_ends:
                own = np.flatnonzero(self.visit == number)
                found[own] = _marked(len(own), result) or found[own]
        return found


_AT_ONCE = StreamCycles(gather=0, consumed=0, cycles=0, scatter_busy=0, waiting_words=0)


class ProgramTiles:
    """Mutable: the tiles of the programs of a layer as arrays, for devices of one geometry."""

    def __init__(self) -> None:
        self._placed: dict[tuple[tuple[int, ...], int], tuple[list[Program], _PlacedTiles | None]] = {}

    def run(
        self, program: Program, results: Sequence[list[StreamCycles]], device: Device
    ) -> tuple[Traffic, int] | None:
        """Return what ``with_transfers`` does; None where the engine has to."""
        together = self._run(program.parts, results, device)
        if together is None:
            return None
        if len(program.parts) == 1:
            return together, together.cycles
        different = {(id(part.visits), part.vector_runs): core for core, part in enumerate(program.parts)}
        alone = [self._run([program.parts[core]], [results[core]], device) for core in different.values()]
        return together, max(traffic.cycles for traffic in alone if traffic)

    def _run(self, parts: Sequence[Program], results: Sequence[list[StreamCycles]], device: Device) -> Traffic | None:
        placed = self._of(parts, region_unit(device.dram))
        if placed is None:
            return None
        streams = [result for core in results for result in core]
        compute = placed.compute(streams, device.vector_unit.elements_per_cycle)
        buffers = (device.scratchpad.activation_buffers, device.scratchpad.output_buffers)
        if compute is None:
            return None
        return run_arrays(placed.arrays, compute, device.dram, device.clock_hz, *buffers)

    def _of(self, parts: Sequence[Program], unit_bytes: int) -> _PlacedTiles | None:
        key = (tuple(id(part) for part in parts), unit_bytes)
        if key not in self._placed:
            self._placed[key] = list(parts), _placed_tiles(parts, unit_bytes)
        return self._placed[key][1]


def _placed_tiles(parts: Sequence[Program], unit_bytes: int) -> _PlacedTiles | None:
    """Return the tiles of some cores as arrays; None where their numbers do not fit."""
    cores = [
        list(_tiles(part, core, [_AT_ONCE] * len(part.streams), 1))  # how long they run moves no tile
        for core, part in enumerate(parts)
    ]
    shares: list[tuple[int, int, int, int, int]] = []
    before = 0
    for part in parts:
        numbers = itertools.count(before)
        streams = [-1 if visit.stream is None else next(numbers) for visit in part.visits]
        before = next(numbers)
        edges = [list(itertools.accumulate((run.repeats for run in visit.runs), initial=0)) for visit in part.visits]
        for visit, run in tile_places(part):
            if visit < 0:
                shares.append((-1, 0, 0, 1, part.vector_runs[run].elements))
            else:
                shares.append((streams[visit], edges[visit][run], edges[visit][run + 1], edges[visit][-1], 0))
    most_total = max((share[3] for share in shares), default=1)
    arrays = tile_arrays(place_cores(cores, unit_bytes))
    if arrays is None or most_total >= _MOST or any(share[4] >= _MOST for share in shares):
        return None
    number, low, high, total, elements = np.array(shares, np.int64).reshape(-1, 5).T.copy()
    return _PlacedTiles(
        arrays=arrays, visit=number, low=low, high=high, total=total, elements=elements, most_total=most_total
    )


def tile_places(program: Program) -> list[tuple[int, int]]:
    """Return the visit and the run of each tile in the order in which they run; visit -1 is element work."""
    runs = [[(number, run) for run in range(len(visit.runs))] for number, visit in enumerate(program.visits)]
    ordered = zip(*runs, strict=True) if program.serial else runs
    return [place for places in ordered for place in places] + [(-1, run) for run in range(len(program.vector_runs))]


def vector_cycles(elements: int, device: Device) -> int:
    """Return the cycles of element work on the vector unit."""
    return -(-elements // device.vector_unit.elements_per_cycle)


def _marked(visit_runs: int, result: StreamCycles) -> list[int]:
    """Return the cycles of each of a visit's runs by the tiles that a trace marks in its stream; or nothing."""
    if not result.tile_ends or visit_runs != len(result.tile_ends):
        return []
    ends = [0, *result.tile_ends[:-1], result.cycles]  # further repeats run with the last tile
    return [high - low for low, high in itertools.pairwise(ends)]


def _tile_cycles(visit: Visit, result: StreamCycles | None) -> list[int]:
    """Return the cycles of each of a visit's runs: by repeats, or by the tiles that a trace marks in its stream."""
    if result is None:
        return [0] * len(visit.runs)
    return _marked(len(visit.runs), result) or proportional(result.cycles, [run.repeats for run in visit.runs])


def _scoped(program: Program, core: int, tag: str) -> str:
    """Tell the tiles of different scopes apart; outputs and partial sums are a core's own."""
    scope = {"w": program.weights_scope, "x": program.inputs_scope}.get(tag[0], str(core))
    return f"{tag[0]}{scope}:{tag}"


def _tiles(program: Program, core: int, results: list[StreamCycles], per_cycle: int) -> Iterator[Tile]:
    left = iter(results)
    by_visit: list[list[Tile]] = []
    for visit in program.visits:
        cycles = _tile_cycles(visit, next(left) if visit.stream is not None else None)
        by_visit.append([_tile(program, core, run, part) for run, part in zip(visit.runs, cycles, strict=True)])
    if program.serial:  # all tiles of a step of time before the next step
        by_visit = [list(at_once) for at_once in zip(*by_visit, strict=True)]
    yield from itertools.chain.from_iterable(by_visit)
    for number, run in enumerate(program.vector_runs):
        weights = ((f"w{program.weights_scope}:v{number}", run.weight_bytes),) if run.weight_bytes else ()
        yield Tile(
            load_bytes=run.load_bytes,
            compute_cycles=-(-run.elements // per_cycle),
            store_bytes=run.store_bytes,
            operands=weights,
        )


def _tile(program: Program, core: int, run: TileRun, cycles: int) -> Tile:
    return Tile(
        load_bytes=run.load_bytes,
        compute_cycles=cycles,
        store_bytes=run.store_bytes,
        operands=tuple((_scoped(program, core, tag), size_bytes) for tag, size_bytes in run.operands),
        stored=_scoped(program, core, run.stored) if run.stored else "",
    )
