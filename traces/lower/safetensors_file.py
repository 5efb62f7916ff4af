"""Lowers a ``.safetensors`` file: it holds weights by name and no graph, so ``arch`` names the network they belong to.

Architectures: every built-in network (weights named as in its reference code), ``bert`` (an encoder of the
transformers library, sizes read from the tensors) and ``sequential`` (linear layers, one after the other).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from patterns.names import nearest
from traces.layer import FloatArray, ModelError, Network
from traces.lower.safetensors_header import TensorFile, open_safetensors
from traces.lower.state_dict import sequential
from traces.workloads.bert import bert, embedding_tables
from traces.workloads.catalog import ALL_WORKLOADS

Shape = tuple[int, ...]

BERT, SEQUENTIAL = "bert", "sequential"
ALL_ARCHS: tuple[str, ...] = (*(workload.name for workload in ALL_WORKLOADS), BERT, SEQUENTIAL)
WRAPPERS = ("module.", "model.", "_orig_mod.")  # prefixes of data-parallel, training and compiled wrappers
NAMED_LEFT_OVERS = 5


class StateDict:
    """Weights by name and needed shape, from a file; folds pruning masks and remembers what was asked for."""

    def __init__(self, file: TensorFile) -> None:
        self.file = file
        self.asked: set[str] = set()
        names = list(file.entries)
        self.prefix = next((prefix for prefix in WRAPPERS if names and all(n.startswith(prefix) for n in names)), "")

    @property
    def shapes(self) -> dict[str, Shape]:
        """Shapes by name, without the wrapper's prefix; a pruned weight under its plain name."""
        found = {name.removeprefix(self.prefix): entry.shape for name, entry in self.file.entries.items()}
        pruned = [name.removesuffix("_orig") for name in found if name.endswith("_orig")]
        plain = {name: found[f"{name}_orig"] for name in pruned if f"{name}_mask" in found}
        return {**found, **plain}

    def __call__(self, name: str, shape: Shape) -> FloatArray:
        """Return the tensor. Raises ModelError where it is missing or has another shape than the network needs."""
        stored = self.prefix + name
        if f"{stored}_orig" in self.file.entries and f"{stored}_mask" in self.file.entries:
            return self._read(f"{stored}_orig", shape) * self._read(f"{stored}_mask", shape)
        return self._read(stored, shape)

    def _read(self, stored: str, shape: Shape) -> FloatArray:
        if stored not in self.file.entries:
            near = get_close_matches(stored, list(self.file.entries), 1)
            hint = f"; the nearest it holds is {near[0]} {self.file.entries[near[0]].shape}" if near else ""
            raise ModelError(f"{self.file.path}: tensor {stored} of shape {tuple(shape)} is needed and missing{hint}")
        found = self.file.entries[stored].shape
        if found != tuple(shape):
            raise ModelError(
                f"{self.file.path}: tensor {stored} has shape {found}, and the network needs {tuple(shape)}"
            )
        self.asked.add(stored)
        return self.file.read(stored)

    def left_over(self) -> str:
        """One line about the tensors that the network did not ask for; '' where it asked for all."""
        others = [name for name in self.file.entries if name not in self.asked]
        vectors = [name for name in others if len(self.file.entries[name].shape) < 2]
        matrices = [name for name in others if name not in vectors]
        parts = []
        if vectors:
            parts.append(f"{len(vectors)} biases, scales and statistics were not read")
        if matrices:
            more = f" and {len(matrices) - NAMED_LEFT_OVERS} more" if len(matrices) > NAMED_LEFT_OVERS else ""
            parts.append(f"not part of the network: {', '.join(matrices[:NAMED_LEFT_OVERS])}{more}")
        return "; ".join(parts)


def read_safetensors(
    path: str | Path,
    *,
    arch: str | None,
    input_shapes: Mapping[str, Shape] | Shape | None = None,
    batch: int | None = None,
    strict: bool = False,
) -> Network:
    """Lower a ``.safetensors`` file as the network ``arch``.

    ``input_shapes``: of the network's input, batch included. Raises ModelError for an unknown ``arch``, a tensor that
    is missing or has another shape and, if ``strict``, for a weight that the network has no place for.
    """
    file = Path(path)
    if arch is None:
        raise ModelError(f"{file}: a .safetensors file holds no graph, so --arch must name one: {', '.join(ALL_ARCHS)}")
    if arch not in ALL_ARCHS:
        raise ModelError(f"{file}: no architecture is called {arch}; {nearest(arch, ALL_ARCHS)}")
    weights = StateDict(open_safetensors(file))
    network = _build(weights, arch, batch or 1, _only_shape(input_shapes, file))
    if isinstance(input_shapes, Mapping) and not set(input_shapes) <= set(network.inputs):
        raise ModelError(f"{file}: input {next(iter(input_shapes))}: {arch} has the inputs {', '.join(network.inputs)}")
    left_over = weights.left_over()
    if strict and "not part" in left_over:
        raise ModelError(f"{file}: {left_over}, and strict forbids leaving weights out")
    notes = (*network.notes, f"graph from --arch {arch}", *((left_over,) if left_over else ()))
    return dataclasses.replace(
        network, name=file.stem, source=str(file), digest=weights.file.digest, synthetic=False, notes=notes
    )


def _build(weights: StateDict, arch: str, batch: int, shape: Shape | None) -> Network:
    file = weights.file.path
    if arch == BERT:
        for table, expected in embedding_tables(weights.shapes).items():
            weights(table, expected)  # looked up and no matrix; they are part of the network all the same
        return bert(file.stem, str(file), weights.shapes, weights, batch, shape)
    if arch == SEQUENTIAL:
        return sequential(file.stem, str(file), weights.shapes, weights, batch, shape)
    workload = next(member for member in ALL_WORKLOADS if member.name == arch)
    return workload.build(weights, batch, shape)


class _Numbered(StateDict):
    """Gives every tensor one number, in all of its elements: a layer made of it tells which it was."""

    def __init__(self, file: TensorFile) -> None:
        super().__init__(file)
        self.names: list[str] = []

    def __call__(self, name: str, shape: Shape) -> FloatArray:
        self.names.append(self.prefix + name)
        return np.broadcast_to(np.float32(len(self.names)), shape)


def tensors_of_layers(
    file: TensorFile, arch: str, batch: int, input_shapes: Mapping[str, Shape] | Shape | None
) -> dict[str, str]:
    """Return the tensor that each layer with weights is made of; a pruned one under its plain name.

    ``arch`` and the shapes are those with which ``read_safetensors`` has read the file.
    """
    numbered = _Numbered(file)
    network = _build(numbered, arch, batch, _only_shape(input_shapes, file.path))
    found = {}
    for layer in network.matrix_layers:
        matrix = network.weights[layer.name]
        if matrix.min() != matrix.max():
            raise ModelError(f"{file.path}: layer {layer.name} is made of several tensors")
        found[layer.name] = numbered.names[int(matrix.flat[0]) - 1]
    return found


def _only_shape(input_shapes: Mapping[str, Shape] | Shape | None, file: Path) -> Shape | None:
    if not isinstance(input_shapes, Mapping):
        return input_shapes
    if len(input_shapes) != 1:
        raise ModelError(f"{file}: {len(input_shapes)} input shapes, and an architecture takes one, of its first input")
    return next(iter(input_shapes.values()))
