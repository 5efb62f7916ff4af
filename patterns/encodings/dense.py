"""Every weight, zeros included: rows x columns x v. DESIGN section 4."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, Pattern
from patterns.encodings.base import AnyWidths, Encoded, EncodedSize, Encoding, EncodingError
from patterns.encodings.fields import (
    byte_count,
    check_matrix,
    codes_of,
    empty_values,
    finish_values,
    pack,
    values_of,
)
from patterns.selection import first_place


@dataclass(frozen=True, slots=True)
class DenseEncoding(Encoding):
    """Row after row. Any mask has a size (its zeros are stored); only a full one comes back, so only that encodes."""

    name = "dense"

    def size(self, mask: Mask, pattern: Pattern, widths: AnyWidths, banks: BankOfColumn | None = None) -> EncodedSize:
        rows, columns, bits = check_matrix(self.name, mask, widths)
        slots = rows * columns
        return EncodedSize(weight_bytes=byte_count(slots, bits.value_bits), index_bytes=0, slots=slots)

    def encode(
        self,
        mask: Mask,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: AnyWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        rows, columns, bits = check_matrix(self.name, mask, widths)
        if not mask.all():
            row, column = first_place(~mask)
            raise EncodingError(f"dense: row {row}, column {column} is not kept, and dense has no way to say so")
        return Encoded(
            encoding=self.name,
            shape=(rows, columns),
            arrays={"values": pack(codes_of(self.name, mask, values, bits), bits.value_bits)},
            parameters={},
            widths=bits,
        )

    def decode(self, encoded: Encoded, dtype: npt.DTypeLike) -> tuple[Mask, npt.NDArray[np.generic]]:
        mask, data = empty_values(encoded, dtype)
        mask[...] = True
        data[...] = values_of(encoded, mask.size).reshape(mask.shape)
        return mask, finish_values(encoded, data, dtype)
