"""Layers on several cores that share a DRAM and a second level: DESIGN section 5a.

The engine is compared with a machine stepped cycle by cycle, the sharing with the layer that it shares out.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from gatherline.cli import app
from patterns.base import Pattern
from patterns.block import Block
from patterns.dense import Dense
from patterns.gs import GatherScatter
from patterns.gs_scatter import GatherScatterPermuted
from patterns.n_of_m import NOfM
from patterns.unstructured import Unstructured
from simulator.attribution import lost_cycles, slowest_core
from simulator.device_file import load_device
from simulator.devices.gs_tcm import GS_TCM, GS_TCM_OOO
from simulator.engine import Tile, Transfer, run_cores
from simulator.memory.dram import open_memory
from simulator.memory.regions import place_cores, region_unit
from simulator.memory.timings import ALL_TIMINGS
from simulator.replay import read_programs, write_programs
from simulator.result import CAUSES, LayerResult
from simulator.runner import run_parts, with_transfers
from simulator.schedule.layer_program import compile_layer
from simulator.schedule.many_cores import layer_programs
from simulator.schedule.mapping import axes
from simulator.schedule.sharing import deal, row_unit, sharings
from simulator.schedule.sources import plan_streams
from simulator.simulate import best_program, layer_facts, layer_transfers, run_program, simulate
from simulator.spec import Device, DeviceError, Dram, DramTiming, SecondLevel
from tests.reference.cores import Stepper
from traces.layer import MatrixLayer, ProductLayer, VectorLayer, Window
from traces.stream import TraceError
from traces.trace import LayerTrace

CLOCK_HZ = 1_000_000_000
DRAM = Dram(bytes_per_s=17_100_000_000, burst_bytes=64, latency_cycles=100)
FAST = replace(DRAM, bytes_per_s=10**14)


def _tile(load: int, compute: int, store: int, *operands: tuple[str, int]) -> Tile:
    return Tile(load_bytes=load, compute_cycles=compute, store_bytes=store, operands=operands)


@st.composite
def machines(draw: st.DrawFn) -> tuple[list[list[Tile]], Dram, int, int, SecondLevel]:
    """Small numbers, so that many things happen in one cycle."""
    most = draw(st.sampled_from([2, 6, 40]))
    sizes = {tag: draw(st.integers(1, most)) for tag in ("w0", "w1", "x0", "x1", "s0")}
    number = st.integers(0, most)
    cores = []
    for _ in range(draw(st.integers(1, 4))):
        tiles = []
        for _ in range(draw(st.integers(0, 6))):
            tags = draw(st.lists(st.sampled_from(sorted(sizes)), max_size=3))
            operands = [(tag, sizes[tag]) for tag in tags]
            rest = draw(number)
            tiles.append(_tile(sum(size for _, size in operands) + rest, draw(number), draw(number), *operands))
        cores.append(tiles)
    dram = Dram(
        bytes_per_s=draw(st.sampled_from([500_000_000, 1_000_000_000, 3_000_000_000])),
        burst_bytes=draw(st.sampled_from([1, 3])),
        latency_cycles=draw(st.integers(1, 5)),
    )
    level = SecondLevel(bytes=draw(st.sampled_from([0, 3, 10, 1000])), bytes_per_cycle=draw(st.integers(1, 4)))
    return cores, dram, draw(st.integers(1, 3)), draw(st.integers(1, 3)), level


@given(machine=machines())
@settings(max_examples=400, deadline=None, derandomize=True)
def test_the_engine_equals_the_machine_stepped_cycle_by_cycle(
    machine: tuple[list[list[Tile]], Dram, int, int, SecondLevel],
) -> None:
    cores, dram, buffers_in, buffers_out, level = machine
    found = run_cores(cores, dram, CLOCK_HZ, buffers_in, buffers_out, level)
    if not any(tile.load_bytes or tile.store_bytes for tiles in cores for tile in tiles):
        assert found.cycles == max(sum(tile.compute_cycles for tile in tiles) for tiles in cores)
        return
    cycles, read, second = Stepper(cores, dram, CLOCK_HZ, buffers_in, buffers_out, level).run()
    assert (found.cycles, found.dram_read_bytes, found.second_level_read_bytes) == (cycles, read, second)
    loads = sum(tile.load_bytes for tiles in cores for tile in tiles)
    assert found.dram_read_bytes + found.second_level_read_bytes == loads
    assert found.dram_write_bytes == sum(tile.store_bytes for tiles in cores for tile in tiles)


@given(machine=machines(), timing=st.sampled_from(ALL_TIMINGS), scale=st.sampled_from([1, 300]))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_cores_share_one_timed_dram_that_serves_them_in_the_order_of_asking(
    machine: tuple[list[list[Tile]], Dram, int, int, SecondLevel], timing: DramTiming, scale: int
) -> None:
    small, _, buffers_in, buffers_out, _ = machine
    drawn = [[_scaled(tile, scale, core) for tile in tiles] for core, tiles in enumerate(small)]
    dram = Dram.timed(timing, latency_cycles=30)
    cores = place_cores(drawn, region_unit(dram))
    seen: list[Transfer] = []
    found = run_cores(cores, dram, CLOCK_HZ, buffers_in, buffers_out, transfers=seen)
    memory = open_memory(dram, CLOCK_HZ)
    for transfer in seen:
        served = memory.serve(transfer.cycle, transfer.address, transfer.size_bytes, transfer.is_write)
        assert served[1] == transfer.done_cycle
    assert [transfer.cycle for transfer in seen] == sorted(transfer.cycle for transfer in seen)
    assert found.cycles >= max([transfer.done_cycle for transfer in seen if transfer.is_write], default=0)
    loads = [[load for tile in tiles for load in _loads(tile)] for tiles in cores]
    read = Counter((t.address, t.size_bytes) for t in seen if not t.is_write)
    assert read == Counter(load for of_core in loads for load in of_core)
    first = [_loads(tiles[0])[0] for tiles in cores if tiles and tiles[0].load_bytes]
    at_once = [(t.address, t.size_bytes) for t in seen if t.cycle == 0 and not t.is_write]
    assert (
        list(dict.fromkeys(each for each in at_once if each in first)) == first
    )  # all ask in cycle 0: the lowest core goes first


def _scaled(tile: Tile, scale: int, core: int) -> Tile:
    operands = [(f"{tag} of {core}", scale * size) for tag, size in tile.operands]
    return _tile(scale * tile.load_bytes, tile.compute_cycles, scale * tile.store_bytes, *operands)


def _loads(tile: Tile) -> list[tuple[int, int]]:
    """Address and bytes of each transfer that loads a tile."""
    parts = [(address, size) for (_, size), address in zip(tile.operands, tile.operand_addresses, strict=True)]
    rest = tile.load_bytes - sum(size for _, size in parts)
    return [*parts, (tile.load_address, rest)] if rest else parts


@pytest.mark.parametrize("name", ["dense", "unstructured", "hidden product of one sample", "products", "addition"])
@pytest.mark.parametrize("cores", [1, 4])
def test_a_second_level_too_small_to_keep_anything_changes_nothing(name: str, cores: int) -> None:
    device = replace(GS_TCM, cores=cores, weight_buffer=replace(GS_TCM.weight_buffer, bytes=8192))
    too_small = replace(device, second_level=SecondLevel(bytes=1))
    assert simulate(TRACES[name], too_small) == simulate(TRACES[name], device)
    assert layer_transfers(TRACES[name], too_small) == layer_transfers(TRACES[name], device)


CONV = MatrixLayer(
    name="conv", kind="conv2d", m=96, k=9 * 32, batch=1,
    window=Window(kernel=(3, 3), padding=(1, 1, 1, 1), in_hw=(14, 14), out_hw=(14, 14)),
)  # fmt: skip
STRIDED = replace(CONV, name="strided", k=32, window=Window(stride=(2, 2), in_hw=(15, 9), out_hw=(8, 5)))
GROUPED = replace(CONV, name="grouped", groups=4, m=24, k=9 * 16)
LINEAR = MatrixLayer(name="linear", kind="linear", m=80, k=64, batch=3)
TOKENS = MatrixLayer(name="tokens", kind="linear", m=64, k=64, window=Window(in_hw=(1, 50), out_hw=(1, 50)))
HIDDEN = MatrixLayer(
    name="hh", kind="lstm_hidden", m=128, k=32, batch=20, serial=True, window=Window(in_hw=(1, 6), out_hw=(1, 6))
)
DEPTHWISE = MatrixLayer(
    name="dw", kind="depthwise", groups=32, m=1, k=9,
    window=Window(kernel=(3, 3), padding=(1, 1, 1, 1), in_hw=(9, 9), out_hw=(9, 9)),
)  # fmt: skip


def _pruned(layer: MatrixLayer, pattern: Pattern, sparsity: float) -> LayerTrace:
    scores = np.random.default_rng(5).random((layer.groups, layer.m, layer.k), dtype=np.float32)
    return LayerTrace(layer=layer, pattern=pattern, mask=pattern.project(scores, sparsity))


def _dense(layer: MatrixLayer) -> LayerTrace:
    mask = np.ones((layer.groups, layer.m, layer.k), dtype=np.bool_)
    return LayerTrace(layer=layer, pattern=Dense(), mask=mask)


TRACES = {
    "dense": _dense(CONV),
    "strided": _dense(STRIDED),
    "unstructured": _pruned(CONV, Unstructured(), 0.9),
    "gs": _pruned(CONV, GatherScatter(banks=16, k=1), 0.8),
    "gs of 8 banks": _pruned(CONV, GatherScatter(banks=8, k=2), 0.8),
    "gs permuted": _pruned(CONV, GatherScatterPermuted(banks=16, k=4), 0.8),
    "block taller than the lanes": _pruned(CONV, Block(height=32, width=1), 0.8),
    "2 of 4": _pruned(CONV, NOfM(n=2, m=4), 0.5),
    "groups": _pruned(GROUPED, Unstructured(), 0.5),
    "samples": _pruned(LINEAR, Unstructured(), 0.5),
    "tokens": _dense(TOKENS),
    "hidden product": _pruned(HIDDEN, Unstructured(), 0.5),
    "hidden product of one sample": _pruned(replace(HIDDEN, batch=1), Unstructured(), 0.5),
    "depthwise": _pruned(DEPTHWISE, Unstructured(), 0.5),
    "nothing kept": LayerTrace(layer=CONV, pattern=Unstructured(), mask=np.zeros((1, 96, 288), dtype=np.bool_)),
    "products": LayerTrace(layer=ProductLayer(name="qk", instances=3, m=20, k=24, p=20), pattern=Dense()),
    "addition": LayerTrace(
        layer=VectorLayer(name="add", kind="add", op="Add", elements=5000, input_elements=10_000, output_elements=5000),
        pattern=Dense(),
    ),
}
FOUR = replace(GS_TCM, name="four", cores=4)
LEVEL = SecondLevel(bytes=1 << 20, bytes_per_cycle=128)
THREE = replace(
    GS_TCM_OOO,
    name="three",
    cores=3,
    gather=replace(GS_TCM_OOO.gather, lanes=8, window=4),
    weight_buffer=replace(GS_TCM.weight_buffer, bytes=12_000, bytes_per_cycle=24),
    scatter=replace(GS_TCM.scatter, rmw_cycles=3),
    second_level=LEVEL,
)
DEVICES = (FOUR, THREE)


def _cycles(result: LayerResult) -> int:
    assert result.cycles is not None
    return result.cycles.total


@pytest.mark.parametrize("device", DEVICES, ids=[device.name for device in DEVICES])
@pytest.mark.parametrize("name", TRACES)
def test_every_way_to_share_a_layer_out_does_the_same_work_and_its_causes_add_up(name: str, device: Device) -> None:
    trace = TRACES[name]
    programs = layer_programs(trace, device)
    alone = compile_layer(trace, device)
    for program in programs:
        assert program.macs_effectual == alone.macs_effectual
        assert len(program.parts) <= device.cores
        results = run_parts(program, device)
        transfers, apart = with_transfers(program, results, device)
        compute = slowest_core(program, device)[0]
        peak = device.macs_per_cycle if program.has_visits else device.cores * device.vector_unit.elements_per_cycle
        lost = lost_cycles(program, device, total=transfers.cycles, alone=apart, compute=compute, peak=peak)
        assert tuple(lost) == CAUSES
        assert sum(lost.values()) + Fraction(program.macs_effectual, peak) == transfers.cycles
        assert min(value for cause, value in lost.items() if cause != "core") >= 0
        assert lost["core"] >= 0 or device.second_level.bytes
        assert lost["core"] == 0 or program.cores
        result = run_program(layer_facts(trace, device), program, device)
        assert _cycles(result) == transfers.cycles
        assert result.counters.macs_effectual <= result.counters.macs_issued
        assert 0 <= result.utilization <= 1


@pytest.mark.parametrize("name", TRACES)
def test_a_device_of_many_cores_is_never_slower_than_one_of_its_cores(name: str) -> None:
    trace = TRACES[name]
    assert _cycles(simulate(trace, FOUR)) <= _cycles(simulate(trace, GS_TCM))


@pytest.mark.parametrize("name", TRACES)
def test_one_core_runs_the_program_of_the_layer_itself(name: str) -> None:
    trace = TRACES[name]
    assert len(layer_programs(trace, GS_TCM)) == 1
    result = simulate(trace, GS_TCM)
    assert result == run_program(layer_facts(trace, GS_TCM), best_program(trace, GS_TCM), GS_TCM)
    assert result.cycles is not None
    assert result.cycles.lost["core"] == 0
    assert "cores" not in result.mapping


@pytest.mark.parametrize("cores", [2, 3, 4])
@pytest.mark.parametrize("name", ["dense", "gs", "tokens"])
def test_compute_becomes_faster_by_at_most_the_number_of_cores(name: str, cores: int) -> None:
    one = simulate(TRACES[name], replace(GS_TCM, dram=FAST))
    many = simulate(TRACES[name], replace(GS_TCM, dram=FAST, cores=cores))
    assert one.cycles is not None
    assert many.cycles is not None
    assert 1.3 < one.cycles.compute / many.cycles.compute <= cores


def _groups(name: str, cores: int) -> list[int]:
    device = replace(GS_TCM, cores=cores)
    trace = TRACES[name]
    (rows,) = [each for each in sharings(trace, cores, 16, plan_streams(trace, device, None, "packed"))
               if each.way == "rows"]  # fmt: skip
    return [plan_streams(part, device, None, "packed").slots // 16 for part in rows.traces]


@pytest.mark.parametrize("name", ["gs", "gs permuted"])
def test_rows_are_shared_out_by_whole_bundles_so_that_a_gs_mask_keeps_its_groups(name: str) -> None:
    (whole,) = {plan_streams(TRACES[name], GS_TCM, None, "packed").slots // 16}
    shared = _groups(name, 3)
    assert sum(shared) == whole
    assert max(shared) - min(shared) <= whole // 6


@given(units=st.integers(1, 60), cores=st.integers(1, 9))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_units_are_dealt_to_and_fro_each_once(units: int, cores: int) -> None:
    hands = deal(units, cores)
    assert sorted(unit for hand in hands for unit in hand) == list(range(units))
    assert max(map(len, hands)) - min(map(len, hands)) <= 1
    assert len(hands) == min(units, cores)
    assert all(hand == sorted(hand) for hand in hands)  # the last bundle, which may be ragged, stays last


def test_rows_stay_in_turns_of_the_banks_where_that_leaves_no_core_with_more() -> None:
    assert row_unit(128, 4, 1, 16) == 16
    assert row_unit(48, 4, 1, 16) == 1  # 3 turns for 4 cores: 12 rows each are better than 16
    assert row_unit(48, 4, 4, 16) == 4


@given(
    size=st.integers(1, 20), kernel=st.integers(1, 4), stride=st.integers(1, 3), dilation=st.integers(1, 2),
    pad=st.integers(0, 2), cores=st.integers(2, 5),
)  # fmt: skip
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_share_of_positions_reads_for_each_output_the_pixels_that_the_layer_reads(
    size: int, kernel: int, stride: int, dilation: int, pad: int, cores: int
) -> None:
    out = (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
    if out < 2:
        return
    window = Window(
        kernel=(kernel, 1), stride=(stride, 1), dilation=(dilation, 1), padding=(pad, 0, pad, 0), in_hw=(size, 1),
        out_hw=(out, 1),
    )  # fmt: skip
    layer = MatrixLayer(name="cut", kind="conv2d", m=1, k=kernel, window=window)
    for sharing in sharings(_dense(layer), cores, 16, None):
        found = []
        for part in sharing.traces:
            assert isinstance(part.layer, MatrixLayer)
            down = axes(part.layer)[0]
            found += [down.loaded(output, 1) for output in range(part.layer.window.out_hw[0])]
        assert found == [axes(layer)[0].loaded(output, 1) for output in range(out)]


def test_samples_of_a_recurrence_are_shared_out_and_one_sample_says_why_not() -> None:
    shared = simulate(TRACES["hidden product"], replace(FOUR, dram=FAST))
    assert shared.mapping.startswith("cores=4 by positions")
    one = simulate(TRACES["hidden product of one sample"], FOUR)
    assert one.mapping.startswith("cores=1 | ")
    assert "each step of a recurrence needs the one before" in one.reason


def test_a_second_level_serves_inputs_that_all_cores_read_from_dram_once() -> None:
    trace = TRACES["dense"]
    with_level = replace(FOUR, second_level=LEVEL)
    way = "cores=4 by rows | rows=32 tile=14x1 channels=32 strips=1x1x14 order=rcp"
    without, result = simulate(trace, FOUR, mapping=way), simulate(trace, with_level, mapping=way)
    inputs, weights, outputs = 14 * 14 * 32 * 2, 96 * 288 * 2, 96 * 14 * 14 * 2
    halo = 14 * (2 * 12 + 2) * 32 * 2  # a strip is a column, and reads its neighbours: two, or one at an edge
    assert without.counters.dram_read_bytes == 4 * (inputs + halo) + weights
    assert result.counters.dram_read_bytes == inputs + halo + weights
    assert without.counters.dram_write_bytes == result.counters.dram_write_bytes == outputs
    assert _cycles(result) < _cycles(without)


def test_a_second_level_serves_weights_that_all_cores_read_where_positions_are_shared_out() -> None:
    trace = TRACES["dense"]
    ways = [p for p in layer_programs(trace, replace(FOUR, second_level=LEVEL)) if "by positions" in p.mapping]
    without = [p for p in layer_programs(trace, FOUR) if "by positions" in p.mapping]
    found = run_program(layer_facts(trace, FOUR), ways[0], replace(FOUR, second_level=LEVEL)).counters
    plain = run_program(layer_facts(trace, FOUR), without[0], FOUR).counters
    assert plain.dram_read_bytes - found.dram_read_bytes == (4 - 1) * 96 * 288 * 2
    assert found.weight_bytes == plain.weight_bytes == 96 * 288 * 2  # stored once, whoever reads them


@pytest.mark.parametrize("device", DEVICES, ids=[device.name for device in DEVICES])
@pytest.mark.parametrize("name", TRACES)
def test_transfers_of_a_layer_are_those_of_its_fastest_way(name: str, device: Device) -> None:
    counters = simulate(TRACES[name], device).counters
    transfers = layer_transfers(TRACES[name], device)
    assert sum(each.size_bytes for each in transfers if not each.is_write) == counters.dram_read_bytes
    assert sum(each.size_bytes for each in transfers if each.is_write) == counters.dram_write_bytes


def test_one_core_streams_weights_from_the_second_level_again() -> None:
    trace = TRACES["hidden product of one sample"]
    small = replace(GS_TCM, weight_buffer=replace(GS_TCM.weight_buffer, bytes=2048))
    behind = simulate(trace, replace(small, second_level=LEVEL)).counters
    assert behind.dram_read_bytes < simulate(trace, small).counters.dram_read_bytes


@pytest.mark.parametrize("name", ["dense", "gs", "groups", "samples", "addition"])
def test_the_mapping_of_a_result_forces_the_same_result(name: str) -> None:
    trace = TRACES[name]
    result = simulate(trace, FOUR)
    if name == "addition":
        assert result.mapping == "cores=4 by elements"
        return
    assert simulate(trace, FOUR, mapping=result.mapping) == result


@pytest.mark.parametrize(
    ("mapping", "rule"),
    [
        ("cores=9 by rows | rows=16 tile=1x1 channels=32 strips=1x1x1 order=rpc", "must begin with one of cores=1"),
        ("cores=4 by rows | a | b", "one for each of its 4 cores"),
        ("rows", "must read 'rows=R tile=HxW"),
    ],
)
def test_a_mapping_that_no_way_has_is_refused(mapping: str, rule: str) -> None:
    with pytest.raises(DeviceError, match=rule):
        simulate(TRACES["dense"], FOUR, mapping=mapping)


@pytest.mark.parametrize("device", DEVICES, ids=[device.name for device in DEVICES])
def test_a_replay_of_many_cores_equals_the_run_in_every_field(device: Device, tmp_path: Path) -> None:
    expected = [simulate(trace, device) for trace in TRACES.values()]
    made = [(layer_facts(trace, device), best_program(trace, device), {}) for trace in TRACES.values()]
    write_programs(tmp_path / "trace", made, {})
    found = [run_program(facts, program, device) for facts, program in read_programs(tmp_path / "trace", device)]
    assert found == expected
    entries = json.loads((tmp_path / "trace" / "trace.json").read_text())["layers"]
    assert {entry["core"] for entry in entries if "core" in entry} == set(range(device.cores))
    with pytest.raises(TraceError, match="and must be over 1 to 1, those of device"):
        list(read_programs(tmp_path / "trace", replace(device, cores=1)))


def test_a_device_file_with_four_cores_runs_from_the_command(tmp_path: Path) -> None:
    (tmp_path / "four.toml").write_text('base = "gs-tcm"\ncores = 4\n[second_level]\nbytes = 1048576\n')
    done = CliRunner().invoke(app, ["run", "digits", "--device", str(tmp_path / "four.toml"), "--json"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["rows"]
    assert any(str(row["mapping"]).startswith("cores=4 by ") for row in rows)
    for row in rows:
        lost = sum(row[f"lost_{cause}_cycles"] for cause in CAUSES)
        assert lost + row["effectual_cycles"] == pytest.approx(row["cycles"], rel=1e-9)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("cores = 0", "Device.cores is 0, and must be at least 1"),
        ("cores = 5000", "Device.cores is 5000, and must be at most 4096"),
        ("[second_level]\nbytes = -1", "SecondLevel.bytes is -1, and must be at least 1"),
        ("[second_level]\nbytes_per_cycle = 0", "SecondLevel.bytes_per_cycle is 0, and must be at least 1"),
    ],
)
def test_cores_and_a_second_level_that_cannot_be_are_refused(text: str, rule: str, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(f'base = "gs-tcm"\n{text}\n')
    with pytest.raises(DeviceError, match=rule):
        load_device(tmp_path / "bad.toml")
