"""Makes the program of a layer with weights under one mapping: visits in loop order, and the bytes they move.

DESIGN section 5a. An operand is loaded when its tile is not the one that lies in its buffer. Left out: the choice of
the mapping (``mapper.py``).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from simulator.schedule.mapping import Mapping, capacity, output_words, sample_rounds, tile_words
from simulator.schedule.program import Program, TileRun, VectorRun, Visit
from simulator.schedule.sources import StreamPlan
from simulator.schedule.tiles import GroupTiles
from simulator.spec import Device
from traces.layer import MatrixLayer
from traces.trace import LayerTrace


def compile_matrix(trace: LayerTrace, device: Device, mapping: Mapping, plan: StreamPlan) -> Program:
    """Return the program of a layer with weights under one mapping. Raises TileTooLarge."""
    layer = trace.layer
    assert isinstance(layer, MatrixLayer)
    visits: list[Visit] = []
    slots = largest = 0
    for number in range(layer.groups):
        group = GroupTiles(trace, device, mapping, plan, number)
        visits += _serial_visits(group) if layer.serial else _visits(group)
        slots += group.slots
        largest = max(largest, group.largest_part_bytes)
    widths = device.widths
    buffers_in = min(device.scratchpad.activation_buffers, max(1, sum(len(visit.runs) for visit in visits)))
    scratchpad = (
        tile_words(layer, mapping, device.scratchpad.banks) * device.vector * widths.value_bytes * buffers_in
        + output_words(min(mapping.rows, layer.m), mapping.tile[0] * mapping.tile[1], device.scratchpad.banks)
        * device.vector
        * widths.sum_bytes
        + largest * min(device.weight_buffer.buffers, len(visits))
    )
    return Program(
        visits=tuple(visits),
        serial=layer.serial,
        vector_runs=_gates_outside_gaps(layer, mapping, visits),
        mapping=str(mapping),
        encoding=plan.encoding,
        weight_bytes=plan.weight_bytes,
        index_bytes=plan.index_bytes,
        slots=plan.slots,
        slot_macs=slots * layer.p,
        macs_effectual=trace.kept * layer.p,
        scratchpad_bytes=scratchpad,
        reason=plan.reason,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _PlacedRun:
    """A run and the tile that it serves."""

    row_tile: int
    position: int
    channel_part: int
    run: TileRun


def _runs(group: GroupTiles) -> list[_PlacedRun]:
    """Walk the loop order; an operand is loaded when its tile is not the one that lies there already."""
    widths = group.device.widths
    weights = inputs = outputs = None
    visited: set[tuple[int, int]] = set()
    found: list[_PlacedRun] = []
    for row_tile, position, part in group.steps():
        tile = group.positions[position]
        operands: list[tuple[str, int]] = []
        if weights != (row_tile, part):
            weights = (row_tile, part)
            operands.append((f"w{group.group}.{row_tile}.{part}", group.part(row_tile, part).weight_bytes))
        if inputs != (position, part):
            inputs = (position, part)
            pixels_bytes = tile.pixels * group.channels(part)[1] * widths.value_bytes
            operands.append((f"x{group.group}.{position}.{part}", pixels_bytes))
        if outputs != (row_tile, position):
            if found:
                found[-1] = _stored(group, found[-1])
            outputs = (row_tile, position)
            if outputs in visited:  # partial sums come back
                sums_bytes = tile.outputs * group.rows(row_tile) * widths.sum_bytes
                operands.append((f"s{group.group}.{row_tile}.{position}", sums_bytes))
            visited.add(outputs)
        moved = tuple(operand for operand in operands if operand[1])
        load = sum(size_bytes for _, size_bytes in moved)
        run = TileRun(repeats=tile.height * tile.width, load_bytes=load, store_bytes=0, operands=moved)
        found.append(_PlacedRun(row_tile=row_tile, position=position, channel_part=part, run=run))
    found[-1] = _stored(group, found[-1])
    return found


def _stored(group: GroupTiles, placed: _PlacedRun) -> _PlacedRun:
    """The output tile leaves after this run: finished values, or partial sums of 32 bits."""
    widths = group.device.widths
    finished = placed.channel_part == group.count["c"] - 1
    size = widths.value_bytes if finished else widths.sum_bytes
    stored_bytes = group.positions[placed.position].outputs * group.rows(placed.row_tile) * size
    tag = f"{'o' if finished else 's'}{group.group}.{placed.row_tile}.{placed.position}"
    return replace(placed, run=replace(placed.run, store_bytes=stored_bytes, stored=tag if stored_bytes else ""))


def _visits(group: GroupTiles) -> list[Visit]:
    """Merge runs of one (rows, channels) tile that follow each other into one stream with all their repeats."""
    visits = []
    tiles = itertools.groupby(_runs(group), key=lambda placed: (placed.row_tile, placed.channel_part))
    for (row_tile, part), runs in tiles:
        members = list(runs)
        stream = group.part(row_tile, part).stream
        if stream is not None:
            words = group.span(part)[1]
            offsets = [group.offsets(group.positions[placed.position], words) for placed in members]
            offset = offsets[0] if len(offsets) == 1 else np.concatenate(offsets)
            stream = replace(stream, repeats=len(offset), repeat_offset=offset)
        visits.append(Visit(stream=stream, runs=tuple(placed.run for placed in members)))
    return visits


def _serial_visits(group: GroupTiles) -> list[Visit]:
    """Visits of a recurrence: each tile's stream repeats over time, the gates are the gap after the last stream."""
    layer, device = group.layer, group.device
    steps = len(group.positions)
    tiles = [(r, c) for r in range(group.count["r"]) for c in range(group.count["c"])]
    parts = [group.part(*tile) for tile in tiles]
    resident = len(tiles) == 1
    # the gates of the largest round: a repeat of a stream has one gap
    gates = layer.gate_elements * min(group.mapping.strips[0], layer.batch)
    gap = -(-gates // device.vector_unit.elements_per_cycle)
    last_stream = max((index for index, part in enumerate(parts) if part.stream is not None), default=None)
    loads = [tile.pixels * layer.m * device.widths.value_bytes for tile in group.positions]
    stores = [tile.outputs * layer.k * device.widths.value_bytes for tile in group.positions]
    visits = []
    for index, part in enumerate(parts):
        stream = part.stream
        if stream is not None:
            stream = replace(stream, repeats=steps, serial=True, gap=gap if index == last_stream else 0)
        weights = ((f"w{group.group}.{index}", part.weight_bytes),) if part.weight_bytes else ()
        runs = []
        for step in range(steps):
            leaving, returning = _spilled(group, tiles[index], group.positions[step].outputs)
            operands = (weights if step == 0 or not resident else ()) + returning
            once = loads[step] if index == 0 else 0
            runs.append(
                TileRun(
                    repeats=1,
                    load_bytes=sum(size_bytes for _, size_bytes in operands) + once,
                    store_bytes=stores[step] if index == len(parts) - 1 else sum(size for _, size in leaving),
                    operands=operands,
                    stored=leaving[0][0] if leaving else "",
                )
            )
        visits.append(Visit(stream=stream, runs=tuple(runs)))
    return visits


_Operands = tuple[tuple[str, int], ...]


def _spilled(group: GroupTiles, tile: tuple[int, int], samples: int) -> tuple[_Operands, _Operands]:
    """Return the sums of a step that leave after a tile of a recurrence, and those that come back with it.

    The gates need the sums of all rows. Where these do not fit an output buffer at once, each tile of rows but the last
    sends its own out, as 32-bit partial sums, and they come back with the last.
    """
    layer, room = group.layer, capacity(group.device)
    if output_words(layer.m, 1, room.banks) <= room.output_words:
        return (), ()
    last_row_tile, last_part = group.count["r"] - 1, group.count["c"] - 1
    if tile[1] != last_part:
        return (), ()

    def sums(row_tile: int) -> tuple[str, int]:
        # rounds of fewer samples have places of their own
        size_bytes = samples * group.rows(row_tile) * group.device.widths.sum_bytes
        return f"s{group.group}.{row_tile}.{samples}", size_bytes

    if tile[0] == last_row_tile:
        return (), tuple(sums(row_tile) for row_tile in range(last_row_tile))
    return (sums(tile[0]),), ()


def _gates_outside_gaps(layer: MatrixLayer, mapping: Mapping, visits: list[Visit]) -> tuple[VectorRun, ...]:
    """The gates of a recurrence's last step, after which no gap comes; of every step where no stream has gaps."""
    if not layer.serial:
        return ()
    last_round = layer.batch - (sample_rounds(layer, mapping.strips) - 1) * mapping.strips[0]
    samples = last_round if any(visit.stream is not None for visit in visits) else layer.p
    return (VectorRun(load_bytes=0, elements=layer.gate_elements * samples, store_bytes=0),)
