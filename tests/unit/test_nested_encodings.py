"""Levels as prefixes: every level exactly, the values once, (units + 1) pointers for each further level."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from patterns.catalog import parse_pattern
from patterns.encodings.base import Encoded, EncodingError, Widths
from patterns.encodings.catalog import ALL_ENCODINGS, encoding
from patterns.encodings.nested import PREFIX_ENCODINGS, decode_level, encode_nested, nested_size
from patterns.products.product import product

ROWS, COLUMNS = 40, 72
POINTER_BYTES = 4
SPARSITIES = (0.9, 0.8, 0.6)


def projected(spelling: str) -> list[np.ndarray]:
    """Masks of the same scores at falling sparsity: largest scores, blocks and kernels nest."""
    scores = np.random.default_rng(0).random((1, ROWS, COLUMNS)).astype(np.float32)
    return [parse_pattern(spelling).project(scores, sparsity)[0] for sparsity in SPARSITIES]


def strict_gs(groups: tuple[int, ...], k: int) -> list[np.ndarray]:
    """Strictly GS(8, k) masks with ``groups`` groups in each bundle: group g is diagonal g of a bundle."""
    masks = []
    high = 8 // k
    for count in groups:
        mask = np.zeros((ROWS, COLUMNS), dtype=np.bool_)
        for row in range(ROWS):
            for turn in range(count):
                for slot in range(k):
                    column = turn // high * 8 + (row % high * k + slot + turn % high * k) % 8
                    mask[row, column] = True
        masks.append(mask)
    return masks


@dataclass(frozen=True)
class Case:
    encoding: str
    spelling: str
    masks: list[np.ndarray]
    units: int


CASES = [
    Case("csr", "unstructured", projected("unstructured"), ROWS),
    Case("csc", "unstructured", projected("unstructured"), COLUMNS),
    Case("bsr", "block:4x1", projected("block:4x1"), ROWS // 4),
    Case("bsr", "block:3x5", projected("block:3x5"), -(-ROWS // 3)),
    Case("kernel_pattern", "kernel_pattern", projected("kernel_pattern"), ROWS),
    Case("gs", "gs:8,1", strict_gs((2, 3, 9), 1), ROWS // 8),
    Case("gs", "gs:8,2", strict_gs((1, 4, 6), 2), ROWS // 4),
    Case("gs", "gs:8,8", strict_gs((1, 2, 5), 8), ROWS),
    Case("gs", "gs_scatter:8,2", strict_gs((1, 4, 6), 2), ROWS // 4),
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case.encoding}-{case.spelling}")
def case(request: pytest.FixtureRequest) -> Case:
    found = request.param
    assert isinstance(found, Case)
    return found


def values_of(dtype: str = "float32") -> np.ndarray:
    values = np.random.default_rng(1).standard_normal((ROWS, COLUMNS)).astype(dtype)
    values[3, 4] = np.nan
    values[5, 6] = -0.0
    return values


def nested(case: Case, widths: Widths | None = None) -> Encoded:
    return encode_nested(
        case.masks, values_of(), parse_pattern(case.spelling), widths or Widths(value_bits=32), encoding=case.encoding
    )


@pytest.mark.parametrize("index_bits", [16, "minimal"])
def test_every_level_comes_back_bit_for_bit(case: Case, index_bits: int) -> None:
    encoded = nested(case, Widths(value_bits=32, index_bits=index_bits))
    for level, mask in enumerate(case.masks, start=1):
        got_mask, got = decode_level(encoded, np.float32, level)
        assert np.array_equal(got_mask, mask)
        assert np.array_equal(got.view(np.uint32), np.where(mask, values_of().view(np.uint32), 0))


def test_storage_is_the_densest_level_and_a_pointer_array_for_each_other_to_the_byte(case: Case) -> None:
    pattern, widths = parse_pattern(case.spelling), Widths(value_bits=32)
    densest = encoding(case.encoding).encode(case.masks[-1], values_of(), pattern, widths)
    expected = densest.total_bytes + (len(case.masks) - 1) * (case.units + 1) * POINTER_BYTES
    assert nested(case).total_bytes == expected
    assert nested_size(case.masks, pattern, widths, encoding=case.encoding).total_bytes == expected


def test_a_level_is_a_prefix_of_each_row_block_row_or_bundle(case: Case) -> None:
    encoded = nested(case)
    read = {name: array.view("<u4").astype(int) for name, array in encoded.arrays.items() if name in NAMES}
    lengths = [np.diff(read[name]) for name in NAMES]
    assert (lengths[0] <= lengths[1]).all()
    assert (lengths[1] <= lengths[2]).all()
    total = [int(read[name][-1]) for name in NAMES]
    per_entry = {"gs": 8, "bsr": 0, "kernel_pattern": 4}.get(case.encoding, 1)
    if per_entry:  # blocks at the edge hold fewer
        assert [count * per_entry for count in total] == [int(mask.sum()) for mask in case.masks]


NAMES = ("level1", "level2", "pointers")


def test_the_product_of_a_level_is_that_of_its_mask(case: Case) -> None:
    values = np.random.default_rng(2).integers(-128, 128, (ROWS, COLUMNS)).astype(np.int8)
    x = np.random.default_rng(3).integers(-128, 128, (COLUMNS, 3)).astype(np.int8)
    encoded = encode_nested(
        case.masks, values, parse_pattern(case.spelling), Widths(value_bits=8), encoding=case.encoding
    )
    for level, mask in enumerate(case.masks, start=1):
        expected = np.where(mask, values, 0).astype(np.int64) @ x.astype(np.int64)
        assert np.array_equal(product(encoded, np.int8, x, level=level), expected)
    assert np.array_equal(product(encoded, np.int8, x), expected)


def test_levels_that_fill_no_groups_are_packed_each_for_itself_and_the_size_says_so() -> None:
    pattern, masks = parse_pattern("gs:8,2"), projected("unstructured")
    encoded = encode_nested(masks, values_of(), pattern, Widths(value_bits=32), encoding="gs")
    size = nested_size(masks, pattern, Widths(value_bits=32), encoding="gs")
    assert encoded.total_bytes == size.total_bytes
    steps = [masks[0], masks[1] & ~masks[0], masks[2] & ~masks[1]]
    assert size.slots == sum(encoding("gs").size(step, pattern, Widths()).slots for step in steps)
    assert np.array_equal(decode_level(encoded, np.float32, 2)[0], masks[1])


def test_packed_levels_share_the_order_of_the_densest() -> None:
    pattern, masks = parse_pattern("unstructured"), projected("unstructured")
    encoded = encode_nested(masks, values_of(), pattern, Widths(value_bits=32), encoding="packed")
    assert encoded.total_bytes == nested_size(masks, pattern, Widths(value_bits=32), encoding="packed").total_bytes
    for level, mask in enumerate(masks, start=1):
        assert np.array_equal(decode_level(encoded, np.float32, level)[0], mask)


def test_one_level_is_the_encoding_itself(case: Case) -> None:
    pattern, widths = parse_pattern(case.spelling), Widths(value_bits=32)
    one = encode_nested(case.masks[-1:], values_of(), pattern, widths, encoding=case.encoding)
    plain = encoding(case.encoding).encode(case.masks[-1], values_of(), pattern, widths)
    assert {name: array.tobytes() for name, array in one.arrays.items()} == {
        name: array.tobytes() for name, array in plain.arrays.items()
    }


@pytest.mark.parametrize("name", sorted({member.name for member in ALL_ENCODINGS} - {m.name for m in PREFIX_ENCODINGS}))
def test_an_encoding_without_pointers_is_refused_by_name(name: str) -> None:
    with pytest.raises(EncodingError, match=f"^{name}: has no pointers.*need one of csr, csc, packed, bsr, gs"):
        encode_nested(projected("unstructured"), values_of(), parse_pattern("unstructured"), Widths(), encoding=name)


def test_masks_that_do_not_nest_are_refused_with_the_first_weight_lost() -> None:
    masks = projected("unstructured")
    row, column = (int(place[0]) for place in np.nonzero(masks[1]))
    masks[2] = masks[2].copy()
    masks[2][row, column] = False
    with pytest.raises(EncodingError, match=f"row {row}, column {column} is in level 2 and not in 3"):
        nested_size(masks, parse_pattern("unstructured"), Widths())
    with pytest.raises(EncodingError, match=r"level 2 is bool \(40, 72\), and level 1 bool \(39, 72\)"):
        nested_size([masks[0][1:], masks[1]], parse_pattern("unstructured"), Widths())
    with pytest.raises(EncodingError, match="there are 0 masks"):
        nested_size([], parse_pattern("unstructured"), Widths())


def test_a_block_or_kernel_of_two_levels_is_refused() -> None:
    for name, spelling in (("bsr", "block:4x1"), ("kernel_pattern", "kernel_pattern")):
        masks = projected(spelling)
        part = masks[0].copy()
        row, column = (int(place[0]) for place in np.nonzero(part))
        part[row, column] = False
        with pytest.raises(EncodingError, match=r"in level 1, and|weights of several levels"):
            encode_nested([part, masks[2]], values_of(), parse_pattern(spelling), Widths(value_bits=32), encoding=name)


def test_levels_past_the_last_and_pointers_that_do_not_nest_are_refused(case: Case) -> None:
    encoded = nested(case)
    for level in (0, 4):
        with pytest.raises(EncodingError, match=f"level is {level}, and must be 1 to 3"):
            decode_level(encoded, np.float32, level)
    x = np.zeros((COLUMNS, 1), dtype=np.float32)
    with pytest.raises(EncodingError, match="level is 4"):
        product(encoded, np.float32, x, level=4)
    swapped = {**encoded.arrays, "level1": encoded.arrays["pointers"], "pointers": encoded.arrays["level1"]}
    with pytest.raises(EncodingError, match="array"):
        decode_level(replace(encoded, arrays=swapped), np.float32, 1)
    cut = {**encoded.arrays, "level2": encoded.arrays["level2"][:-1]}
    with pytest.raises(EncodingError, match="array level2 has"):
        decode_level(replace(encoded, arrays=cut), np.float32, 3)


def test_pointers_to_more_entries_than_there_are_bytes_are_refused_before_anything_is_made(case: Case) -> None:
    encoded = nested(case, Widths(value_bits=32, pointer_bits=64))
    for far in (1 << 62, 1 << 63, (1 << 64) - 1):
        pointers = encoded.arrays["pointers"].view("<u8").copy()
        pointers[1:-1] = far
        broken = replace(encoded, arrays={**encoded.arrays, "pointers": pointers.view(np.uint8)})
        with pytest.raises(EncodingError, match=f"array pointers reaches entry {far}"):
            decode_level(broken, np.float32, 1)
        with pytest.raises(EncodingError, match="outside"):
            product(broken, np.float32, np.zeros((COLUMNS, 1), dtype=np.float32))
