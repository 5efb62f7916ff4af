"""What an encoding is: (mask, values) to byte arrays and back, exactly, its size known in advance. DESIGN section 4.

Every array is a run of fields of one width, little-endian and packed bit by bit without a gap: field n lies in bits
n w to (n + 1) w - 1, bit 0 being the lowest of byte 0. Widths of whole bytes make ordinary little-endian numbers, 4-bit
values lie two a byte. Shape, parameters and widths stand beside the bytes and are not counted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, Pattern


class EncodingError(ValueError):
    """An encoding that does not exist, that a mask or a width does not fit, or whose bytes are damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Widths:
    """Bits of a value, of an index and of a row, block-row or bundle pointer (v, i and p of the formulas of sizes).

    ``index_bits`` "minimal": the fewest bits, at least 1, that hold the largest index this mask needs (the mark of
    padding among them where there is any), packed as bits; "minimal_bytes": those rounded up to whole bytes. In
    ``run_length``, which has runs for indices, they are the width that takes the fewest bytes in all.
    """

    value_bits: int = 16
    index_bits: int | Literal["minimal", "minimal_bytes"] = 16
    pointer_bits: int = 32

    @property
    def index(self) -> int:
        """Return ``index_bits`` once it is a number. Raises EncodingError for one still to be chosen."""
        if isinstance(self.index_bits, str):
            raise EncodingError(f"index width is {self.index_bits!r}, and is not chosen for a mask yet")
        return self.index_bits

    def with_index(self, bits: int) -> Widths:
        """Return these widths with ``bits`` of index."""
        return replace(self, index_bits=bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteWidths:
    """Widths in whole bytes, as the streams of a machine and the kernels of a processor have them."""

    value: int = 2
    index: int = 2
    pointer: int = 4

    @property
    def in_bits(self) -> Widths:
        """Return the same widths in bits."""
        return Widths(value_bits=8 * self.value, index_bits=8 * self.index, pointer_bits=8 * self.pointer)


AnyWidths = Widths | ByteWidths


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedSize:
    """Bytes of values (padding slots included), bytes of indices and pointers, and weight slots stored."""

    weight_bytes: int
    index_bytes: int
    slots: int

    @property
    def total_bytes(self) -> int:
        """Return the bytes of values, indices and pointers together."""
        return self.weight_bytes + self.index_bytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """One matrix [m, k] as byte arrays. The bytes of ``arrays`` add up to the size formula."""

    encoding: str
    shape: tuple[int, int]
    arrays: Mapping[str, npt.NDArray[np.uint8]]
    parameters: Mapping[str, int]
    widths: Widths

    @property
    def total_bytes(self) -> int:
        """Return the bytes of all arrays."""
        return sum(array.size for array in self.arrays.values())


class Encoding(ABC):
    """Stores one matrix. ``pattern`` gives an encoding its parameters (block shape, N and M, B and k)."""

    name: str

    @abstractmethod
    def size(self, mask: Mask, pattern: Pattern, widths: AnyWidths, banks: BankOfColumn | None = None) -> EncodedSize:
        """Return the size of ``mask`` [m, k] without building it. Raises EncodingError where the mask does not fit."""

    @abstractmethod
    def encode(
        self,
        mask: Mask,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: AnyWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        """Return ``values`` [m, k] where ``mask`` is True.

        An element of ``values`` has the width's bits; a width below 8 takes int8 or uint8 that fit into it.
        """

    @abstractmethod
    def decode(self, encoded: Encoded, dtype: npt.DTypeLike) -> tuple[Mask, npt.NDArray[np.generic]]:
        """Return the mask and the values (zero where not kept) that were encoded, exactly.

        Raises EncodingError, which names the array, for bytes that no encoding of this shape wrote.
        """
