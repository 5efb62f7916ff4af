"""Tasks of a sweep on the workers of a Dask cluster: a scheduler somewhere, or one that this process starts.

Tasks go out a few for each thread of the cluster, rows come back as tasks complete, in any order. The masks of a level
are made once, by one worker or, where its files are on this machine only, here; each worker gets them once. A lost
worker's task runs again elsewhere, workers that join later get their share; after too many deaths on one task (Dask's
allowed-failures) it is an error that names its points. Dask's messages are Python's pickles: trust a cluster as you
trust this process. Left out: starting workers on other machines (docs/cluster.md shows how).
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any

from gatherline.report.columns import Row
from gatherline.sweep.dask_worker import FileNotHere, Order, TextFile, Work, carried, evaluate_task, make_level
from gatherline.sweep.point import LevelChoice, Task

if TYPE_CHECKING:
    from distributed import Client, Future

IN_FLIGHT = 2  # tasks a thread of the cluster: one runs, the other covers the way there and back
LEVELS_KEPT = 2  # whose bytes stay with the workers though no task under way needs them
FETCH_S = 10.0  # how long to wait for rows before looking at the cluster
POLL_S = 0.5  # how soon a lost scheduler and new workers are noticed


class ClusterLost(OSError):
    """The cluster cannot go on. What was stored stays, and the same command goes on from there; exit status 1."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.EIO, message)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DaskExecutor:
    """Runs tasks on the cluster that ``client`` is connected to. ``address``: how messages name it.

    ``wait_s``: how long the cluster may be without any worker.
    """

    address: str
    client: Client
    work: Work
    wait_s: float
    held: int = IN_FLIGHT

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, list[Row]]]:
        """Yield each task with its rows as it completes. Raises what evaluating raises, RequestError, ClusterLost."""
        state = _State(waiting=iter(tasks))
        order = Order(work=self.work, version=self.work.version())
        try:
            while True:
                self._send(state, order)
                if not state.under_way:
                    return
                for future in self._ended(state):
                    task = state.under_way.pop(future.key)[0]
                    rows = self._rows(future, task, state)
                    if rows is not None:
                        yield task, rows
        finally:
            for _, future in state.under_way.values():
                future.cancel(force=True)

    def _send(self, state: _State, order: Order) -> None:
        """Send tasks until each thread of the cluster has its few."""
        threads = self._threads(state)
        while len(state.under_way) < IN_FLIGHT * max(1, threads):
            task = state.again.popleft() if state.again else next(state.waiting, None)
            if task is None:
                return
            level = self._level(task.level, state, order)
            files = tuple(state.files(machine.base) for machine in task.machines if is_device_file(machine.base))
            future = self._asked(
                self.client.submit, evaluate_task, order, task, tuple(dict.fromkeys(files)), level, pure=False
            )
            state.under_way[future.key] = (task, future)
            future.add_done_callback(state.ended.put)

    def _threads(self, state: _State) -> int:
        """Return how many threads the cluster has. Raises ClusterLost where it has had none for long."""
        self._check_alive()
        threads = sum(map(int, self._asked(self.client.nthreads).values()))
        if threads:
            state.had_worker_s = monotonic()
        elif monotonic() - state.had_worker_s > self.wait_s:
            raise ClusterLost(
                f"the scheduler {self.address} has had no worker for {self.wait_s:g} s; what is done is stored, the "
                "same command goes on"
            )
        return threads

    def _level(self, level: LevelChoice, state: _State, order: Order) -> Future:
        """Return the bytes of ``level``, being made; those that no task needs any more are let go."""
        future = state.levels.pop(level, None)
        if future is None:
            key = self.work.level_key(level)
            if level.model.model in state.only_here:
                future = self._asked(self.client.submit, carried, self.work.make_level(level, key), pure=False)
            else:
                future = self._asked(self.client.submit, make_level, order, level, key, pure=False)
        state.levels[level] = future  # the last used is last
        used = {task.level for task, _ in state.under_way.values()} | {level}
        for old in list(state.levels)[:-LEVELS_KEPT]:
            if old not in used:
                del state.levels[old]
        return future

    def _ended(self, state: _State) -> list[Future]:
        """Wait for tasks to end and return them; none where it is time to look at the cluster again."""
        try:
            ended = [state.ended.get(timeout=POLL_S)]
        except Empty:
            self._check_alive()
            return []
        while not state.ended.empty():
            ended.append(state.ended.get())
        return ended

    def _rows(self, future: Future, task: Task, state: _State) -> list[Row] | None:
        """Return the rows of a task that ended; None where it goes out again, its level made here."""
        from distributed import KilledWorker

        if future.status == "finished":
            return self._fetched(future, state)
        if future.status != "error":
            raise self._lost()
        error = self._asked(future.exception)
        if isinstance(error, FileNotHere):
            state.only_here.add(task.level.model.model)
            state.levels.pop(task.level, None)
            state.again.append(task)
            return None
        if isinstance(error, KilledWorker):
            deaths = error.allowed_failures + 1
            raise ClusterLost(
                f"{named(task)}: {deaths} worker{'s' if deaths > 1 else ''} died working on it, for lack of memory "
                "perhaps; what is done is stored"
            )
        raise error

    def _fetched(self, future: Future, state: _State) -> list[Row]:
        """Return the rows of a task that ended. If its worker was lost since, it runs again, and this waits for it."""
        while True:
            try:
                rows: list[Row] = future.result(timeout=min(self.wait_s, FETCH_S))
                return rows
            except TimeoutError:
                self._threads(state)
            except (OSError, CancelledError, asyncio.CancelledError):
                raise self._lost() from None

    def _check_alive(self) -> None:
        if self.client.status != "running":
            raise self._lost()

    def _asked(self, ask: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Return what the cluster answers, with a broken connection as ClusterLost."""
        from distributed.client import ClosedClientError

        try:
            return ask(*arguments, **options)
        except (OSError, CancelledError, asyncio.CancelledError, ClosedClientError):
            raise self._lost() from None

    def _lost(self) -> ClusterLost:
        return ClusterLost(f"the scheduler {self.address} is lost; what is done is stored, the same command goes on")


@dataclass(slots=True, kw_only=True)
class _State:
    """Where a run stands: tasks to send, those under way by the key of their future, futures that ended, levels."""

    waiting: Iterator[Task]
    again: deque[Task] = field(default_factory=deque)
    under_way: dict[str, tuple[Task, Future]] = field(default_factory=dict)
    ended: SimpleQueue[Future] = field(default_factory=SimpleQueue)
    levels: dict[LevelChoice, Future] = field(default_factory=dict)
    only_here: set[str] = field(default_factory=set)  # models whose files workers do not have
    had_worker_s: float = field(default_factory=monotonic)
    texts: dict[str, TextFile] = field(default_factory=dict)

    def files(self, path: str) -> TextFile:
        """Return a device's file, read once in a run."""
        if path not in self.texts:
            self.texts[path] = TextFile(path=path, content=Path(path).read_bytes())
        return self.texts[path]


def is_device_file(base: str) -> bool:
    """Return whether a machine's base is a file, not a preset."""
    return base.endswith(".toml")


def named(task: Task) -> str:
    """Return the words that name a task in a message."""
    of, last = task.level, task.numbers[-1]
    points = f"point {last}" if len(task.numbers) == 1 else f"points {task.numbers[0]} to {last}"
    sparsity = "" if of.sparsity is None else f" at {of.sparsity:g}"
    return f"{points} ({of.model.model}, {of.pattern}{sparsity}, {task.machines[0].base})"
