"""Each 3x3 kernel keeps 4 of its 9 weights in one of 8 shapes, then every filter loses the same number of kernels.

DESIGN section 3. Reference: Niu et al., PatDNN, ASPLOS 2020, arXiv 2001.00138; the last shape of ``:mest`` is that of
the code of Yuan et al., MEST, NeurIPS 2021, arXiv 2110.14032. A matrix knows no window: columns lie tap by tap, Ci
innermost, and columns that are no multiple of 9 are those of another layer, which keeps the plain ratio
(``traces.masks`` sees the windows of all others). Left out: other window sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from patterns import _kernels
from patterns.base import BankOfColumn, Mask, Pattern, PatternError, Scores, Violation
from patterns.selection import checked_outer, checked_scores, first_place
from patterns.unstructured import Unstructured

TAPS = 9  # of a 3x3 kernel, row by row
KEPT_TAPS = 4
REMOVED = -1  # a kernel of which nothing is kept
UNCOVERED = -2  # a kernel that keeps a tap outside each shape

_CORNERS_AND_TS = (
    "11 12 21 22",
    "10 11 20 21",
    "01 02 11 12",
    "00 01 10 11",
    "10 11 12 21",
    "01 11 12 21",
    "01 10 11 21",
)
_LAST_SHAPE = {"centred": "01 10 11 12", "mest": "12 20 21 22"}
_CODE_OF_TAP = 1 << np.arange(TAPS, dtype=np.int64)

Ids = npt.NDArray[np.int8]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelPattern(Pattern):
    """The shape with the largest norm for each kernel, the kernels with the largest kept norm for each filter.

    ``last_shape``: the T shape open to the bottom ("centred"), or the one that MEST's code has in its place ("mest").
    """

    last_shape: Literal["centred", "mest"] = "centred"

    def __post_init__(self) -> None:
        if self.last_shape not in _LAST_SHAPE:
            raise PatternError(f"kernel_pattern: last_shape is {self.last_shape!r}, and must be centred or mest")

    @property
    def spelling(self) -> str:
        return "kernel_pattern" if self.last_shape == "centred" else "kernel_pattern:mest"

    @property
    def default_encoding(self) -> str:
        return "kernel_pattern"

    @property
    def nests(self) -> bool:
        return True

    @property
    def shapes(self) -> npt.NDArray[np.int64]:
        """Return the taps of each shape, rising, [8, 4]; tap = 3 x row + column."""
        spelled = (*_CORNERS_AND_TS, _LAST_SHAPE[self.last_shape])
        taps = [[3 * int(tap[0]) + int(tap[1]) for tap in shape.split()] for shape in spelled]
        return np.array(taps, dtype=np.int64)

    def kernels_kept(self, channels: int, sparsity: float) -> int:
        """Return the kernels kept of a filter of ``channels`` input channels: (1 - s) x 9/4 of them, at least 1."""
        return max(1, round(min(1.0, (1 - sparsity) * TAPS / KEPT_TAPS) * channels))

    def limit(self, shape: tuple[int, int, int], sparsity: float) -> str:
        """Return why the rule cannot reach ``sparsity``, or "" where it does within one kernel a filter."""
        if shape[2] % TAPS:
            return ""
        channels = shape[2] // TAPS
        share = (1 - sparsity) * TAPS / KEPT_TAPS
        if share > 1:
            return f"{self.spelling} keeps {KEPT_TAPS} of {TAPS} at most: a sparsity below 5/9 is not to be had"
        if round(share * channels) < 1:
            return f"{self.spelling} keeps one kernel of each filter at least"
        return ""

    def shape_ids(self, mask2d: Mask) -> Ids:
        """Return the shape of each kernel of mask2d [m, 9 x ci], [m, ci]: the first that covers all it keeps.

        ``REMOVED`` where nothing is kept, ``UNCOVERED`` where no shape covers it.
        """
        found: Ids = _covering(self.last_shape)[_codes(mask2d)]
        return found

    def project(self, scores: Scores, sparsity: float, banks: BankOfColumn | None = None) -> Mask:
        array = checked_scores(scores, sparsity)
        return self._largest(array, sparsity, np.ones(array.shape, dtype=np.bool_))

    def project_within(self, scores: Scores, sparsity: float, outer: Mask, banks: BankOfColumn | None = None) -> Mask:
        """Return the best kernels of ``outer``, each in the best shape that it keeps whole there.

        Within a mask of the rule shapes stay and kernels go. All filters keep as many as the poorest of ``outer`` has.
        """
        array = checked_scores(scores, sparsity)
        return self._largest(array, sparsity, checked_outer(outer, array))

    def _largest(self, array: Scores, sparsity: float, outer: Mask) -> Mask:
        groups, rows, columns = array.shape
        if columns % TAPS:
            return Unstructured().project_within(array, sparsity, outer)
        channels = columns // TAPS
        shape = np.empty((groups * rows, channels), dtype=np.int8)
        energy = np.empty(shape.shape, dtype=np.float64)
        _kernels.best_shapes(array.reshape(-1, columns), outer.reshape(-1, columns), self.shapes, shape, energy)
        count = min(self.kernels_kept(channels, sparsity), int((shape >= 0).sum(axis=1).min()))
        ranked = np.argsort(-energy, axis=1, kind="stable")
        kept = np.zeros(shape.shape, dtype=np.bool_)
        np.put_along_axis(kept, ranked[:, :count], True, axis=1)
        which = (groups, rows, channels)
        out = np.zeros((groups, rows, TAPS, channels), dtype=np.bool_)
        group, row, channel = np.nonzero(kept.reshape(which))
        taps = self.shapes[shape.reshape(which)[group, row, channel]]
        out[group[:, None], row[:, None], taps, channel[:, None]] = True
        return out.reshape(array.shape)

    def check(self, mask: Mask, banks: BankOfColumn | None = None) -> Violation | None:
        """Return the first kernel that keeps no shape, else the first filter with fewer kernels than another."""
        if mask.shape[2] % TAPS:
            return None
        codes = _codes(mask)
        broken = ~_exact(self.last_shape)[codes]
        if broken.any():
            group, row, channel = first_place(broken)
            text = (
                f"the 3x3 kernel of input channel {channel} keeps {_taps_of(int(codes[group, row, channel]))} (row, "
                f"column), and {self.spelling} keeps one of its 8 shapes or nothing"
            )
            return Violation(group=group, row=row, column=channel, text=text)
        kernels = np.count_nonzero(codes, axis=2)
        if (kernels == kernels.max()).all():
            return None
        group, row = first_place(kernels < kernels.max())
        text = f"this filter keeps {kernels[group, row]} kernels, and another of this layer {kernels.max()}"
        return Violation(group=group, row=row, column=first_place(codes[group, row] == 0)[0], text=text)

    def explained(self, mask: Mask, banks: BankOfColumn | None = None) -> float:
        """Return kernels that keep a shape over those of filters as full as the fullest; 1 where nothing is kept."""
        if mask.shape[2] % TAPS:
            return 1.0
        codes = _codes(mask)
        kernels = np.count_nonzero(codes, axis=2)
        slots = int(kernels.max()) * kernels.size
        obeying = int(np.count_nonzero(_exact(self.last_shape)[codes] & (codes != 0)))
        return obeying / slots if slots else 1.0

    def first_uncovered(self, mask: Mask) -> Violation | None:
        """Return the first kernel that keeps a tap outside each shape, so that no encoding by shape can hold it."""
        broken = _covering(self.last_shape)[_codes(mask)] == UNCOVERED
        if not broken.any():
            return None
        group, row, channel = first_place(broken)
        taps = _taps_of(int(_codes(mask)[group, row, channel]))
        text = f"the 3x3 kernel of input channel {channel} keeps {taps} (row, column), and no shape has them all"
        return Violation(group=group, row=row, column=channel, text=text)


def _codes(mask: Mask) -> Codes:
    """Return the taps kept of each kernel as a number below 512: mask [..., 9 x ci] to [..., ci], tap t is bit t."""
    taps = mask.reshape(*mask.shape[:-1], TAPS, mask.shape[-1] // TAPS)
    out = np.zeros((*mask.shape[:-1], taps.shape[-1]), dtype=np.int64)
    for tap in range(TAPS):
        out += taps[..., tap, :] * _CODE_OF_TAP[tap]
    return out


def _taps_of(code: int) -> str:
    return " ".join(f"{tap // 3}{tap % 3}" for tap in range(TAPS) if code >> tap & 1)


@lru_cache(maxsize=2)
def _covering(last_shape: Literal["centred", "mest"]) -> Ids:
    """Return the first shape that covers the taps of each code, [512]."""
    table = np.full(1 << TAPS, UNCOVERED, dtype=np.int8)
    codes = np.arange(1 << TAPS)
    for shape, taps in reversed(list(enumerate(KernelPattern(last_shape=last_shape).shapes))):
        table[codes & ~_CODE_OF_TAP[taps].sum() == 0] = shape
    table[0] = REMOVED
    return table


@lru_cache(maxsize=2)
def _exact(last_shape: Literal["centred", "mest"]) -> Mask:
    """Return whether a kernel with each code obeys: a whole shape or nothing, [512]."""
    table = np.zeros(1 << TAPS, dtype=np.bool_)
    table[_CODE_OF_TAP[KernelPattern(last_shape=last_shape).shapes].sum(axis=1)] = True
    table[0] = True
    return table
