"""3x3 kernels by shape: kernels x (4 v + i) + ceil(3 x kernels / 8) + (rows + 1) x p. DESIGN section 4.

Row by row, the kernels of a filter sorted by shape and then by input channel: four values each (taps rising), the input
channel as index, 3 bits of shape packed without a gap, and a pointer per row to its first kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, Pattern
from patterns.encodings.base import AnyWidths, Encoded, EncodedSize, EncodingError, Widths
from patterns.encodings.fields import (
    IntArray,
    byte_count,
    check_fits,
    check_matrix,
    codes_of,
    empty_values,
    fields_of,
    finish_values,
    indices_of,
    pack,
    place_values,
    values_of,
    with_index_for,
)
from patterns.encodings.levels import (
    Levels,
    PrefixEncoding,
    counts_by_level,
    level_entries,
    pointer_arrays,
    pointer_bytes,
)
from patterns.kernel_pattern import KEPT_TAPS, REMOVED, TAPS, KernelPattern

SHAPE_BITS = 3  # 8 shapes


@dataclass(frozen=True, slots=True)
class KernelPatternEncoding(PrefixEncoding):
    """Whole shapes; a weight of a kept shape that is zero is stored as any other.

    A kernel that keeps part of a shape has a size (its first covering shape is stored), but does not come back, so it
    does not encode. A kernel that no shape covers has no size either.
    """

    name = "kernel_pattern"

    def size_levels(
        self, levels: Levels, pattern: Pattern, widths: AnyWidths, banks: BankOfColumn | None = None
    ) -> EncodedSize:
        return self._sized(levels, pattern, widths)[0]

    def encode_levels(
        self,
        levels: Levels,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: AnyWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        _, bits = self._sized(levels, pattern, widths)
        rule, mask = self._rule(pattern), levels.mask
        codes = codes_of(self.name, mask, values, bits)
        ids = rule.shape_ids(mask)
        row, channel = np.nonzero(ids != REMOVED)
        shape = ids[row, channel].astype(np.int64)
        column = self._columns(rule, shape, channel, mask.shape[1])
        of = levels.of[row[:, None], column]
        part = np.flatnonzero((of != of[:, :1]).any(axis=1) | (of[:, 0] == 0))
        if len(part):
            at = int(part[0])
            what = "keeps part of a shape" if not of[at].all() else "has weights of several levels"
            raise EncodingError(
                f"{self.name}: row {row[at]}: the kernel of input channel {channel[at]} {what}, and "
                f"{rule.spelling} keeps a shape whole"
            )
        level = of[:, 0] if len(of) else np.zeros(0, dtype=np.uint8)
        order = np.lexsort((channel, shape, level, row))
        row, channel, shape, column = row[order], channel[order], shape[order], column[order]
        counts = counts_by_level(row, level[order], mask.shape[0], levels.count)
        return Encoded(
            encoding=self.name,
            shape=(mask.shape[0], mask.shape[1]),
            arrays={
                "values": pack(codes[row[:, None], column], bits.value_bits),
                "indices": pack(channel, bits.index),
                "shapes": pack(shape, SHAPE_BITS),
                **pointer_arrays(counts, bits.pointer_bits),
            },
            parameters={"mest": int(rule.last_shape == "mest"), "levels": levels.count},
            widths=bits,
        )

    def decode_level(self, encoded: Encoded, dtype: npt.DTypeLike, level: int) -> tuple[Mask, npt.NDArray[np.generic]]:
        mask, data = empty_values(encoded, dtype)
        rule = stored_rule(encoded)
        row, entry, total = level_entries(encoded, encoded.shape[0], level)
        channel = indices_of(encoded, "indices", total, encoded.shape[1] // TAPS)[entry]
        shape = fields_of(encoded, "shapes", total, SHAPE_BITS).astype(np.int64)[entry]
        column = self._columns(rule, shape, channel, encoded.shape[1])
        stored = values_of(encoded, total * KEPT_TAPS).reshape(total, KEPT_TAPS)[entry]
        place_values(encoded, mask, data, np.broadcast_to(row[:, None], column.shape), column, stored)
        return mask, finish_values(encoded, data, dtype)

    def _sized(self, levels: Levels, pattern: Pattern, widths: AnyWidths) -> tuple[EncodedSize, Widths]:
        rule, mask = self._rule(pattern), levels.mask
        rows, columns, bits = check_matrix(self.name, mask, widths)
        if columns % TAPS:
            raise EncodingError(
                f"{self.name}: the mask has {columns} columns, and 3x3 kernels need a multiple of {TAPS}"
            )
        broken = rule.first_uncovered(mask[None])
        if broken is not None:
            raise EncodingError(f"{self.name}: row {broken.row}: {broken.text}")
        kernels = int(np.count_nonzero(rule.shape_ids(mask) != REMOVED))
        channels = columns // TAPS
        bits = with_index_for(self.name, bits, channels - 1, f"{channels} kernels a row of {columns} columns")
        check_fits(self.name, kernels, bits.pointer_bits, f"pointers to {kernels} kernels")
        slots = kernels * KEPT_TAPS
        size = EncodedSize(
            weight_bytes=byte_count(slots, bits.value_bits),
            index_bytes=byte_count(kernels, bits.index)
            + byte_count(kernels, SHAPE_BITS)
            + pointer_bytes(rows, levels.count, bits.pointer_bits),
            slots=slots,
        )
        return size, bits

    def _rule(self, pattern: Pattern) -> KernelPattern:
        if not isinstance(pattern, KernelPattern):
            raise EncodingError(
                f"{self.name}: pattern is {pattern.spelling}, and must be kernel_pattern[:mest], which gives the shapes"
            )
        return pattern

    def _columns(self, rule: KernelPattern, shape: IntArray, channel: IntArray, columns: int) -> IntArray:
        """Return the columns of each kernel's stored weights, [kernels, 4]."""
        return rule.shapes[shape] * (columns // TAPS) + channel[:, None]


def stored_rule(encoded: Encoded) -> KernelPattern:
    """Return the rule whose shapes the ids of ``encoded`` number. Raises EncodingError for columns of no kernels."""
    if encoded.shape[1] % TAPS:
        raise EncodingError(f"{encoded.encoding}: {encoded.shape[1]} columns are no multiple of {TAPS}")
    return KernelPattern(last_shape="mest" if encoded.parameters.get("mest") else "centred")
