"""Where the bytes of a layer lie in DRAM: a region for each operand of each core, every tile in one piece.

Regions of a core lie one after another, each from a row on that no region before it reaches: weights (as encoded),
inputs, outputs, partial sums; then those of the next core. In a region tiles lie in the order in which they are first
moved, with nothing in between. A tile that is moved again, or by another core, lies where it lay. Left out: the halo of
a tile, which lies in every tile that reads it, is stored once in a real map; what lies between two layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from simulator.engine import Tile
from simulator.spec import Dram

_WEIGHTS, _INPUTS, _OUTPUTS, _SUMS = "w", "x", "o", "s"
REGIONS = (_WEIGHTS, _INPUTS, _OUTPUTS, _SUMS)  # by the first letter of a tile's tag, in the order in which they lie
_PAGE_BYTES = 4096  # of a DRAM without rows


def region_unit(dram: Dram) -> int:
    """Return the bytes that a region's start is a multiple of: a row in every bank group of every channel."""
    timing = dram.timing
    return _PAGE_BYTES if timing is None else timing.row_bytes * timing.bank_groups * timing.channels


def place_cores(cores: Iterable[Sequence[Tile]], unit_bytes: int) -> list[list[Tile]]:
    """Return the tiles of every core with addresses; regions start at multiples of ``unit_bytes``."""
    placed: list[list[Tile]] = []
    shared: dict[str, int] = {}  # address of each tag
    base = 0
    for tiles in cores:
        sizes = _sizes(tiles, shared)
        free = {}
        for region in REGIONS:
            free[region] = base
            base += -(-sizes[region] // unit_bytes) * unit_bytes
        placed.append([_placed(tile, shared, free) for tile in tiles])
    return placed


def place(tiles: Sequence[Tile], unit_bytes: int) -> list[Tile]:
    """Return the tiles of one core with addresses, as ``place_cores`` gives them."""
    return place_cores([tiles], unit_bytes)[0]


def _parts(tile: Tile) -> Iterator[tuple[str, str, int]]:
    """Yield (tag, region, bytes) of what a tile moves; what has no tag is inputs or outputs that move once."""
    for tag, size_bytes in tile.operands:
        yield tag, tag[0], size_bytes
    yield "", _INPUTS, tile.untagged_bytes
    yield tile.stored, tile.stored[:1] or _OUTPUTS, tile.store_bytes


def _sizes(tiles: Sequence[Tile], before: dict[str, int]) -> dict[str, int]:
    """Return the bytes of each region of a core, those left out that lie in a region of a core before."""
    sizes = dict.fromkeys(REGIONS, 0)
    seen = set(before)
    for tile in tiles:
        for tag, region, size_bytes in _parts(tile):
            if tag not in seen:
                sizes[region] += size_bytes
            if tag:
                seen.add(tag)
    return sizes


def _placed(tile: Tile, shared: dict[str, int], free: dict[str, int]) -> Tile:
    """Return a tile with addresses; ``free``: where the next new tile of each region goes."""
    found = []
    for tag, region, size_bytes in _parts(tile):
        address = shared.get(tag, free[region])
        if tag not in shared:
            free[region] += size_bytes
        if tag:
            shared[tag] = address
        found.append(address)
    return replace(tile, operand_addresses=tuple(found[:-2]), load_address=found[-2], store_address=found[-1])
