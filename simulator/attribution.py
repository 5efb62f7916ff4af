"""What a program's cycles are lost to: exact re-simulations, one cause after another removed. DESIGN 5a, ADR 0006."""

from __future__ import annotations

from fractions import Fraction

from simulator.judge import LayerRuns
from simulator.runner import vector_cycles
from simulator.schedule.program import Program
from simulator.spec import Device
from simulator.stream_runs import AT_ONCE, Supply, Units, supply_of, units_of


def lost_cycles(
    program: Program,
    device: Device,
    *,
    total: int,
    alone: int,
    compute: int,
    peak: int,
    runs: LayerRuns | None = None,
) -> dict[str, Fraction]:
    """Return cycles by cause, in the order of CAUSES; with the effectual cycles they add up to ``total``.

    ``alone``: the most a core takes with the DRAM to itself; ``compute``: the most it takes without DMA and DRAM;
    ``peak``: multiply-adds a cycle at full use of all cores; ``runs``: of the same layer and geometry. A cause's
    compute is that of the slowest core.
    """
    runs = runs or LayerRuns()
    units, supply = units_of(device), supply_of(device)
    key = (id(program), units, supply, device.vector_unit.elements_per_cycle)  # no other field moves these causes
    computed = runs.causes(key)
    if computed is None:
        computed = _computed(program, device, compute, peak, runs, units, supply)
        runs.keep_causes(program, key, computed)
    return {"core": Fraction(total - alone), "dram": Fraction(alone - compute), **computed}


def _computed(
    program: Program, device: Device, compute: int, peak: int, runs: LayerRuns, units: Units, supply: Supply
) -> dict[str, Fraction]:
    """Return what is lost beside DRAM, in the order of CAUSES."""
    ideal, slots = Fraction(program.macs_effectual, peak), Fraction(program.slot_macs, peak)
    nothing = Fraction(0)
    if not program.has_visits:
        return {
            "conflict": nothing, "scatter": nothing, "interval": nothing, "imbalance": nothing, "padding": nothing,
            "vector": compute - ideal,
        }  # fmt: skip
    no_conflicts = units.without_conflicts()
    no_stalls = no_conflicts.without_stalls()
    conflict_free, _ = slowest_core(program, device, runs, no_conflicts, supply)
    stall_free, _ = slowest_core(program, device, runs, no_stalls, supply)
    free, slowest = slowest_core(program, device, runs, no_stalls, AT_ONCE)
    gaps = sum(stream.gap * (stream.repeats - 1) for stream in slowest.streams)
    vector = Fraction(gaps + _vector(slowest, device))
    return {
        "conflict": Fraction(compute - conflict_free),
        "scatter": Fraction(conflict_free - stall_free),
        "interval": Fraction(stall_free - free),
        "imbalance": free - vector - slots,
        "padding": slots - ideal,
        "vector": vector,
    }


def slowest_core(
    program: Program,
    device: Device,
    runs: LayerRuns | None = None,
    units: Units | None = None,
    supply: Supply | None = None,
) -> tuple[int, Program]:
    """Return the cycles of the core that computes longest, and what it runs; ``units``, ``supply``: not its own."""
    known = (runs or LayerRuns()).streams
    units, supply = units or units_of(device), supply or supply_of(device)
    cycles = [
        sum(result.cycles for result in known.of_program(part, units, supply)) + _vector(part, device)
        for part in program.parts
    ]
    slowest = max(range(len(cycles)), key=lambda core: cycles[core])
    return cycles[slowest], program.parts[slowest]


def _vector(program: Program, device: Device) -> int:
    return sum(vector_cycles(run.elements, device) for run in program.vector_runs)
