"""What an encoding is: (mask, values) to byte arrays and back, exactly, its size known in advance. DESIGN section 4."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, Pattern


class EncodingError(ValueError):
    """An encoding that does not exist, or that a mask or a width does not fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteWidths:
    """Bytes of a value, of an index and of a row, block-row or bundle pointer (v, i and p of DESIGN section 4)."""

    value: int = 2
    index: int = 2
    pointer: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedSize:
    """Bytes of values (padding slots included), bytes of indices and pointers, and weight slots stored."""

    weight_bytes: int
    index_bytes: int
    slots: int

    @property
    def total_bytes(self) -> int:
        return self.weight_bytes + self.index_bytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """One matrix [m, k] as byte arrays. The bytes of ``arrays`` add up to the size formula."""

    encoding: str
    shape: tuple[int, int]
    arrays: Mapping[str, npt.NDArray[np.uint8]]
    parameters: Mapping[str, int]
    widths: ByteWidths

    @property
    def total_bytes(self) -> int:
        return sum(array.size for array in self.arrays.values())


class Encoding(ABC):
    """Stores one matrix. ``pattern`` gives an encoding its parameters (block shape, N and M, B and k)."""

    name: str

    @abstractmethod
    def size(self, mask: Mask, pattern: Pattern, widths: ByteWidths, banks: BankOfColumn | None = None) -> EncodedSize:
        """Return the size of ``mask`` [m, k] without building it."""

    @abstractmethod
    def encode(
        self,
        mask: Mask,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: ByteWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        """Return ``values`` [m, k] where ``mask`` is True; values have ``widths.value`` bytes an element."""

    @abstractmethod
    def decode(self, encoded: Encoded, dtype: npt.DTypeLike) -> tuple[Mask, npt.NDArray[np.generic]]:
        """Return the mask and the values (zero where not kept) that were encoded, exactly."""
