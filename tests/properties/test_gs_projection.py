"""The optimal GS(B, k) projection keeps the most that a linear program finds; nested levels lie within each other."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patterns.base import Pattern, PatternError
from patterns.block import Block
from patterns.catalog import parse_pattern
from patterns.gs import GatherScatter, bundle_groups, project_bundles
from patterns.gs_scatter import GatherScatterPermuted, rising_groups
from patterns.packing import group_counts, row_order
from patterns.selection import keep_largest
from tests.reference.gs_projection import most

SHAPES = [(2, 1), (4, 1), (4, 2), (4, 4), (6, 2), (8, 1), (8, 4)]


def gaussian(*shape: int, seed: int = 0) -> np.ndarray:
    return np.abs(np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


@st.composite
def bundles(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int], np.ndarray]:
    """Whole scores with many ties and zeros, banks of unequal size, allowed weights, (B, k), groups of each bundle."""
    count, k = draw(st.sampled_from(SHAPES))
    rows, columns = draw(st.integers(1, 2 * count // k + 1)), draw(st.integers(1, 28))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scores = rng.integers(0, draw(st.sampled_from([1, 3, 1000])) + 1, (rows, columns)).astype(np.float32)
    if draw(st.booleans()):
        scores *= rng.integers(0, 20, (1, columns))  # some columns, so some banks, hold most of the weight
    banks = np.arange(columns) % count if draw(st.booleans()) else rng.integers(0, count, columns)
    allowed = rng.random((rows, columns)) < draw(st.sampled_from([0.3, 0.7, 1.0]))
    groups = rng.integers(0, columns // count + 3, -(-rows // (count // k)))
    return scores, banks.astype(np.int64), allowed, (count, k), groups.astype(np.int64)


@settings(max_examples=150, deadline=None)
@given(bundles(), st.integers(0, 10**6))
def test_the_optimal_projection_keeps_what_a_linear_program_keeps(
    case: tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int], np.ndarray], seed: int
) -> None:
    scores, banks, allowed, (count, k), groups = case
    order = np.random.default_rng(seed).permutation(len(scores))
    masks = {}
    for projection in ("optimal", "greedy"):
        rule = GatherScatter(banks=count, k=k, projection=projection)  # type: ignore[arg-type]
        masks[projection] = np.zeros(scores.shape, dtype=np.bool_)
        project_bundles(rule, scores, allowed, banks, order, groups, masks[projection])
    mask = masks["optimal"]
    assert not (mask & ~allowed).any()
    assert (group_counts(mask, banks, count, k, order) <= groups).all()
    high = count // k
    for bundle, number in enumerate(groups):
        rows = order[bundle * high : (bundle + 1) * high]
        slots, score = most(scores[rows], banks, count, k, int(number), allowed[rows])
        assert mask[rows].sum() == slots
        assert scores[rows][mask[rows]].sum() == score
        assert masks["greedy"][rows].sum() == slots
        assert scores[rows][masks["greedy"][rows]].sum() <= score


def test_one_row_a_bundle_keeps_the_largest_of_each_bank() -> None:
    scores = gaussian(1, 5, 160)
    mask = GatherScatter(banks=16, k=16).project(scores, 0.8)[0]
    groups = bundle_groups(keep_largest(scores, 160)[0].sum(axis=1), np.arange(5), 1, 16)
    for row in range(5):
        for bank in range(16):
            cell = np.sort(scores[0, row, bank::16])[::-1]
            kept = scores[0, row, bank::16][mask[row, bank::16]]
            assert np.array_equal(np.sort(kept)[::-1], cell[: groups[row]])


@pytest.mark.parametrize("projection", ["optimal", "greedy"])
@pytest.mark.parametrize(("banks", "share"), [(8, 0.997), (16, 0.996)])
def test_vertical_gs_keeps_nearly_what_a_free_choice_keeps_of_gaussian_weights(
    projection: str, banks: int, share: float
) -> None:
    """1024 x 1024 at 90 %: score kept against as many weights chosen freely."""
    scores = gaussian(1, 1024, 1024)
    mask = GatherScatter(banks=banks, k=1, projection=projection).project(scores, 0.9)  # type: ignore[arg-type]
    free = keep_largest(scores, int(mask.sum()))
    assert mask.mean() == pytest.approx(0.1, abs=0.001)
    assert share <= scores[mask].sum() / scores[free].sum() < 1


def test_blocks_of_8_keep_0_58_of_what_a_free_choice_keeps_of_gaussian_weights() -> None:
    scores = gaussian(1, 1024, 1024)
    mask = Block(height=1, width=8).project(scores, 0.9)
    free = keep_largest(scores, int(mask.sum()))
    assert scores[mask].sum() / scores[free].sum() == pytest.approx(0.58, abs=0.02)


@pytest.mark.parametrize("shape", [(1, 64, 640), (2, 33, 100), (1, 5, 7)])
@pytest.mark.parametrize("banks_and_k", ["16,1", "16,4", "8,8", "12,3"])
def test_the_optimal_projection_keeps_at_least_the_greedy_one(shape: tuple[int, ...], banks_and_k: str) -> None:
    scores = gaussian(*shape, seed=3)
    for sparsity in (0.3, 0.8, 0.95):
        best = parse_pattern(f"gs:{banks_and_k}").project(scores, sparsity)
        greedy = parse_pattern(f"gs:{banks_and_k},greedy").project(scores, sparsity)
        assert best.sum() == greedy.sum()
        assert scores[best].sum(dtype=np.float64) >= scores[greedy].sum(dtype=np.float64)


def test_the_greedy_projection_is_spelled_and_obeys_the_same_rule() -> None:
    for spelling in ("gs:16,1,greedy", "gs_scatter:8,2,greedy"):
        pattern = parse_pattern(spelling)
        assert pattern.spelling == spelling
        assert pattern != parse_pattern(spelling.removesuffix(",greedy"))
        mask = pattern.project(gaussian(1, 48, 144), 0.75)
        assert pattern.check(mask) is None
        assert parse_pattern(spelling.removesuffix(",greedy")).check(mask) is None
    with pytest.raises(PatternError, match=r"gs:B,k\[,greedy\]"):
        parse_pattern("gs:16,1,best")


def test_infinite_and_tiny_scores_are_ranked_as_numbers_are() -> None:
    """Cells that compete: B = 2, k = 1, two rows, one group: either the diagonal or the other two cells."""
    rule = GatherScatter(banks=2, k=1)
    tiny = float(np.finfo(np.float32).smallest_subnormal)
    for first, second, diagonal in (
        ((np.inf, 0.0), (3e38, 3e38), True),  # one infinite score against two of the largest finite ones
        ((np.inf, np.inf), (np.inf, 3e38), True),
        ((tiny, 0.0), (0.0, 0.0), True),
        ((0.0, 0.0), (0.0, tiny), False),
        ((1.0, tiny), (1.0, 0.0), True),
        ((1.0, 1.0), (np.float32(1.0) + np.float32(2**-23), 1.0), False),
    ):
        scores = np.array([[first[0], second[0]], [second[1], first[1]]], dtype=np.float32)
        out = np.zeros((2, 2), dtype=np.bool_)
        everywhere = np.ones((2, 2), dtype=np.bool_)
        project_bundles(rule, scores, everywhere, np.arange(2), np.arange(2), np.array([1]), out)
        assert np.array_equal(out, np.eye(2, dtype=np.bool_) == diagonal), (first, second)


NESTING = ["gs:16,1", "gs:16,4", "gs:8,8", "gs:16,1,greedy", "gs_scatter:16,1", "gs_scatter:8,2"]


def levels_of(pattern: Pattern, scores: np.ndarray, sparsities: tuple[float, ...]) -> list[np.ndarray]:
    assert isinstance(pattern, GatherScatter | GatherScatterPermuted)
    assert pattern.nests
    levels = [pattern.project(scores, sparsities[0])]
    for sparsity in sparsities[1:]:
        levels.append(pattern.project_within(scores, sparsity, levels[-1]))
    return levels


@pytest.mark.parametrize("spelling", NESTING)
@pytest.mark.parametrize("spread", [0.0, 0.7])
def test_levels_lie_within_each_other_and_each_obeys_the_rule(spelling: str, spread: float) -> None:
    pattern = parse_pattern(spelling)
    scores = gaussian(2, 128, 256) * np.exp(spread * np.random.default_rng(1).standard_normal((2, 128, 1)))
    scores = scores.astype(np.float32)
    sparsities = (0.6, 0.8, 0.9, 0.95)
    levels = levels_of(pattern, scores, sparsities)
    for outer, inner in pairwise(levels):
        assert not (inner & ~outer).any()
        assert inner.sum() < outer.sum()
    for mask, sparsity in zip(levels, sparsities, strict=True):
        assert pattern.check(mask) is None
        assert mask.mean() == pytest.approx(1 - sparsity, abs=pattern.k / 256)  # type: ignore[attr-defined]


@pytest.mark.parametrize("spelling", ["gs:16,1", "gs:16,4", "gs_scatter:16,1"])
def test_an_inner_level_costs_little_beside_a_mask_of_its_own(spelling: str) -> None:
    pattern = parse_pattern(spelling)
    scores = gaussian(1, 256, 1024)
    inner = levels_of(pattern, scores, (0.8, 0.9))[1]
    alone = pattern.project(scores, 0.9)
    assert scores[inner].sum() / inner.sum() >= 0.99 * scores[alone].sum() / alone.sum()


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(SHAPES),
    st.integers(1, 20),
    st.integers(4, 40),
    st.sampled_from([0.2, 0.5, 0.8]),
    st.sampled_from([0.5, 0.8, 0.9]),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_within_any_mask_a_level_keeps_what_a_linear_program_keeps(
    shape: tuple[int, int], rows: int, columns: int, outside: float, sparsity: float, strictly: bool, seed: int
) -> None:
    count, k = shape
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 300, (1, rows, columns)).astype(np.float32)
    pattern = GatherScatter(banks=count, k=k)
    outer = pattern.project(scores, outside) if strictly else rng.random(scores.shape) < 1 - outside
    inner = pattern.project_within(scores, sparsity, outer)
    banks, high = np.arange(columns) % count, count // k
    assert not (inner & ~outer).any()
    groups = group_counts(inner[0], banks, count, k)
    assert (groups <= group_counts(outer[0], banks, count, k)).all()
    if inner.all():
        return
    for bundle, number in enumerate(groups):
        span = slice(bundle * high, (bundle + 1) * high)
        found = int(inner[0, span].sum()), int(scores[0, span][inner[0, span]].sum())
        assert found == most(scores[0, span], banks, count, k, int(number), outer[0, span])
    if pattern.check(outer) is None:
        assert pattern.check(inner) is None


def test_every_level_of_gs_scatter_has_the_row_order_of_the_densest() -> None:
    pattern = GatherScatterPermuted(banks=16, k=2)
    scale = np.random.default_rng(2).permutation(np.linspace(0.3, 2.0, 256))[:, None]
    scores = (gaussian(1, 256, 512) * scale).astype(np.float32)
    levels = levels_of(pattern, scores, (0.7, 0.85, 0.95))
    order = row_order(levels[0][0], sort=True)
    assert not np.array_equal(order, np.arange(256))
    for mask in levels[1:]:
        own = row_order(mask[0], sort=True)
        kept = mask[0].any(axis=1)
        assert kept.sum() > 128
        assert np.array_equal(own[kept[own]], order[kept[order]])  # an empty row's place means nothing
        assert GatherScatterPermuted(banks=16, k=2).explained(mask) == 1


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40)), min_size=1, max_size=12))
def test_groups_rise_where_the_outer_ones_rise_and_are_equal_where_those_are(pairs: list[tuple[int, int]]) -> None:
    most_groups = np.sort(np.array([pair[0] for pair in pairs], dtype=np.int64))
    wanted = np.array([pair[1] for pair in pairs], dtype=np.int64)
    groups = rising_groups(wanted, most_groups)
    assert (groups >= 0).all()
    assert (groups <= most_groups).all()
    for before, after in pairwise(range(len(pairs))):
        if most_groups[before] == most_groups[after]:
            assert groups[before] == groups[after]
        else:
            assert groups[before] < groups[after] or groups[after] == 0
    assert np.array_equal(rising_groups(groups, most_groups), groups)  # what is allowed already stays


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=5))
def test_groups_that_must_rise_move_by_least_squares(pairs: list[tuple[int, int]]) -> None:
    most_groups = sorted(pair[0] for pair in pairs)
    wanted = [pair[1] for pair in pairs]

    def allowed(groups: tuple[int, ...]) -> bool:
        return all(
            after == before if most_groups[at] == most_groups[at + 1] else after > before or after == before == 0
            for at, (before, after) in enumerate(pairwise(groups))
        )

    def cost(groups: Iterable[int]) -> int:
        return sum((group - want) ** 2 for group, want in zip(groups, wanted, strict=True))

    choices = filter(allowed, product(*(range(limit + 1) for limit in most_groups)))
    found = rising_groups(np.array(wanted), np.array(most_groups)).tolist()
    assert cost(found) == min(map(cost, choices))


def test_a_level_refuses_scores_and_outer_masks_that_do_not_fit() -> None:
    for pattern in (GatherScatter(banks=4, k=1), GatherScatterPermuted(banks=4, k=1)):
        scores = gaussian(1, 8, 16)
        with pytest.raises(PatternError, match="outer mask is bool of shape"):
            pattern.project_within(scores, 0.5, np.ones((1, 8, 15), dtype=np.bool_))
        with pytest.raises(PatternError, match="sparsity is 1"):
            pattern.project_within(scores, 1.0, np.ones(scores.shape, dtype=np.bool_))
        everything = np.ones(scores.shape, dtype=np.bool_)
        assert pattern.project_within(scores, 0.0, everything).all()
        assert not pattern.project_within(scores, 0.5, ~everything).any()
    everywhere = GatherScatter(banks=4, k=1).project_within(scores, 0.5, everything)
    assert np.array_equal(everywhere, GatherScatter(banks=4, k=1).project(scores, 0.5))


@pytest.mark.parametrize("spelling", NESTING)
@pytest.mark.parametrize("shape", [(1, 1, 21), (1, 7, 33), (3, 19, 50), (1, 50, 19)])
def test_levels_of_a_ragged_layer_lie_within_each_other_too(spelling: str, shape: tuple[int, int, int]) -> None:
    for outer, inner in pairwise(levels_of(parse_pattern(spelling), gaussian(*shape), (0.0, 0.5, 0.9))):
        assert not (inner & ~outer).any()
        assert 0 < inner.sum() < outer.sum()
