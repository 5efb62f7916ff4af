"""ELL: rows x longest row x (v + i). DESIGN section 4.

Every row has as many slots as the fullest row keeps, row after row. An empty slot holds value 0 and, as its index, the
number of columns: one past the last, so that a kept weight of value 0 stays apart from padding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, Pattern
from patterns.encodings.base import AnyWidths, Encoded, EncodedSize, Encoding, Widths
from patterns.encodings.fields import (
    byte_count,
    check_matrix,
    codes_of,
    empty_values,
    finish_values,
    indices_of,
    pack,
    parameter,
    place_values,
    values_of,
    with_index_for,
)


@dataclass(frozen=True, slots=True)
class EllEncoding(Encoding):
    """Rows padded to the fullest one. No pointers. Holds any mask."""

    name = "ell"

    def size(self, mask: Mask, pattern: Pattern, widths: AnyWidths, banks: BankOfColumn | None = None) -> EncodedSize:
        return self._sized(mask, widths)[0]

    def encode(
        self,
        mask: Mask,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: AnyWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        size, bits = self._sized(mask, widths)
        rows, columns = mask.shape
        width = size.slots // rows
        codes = codes_of(self.name, mask, values, bits)
        row, column = np.nonzero(mask)
        counts = np.count_nonzero(mask, axis=1)
        slot = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        stored = np.zeros((rows, width), dtype=codes.dtype)
        stored[row, slot] = codes[row, column]
        indices = np.full((rows, width), columns, dtype=np.int64)
        indices[row, slot] = column
        return Encoded(
            encoding=self.name,
            shape=(rows, columns),
            arrays={"values": pack(stored, bits.value_bits), "indices": pack(indices, bits.index)},
            parameters={"width": width},
            widths=bits,
        )

    def decode(self, encoded: Encoded, dtype: npt.DTypeLike) -> tuple[Mask, npt.NDArray[np.generic]]:
        mask, data = empty_values(encoded, dtype)
        rows, columns = encoded.shape
        width = parameter(encoded, "width")
        indices = indices_of(encoded, "indices", rows * width, columns + 1).reshape(rows, width)
        stored = values_of(encoded, rows * width).reshape(rows, width)
        row, slot = np.nonzero(indices < columns)
        place_values(encoded, mask, data, row, indices[row, slot], stored[row, slot])
        return mask, finish_values(encoded, data, dtype)

    def _sized(self, mask: Mask, widths: AnyWidths) -> tuple[EncodedSize, Widths]:
        rows, columns, bits = check_matrix(self.name, mask, widths)
        counts = np.count_nonzero(mask, axis=1)
        slots = rows * int(counts.max())
        padded = slots > int(counts.sum())
        what = f"{columns} columns and the mark of padding" if padded else f"{columns} columns"
        bits = with_index_for(self.name, bits, columns if padded else columns - 1, what)
        size = EncodedSize(
            weight_bytes=byte_count(slots, bits.value_bits), index_bytes=byte_count(slots, bits.index), slots=slots
        )
        return size, bits
