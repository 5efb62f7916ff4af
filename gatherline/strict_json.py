"""Reads a JSON file that may not be what it says: no key twice in an object, no number that is not finite."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from gatherline.request_error import RequestError


def read_json(path: Path, what: str) -> Any:
    """Return what ``path`` holds. Raises RequestError, which says that it is not ``what``, and OSError."""
    try:
        return json.loads(
            path.read_text(encoding="utf-8"),
            object_pairs_hook=_object,
            parse_float=_finite,
            parse_constant=_finite,
        )
    except RecursionError:
        raise RequestError(f"{path}: not {what}: it is nested too deep") from None
    except ValueError as error:
        raise RequestError(f"{path}: not {what}: {error}") from None


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
