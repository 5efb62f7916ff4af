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

    @abstractmethod
    def project(self, scores: Scores, sparsity: float, banks: BankOfColumn | None = None) -> Mask:
        """Return the mask that keeps the largest scores the rule allows at ``sparsity`` (fraction removed).

        Raises PatternError where the rule cannot hold for this shape, and for NaN scores.
        """

    @abstractmethod
    def check(self, mask: Mask, banks: BankOfColumn | None = None) -> Violation | None:
        """Return the first violation of the rule in ``mask``, or None."""

    @abstractmethod
    def explained(self, mask: Mask, banks: BankOfColumn | None = None) -> float:
        """Return how much of ``mask`` the rule explains, 0 to 1."""
