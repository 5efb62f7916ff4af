"""When the units of one layer worked, moved and waited, for its first tiles: a Gantt chart in cycles and microseconds.

From the same events as ``simulate timeline``, at the detail of tiles. Left out: what gather, MAC and scatter unit do
inside a tile, which the timeline's own file has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.patches import Patch

from gatherline.replay_report import run_facts
from gatherline.report.figures.colours import ink_on
from gatherline.report.figures.figure import Drawn, FigureChoices, listed, titled
from gatherline.report.figures.style import (
    COLOURS,
    POINTS,
    UNPROVEN,
    WIDTH_INCHES,
    Theme,
    drawing,
    safe,
    sheet,
    tidy,
    title_inches,
)
from gatherline.request_error import RequestError
from gatherline.timeline_file import trace_device
from patterns.names import nearest
from simulator.replay import read_programs
from simulator.spec import Device
from simulator.timeline import layer_events
from simulator.timeline_event import Event, Track
from traces.store import TraceIndex, read_index

HEADER = ("layer", "core", "unit", "what", "tile", "start_cycles", "end_cycles", "start_s", "end_s")
SHOWN_TILES = 8
MOST_CORES = 4
ROW_INCHES = 0.2
WAIT = "wait"
WRITE, NEXT = "write", ", next operand"  # of the bus; of a tile's transfers after its first
_NEXT_HATCH = "....."
# as people say it, and its colour
_UNITS: dict[Track, tuple[str, str]] = {
    "DRAM": ("DRAM bus", "#767676"),
    "second level": ("second level", COLOURS[2]),
    "DMA in": ("DMA in", COLOURS[4]),
    "second level in": ("second level in", COLOURS[2]),
    "layer": ("compute", COLOURS[0]),
    "DMA out": ("DMA out", COLOURS[1]),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something that is drawn. ``core``: 0 for what cores share, else from 1."""

    core: int
    track: Track
    what: str
    tile: int | None
    start_cycles: int
    end_cycles: int


def timeline(folder: Path, choices: FigureChoices) -> Drawn:
    """Return the first tiles of a layer of a trace directory. Raises TraceError, DeviceError and RequestError."""
    index = read_index(folder)
    if len(choices.devices) > 1:
        raise RequestError(f"a timeline is of one device, and {len(choices.devices)} were given")
    device = trace_device(index, choices.devices[0] if choices.devices else None)
    layer, total, events = _events(index, device, choices.layer)
    spans, tiles, end = _first(_spans(events, layer))
    if not spans:
        raise RequestError(f"{folder}: layer {layer!r} takes no cycle on {device.name}, and has no timeline")
    facts = run_facts(index, device)
    lanes, notes = _lanes(spans)
    spans = [span for span in spans if (span.core, span.track) in lanes]
    synthetic = ", synthetic weights" if facts.synthetic else ""
    shown = "all tiles" if end >= total else f"the first {tiles} tiles, {end:,} of {total:,} cycles"
    who = f"{facts.model}{synthetic}, {facts.pattern}, on {device.name}"
    title = f"{who}: {layer}, {shown} (not validated)"
    theme = choices.look
    with drawing(theme):
        height = 0.85 + ROW_INCHES * len(lanes) + title_inches(title if choices.title else "", choices.columns)
        figure = sheet(choices.columns, height)
        axes = figure.add_subplot()
        cycles_an_inch = end / (WIDTH_INCHES[choices.columns] - 1.1)
        _draw(axes, spans, lanes, theme, cycles_an_inch)
        several = len({core for core, _ in lanes if core}) > 1
        axes.set_yticks(range(len(lanes)), [_lane_name(core, track, several=several) for core, track in lanes])
        axes.set_ylim(len(lanes) - 0.4, -0.6)
        axes.set_xlim(0, end)
        axes.set_xlabel("cycles from the start of the layer")
        axes.tick_params(axis="y", length=0)
        tidy(axes, theme, grid="x")
        top = axes.secondary_xaxis("top", functions=(_times(1e6 / device.clock_hz), _times(device.clock_hz / 1e6)))
        top.set_xlabel(f"µs at {device.clock_hz / 1e9:g} GHz")
        if handles := _legend(spans, theme):
            figure.legend(handles=handles, loc="outside lower right", ncols=len(handles), frameon=False,
                          columnspacing=1.0)  # fmt: skip
        titled(figure, safe(title), choices)
    return Drawn(
        figure=figure,
        header=HEADER,
        rows=tuple(
            (
                layer, span.core - 1 if span.core else "shared", _UNITS[span.track][0], span.what, span.tile,
                span.start_cycles, span.end_cycles, span.start_cycles / device.clock_hz,
                span.end_cycles / device.clock_hz,
            )
            for span in spans
        ),
        caption=(
            f"Layer {layer} of {who}: when {listed(list(dict.fromkeys(_UNITS[track][0] for _, track in lanes)))} work "
            f"and wait, {shown}; numbers are tiles, dots a tile's transfers after its first. Simulated, not validated."
        ),
        notes=notes,
    )  # fmt: skip


def _events(index: TraceIndex, device: Device, wanted: str | None) -> tuple[str, int, Iterable[Event]]:
    """Return the layer's name, its cycles and its events. Raises RequestError where the trace lacks the layer."""
    names: list[str] = []
    for facts, program in read_programs(index.directory, device):
        if facts.layer == wanted:
            return (facts.layer, *layer_events(facts, program, device, "tiles", 0))
        names.append(facts.layer)
    if wanted is None:
        names = _working(index, device)
        few = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        raise RequestError(f"{index.directory}: a timeline is of one layer (--layer), and the trace has {few}")
    raise RequestError(f"{index.directory}: layer {wanted!r} is not in the trace; {nearest(wanted, names)}")


def _working(index: TraceIndex, device: Device) -> list[str]:
    """Return the layers that take a cycle: only those have a timeline."""
    told = ((facts.layer, layer_events(facts, program, device, "layer", 0)[0])
            for facts, program in read_programs(index.directory, device))  # fmt: skip
    return [name for name, cycles in told if cycles]


def _spans(events: Iterable[Event], layer: str) -> list[Span]:
    """Return the events of tiles on the tracks that are drawn; the event of the layer as a whole is none."""
    spans: list[Span] = []
    moved: set[tuple[int, Track, str, str]] = set()  # first transfers
    for event in events:
        tile = re.search(r"tile (\d+)$", event.name)
        waits = event.name.startswith("wait for ")
        if event.track not in _UNITS or not (tile or waits) or (event.name == layer and "detail" in event.facts):
            continue
        what = WAIT if waits else event.name.removesuffix(tile[0]).strip() or "compute" if tile else ""
        if what in ("read", "load"):
            which = (event.core, event.track, str(event.facts.get("core", "")), event.name)
            what += NEXT if which in moved else ""
            moved.add(which)
        spans.append(
            Span(
                core=event.core,
                track=event.track,
                what=what,
                tile=int(tile[1]) if tile and not waits else None,
                start_cycles=event.start_cycles,
                end_cycles=event.end_cycles,
            )
        )
    return spans


def _first(spans: Sequence[Span]) -> tuple[list[Span], int, int]:
    """Return what begins before the first tiles are done on every core, how many tiles those are, and when that is."""
    tiles = sorted({span.tile for span in spans if span.tile is not None})[:SHOWN_TILES]
    end = max((span.end_cycles for span in spans if span.tile in tiles), default=0)
    return [span for span in spans if span.start_cycles < end], len(tiles), end


def _lanes(spans: Sequence[Span]) -> tuple[list[tuple[int, Track]], tuple[str, ...]]:
    """Return the rows of the chart from the top: what is shared, then each core's units in the order of the work."""
    order: tuple[Track, ...] = tuple(_UNITS)
    found = sorted({(span.core, span.track) for span in spans}, key=lambda lane: (lane[0], order.index(lane[1])))
    cores = sorted({core for core, _ in found if core})
    kept = {0, *cores[:MOST_CORES]}
    notes = (f"{MOST_CORES} of {len(cores)} cores are drawn",) if len(cores) > MOST_CORES else ()
    return [lane for lane in found if lane[0] in kept], notes


def _times(factor: float) -> Callable[[Any], Any]:
    return lambda values: np.asarray(values, dtype=np.float64) * factor


def _lane_name(core: int, track: Track, *, several: bool) -> str:
    name = _UNITS[track][0]
    return f"core {core - 1} {name}" if core and several else name


def _draw(
    axes: Any, spans: Sequence[Span], lanes: Sequence[tuple[int, Track]], theme: Theme, cycles_an_inch: float
) -> None:
    for span in spans:
        place, width = lanes.index((span.core, span.track)), span.end_cycles - span.start_cycles
        if span.what == WAIT:
            axes.barh(place, width, left=span.start_cycles, height=0.44, color=theme.ground, edgecolor=theme.soft,
                      hatch=UNPROVEN, linewidth=0.4)  # fmt: skip
            continue
        colour = _colour(span)
        axes.barh(place, width, left=span.start_cycles, height=0.78, color=colour, edgecolor=theme.ground,
                  linewidth=0.5, hatch=_NEXT_HATCH if span.what.endswith(NEXT) else None)  # fmt: skip
        words = str(span.tile)
        if width / cycles_an_inch > 0.075 * len(words) + 0.04:
            axes.text(span.start_cycles + width / 2, place, words, ha="center", va="center", fontsize=POINTS,
                      color=ink_on(to_rgba(colour)), clip_on=True,
                      bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.4})  # fmt: skip


def _colour(span: Span) -> str:
    """Return the colour of a unit; writes on the bus have that of the unit they come from."""
    return _UNITS["DMA out" if span.track == "DRAM" and span.what == WRITE else span.track][1]


def _legend(spans: Sequence[Span], theme: Theme) -> list[Patch]:
    """Return entries for what the lanes' names don't say, of what is drawn."""
    bus, out = _UNITS["DRAM"][1], _UNITS["DMA out"][1]
    handles = []
    if {"read", WRITE} <= {span.what.removesuffix(NEXT) for span in spans if span.track == "DRAM"}:
        handles += [Patch(facecolor=bus, label="bus reads"), Patch(facecolor=out, label="writes")]
    if any(span.what.endswith(NEXT) for span in spans):
        handles.append(Patch(facecolor=bus, edgecolor=theme.ground, hatch=_NEXT_HATCH, linewidth=0,
                             label="next operand"))  # fmt: skip
    if any(span.what == WAIT for span in spans):
        handles.append(Patch(facecolor=theme.ground, edgecolor=theme.soft, hatch=UNPROVEN, linewidth=0.4,
                             label="waits"))  # fmt: skip
    return handles
