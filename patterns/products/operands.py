"""What the products share: the tables that turn stored codes into numbers, and the arrays that a kernel takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from patterns.encodings.base import Encoded, EncodingError
from patterns.encodings.fields import Bytes, array_of, byte_count, check_dtype, fields_of
from patterns.encodings.levels import check_level, level_array, level_count

GOOD = -1  # what a kernel returns that met no number leading outside


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operands:
    """``table``: the number of each stored code, in the type of the sum. ``x`` [k, p]; ``y`` [m, p], zero at first."""

    encoded: Encoded
    level: int
    table: npt.NDArray[np.generic]
    x: npt.NDArray[np.generic]
    y: npt.NDArray[np.generic]

    @property
    def v(self) -> int:
        return self.encoded.widths.value_bits

    @property
    def i(self) -> int:
        return self.encoded.widths.index

    @property
    def p(self) -> int:
        return self.encoded.widths.pointer_bits

    def values(self, count: int) -> Bytes:
        """Return the bytes of ``count`` values."""
        return array_of(self.encoded, "values", byte_count(count, self.v))

    def numbers(self, array: str, count: int) -> Bytes:
        """Return the bytes of ``count`` indices."""
        return array_of(self.encoded, array, byte_count(count, self.i))

    def pointers(self, units: int) -> tuple[Bytes, Bytes, int]:
        """Return the pointers, those of the level, and the entries that the last one counts."""
        check_level(self.encoded, self.level)
        length = byte_count(units + 1, self.p)
        pointers = array_of(self.encoded, "pointers", length)
        of_level = array_of(self.encoded, level_array(self.level, level_count(self.encoded)), length)
        last = int(fields_of(self.encoded, "pointers", units + 1, self.p)[-1])
        if last > self.encoded.total_bytes * 8:
            raise EncodingError(f"{self.encoded.encoding}: array pointers ends at {last}, and fewer entries are stored")
        return pointers, of_level, last

    def finish(self, status: int) -> None:
        """Raise EncodingError where a kernel met a number that leads outside."""
        if status != GOOD:
            raise EncodingError(f"{self.encoded.encoding}: entry {status} leads outside its array or the matrix")


def operands(encoded: Encoded, dtype: npt.DTypeLike, x: npt.NDArray[np.generic], level: int | None) -> Operands:
    """Return what a kernel takes, checked. Raises EncodingError for a dtype or an x that no product takes."""
    name, kind = encoded.encoding, np.dtype(dtype)
    rows, columns = encoded.shape
    if kind not in (np.float32, np.float16, np.int8):
        raise EncodingError(f"{name}: values are {kind}, and a product takes float32, float16 and int8 (1 to 8 bits)")
    check_dtype(name, kind, encoded.widths.value_bits)
    if x.ndim != 2 or x.shape[0] != columns or x.dtype not in (np.float32, np.int8):
        raise EncodingError(f"{name}: x is {x.dtype} {x.shape}, and must be float32 or int8 ({columns}, p)")
    exact = x.dtype == np.int8
    if exact and kind != np.int8:
        raise EncodingError(f"{name}: x is int8 and values are {kind}; an integer sum takes integer values")
    if exact and columns << 14 >= 1 << 31:
        raise EncodingError(f"{name}: {columns} columns of products of 8 bits can outgrow a sum of 32 bits")
    return Operands(
        encoded=encoded,
        level=level if level is not None else encoded.parameters.get("levels", 1),
        table=_table(kind.name, encoded.widths.value_bits, exact),
        x=np.ascontiguousarray(x),
        y=np.zeros((rows, x.shape[1]), dtype=np.int32 if exact else np.float32),
    )


@lru_cache(maxsize=32)
def _table(kind: str, bits: int, exact: bool) -> npt.NDArray[np.generic]:
    """Return the number of each code; a single zero where codes are float32 themselves."""
    if kind == "float32":
        return np.zeros(1, dtype=np.float32)
    if kind == "float16":
        return np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    codes = np.arange(1 << bits)
    signed = np.where(codes >> bits - 1, codes - (1 << bits), codes)
    return signed.astype(np.int32 if exact else np.float32)
