"""What every accelerator preset must do, whatever its numbers: each layer kind, each pattern, sums that add up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from patterns.base import Pattern
from patterns.catalog import ALL_PATTERNS, parse_pattern
from patterns.dense import Dense
from simulator.devices.catalog import ALL_DEVICES
from simulator.result import CAUSES, TIME, LayerResult
from simulator.simulate import simulate
from simulator.spec import Device, Dram
from traces.builder import NetworkBuilder
from traces.fusion import fuse
from traces.layer import MatrixLayer, Network
from traces.masks import Level, trace_network
from traces.trace import LayerTrace

SPARSITIES = (0.6, 0.9)


def network() -> Network:
    """One layer of every kind: convolutions, depthwise and grouped ones, linear, LSTM, attention, element work."""
    rng = np.random.default_rng(7)

    def weight(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32)

    b = NetworkBuilder("every-kind")
    b.input("x", (1, 3, 12, 12))
    b.conv("stem", "x", weight(16, 3, 3, 3), "s", padding=(1, 1, 1, 1))
    b.vector("relu", "activation", "Relu", ["s"], "r", (1, 16, 12, 12), channelwise=True)
    b.conv("depthwise", "r", weight(16, 1, 3, 3), "d", padding=(1, 1, 1, 1), groups=16)
    b.conv("grouped", "d", weight(32, 8, 3, 3), "g", stride=(2, 2), padding=(1, 1, 1, 1), groups=2)
    b.conv("pointwise", "g", weight(24, 32, 1, 1), "p")
    b.vector("pool", "pool", "MaxPool", ["p"], "q", (1, 24, 3, 3), elements=24 * 9 * 4, channelwise=True)
    b.view("tokens", "q", (1, 9, 24))
    b.linear("query", "tokens", weight(32, 24), "a")
    b.linear("key", "tokens", weight(32, 24), "b")
    b.product("score", "a", "b", "c", (1, 9, 9), m=9, k=32, p=9)
    b.vector("softmax", "softmax", "Softmax", ["c"], "e", (1, 9, 9), elements=81)
    b.product("value", "e", "a", "f", (1, 9, 32), m=9, k=9, p=32)
    b.view("steps", "f", (9, 1, 32))
    b.recurrent("lstm", "steps", weight(128, 32), weight(128, 32), "h", cell="lstm", steps=9, batch=1)
    b.unsupported("odd", "TopK", "no lowering", ["h"], [("o", (9, 1, 32))])
    b.view("last", "h", (9, 32))
    b.linear("head", "last", weight(10, 32), "y")
    return fuse(b.build(["y"]))


NETWORK = network()


def check_sums(result: LayerResult, device: Device) -> None:
    """The rules of DESIGN sections 5a and 7 that hold for any row of a cycle-level model."""
    assert result.cycles is not None
    cycles, counters = result.cycles, result.counters
    assert set(cycles.lost) <= set(CAUSES)
    assert sum(cycles.lost.values()) + cycles.effectual == pytest.approx(cycles.total, rel=1e-12, abs=1e-9)
    assert tuple(result.time_s) == TIME
    assert min(result.time_s.values()) >= 0
    assert sum(result.time_s.values()) == pytest.approx(result.latency_s, rel=1e-12)
    assert cycles.total >= cycles.compute >= 0
    assert result.latency_s == cycles.total / device.clock_hz
    assert 0 <= result.utilization <= 1
    assert counters.macs_effectual <= counters.macs_issued
    assert counters.macs_effectual <= counters.macs_dense
    if cycles.total:
        assert result.utilization == pytest.approx(counters.macs_effectual / (device.macs_per_cycle * cycles.total))
        assert result.bound in {*CAUSES, "compute"}


@pytest.mark.parametrize("device", ALL_DEVICES, ids=lambda device: device.name)
@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("kind", ALL_PATTERNS, ids=lambda kind: kind.name)
def test_every_layer_kind_runs_under_every_pattern_and_its_cycles_add_up(
    device: Device, sparsity: float, kind: object
) -> None:
    pattern: Pattern = parse_pattern(kind.example)  # type: ignore[attr-defined]
    level = Level(pattern=pattern, sparsity=None if isinstance(pattern, Dense) else sparsity)
    prune_all = pattern.spelling != "bank_balanced:16"  # nine taps of a depthwise row are no sixteen segments
    for trace in trace_network(NETWORK, level, prune_all=prune_all).traces:
        check_sums(simulate(trace, device), device)


@pytest.mark.parametrize("device", ALL_DEVICES, ids=lambda device: device.name)
@pytest.mark.parametrize("encoding", ["dense", "csr", "bitmap", "packed"])
def test_a_mask_runs_in_every_encoding_that_holds_it_with_the_same_effectual_macs(
    device: Device, encoding: str
) -> None:
    level = Level(pattern=parse_pattern("unstructured"), sparsity=0.8)
    for trace in trace_network(NETWORK, level).traces:
        result = simulate(trace, device, encoding=encoding)
        check_sums(result, device)
        if isinstance(trace.layer, MatrixLayer):
            assert result.counters.macs_effectual == trace.kept * trace.layer.p


def layer_trace(m: int, k: int, spelling: str, sparsity: float) -> LayerTrace:
    b = NetworkBuilder("one")
    b.input("x", (1, 16, k))
    b.linear("fc", "x", np.random.default_rng(1).standard_normal((m, k), dtype=np.float32), "y")
    level = Level(pattern=parse_pattern(spelling), sparsity=sparsity)
    (trace,) = trace_network(b.build(["y"]), level, prune_all=True, match="slots").traces
    return trace


@pytest.mark.parametrize("device", ALL_DEVICES, ids=lambda device: device.name)
@pytest.mark.parametrize("rows", [16, 4, 1])
def test_a_strictly_gs_layer_takes_one_cycle_a_group(device: Device, rows: int) -> None:
    banks = device.scratchpad.banks
    trace = layer_trace(64, 256, f"gs:{banks},{max(1, banks // rows)}", 0.9)
    result = simulate(trace, replace(device, core=None))  # the units' rule; what a core issues comes on top
    assert result.cycles is not None
    repeats = 16 // device.vector  # of the 16 tokens
    groups = trace.kept // banks * repeats  # strict: every slot is filled
    # the last group is granted in cycle groups - 1, multiplied after both latencies, and scattered at the end
    fill = device.gather.latency + device.mac.latency - 1 + device.scatter.rmw_cycles
    tiles = -(-64 // int(result.mapping.split("rows=")[1].split()[0]))  # each is a stream of its own
    assert result.cycles.compute == groups + tiles * fill
    assert result.cycles.gather == groups
    assert result.cycles.lost["conflict"] == 0
    assert result.cycles.lost["padding"] == 0


@pytest.mark.parametrize("device", ALL_DEVICES, ids=lambda device: device.name)
def test_column_order_is_never_faster_than_packing_in_compute(device: Device) -> None:
    trace = layer_trace(64, 512, "unstructured", 0.9)
    packed, column_order = simulate(trace, device), simulate(trace, device, order="csr")
    assert packed.cycles is not None
    assert column_order.cycles is not None
    assert packed.cycles.lost["conflict"] == 0
    assert column_order.cycles.compute >= packed.cycles.compute


@pytest.mark.parametrize("device", ALL_DEVICES, ids=lambda device: device.name)
def test_every_number_of_a_preset_has_a_source_or_says_assumed(device: Device) -> None:
    assert "*" in device.sources
    assert "assumed" in device.summary or "assumed" not in device.sources["*"]


@pytest.mark.parametrize("device", ALL_DEVICES, ids=lambda device: device.name)
def test_a_slower_dram_never_makes_a_layer_faster(device: Device) -> None:
    trace = layer_trace(64, 256, "gs:16,1", 0.8)
    dram = device.dram
    if dram.timing is None:
        slower = replace(dram, bytes_per_s=dram.bytes_per_s // 4)
    else:
        slower = Dram.timed(
            replace(dram.timing, clock_hz=dram.timing.clock_hz // 4), latency_cycles=dram.latency_cycles
        )
    assert simulate(trace, replace(device, dram=slower)).latency_s > simulate(trace, device).latency_s


@pytest.mark.parametrize("device", ALL_DEVICES, ids=lambda device: device.name)
def test_a_flat_dram_of_the_same_rate_is_close_to_one_with_rows(device: Device) -> None:
    trace = layer_trace(256, 1024, "gs:16,1", 0.8)
    flat = replace(device, dram=replace(device.dram, timing=None))
    timed, plain = simulate(trace, device), simulate(trace, flat)
    assert timed.cycles is not None
    assert plain.cycles is not None
    assert timed.cycles.compute == plain.cycles.compute
    check_sums(timed, device)
    check_sums(plain, flat)
    assert timed.latency_s == pytest.approx(plain.latency_s, rel=0.15)
