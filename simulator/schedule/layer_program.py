"""What each kind of layer becomes on the machine: a program, under the best mapping or the one that is asked for.

DESIGN section 5a, "Other layers". Left out: several cores (``many_cores.py``), fusion of layers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import assert_never

import numpy as np

from patterns.dense import Dense
from simulator.schedule.program import Program, VectorRun, Visit, proportional
from simulator.schedule.sources import StreamPlan, plan_streams
from simulator.schedule.tilings import Judge, Tilings
from simulator.spec import Device
from traces.layer import MatrixLayer, ProductLayer, UnsupportedLayer, VectorLayer, Window
from traces.trace import LayerTrace


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Made:
    """What was made so far, each program once: one that is asked for again is the same one."""

    tilings: dict[LayerTrace, Tilings] = field(default_factory=dict)
    unmapped: dict[LayerTrace, Program] = field(default_factory=dict)  # of layers without a mapping to choose
    products: dict[int, tuple[Program, Program]] = field(default_factory=dict)  # one instance, all, by id of the first


def compile_layer(
    trace: LayerTrace,
    device: Device,
    *,
    encoding: str | None = None,
    order: str = "packed",
    mapping: str | None = None,
    plan: StreamPlan | None = None,
    judge: Judge | None = None,
    made: Made | None = None,
) -> Program:
    """Return the program of one layer on one core, under the fastest mapping or the one that ``mapping`` spells.

    ``judge``: who is fastest; without one it is the mapping of the fewest DRAM bytes. ``plan``: how the mask is stored
    and cut, where the caller has made it already. ``made``: kept between calls with equal arguments on devices that
    differ in timing alone.
    """
    layer = trace.layer
    made = made or Made()
    if not isinstance(layer, MatrixLayer | ProductLayer) or layer.kind == "depthwise":
        if trace not in made.unmapped:
            made.unmapped[trace] = _unmapped(trace, device)
        return made.unmapped[trace]
    if trace not in made.tilings:
        matrix = _instance(layer) if isinstance(layer, ProductLayer) else trace
        made.tilings[trace] = Tilings(matrix, device, plan or plan_streams(matrix, device, encoding, order))
    tilings = made.tilings[trace]
    if isinstance(layer, ProductLayer):
        one = tilings.fastest(judge) if judge else tilings.fewest_bytes()
        if id(one) not in made.products:
            made.products[id(one)] = one, _product_program(layer, one)
        return made.products[id(one)][1]
    if mapping is not None:
        return tilings.forced(mapping)
    return tilings.fastest(judge) if judge else tilings.fewest_bytes()


def _unmapped(trace: LayerTrace, device: Device) -> Program:
    """Return the program of a layer that the vector unit runs, or that takes no time."""
    layer = trace.layer
    value = device.widths.value_bytes
    match layer:
        case UnsupportedLayer():
            return Program(reason=f"unsupported operator {layer.op}, not counted: {layer.reason}")
        case VectorLayer(kind="gates"):
            return _without_time(layer, device, "runs as the gap of the hidden product")
        case VectorLayer() if layer.fused_into:
            return _without_time(layer, device, f"fused into {layer.fused_into}: applied while its outputs leave")
        case VectorLayer():
            moved = (layer.weight_elements * value, layer.input_elements * value, layer.output_elements * value)
            program = _vector_program(device, layer.elements, *moved)
            return replace(program, weight_bytes=layer.stored_weight_elements * value)
        case MatrixLayer():
            return _depthwise_program(trace, layer, device)
        case ProductLayer():
            raise AssertionError(f"layer {layer.name} has a mapping")
        case _:
            assert_never(layer)


def _instance(layer: ProductLayer) -> LayerTrace:
    """Return one instance as a dense layer whose weights are an operand."""
    tokens = Window(in_hw=(1, layer.p), out_hw=(1, layer.p))
    as_matrix = MatrixLayer(name=layer.name, kind="linear", m=layer.m, k=layer.k, window=tokens)
    return LayerTrace(layer=as_matrix, pattern=Dense(), mask=np.ones((1, layer.m, layer.k), dtype=np.bool_))


def _product_program(layer: ProductLayer, one: Program) -> Program:
    """Return all instances, one after another."""
    return replace(
        one,
        visits=tuple(_of_instance(visit, number) for number in range(layer.instances) for visit in one.visits),
        weight_bytes=0,
        index_bytes=0,
        slots=0,
        slot_macs=layer.macs,
        macs_effectual=layer.macs,
    )


def _of_instance(visit: Visit, number: int) -> Visit:
    """Return a visit whose operands are those of one instance: other bytes than another's, in places of their own."""

    def named(tag: str) -> str:
        return f"{tag[0]}{number}.{tag[1:]}" if tag else ""

    runs = (
        replace(run, operands=tuple((named(tag), size) for tag, size in run.operands), stored=named(run.stored))
        for run in visit.runs
    )
    return replace(visit, runs=tuple(runs))


def _depthwise_program(trace: LayerTrace, layer: MatrixLayer, device: Device) -> Program:
    value = device.widths.value_bytes
    moved = (layer.weight_elements * value, layer.input_elements * value, layer.output_elements * value)
    pruned = trace.kept < layer.weight_elements
    return replace(
        _vector_program(device, layer.macs, *moved),
        encoding="dense",
        weight_bytes=layer.weight_elements * value,
        slots=layer.weight_elements,
        slot_macs=layer.macs,
        macs_effectual=trace.kept * layer.p,
        reason="the vector unit multiplies zeros of a depthwise kernel too" if pruned else "",
    )


def _vector_program(device: Device, elements: int, weight_bytes: int, input_bytes: int, store_bytes: int) -> Program:
    """Return the program of element work: chunks that fit the activation buffers, elements shared out evenly."""
    room = device.scratchpad.activation_bytes
    moved_bytes = weight_bytes + input_bytes + store_bytes
    chunks = max(1, -(-moved_bytes // room))
    shares = (proportional(total, [1] * chunks) for total in (weight_bytes, input_bytes, elements, store_bytes))
    return Program(
        vector_runs=tuple(
            VectorRun(load_bytes=weights + inputs, elements=work, store_bytes=store, weight_bytes=weights)
            for weights, inputs, work, store in zip(*shares, strict=True)
        ),
        scratchpad_bytes=min(moved_bytes, room * device.scratchpad.activation_buffers),
    )


def _without_time(layer: VectorLayer, device: Device, reason: str) -> Program:
    """Element work whose time another layer holds: its parameters are stored all the same."""
    return Program(weight_bytes=layer.stored_weight_elements * device.widths.value_bytes, reason=reason)
