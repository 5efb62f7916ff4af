"""The tiles of one convolution group under one mapping: positions, and a stream for each (rows, channels) part.

DESIGN section 5a. A part is built when it is asked for, and once. Left out: the order in which tiles run and what they
move (``visits.py``).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from simulator.schedule.grouping import Grouping, GroupSource
from simulator.schedule.mapping import (
    Mapping,
    axes,
    capacity,
    channel_span,
    output_words,
    strip_outputs,
    strip_pixels,
    strip_size,
    tile_words,
    trips,
)
from simulator.schedule.sources import StreamPlan
from simulator.spec import Device
from traces.layer import MatrixLayer
from traces.layout import row_pitch, window_offsets
from traces.stream import IntArray, RequestStream
from traces.trace import LayerTrace


class TileTooLarge(Exception):
    """A tile's encoded weights overflow the weight buffer: the mapping is not to be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionTile:
    """One tile of positions: its extent in a strip, real input pixels and real outputs of all strips."""

    height: int
    width: int
    pixels: int
    outputs: int


def position_tiles(layer: MatrixLayer, mapping: Mapping) -> list[PositionTile]:
    """Return the tiles of positions in the order in which they run, round of samples by round."""
    rounds = [min(mapping.strips[0], layer.batch - first) for first in range(0, layer.batch, mapping.strips[0])]
    if layer.serial:  # each round of samples runs through all of time before the next
        steps = layer.window.out_hw[0] * layer.window.out_hw[1]
        return [
            PositionTile(height=1, width=1, pixels=samples, outputs=samples) for samples in rounds for _ in range(steps)
        ]
    sh, sw = strip_size(layer, mapping.strips)
    th, tw = mapping.tile
    rows_in, columns_in = strip_pixels(layer, mapping, 0), strip_pixels(layer, mapping, 1)
    rows_out, columns_out = strip_outputs(layer, mapping, 0), strip_outputs(layer, mapping, 1)
    tiles = []
    for samples in rounds:
        for (i, y), (j, x) in itertools.product(enumerate(range(0, sh, th)), enumerate(range(0, sw, tw))):
            tiles.append(
                PositionTile(
                    height=min(th, sh - y),
                    width=min(tw, sw - x),
                    pixels=samples * rows_in[i] * columns_in[j],
                    outputs=samples * rows_out[i] * columns_out[j],
                )
            )
    return tiles


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TilePart:
    """One (rows, channels) tile of one convolution group: the stream without its repeats, and the bytes behind it."""

    stream: RequestStream | None
    weight_bytes: int
    slots: int


class GroupTiles:
    """Builds the tiles of one convolution group; holds what they share."""

    def __init__(self, trace: LayerTrace, device: Device, mapping: Mapping, plan: StreamPlan, group: int) -> None:
        assert isinstance(trace.layer, MatrixLayer)
        self.layer, self.device, self.mapping, self.group = trace.layer, device, mapping, group
        self.plan = plan
        self.banks = device.scratchpad.banks
        self.count = trips(self.layer, mapping)
        self.words = tile_words(self.layer, mapping, self.banks)
        vertical, horizontal = axes(self.layer)
        total = self.layer.groups * self.layer.ci
        self.pitch = row_pitch(horizontal.pixels(mapping.tile[1]), horizontal.kernel, total, self.banks)
        self.strides = (vertical.stride, horizontal.stride)
        self.positions = position_tiles(self.layer, mapping)
        self._sources: dict[int, tuple[GroupSource, IntArray]] = {}
        self._parts: dict[tuple[int, int], TilePart] = {}
        self._shared: dict[tuple[int, int], TilePart] = {}  # (rows, channel part) of a uniform plan

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
            channels = np.arange(first, first + count, dtype=np.int64)
            address = window_offsets(layer.window, self.pitch, words, self.group * layer.ci + channels - low)
            columns = np.arange(layer.k, dtype=np.int64).reshape(-1, layer.ci)[:, channels].reshape(-1)
            whole = count == layer.ci
            self._sources[part] = (self.plan.source(self.group, None if whole else columns), address)
        return self._sources[part]

    @property
    def slots(self) -> int:
        """Weight slots of the parts built so far, padding included."""
        return sum(part.slots for part in self._parts.values())

    @property
    def largest_part_bytes(self) -> int:
        return max(part.weight_bytes for part in self._parts.values())

    def rows(self, row_tile: int) -> int:
        """Rows of a row tile; the last may be ragged."""
        return min(self.mapping.rows, self.layer.m - row_tile * self.mapping.rows)

    def part(self, row_tile: int, channel_part: int) -> TilePart:
        key = (row_tile, channel_part)
        if key not in self._parts:
            first = row_tile * self.mapping.rows
            last = first + self.rows(row_tile)
            made = self._shared.get((last - first, channel_part)) or self._build(first, last, channel_part)
            if self.plan.uniform:
                self._shared[last - first, channel_part] = made
            if made.stream is not None:
                name = f"{self.layer.name}.g{self.group}.r{row_tile}.c{channel_part}"
                made = replace(made, stream=replace(made.stream, name=name))
            self._parts[key] = made
        return self._parts[key]

    def _build(self, first: int, last: int, channel_part: int) -> TilePart:
        source, address = self._source(channel_part)
        grouping = source.build(first, last)
        if grouping is None:
            return TilePart(stream=None, weight_bytes=0, slots=0)
        if grouping.tile_bytes > capacity(self.device).weight_bytes:
            raise TileTooLarge
        return self._make(grouping, source, address, first, last)

    def _make(self, grouping: Grouping, source: GroupSource, address: IntArray, first: int, last: int) -> TilePart:
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
            scratchpad_words=self.words,
        )
        return TilePart(stream=stream, weight_bytes=grouping.tile_bytes, slots=grouping.slots)

    def offsets(self, tile: PositionTile, words: int) -> IntArray:
        """Addresses by which the positions of a tile move the window."""
        y = np.arange(tile.height, dtype=np.int64)[:, None] * self.strides[0] * self.pitch
        x = np.arange(tile.width, dtype=np.int64)[None, :] * self.strides[1]
        return ((y + x) * words).reshape(-1)

    def steps(self) -> Iterator[tuple[int, int, int]]:
        """(row tile, position tile, channel part) in the mapping's loop order."""
        ranges = {"r": self.count["r"], "p": len(self.positions), "c": self.count["c"]}
        for where in itertools.product(*(range(ranges[loop]) for loop in self.mapping.order)):
            at = dict(zip(self.mapping.order, where, strict=True))
            yield at["r"], at["p"], at["c"]
