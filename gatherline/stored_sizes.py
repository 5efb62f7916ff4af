"""What each layer's mask takes in every encoding: bytes of values, indices and pointers, or why it does not go in.

An encoding with parameters (the block's shape, N and M, B and k) is given those of the candidate patterns that take the
fewest bytes. Left out: activations and buffers, and several levels of one mask (nested has one here).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gatherline.detection import CANDIDATES, as_matrices
from patterns.base import BankOfColumn, Mask, Pattern
from patterns.catalog import parse_pattern
from patterns.encodings.base import EncodedSize, EncodingError, Widths
from patterns.encodings.catalog import encoding
from patterns.encodings.sizes import encoding_sizes
from patterns.unstructured import Unstructured
from traces.layer import MatrixLayer
from traces.layout import column_banks
from traces.masks import layer_rule
from traces.matching import LAYOUT_BANKS, pattern_banks

DENSE = "dense"
FAMILIES = {"bsr": ("block",), "n_of_m": ("n_of_m",), "gs": ("gs", "gs_scatter"), "kernel_pattern": ("kernel_pattern",)}
BANKED = ("packed", "gs")  # they group weights by bank


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSize:
    """Bytes of one layer in one encoding, or the ``reason`` why its mask does not go into it (bytes are 0 then).

    ``pattern``: where the encoding has its parameters from, "" where it has none.
    """

    encoding: str
    pattern: str = ""
    value_bytes: int = 0
    index_bytes: int = 0
    pointer_bytes: int = 0
    reason: str = ""

    @property
    def total_bytes(self) -> int:
        return self.value_bytes + self.index_bytes + self.pointer_bytes

    def as_json(self, kept: int) -> dict[str, object]:
        """Return the columns of this size; bits spent on indices and pointers for each of ``kept`` weights."""
        fits = not self.reason
        spent = 8 * (self.index_bytes + self.pointer_bytes)
        return {
            "encoding": self.encoding,
            "pattern": self.pattern or None,
            "value_bytes": self.value_bytes if fits else None,
            "index_bytes": self.index_bytes if fits else None,
            "pointer_bytes": self.pointer_bytes if fits else None,
            "total_bytes": self.total_bytes if fits else None,
            "index_bits_per_kept": spent / kept if fits and kept else None,
            "reason": self.reason or None,
        }


def layer_sizes(layer: MatrixLayer, mask: Mask, widths: Widths) -> list[StoredSize]:
    """Return one size for each encoding of the catalog, in its order, of mask (groups, m, k)."""
    matrices = as_matrices(layer, mask)
    found = _sizes(matrices, Unstructured(), widths, _banks(layer, matrices, LAYOUT_BANKS))
    out = []
    for size in found:
        if layer.kind == "depthwise" and size.encoding in BANKED:
            why = "depthwise layers run on the vector unit, which has no banks"
            out.append(StoredSize(encoding=size.encoding, reason=why))
        elif size.encoding in FAMILIES:
            out.append(_smallest_of_family(size.encoding, layer, matrices, widths))
        else:
            out.append(size)
    return out


def smallest(sizes: Sequence[StoredSize]) -> StoredSize:
    """Return the size with the fewest bytes, the first of equals; dense holds any mask."""
    return min((size for size in sizes if not size.reason), key=lambda size: size.total_bytes)


def network_totals(layers: Sequence[Sequence[StoredSize]], kept: int) -> list[dict[str, object]]:
    """Return each encoding's bytes over all layers (the sizes of each layer, alike ordered), then those of "best".

    A layer that an encoding cannot hold is stored dense and counted; "best" takes the smallest of each layer.
    """
    out = []
    for place, first in enumerate(layers[0]):
        chosen = [sizes[place] if not sizes[place].reason else _dense(sizes) for sizes in layers]
        refusals = [sizes[place].reason for sizes in layers if sizes[place].reason]
        out.append(
            _sum(first.encoding, chosen).as_json(kept)
            | {"pattern": None, "stored_dense": len(refusals), "reason": refusals[0] if refusals else None}
        )
    best = _sum("best", [smallest(sizes) for sizes in layers])
    return [*out, best.as_json(kept) | {"stored_dense": 0}]


def _dense(sizes: Sequence[StoredSize]) -> StoredSize:
    return next(size for size in sizes if size.encoding == DENSE)


def _sum(name: str, sizes: Sequence[StoredSize]) -> StoredSize:
    return StoredSize(
        encoding=name,
        value_bytes=sum(size.value_bytes for size in sizes),
        index_bytes=sum(size.index_bytes for size in sizes),
        pointer_bytes=sum(size.pointer_bytes for size in sizes),
    )


def _banks(layer: MatrixLayer, matrices: Mask, count: int) -> BankOfColumn:
    return column_banks(layer, count)[: matrices.shape[0]]


def _sizes(matrices: Mask, pattern: Pattern, widths: Widths, banks: BankOfColumn) -> list[StoredSize]:
    """Return the sizes of all matrices of a layer together; the reason of the first that does not go in."""
    out: dict[str, StoredSize] = {}
    wide = replace(widths, pointer_bits=2 * widths.pointer_bits)
    for matrix, of_column in zip(matrices, banks, strict=True):
        narrow_sizes = encoding_sizes(matrix, pattern, widths, of_column)
        wide_sizes = encoding_sizes(matrix, pattern, wide, of_column)
        for (name, size), (_, size_of_wide) in zip(narrow_sizes, wide_sizes, strict=True):
            before = out.get(name, StoredSize(encoding=name))
            out[name] = before if before.reason else _added(before, size, size_of_wide)
    return list(out.values())


def _added(before: StoredSize, size: EncodedSize | str, size_of_wide: EncodedSize | str) -> StoredSize:
    """Return ``before`` and one matrix more. Pointers twice as wide take twice the bytes: the difference is theirs."""
    if isinstance(size, str) or isinstance(size_of_wide, str):
        return StoredSize(encoding=before.encoding, reason=str(size))
    pointers = size_of_wide.index_bytes - size.index_bytes
    return replace(
        before,
        value_bytes=before.value_bytes + size.weight_bytes,
        index_bytes=before.index_bytes + size.index_bytes - pointers,
        pointer_bytes=before.pointer_bytes + pointers,
    )


def _smallest_of_family(name: str, layer: MatrixLayer, matrices: Mask, widths: Widths) -> StoredSize:
    tried = [parse_pattern(spelling) for spelling in CANDIDATES if spelling.partition(":")[0] in FAMILIES[name]]
    held: list[StoredSize] = []
    reasons: list[str] = []
    for pattern in tried:
        if layer_rule(pattern, layer)[0] is not pattern:
            reasons.append(layer_rule(pattern, layer)[1])
            continue
        size = _member_size(name, matrices, pattern, widths, _banks(layer, matrices, pattern_banks(pattern)))
        if size.reason:
            reasons.append(size.reason)
        else:
            held.append(size)
    if held:
        return smallest(held)
    others = f" (the loosest of {len(reasons)} tried)" if len(reasons) > 1 else ""
    return StoredSize(encoding=name, reason=reasons[-1] + others)


def _member_size(name: str, matrices: Mask, pattern: Pattern, widths: Widths, banks: BankOfColumn) -> StoredSize:
    member, wide = encoding(name), replace(widths, pointer_bits=2 * widths.pointer_bits)
    found = StoredSize(encoding=name, pattern=pattern.spelling)
    for matrix, of_column in zip(matrices, banks, strict=True):
        try:
            size = member.size(matrix, pattern, widths, of_column)
            found = _added(found, size, member.size(matrix, pattern, wide, of_column))
        except EncodingError as error:
            return StoredSize(encoding=name, reason=str(error))
    return found
