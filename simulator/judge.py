"""What a device takes for a program: streams and transfers run once, and kept for whoever asks again.

The mapper chooses by it, the front door takes the result from it. Left out: why the cycles were lost
(``attribution.py``).
"""

from __future__ import annotations

from simulator.engine import Traffic
from simulator.machine import StreamCycles
from simulator.memory.dram import least_cycles
from simulator.runner import Known, run_streams, vector_cycles, with_transfers
from simulator.schedule.program import Program
from simulator.spec import Device


class CycleJudge:
    """Mutable: what was run so far, on one device. Programs with the same visits are run once."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.known: Known = {}  # of programs that are kept below
        self._streams: dict[int, tuple[Program, list[StreamCycles]]] = {}  # by visits, which the program keeps alive
        self._traffic: dict[int, tuple[Program, tuple[Traffic, int]]] = {}

    def least(self, dram_bytes: float) -> int:
        """Return cycles that nothing beats which moves so many DRAM bytes."""
        return least_cycles(self._device.dram, int(dram_bytes), self._device.clock_hz)

    def cycles(self, program: Program) -> tuple[int, int]:
        """Return the cycles of a program, and the most that a core of it computes."""
        return self.traffic(program)[0].cycles, max(self.compute(program))

    def streams(self, program: Program) -> list[list[StreamCycles]]:
        """Return the cycles of each stream of each core."""
        found = []
        for part in program.parts:
            if id(part.visits) not in self._streams:
                self._streams[id(part.visits)] = part, run_streams(part, self._device, known=self.known)
            found.append(self._streams[id(part.visits)][1])
        return found

    def traffic(self, program: Program) -> tuple[Traffic, int]:
        """Return what ``with_transfers`` gives."""
        if id(program) not in self._traffic:
            self._traffic[id(program)] = program, with_transfers(program, self.streams(program), self._device)
        return self._traffic[id(program)][1]

    def vector(self, program: Program) -> list[int]:
        """Return the cycles of element work of each core."""
        return [sum(vector_cycles(run.elements, self._device) for run in part.vector_runs) for part in program.parts]

    def compute(self, program: Program) -> list[int]:
        """Return the cycles of each core without DMA and DRAM."""
        both = zip(self.streams(program), self.vector(program), strict=True)
        return [sum(result.cycles for result in core) + extra for core, extra in both]
