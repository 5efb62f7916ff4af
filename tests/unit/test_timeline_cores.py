"""A timeline of several cores: nested on every track of every core, and what it says adds up to the result."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from gatherline import cli
from gatherline.timeline_file import write_timeline
from patterns.base import Pattern
from patterns.dense import Dense
from patterns.gs import GatherScatter
from patterns.unstructured import Unstructured
from simulator.devices.gs_tcm import GS_TCM_X4
from simulator.memory.dram import bus_cycles
from simulator.replay import read_programs, write_programs
from simulator.runner import run_parts, vector_cycles, with_transfers
from simulator.schedule.many_cores import layer_programs
from simulator.schedule.program import Program, TileRun, Visit
from simulator.schedule.sharing import Way
from simulator.simulate import LayerFacts, layer_facts, run_program
from simulator.spec import NO_SECOND_LEVEL, Device, Dram, SecondLevel
from simulator.timeline import Detail, layer_events, layer_size
from simulator.timeline_event import OF_A_CORE, SECOND_LEVEL, SHARED, Event
from tests.machine_document import request_stream
from tests.unit.test_timeline import opened
from traces.layer import MatrixLayer, ProductLayer, VectorLayer, Window
from traces.trace import LayerTrace

MAP = Window(kernel=(3, 3), padding=(1, 1, 1, 1), in_hw=(7, 7), out_hw=(7, 7))


def _masked(layer: MatrixLayer, pattern: Pattern, sparsity: float) -> LayerTrace:
    scores = np.random.default_rng(5).random((layer.groups, layer.m, layer.k), dtype=np.float32)
    return LayerTrace(layer=layer, pattern=pattern, mask=pattern.project(scores, sparsity), sparsity_target=sparsity)


TRACES = (
    _masked(MatrixLayer(name="conv", kind="conv2d", m=40, k=9 * 32, window=MAP), Unstructured(), 0.8),
    _masked(
        MatrixLayer(name="gs", kind="conv2d", m=40, k=9 * 32, batch=5, window=MAP), GatherScatter(banks=16, k=4), 0.9
    ),
    _masked(MatrixLayer(name="groups", kind="conv2d", m=16, k=9 * 16, groups=6, window=MAP), Unstructured(), 0.7),
    _masked(
        MatrixLayer(
            name="time", kind="lstm_hidden", m=128, k=32, batch=3, serial=True,
            window=Window(in_hw=(1, 5), out_hw=(1, 5)),
        ),
        Unstructured(), 0.5,
    ),
    _masked(MatrixLayer(name="depthwise", kind="depthwise", m=1, k=9, groups=48, window=MAP), Dense(), 0.0),
    LayerTrace(layer=ProductLayer(name="product", instances=3, m=20, k=24, p=20), pattern=Dense()),
    LayerTrace(
        layer=VectorLayer(name="add", kind="add", op="Add", elements=90, input_elements=180, output_elements=90),
        pattern=Dense(),
    ),
)  # fmt: skip
TIGHT = replace(  # many tiles, that cores read from one another and push out of a small second level
    GS_TCM_X4,
    name="tight",
    cores=3,
    weight_buffer=replace(GS_TCM_X4.weight_buffer, bytes=6000),
    scratchpad=replace(GS_TCM_X4.scratchpad, activation_bytes=16_384, output_bytes=4096, hash="xor"),
    second_level=SecondLevel(bytes=20_000, bytes_per_cycle=16),
)
FLAT = Dram(bytes_per_s=17_100_000_000, burst_bytes=64, latency_cycles=100)
DEVICES = (
    GS_TCM_X4,
    replace(GS_TCM_X4, name="apart", second_level=NO_SECOND_LEVEL),
    TIGHT,
    replace(TIGHT, name="flat", dram=FLAT, cores=2),
    replace(TIGHT, name="tight apart", second_level=NO_SECOND_LEVEL),
)
DETAILS: tuple[Detail, ...] = ("groups", "tiles", "layer")


def ways(device: Device) -> Iterator[tuple[LayerFacts, Program]]:
    """Every way in which each layer can be shared out."""
    for trace in TRACES:
        for program in layer_programs(trace, device):
            yield layer_facts(trace, device), program


def spans(events: list[Event]) -> dict[tuple[int, str], list[Event]]:
    found = defaultdict(list)
    for event in events:
        found[event.core, event.track].append(event)
    return found


def assert_nested(events: list[Event]) -> None:
    around: list[int] = []
    for event in sorted(events, key=lambda event: (event.start_cycles, -event.end_cycles)):
        assert event.end_cycles > event.start_cycles
        while around and around[-1] <= event.start_cycles:
            around.pop()
        assert not around or event.end_cycles <= around[-1], event
        around.append(event.end_cycles)


def cycles(events: list[Event], *starts: str) -> int:
    return sum(event.end_cycles - event.start_cycles for event in events if event.name.startswith(starts or ""))


def size_bytes(events: list[Event], *starts: str) -> int:
    return sum(int(event.facts.get("bytes", 0)) for event in events if event.name.startswith(starts or ""))


def test_the_layers_are_shared_out_in_every_way_there_is() -> None:
    shared = {program.mapping.split(" | ")[0].split(" by ")[-1] for _, program in ways(GS_TCM_X4) if program.cores}
    assert shared == set(get_args(Way))


@pytest.mark.parametrize("device", DEVICES, ids=[device.name for device in DEVICES])
def test_tracks_of_all_cores_are_nested_and_end_with_the_layer(device: Device) -> None:
    for facts, program in ways(device):
        total = run_program(facts, program, device).cycles
        assert total is not None
        size = layer_size(facts, program, device)
        for detail in DETAILS:
            took, made = layer_events(facts, program, device, detail, 1000)
            events = list(made)
            assert took == total.total
            assert len(events) <= size.at(detail)
            assert max(event.end_cycles for event in events) == 1000 + total.total
            assert min(event.start_cycles for event in events) == 1000
            for (core, track), found in spans(events).items():
                assert track in (SHARED if core == 0 else OF_A_CORE)
                assert device.second_level.bytes or track not in SECOND_LEVEL
                assert_nested(found)
            whole = [event for event in events if event.name == facts.layer]
            assert [event.core for event in whole] == list(range(1, len(program.parts) + 1))
            assert {(event.start_cycles, event.end_cycles) for event in whole} == {(1000, 1000 + total.total)}


@pytest.mark.parametrize("device", DEVICES, ids=[device.name for device in DEVICES])
def test_the_cycles_of_a_core_s_events_are_its_own_work(device: Device) -> None:
    for facts, program in ways(device):
        results = run_parts(program, device)
        found = spans(list(layer_events(facts, program, device, "groups", 0)[1]))
        for core, (part, ran) in enumerate(zip(program.parts, results, strict=True), start=1):
            elements = sum(vector_cycles(run.elements, device) for run in part.vector_runs)
            assert cycles(found[core, "layer"], "tile") == sum(each.cycles for each in ran) + elements
            multiplied = sum(stream.groups * stream.repeats for stream in part.streams)
            assert cycles(found[core, "MAC"], "multiply") == multiplied
            assert cycles(found[core, "scatter"]) == sum(each.scatter_busy for each in ran)
            gaps = sum(stream.gap * (stream.repeats - 1) for stream in part.streams)
            assert cycles(found[core, "vector unit"], "gap", "tile") == gaps + elements


@pytest.mark.parametrize("device", DEVICES, ids=[device.name for device in DEVICES])
def test_the_bytes_of_the_shared_tracks_are_those_of_the_cores(device: Device) -> None:
    from_second = 0
    for facts, program in ways(device):
        traffic, _ = with_transfers(program, run_parts(program, device), device)
        found = spans(list(layer_events(facts, program, device, "tiles", 0)[1]))
        assert size_bytes(found[0, "DRAM"], "read") == traffic.dram_read_bytes
        assert size_bytes(found[0, "DRAM"], "write") == traffic.dram_write_bytes
        assert size_bytes(found[0, "second level"]) == traffic.second_level_read_bytes
        from_second += traffic.second_level_read_bytes
        for track in SHARED:  # one transfer at a time
            ordered = sorted(found[0, track], key=lambda event: event.start_cycles)
            assert all(a.end_cycles <= b.start_cycles for a, b in pairwise(ordered))
        for core, part in enumerate(program.parts, start=1):
            of_core = [event for track in SHARED for event in found[0, track] if event.facts["core"] == core - 1]
            assert size_bytes(found[core, "DMA in"]) == size_bytes(
                [event for event in of_core if event.track == "DRAM"], "read"
            )
            loaded = sum(run.load_bytes for visit in part.visits for run in visit.runs)
            loaded += sum(run.load_bytes for run in part.vector_runs)
            assert size_bytes(found[core, "DMA in"]) + size_bytes(found[core, "second level in"]) == loaded
    assert bool(from_second) == bool(device.second_level.bytes)


# By hand: two cores that each load 640 bytes, run one small stream and store 64

LOAD, STORE = 640, 64


def _two(device: Device) -> tuple[Program, int]:
    part = Program(
        visits=(
            Visit(
                stream=request_stream(),
                runs=(TileRun(repeats=1, load_bytes=LOAD, store_bytes=STORE, operands=(("w", LOAD),)),),
            ),
        )
    )
    program = Program(cores=(part, part))
    return program, run_parts(program, device)[0][0].cycles


def _spans_of(device: Device) -> tuple[dict[tuple[int, str], list[tuple[str, int, int]]], int, int]:
    program, run = _two(device)
    facts = LayerFacts(layer="l", kind="trace", m=0, k=0, p=0, groups=1, density=None, macs_dense=0, activation_bytes=0)
    total, events = layer_events(facts, program, device, "tiles", 0)
    found = {
        where: [(event.name, event.start_cycles, event.end_cycles) for event in of_track]
        for where, of_track in spans(list(events)).items()
    }
    return found, run, total


def test_by_hand_two_cores_take_turns_at_the_dram() -> None:
    device = replace(GS_TCM_X4, cores=2, dram=FLAT, second_level=NO_SECOND_LEVEL)
    found, run, total = _spans_of(device)
    load, store = (bus_cycles(FLAT, size, device.clock_hz) for size in (LOAD, STORE))
    first, second = load + FLAT.latency_cycles, 2 * load + FLAT.latency_cycles
    assert store < load  # so that the first core has stored when the second one asks
    assert total == second + run + store
    assert found[0, "DRAM"] == [
        ("read tile 0", 0, load),
        ("read tile 0", load, 2 * load),
        ("write tile 0", first + run, first + run + store),
        ("write tile 0", second + run, total),
    ]
    assert found[1, "DMA in"] == [("load tile 0", 0, load)]
    assert found[2, "DMA in"] == [("wait for the DRAM bus", 0, load), ("load tile 0", load, 2 * load)]
    assert found[1, "layer"] == [
        ("l", 0, total),
        ("wait for DRAM or a buffer", 0, first),
        ("tile 0", first, first + run),
        ("wait for other cores", first + run + store, total),
    ]
    assert found[2, "layer"] == [
        ("l", 0, total),
        ("wait for DRAM or a buffer", 0, second),
        ("tile 0", second, second + run),
    ]
    assert found[2, "MAC"] == [("tile 0", second, second + run)]
    assert found[2, "DMA out"] == [("store tile 0", second + run, total)]


def test_by_hand_the_second_core_reads_the_first_one_s_tile_from_the_second_level() -> None:
    device = replace(GS_TCM_X4, cores=2, dram=FLAT, second_level=SecondLevel(bytes=LOAD, bytes_per_cycle=64))
    found, run, total = _spans_of(device)
    load, store = (bus_cycles(FLAT, size, device.clock_hz) for size in (LOAD, STORE))
    first = load + FLAT.latency_cycles
    second = first + LOAD // 64
    assert [name for name, _, _ in found[0, "DRAM"]] == ["read tile 0", "write tile 0", "write tile 0"]
    assert found[0, "second level"] == [("read tile 0", first, second)]
    assert (2, "DMA in") not in found
    assert found[2, "second level in"] == [
        ("wait for a tile or the port", 0, first),
        ("load tile 0", first, second),
    ]
    assert ("tile 0", second, second + run) in found[2, "layer"]
    assert total == second + run + store


def test_a_file_names_every_core_and_shows_what_the_replay_says(tmp_path: Path) -> None:
    made = [item for item in ways(GS_TCM_X4) if len(item[1].parts) > 1]
    write_programs(tmp_path / "t", [(facts, program, {}) for facts, program in made], {})
    summary = write_timeline(tmp_path / "t", GS_TCM_X4.name, tmp_path / "t.json.gz")
    timeline = opened(tmp_path / "t.json.gz")
    processes = [n["args"]["name"] for n in timeline.names if n["name"] == "process_name"]
    assert processes == [f"device {GS_TCM_X4.name}", *(f"core {core}" for core in range(GS_TCM_X4.cores))]
    results = [run_program(f, p, GS_TCM_X4) for f, p in read_programs(tmp_path / "t", GS_TCM_X4)]
    assert summary.cycles == sum(result.cycles.total for result in results if result.cycles is not None)
    assert summary.coarsened == ()
    by_thread = defaultdict(list)
    for event in timeline.events:
        start, end = (event["args"][key] for key in ("start_cycle", "end_cycle"))
        by_thread[event["pid"], event["tid"]].append(
            Event(core=event["pid"], track="layer", name=event["name"], start_cycles=start, end_cycles=end)
        )
    for events in by_thread.values():
        assert_nested(events)
    assert {pid for pid, _ in by_thread} == set(range(1, GS_TCM_X4.cores + 2))
    assert max(event["args"]["end_cycle"] for event in timeline.events) == summary.cycles


def test_too_many_events_leave_one_for_each_core_of_a_layer(tmp_path: Path) -> None:
    facts, program = next(item for item in ways(GS_TCM_X4) if len(item[1].parts) == GS_TCM_X4.cores)
    write_programs(tmp_path / "t", [(facts, program, {})], {})
    names = len(opened(write_timeline(tmp_path / "t", GS_TCM_X4.name, tmp_path / "a.json.gz").path).names)
    few = write_timeline(tmp_path / "t", GS_TCM_X4.name, tmp_path / "b.json.gz", most_events=names + GS_TCM_X4.cores)
    assert few.events == names + GS_TCM_X4.cores
    assert few.coarsened == ((facts.layer, "layer"),)


def test_the_command_shows_a_network_on_four_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (["trace", "digits", "--device", "gs-tcm-x4", "-o", "t"], ["timeline", "t"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert f"{opened(tmp_path / 't.timeline.json.gz').about['cycles']} cycles" in out
