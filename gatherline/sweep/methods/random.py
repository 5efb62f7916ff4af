"""Points drawn at random, all different, the same for the same seed.

Where every axis has values one by one, each point of the grid is equally likely; else each axis is drawn evenly by
itself. Uses only ``Random.random``, whose numbers Python promises to keep.
"""

from __future__ import annotations

from random import Random

from gatherline.request_error import RequestError
from gatherline.sweep.point import LevelChoice, Machine, Point, RunOptions
from gatherline.sweep.points import Grid

MOST_DRAWS = 64  # for each point asked: where so many bring nothing new, there is nothing left
Seen = set[tuple[LevelChoice, RunOptions, Machine]]


def random_points(grid: Grid, points: int, seed: int) -> list[Point]:
    """Return ``points`` points, or the whole grid where it has no more. Raises RequestError where too few differ."""
    source = Random(seed)
    if grid.listed:
        count = grid.count
        if points >= count:
            return [grid.point(number) for number in range(count)]
        return [renumbered(grid.point(place), at) for at, place in enumerate(_sample(source, count, points))]
    found: list[Point] = []
    seen: Seen = set()
    draws = range(grid.dimensions)
    for _ in range(points * MOST_DRAWS):
        add_new(found, seen, grid.drawn([source.random() for _ in draws], len(found)))
        if len(found) == points:
            return found
    raise too_few(points, len(found))


def _sample(source: Random, count: int, points: int) -> list[int]:
    """Return ``points`` different numbers below ``count``: the first steps of a shuffle of all of them."""
    moved: dict[int, int] = {}
    chosen = []
    for at in range(points):
        other = at + _below(source, count - at)
        chosen.append(moved.get(other, other))
        moved[other] = moved.get(at, at)
    return chosen


def _below(source: Random, count: int) -> int:
    """Return a whole number from 0 to below ``count``, which may be beyond what a float tells apart."""
    bits = 0
    for _ in range(count.bit_length() // 53 + 2):
        bits = bits << 53 | int(source.random() * (1 << 53))
    return bits % count


def renumbered(point: Point, number: int) -> Point:
    """Return ``point`` at another place of the sweep."""
    return Point(number=number, level=point.level, options=point.options, machine=point.machine)


def add_new(found: list[Point], seen: Seen, point: Point) -> None:
    """Append ``point`` unless an equal one is there."""
    key = (point.level, point.options, point.machine)
    if key not in seen:
        seen.add(key)
        found.append(point)


def too_few(points: int, found: int) -> RequestError:
    """Return the error of ranges that hold fewer points than asked for."""
    return RequestError(f"method.points is {points}, and the ranges of the spec gave only {found} different ones")
