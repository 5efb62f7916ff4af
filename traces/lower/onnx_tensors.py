"""Constant tensors of an ONNX file: initializers, sparse initializers and external data, as numpy arrays.

Sizes are compared with shapes before anything is allocated, and external data are read from inside the model's own
folder only. Left out: string tensors, segmented tensors and checksums.
"""

from __future__ import annotations

import hashlib
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from traces.layer import ModelError

Array = npt.NDArray[Any]

# Largest tensor that is made dense or folded, in elements: 1 GiB of float32. A file may say 10^12 in ten bytes.
LARGEST_TENSOR_ELEMENTS = 2**28

# Bits of one element, by the name of its ONNX type.
_BITS = {
    "FLOAT": 32, "UINT8": 8, "INT8": 8, "UINT16": 16, "INT16": 16, "INT32": 32, "INT64": 64, "BOOL": 8,
    "FLOAT16": 16, "DOUBLE": 64, "UINT32": 32, "UINT64": 64, "COMPLEX64": 64, "COMPLEX128": 128, "BFLOAT16": 16,
    "FLOAT8E4M3FN": 8, "FLOAT8E4M3FNUZ": 8, "FLOAT8E5M2": 8, "FLOAT8E5M2FNUZ": 8, "FLOAT8E8M0": 8,
    "UINT4": 4, "INT4": 4, "FLOAT4E2M1": 4, "UINT2": 2, "INT2": 2,
}  # fmt: skip


class TensorReader:
    """Turns TensorProtos into arrays and hashes the external bytes that it reads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path.parent.resolve()
        self.hash = hashlib.sha256()

    def array(self, tensor: Any) -> Array:
        """Return the tensor's values; raises ModelError where its size does not fit its shape."""
        import onnx

        self.load_external(tensor)
        type_name = _type_name(tensor.data_type)
        where = f"{self.path}: tensor {tensor.name or '(unnamed)'}"
        if type_name not in _BITS:
            raise ModelError(f"{where}: its type is {type_name}, and must be a number or a truth value")
        if any(extent < 0 for extent in tensor.dims):
            raise ModelError(f"{where}: its shape is {list(tensor.dims)}, and every extent must be at least 0")
        if tensor.HasField("raw_data"):
            needed_bytes = _bytes_of(tensor)
            if len(tensor.raw_data) != needed_bytes:
                raise ModelError(
                    f"{where}: it holds {len(tensor.raw_data)} bytes, and its shape {list(tensor.dims)} of {type_name} "
                    f"needs {needed_bytes}"
                )
        try:
            return np.asarray(onnx.numpy_helper.to_array(tensor))
        except (ValueError, TypeError, MemoryError) as error:
            raise ModelError(f"{where}: its data do not fit its shape {list(tensor.dims)}: {_line(error)}") from None

    def dense(self, sparse: Any) -> Array:
        """Return a SparseTensorProto as a dense array."""
        dims = tuple(int(extent) for extent in sparse.dims)
        where = f"{self.path}: sparse tensor {sparse.values.name}"
        if any(extent < 0 for extent in dims) or math.prod(dims) > LARGEST_TENSOR_ELEMENTS:
            raise ModelError(f"{where}: its shape is {dims}, and must hold at most {LARGEST_TENSOR_ELEMENTS} elements")
        values, indices = self.array(sparse.values).reshape(-1), self.array(sparse.indices)
        if indices.ndim == 2 and indices.shape == (values.size, len(dims)):
            bounds = np.asarray(dims, dtype=np.int64)
            if (indices < 0).any() or (indices >= bounds).any():
                raise ModelError(f"{where}: an index lies outside its shape {dims}")
            indices = np.ravel_multi_index(tuple(indices.T), dims)
        if indices.shape != (values.size,):
            raise ModelError(f"{where}: {values.size} values have indices of shape {indices.shape}")
        if values.size and (indices.min() < 0 or indices.max() >= math.prod(dims)):
            raise ModelError(f"{where}: an index lies outside its shape {dims}")
        full = np.zeros(math.prod(dims), dtype=values.dtype)
        full[indices] = values
        return full.reshape(dims)

    def load_external(self, tensor: Any) -> None:
        """Read the tensor's external bytes, if it has any, into the tensor."""
        import onnx

        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            return
        entries = {entry.key: entry.value for entry in tensor.external_data}
        where = f"{self.path}: tensor {tensor.name or '(unnamed)'}"
        file = self._external_file(entries.get("location", ""), where)
        size_bytes = file.stat().st_size
        needed_bytes = _bytes_of(tensor)
        try:
            offset_bytes = int(entries.get("offset", "0"))
            length_bytes = int(entries.get("length", str(needed_bytes)))
        except ValueError:
            raise ModelError(f"{where}: offset and length of its external data must be whole numbers") from None
        if length_bytes != needed_bytes:
            raise ModelError(
                f"{where}: its external data have {length_bytes} bytes, and its shape {list(tensor.dims)} needs "
                f"{needed_bytes}"
            )
        if offset_bytes < 0 or offset_bytes + length_bytes > size_bytes:
            raise ModelError(
                f"{where}: its external data end at byte {offset_bytes + length_bytes}, and {file.name} has "
                f"{size_bytes}"
            )
        with file.open("rb") as stream:
            stream.seek(offset_bytes)
            raw = stream.read(length_bytes)
        self.hash.update(raw)
        tensor.raw_data = raw
        del tensor.external_data[:]
        tensor.data_location = onnx.TensorProto.DEFAULT

    def _external_file(self, location: str, where: str) -> Path:
        rule = "must be a file inside the model's folder"
        parts = location.replace("\\", "/").split("/")
        if not location or "\0" in location or os.path.isabs(location) or ".." in parts or ":" in parts[0]:
            raise ModelError(f"{where}: external data {location!r} {rule}")
        file = (self.folder / location).resolve()
        if not file.is_relative_to(self.folder):
            raise ModelError(f"{where}: external data {location!r} lead to {file}, and {rule}")
        if not file.is_file():
            raise ModelError(f"{where}: external data {location!r} do not exist beside the model")
        return file


def _bytes_of(tensor: Any) -> int:
    """Return the bytes that the tensor's type and shape ask for."""
    elements = math.prod(int(extent) for extent in tensor.dims)
    return -(-elements * _BITS.get(_type_name(tensor.data_type), 8) // 8)


def _type_name(data_type: int) -> str:
    import onnx

    names = {number: name for name, number in onnx.TensorProto.DataType.items()}
    return str(names.get(data_type, f"type {data_type}"))


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
