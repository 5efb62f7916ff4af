"""Y = W X over the bytes of an encoding, weights never unpacked first: proof of the encodings, and work to be timed.

Sums are float32, or int32 for int8 X. One thread. Left out: reuse of X between rows, and other tuning that a library
has; what is timed is the format, each with the same inner loop over the positions.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from patterns.encodings.base import Encoded, EncodingError
from patterns.products import blocks, groups, lines, streams
from patterns.products.operands import Operands, operands

PRODUCTS = MappingProxyType[str, Callable[[Operands], int]](
    {
        "dense": lines.dense,
        "csr": lines.csr,
        "csc": lines.csc,
        "coo": lines.coo,
        "ell": lines.ell,
        "bitmap": streams.bitmap,
        "run_length": streams.run_length,
        "n_of_m": streams.n_of_m,
        "bsr": blocks.bsr,
        "kernel_pattern": blocks.kernel_pattern,
        "gs": groups.joined,
        "packed": groups.joined,
    }
)


def product(
    encoded: Encoded, dtype: npt.DTypeLike, x: npt.NDArray[np.generic], *, level: int | None = None
) -> npt.NDArray[np.generic]:
    """Return W x, [m, p] float32, or int32 where x is int8; W is ``encoded``, its values of ``dtype``.

    dtype: float32, float16 or int8 (which also reads narrower integers). x [k, p]: float32, or int8 for integer values,
    and then the sum is exact. ``level``: of a nested encoding, the densest if None. Raises EncodingError for bytes that
    lead outside their arrays.
    """
    taken = operands(encoded, dtype, x, level)
    if encoded.encoding not in PRODUCTS:
        raise EncodingError(f"{encoded.encoding}: has no product; known are {', '.join(PRODUCTS)}")
    if level not in (None, 1) and "levels" not in encoded.parameters:
        raise EncodingError(f"{encoded.encoding}: level is {level}, and it has one level")
    taken.finish(PRODUCTS[encoded.encoding](taken))
    return taken.y
