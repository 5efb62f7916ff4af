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

from simulator.schedule.mapping import capacity
from simulator.schedule.program import Program, TileRun, VectorRun, Visit, proportional
from simulator.simulate import LayerFacts
from simulator.spec import Device
from traces.store import TraceIndex, read_index, read_stream, write_streams
from traces.stream import RequestStream, TraceError, check_stream

_COUNTERS = (
    "serial", "mapping", "encoding", "weight_bytes", "index_bytes", "slots", "slot_macs", "macs_effectual",
    "scratchpad_bytes", "reason",
)  # fmt: skip
_SCOPES = ("weights_scope", "inputs_scope")


def write_programs(
    directory: Path, programs: Iterable[tuple[LayerFacts, Program, dict[str, Any]]], extra: dict[str, Any]
) -> list[str]:
    """Write the streams of ``programs``, each with the further keys of its entries; return the streams' names."""
    described: list[dict[str, Any]] = []
    kept: list[tuple[RequestStream, dict[str, Any]]] = []
    for facts, program, keys in programs:
        entry = {"layer": facts.layer, "m": facts.m, "k": facts.k, "p": facts.p, **keys}
        item = {"facts": asdict(facts), **_described(program, entry, kept)}
        if program.cores:
            item["cores"] = [_described(part, {**entry, "core": c}, kept) for c, part in enumerate(program.cores)]
        described.append(item)
    if not kept:
        raise TraceError(f"{directory}: no layer makes a request stream, so there is nothing to write")
    return write_streams(directory, kept, {"programs": described, **extra})


def _described(
    program: Program, entry: dict[str, Any], kept: list[tuple[RequestStream, dict[str, Any]]]
) -> dict[str, Any]:
    """Append the streams of one core to ``kept`` with ``entry``, and return all else there is to know."""
    visits: list[dict[str, Any]] = []
    for visit in program.visits:
        described: dict[str, Any] = {
            "stream": None,
            "runs": [[run.repeats, run.load_bytes, run.store_bytes] for run in visit.runs],
            "operands": [[list(operand) for operand in run.operands] for run in visit.runs],
            "stored": [run.stored for run in visit.runs],
        }
        if visit.stream is not None:
            described["stream"] = len(kept)
            loaded = replace(
                visit.stream,
                name=visit.stream.name + (f".core{entry['core']}" if "core" in entry else ""),
                load_bytes=sum(run.load_bytes for run in visit.runs),
                store_bytes=sum(run.store_bytes for run in visit.runs),
            )
            kept.append((loaded, entry))
        visits.append(described)
    return {
        **{name: getattr(program, name) for name in _COUNTERS},
        **{name: getattr(program, name) for name in _SCOPES},
        "vector_runs": [
            [run.load_bytes, run.elements, run.store_bytes, run.weight_bytes] for run in program.vector_runs
        ],
        "visits": visits,
    }


def read_programs(directory: Path, device: Device) -> Iterator[tuple[LayerFacts, Program]]:
    """Yield the layers of a trace directory with their programs, checked against ``device``. Raises TraceError."""
    index = read_index(directory)
    described = index.extra.get("programs")
    if described is None:
        for entry in index.layers:
            stream = read_stream(index, entry)
            _check_on(stream, device)
            facts, program = _foreign(stream, entry, device)
            yield facts, _with_unchecked(program, device)
        return
    if not isinstance(described, list) or not described:
        raise TraceError(
            f"{directory}: programs of trace.json is {_short(described)}, and must be a list of at least one"
        )
    for item in described:
        facts, program = _own(index, item, device)
        yield facts, _with_unchecked(program, device)


def _check_on(stream: RequestStream, device: Device) -> None:
    """Raise TraceError for a stream that ``device`` cannot run: its lanes, and the tile that it says it reads."""
    check_stream(stream, device.gather.lanes)
    room = capacity(device).activation_words
    if stream.scratchpad_words is not None and stream.scratchpad_words > room:
        raise TraceError(
            f"trace layer {stream.name}: scratchpad_words is {stream.scratchpad_words}, and must be at most {room}, an "
            f"activation buffer of device {device.name}: the layer was cut for a larger one"
        )


def _with_unchecked(program: Program, device: Device) -> Program:
    """Say where gather addresses are abstract, and where they pass what the device has."""
    highest = [stream.highest_address() for stream in program.streams if stream.scratchpad_words is None]
    if not highest:
        return program
    room = capacity(device).activation_words
    reason = "addresses not checked against a scratchpad: the trace states no scratchpad_words"
    if max(highest) >= room:
        reason += f", and they reach {max(highest)} where an activation buffer of {device.name} has {room} words"
    return replace(program, reason="; ".join(text for text in (program.reason, reason) if text))


def _own(index: TraceIndex, item: Any, device: Device) -> tuple[LayerFacts, Program]:
    """Return a layer that ``write_programs`` described; nothing of it is believed unchecked."""
    where = f"{index.directory}: a program of trace.json"
    described = _fields(item, ("facts",), where)
    facts = LayerFacts(**_typed(LayerFacts, described["facts"], f"{where}: facts"))
    where = f"{where}, layer {facts.layer}"
    shared: dict[str, RequestStream] = {}
    program = _core_program(index, item, device, where, shared)
    if "cores" in described:
        cores = _list(described, "cores", where)
        if not 1 <= len(cores) <= device.cores:
            raise TraceError(
                f"{where}: it is shared out over {len(cores)} cores, and must be over 1 to {device.cores}, those of "
                f"device {device.name}"
            )
        if program.visits or program.vector_runs:
            raise TraceError(f"{where}: visits and vector_runs must be empty, since those of its cores are run")
        parts = [_core_program(index, each, device, f"{where}, core {c}", shared) for c, each in enumerate(cores)]
        program = replace(program, cores=tuple(parts))
        sums = {name: sum(getattr(part, name) for part in parts) for name in ("macs_effectual", "slot_macs")}
        if (program.macs_effectual, program.slot_macs) != (sums["macs_effectual"], sums["slot_macs"]):
            raise TraceError(f"{where}: macs_effectual and slot_macs must be the sums of its cores'")
    else:
        _check_counts(program, device, where)
    return facts, program


def _core_program(
    index: TraceIndex, item: Any, device: Device, where: str, shared: dict[str, RequestStream]
) -> Program:
    """Return what one core does, or all of a layer that is not shared out. The counts of a core are checked here."""
    described = _fields(item, ("vector_runs", "visits", *_COUNTERS), where)
    known = {name: described[name] for name in _COUNTERS} | {name: described.get(name, "") for name in _SCOPES}
    counters = _typed(Program, known, where)
    numbers = [_whole_numbers(run, 4, 0, f"{where}: vector_runs") for run in _list(described, "vector_runs", where)]
    if any(run[3] > run[0] for run in numbers):
        raise TraceError(f"{where}: vector_runs: a run's weight bytes, the last number, must be among its load bytes")
    vector_runs = tuple(VectorRun(load_bytes=a, elements=b, store_bytes=c, weight_bytes=d) for a, b, c, d in numbers)
    visits = []
    for number, visit in enumerate(_list(described, "visits", where)):
        here = f"{where}: visit {number}"
        parts = _fields(visit, ("stream", "runs"), here)
        numbers = [_whole_numbers(run, 3, 0, f"{here}: runs") for run in _list(parts, "runs", here)]
        operands, stored = _operands(parts, numbers, here), _stored(parts, numbers, here)
        runs = tuple(
            TileRun(repeats=a, load_bytes=b, store_bytes=c, operands=tiles, stored=tag)
            for (a, b, c), tiles, tag in zip(numbers, operands, stored, strict=True)
        )
        if not runs or min(run.repeats for run in runs) < 1:
            raise TraceError(f"{here}: runs must be at least one, and each of at least one repeat")
        stream = None
        if parts["stream"] is not None:
            place = parts["stream"]
            if type(place) is not int or not 0 <= place < len(index.layers):
                raise TraceError(f"{here}: stream is {place!r}, and must be null or below {len(index.layers)}")
            stream = _share(read_stream(index, index.layers[place]), shared)
            _check_on(stream, device)
            if sum(run.repeats for run in runs) != stream.repeats:
                raise TraceError(f"{here}: runs must have the {stream.repeats} repeats of stream {stream.name} in all")
        visits.append(Visit(stream=stream, runs=runs))
    _check_tags(visits, where)
    program = Program(visits=tuple(visits), vector_runs=vector_runs, **counters)
    if "facts" not in described:
        _check_counts(program, device, where)
    return program


def _operands(visit: dict[str, Any], runs: list[tuple[int, ...]], where: str) -> list[tuple[tuple[str, int], ...]]:
    """Return the operands that each run of a visit loads; none where the trace does not tell them apart."""
    if "operands" not in visit:
        return [()] * len(runs)
    listed = _list(visit, "operands", where)
    if len(listed) != len(runs) or not all(isinstance(tiles, list) for tiles in listed):
        raise TraceError(f"{where}: operands must be a list for each of its {len(runs)} runs")
    found = []
    for run, tiles in zip(runs, listed, strict=True):
        for tile in tiles:
            if not _is_operand(tile):
                raise TraceError(
                    f"{where}: operand {_short(tile)} must be a tag that begins with w, x or s, and its bytes"
                )
        if sum(tile[1] for tile in tiles) > run[1]:
            raise TraceError(f"{where}: the operands of a run must have at most its {run[1]} load bytes")
        found.append(tuple((tile[0], tile[1]) for tile in tiles))
    return found


def _is_operand(tile: Any) -> bool:
    if not isinstance(tile, list) or len(tile) != 2 or not isinstance(tile[0], str):
        return False
    return tile[0][:1] in ("w", "x", "s") and _is_count(tile[1], 1)


def _stored(visit: dict[str, Any], runs: list[tuple[int, ...]], where: str) -> list[str]:
    """Return the tag of what each run of a visit stores; none where the trace does not tell them apart."""
    if "stored" not in visit:
        return [""] * len(runs)
    tags = _list(visit, "stored", where)
    if len(tags) != len(runs):
        raise TraceError(f"{where}: stored must be a tag for each of its {len(runs)} runs")
    for tag in tags:
        if not isinstance(tag, str) or tag[:1] not in ("", "o", "s"):
            raise TraceError(f"{where}: stored is {_short(tag)}, and must be empty or a tag that begins with o or s")
    return tags


def _check_tags(visits: list[Visit], where: str) -> None:
    """Raise TraceError unless equal tags have equal bytes, wherever they are loaded or stored."""
    sizes: dict[str, int] = {}
    for run in (run for visit in visits for run in visit.runs):
        for tag, size_bytes in (*run.operands, (run.stored, run.store_bytes)):
            if tag and sizes.setdefault(tag, size_bytes) != size_bytes:
                raise TraceError(f"{where}: {_short(tag)} has {size_bytes} bytes, and {sizes[tag]} elsewhere")


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
