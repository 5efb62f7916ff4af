"""Positions of the kernel punched through a block of filters and channels. DESIGN section 3.

A layer's kernels are cut in blocks of ``height`` filters by ``width`` input channels; in each block a position (row,
column of the kernel) stays in all its kernels or in none, and blocks may keep different numbers of them. Reference:
Cai et al., YOLObile, AAAI 2021, arXiv 2009.05697. In this repository's column order (tap by tap, Ci innermost) a
position of a block is a rectangle of height x width, so it is stored and run as blocks are; what tells the rule from
``block`` is that no rectangle crosses from one position to the next, and that a block can span all channels.
Left out: the paper's choice of block sizes by latency.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns import _kernels
from patterns.base import BankOfColumn, Mask, Pattern, PatternError, Scores, Violation
from patterns.block import Block
from patterns.selection import checked_outer, checked_scores, first_place, keep_largest_norms, kept_count, within

DEFAULT_TAPS = 9  # a 3 x 3 kernel
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPunched(Pattern):
    """round((1 - sparsity) x positions of all blocks) positions stay, by L2 norm over the block.

    ``width`` None: all channels. ``taps``: positions of a kernel; columns that are no multiple of it are those of a
    layer without kernels, one position. Blocks at the last filters and channels may be cut; they count as whole ones.
    """

    height: int
    width: int | None = None
    taps: int = DEFAULT_TAPS

    def __post_init__(self) -> None:
        if self.height < 1 or (self.width is not None and self.width < 1) or self.taps < 1:
            raise PatternError(f"{self.spelling}: filters, channels and positions must be at least 1")

    @property
    def spelling(self) -> str:
        block = f"{self.height}" if self.width is None else f"{self.height}x{self.width}"
        return f"block_punched:{block}" + ("" if self.taps == DEFAULT_TAPS else f",{self.taps}")

    @property
    def default_encoding(self) -> str:
        return "bsr"

    @property
    def nests(self) -> bool:
        return True

    def without_kernels(self) -> Block:
        """Return the rule of a layer with one position: blocks, of one column where the rule spans all channels."""
        return Block(height=self.height, width=1 if self.width is None else self.width)

    def _kernel(self, columns: int) -> tuple[int, int, int]:
        """Return (positions, channels, channels of a block) of a row of ``columns``."""
        if columns % self.taps or self.taps == 1:
            return 1, columns, self.without_kernels().width
        channels = columns // self.taps
        return self.taps, channels, min(channels, self.width or channels)

    def stored_as(self, columns: int) -> Pattern:
        """Return blocks that no position is cut by: narrower ones where the last block of channels is cut."""
        taps, channels, width = self._kernel(columns)
        return Block(height=self.height, width=width if taps == 1 else math.gcd(width, channels))

    def limit(self, shape: tuple[int, int, int], sparsity: float) -> str:
        groups, rows, columns = shape
        positions = groups * -(-rows // self.height) * (int(self._labels(columns)[-1]) + 1)
        text = f"{self.spelling} has only {positions} positions here"
        return text if sparsity and kept_count(positions, sparsity) in {0, positions} else ""

    def _labels(self, columns: int) -> IntArray:
        """Return the position of each column among those of its block row, [columns], rising."""
        taps, channels, width = self._kernel(columns)
        blocks = -(-channels // width)
        labels = np.arange(taps, dtype=np.int64)[:, None] * blocks + np.arange(channels, dtype=np.int64) // width
        return labels.reshape(-1)

    def _areas(self, rows: int, labels: IntArray) -> IntArray:
        high = np.minimum(rows - np.arange(0, rows, self.height), self.height)
        areas: IntArray = high[:, None] * np.bincount(labels)[None, :]
        return areas

    def _kept(self, mask: Mask, labels: IntArray) -> IntArray:
        """Return kept weights of each position of each block, [groups, block rows, labels]."""
        out = np.zeros((mask.shape[0], -(-mask.shape[1] // self.height), int(labels[-1]) + 1), dtype=np.int64)
        for matrix, counts in zip(mask, out, strict=True):
            _kernels.punched_kept(np.ascontiguousarray(matrix), self.height, labels, counts)
        return out

    def project(self, scores: Scores, sparsity: float, banks: BankOfColumn | None = None) -> Mask:
        return self._largest(checked_scores(scores, sparsity), sparsity, None)

    def project_within(self, scores: Scores, sparsity: float, outer: Mask, banks: BankOfColumn | None = None) -> Mask:
        """Return the positions of largest norm among those that ``outer`` keeps throughout their block."""
        array = checked_scores(scores, sparsity)
        return self._largest(array, sparsity, checked_outer(outer, array))

    def _largest(self, array: Scores, sparsity: float, outer: Mask | None) -> Mask:
        groups, rows, columns = array.shape
        labels = self._labels(columns)
        energy = np.zeros((groups, -(-rows // self.height), int(labels[-1]) + 1), dtype=np.float64)
        for group in range(groups):
            _kernels.punched_energy(array[group], self.height, labels, energy[group])
        if outer is not None:
            energy = within(energy, self._kept(outer, labels) == self._areas(rows, labels))
        kept = keep_largest_norms(energy, kept_count(energy.size, sparsity))
        return np.ascontiguousarray(kept[:, :, labels][:, np.arange(rows) // self.height])

    def check(self, mask: Mask, banks: BankOfColumn | None = None) -> Violation | None:
        """Return the first block of which a position is kept in some kernels and not in all."""
        labels = self._labels(mask.shape[2])
        kept, areas = self._kept(mask, labels), self._areas(mask.shape[1], labels)
        broken = (kept != 0) & (kept != areas)
        if not broken.any():
            return None
        group, high, label = first_place(broken)
        column = int(np.searchsorted(labels, label))
        position = column // self._kernel(mask.shape[2])[1]
        share = f"{kept[group, high, label]} of the {areas[high, label]} kernels"
        text = f"{share} of this block keep position {position}, and {self.spelling} keeps it in all or in none"
        return Violation(group=group, row=high * self.height, column=column, text=text)

    def explained(self, mask: Mask, banks: BankOfColumn | None = None) -> float:
        """Return kept weights over those of the positions that hold any, throughout their blocks; 1 where none is."""
        labels = self._labels(mask.shape[2])
        kept, areas = self._kept(mask, labels), self._areas(mask.shape[1], labels)
        area = int(((kept > 0) * areas).sum())
        return int(kept.sum()) / area if area else 1.0
