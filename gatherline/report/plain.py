"""Values as strict JSON holds them. Left out: writing them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping


def plain(value: object) -> object:
    """Return ``value`` as strict JSON holds it: no NaN, no infinity (null instead), no NumPy scalars.

    Raises TypeError for a type that JSON cannot hold.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    item = getattr(value, "item", None)  # a NumPy scalar
    if callable(item):
        return plain(item())
    raise TypeError(f"a report holds a value of type {type(value).__name__}, which JSON has no form for")
