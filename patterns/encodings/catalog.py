"""Every encoding of this version, by name. DESIGN section 4."""

from __future__ import annotations

from patterns.encodings.base import Encoding, EncodingError
from patterns.encodings.bitmap import BitmapEncoding
from patterns.encodings.bsr import BsrEncoding
from patterns.encodings.coo import CooEncoding
from patterns.encodings.csc import CscEncoding
from patterns.encodings.csr import CsrEncoding
from patterns.encodings.dense import DenseEncoding
from patterns.encodings.ell import EllEncoding
from patterns.encodings.gs import GsEncoding
from patterns.encodings.kernel_pattern import KernelPatternEncoding
from patterns.encodings.n_of_m import NOfMEncoding
from patterns.encodings.nested import NestedEncoding
from patterns.encodings.packed import PackedEncoding
from patterns.encodings.run_length import RunLengthEncoding
from patterns.names import nearest

ALL_ENCODINGS: tuple[Encoding, ...] = (
    DenseEncoding(),
    CsrEncoding(),
    PackedEncoding(),
    BsrEncoding(),
    BitmapEncoding(),
    RunLengthEncoding(),
    EllEncoding(),
    CooEncoding(),
    CscEncoding(),
    NOfMEncoding(),
    GsEncoding(),
    KernelPatternEncoding(),
    NestedEncoding(),
)


def encoding(name: str) -> Encoding:
    """Return the encoding called ``name``. Raises EncodingError with the nearest name.

    ``packed`` packs for 16 banks; ``PackedEncoding(banks=...)`` for another number.
    """
    found = next((member for member in ALL_ENCODINGS if member.name == name), None)
    if found is not None:
        return found
    raise EncodingError(f"encoding {name!r} is not known; {nearest(name, [member.name for member in ALL_ENCODINGS])}")
