"""Nested masks of the same values as prefixes: each row, column, block row or bundle keeps its level-1 entries first.

DESIGN section 3. A *unit* is what a pointer points at. Array ``pointers`` has units + 1 of them, to the entries of the
densest level; each level before it adds one more such array, ``level1``, ``level2``, ..., its own running counts: of
unit u, level j has the first level_j[u + 1] - level_j[u] entries from pointers[u] on.
Reference: Qin et al., arXiv 2112.10930.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, Pattern
from patterns.encodings.base import AnyWidths, Encoded, EncodedSize, Encoding, EncodingError
from patterns.encodings.fields import Bytes, IntArray, byte_count, fields_of, pack, parameter, pointers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Levels:
    """``of`` [m, k]: the first level that keeps each weight, 1 to ``count``; 0 where none does."""

    of: npt.NDArray[np.uint8]
    count: int

    @property
    def mask(self) -> Mask:
        """Return the mask of the densest level."""
        kept: Mask = self.of > 0
        return kept


def one_level(mask: Mask) -> Levels:
    """Return a single mask as one level."""
    return Levels(of=mask.astype(np.uint8), count=1)


def nested_levels(masks: Sequence[Mask]) -> Levels:
    """Return masks [m, k], each within the next. Raises EncodingError, which names the first weight that is not."""
    if not 1 <= len(masks) <= 255:
        raise EncodingError(f"nested: there are {len(masks)} masks, and must be 1 to 255")
    of = np.zeros(masks[0].shape, dtype=np.uint8)
    for level in range(len(masks), 0, -1):
        mask = masks[level - 1]
        if mask.shape != of.shape or mask.dtype != np.bool_ or mask.ndim != 2:
            raise EncodingError(f"nested: level {level} is {mask.dtype} {mask.shape}, and level 1 bool {of.shape}")
        if level < len(masks):
            lost = mask & (of == 0)
            if lost.any():
                row, column = (int(place[0]) for place in np.nonzero(lost))
                raise EncodingError(f"nested: row {row}, column {column} is in level {level} and not in {level + 1}")
        of[mask] = level
    return Levels(of=of, count=len(masks))


class PrefixEncoding(Encoding):
    """An encoding with pointers to units, in which a level can be a prefix of each unit."""

    @abstractmethod
    def size_levels(
        self, levels: Levels, pattern: Pattern, widths: AnyWidths, banks: BankOfColumn | None = None
    ) -> EncodedSize:
        """Return the size of all levels: the densest, and (units + 1) x p for each before it."""

    @abstractmethod
    def encode_levels(
        self,
        levels: Levels,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: AnyWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        """Return all levels, their values stored once."""

    @abstractmethod
    def decode_level(self, encoded: Encoded, dtype: npt.DTypeLike, level: int) -> tuple[Mask, npt.NDArray[np.generic]]:
        """Return mask and values of one level, 1 to the number of levels."""

    def size(self, mask: Mask, pattern: Pattern, widths: AnyWidths, banks: BankOfColumn | None = None) -> EncodedSize:
        return self.size_levels(one_level(mask), pattern, widths, banks)

    def encode(
        self,
        mask: Mask,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: AnyWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        return self.encode_levels(one_level(mask), values, pattern, widths, banks)

    def decode(self, encoded: Encoded, dtype: npt.DTypeLike) -> tuple[Mask, npt.NDArray[np.generic]]:
        """Return the densest level."""
        return self.decode_level(encoded, dtype, level_count(encoded))


def level_count(encoded: Encoded) -> int:
    """Return how many levels ``encoded`` has."""
    return parameter(encoded, "levels", 1)


def check_level(encoded: Encoded, level: int) -> None:
    """Raise EncodingError for a level that ``encoded`` does not have."""
    if not 1 <= level <= level_count(encoded):
        raise EncodingError(f"{encoded.encoding}: level is {level}, and must be 1 to {level_count(encoded)}")


def pointer_bytes(units: int, levels: int, pointer_bits: int) -> int:
    """Return the bytes of the pointers of all levels."""
    return levels * byte_count(units + 1, pointer_bits)


def level_array(level: int, count: int) -> str:
    """Return the name of the pointer array of ``level`` of ``count``."""
    return "pointers" if level == count else f"level{level}"


def pointer_arrays(counts: IntArray, pointer_bits: int) -> dict[str, Bytes]:
    """Return the pointer arrays. counts [levels, units]: entries that each level adds to each unit."""
    total = len(counts)
    upto = np.cumsum(counts, axis=0)
    return {level_array(level, total): pack(pointers(upto[level - 1]), pointer_bits) for level in range(total, 0, -1)}


def counts_by_level(unit: IntArray, level: npt.NDArray[np.integer], units: int, count: int) -> IntArray:
    """Return entries of each level in each unit, [count, units]. level [n]: 1 to ``count``."""
    flat = np.bincount((level.astype(np.int64) - 1) * units + unit, minlength=count * units)
    return flat.reshape(count, units).astype(np.int64)


def level_entries(encoded: Encoded, units: int, level: int) -> tuple[IntArray, IntArray, int]:
    """Return (unit of each entry, the entries, how many entries are stored) of one level.

    Raises EncodingError for pointers that fall, or a level that has more of a unit than a later one.
    """
    check_level(encoded, level)
    count = level_count(encoded)
    last: IntArray | None = None
    chosen = start = np.zeros(0, dtype=np.int64)
    total = 0
    for at in range(count, 0, -1):
        name = level_array(at, count)
        fields = fields_of(encoded, name, units + 1, encoded.widths.pointer_bits)
        _check_ends(encoded, name, int(fields.max()))
        found = fields.astype(np.int64)
        lengths = np.diff(found)
        if found[0] or (lengths < 0).any():
            raise EncodingError(f"{encoded.encoding}: array {name} must start at 0 and never fall")
        if last is not None and (lengths > last).any():
            raise EncodingError(f"{encoded.encoding}: array {name} has entries that level {at + 1} lacks")
        if last is None:
            start, total = found[:-1], int(found[-1])
        last = lengths
        if at == level:
            chosen = lengths
    unit = np.repeat(np.arange(units, dtype=np.int64), chosen)
    inside = np.arange(len(unit), dtype=np.int64) - np.repeat(np.cumsum(chosen) - chosen, chosen)
    return unit, start[unit] + inside, total


def _check_ends(encoded: Encoded, name: str, largest: int) -> None:
    """Refuse pointers to more entries than there can be bits before anything of that size is made."""
    if largest > encoded.total_bytes * 8:
        raise EncodingError(f"{encoded.encoding}: array {name} reaches entry {largest}, and fewer are stored")
