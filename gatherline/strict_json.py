"""Reads a JSON file that may not be what it says: no key twice, only finite numbers, nested 100 deep at most."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from gatherline.request_error import RequestError

MOST_DEPTH = 100  # of lists and objects within each other: what reads them may recurse


def read_json(path: Path, what: str) -> Any:
    """Return what ``path`` holds. Raises RequestError, which says that it is not ``what``, and OSError."""
    try:
        found = json.loads(
            path.read_text(encoding="utf-8"),
            object_pairs_hook=_object,
            parse_float=_finite,
            parse_constant=_finite,
        )
        deep = _is_deep(found)
    except RecursionError:
        deep = True
    except ValueError as error:
        raise RequestError(f"{path}: not {what}: {error}") from None
    if deep:
        raise RequestError(f"{path}: not {what}: it is nested too deep, more than {MOST_DEPTH} lists and objects")
    return found


def _is_deep(found: object) -> bool:
    """Return whether ``found`` is nested too deep; looks level by level, so that it does not recurse itself."""
    level = [found]
    for _ in range(MOST_DEPTH):
        level = [
            entry
            for each in level
            if isinstance(each, dict | list)
            for entry in (each.values() if isinstance(each, dict) else each)
            if isinstance(entry, dict | list)
        ]
    return bool(level)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"key {name!r:.100} stands in one object twice")
        found[name] = value
    return found


def _finite(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise ValueError(f"{text:.100} is no finite number")
    return found
