"""Fixed-width numbers as little-endian bytes, and what every encoding checks before it writes any. DESIGN section 4."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, PatternError
from patterns.encodings.base import ByteWidths, Encoded, EncodingError
from patterns.selection import resolve_banks

Bytes = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int64]


def check_matrix(name: str, mask: Mask, widths: ByteWidths) -> tuple[int, int]:
    """Return (rows, columns). Raises EncodingError for a mask that is no matrix, or widths out of range."""
    if mask.ndim != 2 or mask.dtype != np.bool_ or 0 in mask.shape:
        raise EncodingError(f"{name}: mask has shape {mask.shape} of {mask.dtype}, and must be a boolean matrix")
    if widths.value < 1:
        raise EncodingError(f"{name}: value width is {widths.value} bytes, and must be at least 1")
    for label in ("index", "pointer"):
        width = getattr(widths, label)
        if not 1 <= width <= 8:
            raise EncodingError(f"{name}: {label} width is {width} bytes, and must be 1 to 8")
    return mask.shape[0], mask.shape[1]


def check_fits(name: str, largest: int, width: int, what: str) -> None:
    """Raise EncodingError where a number up to ``largest`` does not fit into ``width`` bytes."""
    if largest >> (8 * width):
        raise EncodingError(
            f"{name}: {what} need numbers up to {largest}, and {width}-byte ones hold up to {(1 << 8 * width) - 1}"
        )


def integers_to_bytes(numbers: npt.NDArray[np.integer], width: int) -> Bytes:
    """Return ``numbers`` [...] as little-endian bytes [..., width]."""
    wide = np.ascontiguousarray(numbers, dtype="<u8")
    return np.ascontiguousarray(wide.view(np.uint8).reshape(*wide.shape, 8)[..., :width])


def bytes_to_integers(data: Bytes, width: int) -> IntArray:
    """Return the numbers [n] in ``data`` [n x width]."""
    wide = np.zeros((data.size // width, 8), dtype=np.uint8)
    wide[:, :width] = data.reshape(-1, width)
    return wide.view("<u8").reshape(-1).astype(np.int64)


def value_bytes(name: str, mask: Mask, values: npt.NDArray[np.generic], widths: ByteWidths) -> Bytes:
    """Return the bytes of each value, [rows, columns, width], bit for bit. Raises EncodingError for another shape."""
    if values.shape != mask.shape:
        raise EncodingError(f"{name}: values have shape {values.shape}, and the mask {mask.shape}")
    if values.dtype.itemsize != widths.value:
        raise EncodingError(
            f"{name}: values of {values.dtype} have {values.dtype.itemsize} bytes, and the width is {widths.value}"
        )
    return np.ascontiguousarray(values).view(np.uint8).reshape(*values.shape, widths.value)


def empty_values(encoded: Encoded, dtype: npt.DTypeLike) -> tuple[Mask, Bytes]:
    """Return a mask and value bytes [rows, columns, width] of ``encoded``'s shape, nothing kept."""
    kind = np.dtype(dtype)
    if kind.itemsize != encoded.widths.value:
        raise EncodingError(
            f"{encoded.encoding}: {kind} has {kind.itemsize} bytes, and the encoded values {encoded.widths.value}"
        )
    return np.zeros(encoded.shape, dtype=np.bool_), np.zeros((*encoded.shape, kind.itemsize), dtype=np.uint8)


def finish_values(data: Bytes, dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
    """Return value bytes [rows, columns, width] as a matrix of ``dtype``."""
    return np.ascontiguousarray(data).view(np.dtype(dtype)).reshape(data.shape[:2])


def matrix_banks(name: str, banks: BankOfColumn | None, columns: int, count: int) -> BankOfColumn:
    """Return the bank of each column, [columns]. Raises EncodingError."""
    try:
        return np.ascontiguousarray(resolve_banks(banks, 1, columns, count)[0])
    except PatternError as error:
        raise EncodingError(f"{name}: {error}") from None


def pointers(counts: IntArray) -> IntArray:
    """Return 0 and the running sum of ``counts``."""
    out = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=out[1:])
    return out
