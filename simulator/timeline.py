"""When each unit of an accelerator did what: the steps of a layer, and inside them groups, waits and scatters.

Times are those of the simulation, in cycles from the start of the first layer: steps from the engine, groups and
bundles from a replay of their stream (``timeline_streams.py``). Layers follow one another. The DRAM and the port of a
second level have a track each, every core that works on a layer has tracks of its own. Events of one track never
overlap unless one lies inside the other. What would be too many events is coarsened layer by layer, the largest first:
groups to tiles, then tiles to the layer. Left out: the DRAM's latency after a transfer has left the bus, which shows
as a wait; the banks and rows of the DRAM.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from simulator.runner import tile_places
from simulator.schedule.program import Program, Visit
from simulator.simulate import LayerFacts, record_program
from simulator.spec import Device
from simulator.timeline_event import Event, Ran, Track
from simulator.timeline_streams import Cuts, most_inside, stream_events
from traces.stream import TraceError

Detail = Literal["groups", "tiles", "layer"]
MOST_EVENTS = 1_000_000
# of a step, at most: the tile and its wait, and 8 more where tiles cut a stream; of each of its transfers 3: on the
# track of its DMA the wait and the move, and the move again on the track that cores share
_EVENTS_A_STEP = 10
_EVENTS_A_TRANSFER = 3
_SHARED = 0  # the process of what cores share; cores count from 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSize:
    """The most events that a layer makes at each detail; at the least one for each of its ``cores``."""

    layer: str
    groups: int
    tiles: int
    cores: int = 1

    def at(self, detail: Detail) -> int:
        """Return the most events at ``detail``."""
        return {"groups": self.groups, "tiles": self.tiles, "layer": self.cores}[detail]


def layer_size(facts: LayerFacts, program: Program, device: Device) -> LayerSize:
    """Return how many events a layer makes at most; streams that could fit are replayed and counted."""
    several = len(program.parts) > 1  # each of them may wait for the others
    tiles = groups = 0
    counted: dict[int, int] = {}  # cores that do the same have the same visits
    for part in program.parts:
        tiles += 1 + several + sum(_most_of_step(part, *place) for place in tile_places(part))
        if id(part.visits) not in counted:
            streams = [visit.stream for visit in part.visits if visit.stream is not None]
            counted[id(part.visits)] = sum(most_inside(stream, device, MOST_EVENTS) for stream in streams)
        groups += counted[id(part.visits)]
    return LayerSize(layer=facts.layer, groups=tiles + groups, tiles=tiles, cores=len(program.parts))


def _most_of_step(part: Program, visit: int, run: int) -> int:
    operands = 1 if visit < 0 else len(part.visits[visit].runs[run].operands)
    return _EVENTS_A_STEP + _EVENTS_A_TRANSFER * (operands + 2)  # what no operand names, and the store


def choose_details(sizes: Sequence[LayerSize], most: int) -> list[Detail]:
    """Return the detail of each layer, so that at most ``most`` events are made: the largest layers lose theirs first.

    Raises TraceError where even one event for each layer and core is too many.
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
        raise TraceError(
            f"the trace has {len(sizes)} layers, and a timeline of one event for each of them and each core that it "
            f"runs on has at most {most}"
        )
    return chosen


def layer_events(
    facts: LayerFacts, program: Program, device: Device, detail: Detail, start_cycles: int
) -> tuple[int, Iterator[Event]]:
    """Return the cycles of a layer that starts at ``start_cycles``, and its events."""
    cores = [_Steps(part, core) for core, part in enumerate(program.parts, start=1)]

    def record(unit: str, core: int, step: int, size_bytes: int, asked: int, began: int, ended: int) -> None:
        ran = Ran(core=core + 1, step=step, size_bytes=size_bytes, asked=asked, began=began, ended=ended)
        cores[core].ran[unit].append(ran)

    total = record_program(program, device, record)
    return total, _checked(_layer(facts, device, detail, total, cores), start_cycles)


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


class _Steps:
    """What one core does, and what the engine told of its steps, by unit. Cores count from 1."""

    def __init__(self, part: Program, core: int) -> None:
        self.part, self.core = part, core
        self.places = tile_places(part)
        self.ran: dict[str, list[Ran]] = {"load": [], "second level": [], "compute": [], "store": []}

    def event(
        self, track: Track, name: str, start: int, end: int, facts: Mapping[str, int | str] | None = None
    ) -> Event:
        return Event(core=self.core, track=track, name=name, start_cycles=start, end_cycles=end, facts=facts or {})

    def place(self, ran: Ran) -> dict[str, int | str]:
        """Return what a step runs."""
        visit, run = self.places[ran.step]
        if visit < 0:
            return {"elements": self.part.vector_runs[run].elements}
        stream = self.part.visits[visit].stream
        return {"stream": "none" if stream is None else stream.name, "run": run}

    @property
    def end(self) -> int:
        return max((ran.ended for told in self.ran.values() for ran in told), default=0)


def _layer(facts: LayerFacts, device: Device, detail: Detail, total: int, cores: Sequence[_Steps]) -> Iterator[Event]:
    for steps in cores:
        about: dict[str, int | str] = {"kind": facts.kind, "detail": detail, "steps": len(steps.places)}
        yield steps.event("layer", facts.layer, 0, total, about)
    if detail == "layer":
        return
    yield from _shared(facts, cores, "DRAM", (("load", "read"), ("store", "write")))
    yield from _shared(facts, cores, "second level", (("second level", "read"),))
    for steps in cores:
        yield from _core(steps, device, detail)
        if len(cores) > 1:
            yield steps.event("layer", "wait for other cores", steps.end, total)


def _shared(
    facts: LayerFacts, cores: Sequence[_Steps], track: Track, told: Sequence[tuple[str, str]]
) -> Iterator[Event]:
    """Yield what all cores moved over something that one of them has at a time."""
    moved = [(ran, verb) for steps in cores for unit, verb in told for ran in steps.ran[unit]]
    for ran, verb in sorted(moved, key=lambda item: item[0].began):
        yield Event(
            core=_SHARED, track=track, name=f"{verb} tile {ran.step}", start_cycles=ran.began, end_cycles=ran.ended,
            facts={"core": ran.core - 1, "layer": facts.layer, "bytes": ran.size_bytes},
        )  # fmt: skip


def _core(steps: _Steps, device: Device, detail: Detail) -> Iterator[Event]:
    """Yield the tiles and transfers of one core, and what its units did in them."""
    ran = steps.ran
    waits = _merged((each.asked, each.began) for each in ran["compute"])
    yield from (steps.event("layer", "wait for DRAM or a buffer", low, high) for low, high in waits)
    for each in ran["compute"]:
        yield steps.event("layer", f"tile {each.step}", each.began, each.ended, steps.place(each))
    yield from _transfers(steps, ran["load"], "DMA in", "load", "wait for the DRAM bus")
    yield from _transfers(steps, ran["second level"], "second level in", "load", "wait for a tile or the port")
    yield from _transfers(steps, ran["store"], "DMA out", "store", "wait for the DRAM bus")
    of_visit: dict[int, list[Ran]] = {}
    for each in ran["compute"]:
        of_visit.setdefault(steps.places[each.step][0], []).append(each)
    for number, visit in enumerate(steps.part.visits):
        if visit.stream is None:
            continue
        if detail == "groups":
            yield from stream_events(visit.stream, device, steps.core, Cuts(of_visit[number]))
        else:
            yield from _coarse(steps, visit, of_visit[number])
    for each in of_visit.get(-1, []):
        yield steps.event("vector unit", f"tile {each.step}", each.began, each.ended, steps.place(each))


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


def _transfers(steps: _Steps, moved: Iterable[Ran], track: Track, verb: str, wait: str) -> Iterator[Event]:
    """Yield each transfer and the time for which it waited; one after another on one track of a core."""
    moved_until = 0  # a DMA asks for its next transfer while the last one is still in the DRAM's queue
    for ran in moved:
        yield steps.event(track, wait, max(ran.asked, moved_until), ran.began)
        moved_until = ran.ended
        yield steps.event(track, f"{verb} tile {ran.step}", ran.began, ran.ended, {"bytes": ran.size_bytes})


def _coarse(steps: _Steps, visit: Visit, ran_in: Iterable[Ran]) -> Iterator[Event]:
    """Yield one event a tile on each unit of the core: when its stream ran, not when each unit was busy."""
    assert visit.stream is not None
    units: tuple[Track, ...] = ("gather", "MAC", "scatter")
    for ran in ran_in:
        facts = {"stream": visit.stream.name, "detail": "tiles"}
        yield from (steps.event(track, f"tile {ran.step}", ran.began, ran.ended, facts) for track in units)
