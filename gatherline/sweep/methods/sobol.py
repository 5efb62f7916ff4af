"""Points of a scrambled Sobol sequence: spread more evenly than at random, all different, the same for the same seed.

One dimension for each of model, mask, sparsity, options, device and field (devices share those of their fields).
Reference: Owen, Scrambling Sobol' and Niederreiter-Xing points, 1998; as SciPy has it.
"""

from __future__ import annotations

from gatherline.sweep.methods.random import MOST_DRAWS, Seen, add_new, too_few
from gatherline.sweep.point import Point
from gatherline.sweep.points import Grid

_MOST_AT_ONCE = 16  # a power of two of draws: bounds memory
_BITS = 53  # of a draw: all that a float tells apart


def sobol_points(grid: Grid, points: int, seed: int) -> list[Point]:
    """Return ``points`` points, or the whole grid where it has no more; RequestError where ranges hold too few.

    A listed grid that the sequence does not exhaust in many draws is filled up in the order of its numbers.
    """
    from scipy.stats.qmc import Sobol

    if grid.listed and points >= grid.count:
        return [grid.point(number) for number in range(grid.count)]
    sequence = Sobol(d=grid.dimensions, scramble=True, bits=_BITS, rng=seed)
    found: list[Point] = []
    seen: Seen = set()
    power = min((points - 1).bit_length(), _MOST_AT_ONCE)
    draws = 0
    while len(found) < points and draws < points * MOST_DRAWS:
        for row in sequence.random(1 << power).tolist():
            add_new(found, seen, grid.drawn(row, len(found)))
            if len(found) == points:
                return found
        draws += 1 << power
    if not grid.listed:
        raise too_few(points, len(found))
    for number in range(grid.count):
        if len(found) == points:
            break
        point = grid.point(number)
        add_new(found, seen, Point(
            number=len(found), level=point.level, options=point.options, machine=point.machine))  # fmt: skip
    return found
