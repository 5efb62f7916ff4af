"""What every encoding owes, whichever it is: exact round trips, sizes that equal the bytes, products that equal W X."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from patterns.base import Pattern
from patterns.catalog import ALL_PATTERNS, parse_pattern
from patterns.encodings.base import AnyWidths, ByteWidths, Encoded, Encoding, EncodingError, Widths
from patterns.encodings.catalog import ALL_ENCODINGS, encoding
from patterns.encodings.run_length import run_lengths
from patterns.products.product import product

SHAPES = ((1, 1), (1, 33), (33, 1), (3, 5), (17, 33), (40, 64))
HOLDS_ANY_MASK = ("csr", "csc", "coo", "ell", "packed", "bitmap", "run_length", "gs", "nested")
WITHOUT_INDEX_WIDTH = ("dense", "bitmap", "n_of_m", "run_length")
FURTHER_PATTERNS = ("n_of_m:1,4", "n_of_m:3,7", "block:3x2", "gs:6,3", "kernel_pattern:mest")
PATTERN_OF = {"gs": "gs:8,2"}  # for masks that were not made by a pattern
OWN_PATTERN = {
    "dense": ("dense",),
    "bsr": ("block",),
    "n_of_m": ("n_of_m",),
    "gs": ("gs", "gs_scatter"),
    "kernel_pattern": ("kernel_pattern",),
    # of these a mask of any pattern is the same to them as any other mask
    "csr": ("unstructured", "channel", "dense"),
    "bitmap": ("unstructured", "channel", "dense"),
    "packed": ("unstructured", "dense", "bank_balanced", "gs", "gs_scatter"),
    "csc": ("unstructured",),
    "coo": ("unstructured",),
    "ell": ("unstructured", "bank_balanced"),
    "run_length": ("unstructured", "block"),
    "nested": ("unstructured", "block", "gs", "gs_scatter", "kernel_pattern"),
}


@dataclass(frozen=True)
class Case:
    encoding: Encoding
    pattern: Pattern


def takes(member: Encoding, pattern: Pattern) -> bool:
    own = OWN_PATTERN.get(member.name)
    return own is None or pattern.spelling.partition(":")[0] in own


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


def narrow_values(shape: tuple[int, int], dtype: str, bits: int, seed: int = 0) -> np.ndarray:
    """Random integers of ``bits`` bits, signed or not as ``dtype`` is."""
    least = -(1 << bits - 1) if np.dtype(dtype).kind == "i" else 0
    return np.random.default_rng(seed).integers(least, least + (1 << bits), shape).astype(dtype)


def mask_for(pattern: Pattern, shape: tuple[int, int], sparsity: float) -> np.ndarray:
    scores = np.abs(np.random.default_rng(sum(shape)).standard_normal((1, *shape))).astype(np.float32)
    if pattern.spelling.startswith("bank_balanced") and shape[1] < 16:
        return scores[0] > sparsity
    return pattern.project(scores, sparsity)[0]


def case_mask(case: Case, shape: tuple[int, int], sparsity: float) -> np.ndarray:
    """A mask of ``shape``; for an encoding of 3x3 kernels, of as many kernels a row as ``shape`` has columns."""
    kernels = case.pattern.spelling.startswith("kernel_pattern") and case.encoding.name in ("kernel_pattern", "nested")
    return mask_for(case.pattern, (shape[0], (9 if kernels else 1) * shape[1]), sparsity)


def is_silent(mask: np.ndarray, values: np.ndarray, index_bits: int) -> bool:
    """Whether a kept zero follows a run that ends on the longest a field holds: as an inserted zero would."""
    ends = run_lengths(mask) % (1 << index_bits) == (1 << index_bits) - 1
    zero = values[mask].view(f"u{values.dtype.itemsize}") == 0
    return bool((ends & zero).any())


def assert_round_trip(
    member: Encoding, mask: np.ndarray, pattern: Pattern, values: np.ndarray, widths: AnyWidths
) -> None:
    size = member.size(mask, pattern, widths)
    try:
        encoded = member.encode(mask, values, pattern, widths)
    except EncodingError as error:
        text = str(error)
        assert member.name == "run_length", text
        assert "reads as an inserted one" in text
        bits = widths.in_bits if isinstance(widths, ByteWidths) else widths
        assert isinstance(bits.index_bits, str) or is_silent(mask, values, bits.index_bits)
        return
    assert encoded.total_bytes == size.total_bytes
    assert all(array.dtype == np.uint8 and array.ndim == 1 for array in encoded.arrays.values())
    got_mask, got = member.decode(encoded, values.dtype)
    assert np.array_equal(got_mask, mask)
    assert got.dtype == values.dtype
    code = f"u{values.dtype.itemsize}"
    assert np.array_equal(got.view(code), np.where(mask, values.view(code), 0))


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8", "float64"])
def test_what_is_encoded_comes_back_bit_for_bit_and_its_bytes_are_the_formula(case: Case, dtype: str) -> None:
    widths = Widths(value_bits=8 * np.dtype(dtype).itemsize)
    for shape in SHAPES:
        for sparsity in (0.0, 0.5, 0.9):
            mask = case_mask(case, shape, sparsity)
            assert_round_trip(case.encoding, mask, case.pattern, awkward_values(mask.shape, dtype), widths)


@pytest.mark.parametrize(("dtype", "bits"), [("int8", 4), ("uint8", 4), ("int8", 3)])
def test_values_narrower_than_a_byte_are_packed_and_come_back_with_their_sign(
    case: Case, dtype: str, bits: int
) -> None:
    for shape in SHAPES:
        mask = case_mask(case, shape, 0.6)
        values = narrow_values(mask.shape, dtype, bits)
        assert_round_trip(case.encoding, mask, case.pattern, values, Widths(value_bits=bits))
    whole = case.encoding.size(mask, case.pattern, Widths(value_bits=8))
    half = case.encoding.size(mask, case.pattern, Widths(value_bits=4))
    assert half.slots == whole.slots
    parts = 1  # what starts at a byte of its own: an array, or a group
    if "gs" in (case.encoding.name, case.pattern.default_encoding) or case.encoding.name == "packed":
        parts = half.slots
    assert -(-whole.weight_bytes // 2) <= half.weight_bytes <= -(-whole.weight_bytes // 2) + parts


@pytest.mark.parametrize("name", HOLDS_ANY_MASK)
@pytest.mark.parametrize("sparsity", [0.0, 0.2, 0.7, 0.95, 1.0])
def test_an_encoding_without_a_rule_holds_any_mask(name: str, sparsity: float) -> None:
    for shape in SHAPES:
        mask = np.random.default_rng(1).random(shape) >= sparsity
        for spelling in (PATTERN_OF.get(name, "unstructured"), "gs_scatter:8,2"):
            values = awkward_values(shape, "float16")
            assert_round_trip(encoding(name), mask, parse_pattern(spelling), values, Widths())


@pytest.mark.parametrize("index_bits", [8, 16, 24, 32, 64, 7, 11, "minimal", "minimal_bytes"])
def test_widths_are_parameters(case: Case, index_bits: int) -> None:
    widths = Widths(value_bits=32, index_bits=index_bits, pointer_bits=20)
    mask = case_mask(case, (20, 64), 0.5)
    assert_round_trip(case.encoding, mask, case.pattern, awkward_values(mask.shape, "float32"), widths)


def test_bytes_and_bits_are_the_same_widths(case: Case) -> None:
    mask = case_mask(case, (20, 64), 0.5)
    in_bytes = case.encoding.size(mask, case.pattern, ByteWidths(value=1, index=2, pointer=4))
    assert in_bytes == case.encoding.size(mask, case.pattern, Widths(value_bits=8, index_bits=16, pointer_bits=32))


def test_a_minimal_index_is_the_narrowest_that_is_taken(case: Case) -> None:
    mask = case_mask(case, (20, 64), 0.5)
    values = narrow_values(mask.shape, "int8", 7) | 1  # no zero that could be silent
    least = case.encoding.encode(mask, values, case.pattern, Widths(value_bits=8, index_bits="minimal"))
    if case.encoding.name in ("dense", "bitmap", "n_of_m"):
        return  # no index of a width to choose: the size says so below, in its own test
    bits = least.widths.index
    sizes = {}
    for width in range(1, 25):
        try:
            sizes[width] = case.encoding.size(mask, case.pattern, Widths(value_bits=8, index_bits=width)).total_bytes
        except EncodingError:
            assert case.encoding.name != "run_length"
    assert least.total_bytes == min(sizes.values())
    if case.encoding.name != "run_length":
        assert bits == min(sizes)
    whole = case.encoding.encode(mask, values, case.pattern, Widths(value_bits=8, index_bits="minimal_bytes"))
    assert whole.widths.index % 8 == 0
    if case.encoding.name != "run_length":
        assert whole.widths.index == -(-bits // 8) * 8


def test_the_slots_hold_every_kept_weight_and_their_bytes_are_the_weight_bytes(case: Case) -> None:
    mask = case_mask(case, (24, 64), 0.75)
    size = case.encoding.size(mask, case.pattern, Widths(value_bits=16))
    assert size.slots >= int(mask.sum())
    assert size.weight_bytes == size.slots * 2


def test_an_index_that_does_not_fit_is_refused_with_columns_and_width(case: Case) -> None:
    mask = case_mask(case, (600, 2) if case.encoding.name == "csc" else (2, 600), 0.5)
    if case.encoding.name in WITHOUT_INDEX_WIDTH:
        one, two = (case.encoding.size(mask, case.pattern, Widths(index_bits=bits)).slots for bits in (8, 16))
        assert one >= two  # none, or runs that are cut
        return
    for bits, words in ((8, "1-byte ones hold up to 255"), (5, "5-bit ones hold up to 31")):
        with pytest.raises(EncodingError, match=rf"600 (columns|kernels|rows).*{words}"):
            case.encoding.size(mask, case.pattern, Widths(index_bits=bits))
        with pytest.raises(EncodingError, match=r"600 (columns|kernels|rows)"):
            case.encoding.encode(mask, np.zeros(mask.shape, np.float16), case.pattern, Widths(index_bits=bits))


def test_values_of_another_width_or_shape_are_refused(case: Case) -> None:
    mask = case_mask(case, (24, 64), 0.75)
    ones = np.ones(mask.shape, dtype=np.float16)
    with pytest.raises(EncodingError, match="bytes"):
        case.encoding.encode(mask, ones.astype(np.float32), case.pattern, Widths(value_bits=16))
    with pytest.raises(EncodingError, match="shape"):
        case.encoding.encode(mask, np.zeros((3, 3), dtype=np.float16), case.pattern, Widths(value_bits=16))
    with pytest.raises(EncodingError, match="a value is 8, and 4 bits hold -8 to 7"):
        case.encoding.encode(mask, np.full(mask.shape, 8, np.int8), case.pattern, Widths(value_bits=4))
    encoded = case.encoding.encode(mask, ones, case.pattern, Widths(value_bits=16))
    with pytest.raises(EncodingError, match="bytes"):
        case.encoding.decode(encoded, "float32")


def test_widths_of_zero_and_masks_that_are_no_matrix_are_refused(case: Case) -> None:
    mask = case_mask(case, (24, 64), 0.75)
    for widths, field in (
        (ByteWidths(value=0), "value"),
        (Widths(value_bits=0), "value"),
        (Widths(index_bits=0), "index"),
        (Widths(index_bits="least"), "index"),  # type: ignore[arg-type]
        (Widths(pointer_bits=65), "pointer"),
        (ByteWidths(pointer=9), "pointer"),
    ):
        with pytest.raises(EncodingError, match=f"{field} width"):
            case.encoding.size(mask, case.pattern, widths)
    with pytest.raises(EncodingError, match="boolean matrix"):
        case.encoding.size(mask[0], case.pattern, Widths())


def with_array(encoded: Encoded, name: str, data: np.ndarray | None) -> Encoded:
    arrays: dict[str, np.ndarray] = {key: array for key, array in encoded.arrays.items() if key != name}
    return replace(encoded, arrays=arrays if data is None else {**arrays, name: data})


def example(case: Case, shape: tuple[int, int] = (20, 40), sparsity: float = 0.6) -> Encoded:
    mask = case_mask(case, shape, sparsity)
    return case.encoding.encode(mask, narrow_values(mask.shape, "int8", 7) | 1, case.pattern, Widths(value_bits=8))


def test_arrays_that_are_cut_short_too_long_or_missing_are_refused_by_name(case: Case) -> None:
    encoded = example(case)
    x = np.zeros((encoded.shape[1], 2), dtype=np.float32)
    for name, data in encoded.arrays.items():
        for wrong in (data[:-1], np.append(data, np.uint8(0)), data.astype(np.int16)):
            with pytest.raises(EncodingError, match=f"array {name} "):
                case.encoding.decode(with_array(encoded, name, wrong), np.int8)
        with pytest.raises(EncodingError, match=f"array {name} is missing"):
            case.encoding.decode(with_array(encoded, name, None), np.int8)
        for wrong in (data[: len(data) // 2], None):
            with pytest.raises(EncodingError, match=name):
                product(with_array(encoded, name, wrong), np.int8, x)


def test_numbers_that_lead_outside_are_refused_by_array(case: Case) -> None:
    encoded = example(case)
    x = np.zeros((encoded.shape[1], 2), dtype=np.float32)
    for name in set(encoded.arrays) & {"indices", "rows", "columns", "pointers", "runs", "groups"}:
        if case.encoding.name == "n_of_m":
            continue  # any bits of a segment are columns of it, or padding
        broken = with_array(encoded, name, np.full_like(encoded.arrays[name], 255))
        with pytest.raises(EncodingError, match=f"array {name}"):
            case.encoding.decode(broken, np.int8)
        with pytest.raises(EncodingError, match=r"outside|array"):
            product(broken, np.int8, x)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_are_refused_or_read_as_another_matrix_but_never_crash(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(CASES))
    encoded = example(case, (6, 20))
    name = data.draw(st.sampled_from(sorted(encoded.arrays)))
    damaged = encoded.arrays[name].copy()
    assume(damaged.size > 0)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, damaged.size - 1))] = data.draw(st.integers(0, 255))
    broken = with_array(encoded, name, damaged)
    try:
        mask, values = case.encoding.decode(broken, np.int8)
        assert mask.shape == values.shape == encoded.shape
    except EncodingError as error:
        text = str(error)
        assert "\n" not in text
    try:
        assert product(broken, np.int8, np.ones((encoded.shape[1], 2), np.int8)).shape == (encoded.shape[0], 2)
    except EncodingError as error:
        text = str(error)
        assert "\n" not in text


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(HOLDS_ANY_MASK),
    spelling=st.sampled_from(("gs:8,2", "gs:4,4", "gs_scatter:8,1", "unstructured")),
    rows=st.integers(1, 12),
    columns=st.integers(1, 70),
    density=st.sampled_from((0.0, 0.03, 0.3, 0.9, 1.0)),
    kind=st.sampled_from((("int8", 4), ("int8", 8), ("float16", 16), ("float32", 32), ("uint8", 5))),
    index=st.one_of(st.integers(1, 40), st.sampled_from(("minimal", "minimal_bytes"))),
    pointer=st.integers(6, 40),
    seed=st.integers(0, 2**16),
)
def test_any_mask_at_any_width_comes_back_or_is_refused_with_its_size(
    name: str, spelling: str, rows: int, columns: int, density: float, kind: tuple[str, int], index: int, pointer: int,
    seed: int,
) -> None:  # fmt: skip
    pattern = parse_pattern(PATTERN_OF.get(name, "unstructured") if spelling == "unstructured" else spelling)
    mask = np.random.default_rng(seed).random((rows, columns)) < density
    dtype, bits = kind
    make = narrow_values if bits < 8 else lambda shape, of, _bits, at: awkward_values(shape, of, at)
    values = make(mask.shape, dtype, bits, seed)
    widths = Widths(value_bits=bits, index_bits=index, pointer_bits=pointer)
    member = encoding(name)
    try:
        member.size(mask, pattern, widths)
    except EncodingError as error:
        text = str(error)
        assert "hold up to" in text
        with pytest.raises(EncodingError, match="hold up to"):
            member.encode(mask, values, pattern, widths)
        return
    assert_round_trip(member, mask, pattern, values, widths)


UNIT = 2.0**-24  # of float32, round to nearest


def assert_product(
    encoded: Encoded, dtype: str, mask: np.ndarray, values: np.ndarray, level: int | None = None
) -> None:
    """Bound: |error| <= n u / (1 - n u) x sum of |w| |x|, Higham 2002, (3.5); n additions and a product each."""
    rng = np.random.default_rng(7)
    x = rng.standard_normal((mask.shape[1], 5)).astype(np.float32)
    weights = np.where(mask, values, 0).astype(np.float64)
    found = product(encoded, dtype, x, level=level)
    assert found.dtype == np.float32
    steps = (int(mask.sum(axis=1).max()) + 1) * UNIT
    bound = steps / (1 - steps) * (np.abs(weights) @ np.abs(x.astype(np.float64)))
    assert (np.abs(found - weights @ x.astype(np.float64)) <= bound).all()
    if dtype == "int8":
        whole = rng.integers(-128, 128, x.shape).astype(np.int8)
        exact = product(encoded, dtype, whole, level=level)
        assert exact.dtype == np.int32
        assert np.array_equal(exact, weights.astype(np.int64) @ whole.astype(np.int64))


KINDS: Mapping[str, tuple[str, int]] = {
    "fp32": ("float32", 32),
    "fp16": ("float16", 16),
    "int8": ("int8", 8),
    "int4": ("int8", 4),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_product_over_the_bytes_equals_the_dense_product(case: Case, kind: str) -> None:
    dtype, bits = KINDS[kind]
    for shape in SHAPES:
        for index_bits in (16, "minimal"):
            mask = case_mask(case, shape, 0.6)
            rng = np.random.default_rng(3)
            values = (
                narrow_values(mask.shape, dtype, bits)
                if dtype == "int8"
                else rng.standard_normal(mask.shape).astype(dtype)
            )
            values[values == 0] = 1  # a kept zero may be silent in runs
            widths = Widths(value_bits=bits, index_bits=index_bits)  # type: ignore[arg-type]
            assert_product(case.encoding.encode(mask, values, case.pattern, widths), dtype, mask, values)


def test_a_product_refuses_what_it_cannot_sum(case: Case) -> None:
    encoded = example(case)
    columns = encoded.shape[1]
    for dtype, x, words in (
        (np.int8, np.zeros((columns + 1, 2), np.float32), "x is float32"),
        (np.int8, np.zeros((columns, 2), np.float64), "x is float64"),
        (np.uint8, np.zeros((columns, 2), np.float32), "values are uint8"),
        (np.float32, np.zeros((columns, 2), np.float32), "bytes"),
    ):
        with pytest.raises(EncodingError, match=words):
            product(encoded, dtype, x)
    with pytest.raises(EncodingError, match="level is 2"):
        product(encoded, np.int8, np.zeros((columns, 2), np.float32), level=2)


def test_every_pattern_names_an_encoding_that_holds_its_projection() -> None:
    for kind in ALL_PATTERNS:
        pattern = parse_pattern(kind.example)
        if kind.name == "channel":
            continue  # its layer becomes smaller before it is stored: traces.channels
        mask = mask_for(pattern, (40, 72), 0.75)  # 72: eight 3x3 kernels a row
        values = awkward_values(mask.shape, "float16")
        assert_round_trip(encoding(pattern.default_encoding), mask, pattern, values, Widths())


def test_an_unknown_encoding_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(EncodingError, match="did you mean bitmap"):
        encoding("bitmpa")
    with pytest.raises(EncodingError, match="known are dense, csr"):
        encoding("zzzz")
