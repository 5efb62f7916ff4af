"""Reads a ``.safetensors`` file: eight bytes of header length, a JSON header, raw little-endian values.

Every size is checked before memory is taken: the header's length, each tensor's bytes against its type and shape, and
that the tensors cover the file without holes or overlap. Left out: 8-bit and smaller floating point values.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from traces.layer import FloatArray, ModelError

MAX_HEADER_BYTES = 100_000_000  # the limit of the format's own reader
LENGTH_BYTES = 8
BFLOAT16 = "BF16"
DTYPES: Mapping[str, str] = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", BFLOAT16: "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "<u1", "BOOL": "?",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorEntry:
    """Type and shape of a tensor, and where its bytes lie in the file."""

    dtype: str
    shape: tuple[int, ...]
    start_bytes: int
    end_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorFile:
    """The checked header of a ``.safetensors`` file. Values are read on demand."""

    path: Path
    digest: str
    entries: Mapping[str, TensorEntry]

    def read(self, name: str) -> FloatArray:
        """Return one tensor as 32-bit floating point."""
        entry = self.entries[name]
        with self.path.open("rb") as file:
            file.seek(entry.start_bytes)
            raw = file.read(entry.end_bytes - entry.start_bytes)
        flat = np.frombuffer(raw, dtype=DTYPES[entry.dtype])
        if entry.dtype == BFLOAT16:
            flat = (flat.astype("<u4") << 16).view("<f4")
        return np.asarray(flat, dtype=np.float32).reshape(entry.shape)


def open_safetensors(path: Path) -> TensorFile:
    """Check and open a file. Raises ModelError, naming the tensor, the value and the rule."""
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        length_bytes = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if size_bytes < LENGTH_BYTES or length_bytes > min(MAX_HEADER_BYTES, size_bytes - LENGTH_BYTES):
            raise ModelError(
                f"{path}: the header says {length_bytes} bytes and the file has {size_bytes}: truncated, renamed, or "
                f"beyond the format's {MAX_HEADER_BYTES} bytes"
            )
        raw = file.read(length_bytes)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        header = json.loads(raw, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: the header is not JSON with unique names: {error}") from error
    if not isinstance(header, dict):
        raise ModelError(f"{path}: the header must be a JSON object, and is a {type(header).__name__}")
    header.pop("__metadata__", None)
    first_bytes = LENGTH_BYTES + length_bytes
    entries = {name: _entry(f"{path}: tensor {name}", fields, first_bytes) for name, fields in header.items()}
    _check_cover(entries, first_bytes, size_bytes, path)
    return TensorFile(path=path, digest=digest, entries=entries)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name is there twice")
    return table


def _entry(where: str, fields: Any, first_bytes: int) -> TensorEntry:
    if not isinstance(fields, dict):
        raise ModelError(f"{where}: its entry must be a JSON object, and is a {type(fields).__name__}")
    dtype: Any = fields.get("dtype")
    shape: Any = fields.get("shape")
    offsets: Any = fields.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ModelError(f"{where}: data type {dtype!r} is not read, only {', '.join(DTYPES)}")
    if not _whole_numbers(shape) or not _whole_numbers(offsets) or len(offsets) != 2:
        raise ModelError(f"{where}: shape {shape} and data_offsets {offsets} must be lists of whole numbers from 0")
    needed_bytes = math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
    if offsets[1] - offsets[0] != needed_bytes:
        raise ModelError(
            f"{where}: {dtype} of shape {tuple(shape)} needs {needed_bytes} bytes, and data_offsets {offsets} "
            f"give {offsets[1] - offsets[0]}"
        )
    return TensorEntry(
        dtype=dtype, shape=tuple(shape), start_bytes=first_bytes + offsets[0], end_bytes=first_bytes + offsets[1]
    )


def _whole_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 60 for item in value)


def _check_cover(entries: Mapping[str, TensorEntry], first_bytes: int, size_bytes: int, path: Path) -> None:
    """The tensors must follow each other without holes or overlap, to the end of the file."""
    reached_bytes = first_bytes
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start_bytes, item[1].end_bytes)):
        if entry.start_bytes != reached_bytes:
            raise ModelError(
                f"{path}: tensor {name} starts at byte {entry.start_bytes}, and must at {reached_bytes}: "
                "tensors follow each other without holes or overlap"
            )
        reached_bytes = entry.end_bytes
    if reached_bytes != size_bytes:
        raise ModelError(
            f"{path}: the tensors end at byte {reached_bytes} and the file at {size_bytes}: truncated, or something is "
            "appended"
        )
