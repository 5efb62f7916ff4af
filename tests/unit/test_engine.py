"""Tiles between DMA in, compute and DMA out, against a recurrence written down by hand: DESIGN section 5a."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.engine import Tile, Transfer, run_tiles
from simulator.memory.dram import bus_cycles, open_memory
from simulator.memory.regions import place, region_unit
from simulator.memory.timings import ALL_TIMINGS, LPDDR4X_4267
from simulator.spec import DeviceError, Dram, DramTiming

CLOCK_HZ = 1_000_000_000
DRAM = Dram(bytes_per_s=17_100_000_000, burst_bytes=64, latency_cycles=100)


def _bus(size_bytes: int, dram: Dram, clock_hz: int) -> int:
    """Whole bursts at the sustained rate, rounded up to a cycle."""
    bursts = (size_bytes + dram.burst_bytes - 1) // dram.burst_bytes
    cycles = Fraction(bursts * dram.burst_bytes * clock_hz, dram.bytes_per_s)
    return -(-cycles.numerator // cycles.denominator)


def _by_events(steps: list[Tile], dram: Dram, clock_hz: int, buffers_in: int, buffers_out: int) -> int:
    """The same machine as a list of pending transfers that one port serves in the order in which they were asked for.

    load[i] may be asked for when load[i - 1] is off the bus and tile i - buffers_in has been computed; store[i] when
    tile i is computed and store[i - 1] is off the bus; tile i runs when its bytes are there (a latency after the bus),
    tile i - 1 has run and store i - buffers_out is done. At equal times a freed port goes to who asked first.
    """
    count = len(steps)
    load_done: list[int | None] = [None] * count
    run_done: list[int | None] = [None] * count
    store_done: list[int | None] = [None] * count
    next_load = next_store = 0
    load_asked: int | None = None
    store_asked: int | None = None
    port_free = 0
    time = 0
    while store_done[-1] is None:
        moved = True
        while moved:
            moved = False
            for i in range(count):  # tiles whose turn it is run as soon as what they need is known
                if run_done[i] is not None or load_done[i] is None or (i and run_done[i - 1] is None):
                    continue
                freed = 0 if i < buffers_out else store_done[i - buffers_out]
                if freed is None:
                    continue
                loaded = load_done[i]
                assert loaded is not None
                arrival = loaded + (dram.latency_cycles if steps[i].load_bytes else 0)
                run_done[i] = max(arrival, run_done[i - 1] or 0 if i else 0, freed) + steps[i].compute_cycles
                moved = True
            if load_asked is None and next_load < count:
                room = 0 if next_load < buffers_in else run_done[next_load - buffers_in]
                before = 0 if next_load == 0 else load_done[next_load - 1]
                if room is not None and before is not None:
                    load_asked = max(room, before)
            if store_asked is None and next_store < count:
                ran = run_done[next_store]
                before = 0 if next_store == 0 else store_done[next_store - 1]
                if ran is not None and before is not None:
                    store_asked = max(ran, before)
            if load_asked is not None and not steps[next_load].load_bytes:
                load_done[next_load], load_asked, moved = load_asked, None, True
                next_load += 1
                continue
            if store_asked is not None and not steps[next_store].store_bytes:
                store_done[next_store], store_asked, moved = store_asked, None, True
                next_store += 1
        if store_done[-1] is not None:
            break
        if load_asked is not None and (store_asked is None or load_asked <= store_asked):
            port_free = max(port_free, load_asked) + _bus(steps[next_load].load_bytes, dram, clock_hz)
            load_done[next_load], load_asked = port_free, None
            next_load += 1
        else:
            assert store_asked is not None
            port_free = max(port_free, store_asked) + _bus(steps[next_store].store_bytes, dram, clock_hz)
            store_done[next_store], store_asked = port_free, None
            next_store += 1
        time = port_free
    last = store_done[-1]
    assert last is not None
    assert last <= time or not steps[-1].store_bytes
    return last


def _step(load: int, compute: int, store: int) -> Tile:
    return Tile(load_bytes=load, compute_cycles=compute, store_bytes=store)


loads_only = st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 900)), min_size=1, max_size=12)


@given(
    sizes=loads_only,
    buffers=st.integers(1, 3),
    latency=st.integers(1, 300),
    burst=st.sampled_from([1, 32, 64, 100]),
    rate=st.sampled_from([1_000_000_000, 3_000_000_000, 17_100_000_000, 200_000_000_000]),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_loads_and_compute_overlap_as_far_as_the_buffers_allow(
    sizes: list[tuple[int, int]], buffers: int, latency: int, burst: int, rate: int
) -> None:
    dram = Dram(bytes_per_s=rate, burst_bytes=burst, latency_cycles=latency)
    on_bus: list[int] = []
    done: list[int] = []
    for i, (size, compute) in enumerate(sizes):
        start = max(on_bus[-1] if on_bus else 0, done[i - buffers] if i >= buffers else 0)
        on_bus.append(start + _bus(size, dram, CLOCK_HZ))
        there = on_bus[-1] + (latency if size else 0)
        done.append(max(there, done[-1] if done else 0) + compute)
    steps = [_step(size, compute, 0) for size, compute in sizes]
    assert run_tiles(steps, dram, CLOCK_HZ, buffers, 2) == done[-1]


@given(sizes=loads_only, buffers=st.integers(1, 3))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_compute_waits_for_a_free_output_buffer(sizes: list[tuple[int, int]], buffers: int) -> None:
    done: list[int] = []
    stored: list[int] = []
    for i, (size, compute) in enumerate(sizes):
        freed = stored[i - buffers] if i >= buffers else 0
        done.append(max(done[-1] if done else 0, freed) + compute)
        stored.append(max(done[-1], stored[-1] if stored else 0) + _bus(size, DRAM, CLOCK_HZ))
    steps = [_step(0, compute, size) for size, compute in sizes]
    assert run_tiles(steps, DRAM, CLOCK_HZ, 2, buffers) == stored[-1]


@given(
    data=st.lists(st.tuples(st.integers(0, 9000), st.integers(1, 700), st.integers(0, 9000)), min_size=1, max_size=10),
    buffers_in=st.integers(1, 3),
    buffers_out=st.integers(1, 3),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_loads_and_stores_share_one_port_in_the_order_of_asking(
    data: list[tuple[int, int, int]], buffers_in: int, buffers_out: int
) -> None:
    steps = [_step(*values) for values in data]
    found = run_tiles(steps, DRAM, CLOCK_HZ, buffers_in, buffers_out)
    compute = sum(step.compute_cycles for step in steps)
    bus = sum(_bus(step.load_bytes, DRAM, CLOCK_HZ) + _bus(step.store_bytes, DRAM, CLOCK_HZ) for step in steps)
    alone = sum(
        _bus(step.load_bytes, DRAM, CLOCK_HZ)
        + (DRAM.latency_cycles if step.load_bytes else 0)
        + step.compute_cycles
        + _bus(step.store_bytes, DRAM, CLOCK_HZ)
        for step in steps
    )
    assert max(compute, bus) <= found <= alone
    assert found == _by_events(steps, DRAM, CLOCK_HZ, buffers_in, buffers_out)


def test_one_buffer_of_each_kind_overlaps_nothing_but_the_last_store_with_the_next_load() -> None:
    first, second = _step(6400, 50, 0), _step(6400, 70, 0)
    each = _bus(6400, DRAM, CLOCK_HZ) + DRAM.latency_cycles
    assert run_tiles([first, second], DRAM, CLOCK_HZ, 1, 1) == each + 50 + each + 70


def test_nothing_to_move_costs_nothing() -> None:
    assert bus_cycles(DRAM, 0, CLOCK_HZ) == 0
    assert run_tiles([_step(0, 7, 0), _step(0, 8, 0)], DRAM, CLOCK_HZ, 1, 1) == 7 + 8
    assert run_tiles([], DRAM, CLOCK_HZ, 2, 2) == 0


def test_a_tile_without_bytes_waits_for_no_latency() -> None:
    load = _bus(64, DRAM, CLOCK_HZ) + DRAM.latency_cycles
    assert run_tiles([_step(64, 5, 0), _step(0, 6, 0)], DRAM, CLOCK_HZ, 2, 2) == load + 5 + 6


@pytest.mark.parametrize("size", [1, 63, 64, 65, 10_000])
@pytest.mark.parametrize("clock_hz", [1, 600_000_000, 2_000_000_000])
def test_a_transfer_holds_the_bus_for_whole_bursts(size: int, clock_hz: int) -> None:
    assert bus_cycles(DRAM, size, clock_hz) == _bus(size, DRAM, clock_hz)


@pytest.mark.parametrize(
    ("steps", "rate", "rule"),
    [
        ([_step(1 << 61, 1, 0), _step(0, 1, 1 << 61)], 10**14, f"{1 << 62} bytes moved, and must have fewer than 2^62"),
        ([_step(1 << 40, 1, 0)], 1, f"{(1 << 40) * CLOCK_HZ + 100 + 1} cycles, and must have fewer than 2^62"),
        ([_step(0, 1 << 61, 0), _step(0, 1 << 61, 0)], 1, f"{1 << 62} cycles, and must have fewer than 2^62"),
    ],
)
def test_counters_that_64_bits_cannot_sum_are_refused(steps: list[Tile], rate: int, rule: str) -> None:
    slow = Dram(bytes_per_s=rate, burst_bytes=64, latency_cycles=100)
    with pytest.raises(DeviceError, match=re.escape(rule)) as caught:
        run_tiles(steps, slow, CLOCK_HZ, 2, 2)
    assert "\n" not in str(caught.value)


timed = st.sampled_from(ALL_TIMINGS)
moves = st.lists(
    st.tuples(st.integers(0, 9000), st.integers(0, 3000), st.integers(0, 9000)), min_size=1, max_size=10
).filter(lambda steps: any(load or store for load, _, store in steps))


@given(timing=timed, data=moves, buffers_in=st.integers(1, 3), buffers_out=st.integers(1, 3))
@settings(max_examples=120, deadline=None, derandomize=True)
def test_a_timed_dram_serves_transfers_in_the_order_of_asking(
    timing: DramTiming, data: list[tuple[int, int, int]], buffers_in: int, buffers_out: int
) -> None:
    dram = Dram.timed(timing, latency_cycles=30)
    steps = place([_step(*values) for values in data], region_unit(dram))
    seen: list[Transfer] = []
    total = run_tiles(steps, dram, CLOCK_HZ, buffers_in, buffers_out, seen)
    again = open_memory(dram, CLOCK_HZ)
    for transfer in seen:
        served = again.serve(transfer.cycle, transfer.address, transfer.size_bytes, transfer.is_write)
        assert served[1] == transfer.done_cycle
    assert [transfer.cycle for transfer in seen] == sorted(transfer.cycle for transfer in seen)
    loads = [(transfer.address, transfer.size_bytes) for transfer in seen if not transfer.is_write]
    stores = [(transfer.address, transfer.size_bytes) for transfer in seen if transfer.is_write]
    assert loads == [(step.load_address, step.load_bytes) for step in steps if step.load_bytes]
    assert stores == [(step.store_address, step.store_bytes) for step in steps if step.store_bytes]
    compute = sum(step.compute_cycles for step in steps)
    assert total >= max(compute, *(transfer.done_cycle for transfer in seen))
    moved = sum(transfer.size_bytes for transfer in seen)
    assert total * timing.bytes_per_s >= moved * CLOCK_HZ


def test_a_tile_runs_when_its_last_data_are_in_the_scratchpad() -> None:
    dram = Dram.timed(LPDDR4X_4267, latency_cycles=30)
    _, there = open_memory(dram, CLOCK_HZ).serve(0, 0, 6400, False)
    assert run_tiles([_step(6400, 50, 0)], dram, CLOCK_HZ, 2, 2) == there + 50


def test_the_next_load_is_asked_for_while_the_last_one_waits_in_the_queue() -> None:
    dram = Dram.timed(LPDDR4X_4267, latency_cycles=30)
    memory = open_memory(dram, CLOCK_HZ)
    handed_over, there = memory.serve(0, 0, 6400, False)
    assert handed_over < there - 30
    second = memory.serve(handed_over, 6400, 6400, False)[1]
    steps = place([_step(6400, 1, 0), _step(6400, 5, 0)], region_unit(dram))
    assert run_tiles(steps, dram, CLOCK_HZ, 2, 2) == second + 5
    alone = open_memory(dram, CLOCK_HZ)
    assert second == alone.serve(0, 0, 12800, False)[1]  # the seam of two loads costs nothing


def test_a_store_ends_with_its_last_data_on_the_bus() -> None:
    dram = Dram.timed(LPDDR4X_4267, latency_cycles=30)
    _, end = open_memory(dram, CLOCK_HZ).serve(70, 0, 640, True)
    assert run_tiles([_step(0, 70, 640)], dram, CLOCK_HZ, 2, 2) == end
