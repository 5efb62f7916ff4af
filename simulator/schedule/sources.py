"""Which stream an encoding makes of a mask, and what it stores. DESIGN sections 4 and 5a.

``packed`` picks the best k and row order for the whole layer; a part of its columns is packed again with the same
choice. Sizes are those of ``patterns.encodings``, whole layer, whatever the tiling.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.base import Mask
from patterns.block import Block
from patterns.dense import Dense
from patterns.encodings.base import ByteWidths, EncodedSize, EncodingError
from patterns.encodings.catalog import encoding as encoding_named
from patterns.encodings.joined import joined_size
from patterns.encodings.n_of_m import index_bits
from patterns.gs import GatherScatter
from patterns.gs_scatter import GatherScatterPermuted
from patterns.kernel_pattern import KernelPattern
from patterns.n_of_m import NOfM
from patterns.packing import best_packing, group_counts, pack, row_order
from simulator.schedule.grouping import (
    GroupSource,
    block_source,
    dense_source,
    kernel_source,
    packed_row_bytes,
    packed_source,
    row_source,
)
from simulator.spec import Device
from traces.layer import MatrixLayer
from traces.layout import column_banks
from traces.stream import IntArray
from traces.trace import LayerTrace

GS = GatherScatter | GatherScatterPermuted


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StreamPlan:
    """How a layer is stored and cut into groups. ``source(group, columns)``: columns None means all of them.

    ``row_bytes`` [m]: the largest over convolution groups, in the order in which bundles take the rows.
    ``rows_per_bundle``: a tile of rows must hold whole bundles, in every convolution group.
    ``uniform``: every row asks for the same columns, so that a stream depends on the number of rows alone.
    """

    encoding: str
    weight_bytes: int
    index_bytes: int
    slots: int
    row_bytes: npt.NDArray[np.float64]
    rows_per_bundle: int
    uniform: bool
    source: Callable[[int, IntArray | None], GroupSource]
    reason: str = ""


def _once(source: Callable[[int, IntArray | None], GroupSource]) -> Callable[[int, IntArray | None], GroupSource]:
    """Return ``source`` with its answers kept: tilings that cut the same columns are packed once."""
    kept: dict[tuple[int, bytes | None], GroupSource] = {}

    def found(group: int, columns: IntArray | None) -> GroupSource:
        key = (group, None if columns is None else columns.tobytes())
        if key not in kept:
            kept[key] = source(group, columns)
        return kept[key]

    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shape:
    """What every plan needs: the mask, the banks of its columns, widths and lanes."""

    layer: MatrixLayer
    mask: Mask
    banks: IntArray
    device: Device
    stored: ByteWidths

    def part(self, group: int, columns: IntArray | None) -> Mask:
        whole: Mask = self.mask[group]
        return whole if columns is None else whole[:, columns]


def default_encoding(trace: LayerTrace, order: str) -> str:
    """Return the encoding a layer runs in unless the user asks for one; ``order`` as in ``--order``."""
    if trace.pattern.default_encoding in ("csr", "packed", "n_of_m"):
        return "csr" if order == "csr" else "packed"
    return trace.pattern.default_encoding


def pack_width(device: Device) -> int:
    """Return the slots of a packed group: the most that lanes and banks allow, a divisor of the banks.

    Columns in different classes modulo a divisor of B lie in different banks.
    """
    banks = device.scratchpad.banks
    return max(width for width in range(1, min(device.gather.lanes, banks) + 1) if banks % width == 0)


def plan_streams(trace: LayerTrace, device: Device, encoding: str | None, order: str) -> StreamPlan:
    """Return how ``trace`` is stored and cut on ``device``. Raises EncodingError for a mask that does not fit."""
    layer = trace.layer
    assert isinstance(layer, MatrixLayer)
    assert trace.mask is not None
    widths = device.widths
    shape = _Shape(
        layer=layer,
        mask=trace.mask,
        banks=column_banks(layer, device.scratchpad.banks),
        device=device,
        stored=ByteWidths(value=widths.value_bytes, index=widths.index_bytes, pointer=widths.pointer_bytes),
    )
    runs_dense = trace.mask.all() or isinstance(trace.pattern, Dense)
    name = "dense" if runs_dense else encoding or default_encoding(trace, order)
    if name == "gs" and not isinstance(trace.pattern, GS):
        raise EncodingError(f"encoding gs needs pattern gs, and has {trace.pattern.spelling}")
    if name == "kernel_pattern" and not (isinstance(trace.pattern, KernelPattern) and layer.window.kernel == (3, 3)):
        kh, kw = layer.window.kernel
        has = f"has {trace.pattern.spelling} and {kh}x{kw}"
        raise EncodingError(f"encoding kernel_pattern needs pattern kernel_pattern and a 3x3 window, and {has}")
    if name in ("packed", "gs"):
        return _packed_plan(trace, shape, name)
    return _direct_plan(trace, shape, name)


def _direct_plan(trace: LayerTrace, shape: _Shape, name: str) -> StreamPlan:
    """Plans whose groups follow the mask as it lies: dense, CSR, bitmap, N:M, blocks and kernels."""
    layer, lanes, stored, pattern = shape.layer, shape.device.gather.lanes, shape.stored, trace.pattern
    store = encoding_named(name)
    sizes = [store.size(mask, pattern, stored, banks) for mask, banks in zip(shape.mask, shape.banks, strict=True)]

    def source(group: int, columns: IntArray | None) -> GroupSource:
        width = layer.k if columns is None else len(columns)
        if name == "dense":
            return dense_source(layer.m, width, lanes, stored)
        mask = shape.part(group, columns)
        if name == "bsr":
            assert isinstance(pattern, Block)
            return block_source(mask, pattern.height, pattern.width, lanes, stored)
        if name == "kernel_pattern":
            assert isinstance(pattern, KernelPattern)
            return kernel_source(mask, pattern.shape_ids(mask), pattern.shapes, lanes, stored)
        if name == "csr":
            weight_bytes = stored.value + stored.index
            return row_source(
                mask, lanes, group_bytes=lanes * weight_bytes, weight_bytes=weight_bytes, row_bytes=stored.pointer,
                tile_bytes=stored.pointer,
            )  # fmt: skip
        if name == "bitmap":  # a group's share of the bits
            bits_of_group = -(-lanes * mask.size // (8 * max(1, int(np.count_nonzero(mask)))))
            return row_source(
                mask, lanes, group_bytes=lanes * stored.value + bits_of_group, weight_bytes=stored.value,
                row_bytes=width / 8, tile_bytes=0,
            )  # fmt: skip
        assert isinstance(pattern, NOfM)  # which stores N slots of a segment, kept or not
        slots, bits = int(pattern.segment_slots(width).sum()), index_bits(pattern.m)
        return row_source(
            mask, lanes, group_bytes=lanes * stored.value + -(-lanes * bits // 8), weight_bytes=0,
            row_bytes=slots * (stored.value + bits / 8), tile_bytes=0,
        )  # fmt: skip

    whole = [source(group, None) for group in range(layer.groups)]
    return StreamPlan(
        encoding=name,
        weight_bytes=sum(size.weight_bytes for size in sizes),
        index_bytes=sum(size.index_bytes for size in sizes),
        slots=sum(size.slots for size in sizes),
        row_bytes=np.max([part.row_bytes for part in whole], axis=0),
        rows_per_bundle=math.lcm(*(part.rows_per_bundle for part in whole)),
        uniform=name == "dense",
        source=_once(source),
    )


def _packed_plan(trace: LayerTrace, shape: _Shape, name: str) -> StreamPlan:
    """Konig-packed groups: GS at its own B and k, anything else at the best k and row order of this device."""
    layer, stored, pattern = shape.layer, shape.stored, trace.pattern
    width, own, reason = pack_width(shape.device), None, ""
    if name == "gs":
        assert isinstance(pattern, GS)
        if pattern.banks > width or shape.device.scratchpad.banks % pattern.banks:
            reason = f"GS({pattern.banks},{pattern.k}) packed again for groups of {width} lanes and banks"
            name = "packed"
        else:
            width, own = pattern.banks, (pattern.k, isinstance(pattern, GatherScatterPermuted))
    banks = shape.banks % width
    # (k, rows sorted) of each convolution group
    choices = [own or best_packing(mask, lanes, width) for mask, lanes in zip(shape.mask, banks, strict=True)]
    orders = [row_order(mask, sort) for mask, (_, sort) in zip(shape.mask, choices, strict=True)]

    def source(group: int, columns: IntArray | None) -> GroupSource:
        k, sort = choices[group]
        lanes = banks[group] if columns is None else banks[group][columns]
        packing = pack(shape.part(group, columns), lanes, width, k, order=orders[group])
        return packed_source(packing, stored, row_index=sort)

    sizes: list[EncodedSize] = []
    row_bytes = np.zeros(layer.m, dtype=np.float64)
    for group, (k, sort) in enumerate(choices):
        counts = group_counts(shape.mask[group], banks[group], width, k, orders[group])
        sizes.append(joined_size(name, shape.mask[group], counts, width, stored, row_index=sort))
        of_rows = packed_row_bytes(counts, width, k, layer.m, stored, row_index=sort)
        np.maximum(row_bytes, of_rows, out=row_bytes)
    return StreamPlan(
        encoding=name,
        weight_bytes=sum(size.weight_bytes for size in sizes),
        index_bytes=sum(size.index_bytes for size in sizes),
        slots=sum(size.slots for size in sizes),
        row_bytes=row_bytes,
        rows_per_bundle=math.lcm(*(width // k for k, _ in choices)),
        uniform=False,
        source=_once(source),
        reason=reason,
    )
