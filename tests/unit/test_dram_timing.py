"""One test per timing rule of the DRAM; expected cycles are expressions in the timing's own numbers."""

from __future__ import annotations

import csv
from dataclasses import fields, replace
from pathlib import Path

import pytest

from simulator.memory.dram import DramState, TimedMemory, open_memory
from simulator.memory.timings import (
    ALL_TIMINGS,
    DDR4_3200,
    HBM2,
    LPDDR4_2400,
    LPDDR4X_4267,
    LPDDR5_6400,
    at_clock,
)
from simulator.spec import DeviceError, Dram, DramTiming

# every number is different, so that no rule can pass for another; one channel unless a test says otherwise
T = DramTiming(
    name="test",
    clock_hz=1_000_000_000,
    channels=1,
    bank_groups=2,
    banks_per_group=4,
    row_bytes=256,
    burst_bytes=32,
    burst=3,
    queue=64,
    cl=17,
    cwl=11,
    rcd=19,
    rp=23,
    ras=53,
    rrd_s=5,
    rrd_l=7,
    faw=41,
    ccd_s=4,
    ccd_l=6,
    wr=29,
    rtp=13,
    wtr_s=9,
    wtr_l=15,
    turnaround=2,
    refi=10_000,
    rfc=400,
)
READ, WRITE = False, True
ROOT = Path(__file__).parents[2]


def at(
    timing: DramTiming = T, *, channel: int = 0, group: int = 0, column: int = 0, bank: int = 0, row: int = 0
) -> int:
    """The address of a burst: channel lowest, then bank group, column, bank and row."""
    columns = timing.row_bytes // timing.burst_bytes
    place = ((row * timing.banks_per_group + bank) * columns + column) * timing.bank_groups + group
    return (place * timing.channels + channel) * timing.burst_bytes


def issued(state: DramState, address: int, is_write: bool, arrival: int = 0, timing: DramTiming = T) -> int:
    """The cycle of the column command of one burst."""
    _, end = state.serve(address, timing.burst_bytes, is_write, arrival)
    return end - timing.burst - (timing.cwl if is_write else timing.cl)


def after(first: tuple[int, bool], second: tuple[int, bool], timing: DramTiming = T, arrival: int = 0) -> int:
    """Cycles from the column command of one burst to that of the next, both there from the start."""
    state = DramState(timing)
    before = issued(state, *first, 0, timing)
    return issued(state, *second, arrival, timing) - before


def test_a_closed_bank_is_activated_then_read() -> None:
    assert DramState(T).serve(at(), 32, READ, 100) == (100, 100 + T.rcd + T.cl + T.burst)


def test_a_closed_bank_is_activated_then_written() -> None:
    assert DramState(T).serve(at(), 32, WRITE, 100) == (100, 100 + T.rcd + T.cwl + T.burst)


def test_a_row_hit_needs_neither_precharge_nor_activate() -> None:
    state = DramState(T)
    issued(state, at(), READ)
    assert issued(state, at(column=1), READ, 1000) == 1000
    assert (state.bursts, state.activates) == (2, 1)


def test_a_row_miss_long_after_costs_a_precharge_and_an_activate() -> None:
    state = DramState(T)
    issued(state, at(row=0), READ)
    assert issued(state, at(row=1), READ, 1000) == 1000 + T.rp + T.rcd
    assert (state.bursts, state.activates) == (2, 2)


def test_ras_keeps_a_row_open() -> None:
    assert T.rcd + T.rtp < T.ras
    assert after((at(row=0), READ), (at(row=1), READ)) == T.ras - T.rcd + T.rp + T.rcd


def test_rtp_keeps_a_row_open_after_a_read() -> None:
    timing = replace(T, ras=T.rcd + 1)
    assert after((at(row=0), READ), (at(row=1), READ), timing) == T.rtp + T.rp + T.rcd


def test_wr_keeps_a_row_open_after_a_write() -> None:
    assert after((at(row=0), WRITE), (at(row=1), WRITE)) == T.cwl + T.burst + T.wr + T.rp + T.rcd


def test_ccd_s_separates_bursts_of_two_bank_groups() -> None:
    state = DramState(T)
    issued(state, at(group=0), READ), issued(state, at(group=1), READ)
    first = issued(state, at(group=0, column=1), READ, 1000)
    assert issued(state, at(group=1, column=1), READ, 1000) - first == T.ccd_s > T.burst


def test_ccd_l_separates_bursts_of_one_bank_group() -> None:
    assert after((at(), READ), (at(column=1), READ)) == T.ccd_l > T.ccd_s
    assert after((at(), WRITE), (at(column=1), WRITE)) == T.ccd_l


def test_the_data_bus_carries_one_burst_at_a_time() -> None:
    timing = replace(T, burst=8)
    assert after((at(), READ), (at(column=1), READ), timing) == timing.burst > timing.ccd_l
    assert after((at(), WRITE), (at(column=1), WRITE), timing) == timing.burst


def test_rrd_s_separates_activates_in_two_bank_groups() -> None:
    assert after((at(group=0), READ), (at(group=1), READ)) == T.rrd_s > T.ccd_s


def test_rrd_l_separates_activates_in_one_bank_group() -> None:
    assert after((at(bank=0), READ), (at(bank=1), READ)) == T.rrd_l > T.ccd_l


def test_faw_holds_four_activates_at_most() -> None:
    state = DramState(T)
    banks = [(group, bank) for bank in range(3) for group in range(2)]
    times = [issued(state, at(group=group, bank=bank), READ) for group, bank in banks[:5]]
    # groups alternate; activates wait rrd_s, and for the last of their group rrd_l, which is shorter than two rrd_s
    assert T.rrd_l <= 2 * T.rrd_s
    assert [time - times[0] for time in times] == [0, T.rrd_s, 2 * T.rrd_s, 3 * T.rrd_s, T.faw]
    assert T.faw > 4 * T.rrd_s


def test_wtr_s_keeps_a_read_of_another_bank_group_behind_a_write() -> None:
    assert after((at(group=0), WRITE), (at(group=1), READ)) == T.cwl + T.burst + T.wtr_s


def test_wtr_l_keeps_a_read_of_the_same_bank_group_behind_a_write() -> None:
    assert after((at(), WRITE), (at(column=1), READ)) == T.cwl + T.burst + T.wtr_l


def test_the_bus_turns_around_between_a_read_and_a_write() -> None:
    read_data_end = T.cl + T.burst
    assert after((at(), READ), (at(column=1), WRITE)) == read_data_end + T.turnaround - T.cwl
    assert read_data_end + T.turnaround - T.cwl > T.ccd_l


def test_a_write_command_may_come_before_the_data_of_the_read_ahead_of_it() -> None:
    timing = replace(T, cwl=T.cl + T.burst, turnaround=1)
    assert after((at(), READ), (at(column=1), WRITE), timing) == timing.ccd_l


def test_activates_run_ahead_of_data() -> None:
    """Rows of other banks are open by the time the bus gets to them: a switch of rows costs nothing."""
    timing = replace(T, bank_groups=1, ccd_l=T.ccd_s, row_bytes=32 * 32, rrd_l=T.rrd_s)
    state = DramState(timing)
    bursts = 2 * 32
    assert timing.rcd + timing.rrd_l < 32 * timing.ccd_s
    _, end = state.serve(0, bursts * 32, READ, 0)
    assert end == timing.rcd + (bursts - 1) * timing.ccd_s + timing.cl + timing.burst
    assert state.activates == 2


def test_a_queue_of_one_burst_hides_no_activate() -> None:
    timing = replace(T, queue=1)
    assert after((at(bank=0), READ), (at(bank=1), READ), timing) == T.rcd


def test_a_transfer_is_handed_over_when_its_last_burst_is_in_the_queue() -> None:
    timing = replace(T, queue=4)
    state = DramState(timing)
    taken, end = state.serve(at(), 32 * 2 * 8, READ, 0)  # one row in each of two groups, 16 bursts
    last = end - timing.burst - timing.cl
    columns = [last - (15 - i) * timing.ccd_s for i in range(16)]
    assert taken == columns[16 - 1 - timing.queue]


def test_channels_serve_bursts_side_by_side() -> None:
    timing = replace(T, channels=4)
    _, one = DramState(timing).serve(0, 32, READ, 0)
    state = DramState(timing)
    assert state.serve(0, 4 * 32, READ, 0) == (0, one)
    assert state.activates == 4


def test_a_refresh_that_is_due_comes_before_the_burst_and_closes_the_row() -> None:
    state = DramState(T)
    issued(state, at(), READ)
    assert issued(state, at(), READ, T.refi) == T.refi + T.rfc + T.rcd
    assert state.refreshes == 1


def test_a_burst_just_before_a_refresh_delays_it_until_its_bank_is_precharged() -> None:
    state = DramState(T)
    issued(state, at(), READ)
    last = issued(state, at(), READ, T.refi - 1)
    assert last == T.refi - 1
    assert issued(state, at(), READ, T.refi) == last + T.rtp + T.rp + T.rfc + T.rcd


def test_refreshes_of_an_idle_dram_pass_unseen() -> None:
    state = DramState(T)
    idle = 50 * T.refi + T.rfc
    assert issued(state, at(), READ, idle) == idle + T.rcd
    assert state.refreshes == 50


def test_refreshes_are_due_by_the_clock_whenever_the_last_one_came() -> None:
    state = DramState(T)
    issued(state, at(), READ, T.refi - 1)  # makes the first one late
    issued(state, at(), READ, T.refi)
    assert issued(state, at(), READ, 2 * T.refi - 1) == 2 * T.refi - 1
    assert issued(state, at(bank=1), READ, 2 * T.refi + T.rfc + 500) == 2 * T.refi + T.rfc + 500 + T.rcd
    assert state.refreshes == 2


def test_an_unaligned_transfer_touches_every_burst_it_lies_in() -> None:
    state = DramState(T)
    state.serve(31, 2, READ, 0)
    assert state.bursts == 2


@pytest.mark.parametrize("timing", ALL_TIMINGS, ids=lambda timing: timing.name)
@pytest.mark.parametrize("is_write", [READ, WRITE], ids=["read", "write"])
def test_long_bursts_sustain_the_closed_form(timing: DramTiming, is_write: bool) -> None:
    """Banks hide every switch of rows, a refresh costs its own time and closing and opening the rows around it.

    From the last column command before a refresh: until precharge, precharge, refresh, activate to the next command.
    """
    columns = timing.row_bytes // timing.burst_bytes
    assert columns * timing.burst >= timing.rrd_l  # a row lasts longer than what an activate costs the others
    size_bytes = 1 << 25
    state = DramState(timing)
    _, end = state.serve(0, size_bytes, is_write, 0)
    until_precharge = timing.cwl + timing.burst + timing.wr if is_write else timing.rtp
    around = until_precharge + timing.rp + timing.rcd
    sustained = timing.bytes_per_s * (1 - (timing.rfc + around) / timing.refi)
    assert size_bytes / (end / timing.clock_hz) == pytest.approx(sustained, rel=0.02)
    assert state.refreshes == pytest.approx(timing.channels * end / timing.refi, abs=timing.channels)
    if not is_write:  # a read's way around is short: the plain formula holds as well
        plain = timing.bytes_per_s * (1 - timing.rfc / timing.refi)
        assert size_bytes / (end / timing.clock_hz) == pytest.approx(plain, rel=0.02)


def test_with_a_single_bank_every_row_pays_for_its_switch() -> None:
    timing = replace(T, bank_groups=1, banks_per_group=1, refi=1 << 22)
    columns = timing.row_bytes // timing.burst_bytes
    last_column = timing.rcd + (columns - 1) * timing.ccd_l  # after the activate
    period = max(timing.ras, last_column + timing.rtp) + timing.rp
    rows = 100
    _, end = DramState(timing).serve(0, rows * timing.row_bytes, READ, 0)
    assert end == (rows - 1) * period + last_column + timing.cl + timing.burst


def test_one_bank_group_alone_runs_at_the_long_column_interval() -> None:
    timing = replace(DDR4_3200, bank_groups=1, banks_per_group=16, refi=1 << 22)
    size_bytes = 1 << 20
    _, end = DramState(timing).serve(0, size_bytes, READ, 0)
    bursts = size_bytes // timing.burst_bytes
    assert end == timing.rcd + (bursts - 1) * timing.ccd_l + timing.cl + timing.burst


def test_core_cycles_are_rounded_up_from_cycles_of_the_dram() -> None:
    dram = Dram.timed(replace(T, clock_hz=700_000_000), latency_cycles=10)
    memory = open_memory(dram, 1_000_000_000)
    assert isinstance(memory, TimedMemory)
    arrival = -(-5 * 7 // 10)
    end = arrival + T.rcd + T.cl + T.burst
    assert memory.serve(5, 0, 32, READ) == (-(-arrival * 10 // 7), -(-end * 10 // 7) + 10)
    written = open_memory(dram, 1_000_000_000).serve(5, 0, 32, WRITE)
    assert written[1] == -(-(arrival + T.rcd + T.cwl + T.burst) * 10 // 7)  # no way back to wait for


_TIMES = ("rcd", "rp", "ras", "rrd_s", "rrd_l", "faw", "ccd_s", "ccd_l", "wr", "rtp", "wtr_s", "wtr_l", "refi", "rfc")
_COLUMNS = {"cl": "CL", "cwl": "CWL", **{name: f"t{name.upper()}" for name in _TIMES}}


@pytest.mark.parametrize(
    ("timing", "file"),
    [
        (LPDDR4_2400, "configs/LPDDR4_8Gb_x16_2400.ini"),
        (DDR4_3200, "configs/DDR4_8Gb_x8_3200.ini"),
        (HBM2, "configs/HBM2_8Gb_x128.ini"),
        (LPDDR5_6400, "python/ramulator/dram/lpddr5.py"),
    ],
    ids=lambda value: value.name if isinstance(value, DramTiming) else "",
)
def test_a_preset_has_the_numbers_of_its_source(timing: DramTiming, file: str) -> None:
    with (ROOT / "validation" / "dram_timing.csv").open(encoding="utf-8", newline="") as text:
        row = next(row for row in csv.DictReader(text) if row["file"] == file)
    compared = [name for name, column in _COLUMNS.items() if row[column]]
    assert {name: getattr(timing, name) for name in compared} == {name: int(row[_COLUMNS[name]]) for name in compared}
    assert len(compared) >= 10
    assert abs(1e9 / timing.clock_hz - float(row["tCK"])) < 0.01  # ns; the files round tCK
    if row["bankgroups"]:
        assert (timing.bank_groups, timing.banks_per_group) == (int(row["bankgroups"]), int(row["banks_per_group"]))
    if row["peak_gbps_derived"]:
        assert timing.bytes_per_s / 1e9 == pytest.approx(float(row["peak_gbps_derived"]), rel=0.01)


def test_rates_are_those_on_the_label() -> None:
    assert LPDDR4X_4267.bytes_per_s == 4_267_000_000 * 32 // 8
    assert LPDDR5_6400.bytes_per_s == 6_400_000_000 * 64 // 8
    assert DDR4_3200.bytes_per_s == 3_200_000_000 * 64 // 8
    assert HBM2.bytes_per_s == 2_000_000_000 * 8 * 128 // 8


def test_another_clock_keeps_times_and_never_shortens_them() -> None:
    fast = at_clock(LPDDR4_2400, name="fast", clock_hz=2_000_000_000, channels=2)
    assert fast.rcd == -(-LPDDR4_2400.rcd * 2_000_000_000 // LPDDR4_2400.clock_hz)
    assert fast.refi == LPDDR4_2400.refi * 2_000_000_000 // LPDDR4_2400.clock_hz
    assert (fast.burst, fast.ccd_s, fast.ccd_l) == (LPDDR4_2400.burst, LPDDR4_2400.ccd_s, LPDDR4_2400.ccd_l)


@pytest.mark.parametrize("name", [part.name for part in fields(DramTiming)[1:]])
@pytest.mark.parametrize("value", [0, -1])
def test_no_time_and_no_size_is_below_one(name: str, value: int) -> None:
    with pytest.raises(DeviceError, match=f"DramTiming.{name} is {value}, and must be at least 1"):
        replace(T, **{name: value})


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"rfc": 10_000}, "rfc is 10000, and must be below refi, 10000"),
        ({"rfc": 9_900}, "refi is 10000, and must be above"),
        ({"banks_per_group": 3}, "banks_per_group is 3, and must be a power of two"),
        ({"bank_groups": 6}, "bank_groups is 6, and must be a power of two"),
        ({"channels": 3}, "channels is 3, and must be a power of two"),
        ({"row_bytes": 100}, "row_bytes is 100, and must be a power of two"),
        ({"burst_bytes": 48}, "burst_bytes is 48, and must be a power of two"),
        ({"row_bytes": 16}, "row_bytes is 16, and must be at least burst_bytes, 32"),
        ({"ccd_l": 3}, "ccd_l is 3, and must be at least ccd_s, 4"),
        ({"rrd_l": 4}, "rrd_l is 4, and must be at least rrd_s, 5"),
        ({"wtr_l": 8}, "wtr_l is 8, and must be at least wtr_s, 9"),
        ({"cl": 1 << 30}, "must be at most"),
        ({"channels": 1 << 16}, "banks in all, and must have at most"),
        ({"name": " "}, "name is empty"),
    ],
)
def test_a_dram_that_cannot_be_is_refused_by_name(changes: dict[str, int], rule: str) -> None:
    with pytest.raises(DeviceError, match=rule):
        replace(T, **changes)


def test_a_timing_and_another_rate_contradict_each_other() -> None:
    dram = Dram.timed(T, latency_cycles=1)
    with pytest.raises(DeviceError, match=r"bytes_per_s is 5, and must be \d+ with timing 'test'"):
        replace(dram, bytes_per_s=5)
    with pytest.raises(DeviceError, match="burst_bytes is 64, and must be 32 with timing 'test'"):
        replace(dram, burst_bytes=64)


def test_a_transfer_that_no_walk_over_bursts_ends_is_refused() -> None:
    memory = open_memory(Dram.timed(T, latency_cycles=1), 1)
    with pytest.raises(DeviceError, match=r"a transfer has \d+ bytes, and must have at most"):
        memory.serve(0, 0, 1 << 40, READ)
    with pytest.raises(DeviceError, match="must fit 61 bits"):
        memory.serve(1 << 62, 0, 1, READ)
