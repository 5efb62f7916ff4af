"""Compressed sparse rows: kept x (v + i) + (rows + 1) x p. DESIGN section 4."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, Pattern
from patterns.encodings.base import ByteWidths, Encoded, EncodedSize, Encoding
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


@dataclass(frozen=True, slots=True)
class CsrEncoding(Encoding):
    """Values and column indices row by row, and where each row starts. Holds any mask."""

    name = "csr"

    def size(self, mask: Mask, pattern: Pattern, widths: ByteWidths, banks: BankOfColumn | None = None) -> EncodedSize:
        rows, columns = check_matrix(self.name, mask, widths)
        kept = int(np.count_nonzero(mask))
        check_fits(self.name, columns - 1, widths.index, f"{columns} columns")
        check_fits(self.name, kept, widths.pointer, f"pointers to {kept} kept weights")
        return EncodedSize(
            weight_bytes=kept * widths.value,
            index_bytes=kept * widths.index + (rows + 1) * widths.pointer,
            slots=kept,
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
        data = value_bytes(self.name, mask, values, widths)
        row_pointers = pointers(np.count_nonzero(mask, axis=1))
        return Encoded(
            encoding=self.name,
            shape=mask.shape,
            arrays={
                "values": data[mask].reshape(-1),
                "indices": integers_to_bytes(np.nonzero(mask)[1], widths.index).reshape(-1),
                "pointers": integers_to_bytes(row_pointers, widths.pointer).reshape(-1),
            },
            parameters={},
            widths=widths,
        )

    def decode(self, encoded: Encoded, dtype: npt.DTypeLike) -> tuple[Mask, npt.NDArray[np.generic]]:
        mask, data = empty_values(encoded, dtype)
        columns = bytes_to_integers(encoded.arrays["indices"], encoded.widths.index)
        row_pointers = bytes_to_integers(encoded.arrays["pointers"], encoded.widths.pointer)
        rows = np.repeat(np.arange(encoded.shape[0]), np.diff(row_pointers))
        mask[rows, columns] = True
        data[rows, columns] = encoded.arrays["values"].reshape(-1, encoded.widths.value)
        return mask, finish_values(data, dtype)
