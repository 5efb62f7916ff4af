"""A level's layer traces as bytes: layers, rules and masks, each mask as packed bits. The file behind a shared cache.

One JSON line (schema, what the caller adds, one entry per layer), then the bits of one mask after another. A mask that
keeps everything takes none. Read lazily: a mask is unpacked when its trace is asked for. Bits are not compressed:
on ResNet-50 zlib halves them and makes reading five times slower. Left out: weights, the file's hash (``cache``), and
request streams, which are another thing (``store``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from patterns.base import Mask, Pattern, PatternError
from patterns.catalog import parse_pattern
from traces.layer import Layer, MatrixLayer
from traces.layer_json import layer_json, layer_of
from traces.stream import TraceError
from traces.trace import LayerTrace

SCHEMA = 1
_LONGEST_HEADER_BYTES = 1 << 28  # of a level: thousands of layers take some MB
_ENTRY_KEYS = {"layer", "pattern", "sparsity_target", "weights_before", "macs_before", "reason", "kept"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLayer:
    """One layer of a stored level. ``kept`` weights; their bits lie at ``offset``, None where nothing or all is kept.

    ``has_mask``: a layer with weights.
    """

    layer: Layer
    pattern: Pattern
    sparsity_target: float | None
    weights_before: int | None
    macs_before: int | None
    reason: str
    kept: int
    offset: int | None

    @property
    def has_mask(self) -> bool:
        return isinstance(self.layer, MatrixLayer)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredLevel:
    """A level's traces, masks still packed, and what the writer added to them."""

    extra: Mapping[str, Any]
    layers: tuple[StoredLayer, ...]
    bits: memoryview

    def trace(self, index: int) -> LayerTrace:
        """Return the trace of a layer, its mask unpacked anew. Raises TraceError where it is not what was stored."""
        stored = self.layers[index]
        found = LayerTrace(
            layer=stored.layer, pattern=stored.pattern, mask=_unpacked(stored, self.bits),
            sparsity_target=stored.sparsity_target, weights_before=stored.weights_before,
            macs_before=stored.macs_before, reason=stored.reason,
        )  # fmt: skip
        if found.kept != stored.kept:
            raise TraceError(f"layer {stored.layer.name}: its mask keeps {found.kept}, and {stored.kept} were stored")
        return found

    def traces(self) -> Iterator[LayerTrace]:
        """Yield the traces in order, one unpacked mask at a time."""
        for index in range(len(self.layers)):
            yield self.trace(index)


def level_bytes(traces: Iterable[LayerTrace], extra: Mapping[str, Any] | None = None) -> bytes:
    """Return the traces of a level, read one at a time, as bytes. ``extra``: what JSON holds, read back as it is.

    ``extra`` is looked at after the last trace, so that it may be filled while they are read.
    """
    entries, bits, taken = [], [], 0
    for trace in traces:
        entries.append(_entry(trace))
        if trace.mask is not None and not trace.all_kept and trace.kept:
            packed = np.packbits(trace.mask).tobytes()
            bits.append(packed)
            taken += len(packed)
    header = {"schema": SCHEMA, "layers": entries, "bits_bytes": taken, "extra": extra or {}}
    return b"".join((json.dumps(header, allow_nan=False, separators=(",", ":")).encode(), b"\n", *bits))


def _entry(trace: LayerTrace) -> dict[str, Any]:
    """Return a layer's line. Raises TraceError for a rule that its spelling does not bring back."""
    spelling = trace.pattern.spelling
    if parse_pattern(spelling) != trace.pattern:
        raise TraceError(f"layer {trace.layer.name}: {spelling} does not spell {trace.pattern!r}")
    return {
        "layer": layer_json(trace.layer),
        "pattern": spelling,
        "sparsity_target": trace.sparsity_target,
        "weights_before": trace.weights_before,
        "macs_before": trace.macs_before,
        "reason": trace.reason,
        "kept": trace.kept,
    }


def read_level(data: bytes, where: str) -> StoredLevel:
    """Return the level that ``level_bytes`` made ``data`` of. Raises TraceError, prefixed by ``where``.

    Every size is compared with the bytes there are before anything is unpacked.
    """
    end = data.find(b"\n", 0, _LONGEST_HEADER_BYTES)
    try:
        header = json.loads(data[: max(end, 0)])
    except (ValueError, RecursionError):
        raise TraceError(f"{where}: it does not begin with a line of JSON") from None
    schema = header.get("schema") if isinstance(header, dict) else None
    if type(schema) is not int or schema != SCHEMA:
        raise TraceError(f"{where}: schema is {schema!r}, and must be {SCHEMA}")
    entries, extra, bits = header.get("layers"), header.get("extra"), memoryview(data)[end + 1 :]
    if not isinstance(entries, list) or not isinstance(extra, dict):
        raise TraceError(f"{where}: layers must be a list, and extra an object")
    layers, offset = [], 0
    for entry in entries:
        layer = _stored(entry, offset, where)
        layers.append(layer)
        offset += 0 if layer.offset is None else _packed_bytes(layer.layer)
    if not offset == len(bits) == header.get("bits_bytes"):
        raise TraceError(f"{where}: its masks take {offset} bytes, and it holds {len(bits)}")
    return StoredLevel(extra=extra, layers=tuple(layers), bits=bits)


def _stored(entry: object, offset: int, where: str) -> StoredLayer:
    if not isinstance(entry, dict) or set(entry) != _ENTRY_KEYS:
        raise TraceError(f"{where}: a layer must have {', '.join(sorted(_ENTRY_KEYS))}")
    layer = layer_of(entry["layer"], where)
    where = f"{where}: layer {layer.name}"
    for name, types in (
        ("sparsity_target", (float, int, type(None))), ("weights_before", (int, type(None))),
        ("macs_before", (int, type(None))), ("reason", (str,)), ("pattern", (str,)), ("kept", (int,)),
    ):  # fmt: skip
        if type(entry[name]) not in types:
            raise TraceError(f"{where}: {name} is {entry[name]!r:.80}, and must be {types[0].__name__}")
    try:
        pattern = parse_pattern(entry["pattern"])
    except PatternError as error:
        raise TraceError(f"{where}: {error}") from None
    weights, kept = prod(_shape(layer)), entry["kept"]
    if not 0 <= kept <= weights:
        raise TraceError(f"{where}: kept is {kept}, and must be 0 to {weights}")
    return StoredLayer(
        layer=layer, pattern=pattern, sparsity_target=entry["sparsity_target"],
        weights_before=entry["weights_before"], macs_before=entry["macs_before"], reason=entry["reason"], kept=kept,
        offset=None if kept in (0, weights) else offset,
    )  # fmt: skip


def _shape(layer: Layer) -> tuple[int, int, int]:
    return (layer.groups, layer.m, layer.k) if isinstance(layer, MatrixLayer) else (0, 0, 0)


def _packed_bytes(layer: Layer) -> int:
    return -(-prod(_shape(layer)) // 8)


def _unpacked(stored: StoredLayer, bits: memoryview) -> Mask | None:
    shape = _shape(stored.layer)
    if not stored.has_mask:
        return None
    if stored.offset is None:
        return np.full(shape, stored.kept > 0, dtype=np.bool_)
    packed = np.frombuffer(bits, np.uint8, _packed_bytes(stored.layer), stored.offset)
    mask: Mask = np.unpackbits(packed, count=prod(shape)).view(np.bool_).reshape(shape)
    return mask
