"""Reads a ``.pt2`` file (torch.export.save) as the zip it is: one JSON graph and raw little-endian weights.

Nothing is unpickled and torch is not imported: the pickled sample inputs that every such file carries are never opened,
and pickled weights or constants are refused. Every size is checked before memory is taken for it. Left out: archives
with more than one model, and the layout that torch wrote before 2.9 (both are named in the error).
"""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from traces.layer import ModelError

Array = npt.NDArray[Any]

ARCHIVE_VERSION = "0"
SCHEMA_MAJOR = 8
MAX_JSON_BYTES = 1 << 28  # a graph of a million nodes has about 200 MB
LOCAL_HEADER_BYTES = 30  # of a zip entry, before its name
ENCRYPTED = 0x1  # zip flag bit 0

# torch/_export/serde/schema.py, ScalarType. BFLOAT16 is read as its upper 16 bits of a float32.
BFLOAT16 = 13
DTYPES: Mapping[int, str] = {
    1: "<u1", 2: "<i1", 3: "<i2", 4: "<i4", 5: "<i8", 6: "<f2", 7: "<f4", 8: "<f8",
    12: "?", BFLOAT16: "<u2", 28: "<u2", 34: "<u4", 35: "<u8",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """Where one weight or constant lies: an entry of the archive, read with a shape, strides and offset in elements."""

    fqn: str
    entry: str
    dtype: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def reach(self) -> int:
        """Elements of the entry up to the last one that this tensor reads."""
        if not self.elements:
            return 0
        steps = sum((extent - 1) * stride for extent, stride in zip(self.shape, self.strides, strict=True))
        return self.offset + steps + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pt2Archive:
    """The checked content of a ``.pt2``: its graph as JSON, and its tensors by name (bfloat16 as float32)."""

    path: Path
    digest: str
    model: Mapping[str, Any]
    tensors: Mapping[str, Array]
    types: Mapping[str, int] = field(default_factory=dict)  # of the tensors as stored: keys of DTYPES


def open_pt2(path: Path) -> Pt2Archive:
    """Check and open a ``.pt2`` archive. Raises ModelError, naming the entry, the value and the rule."""
    if not path.is_file():
        raise ModelError(f"{path}: there is no such file")
    if not zipfile.is_zipfile(path):
        raise ModelError(f"{path}: not a zip archive, so not a .pt2 file (or it is truncated or renamed)")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _checked_entries(archive, path)
            root = _root(entries, path)
            _check_versions(archive, entries, root, path)
            model = _json(archive, entries, f"{root}/models/model.json", path)
            version = model.get("schema_version")
            major = version.get("major") if isinstance(version, dict) else None
            if major != SCHEMA_MAJOR:
                raise ModelError(
                    f"{path}: models/model.json has schema version {version}, and major version {SCHEMA_MAJOR} is read"
                )
            stored = _stored_tensors(archive, entries, root, path)
            tensors = _arrays(archive, stored)
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError) as error:
        raise ModelError(f"{path}: the zip archive is damaged: {error}") from error
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    types = {fqn: tensor.dtype for fqn, tensor in stored.items()}
    return Pt2Archive(path=path, digest=digest, model=model, tensors=tensors, types=types)


def _arrays(archive: zipfile.ZipFile, stored: Mapping[str, StoredTensor]) -> dict[str, Array]:
    """Read every entry once (its checksum is checked by zipfile) and show each tensor in it, without a copy."""
    flat: dict[tuple[str, int], Array] = {}
    for tensor in stored.values():
        key = (tensor.entry, tensor.dtype)
        if key not in flat:
            values = np.frombuffer(archive.read(tensor.entry), dtype=DTYPES[tensor.dtype])
            flat[key] = (values.astype("<u4") << 16).view("<f4") if tensor.dtype == BFLOAT16 else values
    return {fqn: _view(tensor, flat[tensor.entry, tensor.dtype]) for fqn, tensor in stored.items()}


def _view(tensor: StoredTensor, flat: Array) -> Array:
    """Show a tensor in the values of its entry; ``_check_reach`` has seen that it stays inside."""
    if not tensor.elements:
        return np.empty(tensor.shape, dtype=flat.dtype)
    step_bytes = tuple(stride * flat.itemsize for stride in tensor.strides)
    start = flat[tensor.offset :]
    return np.lib.stride_tricks.as_strided(start, shape=tensor.shape, strides=step_bytes, writeable=False)


def _checked_entries(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The entries by name, after the checks that need no content: names, compression, sizes, overlap."""
    entries: dict[str, zipfile.ZipInfo] = {}
    file_bytes = path.stat().st_size
    end_of_previous = 0
    for info in sorted(archive.infolist(), key=lambda entry: entry.header_offset):
        name = info.orig_filename
        parts = name.split("/")
        if name.startswith("/") or "\\" in name or "\0" in name or ".." in parts or ":" in parts[0]:
            raise ModelError(
                f"{path}: entry {name!r} leaves the archive, and names must be relative paths without '..'"
            )
        if name in entries:
            raise ModelError(f"{path}: entry {name} is there twice, and names must be unique")
        if info.compress_type != zipfile.ZIP_STORED:
            raise ModelError(f"{path}: entry {name} is compressed, and every entry of a .pt2 must be stored")
        if info.compress_size != info.file_size:
            raise ModelError(
                f"{path}: entry {name} stores {info.compress_size} bytes and declares {info.file_size}, "
                "and they must be equal"
            )
        if info.flag_bits & ENCRYPTED:
            raise ModelError(f"{path}: entry {name} is encrypted, and every entry of a .pt2 must be plain")
        end = info.header_offset + LOCAL_HEADER_BYTES + len(name.encode()) + info.file_size
        if info.header_offset < end_of_previous or end > file_bytes:
            raise ModelError(f"{path}: entry {name} overlaps its neighbour or runs past the end of the file")
        end_of_previous = end
        entries[name] = info
    return entries


def _root(entries: Mapping[str, zipfile.ZipInfo], path: Path) -> str:
    """The one folder that holds everything."""
    roots = sorted({name.split("/")[0] for name in entries if "/" in name})
    if "serialized_exported_program.json" in entries:
        raise ModelError(f"{path}: a torch.export archive of the layout before torch 2.9; export and save it again")
    models = [root for root in roots if f"{root}/models/model.json" in entries]
    if len(models) == 1 and len(roots) == 1:
        return models[0]
    if any(name.endswith("/data.pkl") for name in entries):
        raise ModelError(f"{path}: a pickled checkpoint (torch.save), which is never opened; use torch.export.save")
    raise ModelError(f"{path}: no <root>/models/model.json in the archive, so not a .pt2 file of torch.export.save")


def _check_versions(archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], root: str, path: Path) -> None:
    expected = (("archive_format", "pt2"), ("archive_version", ARCHIVE_VERSION), ("byteorder", "little"))
    for name, rule in expected:
        entry = f"{root}/{name}"
        if entry not in entries:
            raise ModelError(f"{path}: entry {entry} is missing, and must say {rule!r}")
        if entries[entry].file_size > 64:
            raise ModelError(f"{path}: entry {entry} has {entries[entry].file_size} bytes, and must say {rule!r}")
        text = archive.read(entry).decode("ascii", errors="replace").strip()
        if text != rule:
            raise ModelError(f"{path}: {name} is {text!r}, and must be {rule!r}")
    others = [name for name in entries if name.startswith(f"{root}/models/") and name != f"{root}/models/model.json"]
    if others:
        raise ModelError(f"{path}: the archive holds more than one model ({others[0]} too), and must hold one")


def _json(archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], name: str, path: Path) -> dict[str, Any]:
    if name not in entries:
        raise ModelError(f"{path}: entry {name} is missing")
    if entries[name].file_size > MAX_JSON_BYTES:
        raise ModelError(
            f"{path}: entry {name} has {entries[name].file_size} bytes, and at most {MAX_JSON_BYTES} are read"
        )
    try:
        value = json.loads(archive.read(name))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: entry {name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path}: entry {name} must be a JSON object, and is a {type(value).__name__}")
    return value


def _stored_tensors(
    archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], root: str, path: Path
) -> dict[str, StoredTensor]:
    found: dict[str, StoredTensor] = {}
    for folder in ("weights", "constants"):
        base = f"{root}/data/{folder}"
        if f"{base}/model.pt" in entries:
            raise ModelError(
                f"{path}: {base}/model.pt is a pickle, which is never opened; export with torch 2.9 or later"
            )
        config = _json(archive, entries, f"{base}/model_{folder}_config.json", path).get("config")
        if not isinstance(config, dict):
            raise ModelError(f"{path}: {base}/model_{folder}_config.json has no table 'config'")
        for fqn, payload in config.items():
            if fqn in found:
                raise ModelError(f"{path}: tensor {fqn} is both a weight and a constant, and names must be unique")
            found[fqn] = _stored(fqn, payload, base, entries, path)
    _check_reach(found, entries, path)
    return found


def _stored(fqn: str, payload: Any, base: str, entries: Mapping[str, zipfile.ZipInfo], path: Path) -> StoredTensor:
    where = f"{path}: tensor {fqn}"
    if not isinstance(payload, dict) or payload.get("use_pickle") is not False:
        raise ModelError(f"{where}: use_pickle is not false, and pickled weights and constants are never opened")
    path_name, meta = payload.get("path_name"), payload.get("tensor_meta")
    if not isinstance(path_name, str) or "/" in path_name or not isinstance(meta, dict):
        raise ModelError(f"{where}: path_name {path_name!r} must be a name in {base}, with a tensor_meta beside it")
    entry = f"{base}/{path_name}"
    if entry not in entries:
        raise ModelError(f"{where}: its entry {entry} is missing")
    dtype = meta.get("dtype")
    if type(dtype) is not int or dtype not in DTYPES:
        raise ModelError(f"{where}: data type {dtype} of the export schema is not read")
    if meta.get("layout") != 7:
        raise ModelError(f"{where}: layout {meta.get('layout')} is not strided (7), and only strided tensors are read")
    shape, strides = (_extents(meta.get(key), key, where) for key in ("sizes", "strides"))
    (offset,) = _extents([meta.get("storage_offset")], "storage_offset", where)
    if len(shape) != len(strides):
        raise ModelError(f"{where}: {len(shape)} sizes and {len(strides)} strides, and they must be as many")
    return StoredTensor(fqn=fqn, entry=entry, dtype=dtype, shape=shape, strides=strides, offset=offset)


def _extents(values: Any, field: str, where: str) -> tuple[int, ...]:
    if not isinstance(values, list):
        raise ModelError(f"{where}: {field} is {values!r}, and must be a list")
    numbers = [value.get("as_int") if isinstance(value, dict) else None for value in values]
    for number in numbers:
        if type(number) is not int or not 0 <= number < 1 << 48:
            raise ModelError(f"{where}: {field} holds {number!r}, and must hold whole numbers from 0 to 2^48")
    return tuple(int(number) for number in numbers if number is not None)


def _check_reach(tensors: Mapping[str, StoredTensor], entries: Mapping[str, zipfile.ZipInfo], path: Path) -> None:
    """The bytes of an entry must be exactly those that its tensors span, with no tensor larger than its entry."""
    reach_bytes: dict[str, int] = {}
    for tensor in tensors.values():
        item_bytes = np.dtype(DTYPES[tensor.dtype]).itemsize
        stored_bytes = entries[tensor.entry].file_size
        if tensor.elements * item_bytes > stored_bytes:
            raise ModelError(
                f"{path}: tensor {tensor.fqn} of shape {tensor.shape} needs {tensor.elements * item_bytes} bytes, "
                f"and {tensor.entry} holds {stored_bytes}"
            )
        reach_bytes[tensor.entry] = max(reach_bytes.get(tensor.entry, 0), tensor.reach * item_bytes)
    for entry, spanned_bytes in reach_bytes.items():
        if spanned_bytes != entries[entry].file_size:
            raise ModelError(
                f"{path}: {entry} holds {entries[entry].file_size} bytes, and the shapes, strides and offsets of its "
                f"tensors span {spanned_bytes}; they must be equal"
            )
