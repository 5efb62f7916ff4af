"""Any mask packed by Konig into groups of B: as GS joined, with the best k and row order. DESIGN sections 3, 4 and 5a.

The straw man's opposite: the fewest groups over all k dividing B, rows sorted by count (then + rows x i) or not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, Pattern
from patterns.encodings.base import ByteWidths, Encoded, EncodedSize, Encoding, EncodingError
from patterns.encodings.fields import check_matrix, matrix_banks, value_bytes
from patterns.encodings.joined import join, joined_size, split
from patterns.gs import GatherScatter
from patterns.gs_scatter import GatherScatterPermuted
from patterns.packing import best_packing, group_counts, pack, row_order
from patterns.selection import MAX_BANKS

DEFAULT_BANKS = 16  # DESIGN section 3


@dataclass(frozen=True, slots=True)
class PackedEncoding(Encoding):
    """Packs for ``banks`` banks, unless the pattern has its own number of them. Holds any mask."""

    name = "packed"
    banks: int = DEFAULT_BANKS

    def __post_init__(self) -> None:
        if not 1 <= self.banks <= MAX_BANKS:
            raise EncodingError(f"packed: banks is {self.banks}, and must be 1 to {MAX_BANKS}")

    def bank_count(self, pattern: Pattern) -> int:
        """Return the banks that a mask of ``pattern`` is packed for."""
        return pattern.banks if isinstance(pattern, GatherScatter | GatherScatterPermuted) else self.banks

    def size(self, mask: Mask, pattern: Pattern, widths: ByteWidths, banks: BankOfColumn | None = None) -> EncodedSize:
        _, columns = check_matrix(self.name, mask, widths)
        count = self.bank_count(pattern)
        of_column = matrix_banks(self.name, banks, columns, count)
        k, permuted = best_packing(mask, of_column, count)
        groups = group_counts(mask, of_column, count, k, row_order(mask, permuted))
        return joined_size(self.name, mask, groups, count, widths, row_index=permuted)

    def encode(
        self,
        mask: Mask,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: ByteWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        self.size(mask, pattern, widths, banks)
        data = value_bytes(self.name, mask, values, widths)
        count = self.bank_count(pattern)
        of_column = matrix_banks(self.name, banks, mask.shape[1], count)
        k, permuted = best_packing(mask, of_column, count)
        packing = pack(mask, of_column, count, k, sort=permuted)
        return join(self.name, packing, data, (mask.shape[0], mask.shape[1]), widths, row_index=permuted)

    def decode(self, encoded: Encoded, dtype: npt.DTypeLike) -> tuple[Mask, npt.NDArray[np.generic]]:
        return split(encoded, dtype)
