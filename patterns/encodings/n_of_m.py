"""N:M: the kept values and ceil(log2 M) index bits for each, packed without a gap. DESIGN section 4.

Every segment of M columns stores N slots (a last one of r < M columns min(N, r)), so no pointer is needed. Indices of a
segment rise; one that does not rise is padding, so a segment of c < N kept weights repeats its last index, and one that
keeps none starts with 1, 0 (with a single slot: with an index past its columns, if the bits hold one).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, Pattern
from patterns.encodings.base import AnyWidths, Encoded, EncodedSize, Encoding, EncodingError
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
from patterns.n_of_m import NOfM


def index_bits(m: int) -> int:
    """Return the bits of an index below ``m``: ceil(log2 m)."""
    return (m - 1).bit_length()


@dataclass(frozen=True, slots=True)
class NOfMEncoding(Encoding):
    """Refuses a segment with more than N kept, and an empty one where the index bits leave no way to say so."""

    name = "n_of_m"

    def size(self, mask: Mask, pattern: Pattern, widths: AnyWidths, banks: BankOfColumn | None = None) -> EncodedSize:
        rule = self._rule(pattern.stored_as(mask.shape[-1]))
        rows, columns, bits = check_matrix(self.name, mask, widths)
        found = rule.check(mask[None])
        if found is not None:
            raise EncodingError(f"n_of_m: row {found.row}, column {found.column}: {found.text}")
        slots = rows * int(rule.segment_slots(columns).sum())
        return EncodedSize(
            weight_bytes=byte_count(slots, bits.value_bits),
            index_bytes=byte_count(slots, index_bits(rule.m)),
            slots=slots,
        )

    def encode(
        self,
        mask: Mask,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: AnyWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        rule = self._rule(pattern.stored_as(mask.shape[-1]))
        self.size(mask, pattern, widths)
        rows, columns, bits = check_matrix(self.name, mask, widths)
        codes = codes_of(self.name, mask, values, bits)
        per_row = rule.segment_slots(columns)
        self._check_empty(mask, rule, per_row)
        first_slot = np.cumsum(per_row) - per_row  # of each segment, in its row
        row, column = np.nonzero(mask)
        segment = column // rule.m
        counts = rule.segment_counts(mask)
        first_kept = (np.cumsum(counts.reshape(-1)) - counts.reshape(-1)).reshape(counts.shape)
        place = np.arange(len(row)) - first_kept[row, segment]  # in its segment
        slots = int(per_row.sum())
        indices = np.full((rows, slots), -1, dtype=np.int64)
        stored = np.zeros((rows, slots), dtype=codes.dtype)
        indices[row, first_slot[segment] + place] = column % rule.m
        stored[row, first_slot[segment] + place] = codes[row, column]
        self._pad(indices, counts, per_row, first_slot, columns, rule.m)
        return Encoded(
            encoding=self.name,
            shape=(rows, columns),
            arrays={"values": pack(stored, bits.value_bits), "indices": pack(indices, index_bits(rule.m))},
            parameters={"n": rule.n, "m": rule.m},
            widths=bits,
        )

    def decode(self, encoded: Encoded, dtype: npt.DTypeLike) -> tuple[Mask, npt.NDArray[np.generic]]:
        mask, data = empty_values(encoded, dtype)
        rule = stored_rule(encoded)
        rows, columns = encoded.shape
        per_row = rule.segment_slots(columns)
        first_slot = np.cumsum(per_row) - per_row
        slots = int(per_row.sum())
        bits = index_bits(rule.m)
        indices = fields_of(encoded, "indices", rows * slots, bits).astype(np.int64).reshape(rows, slots)
        segment = np.repeat(np.arange(len(per_row)), per_row)
        starts = np.zeros(slots, dtype=np.bool_)
        starts[first_slot] = True
        rises = np.ones((rows, slots), dtype=np.bool_)
        rises[:, 1:] = starts[1:] | (indices[:, 1:] > indices[:, :-1])
        several = np.flatnonzero(per_row > 1)
        empty = indices[:, first_slot[several] + 1] < indices[:, first_slot[several]]
        rises[:, first_slot[several]] &= ~empty
        real = rises & (segment * rule.m + indices < np.minimum((segment + 1) * rule.m, columns))
        row, slot = np.nonzero(real)
        column = segment[slot] * rule.m + indices[row, slot]
        stored = values_of(encoded, rows * slots).reshape(rows, slots)
        place_values(encoded, mask, data, row, column, stored[row, slot])
        return mask, finish_values(encoded, data, dtype)

    def _rule(self, pattern: Pattern) -> NOfM:
        if not isinstance(pattern, NOfM):
            raise EncodingError(f"n_of_m: pattern is {pattern.spelling}, and must be n_of_m:N,M, which gives N and M")
        return pattern

    def _check_empty(self, mask: Mask, rule: NOfM, per_row: IntArray) -> None:
        """Refuse an empty segment of a single slot whose index bits are all taken by its columns."""
        starts = np.arange(len(per_row)) * rule.m
        held = np.minimum(starts + rule.m, mask.shape[1]) - starts
        silent = (per_row == 1) & (held == 1 << index_bits(rule.m))
        broken = (rule.segment_counts(mask) == 0) & silent
        if broken.any():
            row, segment = (int(place[0]) for place in np.nonzero(broken))
            raise EncodingError(
                f"n_of_m: row {row}, column {segment * rule.m}: nothing is kept here, and the {index_bits(rule.m)} "
                f"index bits of {rule.spelling} have no value left that says so"
            )

    def _pad(
        self, indices: IntArray, counts: IntArray, per_row: IntArray, first_slot: IntArray, columns: int, m: int
    ) -> None:
        """Fill the slots [rows, slots] that hold -1 with indices that read as padding."""
        row, segment = np.nonzero(counts == 0)
        single = per_row[segment] == 1
        held = np.minimum((segment + 1) * m, columns) - segment * m
        indices[row, first_slot[segment]] = np.where(single, held, 1)
        row, segment = row[~single], segment[~single]
        indices[row, first_slot[segment] + 1] = 0
        starts = np.zeros(indices.shape[1], dtype=np.bool_)
        starts[first_slot] = True
        for slot in range(1, indices.shape[1]):  # columns of the matrix, not weights
            if not starts[slot]:
                padding = indices[:, slot] < 0
                indices[padding, slot] = indices[padding, slot - 1]


def stored_rule(encoded: Encoded) -> NOfM:
    """Return the rule by which ``encoded`` was cut into segments."""
    m = parameter(encoded, "m", 1)
    return NOfM(n=min(parameter(encoded, "n", 1), m), m=m)
