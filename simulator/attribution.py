"""What a program's cycles are lost to: exact re-simulations, one cause after another removed. DESIGN 5a, ADR 0006."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from simulator.result import CAUSES
from simulator.runner import run_streams, vector_cycles
from simulator.schedule.program import Program
from simulator.spec import Device


def lost_cycles(program: Program, device: Device, total: int, compute: int, peak: int) -> dict[str, Fraction]:
    """Return cycles by cause, in the order of CAUSES; with the effectual cycles they add up to ``total``.

    ``compute``: cycles without DMA and DRAM; ``peak``: multiply-adds a cycle at full use.
    """
    vector = sum(vector_cycles(run.elements, device) for run in program.vector_runs)
    ideal, slots = Fraction(program.macs_effectual, peak), Fraction(program.slot_macs, peak)
    lost = dict.fromkeys(CAUSES, Fraction(0))
    lost["dram"] = Fraction(total - compute)
    if not program.visits:
        lost["vector"] = Fraction(vector) - ideal
        return lost
    no_conflicts = replace(device, gather=replace(device.gather, ports=device.gather.lanes))
    no_stalls = replace(no_conflicts, scatter=replace(device.scatter, rmw_cycles=1, ports=_most_scattered(program)))
    conflict_free = sum(result.cycles for result in run_streams(program, no_conflicts))
    stall_free = sum(result.cycles for result in run_streams(program, no_stalls))
    free = sum(result.cycles for result in run_streams(program, no_stalls, Fraction(1)))
    gaps = sum(stream.gap * (stream.repeats - 1) for stream in program.streams)
    lost["conflict"] = Fraction(compute - vector - conflict_free)
    lost["scatter"] = Fraction(conflict_free - stall_free)
    lost["interval"] = Fraction(stall_free - free)
    lost["vector"] = Fraction(gaps + vector)
    lost["imbalance"] = free - gaps - slots
    lost["padding"] = slots - ideal
    return lost


def _most_scattered(program: Program) -> int:
    """Return the most addresses that a bundle scatters to, at least 1."""
    sizes = (int((stream.scatter_ptr[1:] - stream.scatter_ptr[:-1]).max()) for stream in program.streams)
    return max(1, *sizes) if program.streams else 1
