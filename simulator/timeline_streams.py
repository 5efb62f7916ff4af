"""When the units of a core did what for one stream: groups, stalls, multiplications, scatters and gaps.

Groups and bundles come from a replay of the stream, cut where its tiles are cut. Left out: lanes and banks of a group.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from simulator.machine import schedule
from simulator.runner import stream_interval
from simulator.spec import Device
from simulator.timeline_event import Event, Ran, Track
from traces.stream import IntArray, RequestStream


def most_inside(stream: RequestStream, device: Device, enough: int) -> int:
    """Return the events of a stream: groups, stalls, runs of the MAC array, waits, scatters, gaps; not their cuts.

    A stream of more than ``enough`` groups and bundles is not replayed: the number is then a bound above that.
    """
    least = (stream.groups + stream.bundles) * stream.repeats
    if least > enough:
        return 4 * least
    granted, consumed, _, end = stream_schedule(stream, device)
    oldest = np.maximum.accumulate(granted)
    took = np.diff(oldest, prepend=-1)
    if stream.serial:  # a repeat begins where its gap ends
        began = end[stream.bundles - 1 : -1 : stream.bundles] + stream.gap
        took[stream.groups :: stream.groups] = oldest[stream.groups :: stream.groups] - began + 1
    stalled = took[took > 0] > 1
    stalls = int(np.count_nonzero(np.diff(stalled.astype(np.int8), prepend=0) == 1))
    runs = 1 + int(np.count_nonzero(np.diff(consumed) != 1))
    gaps = 2 * stream.repeats if stream.serial else 0  # a gap, and a stall that it ends
    return int(np.count_nonzero(took > 0)) + stalls + 2 * runs + stream.bundles * stream.repeats + gaps


def stream_schedule(stream: RequestStream, device: Device) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    interval = stream_interval(stream, device)
    return schedule(stream, device.gather, device.scratchpad, device.mac, device.scatter, interval=interval)


class Cuts:
    """Where a stream's own cycles lie in the layer's: its tiles run one by one, with waits in between."""

    def __init__(self, ran_in: Sequence[Ran]) -> None:
        self.first = [0]  # of each tile, in the stream's cycles
        self.began = [ran.began for ran in ran_in]
        for ran in ran_in:
            self.first.append(self.first[-1] + ran.ended - ran.began)

    def pieces(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """Yield the layer's cycles of the stream's cycles from ``low`` to before ``high``, tile by tile."""
        tile = bisect_right(self.first, low) - 1
        while low < high:
            until = min(high, self.first[tile + 1])
            if until > low:
                move = self.began[tile] - self.first[tile]
                yield low + move, until + move
            low, tile = until, tile + 1


def stream_events(stream: RequestStream, device: Device, core: int, cuts: Cuts) -> Iterator[Event]:
    """Yield groups, operations and scatters of all repeats of a stream that runs on ``core`` (1: core 0)."""
    granted, consumed, start, end = (array.reshape(stream.repeats, -1) for array in stream_schedule(stream, device))
    begins = [0] * stream.repeats  # the first cycle in which a repeat can gather
    if stream.serial:
        begins = [0, *(int(last) + stream.gap for last in end[:-1, -1])]

    def cut(track: Track, name: str, low: int, high: int, facts: Mapping[str, int | str]) -> Iterator[Event]:
        pieces = list(cuts.pieces(low, high))
        for number, (piece_low, piece_high) in enumerate(pieces):
            told = facts if len(pieces) == 1 else {**facts, "piece": number + 1, "pieces": len(pieces)}
            yield Event(core=core, track=track, name=name, start_cycles=piece_low, end_cycles=piece_high, facts=told)

    yield from _gathers(stream, granted, begins, cut)
    yield from _multiplies(stream, consumed, cut)
    for repeat in range(stream.repeats):
        for bundle in range(stream.bundles):
            words = int(stream.scatter_ptr[bundle + 1] - stream.scatter_ptr[bundle])
            facts: dict[str, int | str] = {"repeat": repeat, "bundle": bundle, "words": words}
            yield from cut("scatter", "scatter", int(start[repeat, bundle]), int(end[repeat, bundle]), facts)
        if stream.serial and stream.gap and repeat + 1 < stream.repeats:
            yield from cut("vector unit", "gap", int(end[repeat, -1]), begins[repeat + 1], {"repeat": repeat})


_Cut = Callable[[Track, str, int, int, Mapping[str, int | str]], Iterator[Event]]


def _gathers(stream: RequestStream, granted: IntArray, begins: Sequence[int], cut: _Cut) -> Iterator[Event]:
    """Yield the time for which each group was the oldest, and around runs of groups above a cycle, one stall.

    A group that is complete when it becomes the oldest takes no time of its own.
    """
    requests = (stream.group_ptr[1:] - stream.group_ptr[:-1]).tolist()
    open_from = 0
    stalled: list[tuple[int, int, int, int]] = []  # groups above a cycle that follow one another

    def flush() -> Iterator[Event]:
        if stalled:
            low, high = stalled[0][2], stalled[-1][3]
            counts: dict[str, int | str] = {"groups": len(stalled), "lost_cycles": high - low - len(stalled)}
            yield from cut("gather", "stall", low, high, counts)
            for repeat, group, start, end in stalled:
                yield from named(repeat, group, start, end)
            stalled.clear()

    def named(repeat: int, group: int, start: int, end: int) -> Iterator[Event]:
        facts: dict[str, int | str] = {"repeat": repeat, "group": group, "requests": requests[group]}
        return cut("gather", "group", start, end, facts)

    for repeat in range(stream.repeats):
        if begins[repeat] > open_from:
            yield from flush()
            open_from = begins[repeat]
        for group, last in enumerate(granted[repeat].tolist()):
            if last < open_from:
                continue
            if last > open_from:
                stalled.append((repeat, group, open_from, last + 1))
            else:
                yield from flush()
                yield from named(repeat, group, open_from, last + 1)
            open_from = last + 1
    yield from flush()


def _multiplies(stream: RequestStream, consumed: IntArray, cut: _Cut) -> Iterator[Event]:
    """Yield runs of groups that the MAC array takes in consecutive cycles, and the waits between them."""
    flat = consumed.reshape(-1).tolist()
    first = 0
    for place in range(1, len(flat) + 1):
        if place < len(flat) and flat[place] == flat[place - 1] + 1:
            continue
        facts: dict[str, int | str] = {"repeat": first // stream.groups, "group": first % stream.groups}
        yield from cut("MAC", "multiply", flat[first], flat[place - 1] + 1, {**facts, "groups": place - first})
        if place < len(flat):
            yield from cut("MAC", "wait for operands", flat[place - 1] + 1, flat[place], {})
        first = place
