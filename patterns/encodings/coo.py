"""Coordinates: kept x (v + 2 i), a row and a column for each weight. DESIGN section 4."""

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
class CooEncoding(Encoding):
    """Rows and columns of the kept weights, row by row, both as wide as an index. No pointers. Holds any mask."""

    name = "coo"

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
        _, bits = self._sized(mask, widths)
        row, column = np.nonzero(mask)
        return Encoded(
            encoding=self.name,
            shape=(mask.shape[0], mask.shape[1]),
            arrays={
                "values": pack(codes_of(self.name, mask, values, bits)[mask], bits.value_bits),
                "rows": pack(row, bits.index),
                "columns": pack(column, bits.index),
            },
            parameters={"entries": len(row)},
            widths=bits,
        )

    def decode(self, encoded: Encoded, dtype: npt.DTypeLike) -> tuple[Mask, npt.NDArray[np.generic]]:
        mask, data = empty_values(encoded, dtype)
        entries = parameter(encoded, "entries")
        row = indices_of(encoded, "rows", entries, encoded.shape[0])
        column = indices_of(encoded, "columns", entries, encoded.shape[1])
        place_values(encoded, mask, data, row, column, values_of(encoded, entries))
        return mask, finish_values(encoded, data, dtype)

    def _sized(self, mask: Mask, widths: AnyWidths) -> tuple[EncodedSize, Widths]:
        rows, columns, bits = check_matrix(self.name, mask, widths)
        kept = int(np.count_nonzero(mask))
        what = f"{columns} columns" if columns >= rows else f"{rows} rows"
        bits = with_index_for(self.name, bits, max(rows, columns) - 1, what)
        weight_bytes, index_bytes = byte_count(kept, bits.value_bits), 2 * byte_count(kept, bits.index)
        return EncodedSize(weight_bytes=weight_bytes, index_bytes=index_bytes, slots=kept), bits
