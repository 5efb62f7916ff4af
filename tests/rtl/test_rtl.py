"""The machine as hardware: SystemVerilog, written from DESIGN section 5 alone, agrees to the cycle, and so do its sums.

Compared per group and bundle with the kernels: granted(g), m(g), start(b), end(b); on small streams with the stepped
machine too. What the output banks hold after a run is compared with the matrix product. Needs a C++ compiler and make.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from simulator.machine import schedule
from simulator.spec import GatherUnit, MacArray, ScatterUnit, Scratchpad
from tests.reference import machine as twin
from tests.rtl.build import COMPILERS, HERE, build, compiler
from tests.rtl.streams import Case, cases, flatten, gs_case, product, random_case, random_machine
from tests.rtl.trace_file import Ints, Outcome, play
from traces.stream import RequestStream

# lanes and banks are what a build fixes: as many, odd numbers, more lanes than banks, wide
SLICE = ((8, 8), (6, 12))
FULL = (*SLICE, (16, 4), (16, 16))
FULL_SETS = 64  # parameter sets of a build in the full run
FULL_GROUPS = 6000

TIMES = ("granted", "consumed", "start", "end")
GATHER, SCATTER, DATA = set(TIMES), {"start", "end"}, {"data"}
# What a planted fault of bank_map.sv changes, and nothing else: a fault of data leaves every cycle right.
FAULTS = {
    "YOUNGEST_FIRST": GATHER,
    "HIGHEST_LANE_FIRST": GATHER,
    "LATE_RETIRE": GATHER,
    "BATCH_RETIRE": GATHER,
    "LATE_DISPATCH": GATHER,
    "LOST_GRANT": GATHER,
    "LOST_WORD": DATA,
    "SWAPPED_WORDS": DATA,
    "STALE_WORD": DATA,
    "LANE_OFFERS_ALL": GATHER,
    "WINDOW_PLUS_ONE": GATHER,
    "CREDIT_UNBOUNDED": GATHER,
    "CREDIT_FROM_ZERO": GATHER,
    "PAID_COALESCING": GATHER,
    "LONE_COALESCING": GATHER,
    "HASH_IGNORED": GATHER | DATA,
    "WORD_A_CYCLE_EARLY": GATHER - {"granted"},
    "SUM_KEPT": DATA,
    "LAST_GROUP_DROPPED": DATA,
    "RESULT_LATE": SCATTER,
    "EQUAL_SUMS_MERGED": SCATTER,
    "STALE_SUM": DATA,
    "OVERWRITE": DATA,
    "ROUND_SHORT": SCATTER,
    "EMPTY_FREE": SCATTER,
    "IDLE_BETWEEN": SCATTER,
}


def hardware(lanes: int, banks: int) -> Path:
    """The bench of a machine of these widths; skips where no compiler exists, but not in CI, which must have one."""
    if compiler() is None:
        reason = f"no C++ compiler ({', '.join(COMPILERS)}) on PATH: the hardware description cannot be built"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return build(lanes, banks)


def kernel_times(case: Case) -> dict[str, Ints]:
    machine = case.machine
    times = schedule(
        case.stream,
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
        interval=Fraction(machine.interval_num, machine.interval_den),
    )
    return dict(zip(TIMES, times, strict=True))


def twin_times(case: Case) -> dict[str, Ints]:
    flat = flatten(case.stream, case.weight, case.target)
    requests = list(zip(flat.lane.tolist(), flat.address.tolist(), strict=True))
    groups, bundles = flat.group_ptr.tolist(), flat.scatter_ptr.tolist()
    stream = twin.Stream(
        groups=[requests[first:last] for first, last in pairwise(groups)],
        bundle_end=flat.bundle_end.tolist(),
        scatter=[flat.scatter_address[first:last].tolist() for first, last in pairwise(bundles)],
    )
    outcome = twin.run(case.machine, stream)
    return {name: np.array(getattr(outcome, name), np.int64) for name in TIMES}


def wrong(case: Case, outcome: Outcome, times: dict[str, Ints]) -> set[str]:
    """What the hardware did differently: names of times, ``data``, ``overflow`` or ``unfinished``."""
    found = {name for name in TIMES if not np.array_equal(getattr(outcome, name), times[name])}
    if not np.array_equal(outcome.output, case.expected):
        found.add("data")
    return found | ({"overflow"} if outcome.overflow else set()) | (set() if outcome.finished else {"unfinished"})


def assert_right(bench: Path, made: list[Case], folder: Path) -> int:
    """Return the cycles in which the gather unit worked, of all cases, after comparing each with the kernels."""
    worked = 0
    for case, outcome in zip(made, play(bench, made, folder), strict=True):
        differs = wrong(case, outcome, kernel_times(case))
        assert not differs, f"{sorted(differs)} of the {case.name} stream on {case.machine}"
        assert not np.array_equal(case.output, case.expected), f"the {case.name} stream writes nothing"
        assert outcome.cycles == outcome.end[-1]
        worked += 1 + int(outcome.granted.max())
    return worked


@pytest.mark.parametrize(("lanes", "banks"), SLICE)
def test_the_hardware_agrees_to_the_cycle_and_its_sums_are_the_product(lanes: int, banks: int, tmp_path: Path) -> None:
    bench = hardware(lanes, banks)
    made = [case for seed in range(40) for case in cases(np.random.default_rng([1, seed]), lanes, banks, 700)]
    assert assert_right(bench, made, tmp_path) > 100_000


@pytest.mark.parametrize(("lanes", "banks"), SLICE)
def test_the_hardware_agrees_with_the_stepped_machine(lanes: int, banks: int, tmp_path: Path) -> None:
    bench = hardware(lanes, banks)
    made = [case for seed in range(12) for case in cases(np.random.default_rng([2, seed]), lanes, banks, 40)]
    for case, outcome in zip(made, play(bench, made, tmp_path), strict=True):
        differs = wrong(case, outcome, twin_times(case))
        assert not differs, f"{sorted(differs)} of the {case.name} stream on {case.machine}"


@pytest.mark.slow
@pytest.mark.parametrize(("lanes", "banks"), FULL)
def test_millions_of_cycles_agree(lanes: int, banks: int, tmp_path: Path) -> None:
    bench = hardware(lanes, banks)
    worked = 0
    for seed in range(FULL_SETS):
        made = cases(np.random.default_rng([3, seed]), lanes, banks, FULL_GROUPS)
        worked += assert_right(bench, made, tmp_path)
    # 200 parameter sets and ten million cycles in all, each build its share
    assert FULL_SETS * len(FULL) >= 200
    assert worked * len(FULL) >= 10_000_000


@pytest.mark.parametrize("lanes", [8, 6])
def test_a_gs_stream_takes_one_cycle_a_group(lanes: int, tmp_path: Path) -> None:
    banks = dict(SLICE)[lanes]
    bench = hardware(lanes, banks)
    made = []
    for seed, (window, order) in enumerate(
        [(1, "in_order"), (1, "out_of_order"), (8, "in_order"), (32, "out_of_order")]
    ):
        machine = twin.Machine(lanes=lanes, banks=banks, window=window, order=order)
        made.append(gs_case(np.random.default_rng(seed), machine, 400, 2))
    for case, outcome in zip(made, play(bench, made, tmp_path), strict=True):
        assert outcome.granted.tolist() == list(range(case.stream.groups * case.stream.repeats))
        assert np.array_equal(outcome.output, case.expected)


@pytest.mark.parametrize("coalesce", [False, True])
def test_a_window_of_one_costs_the_fullest_bank_over_the_ports(coalesce: bool, tmp_path: Path) -> None:
    bench = hardware(8, 8)
    for ports in (1, 2, 3):
        machine = twin.Machine(lanes=8, banks=8, window=1, ports=ports, coalesce=coalesce)
        case = random_case(np.random.default_rng(ports), machine, 300, 1)
        (outcome,) = play(bench, [case], tmp_path)
        groups = np.split(case.stream.address, case.stream.group_ptr[1:-1])
        words = [np.unique(group) if coalesce else group for group in groups]
        cost = [max(-(-np.bincount(group % 8) // ports)) for group in words]
        assert outcome.granted.tolist() == (np.cumsum(cost) - 1).tolist()


def test_a_serial_stream_starts_each_repeat_with_empty_units(tmp_path: Path) -> None:
    bench = hardware(8, 8)
    for seed in range(10):
        rng = np.random.default_rng([4, seed])
        case = random_case(rng, random_machine(rng, 8, 8), 60, 3)
        gap = int(rng.integers(0, 20))
        times = kernel_times(replace(case, stream=replace(case.stream, serial=True, gap=gap)))
        base, output = 0, case.output
        for j, offset in enumerate(case.stream.offsets()):
            once: RequestStream = replace(
                case.stream,
                address=case.stream.address + offset,
                scatter_address=case.stream.scatter_address + j * case.stream.scatter_stride,
                repeats=1,
                repeat_offset=None,
            )
            expected = product(flatten(once, case.weight, case.target), case.activation, output)
            repeat = replace(case, stream=once, output=output, expected=expected)
            (outcome,) = play(bench, [repeat], tmp_path)
            groups, bundles = (
                slice(j * once.groups, (j + 1) * once.groups),
                slice(j * once.bundles, (j + 1) * once.bundles),
            )
            shares = {"granted": groups, "consumed": groups, "start": bundles, "end": bundles}
            assert not wrong(repeat, outcome, {name: times[name][share] - base for name, share in shares.items()})
            base, output = base + outcome.cycles + gap, outcome.output
        assert np.array_equal(output, case.expected)


@pytest.fixture(scope="module")
def faulty() -> list[tuple[Case, dict[str, Ints]]]:
    made = [case for seed in range(24) for case in cases(np.random.default_rng([5, seed]), 8, 8, 200)]
    return [(case, kernel_times(case)) for case in made]


def test_every_fault_that_the_hardware_can_plant_is_listed() -> None:
    names = re.findall(r"^ {4}([A-Z_]+),? +//", (HERE / "bank_map.sv").read_text(), re.MULTILINE)
    assert names == ["SOUND", *FAULTS]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault: str, faulty: list[tuple[Case, dict[str, Ints]]], tmp_path: Path) -> None:
    bench = hardware(8, 8)
    made = [case for case, _ in faulty]
    outcomes = play(bench, made, tmp_path, fault=1 + list(FAULTS).index(fault), most_cycles=100_000)
    found: set[str] = set()
    for (case, times), outcome in zip(faulty, outcomes, strict=True):
        found |= wrong(case, outcome, times)
    assert found == FAULTS[fault]
