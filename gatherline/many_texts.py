"""Texts of many points made from those of their layers, each once for all points that have the same.

Left out: numbers in texts; who adds them does so by point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from costmodel.many import Texts


def each_once(found: Sequence[str]) -> list[str]:
    return [*dict.fromkeys(filter(None, found))]


def in_common(columns: Sequence[Texts], make: Callable[[Sequence[str]], Any]) -> list[Any]:
    """Return ``make`` of the texts of all layers at each point, made once for points that have the same."""
    codes = np.stack([column.codes for column in columns])
    first, which = _distinct(codes)
    made = [make([column.names[int(code)] for column, code in zip(columns, codes[:, at], strict=True)]) for at in first]
    return [made[place] for place in which]


def _distinct(codes: npt.NDArray[np.int32]) -> tuple[list[int], list[int]]:
    """Return the first point of each distinct column of ``codes`` [layers, points], and which one each point has."""
    moving = codes[(codes != codes[:, :1]).any(axis=1)]
    if not moving.size:
        return [0], [0] * codes.shape[1]
    known: dict[bytes, int] = {}
    first: list[int] = []
    which: list[int] = []
    for at, column in enumerate(np.ascontiguousarray(moving.T)):
        place = known.setdefault(column.tobytes(), len(known))
        if place == len(first):
            first.append(at)
        which.append(place)
    return first, which
