"""A timeline opened again: nested on every track, as long as the replay, small enough, and what it says adds up."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatherline import cli
from gatherline.timeline_file import write_timeline
from patterns.dense import Dense
from patterns.gs import GatherScatter
from patterns.unstructured import Unstructured
from simulator.devices.gs_tcm import GS_TCM, GS_TCM_OOO
from simulator.engine import Tile, run_tiles
from simulator.memory.dram import bus_cycles
from simulator.replay import read_programs, write_programs
from simulator.runner import tile_places
from simulator.schedule.layer_program import compile_layer
from simulator.schedule.program import Program, TileRun, Visit
from simulator.simulate import layer_facts, record_program, run_program
from simulator.spec import Device, Dram
from simulator.timeline import Detail, LayerSize, choose_details, layer_events, layer_size
from tests.machine_document import MACHINES, device, play, request_stream
from traces.layer import MatrixLayer, VectorLayer, Window
from traces.stream import TraceError
from traces.trace import LayerTrace

CONV = MatrixLayer(
    name="conv", kind="conv2d", m=40, k=9 * 32,
    window=Window(kernel=(3, 3), padding=(1, 1, 1, 1), in_hw=(7, 7), out_hw=(7, 7)),
)  # fmt: skip
HIDDEN = MatrixLayer(
    name="lstm.hh", kind="lstm_hidden", m=128, k=32, batch=3, serial=True, window=Window(in_hw=(1, 5), out_hw=(1, 5))
)
ADD = VectorLayer(name="add", kind="add", op="Add", elements=90, input_elements=180, output_elements=90)


def _masked(layer: MatrixLayer, pattern: Unstructured | GatherScatter, sparsity: float) -> LayerTrace:
    scores = np.random.default_rng(5).random((layer.groups, layer.m, layer.k), dtype=np.float32)
    return LayerTrace(layer=layer, pattern=pattern, mask=pattern.project(scores, sparsity), sparsity_target=sparsity)


TRACES = (
    _masked(CONV, Unstructured(), 0.8),
    _masked(replace(CONV, name="gs"), GatherScatter(banks=16, k=4), 0.9),
    _masked(HIDDEN, Unstructured(), 0.5),
    LayerTrace(layer=ADD, pattern=Dense()),
)
SMALL = """base = "gs-tcm"
name = "small"
clock_hz = 1_700_000_001
[weight_buffer]
bytes = 6000
[scratchpad]
activation_bytes = 16384
output_bytes = 4096
hash = "xor"
[gather]
window = 3
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A timeline file read back: complete events by track, and the rest."""

    tracks: dict[str, list[dict[str, Any]]]
    names: list[dict[str, Any]]
    about: dict[str, Any]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for events in self.tracks.values() for event in events]

    def busy(self, track: str, *starts: str) -> int:
        """Cycles of the events of a track whose names start with one of ``starts``."""
        return sum(_cycles(event) for event in self.tracks.get(track, []) if event["name"].startswith(starts))


def _cycles(event: dict[str, Any]) -> int:
    return int(event["args"]["end_cycle"]) - int(event["args"]["start_cycle"])


def opened(path: Path) -> Opened:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        data = json.load(file, parse_float=Decimal)
    names = [event for event in data["traceEvents"] if event["ph"] == "M"]
    threads = {(n["pid"], n["tid"]): n["args"]["name"] for n in names if n["name"] == "thread_name"}
    tracks: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in data["traceEvents"]:
        if event["ph"] != "M":
            assert event["ph"] == "X"
            tracks[threads[event["pid"], event["tid"]]].append(event)
    return Opened(tracks=dict(tracks), names=names, about=data["otherData"])


def assert_nested(events: list[dict[str, Any]]) -> None:
    """Events of a track overlap only where one lies inside the other, in cycles and in microseconds."""
    in_cycles = [(e["args"]["start_cycle"], e["args"]["end_cycle"]) for e in events]
    in_time = [(e["ts"], e["ts"] + e["dur"]) for e in events]
    for spans in (in_cycles, in_time):
        around: list[Any] = []
        for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
            assert end > start
            while around and around[-1] <= start:
                around.pop()
            assert not around or end <= around[-1]
            around.append(end)


@pytest.fixture(scope="module", params=["gs-tcm", "gs-tcm-ooo", "small.toml"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Device]:
    """A trace directory, the name of its device, and the device."""
    folder = tmp_path_factory.mktemp("timeline")
    (folder / "small.toml").write_text(SMALL)
    name = request.param if not request.param.endswith(".toml") else str(folder / request.param)
    from gatherline.pipeline import device_named

    device = device_named(name)
    assert isinstance(device, Device)
    made = [(layer_facts(trace, device), compile_layer(trace, device), {}) for trace in TRACES]
    write_programs(folder / "trace", made, {})
    return folder / "trace", name, device


def _programs(directory: Path, device: Device) -> list[Any]:
    return list(read_programs(directory, device))


def test_events_are_nested_on_every_track_and_end_with_the_replay(written: tuple[Path, str, Device]) -> None:
    directory, name, device = written
    out = directory.parent / "whole.json.gz"
    summary = write_timeline(directory, name, out)
    timeline = opened(out)
    for track, events in timeline.tracks.items():
        assert events, track
        assert_nested(events)
    results = [run_program(facts, program, device) for facts, program in _programs(directory, device)]
    total = sum(result.cycles.total for result in results if result.cycles is not None)
    assert max(event["args"]["end_cycle"] for event in timeline.events) == total
    assert summary.cycles == timeline.about["cycles"] == total
    assert summary.events == len(timeline.events) + len(timeline.names)
    assert timeline.about["coarsened"] == []
    start = 0
    for result in results:
        assert result.cycles is not None
        (event,) = [event for event in timeline.tracks["layer"] if event["name"] == result.layer]
        assert (event["args"]["start_cycle"], _cycles(event)) == (start, result.cycles.total)
        start += result.cycles.total
    assert timeline.busy("layer", "tile") == sum(r.cycles.compute for r in results if r.cycles is not None)


def test_cycles_of_the_events_are_the_work_of_the_streams(written: tuple[Path, str, Device]) -> None:
    directory, name, device = written
    out = directory.parent / "work.json.gz"
    write_timeline(directory, name, out)
    timeline = opened(out)
    programs = [program for _, program in _programs(directory, device)]
    streams = [visit.stream for program in programs for visit in program.visits if visit.stream is not None]
    assert timeline.busy("MAC", "multiply") == sum(stream.groups * stream.repeats for stream in streams)
    moved: Counter[str] = Counter()
    for program in programs:
        for _, run in step_places_of_bytes(program):
            for verb, sizes in zip(("load", "store"), run, strict=True):
                moved[verb] += sum(sizes)
                moved["bus"] += sum(bus_cycles(device.dram, size, device.clock_hz) for size in sizes)
    if device.dram.timing is None:  # rows, refresh and turnaround make a timed DRAM slower than its bus
        assert timeline.busy("DRAM", "read", "write") == moved["bus"]
    else:
        assert timeline.busy("DRAM", "read", "write") > 0
    for track, verb in (("DMA in", "load"), ("DMA out", "store")):
        assert sum(event["args"].get("bytes", 0) for event in timeline.tracks[track]) == moved[verb]
    gaps = sum(stream.gap * (stream.repeats - 1) for stream in streams)
    lanes = device.vector_unit.elements_per_cycle
    elements = sum(-(-run.elements // lanes) for program in programs for run in program.vector_runs)
    assert timeline.busy("vector unit", "gap", "tile") == gaps + elements


def test_units_of_a_core_work_only_while_a_tile_runs(written: tuple[Path, str, Device]) -> None:
    directory, name, _ = written
    out = directory.parent / "inside.json.gz"
    write_timeline(directory, name, out)
    timeline = opened(out)
    tiles = [event["args"] for event in timeline.tracks["layer"] if event["name"].startswith("tile")]
    starts = np.array([tile["start_cycle"] for tile in tiles])
    ends = np.array([tile["end_cycle"] for tile in tiles])
    for track in ("gather", "MAC", "scatter", "vector unit"):
        for event in timeline.tracks[track]:
            at = int(np.searchsorted(starts, event["args"]["start_cycle"], side="right")) - 1
            assert event["args"]["end_cycle"] <= ends[at], (track, event)


def step_places_of_bytes(program: Any) -> list[tuple[int, tuple[list[int], list[int]]]]:
    """The bytes of each transfer that loads and stores each step."""
    found = []
    for visit, number in tile_places(program):
        if visit < 0:
            run = program.vector_runs[number]
            loads = [run.weight_bytes]
        else:
            run = program.visits[visit].runs[number]
            loads = [size for _, size in run.operands]
        found.append((visit, ([*loads, run.load_bytes - sum(loads)], [run.store_bytes])))
    return found


def test_a_step_is_recorded_with_its_wait_run_and_transfers() -> None:
    step = Tile(load_bytes=640, compute_cycles=7, store_bytes=64)
    told: list[tuple[str, int, int, int, int, int, int]] = []
    flat = Dram(bytes_per_s=17_100_000_000, burst_bytes=64, latency_cycles=100)
    total = run_tiles([step, step], flat, GS_TCM.clock_hz, 2, 2, record=lambda *item: told.append(item))
    load, store = (bus_cycles(flat, size, GS_TCM.clock_hz) for size in (640, 64))
    first = load + flat.latency_cycles
    second = 2 * load + flat.latency_cycles
    assert sorted(told) == [
        ("compute", 0, 0, 0, 0, first, first + 7),
        ("compute", 0, 1, 0, first + 7, second, second + 7),
        ("load", 0, 0, 640, 0, 0, load),
        ("load", 0, 1, 640, load, load, 2 * load),
        ("store", 0, 0, 64, first + 7, first + 7, first + 7 + store),
        ("store", 0, 1, 64, second + 7, second + 7, second + 7 + store),
    ]
    assert total == second + 7 + store


def test_steps_are_told_in_the_order_of_their_places() -> None:
    for trace in TRACES:
        program = compile_layer(trace, GS_TCM)
        told: list[tuple[str, int, int]] = []
        record_program(program, GS_TCM, lambda *item, told=told: told.append(item[:3]))  # type: ignore[misc]
        assert [step for unit, _, step in told if unit == "compute"] == list(range(len(tile_places(program))))


def hand_written(folder: Path, **entry: Any) -> Path:
    """A trace by hand: a conflict of two in group 0, none in 1 and 2, a conflict of three in 3 and of two in 4."""
    folder.mkdir()
    groups = [[0, 16], [1, 2], [3, 4], [5, 21, 37], [6, 22]]
    arrays = {
        "group_ptr": np.cumsum([0, *map(len, groups)]),
        "lane": np.array([lane for group in groups for lane in range(len(group))], np.int16),
        "address": np.array([address for group in groups for address in group]),
        "bundle_end": np.array([3, 5]),
        "scatter_ptr": np.array([0, 1, 2]),
        "scatter_address": np.array([0, 1]),
    }
    np.savez(folder / "layer0.npz", **arrays)
    (folder / "trace.json").write_text(json.dumps({"schema": 1, "layers": [{"name": "layer0", **entry}]}))
    return folder


def test_a_run_of_stalled_groups_is_one_stall_around_its_groups(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text('base = "gs-tcm"\n[gather]\ninterval = 1\n')
    write_timeline(hand_written(tmp_path / "t"), str(tmp_path / "one.toml"), tmp_path / "t.json.gz")
    gather = opened(tmp_path / "t.json.gz").tracks["gather"]
    spans = [(event["name"], event["args"]["start_cycle"], event["args"]["end_cycle"]) for event in gather]
    assert spans == [
        ("stall", 0, 2), ("group", 0, 2), ("group", 2, 3), ("group", 3, 4),
        ("stall", 4, 9), ("group", 4, 7), ("group", 7, 9),
    ]  # fmt: skip
    assert [event["args"]["lost_cycles"] for event in gather if event["name"] == "stall"] == [1, 2 + 1]


@pytest.mark.parametrize("name", list(MACHINES))
def test_the_tracks_show_the_times_of_the_twin(name: str) -> None:
    _, twin = play(MACHINES[name])
    stream, on = request_stream(), device(MACHINES[name])
    program = Program(visits=(Visit(stream=stream, runs=(TileRun(repeats=1, load_bytes=0, store_bytes=0),)),))
    facts = layer_facts(TRACES[0], on)
    total, events = layer_events(facts, program, on, "groups", 0)
    spans = defaultdict(list)
    for event in events:
        spans[event.track, event.name].append((event.start_cycles, event.end_cycles))
    assert total == twin.cycles
    assert spans["scatter", "scatter"] == list(zip(twin.start, twin.end, strict=True))
    multiplied = [t for low, high in spans["MAC", "multiply"] for t in range(low, high)]
    assert multiplied == twin.consumed
    complete = sorted({max(twin.granted[: g + 1]) + 1 for g in range(len(twin.granted))})
    oldest = list(zip([0, *complete], complete, strict=False))
    assert spans["gather", "group"] == oldest
    above = [span for span in oldest if span[1] - span[0] > 1]
    runs = [low for low, _ in above if low not in {high for _, high in above}]
    assert [low for low, _ in spans["gather", "stall"]] == runs


def test_the_time_between_serial_repeats_is_the_vector_units(tmp_path: Path) -> None:
    trace = hand_written(tmp_path / "t", repeats=3, serial=True, gap=11)
    write_timeline(trace, "gs-tcm", tmp_path / "t.json.gz")
    timeline = opened(tmp_path / "t.json.gz")
    assert timeline.busy("vector unit", "gap") == 2 * 11
    for gap in timeline.tracks["vector unit"]:
        low, high = gap["args"]["start_cycle"], gap["args"]["end_cycle"]
        for track in ("gather", "scatter"):
            for event in timeline.tracks[track]:
                assert event["args"]["end_cycle"] <= low or event["args"]["start_cycle"] >= high


def test_one_layer_is_shown_as_in_the_whole_at_its_own_time(written: tuple[Path, str, Device]) -> None:
    directory, name, _ = written
    whole, one = directory.parent / "all.json.gz", directory.parent / "one.json.gz"
    write_timeline(directory, name, whole)
    write_timeline(directory, name, one, "gs")
    timeline = opened(one)
    (layer,) = [event for event in opened(whole).tracks["layer"] if event["name"] == "gs"]
    low, high = layer["args"]["start_cycle"], layer["args"]["end_cycle"]
    assert low > 0
    inside = [e for e in opened(whole).events if low <= e["args"]["start_cycle"] < high]
    assert timeline.events == inside
    assert timeline.about["layer"] == "gs"


def test_too_many_events_cost_the_largest_layers_their_detail_first(written: tuple[Path, str, Device]) -> None:
    directory, name, _ = written
    full = write_timeline(directory, name, directory.parent / "full.json.gz")
    coarsened = []
    for most in (full.events, 1500, 700, 300, 100, 30):
        out = directory.parent / f"{most}.json.gz"
        summary = write_timeline(directory, name, out, most_events=most)
        timeline = opened(out)
        assert summary.events == len(timeline.events) + len(timeline.names) <= most
        assert summary.cycles == full.cycles == max(event["args"]["end_cycle"] for event in timeline.events)
        assert [(item["layer"], item["detail"]) for item in timeline.about["coarsened"]] == list(summary.coarsened)
        for events in timeline.tracks.values():
            assert_nested(events)
        shown = {e["name"]: e["args"]["detail"] for e in timeline.tracks["layer"] if "kind" in e["args"]}
        assert {layer: detail for layer, detail in shown.items() if detail != "groups"} == dict(summary.coarsened)
        coarsened.append(len(summary.coarsened))
    assert coarsened == sorted(coarsened)
    assert coarsened[-1] == len(TRACES)
    with pytest.raises(TraceError, match="4 layers"):
        write_timeline(directory, name, directory.parent / "none.json.gz", most_events=20)
    assert not (directory.parent / "none.json.gz").exists()


def test_groups_go_before_tiles_and_large_layers_before_small() -> None:
    sizes = [LayerSize(layer=str(groups), groups=groups, tiles=tiles) for groups, tiles in ((10, 9), (100, 5), (20, 2))]
    assert choose_details(sizes, 130) == ["groups", "groups", "groups"]
    assert choose_details(sizes, 129) == ["groups", "tiles", "groups"]
    assert choose_details(sizes, 10 + 5 + 20 - 1) == ["groups", "tiles", "tiles"]
    assert choose_details(sizes, 9 + 5 + 2) == ["tiles", "tiles", "tiles"]
    assert choose_details(sizes, 9 + 5 + 2 - 1) == ["layer", "tiles", "tiles"]
    assert choose_details(sizes, 3) == ["layer", "layer", "layer"]


def test_a_layer_makes_no_more_events_than_were_counted(written: tuple[Path, str, Device]) -> None:
    directory, _, device = written
    for facts, program in _programs(directory, device):
        size = layer_size(facts, program, device)
        details: tuple[Detail, ...] = ("groups", "tiles", "layer")
        for detail in details:
            made = sum(1 for _ in layer_events(facts, program, device, detail, 0)[1])
            slack = 16 * len(tile_places(program)) + 1
            assert (
                made
                <= size.at(detail)
                <= made
                + slack
                + 2
                * sum(
                    visit.stream.repeats for visit in program.visits if visit.stream is not None and visit.stream.serial
                )
            )


def test_a_layer_of_more_than_a_million_groups_becomes_tiles(tmp_path: Path) -> None:
    trace = hand_written(tmp_path / "t", repeats=300_000)
    summary = write_timeline(trace, "gs-tcm", tmp_path / "t.json.gz")
    assert summary.coarsened == (("layer0", "tiles"),)
    assert (
        summary.events == len(opened(tmp_path / "t.json.gz").events) + len(opened(tmp_path / "t.json.gz").names) < 100
    )
    assert summary.cycles > 300_000 * 5


def test_equal_input_gives_equal_bytes(written: tuple[Path, str, Device]) -> None:
    directory, name, _ = written
    first, second = directory.parent / "a.json.gz", directory.parent / "b.json.gz"
    write_timeline(directory, name, first)
    write_timeline(directory, name, second)
    assert first.read_bytes() == second.read_bytes()


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(["timeline", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_command_takes_the_device_from_the_trace_and_says_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        cli.main(["trace", "digits", "--device", "gs-tcm-ooo", "-o", "t"])
    capsys.readouterr()
    assert call("t") == 0
    out, err = capsys.readouterr()
    timeline = opened(tmp_path / "t.timeline.json.gz")
    assert out.startswith(f"{len(timeline.events) + len(timeline.names)} events, {timeline.about['cycles']} cycles in ")
    assert err == ""
    assert timeline.about["device"] == GS_TCM_OOO.name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t", "t.timeline.json.gz"]


def test_what_was_coarsened_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hand_written(tmp_path / "t", repeats=300_000)
    assert call(str(tmp_path / "t"), "--device", "gs-tcm", "-o", str(tmp_path / "o.json.gz")) == 0
    err = capsys.readouterr().err
    assert err.startswith("simulate: note: ")
    assert "layer0 (tiles)" in err


def _report_only(folder: Path) -> None:
    (folder / "trace.json").unlink()
    (folder / "report.json").write_text("{}")


def _other_hash(folder: Path) -> None:
    data = json.loads((folder / "trace.json").read_text())
    data["manifest"] = {"devices": {"gs-tcm": {"hash": "0" * 64}}}
    (folder / "trace.json").write_text(json.dumps(data))


def _unknown_device(folder: Path) -> None:
    data = json.loads((folder / "trace.json").read_text())
    data["manifest"] = {"devices": {"mine": {"hash": "0" * 64}}}
    (folder / "trace.json").write_text(json.dumps(data))


def _as_it_is(folder: Path) -> None:
    assert folder.is_dir()


@pytest.mark.parametrize(
    ("change", "arguments", "says"),
    [
        (_as_it_is, (), ("trace.json", "no device", "--device")),
        (_as_it_is, ("--device", "a100"), ("a100", "roofline")),
        (_as_it_is, ("--device", "gs-tmc"), ("gs-tmc", "gs-tcm")),
        (_as_it_is, ("--device", "gs-tcm", "--layer", "layer1"), ("layer1", "layer0")),
        (_as_it_is, ("--device", "gs-tcm", "-o", "."), ("is a folder",)),
        (_as_it_is, ("--device", "gs-tcm", "-o", os.devnull), (os.devnull, "no plain file")),
        (_as_it_is, ("--device", "gs-tcm", "-o", "none/o.json.gz"), ("none", "no such folder")),
        (_report_only, (), ("t", "trace directory", "simulate trace")),
        (_other_hash, (), ("gs-tcm", "--device")),
        (_unknown_device, (), ("mine", "--device")),
        (lambda folder: (folder / "layer0.npz").write_bytes(b"PK"), ("--device", "gs-tcm"), ("layer0.npz",)),
        (lambda folder: (folder / "trace.json").unlink(), ("--device", "gs-tcm"), ("trace.json", "no such file")),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    change: Callable[[Path], Any], arguments: tuple[str, ...], says: tuple[str, ...],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    change(hand_written(tmp_path / "t"))
    assert call("t", *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    for text in says:
        assert text in err
    assert [path.name for path in tmp_path.iterdir()] == ["t"]
