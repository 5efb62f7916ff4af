"""GS joined: groups x B (v + i) + (bundles + 1) p; with a row permutation + rows x i. DESIGN section 4."""

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
from patterns.packing import row_order


@dataclass(frozen=True, slots=True)
class GsEncoding(PrefixEncoding):
    """Groups of the pattern's own B and k. Holds any mask: what does not fill its groups is padded."""

    name = "gs"

    def size_levels(
        self, levels: Levels, pattern: Pattern, widths: AnyWidths, banks: BankOfColumn | None = None
    ) -> EncodedSize:
        rule, mask = self._rule(pattern), levels.mask
        _, columns, _ = check_matrix(self.name, mask, widths)
        permuted = isinstance(rule, GatherScatterPermuted)
        of_column = matrix_banks(self.name, banks, columns, rule.banks)
        counts = level_group_counts(levels, of_column, rule.banks, rule.k, row_order(mask, permuted)).sum(axis=0)
        return joined_size(self.name, mask, counts, rule.banks, widths, row_index=permuted, levels=levels.count)

    def encode_levels(
        self,
        levels: Levels,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: AnyWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        rule, mask = self._rule(pattern), levels.mask
        _, columns, bits = check_matrix(self.name, mask, widths)
        permuted = isinstance(rule, GatherScatterPermuted)
        of_column = matrix_banks(self.name, banks, columns, rule.banks)
        codes = codes_of(self.name, mask, values, bits)
        order = row_order(mask, permuted)
        return join(self.name, levels, codes, bits, of_column, rule.banks, rule.k, order, row_index=permuted)

    def decode_level(self, encoded: Encoded, dtype: npt.DTypeLike, level: int) -> tuple[Mask, npt.NDArray[np.generic]]:
        return split(encoded, dtype, level)

    def _rule(self, pattern: Pattern) -> GatherScatter | GatherScatterPermuted:
        if not isinstance(pattern, GatherScatter | GatherScatterPermuted):
            raise EncodingError(f"gs: pattern is {pattern.spelling}, and must be gs:B,k or gs_scatter:B,k")
        return pattern
