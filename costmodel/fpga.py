"""Engines built from FPGA fabric: as many positions in parallel as the DSPs and block RAMs allow.

An engine does rows x lanes x positions multiply-adds a cycle. Its block RAMs hold, twice over (double buffering), one
bank a lane of ``positions`` activations a word, one 32-bit sum a row and position, and the weights and indices that it
eats each cycle; a memory takes as many BRAM36 as its width needs. Leaves out: LUT and FF, routing, depth beyond one
BRAM36 a column, and row imbalance (a gather engine takes groups of slots, whatever row they belong to).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

from costmodel.problem import Problem
from costmodel.roofline import Cost, Run, level_bounds_s, main_memory_bytes, overhead_s
from costmodel.spec import Dtype, EngineKernel, Fabric
from patterns.encodings.base import EncodedSize
from simulator.spec import DeviceError

SUM_BYTES = 4
BUFFERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine that fits: its parallelism and what it takes of the fabric."""

    rows: int
    lanes: int
    positions: int
    dsp: int
    bram36: int

    @property
    def macs_per_cycle(self) -> int:
        return self.rows * self.lanes * self.positions


def engine(fabric: Fabric, kernel: EngineKernel, lanes: int, dtype: Dtype, value_bytes: int) -> Engine:
    """Return the largest engine of ``kernel`` with ``lanes`` lanes. Raises DeviceError where not even one fits."""
    dsp_per_mac = dict(fabric.dsp_per_mac)[dtype]
    best: Engine | None = None
    positions = 1
    while True:
        candidate = Engine(
            rows=kernel.rows,
            lanes=lanes,
            positions=positions,
            dsp=kernel.rows * lanes * positions * dsp_per_mac,
            bram36=_bram36(fabric, kernel, lanes, positions, value_bytes),
        )
        fits = candidate.dsp <= floor(fabric.dsp * fabric.dsp_share)
        if not fits or candidate.bram36 > floor(fabric.bram36 * fabric.bram_share):
            break
        best, positions = candidate, positions + 1
    if best is None:
        raise DeviceError(f"kernel {kernel.name}: lanes is {lanes}, and not one position of that fits the fabric")
    return best


def _bram36(fabric: Fabric, kernel: EngineKernel, lanes: int, positions: int, value_bytes: int) -> int:
    word = fabric.bram_word_bytes
    activations = lanes * ceil(positions * value_bytes / word)
    sums = kernel.rows * ceil(positions * SUM_BYTES / word)
    weights = ceil(kernel.rows * lanes * (value_bytes + kernel.index_bytes) / word)
    return BUFFERS * (activations + sums + weights)


def engine_cost(problem: Problem, kernel: EngineKernel, run: Run, size: EncodedSize, lanes: int) -> Cost:
    """Return the cost on the largest engine; sparse ones take the encoding's slots, padding included."""
    fabric = run.device.fabric
    if fabric is None:
        raise AssertionError(f"device {run.device.name} has the engine {kernel.name} and no fabric")
    built = engine(fabric, kernel, lanes, run.dtype, problem.value_bytes)
    if kernel.encoding == "dense":
        groups = problem.groups * ceil(problem.m / built.rows) * ceil(problem.k / lanes)
    else:
        groups = ceil(size.slots / lanes)
    blocks = ceil(problem.positions / built.positions)
    cycles = problem.steps * groups * blocks
    blocked = size.slots * problem.positions if problem.weighted else problem.step_macs
    read, written = main_memory_bytes(problem, run, size.total_bytes, blocked_macs=blocked)
    operands = lanes * built.positions * problem.value_bytes
    operands += built.rows * lanes * (problem.value_bytes + (kernel.index_bytes if kernel.serves else 0))
    compulsory = size.total_bytes + problem.input_bytes + problem.output_bytes
    served = [max(cycles * operands, compulsory)] + [compulsory] * (len(run.device.levels) - 2)
    bounds = {"compute": cycles / (kernel.efficiency * run.clock_hz)}
    bounds |= level_bounds_s(run, kernel, (*served, read + written))
    bounds["overhead"] = overhead_s(run, problem)
    return Cost(
        kernel=kernel,
        size=size,
        macs_issued=cycles * built.macs_per_cycle,
        bounds_s=bounds,
        dram_read_bytes=read,
        dram_write_bytes=written,
        mapping=f"{built.rows} rows x {lanes} lanes x {built.positions} positions, {built.dsp} of {fabric.dsp} DSP, "
        f"{built.bram36} of {fabric.bram36} BRAM36",
    )
