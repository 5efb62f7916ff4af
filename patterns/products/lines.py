"""Products of dense rows, CSR, CSC, COO and ELL."""

from __future__ import annotations

from patterns.encodings.fields import parameter
from patterns.products import _line_kernel as kernel
from patterns.products.operands import Operands


def dense(o: Operands) -> int:
    rows, columns = o.encoded.shape
    return int(kernel.dense(o.values(rows * columns), o.v, o.table, o.x, o.y))


def csr(o: Operands) -> int:
    pointers, level, entries = o.pointers(o.encoded.shape[0])
    values, indices = o.values(entries), o.numbers("indices", entries)
    return int(kernel.rows(values, indices, pointers, level, entries, o.v, o.i, o.p, o.table, o.x, o.y))


def csc(o: Operands) -> int:
    pointers, level, entries = o.pointers(o.encoded.shape[1])
    values, indices = o.values(entries), o.numbers("indices", entries)
    return int(kernel.columns(values, indices, pointers, level, entries, o.v, o.i, o.p, o.table, o.x, o.y))


def coo(o: Operands) -> int:
    entries = parameter(o.encoded, "entries")
    rows, columns = o.numbers("rows", entries), o.numbers("columns", entries)
    return int(kernel.coordinates(o.values(entries), rows, columns, entries, o.v, o.i, o.table, o.x, o.y))


def ell(o: Operands) -> int:
    width = parameter(o.encoded, "width")
    slots = o.encoded.shape[0] * width
    return int(kernel.padded_rows(o.values(slots), o.numbers("indices", slots), width, o.v, o.i, o.table, o.x, o.y))
