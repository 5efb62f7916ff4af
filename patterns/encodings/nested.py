"""Masks within masks of the same values: the densest level, and (units + 1) x p for each other. DESIGN section 3.

Any encoding with pointers to rows, columns, block rows or bundles can nest (``levels.py``): csr, csc, bsr, gs, packed
and kernel_pattern. In the others nothing says where a row's prefix ends, and they are refused by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, Pattern
from patterns.encodings.base import AnyWidths, Encoded, EncodedSize, Encoding, EncodingError
from patterns.encodings.bsr import BsrEncoding
from patterns.encodings.csc import CscEncoding
from patterns.encodings.csr import CsrEncoding
from patterns.encodings.gs import GsEncoding
from patterns.encodings.kernel_pattern import KernelPatternEncoding
from patterns.encodings.levels import PrefixEncoding, nested_levels
from patterns.encodings.packed import PackedEncoding

PREFIX_ENCODINGS: tuple[PrefixEncoding, ...] = (
    CsrEncoding(),
    CscEncoding(),
    PackedEncoding(),
    BsrEncoding(),
    GsEncoding(),
    KernelPatternEncoding(),
)


def prefix_encoding(name: str) -> PrefixEncoding:
    """Return the encoding ``name``, which can hold levels. Raises EncodingError for one that cannot."""
    found = next((member for member in PREFIX_ENCODINGS if member.name == name), None)
    if found is None:
        known = ", ".join(member.name for member in PREFIX_ENCODINGS)
        raise EncodingError(f"{name}: has no pointers that could end a level, and nested levels need one of {known}")
    return found


def encode_nested(
    masks: Sequence[Mask],
    values: npt.NDArray[np.generic],
    pattern: Pattern,
    widths: AnyWidths,
    *,
    encoding: str = "csr",
    banks: BankOfColumn | None = None,
) -> Encoded:
    """Return masks [m, k], each within the next, with ``values`` [m, k] stored once, at the last and densest.

    Raises EncodingError for masks that do not nest, an encoding without pointers, or a level that does not fit it.
    """
    return prefix_encoding(encoding).encode_levels(nested_levels(masks), values, pattern, widths, banks)


def nested_size(
    masks: Sequence[Mask],
    pattern: Pattern,
    widths: AnyWidths,
    *,
    encoding: str = "csr",
    banks: BankOfColumn | None = None,
) -> EncodedSize:
    """Return the size that ``encode_nested`` has, without building it."""
    return prefix_encoding(encoding).size_levels(nested_levels(masks), pattern, widths, banks)


def decode_level(encoded: Encoded, dtype: npt.DTypeLike, level: int) -> tuple[Mask, npt.NDArray[np.generic]]:
    """Return mask and values of ``level``, 1 (the sparsest) to the number of levels."""
    return prefix_encoding(encoded.encoding).decode_level(encoded, dtype, level)


@dataclass(frozen=True, slots=True)
class NestedEncoding(Encoding):
    """A single mask as one level of what its pattern nests in: its own encoding where that has pointers, else CSR."""

    name = "nested"

    def base(self, pattern: Pattern) -> PrefixEncoding:
        """Return the encoding whose rows, blocks or bundles hold the levels of ``pattern``."""
        own = {"bsr", "gs", "kernel_pattern"}
        return prefix_encoding(pattern.default_encoding if pattern.default_encoding in own else "csr")

    def size(self, mask: Mask, pattern: Pattern, widths: AnyWidths, banks: BankOfColumn | None = None) -> EncodedSize:
        return self.base(pattern).size(mask, pattern, widths, banks)

    def encode(
        self,
        mask: Mask,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: AnyWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        return self.base(pattern).encode(mask, values, pattern, widths, banks)

    def decode(self, encoded: Encoded, dtype: npt.DTypeLike) -> tuple[Mask, npt.NDArray[np.generic]]:
        return prefix_encoding(encoded.encoding).decode(encoded, dtype)
