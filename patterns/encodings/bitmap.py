"""One bit a weight and the kept values: ceil(rows x columns / 8) + kept x v. DESIGN section 4."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, Pattern
from patterns.encodings.base import AnyWidths, Encoded, EncodedSize, Encoding
from patterns.encodings.fields import (
    byte_count,
    check_matrix,
    codes_of,
    empty_values,
    fields_of,
    finish_values,
    pack,
    values_of,
)


@dataclass(frozen=True, slots=True)
class BitmapEncoding(Encoding):
    """The mask itself, row by row without a gap, and the kept values in that order. No pointers. Holds any mask."""

    name = "bitmap"

    def size(self, mask: Mask, pattern: Pattern, widths: AnyWidths, banks: BankOfColumn | None = None) -> EncodedSize:
        rows, columns, bits = check_matrix(self.name, mask, widths)
        kept = int(np.count_nonzero(mask))
        return EncodedSize(
            weight_bytes=byte_count(kept, bits.value_bits), index_bytes=byte_count(rows * columns, 1), slots=kept
        )

    def encode(
        self,
        mask: Mask,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: AnyWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        rows, columns, bits = check_matrix(self.name, mask, widths)
        codes = codes_of(self.name, mask, values, bits)
        return Encoded(
            encoding=self.name,
            shape=(rows, columns),
            arrays={
                "bits": np.packbits(mask.reshape(-1), bitorder="little"),
                "values": pack(codes[mask], bits.value_bits),
            },
            parameters={},
            widths=bits,
        )

    def decode(self, encoded: Encoded, dtype: npt.DTypeLike) -> tuple[Mask, npt.NDArray[np.generic]]:
        mask, data = empty_values(encoded, dtype)
        mask.reshape(-1)[:] = fields_of(encoded, "bits", mask.size, 1) > 0
        data[mask] = values_of(encoded, int(np.count_nonzero(mask)))
        return mask, finish_values(encoded, data, dtype)
