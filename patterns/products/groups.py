"""Product of joined groups: GS and packed."""

from __future__ import annotations

import numpy as np

from patterns.encodings.base import EncodingError
from patterns.encodings.fields import array_of, byte_count, parameter
from patterns.products import _group_kernel as kernel
from patterns.products.operands import Operands


def joined(o: Operands) -> int:
    banks, k = parameter(o.encoded, "banks", 1), parameter(o.encoded, "k", 1)
    if banks % k:
        raise EncodingError(f"{o.encoded.encoding}: parameter k is {k}, and must divide banks, which is {banks}")
    rows = o.encoded.shape[0]
    pointers, level, entries = o.pointers(-(-rows // (banks // k)))
    data = array_of(o.encoded, "groups", entries * (byte_count(banks, o.v) + byte_count(banks, o.i)))
    permuted = bool(parameter(o.encoded, "row_index"))
    order = o.numbers("rows", rows) if permuted else np.zeros(0, dtype=np.uint8)
    return int(
        kernel.groups(
            data, pointers, level, order, permuted, entries, banks, k, o.v, o.i, o.p, o.table, o.x, o.y
        )
    )  # fmt: skip
