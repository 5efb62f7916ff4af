"""Work for the workers of a Dask cluster in tests: module-level, so that workers find it by name.

A row is the point's number, the digest of its level's bytes and the process that made it. The model of a task is a
folder for what the tests watch, or a file.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from gatherline.sweep.dask_worker import Row, Work
from gatherline.sweep.point import LevelChoice, Machine, ModelChoice, RunOptions, Task

SLOW_S = 0.02


def level(model: str, pattern: str = "dense") -> LevelChoice:
    return LevelChoice(model=ModelChoice(model=model), pattern=pattern)


def task(number: int, of: LevelChoice, *, points: int = 1, base: str = "gs-tcm") -> Task:
    machines = tuple(Machine(base=base, fields=(("clock_hz", number + at),)) for at in range(points))
    numbers = tuple(range(number, number + points))
    return Task(level=of, options=RunOptions(), machines=machines, numbers=numbers, keys=tuple(map(str, numbers)))


def make_level(of: LevelChoice) -> bytes:
    """Bytes that tell the level; each time they are made is told in the model's folder, by the process."""
    folder = Path(of.model.model)
    if folder.is_dir():
        (folder / f"{of.pattern}-{os.getpid()}-{time.time_ns()}").touch()
    return f"{of.model.model} {of.pattern}".encode() * 1000


def evaluate(of: Task, data: bytes) -> list[Row]:
    if of.machines[0].base == "deadly":
        os._exit(1)
    if of.machines[0].base == "wrong":
        raise ValueError(f"point {of.numbers[0]} is wrong")
    time.sleep(SLOW_S)
    digest = hashlib.sha256(data).hexdigest()
    return [
        {"number": number, "level": digest, "fields": dict(machine.fields), "process": os.getpid()}
        for number, machine in zip(of.numbers, of.machines, strict=True)
    ]


def version() -> str:
    return "1"


def version_of_process() -> str:
    """Another one on each worker."""
    return str(os.getpid())


WORK = Work(evaluate=evaluate, make_level=make_level, version=version)
