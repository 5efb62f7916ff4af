"""Nested levels by hand: order, best within, what is refused, and the detector. DESIGN section 3."""

from __future__ import annotations

import numpy as np
import pytest

from patterns.base import PatternError
from patterns.catalog import parse_pattern
from patterns.kernel_pattern import KernelPattern
from patterns.n_of_m import NOfM
from patterns.nesting import check_nesting, nested_masks, nested_share


def scores(*shape: int, seed: int = 0) -> np.ndarray:
    return np.abs(np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def test_levels_come_sparsest_first_whatever_the_order_asked() -> None:
    weights = scores(1, 20, 50)
    masks = nested_masks(parse_pattern("unstructured"), weights, (0.8, 0.95, 0.9))
    assert [int(mask.sum()) for mask in masks] == [50, 100, 200]
    for mask, sparsity in zip(masks, (0.95, 0.9, 0.8), strict=True):  # the largest of the largest are the largest
        assert np.array_equal(mask, parse_pattern("unstructured").project(weights, sparsity))


def test_blocks_of_a_sparser_level_are_the_strongest_of_the_denser_one() -> None:
    masks = nested_masks(parse_pattern("block:4x4"), scores(1, 16, 32), (0.5, 0.75))
    assert np.array_equal(masks[0], parse_pattern("block:4x4").project(scores(1, 16, 32), 0.75))


def test_kernels_go_and_shapes_stay() -> None:
    inner, outer = nested_masks(KernelPattern(), scores(1, 6, 9 * 12), (0.9, 5 / 9))
    shapes = KernelPattern().shape_ids(outer[0])
    kept = KernelPattern().shape_ids(inner[0])
    assert (kept >= 0).sum(axis=1).tolist() == [round(0.1 * 9 / 4 * 12)] * 6
    assert np.array_equal(kept[kept >= 0], shapes[kept >= 0])


def test_one_of_four_nests_in_two_of_four_and_levels_of_one_rule_are_refused() -> None:
    weights = scores(1, 8, 32)
    two, one = NOfM(n=2, m=4), NOfM(n=1, m=4)
    inside = one.project_within(weights, 0.75, two.project(weights, 0.5))
    assert np.array_equal(inside, one.project(weights, 0.75))
    with pytest.raises(PatternError, match="levels: n_of_m:2,4 fixes how much is kept"):
        nested_masks(two, weights, (0.5, 0.75))


@pytest.mark.parametrize(
    ("spelling", "levels", "message"),
    [
        ("unstructured", (), "levels are none"),
        ("unstructured", (0.8, 0.8), r"levels are 0.8, 0.8, and must be distinct"),
        ("unstructured", (0.8, 1.0), "sparsity is 1.0, and must be at least 0 and below 1"),
        ("unstructured", (0.8, -0.1), "sparsity is -0.1"),
        ("unstructured", (float("nan"), 0.1), "sparsity is nan"),
        ("channel+block:1x4", (0.5, 0.8), r"channel\+block:1x4 does not nest"),
        ("dense", (0.5, 0.8), "dense fixes how much is kept"),
    ],
)
def test_levels_that_cannot_be_are_refused(spelling: str, levels: tuple[float, ...], message: str) -> None:
    with pytest.raises(PatternError, match=message):
        nested_masks(parse_pattern(spelling), scores(1, 8, 16), levels)


def test_channels_with_a_stated_ratio_nest_since_the_same_rows_stay() -> None:
    masks = nested_masks(parse_pattern("channel:0.5+block:2x4"), scores(2, 16, 32), (0.9, 0.7, 0.8))
    assert check_nesting(masks) is None
    rows = [set(np.flatnonzero(mask[0].any(axis=1)).tolist()) for mask in masks]
    assert rows[0] <= rows[1] <= rows[2]
    assert len(rows[2]) == 8


def test_a_weight_that_the_next_level_lacks_is_named_and_counted() -> None:
    outer = np.zeros((2, 3, 4), dtype=np.bool_)
    outer[1, :, :2] = True
    inner = np.zeros_like(outer)
    inner[1, 0, 0] = inner[1, 2, 3] = True
    found = check_nesting((inner, outer))
    assert found is not None
    assert (found.group, found.row, found.column) == (1, 2, 3)
    assert found.text == "level 1 keeps this weight, and level 2 does not"
    assert nested_share((inner, outer)) == 1 / 2
    assert nested_share((inner, inner | outer, np.ones_like(outer))) == 1
    assert nested_share((outer & ~outer, outer)) == 1
    with pytest.raises(PatternError, match="levels: a mask is bool of shape"):
        check_nesting((inner, outer[:1]))


def test_bank_balance_holds_within_a_mask_that_has_none() -> None:
    pattern = parse_pattern("bank_balanced:4")
    outer = np.random.default_rng(1).random((1, 6, 32)) < 0.6
    mask = pattern.project_within(scores(1, 6, 32), 0.25, outer)
    poorest = outer.reshape(6, 4, 8).sum(axis=2).min(axis=1)
    assert mask.reshape(6, 4, 8).sum(axis=2).tolist() == [[min(6, int(few))] * 4 for few in poorest]
