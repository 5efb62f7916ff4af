"""Files that hold weights by name (``.safetensors``, ``.pt2``) as the source of a pruned file: which tensor a layer is.

A layer's tensor is found by name and proved by value: laid out as a matrix it must equal what the reader made of it. A
weight that is stored as ``weight_orig`` beside ``weight_mask`` counts as one. Left out: layers that are made of several
tensors, or of part of one, or by arithmetic (weight norm); they are refused by name where they are to change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from traces.layer import FloatArray, MatrixLayer, ModelError, Network
from traces.lower.aten_scope import WEIGHT_SUFFIX
from traces.lower.input_shapes import Shapes
from traces.lower.pt2_archive import BFLOAT16 as PT2_BFLOAT16
from traces.lower.pt2_archive import Pt2Archive, open_pt2
from traces.lower.pt2_file import lower_archive
from traces.lower.safetensors_file import read_safetensors, tensors_of_layers
from traces.lower.safetensors_header import BFLOAT16, DTYPES, TensorFile, open_safetensors
from traces.weights import flattened

Ids = npt.NDArray[np.int64]

# data types of torch's export schema, by the names of safetensors
_PT2_TYPES: Mapping[int, str] = {
    1: "U8", 2: "I8", 3: "I16", 4: "I32", 5: "I64", 6: "F16", 7: "F32", 8: "F64", 12: "BOOL", PT2_BFLOAT16: BFLOAT16,
    28: "U16", 34: "U32", 35: "U64",
}  # fmt: skip
_RECURRENT = re.compile(r"^(?:(.*)\.)?l(\d+)(_reverse)?\.(ih|hh)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSource:
    """Weights by name and the network that they belong to.

    ``tensors[layer]``: the plain name of the layer's weight. ``file`` is the open .safetensors or .pt2 file.
    """

    path: Path
    network: Network
    tensors: Mapping[str, str]
    file: TensorFile | Pt2Archive = field(repr=False)

    def holds(self, name: str) -> bool:
        return name in (self.file.entries if isinstance(self.file, TensorFile) else self.file.tensors)

    def masked(self, name: str) -> bool:
        """Return whether a weight is stored beside its mask."""
        return self.holds(f"{name}_orig") and self.holds(f"{name}_mask")

    def values(self, name: str) -> FloatArray:
        """Return a stored tensor as 32-bit floating point."""
        if isinstance(self.file, TensorFile):
            return self.file.read(name)
        return np.asarray(self.file.tensors[name], dtype=np.float32)

    def shape(self, name: str) -> tuple[int, ...]:
        if isinstance(self.file, TensorFile):
            return self.file.entries[name].shape
        return self.file.tensors[name].shape

    def kind(self, name: str) -> str:
        """Return the data type of a stored tensor, by its name in safetensors."""
        return self.file.entries[name].dtype if isinstance(self.file, TensorFile) else _PT2_TYPES[self.file.types[name]]


def open_state(
    path: Path, *, arch: str | None = None, input_shapes: Shapes = None, batch: int | None = None, strict: bool = False
) -> StateSource:
    """Read a .safetensors or .pt2 file that is to be written again. Raises ModelError."""
    if path.suffix == ".pt2":
        archive = open_pt2(path)
        network = lower_archive(archive, path.stem, input_shapes, batch, strict=strict)
        names = {layer.name: _exported_name(layer, archive) for layer in network.matrix_layers}
        return StateSource(path=path, network=network, tensors=names, file=archive)
    network = read_safetensors(path, arch=arch, input_shapes=input_shapes, batch=batch, strict=strict)
    assert arch is not None  # read_safetensors refuses a file without one
    file = open_safetensors(path)
    return StateSource(
        path=path, network=network, tensors=tensors_of_layers(file, arch, batch or 1, input_shapes), file=file
    )


def _exported_name(layer: MatrixLayer, archive: Pt2Archive) -> str:
    """Return the plain name of the parameter that a layer was named after, "" where none is."""
    base = re.sub(r"#\d+$", "", layer.name)
    recurrent = _RECURRENT.match(base)
    if recurrent:
        stem, number, reverse, side = recurrent.groups()
        for prefix in (f"{stem}." if stem else "", ""):
            name = f"{prefix}weight_{side}_l{number}{reverse or ''}"
            if name in archive.tensors or f"{name}_orig" in archive.tensors:
                return name
    for name in archive.tensors:
        if WEIGHT_SUFFIX.search(name) and WEIGHT_SUFFIX.sub("", name) == base:
            return name.removesuffix("_orig")
    return base if base in archive.tensors else ""


def stored_ids(source: StateSource, layer: MatrixLayer) -> tuple[str, Ids]:
    """Return the layer's tensor (plain name) and, (groups, m, k), which of its elements each weight is.

    Raises ModelError where no tensor of the file, laid out as a matrix, is what the layer computes with.
    """
    name = source.tensors.get(layer.name, "")
    if not name or not (source.holds(name) or source.masked(name)):
        raise _unlike(source, layer)
    values = effective(source, name)
    weights = source.network.weights[layer.name]
    ids = np.arange(values.size, dtype=np.int64).reshape(values.shape)
    for matrix in _layouts(ids, layer.groups):
        if matrix.shape == weights.shape and np.array_equal(values.reshape(-1)[matrix], weights):
            return name, matrix
    raise _unlike(source, layer)


def _unlike(source: StateSource, layer: MatrixLayer) -> ModelError:
    rule = "its weight is no tensor of the file, laid out as it is: keep it dense (--keep), or prune an .onnx export"
    return ModelError(f"{source.path}: layer {layer.name}: {rule}")


def _layouts(ids: Ids, groups: int) -> list[Ids]:
    found: list[Any] = []
    if ids.ndim >= 2 and ids.shape[0] % groups == 0:
        found.append(flattened(ids, groups))  # type: ignore[arg-type]
    if ids.ndim == 2:
        found.append(ids.T[None])
    if ids.ndim == 3:
        found.append(ids.transpose(0, 2, 1))
    return found


def effective(source: StateSource, name: str, *, unmasked: bool = False) -> FloatArray:
    """Return the weight that the plain ``name`` stands for: with its mask, if it has one, unless ``unmasked``."""
    if not source.masked(name):
        return source.values(name)
    values = source.values(f"{name}_orig")
    return values if unmasked else values * source.values(f"{name}_mask")


def hidden_weights(source: StateSource) -> dict[str, FloatArray]:
    """Return the weights (groups, m, k) of layers that have a mask in the file, as they are without it."""
    found = {}
    for layer in source.network.matrix_layers:
        name = source.tensors.get(layer.name, "")
        if name and source.masked(name):
            _, ids = stored_ids(source, layer)
            found[layer.name] = effective(source, name, unmasked=True).reshape(-1)[ids]
    return found


def stored_bytes(source: StateSource, name: str) -> bytes:
    """Return the bytes of a tensor as .safetensors stores it: little-endian, C order, in its own data type."""
    if isinstance(source.file, TensorFile):
        entry = source.file.entries[name]
        with source.file.path.open("rb") as stream:
            stream.seek(entry.start_bytes)
            return stream.read(entry.end_bytes - entry.start_bytes)
    array, kind = source.file.tensors[name], source.kind(name)
    if kind == BFLOAT16:  # read as float32, of which it is the upper half
        return (np.ascontiguousarray(array, dtype="<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return np.ascontiguousarray(array, dtype=DTYPES[kind]).tobytes()
