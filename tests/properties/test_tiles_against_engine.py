"""Tiles run by the kernel equal the SimPy engine, to the cycle; streams that share a run equal a run of their own."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatherline.request import RunRequest, levels, lower
from simulator.devices.gs_tcm import GS_TCM
from simulator.engine import Tile, run_cores
from simulator.machine import run_stream
from simulator.memory.regions import place_cores, region_unit
from simulator.memory.timings import ALL_TIMINGS
from simulator.runner import run_parts, stream_interval, with_transfers
from simulator.simulate import Programs, best_program, simulate
from simulator.spec import Device, Dram
from simulator.stream_runs import StreamRuns, units_of
from simulator.tile_arrays import run_arrays, tile_arrays
from traces.masks import trace_network
from traces.stream import RequestStream
from traces.trace import LayerTrace


@st.composite
def tiles(draw: st.DrawFn, scale: int) -> list[list[Tile]]:
    """Small numbers, so that many things happen in one cycle."""
    most = draw(st.sampled_from([2, 6, 40]))
    sizes = {tag: scale * draw(st.integers(1, most)) for tag in ("w0", "w1", "x0", "x1", "s0")}
    cores = []
    for _ in range(draw(st.integers(1, 4))):
        of_core = []
        for _ in range(draw(st.integers(0, 6))):
            tags = draw(st.lists(st.sampled_from(sorted(sizes)), max_size=3))
            operands = tuple((tag, sizes[tag]) for tag in tags)
            of_core.append(
                Tile(
                    load_bytes=sum(size for _, size in operands) + scale * draw(st.integers(0, most)),
                    compute_cycles=draw(st.integers(0, most)),
                    store_bytes=scale * draw(st.integers(0, most)),
                    operands=operands,
                )
            )
        cores.append(of_core)
    return cores


flat = st.builds(
    Dram,
    bytes_per_s=st.sampled_from([500_000_000, 1_000_000_000, 3_000_000_000, 10**14]),
    burst_bytes=st.sampled_from([1, 3, 64]),
    latency_cycles=st.integers(1, 5),
)
timed = st.builds(
    lambda timing, latency: Dram.timed(timing, latency_cycles=latency),
    st.sampled_from(ALL_TIMINGS),
    st.integers(1, 60),
)
clocks = st.sampled_from([1, 999_999_937, 1_000_000_000, 2_133_500_000, 8_000_000_003, (1 << 37) + 29])


@given(data=st.data(), scale=st.sampled_from([1, 30, 700]), dram=st.one_of(flat, timed), clock_hz=clocks)
@settings(max_examples=400, deadline=None, derandomize=True)
def test_the_kernel_stores_the_last_tile_in_the_cycle_in_which_the_engine_does(
    data: st.DataObject, scale: int, dram: Dram, clock_hz: int
) -> None:
    cores = place_cores(data.draw(tiles(scale)), region_unit(dram))
    buffers = (data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3)))
    arrays = tile_arrays(cores)
    assert arrays is not None
    compute = np.array([tile.compute_cycles for of_core in cores for tile in of_core], np.int64)
    expected = run_cores(cores, dram, clock_hz, *buffers)
    assert run_arrays(arrays, compute, dram, clock_hz, *buffers) == expected


def test_times_that_64_bits_may_not_hold_are_left_to_the_engine() -> None:
    slow = Dram(bytes_per_s=1, burst_bytes=64, latency_cycles=1)
    (placed,) = place_cores([[Tile(load_bytes=1 << 20, compute_cycles=1, store_bytes=0)]], 4096)
    arrays = tile_arrays([placed])
    assert arrays is not None
    assert run_arrays(arrays, np.array([1], np.int64), slow, 1 << 47, 2, 2) is None
    assert run_arrays(arrays, np.array([1], np.int64), slow, 1 << 30, 2, 2) == run_cores([placed], slow, 1 << 30, 2, 2)
    assert tile_arrays([[Tile(load_bytes=1 << 62, compute_cycles=1, store_bytes=0)]]) is None


def _traces(model: str, pattern: str) -> list[LayerTrace]:
    request = RunRequest(model=model, patterns=(pattern,), sparsities=(0.9,))
    network = lower(request)
    (level,) = levels(network, request)
    return list(trace_network(network, level).traces)


DEVICES = (
    GS_TCM,
    replace(GS_TCM, clock_hz=1_700_000_001),
    replace(GS_TCM, dram=replace(GS_TCM.dram, timing=None, bytes_per_s=3_000_000_000)),
    replace(GS_TCM, gather=replace(GS_TCM.gather, window=4, order="out_of_order")),
    replace(GS_TCM, gather=replace(GS_TCM.gather, ports=2, latency=5, interval=Fraction(7, 4))),
    replace(GS_TCM, gather=replace(GS_TCM.gather, coalesce=True, window=3)),
    replace(GS_TCM, scratchpad=replace(GS_TCM.scratchpad, hash="xor")),
    replace(GS_TCM, scatter=replace(GS_TCM.scatter, rmw_cycles=3, ports=2), mac=replace(GS_TCM.mac, latency=9)),
    replace(GS_TCM, weight_buffer=replace(GS_TCM.weight_buffer, bytes_per_cycle=24)),
    replace(GS_TCM, vector_unit=replace(GS_TCM.vector_unit, elements_per_cycle=7)),
    replace(GS_TCM, scratchpad=replace(GS_TCM.scratchpad, activation_buffers=1, output_buffers=1)),
    replace(GS_TCM, cores=3),
)


@pytest.mark.parametrize("pattern", ["gs:16,1", "unstructured", "block:1x16"])
def test_devices_that_share_programs_get_the_results_of_devices_alone(pattern: str) -> None:
    for trace in _traces("digits", pattern):
        programs: Programs = {}
        shared = [simulate(trace, device, programs=programs) for device in DEVICES]
        again = [simulate(trace, device, programs=programs) for device in reversed(DEVICES)]
        assert shared == [simulate(trace, device) for device in DEVICES]
        assert again == shared[::-1]


@pytest.mark.parametrize("device", DEVICES)
def test_the_kernel_equals_the_engine_on_the_layers_of_digits(device: Device) -> None:
    for trace in _traces("digits", "gs:16,1"):
        _same_as_engine(trace, device)


@pytest.mark.slow
@pytest.mark.parametrize("device", [DEVICES[0], DEVICES[1], DEVICES[2], DEVICES[-1]])
def test_the_kernel_equals_the_engine_on_the_layers_of_resnet50(device: Device) -> None:
    for trace in _traces("resnet50", "gs:16,1"):
        _same_as_engine(trace, device)


def _same_as_engine(trace: LayerTrace, device: Device) -> None:
    program = best_program(trace, device)
    results = run_parts(program, device)
    by_engine = with_transfers(program, results, device, transfers=[])  # who asks for transfers gets the engine
    assert with_transfers(program, results, device) == by_engine


@st.composite
def streams(draw: st.DrawFn) -> RequestStream:
    groups = draw(st.integers(1, 6))
    sizes = draw(st.lists(st.integers(1, 4), min_size=groups, max_size=groups))
    address = draw(st.lists(st.integers(0, 12), min_size=sum(sizes), max_size=sum(sizes)))
    ends = sorted({groups, *draw(st.lists(st.integers(1, groups), max_size=2))})
    scattered = draw(st.lists(st.integers(0, 3), min_size=len(ends), max_size=len(ends)))
    written = draw(st.lists(st.integers(0, 9), min_size=sum(scattered), max_size=sum(scattered)))
    serial = draw(st.booleans())
    repeats = draw(st.integers(1, 5))
    offset = draw(st.none() | st.lists(st.integers(0, 9), min_size=repeats, max_size=repeats))
    return RequestStream(
        name="any",
        group_ptr=np.cumsum([0, *sizes]),
        lane=np.concatenate([np.arange(size) for size in sizes]).astype(np.int16),
        address=np.array(address, np.int64),
        bundle_end=np.array(ends, np.int64),
        scatter_ptr=np.cumsum([0, *scattered]),
        scatter_address=np.array(written, np.int64),
        repeats=repeats,
        repeat_stride=draw(st.integers(0, 5)),
        repeat_offset=None if offset is None else np.array(offset, np.int64),
        scatter_stride=draw(st.integers(0, 5)),
        serial=serial,
        gap=draw(st.integers(0, 3)) if serial else 0,
        bytes_per_group=draw(st.integers(1, 200)),
    )


@st.composite
def machines(draw: st.DrawFn) -> Device:
    gather = replace(
        GS_TCM.gather,
        window=draw(st.integers(1, 4)),
        order=draw(st.sampled_from(["in_order", "out_of_order"])),
        ports=draw(st.integers(1, 4)),
        coalesce=draw(st.booleans()),
        latency=draw(st.integers(1, 4)),
        interval=draw(st.none() | st.fractions(Fraction(1, 2), 4, max_denominator=4)),
    )
    banks, hashed = draw(st.sampled_from([(4, "none"), (4, "xor"), (6, "none"), (16, "none")]))
    return replace(
        GS_TCM,
        gather=gather,
        scratchpad=replace(GS_TCM.scratchpad, banks=banks, hash=hashed),
        mac=replace(GS_TCM.mac, latency=draw(st.integers(1, 4))),
        scatter=replace(GS_TCM.scatter, rmw_cycles=draw(st.integers(1, 3)), ports=draw(st.integers(1, 3))),
    )


def check_shared_runs(stream: RequestStream, devices: list[Device]) -> None:
    """Compare the runs that ``devices`` share with a run of each alone, with its ports and without conflicts."""
    runs = StreamRuns()
    for device in devices:
        interval = stream_interval(stream, device)
        own = run_stream(stream, device.gather, device.scratchpad, device.mac, device.scatter, interval=interval)
        assert runs.of_stream(stream, units_of(device), interval) == own
        free = replace(device, gather=replace(device.gather, ports=16))
        own = run_stream(stream, free.gather, free.scratchpad, free.mac, free.scatter, interval=interval)
        assert runs.of_stream(stream, units_of(device).without_conflicts(), interval) == own


@given(stream=streams(), devices=st.lists(machines(), min_size=1, max_size=5))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_stream_that_shares_a_run_takes_the_cycles_of_a_run_of_its_own(
    stream: RequestStream, devices: list[Device]
) -> None:
    check_shared_runs(stream, devices)


@pytest.mark.slow
@given(stream=streams(), devices=st.lists(machines(), min_size=1, max_size=5))
@settings(max_examples=400, deadline=None, derandomize=True)
def test_many_more_streams_that_share_a_run_take_the_cycles_of_a_run_of_their_own(
    stream: RequestStream, devices: list[Device]
) -> None:
    check_shared_runs(stream, devices)


def test_devices_that_differ_in_window_order_and_ports_share_the_run_of_a_stream_without_conflicts() -> None:
    stream = RequestStream(
        name="diagonal",
        group_ptr=np.array([0, 4, 8], np.int64),
        lane=np.tile(np.arange(4, dtype=np.int16), 2),
        address=np.array([0, 1, 2, 3, 7, 6, 5, 4], np.int64),
        bundle_end=np.array([2], np.int64),
        scatter_ptr=np.array([0, 1], np.int64),
        scatter_address=np.array([0], np.int64),
    )
    runs = StreamRuns()
    first = runs.of_stream(stream, units_of(DEVICES[0]), Fraction(1))
    for device in (DEVICES[2], DEVICES[3]):
        assert runs.of_stream(stream, units_of(device), Fraction(1, 3)) is first
    assert runs.of_stream(stream, units_of(DEVICES[4]), Fraction(1)) is not first  # another latency
