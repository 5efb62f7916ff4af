"""When each unit of an accelerator did what: the steps of a layer, and inside them groups, waits and scatters.

Times are those of the simulation, in cycles from the start of the first layer: steps from the engine, groups and
bundles from a replay of their stream, cut where a stream's tiles are cut. Layers follow one another. Events of one
track never overlap unless one lies inside the other. What would be too many events is coarsened layer by layer, the
largest first: groups to tiles, then tiles to the layer. Left out: lanes and banks of a group; the DRAM's latency after
a transfer has left the bus, which shows as a wait; more than one core.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from simulator.machine import schedule
from simulator.runner import stream_interval, tile_places
from simulator.schedule.program import Program, Visit
from simulator.simulate import LayerFacts, record_program
from simulator.spec import Device
from traces.stream import IntArray, RequestStream, TraceError

Track = Literal["DRAM", "layer", "DMA in", "gather", "MAC", "scatter", "vector unit", "DMA out"]
Detail = Literal["groups", "tiles", "layer"]
TRACKS: tuple[Track, ...] = ("DRAM", "layer", "DMA in", "gather", "MAC", "scatter", "vector unit", "DMA out")
MOST_EVENTS = 1_000_000
_EVENTS_A_STEP = 18  # at most: 2 on each of DMA in, DMA out and layer, 4 on DRAM, and 8 more where tiles cut a stream
_DRAM = 0  # the process of what cores share; cores count from 1
_CORE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that lasted from ``start_cycles`` to before ``end_cycles``; ``facts`` say more of it."""

    core: int  # 0: shared by all cores
    track: Track
    name: str
    start_cycles: int
    end_cycles: int
    facts: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSize:
    """The most events that a layer makes at each detail."""

    layer: str
    groups: int
    tiles: int

    def at(self, detail: Detail) -> int:
        """Return the most events at ``detail``."""
        return {"groups": self.groups, "tiles": self.tiles, "layer": 1}[detail]


def layer_size(facts: LayerFacts, program: Program, device: Device) -> LayerSize:
    """Return how many events a layer makes at most; streams that could fit are replayed and counted."""
    tiles = 1 + _EVENTS_A_STEP * len(tile_places(program))
    groups = tiles + sum(_most_inside(visit.stream, device) for visit in program.visits if visit.stream is not None)
    return LayerSize(layer=facts.layer, groups=groups, tiles=tiles)


def _most_inside(stream: RequestStream, device: Device) -> int:
    """Return the events of a stream: groups, stalls, runs of the MAC array, waits, scatters, gaps; not their cuts."""
    least = (stream.groups + stream.bundles) * stream.repeats
    if least > MOST_EVENTS:
        return 4 * least
    granted, consumed, _, end = _schedule(stream, device)
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


def _schedule(stream: RequestStream, device: Device) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    interval = stream_interval(stream, device)
    return schedule(stream, device.gather, device.scratchpad, device.mac, device.scatter, interval=interval)


def choose_details(sizes: Sequence[LayerSize], most: int) -> list[Detail]:
    """Return the detail of each layer, so that at most ``most`` events are made: the largest layers lose theirs first.

    Raises TraceError where even one event a layer is too many.
    """
    chosen: list[Detail] = ["groups"] * len(sizes)
    total = sum(size.groups for size in sizes)
    steps: tuple[tuple[Detail, Detail], ...] = (("groups", "tiles"), ("tiles", "layer"))
    for finer, coarser in steps:
        for number in sorted(range(len(sizes)), key=lambda number: -sizes[number].at(finer)):
            if total <= most:
                return chosen
            total += sizes[number].at(coarser) - sizes[number].at(finer)
            chosen[number] = coarser
    if total > most:
        raise TraceError(f"the trace has {len(sizes)} layers, and a timeline of one event each has at most {most}")
    return chosen


def layer_events(
    facts: LayerFacts, program: Program, device: Device, detail: Detail, start_cycles: int
) -> tuple[int, Iterator[Event]]:
    """Return the cycles of a layer that starts at ``start_cycles``, and its events."""
    steps = _Steps(program)
    total = record_program(program, device, steps.record)
    return total, _checked(_layer(facts, program, device, detail, total, steps), start_cycles)


def _checked(events: Iterable[Event], start_cycles: int) -> Iterator[Event]:
    """Leave out events without duration and move the others to where the layer starts."""
    for event in events:
        if event.end_cycles > event.start_cycles:
            yield Event(
                core=event.core,
                track=event.track,
                name=event.name,
                start_cycles=event.start_cycles + start_cycles,
                end_cycles=event.end_cycles + start_cycles,
                facts=event.facts,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ran:
    """A unit's part of a step: when it could have begun, when it did and when it was done."""

    step: int
    asked: int
    began: int
    ended: int


class _Steps:
    """What the engine told of each step, by unit."""

    def __init__(self, program: Program) -> None:
        self.places = tile_places(program)
        self.load: list[_Ran] = []
        self.compute: list[_Ran] = []
        self.store: list[_Ran] = []

    def record(self, unit: str, step: int, asked: int, began: int, ended: int) -> None:
        kept = {"load": self.load, "compute": self.compute, "store": self.store}[unit]
        kept.append(_Ran(step=step, asked=asked, began=began, ended=ended))


def _layer(
    facts: LayerFacts, program: Program, device: Device, detail: Detail, total: int, steps: _Steps
) -> Iterator[Event]:
    yield _event("layer", facts.layer, 0, total, {"kind": facts.kind, "detail": detail, "steps": len(steps.places)})
    if detail == "layer":
        return
    waits = _merged((ran.asked, ran.began) for ran in steps.compute)
    yield from (_event("layer", "wait for DRAM or a buffer", low, high) for low, high in waits)
    for ran in steps.compute:
        yield _event("layer", f"tile {ran.step}", ran.began, ran.ended, _place(program, steps, ran))
    yield from _transfers(program, steps, steps.load, "DMA in", "load")
    yield from _transfers(program, steps, steps.store, "DMA out", "store")
    moved = [(ran, "read") for ran in steps.load] + [(ran, "write") for ran in steps.store]
    for ran, verb in sorted(moved, key=lambda item: item[0].began):
        yield Event(
            core=_DRAM, track="DRAM", name=f"{verb} tile {ran.step}", start_cycles=ran.began, end_cycles=ran.ended,
            facts={"core": _CORE - 1, "layer": facts.layer},
        )  # fmt: skip
    of_visit: dict[int, list[_Ran]] = {}
    for ran in steps.compute:
        of_visit.setdefault(steps.places[ran.step][0], []).append(ran)
    for number, visit in enumerate(program.visits):
        if visit.stream is None:
            continue
        ran_in = of_visit[number]
        if detail == "groups":
            yield from _stream_events(visit.stream, device, _Cuts(ran_in))
        else:
            yield from _coarse(visit, ran_in)
    for ran in of_visit.get(-1, []):
        yield _event("vector unit", f"tile {ran.step}", ran.began, ran.ended, _place(program, steps, ran))


def _event(track: Track, name: str, start: int, end: int, facts: Mapping[str, int | str] | None = None) -> Event:
    return Event(core=_CORE, track=track, name=name, start_cycles=start, end_cycles=end, facts=facts or {})


def _merged(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Join spans that touch; they come in order and do not overlap. Empty ones are left out."""
    open_low = open_high = 0
    for low, high in spans:
        if high <= low:
            continue
        if open_high > open_low and low == open_high:
            open_high = high
            continue
        if open_high > open_low:
            yield open_low, open_high
        open_low, open_high = low, high
    if open_high > open_low:
        yield open_low, open_high


def _place(program: Program, steps: _Steps, ran: _Ran) -> dict[str, int | str]:
    visit, run = steps.places[ran.step]
    if visit < 0:
        return {"elements": program.vector_runs[run].elements}
    stream = program.visits[visit].stream
    return {"stream": "none" if stream is None else stream.name, "run": run}


def _transfers(program: Program, steps: _Steps, moved: Iterable[_Ran], track: Track, verb: str) -> Iterator[Event]:
    """Yield each transfer and the time for which it waited for the DRAM; one after another on a core's DMA."""
    moved_until = 0  # a DMA asks for its next transfer while the last one is still in the DRAM's queue
    for ran in _by_step(moved):
        visit, run = steps.places[ran.step]
        if visit < 0:
            moved_bytes = (program.vector_runs[run].load_bytes, program.vector_runs[run].store_bytes)
        else:
            moved_bytes = (program.visits[visit].runs[run].load_bytes, program.visits[visit].runs[run].store_bytes)
        yield _event(track, "wait for the DRAM bus", max(ran.asked, moved_until), ran.began)
        moved_until = ran.ended
        size = {"bytes": moved_bytes[0 if verb == "load" else 1]}
        yield _event(track, f"{verb} tile {ran.step}", ran.began, ran.ended, size)


def _by_step(moved: Iterable[_Ran]) -> Iterator[_Ran]:
    """Yield what a DMA did for each step: from its first operand to its last."""
    for step, transfers in itertools.groupby(moved, key=lambda ran: ran.step):
        first, *more = transfers
        yield _Ran(step=step, asked=first.asked, began=first.began, ended=(more or [first])[-1].ended)


def _coarse(visit: Visit, ran_in: Iterable[_Ran]) -> Iterator[Event]:
    """Yield one event a tile on each unit of the core: when its stream ran, not when each unit was busy."""
    assert visit.stream is not None
    units: tuple[Track, ...] = ("gather", "MAC", "scatter")
    for ran in ran_in:
        facts = {"stream": visit.stream.name, "detail": "tiles"}
        yield from (_event(track, f"tile {ran.step}", ran.began, ran.ended, facts) for track in units)


class _Cuts:
    """Where a stream's own cycles lie in the layer's: its tiles run one by one, with waits in between."""

    def __init__(self, ran_in: Sequence[_Ran]) -> None:
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


def _stream_events(stream: RequestStream, device: Device, cuts: _Cuts) -> Iterator[Event]:
    """Yield groups, operations and scatters of all repeats of a stream."""
    granted, consumed, start, end = (array.reshape(stream.repeats, -1) for array in _schedule(stream, device))
    begins = [0] * stream.repeats  # the first cycle in which a repeat can gather
    if stream.serial:
        begins = [0, *(int(last) + stream.gap for last in end[:-1, -1])]

    def cut(track: Track, name: str, low: int, high: int, facts: Mapping[str, int | str]) -> Iterator[Event]:
        pieces = list(cuts.pieces(low, high))
        for number, (piece_low, piece_high) in enumerate(pieces):
            told = facts if len(pieces) == 1 else {**facts, "piece": number + 1, "pieces": len(pieces)}
            yield _event(track, name, piece_low, piece_high, told)

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
