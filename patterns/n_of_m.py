"""N of every M consecutive along K. DESIGN section 3.

Reference: Mishra et al., Accelerating sparse deep neural networks, 2021, arXiv 2104.08378. Left out: N:M along the
output channels (``n_of_m_both`` has both), and a permutation of the columns beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns import _kernels
from patterns.base import BankOfColumn, Mask, Pattern, PatternError, Scores, Violation
from patterns.selection import checked_outer, checked_scores, first_place, magnitude_bits


@dataclass(frozen=True, slots=True, kw_only=True)
class NOfM(Pattern):
    """The n largest of every m consecutive columns; a last segment of r < m columns keeps min(n, r), as if padded.

    It nests in a mask of larger N (1:4 within 2:4); levels of one N and M would be one mask.
    """

    n: int
    m: int

    def __post_init__(self) -> None:
        if self.n < 1 or self.m < 1:
            raise PatternError(f"n_of_m:{self.n},{self.m}: N and M must be at least 1")
        if self.n > self.m:
            raise PatternError(f"n_of_m:{self.n},{self.m}: N is {self.n}, and must be at most M, which is {self.m}")

    @property
    def spelling(self) -> str:
        return f"n_of_m:{self.n},{self.m}"

    @property
    def default_encoding(self) -> str:
        return "n_of_m"

    @property
    def nests(self) -> bool:
        return True

    @property
    def fixes_density(self) -> bool:
        return True

    def limit(self, shape: tuple[int, int, int], sparsity: float) -> str:
        columns = shape[2]
        share = int(self.segment_slots(columns).sum()) / columns
        return unreached(f"{self.spelling} keeps at most {self.n} of every {self.m}", share, columns, sparsity)

    def segment_counts(self, mask: Mask) -> npt.NDArray[np.int64]:
        """Return kept weights of each segment of mask [..., k]: [..., segments]."""
        starts = np.arange(0, mask.shape[-1], self.m)
        counts: npt.NDArray[np.int64] = np.add.reduceat(mask, starts, axis=-1, dtype=np.int64)
        return counts

    def segment_slots(self, columns: int) -> npt.NDArray[np.int64]:
        """Return the weights that each segment of a row stores, [segments]: n, or less in a short last segment."""
        starts = np.arange(0, columns, self.m)
        return np.minimum(self.n, np.minimum(starts + self.m, columns) - starts)

    def project(self, scores: Scores, sparsity: float, banks: BankOfColumn | None = None) -> Mask:
        """Return the mask; N and M fix the density, so ``sparsity`` is only the target that is reported."""
        array = checked_scores(scores, sparsity)
        return self._largest(array, np.ones(array.shape, dtype=np.bool_))

    def project_within(self, scores: Scores, sparsity: float, outer: Mask, banks: BankOfColumn | None = None) -> Mask:
        """Return the n largest of ``outer`` in every segment, or all that it has there."""
        array = checked_scores(scores, sparsity)
        return self._largest(array, checked_outer(outer, array))

    def _largest(self, array: Scores, allowed: Mask) -> Mask:
        out = np.empty(array.shape, dtype=np.bool_)
        columns = array.shape[-1]
        bits = magnitude_bits(array).reshape(-1, columns)
        counts = np.full(len(bits), self.n, dtype=np.int64)
        segment = min(self.m, columns)  # M may exceed the row
        _kernels.keep_in_segments(bits, allowed.reshape(-1, columns), counts, segment, out.reshape(-1, columns))
        return out

    def check(self, mask: Mask, banks: BankOfColumn | None = None) -> Violation | None:
        """Return the first segment with more than n kept. Fewer is allowed: a stored weight may be zero."""
        broken = self.segment_counts(mask) > self.n
        if not broken.any():
            return None
        group, row, segment = first_place(broken)
        kept = int(np.count_nonzero(mask[group, row, segment * self.m : (segment + 1) * self.m]))
        text = f"{kept} of the {self.m} columns from here are kept, and {self.spelling} allows {self.n}"
        return Violation(group=group, row=row, column=segment * self.m, text=text)

    def explained(self, mask: Mask, banks: BankOfColumn | None = None) -> float:
        """Return kept weights in segments that obey, over the slots that N:M stores; 1 where nothing is kept.

        A sparser mask obeys by accident; what it leaves empty counts against the rule, as the fill of GS does.
        """
        counts = self.segment_counts(mask)
        if not counts.any():
            return 1.0
        slots: int = int(self.segment_slots(mask.shape[-1]).sum()) * mask.shape[0] * mask.shape[1]
        obeying = int(counts[counts <= self.n].sum())
        return obeying / slots


def unreached(rule: str, share: float, columns: int, sparsity: float) -> str:
    """Return ``rule`` where keeping ``share`` misses ``sparsity`` by a weight of a row of ``columns`` or more."""
    return rule if abs((1 - sparsity) - share) * columns >= 1 else ""
