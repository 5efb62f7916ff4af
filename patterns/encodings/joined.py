"""Groups as they lie in memory: for each group B values, then its B indices; a pointer per bundle. DESIGN section 4.

A slot's lane says its row: lane = place of the row in its bundle x k + slot. An empty slot holds value 0 and, as its
index, the number of columns: one past the last, so that a kept weight of value 0 stays apart from padding.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from patterns.base import Mask
from patterns.encodings.base import ByteWidths, Encoded, EncodedSize
from patterns.encodings.fields import (
    Bytes,
    bytes_to_integers,
    check_fits,
    empty_values,
    finish_values,
    integers_to_bytes,
    pointers,
)
from patterns.packing import Packing


def joined_size(
    name: str, mask: Mask, counts: npt.NDArray[np.int64], banks: int, widths: ByteWidths, *, row_index: bool
) -> EncodedSize:
    """Return groups x B (v + i) + (bundles + 1) p, and rows x i with a row index. counts [bundles]: groups of each."""
    rows, columns = mask.shape
    groups = int(counts.sum())
    slots = groups * banks
    padded = slots > int(np.count_nonzero(mask))
    what = f"{columns} columns and the mark of padding" if padded else f"{columns} columns"
    check_fits(name, columns if padded else columns - 1, widths.index, what)
    check_fits(name, groups, widths.pointer, f"pointers to {groups} groups")
    index_bytes = slots * widths.index + (len(counts) + 1) * widths.pointer
    if row_index:
        check_fits(name, rows - 1, widths.index, f"{rows} rows")
        index_bytes += rows * widths.index
    return EncodedSize(weight_bytes=slots * widths.value, index_bytes=index_bytes, slots=slots)


def join(
    name: str, packing: Packing, data: Bytes, shape: tuple[int, int], widths: ByteWidths, *, row_index: bool
) -> Encoded:
    """Return the packed groups of value bytes [rows, columns, v] as ``Encoded``."""
    group = np.repeat(np.arange(packing.groups), np.diff(packing.group_ptr))
    stored = np.zeros((packing.groups, packing.banks, widths.value), dtype=np.uint8)
    stored[group, packing.lane] = data[packing.row, packing.column]
    indices = np.full((packing.groups, packing.banks), shape[1], dtype=np.int64)
    indices[group, packing.lane] = packing.column
    index_data = integers_to_bytes(indices, widths.index)
    both = np.concatenate(
        [
            stored.reshape(packing.groups, packing.banks * widths.value),
            index_data.reshape(packing.groups, packing.banks * widths.index),
        ],
        axis=1,
    )
    bundle_pointers = pointers(np.diff(packing.bundle_end, prepend=0))
    arrays = {
        "groups": both.reshape(-1),
        "pointers": integers_to_bytes(bundle_pointers, widths.pointer).reshape(-1),
    }
    if row_index:
        arrays["rows"] = integers_to_bytes(packing.order, widths.index).reshape(-1)
    parameters = {"banks": packing.banks, "k": packing.k}
    return Encoded(encoding=name, shape=shape, arrays=arrays, parameters=parameters, widths=widths)


def split(encoded: Encoded, dtype: npt.DTypeLike) -> tuple[Mask, npt.NDArray[np.generic]]:
    """Return what ``join`` was given, as mask and values."""
    mask, data = empty_values(encoded, dtype)
    rows, columns = encoded.shape
    banks, k = encoded.parameters["banks"], encoded.parameters["k"]
    v, i = encoded.widths.value, encoded.widths.index
    both = encoded.arrays["groups"].reshape(-1, banks * (v + i))
    stored = both[:, : banks * v].reshape(-1, banks, v)
    indices = bytes_to_integers(np.ascontiguousarray(both[:, banks * v :]).reshape(-1), i).reshape(-1, banks)
    bundle_pointers = bytes_to_integers(encoded.arrays["pointers"], encoded.widths.pointer)
    order = (
        bytes_to_integers(encoded.arrays["rows"], i) if "rows" in encoded.arrays else np.arange(rows, dtype=np.int64)
    )
    bundle = np.repeat(np.arange(len(bundle_pointers) - 1), np.diff(bundle_pointers))
    group, lane = np.nonzero(indices != columns)
    row = order[bundle[group] * (banks // k) + lane // k]
    mask[row, indices[group, lane]] = True
    data[row, indices[group, lane]] = stored[group, lane]
    return mask, finish_values(data, dtype)
