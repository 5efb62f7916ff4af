"""Cores that share a DRAM and a second level, stepped cycle by cycle in plain Python: what the engine must equal.

A tile's load is a transfer for each operand, in order, then one for the rest. Weights and inputs (tags with w or x) are
looked up in the second level, where there is one; partial sums and the rest come from DRAM.

Each cycle: transfers that end are done; all that needs no port happens; look-ups in the second level happen, core after
core; then each free port takes, of those who asked first, the lowest core, its load before its store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from simulator.engine import Tile
from simulator.spec import Dram, SecondLevel


@dataclass
class Kept:
    """A tile in the second level; ``ready``: when its data are there."""

    tag: str
    size: int
    ready: int | None = None


@dataclass
class Port:
    waiting: list[tuple[int, int, int, str]] = field(default_factory=list)  # (asked, rank, cycles, who)
    until: int = 0
    who: str = ""


@dataclass
class Core:
    tiles: list[Tile]
    free_in: int
    free_out: int
    loading: int = 0
    operations: list[tuple[str, int]] = field(default_factory=list)
    state: str = "idle"  # of the loader: idle, next, look up, filling, dram, second
    arrival: int = 0
    entry: Kept | None = None
    loaded: list[int] = field(default_factory=list)  # arrival of each tile, once it is known
    running: int = 0
    run_until: int | None = None
    computed: int = 0
    storing: int = 0
    store_state: str = "idle"  # idle, dram
    stored: int = 0


class Stepper:
    def __init__(
        self, cores: list[list[Tile]], dram: Dram, clock_hz: int, buffers_in: int, buffers_out: int, level: SecondLevel
    ) -> None:
        self.cores = [Core(tiles=list(tiles), free_in=buffers_in, free_out=buffers_out) for tiles in cores]
        self.dram, self.clock_hz, self.level = dram, clock_hz, level
        self.ports = {"dram": Port(), "second": Port()}
        self.kept: list[Kept] = []  # the least recently used first
        self.time = 0
        self.read = self.second_read = 0

    def run(self) -> tuple[int, int, int]:
        """Return (cycles, DRAM bytes read, second-level bytes read)."""
        while True:
            for name, port in self.ports.items():
                if port.who and port.until == self.time:
                    who, port.who = port.who, ""
                    self.finish(name, who)
            self.settle()
            for i, core in enumerate(self.cores):
                if core.state == "look up":
                    self.look_up(i, core)
            self.settle()
            if all(core.stored == len(core.tiles) for core in self.cores):
                return self.time, self.read, self.second_read
            for port in self.ports.values():
                if not port.who and port.waiting:
                    first = min(port.waiting)
                    port.waiting.remove(first)
                    port.who, port.until = first[3], self.time + first[2]
            self.time += 1

    def settle(self) -> None:
        while any(self.load(i) or self.compute(i) or self.store(i) for i in range(len(self.cores))):
            pass

    def ask(self, port: str, rank: int, cycles: int, who: str) -> None:
        self.ports[port].waiting.append((self.time, rank, cycles, who))

    def bus(self, size: int) -> int:
        bursts = (size + self.dram.burst_bytes - 1) // self.dram.burst_bytes
        exact = Fraction(bursts * self.dram.burst_bytes * self.clock_hz, self.dram.bytes_per_s)
        return -(-exact.numerator // exact.denominator)

    def load(self, i: int) -> bool:
        core = self.cores[i]
        if core.state == "idle" and core.loading < len(core.tiles) and core.free_in:
            tile = core.tiles[core.loading]
            core.free_in -= 1
            rest = tile.load_bytes - sum(size for _, size in tile.operands)
            core.operations = [*tile.operands, ("", rest)]
            core.arrival, core.state = self.time, "next"
            return True
        if core.state == "next":
            if not core.operations:
                core.loaded.append(core.arrival)
                core.loading += 1
                core.state = "idle"
            elif not self.level.bytes or core.operations[0][0][:1] not in ("w", "x"):
                if core.operations[0][1]:
                    core.state, core.entry = "dram", None
                    self.ask("dram", 2 * i, self.bus(core.operations[0][1]), f"load {i}")
                else:
                    core.operations.pop(0)
            else:
                core.state = "look up"
            return True
        if core.state == "filling":
            assert core.entry is not None
            if core.entry.ready is not None and core.entry.ready <= self.time:
                core.state = "second"
                cycles = -(-core.operations[0][1] // self.level.bytes_per_cycle)
                self.ask("second", 2 * i, cycles, f"load {i}")
                return True
        return False

    def look_up(self, i: int, core: Core) -> None:
        tag, size = core.operations[0]
        found = [kept for kept in self.kept if kept.tag == tag]
        if found:
            core.entry, core.state = found[0], "filling"
            self.kept.remove(found[0])
            self.kept.append(found[0])
            return
        core.entry, core.state = Kept(tag=tag, size=size), "dram"
        if size <= self.level.bytes:
            while sum(kept.size for kept in self.kept) + size > self.level.bytes:
                self.kept.pop(0)
            self.kept.append(core.entry)
        self.ask("dram", 2 * i, self.bus(size), f"load {i}")

    def finish(self, port: str, who: str) -> None:
        kind, number = who.split()
        core = self.cores[int(number)]
        if kind == "store":
            core.store_state = "idle"
            core.stored += 1
            core.free_out += 1
            return
        size = core.operations.pop(0)[1]
        there = self.time
        if port == "dram":
            there += self.dram.latency_cycles
            self.read += size
            if core.entry is not None:
                core.entry.ready = there
        else:
            self.second_read += size
        core.arrival = max(core.arrival, there)
        core.state = "next"

    def compute(self, i: int) -> bool:
        core = self.cores[i]
        if core.run_until is None:
            if core.running < len(core.loaded) and core.free_out:
                core.free_out -= 1
                wait = max(0, core.loaded[core.running] - self.time)
                core.run_until = self.time + wait + core.tiles[core.running].compute_cycles
                return True
        elif core.run_until == self.time:
            core.run_until = None
            core.running += 1
            core.computed += 1
            core.free_in += 1
            return True
        return False

    def store(self, i: int) -> bool:
        core = self.cores[i]
        if core.store_state == "idle" and core.storing < core.computed:
            size = core.tiles[core.storing].store_bytes
            core.storing += 1
            if size:
                core.store_state = "dram"
                self.ask("dram", 2 * i + 1, self.bus(size), f"store {i}")
            else:
                core.stored += 1
                core.free_out += 1
            return True
        return False
