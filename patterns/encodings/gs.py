"""GS joined: groups x B (v + i) + (bundles + 1) p; with a row permutation + rows x i. DESIGN section 4."""

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
from patterns.packing import group_counts, pack, row_order


@dataclass(frozen=True, slots=True)
class GsEncoding(Encoding):
    """Groups of the pattern's own B and k. Holds any mask: what does not fill its groups is padded."""

    name = "gs"

    def size(self, mask: Mask, pattern: Pattern, widths: ByteWidths, banks: BankOfColumn | None = None) -> EncodedSize:
        rule = self._rule(pattern)
        _, columns = check_matrix(self.name, mask, widths)
        permuted = isinstance(rule, GatherScatterPermuted)
        of_column = matrix_banks(self.name, banks, columns, rule.banks)
        counts = group_counts(mask, of_column, rule.banks, rule.k, row_order(mask, permuted))
        return joined_size(self.name, mask, counts, rule.banks, widths, row_index=permuted)

    def encode(
        self,
        mask: Mask,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: ByteWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        rule = self._rule(pattern)
        self.size(mask, pattern, widths, banks)
        data = value_bytes(self.name, mask, values, widths)
        permuted = isinstance(rule, GatherScatterPermuted)
        of_column = matrix_banks(self.name, banks, mask.shape[1], rule.banks)
        packing = pack(mask, of_column, rule.banks, rule.k, sort=permuted)
        return join(self.name, packing, data, (mask.shape[0], mask.shape[1]), widths, row_index=permuted)

    def decode(self, encoded: Encoded, dtype: npt.DTypeLike) -> tuple[Mask, npt.NDArray[np.generic]]:
        return split(encoded, dtype)

    def _rule(self, pattern: Pattern) -> GatherScatter | GatherScatterPermuted:
        if not isinstance(pattern, GatherScatter | GatherScatterPermuted):
            raise EncodingError(f"gs: pattern is {pattern.spelling}, and must be gs:B,k or gs_scatter:B,k")
        return pattern
