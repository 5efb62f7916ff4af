"""What is measured: shapes of real layers, densities, patterns and the kernels that take them, as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
import numpy.typing as npt

from patterns.catalog import parse_pattern

# (m, k) of layers: MobileNet's pointwise ones, ResNet's 1x1 and 3x3, a classifier, a transformer's
MATRICES = (
    (32, 32), (64, 64), (32, 96), (128, 64), (96, 576), (128, 128), (256, 128), (64, 576), (256, 256), (320, 960),
    (512, 256), (128, 1152), (256, 1024), (512, 512), (1024, 512), (1000, 1024), (768, 768), (2048, 512), (768, 3072),
)  # fmt: skip
POSITIONS = (1, 4, 8, 16, 49, 64, 196, 784, 3136, 12544)
QUICK_MATRICES = ((64, 64), (128, 128), (96, 576), (256, 256), (256, 1024), (512, 512))
QUICK_POSITIONS = (1, 8, 49, 64, 196, 784)
DENSITIES = (0.05, 0.1, 0.2, 0.5)
QUICK_DENSITIES = (0.1, 0.5)
MOST_MACS = 400_000_000  # kept x positions of one product: some 0.1 s on one core
MOST_SCORES = 1_100_000  # elements of a matrix that a projection orders in a few seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A way to store and multiply: the pattern (with its own density where ``density`` is given) and the encoding."""

    name: str
    pattern: str
    encoding: str
    density: float | None = None


# one for each encoding that patterns/products executes; kernel_pattern is for 3x3 convolutions, coo and csc are no
# formats of inference and stay with benchmarks/products.py
FAMILIES = (
    Family(name="csr", pattern="unstructured", encoding="csr"),
    Family(name="bitmap", pattern="unstructured", encoding="bitmap"),
    Family(name="run_length", pattern="unstructured", encoding="run_length"),
    Family(name="ell", pattern="bank_balanced:8", encoding="ell"),
    Family(name="bsr", pattern="block:4x1", encoding="bsr"),
    Family(name="gs", pattern="gs:16,1", encoding="gs"),
    Family(name="n_of_m", pattern="n_of_m:2,4", encoding="n_of_m", density=0.5),
    Family(name="n_of_m", pattern="n_of_m:1,4", encoding="n_of_m", density=0.25),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A pruned matrix to be measured. ``density``: asked for; 1 for dense."""

    family: str
    pattern: str
    encoding: str
    m: int
    k: int
    density: float

    def values(self, seed: int) -> npt.NDArray[np.float32]:
        """Return random normal weights [m, k] float32, the same for one seed and shape."""
        return np.random.default_rng([seed, self.m, self.k]).standard_normal((self.m, self.k)).astype(np.float32)

    def mask(self, seed: int) -> npt.NDArray[np.bool_]:
        """Return the mask [m, k] that the pattern's projection keeps of ``values``."""
        pattern = parse_pattern(self.pattern)
        kept: npt.NDArray[np.bool_] = pattern.project(np.abs(self.values(seed))[None], 1.0 - self.density)[0]
        return kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Matrices x positions x densities."""

    matrices: Sequence[tuple[int, int]]
    positions: Sequence[int]
    densities: Sequence[float]

    def weights(self) -> Iterator[Weights]:
        """Return every matrix to be made, dense first for each shape; projections that take long are left out."""
        for m, k in self.matrices:
            yield Weights(family="dense", pattern="dense", encoding="dense", m=m, k=k, density=1.0)
            for family in FAMILIES:
                if m * k > MOST_SCORES or gcd(m, 16) < 4 or k % 16:
                    continue
                for density in self.densities if family.density is None else (family.density,):
                    yield Weights(
                        family=family.name, pattern=family.pattern, encoding=family.encoding, m=m, k=k, density=density
                    )

    def positions_of(self, weights: Weights) -> list[int]:
        """Return the positions at which ``weights`` are measured: those that stay under ``MOST_MACS``."""
        return [p for p in self.positions if weights.m * weights.k * weights.density * p <= MOST_MACS]


FULL = Grid(matrices=MATRICES, positions=POSITIONS, densities=DENSITIES)
QUICK = Grid(matrices=QUICK_MATRICES, positions=QUICK_POSITIONS, densities=QUICK_DENSITIES)


def activations(k: int, positions: int, seed: int) -> npt.NDArray[np.float32]:
    """Return random normal activations [k, positions] float32."""
    return np.random.default_rng([seed, k, positions]).standard_normal((k, positions)).astype(np.float32)
