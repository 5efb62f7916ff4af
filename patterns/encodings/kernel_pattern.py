"""3x3 kernels by shape: kernels x (4 v + i) + ceil(3 x kernels / 8) + (rows + 1) x p. DESIGN section 4.

Row by row, the kernels of a filter sorted by shape and then by input channel: four values each (taps rising), the input
channel as index, 3 bits of shape packed without a gap, and a pointer per row to its first kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, Pattern
from patterns.encodings.base import ByteWidths, Encoded, EncodedSize, Encoding, EncodingError
from patterns.encodings.fields import (
    bytes_to_integers,
    check_fits,
    check_matrix,
    empty_values,
    finish_values,
    integers_to_bytes,
    pointers,
    value_bytes,
)
from patterns.kernel_pattern import KEPT_TAPS, REMOVED, TAPS, KernelPattern

SHAPE_BITS = 3  # 8 shapes

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class KernelPatternEncoding(Encoding):
    """Whole shapes; a weight of a kept shape that is zero is stored as any other.

    A kernel that keeps part of a shape has a size (its first covering shape is stored), but does not come back, so it
    does not encode. A kernel that no shape covers has no size either.
    """

    name = "kernel_pattern"

    def size(self, mask: Mask, pattern: Pattern, widths: ByteWidths, banks: BankOfColumn | None = None) -> EncodedSize:
        rule = self._rule(pattern)
        rows, columns = check_matrix(self.name, mask, widths)
        if columns % TAPS:
            raise EncodingError(
                f"{self.name}: the mask has {columns} columns, and 3x3 kernels need a multiple of {TAPS}"
            )
        broken = rule.first_uncovered(mask[None])
        if broken is not None:
            raise EncodingError(f"{self.name}: row {broken.row}: {broken.text}")
        kernels = int(np.count_nonzero(rule.shape_ids(mask) != REMOVED))
        channels = columns // TAPS
        check_fits(self.name, channels - 1, widths.index, f"{channels} kernels a row of {columns} columns")
        check_fits(self.name, kernels, widths.pointer, f"pointers to {kernels} kernels")
        slots = kernels * KEPT_TAPS
        return EncodedSize(
            weight_bytes=slots * widths.value,
            index_bytes=kernels * widths.index + -(-kernels * SHAPE_BITS // 8) + (rows + 1) * widths.pointer,
            slots=slots,
        )

    def encode(
        self,
        mask: Mask,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: ByteWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        self.size(mask, pattern, widths)
        rule = self._rule(pattern)
        data = value_bytes(self.name, mask, values, widths)
        ids = rule.shape_ids(mask)
        row, channel = np.nonzero(ids != REMOVED)
        order = np.lexsort((channel, ids[row, channel], row))
        row, channel = row[order], channel[order]
        shape = ids[row, channel].astype(np.int64)
        column = self._columns(rule, shape, channel, mask.shape[1])
        part = np.flatnonzero(np.count_nonzero(mask[row[:, None], column], axis=1) < KEPT_TAPS)
        if len(part):
            at = int(part[0])
            raise EncodingError(
                f"{self.name}: row {row[at]}: the kernel of input channel {channel[at]} keeps part of a shape, and "
                f"{rule.spelling} keeps a shape whole"
            )
        bits = (shape[:, None] >> np.arange(SHAPE_BITS)) & 1
        counts = np.bincount(row, minlength=mask.shape[0])
        return Encoded(
            encoding=self.name,
            shape=mask.shape,
            arrays={
                "values": data[row[:, None], column].reshape(-1),
                "indices": integers_to_bytes(channel, widths.index).reshape(-1),
                "shapes": np.packbits(bits.astype(np.uint8).reshape(-1)),
                "pointers": integers_to_bytes(pointers(counts), widths.pointer).reshape(-1),
            },
            parameters={"mest": int(rule.last_shape == "mest")},
            widths=widths,
        )

    def decode(self, encoded: Encoded, dtype: npt.DTypeLike) -> tuple[Mask, npt.NDArray[np.generic]]:
        mask, data = empty_values(encoded, dtype)
        rule = KernelPattern(last_shape="mest" if encoded.parameters["mest"] else "centred")
        channel = bytes_to_integers(encoded.arrays["indices"], encoded.widths.index)
        row_pointers = bytes_to_integers(encoded.arrays["pointers"], encoded.widths.pointer)
        row = np.repeat(np.arange(encoded.shape[0]), np.diff(row_pointers))
        bits = np.unpackbits(encoded.arrays["shapes"], count=len(channel) * SHAPE_BITS).reshape(-1, SHAPE_BITS)
        shape = (bits.astype(np.int64) << np.arange(SHAPE_BITS)).sum(axis=1)
        column = self._columns(rule, shape, channel, encoded.shape[1])
        mask[row[:, None], column] = True
        data[row[:, None], column] = encoded.arrays["values"].reshape(-1, KEPT_TAPS, encoded.widths.value)
        return mask, finish_values(data, dtype)

    def _rule(self, pattern: Pattern) -> KernelPattern:
        if not isinstance(pattern, KernelPattern):
            raise EncodingError(
                f"{self.name}: pattern is {pattern.spelling}, and must be kernel_pattern[:mest], which gives the shapes"
            )
        return pattern

    def _columns(self, rule: KernelPattern, shape: IntArray, channel: IntArray, columns: int) -> IntArray:
        """Return the columns of each kernel's stored weights, [kernels, 4]."""
        return rule.shapes[shape] * (columns // TAPS) + channel[:, None]
