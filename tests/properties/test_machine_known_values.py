"""The known values and bounds that DESIGN section 5 states of the gather unit."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from math import factorial, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.machine import granted, run_stream
from simulator.spec import GatherUnit, MacArray, Order, ScatterUnit, Scratchpad
from traces.stream import IntArray, RequestStream

ONE = Fraction(1)


def stream_of(address: IntArray, **changes: Any) -> RequestStream:
    """Full groups from ``address`` [groups, lanes], one bundle without output addresses."""
    groups, lanes = address.shape
    return RequestStream(
        name="s",
        group_ptr=np.arange(groups + 1, dtype=np.int64) * lanes,
        lane=np.tile(np.arange(lanes, dtype=np.int16), groups),
        address=np.ascontiguousarray(address.reshape(-1), np.int64),
        bundle_end=np.array([groups]),
        scatter_ptr=np.array([0, 0]),
        scatter_address=np.zeros(0, np.int64),
        **changes,
    )


def random_stream(lanes: int, groups: int, seed: int = 0) -> RequestStream:
    return stream_of(np.random.default_rng(seed).integers(0, 1 << 20, (groups, lanes)))


def gather_cycles(
    stream: RequestStream, banks: int, *, window: int, order: Order = "in_order", ports: int = 1, coalesce: bool = False
) -> int:
    lanes = int(stream.lane.max()) + 1
    unit = GatherUnit(lanes=lanes, window=window, order=order, ports=ports, coalesce=coalesce, latency=2)
    pad = Scratchpad(banks=banks, activation_bytes=1, output_bytes=1)
    return run_stream(stream, unit, pad, MacArray(latency=3), ScatterUnit(rmw_cycles=1), interval=ONE).gather


def max_load_moments(banks: int) -> tuple[Fraction, Fraction]:
    """Mean and second moment of the largest of ``banks`` bins' loads after ``banks`` balls."""

    def at_most(limit: int) -> Fraction:
        # balls! / bins^balls times the coefficient of x^balls in (sum of x^k / k!, k <= limit)^bins
        product = [Fraction(1)] + [Fraction(0)] * banks
        for _ in range(banks):
            product = [
                sum((product[n - k] / factorial(k) for k in range(min(limit, n) + 1)), Fraction(0))
                for n in range(banks + 1)
            ]
        return product[banks] * factorial(banks) / banks**banks

    chance = [at_most(limit) for limit in range(banks + 1)]
    exactly = [chance[load] - chance[load - 1] for load in range(1, banks + 1)]
    mean = sum((load * p for load, p in enumerate(exactly, 1)), Fraction(0))
    return mean, sum((load**2 * p for load, p in enumerate(exactly, 1)), Fraction(0))


@pytest.mark.parametrize(("banks", "stated"), [(4, 2.1250), (8, 2.5972), (16, 3.0782), (32, 3.5329)])
def test_random_requests_in_lockstep_cost_the_mean_largest_bank_load(banks: int, stated: float) -> None:
    mean, square = max_load_moments(banks)
    assert round(float(mean), 4) == stated
    groups = 100_000
    error = sqrt(float(square - mean**2) / groups)
    measured = gather_cycles(random_stream(banks, groups), banks, window=1) / groups
    assert abs(measured - float(mean)) < 4 * error


@pytest.mark.parametrize(("banks", "limit"), [(4, 0.6553), (8, 0.6184), (16, 0.6016), (32, 0.5937)])
@pytest.mark.parametrize("window", [8, 32])
def test_in_order_lanes_reach_the_head_of_line_limit(banks: int, limit: float, window: int) -> None:
    groups = 100_000
    throughput = groups / gather_cycles(random_stream(banks, groups), banks, window=window)
    assert throughput == pytest.approx(limit, rel=0.01)


@pytest.mark.parametrize(("window", "stated"), [(8, 0.817), (64, 0.971), (512, 0.996)])
def test_out_of_order_lanes_fill_the_banks_as_the_window_grows(window: int, stated: float) -> None:
    groups = 600_000  # the fullest bank of a short stream alone holds W = 512 below its limit
    cycles = gather_cycles(random_stream(16, groups), 16, window=window, order="out_of_order")
    assert groups / cycles == pytest.approx(stated, abs=0.0015)


@pytest.mark.parametrize("order", ["in_order", "out_of_order"])
@pytest.mark.parametrize("window", [1, 8])
def test_groups_that_hit_every_bank_once_take_one_cycle_each(order: Order, window: int) -> None:
    banks, groups, repeats = 16, 500, 50
    random = np.random.default_rng(1)
    banked = random.permuted(np.tile(np.arange(banks), (groups, 1)), axis=1)
    address = banked + banks * random.integers(0, 100, (groups, banks))
    stream = stream_of(address, repeats=repeats, repeat_stride=3)
    assert gather_cycles(stream, banks, window=window, order=order) == groups * repeats


small_streams = (
    st.integers(1, 9)
    .flatmap(
        lambda lanes: st.lists(st.lists(st.integers(0, 40), min_size=lanes, max_size=lanes), min_size=1, max_size=40)
    )
    .map(lambda rows: stream_of(np.array(rows, np.int64)))
)


@settings(max_examples=200, deadline=None)
@given(
    small_streams,
    st.integers(1, 9),
    st.integers(1, 12),
    st.sampled_from(["in_order", "out_of_order"]),
    st.integers(1, 3),
)
def test_gather_takes_a_cycle_a_group_and_the_fullest_bank_at_least(
    stream: RequestStream, banks: int, window: int, order: Order, ports: int
) -> None:
    fullest = int(np.bincount(stream.address % banks).max())
    assert gather_cycles(stream, banks, window=window, order=order, ports=ports) >= max(
        stream.groups, -(-fullest // ports)
    )


@settings(max_examples=200, deadline=None)
@given(
    small_streams,
    st.integers(1, 9),
    st.sampled_from(["in_order", "out_of_order"]),
    st.integers(1, 3),
    st.booleans(),
    st.integers(1, 6),
)
def test_a_lockstep_group_costs_its_fullest_bank_and_at_least_the_interval(
    stream: RequestStream, banks: int, order: Order, ports: int, coalesce: bool, interval: int
) -> None:
    unit = GatherUnit(lanes=9, window=1, order=order, ports=ports, coalesce=coalesce, latency=2)
    pad = Scratchpad(banks=banks, activation_bytes=1, output_bytes=1)
    expected, start = [], 0
    for first, past in zip(stream.group_ptr[:-1], stream.group_ptr[1:], strict=True):
        words = stream.address[first:past].tolist()
        load = Counter(address % banks for address in (set(words) if coalesce else words))
        cost = max(-(-count // ports) for count in load.values())
        expected.append(start + cost - 1)
        start += max(cost, interval)
    assert granted(stream, unit, pad, interval=Fraction(interval)).tolist() == expected
