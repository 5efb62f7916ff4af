"""Numbers as fields of any width in bytes, and what every encoding checks before it writes or reads any. DESIGN 4."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, PatternError
from patterns.encodings import _bits_kernel
from patterns.encodings.base import AnyWidths, ByteWidths, Encoded, EncodingError, Widths
from patterns.selection import resolve_banks

Bytes = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int64]
Codes = npt.NDArray[np.unsignedinteger]  # values as the bits that they are, uint8 to uint64

CHOSEN = ("minimal", "minimal_bytes")


def byte_count(fields: int, bits: int) -> int:
    """Return the bytes of ``fields`` fields of ``bits`` bits without a gap."""
    return -(-fields * bits // 8)


def check_matrix(name: str, mask: Mask, widths: AnyWidths) -> tuple[int, int, Widths]:
    """Return (rows, columns, widths in bits). Raises EncodingError for no matrix, or widths out of range."""
    if mask.ndim != 2 or mask.dtype != np.bool_ or 0 in mask.shape:
        raise EncodingError(f"{name}: mask has shape {mask.shape} of {mask.dtype}, and must be a boolean matrix")
    found = widths.in_bits if isinstance(widths, ByteWidths) else widths
    if found.value_bits < 1:
        raise EncodingError(f"{name}: value width is {found.value_bits} bits, and must be at least 1")
    for label, bits in (("index", found.index_bits), ("pointer", found.pointer_bits)):
        if isinstance(bits, str):
            if bits not in CHOSEN:
                raise EncodingError(f"{name}: {label} width is {bits!r}, and must be bits or {' or '.join(CHOSEN)}")
        elif not 1 <= bits <= 64:
            raise EncodingError(f"{name}: {label} width is {bits} bits, and must be 1 to 64")
    return mask.shape[0], mask.shape[1], found


def width_name(bits: int) -> str:
    """Return a width in words: in bytes where it is a whole number of them."""
    return f"{bits}-bit" if bits % 8 else f"{bits // 8}-byte"


def check_fits(name: str, largest: int, bits: int, what: str) -> None:
    """Raise EncodingError where a number up to ``largest`` does not fit into ``bits`` bits."""
    if largest >> bits:
        raise EncodingError(
            f"{name}: {what} need numbers up to {largest}, and {width_name(bits)} ones hold up to {(1 << bits) - 1}"
        )


def with_index_for(name: str, widths: Widths, largest: int, what: str) -> Widths:
    """Return ``widths`` with an index that holds ``largest``: the one chosen, or the minimal. Raises EncodingError."""
    if isinstance(widths.index_bits, str):
        bits = max(1, largest.bit_length())
        return widths.with_index(bits if widths.index_bits == "minimal" else -(-bits // 8) * 8)
    check_fits(name, largest, widths.index_bits, what)
    return widths


def pack(numbers: npt.NDArray[np.integer], bits: int) -> Bytes:
    """Return the numbers, flattened, as fields of ``bits`` bits. Each must fit."""
    flat = np.ascontiguousarray(numbers).reshape(-1)
    if bits in (8, 16, 32, 64):
        return np.ascontiguousarray(flat, dtype=f"<u{bits // 8}").view(np.uint8)
    out = np.zeros(byte_count(flat.size, bits), dtype=np.uint8)
    if out.size:
        _bits_kernel.pack_fields(flat.astype(np.uint64), bits, out)
    return out


def pack_rows(numbers: npt.NDArray[np.integer], bits: int) -> Bytes:
    """Return numbers [rows, n] as fields, each row starting at a byte: [rows, ceil(n bits / 8)]."""
    rows, count = numbers.shape
    wide = np.zeros((rows, -(-count // 8) * 8), dtype=numbers.dtype)
    wide[:, :count] = numbers
    return pack(wide, bits).reshape(rows, wide.shape[1] * bits // 8)[:, : byte_count(count, bits)]


def unpack_rows(data: Bytes, count: int, bits: int) -> npt.NDArray[np.uint64]:
    """Return the numbers [rows, count] that ``pack_rows`` wrote as data [rows, bytes]."""
    full = -(-count // 8) * 8
    wide = np.zeros((len(data), full * bits // 8), dtype=np.uint8)
    wide[:, : data.shape[1]] = data
    return unpack(wide.reshape(-1), len(data) * full, bits).reshape(len(data), full)[:, :count]


def unpack(data: Bytes, count: int, bits: int) -> npt.NDArray[np.uint64]:
    """Return the first ``count`` fields of ``data``."""
    if bits in (8, 16, 32, 64):
        return data[: count * bits // 8].view(f"<u{bits // 8}").astype(np.uint64)
    out = np.zeros(count, dtype=np.uint64)
    if bits:
        _bits_kernel.unpack_fields(data, bits, out)
    return out


def codes_of(name: str, mask: Mask, values: npt.NDArray[np.generic], widths: Widths) -> Codes:
    """Return each value as its bits, [rows, columns] unsigned. Raises EncodingError for another shape or width."""
    if values.shape != mask.shape:
        raise EncodingError(f"{name}: values have shape {values.shape}, and the mask {mask.shape}")
    check_dtype(name, values.dtype, widths.value_bits)
    whole = np.ascontiguousarray(values)
    codes: Codes = whole.view(f"u{values.dtype.itemsize}")
    if widths.value_bits >= 8:
        return codes
    kept = whole[mask].astype(np.int64)
    least = -(1 << widths.value_bits - 1) if values.dtype.kind == "i" else 0
    most = least + (1 << widths.value_bits) - 1
    wrong = kept[(kept < least) | (kept > most)]
    if len(wrong):
        raise EncodingError(f"{name}: a value is {wrong[0]}, and {widths.value_bits} bits hold {least} to {most}")
    return codes & np.uint8((1 << widths.value_bits) - 1)


def check_dtype(name: str, dtype: npt.DTypeLike, value_bits: int) -> None:
    """Raise EncodingError unless an element of ``dtype`` has the width, or is an 8-bit integer for a narrower one."""
    kind = np.dtype(dtype)
    if kind.itemsize not in (1, 2, 4, 8):
        raise EncodingError(f"{name}: values of {kind} have {kind.itemsize} bytes, and must have 1, 2, 4 or 8")
    if value_bits < 8:
        if kind.itemsize != 1 or kind.kind not in "iu":
            raise EncodingError(f"{name}: values of {kind} do not go into bytes of {value_bits}-bit ones: int8, uint8")
    elif kind.itemsize * 8 != value_bits:
        width = f"{value_bits // 8}" if value_bits % 8 == 0 else f"{value_bits} bits"
        raise EncodingError(f"{name}: values of {kind} have {kind.itemsize} bytes, and the width is {width}")


def empty_values(encoded: Encoded, dtype: npt.DTypeLike) -> tuple[Mask, Codes]:
    """Return a mask and codes [rows, columns] of ``encoded``'s shape, nothing kept."""
    check_dtype(encoded.encoding, dtype, encoded.widths.value_bits)
    return np.zeros(encoded.shape, dtype=np.bool_), np.zeros(encoded.shape, dtype=f"u{np.dtype(dtype).itemsize}")


def place_values(
    encoded: Encoded, mask: Mask, data: Codes, row: IntArray, column: IntArray, codes: npt.NDArray[np.uint64]
) -> None:
    """Keep ``codes`` [...] at ``row`` and ``column`` [...]. Raises EncodingError where a place comes twice."""
    mask[row, column] = True
    data[row, column] = codes
    if int(np.count_nonzero(mask)) != row.size:
        raise EncodingError(f"{encoded.encoding}: indices name a place of the matrix twice")


def finish_values(encoded: Encoded, data: Codes, dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
    """Return codes [rows, columns] as a matrix of ``dtype``."""
    kind, bits = np.dtype(dtype), encoded.widths.value_bits
    if bits < 8 and kind.kind == "i":
        sign = np.uint8(1 << bits - 1)
        data = (data ^ sign) - sign  # carries the sign up, modulo 256
    return np.ascontiguousarray(data).view(kind)


def array_of(encoded: Encoded, array: str, length: int) -> Bytes:
    """Return a byte array of exactly ``length`` bytes. Raises EncodingError, which names it."""
    found = encoded.arrays.get(array)
    if found is None:
        raise EncodingError(f"{encoded.encoding}: array {array} is missing")
    if found.dtype != np.uint8 or found.ndim != 1:
        raise EncodingError(f"{encoded.encoding}: array {array} is {found.dtype} {found.shape}, and must be bytes")
    if found.size != length:
        raise EncodingError(f"{encoded.encoding}: array {array} has {found.size} bytes, and must have {length}")
    return np.ascontiguousarray(found)


def fields_of(encoded: Encoded, array: str, count: int, bits: int) -> npt.NDArray[np.uint64]:
    """Return the ``count`` fields of an array. Raises EncodingError for another length, or bits set past the last."""
    data = array_of(encoded, array, byte_count(count, bits))
    spare = 8 * data.size - count * bits
    if spare and data[-1] >> (8 - spare):
        raise EncodingError(f"{encoded.encoding}: array {array} has bits set past its {count} fields")
    return unpack(data, count, bits)


def indices_of(encoded: Encoded, array: str, count: int, end: int) -> IntArray:
    """Return the ``count`` indices of an array. Raises EncodingError for one that is not below ``end``."""
    found = fields_of(encoded, array, count, encoded.widths.index)
    if count and int(found.max()) >= end:
        raise EncodingError(f"{encoded.encoding}: array {array} holds {int(found.max())}, and must stay below {end}")
    return found.astype(np.int64)


def values_of(encoded: Encoded, count: int) -> npt.NDArray[np.uint64]:
    """Return the ``count`` codes of the array ``values``."""
    return fields_of(encoded, "values", count, encoded.widths.value_bits)


def parameter(encoded: Encoded, name: str, least: int = 0) -> int:
    """Return a parameter that must be at least ``least``. Raises EncodingError."""
    found = encoded.parameters.get(name)
    if found is None or found < least:
        raise EncodingError(f"{encoded.encoding}: parameter {name} is {found}, and must be at least {least}")
    return found


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
