"""The front door of the cycle-level model: a layer's trace and a device in, cycles and their causes out.

The order of a layer's tiles and its DRAM traffic come from the mapper, the cycles of a stream from the kernels, the
overlap of transfers and compute from the SimPy engine. Layers run one after another; a layer reads its inputs from
DRAM and writes its outputs back. A layer is shared out over a device's cores in the way that is fastest. Left out:
different layers on different cores, fusion of layers; energy is made of the counts (``costmodel/energy.py``).
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from fractions import Fraction

from simulator.attribution import lost_cycles
from simulator.engine import Recorder, Transfer
from simulator.judge import CycleJudge, LayerRuns
from simulator.result import Counters, Cycles, LayerResult
from simulator.runner import run_parts, with_transfers
from simulator.schedule.many_cores import LayerWays
from simulator.schedule.program import Program
from simulator.spec import Device
from simulator.time_by_cause import buffer_share, cycle_time_s
from traces.layer import Layer, MatrixLayer, ProductLayer, UnsupportedLayer, VectorLayer
from traces.trace import LayerTrace


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFacts:
    """What a result says of a layer beside its cycles; a trace directory carries it from run to replay."""

    layer: str
    kind: str
    m: int
    k: int
    p: int
    groups: int
    density: float | None
    macs_dense: int
    activation_bytes: int
    vector_elements: int = 0
    pattern: str = ""
    kept: int = 0
    weights_dense: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SharedLayer:
    """What devices of one geometry share of a layer: the ways to run it, and what has been run."""

    ways: LayerWays
    runs: LayerRuns
    facts: LayerFacts


Programs = MutableMapping[object, SharedLayer]


def simulate(
    trace: LayerTrace,
    device: Device,
    *,
    encoding: str | None = None,
    order: str = "packed",
    mapping: str | None = None,
    programs: Programs | None = None,
) -> LayerResult:
    """Return the cycles of one layer on ``device`` and what they were lost to.

    ``order``: "packed" or "csr", the stream of patterns without groups of their own. ``mapping``: as a result spells
    it. ``programs``: reused between calls on devices that differ in timing alone. Raises DeviceError and ValueError.
    """
    key = (trace, encoding, order, mapping, _geometry(device, trace.layer))
    shared = programs.get(key) if programs is not None else None
    if shared is None:
        ways = LayerWays(trace, device, encoding=encoding, order=order, mapping=mapping)
        shared = SharedLayer(ways=ways, runs=LayerRuns(), facts=layer_facts(trace, device))
        if programs is not None:
            programs[key] = shared
    judge = CycleJudge(device, shared.runs)
    return run_program(shared.facts, _fastest(shared.ways, judge), device, judge)


def best_program(
    trace: LayerTrace, device: Device, *, encoding: str | None = None, order: str = "packed", mapping: str | None = None
) -> Program:
    """Return the program whose result ``simulate`` gives: of the ways to share a layer out, the fastest."""
    return _fastest(LayerWays(trace, device, encoding=encoding, order=order, mapping=mapping), CycleJudge(device))


def _fastest(ways: LayerWays, judge: CycleJudge) -> Program:
    """Return the first of the fastest programs."""
    programs = ways.programs(judge)
    return programs[0] if len(programs) == 1 else min(programs, key=lambda program: judge.traffic(program)[0].cycles)


def _geometry(device: Device, layer: Layer) -> tuple[object, ...]:
    """All of a device that a program of ``layer`` depends on."""
    pad = device.scratchpad
    has_gates = isinstance(layer, MatrixLayer) and layer.serial  # whose element work is a gap between repeats
    return (
        device.cores,
        device.gather.lanes,
        device.vector,
        (pad.banks, pad.activation_bytes, pad.activation_buffers, pad.output_bytes, pad.output_buffers),
        pad.scatter_half,
        device.weight_buffer.bytes,
        device.weight_buffer.buffers,
        device.vector_unit if has_gates else None,
        device.widths,
    )


def layer_facts(trace: LayerTrace, device: Device) -> LayerFacts:
    """Return the columns of a row that no cycle moves."""
    layer = trace.layer
    m, k, p, groups = _matrix_shape(layer)
    moved = 0 if isinstance(layer, UnsupportedLayer) else layer.input_elements + layer.output_elements
    return LayerFacts(
        layer=layer.name,
        kind=layer.kind,
        m=m,
        k=k,
        p=p,
        groups=groups,
        density=trace.density,
        macs_dense=trace.macs_dense,
        activation_bytes=moved * device.widths.value_bytes,
        vector_elements=_vector_elements(layer),
        pattern=trace.pattern.spelling,
        kept=trace.kept,
        weights_dense=trace.weights_dense,
        reason=trace.reason,
    )


def _vector_elements(layer: Layer) -> int:
    """Element operations; those of a recurrence are counted by its layer of gates."""
    if isinstance(layer, VectorLayer):
        return layer.elements
    return layer.macs if isinstance(layer, MatrixLayer) and layer.kind == "depthwise" else 0


def _matrix_shape(layer: Layer) -> tuple[int, int, int, int]:
    """Return (m, k, p, groups) of a layer; zeros where it has no matrix."""
    match layer:
        case MatrixLayer():
            return layer.m, layer.k, layer.p, layer.groups
        case ProductLayer():
            return layer.m, layer.k, layer.p, layer.instances
        case _:
            return 0, 0, 0, 0


def run_program(facts: LayerFacts, program: Program, device: Device, judge: CycleJudge | None = None) -> LayerResult:
    """Return the result of running ``program``: once as the device is, then with one cause after another removed.

    ``judge``: one of this device, which may have run the program already.
    """
    judge = judge or CycleJudge(device)
    results, vector, compute = judge.streams(program), judge.vector(program), max(judge.compute(program))
    transfers, alone = judge.traffic(program)
    total = transfers.cycles
    peak = device.macs_per_cycle
    counts = judge.runs.counts(program, device)
    issued = counts.groups * (peak // device.cores)
    if program.on_vector_unit:  # element work may come faster than the MAC array's
        peak = max(peak, device.cores * device.vector_unit.elements_per_cycle)
        issued = sum(vector) * device.vector_unit.elements_per_cycle if program.macs_effectual else 0
    lost = lost_cycles(program, device, total=total, alone=alone, compute=compute, peak=peak, runs=judge.runs)
    effectual = Fraction(program.macs_effectual, peak)
    causes = {**lost, "compute": effectual}
    return LayerResult(
        layer=facts.layer,
        kind=facts.kind,
        m=facts.m,
        k=facts.k,
        p=facts.p,
        groups=facts.groups,
        density=facts.density,
        device=device.name,
        device_kind=device.kind,
        model_kind="cycle",
        latency_s=total / device.clock_hz,
        counters=Counters(
            macs_dense=facts.macs_dense,
            macs_effectual=program.macs_effectual,
            macs_issued=issued,
            vector_elements=facts.vector_elements,
            weight_bytes=program.weight_bytes,
            index_bytes=program.index_bytes,
            activation_bytes=facts.activation_bytes,
            dram_read_bytes=transfers.dram_read_bytes,
            dram_write_bytes=transfers.dram_write_bytes,
            scratchpad_read_words=counts.read_words,
            scratchpad_write_words=counts.written_words,
            scratchpad_bytes=program.scratchpad_bytes,
            slots=program.slots,
            macs_active=program.slot_macs if program.has_visits else 0,
            buffer_value_bytes=counts.value_bytes,
            buffer_index_bytes=counts.index_bytes,
            vector_unit_bytes=counts.vector_unit_bytes,
            second_level_read_bytes=transfers.second_level_read_bytes,
            second_level_write_bytes=transfers.second_level_write_bytes,
        ),
        cycles=Cycles(
            total=total,
            compute=compute,
            gather=max(sum(result.gather for result in core) for core in results),
            conflict=int(lost["conflict"]),
            stall=int(lost["core"] + lost["dram"] + lost["scatter"] + lost["interval"]),
            waiting_words=max((result.waiting_words for core in results for result in core), default=0),
            effectual=float(effectual),
            lost={cause: float(value) for cause, value in lost.items()},
        ),
        bound=max(causes, key=lambda cause: causes[cause]) if total else "",
        bounds_s={cause: float(value) / device.clock_hz for cause, value in causes.items()},
        time_s=cycle_time_s(
            lost,
            total=total,
            effectual=effectual,
            weight_share=counts.weight_share,
            buffer_share=buffer_share(program, device, judge.runs) if lost["interval"] else Fraction(0),
            clock_hz=device.clock_hz,
        ),
        utilization=float(effectual / total) if total else 0.0,
        mapping=program.mapping,
        encoding=program.encoding,
        kernel="gather/scatter" if program.has_visits else "vector unit" if program.on_vector_unit else "",
        reason="; ".join(text for text in (facts.reason, program.reason) if text),
    )


def layer_transfers(
    trace: LayerTrace, device: Device, *, encoding: str | None = None, order: str = "packed", mapping: str | None = None
) -> list[Transfer]:
    """Return what ``simulate`` asks of the DRAM for one layer, in the order of asking. Raises what it raises."""
    program = best_program(trace, device, encoding=encoding, order=order, mapping=mapping)
    transfers: list[Transfer] = []
    with_transfers(program, run_parts(program, device), device, transfers)
    return transfers


def record_program(program: Program, device: Device, record: Recorder) -> int:
    """Run ``program`` once as the device is, tell ``record`` when each tile ran, and return its cycles.

    Tiles of each core are numbered in the order of ``runner.tile_places``, cores from 0.
    """
    traffic, _ = with_transfers(program, run_parts(program, device), device, record=record)
    return traffic.cycles
