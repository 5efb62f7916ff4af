"""The tiles of a program as arrays, and their run by a kernel: what the SimPy engine says, to the cycle, without it.

Where tiles lie and what they move does not depend on how long they run, so the arrays are made once for all devices of
a geometry. Left out: a second level, and telling anyone when a tile ran; these the engine does (``engine.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd

import numpy as np

from simulator._kernels import dram as kernel
from simulator.engine import Tile, Traffic
from simulator.memory.dram import MOST_TICKS, MOST_TRANSFER_BYTES, DramState
from simulator.spec import Dram, DramTiming
from traces.stream import IntArray

_MOST = 1 << 61
_MOST_HZ = 1 << 38  # that the kernel converts exactly


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TileArrays:
    """Tiles of all cores, core after core; a load's transfers are those that move bytes, in their order."""

    core_ptr: IntArray  # [cores + 1] tiles
    load_ptr: IntArray  # [tiles + 1] transfers
    load_bytes: IntArray
    load_address: IntArray
    store_bytes: IntArray  # [tiles]
    store_address: IntArray
    read_bytes: int
    written_bytes: int
    largest_bytes: int  # of a transfer


def tile_arrays(cores: Sequence[Sequence[Tile]]) -> TileArrays | None:
    """Return the placed tiles of ``cores`` as arrays; None where their bytes do not fit."""
    read = sum(tile.load_bytes for tiles in cores for tile in tiles)
    written = sum(tile.store_bytes for tiles in cores for tile in tiles)
    if read + written >= _MOST:
        return None
    core_ptr, load_ptr = [0], [0]
    loads: list[tuple[int, int]] = []
    stores: list[tuple[int, int]] = []
    for tiles in cores:
        for tile in tiles:
            moved = [
                (size_bytes, address)
                for (_, size_bytes), address in zip(tile.operands, tile.operand_addresses, strict=True)
            ]
            loads += [part for part in (*moved, (tile.untagged_bytes, tile.load_address)) if part[0]]
            load_ptr.append(len(loads))
            stores.append((tile.store_bytes, tile.store_address))
        core_ptr.append(len(stores))
    load, store = (np.array(parts, np.int64).reshape(-1, 2).T.copy() for parts in (loads, stores))
    return TileArrays(
        core_ptr=np.array(core_ptr, np.int64),
        load_ptr=np.array(load_ptr, np.int64),
        load_bytes=load[0],
        load_address=load[1],
        store_bytes=store[0],
        store_address=store[1],
        read_bytes=read,
        written_bytes=written,
        largest_bytes=max((size_bytes for size_bytes, _ in (*loads, *stores)), default=0),
    )


def run_arrays(
    tiles: TileArrays, compute: IntArray, dram: Dram, clock_hz: int, buffers_in: int, buffers_out: int
) -> Traffic | None:
    """Return what ``engine.run_cores`` does of tiles that run for ``compute`` [tiles] cycles.

    None where 64 bits may not hold a time, or where the engine refuses: it says so.
    """
    bus = _bus(dram, clock_hz, tiles, int(compute.sum(dtype=np.float64)))
    if bus is None:
        return None
    bus[kernel.BUFFERS_IN], bus[kernel.BUFFERS_OUT] = buffers_in, buffers_out
    state = _NO_STATE if dram.timing is None else DramState(dram.timing).arrays
    cycles = int(
        kernel.run_tiles(
            bus, *state, tiles.core_ptr, tiles.load_ptr, tiles.load_bytes, tiles.load_address, tiles.store_bytes,
            tiles.store_address, compute,
        )
    )  # fmt: skip
    if cycles < 0:
        return None
    return Traffic(
        cycles=cycles,
        dram_read_bytes=tiles.read_bytes,
        dram_write_bytes=tiles.written_bytes,
        second_level_read_bytes=0,
    )


_NO_STATE = (
    np.zeros(0, np.int64),
    *(np.zeros((0, 0), np.int64) for _ in range(3)),
    *(np.zeros((0, 0, 0), np.int64) for _ in range(2)),
)


def _bus(dram: Dram, clock_hz: int, tiles: TileArrays, compute_cycles: int) -> IntArray | None:
    """Return the bus as the kernel takes it; None where a product or a sum of times may overflow."""
    bus = np.zeros(kernel.BUS, np.int64)
    bus[kernel.LATENCY], bus[kernel.CORE_HZ] = dram.latency_cycles, clock_hz
    bus[kernel.MOST_CYCLE] = bus[kernel.MOST_TICK] = _MOST
    timing = dram.timing
    if timing is None:
        burst = dram.burst_bytes
        transfers = len(tiles.load_bytes) + len(tiles.store_bytes)
        held = -(-(tiles.largest_bytes + burst) * clock_hz // dram.bytes_per_s)
        if (tiles.largest_bytes + burst) * clock_hz >= _MOST or (
            compute_cycles + transfers * (held + dram.latency_cycles) >= _MOST
        ):
            return None
        bus[kernel.BURST_BYTES], bus[kernel.BYTES_PER_S] = burst, dram.bytes_per_s
        return bus
    rates = _rates(timing, clock_hz)
    if rates is None or tiles.largest_bytes > MOST_TRANSFER_BYTES or compute_cycles >= _MOST:
        return None
    bus[kernel.TIMED] = 1
    bus[kernel.CORE_HZ], bus[kernel.DRAM_HZ], bus[kernel.MOST_CYCLE], bus[kernel.MOST_TICK] = rates
    return bus


@lru_cache(maxsize=64)
def _rates(timing: DramTiming, clock_hz: int) -> tuple[int, int, int, int] | None:
    """Return the rates of both clocks without common factors, and the last cycle and tick that become each other."""
    common = gcd(timing.clock_hz, clock_hz)
    core_hz, dram_hz = clock_hz // common, timing.clock_hz // common
    if max(core_hz, dram_hz) >= _MOST_HZ:
        return None
    most_cycle = MOST_TICKS * core_hz // dram_hz - 1
    most_tick = MOST_TICKS * dram_hz // core_hz - 1
    return core_hz, dram_hz, min(most_cycle, MOST_TICKS), min(most_tick, MOST_TICKS)
