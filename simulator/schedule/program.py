"""What a layer does on the machine: request streams, the tiles they run in, bytes moved, element work. Data only.

DESIGN section 5a. A *visit* is one stream: the groups of one (rows, channels) tile, repeated for every position of the
position tiles that follow each other without another tile in between. ``visits.py`` makes them of a layer and a
mapping, ``layer_program.py`` chooses what a kind of layer becomes. Left out: fusion of layers.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from traces.stream import RequestStream


@dataclass(frozen=True, slots=True, kw_only=True)
class TileRun:
    """``repeats`` of a visit's stream, the bytes that must be in before and those that leave after.

    ``operands``: (tag, bytes) of the weights ("w"), inputs ("x") and partial sums ("s") among the load, in the order in
    which they are loaded; equal tags, equal bytes. What no operand names is inputs that come once. ``stored``: the tag
    of the outputs ("o") or partial sums that leave; without one they are outputs that leave once.
    """

    repeats: int
    load_bytes: int
    store_bytes: int
    operands: tuple[tuple[str, int], ...] = ()
    stored: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Visit:
    """A stream and the tiles it serves; without a stream only bytes move (a tile with no kept weight)."""

    stream: RequestStream | None
    runs: tuple[TileRun, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorRun:
    """A chunk of element work, the bytes that must be in before and those that leave after.

    ``weight_bytes``: those of the load that are weights or parameters, loaded before the inputs.
    """

    load_bytes: int
    elements: int
    store_bytes: int
    weight_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Program:
    """All visits of a layer in order, and exact counts. ``serial``: the visits are one step of time, repeated.

    ``vector_runs``: element work after the visits; a recurrence has the gates of the steps that no gap holds, which is
    the last one. ``slot_macs``: stored slots, padding included, times real positions. ``cores``: the program of each
    core where a layer is shared out; visits and element work are theirs, the counts here those of the layer.
    ``weights_scope`` and ``inputs_scope``: programs of one layer with equal scopes mean the same tiles by equal tags.
    """

    visits: tuple[Visit, ...] = ()
    serial: bool = False
    vector_runs: tuple[VectorRun, ...] = ()
    mapping: str = ""
    encoding: str = ""
    weight_bytes: int = 0
    index_bytes: int = 0
    slots: int = 0
    slot_macs: int = 0
    macs_effectual: int = 0
    scratchpad_bytes: int = 0
    reason: str = ""
    weights_scope: str = ""
    inputs_scope: str = ""
    cores: tuple[Program, ...] = ()

    @property
    def parts(self) -> tuple[Program, ...]:
        """The program of each core that works."""
        return self.cores or (self,)

    @property
    def streams(self) -> list[RequestStream]:
        """The visits' streams, in order, core after core."""
        return [visit.stream for part in self.parts for visit in part.visits if visit.stream is not None]

    @property
    def has_visits(self) -> bool:
        return any(part.visits for part in self.parts)

    @property
    def on_vector_unit(self) -> bool:
        """Whether element work is all there is."""
        return not self.has_visits and any(part.vector_runs for part in self.parts)


def proportional(total: int, weights: Sequence[int]) -> list[int]:
    """Return whole numbers that add up to ``total`` and follow ``weights``."""
    sums = np.cumsum(np.asarray(weights, dtype=np.int64)).tolist()
    edges = [0, *(total * value // sums[-1] for value in sums)]
    return [high - low for low, high in itertools.pairwise(edges)]
