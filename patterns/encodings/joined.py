"""Groups as they lie in memory: for each group B values, then its B indices; a pointer per bundle. DESIGN section 4.

A slot's lane says its row: lane = place of the row in its bundle x k + slot. An empty slot holds value 0 and, as its
index, the number of columns: one past the last, so that a kept weight of value 0 stays apart from padding. The values
and the indices of a group each start at a byte. Nested levels are packed one after another in each bundle, so that a
level is whole groups: where each level fills its groups, as strict GS does, they are as many as the densest's alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from patterns.base import Mask
from patterns.encodings.base import AnyWidths, ByteWidths, Encoded, EncodedSize, EncodingError, Widths
from patterns.encodings.fields import (
    Codes,
    IntArray,
    array_of,
    byte_count,
    check_fits,
    empty_values,
    finish_values,
    indices_of,
    pack,
    pack_rows,
    parameter,
    place_values,
    unpack_rows,
    with_index_for,
)
from patterns.encodings.levels import Levels, level_entries, pointer_arrays, pointer_bytes
from patterns.packing import Packing, group_counts
from patterns.packing import pack as pack_groups


def joined_size(
    name: str, mask: Mask, counts: IntArray, banks: int, widths: AnyWidths, *, row_index: bool, levels: int = 1
) -> EncodedSize:
    """Return groups x B (v + i) + (bundles + 1) p, and rows x i with a row index. counts [bundles]: groups of each."""
    bits = joined_widths(name, mask, counts, banks, widths, row_index=row_index)
    groups = int(counts.sum())
    return EncodedSize(
        weight_bytes=groups * byte_count(banks, bits.value_bits),
        index_bytes=groups * byte_count(banks, bits.index)
        + pointer_bytes(len(counts), levels, bits.pointer_bits)
        + (byte_count(mask.shape[0], bits.index) if row_index else 0),
        slots=groups * banks,
    )


def joined_widths(name: str, mask: Mask, counts: IntArray, banks: int, widths: AnyWidths, *, row_index: bool) -> Widths:
    """Return the widths with their index chosen. Raises EncodingError for a number that does not fit."""
    rows, columns = mask.shape
    groups = int(counts.sum())
    padded = groups * banks > int(np.count_nonzero(mask))
    what = f"{columns} columns and the mark of padding" if padded else f"{columns} columns"
    largest = columns if padded else columns - 1
    bits = widths.in_bits if isinstance(widths, ByteWidths) else widths
    if row_index and rows - 1 > largest:
        largest, what = rows - 1, f"{rows} rows"
    bits = with_index_for(name, bits, largest, what)
    check_fits(name, groups, bits.pointer_bits, f"pointers to {groups} groups")
    return bits


def level_group_counts(levels: Levels, banks: IntArray, B: int, k: int, order: IntArray) -> IntArray:
    """Return the groups that each level adds to each bundle, [levels, bundles]."""
    return np.stack([group_counts(levels.of == level, banks, B, k, order) for level in range(1, levels.count + 1)])


def join(
    name: str,
    levels: Levels,
    codes: Codes,
    widths: AnyWidths,
    banks: IntArray,
    B: int,
    k: int,
    order: IntArray,
    *,
    row_index: bool,
) -> Encoded:
    """Return the codes [rows, columns] in conflict-free groups. banks [columns]: bank of each; order [rows]."""
    packings = [pack_groups(levels.of == level, banks, B, k, order=order) for level in range(1, levels.count + 1)]
    counts = np.stack([np.diff(packing.bundle_end, prepend=0) for packing in packings])
    in_bundles = counts.sum(axis=0)
    bits = joined_widths(name, levels.mask, in_bundles, B, widths, row_index=row_index)
    columns = codes.shape[1]
    groups = int(in_bundles.sum())
    stored = np.zeros((groups, B), dtype=codes.dtype)
    indices = np.full((groups, B), columns, dtype=np.int64)
    first = np.cumsum(in_bundles) - in_bundles
    for packing, added in zip(packings, counts, strict=True):
        group = _global_groups(packing, added, first)
        stored[group, packing.lane] = codes[packing.row, packing.column]
        indices[group, packing.lane] = packing.column
        first = first + added
    both = np.concatenate([pack_rows(stored, bits.value_bits), pack_rows(indices, bits.index)], axis=1)
    arrays = {"groups": both.reshape(-1), **pointer_arrays(counts, bits.pointer_bits)}
    if row_index:
        arrays["rows"] = pack(order, bits.index)
    return Encoded(
        encoding=name,
        shape=(codes.shape[0], columns),
        arrays=arrays,
        parameters={"banks": B, "k": k, "levels": levels.count, "row_index": int(row_index)},
        widths=bits,
    )


def _global_groups(packing: Packing, counts: IntArray, first: IntArray) -> IntArray:
    """Return the group of each request, where a bundle's groups of this level start at ``first`` [bundles]."""
    inside = np.arange(packing.groups) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(np.repeat(first, counts) + inside, np.diff(packing.group_ptr))


def split(encoded: Encoded, dtype: npt.DTypeLike, level: int) -> tuple[Mask, npt.NDArray[np.generic]]:
    """Return one level of what ``join`` was given, as mask and values."""
    mask, data = empty_values(encoded, dtype)
    rows, columns = encoded.shape
    name, B, k = encoded.encoding, parameter(encoded, "banks", 1), parameter(encoded, "k", 1)
    if B % k:
        raise EncodingError(f"{name}: parameter k is {k}, and must divide banks, which is {B}")
    high = B // k
    bundle, entry, groups = level_entries(encoded, -(-rows // high), level)
    v, i = encoded.widths.value_bits, encoded.widths.index
    split_at, width = byte_count(B, v), byte_count(B, v) + byte_count(B, i)
    both = array_of(encoded, "groups", groups * width).reshape(groups, width)[entry]
    stored = unpack_rows(both[:, :split_at], B, v)
    indices = unpack_rows(both[:, split_at:], B, i)
    if indices.size and int(indices.max()) > columns:
        raise EncodingError(f"{name}: array groups holds index {int(indices.max())}, and must stay at most {columns}")
    order = np.arange(rows, dtype=np.int64)
    if parameter(encoded, "row_index"):
        order = indices_of(encoded, "rows", rows, rows)
        if len(np.unique(order)) != rows:
            raise EncodingError(f"{name}: array rows names a row twice")
    group, lane = np.nonzero(indices != columns)
    place = bundle[group] * high + lane // k
    if len(place) and int(place.max()) >= rows:
        raise EncodingError(f"{name}: array groups holds a weight of row place {int(place.max())}, and rows are {rows}")
    place_values(encoded, mask, data, order[place], indices[group, lane].astype(np.int64), stored[group, lane])
    return mask, finish_values(encoded, data, dtype)
