"""What an engine takes of an FPGA's fabric, how fast its clock is, and what a layer costs on it.

An engine does rows x lanes x positions multiply-adds a cycle; sums stay in it until they are complete. Its block RAMs
hold, twice over (double buffering), banks of ``positions`` activations a word, ``positions`` results for each row, and
the weights and indices that it eats each cycle; a memory takes as many BRAM36 as its width needs, and what activations
need beyond that is URAM first. Rows of an engine that gathers or takes blocks go to columns of their own, so each row
has a copy of the banks; the lanes of a block's rows share its columns.
A multiplexer of n inputs is n/4 LUTs a bit, so a crossbar of as many banks as lanes grows with their square.
A network runs on one engine (``costmodel/fpga_choice.py``); without a sparse datapath for a mask it computes the zeros.
Leaves out: flip-flops, address generators, routing beyond a loss of clock, fill and drain, results of several lanes
that leave through one row's port faster than it takes them, imbalance among rows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from math import ceil, log2

from costmodel.fabric import EngineShape, Fabric
from costmodel.problem import Problem
from costmodel.roofline import (
    Cost,
    Run,
    level_bounds_s,
    main_memory_bytes,
    main_weight_bytes,
    overhead_s,
    weight_shares,
)
from costmodel.spec import VALUE_BYTES, Dtype, EngineKernel, RooflineDevice
from costmodel.time_parts import TimeParts
from patterns.base import Pattern
from patterns.block import Block
from patterns.encodings.base import EncodedSize
from patterns.gs import GatherScatter
from patterns.gs_scatter import GatherScatterPermuted
from patterns.n_of_m import NOfM
from simulator.result import FabricUse
from simulator.spec import DeviceError

BUFFERS = 2
ROWS = tuple(1 << power for power in range(9))
POSITIONS = tuple(sorted({odd << power for odd in (1, 3, 5, 7) for power in range(9)}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A layer as an engine sees it: its product and the slots that it stores, None: it runs dense."""

    problem: Problem
    slots: int | None

    def cycles(self, shape: EngineShape) -> int:
        problem = self.problem
        if self.slots is None:
            columns = min(shape.banks or shape.lanes, shape.lanes)
            rows = shape.rows * (shape.lanes // columns)
            groups = problem.groups * ceil(problem.m / rows) * ceil(problem.k / columns)
        else:
            groups = ceil(self.slots / (shape.lanes * shape.rows))
        return problem.steps * groups * ceil(problem.positions / shape.positions)

    @property
    def activation_bytes(self) -> int:
        return self.problem.input_bytes + self.problem.output_bytes


def widths(kernel: EngineKernel, pattern: Pattern | None) -> tuple[int, ...]:
    """Return the lanes with which ``kernel`` can be built for ``pattern`` (None: any). Blocks fill whole lanes."""
    if isinstance(pattern, GatherScatter | GatherScatterPermuted) and kernel.addressing == "any":
        return (pattern.banks,)
    if isinstance(pattern, Block) and kernel.encoding == "bsr":
        return tuple(lanes for lanes in kernel.lanes if pattern.height * pattern.width % lanes == 0)
    return kernel.lanes


def shape_of(
    kernel: EngineKernel, pattern: Pattern | None, rows: int, lanes: int, positions: int, tokens: int = 0
) -> EngineShape:
    """Return an engine with the banks and multiplexers that ``kernel`` needs for ``pattern``."""
    banks, inputs = lanes, lanes if kernel.addressing == "any" else 1
    if kernel.addressing == "window" and isinstance(pattern, NOfM):
        banks, inputs = ceil(lanes * pattern.m / pattern.n), pattern.m
    if isinstance(pattern, Block) and kernel.encoding == "bsr":
        banks = min(pattern.width, lanes)
    return EngineShape(
        kernel=kernel.name, rows=rows, lanes=lanes, positions=positions, banks=banks, mux_inputs=inputs, tokens=tokens
    )


def crossbar_lut(fabric: Fabric, shape: EngineShape, value_bytes: int) -> int:
    """Return the LUTs between banks and lanes: one multiplexer for each row, lane, position and bit."""
    inputs = shape.mux_inputs or 1
    if inputs == 1:
        return 0
    bits = 8 * value_bytes * shape.positions
    return shape.rows * shape.lanes * ceil(inputs / fabric.costs.mux_inputs) * bits


def engine_use(
    device: RooflineDevice, kernel: EngineKernel, shape: EngineShape, dtype: Dtype, held_bytes: int = 0
) -> FabricUse:
    """Return what ``shape`` takes, its vector and token unit included, with buffers for ``held_bytes``, and its clock.

    Activations that fit in no memories of the budget stream through those that there are.
    """
    fabric, value_bytes = _fabric(device), VALUE_BYTES[dtype]
    costs, budget, vector = fabric.costs, fabric.budget, dict(device.vector_macs_per_cycle)[dtype]
    dsp = fabric.dsps_of_macs(dtype, shape.rows * shape.lanes, shape.positions)
    lut = costs.lut_control + (shape.macs_per_cycle + vector) * dict(costs.lut_per_mac)[dtype]
    lut += crossbar_lut(fabric, shape, value_bytes) + shape.tokens * costs.lut_per_token
    bram36 = _width_bram36(fabric, kernel, shape, value_bytes) + (costs.token_bram36 if shape.tokens else 0)
    beyond = max(min(held_bytes, fabric.chip_bytes) - bram36 * fabric.bram36_bytes, 0)
    uram = min(ceil(beyond / fabric.uram_bytes), budget.uram)
    deeper = ceil(max(beyond - uram * fabric.uram_bytes, 0) / fabric.bram36_bytes)
    return FabricUse(
        dsp=dsp + fabric.dsps_of_macs(dtype, vector, 1),
        bram36=max(bram36, min(bram36 + deeper, budget.bram36)),
        uram=uram,
        lut=lut,
        clock_hz=shape.clock_hz or _clock_hz(device, shape, lut),
    )


def _width_bram36(fabric: Fabric, kernel: EngineKernel, shape: EngineShape, value_bytes: int) -> int:
    word = fabric.costs.word_bytes
    activations = _copies(kernel, shape) * (shape.banks or shape.lanes) * ceil(shape.positions * value_bytes / word)
    results = shape.rows * ceil(shape.positions * value_bytes / word)
    index_bytes = kernel.index_bytes if kernel.serves else 0
    weights = ceil(shape.rows * shape.lanes * (value_bytes + index_bytes) / word)
    return BUFFERS * (activations + results + weights)


def _copies(kernel: EngineKernel, shape: EngineShape) -> int:
    """Copies of the activation banks: rows that go to columns of their own cannot share a read."""
    return shape.rows if kernel.addressing == "any" or kernel.encoding == "bsr" else 1


def _clock_hz(device: RooflineDevice, shape: EngineShape, lut: int) -> int:
    fabric = _fabric(device)
    doublings = max(log2((shape.mux_inputs or 1) / fabric.costs.mux_inputs), 0.0)
    full = min(lut / fabric.budget.lut, 1.0) * fabric.clock_loss.full_lut
    return int(device.units[0].clock_hz * (1 - fabric.clock_loss.mux_doubling) ** doublings * (1 - full))


def shortage(device: RooflineDevice, use: FabricUse) -> str | None:
    """Return which resource an engine needs more of than it may use, and how much, or None where it fits."""
    budget = _fabric(device).budget
    for part in fields(budget):
        needed, most = getattr(use, part.name), getattr(budget, part.name)
        if needed > most:
            return f"{part.name} is {needed}, and {device.name} has {most} to use"
    return None


@lru_cache(maxsize=512)
def candidates(
    device: RooflineDevice, kernel: EngineKernel, pattern: Pattern | None, dtype: Dtype, tokens: int
) -> tuple[tuple[EngineShape, FabricUse], ...]:
    """Return every engine of ``kernel`` on the grid that fits. Raises DeviceError, naming what is short, for none."""
    found = []
    for lanes in widths(kernel, pattern):
        for rows in ROWS:
            for positions in POSITIONS:
                shape = shape_of(kernel, pattern, rows, lanes, positions, tokens)
                use = engine_use(device, kernel, shape, dtype)
                if shortage(device, use):
                    break
                found.append((shape, use))
    if found:
        return tuple(found)
    lanes = min(widths(kernel, pattern))
    least = shape_of(kernel, pattern, 1, lanes, 1, tokens)
    short = shortage(device, engine_use(device, kernel, least, dtype))
    where = f"of 1 row, {lanes} lanes and 1 position for {dtype}"
    where += f" with a list of {tokens} tokens" if tokens else ""
    raise DeviceError(f"device {device.name}: engine {kernel.name} {where}: {short}")


def chosen(
    run: Run, kernel: EngineKernel, pattern: Pattern | None, works: tuple[Work, ...], tokens: int = 0
) -> EngineShape:
    """Return the engine on which ``works`` together take the least time; among equals that of fewest DSPs and LUTs."""
    main = [_main_memory_s(work, kernel, run) for work in works]

    def cost(candidate: tuple[EngineShape, FabricUse]) -> tuple[float, int, int]:
        shape, use = candidate
        rate = kernel.efficiency * use.clock_hz
        total = sum(max(work.cycles(shape) / rate, dram) for work, dram in zip(works, main, strict=True))
        return total, use.dsp, use.lut

    return min(candidates(run.device, kernel, pattern, run.dtype, tokens), key=cost)[0]


def _main_memory_s(work: Work, kernel: EngineKernel, run: Run) -> float:
    problem = work.problem
    stored = problem.groups * problem.m * problem.k if work.slots is None else work.slots
    index_bytes = 0 if work.slots is None else kernel.index_bytes
    size = stored * (problem.value_bytes + index_bytes) if problem.weighted else 0
    macs = stored * problem.positions
    moved = sum(main_memory_bytes(problem, run, size, blocked_macs=macs))
    return moved / (run.device.levels[-1].bytes_per_s(run.units) * kernel.memory_share)


def engine_cost(
    problem: Problem, kernel: EngineKernel, run: Run, size: EncodedSize, pattern: Pattern | None = None
) -> Cost:
    """Return the cost on the engine that was built, or else on the best one for this layer alone.

    Sparse kernels take the encoding's slots, padding included. Raises DeviceError where an engine does not fit.
    """
    device, fabric = run.device, _fabric(run.device)
    work = Work(problem=problem, slots=size.slots if kernel.serves else None)
    datapath = built_kernel(device) or kernel
    shape = completed(fabric.engine, datapath) if fabric.engine else chosen(run, kernel, pattern, (work,))
    held = work.activation_bytes if shape.held_bytes is None else shape.held_bytes
    use = fitting_use(device, datapath, shape, run.dtype, held)
    cycles = work.cycles(shape)
    blocked = size.slots * problem.positions if problem.weighted else problem.step_macs
    read, written = main_memory_bytes(problem, run, size.total_bytes, blocked_macs=blocked)
    operands = _copies(datapath, shape) * (shape.banks or shape.lanes) * shape.positions * problem.value_bytes
    eaten = shape.rows * shape.lanes * (problem.value_bytes + (kernel.index_bytes if kernel.serves else 0))
    operands += eaten
    compulsory = size.total_bytes + problem.input_bytes + problem.output_bytes
    served = [max(cycles * operands, compulsory)] + [compulsory] * (len(device.levels) - 2)
    bounds = {"compute": cycles / (kernel.efficiency * use.clock_hz)}
    bounds |= level_bounds_s(run, kernel, (*served, read + written))
    bounds["overhead"] = overhead_s(run, problem)
    return Cost(
        kernel=kernel,
        size=size,
        macs_issued=cycles * shape.macs_per_cycle,
        bounds_s=bounds,
        dram_read_bytes=read,
        dram_write_bytes=written,
        mapping=_mapping(device, shape, use),
        fabric=use,
        parts=lambda macs: _parts(
            problem,
            run,
            size,
            macs / (cycles * shape.macs_per_cycle) if cycles else 1.0,
            cycles * eaten,
            [*served, read + written],
        ),
    )


def _parts(
    problem: Problem, run: Run, size: EncodedSize, useful: float, eaten_bytes: int, level_bytes: list[int]
) -> TimeParts:
    """``useful``: of the multiply-adds that the engine does. Slots that packing by banks pads are not told apart."""
    weights = [0.0] * (len(level_bytes) - 1)
    if problem.weighted:
        weights = [float(max(eaten_bytes, size.total_bytes)), *[float(size.total_bytes)] * (len(level_bytes) - 2)]
    weights.append(main_weight_bytes(problem, run, size.total_bytes, level_bytes[-1]))
    return TimeParts(useful={"compute": useful}, weights=weight_shares(run, weights, level_bytes))


def completed(shape: EngineShape, datapath: EngineKernel) -> EngineShape:
    """Return an engine that was given, with the banks and multiplexers that its kernel implies where it says none."""
    inputs = shape.lanes if datapath.addressing == "any" else 1
    return replace(shape, banks=shape.banks or shape.lanes, mux_inputs=shape.mux_inputs or inputs)


def fitting_use(
    device: RooflineDevice, datapath: EngineKernel, shape: EngineShape, dtype: Dtype, held_bytes: int
) -> FabricUse:
    """Return what an engine takes. Raises DeviceError, naming what is short, where it does not fit."""
    use = engine_use(device, datapath, shape, dtype, held_bytes)
    short = shortage(device, use)
    if short:
        raise DeviceError(f"device {device.name}: engine {datapath.name} that is given does not fit: {short}")
    return use


def built_kernel(device: RooflineDevice) -> EngineKernel | None:
    """Return the kernel whose engine was built, None where none was yet. Raises DeviceError for an unknown one."""
    engine = None if device.fabric is None else device.fabric.engine
    if engine is None:
        return None
    engines = {kernel.name: kernel for kernel in device.kernels if isinstance(kernel, EngineKernel)}
    if engine.kernel not in engines:
        rule = f"must be one of {', '.join(engines)}"
        raise DeviceError(f"device {device.name}: fabric.engine.kernel is {engine.kernel!r}, and {rule}")
    return engines[engine.kernel]


def _mapping(device: RooflineDevice, shape: EngineShape, use: FabricUse) -> str:
    total, main = _fabric(device).total, device.levels[-1]
    gbytes_per_s = main.bytes_per_s(1) / 1e9
    units = f", list of {shape.tokens} tokens" if shape.tokens else ""
    return (
        f"{shape.kernel}: {shape.rows} rows x {shape.lanes} lanes x {shape.positions} positions{units} at "
        f"{use.clock_hz / 1e6:.0f} MHz, {use.dsp} of {total.dsp} DSP, {use.bram36} of {total.bram36} BRAM36, "
        f"{use.uram} of {total.uram} URAM, {use.lut} of {total.lut} LUT, {main.name} {gbytes_per_s:.4g} GB/s"
    )


def _fabric(device: RooflineDevice) -> Fabric:
    if device.fabric is None:
        raise AssertionError(f"device {device.name} has an engine and no fabric")
    return device.fabric
