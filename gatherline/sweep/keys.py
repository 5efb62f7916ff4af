"""The content hash of a point: SHA-256 of the model's content, masks, options, device and version of the code.

Files count by their content and name, never by where they lie. Fields equal to the base's leave no trace in a key, so
the same machine asked for in two ways is one point. What points of one level, options and base share is hashed once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from gatherline.device_fields import FieldValue, device_fields
from gatherline.digest import device_digest
from gatherline.levels import levels_path
from gatherline.loading import EMBEDDED
from gatherline.request import Target, device_named
from gatherline.shares import LISTS
from gatherline.sweep.code_version import code_version
from gatherline.sweep.point import LevelChoice, ModelChoice, RunOptions
from traces.layer import ModelError
from traces.lower.read import SUFFIXES

SCHEMA = 1
Fields = Sequence[tuple[str, FieldValue]]


class Keys:
    """Makes the keys of the points of one level, options and base device."""

    def __init__(self, level: LevelChoice, options: RunOptions, base: str) -> None:
        device = device_named(base)
        self._own = base_values(device)
        shared = {
            "schema": SCHEMA,
            "version": code_version(),
            "level": {**asdict(level), "model": _model(level.model), "ratios": _listed(level.ratios)},
            "options": asdict(options),
            "device": device_digest(device),
        }
        self._shared = hashlib.sha256(json.dumps(shared, sort_keys=True).encode())

    def key(self, fields: Fields) -> str:
        """Return the key of the base with ``fields`` changed."""
        one = self._shared.copy()
        one.update(fields_json(changed(fields, self._own)).encode())
        return one.hexdigest()


def base_values(device: Target) -> dict[str, FieldValue | None]:
    """Return the value of every field of a device, by its path."""
    return {path: field.value for path, field in device_fields(device).items()}


def changed(fields: Fields, own: Mapping[str, FieldValue | None]) -> list[tuple[str, FieldValue]]:
    """Return the fields that differ from the base's ``own``, by rising path; a whole number stands for its float."""
    found = []
    for path, value in fields:
        if isinstance(own.get(path), float) and type(value) is int:
            value = float(value)
        if path not in own or own[path] != value:
            found.append((path, value))
    found.sort()
    return found


def fields_json(fields: Fields) -> str:
    """Return fields as one JSON object, fractions as "3/2"."""
    return json.dumps(dict(fields), default=_plain)


def _plain(value: object) -> str:
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    raise TypeError(f"a device field holds a {type(value).__name__}, which has no key")


def _model(model: ModelChoice) -> dict[str, object]:
    """Return how a model is lowered, a file by its name and content."""
    return {**asdict(model), "model": model_name(model.model), "content": model_digest(model)}


def is_file(model: str) -> bool:
    """Return whether ``model`` is a path, not the name of a network that the package knows; as ``loading`` decides."""
    from traces.workloads.catalog import built_in_names

    return model not in EMBEDDED and model not in built_in_names()


def model_name(model: str) -> str:
    """Return a model without the folder that it lies in."""
    return Path(model).name if is_file(model) else model


def model_digest(model: ModelChoice) -> str | None:
    """Return the SHA-256 of a model's files; None where the code says it all. Raises ModelError for no such file."""
    if not is_file(model.model):
        return None
    path = Path(model.model)
    if not path.is_file():
        raise ModelError(f"model {model.model!r} is neither a file ({', '.join(SUFFIXES)}) nor a built-in network")
    parts = [path, *_external(path)]
    if model.level is not None and levels_path(path).is_file():
        parts.append(levels_path(path))
    return hashlib.sha256("".join(_content(part) for part in parts).encode()).hexdigest()


def _external(path: Path) -> list[Path]:
    """Return the files beside an ONNX model that hold its large weights, by name."""
    return _external_of(str(path), *_stamp(path)) if path.suffix == ".onnx" else []


@lru_cache(maxsize=64)
def _external_of(name: str, size: int, changed_ns: int) -> list[Path]:
    path = Path(name)
    raw = path.read_bytes()
    if b"location" not in raw:  # the key under which every external tensor names its file
        return []
    import onnx

    try:
        model = onnx.load_from_string(raw)
    except Exception as error:  # the parser has no error of its own
        raise ModelError(f"{path}: it is no ONNX model, or damaged: {str(error)[:160]}") from None
    inside = path.parent.resolve()
    found = set()
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            place = (inside / entry.value).resolve()
            if entry.key == "location" and place.is_relative_to(inside) and place.is_file():
                found.add(place)
    return sorted(found)  # what lies elsewhere or is missing, the reader refuses


def _content(path: Path) -> str:
    return _content_of(str(path), *_stamp(path))


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=256)
def _content_of(name: str, size: int, changed_ns: int) -> str:
    with open(name, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _listed(ratios: str) -> list[str]:
    """Return how ratios are shared: a file by its name and content. Raises OSError."""
    path = Path(ratios)
    return [path.name, _content(path)] if path.suffix in LISTS else [ratios]
