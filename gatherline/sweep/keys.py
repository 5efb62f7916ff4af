"""The content hash of a point: SHA-256 of the model's content, masks, options, device and version of the code.

Files count by their content and name, never by where they lie. A field counts even where its value is the base's own:
some change the machine by being set (a DRAM with a rate is flat), so whoever makes points leaves out those that do not.
What points of one level, options and base share is hashed once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

from gatherline.device_fields import FieldValue, device_fields
from gatherline.digest import device_digest
from gatherline.request import Target, device_named
from gatherline.shares import LISTS, is_listed, is_profile
from gatherline.sweep.code_version import code_version
from gatherline.sweep.level_key import file_digest, model_content
from gatherline.sweep.point import LevelChoice, RunOptions
from traces.ratios import RatioError

SCHEMA = 1
Fields = Sequence[tuple[str, FieldValue]]


class Keys:
    """Makes the keys of the points of one level, options and base device."""

    def __init__(self, level: LevelChoice, options: RunOptions, base: str) -> None:
        device = device_named(base)
        shared = {
            "schema": SCHEMA,
            "version": code_version(),
            "level": {
                **asdict(level),
                "model": [model_content(level.model), level.model.seed],
                "ratios": [listed(level.ratios), listed_content(level.ratios)],
            },
            "options": asdict(options),
            "device": device_digest(device),
        }
        self._shared = hashlib.sha256(json.dumps(shared, sort_keys=True).encode())

    def key(self, fields: Fields) -> str:
        """Return the key of the base with ``fields`` changed."""
        one = self._shared.copy()
        one.update(fields_json(fields).encode())
        return one.hexdigest()


def base_values(device: Target) -> dict[str, FieldValue | None]:
    """Return the value of every field of a device, by its path."""
    return {path: field.value for path, field in device_fields(device).items()}


def fields_json(fields: Fields) -> str:
    """Return fields as one JSON object by rising path, fractions as "3/2"."""
    return _ENCODER.encode(dict(fields))


def _plain(value: object) -> str:
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    raise TypeError(f"a device field holds a {type(value).__name__}, which has no key")


_ENCODER = json.JSONEncoder(default=_plain, sort_keys=True)


def listed(ratios: str) -> str:
    """Return how ratios are shared, a file by its name and not by where it lies."""
    return Path(ratios).name if is_listed(ratios) and not is_profile(ratios) else ratios


def listed_content(ratios: str) -> str | None:
    """Return the SHA-256 of a file of ratios; None for a method or a profile. Raises RatioError."""
    if listed(ratios) == ratios and Path(ratios).suffix not in LISTS:
        return None
    try:
        return file_digest(Path(ratios))
    except OSError as error:
        raise RatioError(f"{ratios}: cannot be read: {error.strerror}") from None
