"""What a worker of a Dask cluster does for a sweep: make the masks of a level, or evaluate a task with masks it gets.

Module-level functions, since Dask carries them by name. A worker with other code refuses. Files of devices come with a
task, by content. Left out: how tasks get here (``dask_executor.py``), what a level and a row are (``remote.py``).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from gatherline.report.columns import Row
from gatherline.request_error import RequestError
from gatherline.sweep.point import LevelChoice, Task
from simulator.parallel import THREADS


class FileNotHere(Exception):
    """A worker cannot read a file that a level is made of, or reads another content: the client makes the level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is done on workers, as module-level functions, which travel by name.

    ``evaluate``: the rows of a task, from the bytes of its level. ``level_key``: names those bytes by all that they are
    made of. ``make_level``: makes them from a level and its key, or raises FileNotHere. ``version``: of the code that
    makes rows, the same on all sides.
    """

    evaluate: Callable[[Task, bytes], list[Row]]
    level_key: Callable[[LevelChoice], str]
    make_level: Callable[[LevelChoice, str], bytes]
    version: Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a worker needs beside a task: what to run, and the version of the client's code."""

    work: Work
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFile:
    """A file of the client that a task names, with its content."""

    path: str
    content: bytes


def evaluate_task(order: Order, task: Task, files: tuple[TextFile, ...], level: bytes) -> list[Row]:
    """Return the rows of ``task``. ``files``: of its devices, as the client has them."""
    _check(order)
    here = {file.path: _path_here(file) for file in files}
    machines = tuple(replace(machine, base=here.get(machine.base, machine.base)) for machine in task.machines)
    return order.work.evaluate(replace(task, machines=machines), level)


def make_level(order: Order, level: LevelChoice, key: str) -> bytes:
    """Return the bytes of ``level``. ``key``: its key where the client is. Raises FileNotHere."""
    _check(order)
    return order.work.make_level(level, key)


def carried(level: bytes) -> bytes:
    """Return the bytes of a level that the client made: as a task they are sent again when their worker is lost."""
    return level


def _check(order: Order) -> None:
    """Raise RequestError unless this worker has the client's code; keep each task on the thread that runs it."""
    os.environ[THREADS] = "1"
    here = order.work.version()
    if here != order.version:
        raise RequestError(
            f"a worker, process {os.getpid()}, has version {here} of the code, and this process has {order.version}: "
            "install the same on both"
        )


def _path_here(file: TextFile) -> str:
    """Return a path of this machine, of the same name, where ``file``'s content is."""
    try:
        if Path(file.path).read_bytes() == file.content:
            return file.path
    except OSError:
        pass
    return _written(file)


@cache
def _written(file: TextFile) -> str:
    path = Path(mkdtemp(dir=_folder().name)) / Path(file.path).name
    path.write_bytes(file.content)
    return str(path)


@cache
def _folder() -> TemporaryDirectory[str]:
    """A folder of this process that goes when it ends."""
    return TemporaryDirectory(prefix="gatherline-")
