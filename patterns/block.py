"""Blocks of h rows by w columns, ranked by L2 norm. DESIGN section 3.

Reference: Narang et al., Block-sparse recurrent neural networks, 2017, arXiv 1711.02782. Left out: blocks that start
off the grid, and a count of blocks that is equal in all block rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns import _kernels
from patterns.base import BankOfColumn, Mask, Pattern, PatternError, Scores, Violation
from patterns.selection import checked_outer, checked_scores, first_place, keep_largest_norms, kept_count, within


@dataclass(frozen=True, slots=True, kw_only=True)
class Block(Pattern):
    """round((1 - sparsity) x blocks) blocks of the layer stay whole. Blocks at the lower and right edge may be cut."""

    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise PatternError(f"block:{self.height}x{self.width}: height and width must be at least 1")

    @property
    def spelling(self) -> str:
        return f"block:{self.height}x{self.width}"

    @property
    def default_encoding(self) -> str:
        return "bsr"

    @property
    def nests(self) -> bool:
        return True

    def limit(self, shape: tuple[int, int, int], sparsity: float) -> str:
        groups, rows, columns = shape
        high, wide = self.grid(rows, columns)
        blocks = groups * high * wide
        text = f"{self.spelling} has only {blocks} blocks here"
        return text if sparsity and kept_count(blocks, sparsity) in {0, blocks} else ""

    def grid(self, rows: int, columns: int) -> tuple[int, int]:
        """Return block rows and block columns of a matrix."""
        return -(-rows // self.height), -(-columns // self.width)

    def areas(self, rows: int, columns: int) -> npt.NDArray[np.int64]:
        """Return the weights that each block covers inside the matrix, [block rows, block columns]."""
        high, wide = self.grid(rows, columns)
        heights = np.minimum(rows - np.arange(high, dtype=np.int64) * self.height, self.height)
        widths = np.minimum(columns - np.arange(wide, dtype=np.int64) * self.width, self.width)
        return heights[:, None] * widths[None, :]

    def kept_in_blocks(self, mask2d: Mask) -> npt.NDArray[np.int64]:
        """Return kept weights of each block of mask2d [m, k], [block rows, block columns]."""
        out = np.zeros(self.grid(*mask2d.shape), dtype=np.int64)
        _kernels.block_kept(np.ascontiguousarray(mask2d), self.height, self.width, out)
        return out

    def project(self, scores: Scores, sparsity: float, banks: BankOfColumn | None = None) -> Mask:
        return self._largest(checked_scores(scores, sparsity), sparsity, None)

    def project_within(self, scores: Scores, sparsity: float, outer: Mask, banks: BankOfColumn | None = None) -> Mask:
        """Return the blocks of largest norm among those that ``outer`` keeps whole."""
        array = checked_scores(scores, sparsity)
        return self._largest(array, sparsity, checked_outer(outer, array))

    def _largest(self, array: Scores, sparsity: float, outer: Mask | None) -> Mask:
        groups, rows, columns = array.shape
        energy = np.zeros((groups, *self.grid(rows, columns)), dtype=np.float64)
        for group in range(groups):
            _kernels.block_energy(array[group], self.height, self.width, energy[group])
        if outer is not None:
            areas = self.areas(rows, columns)
            energy = within(energy, np.stack([self.kept_in_blocks(matrix) == areas for matrix in outer]))
        kept = keep_largest_norms(energy, kept_count(energy.size, sparsity))
        tall = kept[:, np.arange(rows) // self.height]
        return np.ascontiguousarray(tall[:, :, np.arange(columns) // self.width])

    def check(self, mask: Mask, banks: BankOfColumn | None = None) -> Violation | None:
        """Return the first block that is neither whole nor empty."""
        areas = self.areas(*mask.shape[1:])
        for group in range(mask.shape[0]):
            kept = self.kept_in_blocks(mask[group])
            broken = (kept != 0) & (kept != areas)
            if broken.any():
                row, column = first_place(broken)
                share = f"{kept[row, column]} of the {areas[row, column]} weights"
                text = f"{share} of this block are kept, and {self.spelling} keeps a block whole or not at all"
                return Violation(group=group, row=row * self.height, column=column * self.width, text=text)
        return None

    def explained(self, mask: Mask, banks: BankOfColumn | None = None) -> float:
        """Return kept weights over the area of the blocks that hold any; 1 where nothing is kept."""
        areas = self.areas(*mask.shape[1:])
        area = sum(int(areas[self.kept_in_blocks(matrix) > 0].sum()) for matrix in mask)
        return int(np.count_nonzero(mask)) / area if area else 1.0
