"""Any mask packed by Konig into groups of B: as GS joined, with the best k and row order. DESIGN sections 3, 4 and 5a.

The straw man's opposite: the fewest groups over all k dividing B, rows sorted by count (then + rows x i) or not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, Pattern
from patterns.encodings.base import AnyWidths, Encoded, EncodedSize, EncodingError
from patterns.encodings.fields import check_matrix, codes_of, matrix_banks
from patterns.encodings.joined import join, joined_size, level_group_counts, split
from patterns.encodings.levels import Levels, PrefixEncoding
from patterns.gs import GatherScatter
from patterns.gs_scatter import GatherScatterPermuted
from patterns.packing import best_packing, row_order
from patterns.selection import MAX_BANKS

DEFAULT_BANKS = 16  # DESIGN section 3


@dataclass(frozen=True, slots=True)
class PackedEncoding(PrefixEncoding):
    """Packs for ``banks`` banks, unless the pattern has its own number of them. Holds any mask.

    k and row order are the best of the densest level.
    """

    name = "packed"
    banks: int = DEFAULT_BANKS

    def __post_init__(self) -> None:
        if not 1 <= self.banks <= MAX_BANKS:
            raise EncodingError(f"packed: banks is {self.banks}, and must be 1 to {MAX_BANKS}")

    def bank_count(self, pattern: Pattern) -> int:
        """Return the banks that a mask of ``pattern`` is packed for."""
        return pattern.banks if isinstance(pattern, GatherScatter | GatherScatterPermuted) else self.banks

    def size_levels(
        self, levels: Levels, pattern: Pattern, widths: AnyWidths, banks: BankOfColumn | None = None
    ) -> EncodedSize:
        mask = levels.mask
        _, columns, _ = check_matrix(self.name, mask, widths)
        count = self.bank_count(pattern)
        of_column = matrix_banks(self.name, banks, columns, count)
        k, permuted = best_packing(mask, of_column, count)
        groups = level_group_counts(levels, of_column, count, k, row_order(mask, permuted)).sum(axis=0)
        return joined_size(self.name, mask, groups, count, widths, row_index=permuted, levels=levels.count)

    def encode_levels(
        self,
        levels: Levels,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: AnyWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        mask = levels.mask
        _, columns, bits = check_matrix(self.name, mask, widths)
        count = self.bank_count(pattern)
        of_column = matrix_banks(self.name, banks, columns, count)
        codes = codes_of(self.name, mask, values, bits)
        k, permuted = best_packing(mask, of_column, count)
        order = row_order(mask, permuted)
        return join(self.name, levels, codes, bits, of_column, count, k, order, row_index=permuted)

    def decode_level(self, encoded: Encoded, dtype: npt.DTypeLike, level: int) -> tuple[Mask, npt.NDArray[np.generic]]:
        return split(encoded, dtype, level)
