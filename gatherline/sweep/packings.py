"""Packings of a level's masks in the cache: groups that the simulator would find again for every process and run.

One entry per (level, banks, slots of a group), in narrow integers: ResNet-50 at 90 % takes 13 MB, and reading it a
tenth of the time of packing. Read when a packing is first asked for, written when a pass over the level is done. Left
out: packings of a part of a layer's columns, which belong to one mapping.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gatherline.cache import Cache
from patterns.packing import Packing, PackingKey, row_order
from traces.layer import MatrixLayer
from traces.stream import TraceError
from traces.trace import LayerTrace

KIND = "packings"
SCHEMA = 1
LARGEST_BYTES = 128 << 20  # assumed: what one entry takes at most, and so a process for it; more is packed anew

Place = tuple[int, PackingKey]  # of a layer in its level, and which packing of it
_Array = npt.NDArray[Any]


@dataclass(slots=True, eq=False)
class KeptPackings:
    """The packings of one level: those of the cache, read again in each pass, and those that are new."""

    cache: Cache
    level_key: str
    _read: dict[tuple[int, int], dict[Place, bytes]] = field(default_factory=dict)  # by (banks, width)
    _new: dict[Place, bytes] = field(default_factory=dict)
    _seen: set[Place] = field(default_factory=set)  # what the cache has, or was given

    def offer(self, index: int, trace: LayerTrace) -> None:
        """Let ``trace``, layer ``index`` of the level, take its packings from the cache."""
        trace.ask_first(lambda key: self._found(index, key, trace))

    def collect(self, index: int, trace: LayerTrace) -> None:
        """Take note of the packings that ``trace`` made itself."""
        for key, value in trace.known.items():
            if isinstance(key, PackingKey) and isinstance(value, Packing) and (index, key) not in self._seen:
                self._seen.add((index, key))
                if (index, key) not in self._kept((key.banks, key.width)):
                    self._new[index, key] = packing_bytes(value)

    def write(self) -> None:
        """Put what is new into the cache, beside what was there for the same banks and width, and let go of both."""
        for shape in sorted({(key.banks, key.width) for _, key in self._new}):
            own = {place: data for place, data in self._new.items() if (place[1].banks, place[1].width) == shape}
            whole = _joined({**self._kept(shape), **own})
            if len(whole) <= LARGEST_BYTES:
                self.cache.write(KIND, self._entry_key(shape), whole)
        self._new.clear()
        self._read.clear()

    def _entry_key(self, shape: tuple[int, int]) -> str:
        return hashlib.sha256(json.dumps([SCHEMA, self.level_key, *shape]).encode()).hexdigest()

    def _kept(self, shape: tuple[int, int]) -> dict[Place, bytes]:
        if shape not in self._read:
            name = self._entry_key(shape)
            data = self.cache.read(KIND, name)
            try:
                self._read[shape] = {} if data is None else _split(data, str(self.cache.path(KIND, name)))
            except TraceError as error:  # whole, and yet no packings: written by something else
                self.cache.note(f"{error}: they are made again")
                self._read[shape] = {}
        return self._read[shape]

    def _found(self, index: int, key: object, trace: LayerTrace) -> Packing | None:
        if not isinstance(key, PackingKey):
            return None
        kept = self._kept((key.banks, key.width))
        if (index, key) not in kept:
            return None
        try:
            found = read_packing(kept[index, key], key, trace)
        except TraceError as error:
            self.cache.note(f"{self.cache.path(KIND, self._entry_key((key.banks, key.width)))}: {error}")
            del kept[index, key]
            return None
        self._seen.add((index, key))
        return found


def packing_bytes(packing: Packing) -> bytes:
    """Return a packing as counts, 64-bit, and then its arrays in the narrowest integers that hold them."""
    sizes, bundles = np.diff(packing.group_ptr), np.diff(packing.bundle_end, prepend=0)
    arrays = [_narrow(array) for array in (sizes, bundles, packing.row, packing.column, packing.lane)]
    head = np.array([[len(array), array.itemsize] for array in arrays], dtype="<i8")
    return b"".join((head.tobytes(), *(array.tobytes() for array in arrays)))


def read_packing(data: bytes, key: PackingKey, trace: LayerTrace) -> Packing:
    """Return the packing ``key`` of ``trace`` that ``packing_bytes`` made ``data`` of. Raises TraceError.

    Checked: sizes before anything is allocated, that it holds each kept weight once, and that no index is too large.
    """
    layer = trace.layer
    assert isinstance(layer, MatrixLayer)
    assert trace.mask is not None
    mask = trace.mask[key.group]
    sizes, bundles, row, column, lane = _arrays(data)
    whole = len(row) == len(column) == len(lane) == int(sizes.sum()) == int(np.count_nonzero(mask))
    rows = key.width // key.k
    if not (whole and int(bundles.sum()) == len(sizes) and len(bundles) == -(-layer.m // rows)):
        raise TraceError(f"layer {layer.name}: its packing is of another mask, and is made again")
    if len(row) and not (row.max() < layer.m and column.max() < layer.k and lane.max() < key.width):
        raise TraceError(f"layer {layer.name}: its packing leaves the mask, and is made again")
    if not mask[row, column].all():
        raise TraceError(f"layer {layer.name}: its packing holds weights that are gone, and is made again")
    return Packing(
        group_ptr=np.concatenate(([0], np.cumsum(sizes, dtype=np.int64))),
        row=row.astype(np.int32), column=column.astype(np.int32), lane=lane.astype(np.int16),
        bundle_end=np.cumsum(bundles, dtype=np.int64), order=row_order(mask, key.sort), banks=key.width, k=key.k,
    )  # fmt: skip


def _narrow(array: _Array) -> _Array:
    largest = int(array.max()) if len(array) else 0
    return array.astype("<u1" if largest < 1 << 8 else "<u2" if largest < 1 << 16 else "<u4")


def _arrays(data: bytes) -> list[_Array]:
    count = 5
    head_bytes = count * 2 * 8
    head = np.frombuffer(data[:head_bytes], dtype="<i8") if len(data) >= head_bytes else np.zeros(0, dtype="<i8")
    known = len(head) == 2 * count and set(head[1::2].tolist()) <= {1, 2, 4}
    if not known or head.min() < 0 or head.max() > len(data):
        raise TraceError("a packing's head is not of five arrays")
    if int((head[::2] * head[1::2]).sum()) != len(data) - head_bytes:
        raise TraceError(f"a packing has {len(data) - head_bytes} bytes, and its head says otherwise")
    found, offset = [], head_bytes
    for length, width in head.reshape(count, 2).tolist():
        found.append(np.frombuffer(data, dtype=f"<u{width}", count=length, offset=offset))
        offset += length * width
    return found


def _joined(packings: dict[Place, bytes]) -> bytes:
    """Return several packings as one line of JSON, places and lengths, and their bytes."""
    ordered = sorted(packings, key=lambda place: (place[0], place[1].group, place[1].k, place[1].sort))
    head = [
        [index, key.banks, key.width, key.k, key.sort, key.group, len(packings[index, key])] for index, key in ordered
    ]
    line = json.dumps({"schema": SCHEMA, "packings": head}, separators=(",", ":")).encode()
    return b"".join((line, b"\n", *(packings[place] for place in ordered)))


def _split(data: bytes, where: str) -> dict[Place, bytes]:
    end = data.find(b"\n")
    try:
        head = json.loads(data[: max(end, 0)])
        if head["schema"] != SCHEMA:
            raise ValueError(f"schema is {head['schema']}, and must be {SCHEMA}")
        found, offset = {}, end + 1
        for index, banks, width, k, sort, group, length in head["packings"]:
            key = PackingKey(banks=banks, width=width, k=k, sort=sort, group=group)
            found[index, key] = data[offset : offset + length]
            offset += length
        if offset != len(data):
            raise ValueError(f"it has {len(data)} bytes, and says {offset}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TraceError(f"{where}: no packings: {error}") from None
    return found
