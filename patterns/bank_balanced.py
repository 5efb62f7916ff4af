"""Each row cut in equal segments, the same number kept in each. DESIGN section 3.

Reference: Cao et al., Efficient and effective sparse LSTM on FPGA with bank-balanced sparsity, FPGA 2019. A segment is
a range of columns, not a bank of the scratchpad. Left out: rows of different counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns import _kernels
from patterns.base import BankOfColumn, Mask, Pattern, PatternError, Scores, Violation
from patterns.selection import checked_outer, checked_scores, first_place, kept_count, magnitude_bits


@dataclass(frozen=True, slots=True, kw_only=True)
class BankBalanced(Pattern):
    """``segments`` segments of ceil(k / segments) columns a row; a short last one keeps at most what it has."""

    segments: int

    def __post_init__(self) -> None:
        if self.segments < 1:
            raise PatternError(f"bank_balanced:{self.segments}: the segments of a row must be at least 1")

    @property
    def spelling(self) -> str:
        return f"bank_balanced:{self.segments}"

    @property
    def default_encoding(self) -> str:
        return "packed"

    @property
    def nests(self) -> bool:
        return True

    def limit(self, shape: tuple[int, int, int], sparsity: float) -> str:
        few = shape[2] >= self.segments and kept_count(self.segment_width(shape[2]), sparsity) < 1
        return f"{self.spelling} keeps one weight of each segment at least" if few else ""

    def segment_width(self, columns: int) -> int:
        """Return the columns of one segment. Raises PatternError where a row has fewer columns than segments."""
        if columns < self.segments:
            raise PatternError(f"{self.spelling}: a row has {columns} columns, and must have one for each segment")
        return -(-columns // self.segments)

    def _kept(self, mask: Mask) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return what each segment keeps [groups, m, segments], and what it holds [segments]."""
        width = self.segment_width(mask.shape[2])
        starts = np.arange(0, mask.shape[2], width)
        kept = np.add.reduceat(mask, starts, axis=2, dtype=np.int64)
        return kept, np.minimum(mask.shape[2] - starts, width)

    def _slots(self, mask: Mask) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return (kept, expected) of each segment [groups, m, segments]; expected follows the row's fullest segment."""
        kept, holds = self._kept(mask)
        return kept, np.minimum(kept.max(axis=2, keepdims=True), holds)

    def project(self, scores: Scores, sparsity: float, banks: BankOfColumn | None = None) -> Mask:
        """Return round((1 - sparsity) x width) largest of each segment, at least 1 unless all may go."""
        array = checked_scores(scores, sparsity)
        return self._largest(array, sparsity, np.ones(array.shape, dtype=np.bool_))

    def project_within(self, scores: Scores, sparsity: float, outer: Mask, banks: BankOfColumn | None = None) -> Mask:
        """Return the largest scores of ``outer``, in a row as many of each segment as its poorest segment has."""
        array = checked_scores(scores, sparsity)
        return self._largest(array, sparsity, checked_outer(outer, array))

    def _largest(self, array: Scores, sparsity: float, outer: Mask) -> Mask:
        columns = array.shape[2]
        width = self.segment_width(columns)
        kept, holds = self._kept(outer)
        wanted = max(1, kept_count(width, sparsity))
        counts = np.minimum(wanted, np.where(kept < holds, kept, width).min(axis=2))  # a full segment limits nothing
        out = np.empty(array.shape, dtype=np.bool_)
        bits = magnitude_bits(array).reshape(-1, columns)
        _kernels.keep_in_segments(
            bits, outer.reshape(-1, columns), counts.reshape(-1).astype(np.int64), width, out.reshape(-1, columns)
        )
        return out

    def check(self, mask: Mask, banks: BankOfColumn | None = None) -> Violation | None:
        """Return the first segment that keeps fewer than the fullest segment of its row."""
        kept, expected = self._slots(mask)
        broken = kept != expected
        if not broken.any():
            return None
        group, row, segment = first_place(broken)
        here, there = kept[group, row, segment], expected[group, row, segment]
        text = f"segment {segment} keeps {here} weights, and another of this row {there}"
        column = segment * self.segment_width(mask.shape[2])
        return Violation(group=group, row=row, column=column, text=text)

    def explained(self, mask: Mask, banks: BankOfColumn | None = None) -> float:
        """Return kept weights over what equal segments would hold; 1 where nothing is kept."""
        kept, expected = self._slots(mask)
        total = int(expected.sum())
        return int(kept.sum()) / total if total else 1.0
