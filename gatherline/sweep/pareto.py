"""Pareto fronts of points with several objectives: which points nothing beats, how much they cover, where they bend.

Pure functions over arrays [points, objectives]; every objective is minimised unless ``maximise`` says so. Exact in any
number of objectives, quick in two and three. A point *dominates* another if it is no worse in all objectives and better
in one. Equal points do not dominate each other: all of them are on the front, or none. A point with a value that is
NaN or infinite takes no part. Left out: constraints, which choose the points beforehand, and error bands.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
LEAST_FOR_A_KNEE = 3  # points: between two there is no bend


def front(values: ArrayLike, maximise: Sequence[bool] = ()) -> Indices:
    """Return the places of the points that no other dominates, rising.

    ``values``: [points, objectives]. ``maximise``: for each objective, whether more is better; () minimises all.
    O(n log n) in one, two and three objectives, O(n x front) above. Raises ValueError for another shape.
    """
    costs = _costs(values, maximise)
    taking_part = np.flatnonzero(np.isfinite(costs).all(axis=1))
    if not taking_part.size:
        return np.empty(0, dtype=np.int64)
    distinct, which = np.unique(costs[taking_part], axis=0, return_inverse=True)  # rising, first objective first
    kept = {1: _front_1d, 2: _front_2d, 3: _front_3d}.get(costs.shape[1], _front_any)(distinct)
    return taking_part[kept[which.reshape(-1)]].astype(np.int64)


def hypervolume(values: ArrayLike, reference: ArrayLike, maximise: Sequence[bool] = ()) -> float:
    """Return the volume that ``values`` dominate up to ``reference``, in the product of the objectives' units.

    Exact in one, two and three objectives; raises ValueError for more. Points that are not better than the reference in
    every objective add nothing. Reference: Zitzler, Thiele 1999 (the measure); Beume et al. 2009 (three objectives by
    sweeping one of them).
    """
    costs = _costs(values, maximise)
    corner = np.where(_signs(costs.shape[1], maximise) < 0, -1.0, 1.0) * np.asarray(reference, dtype=np.float64)
    if corner.shape != (costs.shape[1],) or not np.isfinite(corner).all():
        raise ValueError(f"reference is {reference!r}, and must be one finite number for each objective")
    inside = costs[np.isfinite(costs).all(axis=1) & (costs < corner).all(axis=1)]
    if costs.shape[1] > 3:
        raise ValueError(f"there are {costs.shape[1]} objectives, and a hypervolume is computed of at most 3")
    if not len(inside):
        return 0.0
    gains = corner - inside[front(inside)]  # what is dominated is a union of boxes from the corner
    return {1: _length, 2: _area, 3: _volume}[costs.shape[1]](gains)


def knee(values: ArrayLike, maximise: Sequence[bool] = ()) -> int | None:
    """Return the place of the point of a front where giving in one objective stops buying much in another.

    Each objective is scaled so that the front spans 0 (its best) to 1 (its worst). The knee is the point farthest from
    the plane through the corners that are best in one objective and worst in all others, toward the best in all. In
    two objectives that is the line through the front's two ends, and the knee is neither; in three it may be the best
    in one. It has the least sum of scaled objectives; of equals the first. None: fewer than three distinct points, or
    none on that side of the plane. Reference: Das 1999, "On characterizing the knee of the Pareto curve"; it moves if
    an objective is put on another (as a logarithmic) scale.
    """
    costs = _costs(values, maximise)
    if len(np.unique(costs, axis=0)) < LEAST_FOR_A_KNEE:
        return None
    best, worst = costs.min(axis=0), costs.max(axis=0)
    spread = worst > best
    scaled = (costs[:, spread] - best[spread]) / (worst[spread] - best[spread])
    sums = scaled.sum(axis=1)
    place = int(np.argmin(sums))
    beyond = np.count_nonzero(spread) - 1 - sums[place]
    return place if beyond > 1e-12 else None  # rounding of a sum of shares is no bend


def worst(values: ArrayLike, maximise: Sequence[bool] = ()) -> Floats:
    """Return the worst value of each objective over the points that take part, the usual reference."""
    costs = _costs(values, maximise)
    costs = costs[np.isfinite(costs).all(axis=1)]
    if not len(costs):
        raise ValueError("no point has a finite value in every objective, so none is worst")
    return np.asarray(costs.max(axis=0) * _signs(costs.shape[1], maximise))


def _signs(objectives: int, maximise: Sequence[bool]) -> Floats:
    if maximise and len(maximise) != objectives:
        raise ValueError(f"maximise has {len(maximise)} entries, and must have one for each of {objectives} objectives")
    return np.where(np.asarray(maximise or [False] * objectives, dtype=np.bool_), -1.0, 1.0)


def _costs(values: ArrayLike, maximise: Sequence[bool]) -> Floats:
    given = np.asarray(values, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] == 0:
        raise ValueError(f"values have shape {given.shape}, and must be [points, objectives]")
    return np.asarray(given * _signs(given.shape[1], maximise) + 0.0)  # -0.0 and 0.0 are one value


# each takes distinct points in rising order of their first objective, then second ..., and says which are on the front


def _front_1d(costs: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.arange(len(costs)) == 0)


def _front_2d(costs: Floats) -> NDArray[np.bool_]:
    second = costs[:, 1]
    before = np.concatenate(([np.inf], np.minimum.accumulate(second)[:-1]))
    return np.asarray(second < before)


def _front_3d(costs: Floats) -> NDArray[np.bool_]:
    """Sweep the first objective; the points so far form a staircase of the other two: seconds rise, thirds fall."""
    kept = np.zeros(len(costs), dtype=np.bool_)
    seconds: list[float] = []
    thirds: list[float] = []
    for place, (_, second, third) in enumerate(costs.tolist()):
        at = bisect_right(seconds, second)
        if at and thirds[at - 1] <= third:
            continue  # the step left of it is no worse in all three, and they are distinct
        start = bisect_left(seconds, second)
        end = start
        while end < len(thirds) and thirds[end] >= third:
            end += 1
        seconds[start:end], thirds[start:end] = [second], [third]
        kept[place] = True
    return kept


def _front_any(costs: Floats) -> NDArray[np.bool_]:
    """Compare each point with the front so far: none that comes later can dominate it."""
    kept = np.zeros(len(costs), dtype=np.bool_)
    members = np.empty_like(costs)
    count = 0
    for place, point in enumerate(costs):
        if not (members[:count] <= point).all(axis=1).any():
            members[count] = point
            count += 1
            kept[place] = True
    return kept


# each takes the gains [points, objectives] of a front over the corner, all above 0


def _length(gains: Floats) -> float:
    return float(gains.max())


def _area(gains: Floats) -> float:
    order = np.argsort(-gains[:, 0], kind="stable")  # first gains fall, second gains rise
    first, second = gains[order, 0], gains[order, 1]
    highest = np.maximum.accumulate(second)
    steps = np.diff(highest, prepend=0.0)
    return float(np.sum(first * steps))


def _volume(gains: Floats) -> float:
    """Sum slabs of the third objective: in each, the area under the staircase of the points that reach it."""
    order = np.argsort(-gains[:, 2], kind="stable")
    ends = np.append(gains[order, 2], 0.0)
    stairs: list[tuple[float, float]] = []  # first gains rise, second gains fall
    area = total = 0.0
    for place, at in enumerate(order):
        area += _widen(stairs, float(gains[at, 0]), float(gains[at, 1]))
        total += area * float(ends[place] - ends[place + 1])
    return total


def _widen(stairs: list[tuple[float, float]], first: float, second: float) -> float:
    """Add a corner to a staircase and return the area that it gains."""
    at = bisect_left(stairs, (first, second))
    if at < len(stairs) and stairs[at][1] >= second:
        return 0.0
    below = stairs[at][1] if at < len(stairs) else 0.0  # height that is already there up to ``first``
    gained, right, start = 0.0, first, at
    while start and stairs[start - 1][1] <= second:
        start -= 1
        left, height = stairs[start]
        gained += (right - left) * (second - below)
        right, below = left, height
    edge = stairs[start - 1][0] if start else 0.0
    gained += (right - edge) * (second - below)
    del stairs[start:at]
    insort(stairs, (first, second))
    return gained
