"""What a core issues for a stream: counted by writing the program out, instruction by instruction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from math import factorial
from pathlib import Path

import numpy as np
import pytest

from patterns.catalog import parse_pattern
from simulator.device_file import load_device
from simulator.devices.gs_tcm import GS_TCM
from simulator.devices.gs_tcm_sve8 import GS_TCM_SVE8
from simulator.issue import core_interval, instructions
from simulator.machine import run_stream
from simulator.replay import read_programs, write_programs
from simulator.runner import stream_interval
from simulator.schedule.layer_program import compile_layer
from simulator.simulate import layer_facts, run_program
from simulator.spec import Core, Device, DeviceError
from traces.layer import MatrixLayer, Window
from traces.masks import Level, trace_network
from traces.stream import ISSUES, RequestStream
from traces.trace import LayerTrace
from traces.workloads.catalog import built_in

CORE = Core(issue_width=1)
TOKENS = Window(in_hw=(1, 3), out_hw=(1, 3))


def written_out(stream: RequestStream, core: Core, lanes: int) -> Iterator[str]:
    """The instructions of one repeat, as a programmer would write the loop over bundles and groups."""
    first = 0
    for bundle, last in enumerate(stream.bundle_end):
        rows = stream.scatter_address[stream.scatter_ptr[bundle] : stream.scatter_ptr[bundle + 1]]
        for _ in range(first, last):
            match stream.issue:
                case "dense":
                    yield from ("weight load", "multiply-add")
                    if bundle % core.dense_rows == 0:  # the other rows of the turn find it in a register
                        yield "activation load"
                case "block_row" | "block_column":
                    yield from ("value load", "index load", "activation load", "multiply-add")
                case "gather_row" | "gather_column":
                    yield from ("value load", "index load", "gather", "multiply-add")
        first = last
        if stream.issue in ("block_column", "gather_column"):  # lane i has row i
            assert len(rows) <= lanes
            if (np.diff(stream.scatter_address) != 1).sum() > 0 and (np.diff(rows) != 1).any():
                yield "row numbers"
            yield "vector store"
        else:
            for _ in rows:
                yield from ("reduction", "store")


def layer_trace(m: int, k: int, spelling: str, sparsity: float) -> LayerTrace:
    layer = MatrixLayer(name="fc", kind="linear", m=m, k=k, window=TOKENS)
    scores = np.random.default_rng(3).random((1, m, k), dtype=np.float32)
    pattern = parse_pattern(spelling)
    return LayerTrace(layer=layer, pattern=pattern, mask=pattern.project(scores, sparsity), sparsity_target=sparsity)


def streams(trace: LayerTrace, device: Device, order: str = "packed") -> list[RequestStream]:
    return [visit.stream for visit in compile_layer(trace, device, order=order).visits if visit.stream is not None]


@pytest.mark.parametrize(
    ("spelling", "issue"),
    [
        ("dense", "dense"),
        ("block:1x8", "block_row"),
        ("block:8x1", "block_column"),
        ("block:16x1", "block_column"),
        ("block:4x4", "block_row"),
        ("gs:8,1", "gather_column"),
        ("gs:8,2", "gather_row"),
        ("gs:8,8", "gather_row"),
        ("gs:4,1", "gather_column"),
    ],
)
@pytest.mark.parametrize("rows", [64, 61])
def test_the_instructions_of_an_encoding_are_those_of_its_kernel_written_out(
    spelling: str, issue: str, rows: int
) -> None:
    (stream,) = streams(layer_trace(rows, 128, spelling, 0.75), GS_TCM_SVE8)
    assert stream.issue == issue
    assert instructions(stream, CORE) == len(list(written_out(stream, CORE, 8)))


def test_permuted_rows_cost_a_load_of_their_numbers_for_each_bundle() -> None:
    (stream,) = streams(layer_trace(64, 128, "gs_scatter:8,1", 0.75), GS_TCM_SVE8)
    assert stream.issue == "gather_column"
    assert instructions(stream, CORE) == stream.groups * 4 + stream.bundles * (1 + 1)


def test_column_order_reduces_every_row() -> None:
    (stream,) = streams(layer_trace(64, 128, "unstructured", 0.75), GS_TCM_SVE8, order="csr")
    assert stream.issue == "gather_row"
    assert instructions(stream, CORE) == stream.groups * (2 + 1 + 1) + 64 * 2


def test_a_tile_of_fewer_rows_than_lanes_still_keeps_a_row_in_each_lane() -> None:
    (stream,) = streams(layer_trace(5, 128, "gs:8,1", 0.75), GS_TCM_SVE8)
    assert stream.issue == "gather_column"


def test_a_fused_gather_saves_the_index_load_of_a_group() -> None:
    (stream,) = streams(layer_trace(64, 128, "gs:8,8", 0.75), GS_TCM_SVE8)
    fused = replace(CORE, fused_gather=True)
    assert instructions(stream, CORE) - instructions(stream, fused) == stream.groups


def test_dense_needs_17_instructions_for_8_rows_of_8_columns_and_the_ends_of_rows() -> None:
    (stream,) = streams(layer_trace(64, 128, "dense", 0.0), GS_TCM_SVE8)
    assert instructions(stream, CORE) == 64 // 8 * 128 // 8 * (1 + 8 + 8) + 64 * 2


@pytest.mark.parametrize("width", [1, 2, 4])
def test_the_interval_is_instructions_over_issue_width_until_the_weights_come_slower(width: int) -> None:
    (stream,) = streams(layer_trace(64, 128, "gs:8,1", 0.75), GS_TCM_SVE8)
    device = replace(GS_TCM_SVE8, core=Core(issue_width=width))
    issued = Fraction(instructions(stream, CORE), width * stream.groups)
    assert stream_interval(stream, device) == max(issued, Fraction(8 * (2 + 2), 32))
    slow = replace(device, weight_buffer=replace(device.weight_buffer, bytes_per_cycle=4))
    assert stream_interval(stream, slow) == max(issued, 8)


def test_a_chain_of_multiply_adds_is_shared_by_the_accumulators() -> None:
    (sparse,) = streams(layer_trace(64, 128, "gs:8,1", 0.75), GS_TCM_SVE8)
    (dense,) = streams(layer_trace(64, 128, "dense", 0.0), GS_TCM_SVE8)
    chained = Core(issue_width=16, accumulate_cycles=4, accumulators=2)
    assert core_interval(sparse, chained) == Fraction(4, 2)
    assert core_interval(dense, chained) == Fraction(4, chained.dense_rows)


def test_a_device_without_a_core_is_bound_by_its_weight_buffer_alone() -> None:
    (stream,) = streams(layer_trace(64, 128, "gs:16,1", 0.75), GS_TCM)
    assert stream.issue == "gather_column"
    assert stream_interval(stream, GS_TCM) == Fraction(16 * (2 + 2), 64)


def most_loaded(banks: int, cap: int) -> float:
    """P(no bank gets more than ``cap`` of ``banks`` random requests), by the exponential generating function."""
    series = [Fraction(1)]
    once = [Fraction(1, factorial(load)) for load in range(cap + 1)]
    for _ in range(banks):
        longer = [Fraction(0)] * (banks + 1)
        for i, a in enumerate(series):
            for j, b in enumerate(once):
                if i + j <= banks:
                    longer[i + j] += a * b
        series = longer
    return float(series[banks] * factorial(banks) / banks**banks)


def expected_cost(banks: int, interval: int) -> float:
    """E[max(largest bank load, interval)]."""
    return interval + sum(1 - most_loaded(banks, cap) for cap in range(interval, banks))


def test_at_issue_width_1_the_instructions_hide_most_conflicts() -> None:
    assert round(expected_cost(8, 4), 2) == 4.01
    assert round(expected_cost(8, 1), 4) == 2.5972  # DESIGN section 5, without a core
    groups = 20_000
    stream = RequestStream(
        name="random",
        group_ptr=np.arange(groups + 1, dtype=np.int64) * 8,
        lane=np.tile(np.arange(8, dtype=np.int16), groups),
        address=np.random.default_rng(0).integers(0, 1 << 20, groups * 8),
        bundle_end=np.array([groups], dtype=np.int64),
        scatter_ptr=np.array([0, 1], dtype=np.int64),
        scatter_address=np.array([0], dtype=np.int64),
    )
    device = GS_TCM_SVE8
    for interval in (1, 2, 4):
        found = run_stream(
            stream, device.gather, device.scratchpad, device.mac, device.scatter, interval=Fraction(interval)
        )
        assert found.gather / groups == pytest.approx(expected_cost(8, interval), rel=0.01)


def test_a_replay_on_the_core_equals_the_run(tmp_path: Path) -> None:
    spellings = ("dense", "block:1x8", "block:8x1", "gs:8,1", "gs:8,8", "gs_scatter:8,1", "unstructured")
    traces = [layer_trace(61, 128, spelling, 0.75) for spelling in spellings]
    made = [(layer_facts(trace, GS_TCM_SVE8), compile_layer(trace, GS_TCM_SVE8), {}) for trace in traces]
    expected = [run_program(facts, program, GS_TCM_SVE8) for facts, program, _ in made]
    write_programs(tmp_path / "trace", made, {})
    found = [run_program(f, p, GS_TCM_SVE8) for f, p in read_programs(tmp_path / "trace", GS_TCM_SVE8)]
    assert found == expected
    wide = replace(GS_TCM_SVE8, core=Core(issue_width=4, fused_gather=True))  # another core than the one that traced
    found = [run_program(f, p, wide) for f, p in read_programs(tmp_path / "trace", wide)]
    assert found == [run_program(facts, program, wide) for facts, program, _ in made]


def test_streams_of_somebody_else_gather_row_by_row() -> None:
    (stream,) = streams(layer_trace(64, 128, "gs:8,1", 0.75), GS_TCM_SVE8)
    assert "gather_row" in ISSUES
    assert instructions(replace(stream, issue=None), CORE) == instructions(replace(stream, issue="gather_row"), CORE)


def test_a_device_file_overrides_the_core(tmp_path: Path) -> None:
    file = tmp_path / "wide.toml"
    file.write_text('base = "gs-tcm-sve8"\n[core]\nissue_width = 4\nfused_gather = true\n')
    assert load_device(file).core == Core(issue_width=4, fused_gather=True)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('base = "gs-tcm-sve8"\n[core]\nissue_width = 0\n', "Core.issue_width is 0, and must be at least 1"),
        ('base = "gs-tcm-sve8"\n[core]\nwidth = 2\n', "unknown key core.width; did you mean issue_width"),
        ('base = "gs-tcm"\n[core]\nissue_width = 2\n', "the base has none to override; gs-tcm-sve8 has one"),
        ('base = "gs-tcm-sve8"\n[core]\ngather_instructions = 1\nfused_gather = true\n', "must be at least 2 with"),
    ],
)
def test_a_core_that_cannot_be_is_refused(tmp_path: Path, text: str, rule: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(DeviceError) as error:
        load_device(file)
    assert rule in str(error.value)
    assert "\n" not in str(error.value)


def test_the_product_of_the_paper_comes_from_the_catalog() -> None:
    (trace,) = trace_network(
        built_in("spmv1024"), Level(pattern=parse_pattern("block:8x1"), sparsity=0.9), prune_all=True
    ).traces
    assert sum(s.groups * s.repeats for s in streams(trace, GS_TCM_SVE8)) == round(0.1 * 1024 * 1024 / 8)
