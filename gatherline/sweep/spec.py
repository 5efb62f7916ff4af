"""What a sweep is asked: models, masks, devices and their fields, what counts, how points are chosen: docs/sweep.md.

Left out: reading it (``spec_file.py``), and what points cost (``evaluate.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Literal, Protocol

from gatherline.request_error import RequestError
from gatherline.sweep.accuracy import Accuracy
from gatherline.sweep.methods.grid import grid_blocks
from gatherline.sweep.methods.random import random_points
from gatherline.sweep.methods.sobol import sobol_points
from gatherline.sweep.objective import Constraint, Objective
from gatherline.sweep.point import Point
from gatherline.sweep.points import Block, Grid

SCHEMA = 1
MethodName = Literal["grid", "random", "sobol", "nsga2", "tpe"]
SEARCHES = ("nsga2", "tpe")
DEFAULT_MOST_POINTS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """How points are chosen. ``points``: how many at most, None of a grid; ``population``: asked for at once."""

    name: MethodName = "grid"
    points: int | None = None
    seed: int = 0
    population: int = 50


class Search(Protocol):
    """A method that chooses points as results come in. The same results in the same order bring the same points."""

    def ask(self) -> list[Point]:
        """Return the next batch, [] when the search is done."""
        ...

    def tell(self, results: Sequence[Mapping[str, object]]) -> None:
        """Take the rows of the last batch, in its order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSpec:
    """A spec that was read: ``text`` as it stands in ``file``; every name in it was checked."""

    name: str
    file: str
    text: str
    grid: Grid
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    accuracy: Accuracy | None = None
    method: Method = Method()

    @property
    def searches(self) -> bool:
        """Return whether points depend on results, so that they come from ``search`` and not from ``tasks``."""
        return self.method.name in SEARCHES

    @property
    def count(self) -> int:
        """Return how many points there are; of a search, how many it may ask for."""
        if self.method.points is None:
            return self.grid.count
        return min(self.method.points, self.grid.count) if self.grid.listed else self.method.points

    @property
    def swept(self) -> tuple[str, ...]:
        """Return the paths of all device fields that vary, each once, in the order of the spec."""
        devices = self.grid.devices
        paths = [path for device in devices for path in (*dict(device.axes), *dict(device.follow))]
        return tuple(dict.fromkeys(paths))

    def check_most(self, most: int = DEFAULT_MOST_POINTS) -> None:
        """Raise RequestError where there are more than ``most`` points."""
        if self.count > most:
            what = "the grid has" if self.method.name == "grid" else f"method {self.method.name} takes"
            raise RequestError(f"{self.file}: {what} {self.count} points, and --max-points is {most}")

    def point(self, number: int) -> Point:
        """Return point ``number``, from 0. Raises RequestError for a search, or a number that is not there."""
        if self.method.name == "grid":
            return self.grid.point(number)
        drawn = self._drawn()
        if not 0 <= number < len(drawn):
            raise RequestError(f"point is {number}, and must be from 0 to {len(drawn) - 1}")
        return drawn[number]

    def tasks(self, most: int = 256) -> Iterator[Block]:
        """Yield all points in blocks of at most ``most`` that share level, options and device.

        Numbers rise within a block; of a grid over all blocks too. Raises RequestError for a search.
        """
        return grid_blocks(self.grid, most) if self.method.name == "grid" else _grouped(self._drawn(), most)

    def search(self) -> Search:
        """Return a new search of methods nsga2 and tpe. Raises RequestError where Optuna is missing."""
        from gatherline.sweep.methods.optuna import OptunaSearch

        if not self.searches:
            raise RequestError(f"{self.file}: method {self.method.name} knows its points ahead, and searches for none")
        return OptunaSearch(self.grid, self, self.method)

    def _drawn(self) -> tuple[Point, ...]:
        if self.searches:
            raise RequestError(f"{self.file}: method {self.method.name} chooses its points as results come in")
        return _drawn_points(self.grid, self.method)


@lru_cache(maxsize=2)
def _drawn_points(grid: Grid, method: Method) -> tuple[Point, ...]:
    draw = random_points if method.name == "random" else sobol_points
    assert method.points is not None
    return tuple(draw(grid, method.points, method.seed))


def _grouped(points: Sequence[Point], most: int) -> Iterator[Block]:
    """Yield points that share level, options and device together, in the order in which the first of them comes."""
    groups: dict[tuple[object, ...], list[Point]] = {}
    for point in points:
        groups.setdefault((point.level, point.options, point.machine.base), []).append(point)
    for group in groups.values():
        rest = iter(group)
        while part := list(islice(rest, most)):
            first = part[0]
            pairs = [(point.number, point.machine.fields) for point in part]
            yield first.level, first.options, first.machine.base, pairs
