"""The reference machine on cases small enough to play by hand, and on the values known from theory."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from math import factorial

import pytest

from tests.reference.machine import Machine, Outcome, Stream, konig_groups, run

Groups = list[list[tuple[int, int]]]


def one_bundle(groups: Groups, **fields: object) -> Stream:
    return replace(Stream(groups=groups, bundle_end=[len(groups)], scatter=[[]]), **fields)


def lanes_of(*addresses: int) -> list[tuple[int, int]]:
    """A group whose lane i asks for the i-th address."""
    return list(enumerate(addresses))


def random_groups(seed: int, count: int, lanes: int, words: int) -> Groups:
    rng = random.Random(seed)
    return [lanes_of(*(rng.randrange(words) for _ in range(lanes))) for _ in range(count)]


# ------------------------------------------------------------------------------------------- gather, by hand


def test_one_group_without_conflict_passes_each_unit_once() -> None:
    machine = Machine(lanes=4, window=1, banks=4, latency=2, mac_latency=3, rmw_cycles=5)
    got = run(machine, one_bundle([lanes_of(0, 1, 2, 3)], scatter=[[0, 1, 2, 3]]))
    # Granted in cycle 0; used after the latency; ready after the MACs; one lockstep cycle of 5.
    assert got == Outcome(
        dispatched=[0],
        granted=[0],
        consumed=[0 + 2],
        start=[0 + 2 + 3],
        end=[0 + 2 + 3 + 1 * 5],
        cost=[1],
        gather_cycles=1 + 0,
        cycles=0 + 2 + 3 + 1 * 5,
        waiting=4,
    )


@pytest.mark.parametrize("order", ["in_order", "out_of_order"])
@pytest.mark.parametrize("ports", [1, 2, 3])
def test_a_window_of_one_group_is_the_lockstep_engine_whatever_the_order(order: str, ports: int) -> None:
    machine = Machine(lanes=8, window=1, banks=8, ports=ports, order=order)
    groups = random_groups(1, 40, 8, 64)
    costs = [-(-max(Counter(a % 8 for _, a in group).values()) // ports) for group in groups]
    got = run(machine, one_bundle(groups))
    # Each group is seen once the one before has left, and leaves after the load of its fullest bank / P.
    assert got.dispatched == [sum(costs[:g]) for g in range(40)]
    assert got.granted == [sum(costs[: g + 1]) - 1 for g in range(40)]
    assert got.gather_cycles == sum(costs)


def test_the_interval_is_a_lower_bound_of_a_lockstep_groups_cost_but_for_the_last() -> None:
    machine = Machine(lanes=4, window=1, banks=4, interval_num=3)
    groups = [lanes_of(0, 1), lanes_of(0, 4, 8, 12), lanes_of(1, 5)]
    got = run(machine, one_bundle(groups))
    # max(1, 3), then max(4, 3), then 2 alone: nothing waits behind the last group.
    assert got.dispatched == [0, 3, 3 + 4]
    assert got.gather_cycles == 3 + 4 + 2


def test_a_fractional_interval_spreads_its_groups_evenly() -> None:
    machine = Machine(lanes=1, window=4, banks=4, interval_num=3, interval_den=2)
    got = run(machine, one_bundle([[(0, 0)]] * 6))
    # Nothing else holds them up, so group g comes in the first whole cycle from g * 3/2 on.
    assert got.dispatched == [-(-g * 3 // 2) for g in range(6)]


def test_credit_saved_during_a_stall_is_less_than_one_extra_cycle() -> None:
    machine = Machine(lanes=4, window=1, banks=4, interval_num=3, interval_den=2)
    got = run(machine, one_bundle([lanes_of(0, 4, 8, 12), [(0, 0)], [(0, 0)], [(0, 0)]]))
    # Four cycles of one bank. The credit is 3 - 3, then 2, 4 and full at 3 + 2 - 1 = 4; cycle 4 takes 3 and
    # leaves 1; cycle 5 makes 3, takes 3; cycle 6 makes 2: too little; cycle 7 makes 4.
    assert got.dispatched == [0, 4, 5, 7]


def test_an_interval_below_a_cycle_still_dispatches_one_group_a_cycle() -> None:
    machine = Machine(lanes=1, window=8, banks=4, interval_num=1, interval_den=4)
    got = run(machine, one_bundle([[(0, 0)]] * 5))
    assert got.dispatched == [0, 1, 2, 3, 4]


def test_an_unreduced_interval_is_the_same_machine() -> None:
    stream = one_bundle(random_groups(2, 60, 4, 32))
    reduced = Machine(lanes=4, window=3, banks=4, interval_num=5, interval_den=3)
    assert run(replace(reduced, interval_num=10, interval_den=6), stream) == run(reduced, stream)


def test_an_in_order_lane_hides_its_next_request_behind_a_blocked_one() -> None:
    groups = [lanes_of(0, 4), lanes_of(8, 1)]
    in_order = run(Machine(lanes=2, window=2, banks=4), one_bundle(groups))
    # Cycle 0: lane 0 wins bank 0. Cycle 1: bank 0 serves group 0's lane 1 (oldest), so lane 0's word 8 waits
    # and word 1, in a free bank, is hidden behind word 4. Cycle 2: words 8 and 1.
    assert in_order.granted == [1, 2]
    groups = [lanes_of(0, 4), lanes_of(2, 1)]
    # Word 8 out of the way: group 1 still waits for its word 1.
    assert run(Machine(lanes=2, window=2, banks=4), one_bundle(groups)).granted == [1, 2]
    # Out of order, word 1 overtakes in the cycle in which its group becomes visible.
    machine = Machine(lanes=2, window=2, banks=4, order="out_of_order")
    assert run(machine, one_bundle(groups)).granted == [1, 1]


def test_a_lane_is_granted_one_request_a_cycle_in_order_even_if_banks_are_free() -> None:
    # Both lanes want bank 0 in groups 0 and 1; group 2 asks lane 1 for the free bank 1.
    groups = [lanes_of(0, 4), [(1, 1)], [(1, 2)]]
    # Cycle 0: word 0. Cycle 1: word 4, lane 1's oldest; words 1 and then 2 follow one a cycle.
    assert run(Machine(lanes=2, window=3, banks=4), one_bundle(groups)).granted == [1, 2, 3]
    # Out of order each is granted as it becomes visible.
    machine = Machine(lanes=2, window=3, banks=4, order="out_of_order")
    assert run(machine, one_bundle(groups)).granted == [1, 1, 2]


def test_a_bank_serves_the_lowest_group_and_then_the_lowest_lane() -> None:
    # Bank 0 is wanted by all of group 0 and by group 1.
    machine = Machine(lanes=3, window=3, banks=4, order="out_of_order")
    groups = [[(2, 8), (0, 0), (1, 4)], [(0, 12)], [(1, 1)]]
    got = run(machine, one_bundle(groups))
    # Bank 0 reads words 0, 4, 8 (group 0), then 12 (group 1); bank 1 reads word 1 when group 2 is visible.
    assert got.granted == [2, 3, 2]
    # In order, who goes first shows: lane 0 (word 0) wins cycle 0 although lane 1 is written first, so lane 0
    # is free for word 1 in cycle 1. Had lane 1 won, word 1 would be hidden behind word 0 until cycle 2.
    in_order = Machine(lanes=2, window=2, banks=4)
    assert run(in_order, one_bundle([[(1, 4), (0, 0)], [(0, 1)]])).granted == [1, 1]


def test_room_that_a_group_leaves_is_used_in_the_next_cycle() -> None:
    machine = Machine(lanes=2, window=2, banks=4, order="out_of_order")
    groups = [lanes_of(0, 4), [(0, 1)], [(0, 2)], [(0, 3)]]
    got = run(machine, one_bundle(groups))
    # Group 0 takes cycles 0 and 1, so in cycle 1 the window is full with groups 0 and 1; both leave then.
    assert got.dispatched == [0, 1, 2, 3]
    blocked = run(machine, one_bundle([lanes_of(0, 4), [(0, 8)], [(0, 1)]]))
    # Now group 1 waits for cycle 2 behind group 0, but group 0 left at the end of cycle 1: room for one.
    assert blocked.dispatched == [0, 1, 2]
    assert blocked.granted == [1, 2, 2]
    slow = run(machine, one_bundle([[(0, 0), (1, 4)], [(0, 8), (1, 12)], [(0, 1)], [(0, 1)]]))
    # Bank 0: 0, 4, 8, 12. Group 1 leaves at the end of cycle 3, so groups 2 and 3 come in cycles 2 and 4.
    assert slow.dispatched == [0, 1, 2, 4]
    assert slow.granted == [1, 3, 2, 4]


@pytest.mark.parametrize("order", ["in_order", "out_of_order"])
@pytest.mark.parametrize("window", [1, 2, 5, 40])
@pytest.mark.parametrize("ports", [1, 2])
def test_a_request_gets_its_banks_first_free_port(order: str, window: int, ports: int) -> None:
    groups = random_groups(9, 120, 4, 24)
    dispatched: list[int] = []
    granted: list[int] = []
    taken: Counter[tuple[int, int]] = Counter()  # (bank, cycle)
    lane_free = [0] * 4
    for g, group in enumerate(groups):
        # At interval 1 a group becomes visible a cycle after the last one, once all but W - 1 before it left.
        left = granted[: max(0, g - window + 1)]
        visible = 1 + max([-1, *dispatched[-1:], *left])
        last = visible
        for lane, address in group:
            t = max(visible, lane_free[lane]) if order == "in_order" else visible
            while taken[address % 4, t] == ports:
                t += 1
            taken[address % 4, t] += 1
            lane_free[lane] = t + 1
            last = max(last, t)
        dispatched.append(visible)
        granted.append(last)
    got = run(Machine(lanes=4, window=window, banks=4, ports=ports, order=order), one_bundle(groups))
    assert got.dispatched == dispatched
    assert got.granted == granted


def test_a_second_port_halves_a_conflict() -> None:
    machine = Machine(lanes=4, window=1, banks=4, ports=2)
    assert run(machine, one_bundle([lanes_of(0, 4, 8, 12)])).gather_cycles == 4 // 2


# ------------------------------------------------------------------------------------------------ coalescing


def test_coalesced_lockstep_counts_distinct_addresses() -> None:
    machine = Machine(lanes=4, window=1, banks=4, coalesce=True)
    # Words 0, 4, 0, 4: two words of one bank; the copies ride along. Without coalescing four cycles.
    stream = one_bundle([lanes_of(0, 4, 0, 4)])
    assert run(machine, stream).gather_cycles == 2
    assert run(replace(machine, coalesce=False), stream).gather_cycles == 4
    # Two ports: both words in one cycle.
    assert run(replace(machine, ports=2), stream).gather_cycles == 1


def test_a_coalesced_request_needs_no_port_and_leaves_the_port_to_others() -> None:
    machine = Machine(lanes=4, window=1, banks=4, coalesce=True, ports=2)
    # Words 0, 0, 4, 0: word 0 and word 4 take the two ports, in spite of lane 1 between them.
    assert run(machine, one_bundle([lanes_of(0, 0, 4, 0)])).gather_cycles == 1


def test_only_offered_requests_coalesce() -> None:
    groups = [lanes_of(0, 4), [(1, 4)], [(1, 4)]]
    in_order = Machine(lanes=2, window=3, banks=4, coalesce=True)
    # Lane 1 offers one request a cycle: its words 4 go one after the other, in cycles 1, 2, 3.
    assert run(in_order, one_bundle(groups)).granted == [1, 2, 3]
    # Out of order, cycle 1 reads word 4 for both groups that are visible then; the last comes in cycle 2.
    assert run(replace(in_order, order="out_of_order"), one_bundle(groups)).granted == [1, 1, 2]


# --------------------------------------------------------------------------------------------------- hashing


def test_the_xor_hash_spreads_a_column_over_all_banks() -> None:
    column = [lanes_of(0, 4, 8, 12)]
    machine = Machine(lanes=4, window=1, banks=4)
    # Modulo: all in bank 0. xor: 0 ^ 0, 0 ^ 1, 0 ^ 2, 0 ^ 3.
    assert run(machine, one_bundle(column)).gather_cycles == 4
    assert run(replace(machine, hash="xor"), one_bundle(column)).gather_cycles == 1
    # Words 1, 4, 11, 14 are (div, mod) = (0,1), (1,0), (2,3), (3,2): all in bank 1 once hashed.
    diagonal = [lanes_of(1, 4, 11, 14)]
    assert run(machine, one_bundle(diagonal)).gather_cycles == 1
    assert run(replace(machine, hash="xor"), one_bundle(diagonal)).gather_cycles == 4
    # Only two digits take part: 16 = (0 mod 4, 4 div 4 * 4 mod 4) is bank 0 again.
    assert run(replace(machine, hash="xor"), one_bundle([lanes_of(0, 16)])).gather_cycles == 2


def test_the_hash_applies_to_the_scatter_scratchpad_too() -> None:
    machine = Machine(lanes=1, window=1, banks=4)
    stream = one_bundle([[(0, 0)]], scatter=[[0, 4, 8, 12]])
    assert run(machine, stream).cost == [4]
    assert run(replace(machine, hash="xor"), stream).cost == [1]


# ------------------------------------------------------------------------------------- MAC array and scatter


def test_the_mac_array_takes_groups_in_order_and_one_a_cycle() -> None:
    machine = Machine(lanes=4, window=4, banks=4, order="out_of_order", latency=2)
    groups = [lanes_of(0, 4, 8, 12), [(0, 1)], [(0, 2)]]
    got = run(machine, one_bundle(groups))
    assert got.granted == [3, 1, 2]
    # Groups 1 and 2 are there, and wait for group 0's 3 + 2, then go one a cycle.
    assert got.consumed == [3 + 2, 3 + 2 + 1, 3 + 2 + 2]
    # Words come in cycles 0..3 (4 of group 0), 1 and 2; none has left before cycle 5.
    assert got.waiting == 4 + 1 + 1


def test_a_word_waits_from_its_own_grant_until_its_group_is_consumed() -> None:
    machine = Machine(lanes=1, window=1, banks=4, latency=3)
    # One word a cycle, each stays for the latency of 3 cycles.
    assert run(machine, one_bundle([[(0, 0)]] * 10)).waiting == 3
    # The bank's early words of one group are held until its last: 4 words at once, 4 cycles for each group,
    # and in the cycles of the latency (1 only) the next group's first word has not come yet.
    machine = Machine(lanes=4, window=1, banks=4, latency=1)
    assert run(machine, one_bundle([lanes_of(0, 4, 8, 12)] * 3)).waiting == 4
    # With a latency of 2 it has: 4 + 1.
    assert run(replace(machine, latency=2), one_bundle([lanes_of(0, 4, 8, 12)] * 3)).waiting == 4 + 1


def test_the_gather_units_last_cycle_may_be_that_of_an_earlier_group() -> None:
    machine = Machine(lanes=4, window=4, banks=4, order="out_of_order")
    got = run(machine, one_bundle([lanes_of(0, 4, 8, 12), [(0, 1)]]))
    # Group 1 overtakes in cycle 1; the four words of bank 0 take cycles 0 to 3.
    assert got.granted == [3, 1]
    assert got.gather_cycles == 3 + 1


def test_scatters_go_in_order_and_one_at_a_time() -> None:
    machine = Machine(lanes=1, window=2, banks=4, latency=1, mac_latency=1, rmw_cycles=2)
    stream = Stream(groups=[[(0, 0)]] * 3, bundle_end=[1, 2, 3], scatter=[[0, 4, 8], [1], []])
    got = run(machine, stream)
    # Bank 0 has three; then 1; no address costs 1 as well. Ready in cycles 2, 3, 4; each waits for the last.
    assert got.cost == [3, 1, 1]
    assert got.start == [2, 2 + 6, 2 + 6 + 2]
    assert got.end == [2 + 6, 2 + 6 + 2, 2 + 6 + 2 + 2]
    assert got.cycles == 2 + 6 + 2 + 2


def test_a_scatter_never_coalesces_and_has_its_own_ports() -> None:
    machine = Machine(lanes=1, window=1, banks=4, coalesce=True, ports=8)
    stream = one_bundle([[(0, 0)]], scatter=[[5, 5, 5]])
    assert run(machine, stream).cost == [3]
    assert run(replace(machine, scatter_ports=2), stream).cost == [2]


def test_a_bundle_is_ready_after_its_last_group() -> None:
    machine = Machine(lanes=1, window=1, banks=4, latency=2, mac_latency=3)
    stream = Stream(groups=[[(0, 0)]] * 5, bundle_end=[2, 5], scatter=[[0], [0]])
    got = run(machine, stream)
    assert got.start == [1 + 2 + 3, 4 + 2 + 3]


# --------------------------------------------------------------------------------------------------- repeats


def test_repeats_are_the_stream_played_on_with_moved_addresses() -> None:
    machine = Machine(lanes=4, window=4, banks=4, hash="xor", interval_num=4, interval_den=3)
    groups = random_groups(3, 12, 4, 40)
    scatter = [[0, 1, 4], [3, 7]]
    looped = Stream(
        groups=groups,
        bundle_end=[5, 12],
        scatter=scatter,
        repeats=3,
        repeat_stride=7,
        scatter_stride=5,
    )
    written_out = Stream(
        groups=[[(lane, a + 7 * j) for lane, a in group] for j in range(3) for group in groups],
        bundle_end=[12 * j + past for j in range(3) for past in (5, 12)],
        scatter=[[a + 5 * j for a in bundle] for j in range(3) for bundle in scatter],
    )
    assert run(machine, looped) == run(machine, written_out)
    listed = replace(looped, repeat_stride=999, repeat_offset=[0, 7, 14])
    assert run(machine, listed) == run(machine, written_out)


def test_the_first_repeat_is_moved_by_its_own_entry() -> None:
    machine = Machine(lanes=2, window=1, banks=4, hash="xor")
    # Words 0 and 5 are banks 0 and 0; moved by 3, words 3 and 8 are banks 3 and 2.
    stream = one_bundle([lanes_of(0, 5)], repeats=2)
    assert run(machine, replace(stream, repeat_offset=[0, 3])).granted == [2 - 1, 2 - 1 + 1]
    assert run(machine, replace(stream, repeat_offset=[3, 0])).granted == [1 - 1, 1 - 1 + 2]


@pytest.mark.parametrize("serial", [False, True])
def test_a_repeats_scatter_is_moved_by_its_own_stride(serial: bool) -> None:
    machine = Machine(lanes=2, window=1, banks=4, hash="xor")
    stream = one_bundle([lanes_of(0, 5)], scatter=[[0, 4]], repeats=3, scatter_stride=1, serial=serial)
    got = run(machine, stream)
    # Words 0, 4 are banks 0 ^ 0, 0 ^ 1; words 1, 5: 1 ^ 0, 1 ^ 1; words 2, 6: 2 ^ 0, 2 ^ 1: all free.
    assert got.cost == [1, 1, 1]
    # Words 0, 5 are banks 0, 0, a conflict; moved by 3 they are 3, 8: banks 3 ^ 0 and 0 ^ 2, none; moved by 6
    # they are 6, 11: banks 2 ^ 1 and 3 ^ 2, none.
    assert run(machine, replace(stream, scatter=[[0, 5]], scatter_stride=3)).cost == [2, 1, 1]
    assert run(machine, replace(stream, scatter=[[0, 5]], scatter_stride=0)).cost == [2, 2, 2]
    # The gather's own stride does not move the scatter, nor the other way round: granted one cycle sooner.
    moved = run(machine, replace(stream, scatter=[[0, 5]], scatter_stride=0, repeat_stride=3))
    assert moved.cost == [2, 2, 2]
    visible_to_granted = [g - d for d, g in zip(moved.dispatched, moved.granted, strict=True)]
    assert visible_to_granted == [1, 0, 0]


def test_repeats_do_not_cost_their_number_of_times_one() -> None:
    machine = Machine(lanes=4, window=1, banks=4, latency=2, mac_latency=3)
    once = one_bundle([lanes_of(0, 1, 2, 3)])
    # One: 0 + 2 + 3 + 1. Each further repeat follows a cycle behind.
    assert run(machine, once).cycles == 6
    assert run(machine, replace(once, repeats=10)).cycles == 6 + 9


def test_a_serial_repeat_starts_from_empty_units_a_gap_after_the_end() -> None:
    machine = Machine(lanes=4, window=2, banks=4, latency=2, mac_latency=3, interval_num=2)
    once = Stream(groups=[lanes_of(0, 4), [(0, 1)]], bundle_end=[2], scatter=[[0]])
    one = run(machine, once)
    # Dispatched in 0 and 2, granted in 1 and 2; used in 3, 4; scattered from 7 to 8.
    assert (one.dispatched, one.granted, one.consumed, one.end) == ([0, 2], [1, 2], [3, 4], [8])
    got = run(machine, replace(once, repeats=3, serial=True, gap=5))
    period = 8 + 5
    assert got.dispatched == [j * period + t for j in range(3) for t in one.dispatched]
    assert got.granted == [j * period + t for j in range(3) for t in one.granted]
    assert got.consumed == [j * period + t for j in range(3) for t in one.consumed]
    assert got.start == [j * period + 7 for j in range(3)]
    assert got.cycles == 2 * period + 8
    assert got.gather_cycles == 2 * period + 2 + 1
    assert got.waiting == one.waiting


# ---------------------------------------------------------------------------------------------------- errors

GOOD_MACHINE = Machine(lanes=2, window=1, banks=4)
GOOD_STREAM = Stream(groups=[lanes_of(3, 4), [(0, 5)]], bundle_end=[1, 2], scatter=[[2], [3]])


@pytest.mark.parametrize(
    "field",
    [
        "lanes",
        "window",
        "interval_num",
        "interval_den",
        "ports",
        "latency",
        "banks",
        "mac_latency",
        "rmw_cycles",
        "scatter_ports",
    ],
)
def test_a_unit_with_a_zero_parameter_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} = 0: must be at least 1"):
        run(replace(GOOD_MACHINE, **{field: 0}), GOOD_STREAM)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"order": "random"}, "order = 'random'"),
        ({"hash": "prime"}, "hash = 'prime'"),
        ({"hash": "xor", "banks": 12}, "banks = 12: must be a power of two"),
    ],
)
def test_a_machine_that_cannot_be_built_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(replace(GOOD_MACHINE, **fields), GOOD_STREAM)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"groups": [[(0, 1)], []]}, r"groups\[1\] = \[\]"),
        ({"groups": [], "bundle_end": [], "scatter": []}, r"groups = \[\]"),
        ({"bundle_end": [1, 1, 2], "scatter": [[], [], []]}, r"bundle_end\[1\] = 1"),
        ({"bundle_end": [0, 2]}, r"bundle_end\[0\] = 0"),
        ({"bundle_end": [1], "scatter": [[]]}, "must end at 2"),
        ({"bundle_end": [1, 3]}, "must end at 2"),
        ({"scatter": [[]]}, "scatter has 1 entries"),
        ({"groups": [[(0, 1), (0, 2)], [(0, 1)]]}, r"groups\[0\] lane = 0: .*distinct"),
        ({"groups": [[(2, 1)], [(0, 1)]]}, r"groups\[0\] lane = 2"),
        ({"groups": [[(-1, 1)], [(0, 1)]]}, r"groups\[0\] lane = -1"),
        ({"groups": [[(0, -1)], [(0, 1)]]}, "address = -1"),
        ({"scatter": [[-3], []]}, "address = -3"),
        ({"repeats": 0}, "repeats = 0"),
        ({"gap": -1}, "gap = -1"),
        ({"repeats": 3, "repeat_stride": -2}, "repeat_stride in repeat 2 = -1"),
        ({"repeats": 2, "repeat_offset": [-4, 0]}, "repeat_offset in repeat 0 = -1"),
        ({"repeats": 2, "repeat_offset": [0]}, "repeat_offset has 1 entries"),
        ({"repeats": 2, "scatter_stride": -3}, "scatter_stride in repeat 1 = -1"),
    ],
)
def test_a_stream_that_no_layer_makes_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(GOOD_MACHINE, replace(GOOD_STREAM, **fields))


def test_a_backward_move_that_stays_above_zero_is_allowed() -> None:
    # The lowest address is 3: two strides of -1, or one entry of -3, leave it at 1 and 0.
    run(GOOD_MACHINE, replace(GOOD_STREAM, repeats=3, repeat_stride=-1))
    run(GOOD_MACHINE, replace(GOOD_STREAM, repeats=2, repeat_offset=[-3, 0], scatter_stride=-2))


# ---------------------------------------------------------------------------------------------- known values


def expected_max_load(n: int) -> Fraction:
    """E[max load], n requests on n banks: P(max <= m) = n! / n^n [x^n] (sum_{k<=m} x^k / k!)^n."""
    expectation = Fraction(0)
    for m in range(n):
        product = [Fraction(1)] + [Fraction(0)] * n
        for _ in range(n):
            longer = [Fraction(0)] * (n + 1)
            for i, a in enumerate(product):
                for k in range(min(m, n - i) + 1):
                    longer[i + k] += a / factorial(k)
            product = longer
        expectation += 1 - product[n] * factorial(n) / Fraction(n) ** n  # P(max > m)
    return expectation


@pytest.mark.parametrize(("banks", "known"), [(4, 2.1250), (8, 2.5972), (16, 3.0782)])
def test_the_fullest_bank_of_random_requests_has_the_known_mean(banks: int, known: float) -> None:
    assert float(expected_max_load(banks)) == pytest.approx(known, abs=5e-5)


@pytest.mark.parametrize("banks", [4, 8])
def test_a_lockstep_engine_costs_the_mean_load_of_the_fullest_bank(banks: int) -> None:
    count = 4000
    stream = one_bundle(random_groups(banks, count, banks, banks * 16))
    mean = run(Machine(lanes=banks, window=1, banks=banks), stream).gather_cycles / count
    # The fullest bank's load has a standard deviation below 0.8: four standard errors of the mean.
    assert abs(mean - float(expected_max_load(banks))) < 4 * 0.8 / count**0.5


@pytest.mark.parametrize("order", ["in_order", "out_of_order"])
@pytest.mark.parametrize("window", [1, 3, 8])
def test_a_stream_strictly_free_of_conflicts_costs_a_cycle_a_group(order: str, window: int) -> None:
    rng = random.Random(5)
    # GS(8, k): each group has one word of every bank, at any height.
    banks = [rng.sample(range(8), 8) for _ in range(200)]
    groups = [lanes_of(*(8 * rng.randrange(50) + bank for bank in group)) for group in banks]
    got = run(Machine(lanes=8, window=window, banks=8, order=order), one_bundle(groups))
    assert got.granted == list(range(200))
    assert got.gather_cycles == 200


@pytest.mark.parametrize("order", ["in_order", "out_of_order"])
@pytest.mark.parametrize("ports", [1, 2])
@pytest.mark.parametrize("seed", range(5))
def test_no_order_beats_one_group_a_cycle_or_the_fullest_bank(order: str, ports: int, seed: int) -> None:
    groups = random_groups(seed, 50, 4, 20)
    load = Counter(a % 4 for group in groups for _, a in group)
    for window in (1, 2, 5, 50):
        machine = Machine(lanes=4, window=window, banks=4, ports=ports, order=order)
        got = run(machine, one_bundle(groups))
        assert got.gather_cycles >= max(len(groups), -(-max(load.values()) // ports))


@pytest.mark.parametrize(("lanes", "limit"), [(4, 0.6553), (8, 0.6184)])
def test_in_order_lanes_reach_the_head_of_line_limit_of_a_switch(lanes: int, limit: float) -> None:
    count = 6000
    machine = Machine(lanes=lanes, window=64, banks=lanes)
    cycles = run(machine, one_bundle(random_groups(7, count, lanes, lanes * 16))).gather_cycles
    # Each group has a word per lane, so words per cycle and lane is groups per cycle; 1 % and noise.
    assert count / cycles == pytest.approx(limit, rel=0.02)


def test_out_of_order_lanes_reach_the_known_throughput() -> None:
    count = 3000
    machine = Machine(lanes=16, window=8, banks=16, order="out_of_order")
    cycles = run(machine, one_bundle(random_groups(8, count, 16, 256))).gather_cycles
    assert count / cycles == pytest.approx(0.817, rel=0.01)


# --------------------------------------------------------------------------------------------------- packing


def test_a_bundle_needs_a_group_per_k_of_its_fullest_row_and_per_word_of_its_fullest_bank() -> None:
    assert konig_groups([5, 3], [2, 2, 2, 2], 2) == 3  # ceil(5 / 2) above 2
    assert konig_groups([4, 4], [4, 2, 1, 1], 2) == 4  # the bank with 4 words
    assert konig_groups([], [], 2) == 0
    with pytest.raises(ValueError, match="k = 0"):
        konig_groups([1], [1], 0)
