"""From the points of a sweep to tasks: what the store has is left out, the rest cut so that a task lasts seconds.

A sweep that is killed loses the tasks under way, so they are short; a worker that gets one pays for its masks, so they
are not shorter. How many points make a task is learned while the sweep runs and changes no row.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gatherline.report.columns import Row
from gatherline.request import device_named
from gatherline.sweep.effective import effective_options
from gatherline.sweep.keys import Keys
from gatherline.sweep.point import LevelChoice, Machine, Point, RunOptions, Task
from gatherline.sweep.points import Block
from gatherline.sweep.store import Member, Store
from simulator.spec import Device

TASK_S = 4.0  # what a task is to take
LEAST, MOST = 1, 2000  # points of a task
FIRST_CYCLE, FIRST_ROOFLINE = 8, 64  # of the first one, whose speed nobody knows
GROWTH = 4.0  # from one task to the next of its kind, at most
FOUND_AT_ONCE = 5000  # members written in one transaction

AccuracyOf = Callable[[Mapping[str, object]], float | None]
Kind = tuple[str, str]  # model and base device: what most decides how long a point takes


@dataclass(slots=True, kw_only=True)
class Pace:
    """How many points a task of each kind has. ``held``: tasks that each worker has at a time, one of them running."""

    held: int = 1
    _most: dict[Kind, int] = field(default_factory=dict)
    _begun: dict[Task, float] = field(default_factory=dict)

    def most(self, kind: Kind) -> int:
        """Return how many points the next task of ``kind`` has at most."""
        if kind not in self._most:
            self._most[kind] = FIRST_CYCLE if isinstance(device_named(kind[1]), Device) else FIRST_ROOFLINE
        return self._most[kind]

    def begin(self, task: Task) -> None:
        self._begun[task] = time.monotonic()

    def end(self, task: Task) -> None:
        """Learn from how long a task took; it also waited for those that its worker had before it."""
        seconds = max(1e-3, (time.monotonic() - self._begun.pop(task)) / self.held)
        fits = min(TASK_S / seconds, GROWTH) * len(task.machines)
        self._most[_kind(task.level, task.machines[0].base)] = min(MOST, max(LEAST, round(fits)))


def _kind(level: LevelChoice, base: str) -> Kind:
    return level.model.model, base


@dataclass(slots=True, kw_only=True)
class Plan:
    """Cuts the points of a sweep into tasks, and stores what comes back.

    ``accuracy``: of the user's table, for a row; None without a table. ``found``: points whose row was there.
    """

    store: Store
    sweep: int
    accuracy: AccuracyOf | None
    told: Callable[[int], None]  # how many points are over
    pace: Pace = field(default_factory=Pace)
    found: int = 0
    computed: int = 0
    refused: int = 0
    _unwritten: list[tuple[int, str]] = field(default_factory=list)  # points found, not yet written as members
    _waiting: dict[str, list[int]] = field(default_factory=dict)  # numbers of the points under way, by key
    _keys: tuple[LevelChoice, RunOptions, str, RunOptions, Keys] | None = None

    def tasks(self, blocks: Iterable[Block]) -> Iterator[Task]:
        """Yield the tasks for what the store lacks; say of what it has that it is in this sweep.

        Points that differ only in an option that their device does not have are equal, and have one row.
        """
        for level, asked, base, machines in blocks:
            options, keys = self._keys_of(level, asked, base)
            keyed = [(keys.key(fields), number, fields) for number, fields in machines]
            known = self.store.known([key for key, _, _ in keyed])
            self._find([(number, key) for key, number, _ in keyed if key in known])
            lacking: dict[str, tuple[int, Machine]] = {}
            for key, number, fields in keyed:
                if key in known:
                    continue
                if key in self._waiting:
                    self._waiting[key].append(number)
                    continue
                self._waiting[key] = [number]
                lacking[key] = number, Machine(base=base, fields=tuple(fields))
            yield from self._cut(level, options, base, list(lacking.items()))
        self.flush()

    def _find(self, points: Sequence[tuple[int, str]]) -> None:
        self._unwritten += points
        if len(self._unwritten) >= FOUND_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write the points whose rows were there as members of this sweep."""
        rows = {} if self.accuracy is None else self.store.rows([key for _, key in self._unwritten])
        members = [self._member(number, key, rows.get(key)) for number, key in self._unwritten]
        self.store.add(self.sweep, [], members)
        self.found += len(members)
        self.told(len(members))
        self._unwritten.clear()

    def store_rows(self, task: Task, rows: Sequence[Row]) -> None:
        """Store what a task gave, in one transaction; equal points of the sweep have one row."""
        self.pace.end(task)
        members = [
            self._member(number, key, row)
            for key, row in zip(task.keys, rows, strict=True)
            for number in self._waiting.pop(key)
        ]
        self.store.add(self.sweep, rows, members)
        self.computed += len(rows)
        self.refused += sum(row["refused"] is not None for row in rows)
        self.found += len(members) - len(rows)
        self.told(len(members))

    def _member(self, number: int, key: str, row: Row | None) -> Member:
        accuracy = None if self.accuracy is None or row is None or row["refused"] else self.accuracy(row)
        return Member(number=number, key=key, accuracy=accuracy)

    def _cut(
        self, level: LevelChoice, options: RunOptions, base: str, lacking: Sequence[tuple[str, tuple[int, Machine]]]
    ) -> Iterator[Task]:
        start = 0
        while start < len(lacking):
            part = lacking[start : start + self.pace.most(_kind(level, base))]
            start += len(part)
            task = Task(
                level=level,
                options=options,
                machines=tuple(machine for _, (_, machine) in part),
                numbers=tuple(number for _, (number, _) in part),
                keys=tuple(key for key, _ in part),
            )
            self.pace.begin(task)
            yield task

    def _keys_of(self, level: LevelChoice, asked: RunOptions, base: str) -> tuple[RunOptions, Keys]:
        if self._keys is None or self._keys[:3] != (level, asked, base):
            device = device_named(base)
            self.store.know_base(device)
            options = effective_options(asked, device)
            self._keys = level, asked, base, options, Keys(level, options, base)
        return self._keys[3:]


def blocks_of(points: Sequence[Point]) -> list[Block]:
    """Return points as blocks of one level, options and base, in the order in which those first come."""
    found: dict[tuple[LevelChoice, RunOptions, str], Block] = {}
    for point in points:
        shared = point.level, point.options, point.machine.base
        found.setdefault(shared, (*shared, []))[3].append((point.number, point.machine.fields))
    return list(found.values())
