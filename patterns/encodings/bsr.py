"""Block compressed sparse rows: blocks x (h w v + i) + (block rows + 1) x p. DESIGN section 4."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, Pattern
from patterns.block import Block
from patterns.encodings.base import ByteWidths, Encoded, EncodedSize, Encoding, EncodingError
from patterns.encodings.fields import (
    bytes_to_integers,
    check_fits,
    check_matrix,
    empty_values,
    finish_values,
    integers_to_bytes,
    pointers,
    value_bytes,
)
from patterns.selection import first_place


@dataclass(frozen=True, slots=True)
class BsrEncoding(Encoding):
    """Whole blocks with one index each; a block cut by the matrix's edge is stored in full.

    A mask that keeps part of a block has a size (the block is stored), but does not come back, so it does not encode.
    """

    name = "bsr"

    def size(self, mask: Mask, pattern: Pattern, widths: ByteWidths, banks: BankOfColumn | None = None) -> EncodedSize:
        block = self._block(pattern.stored_as(mask.shape[-1]))
        rows, columns = check_matrix(self.name, mask, widths)
        block_rows, block_columns = block.grid(rows, columns)
        blocks = int(np.count_nonzero(block.kept_in_blocks(mask)))
        check_fits(self.name, block_columns - 1, widths.index, f"{block_columns} block columns of {columns} columns")
        check_fits(self.name, blocks, widths.pointer, f"pointers to {blocks} blocks")
        slots = blocks * block.height * block.width
        return EncodedSize(
            weight_bytes=slots * widths.value,
            index_bytes=blocks * widths.index + (block_rows + 1) * widths.pointer,
            slots=slots,
        )

    def encode(
        self,
        mask: Mask,
        values: npt.NDArray[np.generic],
        pattern: Pattern,
        widths: ByteWidths,
        banks: BankOfColumn | None = None,
    ) -> Encoded:
        self.size(mask, pattern, widths)
        block = self._block(pattern.stored_as(mask.shape[-1]))
        data = value_bytes(self.name, mask, values, widths)
        kept = block.kept_in_blocks(mask)
        broken = (kept != 0) & (kept != block.areas(*mask.shape))
        if broken.any():
            at = first_place(broken)
            raise EncodingError(
                f"bsr: the block at row {at[0] * block.height}, column {at[1] * block.width} keeps {kept[at]} "
                f"of its weights, and {block.spelling} keeps a block whole or not at all"
            )
        block_row, block_column = np.nonzero(kept)
        row, column, inside = self._places(block, block_row, block_column, mask.shape)
        stored = np.zeros((*inside.shape, widths.value), dtype=np.uint8)
        stored[inside] = data[row[inside], column[inside]]
        return Encoded(
            encoding=self.name,
            shape=mask.shape,
            arrays={
                "values": stored.reshape(-1),
                "indices": integers_to_bytes(block_column, widths.index).reshape(-1),
                "pointers": integers_to_bytes(pointers(np.count_nonzero(kept, axis=1)), widths.pointer).reshape(-1),
            },
            parameters={"height": block.height, "width": block.width},
            widths=widths,
        )

    def decode(self, encoded: Encoded, dtype: npt.DTypeLike) -> tuple[Mask, npt.NDArray[np.generic]]:
        mask, data = empty_values(encoded, dtype)
        block = Block(height=encoded.parameters["height"], width=encoded.parameters["width"])
        block_column = bytes_to_integers(encoded.arrays["indices"], encoded.widths.index)
        row_pointers = bytes_to_integers(encoded.arrays["pointers"], encoded.widths.pointer)
        block_row = np.repeat(np.arange(len(row_pointers) - 1), np.diff(row_pointers))
        row, column, inside = self._places(block, block_row, block_column, encoded.shape)
        stored = encoded.arrays["values"].reshape(*inside.shape, encoded.widths.value)
        mask[row[inside], column[inside]] = True
        data[row[inside], column[inside]] = stored[inside]
        return mask, finish_values(data, dtype)

    def _block(self, pattern: Pattern) -> Block:
        if not isinstance(pattern, Block):
            raise EncodingError(
                f"bsr: pattern is {pattern.spelling}, and must be block:HxW, which gives the block's shape"
            )
        return pattern

    def _places(
        self,
        block: Block,
        block_row: npt.NDArray[np.int64],
        block_column: npt.NDArray[np.int64],
        shape: tuple[int, int],
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Mask]:
        """Return row, column and whether inside the matrix of each stored weight, [blocks, height, width]."""
        row = block_row[:, None, None] * block.height + np.arange(block.height)[None, :, None]
        column = block_column[:, None, None] * block.width + np.arange(block.width)[None, None, :]
        row, column = np.broadcast_arrays(row, column)
        return row, column, (row < shape[0]) & (column < shape[1])
