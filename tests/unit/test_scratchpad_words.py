"""Addresses and the scratchpad: what a trace states is kept, what it leaves out is said. ADR 0014."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatherline import cli
from patterns.catalog import parse_pattern
from simulator.devices.catalog import ALL_DEVICES
from simulator.devices.gs_tcm import GS_TCM, GS_TCM_OOO
from simulator.devices.gs_tcm_sve8 import GS_TCM_SVE8
from simulator.replay import read_programs, write_programs
from simulator.schedule.many_cores import layer_programs
from simulator.schedule.mapping import capacity
from simulator.schedule.program import Program
from simulator.simulate import layer_facts, run_program
from simulator.spec import Device, DeviceError
from tests.unit.test_replay import TRACES
from traces.layer import MatrixLayer, Window
from traces.masks import Level, trace_network
from traces.stream import TraceError, check_stream
from traces.trace import LayerTrace
from traces.workloads.catalog import built_in

PATTERNS = ("dense", "unstructured", "gs:4,2", "gs:8,1", "gs_scatter:8,8", "block:1x4", "n_of_m:2,4", "channel")
SMALL = tuple(
    replace(
        device,
        name=f"small {device.name}",
        scratchpad=replace(device.scratchpad, activation_bytes=4096 * words, output_bytes=4096, hash="xor"),
        weight_buffer=replace(device.weight_buffer, bytes=4096),
    )
    for device, words in ((GS_TCM, 2), (GS_TCM_SVE8, 1))
)


def assert_within(program: Program, device: Device) -> None:
    """Every stream of a program states a tile that fits one buffer, and stays within it."""
    room = capacity(device).activation_words
    for stream in program.streams:
        check_stream(stream, device.gather.lanes)
        assert stream.scratchpad_words is not None
        # once more without the check's own arithmetic
        highest = max(int((stream.address + offset).max()) for offset in stream.offsets())
        assert highest == stream.highest_address() < stream.scratchpad_words <= room


@pytest.mark.parametrize("device", ALL_DEVICES, ids=[device.name for device in ALL_DEVICES])
@pytest.mark.parametrize(
    ("network", "spelling", "first"),
    [("mobilenet_v2", "gs:8,1", 12), ("gnmt", "unstructured", 3), ("deit_tiny", "gs:4,2", 8)],
)
def test_the_streams_of_networks_stay_within_the_tile_they_state(
    network: str, spelling: str, first: int, device: Device
) -> None:
    level = Level(pattern=parse_pattern(spelling), sparsity=0.9)
    streams = 0
    for trace in islice(trace_network(built_in(network), level).traces, first):
        for program in layer_programs(trace, device):
            assert_within(program, device)
            streams += len(program.streams)
    assert streams


@st.composite
def layers(draw: st.DrawFn) -> MatrixLayer:
    """Windows with strides, padding and dilation, grouped layers, and channels that do not fill the banks."""
    kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    stride, dilation = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    pad = draw(st.integers(0, 1))
    size = (draw(st.integers(5, 12)), draw(st.integers(5, 12)))
    out = tuple(
        (pixels + 2 * pad - (wide - 1) * dilation - 1) // stride + 1 for pixels, wide in zip(size, kernel, strict=True)
    )
    window = Window(
        kernel=kernel, stride=(stride, stride), dilation=(dilation, dilation), padding=(pad, pad, pad, pad),
        in_hw=size, out_hw=(out[0], out[1]),
    )  # fmt: skip
    groups, channels = draw(st.sampled_from([(1, 3), (1, 16), (1, 40), (2, 24), (3, 4), (2, 16)]))
    return MatrixLayer(
        name="layer", kind="conv2d", groups=groups, m=draw(st.sampled_from([8, 24])), batch=draw(st.integers(1, 3)),
        k=kernel[0] * kernel[1] * channels, window=window,
    )  # fmt: skip


@given(layer=layers(), spelling=st.sampled_from(PATTERNS), device=st.sampled_from([*SMALL, GS_TCM, GS_TCM_SVE8]))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_the_streams_of_any_layer_stay_within_the_tile_they_state(
    layer: MatrixLayer, spelling: str, device: Device
) -> None:
    pattern = parse_pattern(spelling)
    scores = np.random.default_rng(0).random((layer.groups, layer.m, layer.k), dtype=np.float32)
    trace = LayerTrace(layer=layer, pattern=pattern, mask=pattern.project(scores, 0.5), sparsity_target=0.5)
    for program in layer_programs(trace, device):
        assert_within(program, device)


def test_a_forced_mapping_cuts_channels_where_banks_begin_again() -> None:
    layer = MatrixLayer(name="fc", kind="linear", m=16, k=48, window=Window(in_hw=(1, 16), out_hw=(1, 16)))
    trace = LayerTrace(layer=layer, pattern=parse_pattern("dense"), mask=np.ones((1, 16, 48), np.bool_))
    mapping = "rows=16 tile=1x1 channels={} strips=1x1x16 order=rpc"
    for program in layer_programs(trace, GS_TCM, mapping=mapping.format(16)):
        assert_within(program, GS_TCM)
    with pytest.raises(DeviceError, match="channels must be a multiple of 16, the banks"):
        layer_programs(trace, GS_TCM, mapping=mapping.format(12))


# Traces on disk


def _written(folder: Path, entry: dict[str, Any], **arrays: Any) -> Path:
    folder.mkdir()
    whole = {
        "group_ptr": np.array([0, 2, 4], np.int64),
        "lane": np.array([0, 1, 0, 5], np.int16),
        "address": np.array([0, 1, 2, 30], np.int64),
        "bundle_end": np.array([1, 2], np.int64),
        "scatter_ptr": np.array([0, 1, 2], np.int64),
        "scatter_address": np.array([0, 1], np.int64),
        "macs": np.array([2, 2], np.int32),
        **arrays,
    }
    np.savez(folder / "layer0.npz", **whole)
    (folder / "trace.json").write_text(json.dumps({"schema": 1, "layers": [{"name": "layer0", **entry}]}))
    return folder


def _reason(folder: Path, device: Device = GS_TCM) -> str:
    ((facts, program),) = read_programs(folder, device)
    return run_program(facts, program, device).reason


ROOM = capacity(GS_TCM).activation_words


def test_a_trace_that_states_its_words_is_checked_and_needs_no_remark(tmp_path: Path) -> None:
    assert ROOM == 256 * 1024 // (16 * 2)
    assert _reason(_written(tmp_path / "a", {"scratchpad_words": 31})) == ""
    assert _reason(_written(tmp_path / "b", {"scratchpad_words": ROOM})) == ""
    assert _reason(_written(tmp_path / "c", {"scratchpad_words": 61, "repeats": 4, "repeat_stride": 10})) == ""
    offsets = np.array([30, 0], np.int64)
    assert _reason(_written(tmp_path / "d", {"scratchpad_words": 61, "repeats": 2}, repeat_offset=offsets)) == ""


def test_abstract_addresses_replay_and_the_report_says_that_none_was_checked(tmp_path: Path) -> None:
    said = _reason(_written(tmp_path / "few", {}))
    assert said == "addresses not checked against a scratchpad: the trace states no scratchpad_words"
    far = np.array([0, 1, 2, ROOM], np.int64)
    assert _reason(_written(tmp_path / "far", {}, address=far)) == (
        f"{said}, and they reach {ROOM} where an activation buffer of gs-tcm has {ROOM} words"
    )
    assert _reason(_written(tmp_path / "last", {}, address=far - 1 + (far < 1))) == said


@pytest.mark.parametrize(
    ("entry", "arrays", "says"),
    [
        ({"scratchpad_words": 30}, {}, ("group 1, lane 5: address is 30", "below 30")),
        (
            {"scratchpad_words": 60, "repeats": 4, "repeat_stride": 10},
            {},
            ("group 1, lane 5: address is 60", "below 60"),
        ),
        (
            {"scratchpad_words": 60, "repeats": 3},
            {"repeat_offset": np.array([0, 30, 7], np.int64)},
            ("group 1, lane 5: address is 60", "below 60"),
        ),
        ({"scratchpad_words": 0}, {}, ("scratchpad_words is 0", "at least 1")),
        ({"scratchpad_words": -4}, {}, ("scratchpad_words is -4", "at least 1")),
        ({"scratchpad_words": 1.5}, {}, ("scratchpad_words is 1.5", "whole")),
        ({"scratchpad_words": None}, {}, ("scratchpad_words is None", "whole")),
        ({"scratchpad_words": ROOM + 1}, {}, (f"scratchpad_words is {ROOM + 1}", f"at most {ROOM}", "gs-tcm")),
        ({"scratchpad_words": 31}, {"address": np.array([0, 1, 2, (1 << 63) - 1])}, (f"address is {(1 << 63) - 1}",)),
        ({}, {"address": np.array([0, 1, 2, 1 << 62])}, (f"address is {1 << 62}", "below 2^62")),
        ({"repeats": 2, "repeat_stride": (1 << 62) - 1}, {}, ("address is", "below 2^62")),
        ({}, {"scatter_address": np.array([0, 1 << 62])}, (f"address is {1 << 62}", "below 2^62")),
        ({"repeats": (1 << 62) - 1}, {}, ("cycles", "below 2^62")),
        ({"repeats": 3, "serial": True, "gap": (1 << 62) - 1}, {}, ("cycles", "below 2^62")),
        ({"load_bytes": 1 << 62}, {}, (f"load_bytes is {1 << 62}",)),
        ({"load_bytes": (1 << 62) - 1}, {}, (f"a transfer has {(1 << 62) - 1} bytes", "must have at most")),
    ],
)  # fmt: skip
def test_addresses_outside_and_counters_past_64_bits_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], entry: dict[str, Any], arrays: dict[str, Any],
    says: tuple[str, ...],
) -> None:  # fmt: skip
    folder = _written(tmp_path / "t", entry, **arrays)
    for command in ("replay", "timeline"):
        with pytest.raises(SystemExit) as ended:
            cli.main([command, str(folder), "--device", "gs-tcm"])
        assert ended.value.code == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        for text in says:
            assert text in err
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def _own(folder: Path, device: Device, forget: bool = False) -> list[tuple[str, str]]:
    write_programs(folder, [(layer_facts(t, device), layer_programs(t, device)[0], {}) for t in TRACES], {})
    index = json.loads((folder / "trace.json").read_text())
    for entry in index["layers"] if forget else ():
        del entry["scratchpad_words"]
    (folder / "trace.json").write_text(json.dumps(index))
    return [(facts.layer, run_program(facts, p, device).reason) for facts, p in read_programs(folder, device)]


def test_a_trace_of_ours_states_its_words_and_one_from_before_says_that_it_does_not(tmp_path: Path) -> None:
    stated, before = _own(tmp_path / "now", GS_TCM), _own(tmp_path / "before", GS_TCM, forget=True)
    entries = json.loads((tmp_path / "now" / "trace.json").read_text())["layers"]
    assert all(0 < entry["scratchpad_words"] <= ROOM for entry in entries)
    with_streams = {entry["layer"] for entry in entries}
    for (layer, now), (_, then) in zip(stated, before, strict=True):
        assert "not checked" not in now
        assert ("not checked" in then) == (layer in with_streams)


def _halved(device: Device, times: int) -> Device:
    return replace(device, name="less", scratchpad=replace(device.scratchpad, activation_bytes=256 * 1024 // times))


@pytest.mark.parametrize(("times", "fits"), [(1, True), (2, True), (1024, False)])
def test_a_replay_on_another_device_needs_a_buffer_as_large_as_the_largest_tile(
    tmp_path: Path, times: int, fits: bool
) -> None:
    _own(tmp_path / "t", GS_TCM)
    largest = max(e["scratchpad_words"] for e in json.loads((tmp_path / "t" / "trace.json").read_text())["layers"])
    other = _halved(GS_TCM_OOO, times)
    assert (largest <= capacity(other).activation_words) == fits
    replay: Callable[[], list[Any]] = lambda: list(read_programs(tmp_path / "t", other))  # noqa: E731
    if fits:
        assert replay()
    else:
        with pytest.raises(
            TraceError, match=f"scratchpad_words is .* at most {ROOM // times}, an activation buffer of"
        ):
            replay()


# Devices that cannot be, or cannot run a layer: the list of issue 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[scratchpad]\nactivation_bytes = 32", ("no tile fits device d", "activation words of 1")),
        ("[scratchpad]\noutput_bytes = 64", ("no tile fits device d", "output words of 1")),
        ("[weight_buffer]\nbytes = 16", ("no tile", "d", "weight buffer")),
        ("[scratchpad]\nbanks = 0", ("Scratchpad.banks is 0", "at least 1")),
        ('[scratchpad]\nbanks = 12\nhash = "xor"', ("Scratchpad.banks is 12", "power of two")),
        ("[gather]\nlatency = 0", ("GatherUnit.latency is 0", "at least 1")),
        ("[mac]\nlatency = 0", ("MacArray.latency is 0", "at least 1")),
        ("[dram]\nlatency_cycles = 0", ("Dram.latency_cycles is 0", "at least 1")),
        (f'[gather]\ninterval = "{(1 << 60) + 1}/{1 << 60}"', ("interval is", "below 2^60")),
        (f"[scatter]\nrmw_cycles = {1 << 48}", (f"ScatterUnit.rmw_cycles is {1 << 48}", "at most")),
    ],
)
def test_a_device_that_cannot_be_or_cannot_hold_a_tile_is_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str,
    says: tuple[str, ...],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.toml").write_text(f'base = "gs-tcm"\n{text}\n')
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "digits", "--device", "d.toml", "--out", "out"])
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    for part in says:
        assert part in err
    assert [path.name for path in tmp_path.iterdir()] == ["d.toml"]
