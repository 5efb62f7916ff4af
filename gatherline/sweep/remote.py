"""What a worker of another process tree does with a level that travels as bytes: make it, and evaluate tasks with it.

The same rows as ``evaluate.py`` gives here. A level that cannot be travels as the reason, which its rows then say.
"""

from __future__ import annotations

from functools import lru_cache

from gatherline.cache import user_cache
from gatherline.report.columns import Row
from gatherline.sweep.code_version import code_version
from gatherline.sweep.dask_worker import Work
from gatherline.sweep.evaluate import OF_A_LEVEL, refused_rows, rows_on
from gatherline.sweep.level_key import level_key
from gatherline.sweep.point import LevelChoice, Task
from gatherline.sweep.traced import KIND, TracedLevel, _made, traced_from

_CANNOT_BE = b"refused: "  # no level begins so


def level_or_reason(level: LevelChoice) -> bytes:
    """Return the bytes of a level, from this machine's cache where it has them, or why it cannot be."""
    cache = user_cache()
    try:
        if cache is None:
            return _made(level)
        return cache.made(KIND, level_key(level), lambda: _made(level))
    except OF_A_LEVEL as error:
        return _CANNOT_BE + str(error).encode()


def evaluate_level(task: Task, level: bytes) -> list[Row]:
    """Return the rows of a task from the bytes of its level."""
    if level.startswith(_CANNOT_BE):
        return refused_rows(task, level.removeprefix(_CANNOT_BE).decode())
    return rows_on(task, _read(level))


@lru_cache(maxsize=1)
def _read(level: bytes) -> TracedLevel:
    return traced_from("", level, "a level that was sent")


DASK_WORK = Work(evaluate=evaluate_level, make_level=level_or_reason, version=code_version)
