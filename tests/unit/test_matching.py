"""``--match density`` of rows that are sorted by their counts: what leaves does not move rows into other bundles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patterns.catalog import parse_pattern
from patterns.packing import group_counts, row_order
from traces.builder import NetworkBuilder
from traces.layer import MatrixLayer
from traces.layout import column_banks
from traces.matching import match_density, pattern_banks, slots


def layer_of(rows: int, columns: int) -> MatrixLayer:
    net = NetworkBuilder("net")
    x = net.linear("fc", net.input("x", (1, columns)), np.ones((rows, columns), dtype=np.float32), "y")
    (layer,) = net.build([x]).matrix_layers
    return layer


def scores_of(seed: int, rows: int, columns: int) -> np.ndarray:
    """Rows of unlike spread, so that their counts differ."""
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.3, 3.0, size=(rows, 1))
    return np.abs(rng.normal(size=(1, rows, columns)) * spread).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(4, 1), (4, 2), (8, 1), (8, 4), (16, 4)]),
    st.integers(3, 70),
    st.integers(2, 6),
    st.sampled_from([0.5, 0.75, 0.9]),
)
def test_equal_density_costs_no_more_groups_than_the_projection(
    seed: int, kind: tuple[int, int], rows: int, wide: int, sparsity: float
) -> None:
    banks, k = kind
    rule = parse_pattern(f"gs_scatter:{banks},{k}")
    layer = layer_of(rows, wide * banks)
    scores = scores_of(seed, rows, wide * banks)
    of_column = column_banks(layer, pattern_banks(rule))
    projected = rule.project(scores, sparsity, of_column)
    matched = match_density(rule, layer, scores, sparsity)
    wanted = round((1 - sparsity) * scores.size)
    assert np.count_nonzero(matched) == min(wanted, np.count_nonzero(projected))
    assert not (matched & ~projected).any()
    assert slots(rule, matched, of_column) <= slots(rule, projected, of_column)
    before, after = (row_order(mask[0], sort=True) for mask in (projected, matched))
    filled = matched[0].any(axis=1)
    assert [row for row in before if filled[row]] == [row for row in after if filled[row]]


def test_leaving_freely_would_cost_groups() -> None:
    """The reason for the rule above: the smallest weights overall leave the rows in another order."""
    rule, layer = parse_pattern("gs_scatter:16,4"), layer_of(128, 128)
    scores = scores_of(0, 128, 128)
    of_column = column_banks(layer, 16)
    projected = rule.project(scores, 0.9, of_column)
    free = projected.copy()
    excess = np.count_nonzero(projected) - round(0.1 * scores.size)
    order = np.argsort(np.where(projected, scores, np.inf).reshape(-1))
    free.reshape(-1)[order[:excess]] = False
    matched = match_density(rule, layer, scores, 0.9)
    groups = [
        int(group_counts(mask[0], of_column[0], 16, 4, row_order(mask[0], sort=True)).sum())
        for mask in (projected, matched, free)
    ]
    assert groups[1] <= groups[0] < groups[2]
    kept = [float(scores[mask].sum()) for mask in (matched, free)]
    assert kept[0] == pytest.approx(kept[1], rel=0.02)  # the price: a little weight
