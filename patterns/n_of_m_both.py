"""N of every M in both directions at once: each M x M tile keeps N in each of its rows and of its columns.

So the matrix and its transpose are both N:M, and one mask serves the forward and the backward product ("transposable"
masks). Reference: Hubara et al., Accelerated sparse neural training, NeurIPS 2021, arXiv 2102.08124. The projection is
exact, where the paper also has a 2-approximation. Left out: the tile of a kernel's own rows and columns.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns import _tile_kernel
from patterns.base import BankOfColumn, Mask, Pattern, PatternError, Scores, Violation
from patterns.n_of_m import NOfM, unreached
from patterns.selection import checked_outer, checked_scores, first_place

MAX_M = 64  # sums of paths over a tile stay whole numbers of 64 bits
IntArray = npt.NDArray[np.int64]

_PAIRS = tuple(itertools.combinations(range(4), 2))
_MASKS_OF_4 = tuple(  # of the 6^4 choices of two columns a row, the 90 that take each column twice
    choice
    for choice in itertools.product(range(6), repeat=4)
    if all(sum(column in _PAIRS[pair] for pair in choice) == 2 for column in range(4))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NOfMBoth(Pattern):
    """The heaviest mask of exactly n in each row and column of a tile.

    Tiles start at row and column 0 of each convolution group. One of r < m rows or c < m columns is cut at the edge:
    it keeps at most n of each row and column, and as many in all as that allows, min(r min(n, c), c min(n, r)).
    """

    n: int
    m: int

    def __post_init__(self) -> None:
        rule = f"n_of_m_both:{self.n},{self.m}"
        if self.n < 1 or self.m < 1:
            raise PatternError(f"{rule}: N and M must be at least 1")
        if self.n > self.m:
            raise PatternError(f"{rule}: N is {self.n}, and must be at most M, which is {self.m}")
        if self.m > MAX_M:
            raise PatternError(f"{rule}: M is {self.m}, and must be at most {MAX_M}")

    @property
    def spelling(self) -> str:
        return f"n_of_m_both:{self.n},{self.m}"

    @property
    def default_encoding(self) -> str:
        return "n_of_m"

    @property
    def nests(self) -> bool:
        return True

    @property
    def fixes_density(self) -> bool:
        return True

    def stored_as(self, columns: int) -> Pattern:
        """Return N:M along the rows, which every such mask obeys."""
        return NOfM(n=self.n, m=self.m)

    def limit(self, shape: tuple[int, int, int], sparsity: float) -> str:
        _, rows, columns = shape
        share = int(self._slots(rows, columns).sum()) / (rows * columns)
        return unreached(f"{self.spelling} keeps at most {self.n} of every {self.m}", share, columns, sparsity)

    def _slots(self, rows: int, columns: int) -> IntArray:
        """Return what each tile of a matrix keeps, [tile rows, tile columns]."""
        high = np.minimum(rows - np.arange(0, rows, self.m), self.m)[:, None]
        wide = np.minimum(columns - np.arange(0, columns, self.m), self.m)[None, :]
        slots: IntArray = np.minimum(high * np.minimum(self.n, wide), wide * np.minimum(self.n, high))
        return slots

    def project(self, scores: Scores, sparsity: float, banks: BankOfColumn | None = None) -> Mask:
        """Return the mask; N and M fix the density, so ``sparsity`` is only the target that is reported."""
        array = checked_scores(scores, sparsity)
        return self._heaviest(array, np.ones(array.shape, dtype=np.bool_))

    def project_within(self, scores: Scores, sparsity: float, outer: Mask, banks: BankOfColumn | None = None) -> Mask:
        """Return the mask of the rule that holds most of the scores within ``outer``, less what lies outside it."""
        array = checked_scores(scores, sparsity)
        return self._heaviest(array, checked_outer(outer, array))

    def _heaviest(self, array: Scores, allowed: Mask) -> Mask:
        out = np.empty(array.shape, dtype=np.bool_)
        pairs, masks = np.array(_PAIRS, dtype=np.int64), np.array(_MASKS_OF_4, dtype=np.int64)
        for group in range(array.shape[0]):
            _tile_kernel.keep_in_tiles(array[group], allowed[group], self.n, self.m, pairs, masks, out[group])
        return out

    def _counts(self, mask: Mask) -> tuple[IntArray, IntArray]:
        """Return kept weights of each row in each tile [g, m, tile columns], of each column [g, tile rows, k]."""
        rows, columns = np.arange(0, mask.shape[1], self.m), np.arange(0, mask.shape[2], self.m)
        in_rows: IntArray = np.add.reduceat(mask, columns, axis=2, dtype=np.int64)
        in_columns: IntArray = np.add.reduceat(mask, rows, axis=1, dtype=np.int64)
        return in_rows, in_columns

    def check(self, mask: Mask, banks: BankOfColumn | None = None) -> Violation | None:
        """Return the first row of a tile, else the first column of one, with more than n. Fewer is allowed."""
        in_rows, in_columns = self._counts(mask)
        if (in_rows > self.n).any():
            group, row, tile = first_place(in_rows > self.n)
            text = f"{in_rows[group, row, tile]} of the {self.m} columns from here are kept"
            column = tile * self.m
        elif (in_columns > self.n).any():
            group, tile, column = first_place(in_columns > self.n)
            text = f"{in_columns[group, tile, column]} of the {self.m} rows from here are kept"
            row = tile * self.m
        else:
            return None
        text = f"{text}, and {self.spelling} allows {self.n}"
        return Violation(group=group, row=row, column=column, text=text)

    def explained(self, mask: Mask, banks: BankOfColumn | None = None) -> float:
        """Return kept weights in tiles that obey, over what tiles hold; 1 where nothing is kept."""
        in_rows, in_columns = self._counts(mask)
        if not in_rows.any():
            return 1.0
        rows, columns = np.arange(0, mask.shape[1], self.m), np.arange(0, mask.shape[2], self.m)
        most = np.maximum(np.maximum.reduceat(in_rows, rows, axis=1), np.maximum.reduceat(in_columns, columns, axis=2))
        kept = np.add.reduceat(in_rows, rows, axis=1)
        slots: int = int(self._slots(*mask.shape[1:]).sum()) * mask.shape[0]
        obeying = int(kept[most <= self.n].sum())
        return obeying / slots
