"""What each kind of layer becomes on the machine: a program, under the best mapping or the one that is asked for.

DESIGN section 5a, "Other layers". Left out: several cores (``many_cores.py``), fusion of layers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

import numpy as np

from patterns.dense import Dense
from simulator.issue import with_issue
from simulator.schedule.mapper import mappings
from simulator.schedule.mapping import Mapping, check_mapping, parse_mapping
from simulator.schedule.program import Program, VectorRun, Visit, proportional
from simulator.schedule.sources import GS, StreamPlan, pack_width, plan_streams
from simulator.schedule.tiles import TileTooLarge
from simulator.schedule.visits import compile_matrix
from simulator.spec import Device, DeviceError
from traces.layer import MatrixLayer, ProductLayer, UnsupportedLayer, VectorLayer, Window
from traces.trace import LayerTrace


def compile_layer(
    trace: LayerTrace,
    device: Device,
    *,
    encoding: str | None = None,
    order: str = "packed",
    mapping: str | None = None,
    plan: StreamPlan | None = None,
) -> Program:
    """Return the program of one layer on one core: the best mapping by DRAM bytes, or the one ``mapping`` spells.

    ``plan``: how the mask is stored and cut, where the caller has made it already.
    """
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
        case ProductLayer():
            return _product_program(layer, device)
        case MatrixLayer(kind="depthwise"):
            return _depthwise_program(trace, layer, device)
        case MatrixLayer():
            return _matrix_program(trace, layer, device, plan or plan_streams(trace, device, encoding, order), mapping)
        case _:
            assert_never(layer)


def _matrix_program(
    trace: LayerTrace, layer: MatrixLayer, device: Device, plan: StreamPlan, mapping: str | None
) -> Program:
    slots = trace.pattern.banks if plan.encoding == "gs" and isinstance(trace.pattern, GS) else pack_width(device)

    def compiled(choice: Mapping) -> Program:
        program = compile_matrix(trace, device, choice, plan)
        return with_issue(program, trace, device.gather.lanes, slots, plan.rows_per_bundle)

    if mapping is not None:
        forced = parse_mapping(mapping)
        check_mapping(layer, device, forced, plan.rows_per_bundle)
        try:
            return compiled(forced)
        except TileTooLarge:
            raise DeviceError(f"layer {layer.name}: mapping {mapping!r} overflows the weight buffer") from None
    for choice in mappings(layer, device, plan.row_bytes, plan.rows_per_bundle):
        try:
            return compiled(choice)
        except TileTooLarge:
            continue
    raise DeviceError(f"layer {layer.name}: no tile of its weights fits the weight buffer of device {device.name}")


def _product_program(layer: ProductLayer, device: Device) -> Program:
    """One instance as a dense layer whose weights are an operand, then all instances one after another."""
    tokens = Window(in_hw=(1, layer.p), out_hw=(1, layer.p))
    as_matrix = MatrixLayer(name=layer.name, kind="linear", m=layer.m, k=layer.k, window=tokens)
    dense = LayerTrace(layer=as_matrix, pattern=Dense(), mask=np.ones((1, layer.m, layer.k), dtype=np.bool_))
    one = _matrix_program(dense, as_matrix, device, plan_streams(dense, device, None, "packed"), None)
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
