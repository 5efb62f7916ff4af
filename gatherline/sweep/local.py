"""Evaluates tasks on this machine: in this process, or in worker processes, each a fresh interpreter.

A worker has one task at a time and one thread. A worker that dies (killed, out of memory) is replaced and its task is
run again; a task that three workers died of stops the sweep. When this process is killed, its workers end by
themselves. Left out: other machines (``dask_executor.py``).
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Protocol

from gatherline.report.columns import Row
from gatherline.sweep.evaluate import evaluate
from gatherline.sweep.point import Task

Evaluate = Callable[[Task], list[Row]]
MOST_DEATHS = 3  # workers that one task may take with it
ONE_THREAD = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMBA_NUM_THREADS",
    "GATHERLINE_THREADS",
)  # fmt: skip


class WorkerLostError(RuntimeError):
    """A task that took several workers with it: which points it has."""


class Executor(Protocol):
    """Evaluates tasks somewhere."""

    @property
    def held(self) -> int:
        """Return how many tasks each worker has at a time, one of them running."""
        ...

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, list[Row]]]:
        """Yield each task once with its rows, in any order; the task of a worker that is lost is run again."""
        ...


class ThisProcess:
    """Evaluates tasks one after another, here."""

    held = 1

    def __init__(self, evaluate: Evaluate = evaluate) -> None:
        self._evaluate = evaluate

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, list[Row]]]:
        """Yield each task with its rows, in order."""
        for task in tasks:
            yield task, self._evaluate(task)


def started_worker(task: Task) -> list[Row]:
    """Return the rows of a task from a worker that is started for it and ends with it: what a first task takes."""
    ((_, rows),) = LocalProcesses(1).run([task])
    return rows


@dataclass(slots=True, kw_only=True, eq=False)
class _Worker:
    """A process, our end of its pipe, and the task that it has."""

    process: SpawnProcess
    pipe: Connection
    task: Task | None = None


class LocalProcesses:
    """Evaluates tasks in ``workers`` processes. ``evaluate``: a function of a module.

    As a context it keeps its workers from run to run, since starting one takes longer than many a batch; they end with
    the context. Outside of one they end with each run.
    """

    held = 1

    def __init__(self, workers: int, evaluate: Evaluate = evaluate) -> None:
        self._count = workers
        self._evaluate = evaluate
        self._keeps = False
        self._workers: list[_Worker] = []

    def __enter__(self) -> LocalProcesses:
        self._keeps = True
        return self

    def __exit__(self, *_: object) -> None:
        self._keeps = False
        self._end_workers(self._workers)

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, list[Row]]]:
        """Yield tasks with their rows as they end; a task is taken when a worker is free for it.

        Raises WorkerLostError, and what ``evaluate`` raises.
        """
        waiting, deaths = iter(tasks), dict[Task, int]()
        again: list[Task] = []
        try:
            while True:
                self._hand_out(waiting, again)
                busy = [worker for worker in self._workers if worker.task is not None]
                if not busy:
                    return
                for pipe in wait([worker.pipe for worker in busy]):
                    worker = next(each for each in busy if each.pipe is pipe)
                    task = worker.task
                    assert task is not None
                    rows = _answer(worker)
                    worker.task = None
                    if rows is not None:
                        yield task, rows
                        continue
                    self._workers.remove(worker)
                    _count_death(task, deaths, worker)
                    again.append(task)
        finally:
            done_with = [worker for worker in self._workers if worker.task is not None]  # of a run that was left
            self._end_workers(done_with if self._keeps else self._workers)

    def _end_workers(self, workers: list[_Worker]) -> None:
        for worker in tuple(workers):
            self._workers.remove(worker)
            _end(worker)

    def _hand_out(self, waiting: Iterator[Task], again: list[Task]) -> None:
        """Give every idle worker a task, as long as there are some; start workers while there is work for them."""
        workers = self._workers
        for place in range(self._count):
            if place < len(workers) and workers[place].task is not None:
                continue
            task = again.pop(0) if again else next(waiting, None)
            if task is None:
                return
            if place == len(workers):
                workers.append(_started(self._evaluate))
            workers[place].task = task
            with suppress(OSError):  # the worker is dead, which the wait for its answer tells
                workers[place].pipe.send(task)


def _answer(worker: _Worker) -> list[Row] | None:
    """Return the rows that a worker sends, None where it died. Raises the error that it sends."""
    try:
        answer: list[Row] | Exception = worker.pipe.recv()
    except (EOFError, OSError):
        return None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _count_death(task: Task, deaths: dict[Task, int], worker: _Worker) -> None:
    """Raise WorkerLostError for a task that took too many workers with it."""
    _end(worker)
    deaths[task] = deaths.get(task, 0) + 1
    if deaths[task] >= MOST_DEATHS:
        code = worker.process.exitcode
        how = f"signal {-code}" if code is not None and code < 0 else f"status {code}"
        raise WorkerLostError(
            f"{told(task)}: {MOST_DEATHS} workers ended with it, the last by {how}; if memory is short, give fewer "
            f"--workers"
        )


def told(task: Task) -> str:
    """Return a task as an error names it: the numbers of its points, its masks and its device."""
    numbers = sorted(task.numbers)
    points = f"point {numbers[0]}" if len(numbers) == 1 else f"points {numbers[0]} to {numbers[-1]}"
    level = task.level
    sparsity = "" if level.sparsity is None else f" at {level.sparsity:g}"
    return f"{points} ({level.model.model} {level.pattern}{sparsity} on {task.machines[0].base})"


def _started(evaluate: Evaluate) -> _Worker:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, evaluate), daemon=True, name="gatherline-worker")
    kept = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))  # read when the worker loads NumPy and Numba
    try:
        process.start()
    finally:
        for name, value in kept.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    theirs.close()
    return _Worker(process=process, pipe=ours)


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.terminate()
    worker.process.join()


def _serve(pipe: Connection, evaluate: Evaluate) -> None:
    """Evaluate tasks until the pipe closes. Ctrl-C is for the process that asked, which then ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer: object = evaluate(task)
        except Exception as error:  # whatever it is, whoever asked raises it: a worker decides nothing
            answer = _sendable(error)
        try:
            pipe.send(answer)
        except OSError:
            return


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _sendable(error: Exception) -> Exception:
    """Return an error that survives the pipe, with where it was raised for ``--debug``."""
    where = "".join(traceback.format_exception(error))
    try:
        copy = pickle.loads(pickle.dumps(error))  # our own error, made here: what the pipe will do to it
    except Exception:  # an error whose constructor wants other arguments can fail in any way
        copy = None
    told_error = (
        error
        if type(copy) is type(error) and str(copy) == str(error)
        else RuntimeError(f"{type(error).__name__}: {error}")
    )
    told_error.add_note(f"in a worker:\n{where}")
    return told_error
