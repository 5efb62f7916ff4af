"""Compressed sparse rows: kept x (v + i) + (rows + 1) x p. DESIGN section 4."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, Pattern
from patterns.encodings.base import AnyWidths, Encoded, EncodedSize
from patterns.encodings.levels import Levels, PrefixEncoding
from patterns.encodings.lines import decode_lines, encode_lines, lines_size


@dataclass(frozen=True, slots=True)
class CsrEncoding(PrefixEncoding):
    """Values and column indices row by row, and where each row starts. Holds any mask."""

    name = "csr"

    def size_levels(
        self, levels: Levels, pattern: Pattern, widths: AnyWidths, banks: BankOfColumn | None = None
    ) -> EncodedSize:
        return lines_size(self.name, levels, widths, axis=0)[0]

    def encode_levels(
        self,
        levels: Levels,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: AnyWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        return encode_lines(self.name, levels, values, widths, axis=0)

    def decode_level(self, encoded: Encoded, dtype: npt.DTypeLike, level: int) -> tuple[Mask, npt.NDArray[np.generic]]:
        return decode_lines(encoded, dtype, level, axis=0)
