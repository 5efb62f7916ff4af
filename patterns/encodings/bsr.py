"""Block compressed sparse rows: blocks x (h w v + i) + (block rows + 1) x p. DESIGN section 4."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, Pattern
from patterns.block import Block
from patterns.encodings.base import AnyWidths, Encoded, EncodedSize, EncodingError, Widths
from patterns.encodings.fields import (
    IntArray,
    byte_count,
    check_fits,
    check_matrix,
    codes_of,
    empty_values,
    finish_values,
    indices_of,
    pack,
    parameter,
    place_values,
    values_of,
    with_index_for,
)
from patterns.encodings.levels import (
    Levels,
    PrefixEncoding,
    counts_by_level,
    level_entries,
    pointer_arrays,
    pointer_bytes,
)
from patterns.selection import first_place


@dataclass(frozen=True, slots=True)
class BsrEncoding(PrefixEncoding):
    """Whole blocks with one index each; a block cut by the matrix's edge is stored in full.

    A mask that keeps part of a block has a size (the block is stored), but does not come back, so it does not encode.
    """

    name = "bsr"

    def size_levels(
        self, levels: Levels, pattern: Pattern, widths: AnyWidths, banks: BankOfColumn | None = None
    ) -> EncodedSize:
        return self._sized(levels, pattern, widths)[0]

    def encode_levels(
        self,
        levels: Levels,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: AnyWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        _, bits = self._sized(levels, pattern, widths)
        mask = levels.mask
        block = self._block(pattern.stored_as(mask.shape[-1]))
        codes = codes_of(self.name, mask, values, bits)
        kept = block.kept_in_blocks(mask)
        self._check_whole(block, kept, mask.shape, "")
        block_row, block_column = np.nonzero(kept)
        level = levels.of[block_row * block.height, block_column * block.width]
        for at in range(1, levels.count):
            part = block.kept_in_blocks((levels.of > 0) & (levels.of <= at))
            self._check_whole(block, part, mask.shape, f" in level {at}")
        if levels.count > 1:
            order = np.lexsort((block_column, level, block_row))
            block_row, block_column, level = block_row[order], block_column[order], level[order]
        row, column, inside = self._places(block, block_row, block_column, mask.shape)
        stored = np.zeros(inside.shape, dtype=codes.dtype)
        stored[inside] = codes[row[inside], column[inside]]
        counts = counts_by_level(block_row, level, kept.shape[0], levels.count)
        return Encoded(
            encoding=self.name,
            shape=(mask.shape[0], mask.shape[1]),
            arrays={
                "values": pack(stored, bits.value_bits),
                "indices": pack(block_column, bits.index),
                **pointer_arrays(counts, bits.pointer_bits),
            },
            parameters={"height": block.height, "width": block.width, "levels": levels.count},
            widths=bits,
        )

    def decode_level(self, encoded: Encoded, dtype: npt.DTypeLike, level: int) -> tuple[Mask, npt.NDArray[np.generic]]:
        mask, data = empty_values(encoded, dtype)
        block = Block(height=parameter(encoded, "height", 1), width=parameter(encoded, "width", 1))
        block_rows, block_columns = block.grid(*encoded.shape)
        block_row, entry, total = level_entries(encoded, block_rows, level)
        block_column = indices_of(encoded, "indices", total, block_columns)[entry]
        row, column, inside = self._places(block, block_row, block_column, encoded.shape)
        stored = values_of(encoded, total * block.height * block.width).reshape(total, block.height, block.width)
        place_values(encoded, mask, data, row[inside], column[inside], stored[entry][inside])
        return mask, finish_values(encoded, data, dtype)

    def _sized(self, levels: Levels, pattern: Pattern, widths: AnyWidths) -> tuple[EncodedSize, Widths]:
        mask = levels.mask
        block = self._block(pattern.stored_as(mask.shape[-1]))
        rows, columns, bits = check_matrix(self.name, mask, widths)
        block_rows, block_columns = block.grid(rows, columns)
        blocks = int(np.count_nonzero(block.kept_in_blocks(mask)))
        bits = with_index_for(self.name, bits, block_columns - 1, f"{block_columns} block columns of {columns} columns")
        check_fits(self.name, blocks, bits.pointer_bits, f"pointers to {blocks} blocks")
        slots = blocks * block.height * block.width
        size = EncodedSize(
            weight_bytes=byte_count(slots, bits.value_bits),
            index_bytes=byte_count(blocks, bits.index) + pointer_bytes(block_rows, levels.count, bits.pointer_bits),
            slots=slots,
        )
        return size, bits

    def _check_whole(self, block: Block, kept: IntArray, shape: tuple[int, ...], where: str) -> None:
        """Refuse kept [block rows, block columns] where a block is neither whole nor empty."""
        broken = (kept != 0) & (kept != block.areas(shape[0], shape[1]))
        if broken.any():
            at = first_place(broken)
            raise EncodingError(
                f"bsr: the block at row {at[0] * block.height}, column {at[1] * block.width} keeps {kept[at]} "
                f"of its weights{where}, and {block.spelling} keeps a block whole or not at all"
            )

    def _block(self, pattern: Pattern) -> Block:
        if not isinstance(pattern, Block):
            raise EncodingError(
                f"bsr: pattern is {pattern.spelling}, and must be block:HxW, which gives the block's shape"
            )
        return pattern

    def _places(
        self, block: Block, block_row: IntArray, block_column: IntArray, shape: tuple[int, ...]
    ) -> tuple[IntArray, IntArray, Mask]:
        """Return row, column and whether inside the matrix of each stored weight, [blocks, height, width]."""
        row = block_row[:, None, None] * block.height + np.arange(block.height)[None, :, None]
        column = block_column[:, None, None] * block.width + np.arange(block.width)[None, None, :]
        row, column = np.broadcast_arrays(row, column)
        return row, column, (row < shape[0]) & (column < shape[1])
