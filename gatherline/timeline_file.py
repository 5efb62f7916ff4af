"""A trace directory as a timeline: gzipped trace-event JSON, which Perfetto and Chrome's tracing page open.

One process for what cores share and one for each core, one thread a track. Times are microseconds with six decimals,
made from cycles in whole numbers, so that events that touch still touch; the cycles themselves are in ``args``.
Written aside, then renamed; equal input gives equal bytes. Left out: flows between tracks, counters.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from gatherline.digest import device_digest
from gatherline.progress import Progress, SilentProgress
from gatherline.replay_report import run_facts
from gatherline.request import device_named
from patterns.names import nearest
from simulator.replay import read_programs
from simulator.spec import Device, DeviceError
from simulator.timeline import MOST_EVENTS, Detail, LayerSize, choose_details, layer_events, layer_size
from simulator.timeline_event import OF_A_CORE, SECOND_LEVEL, SHARED, TRACKS, Event, Track
from traces.store import INDEX, TraceIndex, read_index
from traces.stream import TraceError

SUFFIX = ".timeline.json.gz"
_PICOSECONDS = 10**12
_COMPRESSION = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """What was written: the file, its events, the cycles of the whole trace, and the layers that lost detail."""

    path: Path
    events: int
    cycles: int
    coarsened: tuple[tuple[str, Detail], ...]


def write_timeline(
    directory: Path,
    device_name: str | None = None,
    out: Path | None = None,
    layer: str | None = None,
    *,
    most_events: int = MOST_EVENTS,
    progress: Progress | None = None,
) -> Timeline:
    """Write the timeline of a trace directory to ``out``, by default beside it.

    ``device_name``: by default the one that the trace names. ``layer``: show this layer alone, at the time at which it
    runs. Raises TraceError, DeviceError, and OSError where ``out`` cannot be written.
    """
    _refuse_run_directory(directory)
    index = read_index(directory)
    device = trace_device(index, device_name)
    facts = run_facts(index, device)
    target = out if out is not None else directory.resolve().with_name(f"{directory.resolve().name}{SUFFIX}")
    _check_file(target)
    progress = progress or SilentProgress()
    sizes = _sizes(index, device, progress)
    shown = _shown(index, sizes, layer)
    room = most_events - len(_names(device))
    details = dict(zip(shown, choose_details([sizes[number] for number in shown], room), strict=True))
    coarse = tuple((sizes[number].layer, detail) for number, detail in details.items() if detail != "groups")
    progress.start(len(sizes), "writing")
    handle, aside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with (
            os.fdopen(handle, "wb") as raw,
            gzip.GzipFile("", "wb", _COMPRESSION, raw, mtime=0) as packed,
            io.TextIOWrapper(packed, encoding="ascii", newline="\n") as file,
        ):
            events, cycles = _write(file, directory, device, details, progress)
            about = {
                "version": version("gatherline"),
                "model": facts.model,
                "pattern": facts.pattern,
                "device": device.name,
                "device_hash": device_digest(device),
                "clock_hz": device.clock_hz,
                "cycles": cycles,
                "layer": layer,
                "most_events": most_events,
                "coarsened": [{"layer": name, "detail": detail} for name, detail in coarse],
            }
            file.write(f'\n],\n"displayTimeUnit": "ns",\n"otherData": {json.dumps(about, allow_nan=False)}}}\n')
        Path(aside).chmod(0o644)
        os.replace(aside, target)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    return Timeline(path=target, events=events, cycles=cycles, coarsened=coarse)


def _refuse_run_directory(directory: Path) -> None:
    if not (directory / INDEX).exists() and (directory / "report.json").exists():
        raise TraceError(
            f"{directory}: holds the report of a run, and a timeline needs a trace directory: write one with "
            "simulate trace"
        )


def trace_device(index: TraceIndex, name: str | None) -> Device:
    """Return the device asked for, or the one that the trace was written for, if that is a preset."""
    where = index.directory / INDEX
    digest = None
    if name is None:
        manifest = index.extra.get("manifest")
        devices = manifest.get("devices") if isinstance(manifest, dict) else None
        if not isinstance(devices, dict) or len(devices) != 1:
            raise TraceError(f"{where}: names no device, and then --device must")
        ((name, entry),) = devices.items()
        digest = entry.get("hash") if isinstance(entry, dict) else None
    try:
        device = device_named(name)
    except DeviceError as error:
        raise DeviceError(str(error) if digest is None else f"{where}: {error}; --device may name a file") from None
    if not isinstance(device, Device):
        raise DeviceError(f"device {device.name} is a roofline, and a timeline is of a cycle-level device")
    if digest is not None and digest != device_digest(device):
        raise TraceError(
            f"{where}: its device {name!r} is not the preset of that name, and then --device must say which"
        )
    return device


def _check_file(target: Path) -> None:
    """Raise OSError unless ``target`` can be made or replaced as a file."""
    if target.is_dir():
        raise IsADirectoryError(21, "is a folder, and the timeline is a file", str(target))
    if target.exists() and not target.is_file():
        raise FileExistsError(17, "is there and no plain file, so the timeline cannot replace it", str(target))
    if not target.parent.is_dir():
        raise FileNotFoundError(2, "no such folder to write the timeline into", str(target.parent))


def _sizes(index: TraceIndex, device: Device, progress: Progress) -> list[LayerSize]:
    described = index.extra.get("programs")
    progress.start(len(described if isinstance(described, list) else index.layers), "counting events")
    sizes = []
    for facts, program in read_programs(index.directory, device):
        sizes.append(layer_size(facts, program, device))
        progress.step(facts.layer)
    return sizes


def _shown(index: TraceIndex, sizes: list[LayerSize], layer: str | None) -> list[int]:
    if layer is None:
        return list(range(len(sizes)))
    found = [number for number, size in enumerate(sizes) if size.layer == layer]
    if not found:
        known = [size.layer for size in sizes]
        raise TraceError(f"{index.directory}: layer {layer!r} is not in the trace; {nearest(layer, known)}")
    return found


def _write(
    file: IO[str], directory: Path, device: Device, details: dict[int, Detail], progress: Progress
) -> tuple[int, int]:
    """Write the list of events; return how many, and the cycles of all layers."""
    names = _names(device)
    file.write('{"traceEvents": [\n')
    file.write(",\n".join(json.dumps(name) for name in names))
    count, cycles = len(names), 0
    for number, (facts, program) in enumerate(read_programs(directory, device)):
        took, events = layer_events(facts, program, device, details.get(number, "layer"), cycles)
        if number in details:
            for line in _lines(events, device.clock_hz):
                file.write(line)
                count += 1
        cycles += took
        progress.step(facts.layer)
    return count, cycles


def _thread(core: int, track: Track) -> tuple[int, int]:
    """Return process and thread of a track: neither is 0, which viewers keep for themselves."""
    return core + 1, (core + 1) * len(TRACKS) + TRACKS.index(track)


def _names(device: Device) -> list[dict[str, Any]]:
    """Return the events that name processes and threads and order them: every core, whether it works or not."""
    named: list[dict[str, Any]] = []

    def name(core: int, what: str, text: str, tracks: tuple[Track, ...]) -> None:
        pid, tid = _thread(core, tracks[0])
        named.append({"ph": "M", "pid": pid, "tid": tid, "name": "process_name", "args": {"name": f"{what} {text}"}})
        named.append({"ph": "M", "pid": pid, "tid": tid, "name": "process_sort_index", "args": {"sort_index": pid}})
        for track in tracks:
            pid, tid = _thread(core, track)
            named.append({"ph": "M", "pid": pid, "tid": tid, "name": "thread_name", "args": {"name": track}})
            named.append({"ph": "M", "pid": pid, "tid": tid, "name": "thread_sort_index", "args": {"sort_index": tid}})

    def there(tracks: tuple[Track, ...]) -> tuple[Track, ...]:
        return tuple(track for track in tracks if device.second_level.bytes or track not in SECOND_LEVEL)

    name(0, "device", device.name, there(SHARED))
    for core in range(device.cores):
        name(core + 1, "core", str(core), there(OF_A_CORE))
    return named


def _lines(events: Iterator[Event], clock_hz: int) -> Iterator[str]:
    """Return each event as a line of JSON with its comma before it."""
    texts: dict[str, str] = {}
    for event in events:
        start, end = event.start_cycles, event.end_cycles
        began = start * _PICOSECONDS // clock_hz
        lasted = end * _PICOSECONDS // clock_hz - began
        name = texts.get(event.name) or texts.setdefault(event.name, json.dumps(event.name))
        facts = f", {json.dumps(event.facts)[1:-1]}" if event.facts else ""
        pid, tid = _thread(event.core, event.track)
        yield (
            f',\n{{"ph": "X", "pid": {pid}, "tid": {tid}, "name": {name}, '
            f'"ts": {_microseconds(began)}, "dur": {_microseconds(lasted)}, '
            f'"args": {{"start_cycle": {start}, "end_cycle": {end}{facts}}}}}'
        )


def _microseconds(picoseconds: int) -> str:
    whole, rest = divmod(picoseconds, 10**6)
    return f"{whole}.{rest:06}"
