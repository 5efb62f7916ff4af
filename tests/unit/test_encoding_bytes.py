"""The bytes themselves: fields of any width, runs of zeros, and the sizes of DESIGN section 4 at other widths."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patterns.catalog import parse_pattern
from patterns.encodings.base import EncodedSize, EncodingError, Widths
from patterns.encodings.catalog import ALL_ENCODINGS, encoding
from patterns.encodings.fields import pack, unpack
from patterns.encodings.sizes import encoding_sizes
from patterns.products import _block_kernel, _group_kernel, _line_kernel, _stream_kernel
from tests.reference.encodings import packed_fields, zero_runs

ANY = parse_pattern("unstructured")
SIDE = 1024


@given(bits=st.integers(1, 64), data=st.data())
def test_fields_are_one_little_endian_number(bits: int, data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.integers(0, 2**bits - 1), max_size=20))
    packed = pack(np.array(numbers, dtype=np.uint64), bits)
    assert packed.tobytes() == packed_fields(numbers, bits)
    assert unpack(packed, len(numbers), bits).tolist() == numbers


def test_two_4_bit_values_share_a_byte_the_first_one_low() -> None:
    values = np.array([[1, -2, 7, -8, 3]], dtype=np.int8)
    encoded = encoding("dense").encode(np.ones((1, 5), np.bool_), values, parse_pattern("dense"), Widths(value_bits=4))
    assert encoded.arrays["values"].tolist() == [1 | (-2 & 15) << 4, 7 | (-8 & 15) << 4, 3]


def test_indices_of_3_bits_follow_each_other_across_bytes() -> None:
    mask = np.array([[0, 1, 0, 1, 0, 0, 0, 1]], dtype=np.bool_)
    widths = Widths(value_bits=8, index_bits="minimal")
    encoded = encoding("csr").encode(mask, mask.astype(np.int8), ANY, widths)
    assert encoded.widths.index == 3  # columns up to 7
    assert encoded.arrays["indices"].tolist() == list((1 | 3 << 3 | 7 << 6).to_bytes(2, "little"))


def test_runs_and_inserted_zeros_are_those_of_deep_compression() -> None:
    """The example of EIE, arXiv 1602.01528, section III: 4-bit runs, 18 zeros before the 3."""
    weights = np.array([[0, 0, 1, 2, *[0] * 18, 3]], dtype=np.int8)
    encoded = encoding("run_length").encode(weights != 0, weights, ANY, Widths(value_bits=8, index_bits=4))
    assert encoded.arrays["values"].tolist() == [1, 2, 0, 3]
    assert unpack(encoded.arrays["runs"], 4, 4).tolist() == [2, 0, 15, 2]


@given(
    weights=st.lists(st.one_of(st.none(), st.none(), st.none(), st.integers(1, 100)), min_size=1, max_size=80),
    bits=st.integers(1, 6),
)
def test_runs_are_those_of_counting_zeros_one_by_one(weights: list[int | None], bits: int) -> None:
    mask = np.array([[weight is not None for weight in weights]])
    values = np.array([[weight or 0 for weight in weights]], dtype=np.int8)
    encoded = encoding("run_length").encode(mask, values, ANY, Widths(value_bits=8, index_bits=bits))
    entries = zero_runs(weights, bits)
    assert encoded.arrays["values"].tolist() == [value for value, _ in entries]
    assert unpack(encoded.arrays["runs"], len(entries), bits).tolist() == [run for _, run in entries]


def test_a_kept_zero_that_reads_as_an_inserted_one_is_refused_and_another_width_stores_it() -> None:
    mask = np.array([[0, 0, 0, 1, 1]], dtype=np.bool_)
    values = np.zeros((1, 5), dtype=np.int8)
    with pytest.raises(EncodingError, match="row 0, column 3 is a kept zero after a run that ends on 3"):
        encoding("run_length").encode(mask, values, ANY, Widths(value_bits=8, index_bits=2))
    encoded = encoding("run_length").encode(mask, values, ANY, Widths(value_bits=8, index_bits=3))
    assert np.array_equal(encoding("run_length").decode(encoded, np.int8)[0], mask)


def test_sizes_at_90_percent_are_sums_of_widths_in_bits() -> None:
    kept, longest = 104_858, 103  # 1023 rows of 102 or 103, and one more: 0.1 x 1024 x 1024, rounded
    mask = np.zeros((SIDE, SIDE), dtype=np.bool_)
    spread = np.full(SIDE, kept // SIDE)
    spread[: kept % SIDE] += 1
    for row, count in enumerate(spread):
        mask[row, :count] = True
    assert int(mask.sum()) == kept
    v, i, p = 4, 10, 32
    found = dict(encoding_sizes(mask, ANY, Widths(value_bits=v, index_bits="minimal")))
    values, indices = -(-kept * v // 8), -(-kept * i // 8)
    lines = (SIDE + 1) * p // 8
    assert found["csr"] == found["csc"] == found["nested"]
    assert found["csr"] == EncodedSize(weight_bytes=values, index_bytes=indices + lines, slots=kept)
    assert found["coo"] == EncodedSize(weight_bytes=values, index_bytes=2 * indices, slots=kept)
    assert found["bitmap"] == EncodedSize(weight_bytes=values, index_bytes=SIDE * SIDE // 8, slots=kept)
    slots = SIDE * longest
    padded_index = 11  # 0 to 1023, and 1024 as the mark of padding
    assert found["ell"] == EncodedSize(weight_bytes=slots * v // 8, index_bytes=slots * padded_index // 8, slots=slots)
    assert found["dense"] == EncodedSize(weight_bytes=SIDE * SIDE * v // 8, index_bytes=0, slots=SIDE * SIDE)


def test_the_sizes_of_all_encodings_come_with_a_reason_where_there_is_none() -> None:
    mask = np.random.default_rng(0).random((32, 36)) < 0.2
    found = encoding_sizes(mask, parse_pattern("block:4x4"), Widths())
    assert [name for name, _ in found] == [member.name for member in ALL_ENCODINGS]
    reasons = {name: size for name, size in found if isinstance(size, str)}
    assert set(reasons) == {"n_of_m", "gs", "kernel_pattern"}
    assert reasons["gs"] == "gs: pattern is block:4x4, and must be gs:B,k or gs_scatter:B,k"
    for name, size in found:
        if isinstance(size, EncodedSize):
            assert size == encoding(name).size(mask, parse_pattern("block:4x4"), Widths())


def test_columns_that_lie_in_no_bank_are_a_reason_too() -> None:
    mask = np.ones((4, 8), dtype=np.bool_)
    found = dict(encoding_sizes(mask, ANY, Widths(), np.full(8, 99)))
    assert "lies in bank 99" in str(found["packed"])


@pytest.mark.parametrize("reader", ["_odd_number", "_number", "_value", "_add"])
def test_kernel_files_read_numbers_alike(reader: str) -> None:
    """Each has its own copy, since Numba's cache does not see edits in another file."""
    texts = {
        inspect.getsource(getattr(file, reader).py_func)
        for file in (_line_kernel, _stream_kernel, _block_kernel, _group_kernel)
    }
    assert len(texts) == 1
