"""What a timeline is made of: events on tracks, and what the engine told of each tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Track = Literal[
    "DRAM",
    "second level",
    "layer",
    "DMA in",
    "second level in",
    "gather",
    "MAC",
    "scatter",
    "vector unit",
    "DMA out",
]
SHARED: tuple[Track, ...] = ("DRAM", "second level")
OF_A_CORE: tuple[Track, ...] = (
    "layer",
    "DMA in",
    "second level in",
    "gather",
    "MAC",
    "scatter",
    "vector unit",
    "DMA out",
)
TRACKS = SHARED + OF_A_CORE
SECOND_LEVEL: tuple[Track, ...] = ("second level", "second level in")  # only where a device has one


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that lasted from ``start_cycles`` to before ``end_cycles``; ``facts`` say more of it."""

    core: int  # 0: shared by all cores, 1: core 0
    track: Track
    name: str
    start_cycles: int
    end_cycles: int
    facts: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A unit's part of a step of a core: when it could have begun, when it did and when it was done."""

    core: int
    step: int
    size_bytes: int
    asked: int
    began: int
    ended: int
