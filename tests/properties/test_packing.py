"""Packing reaches Konig's bound exactly, and the kernels of the patterns agree with their naive twins."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from patterns.base import PatternError
from patterns.gs import GatherScatter, bundle_groups
from patterns.packing import best_packing, group_counts, pack, row_order
from patterns.selection import keep_largest, kept_count
from patterns.unstructured import Unstructured, global_threshold, project_with_threshold
from tests.reference.gs_projection import greedy


@st.composite
def packings(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int, int]:
    """A mask, banks (any, not only column mod B), B and a k that divides it."""
    banks = draw(st.integers(1, 20))
    k = draw(st.sampled_from([divisor for divisor in range(1, banks + 1) if banks % divisor == 0]))
    rows, columns = draw(st.integers(1, 24)), draw(st.integers(1, 90))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    density = draw(st.sampled_from([0.0, 0.05, 0.3, 0.7, 1.0]))
    mask = rng.random((rows, columns)) < density
    if draw(st.booleans()):
        mask &= rng.random((rows, 1)) < 0.7  # rows that differ, some of them empty
    regular = draw(st.booleans())
    of_column = np.arange(columns) % banks if regular else rng.integers(0, banks, columns)
    return mask, of_column.astype(np.int64), banks, k


def bound(mask: np.ndarray, banks: np.ndarray, count: int, k: int, order: np.ndarray) -> list[int]:
    """Groups per bundle, weight by weight: max(ceil(largest row count / k), largest bank count)."""
    high = count // k
    groups = []
    for first in range(0, len(order), high):
        in_row = [0] * high
        in_bank = [0] * count
        for place, row in enumerate(order[first : first + high]):
            for column in np.flatnonzero(mask[row]):
                in_row[place] += 1
                in_bank[banks[column]] += 1
        groups.append(max(math.ceil(max(in_row) / k), *in_bank))
    return groups


@settings(max_examples=150, deadline=None)
@given(packings(), st.booleans())
def test_packing_reaches_the_bound_without_a_conflict_and_loses_no_weight(
    case: tuple[np.ndarray, np.ndarray, int, int], sort: bool
) -> None:
    mask, banks, count, k = case
    packing = pack(mask, banks, count, k, sort=sort)
    order = row_order(mask, sort)
    expected = bound(mask, banks, count, k, order)
    assert group_counts(mask, banks, count, k, order).tolist() == expected
    assert np.diff(packing.bundle_end, prepend=0).tolist() == expected
    assert np.array_equal(packing.order, order)
    assert packing.slots == sum(expected) * count
    back = np.zeros(mask.shape, dtype=np.int64)
    np.add.at(back, (packing.row, packing.column), 1)
    assert np.array_equal(back, mask)  # each kept weight once, no other
    high = count // k
    for group in range(packing.groups):
        span = slice(packing.group_ptr[group], packing.group_ptr[group + 1])
        lanes, rows = packing.lane[span], packing.row[span]
        assert len(lanes) > 0
        assert (np.diff(lanes) > 0).all()
        assert lanes[-1] < count
        assert len(set(banks[packing.column[span]].tolist())) == len(lanes)
        assert np.unique(rows, return_counts=True)[1].max() <= k
        bundle = int(np.searchsorted(packing.bundle_end, group, side="right"))
        assert np.array_equal(order[bundle * high + lanes // k], rows)


@settings(max_examples=150, deadline=None)
@given(
    npst.arrays(np.bool_, npst.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14)),
    st.sampled_from([(1, 1), (4, 1), (4, 2), (4, 4), (6, 3), (8, 1), (16, 4)]),
    st.randoms(use_true_random=False),
)
def test_any_mask_in_any_row_order_packs_into_its_lower_bound(
    mask: np.ndarray, shape: tuple[int, int], random: Random
) -> None:
    """Rows in the order of gs_scatter are one such order; the last bundle may have fewer rows."""
    count, k = shape
    banks = np.array([random.randrange(count) for _ in range(mask.shape[1])], dtype=np.int64)
    order = np.array(random.sample(range(mask.shape[0]), mask.shape[0]), dtype=np.int64)
    for rows in (order, row_order(mask, sort=True)):
        packing = pack(mask, banks, count, k, order=rows)
        lower = bound(mask, banks, count, k, rows)
        assert np.diff(packing.bundle_end, prepend=0).tolist() == lower
        assert packing.groups == sum(lower)
        assert sorted(zip(packing.row, packing.column, strict=True)) == list(zip(*np.nonzero(mask), strict=True))
        for group in range(packing.groups):
            span = slice(packing.group_ptr[group], packing.group_ptr[group + 1])
            assert (
                len(np.unique(banks[packing.column[span]]))
                == len(np.unique(packing.lane[span]))
                == span.stop - span.start
            )
            assert len(set(rows.argsort()[packing.row[span]] // (count // k))) == 1  # one bundle
            assert np.unique(packing.row[span], return_counts=True)[1].max() <= k


@settings(max_examples=60, deadline=None)
@given(packings())
def test_the_best_packing_has_the_fewest_groups_of_all(case: tuple[np.ndarray, np.ndarray, int, int]) -> None:
    mask, banks, count, _ = case
    totals = {
        (sum(bound(mask, banks, count, k, row_order(mask, sort))), sort, k)
        for k in range(1, count + 1)
        if count % k == 0
        for sort in (False, True)
    }
    _, sort, k = min(totals)  # ties: unsorted first, then smaller k
    assert best_packing(mask, banks, count) == (k, sort)


def test_a_long_row_needs_more_colours_than_one_word_holds() -> None:
    mask = np.random.default_rng(0).random((16, 900)) < 0.6
    banks = np.arange(900, dtype=np.int64) % 16
    for k in (1, 2, 16):
        packing = pack(mask, banks, 16, k)
        assert np.diff(packing.bundle_end, prepend=0).tolist() == bound(mask, banks, 16, k, np.arange(16))
        for group in range(packing.groups):
            used = banks[packing.column[packing.group_ptr[group] : packing.group_ptr[group + 1]]]
            assert len(set(used.tolist())) == len(used)


def test_an_all_zero_bundle_adds_no_group() -> None:
    mask = np.zeros((6, 8), dtype=np.bool_)
    mask[5, 3] = True
    packing = pack(mask, np.arange(8, dtype=np.int64) % 4, 4, 2)
    assert packing.bundle_end.tolist() == [0, 0, 1]
    assert packing.group_ptr.tolist() == [0, 1]
    assert packing.lane.tolist() == [(5 % 2) * 2]
    assert pack(mask[:4], np.arange(8, dtype=np.int64) % 4, 4, 2).group_ptr.tolist() == [0]


def test_a_given_row_order_is_taken_and_a_wrong_one_refused() -> None:
    mask = np.random.default_rng(0).random((6, 8)) < 0.5
    banks = np.arange(8, dtype=np.int64) % 4
    order = np.array([5, 3, 1, 0, 2, 4])
    assert np.array_equal(pack(mask, banks, 4, 2, order=order).order, order)
    with pytest.raises(PatternError, match="each of the 6 rows once"):
        pack(mask, banks, 4, 2, order=np.array([0, 0, 1, 2, 3, 4]))


def test_a_k_that_does_not_divide_b_and_a_bank_past_the_last_are_refused() -> None:
    mask = np.ones((2, 4), dtype=np.bool_)
    with pytest.raises(PatternError, match="must divide B, which is 16"):
        pack(mask, np.zeros(4, dtype=np.int64), 16, 3)
    with pytest.raises(PatternError, match="bank 4, and banks are 0 to 3"):
        pack(mask, np.full(4, 4), 4, 1)
    with pytest.raises(PatternError, match="bank -1"):
        pack(mask, np.full(4, -1), 4, 1)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([(4, 1), (4, 2), (4, 4), (6, 2), (8, 1)]),
    st.integers(1, 9),
    st.integers(4, 40),
    st.sampled_from([0.4, 0.7, 0.9]),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_the_greedy_gs_projection_is_the_papers_and_only_fills_what_it_leaves_empty(
    shape: tuple[int, int], rows: int, columns: int, sparsity: float, regular: bool, seed: int
) -> None:
    count, k = shape
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 30, (rows, columns)).astype(np.float32)  # many equal scores, some zeros
    banks = np.arange(columns) % count if regular else rng.integers(0, count, columns)
    mask = GatherScatter(banks=count, k=k, projection="greedy").project(scores[None], sparsity, banks[None])[0]
    survivors = np.count_nonzero(keep_largest(scores[None], kept_count(scores.size, sparsity))[0], axis=1)
    groups = bundle_groups(survivors, np.arange(rows), count // k, k).tolist()
    twin = greedy(scores, banks, count, k, groups)
    assert mask.sum() >= twin.sum()
    if mask.sum() == twin.sum():
        assert np.array_equal(mask, twin)
    assert all(made <= given for made, given in zip(bound(mask, banks, count, k, np.arange(rows)), groups, strict=True))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.floats(0, 0.999), st.integers(0, 10**6))
def test_exactly_the_largest_scores_are_kept_ties_to_the_lowest_index(size: int, sparsity: float, seed: int) -> None:
    scores = np.random.default_rng(seed).integers(0, 12, (1, 3, size)).astype(np.float32) / 7
    mask = Unstructured().project(scores, sparsity)
    count = round((1 - sparsity) * 3 * size)
    ranked = sorted(range(3 * size), key=lambda i: (-scores.reshape(-1)[i], i))
    expected = np.zeros(3 * size, dtype=np.bool_)
    expected[ranked[:count]] = True
    assert np.array_equal(mask.reshape(-1), expected)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.floats(0, 0.999), st.integers(0, 10**6))
def test_one_threshold_over_the_model_keeps_its_largest_scores(sizes: list[int], sparsity: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers = [rng.random((1, 2, size)).astype(np.float32) for size in sizes]
    threshold = global_threshold(layers, sparsity)
    masks = [project_with_threshold(scores, threshold) for scores in layers]
    everything = np.concatenate([scores.reshape(-1) for scores in layers])
    count = round((1 - sparsity) * everything.size)
    assert threshold.dtype == np.float32
    kept = np.concatenate([mask.reshape(-1) for mask in masks])
    expected = np.sort(everything)[::-1][:count]
    assert np.array_equal(np.sort(everything[kept])[::-1][:count], expected)
    assert kept.sum() == (everything >= expected[-1]).sum() if count else not kept.any()


def test_a_model_of_mostly_zeros_keeps_no_zero_under_one_threshold() -> None:
    scores = np.zeros((1, 4, 10), dtype=np.float32)
    scores[0, 0, :3] = (0.5, 1e-45, 2.0)
    threshold = global_threshold([scores], 0.5)
    assert project_with_threshold(scores, threshold).sum() == 3
    assert project_with_threshold(scores, global_threshold([scores], 0.0)).all()
