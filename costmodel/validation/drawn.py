"""Masks that stand for those of a measurement, which are never published: draws that depend on the shape alone.

A large mask repeats its draws after PERIOD of them, so that the rows of an unstructured one (``drawn_rows``) are known
without the mask: kept weights and runs are looked up in one period. Leaves out: masks that training makes.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from costmodel.spmv_rows import LONGEST_RUN, Rows
from patterns.base import Mask, Pattern
from patterns.block import Block
from patterns.dense import Dense
from patterns.unstructured import Unstructured
from traces.layer import MatrixLayer

PERIOD = 4_194_301  # a prime, so that no two rows of a matrix are the same draws; keeps 600 million weights quick


def drawn_mask(layer: MatrixLayer, rule: Pattern, density: float, seed: int) -> Mask:
    """Return a mask (groups, m, k) that obeys ``rule``, drawn from ``seed`` and the shape alone; read-only."""
    return _mask((layer.groups, layer.m, layer.k), rule, density, seed)


@lru_cache(maxsize=8)  # a fit asks for the same few large masks under every number that it tries
def _mask(shape: tuple[int, int, int], rule: Pattern, density: float, seed: int) -> Mask:
    mask = _drawn(shape, rule, density, seed)
    mask.flags.writeable = False
    return mask


def _drawn(shape: tuple[int, int, int], rule: Pattern, density: float, seed: int) -> Mask:
    if isinstance(rule, Dense):
        return np.broadcast_to(np.True_, shape)  # no memory: a layer of VGG-16 has 103 million weights
    generator = _generator(shape, rule, density, seed)
    if isinstance(rule, Unstructured):
        return _kept(generator, shape, density)
    groups, m, k = shape
    if isinstance(rule, Block) and m % rule.height == 0 and k % rule.width == 0:
        blocks = _kept(generator, (groups, m // rule.height, k // rule.width), density)
        return np.repeat(np.repeat(blocks, rule.height, axis=1), rule.width, axis=2)
    return rule.project(generator.random(shape, dtype=np.float32), 1 - density)


def drawn_rows(layer: MatrixLayer, density: float, seed: int) -> Rows:
    """Return the rows of the unstructured mask that ``drawn_mask`` draws, without drawing all of it."""
    return _rows((layer.groups, layer.m, layer.k), density, seed)


@lru_cache(maxsize=512)  # a table of measurements asks for the same on every device
def _rows(shape: tuple[int, int, int], density: float, seed: int) -> Rows:
    groups, m, k = shape
    kept = _draws(_generator(shape, Unstructured(), density, seed), shape, density)
    place = np.flatnonzero(kept)
    places = np.concatenate([place, place + kept.size])  # a row may run over the end of the period
    if k > kept.size:
        raise AssertionError(f"a row of {k} is longer than the {kept.size} draws")
    inserted = np.concatenate([[0], np.cumsum((np.diff(places) - 1) // (LONGEST_RUN + 1))])
    start = np.arange(groups * m, dtype=np.int64) * k % kept.size
    first, end = np.searchsorted(places, start), np.searchsorted(places, start + k)
    count = end - first
    some = np.flatnonzero(count)
    slots = np.full(groups * m, k // (LONGEST_RUN + 1), dtype=np.int64)  # of rows that keep nothing
    head = places[first[some]] - start[some]
    last = end[some] - 1
    tail = start[some] + k - 1 - places[last]
    runs = head // (LONGEST_RUN + 1) + inserted[last] - inserted[first[some]] + tail // (LONGEST_RUN + 1)
    slots[some] = count[some] + runs
    return Rows(columns=k, kept=count.astype(np.int64), slots=slots)


def _generator(shape: tuple[int, int, int], rule: Pattern, density: float, seed: int) -> np.random.Generator:
    name = hashlib.sha256(repr((shape, rule.spelling, density)).encode()).digest()
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *np.frombuffer(name, "<u4").tolist()])))


def _draws(generator: np.random.Generator, shape: tuple[int, ...], density: float) -> npt.NDArray[np.bool_]:
    drawn = min(int(np.prod(shape)), PERIOD)
    return generator.integers(0, 1 << 16, size=drawn, dtype=np.uint16) < round(density * (1 << 16))


def _kept(generator: np.random.Generator, shape: tuple[int, ...], density: float) -> Mask:
    """Return draws that are True with probability ``density``, to 1 in 65,536; they repeat after PERIOD of them."""
    return np.resize(_draws(generator, shape, density), shape)
