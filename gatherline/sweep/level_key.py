"""Names a level's traces by all that they depend on: the model's bytes, how it is lowered and masked, and our code.

Nothing is lowered for it: files are hashed, once per process while they do not change. External data of an ONNX file
count with it. Left out: devices and run options, which no trace depends on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import gatherline
import patterns
import traces
from gatherline.levels import levels_path
from gatherline.loading import EMBEDDED, resolve_model
from gatherline.shares import is_listed, is_profile
from gatherline.sweep.point import LevelChoice, ModelChoice
from patterns.catalog import parse_pattern
from traces.layer import ModelError
from traces.layer_store import SCHEMA
from traces.lower.read import check_file
from traces.ratios import RatioError
from traces.workloads.catalog import built_in_names

_OWN_FILES = (  # of gatherline, what decides a trace beside the packages patterns and traces
    "fpga_engine.py", "levels.py", "loading.py", "network_facts.py", "request.py", "shares.py", "sweep/level_key.py",
    "sweep/traced.py",
)  # fmt: skip
_LOCATION = b"\x0a\x08location"  # the key of an external tensor's file, as protobuf writes it: field 1, 8 bytes


def level_key(level: LevelChoice) -> str:
    """Return the SHA-256 of all that the traces of ``level`` depend on. Raises ModelError, RatioError, PatternError."""
    said = {
        "schema": SCHEMA,
        "code": _code_digest(),
        "model": model_content(level.model),
        "pattern": parse_pattern(level.pattern).spelling,
        "sparsity": level.sparsity,
        "ratios": _ratios(level.ratios),
        "match": level.match,
        "prune_all": level.prune_all,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def model_content(choice: ModelChoice) -> str:
    """Return the SHA-256 of a model's bytes and of how it is lowered. Raises ModelError for a model there is not."""
    said: dict[str, Any] = {
        "name": Path(choice.model).name, "arch": choice.arch, "batch": choice.batch, "shape": choice.input_shape,
        "strict": choice.strict, "level": choice.level,
    }  # fmt: skip
    if choice.model in EMBEDDED:
        with as_file(files("gatherline") / "models" / EMBEDDED[choice.model][0]) as path:
            said["file"] = file_digest(path)
    elif choice.model in built_in_names():
        said["seed"] = choice.seed
    elif Path(choice.model).is_file():
        check_file(Path(choice.model), choice.arch)
        said["file"] = model_file_digest(Path(choice.model))
    else:
        resolve_model(choice.model, arch=choice.arch)  # says what is wrong with the name
        raise ModelError(f"model {choice.model}: it is neither a file nor a built-in network")
    if choice.level is not None:
        levels = levels_path(Path(choice.model))
        said["levels"] = file_digest(levels) if levels.is_file() else None
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def model_file_digest(path: Path) -> str:
    """Return the SHA-256 of a model file, and of the files inside its folder that an ONNX file keeps weights in."""
    own = file_digest(path)
    others = {location: file_digest(path.parent / location) for location in _external_files(path)}
    return hashlib.sha256(json.dumps([own, others], sort_keys=True).encode()).hexdigest() if others else own


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, hashed again only when its size, time or place on the disk has changed."""
    status = path.stat()
    return _file_digest(path.resolve(), status.st_size, status.st_mtime_ns, status.st_ino)


@cache
def _file_digest(path: Path, size: int, mtime_ns: int, inode: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _external_files(path: Path) -> list[str]:
    status = path.stat()
    return [] if path.suffix != ".onnx" else _locations(path.resolve(), status.st_mtime_ns, status.st_ino)


@cache
def _locations(path: Path, mtime_ns: int, inode: int) -> list[str]:
    """Return the external files of an ONNX file that lie in its folder; lowering refuses any other."""
    data = path.read_bytes()
    if _LOCATION not in data:
        return []
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        return []  # a broken file, which lowering refuses
    folder = path.parent.resolve()
    found = {entry for entry in _external(model) if "\0" not in entry}
    return sorted(
        entry for entry in found if (folder / entry).resolve().is_relative_to(folder) and (folder / entry).is_file()
    )


def _external(message: Any) -> Iterator[str]:
    """Yield the locations that tensors anywhere in ``message`` name."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for inner in value if hasattr(value, "__len__") else (value,):
            if field.name == "external_data":
                if inner.key == "location":
                    yield inner.value
            else:
                yield from _external(inner)


def _ratios(ratios: str) -> list[str]:
    """Return what ``ratios`` say: a method or a profile by its name, a list by its name and bytes."""
    if not is_listed(ratios) or is_profile(ratios):
        return [ratios]
    try:
        return [Path(ratios).name, file_digest(Path(ratios))]
    except OSError as error:
        raise RatioError(f"{ratios}: cannot be read: {error.strerror}") from None


@cache
def _code_digest() -> str:
    """Return the SHA-256 of the code and tables that make traces, and of the packages that they are made with."""
    sha = hashlib.sha256(json.dumps([version("numpy"), version("onnx")]).encode())
    for package in (patterns, traces):
        root = _folder(package)
        for path in sorted(path for path in root.rglob("*") if path.suffix in (".py", ".csv")):
            _add(sha, path, f"{root.name}/{path.relative_to(root).as_posix()}")
    for name in _OWN_FILES:
        _add(sha, _folder(gatherline) / name, name)
    return sha.hexdigest()


def _folder(package: Any) -> Path:
    return Path(package.__file__).parent


def _add(sha: Any, path: Path, name: str) -> None:
    sha.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
