"""Everything kept: the baseline of every other pattern. DESIGN section 3. Left out: nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from patterns.base import BankOfColumn, Mask, Pattern, PatternError, Scores, Violation
from patterns.selection import checked_outer, checked_scores, first_place


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense(Pattern):
    """All weights are kept, whatever sparsity is asked for."""

    @property
    def spelling(self) -> str:
        return "dense"

    @property
    def default_encoding(self) -> str:
        return "dense"

    @property
    def nests(self) -> bool:
        return True

    @property
    def fixes_density(self) -> bool:
        return True

    def project(self, scores: Scores, sparsity: float, banks: BankOfColumn | None = None) -> Mask:
        return np.ones(checked_scores(scores, sparsity).shape, dtype=np.bool_)

    def project_within(self, scores: Scores, sparsity: float, outer: Mask, banks: BankOfColumn | None = None) -> Mask:
        """Return the dense mask; raises PatternError unless ``outer`` is dense too."""
        array = checked_scores(scores, sparsity)
        if not checked_outer(outer, array).all():
            raise PatternError("dense keeps every weight, and the outer mask does not")
        return np.ones(array.shape, dtype=np.bool_)

    def check(self, mask: Mask, banks: BankOfColumn | None = None) -> Violation | None:
        if mask.all():
            return None
        group, row, column = first_place(~mask)
        return Violation(group=group, row=row, column=column, text="dense keeps every weight, and this one is not kept")

    def explained(self, mask: Mask, banks: BankOfColumn | None = None) -> float:
        """Return the density: the share of a dense matrix that the mask fills."""
        return int(np.count_nonzero(mask)) / mask.size
