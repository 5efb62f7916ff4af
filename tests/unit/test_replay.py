"""A replayed trace equals the run that wrote it; a trace of somebody else's gives what DESIGN section 7 says."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from patterns.base import Pattern
from patterns.block import Block
from patterns.dense import Dense
from patterns.gs import GatherScatter
from patterns.unstructured import Unstructured
from simulator.devices.gs_tcm import GS_TCM, GS_TCM_OOO
from simulator.replay import read_programs, write_programs
from simulator.result import LayerResult
from simulator.schedule.layer_program import compile_layer
from simulator.simulate import layer_facts, run_program
from simulator.spec import Device, DeviceError
from tests.reference.machine import Machine, Stream, run
from traces.layer import MatrixLayer, ProductLayer, UnsupportedLayer, VectorLayer, Window
from traces.stream import TraceError
from traces.trace import LayerTrace


def _pruned(layer: MatrixLayer, pattern: Pattern, sparsity: float) -> LayerTrace:
    scores = np.random.default_rng(5).random((layer.groups, layer.m, layer.k), dtype=np.float32)
    mask = pattern.project(scores, sparsity)
    return LayerTrace(layer=layer, pattern=pattern, mask=mask, sparsity_target=sparsity, reason="a reason")


CONV = MatrixLayer(
    name="a/conv 1", kind="conv2d", m=40, k=9 * 32, batch=2,
    window=Window(kernel=(3, 3), padding=(1, 1, 1, 1), in_hw=(7, 7), out_hw=(7, 7)),
)  # fmt: skip
HIDDEN = MatrixLayer(
    name="lstm.hh", kind="lstm_hidden", m=128, k=32, batch=3, serial=True, window=Window(in_hw=(1, 5), out_hw=(1, 5))
)
EMPTY_ROWS = np.zeros((1, 40, 9 * 32), dtype=np.bool_)
EMPTY_ROWS[0, 33:, ::7] = True  # nothing is kept of the first two tiles of 16 rows
TRACES = (
    _pruned(CONV, Unstructured(), 0.8),
    _pruned(replace(CONV, name="blocks"), Block(height=4, width=1), 0.5),
    _pruned(replace(CONV, name="gs"), GatherScatter(banks=16, k=4), 0.9),
    _pruned(replace(CONV, name="a_conv_1", groups=2, k=9 * 16), Unstructured(), 0.5),
    _pruned(HIDDEN, Unstructured(), 0.5),
    LayerTrace(layer=ProductLayer(name="qk", instances=3, m=20, k=24, p=20), pattern=Dense()),
    LayerTrace(layer=UnsupportedLayer(name="nms", op="NonMaxSuppression", reason="no rule"), pattern=Dense()),
    LayerTrace(
        layer=VectorLayer(name="add", kind="add", op="Add", elements=90, input_elements=180, output_elements=90),
        pattern=Dense(),
    ),
    _pruned(
        MatrixLayer(
            name="dw", kind="depthwise", groups=16, m=1, k=9,
            window=Window(kernel=(3, 3), padding=(1, 1, 1, 1), in_hw=(9, 9), out_hw=(9, 9)),
        ),
        Unstructured(), 0.5,
    ),
    LayerTrace(layer=replace(CONV, name="rows"), pattern=Unstructured(), mask=EMPTY_ROWS),
    LayerTrace(layer=replace(CONV, name="none"), pattern=Unstructured(), mask=np.zeros_like(EMPTY_ROWS)),
)  # fmt: skip
SMALL = replace(
    GS_TCM,
    name="small",
    weight_buffer=replace(GS_TCM.weight_buffer, bytes=6000),
    scratchpad=replace(GS_TCM.scratchpad, activation_bytes=16_384, output_bytes=4096, hash="xor"),
)
DEVICES = (GS_TCM, GS_TCM_OOO, SMALL)


def _results(device: Device) -> tuple[list[tuple[Any, Any, dict[str, Any]]], list[LayerResult]]:
    made = []
    for trace in TRACES:
        mapping = "rows=16 tile=1x1 channels=16 strips=2x2x4 order=rcp" if trace.layer.name == "rows" else None
        made.append((layer_facts(trace, device), compile_layer(trace, device, mapping=mapping), {"provenance": "test"}))
    return made, [run_program(facts, program, device) for facts, program, _ in made]


@pytest.mark.parametrize("device", DEVICES, ids=[device.name for device in DEVICES])
def test_a_replay_equals_the_run_in_every_field(device: Device, tmp_path: Path) -> None:
    made, expected = _results(device)
    names = write_programs(tmp_path / "trace", made, {"made by": "test"})
    assert len(set(names)) == len(names)
    found = [run_program(facts, program, device) for facts, program in read_programs(tmp_path / "trace", device)]
    assert found == expected


def test_a_layer_whose_first_row_tiles_keep_nothing_still_moves_its_outputs() -> None:
    _, results = _results(GS_TCM)
    rows = next(result for result in results if result.layer == "rows")
    values = 40 * CONV.p  # outputs, each once as a value; two channel parts: once as a sum out and in
    assert rows.counters.dram_write_bytes == values * 2 + values * 4


def test_a_trace_can_be_replayed_on_a_device_of_other_timing(tmp_path: Path) -> None:
    made, _ = _results(GS_TCM)
    write_programs(tmp_path / "trace", made, {})
    found = [run_program(f, p, GS_TCM_OOO) for f, p in read_programs(tmp_path / "trace", GS_TCM_OOO)]
    assert found == _results(GS_TCM_OOO)[1]


def test_streams_need_no_pickle_and_stand_alone_for_any_reader(tmp_path: Path) -> None:
    made, expected = _results(GS_TCM)
    write_programs(tmp_path / "trace", made, {})
    index = json.loads((tmp_path / "trace" / "trace.json").read_text())
    assert index["schema"] == 1
    for entry in index["layers"]:
        with np.load(tmp_path / "trace" / f"{entry['name']}.npz", allow_pickle=False) as data:
            assert data["group_ptr"].dtype == data["address"].dtype == data["bundle_end"].dtype == np.int64
            assert data["lane"].dtype == np.int16
            assert data["scatter_ptr"].dtype == data["scatter_address"].dtype == np.int64
    del index["programs"]
    (tmp_path / "trace" / "trace.json").write_text(json.dumps(index))
    found = [run_program(facts, program, GS_TCM) for facts, program in read_programs(tmp_path / "trace", GS_TCM)]
    with_streams = [result for result in expected if result.kernel == "gather/scatter"]
    last_gates = 3 * 32 * (4 + 4) // GS_TCM.vector_unit.elements_per_cycle  # of the recurrence: no stream holds them
    compute = sum(result.cycles.compute for result in found if result.cycles)
    assert compute + last_gates == sum(result.cycles.compute for result in with_streams if result.cycles)
    assert sum(r.counters.macs_effectual for r in found) >= sum(r.counters.macs_effectual for r in with_streams)


def test_a_network_without_streams_is_not_written(tmp_path: Path) -> None:
    trace = TRACES[7]
    with pytest.raises(TraceError, match="no layer makes a request stream"):
        write_programs(tmp_path / "t", [(layer_facts(trace, GS_TCM), compile_layer(trace, GS_TCM), {})], {})
    assert not list(tmp_path.iterdir())


# Traces that somebody else wrote


def _foreign(directory: Path, entry: dict[str, Any], **arrays: Any) -> Path:
    directory.mkdir(exist_ok=True)
    whole = {
        "group_ptr": np.array([0, 3, 5, 6], dtype=np.int64),
        "lane": np.array([0, 1, 2, 0, 5, 3], dtype=np.int16),
        "address": np.array([0, 16, 5, 7, 23, 2], dtype=np.int64),
        "bundle_end": np.array([2, 3], dtype=np.int64),
        "scatter_ptr": np.array([0, 2, 2], dtype=np.int64),
        "scatter_address": np.array([0, 16], dtype=np.int64),
        **arrays,
    }
    np.savez(directory / "layer0.npz", **{name: array for name, array in whole.items() if array is not None})
    index = {"schema": 1, "layers": [{"name": "layer0", "repeats": 1, **entry}]}
    (directory / "trace.json").write_text(json.dumps(index))
    return directory


def _replayed(directory: Path, device: Device = GS_TCM) -> LayerResult:
    ((facts, program),) = read_programs(directory, device)
    return run_program(facts, program, device)


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"repeats": 5, "repeat_stride": 3, "scatter_stride": 1},
        {"repeats": 4, "serial": True, "gap": 9, "repeat_stride": 16},
    ],
)
def test_a_trace_of_required_keys_alone_takes_what_the_machine_takes(
    tmp_path: Path, entry: dict[str, Any], window: int
) -> None:
    device = replace(GS_TCM, gather=replace(GS_TCM.gather, window=window, interval=Fraction(3, 2)))
    machine = Machine(lanes=16, window=window, interval_num=3, interval_den=2)
    stream = Stream(
        groups=[[(0, 0), (1, 16), (2, 5)], [(0, 7), (5, 23)], [(3, 2)]], bundle_end=[2, 3], scatter=[[0, 16], []],
        repeats=entry.get("repeats", 1), repeat_stride=entry.get("repeat_stride", 0),
        scatter_stride=entry.get("scatter_stride", 0), serial=entry.get("serial", False), gap=entry.get("gap", 0),
    )  # fmt: skip
    result = _replayed(_foreign(tmp_path / "t", entry), device)
    assert result.cycles is not None
    assert result.cycles.total == result.cycles.compute == run(machine, stream).cycles
    assert result.counters.dram_bytes == 0
    assert result.counters.macs_effectual == 6 * stream.repeats * device.vector
    assert "each request counts as one" in result.reason


def test_macs_of_a_trace_count_kept_weights_for_every_position_of_a_word(tmp_path: Path) -> None:
    result = _replayed(_foreign(tmp_path / "t", {"repeats": 2}, macs=np.array([3, 1, 0], dtype=np.int32)))
    assert result.counters.macs_effectual == (3 + 1 + 0) * 2 * GS_TCM.vector
    assert "each request counts as one" not in result.reason


def test_bytes_of_a_trace_are_shared_out_over_its_tiles(tmp_path: Path) -> None:
    entry = {"load_bytes": 1000, "store_bytes": 301}
    whole = _replayed(_foreign(tmp_path / "whole", entry))
    tiled = _replayed(_foreign(tmp_path / "tiled", entry, tile_end=np.array([2, 3], dtype=np.int64)))
    assert whole.cycles is not None
    assert tiled.cycles is not None
    for result in (whole, tiled):
        assert (result.counters.dram_read_bytes, result.counters.dram_write_bytes) == (1000, 301)
    assert tiled.cycles.compute == whole.cycles.compute < min(tiled.cycles.total, whole.cycles.total)


@pytest.mark.parametrize(
    ("device", "arrays", "rule"),
    [
        (replace(GS_TCM, gather=replace(GS_TCM.gather, lanes=5)), {}, "lanes 0 to 4"),
        (GS_TCM, {"macs": np.array([17, 0, 0], dtype=np.int32)}, "0 to 16"),
        (GS_TCM, {"macs": np.array([-1, 0, 0], dtype=np.int32)}, "macs runs from -1"),
    ],
)
def test_a_trace_that_does_not_fit_the_device_is_refused(
    tmp_path: Path, device: Device, arrays: dict[str, Any], rule: str
) -> None:
    with pytest.raises((TraceError, DeviceError), match=rule):
        _replayed(_foreign(tmp_path / "t", {}, **arrays), device)


def _spoil(programs: list[dict[str, Any]], path: tuple[str | int, ...], value: Any) -> None:
    at: Any = programs
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((0, "macs_effectual"), 10**15),
        ((0, "macs_effectual"), -1),
        ((0, "macs_effectual"), "many"),
        ((0, "slot_macs"), 1.5),
        ((0, "serial"), "no"),
        ((0, "weight_bytes"), None),
        ((0, "reason"), 7),
        ((0, "facts"), {}),
        ((0, "facts", "m"), -3),
        ((0, "facts", "kind"), ["conv"]),
        ((0, "visits", 0, "stream"), 99),
        ((0, "visits", 0, "stream"), -1),
        ((0, "visits", 0, "stream"), "0"),
        ((0, "visits", 0, "runs", 0), [1, 2]),
        ((0, "visits", 0, "runs", 0), [10**6, 0, 0]),
        ((0, "visits", 0, "runs", 0, 1), -64),
        ((0, "visits", 0, "runs", 0, 1), 1.5),
        ((0, "visits", 0, "runs"), []),
        ((0, "visits"), 3),
        ((0, "vector_runs"), [[0, -5, 0]]),
        ((0, "vector_runs"), [[0, 10**400, 0]]),
        ((0,), None),
    ],
)
def test_a_spoiled_program_is_one_line_that_says_so(tmp_path: Path, path: tuple[str | int, ...], value: Any) -> None:
    trace = TRACES[0]
    target = tmp_path / "t"
    write_programs(target, [(layer_facts(trace, GS_TCM), compile_layer(trace, GS_TCM), {})], {})
    index = json.loads((target / "trace.json").read_text())
    _spoil(index["programs"], path, value)
    (target / "trace.json").write_text(json.dumps(index))
    with pytest.raises(TraceError) as caught:
        [run_program(facts, program, GS_TCM) for facts, program in read_programs(target, GS_TCM)]
    assert "\n" not in str(caught.value)
