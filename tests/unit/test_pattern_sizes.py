"""Hand-sized patterns and the sizes that DESIGN section 4 names, as expressions."""

from __future__ import annotations

import numpy as np
import pytest

from patterns.base import Mask, PatternError
from patterns.block import Block
from patterns.catalog import ALL_PATTERNS, parse_pattern
from patterns.channel import Channel
from patterns.encodings.base import ByteWidths, EncodingError
from patterns.encodings.catalog import encoding
from patterns.encodings.packed import PackedEncoding
from patterns.gs import GatherScatter
from patterns.n_of_m import NOfM
from patterns.unstructured import Unstructured

WIDTHS = ByteWidths(value=2, index=2, pointer=4)
SIDE = 1024


def kept_first(count: int) -> Mask:
    mask = np.zeros(SIDE * SIDE, dtype=np.bool_)
    mask[:count] = True
    return mask.reshape(SIDE, SIDE)


def mask_of_groups(groups: int, k: int) -> Mask:
    """A strictly GS(8, k) mask of 1024 x 1024 with ``groups`` groups: bundle after bundle, one diagonal a group."""
    mask = np.zeros((SIDE, SIDE), dtype=np.bool_)
    high = 8 // k
    bundles = SIDE // high
    for group in range(groups):
        bundle, turn = group % bundles, group // bundles
        for lane in range(8):
            column = (turn // high * 8 if k < 8 else turn * 8) + (lane + (turn % high) * k) % 8
            mask[bundle * high + lane // k, column] = True
    assert mask.sum() == groups * 8
    return mask


def total(name: str, mask: Mask, spelling: str) -> int:
    return encoding(name).size(mask, parse_pattern(spelling), WIDTHS).total_bytes


def test_a_dense_matrix_of_1024_by_1024_takes_two_bytes_a_weight() -> None:
    assert total("dense", np.ones((SIDE, SIDE), dtype=np.bool_), "dense") == SIDE * SIDE * 2 == 2_097_152


def test_csr_at_90_percent_takes_four_bytes_a_weight_and_a_pointer_a_row() -> None:
    kept = round(0.1 * SIDE * SIDE)
    assert kept == 104_858
    assert total("csr", kept_first(kept), "unstructured") == kept * (2 + 2) + (SIDE + 1) * 4 == 423_532


@pytest.mark.parametrize(
    ("groups", "k", "expected"), [(13_107, 8, 423_524), (13_107, 1, 419_940), (26_214, 1, 839_364), (6_553, 1, 210_212)]
)
def test_gs_joined_takes_its_groups_and_a_pointer_a_bundle(groups: int, k: int, expected: int) -> None:
    bundles = SIDE // (8 // k)
    size = total("gs", mask_of_groups(groups, k), f"gs:8,{k}")
    assert size == groups * 8 * (2 + 2) + (bundles + 1) * 4 == expected


def test_a_row_permutation_adds_one_index_a_row() -> None:
    mask = np.zeros((SIDE, SIDE), dtype=np.bool_)
    for turn in range(8):
        for row in range(SIDE):
            mask[row, turn * 8 + (row + turn) % 8] = True
    groups = 8 * SIDE // 8
    assert total("gs", mask, "gs_scatter:8,1") == groups * 8 * (2 + 2) + (SIDE // 8 + 1) * 4 + SIDE * 2


@pytest.mark.parametrize(("height", "width", "expected"), [(1, 8, 240_026), (8, 1, 236_442)])
def test_bsr_takes_one_index_a_block(height: int, width: int, expected: int) -> None:
    blocks = 13_107
    per_row = SIDE // width
    mask = np.zeros((SIDE, SIDE), dtype=np.bool_)
    for block in range(blocks):
        row, column = block // per_row * height, block % per_row * width
        mask[row : row + height, column : column + width] = True
    size = total("bsr", mask, f"block:{height}x{width}")
    assert size == blocks * (height * width * 2 + 2) + (SIDE // height + 1) * 4 == expected


def test_bitmap_and_2_of_4_take_bits_for_indices() -> None:
    scores = np.random.default_rng(0).random((1, SIDE, SIDE)).astype(np.float32)
    mask = NOfM(n=2, m=4).project(scores, 0.5)[0]
    kept = SIDE * SIDE // 2
    assert total("n_of_m", mask, "n_of_m:2,4") == kept * 2 + kept * 2 // 8
    assert total("bitmap", mask, "n_of_m:2,4") == kept * 2 + SIDE * SIDE // 8


def test_packed_takes_the_fewest_groups_and_a_row_index_only_when_sorted() -> None:
    full = np.ones((16, 32), dtype=np.bool_)
    assert total("packed", full, "unstructured") == 16 * 32 * (2 + 2) + (1 + 1) * 4  # k = 1: one bundle
    uneven = np.zeros((32, 64), dtype=np.bool_)
    for place in range(16):  # every other row keeps 8 weights, in banks 0 to 7 or 8 to 15 by turns
        uneven[2 * place, place % 2 * 8 : place % 2 * 8 + 8] = True
    groups = 16 * 8 // 16  # sorted, the 16 rows share a bundle; unsorted, each half of them needs as many
    assert total("packed", uneven, "unstructured") == groups * 16 * (2 + 2) + (2 + 1) * 4 + 32 * 2
    assert PackedEncoding(banks=8).size(full, Unstructured(), WIDTHS).slots == 16 * 32


def test_padding_needs_an_index_of_its_own() -> None:
    mask = np.zeros((16, 256), dtype=np.bool_)
    mask[0, 255] = True
    with pytest.raises(EncodingError, match="256 columns and the mark of padding need numbers up to 256"):
        encoding("gs").size(mask, GatherScatter(banks=16, k=1), ByteWidths(index=1))
    assert encoding("gs").size(np.ones_like(mask), GatherScatter(banks=16, k=1), ByteWidths(index=1)).slots == 16 * 256


def test_an_encoding_refuses_a_mask_that_it_cannot_give_back() -> None:
    values = np.zeros((4, 8), dtype=np.float16)
    full = np.ones((4, 8), dtype=np.bool_)
    holed = full.copy()
    holed[1, 2] = False
    with pytest.raises(EncodingError, match="row 1, column 2 is not kept"):
        encoding("dense").encode(holed, values, parse_pattern("dense"), WIDTHS)
    with pytest.raises(EncodingError, match="row 0, column 0 keeps 7"):
        encoding("bsr").encode(holed, values, Block(height=2, width=4), WIDTHS)
    with pytest.raises(EncodingError, match=r"row 0, column 0: 4 of the 4 columns"):
        encoding("n_of_m").size(full, NOfM(n=2, m=4), WIDTHS)
    with pytest.raises(EncodingError, match="must be block:HxW"):
        encoding("bsr").size(full, Unstructured(), WIDTHS)
    with pytest.raises(EncodingError, match="must be gs:B,k or gs_scatter:B,k"):
        encoding("gs").size(full, Unstructured(), WIDTHS)
    with pytest.raises(EncodingError, match="must be n_of_m:N,M"):
        encoding("n_of_m").size(full, Unstructured(), WIDTHS)


@pytest.mark.parametrize("spelling", ["n_of_m:2,4", "n_of_m:3,5", "n_of_m:1,5", "n_of_m:4,8"])
def test_n_of_m_holds_segments_that_keep_fewer_than_n(spelling: str) -> None:
    rule = parse_pattern(spelling)
    rng = np.random.default_rng(0)
    mask = rule.project(rng.random((1, 30, 43)).astype(np.float32), 0.5)[0] & (rng.random((30, 43)) < 0.5)
    mask[:, 40:] = False  # the short last segment too
    values = rng.integers(0, 2, mask.shape).astype(np.float16)
    got_mask, got = encoding("n_of_m").decode(encoding("n_of_m").encode(mask, values, rule, WIDTHS), np.float16)
    assert np.array_equal(got_mask, mask)
    assert np.array_equal(got, np.where(mask, values, 0))


def test_1_of_4_has_no_way_to_store_a_segment_that_keeps_nothing() -> None:
    mask = np.zeros((2, 8), dtype=np.bool_)
    mask[0, 1] = mask[0, 5] = mask[1, 0] = True
    with pytest.raises(EncodingError, match="row 1, column 4: nothing is kept here"):
        encoding("n_of_m").encode(mask, np.zeros(mask.shape, dtype=np.float16), NOfM(n=1, m=4), WIDTHS)


def test_2_of_4_keeps_the_two_largest_and_a_short_segment_as_if_padded() -> None:
    scores = np.array([[[1, 4, 3, 2, 5, 6]]], dtype=np.float32)
    assert NOfM(n=2, m=4).project(scores, 0.5).tolist() == [[[False, True, True, False, True, True]]]
    assert NOfM(n=1, m=4).project(scores, 0.5).tolist() == [[[False, True, False, False, False, True]]]


def test_blocks_go_by_their_norm() -> None:
    scores = np.array([[[3, 0, 2, 2], [0, 0, 2, 2]]], dtype=np.float32)  # squares 9 and 16
    assert Block(height=2, width=2).project(scores, 0.5).tolist() == [[[False, False, True, True]] * 2]
    assert Block(height=1, width=2).project(scores, 0.75).tolist() == [[[True, True, False, False], [False] * 4]]


def test_equal_scores_go_to_the_lowest_index() -> None:
    equal = np.ones((1, 4, 8), dtype=np.float32)
    first_two = np.zeros((1, 4, 8), dtype=np.bool_)
    first_two[:, :, [0, 1, 4, 5]] = True
    assert np.array_equal(NOfM(n=2, m=4).project(equal, 0.5), first_two)
    first_rows = np.zeros((1, 4, 8), dtype=np.bool_)
    first_rows[:, :2] = True
    assert np.array_equal(Channel().project(equal, 0.5), first_rows)
    assert np.array_equal(Block(height=1, width=4).project(equal, 0.5), first_rows)
    assert np.array_equal(Unstructured().project(equal, 0.5), first_rows)


def test_a_channel_always_stays() -> None:
    scores = np.ones((2, 3, 4), dtype=np.float32)
    assert Channel().project(scores, 0.99).sum(axis=(1, 2)).tolist() == [4, 4]


def test_gs_16_1_keeps_nearly_the_weight_of_an_unstructured_mask() -> None:
    """At 90 % on Gaussian weights, 256 x 2304, the greedy projection keeps 99.9 % of what free choice would."""
    scores = np.abs(np.random.default_rng(0).standard_normal((1, 256, 2304))).astype(np.float32)
    pattern = GatherScatter(banks=16, k=1)
    mask = pattern.project(scores, 0.9)
    free = Unstructured().project(scores, 1 - float(mask.mean()))
    assert free.sum() == mask.sum()
    assert pattern.explained(mask) == 1
    assert scores[mask].sum() / scores[free].sum() >= 0.99


def test_horizontal_gs_overshoots_on_short_rows() -> None:
    """K = 64 at 90 %: about 6 survivors a row become one group of 16, a quarter of the row."""
    scores = np.abs(np.random.default_rng(0).standard_normal((1, 64, 64))).astype(np.float32)
    assert GatherScatter(banks=16, k=16).project(scores, 0.9).mean() == pytest.approx(16 / 64, abs=0.03)


def test_many_survivors_round_to_the_nearest_number_of_groups_and_few_round_up() -> None:
    pattern = GatherScatter(banks=4, k=4)

    def groups(survivors: int) -> int:
        """One bundle (a row) of 160 weights with ``survivors`` above the percentile."""
        scores = np.zeros((1, 2, 160), dtype=np.float32)
        scores[0, 0, :survivors] = 2
        scores[0, 1, : 160 - survivors] = 1
        return int(pattern.project(scores, 1 - 160 / 320)[0, 0].sum()) // 4

    assert groups(8 * 4 + 1) == 8 + 1  # 33 // 4 is not above 8: rounds up
    assert groups(9 * 4 + 1) == 9  # to the nearest
    assert groups(9 * 4 + 3) == 10


def test_a_short_last_bundle_keeps_its_density() -> None:
    scores = np.abs(np.random.default_rng(0).standard_normal((1, 17, 320))).astype(np.float32)
    mask = GatherScatter(banks=16, k=1).project(scores, 0.9)[0]
    assert mask[16].sum() == pytest.approx(32, abs=12)
    violation = GatherScatter(banks=16, k=1).check(mask[None])
    assert violation is not None
    assert (violation.group, violation.row) == (0, 16)


def test_gs_follows_the_banks_it_is_given() -> None:
    banks = (np.arange(64, dtype=np.int64) // 4)[None]
    scores = np.random.default_rng(0).random((1, 16, 64)).astype(np.float32)
    pattern = GatherScatter(banks=16, k=1)
    mask = pattern.project(scores, 0.75, banks)
    assert pattern.check(mask, banks) is None
    assert pattern.check(mask) is not None
    with pytest.raises(PatternError, match="bank 15, and banks are 0 to 7"):
        GatherScatter(banks=8, k=1).project(scores, 0.75, banks)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gs:16,3", "k is 3, and must divide B, which is 16"),
        ("gs:0,1", "B is 0, and must be 1 to 32767"),
        ("gs:16,0", "k is 0, and must divide B"),
        ("gs:16", r"must be spelled gs:B,k\[,greedy\], as in gs:16,1"),
        ("gs:16,1,2", "must be spelled gs:B,k"),
        ("gs:-16,1", "must be spelled gs:B,k"),
        ("gs", "must be spelled gs:B,k"),
        ("n_of_m:5,4", "N is 5, and must be at most M, which is 4"),
        ("n_of_m:0,4", "must be at least 1"),
        ("block:0x4", "must be at least 1"),
        ("block:4,1", "must be spelled block:HxW, as in block:4x1"),
        ("bank_balanced:0", "must be at least 1"),
        ("dense:1", "must be spelled dense"),
        ("dense:", "must be spelled dense"),
        ("unstructured:globl", r"must be spelled unstructured\[:global\]"),
        ("kernel_pattern:met", r"must be spelled kernel_pattern\[:mest\], as in kernel_pattern"),
        ("kernel_patern", "did you mean kernel_pattern"),
        ("unstructred", "did you mean unstructured"),
        ("chanel", "did you mean channel"),
        ("", "known are dense, unstructured"),
    ],
)
def test_a_wrong_spelling_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(PatternError, match=message) as caught:
        parse_pattern(text)
    assert "\n" not in str(caught.value)


def test_names_in_the_catalog_are_distinct_and_cited() -> None:
    assert len({kind.name for kind in ALL_PATTERNS}) == len(ALL_PATTERNS)
    for kind in ALL_PATTERNS:
        assert kind.example.startswith(kind.name)
        assert kind.summary
        assert kind.source
