"""Products of bitmaps, runs of zeros and N:M."""

from __future__ import annotations

import numpy as np

from patterns.encodings.fields import array_of, byte_count, parameter
from patterns.encodings.n_of_m import index_bits, stored_rule
from patterns.products import _stream_kernel as kernel
from patterns.products.operands import Operands


def bitmap(o: Operands) -> int:
    rows, columns = o.encoded.shape
    bits = array_of(o.encoded, "bits", byte_count(rows * columns, 1))
    entries = int(np.bitwise_count(bits).sum())
    return int(kernel.bitmap(bits, o.values(entries), entries, o.v, o.table, o.x, o.y))


def run_length(o: Operands) -> int:
    entries = parameter(o.encoded, "entries")
    return int(kernel.runs(o.values(entries), o.numbers("runs", entries), entries, o.v, o.i, o.table, o.x, o.y))


def n_of_m(o: Operands) -> int:
    rows, columns = o.encoded.shape
    rule = stored_rule(o.encoded)
    slots = rows * int(rule.segment_slots(columns).sum())
    bits = index_bits(rule.m)
    indices = array_of(o.encoded, "indices", byte_count(slots, bits))
    return int(kernel.segments(o.values(slots), indices, rule.n, rule.m, bits, o.v, o.table, o.x, o.y))
