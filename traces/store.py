"""A directory of request streams on disk: ``trace.json`` and one ``NAME.npz`` per stream. DESIGN section 7.

Written aside and renamed; read without pickle, every field checked. Left out: the layer trace with its mask.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from traces.stream import ISSUES, Issue, RequestStream, TraceError, check_stream

SCHEMA = 1
INDEX = "trace.json"
_REQUIRED = ("group_ptr", "lane", "address", "bundle_end", "scatter_ptr", "scatter_address")
_OPTIONAL = ("repeat_offset", "macs", "tile_end")
_LIMIT_BYTES = 1 << 30  # of one file: more is no stream that a tile makes
# what the readers raise for a damaged zip or npy header
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, RuntimeError, SyntaxError, MemoryError)
_UNREADABLE_ARCHIVE = (zipfile.BadZipFile, zipfile.LargeZipFile, tokenize.TokenError, zlib.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceIndex:
    """What ``trace.json`` says: one entry per stream, and whatever else stands at its top level."""

    directory: Path
    layers: tuple[dict[str, Any], ...]
    extra: dict[str, Any]


def safe_name(name: str, taken: set[str]) -> str:
    """Return ``name`` as a file name of letters, digits, '.', '_' and '-' that is not in ``taken``, and add it."""
    base = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "layer"
    base = base[:150]
    chosen, count = base, 2
    while chosen.lower() in taken:
        chosen, count = f"{base}-{count}", count + 1
    taken.add(chosen.lower())
    return chosen


def write_streams(
    directory: Path, streams: Iterable[tuple[RequestStream, dict[str, Any]]], extra: dict[str, Any]
) -> list[str]:
    """Write streams with the further keys of their entries, and ``extra`` at the top level; return the names.

    An earlier trace in ``directory`` is replaced as a whole; anything else there is an error and stays. Streams that
    share their arrays share one file on disk where the file system can. Raises TraceError.
    """
    if directory.exists() and not _is_replaceable(directory):
        raise TraceError(f"{directory}: exists and is not a trace alone ({INDEX} and npz files): it is left as it is")
    directory.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        aside.chmod(0o755)
        entries: list[dict[str, Any]] = []
        taken = {Path(INDEX).stem}
        first_file: dict[tuple[int, ...], Path] = {}
        held: list[RequestStream] = []  # keeps ids of arrays unique while they are keys
        for stream, keys in streams:
            name = safe_name(stream.name, taken)
            target = aside / f"{name}.npz"
            same = tuple(id(array) for array in stream.arrays().values())
            if same in first_file:
                _link(first_file[same], target)
            else:
                np.savez_compressed(target, **stream.arrays())  # type: ignore[arg-type]
                first_file[same] = target
                held.append(stream)
            entries.append({"name": name, **_entry(stream), **keys})
        index = {"schema": SCHEMA, "layers": entries, **extra}
        (aside / INDEX).write_text(json.dumps(index, allow_nan=False) + "\n", encoding="utf-8")
        _swap(aside, directory)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return [entry["name"] for entry in entries]


def _is_replaceable(directory: Path) -> bool:
    """Whether a directory is empty, or holds a trace and nothing else."""
    if not directory.is_dir():
        return False
    names = [path.name for path in directory.iterdir()]
    return not names or (INDEX in names and all(name == INDEX or name.endswith(".npz") for name in names))


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def _swap(aside: Path, directory: Path) -> None:
    if not directory.exists():
        aside.rename(directory)
        return
    old = directory.with_name(f".{directory.name}.old-{os.getpid()}")
    directory.rename(old)
    aside.rename(directory)
    shutil.rmtree(old, ignore_errors=True)


def _entry(stream: RequestStream) -> dict[str, Any]:
    entry: dict[str, Any] = {"repeats": stream.repeats}
    for key in ("repeat_stride", "scatter_stride", "gap", "load_bytes", "store_bytes"):
        if getattr(stream, key):
            entry[key] = getattr(stream, key)
    if stream.serial:
        entry["serial"] = True
    if stream.bytes_per_group is not None:
        entry["bytes_per_group"] = stream.bytes_per_group
    if stream.issue is not None:
        entry["issue"] = stream.issue
    if stream.scratchpad_words is not None:
        entry["scratchpad_words"] = stream.scratchpad_words
    return entry


def read_index(directory: Path) -> TraceIndex:
    """Return what ``trace.json`` says, checked. Raises TraceError naming file, field, value and rule."""
    path = directory / INDEX
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TraceError(f"{path}: no such file, and a trace directory has one") from None
    except (OSError, ValueError, RecursionError) as error:
        raise TraceError(f"{path}: not readable JSON: {_one_line(error)}") from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if type(schema) is not int or schema != SCHEMA:
        raise TraceError(f"{path}: schema is {schema!r}, and must be {SCHEMA}")
    layers = data.get("layers")
    if not isinstance(layers, list) or not layers:
        raise TraceError(f"{path}: layers must be a list of at least one layer")
    seen: set[str] = set()
    for entry in layers:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name or not _is_file_name(name) or name in seen:
            raise TraceError(f"{path}: a layer's name is {name!r}, and must be a file name used once")
        seen.add(name)
    extra = {key: value for key, value in data.items() if key not in ("schema", "layers")}
    return TraceIndex(directory=directory, layers=tuple(layers), extra=extra)


def _is_file_name(name: str) -> bool:
    return Path(name).name == name and name not in (".", "..") and name.isprintable()


def read_streams(index: TraceIndex) -> Iterator[RequestStream]:
    """Yield the streams of a trace directory in order, each checked. Raises TraceError."""
    for entry in index.layers:
        yield read_stream(index, entry)


def read_stream(index: TraceIndex, entry: dict[str, Any]) -> RequestStream:
    """Return one stream, checked against DESIGN section 5. Raises TraceError."""
    name = entry["name"]
    arrays = _arrays(index.directory / f"{name}.npz")
    missing = [field for field in _REQUIRED if field not in arrays]
    if missing:
        raise TraceError(f"{index.directory / name}.npz: array {missing[0]} is missing")
    lane = arrays["lane"]
    if len(lane) and not 0 <= int(lane.min()) <= int(lane.max()) < 1 << 15:
        raise TraceError(
            f"{index.directory / name}.npz: lane runs from {lane.min()} to {lane.max()}, and must fit int16"
        )
    whole = {field: arrays[field].astype(np.int64, copy=False) for field in _REQUIRED if field != "lane"}
    macs, offset, tiles = (arrays.get(field) for field in ("macs", "repeat_offset", "tile_end"))
    if macs is not None and len(macs) and not 0 <= int(macs.min()) <= int(macs.max()) < 1 << 31:
        raise TraceError(
            f"{index.directory / name}.npz: macs runs from {macs.min()} to {macs.max()}, and must be 0 to 2^31 - 1"
        )
    stream = RequestStream(
        name=name,
        lane=lane.astype(np.int16, copy=False),
        **whole,
        repeats=_count(entry, "repeats", 1 if offset is None else len(offset), 1),
        repeat_stride=_count(entry, "repeat_stride", 0, None),
        repeat_offset=None if offset is None else offset.astype(np.int64, copy=False),
        scatter_stride=_count(entry, "scatter_stride", 0, None),
        serial=_flag(entry, "serial"),
        gap=_count(entry, "gap", 0, 0),
        macs=None if macs is None else macs.astype(np.int32, copy=False),
        tile_end=None if tiles is None else tiles.astype(np.int64, copy=False),
        load_bytes=_count(entry, "load_bytes", 0, 0),
        store_bytes=_count(entry, "store_bytes", 0, 0),
        bytes_per_group=_count(entry, "bytes_per_group", 0, 0) or None,
        issue=_issue(entry),
        scratchpad_words=_count(entry, "scratchpad_words", 1, 1) if "scratchpad_words" in entry else None,
    )
    check_stream(stream)
    return stream


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    found: dict[str, npt.NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
            whole = sum(info.file_size for info in members.values())
            if whole > _LIMIT_BYTES:
                raise TraceError(f"{path}: holds {whole} bytes, and at most {_LIMIT_BYTES} are read")
            for field in (*_REQUIRED, *_OPTIONAL):
                info = members.get(f"{field}.npy")
                if info is not None:
                    with archive.open(info) as member:
                        found[field] = _row(member, info.file_size, f"{path}: {field}")
    except FileNotFoundError:
        raise TraceError(f"{path}: no such file, and {INDEX} names it") from None
    except TraceError:
        raise
    except (*_UNREADABLE, *_UNREADABLE_ARCHIVE) as error:
        raise TraceError(f"{path}: not a readable npz file: {_one_line(error)}") from None
    return found


def _row(member: IO[bytes], size: int, where: str) -> npt.NDArray[Any]:
    """Return a one-dimensional integer array of an npy file of ``size`` bytes; the header is checked first."""
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    else:  # refuses what is neither 1.0 nor 2.0
        shape, _, dtype = np.lib.format.read_array_header_2_0(member)
    if len(shape) != 1 or dtype.kind not in "iu":
        raise TraceError(f"{where} is {dtype} with {len(shape)} axes, and must be a row of integers")
    wanted = shape[0] * dtype.itemsize
    if wanted != size - member.tell():
        raise TraceError(f"{where} declares {wanted} bytes, and the file holds {size - member.tell()}")
    return np.frombuffer(bytearray(member.read(wanted)), dtype=dtype)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _count(entry: dict[str, Any], key: str, default: int, least: int | None) -> int:
    value = entry.get(key, default)
    if type(value) is not int or (least is not None and value < least) or abs(value) >= 1 << 62:
        rule = "a whole number" if least is None else f"a whole number of at least {least}"
        raise TraceError(f"trace layer {entry['name']}: {key} is {value!r}, and must be {rule}")
    return value


def _issue(entry: dict[str, Any]) -> Issue | None:
    value = entry.get("issue")
    for issue in ISSUES:
        if value == issue:
            return issue
    if value is not None:
        raise TraceError(f"trace layer {entry['name']}: issue is {value!r}, and must be one of {', '.join(ISSUES)}")
    return None


def _flag(entry: dict[str, Any], key: str) -> bool:
    value = entry.get(key, False)
    if type(value) is not bool:
        raise TraceError(f"trace layer {entry['name']}: {key} is {value!r}, and must be true or false")
    return value
