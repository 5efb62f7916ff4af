"""Rows or columns of kept weights: what CSR and CSC share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from patterns.encodings.base import AnyWidths, Encoded, EncodedSize, Widths
from patterns.encodings.fields import (
    byte_count,
    check_fits,
    check_matrix,
    codes_of,
    empty_values,
    finish_values,
    indices_of,
    pack,
    place_values,
    values_of,
    with_index_for,
)
from patterns.encodings.levels import Levels, counts_by_level, level_entries, pointer_arrays, pointer_bytes


def lines_size(name: str, levels: Levels, widths: AnyWidths, axis: int) -> tuple[EncodedSize, Widths]:
    """Return the size of lines along ``axis`` (0 rows, 1 columns), and the widths with their index chosen."""
    mask = levels.mask
    *_, bits = check_matrix(name, mask, widths)
    lines, places = mask.shape[axis], mask.shape[1 - axis]
    kept = int(np.count_nonzero(mask))
    bits = with_index_for(name, bits, places - 1, f"{places} {'rows' if axis else 'columns'}")
    check_fits(name, kept, bits.pointer_bits, f"pointers to {kept} kept weights")
    pointers = pointer_bytes(lines, levels.count, bits.pointer_bits)
    size = EncodedSize(
        weight_bytes=byte_count(kept, bits.value_bits),
        index_bytes=byte_count(kept, bits.index) + pointers,
        slots=kept,
    )
    return size, bits


def encode_lines(name: str, levels: Levels, values: npt.NDArray[np.generic], widths: AnyWidths, axis: int) -> Encoded:
    """Return lines along ``axis``; in each the levels one after another, in each of those the places rising."""
    _, bits = lines_size(name, levels, widths, axis)
    codes = codes_of(name, levels.mask, values, bits)
    of = levels.of.T if axis else levels.of
    line, place = np.nonzero(of)
    level = of[line, place]
    if levels.count > 1:
        order = np.lexsort((place, level, line))
        line, place = line[order], place[order]
    counts = counts_by_level(line, of[line, place], of.shape[0], levels.count)
    return Encoded(
        encoding=name,
        shape=(levels.of.shape[0], levels.of.shape[1]),
        arrays={
            "values": pack((codes.T if axis else codes)[line, place], bits.value_bits),
            "indices": pack(place, bits.index),
            **pointer_arrays(counts, bits.pointer_bits),
        },
        parameters={"levels": levels.count},
        widths=bits,
    )


def decode_lines(
    encoded: Encoded, dtype: npt.DTypeLike, level: int, axis: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.generic]]:
    """Return what ``encode_lines`` was given, at one level."""
    mask, data = empty_values(encoded, dtype)
    line, entry, total = level_entries(encoded, encoded.shape[axis], level)
    place = indices_of(encoded, "indices", total, encoded.shape[1 - axis])[entry]
    row, column = (place, line) if axis else (line, place)
    place_values(encoded, mask, data, row, column, values_of(encoded, total)[entry])
    return mask, finish_values(encoded, data, dtype)
