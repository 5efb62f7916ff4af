"""Programs to a trace directory and back: a replay of a written trace equals the run that wrote it.

``layers`` of ``trace.json`` holds the request streams, complete for any reader; ``programs`` adds what only a model
knows: which layer a stream belongs to, the tiles it runs in, element work and counters. A trace that somebody else
wrote has no ``programs``: each stream is a layer of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from simulator.schedule.program import Program, TileRun, Visit, proportional
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
                "vector_runs": [list(run) for run in program.vector_runs],
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
    for item in described:
        yield _own(index, item, device)


def _own(index: TraceIndex, item: Any, device: Device) -> tuple[LayerFacts, Program]:
    try:
        facts = LayerFacts(**item["facts"])
        counters = {name: item[name] for name in _COUNTERS}
        vector_runs = tuple((int(a), int(b), int(c)) for a, b, c in item["vector_runs"])
        visits = []
        shared: dict[str, RequestStream] = {}
        for visit in item["visits"]:
            runs = tuple(TileRun(repeats=int(r), load_bytes=int(a), store_bytes=int(b)) for r, a, b in visit["runs"])
            if visit["stream"] is None:
                visits.append(Visit(stream=None, runs=runs))
                continue
            stream = read_stream(index, index.layers[visit["stream"]])
            check_stream(stream, device.gather.lanes)
            visits.append(Visit(stream=_share(stream, shared), runs=runs))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        if isinstance(error, TraceError):
            raise
        names = ", ".join(field.name for field in fields(LayerFacts))
        raise TraceError(
            f"{index.directory}: a program of trace.json is not whole ({error!r}); its facts are {names}"
        ) from None
    return facts, Program(visits=tuple(visits), vector_runs=vector_runs, **counters)


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
