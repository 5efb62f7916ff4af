"""Products of BSR and of 3x3 kernels by shape."""

from __future__ import annotations

from patterns.encodings.fields import array_of, byte_count, parameter
from patterns.encodings.kernel_pattern import SHAPE_BITS, stored_rule
from patterns.kernel_pattern import KEPT_TAPS
from patterns.products import _block_kernel as kernel
from patterns.products.operands import Operands


def bsr(o: Operands) -> int:
    height, width = parameter(o.encoded, "height", 1), parameter(o.encoded, "width", 1)
    pointers, level, entries = o.pointers(-(-o.encoded.shape[0] // height))
    values, indices = o.values(entries * height * width), o.numbers("indices", entries)
    return int(
        kernel.blocks(
            values, indices, pointers, level, entries, height, width, o.v, o.i, o.p, o.table, o.x, o.y
        )
    )  # fmt: skip


def kernel_pattern(o: Operands) -> int:
    taps = stored_rule(o.encoded).shapes
    pointers, level, entries = o.pointers(o.encoded.shape[0])
    values, indices = o.values(entries * KEPT_TAPS), o.numbers("indices", entries)
    shapes = array_of(o.encoded, "shapes", byte_count(entries, SHAPE_BITS))
    return int(
        kernel.kernels(
            values, indices, shapes, pointers, level, entries, taps, o.v, o.i, o.p, o.table, o.x, o.y
        )
    )  # fmt: skip
