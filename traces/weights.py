"""Weight tensors as a file stores them, as matrices, and made only when they are asked for.

A large network without a file (VGG-16: 553 MB as fp32) need not lie in memory: its builder is given shapes, and each
matrix is made on access. Left out: reading files; a real file's tensors are plain arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from traces.layer import FloatArray, ModelError

WeightTensor = npt.NDArray[np.floating]
KEEP_BYTES = 256 * 2**20  # matrices that a DeferredWeights keeps for the next access; assumed, above ResNet-50's 102 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferredWeight:
    """A weight tensor that ``make(name, shape)`` makes anew when it is asked for; ``shape`` as torch stores it."""

    name: str
    shape: tuple[int, ...]
    make: Callable[[str, tuple[int, ...]], WeightTensor]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def load(self) -> WeightTensor:
        """Return the tensor. Raises ModelError where it does not have the shape that was promised."""
        tensor = self.make(self.name, self.shape)
        if tensor.shape != self.shape:
            raise ModelError(f"weight {self.name}: its shape is {tensor.shape}, and must be {self.shape}")
        return tensor


Weight = WeightTensor | DeferredWeight


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferredMatrix:
    """The matrix (groups, m, k) of a deferred tensor."""

    weight: DeferredWeight
    groups: int

    @property
    def shape(self) -> tuple[int, int, int]:
        co, cig, *kernel = self.weight.shape
        return self.groups, co // self.groups, cig * int(np.prod(kernel, dtype=np.int64))

    def load(self) -> WeightTensor:
        return flattened(self.weight.load(), self.groups)


def flattened(tensor: WeightTensor, groups: int) -> WeightTensor:
    """Return OIHW, OIL or (out, in) as (groups, m, k), Ci innermost."""
    co = tensor.shape[0]
    channels_last = tensor.transpose(0, *range(2, tensor.ndim), 1)
    return np.ascontiguousarray(channels_last).reshape(groups, co // groups, -1)


def weight_matrix(weight: Weight, groups: int = 1) -> WeightTensor | DeferredMatrix:
    """Return ``weight`` as (groups, m, k), deferred where it is."""
    if isinstance(weight, DeferredWeight):
        return DeferredMatrix(weight=weight, groups=groups)
    return flattened(weight, groups)


def check_finite(matrix: WeightTensor, where: str) -> None:
    """Raise ModelError, prefixed by ``where``, for NaN and infinite weights."""
    if not np.isfinite(matrix).all():
        bad = "NaN" if np.isnan(matrix).any() else "infinite"
        raise ModelError(f"{where}: a weight is {bad}, and weights must be finite")


class DeferredWeights(Mapping[str, FloatArray]):
    """Weights by layer, some of them made on access; what was made is kept up to ``keep_bytes``, read-only."""

    def __init__(
        self, weights: Mapping[str, FloatArray | DeferredMatrix], where: str, keep_bytes: int = KEEP_BYTES
    ) -> None:
        self._weights = dict(weights)
        self._where = where
        self._keep_bytes = keep_bytes
        self._kept: dict[str, FloatArray] = {}

    def __getitem__(self, layer: str) -> FloatArray:
        weight = self._weights[layer]
        if not isinstance(weight, DeferredMatrix):
            return weight
        if layer in self._kept:
            return self._kept[layer]
        matrix = self._made(layer, weight)
        matrix.setflags(write=False)
        # no eviction: accesses go round and round over the layers, where dropping the oldest would keep nothing useful
        if self._has_room(matrix.nbytes):
            self._kept[layer] = matrix
        return matrix

    def magnitudes(self, layer: str) -> FloatArray:
        """Return |w| of a layer: of a matrix too large to be kept in its own memory, so that it is there once."""
        weight = self._weights[layer]
        if isinstance(weight, DeferredMatrix) and layer not in self._kept:
            bytes_of_matrix = int(np.prod(weight.shape, dtype=np.int64)) * np.dtype(np.float32).itemsize
            if not self._has_room(bytes_of_matrix):
                matrix = self._made(layer, weight)
                return np.abs(matrix, out=matrix if matrix.flags.writeable else None)
        return np.abs(self[layer])

    def _made(self, layer: str, weight: DeferredMatrix) -> FloatArray:
        matrix = np.asarray(weight.load(), dtype=np.float32)
        check_finite(matrix, f"{self._where}: layer {layer}")
        return matrix

    def _has_room(self, wanted_bytes: int) -> bool:
        return sum(kept.nbytes for kept in list(self._kept.values())) + wanted_bytes <= self._keep_bytes

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)


def magnitudes(weights: Mapping[str, FloatArray], layer: str) -> FloatArray:
    """Return |w| of a layer as an array of the caller's own."""
    return weights.magnitudes(layer) if isinstance(weights, DeferredWeights) else np.abs(weights[layer])
