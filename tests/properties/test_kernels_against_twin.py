"""The kernels and the jump over repeats equal the cycle-by-cycle machine, to the cycle, per group and per bundle."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulator import gather_run
from simulator import machine as fast
from simulator._kernels import gather as gather_kernels
from simulator.spec import DeviceError, GatherUnit, MacArray, ScatterUnit, Scratchpad
from tests.reference import machine as twin
from traces.stream import RequestStream, TraceError, check_stream

BANKS = st.one_of(
    st.tuples(st.integers(1, 9), st.just("none")),
    st.tuples(st.sampled_from([16, 17, 20]), st.just("none")),
    st.tuples(st.sampled_from([1, 2, 4, 8, 16, 32]), st.just("xor")),
)
INTERVALS = st.one_of(
    st.just(Fraction(1)), st.fractions(min_value=Fraction(1, 5), max_value=7, max_denominator=9), st.just(Fraction(40))
)


@st.composite
def machines(draw: st.DrawFn) -> twin.Machine:
    banks, hashing = draw(BANKS)
    interval = draw(INTERVALS)
    return twin.Machine(
        lanes=draw(st.integers(1, 8)),
        window=draw(st.one_of(st.just(1), st.integers(1, 12))),
        interval_num=interval.numerator,
        interval_den=interval.denominator,
        order=draw(st.sampled_from(["in_order", "out_of_order"])),
        ports=draw(st.integers(1, 3)),
        coalesce=draw(st.booleans()),
        latency=draw(st.integers(1, 5)),
        banks=banks,
        hash=hashing,
        mac_latency=draw(st.integers(1, 5)),
        rmw_cycles=draw(st.integers(1, 3)),
        scatter_ports=draw(st.integers(1, 2)),
    )


def random_stream(random: Random, lanes: int, banks: int, groups: int, repeats: int) -> twin.Stream:
    """Groups of any width with lanes in any order; addresses from a range that makes conflicts rare or certain."""
    addresses = random.choice([2, banks, 3 * banks, 1000])
    full = random.random() < 0.3
    rows = []
    for _ in range(groups):
        used = random.sample(range(lanes), lanes if full else random.randint(1, lanes))
        rows.append([(lane, random.randrange(addresses)) for lane in used])
    ends = sorted({*random.sample(range(1, groups + 1), random.randint(1, groups)), groups})
    outputs = random.choice([1, 3, 8])
    scatter = [[random.randrange(64) for _ in range(random.randint(0, outputs))] for _ in ends]
    serial = random.random() < 0.2
    stride = random.choice([0, 0, 1, 3, banks, banks * banks, banks * banks // 2, 7])
    offset = None
    if random.random() < 0.4:
        moves = random.choice([[0, 5], [banks], [0, 1, 2, 3], range(300)])
        offset = [random.choice(moves) + j * stride for j in range(repeats)]
    return twin.Stream(
        groups=rows,
        bundle_end=ends,
        scatter=scatter,
        repeats=repeats,
        repeat_offset=offset,
        repeat_stride=stride,
        scatter_stride=random.choice([0, 0, 1, banks, 5]),
        serial=serial,
        gap=random.randint(0, 5) if serial else 0,
    )


def as_arrays(stream: twin.Stream) -> RequestStream:
    requests = [request for group in stream.groups for request in group]
    made = RequestStream(
        name="s",
        group_ptr=np.cumsum([0, *map(len, stream.groups)], dtype=np.int64),
        lane=np.array([lane for lane, _ in requests], np.int16),
        address=np.array([address for _, address in requests], np.int64),
        bundle_end=np.array(stream.bundle_end, np.int64),
        scatter_ptr=np.cumsum([0, *map(len, stream.scatter)], dtype=np.int64),
        scatter_address=np.array([address for bundle in stream.scatter for address in bundle], np.int64),
        repeats=stream.repeats,
        repeat_offset=None if stream.repeat_offset is None else np.array(stream.repeat_offset, np.int64),
        repeat_stride=stream.repeat_stride,
        scatter_stride=stream.scatter_stride,
        serial=stream.serial,
        gap=stream.gap,
        tile_end=np.array(stream.bundle_end, np.int64)[[-1]] if len(stream.groups) % 2 else None,
    )
    check_stream(made)
    return made


def units(machine: twin.Machine) -> tuple[GatherUnit, Scratchpad, MacArray, ScatterUnit]:
    return (
        GatherUnit(
            lanes=machine.lanes,
            window=machine.window,
            order=machine.order,  # type: ignore[arg-type]
            ports=machine.ports,
            coalesce=machine.coalesce,
            latency=machine.latency,
        ),
        Scratchpad(banks=machine.banks, hash=machine.hash, activation_bytes=1, output_bytes=1),  # type: ignore[arg-type]
        MacArray(latency=machine.mac_latency),
        ScatterUnit(rmw_cycles=machine.rmw_cycles, ports=machine.scatter_ports),
    )


def assert_equal_to_twin(machine: twin.Machine, stream: twin.Stream) -> None:
    slow = twin.run(machine, stream)
    interval = Fraction(machine.interval_num, machine.interval_den)
    arrays, parts = as_arrays(stream), units(machine)
    granted, consumed, start, end = fast.schedule(arrays, *parts, interval=interval)
    assert granted.tolist() == slow.granted
    assert consumed.tolist() == slow.consumed
    assert start.tolist() == slow.start
    assert end.tolist() == slow.end
    result = fast.run_stream(arrays, *parts, interval=interval)
    assert result.gather == slow.gather_cycles
    assert result.cycles == slow.cycles
    assert result.waiting_words == slow.waiting
    assert result.consumed == 1 + slow.consumed[-1]
    assert result.scatter_busy == sum(slow.cost) * machine.rmw_cycles
    assert result.tile_ends == (() if arrays.tile_end is None else (slow.end[len(stream.bundle_end) - 1],))
    first = fast.granted(arrays, *parts[:2], interval=interval)
    assert first.tolist() == slow.granted[: len(stream.groups)]


@settings(max_examples=400, deadline=None)
@given(machines(), st.integers(0, 2**32), st.integers(1, 20), st.integers(1, 30))
def test_kernels_and_repeats_equal_the_stepped_machine(
    machine: twin.Machine, seed: int, groups: int, repeats: int
) -> None:
    assert_equal_to_twin(machine, random_stream(Random(seed), machine.lanes, machine.banks, groups, repeats))


@settings(max_examples=60, deadline=None)
@given(machines(), st.integers(0, 2**32), st.integers(40, 120))
def test_long_streams_equal_the_stepped_machine(machine: twin.Machine, seed: int, groups: int) -> None:
    assert_equal_to_twin(machine, random_stream(Random(seed), machine.lanes, machine.banks, groups, 2))


def assert_jump_equals_replay(machine: twin.Machine, stream: twin.Stream) -> None:
    interval = Fraction(machine.interval_num, machine.interval_den)
    arrays, parts = as_arrays(stream), units(machine)
    granted, consumed, _, end = fast.schedule(arrays, *parts, interval=interval)
    result = fast.run_stream(arrays, *parts, interval=interval)
    assert result.gather == 1 + granted.max()
    assert result.consumed == 1 + consumed[-1]
    assert result.cycles == end[-1]


@settings(max_examples=60, deadline=None)
@given(machines(), st.integers(0, 2**32), st.integers(1, 12), st.integers(100, 400))
def test_a_jump_over_many_repeats_equals_replaying_each(
    machine: twin.Machine, seed: int, groups: int, repeats: int
) -> None:
    assert_jump_equals_replay(machine, random_stream(Random(seed), machine.lanes, machine.banks, groups, repeats))


@settings(max_examples=40, deadline=None)
@given(machines(), st.integers(0, 2**32), st.integers(2, 40), st.sampled_from([1, 3000]))
@example(twin.Machine(lanes=4, window=12, banks=3), 1, 40, 3000)
@example(twin.Machine(lanes=4, window=12, banks=3), 1, 40, 1)  # less than one state
def test_forgetting_states_changes_no_cycle(machine: twin.Machine, seed: int, repeats: int, most_bytes: int) -> None:
    stream = random_stream(Random(seed), machine.lanes, machine.banks, 5, repeats)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "MEMO_BYTES", most_bytes)
        assert_jump_equals_replay(machine, stream)


@settings(max_examples=150, deadline=None)
@given(machines(), st.integers(0, 2**32), st.integers(1, 25), st.integers(1, 4), st.sampled_from([1, 3, 20]))
def test_cutting_a_repeat_into_chunks_changes_no_cycle(
    machine: twin.Machine, seed: int, groups: int, repeats: int, chunk: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gather_run, "CHUNK_REQUESTS", chunk)
        assert_equal_to_twin(machine, random_stream(Random(seed), machine.lanes, machine.banks, groups, repeats))


@settings(max_examples=200, deadline=None)
@given(
    machines(),
    st.integers(0, 2**32),
    st.integers(1, 4),
    st.integers(30, 90),
    st.sampled_from([0, 1, 2, 10, 60, gather_run.STEP_REQUESTS]),
)
def test_running_many_repeats_at_once_changes_no_cycle(
    machine: twin.Machine, seed: int, groups: int, repeats: int, step: int
) -> None:
    """What a step is said to cost decides how long states are looked for and how many repeats a call then runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gather_run, "STEP_REQUESTS", step)
        assert_equal_to_twin(machine, random_stream(Random(seed), machine.lanes, machine.banks, groups, repeats))


FAMILIES: tuple[dict[str, Any], ...] = (
    {"window": 1},
    {"window": 1, "ports": 2},
    {"window": 9, "order": "out_of_order"},
    {"window": 9, "order": "out_of_order", "ports": 2},
    {"window": 9, "order": "out_of_order", "banks": 32},
    {"window": 9},
    {"window": 9, "ports": 2},
    {"window": 9, "coalesce": True},
    {"window": 9, "order": "out_of_order", "coalesce": True},
)


@pytest.mark.parametrize("hashing", ["none", "xor"])
@pytest.mark.parametrize("changes", FAMILIES)
@pytest.mark.parametrize("moves", [[3] * 70, [0, 5] * 35, Random(3).choices(range(5000), k=70)])
def test_short_repeats_equal_the_stepped_machine_whether_offsets_recur_or_not(
    changes: dict[str, Any], hashing: str, moves: list[int]
) -> None:
    machine = twin.Machine(**{"lanes": 8, "banks": 8, "hash": hashing, **changes})
    stream = random_stream(Random(7), machine.lanes, machine.banks, 2, len(moves))
    assert_equal_to_twin(machine, replace(stream, repeat_offset=moves, serial=False, gap=0))


@pytest.mark.parametrize("changes", FAMILIES)
def test_groups_that_fill_several_tiles_equal_the_stepped_machine(changes: dict[str, Any]) -> None:
    machine = twin.Machine(**{"lanes": 8, "banks": 8, **changes})
    stream = random_stream(Random(2), machine.lanes, machine.banks, 700, 2)
    assert sum(map(len, stream.groups)) > gather_kernels.TILE
    assert_equal_to_twin(machine, stream)


@pytest.mark.parametrize("order", ["in_order", "out_of_order"])
def test_a_group_wider_than_a_tile_takes_the_load_of_its_fullest_bank(order: str) -> None:
    lanes, banks = gather_kernels.TILE + 77, 48
    rng = np.random.default_rng(0)
    address = rng.integers(0, 1 << 20, lanes)
    stream = one_group(group_ptr=np.array([0, lanes]), lane=np.arange(lanes, dtype=np.int16), address=address)
    machine = twin.Machine(lanes=lanes, window=1, order=order, banks=banks)
    result = fast.run_stream(stream, *units(machine), interval=Fraction(1))
    assert result.gather == np.bincount(address % banks).max()


@settings(max_examples=60, deadline=None)
@given(machines(), st.integers(0, 2**32), st.integers(1, 12), st.integers(2, 30))
def test_a_bound_on_what_is_counted_in_words_changes_no_cycle(
    machine: twin.Machine, seed: int, groups: int, repeats: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gather_run, "MOST_BACKLOG", 0)
        assert_equal_to_twin(machine, random_stream(Random(seed), machine.lanes, machine.banks, groups, repeats))


@pytest.mark.parametrize("order", ["in_order", "out_of_order"])
@pytest.mark.parametrize("window", [1, 4])
def test_memory_is_bounded_by_a_chunk_and_not_by_the_stream(window: int, order: str) -> None:
    groups = 250_000
    rng = np.random.default_rng(0)
    stream = RequestStream(
        name="s",
        group_ptr=np.arange(groups + 1, dtype=np.int64) * 8,
        lane=np.tile(np.arange(8, dtype=np.int16), groups),
        address=rng.integers(0, 1000, 8 * groups),
        bundle_end=np.arange(1, groups + 1, dtype=np.int64),
        scatter_ptr=np.arange(groups + 1, dtype=np.int64),
        scatter_address=rng.integers(0, 1000, groups),
    )
    parts = units(twin.Machine(lanes=8, window=window, order=order, banks=8))
    fast.run_stream(replace(stream, repeats=2), *parts, interval=Fraction(1))  # compiles
    tracemalloc.start()
    fast.run_stream(replace(stream, repeats=2), *parts, interval=Fraction(1))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 32 * gather_run.CHUNK_REQUESTS < stream.address.nbytes


def one_group(**changes: Any) -> RequestStream:
    fields: dict[str, Any] = {
        "name": "s",
        "group_ptr": np.array([0, 1]),
        "lane": np.zeros(1, np.int16),
        "address": np.zeros(1, np.int64),
        "bundle_end": np.array([1]),
        "scatter_ptr": np.array([0, 0]),
        "scatter_address": np.zeros(0, np.int64),
    }
    return RequestStream(**{**fields, **changes})


def test_a_billion_repeats_of_one_group_take_a_billion_cycles_and_the_latencies() -> None:
    parts = units(twin.Machine(lanes=1, window=4, latency=2, mac_latency=3, rmw_cycles=1))
    repeats = 10**9
    result = fast.run_stream(one_group(repeats=repeats), *parts, interval=Fraction(1))
    assert result.gather == repeats
    assert result.cycles == (repeats - 1) + 2 + 3 + 1


def test_a_stream_that_64_bits_cannot_count_is_refused() -> None:
    parts = units(twin.Machine(lanes=1, window=1))
    with pytest.raises(TraceError, match=r"s: it may take \d+ cycles, and they must be below 2\^62"):
        fast.run_stream(one_group(repeats=2**61), *parts, interval=Fraction(1))
    with pytest.raises(TraceError, match=r"address is 4611686018427387904, and must be below 2\^62"):
        fast.run_stream(one_group(address=np.array([1 << 62])), *parts, interval=Fraction(1))


def test_an_interval_of_zero_and_a_window_without_end_are_refused() -> None:
    parts = units(twin.Machine(lanes=2, window=1 << 40))
    with pytest.raises(DeviceError, match="interval is 0, and must be above 0"):
        fast.run_stream(one_group(), *parts, interval=Fraction(0))
    two = one_group(
        group_ptr=np.array([0, 2]), lane=np.array([0, 1], np.int16), address=np.zeros(2, np.int64), repeats=2**40
    )
    with pytest.raises(DeviceError, match=r"GatherUnit.window is 1099511627776, and with 16 banks"):
        fast.run_stream(two, *parts, interval=Fraction(1))


@pytest.mark.parametrize("order", ["in_order", "out_of_order"])
def test_more_banks_than_16_bits_can_name_are_simulated(order: str) -> None:
    banks = (1 << 16) + 1
    machine = twin.Machine(lanes=2, window=3, order=order, banks=banks)
    rows = [[(0, 0), (1, banks)], [(1, 1 << 16), (0, (1 << 33) + 5)], [(0, 2 * banks)], [(0, 1), (1, 1 << 16)]]
    stream = twin.Stream(groups=rows, bundle_end=[4], scatter=[[0, banks, 1 << 16]], repeats=4, repeat_stride=1 << 16)
    assert_equal_to_twin(machine, stream)


@pytest.mark.parametrize("repeats", [1, 3, 90])
@pytest.mark.parametrize("order", ["in_order", "out_of_order"])
@pytest.mark.parametrize("ports", [1, 2])
def test_a_long_pipeline_holds_the_words_granted_after_the_last_dispatch(order: str, repeats: int, ports: int) -> None:
    machine = twin.Machine(lanes=3, window=9, latency=100, banks=2, order=order, ports=ports)
    groups = [[(1, 0), (0, 2), (2, 4)], [(0, 0), (1, 2), (2, 2)]]
    stream = twin.Stream(groups=groups, bundle_end=[1, 2], scatter=[[], [1, 3]], repeats=repeats)
    assert_equal_to_twin(machine, stream)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("hashing", ["none", "xor"])
@pytest.mark.parametrize("order", ["in_order", "out_of_order"])
def test_a_repeat_coalesces_with_words_that_the_one_before_still_waits_for(
    order: str, hashing: str, stride: int
) -> None:
    machine = twin.Machine(lanes=6, window=8, banks=2, order=order, hash=hashing, coalesce=True)
    group = [(lane, lane) for lane in range(6)]
    shared = twin.Stream(groups=[group, group[:3]], bundle_end=[2], scatter=[[0]], repeats=12, repeat_stride=stride)
    alone = replace(shared, repeat_stride=64)
    assert_equal_to_twin(machine, shared)
    assert twin.run(machine, shared).granted != twin.run(machine, alone).granted
