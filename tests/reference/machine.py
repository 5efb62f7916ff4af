"""The gather/scatter machine, stepped cycle by cycle: the definition that faster versions are held against.

Nothing here is clever on purpose. Every rule of the contract is one short function whose docstring says the
rule in other words; the gather unit is a loop over cycles that does dispatch, grant and retire in that order.
No closed form, no skipping ahead, no detection of a period: R repeats are R copies, played one by one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the three units are built from; see `check_machine` for the values that are allowed."""

    lanes: int
    window: int
    interval_num: int = 1
    interval_den: int = 1
    order: str = "in_order"
    ports: int = 1
    coalesce: bool = False
    latency: int = 2
    banks: int = 16
    hash: str = "none"
    mac_latency: int = 3
    rmw_cycles: int = 1
    scatter_ports: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One repeat of a request stream, and how often and how far moved it is played."""

    groups: list[list[tuple[int, int]]]  # per group: (lane, address)
    bundle_end: list[int]  # one past each bundle's last group
    scatter: list[list[int]]  # per bundle: output addresses
    repeats: int = 1
    repeat_offset: list[int] | None = None  # takes the place of j * repeat_stride where it is given
    repeat_stride: int = 0
    scatter_stride: int = 0
    serial: bool = False
    gap: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Times of every group and bundle of the concatenation, in cycles from the start of the whole run."""

    dispatched: list[int]
    granted: list[int]
    consumed: list[int]
    start: list[int]
    end: list[int]
    cost: list[int]
    gather_cycles: int
    cycles: int
    waiting: int


class _Request(NamedTuple):
    """One word to gather. Tuples compare field by field, so sorting gives (group, lane) order."""

    group: int
    lane: int
    address: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flat:
    """A stream without repeats: what the three units see from one start to one end."""

    groups: list[list[_Request]]  # each in lane order
    bundle_end: list[int]
    scatter: list[list[int]]


# ------------------------------------------------------------------------------------------------ validation


def _at_least(field: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{field} = {value}: must be at least {least}")


def check_machine(machine: Machine) -> None:
    """No parameter is zero, latencies are at least 1, and the xor hash needs a power of two of banks."""
    for field in (
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
    ):
        _at_least(field, getattr(machine, field), 1)
    if machine.order not in ("in_order", "out_of_order"):
        raise ValueError(f"order = {machine.order!r}: must be 'in_order' or 'out_of_order'")
    if machine.hash not in ("none", "xor"):
        raise ValueError(f"hash = {machine.hash!r}: must be 'none' or 'xor'")
    if machine.hash == "xor" and machine.banks & (machine.banks - 1):
        raise ValueError(f"banks = {machine.banks}: must be a power of two with hash = 'xor'")


def check_stream(machine: Machine, stream: Stream) -> None:
    """Groups have requests, bundles have groups, every group has a bundle; lanes are distinct and exist.

    Addresses are never negative, neither as written nor as any repeat moves them.
    """
    _at_least("repeats", stream.repeats, 1)
    _at_least("gap", stream.gap, 0)
    if not stream.groups:
        raise ValueError("groups = []: a stream must have at least one group")
    for g, group in enumerate(stream.groups):
        if not group:
            raise ValueError(f"groups[{g}] = []: a group must have at least one request")
        lanes_seen: set[int] = set()
        for lane, address in group:
            if not 0 <= lane < machine.lanes:
                raise ValueError(f"groups[{g}] lane = {lane}: must be in 0 .. {machine.lanes - 1}")
            if lane in lanes_seen:
                raise ValueError(f"groups[{g}] lane = {lane}: lanes of a group must be distinct")
            lanes_seen.add(lane)
            _at_least(f"groups[{g}] lane {lane} address", address, 0)

    first = 0
    for b, past in enumerate(stream.bundle_end):
        if past <= first:
            raise ValueError(f"bundle_end[{b}] = {past}: must be above {first}, no bundle is empty")
        first = past
    if first != len(stream.groups):
        raise ValueError(
            f"bundle_end = {stream.bundle_end}: must end at {len(stream.groups)}, the number of groups; "
            "every group is in a bundle, and every bundle's groups exist"
        )
    if len(stream.scatter) != len(stream.bundle_end):
        bundles = len(stream.bundle_end)
        raise ValueError(f"scatter has {len(stream.scatter)} entries: must have one per bundle, {bundles}")
    for b, addresses in enumerate(stream.scatter):
        for address in addresses:
            _at_least(f"scatter[{b}] address", address, 0)

    if stream.repeat_offset is not None and len(stream.repeat_offset) != stream.repeats:
        entries = len(stream.repeat_offset)
        raise ValueError(f"repeat_offset has {entries} entries: must have one per repeat, {stream.repeats}")
    lowest = min(address for group in stream.groups for _, address in group)
    lowest_scatter = min((address for addresses in stream.scatter for address in addresses), default=None)
    for j in range(stream.repeats):
        field = "repeat_stride" if stream.repeat_offset is None else "repeat_offset"
        _at_least(f"groups address moved by {field} in repeat {j}", lowest + gather_offset(stream, j), 0)
        if lowest_scatter is not None:
            moved = lowest_scatter + j * stream.scatter_stride
            _at_least(f"scatter address moved by scatter_stride in repeat {j}", moved, 0)


# --------------------------------------------------------------------------------------------------- repeats


def gather_offset(stream: Stream, j: int) -> int:
    """Words by which repeat j moves its gather addresses: its entry if there is a list, else j strides."""
    return j * stream.repeat_stride if stream.repeat_offset is None else stream.repeat_offset[j]


def _concatenate(stream: Stream, repeats: range) -> _Flat:
    """Lay the named repeats end to end; groups are numbered through, addresses are moved per repeat."""
    groups: list[list[_Request]] = []
    bundle_end: list[int] = []
    scatter: list[list[int]] = []
    for j in repeats:
        groups_before = len(groups)
        for group in stream.groups:
            # What a group's list is sorted by is no property of the hardware: lanes are.
            g = len(groups)
            moved = [_Request(g, lane, address + gather_offset(stream, j)) for lane, address in group]
            groups.append(sorted(moved))
        bundle_end += [groups_before + past for past in stream.bundle_end]
        scatter += [[address + j * stream.scatter_stride for address in bundle] for bundle in stream.scatter]
    return _Flat(groups=groups, bundle_end=bundle_end, scatter=scatter)


# ---------------------------------------------------------------------------------------------- the hardware


def bank_of(machine: Machine, address: int) -> int:
    """The low digit of the address in base B; with the xor hash, its two low digits combined."""
    low = address % machine.banks
    if machine.hash == "xor":
        return low ^ ((address // machine.banks) % machine.banks)
    return low


def _offered(machine: Machine, pending: list[_Request]) -> list[_Request]:
    """What the lanes show the banks this cycle, of all visible ungranted requests in (group, lane) order.

    in_order: a lane shows its oldest one and hides those behind it, for the whole cycle (so a lane is granted
    at most one request a cycle). out_of_order: a lane shows them all.
    """
    if machine.order == "out_of_order":
        return pending
    lanes_taken: set[int] = set()
    oldest: list[_Request] = []
    for request in pending:
        if request.lane not in lanes_taken:
            lanes_taken.add(request.lane)
            oldest.append(request)
    return oldest


def _grant(machine: Machine, offered: list[_Request]) -> set[_Request]:
    """Each bank has P ports a cycle and serves the lowest (group, lane) first.

    With coalescing, a request for a word that its bank reads in this cycle anyway rides along and takes no
    port. One pass in order finds all of those: a request is only refused once its bank's ports are all
    taken, and from then on that bank reads no new word, so nothing granted later can match it.
    """
    ports_taken: Counter[int] = Counter()
    words_read: set[int] = set()  # an address is in one bank only, so it need not be kept per bank
    granted: set[_Request] = set()
    for request in offered:
        bank = bank_of(machine, request.address)
        if machine.coalesce and request.address in words_read:
            granted.add(request)
        elif ports_taken[bank] < machine.ports:
            ports_taken[bank] += 1
            words_read.add(request.address)
            granted.add(request)
    return granted


def _gather(machine: Machine, groups: list[list[_Request]]) -> tuple[list[int], list[list[int]]]:
    """Step the gather unit: the cycle each group becomes visible, and per group the cycle of each grant."""
    total = len(groups)
    dispatched: list[int] = []
    grants: list[list[int]] = [[] for _ in groups]
    pending: list[_Request] = []  # visible and ungranted, in (group, lane) order
    n = 0  # groups dispatched
    r = 0  # oldest group not fully granted
    credit = machine.interval_num
    t = 0
    while r < total:
        if t > 0:
            credit = min(credit + machine.interval_den, machine.interval_num + machine.interval_den - 1)

        # 1. Dispatch: room in the window as the last cycle left it, and credit for one group; one at most.
        if n < total and n - r < machine.window and credit >= machine.interval_num:
            credit -= machine.interval_num
            pending += groups[n]
            dispatched.append(t)
            n += 1

        # 2. Grant: a group that became visible in this cycle takes part.
        granted = _grant(machine, _offered(machine, pending))
        for request in granted:
            grants[request.group].append(t)
        pending = [request for request in pending if request not in granted]

        # 3. Retire: in group order, as many as are complete. Room this makes is seen by the next cycle.
        while r < n and len(grants[r]) == len(groups[r]):
            r += 1
        t += 1
    return dispatched, grants


def _consume(machine: Machine, granted: list[int]) -> list[int]:
    """The MAC array takes groups in order, one a cycle, none sooner than `latency` after its last grant."""
    consumed: list[int] = []
    for last_grant in granted:
        soonest = last_grant + machine.latency
        consumed.append(max(soonest, consumed[-1] + 1) if consumed else soonest)
    return consumed


def _most_waiting(grants: list[list[int]], consumed: list[int]) -> int:
    """The most words that are there and not yet used: granted in cycle t or before, group consumed after t.

    Stepped over t: a word comes in its own grant's cycle, a whole group leaves in the cycle that uses it.
    """
    comes: Counter[int] = Counter()
    leaves: Counter[int] = Counter()
    for of_group, used in zip(grants, consumed, strict=True):
        comes.update(of_group)
        leaves[used] += len(of_group)
    now = most = 0
    for t in range(max(consumed) + 1):
        now += comes[t] - leaves[t]
        most = max(most, now)
    return most


def scatter_cost(machine: Machine, addresses: list[int]) -> int:
    """Lockstep: the fullest bank's addresses over the scatter ports, rounded up; equal ones count; >= 1."""
    load = Counter(bank_of(machine, address) for address in addresses)
    return max(1, _ceil_div(max(load.values(), default=0), machine.scatter_ports))


def _scatter(machine: Machine, flat: _Flat, consumed: list[int]) -> tuple[list[int], list[int], list[int]]:
    """Bundles in order, one at a time, each once the MAC array has finished the bundle's last group."""
    start: list[int] = []
    end: list[int] = []
    cost: list[int] = []
    free_from = 0  # the end of no bundle
    for past, addresses in zip(flat.bundle_end, flat.scatter, strict=True):
        ready = consumed[past - 1] + machine.mac_latency
        cost.append(scatter_cost(machine, addresses))
        start.append(max(ready, free_from))
        free_from = start[-1] + cost[-1] * machine.rmw_cycles
        end.append(free_from)
    return start, end, cost


def _play(machine: Machine, flat: _Flat) -> Outcome:
    """All three units from empty, from cycle 0, until the last scatter's end."""
    dispatched, grants = _gather(machine, flat.groups)
    granted = [max(of_group) for of_group in grants]
    consumed = _consume(machine, granted)
    start, end, cost = _scatter(machine, flat, consumed)
    return Outcome(
        dispatched=dispatched,
        granted=granted,
        consumed=consumed,
        start=start,
        end=end,
        cost=cost,
        gather_cycles=1 + max(granted),
        cycles=end[-1],
        waiting=_most_waiting(grants, consumed),
    )


def run(machine: Machine, stream: Stream) -> Outcome:
    """Play all repeats: one after the other without a break, or, if serial, each from empty units.

    A serial repeat starts `gap` cycles after the end of the one before; its credit starts anew.
    """
    check_machine(machine)
    check_stream(machine, stream)
    if not stream.serial:
        return _play(machine, _concatenate(stream, range(stream.repeats)))

    dispatched: list[int] = []
    granted: list[int] = []
    consumed: list[int] = []
    start: list[int] = []
    end: list[int] = []
    cost: list[int] = []
    waiting = 0
    began = 0
    for j in range(stream.repeats):
        one = _play(machine, _concatenate(stream, range(j, j + 1)))
        dispatched += [began + t for t in one.dispatched]
        granted += [began + t for t in one.granted]
        consumed += [began + t for t in one.consumed]
        start += [began + t for t in one.start]
        end += [began + t for t in one.end]
        cost += one.cost
        waiting = max(waiting, one.waiting)  # no word waits across a repeat's end, so the most is within one
        began = end[-1] + stream.gap
    return Outcome(
        dispatched=dispatched,
        granted=granted,
        consumed=consumed,
        start=start,
        end=end,
        cost=cost,
        gather_cycles=1 + max(granted),
        cycles=end[-1],
        waiting=waiting,
    )


# ---------------------------------------------------------------------------------------- packing of bundles


def _ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def konig_groups(row_counts: list[int], bank_counts: list[int], k: int) -> int:
    """Fewest groups of a bundle: a row has k places in a group, a bank gives one word to a group."""
    _at_least("k", k, 1)
    return max(_ceil_div(max(row_counts, default=0), k), max(bank_counts, default=0))
