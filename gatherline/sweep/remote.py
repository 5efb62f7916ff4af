"""What a worker of another process tree does with a level that travels as bytes: make it, and evaluate tasks with it.

A worker looks for a level in its own cache, then makes it from the model if it reads the same file, else leaves it to
the client. The same rows as ``evaluate.py`` gives here. A level that cannot be travels as the reason, which its rows
then say.
"""

from __future__ import annotations

from functools import lru_cache

from gatherline.cache import user_cache
from gatherline.report.columns import Row
from gatherline.sweep.code_version import code_version
from gatherline.sweep.dask_worker import FileNotHere, Work
from gatherline.sweep.evaluate import OF_A_LEVEL, refused_rows, rows_on
from gatherline.sweep.level_key import level_key
from gatherline.sweep.point import LevelChoice, Task
from gatherline.sweep.traced import KIND, TracedLevel, level_data, traced_from
from traces.layer import ModelError
from traces.ratios import RatioError

_CANNOT_BE = b"refused: "  # no level begins so


def key_or_none(level: LevelChoice) -> str:
    """Return the key of a level, "" of one that cannot be. Raises ModelError."""
    try:
        return level_key(level)
    except OF_A_LEVEL:
        return ""


def level_or_reason(level: LevelChoice, key: str) -> bytes:
    """Return the bytes of the level that has ``key`` at the client, or why it cannot be.

    Raises FileNotHere where this machine's cache does not have it and its files do not give that key.
    """
    cache = user_cache()
    found = cache.read(KIND, key) if cache is not None and key else None
    if found is not None:
        return found
    try:
        if _key_here(level, key) != key:
            raise FileNotHere(f"{level.model.model} or {level.ratios} is another file here")
        return level_data(level, key, cache)
    except OF_A_LEVEL as error:
        return _CANNOT_BE + str(error).encode()


def _key_here(level: LevelChoice, key: str) -> str:
    try:
        return level_key(level)
    except (ModelError, RatioError, OSError) as error:
        if key:
            raise FileNotHere(str(error)) from None
        raise


def evaluate_level(task: Task, level: bytes) -> list[Row]:
    """Return the rows of a task from the bytes of its level."""
    if level.startswith(_CANNOT_BE):
        return refused_rows(task, level.removeprefix(_CANNOT_BE).decode())
    return rows_on(task, _read(level))


@lru_cache(maxsize=1)
def _read(level: bytes) -> TracedLevel:
    return traced_from("", level, "a level that was sent")


DASK_WORK = Work(evaluate=evaluate_level, level_key=key_or_none, make_level=level_or_reason, version=code_version)
