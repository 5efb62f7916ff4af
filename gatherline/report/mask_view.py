"""A layer's mask as a picture needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskView:
    """mask (groups, m, k) of ``layer``; ``banks`` [groups, k]: bank of each column, None where there are none.

    ``patterns``: those the mask obeys, the best first, with shares. ``projected``: the pattern that made the mask, ""
    for the zeros of the model.
    """

    layer: str
    title: str
    mask: npt.NDArray[np.bool_]
    banks: npt.NDArray[np.int64] | None
    bank_count: int
    patterns: Mapping[str, float]
    projected: str
