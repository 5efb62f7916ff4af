"""Runs of zeros: entries x (v + i), kept weights and the zeros inserted where a run outgrows i bits. DESIGN section 4.

Row after row, each kept weight and, for its index, how many weights before it are not kept. A run of more than
2^i - 1 gets an explicit zero after 2^i - 1 of them, and goes on behind it. Left out: the streams of columns, one for
each processing element, that EIE cuts a matrix into, and their pointers.
Reference: Han et al., Deep Compression, arXiv 1510.00149, figure 2; EIE, arXiv 1602.01528, section III.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, Pattern
from patterns.encodings.base import AnyWidths, Encoded, EncodedSize, Encoding, EncodingError, Widths
from patterns.encodings.fields import (
    IntArray,
    byte_count,
    check_matrix,
    codes_of,
    empty_values,
    fields_of,
    finish_values,
    pack,
    parameter,
    place_values,
    values_of,
)

WIDEST_RUN_BITS = 32  # of a width that is chosen here; one that is given may be wider


@dataclass(frozen=True, slots=True)
class RunLengthEncoding(Encoding):
    """Any mask has a size, and encodes unless a kept zero follows a run of just 2^i - 1: that reads as an inserted one.

    No pointers: who reads it starts at the first weight.
    """

    name = "run_length"

    def size(self, mask: Mask, pattern: Pattern, widths: AnyWidths, banks: BankOfColumn | None = None) -> EncodedSize:
        return self._sized(mask, widths)[0]

    def encode(
        self,
        mask: Mask,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: AnyWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        size, bits = self._sized(mask, widths)
        codes = codes_of(self.name, mask, values, bits)[mask]
        longest = (1 << field_bits(bits)) - 1
        gaps = run_lengths(mask)
        inserted, rest = gaps // (longest + 1), gaps % (longest + 1)
        silent = np.flatnonzero((codes == 0) & (rest == longest))
        if len(silent):
            row, column = (int(place[silent[0]]) for place in np.nonzero(mask))
            raise EncodingError(
                f"{self.name}: row {row}, column {column} is a kept zero after a run that ends on {longest}, and reads "
                f"as an inserted one; another index width stores it"
            )
        entry = np.cumsum(inserted) + np.arange(len(gaps))
        runs = np.full(size.slots, longest, dtype=np.uint64)
        stored = np.zeros(size.slots, dtype=codes.dtype)
        runs[entry], stored[entry] = rest, codes
        return Encoded(
            encoding=self.name,
            shape=(mask.shape[0], mask.shape[1]),
            arrays={"values": pack(stored, bits.value_bits), "runs": pack(runs, bits.index)},
            parameters={"entries": size.slots},
            widths=bits,
        )

    def decode(self, encoded: Encoded, dtype: npt.DTypeLike) -> tuple[Mask, npt.NDArray[np.generic]]:
        mask, data = empty_values(encoded, dtype)
        entries = parameter(encoded, "entries")
        runs = fields_of(encoded, "runs", entries, encoded.widths.index)
        stored = values_of(encoded, entries)
        if entries and int(runs.max()) >= mask.size:
            raise EncodingError(f"{self.name}: array runs holds {int(runs.max())}, and the matrix {mask.size} weights")
        place = np.cumsum(runs.astype(np.int64) + 1) - 1
        if entries and int(place[-1]) >= mask.size:
            raise EncodingError(f"{self.name}: array runs reaches weight {int(place[-1])} of {mask.size}")
        kept = (stored != 0) | (runs != (1 << encoded.widths.index) - 1)
        row, column = np.divmod(place[kept], mask.shape[1])
        place_values(encoded, mask, data, row, column, stored[kept])
        return mask, finish_values(encoded, data, dtype)

    def _sized(self, mask: Mask, widths: AnyWidths) -> tuple[EncodedSize, Widths]:
        *_, bits = check_matrix(self.name, mask, widths)
        gaps = run_lengths(mask)
        if not isinstance(bits.index_bits, str):
            return _size(gaps, bits), bits
        most = min(WIDEST_RUN_BITS, max(1, int(gaps.max(initial=0)).bit_length()))
        step = 1 if bits.index_bits == "minimal" else 8
        choices = [bits.with_index(width) for width in range(step, most + step, step)]
        sizes = [_size(gaps, choice) for choice in choices]
        best = min(range(len(sizes)), key=lambda at: sizes[at].total_bytes)
        return sizes[best], choices[best]


def run_lengths(mask: Mask) -> IntArray:
    """Return how many weights, row after row, are not kept before each kept one, [kept]."""
    return np.diff(np.flatnonzero(mask), prepend=-1).astype(np.int64) - 1


def field_bits(bits: Widths) -> int:
    """Return the bits of a run that can differ from 0: no matrix has a run of 2^62."""
    return min(bits.index, 62)


def _size(gaps: IntArray, bits: Widths) -> EncodedSize:
    slots = len(gaps) + int((gaps >> field_bits(bits)).sum())
    weight_bytes, index_bytes = byte_count(slots, bits.value_bits), byte_count(slots, bits.index)
    return EncodedSize(weight_bytes=weight_bytes, index_bytes=index_bytes, slots=slots)
