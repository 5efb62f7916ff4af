"""Cuts a mask into the groups that a gather unit is asked for, encoding by encoding. DESIGN section 5a.

Works on one convolution group and one part of its columns, in units of weights: columns, not yet addresses. Left out:
run-length streams (no encoding of this version needs them).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.encodings.base import ByteWidths
from patterns.packing import Packing
from traces.stream import IntArray

Mask2d = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grouping:
    """Groups of a range of bundles. ``column`` [requests]; bundle b writes ``rows[row_ptr[b]:row_ptr[b + 1]]``.

    ``macs`` [G]: kept weights in each group. ``slots``: stored weight slots, padding included. ``tile_bytes``: what
    the encoding of this range occupies, and so what a DMA moves.
    """

    group_ptr: IntArray
    lane: npt.NDArray[np.int16]
    column: IntArray
    macs: npt.NDArray[np.int32]
    bundle_end: IntArray
    row_ptr: IntArray
    rows: IntArray
    slots: int
    tile_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupSource:
    """All groups of one column part: built range by range, so that memory stays with the tile.

    ``row_order`` [m]: rows in the order in which bundles take them; every bundle takes ``rows_per_bundle`` of them.
    ``row_bytes`` [m]: encoded bytes, spread over rows in that order. ``build(first, last)`` takes row positions.
    """

    row_order: IntArray
    rows_per_bundle: int
    row_bytes: npt.NDArray[np.float64]
    bytes_per_group: int
    build: Callable[[int, int], Grouping | None]


def _cut_rows(counts: IntArray, width: int) -> tuple[IntArray, IntArray]:
    """Cut rows of ``counts`` requests every ``width``: group pointer over all rows, and groups per row."""
    per_row = -(-counts // width)
    groups = int(per_row.sum())
    first_group = np.cumsum(per_row) - per_row
    first_request = np.cumsum(counts) - counts
    row = np.repeat(np.arange(len(counts), dtype=np.int64), per_row)
    inside = np.arange(groups, dtype=np.int64) - first_group[row]
    pointer = np.empty(groups + 1, dtype=np.int64)
    pointer[:-1] = first_request[row] + inside * width
    pointer[-1] = counts.sum()
    return pointer, per_row


def _places(counts: IntArray) -> IntArray:
    """Return 0, 1, ... within each of the runs whose lengths are ``counts``."""
    starts = np.cumsum(counts) - counts
    return np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(starts, counts)


def dense_source(rows: int, columns: int, lanes: int, widths: ByteWidths) -> GroupSource:
    """L consecutive columns of one row a group; zeros are stored and multiplied."""

    def build(first: int, last: int) -> Grouping:
        count = last - first
        counts = np.full(count, columns, dtype=np.int64)
        pointer, per_row = _cut_rows(counts, lanes)
        column = np.tile(np.arange(columns, dtype=np.int64), count)
        return Grouping(
            group_ptr=pointer,
            lane=(column % lanes).astype(np.int16),
            column=column,
            macs=np.diff(pointer).astype(np.int32),
            bundle_end=np.cumsum(per_row),
            row_ptr=np.arange(count + 1, dtype=np.int64),
            rows=np.arange(first, last, dtype=np.int64),
            slots=count * columns,
            tile_bytes=count * columns * widths.value,
        )

    return GroupSource(
        row_order=np.arange(rows, dtype=np.int64),
        rows_per_bundle=1,
        row_bytes=np.full(rows, columns * widths.value, dtype=np.float64),
        bytes_per_group=lanes * widths.value,
        build=build,
    )


def row_source(
    mask: Mask2d, lanes: int, *, group_bytes: int, weight_bytes: int, row_bytes: float, tile_bytes: int
) -> GroupSource:
    """A row's survivors in column order, cut every L, the last group ragged: CSR, bitmap and N:M.

    What is stored: ``weight_bytes`` for each survivor, ``row_bytes`` for each row, ``tile_bytes`` once in a tile.
    """
    counts = np.count_nonzero(mask, axis=1).astype(np.int64)

    def build(first: int, last: int) -> Grouping | None:
        part = counts[first:last]
        kept = int(part.sum())
        if not kept:
            return None
        column = np.nonzero(mask[first:last])[1].astype(np.int64)
        pointer, per_row = _cut_rows(part, lanes)
        used = per_row > 0
        return Grouping(
            group_ptr=pointer,
            lane=(_places(part) % lanes).astype(np.int16),
            column=column,
            macs=np.diff(pointer).astype(np.int32),
            bundle_end=np.cumsum(per_row[used]),
            row_ptr=np.arange(int(used.sum()) + 1, dtype=np.int64),
            rows=np.flatnonzero(used).astype(np.int64) + first,
            slots=kept,
            tile_bytes=kept * weight_bytes + math.ceil((last - first) * row_bytes) + tile_bytes,
        )

    return GroupSource(
        row_order=np.arange(len(counts), dtype=np.int64),
        rows_per_bundle=1,
        row_bytes=counts * weight_bytes + row_bytes,
        bytes_per_group=group_bytes,
        build=build,
    )


def block_source(mask: Mask2d, height: int, width: int, lanes: int, widths: ByteWidths) -> GroupSource:
    """Blocks h x w: each kept column is one request, broadcast to h rows; L // h requests a group.

    A block taller than the lanes is worked in slices of L rows. ``mask`` may be ragged in its last block row.
    """
    rows, columns = mask.shape
    high = min(height, lanes)
    per_group = max(1, lanes // high)
    blocks_a_group = -(-per_group // width)
    padded = np.zeros((-(-rows // high) * high, columns), dtype=np.bool_)
    padded[:rows] = mask
    kept = padded.reshape(-1, high, columns)
    any_row = np.logical_or.reduce(kept, axis=1)
    counts = np.count_nonzero(any_row, axis=1).astype(np.int64)
    in_rows = np.full(len(counts), high, dtype=np.int64)
    in_rows[-1] = rows - (len(counts) - 1) * high
    # a block's index and a block row's pointer are stored once, for the full height
    bytes_of = counts * high * widths.value + -(-counts // width) * widths.index * high / height
    row_bytes = np.repeat((bytes_of + widths.pointer * high / height) / in_rows, in_rows)

    def build(first: int, last: int) -> Grouping | None:
        lo, hi = first // high, -(-last // high)
        part = counts[lo:hi]
        if not part.sum():
            return None
        which, column = (index.astype(np.int64) for index in np.nonzero(any_row[lo:hi]))
        weights = np.count_nonzero(kept[lo:hi], axis=1)[which, column]
        pointer, per_row = _cut_rows(part, per_group)
        used = np.flatnonzero(per_row > 0)
        members = in_rows[lo:hi][used]
        row_ptr = np.concatenate(([0], np.cumsum(members)))
        return Grouping(
            group_ptr=pointer,
            lane=(_places(part) % per_group * high).astype(np.int16),
            column=column,
            macs=np.add.reduceat(weights, pointer[:-1]).astype(np.int32),
            bundle_end=np.cumsum(per_row[used]),
            row_ptr=row_ptr,
            rows=np.repeat((used + lo) * high, members) + _places(members),
            slots=int(part.sum()) * high,
            tile_bytes=int(np.ceil(bytes_of[lo:hi].sum())) + (-(-(last - first) // height) + 1) * widths.pointer,
        )

    return GroupSource(
        row_order=np.arange(rows, dtype=np.int64),
        rows_per_bundle=high,
        row_bytes=row_bytes,
        bytes_per_group=lanes * widths.value + blocks_a_group * widths.index,
        build=build,
    )


def kernel_source(
    mask: Mask2d, ids: npt.NDArray[np.int8], shapes: IntArray, lanes: int, widths: ByteWidths
) -> GroupSource:
    """3x3 kernels of a row that share a shape, L of them at a time: a group for each of the shape's taps in turn.

    ``mask`` [m, 9 x ci]; ``ids`` [m, ci]: the shape of each kernel, negative where none is kept; ``shapes`` [8, taps]:
    the taps of each. Kernels of a shape go by rising input channel. The four groups of a cut share its indices and
    shape bits, so each brings a quarter of them.
    """
    rows, channels = ids.shape
    kinds, taps = int(shapes.shape[0]), int(shapes.shape[1])
    row_of, channel_of = (index.astype(np.int64) for index in np.nonzero(ids >= 0))
    order = np.lexsort((channel_of, ids[row_of, channel_of], row_of))
    row_of, channel_of = row_of[order], channel_of[order]
    shape_of = ids[row_of, channel_of].astype(np.int64)
    counts = np.bincount(row_of * kinds + shape_of, minlength=rows * kinds).reshape(rows, kinds)
    per_row = counts.sum(axis=1)
    starts = np.concatenate(([0], np.cumsum(per_row)))
    bits = (kinds - 1).bit_length()

    def index_bytes(kernels: int) -> int:
        return kernels * widths.index - (-kernels * bits // 8)

    def build(first: int, last: int) -> Grouping | None:
        lo, hi = int(starts[first]), int(starts[last])
        if lo == hi:
            return None
        cut, cuts_of_run = _cut_rows(counts[first:last].reshape(-1), lanes)
        sizes = np.repeat(np.diff(cut), taps)  # requests of each group
        place = _places(sizes)
        kernel = np.repeat(np.repeat(cut[:-1], taps), sizes) + place + lo
        tap = np.repeat(np.tile(np.arange(taps, dtype=np.int64), len(cut) - 1), sizes)
        column = shapes[shape_of[kernel], tap] * channels + channel_of[kernel]
        pointer = np.concatenate(([0], np.cumsum(sizes)))
        groups_of_row = cuts_of_run.reshape(-1, kinds).sum(axis=1) * taps
        used = groups_of_row > 0
        return Grouping(
            group_ptr=pointer,
            lane=place.astype(np.int16),
            column=column,
            macs=np.add.reduceat(mask[row_of[kernel], column].astype(np.int32), pointer[:-1]),
            bundle_end=np.cumsum(groups_of_row[used]),
            row_ptr=np.arange(int(used.sum()) + 1, dtype=np.int64),
            rows=np.flatnonzero(used).astype(np.int64) + first,
            slots=(hi - lo) * taps,
            tile_bytes=(hi - lo) * taps * widths.value + index_bytes(hi - lo) + (last - first + 1) * widths.pointer,
        )

    return GroupSource(
        row_order=np.arange(rows, dtype=np.int64),
        rows_per_bundle=1,
        row_bytes=per_row * (taps * widths.value + widths.index + bits / 8) + widths.pointer,
        bytes_per_group=lanes * widths.value + -(-index_bytes(lanes) // taps),
        build=build,
    )


def packed_row_bytes(
    groups: IntArray, banks: int, k: int, rows: int, widths: ByteWidths, *, row_index: bool
) -> npt.NDArray[np.float64]:
    """Return the bytes of each row position [rows]: its share of a bundle with ``groups`` [bundles] of B slots."""
    members = np.diff(np.minimum(np.arange(len(groups) + 1) * (banks // k), rows))
    bundle_bytes = groups * banks * (widths.value + widths.index) + widths.pointer
    per_row: npt.NDArray[np.float64] = np.repeat(bundle_bytes / members, members)
    return per_row + (widths.index if row_index else 0)


def packed_source(packing: Packing, widths: ByteWidths, *, row_index: bool) -> GroupSource:
    """Konig-packed groups of bundles of B / k rows; an empty slot is padding, and its bytes are spent."""
    rows_per_bundle = packing.banks // packing.k
    groups = np.diff(packing.bundle_end, prepend=0)
    group_bytes = packing.banks * (widths.value + widths.index)
    order = packing.order.astype(np.int64)

    def build(first: int, last: int) -> Grouping | None:
        lo, hi = first // rows_per_bundle, -(-last // rows_per_bundle)
        start = int(packing.bundle_end[lo - 1]) if lo else 0
        stop = int(packing.bundle_end[hi - 1])
        if start == stop:
            return None
        pointer = packing.group_ptr[start : stop + 1]
        used = np.flatnonzero(groups[lo:hi] > 0)
        members = np.minimum((used + lo + 1) * rows_per_bundle, len(order)) - (used + lo) * rows_per_bundle
        places = np.repeat((used + lo) * rows_per_bundle, members) + _places(members)
        return Grouping(
            group_ptr=pointer - pointer[0],
            lane=packing.lane[pointer[0] : pointer[-1]],
            column=packing.column[pointer[0] : pointer[-1]].astype(np.int64),
            macs=np.diff(pointer).astype(np.int32),
            bundle_end=packing.bundle_end[lo:hi][used] - start,
            row_ptr=np.concatenate(([0], np.cumsum(members))),
            rows=order[places],
            slots=(stop - start) * packing.banks,
            tile_bytes=(stop - start) * group_bytes
            + (hi - lo + 1) * widths.pointer
            + ((last - first) * widths.index if row_index else 0),
        )

    return GroupSource(
        row_order=order,
        rows_per_bundle=rows_per_bundle,
        row_bytes=packed_row_bytes(groups, packing.banks, packing.k, len(order), widths, row_index=row_index),
        bytes_per_group=group_bytes,
        build=build,
    )
