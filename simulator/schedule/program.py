"""Turns a layer and its mask into what the machine does: request streams, the tiles they run in, bytes moved.

Follows DESIGN section 5a. A *visit* is one stream: the groups of one (rows, channels) tile, repeated for every
position of the position tiles that follow each other without another tile in between. Left out: fusion of layers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from simulator.schedule.grouping import Grouping, GroupSource
from simulator.schedule.mapping import (
    Mapping,
    axes,
    capacity,
    channel_span,
    output_words,
    sample_rounds,
    strip_outputs,
    strip_pixels,
    strip_size,
    tile_words,
    trips,
)
from simulator.schedule.sources import StreamPlan
from simulator.spec import Device
from traces.layer import MatrixLayer
from traces.layout import row_pitch
from traces.stream import IntArray, RequestStream
from traces.trace import LayerTrace


class TileTooLarge(Exception):
    """A tile's encoded weights overflow the weight buffer: the mapping is not to be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileRun:
    """``repeats`` of a visit's stream, the bytes that must be in before and those that leave after."""

    repeats: int
    load_bytes: int
    store_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Visit:
    """A stream and the tiles it serves; without a stream only bytes move (a tile with no kept weight)."""

    stream: RequestStream | None
    runs: tuple[TileRun, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Program:
    """All visits of a layer in order, and exact counts. ``serial``: the visits are one step of time, repeated.

    ``vector_runs``: chunks of element work after the visits; a recurrence has one, the gates of its last step, which no
    gap holds. ``slot_macs``: stored slots, padding
    included, times real positions.
    """

    visits: tuple[Visit, ...] = ()
    serial: bool = False
    vector_runs: tuple[tuple[int, int, int], ...] = ()  # (load bytes, elements, store bytes)
    mapping: str = ""
    encoding: str = ""
    weight_bytes: int = 0
    index_bytes: int = 0
    slots: int = 0
    slot_macs: int = 0
    macs_effectual: int = 0
    scratchpad_bytes: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _PositionTile:
    """One tile of positions: its extent in a strip, real input pixels and real outputs of all strips."""

    height: int
    width: int
    pixels: int
    outputs: int


def _position_tiles(layer: MatrixLayer, mapping: Mapping) -> list[_PositionTile]:
    if layer.serial:  # each round of samples runs through all of time before the next
        steps = layer.window.out_hw[0] * layer.window.out_hw[1]
        rounds = [min(mapping.strips[0], layer.batch - first) for first in range(0, layer.batch, mapping.strips[0])]
        return [
            _PositionTile(height=1, width=1, pixels=samples, outputs=samples)
            for samples in rounds
            for _ in range(steps)
        ]
    sh, sw = strip_size(layer, mapping.strips)
    th, tw = mapping.tile
    rows_in, columns_in = strip_pixels(layer, mapping, 0), strip_pixels(layer, mapping, 1)
    rows_out, columns_out = strip_outputs(layer, mapping, 0), strip_outputs(layer, mapping, 1)
    tiles = []
    for sample_round in range(sample_rounds(layer, mapping.strips)):
        samples = min(mapping.strips[0], layer.batch - sample_round * mapping.strips[0])
        for (i, y), (j, x) in itertools.product(enumerate(range(0, sh, th)), enumerate(range(0, sw, tw))):
            tiles.append(
                _PositionTile(
                    height=min(th, sh - y),
                    width=min(tw, sw - x),
                    pixels=samples * rows_in[i] * columns_in[j],
                    outputs=samples * rows_out[i] * columns_out[j],
                )
            )
    return tiles


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """One (rows, channels) tile of one convolution group: the stream without its repeats, and the bytes behind it."""

    stream: RequestStream | None
    weight_bytes: int
    groups: int
    slots: int


class _GroupCompiler:
    """Builds the visits of one convolution group. Holds what its tiles share, and nothing beyond."""

    def __init__(self, trace: LayerTrace, device: Device, mapping: Mapping, plan: StreamPlan, group: int) -> None:
        assert isinstance(trace.layer, MatrixLayer)
        self.layer, self.device, self.mapping, self.group = trace.layer, device, mapping, group
        self.plan = plan
        self.banks = device.scratchpad.banks
        self.count = trips(self.layer, mapping)
        vertical, horizontal = axes(self.layer)
        total = self.layer.groups * self.layer.ci
        self.pitch = row_pitch(horizontal.pixels(mapping.tile[1]), horizontal.kernel, total, self.banks)
        self.strides = (vertical.stride, horizontal.stride)
        self.tiles = _position_tiles(self.layer, mapping)
        self._sources: dict[int, tuple[GroupSource, IntArray]] = {}
        self._parts: dict[tuple[int, int], _Part] = {}
        self._shared: dict[tuple[int, int], _Part] = {}  # (rows, channel part) of a uniform plan

    def channels(self, part: int) -> tuple[int, int]:
        first = part * self.mapping.channels
        return first, min(self.mapping.channels, self.layer.ci - first)

    def span(self, part: int) -> tuple[int, int]:
        """The first stored channel of a channel part and the words of a pixel."""
        return channel_span(self.layer, self.group, *self.channels(part), self.banks)

    def _source(self, part: int) -> tuple[GroupSource, IntArray]:
        """The groups of a channel part and the address of each of its columns."""
        if part not in self._sources:
            layer = self.layer
            first, count = self.channels(part)
            low, words = self.span(part)
            kh, kw = layer.window.kernel
            y = np.arange(kh, dtype=np.int64)[:, None, None] * layer.window.dilation[0]
            x = np.arange(kw, dtype=np.int64)[None, :, None] * layer.window.dilation[1]
            c = self.group * layer.ci + first - low + np.arange(count, dtype=np.int64)[None, None, :]
            address = np.broadcast_to((y * self.pitch + x) * words + c, (kh, kw, count)).reshape(-1)
            taps = np.arange(kh * kw, dtype=np.int64)[:, None] * layer.ci
            columns = (taps + np.arange(first, first + count, dtype=np.int64)[None, :]).reshape(-1)
            whole = count == layer.ci
            self._sources[part] = (self.plan.source(self.group, None if whole else columns), address)
        return self._sources[part]

    def part(self, row_tile: int, channel_part: int) -> _Part:
        key = (row_tile, channel_part)
        if key not in self._parts:
            first = row_tile * self.mapping.rows
            last = min(first + self.mapping.rows, self.layer.m)
            made = self._shared.get((last - first, channel_part)) or self._build(first, last, channel_part)
            if self.plan.uniform:
                self._shared[last - first, channel_part] = made
            if made.stream is not None:
                name = f"{self.layer.name}.g{self.group}.r{row_tile}.c{channel_part}"
                made = replace(made, stream=replace(made.stream, name=name))
            self._parts[key] = made
        return self._parts[key]

    def _build(self, first: int, last: int, channel_part: int) -> _Part:
        source, address = self._source(channel_part)
        grouping = source.build(first, last)
        if grouping is None:
            return _Part(stream=None, weight_bytes=0, groups=0, slots=0)
        if grouping.tile_bytes > capacity(self.device).weight_bytes:
            raise TileTooLarge
        return self._make(grouping, source, address, first, last)

    def _make(self, grouping: Grouping, source: GroupSource, address: IntArray, first: int, last: int) -> _Part:
        local = np.empty(self.layer.m, dtype=np.int64)
        members = np.sort(source.row_order[first:last])
        local[members] = np.arange(last - first, dtype=np.int64)  # a tile's rows lie side by side
        groups = len(grouping.group_ptr) - 1
        stream = RequestStream(
            name=self.layer.name,
            group_ptr=grouping.group_ptr,
            lane=grouping.lane,
            address=address[grouping.column],
            bundle_end=grouping.bundle_end,
            scatter_ptr=grouping.row_ptr,
            scatter_address=local[grouping.rows],
            scatter_stride=output_words(last - first, 1, self.banks),
            macs=grouping.macs,
            # stored bytes follow each other in the weight buffer: ragged groups share its width
            bytes_per_group=min(source.bytes_per_group, -(-grouping.tile_bytes // groups)),
        )
        return _Part(stream=stream, weight_bytes=grouping.tile_bytes, groups=groups, slots=grouping.slots)

    def offsets(self, tile: _PositionTile, words: int) -> IntArray:
        """Addresses by which the positions of a tile move the window."""
        y = np.arange(tile.height, dtype=np.int64)[:, None] * self.strides[0] * self.pitch
        x = np.arange(tile.width, dtype=np.int64)[None, :] * self.strides[1]
        return ((y + x) * words).reshape(-1)

    def steps(self) -> Iterator[tuple[int, int, int]]:
        """(row tile, position tile, channel part) in the mapping's loop order."""
        ranges = {"r": self.count["r"], "p": len(self.tiles), "c": self.count["c"]}
        for where in itertools.product(*(range(ranges[loop]) for loop in self.mapping.order)):
            at = dict(zip(self.mapping.order, where, strict=True))
            yield at["r"], at["p"], at["c"]


def _runs(compiler: _GroupCompiler) -> list[tuple[int, int, int, TileRun]]:
    """Walk the loop order; an operand is loaded when its tile is not the one that lies there already."""
    layer, mapping, widths = compiler.layer, compiler.mapping, compiler.device.widths
    last_part = compiler.count["c"] - 1
    weights = inputs = outputs = None
    visited: set[tuple[int, int]] = set()
    found: list[tuple[int, int, int, TileRun]] = []
    for row_tile, position, part in compiler.steps():
        tile = compiler.tiles[position]
        rows = min(mapping.rows, layer.m - row_tile * mapping.rows)
        load = 0
        if weights != (row_tile, part):
            weights = (row_tile, part)
            load += compiler.part(row_tile, part).weight_bytes
        if inputs != (position, part):
            inputs = (position, part)
            load += tile.pixels * compiler.channels(part)[1] * widths.value_bytes
        here = (row_tile, position)
        if outputs != here:
            if outputs is not None and found:
                _close(found, outputs, layer, compiler, last_part)
            outputs = here
            if here in visited:  # partial sums come back
                load += tile.outputs * rows * widths.sum_bytes
            visited.add(here)
        found.append(
            (row_tile, position, part, TileRun(repeats=tile.height * tile.width, load_bytes=load, store_bytes=0))
        )
    assert outputs is not None
    _close(found, outputs, layer, compiler, last_part)
    return found


def _close(
    found: list[tuple[int, int, int, TileRun]],
    outputs: tuple[int, int],
    layer: MatrixLayer,
    compiler: _GroupCompiler,
    last_part: int,
) -> None:
    """The output tile leaves after the newest run: finished values, or partial sums of 32 bits."""
    row_tile, position, part, run = found[-1]
    rows = min(compiler.mapping.rows, layer.m - outputs[0] * compiler.mapping.rows)
    widths = compiler.device.widths
    size = widths.value_bytes if part == last_part else widths.sum_bytes
    stored = compiler.tiles[outputs[1]].outputs * rows * size
    found[-1] = (row_tile, position, part, replace(run, store_bytes=stored))


def _visits(compiler: _GroupCompiler) -> list[Visit]:
    """Merge runs of one (rows, channels) tile that follow each other into one stream with all their repeats."""
    visits = []
    for (row_tile, part), runs in itertools.groupby(_runs(compiler), key=lambda run: (run[0], run[2])):
        members = list(runs)
        stream = compiler.part(row_tile, part).stream
        if stream is not None:
            words = compiler.span(part)[1]
            offsets = [compiler.offsets(compiler.tiles[position], words) for _, position, _, _ in members]
            offset = offsets[0] if len(offsets) == 1 else np.concatenate(offsets)
            stream = replace(stream, repeats=len(offset), repeat_offset=offset)
        visits.append(Visit(stream=stream, runs=tuple(member[3] for member in members)))
    return visits


def _serial_visits(compiler: _GroupCompiler) -> list[Visit]:
    """Visits of a recurrence: each tile's stream repeats over time, the gates are the gap after the last tile."""
    layer, device = compiler.layer, compiler.device
    steps = len(compiler.tiles)
    tiles = [(r, c) for r in range(compiler.count["r"]) for c in range(compiler.count["c"])]
    resident = len(tiles) == 1
    # the gates of the largest round: a repeat of a stream has one gap
    gates = gate_elements(layer, min(compiler.mapping.strips[0], layer.batch))
    gap = -(-gates // device.vector_unit.elements_per_cycle)
    loads = [tile.pixels * layer.m * device.widths.value_bytes for tile in compiler.tiles]
    stores = [tile.outputs * layer.k * device.widths.value_bytes for tile in compiler.tiles]
    visits = []
    for index, (row_tile, part) in enumerate(tiles):
        made = compiler.part(row_tile, part)
        stream = made.stream
        is_last = index == len(tiles) - 1
        if stream is not None:
            stream = replace(stream, repeats=steps, serial=True, gap=gap if is_last else 0)
        runs = tuple(
            TileRun(
                repeats=1,
                load_bytes=(made.weight_bytes if step == 0 or not resident else 0) + (loads[step] if index == 0 else 0),
                store_bytes=stores[step] if is_last else 0,
            )
            for step in range(steps)
        )
        visits.append(Visit(stream=stream, runs=runs))
    return visits


def gate_elements(layer: MatrixLayer, samples: int) -> int:
    """Return the element operations of the gates in one step of time of some samples."""
    return layer.gate_elements // layer.batch * samples


def compile_matrix(trace: LayerTrace, device: Device, mapping: Mapping, plan: StreamPlan) -> Program:
    """Return the program of a layer with weights under one mapping. Raises TileTooLarge."""
    layer = trace.layer
    assert isinstance(layer, MatrixLayer)
    visits: list[Visit] = []
    slots = 0
    largest = 0
    for group in range(layer.groups):
        compiler = _GroupCompiler(trace, device, mapping, plan, group)
        visits += _serial_visits(compiler) if layer.serial else _visits(compiler)
        slots += sum(part.slots for part in compiler._parts.values())
        largest = max([largest, *(part.weight_bytes for part in compiler._parts.values())])
    widths = device.widths
    rounds = sample_rounds(layer, mapping.strips)
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
        vector_runs=((0, gate_elements(layer, layer.batch - (rounds - 1) * mapping.strips[0]), 0),)
        if layer.serial
        else (),
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


def vector_program(
    device: Device, elements: int, load_bytes: int, store_bytes: int, *, macs: int = 0, weight_bytes: int = 0
) -> Program:
    """Return the program of element work: chunks that fit the activation buffers, elements shared out evenly."""
    room = device.scratchpad.activation_bytes
    chunks = max(1, -(-(load_bytes + store_bytes) // room))
    return Program(
        vector_runs=tuple(
            (share(load_bytes, i, chunks), share(elements, i, chunks), share(store_bytes, i, chunks))
            for i in range(chunks)
        ),
        macs_effectual=macs,
        slot_macs=macs,
        weight_bytes=weight_bytes,
        scratchpad_bytes=min(load_bytes + store_bytes, room * device.scratchpad.activation_buffers),
    )


def share(total: int, index: int, parts: int) -> int:
    """Return the ``index``-th of ``parts`` whole shares that add up to ``total``."""
    return total * (index + 1) // parts - total * index // parts


def proportional(total: int, weights: Sequence[int]) -> list[int]:
    """Return whole numbers that add up to ``total`` and follow ``weights``."""
    sums: npt.NDArray[np.int64] = np.cumsum(np.asarray(weights, dtype=np.int64))
    edges = [0, *(total * int(value) // int(sums[-1]) for value in sums)]
    return [high - low for low, high in itertools.pairwise(edges)]
