"""Cycles and what they were lost to: DESIGN section 5a, attribution."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from patterns.base import Pattern
from patterns.block import Block
from patterns.dense import Dense
from patterns.gs import GatherScatter
from patterns.unstructured import Unstructured
from simulator.devices.gs_tcm import GS_TCM, GS_TCM_OOO
from simulator.machine import run_stream
from simulator.result import CAUSES, LayerResult
from simulator.runner import stream_interval
from simulator.schedule.layer_program import compile_layer
from simulator.simulate import layer_facts, run_program, simulate
from simulator.spec import Device
from traces.layer import MatrixLayer, ProductLayer, UnsupportedLayer, VectorLayer, Window
from traces.trace import LayerTrace

CONV = MatrixLayer(
    name="conv", kind="conv2d", m=48, k=9 * 32, batch=1,
    window=Window(kernel=(3, 3), padding=(1, 1, 1, 1), in_hw=(9, 9), out_hw=(9, 9)),
)  # fmt: skip
FEW_CHANNELS = replace(CONV, name="few", k=9 * 3)
HIDDEN = MatrixLayer(
    name="hh", kind="lstm_hidden", m=128, k=32, batch=4, serial=True, window=Window(in_hw=(1, 6), out_hw=(1, 6))
)
DEPTHWISE = MatrixLayer(
    name="dw", kind="depthwise", groups=32, m=1, k=9,
    window=Window(kernel=(3, 3), padding=(1, 1, 1, 1), in_hw=(9, 9), out_hw=(9, 9)),
)  # fmt: skip
HASHED = replace(GS_TCM, name="hashed", scratchpad=replace(GS_TCM.scratchpad, hash="xor"))
NARROW = replace(
    GS_TCM_OOO,
    name="narrow",
    gather=replace(GS_TCM_OOO.gather, lanes=8, window=4, ports=2),
    weight_buffer=replace(GS_TCM.weight_buffer, bytes=8192, bytes_per_cycle=24),
    scatter=replace(GS_TCM.scatter, rmw_cycles=3),
)
DEVICES = (GS_TCM, GS_TCM_OOO, HASHED, NARROW)


def _pruned(layer: MatrixLayer, pattern: Pattern, sparsity: float) -> LayerTrace:
    scores = np.random.default_rng(5).random((layer.groups, layer.m, layer.k), dtype=np.float32)
    return LayerTrace(layer=layer, pattern=pattern, mask=pattern.project(scores, sparsity))


def _dense(layer: MatrixLayer) -> LayerTrace:
    mask = np.ones((layer.groups, layer.m, layer.k), dtype=np.bool_)
    return LayerTrace(layer=layer, pattern=Dense(), mask=mask)


TRACES = {
    "dense": _dense(CONV),
    "dense of few channels": _dense(FEW_CHANNELS),
    "unstructured": _pruned(CONV, Unstructured(), 0.9),
    "unstructured of few channels": _pruned(FEW_CHANNELS, Unstructured(), 0.7),
    "block 16x1": _pruned(CONV, Block(height=16, width=1), 0.8),
    "gs of 8 banks": _pruned(CONV, GatherScatter(banks=8, k=2), 0.8),
    "hidden product": _pruned(HIDDEN, Unstructured(), 0.5),
    "depthwise": _pruned(DEPTHWISE, Unstructured(), 0.5),
    "nothing kept": LayerTrace(layer=CONV, pattern=Unstructured(), mask=np.zeros((1, 48, 288), dtype=np.bool_)),
    "product": LayerTrace(layer=ProductLayer(name="qk", instances=3, m=20, k=24, p=20), pattern=Dense()),
    "addition": LayerTrace(
        layer=VectorLayer(name="add", kind="add", op="Add", elements=5000, input_elements=10_000, output_elements=5000),
        pattern=Dense(),
    ),
    "unsupported": LayerTrace(layer=UnsupportedLayer(name="x", op="NonMaxSuppression", reason="data"), pattern=Dense()),
}


def _check_sum(result: LayerResult) -> None:
    cycles = result.cycles
    assert cycles is not None
    assert set(cycles.lost) == set(CAUSES)
    assert sum(cycles.lost.values()) + cycles.effectual == pytest.approx(cycles.total, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("order", ["packed", "csr"])
@pytest.mark.parametrize("device", DEVICES, ids=[device.name for device in DEVICES])
@pytest.mark.parametrize("name", TRACES)
def test_causes_add_up_to_the_cycles_taken(name: str, device: Device, order: str) -> None:
    trace = TRACES[name]
    result = simulate(trace, device, order=order)
    cycles, counters = result.cycles, result.counters
    assert cycles is not None
    _check_sum(result)
    assert min(cycles.lost.values()) >= 0.0
    assert cycles.compute <= cycles.total
    assert 0.0 <= result.utilization <= 1.0
    assert counters.macs_effectual <= counters.macs_issued
    assert counters.macs_effectual == (trace.macs_dense if trace.mask is None else trace.kept * _positions(trace))
    assert counters.vector_elements == (5000 if name == "addition" else counters.vector_elements)
    if cycles.total:
        lanes = device.gather.lanes * device.vector
        assert result.utilization == pytest.approx(counters.macs_effectual / (lanes * cycles.total))
        assert result.bound in (*CAUSES, "compute")


def _positions(trace: LayerTrace) -> int:
    assert isinstance(trace.layer, MatrixLayer)
    return trace.layer.p


@pytest.mark.parametrize("device", DEVICES, ids=[device.name for device in DEVICES])
@pytest.mark.parametrize("name", ["dense", "unstructured", "hidden product", "product"])
def test_compute_cycles_are_those_of_every_stream_alone(name: str, device: Device) -> None:
    trace = TRACES[name]
    program = compile_layer(trace, device)
    alone = [
        run_stream(
            visit.stream, device.gather, device.scratchpad, device.mac, device.scatter,
            interval=stream_interval(visit.stream, device),
        )
        for visit in program.visits
        if visit.stream is not None
    ]  # fmt: skip
    cycles = run_program(layer_facts(trace, device), program, device).cycles
    assert cycles is not None
    gates = sum(-(-run.elements // device.vector_unit.elements_per_cycle) for run in program.vector_runs)
    assert cycles.compute == sum(result.cycles for result in alone) + gates
    assert cycles.gather == sum(result.gather for result in alone)


@pytest.mark.parametrize("device", [GS_TCM, GS_TCM_OOO], ids=["gs-tcm", "gs-tcm-ooo"])
@pytest.mark.parametrize("k", [1, 2, 4, 8, 16])
def test_a_strict_gs_layer_takes_a_cycle_a_group_and_the_pipelines_length(device: Device, k: int) -> None:
    groups_per_bundle, bundles = 6, 4
    rows = 16 // k
    mask = np.zeros((1, bundles * rows, 9 * 32), dtype=np.bool_)
    for bundle in range(bundles):  # group g: row i takes k banks, every bank once
        for group in range(groups_per_bundle):
            for lane in range(16):
                tap = group * 2 + bundle  # which 16 columns of 288: whole turns of the banks
                mask[0, bundle * rows + lane // k, tap * 16 + (lane + 3 * group) % 16] = True
    kept = int(mask.sum())
    pattern = GatherScatter(banks=16, k=k)
    assert kept == bundles * groups_per_bundle * 16
    assert pattern.check(mask) is None
    layer = replace(CONV, m=bundles * rows)
    trace = LayerTrace(layer=layer, pattern=pattern, mask=mask)
    one_tile = compile_layer(trace, device)  # finer ones empty the pipeline more than once
    result = simulate(trace, device, mapping=one_tile.mapping)
    assert len(one_tile.visits) == 1
    grid = [int(part) for part in result.mapping.split("strips=")[1].split()[0].split("x")]
    repeats = -(-9 // grid[1]) * -(-9 // grid[2])
    groups = result.counters.slots // 16
    # the first group is granted in cycle 0; its successors follow in steps of one; then gather latency, mac latency,
    # and one read-modify-write of up to 16 rows in 16 banks
    fill = device.gather.latency + device.mac.latency + device.scatter.rmw_cycles - 1
    assert result.cycles is not None
    assert result.cycles.compute == groups * repeats + fill
    assert result.cycles.gather == groups * repeats
    assert result.cycles.conflict == 0
    assert groups == kept // 16
    assert result.cycles.lost["padding"] == 0.0


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("batch", [1, 16, 20])
def test_every_step_of_a_recurrence_pays_for_its_gates(steps: int, batch: int) -> None:
    hidden = 32
    window = Window(in_hw=(1, steps), out_hw=(1, steps))
    trace = _dense(replace(HIDDEN, batch=batch, window=window))
    result = simulate(trace, GS_TCM, mapping=compile_layer(trace, GS_TCM).mapping)  # one tile
    groups = 4 * hidden * hidden // GS_TCM.gather.lanes
    fill = GS_TCM.gather.latency + GS_TCM.mac.latency + GS_TCM.scatter.rmw_cycles - 1
    rounds = [min(16, batch - first) for first in range(0, batch, 16)]
    # four activations and four updates a unit; a stream has one gap, that of its largest round
    gates = [-(-samples * hidden * (4 + 4) // GS_TCM.vector_unit.elements_per_cycle) for samples in rounds]
    repeats = steps * len(rounds)
    assert result.cycles is not None
    assert result.cycles.compute == repeats * (groups + fill) + (repeats - 1) * gates[0] + gates[-1]
    assert result.cycles.lost["vector"] == (repeats - 1) * gates[0] + gates[-1]
    _check_sum(result)


@pytest.mark.parametrize("kept_rows", [0, 64, 128])
def test_gates_take_their_time_whichever_tiles_of_a_recurrence_keep_a_weight(kept_rows: int) -> None:
    hidden, steps = 32, 5
    layer = replace(HIDDEN, batch=1, window=Window(in_hw=(1, steps), out_hw=(1, steps)))
    mask = np.zeros((1, 4 * hidden, hidden), dtype=np.bool_)
    mask[0, :kept_rows, 0] = True
    trace = LayerTrace(layer=layer, pattern=Unstructured(), mask=mask)
    result = simulate(trace, GS_TCM, mapping=f"rows={2 * hidden} tile=1x1 channels={hidden} strips=1x1x1 order=prc")
    assert result.cycles is not None
    assert result.cycles.lost["vector"] == steps * hidden * (4 + 4) // GS_TCM.vector_unit.elements_per_cycle
    _check_sum(result)


def test_a_weight_buffer_of_half_the_rate_costs_a_cycle_more_each_group() -> None:
    slow = replace(GS_TCM, weight_buffer=replace(GS_TCM.weight_buffer, bytes_per_cycle=32))
    trace = TRACES["unstructured"]
    fast_cycles, slow_cycles = simulate(trace, GS_TCM).cycles, simulate(trace, slow).cycles
    assert fast_cycles is not None
    assert slow_cycles is not None
    assert fast_cycles.lost["interval"] == 0.0
    assert slow_cycles.lost["interval"] == slow_cycles.compute - fast_cycles.compute > 0
    assert slow_cycles.stall >= slow_cycles.lost["interval"]


def test_column_order_loses_cycles_to_conflicts_and_packing_loses_them_to_padding() -> None:
    trace = TRACES["unstructured"]
    packed, columns = simulate(trace, GS_TCM).cycles, simulate(trace, GS_TCM, order="csr").cycles
    assert packed is not None
    assert columns is not None
    assert packed.conflict == 0
    assert packed.lost["padding"] > 0
    assert columns.conflict > 0
    assert columns.lost["padding"] == 0
    assert columns.compute > packed.compute


def test_a_device_given_its_own_interval_ignores_the_weight_buffer() -> None:
    fixed = replace(GS_TCM, gather=replace(GS_TCM.gather, interval=Fraction(3)))
    base, slow = simulate(TRACES["dense"], GS_TCM).cycles, simulate(TRACES["dense"], fixed).cycles
    assert base is not None
    assert slow is not None
    groups = base.gather
    assert slow.gather == 3 * (groups - 1) + 1


def test_a_vector_unit_faster_than_the_mac_array_does_not_exceed_full_use() -> None:
    small = replace(GS_TCM, vector=1)
    assert small.vector_unit.elements_per_cycle > small.gather.lanes * small.vector
    result = simulate(_dense(DEPTHWISE), small)
    assert 0 < result.utilization <= 1
    _check_sum(result)
