"""What a sparsity pattern is: a rule from scores to a mask, a check of a mask, and a detector. DESIGN section 3."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float32]
BankOfColumn = npt.NDArray[np.int64]


class PatternError(ValueError):
    """A pattern that does not exist or that a layer cannot take: one line naming field, value and rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """The first place where a mask breaks its rule: group of the layer, row, column and what was expected."""

    group: int
    row: int
    column: int
    text: str


class Pattern(ABC):
    """A rule over one layer's scores, shape (groups, m, k).

    ``banks`` [groups, k] int64: the bank of each column's activation (``traces.layout.column_banks``); patterns that
    know no banks ignore it, and None means column mod B.
    """

    @property
    @abstractmethod
    def spelling(self) -> str:
        """Return the name under which the command line knows this pattern, as in ``gs:16,1``."""

    @property
    @abstractmethod
    def default_encoding(self) -> str:
        """Return the name of the encoding that stores this pattern unless the user asks for another."""

    @property
    def nests(self) -> bool:
        """Return whether ``project_within`` is defined: sparser masks within denser ones."""
        return False

    @property
    def fixes_density(self) -> bool:
        """Return whether the rule alone says how much is kept, so that all sparsities give the same mask."""
        return False

    @abstractmethod
    def project(self, scores: Scores, sparsity: float, banks: BankOfColumn | None = None) -> Mask:
        """Return the mask that keeps the largest scores the rule allows at ``sparsity`` (fraction removed).

        Raises PatternError where the rule cannot hold for this shape, and for NaN scores.
        """

    def project_within(self, scores: Scores, sparsity: float, outer: Mask, banks: BankOfColumn | None = None) -> Mask:
        """Return the best mask of the rule that keeps nothing outside ``outer`` (groups, m, k).

        ``sparsity`` counts all weights, as in ``project``, whose mask this is where ``outer`` keeps everything. Where
        ``outer`` holds too little, what there is stays. Raises PatternError as ``project`` does, and where the rule
        does not nest.
        """
        raise PatternError(f"{self.spelling} does not nest: it has no sparser mask within a denser one")

    @abstractmethod
    def check(self, mask: Mask, banks: BankOfColumn | None = None) -> Violation | None:
        """Return the first violation of the rule in ``mask``, or None."""

    @abstractmethod
    def explained(self, mask: Mask, banks: BankOfColumn | None = None) -> float:
        """Return how much of ``mask`` the rule explains, 0 to 1."""

    def limit(self, shape: tuple[int, int, int], sparsity: float) -> str:
        """Return why the rule cannot reach ``sparsity`` on scores of ``shape`` (groups, m, k), or "".

        What it rounds by (one weight of a row, one block) is no reason.
        """
        return ""

    def stored_as(self, columns: int) -> Pattern:
        """Return the rule whose encoding and stream this one takes in a row of ``columns``: mostly itself."""
        return self
