"""Programs to a trace directory and back: a replay of a written trace equals the run that wrote it.

``layers`` of ``trace.json`` holds the request streams, complete for any reader; ``programs`` adds what only a model
knows: which layer a stream belongs to, the tiles it runs in, element work and counters. A trace that somebody else
wrote has no ``programs``: each stream is a layer of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from simulator.schedule.program import Program, TileRun, VectorRun, Visit, proportional
from simulator.simulate import LayerFacts
from simulator.spec import Device
from traces.store import TraceIndex, read_index, read_stream, write_streams
from traces.stream import RequestStream, TraceError, check_stream

_COUNTERS = (
    "serial", "mapping", "encoding", "weight_bytes", "index_bytes", "slots", "slot_macs", "macs_effectual",
    "scratchpad_bytes", "reason",
)  # fmt: skip


def write_programs(
    directory: Path, programs: Iterable[tuple[LayerFacts, Program, dict[str, Any]]], extra: dict[str, Any]
) -> list[str]:
    """Write the streams of ``programs``, each with the further keys of its entries; return the streams' names."""
    described: list[dict[str, Any]] = []
    kept: list[tuple[RequestStream, dict[str, Any]]] = []
    for facts, program, keys in programs:
        visits: list[dict[str, Any]] = []
        for visit in program.visits:
            runs = [[run.repeats, run.load_bytes, run.store_bytes] for run in visit.runs]
            if visit.stream is None:
                visits.append({"stream": None, "runs": runs})
                continue
            visits.append({"stream": len(kept), "runs": runs})
            loaded = replace(
                visit.stream,
                load_bytes=sum(run.load_bytes for run in visit.runs),
                store_bytes=sum(run.store_bytes for run in visit.runs),
            )
            kept.append((loaded, {"layer": facts.layer, "m": facts.m, "k": facts.k, "p": facts.p, **keys}))
        described.append(
            {
                "facts": asdict(facts),
                **{name: getattr(program, name) for name in _COUNTERS},
                "vector_runs": [[run.load_bytes, run.elements, run.store_bytes] for run in program.vector_runs],
                "visits": visits,
            }
        )
    if not kept:
        raise TraceError(f"{directory}: no layer makes a request stream, so there is nothing to write")
    return write_streams(directory, kept, {"programs": described, **extra})


def read_programs(directory: Path, device: Device) -> Iterator[tuple[LayerFacts, Program]]:
    """Yield the layers of a trace directory with their programs, checked against ``device``. Raises TraceError."""
    index = read_index(directory)
    described = index.extra.get("programs")
    if described is None:
        for entry in index.layers:
            stream = read_stream(index, entry)
            check_stream(stream, device.gather.lanes)
            yield _foreign(stream, entry, device)
        return
    if not isinstance(described, list) or not described:
        raise TraceError(
            f"{directory}: programs of trace.json is {_short(described)}, and must be a list of at least one"
        )
    for item in described:
        yield _own(index, item, device)


def _own(index: TraceIndex, item: Any, device: Device) -> tuple[LayerFacts, Program]:
    """Return a layer that ``write_programs`` described; nothing of it is believed unchecked."""
    where = f"{index.directory}: a program of trace.json"
    described = _fields(item, ("facts", "vector_runs", "visits", *_COUNTERS), where)
    facts = LayerFacts(**_typed(LayerFacts, described["facts"], f"{where}: facts"))
    where = f"{where}, layer {facts.layer}"
    counters = _typed(Program, {name: described[name] for name in _COUNTERS}, where)
    numbers = [_whole_numbers(run, 3, 0, f"{where}: vector_runs") for run in _list(described, "vector_runs", where)]
    vector_runs = tuple(VectorRun(load_bytes=a, elements=b, store_bytes=c) for a, b, c in numbers)
    visits = []
    shared: dict[str, RequestStream] = {}
    for number, visit in enumerate(_list(described, "visits", where)):
        here = f"{where}: visit {number}"
        parts = _fields(visit, ("stream", "runs"), here)
        numbers = [_whole_numbers(run, 3, 0, f"{here}: runs") for run in _list(parts, "runs", here)]
        runs = tuple(TileRun(repeats=a, load_bytes=b, store_bytes=c) for a, b, c in numbers)
        if not runs or min(run.repeats for run in runs) < 1:
            raise TraceError(f"{here}: runs must be at least one, and each of at least one repeat")
        stream = None
        if parts["stream"] is not None:
            place = parts["stream"]
            if type(place) is not int or not 0 <= place < len(index.layers):
                raise TraceError(f"{here}: stream is {place!r}, and must be null or below {len(index.layers)}")
            stream = _share(read_stream(index, index.layers[place]), shared)
            check_stream(stream, device.gather.lanes)
            if sum(run.repeats for run in runs) != stream.repeats:
                raise TraceError(f"{here}: runs must have the {stream.repeats} repeats of stream {stream.name} in all")
        visits.append(Visit(stream=stream, runs=runs))
    program = Program(visits=tuple(visits), vector_runs=vector_runs, **counters)
    _check_counts(program, device, where)
    return facts, program


def _check_counts(program: Program, device: Device, where: str) -> None:
    """Raise TraceError for more MACs than the groups of a program can do on ``device``."""
    if program.serial and len({len(visit.runs) for visit in program.visits}) > 1:
        raise TraceError(f"{where}: every visit of a serial program must have as many runs")
    most = sum(stream.groups * stream.repeats for stream in program.streams) * device.gather.lanes * device.vector
    if not program.streams:
        most = sum(run.elements for run in program.vector_runs)
    if not program.macs_effectual <= program.slot_macs <= most:
        raise TraceError(
            f"{where}: macs_effectual is {program.macs_effectual} and slot_macs {program.slot_macs}, and they must "
            f"rise to at most {most}, what its groups can do on device {device.name}"
        )


def _fields(item: Any, names: tuple[str, ...], where: str) -> dict[str, Any]:
    missing = [name for name in names if not isinstance(item, dict) or name not in item]
    if missing:
        raise TraceError(f"{where}: {missing[0]} is missing")
    found: dict[str, Any] = item
    return found


def _list(item: dict[str, Any], name: str, where: str) -> list[Any]:
    if not isinstance(item[name], list):
        raise TraceError(f"{where}: {name} is {_short(item[name])}, and must be a list")
    return list(item[name])


def _whole_numbers(value: Any, count: int, least: int, where: str) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) != count or not all(_is_count(part, least) for part in value):
        raise TraceError(f"{where}: {_short(value)} must be {count} whole numbers of at least {least} and below 2^62")
    return tuple(value)


def _is_count(value: Any, least: int) -> bool:
    return type(value) is int and least <= value < 1 << 62


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _typed(owner: type[LayerFacts | Program], item: Any, where: str) -> dict[str, Any]:
    """Return the fields of ``item`` that ``owner`` has, each of its annotated type. Raises TraceError."""
    rules: dict[str, tuple[str, Callable[[Any], bool]]] = {
        "str": ("text", lambda value: isinstance(value, str)),
        "int": ("a whole number of at least 0 and below 2^62", lambda value: _is_count(value, 0)),
        "bool": ("true or false", lambda value: isinstance(value, bool)),
        "float | None": ("0 to 1, or null", lambda value: value is None or (_is_number(value) and 0 <= value <= 1)),
    }
    known = {field.name: str(field.type) for field in fields(owner)}
    unknown = [name for name in (item if isinstance(item, dict) else ()) if name not in known]
    if unknown:
        raise TraceError(f"{where}: {_short(unknown[0])} is not known; known are {', '.join(known)}")
    required = tuple(field.name for field in fields(owner) if field.default is MISSING)
    found = _fields(item, required, where)
    for name, value in found.items():
        rule, holds = rules[known[name]]
        if not holds(value):
            raise TraceError(f"{where}: {name} is {_short(value)}, and must be {rule}")
    return found


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _share(stream: RequestStream, seen: dict[str, RequestStream]) -> RequestStream:
    """Give streams with equal content the same arrays, so that they are run once."""
    key = "".join(str(hash(array.tobytes())) for array in stream.arrays().values())
    first = seen.setdefault(key, stream)
    if first is stream:
        return stream
    same = all(np.array_equal(a, b) for a, b in zip(first.arrays().values(), stream.arrays().values(), strict=True))
    return replace(stream, address=first.address, scatter_address=first.scatter_address) if same else stream


def _foreign(stream: RequestStream, entry: dict[str, Any], device: Device) -> tuple[LayerFacts, Program]:
    counted = stream.macs is not None
    if stream.macs is not None and not 0 <= int(stream.macs.min()) <= int(stream.macs.max()) <= device.gather.lanes:
        raise TraceError(
            f"trace layer {stream.name}: macs runs from {stream.macs.min()} to {stream.macs.max()}, and a group does "
            f"0 to {device.gather.lanes} on device {device.name}"
        )
    macs = int(stream.macs.sum()) if stream.macs is not None else len(stream.address)
    effectual = macs * stream.repeats * device.vector
    facts = LayerFacts(
        layer=stream.name,
        kind="trace",
        m=_shape(entry, "m"),
        k=_shape(entry, "k"),
        p=_shape(entry, "p"),
        groups=1,
        density=None,
        macs_dense=effectual,
        activation_bytes=0,
        reason="" if counted else "the trace has no macs: each request counts as one for each position of a word",
    )
    if stream.tile_end is None:
        runs: tuple[TileRun, ...] = (
            TileRun(repeats=stream.repeats, load_bytes=stream.load_bytes, store_bytes=stream.store_bytes),
        )
    else:
        sizes = np.diff(stream.tile_end, prepend=0).tolist()
        loads, stores = proportional(stream.load_bytes, sizes), proportional(stream.store_bytes, sizes)
        runs = tuple(
            TileRun(repeats=1, load_bytes=load, store_bytes=store) for load, store in zip(loads, stores, strict=True)
        )
    program = Program(
        visits=(Visit(stream=stream, runs=runs),),
        macs_effectual=effectual,
        slot_macs=effectual,
        reason="" if stream.tile_end is None else "bytes shared out over the tiles by groups",
    )
    return facts, program


def _shape(entry: dict[str, Any], key: str) -> int:
    value = entry.get(key, 0)
    return value if type(value) is int and value >= 0 else 0
