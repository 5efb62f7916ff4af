"""Which tiling of a layer is taken: the fastest of the few that differ in kind, DESIGN section 5a."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from patterns.base import Pattern
from patterns.dense import Dense
from patterns.gs import GatherScatter
from patterns.unstructured import Unstructured
from simulator.devices.gs_tcm import GS_TCM, GS_TCM_OOO
from simulator.judge import CycleJudge
from simulator.memory.dram import least_cycles, open_memory
from simulator.memory.timings import ALL_TIMINGS
from simulator.runner import run_parts, with_transfers
from simulator.schedule.layer_program import compile_layer
from simulator.schedule.mapper import mappings, scored_mappings
from simulator.schedule.mapping import parse_mapping
from simulator.schedule.program import Program
from simulator.schedule.sources import plan_streams
from simulator.schedule.tilings import Tilings
from simulator.simulate import Programs, best_program, simulate
from simulator.spec import Device, Dram, DramTiming
from traces.layer import MatrixLayer, Window
from traces.trace import LayerTrace

TOKENS = MatrixLayer(name="tokens", kind="linear", m=256, k=512, window=Window(in_hw=(1, 64), out_hw=(1, 64)))
CONV = MatrixLayer(
    name="conv", kind="conv2d", m=64, k=9 * 64,
    window=Window(kernel=(3, 3), padding=(1, 1, 1, 1), in_hw=(28, 28), out_hw=(28, 28)),
)  # fmt: skip
LAYERS = (TOKENS, CONV)
SMALL = replace(
    GS_TCM,
    weight_buffer=replace(GS_TCM.weight_buffer, bytes=32 * 1024),
    scratchpad=replace(GS_TCM.scratchpad, activation_bytes=32 * 1024, output_bytes=8192),
)


def _trace(layer: MatrixLayer, pattern: Pattern, sparsity: float) -> LayerTrace:
    scores = np.random.default_rng(3).random((layer.groups, layer.m, layer.k), dtype=np.float32)
    mask = np.ones_like(scores, dtype=np.bool_) if isinstance(pattern, Dense) else pattern.project(scores, sparsity)
    return LayerTrace(layer=layer, pattern=pattern, mask=mask)


def _cycles(program: Program, device: Device) -> int:
    return with_transfers(program, run_parts(program, device), device)[0].cycles


class _CountingJudge(CycleJudge):
    """A judge that says what it was shown."""

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self.shown: list[Program] = []

    def cycles(self, program: Program) -> tuple[int, int]:
        self.shown.append(program)
        return super().cycles(program)


@pytest.mark.parametrize("device", [GS_TCM, SMALL], ids=["gs-tcm", "small"])
@pytest.mark.parametrize("layer", LAYERS, ids=[layer.name for layer in LAYERS])
@pytest.mark.parametrize("pattern", [Dense(), Unstructured(), GatherScatter(banks=16, k=1)], ids=lambda p: p.spelling)
def test_the_fastest_of_the_tilings_that_are_simulated_is_taken(
    layer: MatrixLayer, pattern: Pattern, device: Device
) -> None:
    trace = _trace(layer, pattern, 0.9)
    judge = _CountingJudge(device)
    taken = Tilings(trace, device, plan_streams(trace, device, None, "packed")).fastest(judge)
    found = [_cycles(program, device) for program in judge.shown]
    assert _cycles(taken, device) == min(found) <= _cycles(compile_layer(trace, device), device)
    assert judge.shown[0].mapping == compile_layer(trace, device).mapping  # the fewest bytes first
    assert 1 <= len(found) <= 5
    assert len({program.mapping for program in judge.shown}) == len(found)
    result = simulate(trace, device)
    assert result.cycles is not None
    assert (result.mapping, result.cycles.total) == (taken.mapping, min(found))
    assert simulate(trace, device, mapping=taken.mapping) == result


def test_a_cut_of_channels_is_tried_against_cuts_that_pack_better() -> None:
    device = replace(GS_TCM, weight_buffer=replace(GS_TCM.weight_buffer, bytes=16 * 1024))
    layer = MatrixLayer(
        name="late", kind="conv2d", m=512, k=9 * 512,
        window=Window(kernel=(3, 3), padding=(1, 1, 1, 1), in_hw=(7, 7), out_hw=(7, 7)),
    )  # fmt: skip
    trace = _trace(layer, Unstructured(), 0.95)
    bytes_first, fastest = compile_layer(trace, device), best_program(trace, device)
    cut, whole = parse_mapping(bytes_first.mapping).channels, parse_mapping(fastest.mapping).channels
    assert cut < whole
    groups = [sum(stream.groups * stream.repeats for stream in program.streams) for program in (bytes_first, fastest)]
    assert groups[0] > 1.2 * groups[1]
    assert _cycles(fastest, device) < 0.9 * _cycles(bytes_first, device)


def test_small_tiles_overlap_what_one_large_tile_does_one_after_another() -> None:
    trace = _trace(TOKENS, Dense(), 0.0)
    one, best = compile_layer(trace, GS_TCM), best_program(trace, GS_TCM)
    tiles = [sum(len(visit.runs) for visit in program.visits) for program in (one, best)]
    assert tiles[1] >= 4 * tiles[0]
    assert _cycles(best, GS_TCM) < _cycles(one, GS_TCM)


def test_where_the_encoded_tiles_of_the_best_cuts_do_not_fit_another_cut_is_taken() -> None:
    device = replace(GS_TCM, weight_buffer=replace(GS_TCM.weight_buffer, bytes=16 * 1024))
    trace = _trace(replace(CONV, m=512, k=9 * 512), GatherScatter(banks=16, k=1), 0.9)
    assert best_program(trace, device).macs_effectual == trace.kept * CONV.p


def test_a_layer_that_the_dram_bounds_is_simulated_once() -> None:
    slow = replace(GS_TCM, dram=Dram(bytes_per_s=10**7, burst_bytes=64, latency_cycles=100))
    for layer in LAYERS:
        trace = _trace(layer, Unstructured(), 0.9)
        judge = _CountingJudge(slow)
        Tilings(trace, slow, plan_streams(trace, slow, None, "packed")).fastest(judge)
        assert len(judge.shown) == 1


def test_devices_that_differ_in_timing_share_what_was_compiled_and_choose_by_themselves() -> None:
    programs: Programs = {}
    for layer in LAYERS:
        trace = _trace(layer, Unstructured(), 0.9)
        for device in (GS_TCM, GS_TCM_OOO, replace(GS_TCM, dram=Dram.timed(ALL_TIMINGS[-1], latency_cycles=50))):
            assert simulate(trace, device, programs=programs) == simulate(trace, device)
    assert len(programs) == len(LAYERS)


@pytest.mark.parametrize("timing", [None, *ALL_TIMINGS], ids=lambda timing: timing.name if timing else "flat")
@pytest.mark.parametrize("size_bytes", [64, 100_000, 10_000_000])
def test_no_dram_moves_bytes_in_fewer_cycles_than_its_peak_allows(timing: DramTiming | None, size_bytes: int) -> None:
    dram = (
        Dram.timed(timing, latency_cycles=1)
        if timing
        else Dram(bytes_per_s=17_100_000_000, burst_bytes=64, latency_cycles=1)
    )
    least = least_cycles(dram, size_bytes, 10**9)
    done = open_memory(dram, 10**9).serve(0, 0, size_bytes, False)[1]
    assert least <= done
    if size_bytes == 10_000_000:
        assert least > 0.95 * done


def test_scored_mappings_are_those_that_fit_in_the_order_of_bytes_then_tiles() -> None:
    trace = _trace(CONV, Dense(), 0.0)
    plan = plan_streams(trace, SMALL, None, "packed")
    found = scored_mappings(CONV, SMALL, plan.row_bytes, plan.rows_per_bundle)
    assert [(each.dram_bytes, each.tiles) for each in found] == sorted((each.dram_bytes, each.tiles) for each in found)
    assert [each.mapping for each in found] == list(mappings(CONV, SMALL, plan.row_bytes, plan.rows_per_bundle))
