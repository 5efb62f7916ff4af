"""The largest scores, wherever they are: per layer, or over the whole model. DESIGN section 3.

Reference: Han et al., Learning both weights and connections, NeurIPS 2015, arXiv 1506.02626. Left out: scores other
than what the caller gives, and retraining between steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from patterns import _kernels
from patterns.base import BankOfColumn, Mask, Pattern, PatternError, Scores, Violation
from patterns.selection import (
    checked_outer,
    checked_scores,
    keep_largest,
    keep_largest_within,
    kept_count,
    magnitude_bits,
    nth_largest,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unstructured(Pattern):
    """Exactly round((1 - sparsity) x size) largest scores; among equals the lowest index, so zeros come last.

    ``scope`` "global": one threshold over the model. ``project`` sees one layer and takes it for the model; over a
    model, call ``global_threshold`` and then ``project_with_threshold`` for each layer.
    """

    scope: Literal["layer", "global"] = "layer"

    def __post_init__(self) -> None:
        if self.scope not in {"layer", "global"}:
            raise PatternError(f"unstructured: scope is {self.scope!r}, and must be layer or global")

    @property
    def spelling(self) -> str:
        return "unstructured" if self.scope == "layer" else "unstructured:global"

    @property
    def default_encoding(self) -> str:
        return "packed"

    @property
    def nests(self) -> bool:
        return True

    def project(self, scores: Scores, sparsity: float, banks: BankOfColumn | None = None) -> Mask:
        array = checked_scores(scores, sparsity)
        return keep_largest(array, kept_count(array.size, sparsity))

    def project_within(self, scores: Scores, sparsity: float, outer: Mask, banks: BankOfColumn | None = None) -> Mask:
        """Return the largest scores of ``outer``: as many as ``project`` keeps, or all that it has."""
        array = checked_scores(scores, sparsity)
        return keep_largest_within(array, kept_count(array.size, sparsity), checked_outer(outer, array))

    def check(self, mask: Mask, banks: BankOfColumn | None = None) -> Violation | None:
        """Return None: any mask is unstructured."""
        return None

    def explained(self, mask: Mask, banks: BankOfColumn | None = None) -> float:
        """Return 1: any mask is unstructured."""
        return 1.0


def global_threshold(layers: Sequence[Scores], sparsity: float) -> np.float32:
    """Return the smallest score that is kept when ``sparsity`` of all layers' scores is removed.

    Where the model has fewer nonzero scores than may stay, it is the smallest number above 0: zeros stay removed. Of
    equal scores at the threshold all stay. Raises PatternError for NaN, negative scores, or a sparsity outside [0, 1).
    """
    arrays = [checked_scores(scores, sparsity) for scores in layers]
    size = sum(array.size for array in arrays)
    count = kept_count(size, sparsity)
    if count >= size:
        return np.float32(0)
    if count == 0:
        return np.float32(np.inf)
    bits, _ = nth_largest(arrays, count)
    return np.float32(np.array(max(bits, np.uint32(1)), dtype=np.uint32).view(np.float32))


def project_with_threshold(scores: Scores, threshold: np.float32) -> Mask:
    """Return the mask of scores (groups, m, k) not below ``threshold``, as ``global_threshold`` gives it."""
    array = checked_scores(scores, 0.0)
    out = np.empty(array.shape, dtype=np.bool_)
    bits = np.array(threshold, dtype=np.float32).view(np.uint32)
    _kernels.keep_above(magnitude_bits(array).reshape(-1), np.uint32(bits), array.size, out.reshape(-1))
    return out
