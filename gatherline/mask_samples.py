"""What a run keeps of its masks for those who look at it later: loads of every pruned layer, and a few windows.

A run holds too many masks to keep them all. Of each pruned layer its row and bank loads stay; of the few with the most
multiply-adds also a window, weight by weight, and the density all over the matrix. Left out: the masks themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FILE = "masks.json"  # in the folder of a run
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskWindow:
    """The first rows and columns of a layer's first group, and the density of equal parts of that group's matrix.

    ``kept`` [rows, columns] of at most 64 x 128; ``density`` [parts down, parts across] of at most 48 x 96, 0 to 1.
    """

    kept: npt.NDArray[np.bool_]
    density: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskSample:
    """One pruned layer at one pattern and sparsity, both as the run's rows name them.

    ``m`` and ``k``: of one group's matrix. ``row_load``, ``bank_load``: as ``load_summary`` has them (min, mean, max,
    cv, bin_edges, bin_counts); banks of ``banks`` banks and bundles of as many rows. ``window``: of a few layers.
    """

    layer: str
    pattern: str
    sparsity: float | None
    layer_pattern: str
    groups: int
    m: int
    k: int
    kept: int
    banks: int
    row_load: Mapping[str, object]
    bank_load: Mapping[str, object]
    window: MaskWindow | None = None
