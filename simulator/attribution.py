"""What a program's cycles are lost to: exact re-simulations, one cause after another removed. DESIGN 5a, ADR 0006."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from simulator.result import CAUSES
from simulator.runner import Known, run_parts, vector_cycles
from simulator.schedule.program import Program
from simulator.spec import Device


def lost_cycles(
    program: Program, device: Device, *, total: int, alone: int, compute: int, peak: int, known: Known | None = None
) -> dict[str, Fraction]:
    """Return cycles by cause, in the order of CAUSES; with the effectual cycles they add up to ``total``.

    ``alone``: the most a core takes with the DRAM to itself; ``compute``: the most it takes without DMA and DRAM;
    ``peak``: multiply-adds a cycle at full use of all cores; ``known``: as ``run_streams`` takes it. A cause's compute
    is that of the slowest core.
    """
    ideal, slots = Fraction(program.macs_effectual, peak), Fraction(program.slot_macs, peak)
    lost = dict.fromkeys(CAUSES, Fraction(0))
    lost["core"] = Fraction(total - alone)
    lost["dram"] = Fraction(alone - compute)
    if not program.has_visits:
        lost["vector"] = compute - ideal
        return lost
    no_conflicts = replace(device, gather=replace(device.gather, ports=device.gather.lanes))
    no_stalls = replace(no_conflicts, scatter=replace(device.scatter, rmw_cycles=1, ports=_most_scattered(program)))
    conflict_free, _ = slowest_core(program, no_conflicts, known=known)
    stall_free, _ = slowest_core(program, no_stalls, known=known)
    free, slowest = slowest_core(program, no_stalls, Fraction(1), known)
    gaps = sum(stream.gap * (stream.repeats - 1) for stream in slowest.streams)
    lost["conflict"] = Fraction(compute - conflict_free)
    lost["scatter"] = Fraction(conflict_free - stall_free)
    lost["interval"] = Fraction(stall_free - free)
    lost["vector"] = Fraction(gaps + _vector(slowest, device))
    lost["imbalance"] = free - lost["vector"] - slots
    lost["padding"] = slots - ideal
    return lost


def slowest_core(
    program: Program, device: Device, interval: Fraction | None = None, known: Known | None = None
) -> tuple[int, Program]:
    """Return the cycles of the core that computes longest, and what it runs."""
    results = run_parts(program, device, interval, known)
    cycles = [
        sum(result.cycles for result in core) + _vector(part, device)
        for part, core in zip(program.parts, results, strict=True)
    ]
    slowest = max(range(len(cycles)), key=lambda core: cycles[core])
    return cycles[slowest], program.parts[slowest]


def _vector(program: Program, device: Device) -> int:
    return sum(vector_cycles(run.elements, device) for run in program.vector_runs)


def _most_scattered(program: Program) -> int:
    """Return the most addresses that a bundle scatters to, at least 1."""
    sizes = (int((stream.scatter_ptr[1:] - stream.scatter_ptr[:-1]).max()) for stream in program.streams)
    return max(1, *sizes) if program.streams else 1
