"""Under gs_scatter the paper's core keeps results in the second half of its scratchpad: issue 3, point 5; ADR 0011."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patterns.catalog import parse_pattern
from simulator.device_file import load_device
from simulator.devices.gs_tcm import GS_TCM
from simulator.devices.gs_tcm_sve8 import GS_TCM_SVE8
from simulator.schedule.layer_program import compile_layer
from simulator.schedule.mapping import output_words, parse_mapping
from simulator.schedule.program import Program
from simulator.simulate import simulate
from simulator.spec import Device, DeviceError
from traces.layer import MatrixLayer, Window
from traces.masks import Level, trace_network
from traces.trace import LayerTrace
from traces.workloads.catalog import built_in

PAD = GS_TCM_SVE8.scratchpad
HALF_BYTES = 64 * 1024 // 2
HALF_VALUES = HALF_BYTES // (GS_TCM_SVE8.vector * GS_TCM_SVE8.widths.value_bytes)
HALF_SUMS = HALF_BYTES // (GS_TCM_SVE8.vector * GS_TCM_SVE8.widths.sum_bytes)
FREE = replace(GS_TCM_SVE8, scratchpad=replace(PAD, scatter_half=False))


def masked(m: int, channels: int, positions: int, spelling: str, groups: int = 1, kernel: int = 1) -> LayerTrace:
    window = Window(kernel=(1, kernel), in_hw=(1, positions + kernel - 1), out_hw=(1, positions))
    layer = MatrixLayer(name="layer", kind="conv2d", groups=groups, m=m, k=channels * kernel, window=window)
    pattern = parse_pattern(spelling)
    scores = np.random.default_rng(1).random((groups, m, layer.k), dtype=np.float32)
    return LayerTrace(layer=layer, pattern=pattern, mask=pattern.project(scores, 0.75), sparsity_target=0.75)


def held_words(trace: LayerTrace, program: Program) -> tuple[int, int]:
    """What lies in the scratchpad at a time, counted from the tiles that the program loads and stores."""
    layer = trace.layer
    assert isinstance(layer, MatrixLayer)
    mapping = parse_mapping(program.mapping)
    runs = [run for visit in program.visits for run in visit.runs]
    inputs = {tag for run in runs for tag, _ in run.operands if tag.startswith("x")}
    outputs = sum(run.store_bytes > 0 for run in runs)
    words = max(stream.scratchpad_words or 0 for stream in program.streams)
    sums = output_words(min(mapping.rows, layer.m), mapping.tile[0] * mapping.tile[1], 8)
    return words * min(2, len(inputs)), sums * min(2, outputs)


def test_the_preset_s_two_halves_are_its_64_kb() -> None:
    assert PAD.scatter_half
    assert PAD.activation_bytes == PAD.output_bytes == HALF_BYTES
    assert PAD.activation_bytes * PAD.activation_buffers == 64 * 1024
    assert not GS_TCM.scratchpad.scatter_half


@given(
    m=st.sampled_from([16, 200, 1024]),
    channels=st.sampled_from([8, 64, 1000]),
    positions=st.integers(1, 90),
    groups=st.sampled_from([1, 2]),
    kernel=st.sampled_from([1, 3]),
    spelling=st.sampled_from(["gs_scatter:8,1", "gs_scatter:8,8"]),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_permuted_rows_never_take_more_than_a_half_for_activations_and_one_for_results(
    m: int, channels: int, positions: int, groups: int, kernel: int, spelling: str
) -> None:
    trace = masked(m, channels, positions, spelling, groups, kernel)
    inputs, outputs = held_words(trace, compile_layer(trace, GS_TCM_SVE8))
    assert inputs <= HALF_VALUES
    assert outputs <= HALF_SUMS


def test_without_the_half_a_layer_of_several_tiles_would_overflow_it() -> None:
    trace = masked(64, 1000, 80, "gs_scatter:8,1")
    free, kept = held_words(trace, compile_layer(trace, FREE)), held_words(trace, compile_layer(trace, GS_TCM_SVE8))
    assert free[0] > HALF_VALUES >= kept[0]


def test_a_tile_that_a_layer_has_alone_may_fill_its_half() -> None:
    words = HALF_VALUES // 2 + 8
    program = compile_layer(masked(8, words, 1, "gs_scatter:8,1"), GS_TCM_SVE8)
    assert {stream.scratchpad_words for stream in program.streams} == {words}
    two = compile_layer(masked(8, words, 2, "gs_scatter:8,1"), GS_TCM_SVE8)
    assert max(stream.scratchpad_words or 0 for stream in two.streams) <= HALF_VALUES // 2


def test_rows_in_their_own_order_have_the_scratchpad_to_themselves() -> None:
    for spelling in ("gs:8,1", "gs:8,8", "unstructured", "block:8x1", "dense"):
        trace = masked(64, 1000, 80, spelling)
        assert simulate(trace, GS_TCM_SVE8) == simulate(trace, FREE)


def test_the_paper_s_layers_have_one_tile_and_lose_nothing() -> None:
    for network in ("spmv1024", "conv3x3_128"):
        level = Level(pattern=parse_pattern("gs_scatter:8,1"), sparsity=0.9)
        (trace,) = trace_network(built_in(network), level, prune_all=True).traces
        assert simulate(trace, GS_TCM_SVE8) == simulate(trace, FREE)


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        # two tiles of activations, each above a quarter; then two of results
        ("rows=64 tile=1x10 channels=1000 strips=1x1x1 order=rpc", f"{2 * 10_000} activation words of {HALF_VALUES}"),
        ("rows=1024 tile=1x5 channels=1000 strips=1x1x1 order=rpc", f"{2 * 5 * 1024} output words of {HALF_SUMS}"),
    ],
)
def test_a_forced_mapping_keeps_to_the_halves(mapping: str, says: str) -> None:
    trace = masked(1024 if "1024" in mapping else 64, 1000, 20, "gs_scatter:8,1")
    with pytest.raises(DeviceError, match=says):
        compile_layer(trace, GS_TCM_SVE8, mapping=mapping)


def test_a_layer_that_no_half_holds_is_refused_by_name() -> None:
    small: Device = replace(GS_TCM_SVE8, scratchpad=replace(PAD, activation_bytes=24))
    assert compile_layer(masked(16, 8, 2, "gs:8,1"), small)
    with pytest.raises(DeviceError, match="layer layer: no tile fits device gs-tcm-sve8"):
        compile_layer(masked(16, 8, 2, "gs_scatter:8,1"), small)


def test_a_device_file_can_give_results_a_place_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "gs-tcm-sve8.toml"
    file.write_text('base = "gs-tcm-sve8"\n[scratchpad]\nscatter_half = false\n')
    assert load_device(file) == FREE
