"""A network that needs no file: what describes one, and where its weights come from.

Shapes are true, weights are a normal distribution drawn from the seed: magnitudes of a fresh initialisation, not of a
trained network, so every result that uses them is labelled synthetic. Left out: biases (they ride on the output).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from traces.layer import FloatArray, ModelError, Network
from traces.weights import DeferredWeight, Weight

# by name and shape as torch stores them: convolution OIHW or OIL, linear (out, in), LSTM weight_ih (4H, in)
WeightSource = Callable[[str, tuple[int, ...]], Weight]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A built-in network.

    ``macs``: multiply-adds at ``input_shape``, batch 1, as published (two where sources count differently; None where
    no source states them). ``input_shape``: of the first input, batch first. ``build`` takes the weights, the batch
    and another input shape (batch included) or None.
    """

    name: str
    summary: str
    source: str
    macs: int | tuple[int, int] | None
    input_shape: tuple[int, ...]
    build: Callable[[WeightSource, int, tuple[int, ...] | None], Network]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticWeights:
    """A source of He-scaled normal weights; a tensor depends on the seed and its own name and shape alone."""

    seed: int

    def __call__(self, name: str, shape: tuple[int, ...]) -> DeferredWeight:
        return DeferredWeight(name=name, shape=shape, make=self.draw)

    def draw(self, name: str, shape: tuple[int, ...]) -> FloatArray:
        """Return the tensor. Reference: He et al. 2015, arXiv 1502.01852, standard deviation sqrt(2 / fan-in)."""
        key = np.frombuffer(hashlib.sha256(name.encode()).digest(), dtype="<u4")
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, *key.tolist()])))
        weights = generator.standard_normal(shape, dtype=np.float32)
        weights *= np.float32(np.sqrt(2 / np.prod(shape[1:])))
        return weights


def resolve_shape(
    name: str, default: tuple[int, ...], batch: int, input_shape: tuple[int, ...] | None
) -> tuple[int, ...]:
    """Return the input shape, batch included. A batch of 1 on either side gives way to the other.

    Raises ModelError for another rank or number of channels, an extent below 1, or two batches that differ.
    """
    shape = default if input_shape is None else tuple(input_shape)
    if len(shape) != len(default):
        raise ModelError(f"{name}: input shape {shape} has {len(shape)} extents, and must have {len(default)}")
    if batch < 1 or min(shape) < 1:
        raise ModelError(f"{name}: input shape {shape} at batch {batch}: every extent must be at least 1")
    if len(shape) > 2 and shape[1] != default[1]:  # images and sounds: the first weights have that many channels
        raise ModelError(f"{name}: input shape {shape} has {shape[1]} channels, and must have {default[1]}")
    if 1 not in (shape[0], batch) and shape[0] != batch:
        raise ModelError(f"{name}: input shape {shape} has batch {shape[0]}, and batch is {batch}: they must agree")
    return (max(shape[0], batch), *shape[1:])
