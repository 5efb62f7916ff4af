"""Work for the workers of a Dask cluster in tests: module-level, so that workers find it by name.

A row is the point's number, the digest of its level's bytes and the process that made it. The model of a task is a
folder for what the tests watch, or a file.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from gatherline.report.columns import Row
from gatherline.sweep.dask_worker import FileNotHere, Work
from gatherline.sweep.point import LevelChoice, Machine, ModelChoice, RunOptions, Task

SLOW_S = 0.02


def level(model: str, pattern: str = "dense") -> LevelChoice:
    return LevelChoice(model=ModelChoice(model=model), pattern=pattern)


def task(number: int, of: LevelChoice, *, points: int = 1, base: str = "gs-tcm") -> Task:
    machines = tuple(Machine(base=base, fields=(("clock_hz", number + at),)) for at in range(points))
    numbers = tuple(range(number, number + points))
    return Task(level=of, options=RunOptions(), machines=machines, numbers=numbers, keys=tuple(map(str, numbers)))


def level_key(of: LevelChoice) -> str:
    """The content of a model that is a file, else its name."""
    path = Path(of.model.model)
    return path.read_text() if path.is_file() else of.model.model


def make_level(of: LevelChoice, key: str) -> bytes:
    """Bytes that tell the level; each time they are made is told in the model's folder, by the process."""
    path = Path(of.model.model)
    if path.is_dir():
        (path / f"{of.pattern}-{os.getpid()}-{time.time_ns()}").touch()
    elif not path.is_file() or path.read_text() != key:
        raise FileNotHere(of.model.model)
    return f"{of.model.model} {of.pattern}".encode() * 1000


def evaluate(of: Task, data: bytes) -> list[Row]:
    base = of.machines[0].base
    if base == "deadly":
        os._exit(1)
    if base == "wrong":
        raise ValueError(f"point {of.numbers[0]} is wrong")
    time.sleep(SLOW_S)
    digest = hashlib.sha256(data).hexdigest()
    device = f"{Path(base).name} {Path(base).read_text()}" if base.endswith(".toml") else base
    return [
        {"number": number, "level": digest, "device": device, "fields": dict(machine.fields), "process": os.getpid()}
        for number, machine in zip(of.numbers, of.machines, strict=True)
    ]


def version() -> str:
    return "1"


def version_of_process() -> str:
    """Another one on each worker."""
    return str(os.getpid())


WORK = Work(evaluate=evaluate, level_key=level_key, make_level=make_level, version=version)
