"""What every pattern owes, whichever it is: the suite that each new member passes unmodified."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from patterns.base import Pattern, PatternError
from patterns.catalog import ALL_PATTERNS, parse_pattern
from patterns.nesting import check_nesting, nested_masks, nested_share

SPELLINGS = (
    *(kind.example for kind in ALL_PATTERNS),
    "unstructured:global",
    "n_of_m:1,4",
    "n_of_m:3,7",
    "block:1x16",
    "block:6x3",
    "bank_balanced:3",
    "gs:16,4",
    "gs:16,16",
    "gs:12,3",
    "gs:16,4,greedy",
    "gs_scatter:8,2,greedy",
    "gs_scatter:8,2",
    "kernel_pattern:mest",
    "n_of_m_both:1,3",
    "n_of_m_both:4,8",
    "block_punched:8",
    "block_punched:6x3,4",
    "channel:0+filter_balanced",
    "channel+block:1x16",
    "channel+bank_balanced:3",
)
FITTING = (2, 48, 144)  # divides by every B, block, segment and 3x3 kernel above, but for 3 of 7
RAGGED = ((1, 1, 21), (1, 7, 33), (3, 19, 50), (1, 50, 19), (2, 11, 63))
FIXED_DENSITY = ("n_of_m", "n_of_m_both", "kernel_pattern")  # or the most of it


def scores_of(shape: tuple[int, ...], seed: int = 0, zeros: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    scores = np.abs(rng.standard_normal(shape)).astype(np.float32)
    scores[rng.random(shape) < zeros] = 0
    return scores


@pytest.fixture(params=SPELLINGS)
def pattern(request: pytest.FixtureRequest) -> Pattern:
    return parse_pattern(request.param)


def density_step(pattern: Pattern, shape: tuple[int, int, int]) -> float:
    """The most that a rule may round the density by: one unit of what it keeps or drops at once, in each part."""
    rows, columns = shape[1:]
    pattern = getattr(pattern, "rule", pattern)  # channels first: the second rule makes up for their rounding
    name = pattern.spelling.partition(":")[0]
    height, width = getattr(pattern, "height", 1), getattr(pattern, "width", None) or columns // 9
    unit = {
        "unstructured": 1 / (shape[0] * rows * columns),
        "block": 1 / (-(-rows // height) * -(-columns // width)),
        "block_punched": height * width / (rows * columns),
        "channel": 1 / rows,
        "filter_balanced": 1 / columns,
        "bank_balanced": 1 / -(-columns // getattr(pattern, "segments", 1)),
        "gs": getattr(pattern, "k", 1) / columns,
        "gs_scatter": getattr(pattern, "k", 1) / columns,
    }
    return unit[name]


def test_its_spelling_parses_back_to_the_same_pattern(pattern: Pattern) -> None:
    assert parse_pattern(pattern.spelling) == pattern
    assert hash(parse_pattern(pattern.spelling)) == hash(pattern)


def test_its_projection_is_a_mask_of_the_same_shape_and_the_same_every_time(pattern: Pattern) -> None:
    for shape in (FITTING, *RAGGED):
        scores = scores_of(shape)
        before = scores.copy()
        mask = pattern.project(scores, 0.75)
        assert mask.shape == shape
        assert mask.dtype == np.bool_
        assert mask.flags.c_contiguous
        assert np.array_equal(mask, pattern.project(scores, 0.75))
        assert np.array_equal(scores, before)


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.5, 0.75, 0.9])
def test_its_density_is_the_target_within_one_rounding(pattern: Pattern, sparsity: float) -> None:
    mask = pattern.project(scores_of(FITTING), sparsity)
    name = pattern.spelling.partition(":")[0]
    if name == "dense":
        assert mask.all()
    elif name == "kernel_pattern":  # 4 of 9 at most; a kernel of each row is what it rounds by
        assert mask.mean() == pytest.approx(min(1 - sparsity, 4 / 9), abs=4 / FITTING[2] / 2)
    elif name in FIXED_DENSITY:
        slots = sum(min(pattern.n, FITTING[2] - start) for start in range(0, FITTING[2], pattern.m))  # type: ignore[attr-defined]
        assert np.array_equal(mask.sum(axis=2), np.full(FITTING[:2], slots))
    else:
        assert mask.mean() == pytest.approx(1 - sparsity, abs=density_step(pattern, FITTING))


def test_what_it_cannot_reach_it_says_and_only_that(pattern: Pattern) -> None:
    for sparsity in (0.0, 0.1, 0.5, 0.75, 0.999):
        reached = 1 - pattern.project(scores_of(FITTING), sparsity).mean()
        said = pattern.limit(FITTING, sparsity)
        if pattern.spelling.startswith(FIXED_DENSITY):
            step = 2 if pattern.spelling.startswith("kernel_pattern") else 1  # weights of a row: half a kernel
            assert bool(said) == (abs(reached - sparsity) * FITTING[2] >= step - 1e-9), (sparsity, reached, said)
        elif not said and pattern.spelling != "dense":
            assert reached == pytest.approx(sparsity, abs=density_step(pattern, FITTING))


def test_sparsity_0_keeps_everything(pattern: Pattern) -> None:
    if pattern.spelling.startswith(FIXED_DENSITY):
        pytest.skip("the rule fixes the density, or the most of it")
    for shape in (FITTING, *RAGGED):
        assert pattern.project(scores_of(shape, zeros=0.2), 0.0).all()


def test_its_own_projection_passes_its_check_and_is_explained_in_full(pattern: Pattern) -> None:
    for sparsity in (0.3, 0.5, 0.9):
        mask = pattern.project(scores_of(FITTING), sparsity)
        assert pattern.check(mask) is None
        assert pattern.explained(mask) == 1


def test_a_ragged_layer_projects_and_is_explained_at_most_in_full(pattern: Pattern) -> None:
    for shape in RAGGED:
        for sparsity in (0.0, 0.5, 0.9, 0.99):
            mask = pattern.project(scores_of(shape), sparsity)
            explained = pattern.explained(mask)
            assert 0 < explained <= 1
            assert (pattern.check(mask) is None) == (explained == 1)


def test_all_zero_scores_project_without_a_complaint(pattern: Pattern) -> None:
    for sparsity in (0.0, 0.5, 0.9):
        mask = pattern.project(np.zeros(FITTING, dtype=np.float32), sparsity)
        assert np.array_equal(mask, pattern.project(np.full(FITTING, -0.0, dtype=np.float32), sparsity))


def test_a_zero_is_never_kept_where_the_same_swap_could_keep_a_weight(pattern: Pattern) -> None:
    """Swapping any kept zero for a dropped weight must break the rule (the check), or move no weight into the mask."""
    if pattern.spelling.startswith(("block", "channel", "dense")):
        pytest.skip("keeps or drops more than one weight at a time")
    scores = scores_of((1, 12, 144), zeros=0.6, seed=3)
    mask = pattern.project(scores, 0.5)
    complete = pattern.check(mask) is None
    kept_zeros = np.argwhere(mask & (scores == 0))
    dropped = np.argwhere(~mask & (scores > 0))
    for zero in kept_zeros[:40]:
        for weight in dropped[:40]:
            swapped = mask.copy()
            swapped[tuple(zero)] = False
            swapped[tuple(weight)] = True
            same_row = zero[1] == weight[1]
            swap_is_free = pattern.spelling.startswith("unstructured") or (
                complete and same_row and pattern.check(swapped) is None
            )
            assert not swap_is_free, f"{zero} is a kept zero, and {weight} could be kept in its place"


def test_the_kept_weight_is_at_least_that_of_a_random_mask_of_the_same_rule(pattern: Pattern) -> None:
    scores = scores_of(FITTING)
    mask = pattern.project(scores, 0.5)
    blind = pattern.project(scores_of(FITTING, seed=1), 0.5)
    if not mask.all():
        assert scores[mask].sum() > scores[blind].sum()


def test_a_mask_with_one_weight_moved_is_explained_less(pattern: Pattern) -> None:
    if pattern.spelling.startswith("unstructured"):
        pytest.skip("any mask is unstructured")
    mask = pattern.project(scores_of(FITTING), 0.5)
    row = int(np.argmax(mask[0].any(axis=1)))
    mask[0, row, int(np.argmax(mask[0, row]))] = False
    if pattern.spelling.startswith("n_of_m"):
        assert pattern.check(mask) is None  # fewer than N is allowed
    else:
        assert pattern.check(mask) is not None
    assert pattern.explained(mask) < 1


def test_an_empty_mask_obeys_and_a_full_mask_only_what_it_should(pattern: Pattern) -> None:
    empty = np.zeros(FITTING, dtype=np.bool_)
    full = np.ones(FITTING, dtype=np.bool_)
    if pattern.spelling != "dense":
        assert pattern.check(empty) is None
        assert pattern.explained(empty) == 1
    if pattern.spelling.startswith(FIXED_DENSITY):
        assert pattern.check(full) is not None
        assert pattern.explained(full) == 0
    else:
        assert pattern.check(full) is None
        assert pattern.explained(full) == 1


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 1.5, float("nan"), float("inf")])
def test_a_sparsity_outside_0_to_1_is_refused(pattern: Pattern, sparsity: float) -> None:
    with pytest.raises(PatternError, match="sparsity is"):
        pattern.project(scores_of(FITTING), sparsity)


def test_scores_that_are_no_numbers_or_negative_are_refused(pattern: Pattern) -> None:
    scores = scores_of(FITTING)
    scores[0, 3, 4] = np.nan
    with pytest.raises(PatternError, match="NaN"):
        pattern.project(scores, 0.5)
    scores[0, 3, 4] = -1
    with pytest.raises(PatternError, match="negative"):
        pattern.project(scores, 0.5)


def test_infinite_scores_are_kept_first(pattern: Pattern) -> None:
    scores = scores_of(FITTING)
    scores[0, 3, 4] = np.inf
    assert pattern.project(scores, 0.5)[0, 3, 4]


def test_scores_of_another_shape_are_refused(pattern: Pattern) -> None:
    with pytest.raises(PatternError, match="shape"):
        pattern.project(np.ones((3, 4), dtype=np.float32), 0.5)


def test_projecting_what_it_kept_keeps_it_again(pattern: Pattern) -> None:
    for shape in (FITTING, *RAGGED):
        scores = scores_of(shape)
        mask = pattern.project(scores, 0.5)
        sparsity = 0.5
        if "gs" in pattern.spelling:  # it rounds groups up, so it is asked for what it kept; padding may move
            if pattern.explained(mask) < 1:
                continue
            sparsity = 1 - float(mask.mean())
        assert np.array_equal(pattern.project(np.where(mask, scores, np.float32(0)), sparsity), mask)


def test_the_first_violation_is_a_place_in_the_mask_where_the_rule_is_broken(pattern: Pattern) -> None:
    """One weight of the last convolution group is moved to a free place of another row: that group, and a text."""
    if pattern.spelling.startswith("unstructured"):
        pytest.skip("any mask is unstructured")
    mask = pattern.project(scores_of(FITTING), 0.5)
    before = mask.copy()
    last = mask[-1]
    row = int(np.flatnonzero(last.any(axis=1))[0])
    last[row, int(np.flatnonzero(last[row])[0])] = False
    holes = np.argwhere(~before[-1] & (np.arange(FITTING[1]) != row)[:, None])
    if (
        len(holes) and "filter_balanced" not in pattern.spelling
    ):  # there the other row would be the fullest of all groups
        last[tuple(holes[-1])] = True
    found = pattern.check(mask)
    assert found is not None
    assert found.group == FITTING[0] - 1
    assert 0 <= found.row < FITTING[1]
    assert 0 <= found.column < FITTING[2]
    assert found.text
    assert "\n" not in found.text
    assert pattern.explained(mask) < 1


def test_within_everything_it_is_the_projection_and_within_a_mask_a_part_of_it(pattern: Pattern) -> None:
    for shape in (FITTING, *RAGGED):
        scores = scores_of(shape)
        everything = np.ones(shape, dtype=np.bool_)
        if not pattern.nests:
            with pytest.raises(PatternError, match="does not nest"):
                pattern.project_within(scores, 0.75, everything)
            continue
        for sparsity in (0.0, 0.5, 0.75):
            assert np.array_equal(
                pattern.project_within(scores, sparsity, everything), pattern.project(scores, sparsity)
            )
        if pattern.spelling == "dense":
            with pytest.raises(PatternError, match="outer mask does not"):
                pattern.project_within(scores, 0.75, ~everything)
            continue
        outer = np.random.default_rng(2).random(shape) < 0.7
        inner = pattern.project_within(scores, 0.5, outer)
        assert not (inner & ~outer).any()
        if shape == FITTING:
            if "gs" not in pattern.spelling:  # which can fill its slots only within a mask that fills its own
                assert pattern.check(inner) is None
            assert pattern.check(pattern.project_within(scores, 0.75, pattern.project(scores, 0.5))) is None
        assert not pattern.project_within(scores, 0.5, ~everything).any()


def test_an_outer_mask_of_another_shape_or_type_is_refused(pattern: Pattern) -> None:
    if not pattern.nests:
        pytest.skip("it does not nest")
    scores = scores_of(FITTING)
    for outer in (np.ones((1, 2, 3), dtype=np.bool_), np.ones(FITTING, dtype=np.int8)):
        with pytest.raises(PatternError, match="outer mask is"):
            pattern.project_within(scores, 0.5, outer)  # type: ignore[arg-type]


def test_levels_are_each_within_the_next_and_the_densest_is_its_own_projection(pattern: Pattern) -> None:
    scores = scores_of(FITTING)
    if not pattern.nests or pattern.fixes_density:
        with pytest.raises(PatternError, match="levels: "):
            nested_masks(pattern, scores, (0.8, 0.9))
        assert len(nested_masks(pattern, scores, (0.8,))) == 1
        return
    masks = nested_masks(pattern, scores, (0.9, 0.75, 0.95))
    assert check_nesting(masks) is None
    assert nested_share(masks) == 1
    assert np.array_equal(masks[-1], pattern.project(scores, 0.75))
    for mask, sparsity in zip(masks, (0.95, 0.9, 0.75), strict=True):
        assert pattern.check(mask) is None
        assert pattern.explained(mask) == 1
        if not pattern.limit(FITTING, sparsity):
            wanted = pattern.project(scores, sparsity)
            step = density_step(pattern, FITTING) if "gs" in pattern.spelling else 1e-9  # it rounds bundle by bundle
            assert mask.mean() == pytest.approx(wanted.mean(), abs=step)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_shape_sparsity_and_score_gives_a_mask_that_explains_itself_or_a_named_refusal(data: st.DataObject) -> None:
    pattern = parse_pattern(data.draw(st.sampled_from(SPELLINGS)))
    shape = (data.draw(st.integers(1, 3)), data.draw(st.integers(1, 20)), data.draw(st.integers(1, 40)))
    sparsity = data.draw(st.floats(0, 0.999))
    scores = scores_of(shape, seed=data.draw(st.integers(0, 99)), zeros=data.draw(st.sampled_from([0.0, 0.5, 1.0])))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    scores[rng.random(shape) < data.draw(st.sampled_from([0.0, 0.05, 1.0]))] = np.inf
    if data.draw(st.integers(0, 9)) == 0:
        scores.reshape(-1)[data.draw(st.integers(0, scores.size - 1))] = np.nan
    if np.isnan(scores).any():
        with pytest.raises(PatternError, match="NaN"):
            pattern.project(scores, sparsity)
        return
    segments = getattr(getattr(pattern, "rule", pattern), "segments", 1)
    if shape[2] < segments:
        with pytest.raises(PatternError, match="a row has"):
            pattern.project(scores, sparsity)
        return
    mask = pattern.project(scores, sparsity)
    assert mask.shape == shape
    share = pattern.explained(mask)
    assert 0 < share <= 1
    assert (pattern.check(mask) is None) == (share == 1)
    if pattern.nests and pattern.spelling != "dense":
        inner = pattern.project_within(scores, min(0.999, sparsity + 0.2), mask)
        assert not (inner & ~mask).any()
        if share == 1:
            assert pattern.check(inner) is None
        assume(np.isfinite(scores).all())
        assert math.isfinite(float(scores[inner].sum()))
