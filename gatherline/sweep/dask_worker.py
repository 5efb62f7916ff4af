"""What a worker of a Dask cluster does for a sweep: make the masks of a level, or evaluate a task with masks it gets.

Module-level functions, since Dask carries them by name. A worker with other code refuses. Left out: how tasks get here
(``dask_executor.py``) and what a row is (``evaluate.py``).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gatherline.request_error import RequestError
from gatherline.sweep.point import LevelChoice, Task
from simulator.parallel import THREADS

Row = dict[str, object]


class FileNotHere(Exception):
    """A worker cannot read a file that a level is made of, or reads another content: the client makes the level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is done on workers, as module-level functions, which travel by name.

    ``evaluate``: the rows of a task, from the bytes of its level. ``make_level``: those bytes. ``version``: of the code
    that makes them, the same on all sides.
    """

    evaluate: Callable[[Task, bytes], list[Row]]
    make_level: Callable[[LevelChoice], bytes]
    version: Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a worker needs to know of the client beside a task: what to run, and the version of the client's code."""

    work: Work
    version: str


def checked(order: Order) -> None:
    """Raise RequestError unless this worker has the client's code; keep each task on the thread that runs it."""
    os.environ[THREADS] = "1"
    here = order.work.version()
    if here != order.version:
        raise RequestError(
            f"a worker on {os.uname().nodename} has version {here} of the code, and this process has {order.version}: "
            "install the same on both"
        )


def evaluate_task(order: Order, task: Task, level: bytes) -> list[Row]:
    """Return the rows of ``task``."""
    checked(order)
    return order.work.evaluate(task, level)


def make_level(order: Order, level: LevelChoice, files: tuple[tuple[str, str], ...]) -> bytes:
    """Return the bytes of ``level``. ``files``: those that it is made of, (path, digest), as the client reads them.

    Raises FileNotHere.
    """
    checked(order)
    for path, digest in files:
        if not Path(path).is_file() or file_digest(path) != digest:
            raise FileNotHere(path)
    return order.work.make_level(level)


def carried(level: bytes) -> bytes:
    """Return the bytes of a level that the client made: as a task they are sent again when their worker is lost."""
    return level


def files_of(level: LevelChoice) -> tuple[tuple[str, str], ...]:
    """Return the files that ``level`` is made of, with their digests; none for a built-in network."""
    return tuple((path, file_digest(path)) for path in (level.model.model, level.ratios) if Path(path).is_file())


def file_digest(path: str) -> str:
    """Return the SHA-256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
