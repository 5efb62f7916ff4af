"""Per-layer sparsities of networks that were really pruned, on the built-in networks of the same shapes.

A profile says how much of each layer is gone, and not which weights: as a model, the smallest synthetic weights of each
layer are zero; as ratios, its shares go with any pattern. Left out: accuracy, and values of the pruned networks.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from patterns.selection import keep_largest
from traces.layer import FloatArray, ModelError, Network
from traces.weights import DeferredWeight, WeightTensor
from traces.workloads.workload import WeightSource, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One pruned network. ``column``: of ``profiles/NETWORK.csv``, by layer; a layer that is not there is dense.

    ``sparsity``: of the listed layers together as the source states it, where it does.
    """

    column: str
    base: Workload
    summary: str
    source: str
    sparsity: float | None = None

    @property
    def name(self) -> str:
        return f"{self.base.name}-{self.column}"


def profile_sparsities(profile: Profile) -> dict[str, float]:
    """Return the sparsity of each listed layer, 0 to 1, by its name in the built-in network."""
    return {layer: sparsity for layer, (_, sparsity) in _table(profile.base.name)[profile.column].items()}


def profile_weights(profile: Profile) -> dict[str, int]:
    """Return the weights of each listed layer, by its name in the built-in network."""
    return {layer: weights for layer, (weights, _) in _table(profile.base.name)[profile.column].items()}


def overall_sparsity(profile: Profile) -> float:
    """Return the sparsity of the listed layers together."""
    rows = _table(profile.base.name)[profile.column].values()
    return sum(weights * sparsity for weights, sparsity in rows) / sum(weights for weights, _ in rows)


@cache
def _table(network: str) -> dict[str, dict[str, tuple[int, float]]]:
    """Return (weights, sparsity) by column and layer. The file is ours: a damaged one is an error of the package."""
    text = (files("traces.workloads.profiles") / f"{network}.csv").read_text(encoding="utf-8")
    header, *rows = csv.reader(text.splitlines())
    return {
        column: {row[0]: (int(row[1]), float(row[place])) for row in rows}
        for place, column in enumerate(header)
        if place > 1
    }


def profiled(profile: Profile, weights: WeightSource, batch: int, input_shape: tuple[int, ...] | None) -> Network:
    """Build the network with the smallest weights of each listed layer at zero. Raises ModelError for other shapes."""
    counts = dict(_table(profile.base.name)[profile.column])
    sparse = _SparseWeights(weights, {f"{layer}.weight": entry for layer, entry in counts.items()}, profile.name)
    return profile.base.build(sparse, batch, input_shape)


class _SparseWeights:
    """Tensors of another source, made sparse when they are loaded."""

    def __init__(self, base: WeightSource, counts: Mapping[str, tuple[int, float]], where: str) -> None:
        self._base, self._counts, self._where = base, counts, where

    def __call__(self, name: str, shape: tuple[int, ...]) -> DeferredWeight:
        if name in self._counts and self._counts[name][0] != np.prod(shape):
            raise ModelError(
                f"{self._where}: tensor {name} has shape {shape}, and the profile is of {self._counts[name][0]} weights"
            )
        return DeferredWeight(name=name, shape=shape, make=self._load)

    def _load(self, name: str, shape: tuple[int, ...]) -> WeightTensor:
        weight = self._base(name, shape)
        tensor: FloatArray = weight.load() if isinstance(weight, DeferredWeight) else np.array(weight)  # anew, as asked
        if name not in self._counts:
            return tensor
        size, sparsity = self._counts[name]
        mask = keep_largest(np.abs(tensor).reshape(1, 1, -1).astype(np.float32), round(size * (1.0 - sparsity)))
        return np.where(mask.reshape(shape), tensor, np.float32(0.0))
