"""The DRAM kernel equals the rules written as a log of commands, to the cycle."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.memory.dram import DramState
from simulator.memory.timings import ALL_TIMINGS
from simulator.spec import DramTiming
from tests.reference.dram import ReferenceDram

powers = st.sampled_from([1, 2, 4])


@st.composite
def timings(draw: st.DrawFn) -> DramTiming:
    def cycles(most: int = 40) -> int:
        return draw(st.integers(1, most))

    rrd, ccd, wtr = cycles(8), cycles(8), cycles(10)
    burst_bytes = draw(st.sampled_from([16, 32, 64]))
    rfc = cycles(200)
    return DramTiming(
        name="any",
        clock_hz=1_000_000_000,
        channels=draw(powers),
        bank_groups=draw(powers),
        banks_per_group=draw(powers),
        row_bytes=burst_bytes * draw(st.sampled_from([1, 2, 4, 8])),
        burst_bytes=burst_bytes,
        burst=cycles(8),
        queue=draw(st.sampled_from([1, 2, 3, 8, 32])),
        cl=cycles(),
        cwl=cycles(),
        rcd=cycles(),
        rp=cycles(),
        ras=cycles(60),
        rrd_s=rrd,
        rrd_l=rrd + draw(st.integers(0, 8)),
        faw=cycles(50),
        ccd_s=ccd,
        ccd_l=ccd + draw(st.integers(0, 8)),
        wr=cycles(),
        rtp=cycles(20),
        wtr_s=wtr,
        wtr_l=wtr + draw(st.integers(0, 10)),
        turnaround=cycles(5),
        refi=rfc + draw(st.sampled_from([500, 600, 1500])),
        rfc=rfc,
    )


transfers = st.lists(
    st.tuples(
        st.integers(0, 6000),  # address
        st.integers(1, 700),  # bytes
        st.booleans(),
        st.one_of(st.just(0), st.integers(0, 300), st.integers(0, 9000)),  # cycles after the one before
    ),
    min_size=1,
    max_size=8,
)


@given(timing=st.one_of(timings(), st.sampled_from(ALL_TIMINGS)), asked=transfers)
@settings(max_examples=250, deadline=None, derandomize=True)
def test_every_transfer_ends_when_the_rules_say(timing: DramTiming, asked: list[tuple[int, int, bool, int]]) -> None:
    state, reference = DramState(timing), ReferenceDram(timing)
    time = 0
    for address, size_bytes, is_write, wait in asked:
        time += wait
        assert state.serve(address, size_bytes, is_write, time) == reference.serve(address, size_bytes, is_write, time)
    logs = [command.kind for channel in reference.channels for command in channel.log]
    assert state.bursts == logs.count("read") + logs.count("write")
    assert state.activates == logs.count("activate")
    assert state.refreshes == logs.count("refresh")


@given(timing=timings(), size_bytes=st.integers(1, 2000), is_write=st.booleans(), idle=st.integers(1, 40))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_refreshes_that_pass_in_idle_time_cost_what_each_of_them_would(
    timing: DramTiming, size_bytes: int, is_write: bool, idle: int
) -> None:
    timing = replace(timing, queue=8)
    state, reference = DramState(timing), ReferenceDram(timing)
    for time in (0, timing.refi * idle - 7, timing.refi * idle + timing.rfc // 2):
        assert state.serve(0, size_bytes, is_write, time) == reference.serve(0, size_bytes, is_write, time)
    assert state.refreshes == sum(c.kind == "refresh" for channel in reference.channels for c in channel.log)


long_transfers = st.lists(
    st.tuples(st.integers(0, 1 << 16), st.integers(1, 1 << 15), st.booleans(), st.integers(0, 300)),
    min_size=1,
    max_size=4,
)


@given(timing=st.one_of(timings(), st.sampled_from(ALL_TIMINGS)), asked=long_transfers)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_bursts_in_open_rows_served_at_once_end_when_the_rules_say(
    timing: DramTiming, asked: list[tuple[int, int, bool, int]]
) -> None:
    timing = replace(timing, row_bytes=timing.burst_bytes * 64)
    state, reference = DramState(timing), ReferenceDram(timing)
    time = 0
    for address, size_bytes, is_write, wait in asked:
        time += wait
        assert state.serve(address, size_bytes, is_write, time) == reference.serve(address, size_bytes, is_write, time)
    logs = [command.kind for channel in reference.channels for command in channel.log]
    assert state.bursts == logs.count("read") + logs.count("write")
    assert state.activates == logs.count("activate")
    assert state.refreshes == logs.count("refresh")
