"""Which stream an encoding makes of a mask, and what it stores. DESIGN sections 4 and 5a.

``packed`` picks the best k and row order for the whole layer; a part of its columns is packed again with the same
choice. Sizes are those of ``patterns.encodings``, whole layer, whatever the tiling. Left out: csc, whose columns end in
no row, and nested, whose levels are several masks.
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
from patterns.packing import Packing, PackingKey, best_packing, group_counts, pack, row_order
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

# the encodings whose bytes lie in the order in which groups take them
STREAMED = (
    "dense", "csr", "packed", "bsr", "bitmap", "run_length", "ell", "coo", "n_of_m", "gs", "kernel_pattern",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StreamPlan:
    """How a layer is stored and cut into groups. ``source(group, columns)``: columns None means all of them.

    ``row_bytes`` [m]: the largest over convolution groups, in the order in which bundles take the rows.
    ``rows_per_bundle``: a tile of rows must hold whole bundles, in every convolution group.
    ``uniform``: every row asks for the same columns, so that a stream depends on the number of rows alone.
    ``halves``: activations and results have one half of the scratchpad each.
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
    halves: bool = False


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
    shape = _shape(trace, device)
    name = "dense" if _runs_dense(trace) else encoding or default_encoding(trace, order)
    _check_streamed(trace, shape, name)
    if name in ("packed", "gs"):
        return _packed_plan(trace, shape, name)
    return _direct_plan(trace, shape, name)


def smallest_encoding(trace: LayerTrace, device: Device) -> str:
    """Return the encoding that takes the fewest bytes, of those that hold ``trace`` and that ``device`` streams.

    Among equals the first of ``STREAMED``. A dense mask is dense.
    """
    if _runs_dense(trace):
        return "dense"
    shape = _shape(trace, device)
    best, least = "dense", -1
    for name in STREAMED:
        try:
            _check_streamed(trace, shape, name)
            if name in ("packed", "gs"):
                choice = _packed_choice(trace, shape, name)
                sizes = _packed_sizes(shape, choice, _packed_counts(shape, choice))
            else:
                sizes = _direct_sizes(trace, shape, name)
        except EncodingError:
            continue  # this mask does not go into it; another does, dense in any case
        total = sum(size.total_bytes for size in sizes)
        if least < 0 or total < least:
            best, least = name, total
    return best


def _shape(trace: LayerTrace, device: Device) -> _Shape:
    layer, widths = trace.layer, device.widths
    assert isinstance(layer, MatrixLayer)
    assert trace.mask is not None
    return _Shape(
        layer=layer,
        mask=trace.mask,
        banks=column_banks(layer, device.scratchpad.banks),
        device=device,
        stored=ByteWidths(value=widths.value_bytes, index=widths.index_bytes, pointer=widths.pointer_bytes),
    )


def _runs_dense(trace: LayerTrace) -> bool:
    return (trace.mask is not None and trace.all_kept) or isinstance(trace.pattern, Dense)


def _check_streamed(trace: LayerTrace, shape: _Shape, name: str) -> None:
    """Refuse an encoding that makes no stream of this trace."""
    encoding_named(name)
    if name not in STREAMED:
        raise EncodingError(
            f"encoding {name} makes no stream of groups on {shape.device.name}, which runs {', '.join(STREAMED)}"
        )
    if name == "gs" and not isinstance(trace.pattern, GS):
        raise EncodingError(f"encoding gs needs pattern gs, and has {trace.pattern.spelling}")
    window = shape.layer.window
    if name == "kernel_pattern" and not (isinstance(trace.pattern, KernelPattern) and window.kernel == (3, 3)):
        kh, kw = window.kernel
        has = f"has {trace.pattern.spelling} and {kh}x{kw}"
        raise EncodingError(f"encoding kernel_pattern needs pattern kernel_pattern and a 3x3 window, and {has}")


def _direct_sizes(trace: LayerTrace, shape: _Shape, name: str) -> list[EncodedSize]:
    """Return what each convolution group takes."""
    store = encoding_named(name)
    return [
        store.size(mask, trace.pattern, shape.stored, banks)
        for mask, banks in zip(shape.mask, shape.banks, strict=True)
    ]


def _direct_plan(trace: LayerTrace, shape: _Shape, name: str) -> StreamPlan:
    """Plans whose groups follow the mask as it lies: dense, CSR, bitmap, N:M, blocks and kernels."""
    layer, lanes, stored = shape.layer, shape.device.gather.lanes, shape.stored
    pattern = trace.pattern.stored_as(layer.k)
    sizes = _direct_sizes(trace, shape, name)

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
        if name in ("coo", "ell", "run_length"):
            return _padded_source(mask, shape, name)
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


def _padded_source(mask: Mask, shape: _Shape, name: str) -> GroupSource:
    """Rows whose bytes beyond those of survivors (none in coo) are shared out evenly: padding slots, inserted zeros."""
    lanes, stored = shape.device.gather.lanes, shape.stored
    size = encoding_named(name).size(mask, Dense(), stored)
    kept = int(np.count_nonzero(mask))
    entry_bytes = stored.value + stored.index * (2 if name == "coo" else 1)
    spare = (size.slots - kept) * entry_bytes / len(mask)
    return row_source(
        mask,
        lanes,
        group_bytes=-(-lanes * size.slots * entry_bytes // max(1, kept)),
        weight_bytes=entry_bytes,
        row_bytes=max(0.0, math.nextafter(spare, 0.0)),  # times the rows it rounds up to the bytes, never past them
        tile_bytes=0,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _PackedChoice:
    """Slots of a group, the bank class of each column, and (k, rows sorted) and row order of each convolution group."""

    name: str
    width: int
    banks: IntArray
    choices: list[tuple[int, bool]]
    orders: list[IntArray]
    reason: str


def _packed_choice(trace: LayerTrace, shape: _Shape, name: str) -> _PackedChoice:
    """Return GS's own B and k where the device has them, else the best k and row order of this device."""
    pattern = trace.pattern
    width, own, reason = pack_width(shape.device), None, ""
    if name == "gs":
        assert isinstance(pattern, GS)
        if pattern.banks > width or shape.device.scratchpad.banks % pattern.banks:
            reason = f"GS({pattern.banks},{pattern.k}) packed again for groups of {width} lanes and banks"
            name = "packed"
        else:
            width, own = pattern.banks, (pattern.k, isinstance(pattern, GatherScatterPermuted))
    banks = shape.banks % width
    choices = [own] * len(banks) if own else _best_choices(trace, shape, banks, width)
    orders = [row_order(mask, sort) for mask, (_, sort) in zip(shape.mask, choices, strict=True)]
    return _PackedChoice(name=name, width=width, banks=banks, choices=choices, orders=orders, reason=reason)


def _best_choices(trace: LayerTrace, shape: _Shape, banks: IntArray, width: int) -> list[tuple[int, bool]]:
    """Return the k and row order of each convolution group with the fewest groups: found once for all devices."""
    return trace.once(
        ("best packings", shape.device.scratchpad.banks, width),
        lambda: [best_packing(mask, lanes, width) for mask, lanes in zip(shape.mask, banks, strict=True)],
    )


def _packed_counts(shape: _Shape, choice: _PackedChoice) -> list[IntArray]:
    """Return the groups of each bundle, of each convolution group."""
    return [
        group_counts(shape.mask[group], choice.banks[group], choice.width, k, choice.orders[group])
        for group, (k, _) in enumerate(choice.choices)
    ]


def _packed_sizes(shape: _Shape, choice: _PackedChoice, counts: list[IntArray]) -> list[EncodedSize]:
    """Return what each convolution group takes. counts: groups of each bundle, of each convolution group."""
    return [
        joined_size(choice.name, mask, of_bundles, choice.width, shape.stored, row_index=sort)
        for mask, of_bundles, (_, sort) in zip(shape.mask, counts, choice.choices, strict=True)
    ]


def _packed_plan(trace: LayerTrace, shape: _Shape, name: str) -> StreamPlan:
    """Konig-packed groups: GS at its own B and k, anything else at the best k and row order of this device."""
    layer, stored = shape.layer, shape.stored
    choice = _packed_choice(trace, shape, name)
    width = choice.width

    def source(group: int, columns: IntArray | None) -> GroupSource:
        k, sort = choice.choices[group]
        lanes = choice.banks[group] if columns is None else choice.banks[group][columns]

        def packed() -> Packing:
            return pack(shape.part(group, columns), lanes, width, k, order=choice.orders[group])

        # a part of the columns is one mapping's: it lives as long as the plan, the whole as long as the trace
        key = PackingKey(banks=shape.device.scratchpad.banks, width=width, k=k, sort=sort, group=group)
        packing = packed() if columns is not None else trace.once(key, packed)
        return packed_source(packing, stored, row_index=sort)

    counts = _packed_counts(shape, choice)
    sizes = _packed_sizes(shape, choice, counts)
    row_bytes = np.zeros(layer.m, dtype=np.float64)
    for (k, sort), of_bundles in zip(choice.choices, counts, strict=True):
        of_rows = packed_row_bytes(of_bundles, width, k, layer.m, stored, row_index=sort)
        np.maximum(row_bytes, of_rows, out=row_bytes)
    return StreamPlan(
        encoding=choice.name,
        weight_bytes=sum(size.weight_bytes for size in sizes),
        index_bytes=sum(size.index_bytes for size in sizes),
        slots=sum(size.slots for size in sizes),
        row_bytes=row_bytes,
        rows_per_bundle=math.lcm(*(width // k for k, _ in choice.choices)),
        uniform=False,
        source=_once(source),
        reason=choice.reason,
        halves=shape.device.scratchpad.scatter_half and isinstance(trace.pattern, GatherScatterPermuted),
    )
