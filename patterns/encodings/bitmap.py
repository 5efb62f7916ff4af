"""One bit a weight and the kept values: ceil(rows x columns / 8) + kept x v. DESIGN section 4."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, Pattern
from patterns.encodings.base import ByteWidths, Encoded, EncodedSize, Encoding
from patterns.encodings.fields import check_matrix, empty_values, finish_values, value_bytes


@dataclass(frozen=True, slots=True)
class BitmapEncoding(Encoding):
    """The mask itself, row by row without a gap, and the kept values in that order. No pointers. Holds any mask."""

    name = "bitmap"

    def size(self, mask: Mask, pattern: Pattern, widths: ByteWidths, banks: BankOfColumn | None = None) -> EncodedSize:
        rows, columns = check_matrix(self.name, mask, widths)
        kept = int(np.count_nonzero(mask))
        return EncodedSize(weight_bytes=kept * widths.value, index_bytes=-(-rows * columns // 8), slots=kept)

    def encode(
        self,
        mask: Mask,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: ByteWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        check_matrix(self.name, mask, widths)
        data = value_bytes(self.name, mask, values, widths)
        return Encoded(
            encoding=self.name,
            shape=mask.shape,
            arrays={"bits": np.packbits(mask.reshape(-1)), "values": data[mask].reshape(-1)},
            parameters={},
            widths=widths,
        )

    def decode(self, encoded: Encoded, dtype: npt.DTypeLike) -> tuple[Mask, npt.NDArray[np.generic]]:
        mask, data = empty_values(encoded, dtype)
        mask.reshape(-1)[:] = np.unpackbits(encoded.arrays["bits"], count=mask.size)
        data[mask] = encoded.arrays["values"].reshape(-1, encoded.widths.value)
        return mask, finish_values(data, dtype)
