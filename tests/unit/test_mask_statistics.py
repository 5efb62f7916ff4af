"""Loads of rows and banks, and the two measures of what an index holds."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatherline.mask_statistics import (
    BINS,
    bank_counts,
    bank_summary,
    gap_entropy_bits,
    load_summary,
    row_bound_bits,
    row_loads,
)
from patterns import _mask_kernel
from patterns.base import Mask


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    rows, columns = draw(st.integers(1, 9)), draw(st.integers(1, 12))
    bits = draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns))
    return np.array(bits, dtype=np.bool_).reshape(rows, columns)


def gaps_one_by_one(mask: Mask) -> list[int]:
    found = []
    for row in mask.tolist():
        before = -1
        for column, kept in enumerate(row):
            if kept:
                found.append(column - before)
                before = column
    return found


@settings(max_examples=60, deadline=None)
@given(mask=masks())
def test_gap_counts_equal_gaps_counted_one_by_one(mask: Mask) -> None:
    out = np.zeros(mask.shape[1] + 1, dtype=np.int64)
    _mask_kernel.gap_counts(mask, out)
    assert {gap: times for gap, times in enumerate(out.tolist()) if times} == dict(Counter(gaps_one_by_one(mask)))


@settings(max_examples=60, deadline=None)
@given(loads=st.lists(st.integers(0, 500), min_size=1, max_size=60))
def test_a_histogram_counts_every_load_once_in_equal_bins(loads: list[int]) -> None:
    found = load_summary(np.array(loads))
    edges, counts = found["bin_edges"], found["bin_counts"]
    assert isinstance(edges, list)
    assert isinstance(counts, list)
    assert len(counts) == len(edges) - 1 <= BINS
    assert len({high - low for low, high in pairwise(edges)}) == 1
    for low, high, times in zip(edges[:-1], edges[1:], counts, strict=True):
        assert times == sum(low <= load < high for load in loads)
    assert sum(counts) == len(loads)
    assert (found["min"], found["max"]) == (min(loads), max(loads))
    assert found["mean"] == pytest.approx(sum(loads) / len(loads))


def test_the_coefficient_of_variation_is_deviation_over_mean_and_none_for_nothing_kept() -> None:
    assert load_summary(np.array([1, 3]))["cv"] == pytest.approx(1 / 2)
    assert load_summary(np.array([4, 4]))["cv"] == 0
    assert load_summary(np.zeros(5, dtype=np.int64))["cv"] is None


def test_row_loads_count_the_rows_of_all_groups() -> None:
    mask = np.zeros((2, 2, 3), dtype=np.bool_)
    mask[0, 1] = True
    mask[1, 0, :2] = True
    assert row_loads(mask).tolist() == [0, 3, 2, 0]


@settings(max_examples=40, deadline=None)
@given(mask=masks(), count=st.sampled_from([2, 4]))
def test_bank_loads_are_those_counted_one_by_one_in_whole_bundles(mask: Mask, count: int) -> None:
    rows, columns = mask.shape
    banks = np.arange(columns, dtype=np.int64)[None] % count
    whole = max(1, rows // count)
    expected = [
        [
            sum(int(mask[row, column]) for row in range(bundle * count, min(rows, bundle * count + count))
                for column in range(columns) if column % count == bank)
            for bank in range(count)
        ]
        for bundle in range(whole)
    ]  # fmt: skip
    assert bank_counts(mask[None], banks, count).tolist() == expected
    per_bank = bank_summary(mask[None], banks, count)["per_bank"]
    assert per_bank == [int(mask[:, bank::count].sum()) for bank in range(count)]


def test_the_row_bound_is_the_logarithm_of_the_ways_to_choose_the_columns() -> None:
    kept, columns = [2, 3], 10
    ways = math.log2(math.comb(columns, 2)) + math.log2(math.comb(columns, 3))
    assert row_bound_bits(kept, columns) == pytest.approx(ways / sum(kept))
    assert row_bound_bits([10, 0], columns) == 0
    assert row_bound_bits([0], columns) is None


def test_the_entropy_of_gaps_is_that_of_their_frequencies() -> None:
    mask = np.zeros((1, 2, 6), dtype=np.bool_)
    mask[0, 0, [0, 2, 4]] = True  # gaps 1, 2, 2
    mask[0, 1, [2]] = True  # gap 3
    assert gap_entropy_bits(mask) == pytest.approx(0.25 * 2 + 0.5 * 1 + 0.25 * 2)
    assert gap_entropy_bits(np.zeros((1, 2, 6), dtype=np.bool_)) is None


def test_columns_at_equal_distances_hold_no_bits_in_their_gaps_but_the_row_bound_does_not_see_it() -> None:
    mask = np.zeros((1, 4, 64), dtype=np.bool_)
    mask[:, :, 3::4] = True
    bound = row_bound_bits(row_loads(mask), 64)
    assert gap_entropy_bits(mask) == 0
    assert bound is not None
    assert bound > 2.5


def test_a_random_mask_holds_about_as_many_bits_in_its_gaps_as_the_row_bound() -> None:
    mask = np.random.default_rng(0).random((1, 256, 1024)) < 0.1
    bound, gaps = row_bound_bits(row_loads(mask), 1024), gap_entropy_bits(mask)
    assert bound is not None
    assert gaps is not None
    density_bits = -(0.1 * math.log2(0.1) + 0.9 * math.log2(0.9)) / 0.1
    assert bound <= gaps <= 1.02 * density_bits
    assert bound == pytest.approx(density_bits, rel=0.02)
