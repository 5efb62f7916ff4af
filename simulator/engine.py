"""Orders tiles: DMA in, compute and DMA out as SimPy processes that share one DRAM. Compute cycles come from kernels.

Each core has the three processes; all cores share the DRAM and, where there is one, the second level. The DRAM is asked
in the order of (cycle, core, load before store), whatever order the simulation ran the processes in.

What a tile loads is a transfer for each operand, in their order, then one for the rest; what it stores is one. Where
they lie is decided in ``memory/regions.py``. This is the definition: ``tile_arrays.py`` does the same in a kernel for
many devices, held against it to the cycle, where nobody wants to know when a tile ran.

Left out: preemption, priorities (the DRAM serves in the order of asking), overlap between layers.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import simpy

from simulator.memory.dram import open_memory
from simulator.memory.port import PORTS, SharedPort, Turns
from simulator.memory.second_level import HELD, SecondLevelTiles
from simulator.spec import NO_SECOND_LEVEL, DeviceError, Dram, SecondLevel

_MOST = 1 << 62
# unit, core, tile, bytes moved, cycle it asked, cycle it began, cycle it ended
Recorder = Callable[[str, int, int, int, int, int, int], None]


def unrecorded(unit: str, core: int, tile: int, size_bytes: int, asked: int, began: int, ended: int) -> None:
    """Nobody wants to know when each tile ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """Bytes that must be in before it runs, cycles it runs, bytes that leave after it, and where they lie.

    ``operands``: (tag, bytes) of parts of the load; a tag begins with w (weights), x (inputs) or s (partial sums), and
    equal tags are the same bytes. A second level may hold w and x. The rest of the load is inputs that come once.
    ``stored``: the tag of what leaves, from o (outputs) or s; without one, outputs that leave once. ``load_address``:
    of the rest.
    """

    load_bytes: int
    compute_cycles: int
    store_bytes: int
    load_address: int = 0
    store_address: int = 0
    operands: tuple[tuple[str, int], ...] = ()
    operand_addresses: tuple[int, ...] = ()
    stored: str = ""

    @property
    def untagged_bytes(self) -> int:
        return self.load_bytes - sum(size_bytes for _, size_bytes in self.operands)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A load or store as the DRAM saw it: asked for in ``cycle``, all its data there in ``done_cycle``."""

    cycle: int
    done_cycle: int
    address: int
    size_bytes: int
    is_write: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """When the last tile of the last core has been stored, and what moved: DRAM bytes are those that missed."""

    cycles: int
    dram_read_bytes: int
    dram_write_bytes: int
    second_level_read_bytes: int
    second_level_write_bytes: int = 0


def run_tiles(
    tiles: Sequence[Tile],
    dram: Dram,
    clock_hz: int,
    buffers_in: int,
    buffers_out: int,
    transfers: list[Transfer] | None = None,
    record: Recorder = unrecorded,
) -> int:
    """Return the cycle in which the last tile of one core has been stored; the rest as ``run_cores``."""
    return run_cores([tiles], dram, clock_hz, buffers_in, buffers_out, transfers=transfers, record=record).cycles


def run_cores(
    cores: Sequence[Sequence[Tile]],
    dram: Dram,
    clock_hz: int,
    buffers_in: int,
    buffers_out: int,
    second_level: SecondLevel = NO_SECOND_LEVEL,
    transfers: list[Transfer] | None = None,
    record: Recorder = unrecorded,
) -> Traffic:
    """Return when the last tile of the last core has been stored; tiles are double-buffered at both ends.

    A DMA engine asks for its next transfer when the last one is handed over; a store frees its buffer then, a tile
    runs when its data are there. ``transfers``: a list to which each transfer is added in the order of asking.
    ``record`` is told of each transfer ("load", one for each operand that comes from DRAM, "store": asked for, the DRAM
    was free, its last burst was moved; "second level": asked for, its port was free, read) and of each run of a tile
    ("compute": the tile before had run, this one began, it ended), with the core, numbered from 0. Raises DeviceError.
    """
    written = sum(tile.store_bytes for tiles in cores for tile in tiles)
    read = sum(tile.load_bytes for tiles in cores for tile in tiles)
    if not written and not read:
        cycles = max((_without_bytes(core, tiles, record) for core, tiles in enumerate(cores)), default=0)
        _check_counter(cycles, "cycles")
        return Traffic(cycles=cycles, dram_read_bytes=0, dram_write_bytes=0, second_level_read_bytes=0)
    _check_counter(read + written, "bytes moved")
    env = simpy.Environment()
    memory = _Memory(env, dram, clock_hz, second_level, transfers, record)
    done = [_start(env, memory, core, tiles, buffers_in, buffers_out) for core, tiles in enumerate(cores)]
    env.run(until=env.all_of(done))
    cycles = max(int(env.now), memory.last_there)
    _check_counter(cycles, "cycles")
    return Traffic(
        cycles=cycles,
        dram_read_bytes=memory.read_bytes,
        dram_write_bytes=written,
        second_level_read_bytes=memory.second_level_read_bytes,
        second_level_write_bytes=memory.second_level_write_bytes,
    )


def _check_counter(count: int, unit: str) -> None:
    if count >= _MOST:
        raise DeviceError(f"a layer has {count} {unit}, and must have fewer than 2^62, or sums of layers overflow")


def _without_bytes(core: int, tiles: Sequence[Tile], record: Recorder) -> int:
    """Run tiles that move nothing: one after another."""
    now = 0
    for number, tile in enumerate(tiles):
        record("compute", core, number, 0, now, now, now + tile.compute_cycles)
        now += tile.compute_cycles
    return now


def _start(
    env: simpy.Environment, memory: _Memory, core: int, tiles: Sequence[Tile], buffers_in: int, buffers_out: int
) -> simpy.Process:
    """Start the processes of one core and return the one that ends last."""
    free_in, free_out = simpy.Container(env, buffers_in, buffers_in), simpy.Container(env, buffers_out, buffers_out)
    loaded, computed = simpy.Store(env), simpy.Store(env)

    def load() -> Generator[Any, Any, None]:
        for number, tile in enumerate(tiles):
            yield free_in.get(1)
            arrival = yield from memory.load(2 * core, number, tile)
            yield loaded.put((tile, arrival))

    def compute() -> Generator[Any, Any, None]:
        for number in range(len(tiles)):
            asked = int(env.now)
            tile, arrival = yield loaded.get()
            yield free_out.get(1)
            yield env.timeout(max(0, arrival - env.now) + tile.compute_cycles)
            memory.record("compute", core, number, 0, asked, int(env.now) - tile.compute_cycles, int(env.now))
            yield free_in.put(1)
            yield computed.put(tile)

    def store() -> Generator[Any, Any, None]:
        for number in range(len(tiles)):
            tile = yield computed.get()
            yield from memory.transfer(2 * core + 1, number, tile.store_address, tile.store_bytes, True)
            yield free_out.put(1)

    env.process(load())
    env.process(compute())
    return env.process(store())


class _Memory:
    """The DRAM and the second level that all cores share, and the bytes that were read from each."""

    def __init__(
        self,
        env: simpy.Environment,
        dram: Dram,
        clock_hz: int,
        second_level: SecondLevel,
        transfers: list[Transfer] | None,
        record: Recorder,
    ) -> None:
        self.record, self._bus_free, self._latency_cycles = record, 0, dram.latency_cycles
        self._env, self._dram, self._transfers = env, open_memory(dram, clock_hz), transfers
        self._asking, self._second_port, self._look_ups = Turns(env, PORTS), SharedPort(env), Turns(env)
        self._tiles = SecondLevelTiles(second_level) if second_level.bytes else None
        self.read_bytes = self.second_level_read_bytes = self.second_level_write_bytes = self.last_there = 0

    def transfer(
        self, rank: int, number: int, address: int, size_bytes: int, is_write: bool
    ) -> Generator[Any, Any, int]:
        """Ask the DRAM, wait until the transfer is handed over, and return the cycle in which its data are there.

        Every transfer of every core passes here, in the order in which the DRAM serves them.
        """
        if not size_bytes:
            return int(self._env.now)
        asked = int(self._env.now)
        yield from self._asking.take(rank)
        now = int(self._env.now)
        handed_over, there = self._dram.serve(now, address, size_bytes, is_write)
        if self._transfers is not None:
            self._transfers.append(
                Transfer(cycle=now, done_cycle=there, address=address, size_bytes=size_bytes, is_write=is_write)
            )
        began = max(now, self._bus_free)
        self._bus_free = max(began, there if is_write else there - self._latency_cycles)
        self.record("store" if is_write else "load", rank // 2, number, size_bytes, asked, began, self._bus_free)
        if is_write:
            self.last_there = max(self.last_there, there)
        else:
            self.read_bytes += size_bytes
        if handed_over > now:
            yield self._env.timeout(handed_over - now)
        return there

    def load(self, rank: int, number: int, tile: Tile) -> Generator[Any, Any, int]:
        """Fetch a tile's bytes and return the cycle in which they are all there."""
        arrival = int(self._env.now)
        addresses = tile.operand_addresses or (0,) * len(tile.operands)
        for (tag, size_bytes), address in zip(tile.operands, addresses, strict=True):
            if self._tiles is not None and tag[0] in HELD:
                there = yield from self._operand(self._tiles, rank, number, tag, address, size_bytes)
            else:
                there = yield from self.transfer(rank, number, address, size_bytes, False)
            arrival = max(arrival, there)
        there = yield from self.transfer(rank, number, tile.load_address, tile.untagged_bytes, False)
        return max(arrival, there)

    def _operand(
        self, tiles: SecondLevelTiles, rank: int, number: int, tag: str, address: int, size_bytes: int
    ) -> Generator[Any, Any, int]:
        """Read one operand from the second level where it lies there or is on its way, else from DRAM."""
        yield from self._look_ups.take(rank)
        filled = tiles.look_up(tag)
        if filled is not None:
            asked, held = int(self._env.now), tiles.port_cycles(size_bytes)
            yield filled
            yield from self._second_port.hold(rank, held)
            now = int(self._env.now)
            self.record("second level", rank // 2, number, size_bytes, asked, now - held, now)
            self.second_level_read_bytes += size_bytes
            return now
        filled = self._env.event()
        if tiles.allocate(tag, size_bytes, filled):
            self.second_level_write_bytes += size_bytes
        arrival = yield from self.transfer(rank, number, address, size_bytes, False)
        self._env.process(self._fill(filled, arrival))
        return int(arrival)

    def _fill(self, filled: simpy.Event, arrival: int) -> Generator[Any, Any, None]:
        yield self._env.timeout(arrival - int(self._env.now))
        filled.succeed()
