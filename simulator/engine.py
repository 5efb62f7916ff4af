"""Orders tiles: DMA in, compute and DMA out as SimPy processes that share one DRAM. Compute cycles come from kernels.

Where bytes lie: a layer has a region for what is loaded and, from the next page on, one for what is stored. Loads of
tiles that follow each other lie one after another, and so do stores; an operand that is loaded again (weights streamed
once more, partial sums coming back) is taken to lie in the load region again, as it is a transfer of its own.

Left out: preemption, priorities (the DRAM serves in the order of asking), overlap between layers, operands of a tile
in places of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import simpy

from simulator.memory.dram import open_memory
from simulator.spec import Dram

_PAGE_BYTES = 4096
Recorder = Callable[[str, int, int, int, int], None]  # unit, tile, cycle it asked, cycle it began, cycle it ended


def unrecorded(unit: str, tile: int, asked: int, began: int, ended: int) -> None:
    """Nobody wants to know when each tile ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """Bytes that must be in before it runs, cycles it runs, bytes that leave after it, and where they lie."""

    load_bytes: int
    compute_cycles: int
    store_bytes: int
    load_address: int = 0
    store_address: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A load or store as the DRAM saw it: asked for in ``cycle``, all its data there in ``done_cycle``."""

    cycle: int
    done_cycle: int
    address: int
    size_bytes: int
    is_write: bool


def place(tiles: Iterable[Tile]) -> list[Tile]:
    """Return the tiles with addresses: loads one after another, stores too, in a region that starts on a page."""
    found = list(tiles)
    load = 0
    store = -(-sum(tile.load_bytes for tile in found) // _PAGE_BYTES) * _PAGE_BYTES
    placed = []
    for tile in found:
        placed.append(replace(tile, load_address=load, store_address=store))
        load += tile.load_bytes
        store += tile.store_bytes
    return placed


def run_tiles(
    tiles: Sequence[Tile],
    dram: Dram,
    clock_hz: int,
    buffers_in: int,
    buffers_out: int,
    transfers: list[Transfer] | None = None,
    record: Recorder = unrecorded,
) -> int:
    """Return the cycle in which the last tile has been stored; tiles are double-buffered at both ends.

    A DMA engine asks for its next transfer when the last one is handed over; a store frees its buffer then, a tile
    runs when its data are there. ``transfers``: a list to which each transfer is added in the order of asking.
    ``record`` is told of each transfer ("load", "store": asked for, the DRAM was free, its last burst was moved) and
    each run of a tile ("compute": the tile before had run, this one began, it ended). Raises DeviceError.
    """
    if not any(tile.load_bytes or tile.store_bytes for tile in tiles):
        now = 0
        for number, tile in enumerate(tiles):
            record("compute", number, now, now, now + tile.compute_cycles)
            now += tile.compute_cycles
        return now
    env = simpy.Environment()
    memory = open_memory(dram, clock_hz)
    free_in, free_out = simpy.Container(env, buffers_in, buffers_in), simpy.Container(env, buffers_out, buffers_out)
    loaded, computed = simpy.Store(env), simpy.Store(env)
    last_there = bus_free = 0

    def ask(number: int, address: int, size_bytes: int, is_write: bool) -> tuple[int, int]:
        nonlocal bus_free
        now = int(env.now)
        if not size_bytes:
            return 0, now
        handed_over, there = memory.serve(now, address, size_bytes, is_write)
        if transfers is not None:
            transfers.append(
                Transfer(cycle=now, done_cycle=there, address=address, size_bytes=size_bytes, is_write=is_write)
            )
        began = max(now, bus_free)
        bus_free = max(began, there if is_write else there - dram.latency_cycles)
        record("store" if is_write else "load", number, now, began, bus_free)
        return handed_over - now, there

    def load() -> Generator[Any, Any, None]:
        for number, tile in enumerate(tiles):
            yield free_in.get(1)
            busy, arrival = ask(number, tile.load_address, tile.load_bytes, False)
            if busy:
                yield env.timeout(busy)
            yield loaded.put((tile, arrival))

    def compute() -> Generator[Any, Any, None]:
        for number in range(len(tiles)):
            asked = int(env.now)
            tile, arrival = yield loaded.get()
            yield free_out.get(1)
            yield env.timeout(max(0, arrival - env.now) + tile.compute_cycles)
            record("compute", number, asked, int(env.now) - tile.compute_cycles, int(env.now))
            yield free_in.put(1)
            yield computed.put(tile)

    def store() -> Generator[Any, Any, None]:
        nonlocal last_there
        for number in range(len(tiles)):
            tile = yield computed.get()
            busy, there = ask(number, tile.store_address, tile.store_bytes, True)
            last_there = max(last_there, there)
            if busy:
                yield env.timeout(busy)
            yield free_out.put(1)

    env.process(load())
    env.process(compute())
    done = env.process(store())
    env.run(until=done)
    return max(int(env.now), last_there)
