"""Masks that are N:M both ways keep the most they can, and the ranking kernels keep what a naive ranking keeps."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from patterns import _kernels, _tile_kernel
from patterns.base import PatternError
from patterns.kernel_pattern import KernelPattern
from patterns.n_of_m import NOfM
from patterns.n_of_m_both import NOfMBoth


@cache
def tile_masks(rows: int, columns: int, n: int) -> list[np.ndarray]:
    """Every mask of at most n a row and column that keeps as many weights as any does, by trying all."""
    masks = [
        np.array(bits, dtype=np.bool_).reshape(rows, columns)
        for bits in itertools.product((0, 1), repeat=rows * columns)
    ]
    allowed = [mask for mask in masks if max(mask.sum(axis=0).max(), mask.sum(axis=1).max()) <= n]
    most = max(int(mask.sum()) for mask in allowed)
    return [mask for mask in allowed if mask.sum() == most]


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(0, 10**6), st.booleans())
def test_a_tile_keeps_the_largest_sum_of_all_masks_of_the_rule(
    rows: int, columns: int, n: int, seed: int, ties: bool
) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4 if ties else 1000, (1, rows, columns)).astype(np.float32)
    mask = NOfMBoth(n=n, m=3).project(scores, 0.5)[0]
    masks = tile_masks(rows, columns, n)
    assert any(np.array_equal(mask, each) for each in masks)
    assert scores[0][mask].sum() == max(scores[0][each].sum() for each in masks)


def test_there_are_90_masks_of_a_4x4_tile_with_two_each_way_and_the_path_finder_agrees_with_trying_all() -> None:
    masks = [mask for mask in tile_masks(4, 4, 2) if mask.sum() == 8]
    assert len(masks) == 90
    rng = np.random.default_rng(0)
    for _ in range(60):
        weight = rng.integers(1, 50, (4, 4)).astype(np.int64)
        used = np.zeros((4, 4), dtype=np.bool_)
        _tile_kernel.transport(weight, 2, 2, used)
        best = max(int(weight[mask].sum()) for mask in masks)
        assert int(weight[used].sum()) == best
        projected = NOfMBoth(n=2, m=4).project(weight[None].astype(np.float32), 0.5)[0]
        assert int(weight[projected].sum()) == best


@pytest.mark.parametrize(("n", "m"), [(1, 8), (3, 8), (4, 8), (8, 16), (5, 32), (32, 64)])
def test_a_large_tile_is_as_good_as_linear_programming_finds_it(n: int, m: int) -> None:
    scores = np.abs(np.random.default_rng(n).standard_normal((m, m))).astype(np.float32)
    mask = NOfMBoth(n=n, m=m).project(scores[None], 0.5)[0]
    assert (mask.sum(axis=0) == n).all()
    assert (mask.sum(axis=1) == n).all()
    rows = np.kron(np.eye(m), np.ones(m))
    columns = np.kron(np.ones(m), np.eye(m))
    solved = optimize.linprog(
        -scores.reshape(-1).astype(np.float64),
        A_eq=np.vstack([rows, columns]),
        b_eq=np.full(2 * m, n),
        bounds=(0, 1),
        method="highs",
    )
    assert scores[mask].sum(dtype=np.float64) == pytest.approx(-solved.fun, rel=1e-9)


def test_infinite_and_tiny_scores_come_in_their_order() -> None:
    scores = np.full((1, 4, 4), np.float32(0), dtype=np.float32)
    scores[0, 0, 0] = scores[0, 3, 1] = np.inf
    scores[0, 1, 2] = 1e30
    scores[0, 2, 3] = 1e-30  # below what 40 bits under 1e30 hold, and still above 0
    for n, m in ((2, 4), (1, 4)):
        mask = NOfMBoth(n=n, m=m).project(scores, 0.5)[0]
        assert mask[scores[0] > 0].all()


def test_both_ways_means_that_the_transpose_obeys_too() -> None:
    scores = np.abs(np.random.default_rng(0).standard_normal((2, 24, 36))).astype(np.float32)
    mask = NOfMBoth(n=2, m=4).project(scores, 0.5)
    assert NOfM(n=2, m=4).check(mask) is None
    assert NOfM(n=2, m=4).check(np.ascontiguousarray(mask.transpose(0, 2, 1))) is None
    assert NOfMBoth(n=2, m=4).check(NOfM(n=2, m=4).project(scores, 0.5)) is not None
    free = NOfM(n=2, m=4).project(scores, 0.5)
    assert scores[mask].sum() < scores[free].sum()  # what the second direction costs


def test_a_cut_tile_keeps_what_its_rows_and_columns_allow_together() -> None:
    scores = np.ones((1, 5, 6), dtype=np.float32)  # tiles of 4x4, 4x2, 1x4 and 1x2
    mask = NOfMBoth(n=2, m=4).project(scores, 0.5)
    wanted = {(0, 0): 4 * 2, (0, 4): 2 * 2, (4, 0): 1 * 2, (4, 4): 1 * 2}
    for (row, column), kept in wanted.items():
        assert mask[0, row : row + 4, column : column + 4].sum() == kept
    assert NOfMBoth(n=2, m=4).explained(mask) == 1


def test_the_check_names_the_row_of_a_tile_then_the_column() -> None:
    mask = np.zeros((2, 8, 8), dtype=np.bool_)
    mask[1, 4:7, 6] = True
    found = NOfMBoth(n=2, m=4).check(mask)
    assert found is not None
    assert (found.group, found.row, found.column) == (1, 4, 6)
    assert found.text == "3 of the 4 rows from here are kept, and n_of_m_both:2,4 allows 2"
    mask[1, 7, 0:3] = True
    found = NOfMBoth(n=2, m=4).check(mask)
    assert found is not None
    assert (found.group, found.row, found.column) == (1, 7, 0)
    assert found.text.startswith("3 of the 4 columns from here")


@pytest.mark.parametrize(("n", "m", "why"), [(0, 4, "at least 1"), (5, 4, "at most M"), (2, 65, "at most 64")])
def test_a_rule_out_of_range_is_refused_by_name(n: int, m: int, why: str) -> None:
    with pytest.raises(PatternError, match=rf"n_of_m_both:{n},{m}: .*{why}"):
        NOfMBoth(n=n, m=m)


def ranked(scores: np.ndarray, allowed: np.ndarray, counts: np.ndarray, m: int) -> np.ndarray:
    """Of every m columns of a row the largest allowed, the lowest column first among equals, one after another."""
    out = np.zeros(scores.shape, dtype=np.bool_)
    for row, count in enumerate(counts):
        for start in range(0, scores.shape[1], m):
            inside = [c for c in range(start, min(start + m, scores.shape[1])) if allowed[row, c]]
            out[row, sorted(inside, key=lambda c: (-scores[row, c], c))[:count]] = True
    return out


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 4), st.integers(1, 70), st.integers(1, 70), st.integers(0, 10**6), st.integers(1, 50))
def test_the_segment_kernel_keeps_what_a_naive_ranking_keeps(
    rows: int, columns: int, m: int, seed: int, values: int
) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, values, (rows, columns)).astype(np.float32)
    if seed % 3 == 0:
        scores.sort(axis=1)
    allowed = rng.random((rows, columns)) < 0.8
    counts = rng.integers(0, m + 2, rows)
    out = np.empty((rows, columns), dtype=np.bool_)
    _kernels.keep_in_segments(scores.view(np.uint32), allowed, counts, m, out)
    assert np.array_equal(out, ranked(scores, allowed, counts, m))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 6), st.integers(0, 10**6), st.sampled_from(["centred", "mest"]))
def test_the_shape_kernel_finds_the_best_shape_that_is_allowed(rows: int, channels: int, seed: int, last: str) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 6, (rows, 9, channels)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.05] = np.inf
    allowed = rng.random(scores.shape) < 0.8
    shapes = KernelPattern(last_shape=last).shapes  # type: ignore[arg-type]
    shape, energy = np.empty((rows, channels), dtype=np.int8), np.empty((rows, channels))
    flat = (rows, 9 * channels)
    _kernels.best_shapes(scores.reshape(flat), allowed.reshape(flat), shapes, shape, energy)
    for row, channel in np.ndindex(rows, channels):
        sums = [
            float((scores[row, taps, channel].astype(np.float64) ** 2).sum())
            if allowed[row, taps, channel].all()
            else -1.0
            for taps in shapes
        ]
        assert energy[row, channel] == max(sums)
        assert shape[row, channel] == (sums.index(max(sums)) if max(sums) >= 0 else -1)
