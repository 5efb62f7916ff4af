"""Runs the streams of a program on a device, each kind of stream once, and the transfers around them.

Cycles of a stream come from the kernels, the overlap of transfers and compute from the SimPy engine. Left out: overlap
between layers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction

from simulator.engine import Recorder, Tile, Traffic, Transfer, run_cores, unrecorded
from simulator.issue import core_interval
from simulator.machine import StreamCycles, run_stream
from simulator.memory.regions import place, place_cores, region_unit
from simulator.schedule.program import Program, TileRun, Visit, proportional
from simulator.spec import Device
from traces.stream import RequestStream

Known = dict[tuple[object, ...], StreamCycles]  # of streams that live as long as it does


def run_parts(
    program: Program, device: Device, interval: Fraction | None = None, known: Known | None = None
) -> list[list[StreamCycles]]:
    """Return ``run_streams`` of each core; what several cores run is run once."""
    known = {} if known is None else known
    return [run_streams(part, device, interval, known) for part in program.parts]


def run_streams(
    program: Program, device: Device, interval: Fraction | None = None, known: Known | None = None
) -> list[StreamCycles]:
    """Return the cycles of each visit's stream of one core; ``interval`` instead of what the weight buffer allows.

    ``known``: the streams of the same program that have been run, on any units, so that none is run twice.
    """
    seen = {} if known is None else known
    units = (device.gather, device.scratchpad, device.mac, device.scatter)
    results = []
    for stream in program.streams:
        cycles = interval or stream_interval(stream, device)
        key = (_identity(stream), units, max(cycles, Fraction(1)))  # a group a cycle is the most there is
        if key not in seen:
            seen[key] = run_stream(stream, *units, interval=cycles)
        results.append(seen[key])
    return results


def stream_interval(stream: RequestStream, device: Device) -> Fraction:
    """Return cycles per group: the device's own interval, or what the weight buffer or the core needs for a group."""
    if device.gather.interval is not None:
        return device.gather.interval
    delivered = Fraction(group_bytes(stream, device), device.weight_buffer.bytes_per_cycle)
    return delivered if device.core is None else max(delivered, core_interval(stream, device.core))


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
) -> tuple[Traffic, int]:
    """Return what DMA and DRAM make of a program, every tile waiting for its bytes, and the cycles without sharing.

    ``results``: by core, as ``run_streams`` gives. The second number is the most that a core takes with the DRAM and
    the second level to itself, its regions the first there. ``transfers``: a list that receives what the DRAM is asked
    for by all of them together; ``record`` is told when each tile ran.
    """
    pad = device.scratchpad

    def run(cores: list[list[Tile]], seen: list[Transfer] | None = None, told: Recorder = unrecorded) -> Traffic:
        buffers = (pad.activation_buffers, pad.output_buffers)
        return run_cores(cores, device.dram, device.clock_hz, *buffers, device.second_level, seen, told)

    both = zip(program.parts, results, strict=True)
    tiles = [list(_tiles(part, core, found, device)) for core, (part, found) in enumerate(both)]
    unit_bytes = region_unit(device.dram)
    together = run(place_cores(tiles, unit_bytes), transfers, record)
    if len(tiles) == 1:
        return together, together.cycles
    different = {(id(part.visits), part.vector_runs): own for part, own in zip(program.parts, tiles, strict=True)}
    return together, max(run([place(own, unit_bytes)]).cycles for own in different.values())


def tile_places(program: Program) -> list[tuple[int, int]]:
    """Return the visit and the run of each tile in the order in which they run; visit -1 is element work."""
    runs = [[(number, run) for run in range(len(visit.runs))] for number, visit in enumerate(program.visits)]
    ordered = zip(*runs, strict=True) if program.serial else runs
    return [place for places in ordered for place in places] + [(-1, run) for run in range(len(program.vector_runs))]


def vector_cycles(elements: int, device: Device) -> int:
    """Return the cycles of element work on the vector unit."""
    return -(-elements // device.vector_unit.elements_per_cycle)


def _identity(stream: RequestStream) -> tuple[object, ...]:
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


def _tile_cycles(visit: Visit, result: StreamCycles | None) -> list[int]:
    """Return the cycles of each of a visit's runs: by repeats, or by the tiles that a trace marks in its stream."""
    if result is None:
        return [0] * len(visit.runs)
    if result.tile_ends and len(visit.runs) == len(result.tile_ends):
        ends = [0, *result.tile_ends[:-1], result.cycles]  # further repeats run with the last tile
        return [high - low for low, high in itertools.pairwise(ends)]
    return proportional(result.cycles, [run.repeats for run in visit.runs])


def _scoped(program: Program, core: int, tag: str) -> str:
    """Tell the tiles of different scopes apart; outputs and partial sums are a core's own."""
    scope = {"w": program.weights_scope, "x": program.inputs_scope}.get(tag[0], str(core))
    return f"{tag[0]}{scope}:{tag}"


def _tiles(program: Program, core: int, results: list[StreamCycles], device: Device) -> Iterator[Tile]:
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
            compute_cycles=vector_cycles(run.elements, device),
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
