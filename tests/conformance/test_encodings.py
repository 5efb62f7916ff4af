"""What every encoding owes, whichever it is: exact round trips, and sizes that equal the bytes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from patterns.base import Pattern
from patterns.catalog import ALL_PATTERNS, parse_pattern
from patterns.encodings.base import ByteWidths, Encoding, EncodingError
from patterns.encodings.catalog import ALL_ENCODINGS, encoding

SHAPES = ((1, 1), (3, 5), (17, 33), (40, 64))
HOLDS_ANY_MASK = ("csr", "packed", "bitmap", "gs")
FURTHER_PATTERNS = ("n_of_m:1,4", "n_of_m:3,7", "block:3x2", "gs:6,3", "kernel_pattern:mest")
PATTERN_OF = {"gs": "gs:8,2"}  # for masks that were not made by a pattern


@dataclass(frozen=True)
class Case:
    encoding: Encoding
    pattern: Pattern


def takes(member: Encoding, pattern: Pattern) -> bool:
    name = pattern.spelling.partition(":")[0]
    return {
        "dense": name == "dense",
        "bsr": name == "block",
        "n_of_m": name == "n_of_m",
        "gs": name in {"gs", "gs_scatter"},
        "kernel_pattern": name == "kernel_pattern",
    }.get(member.name, True)


CASES = [
    Case(member, parse_pattern(spelling))
    for member in ALL_ENCODINGS
    for spelling in (*(kind.example for kind in ALL_PATTERNS), *FURTHER_PATTERNS)
    if takes(member, parse_pattern(spelling))
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case.encoding.name}-{case.pattern.spelling}")
def case(request: pytest.FixtureRequest) -> Case:
    found = request.param
    assert isinstance(found, Case)
    return found


def awkward_values(shape: tuple[int, int], dtype: str, seed: int = 0) -> np.ndarray:
    """Random bits: -0.0, infinities, quiet and signalling NaN of every payload, and many zeros."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    values = rng.integers(0, 256, size, dtype=np.uint8).view(dtype).reshape(shape).copy()
    values[rng.random(shape) < 0.3] = 0
    if np.dtype(dtype).kind == "f":
        values[rng.random(shape) < 0.2] = -0.0
    return values


def mask_for(pattern: Pattern, shape: tuple[int, int], sparsity: float) -> np.ndarray:
    scores = np.abs(np.random.default_rng(sum(shape)).standard_normal((1, *shape))).astype(np.float32)
    if pattern.spelling.startswith("bank_balanced") and shape[1] < 16:
        return scores[0] > sparsity
    return pattern.project(scores, sparsity)[0]


def case_mask(case: Case, shape: tuple[int, int], sparsity: float) -> np.ndarray:
    """A mask of ``shape``; for an encoding of 3x3 kernels, of as many kernels a row as ``shape`` has columns."""
    taps = 9 if case.encoding.name == "kernel_pattern" else 1
    return mask_for(case.pattern, (shape[0], taps * shape[1]), sparsity)


def assert_round_trip(member: Encoding, mask: np.ndarray, pattern: Pattern, dtype: str, widths: ByteWidths) -> None:
    values = awkward_values(mask.shape, dtype)
    encoded = member.encode(mask, values, pattern, widths)
    size = member.size(mask, pattern, widths)
    assert encoded.total_bytes == size.total_bytes
    assert all(array.dtype == np.uint8 and array.ndim == 1 for array in encoded.arrays.values())
    got_mask, got = member.decode(encoded, dtype)
    assert np.array_equal(got_mask, mask)
    assert got.dtype == values.dtype
    expected = np.where(mask, values.view(f"u{widths.value}"), 0)
    assert np.array_equal(got.view(f"u{widths.value}"), expected)


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8", "float64"])
def test_what_is_encoded_comes_back_bit_for_bit_and_its_bytes_are_the_formula(case: Case, dtype: str) -> None:
    widths = ByteWidths(value=np.dtype(dtype).itemsize)
    for shape in SHAPES:
        for sparsity in (0.0, 0.5, 0.9):
            mask = case_mask(case, shape, sparsity)
            assert_round_trip(case.encoding, mask, case.pattern, dtype, widths)


@pytest.mark.parametrize("name", HOLDS_ANY_MASK)
@pytest.mark.parametrize("sparsity", [0.0, 0.2, 0.7, 0.95, 1.0])
def test_an_encoding_without_a_rule_holds_any_mask(name: str, sparsity: float) -> None:
    for shape in SHAPES:
        mask = np.random.default_rng(1).random(shape) >= sparsity
        for spelling in (PATTERN_OF.get(name, "unstructured"), "gs_scatter:8,2"):
            assert_round_trip(encoding(name), mask, parse_pattern(spelling), "float16", ByteWidths())


@pytest.mark.parametrize("index_bytes", [1, 2, 3, 4, 8])
def test_widths_are_parameters(case: Case, index_bytes: int) -> None:
    widths = ByteWidths(value=4, index=index_bytes, pointer=index_bytes if index_bytes > 1 else 2)
    assert_round_trip(case.encoding, case_mask(case, (20, 64), 0.5), case.pattern, "float32", widths)


def test_the_slots_hold_every_kept_weight_and_their_bytes_are_the_weight_bytes(case: Case) -> None:
    mask = case_mask(case, (24, 64), 0.75)
    size = case.encoding.size(mask, case.pattern, ByteWidths(value=2))
    assert size.slots >= int(mask.sum())
    assert size.weight_bytes == size.slots * 2


def test_an_index_that_does_not_fit_is_refused_with_columns_and_width(case: Case) -> None:
    mask = case_mask(case, (2, 600), 0.5)
    if case.encoding.name in {"dense", "bitmap", "n_of_m"}:  # no index words
        one, two = (case.encoding.size(mask, case.pattern, ByteWidths(index=width)) for width in (1, 2))
        assert one == two
        return
    with pytest.raises(EncodingError, match=r"600 (columns|kernels).*1-byte ones hold up to 255"):
        case.encoding.size(mask, case.pattern, ByteWidths(index=1))
    with pytest.raises(EncodingError, match=r"600 (columns|kernels)"):
        case.encoding.encode(mask, np.zeros(mask.shape, dtype=np.float16), case.pattern, ByteWidths(index=1))


def test_values_of_another_width_or_shape_are_refused(case: Case) -> None:
    mask = case_mask(case, (24, 64), 0.75)
    with pytest.raises(EncodingError, match="bytes"):
        case.encoding.encode(mask, np.zeros(mask.shape, dtype=np.float32), case.pattern, ByteWidths(value=2))
    with pytest.raises(EncodingError, match="shape"):
        case.encoding.encode(mask, np.zeros((3, 3), dtype=np.float16), case.pattern, ByteWidths(value=2))
    encoded = case.encoding.encode(mask, np.zeros(mask.shape, dtype=np.float16), case.pattern, ByteWidths(value=2))
    with pytest.raises(EncodingError, match="bytes"):
        case.encoding.decode(encoded, "float32")


def test_widths_of_zero_and_masks_that_are_no_matrix_are_refused(case: Case) -> None:
    mask = case_mask(case, (24, 64), 0.75)
    for widths, field in (
        (ByteWidths(value=0), "value"),
        (ByteWidths(index=0), "index"),
        (ByteWidths(pointer=9), "pointer"),
    ):
        with pytest.raises(EncodingError, match=f"{field} width"):
            case.encoding.size(mask, case.pattern, widths)
    with pytest.raises(EncodingError, match="boolean matrix"):
        case.encoding.size(mask[0], case.pattern, ByteWidths())


def test_every_pattern_names_an_encoding_that_holds_its_projection() -> None:
    for kind in ALL_PATTERNS:
        pattern = parse_pattern(kind.example)
        if kind.name == "channel":
            continue  # its layer becomes smaller before it is stored: traces.channels
        mask = mask_for(pattern, (40, 72), 0.75)  # 72: eight 3x3 kernels a row
        assert_round_trip(encoding(pattern.default_encoding), mask, pattern, "float16", ByteWidths())


def test_an_unknown_encoding_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(EncodingError, match="did you mean bitmap"):
        encoding("bitmpa")
    with pytest.raises(EncodingError, match="known are dense, csr"):
        encoding("zzzz")
