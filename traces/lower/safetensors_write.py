"""Writes a ``.safetensors`` file with some weights removed: the same tensors, data types, shapes and metadata.

From a ``.safetensors`` file the header stays as it is, byte for byte. From a ``.pt2`` file the names are those of the
module's state dict; what is no part of the state (constants of the graph) is left out. A weight that is stored beside
its mask keeps its values, and the mask changes. Written aside, read back, compared, renamed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from traces.layer import ModelError
from traces.lower.pt2_archive import Pt2Archive
from traces.lower.safetensors_header import BFLOAT16, DTYPES, LENGTH_BYTES, TensorFile, open_safetensors
from traces.lower.state_source import StateSource, effective, stored_bytes, stored_ids

Keep = npt.NDArray[np.bool_]
_ALIGN_BYTES = 8  # of the values after the header, as the format's own writer does


def write_safetensors(
    source: StateSource, keep: Mapping[str, Keep], destination: Path, *, repack: bool = False
) -> dict[str, str]:
    """Write ``source`` with the weights outside ``keep[layer]`` (groups, m, k) removed; return remarks by layer.

    With ``repack`` a mask that the file stores is replaced, else it loses what is outside ``keep``. Raises ModelError
    for a layer whose weight cannot be written, or that shares it with one that wants another mask; OSError.
    """
    flat = _flat_masks(source, keep)
    changed, expected, remarks = _changed(source, flat, repack)
    aside = destination.with_name(f".{destination.name}.{os.getpid()}.aside")
    try:
        if isinstance(source.file, TensorFile):
            _patch(source.file, changed, aside)
        else:
            _write_new(source, source.file, changed, aside)
        again = open_safetensors(aside)
        for name, values in expected.items():
            found = again.read(f"{name}_orig") * again.read(f"{name}_mask") if source.masked(name) else again.read(name)
            if not np.array_equal(found, values):
                raise ModelError(f"{source.path}: tensor {name} cannot be written back exactly")
        os.replace(aside, destination)
    finally:
        aside.unlink(missing_ok=True)
    names = {tensor: layer for layer, tensor in source.tensors.items()}
    return {names[name]: text for name, text in remarks.items()}


def _flat_masks(source: StateSource, keep: Mapping[str, Keep]) -> dict[str, tuple[str, Keep]]:
    """Return, by tensor, the layer that reads it and its mask in the tensor's order."""
    found: dict[str, tuple[str, Keep]] = {}
    layers = source.network.matrix_layers
    for layer in layers:
        if layer.name not in keep:
            continue
        name, ids = stored_ids(source, layer)
        mask = np.ones(ids.size, dtype=np.bool_)
        mask[ids[~keep[layer.name]]] = False
        if name in found and not np.array_equal(found[name][1], mask):
            raise ModelError(
                f"{source.path}: layers {found[name][0]} and {layer.name} share the tensor {name}, and their masks "
                "differ: keep both dense (--keep)"
            )
        found[name] = layer.name, mask
    for layer in layers:
        name = source.tensors.get(layer.name, "")
        if layer.name not in keep and name in found and not found[name][1].all():
            raise ModelError(
                f"{source.path}: layer {layer.name} stays as it is and shares the tensor {name} with {found[name][0]}, "
                "which is pruned: keep both dense (--keep)"
            )
    return found


def _changed(
    source: StateSource, flat: Mapping[str, tuple[str, Keep]], repack: bool
) -> tuple[dict[str, bytes], dict[str, npt.NDArray[np.float32]], dict[str, str]]:
    """Return the new bytes of stored tensors, the weights that they must give, and remarks, by plain name."""
    changed: dict[str, bytes] = {}
    expected: dict[str, npt.NDArray[np.float32]] = {}
    remarks: dict[str, str] = {}
    for name, (_, mask) in flat.items():
        shape = source.shape(f"{name}_mask" if source.masked(name) else name)
        weights = effective(source, name, unmasked=repack)
        expected[name] = np.where(mask.reshape(shape), weights, np.float32(0.0))
        if source.masked(name):
            stored = f"{name}_mask"
            now = mask if repack else mask & (source.values(stored).reshape(-1) != 0)
            changed[stored] = _ones(source.kind(stored), now)
            if not repack:
                factor = source.values(stored)
                if not ((factor == 0) | (factor == 1)).all():
                    raise ModelError(f"{source.path}: tensor {stored} holds more than 0 and 1, and is no mask")
            remarks[name] = f"{name}_orig keeps its values, and {stored} has the mask"
        else:
            bits = np.frombuffer(stored_bytes(source, name), dtype=_bits(source.kind(name))).copy()
            bits[~mask] = 0
            changed[name] = bits.tobytes()
    return changed, expected, remarks


def _bits(kind: str) -> str:
    return f"<u{np.dtype(DTYPES[kind]).itemsize}"


def _ones(kind: str, mask: Keep) -> bytes:
    """Return a mask as 0 and 1 in a data type."""
    if kind == BFLOAT16:
        return (mask * np.uint16(0x3F80)).astype("<u2").tobytes()  # the upper half of float32's 1.0
    return mask.astype(DTYPES[kind]).tobytes()


def _patch(file: TensorFile, changed: Mapping[str, bytes], path: Path) -> None:
    """Copy the file, and write over the tensors that change."""
    with file.path.open("rb") as old, path.open("wb") as new:
        while chunk := old.read(1 << 24):
            new.write(chunk)
        for name, raw in changed.items():
            new.seek(file.entries[name].start_bytes)
            new.write(raw)


def _write_new(source: StateSource, archive: Pt2Archive, changed: Mapping[str, bytes], path: Path) -> None:
    """Write the state of an export: parameters and buffers by name, in the order of the export."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset, names = 0, _state_names(archive)
    for name in names:
        size = int(np.prod(source.shape(name), dtype=np.int64)) * np.dtype(DTYPES[source.kind(name)]).itemsize
        header[name] = {
            "dtype": source.kind(name), "shape": list(source.shape(name)), "data_offsets": [offset, offset + size]
        }  # fmt: skip
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGN_BYTES)
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(LENGTH_BYTES, "little"))
        stream.write(text)
        for name in names:
            stream.write(changed.get(name) or stored_bytes(source, name))


def _state_names(archive: Pt2Archive) -> list[str]:
    """Return the names of parameters and persistent buffers; constants of the graph are no state."""
    specs = archive.model["graph_module"]["signature"]["input_specs"]
    constants = {spec["tensor_constant"]["tensor_constant_name"] for spec in specs if "tensor_constant" in spec} | {
        spec["buffer"]["buffer_name"] for spec in specs if "buffer" in spec and not spec["buffer"].get("persistent", 1)
    }
    return [name for name in archive.tensors if name not in constants]
