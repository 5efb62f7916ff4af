"""What the GS(B, k) projections are: the paper's greedy one step by step, the best one as a linear program.

Reference: DESIGN section 3; Sun et al., arXiv 2112.10898; HiGHS through scipy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

Array = npt.NDArray[Any]


def greedy(scores: Array, banks: Array, count: int, k: int, groups: list[int]) -> Array:
    """The paper's projection as DESIGN section 3 words it, step by step; equal scores: lowest column, then row."""
    rows, columns = scores.shape
    high = count // k
    mask = np.zeros(scores.shape, dtype=np.bool_)
    for bundle, number in enumerate(groups):
        members = range(bundle * high, min((bundle + 1) * high, rows))
        for _ in range(number):
            used: set[int] = set()
            wants = dict.fromkeys(members, k)
            for _ in range(count):
                open_weights = [
                    (-scores[row, column], column, row)
                    for row in members
                    if wants[row]
                    for column in range(columns)
                    if not mask[row, column] and banks[column] not in used
                ]
                if not open_weights:
                    break
                _, column, row = min(open_weights)
                mask[row, column] = True
                used.add(int(banks[column]))
                wants[row] -= 1
    return mask


def most(scores: Array, banks: Array, count: int, k: int, groups: int, allowed: Array) -> tuple[int, int]:
    """Return (slots filled, score kept) of the best choice for one bundle: slots first, then score.

    One variable from 0 to 1 for each weight of scores [rows, columns], whole numbers. A row keeps at most k x groups, a
    bank at most groups; such a program has a best solution in whole numbers (its matrix is totally unimodular).
    """
    row, column = np.nonzero(allowed)
    if not len(row):
        return 0, 0
    gain = scores[row, column] + 1.0 + scores.sum()  # a slot more outweighs any score
    limits = np.zeros((scores.shape[0] + count, len(row)))
    limits[row, np.arange(len(row))] = 1
    limits[scores.shape[0] + banks[column], np.arange(len(row))] = 1
    bounds = [k * groups] * scores.shape[0] + [groups] * count
    found = linprog(-gain, A_ub=limits, b_ub=bounds, bounds=(0, 1), method="highs")
    assert found.status == 0, found.message
    kept = np.round(found.x)
    assert np.abs(found.x - kept).max() < 1e-6
    return int(kept.sum()), int(kept @ scores[row, column])
