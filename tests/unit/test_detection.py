"""Which patterns a mask is said to obey: what chance explains does not win. DESIGN section 3."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from gatherline.detection import CANDIDATES, LEAST_EXCESS, Candidate, detect, named
from gatherline.inspection import obeyed
from patterns.base import Mask
from patterns.catalog import parse_pattern
from traces.layer import MatrixLayer, Window
from traces.layout import column_banks
from traces.masks import pattern_banks


def linear(m: int, k: int) -> MatrixLayer:
    return MatrixLayer(name="fc", kind="linear", m=m, k=k)


def conv(m: int, ci: int) -> MatrixLayer:
    return MatrixLayer(name="conv", kind="conv2d", m=m, k=9 * ci, window=Window(kernel=(3, 3)))


def projected(layer: MatrixLayer, spelling: str, sparsity: float, seed: int = 0) -> Mask:
    pattern = parse_pattern(spelling)
    scores = np.abs(np.random.default_rng(seed).standard_normal((layer.groups, layer.m, layer.k), dtype=np.float32))
    return pattern.project(scores, sparsity, column_banks(layer, pattern_banks(pattern)))


def by_name(layer: MatrixLayer, mask: Mask) -> dict[str, Candidate]:
    return {candidate.pattern: candidate for candidate in detect(layer, mask)}


@pytest.mark.parametrize("density", [0.05, 0.1, 0.25, 0.5, 0.8])
@pytest.mark.parametrize("layer", [linear(10, 64), linear(64, 48), conv(32, 16), conv(128, 64)], ids=str)
def test_a_random_mask_of_any_density_is_called_unstructured(layer: MatrixLayer, density: float) -> None:
    for seed in range(3):
        mask = np.random.default_rng(seed).random((1, layer.m, layer.k)) < density
        assert obeyed(layer, mask) == {"unstructured": 1.0}


@pytest.mark.parametrize(
    ("spelling", "sparsity"),
    [
        ("n_of_m:1,4", 0.75),
        ("n_of_m:2,4", 0.5),
        ("n_of_m:4,8", 0.5),
        ("n_of_m:1,8", 0.875),
        ("block:1x4", 0.8),
        ("block:4x1", 0.8),
        ("block:4x4", 0.8),
        ("block:1x16", 0.8),
        ("block:16x1", 0.8),
        ("block:16x16", 0.8),
        ("block_punched:16", 0.7),
        ("block_punched:8x8", 0.7),
        ("block_punched:4", 0.7),
        ("n_of_m_both:2,4", 0.5),
        ("filter_balanced", 0.8),
        ("kernel_pattern", 0.7),
        ("kernel_pattern:mest", 0.7),
        ("bank_balanced:16", 0.8),
        ("gs:8,1", 0.8),
        ("gs:16,1", 0.8),
        ("gs:16,4", 0.8),
        ("gs:16,16", 0.8),
        ("gs_scatter:16,1", 0.8),
    ],
)
def test_the_pattern_that_made_a_mask_is_named_first_and_explains_all_of_it(spelling: str, sparsity: float) -> None:
    layer = conv(64, 64)
    mask = projected(layer, spelling, sparsity)
    first, share = next(iter(obeyed(layer, mask).items()))
    assert (first, share) == (spelling, 1.0)


def test_whole_channels_are_found() -> None:
    mask = np.zeros((1, 48, 64), dtype=np.bool_)
    mask[0, [1, 5, 6, 20, 31, 47]] = True
    assert next(iter(obeyed(linear(48, 64), mask))) == "channel"


def test_a_mask_of_2_of_4_with_a_few_strays_is_still_named_2_of_4_with_its_share() -> None:
    layer = conv(64, 32)
    mask = projected(layer, "n_of_m:2,4", 0.5)
    segments = mask.reshape(-1, 4)
    broken = np.random.default_rng(1).permutation(len(segments))[: round(0.013 * len(segments))]
    for place in broken:
        segments[place, np.flatnonzero(~segments[place])[0]] = True  # three of these four are kept
    first, share = next(iter(obeyed(layer, mask).items()))
    assert first == "n_of_m:2,4"
    assert share == 2 * (len(segments) - len(broken)) / (2 * len(segments))


def test_chance_for_n_of_m_is_the_binomial_expectation() -> None:
    density, n, m = 0.3, 2, 4
    layer = linear(256, 512)
    mask = np.random.default_rng(0).random((1, 256, 512)) < density
    found = by_name(layer, mask)[f"n_of_m:{n},{m}"]
    expected = sum(j * comb(m, j) * density**j * (1 - density) ** (m - j) for j in range(n + 1)) / n
    assert found.chance == pytest.approx(expected, abs=0.01)
    assert found.share == pytest.approx(found.chance, abs=0.02)


def test_chance_for_blocks_is_density_over_the_share_of_blocks_that_keep_any() -> None:
    density = 0.1
    layer = linear(256, 512)
    mask = np.random.default_rng(0).random((1, 256, 512)) < density
    found = by_name(layer, mask)["block:4x4"]
    assert found.chance == pytest.approx(density / (1 - (1 - density) ** 16), abs=0.01)


def test_a_high_share_that_random_masks_reach_too_is_not_named() -> None:
    layer = linear(64, 1152)
    mask = projected(layer, "n_of_m:2,4", 0.5)
    found = by_name(layer, mask)["gs:16,1"]
    assert found.share is not None
    assert found.chance is not None
    assert found.share > 0.9
    assert found.chance > 0.9
    assert "gs:16,1" not in obeyed(layer, mask) or (found.excess or 0) >= LEAST_EXCESS


def test_excess_is_zero_at_chance_and_one_for_a_mask_that_obeys() -> None:
    assert Candidate(pattern="channel", share=0.4, chance=0.4, chance_deviation=0.0).excess == 0
    assert Candidate(pattern="channel", share=1.0, chance=0.4, chance_deviation=0.0).excess == 1
    assert Candidate(pattern="channel", share=1.0, chance=1.0, chance_deviation=0.0).excess == 0


def test_a_share_within_the_scatter_of_random_masks_is_not_beyond_chance() -> None:
    near = Candidate(pattern="channel", share=0.6, chance=0.4, chance_deviation=0.05)
    far = Candidate(pattern="channel", share=0.6, chance=0.4, chance_deviation=0.03)
    assert (near.beyond_chance, far.beyond_chance) == (False, True)


def test_one_pattern_of_a_family_is_named_and_gs_and_gs_scatter_are_one() -> None:
    def perfect(spelling: str) -> Candidate:
        return Candidate(pattern=spelling, share=1.0, chance=0.5, chance_deviation=0.0)

    found = named([perfect(name) for name in ("gs:16,1", "gs_scatter:16,1", "gs:8,1", "block:4x4", "block:1x4")])
    assert [candidate.pattern for candidate in found] == ["gs:16,1", "block:4x4"]


def test_every_candidate_is_reported_and_one_that_cannot_be_tried_says_why() -> None:
    layer = linear(8, 12)
    mask = np.random.default_rng(0).random((1, 8, 12)) < 0.4
    found = by_name(layer, mask)
    assert set(found) == set(CANDIDATES)
    assert found["kernel_pattern"].share is None
    assert "3x3" in found["kernel_pattern"].reason
    assert "12 columns" in found["bank_balanced:16"].reason


def test_a_depthwise_layer_is_tried_as_one_matrix_and_without_banks() -> None:
    layer = MatrixLayer(name="dw", kind="depthwise", groups=32, m=1, k=9, window=Window(kernel=(3, 3)))
    mask = projected(conv(32, 1), "kernel_pattern", 5 / 9).reshape(32, 1, 9)
    assert next(iter(obeyed(layer, mask))) == "kernel_pattern"
    assert "no banks" in by_name(layer, mask)["gs:16,1"].reason


def test_the_same_mask_gives_the_same_answer() -> None:
    layer = conv(32, 16)
    mask = projected(layer, "gs:16,1", 0.9)
    assert detect(layer, mask) == detect(layer, mask)


def test_a_mask_that_keeps_nearly_all_is_dense_and_an_empty_one_obeys_nothing() -> None:
    assert obeyed(linear(8, 16), np.ones((1, 8, 16), dtype=np.bool_)) == {"dense": 1.0}
    assert obeyed(linear(8, 16), np.zeros((1, 8, 16), dtype=np.bool_)) == {}
