"""Nested levels of a pruned model: masks each within the next denser one, in one file beside the model.

``MODEL.levels.npz``: the model holds the densest level's values, and for each layer the file lists the kept columns
row by row, those of level 1 (the sparsest) first, then what level 2 adds, and so on: a level is a prefix of every row,
and one pointer array says where each ends. numpy arrays and a JSON header, without pickle. Left out: other values at
other levels.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from patterns.base import Mask
from traces.layer import ModelError, Network

SCHEMA = 1
SUFFIX = ".levels.npz"
_LIMIT_BYTES = 1 << 30  # of one array: more is no layer that a model has
_DAMAGED = (OSError, ValueError, KeyError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerLevels:
    """One layer's levels. ``column`` [kept]: row by row, level 1 first; ``pointer`` [rows, levels + 1] into it."""

    shape: tuple[int, int, int]
    column: IntArray
    pointer: IntArray

    def mask(self, level: int) -> Mask:
        """Return the mask (groups, m, k) of ``level``, 1 the sparsest."""
        rows = self.shape[0] * self.shape[1]
        out = np.zeros((rows, self.shape[2]), dtype=np.bool_)
        counts = self.pointer[:, level] - self.pointer[:, 0]
        row = np.repeat(np.arange(rows), counts)
        within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        out[row, self.column[np.repeat(self.pointer[:, 0], counts) + within]] = True
        return out.reshape(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Levels:
    """The levels of a model: ``sparsities`` asked for, level 1 (the sparsest) first."""

    path: Path
    model_hash: str
    pattern: str
    sparsities: tuple[float, ...]
    layers: Mapping[str, LayerLevels]


def levels_path(model: Path) -> Path:
    return model.with_name(model.name + SUFFIX)


def layer_levels(masks: Sequence[Mask]) -> LayerLevels:
    """Return the levels of one layer from its masks (groups, m, k), the sparsest first, each within the next.

    Raises ValueError where one is not.
    """
    shape = masks[0].shape
    rank = np.full(shape, len(masks), dtype=np.int64)
    for level in reversed(range(len(masks))):
        if level + 1 < len(masks) and (masks[level] & ~masks[level + 1]).any():
            raise ValueError(f"the mask of level {level + 1} keeps a weight that level {level + 2} does not")
        rank[masks[level]] = level
    flat = rank.reshape(shape[0] * shape[1], shape[2])
    row, column = np.nonzero(flat < len(masks))
    order = np.lexsort((column, flat[row, column], row))
    ends = np.stack([np.count_nonzero(flat < level, axis=1) for level in range(len(masks) + 1)], axis=1)
    starts = np.cumsum(ends[:, -1]) - ends[:, -1]
    return LayerLevels(shape=(shape[0], shape[1], shape[2]), column=column[order], pointer=starts[:, None] + ends)


def write_levels(model: Path, pattern: str, sparsities: Sequence[float], layers: Mapping[str, LayerLevels]) -> Path:
    """Write the levels of ``model``, which is there already, beside it; return the file. Raises OSError."""
    target = levels_path(model)
    header = {
        "schema": SCHEMA,
        "model_sha256": file_hash(model),
        "pattern": pattern,
        "sparsities": list(sparsities),
        "layers": [{"name": name, "shape": list(layer.shape)} for name, layer in layers.items()],
    }
    arrays: dict[str, Any] = {"header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)}
    for index, layer in enumerate(layers.values()):
        narrow = np.uint16 if layer.shape[2] <= 1 << 16 else np.uint32
        arrays[f"column{index}"] = layer.column.astype(narrow)
        arrays[f"pointer{index}"] = layer.pointer
    aside = target.with_name(f".{target.name}.{os.getpid()}.aside")
    try:
        with aside.open("wb") as stream:
            np.savez_compressed(stream, **arrays)
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)
    return target


def file_hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_levels(model: Path) -> Levels:
    """Read the levels beside ``model``. Raises ModelError where they are missing, damaged or of another file."""
    path = levels_path(model)
    if not path.is_file():
        raise ModelError(f"{model}: it has no levels: {path.name} is not beside it (simulate prune --levels writes it)")
    try:
        with zipfile.ZipFile(path) as archive:
            large = next((info for info in archive.infolist() if info.file_size > _LIMIT_BYTES), None)
        if large is not None:
            raise ModelError(
                f"{path}: {large.filename} has {large.file_size} bytes, and at most {_LIMIT_BYTES} are read"
            )
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(file["header"].tobytes())
            levels = _levels(path, header, file)
    except ModelError:
        raise
    except _DAMAGED as error:
        raise ModelError(f"{path}: it is no file of levels, or damaged: {' '.join(str(error).split())[:160]}") from None
    if levels.model_hash != file_hash(model):
        raise ModelError(
            f"{path}: it was written for another {model.name}, whose SHA-256 begins {levels.model_hash[:12]}"
        )
    return levels


def _levels(path: Path, header: Any, file: Any) -> Levels:
    if not isinstance(header, dict) or header.get("schema") != SCHEMA:
        raise ModelError(f"{path}: its header has no schema {SCHEMA}")
    sparsities = tuple(float(value) for value in header["sparsities"])
    layers: dict[str, LayerLevels] = {}
    for index, entry in enumerate(header["layers"]):
        name = str(entry["name"])
        groups, m, k = (int(extent) for extent in entry["shape"])
        if min(groups, m, k) < 1:
            raise ModelError(f"{path}: layer {name} has shape {entry['shape']}, and every extent must be at least 1")
        column = file[f"column{index}"].astype(np.int64)
        pointer = file[f"pointer{index}"].astype(np.int64)
        if pointer.shape != (groups * m, len(sparsities) + 1) or column.ndim != 1:
            raise ModelError(f"{path}: layer {name}: pointers have shape {pointer.shape}, and it has {groups * m} rows")
        ends = np.concatenate(([0], pointer[:, -1]))
        if (np.diff(pointer, axis=1) < 0).any() or (pointer[:, 0] != ends[:-1]).any() or ends[-1] != column.size:
            raise ModelError(f"{path}: layer {name}: pointers must rise, row after row, to its {column.size} columns")
        if column.size and (column.max() >= k):
            raise ModelError(f"{path}: layer {name}: column {column.max()} lies outside its {k}")
        layers[name] = LayerLevels(shape=(groups, m, k), column=column, pointer=pointer)
    return Levels(
        path=path, model_hash=str(header["model_sha256"]), pattern=str(header["pattern"]), sparsities=sparsities,
        layers=layers,
    )  # fmt: skip


def at_level(network: Network, levels: Levels, level: int) -> Network:
    """Return the network with the weights of ``level``, 1 the sparsest. Raises ModelError for a level there is not."""
    count = len(levels.sparsities)
    if not 1 <= level <= count:
        raise ModelError(f"{levels.path}: level is {level}, and it has levels 1 (the sparsest) to {count}")
    weights = dict(network.weights)
    for name, layer in levels.layers.items():
        if name not in weights or weights[name].shape != layer.shape:
            raise ModelError(f"{levels.path}: layer {name} of shape {layer.shape} is not in {network.name}")
        weights[name] = np.where(layer.mask(level), weights[name], np.float32(0.0))
    note = f"level {level} of {count}: {levels.pattern} at {levels.sparsities[level - 1]:g}"
    return dataclasses.replace(network, weights=weights, notes=(*network.notes, note))
