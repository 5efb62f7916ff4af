"""Every weight, zeros included: rows x columns x v. DESIGN section 4."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, Pattern
from patterns.encodings.base import ByteWidths, Encoded, EncodedSize, Encoding, EncodingError
from patterns.encodings.fields import check_matrix, empty_values, finish_values, value_bytes
from patterns.selection import first_place


@dataclass(frozen=True, slots=True)
class DenseEncoding(Encoding):
    """Row after row. Any mask has a size (its zeros are stored); only a full one comes back, so only that encodes."""

    name = "dense"

    def size(self, mask: Mask, pattern: Pattern, widths: ByteWidths, banks: BankOfColumn | None = None) -> EncodedSize:
        rows, columns = check_matrix(self.name, mask, widths)
        return EncodedSize(weight_bytes=rows * columns * widths.value, index_bytes=0, slots=rows * columns)

    def encode(
        self,
        mask: Mask,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: ByteWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        rows, columns = check_matrix(self.name, mask, widths)
        if not mask.all():
            row, column = first_place(~mask)
            raise EncodingError(f"dense: row {row}, column {column} is not kept, and dense has no way to say so")
        data = value_bytes(self.name, mask, values, widths)
        return Encoded(
            encoding=self.name,
            shape=(rows, columns),
            arrays={"values": data.reshape(-1).copy()},
            parameters={},
            widths=widths,
        )

    def decode(self, encoded: Encoded, dtype: npt.DTypeLike) -> tuple[Mask, npt.NDArray[np.generic]]:
        mask, data = empty_values(encoded, dtype)
        mask[...] = True
        data[...] = encoded.arrays["values"].reshape(data.shape)
        return mask, finish_values(data, dtype)
