"""What a device takes for a program: streams and transfers run once, and kept for whoever asks again.

The mapper chooses by it, the front door takes the result from it. What a DRAM or a clock does not move is kept for all
devices of one geometry. Left out: why the cycles were lost (``attribution.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from simulator.engine import Traffic
from simulator.machine import StreamCycles
from simulator.memory.dram import least_cycles
from simulator.runner import ProgramTiles, buffer_bytes, vector_cycles, with_transfers
from simulator.schedule.program import Program
from simulator.spec import Device
from simulator.stream_runs import StreamRuns, Supply, Units, supply_of, units_of

_MOST_CAUSES = 1 << 12  # of a layer; past that all are forgotten


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamCounts:
    """Counts over all streams of a program, which devices of one geometry share."""

    groups: int
    read_words: int
    written_words: int
    value_bytes: int  # read out of the weight buffer
    index_bytes: int
    vector_unit_bytes: int
    weight_share: Fraction  # of the bytes that tiles ask for and store, those of weights and indices


class LayerRuns:
    """Mutable: what has been run of one layer's programs, for devices of one geometry."""

    def __init__(self) -> None:
        self.streams, self.tiles = StreamRuns(), ProgramTiles()
        self._counts: dict[int, tuple[Program, StreamCounts]] = {}
        self._causes: dict[tuple[int, Units, Supply, int], tuple[Program, dict[str, Fraction]]] = {}

    def causes(self, key: tuple[int, Units, Supply, int]) -> dict[str, Fraction] | None:
        """Return what was kept by ``keep_causes``."""
        found = self._causes.get(key)
        return None if found is None else found[1]

    def keep_causes(self, program: Program, key: tuple[int, Units, Supply, int], lost: dict[str, Fraction]) -> None:
        """Keep what ``program`` loses beside DRAM, on units, a supply and a vector unit that the key names."""
        if len(self._causes) >= _MOST_CAUSES:
            self._causes.clear()
        self._causes[key] = program, lost

    def counts(self, program: Program, device: Device) -> StreamCounts:
        """Return what the streams of a program read and write."""
        if id(program) not in self._counts:
            self._counts[id(program)] = program, _counts(program, device)
        return self._counts[id(program)][1]


def _counts(program: Program, device: Device) -> StreamCounts:
    values, indices = buffer_bytes(program, device)
    streams = program.streams
    return StreamCounts(
        groups=sum(stream.groups * stream.repeats for stream in streams),
        read_words=sum(len(stream.address) * stream.repeats for stream in streams),
        written_words=sum(len(stream.scatter_address) * stream.repeats for stream in streams),
        value_bytes=values,
        index_bytes=indices,
        vector_unit_bytes=sum(run.load_bytes + run.store_bytes for part in program.parts for run in part.vector_runs),
        weight_share=_weight_share(program),
    )


def _weight_share(program: Program) -> Fraction:
    """Return 0 where a trace that somebody else made does not tell operands apart."""
    weights = moved = 0
    for part in program.parts:
        for visit in part.visits:
            for run in visit.runs:
                moved += run.load_bytes + run.store_bytes
                weights += sum(size_bytes for tag, size_bytes in run.operands if tag[0] == "w")
        for element_run in part.vector_runs:
            moved += element_run.load_bytes + element_run.store_bytes
            weights += element_run.weight_bytes
    return Fraction(weights, moved) if moved else Fraction(0)


class CycleJudge:
    """Mutable: what was run so far, on one device. Programs with the same visits are run once."""

    def __init__(self, device: Device, runs: LayerRuns | None = None) -> None:
        self._device, self._units, self._supply = device, units_of(device), supply_of(device)
        self.runs = runs or LayerRuns()
        self._traffic: dict[int, tuple[Program, tuple[Traffic, int]]] = {}

    def least(self, dram_bytes: float) -> int:
        """Return cycles that nothing beats which moves so many DRAM bytes."""
        return least_cycles(self._device.dram, int(dram_bytes), self._device.clock_hz)

    def cycles(self, program: Program) -> tuple[int, int]:
        """Return the cycles of a program, and the most that a core of it computes."""
        return self.traffic(program)[0].cycles, max(self.compute(program))

    def streams(self, program: Program) -> list[list[StreamCycles]]:
        """Return the cycles of each stream of each core."""
        known = self.runs.streams
        return [known.of_program(part, self._units, self._supply) for part in program.parts]

    def traffic(self, program: Program) -> tuple[Traffic, int]:
        """Return what ``with_transfers`` gives."""
        if id(program) not in self._traffic:
            found = with_transfers(program, self.streams(program), self._device, known=self.runs.tiles)
            self._traffic[id(program)] = program, found
        return self._traffic[id(program)][1]

    def vector(self, program: Program) -> list[int]:
        """Return the cycles of element work of each core."""
        return [sum(vector_cycles(run.elements, self._device) for run in part.vector_runs) for part in program.parts]

    def compute(self, program: Program) -> list[int]:
        """Return the cycles of each core without DMA and DRAM."""
        both = zip(self.streams(program), self.vector(program), strict=True)
        return [sum(result.cycles for result in core) + extra for core, extra in both]
