"""Points and figures of a sweep that no reader could tell apart, taken as one: points that a device cannot tell apart,
figures that print alike, and objectives that no point has.

``simulate front`` takes all of them as they are stored; a page says where it differs. Left out: bands that overlap.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gatherline.sweep.front import Points
from gatherline.sweep.objective import Objective

ALIKE = 1e-6  # of a figure: less prints alike in four digits, and is rounding of sums in another order


def distinct_points(points: Points) -> Points:
    """Return the first point of each key: equal keys are one row of the store, whatever number they have."""
    first: dict[str, int] = {}
    for at, key in enumerate(points.keys):
        first.setdefault(key, at)
    return points if len(first) == len(points.keys) else points.at(np.array(list(first.values()), dtype=np.int64))


def alike_figures(points: Points, objectives: tuple[Objective, ...]) -> Points:
    """Return ``points`` with figures of objectives that print alike made equal, to the best of them."""
    columns = [_alike(points.values[:, at], each.direction == "max") for at, each in enumerate(objectives)]
    return replace(points, values=np.column_stack(columns))


def _alike(values: NDArray[np.float64], maximise: bool) -> NDArray[np.float64]:
    """Return each figure as the best of its group; a group ends where a figure is too far from the best of it."""
    sign = -1.0 if maximise else 1.0
    costs, which = np.unique(sign * values, return_inverse=True)  # rising, the best first, NaN last
    near = np.isfinite(costs[:-1]) & (np.diff(costs) <= ALIKE * np.abs(costs[:-1]))
    leader = -1
    for at in np.flatnonzero(near).tolist():
        if leader < 0 or costs[at] != costs[leader]:
            leader = at
        if costs[at + 1] - costs[leader] <= ALIKE * abs(costs[leader]):
            costs[at + 1] = costs[leader]
    return np.asarray(sign * costs[which.reshape(-1)] + 0.0)


def known_objectives(points: Points, objectives: tuple[Objective, ...]) -> tuple[Objective, ...]:
    """Return the objectives that some point has a figure of; all where there is none to choose by."""
    has = np.isfinite(points.values[~points.refused])
    known = tuple(each for at, each in enumerate(objectives) if has[:, at].any())
    return known or objectives


def by_objectives(points: Points, objectives: tuple[Objective, ...], kept: tuple[Objective, ...]) -> Points:
    """Return ``points`` with the figures of ``kept`` alone."""
    return replace(points, values=points.values[:, [objectives.index(each) for each in kept]])
