"""The work of a sweep as a Dask cluster does it: levels travel as the bytes that a cache keeps, rows are ``evaluate``'s.

A worker looks for a level in its own cache, then makes it from the model if it reads the same file, else leaves it to the
client. A level that cannot be (a pattern that the model cannot have) travels as the reason, and its points are refused.
"""

from __future__ import annotations

import json
from functools import lru_cache

from gatherline.cache import user_cache
from gatherline.report.columns import Row
from gatherline.request_error import RequestError
from gatherline.sweep.code_version import code_version
from gatherline.sweep.dask_worker import FileNotHere, Work
from gatherline.sweep.evaluate import OF_A_LEVEL, evaluate_from
from gatherline.sweep.level_key import level_key
from gatherline.sweep.point import LevelChoice, Task
from gatherline.sweep.traced import KIND, TracedLevel, level_data, traced_from
from traces.layer import ModelError
from traces.ratios import RatioError

_REFUSED = b'{"refused": '  # how the bytes of a level that cannot be begin, which no level's do


def key_of(level: LevelChoice) -> str:
    """Return the key of a level, "" of one that cannot be. Raises ModelError."""
    try:
        return level_key(level)
    except OF_A_LEVEL:
        return ""


def make_level(level: LevelChoice, key: str) -> bytes:
    """Return a level's bytes from this machine's cache or files. Raises FileNotHere where they do not give ``key``."""
    cache = user_cache()
    found = cache.read(KIND, key) if cache is not None and key else None
    if found is not None:
        return found
    try:
        here = level_key(level)
    except (ModelError, RatioError, OSError) as error:
        if key:
            raise FileNotHere(str(error)) from None
        return _refusal(error)
    except OF_A_LEVEL as error:
        return _refusal(error)
    if here != key:
        raise FileNotHere(f"{level.model.model} or {level.ratios} is another file here")
    try:
        return level_data(level, key, cache)
    except OF_A_LEVEL as error:
        return _refusal(error)


def evaluate(task: Task, data: bytes) -> list[Row]:
    """Return the rows of a task whose level is ``data``."""
    return evaluate_from(task, lambda: _level(task.level, data))


@lru_cache(maxsize=1)
def _level(level: LevelChoice, data: bytes) -> TracedLevel:
    """Return a level from its bytes, kept for the next task. Raises RequestError with the reason that travelled."""
    if data.startswith(_REFUSED):
        raise RequestError(json.loads(data)["refused"])
    return traced_from(level.pattern, data, f"{level.model.model} {level.pattern}")


def _refusal(error: Exception) -> bytes:
    return json.dumps({"refused": str(error)}).encode()


WORK = Work(evaluate=evaluate, level_key=key_of, make_level=make_level, version=code_version)
