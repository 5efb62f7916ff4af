"""The front door of the cycle-level model: a layer's trace and a device in, cycles and their causes out.

The order of a layer's tiles and its DRAM traffic come from the mapper, the cycles of a stream from the kernels, the
overlap of transfers and compute from the SimPy engine. Layers run one after another; a layer reads its inputs from
DRAM and writes its outputs back. Left out: several cores, fusion of layers, energy.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from simulator.engine import Recorder, Step, run_steps, unrecorded
from simulator.machine import StreamCycles, run_stream
from simulator.result import Counters, Cycles, LayerResult
from simulator.schedule.mapping import check_mapping, mappings, parse_mapping
from simulator.schedule.program import (
    Program,
    TileTooLarge,
    Visit,
    compile_matrix,
    proportional,
    vector_program,
)
from simulator.schedule.sources import plan_streams
from simulator.spec import Device, DeviceError
from traces.layer import Layer, MatrixLayer, ProductLayer, UnsupportedLayer, VectorLayer, Window
from traces.stream import RequestStream
from traces.trace import LayerTrace

# what cycles are lost to, in the order in which causes are removed: waiting for DRAM, bank conflicts, scatter stalls,
# the weight buffer's interval, imbalance and raggedness (with pipeline fill and drain), padding; then the vector unit
CAUSES = (
    "dram",
    "conflict",
    "scatter",
    "interval",
    "imbalance",
    "padding",
    "vector",
)
Programs = MutableMapping[object, Program]


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
    dense_weights: int = 0
    reason: str = ""


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
    facts = layer_facts(trace, device)
    key = (trace, encoding, order, mapping, _geometry(device))
    program = programs.get(key) if programs is not None else None
    if program is None:
        program = compile_layer(trace, device, encoding=encoding, order=order, mapping=mapping)
        if programs is not None:
            programs[key] = program
    return run_program(facts, program, device)


def _geometry(device: Device) -> tuple[object, ...]:
    """All of a device that a program depends on."""
    pad = device.scratchpad
    return (
        device.gather.lanes,
        device.vector,
        replace(pad, hash="none"),
        device.weight_buffer.bytes,
        device.weight_buffer.buffers,
        device.vector_unit,
        device.widths,
    )


def compile_layer(
    trace: LayerTrace, device: Device, *, encoding: str | None = None, order: str = "packed", mapping: str | None = None
) -> Program:
    """Return the program of one layer: the best mapping by DRAM bytes, or the one that ``mapping`` spells."""
    if device.cores != 1:
        raise DeviceError(f"device {device.name}: cores is {device.cores}, and this version simulates 1")
    layer = trace.layer
    value = device.widths.value_bytes
    match layer:
        case UnsupportedLayer():
            return Program(reason=f"unsupported operator {layer.op}, not counted: {layer.reason}")
        case VectorLayer(kind="gates"):
            return Program(reason="runs as the gap of the hidden product")
        case VectorLayer() if layer.fused_into:
            program = Program(weight_bytes=layer.stored_weight_elements * value)
            return replace(program, reason=f"fused into {layer.fused_into}: applied while its outputs leave")
        case VectorLayer():
            load = (layer.input_elements + layer.weight_elements) * value
            program = vector_program(device, layer.elements, load, layer.output_elements * value)
            return replace(program, weight_bytes=layer.stored_weight_elements * value)
        case ProductLayer():
            return _product_program(trace, layer, device, order)
        case MatrixLayer(kind="depthwise"):
            return _depthwise_program(trace, layer, device)
        case MatrixLayer():
            return _matrix_program(trace, layer, device, encoding, order, mapping)


def _matrix_program(
    trace: LayerTrace, layer: MatrixLayer, device: Device, encoding: str | None, order: str, mapping: str | None
) -> Program:
    plan = plan_streams(trace, device, encoding, order)
    if mapping is not None:
        forced = parse_mapping(mapping)
        check_mapping(layer, device, forced, plan.rows_per_bundle)
        try:
            return compile_matrix(trace, device, forced, plan)
        except TileTooLarge:
            raise DeviceError(f"layer {layer.name}: mapping {mapping!r} overflows the weight buffer") from None
    for choice in mappings(layer, device, plan.row_bytes, plan.rows_per_bundle):
        try:
            return compile_matrix(trace, device, choice, plan)
        except TileTooLarge:
            continue
    raise DeviceError(f"layer {layer.name}: no tile of its weights fits the weight buffer of device {device.name}")


def _product_program(trace: LayerTrace, layer: ProductLayer, device: Device, order: str) -> Program:
    """One instance as a dense layer whose weights are an operand, then all instances one after another."""
    tokens = Window(in_hw=(1, layer.p), out_hw=(1, layer.p))
    as_matrix = MatrixLayer(name=layer.name, kind="linear", m=layer.m, k=layer.k, window=tokens)
    mask = np.ones((1, layer.m, layer.k), dtype=np.bool_)
    one = _matrix_program(
        LayerTrace(layer=as_matrix, pattern=trace.pattern, mask=mask), as_matrix, device, "dense", order, None
    )
    return replace(
        one,
        visits=one.visits * layer.instances,
        weight_bytes=0,
        index_bytes=0,
        slots=0,
        slot_macs=layer.macs,
        macs_effectual=layer.macs,
    )


def _depthwise_program(trace: LayerTrace, layer: MatrixLayer, device: Device) -> Program:
    value = device.widths.value_bytes
    load = (layer.input_elements + layer.weight_elements) * value
    program = vector_program(
        device, layer.macs, load, layer.output_elements * value, macs=trace.kept * layer.p,
        weight_bytes=layer.weight_elements * value,
    )  # fmt: skip
    pruned = trace.kept < layer.weight_elements
    reason = "the vector unit multiplies zeros of a depthwise kernel too" if pruned else ""
    return replace(program, slots=layer.weight_elements, slot_macs=layer.macs, encoding="dense", reason=reason)


def layer_facts(trace: LayerTrace, device: Device) -> LayerFacts:
    """Return the columns of a row that no cycle moves."""
    layer = trace.layer
    m, k, p, groups = matrix_shape(layer)
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
        dense_weights=0 if trace.mask is None else trace.dense_weights or trace.mask.size,
        reason=trace.reason,
    )


def _vector_elements(layer: Layer) -> int:
    if isinstance(layer, VectorLayer):
        return layer.elements
    if isinstance(layer, MatrixLayer):
        if layer.kind == "depthwise":
            return layer.macs
        return layer.gate_elements * layer.p // layer.batch
    return 0


def matrix_shape(layer: Layer) -> tuple[int, int, int, int]:
    """Return (m, k, p, groups) of a layer; zeros where it has no matrix."""
    match layer:
        case MatrixLayer():
            return layer.m, layer.k, layer.p, layer.groups
        case ProductLayer():
            return layer.m, layer.k, layer.p, layer.instances
        case _:
            return 0, 0, 0, 0


def run_program(facts: LayerFacts, program: Program, device: Device) -> LayerResult:
    """Return the result of running ``program``: once as the device is, then with one cause after another removed."""
    runner = _Runner(device)
    base = runner.all(program)
    vector = sum(_vector_cycles(elements, device) for _, elements, _ in program.vector_runs)
    compute = sum(result.cycles for result in base) + vector
    total = _with_transfers(program, base, device)
    peak = device.gather.lanes * device.vector
    if program.vector_runs and not program.visits:  # element work may come faster than the MAC array's
        peak = max(peak, device.vector_unit.elements_per_cycle)
    issued = sum(
        visit.stream.groups * visit.stream.repeats * peak for visit in program.visits if visit.stream is not None
    )
    if program.vector_runs and not program.visits and program.macs_effectual:
        issued = vector * device.vector_unit.elements_per_cycle
    lost = _attribute(runner, program, total, compute, vector, peak)
    effectual = Fraction(program.macs_effectual, peak)
    reads = sum(run.load_bytes for visit in program.visits for run in visit.runs)
    writes = sum(run.store_bytes for visit in program.visits for run in visit.runs)
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
            dram_read_bytes=reads + sum(load for load, _, _ in program.vector_runs),
            dram_write_bytes=writes + sum(store for _, _, store in program.vector_runs),
            scratchpad_read_words=_words(program, "address"),
            scratchpad_write_words=_words(program, "scatter_address"),
            scratchpad_bytes=program.scratchpad_bytes,
            slots=program.slots,
        ),
        cycles=Cycles(
            total=total,
            compute=compute,
            gather=sum(result.gather for result in base),
            conflict=int(lost["conflict"]),
            stall=int(lost["dram"] + lost["scatter"] + lost["interval"]),
            waiting_words=max((result.waiting_words for result in base), default=0),
            effectual=float(effectual),
            lost={cause: float(value) for cause, value in lost.items()},
        ),
        bound=max(causes, key=lambda cause: causes[cause]) if total else "",
        bounds_s={cause: float(value) / device.clock_hz for cause, value in causes.items()},
        utilization=float(effectual / total) if total else 0.0,
        mapping=program.mapping,
        encoding=program.encoding,
        kernel="gather/scatter" if program.visits else ("vector unit" if program.vector_runs else ""),
        reason="; ".join(text for text in (facts.reason, program.reason) if text),
    )


def record_program(program: Program, device: Device, record: Recorder) -> int:
    """Run ``program`` once as the device is, tell ``record`` when each step ran, and return its cycles.

    Steps are numbered in the order of ``step_places``.
    """
    return _with_transfers(program, _Runner(device).all(program), device, record)


def step_places(program: Program) -> list[tuple[int, int]]:
    """Return the visit and the run of each step in the order in which they run; visit -1 is element work."""
    runs = [[(number, run) for run in range(len(visit.runs))] for number, visit in enumerate(program.visits)]
    ordered = zip(*runs, strict=True) if program.serial else runs
    return [place for places in ordered for place in places] + [(-1, run) for run in range(len(program.vector_runs))]


def _words(program: Program, field: str) -> int:
    return sum(
        len(getattr(visit.stream, field)) * visit.stream.repeats for visit in program.visits if visit.stream is not None
    )


class _Runner:
    """Runs a program's streams on one device; streams with the same arrays are run once."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def all(
        self, program: Program, device: Device | None = None, interval: Fraction | None = None
    ) -> list[StreamCycles]:
        chosen = device or self.device
        seen: dict[tuple[object, ...], StreamCycles] = {}
        results = []
        for visit in program.visits:
            if visit.stream is None:
                continue
            key = _identity(visit.stream)
            if key not in seen:
                seen[key] = run_stream(
                    visit.stream,
                    chosen.gather,
                    chosen.scratchpad,
                    chosen.mac,
                    chosen.scatter,
                    interval=interval or stream_interval(visit.stream, chosen),
                )
            results.append(seen[key])
        return results


def _identity(stream: RequestStream) -> tuple[object, ...]:
    offset = b"" if stream.repeat_offset is None else stream.repeat_offset.tobytes()
    return (
        id(stream.address),
        id(stream.scatter_address),
        stream.repeats,
        offset,
        stream.repeat_stride,
        stream.scatter_stride,
        stream.serial,
        stream.gap,
        stream.bytes_per_group,
    )


def stream_interval(stream: RequestStream, device: Device) -> Fraction:
    """Return cycles per group: the device's own interval, or what the weight buffer needs for a group's bytes.

    A stream that does not say its bytes per group carries a value and an index for each lane.
    """
    if device.gather.interval is not None:
        return device.gather.interval
    size = stream.bytes_per_group
    if size is None:
        size = device.gather.lanes * (device.widths.value_bytes + device.widths.index_bytes)
    return Fraction(size, device.weight_buffer.bytes_per_cycle)


def _attribute(
    runner: _Runner, program: Program, total: int, compute: int, vector: int, peak: int
) -> dict[str, Fraction]:
    """Return cycles by cause, in the order of DESIGN section 5a; with the effectual cycles they add up to ``total``."""
    device = runner.device
    ideal = Fraction(program.macs_effectual, peak)
    lost = dict.fromkeys(CAUSES, Fraction(0))
    lost["dram"] = Fraction(total - compute)
    if not program.visits:
        lost["vector"] = Fraction(vector) - ideal
        return lost
    no_conflicts = replace(device, gather=replace(device.gather, ports=device.gather.lanes))
    widest = max((_most_scattered(visit) for visit in program.visits), default=1)
    no_stalls = replace(no_conflicts, scatter=replace(device.scatter, rmw_cycles=1, ports=max(1, widest)))
    free = [
        sum(result.cycles for result in runner.all(program, no_conflicts)),
        sum(result.cycles for result in runner.all(program, no_stalls)),
        sum(result.cycles for result in runner.all(program, no_stalls, Fraction(1))),
    ]
    gaps = sum(visit.stream.gap * (visit.stream.repeats - 1) for visit in program.visits if visit.stream is not None)
    slots = Fraction(program.slot_macs, peak)
    lost["conflict"] = Fraction(compute - vector - free[0])
    lost["scatter"] = Fraction(free[0] - free[1])
    lost["interval"] = Fraction(free[1] - free[2])
    lost["vector"] = Fraction(gaps + vector)
    lost["imbalance"] = free[2] - gaps - slots
    lost["padding"] = slots - ideal
    return lost


def _most_scattered(visit: Visit) -> int:
    if visit.stream is None:
        return 1
    pointer = visit.stream.scatter_ptr
    return int((pointer[1:] - pointer[:-1]).max())


def _with_transfers(
    program: Program, results: list[StreamCycles], device: Device, record: Recorder = unrecorded
) -> int:
    """Return the cycles with DMA and DRAM: every tile waits for its bytes."""
    steps = list(_steps(program, results, device))
    pad = device.scratchpad
    return run_steps(steps, device.dram, device.clock_hz, pad.activation_buffers, pad.output_buffers, record)


def _tile_cycles(visit: Visit, result: StreamCycles | None) -> list[int]:
    """Return the cycles of each of a visit's runs: by repeats, or by the tiles that a trace marks in its stream."""
    if result is None:
        return [0] * len(visit.runs)
    if result.tile_ends and len(visit.runs) == len(result.tile_ends):
        ends = [0, *result.tile_ends[:-1], result.cycles]  # further repeats run with the last tile
        return [high - low for low, high in itertools.pairwise(ends)]
    return proportional(result.cycles, [run.repeats for run in visit.runs])


def _vector_cycles(elements: int, device: Device) -> int:
    return -(-elements // device.vector_unit.elements_per_cycle)


def _steps(program: Program, results: list[StreamCycles], device: Device) -> Iterable[Step]:
    left = iter(results)
    shared: list[list[Step]] = []
    for visit in program.visits:
        result = next(left) if visit.stream is not None else None
        shares = _tile_cycles(visit, result)
        shared.append(
            [
                Step(load_bytes=run.load_bytes, compute_cycles=part, store_bytes=run.store_bytes)
                for run, part in zip(visit.runs, shares, strict=True)
            ]
        )
    if program.serial:  # all tiles of a step of time before the next step
        for at_once in zip(*shared, strict=True):
            yield from at_once
    else:
        for steps in shared:
            yield from steps
    for load, elements, store in program.vector_runs:
        yield Step(load_bytes=load, compute_cycles=_vector_cycles(elements, device), store_bytes=store)
