"""Orders tiles: DMA in, compute and DMA out as SimPy processes that share one DRAM. Compute cycles come from kernels.

Left out: preemption, priorities (the DRAM serves in the order of arrival), overlap between layers.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import simpy

from simulator.memory.dram import bus_cycles
from simulator.spec import Dram


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """Bytes that must be in before it runs, cycles it runs, bytes that leave after it."""

    load_bytes: int
    compute_cycles: int
    store_bytes: int


def run_tiles(tiles: Sequence[Tile], dram: Dram, clock_hz: int, buffers_in: int, buffers_out: int) -> int:
    """Return the cycle in which the last tile has been stored; tiles are double-buffered at both ends.

    A load is there a DRAM latency after its bursts; a store is done with its bursts.
    """
    if not any(tile.load_bytes or tile.store_bytes for tile in tiles):
        return sum(tile.compute_cycles for tile in tiles)
    env = simpy.Environment()
    port = simpy.Resource(env, capacity=1)
    free_in, free_out = simpy.Container(env, buffers_in, buffers_in), simpy.Container(env, buffers_out, buffers_out)
    loaded, computed = simpy.Store(env), simpy.Store(env)

    def move(size_bytes: int) -> Generator[Any, Any, None]:
        if size_bytes:
            with port.request() as turn:
                yield turn
                yield env.timeout(bus_cycles(dram, size_bytes, clock_hz))

    def load() -> Generator[Any, Any, None]:
        for tile in tiles:
            yield free_in.get(1)
            yield from move(tile.load_bytes)
            arrival = env.now + (dram.latency_cycles if tile.load_bytes else 0)
            yield loaded.put((tile, arrival))

    def compute() -> Generator[Any, Any, None]:
        for _ in tiles:
            tile, arrival = yield loaded.get()
            yield free_out.get(1)
            yield env.timeout(max(0, arrival - env.now) + tile.compute_cycles)
            yield free_in.put(1)
            yield computed.put(tile)

    def store() -> Generator[Any, Any, None]:
        for _ in tiles:
            tile = yield computed.get()
            yield from move(tile.store_bytes)
            yield free_out.put(1)

    env.process(load())
    env.process(compute())
    done = env.process(store())
    env.run(until=done)
    return int(env.now)
