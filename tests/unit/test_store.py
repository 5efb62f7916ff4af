"""Trace directories: what is written is read back, anything else is refused in one line. DESIGN section 7."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from traces.store import read_index, read_stream, read_streams, write_streams
from traces.stream import RequestStream, TraceError, check_stream


def _stream(name: str = "layer0", **changes: Any) -> RequestStream:
    fields: dict[str, Any] = {
        "group_ptr": np.array([0, 3, 5, 6], dtype=np.int64),
        "lane": np.array([0, 1, 2, 0, 5, 3], dtype=np.int16),
        "address": np.array([0, 16, 5, 7, 23, 2], dtype=np.int64),
        "bundle_end": np.array([2, 3], dtype=np.int64),
        "scatter_ptr": np.array([0, 2, 2], dtype=np.int64),
        "scatter_address": np.array([0, 16], dtype=np.int64),
    }
    return RequestStream(name=name, **{**fields, **changes})


def _npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def _directory(tmp_path: Path, entry: dict[str, Any] | None = None, **arrays: Any) -> Path:
    """A trace of one stream, some of whose arrays are replaced (None: left out; bytes: the npy file as it is)."""
    target = tmp_path / "trace"
    target.mkdir()
    whole = {**_stream().arrays(), **arrays}
    with zipfile.ZipFile(target / "layer0.npz", "w") as archive:
        for name, array in whole.items():
            if array is not None:
                archive.writestr(f"{name}.npy", array if isinstance(array, bytes) else _npy(array))
    (target / "trace.json").write_text(json.dumps({"schema": 1, "layers": [{"name": "layer0", **(entry or {})}]}))
    return target


def _read(directory: Path) -> list[RequestStream]:
    return list(read_streams(read_index(directory)))


def _refusal(directory: Path, lanes: int = 16) -> str:
    with pytest.raises(TraceError) as caught:
        [check_stream(stream, lanes) for stream in _read(directory)]
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 1000
    return text


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    streams = [
        _stream("a/b", repeats=3, repeat_stride=-0, scatter_stride=4, load_bytes=5, store_bytes=6, bytes_per_group=64),
        _stream("block", issue="block_column"),
        _stream("a_b", repeats=2, repeat_offset=np.array([0, 7], dtype=np.int64), serial=True, gap=3),
        _stream("A/b", macs=np.array([3, 0, 1], dtype=np.int32), tile_end=np.array([2, 3], dtype=np.int64)),
        _stream("trace"),
        _stream("../" * 20 + "x"),
        _stream("é" * 300),
    ]
    names = write_streams(tmp_path / "t", [(stream, {"m": 1}) for stream in streams], {"extra": [1]})
    assert len({name.lower() for name in names}) == len(names)
    index = read_index(tmp_path / "t")
    assert index.extra == {"extra": [1]}
    for entry, before in zip(index.layers, streams, strict=True):
        after = read_stream(index, entry)
        assert entry["m"] == 1
        for name, array in before.arrays().items():
            assert after.arrays()[name].dtype == array.dtype
            assert (after.arrays()[name] == array).all()
        for field in ("repeats", "repeat_stride", "scatter_stride", "serial", "gap", "load_bytes", "store_bytes"):
            assert getattr(after, field) == getattr(before, field)
        assert after.bytes_per_group == before.bytes_per_group
        assert after.issue == before.issue
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t"]


def test_streams_of_the_same_arrays_lie_on_disk_once(tmp_path: Path) -> None:
    first = _stream("a")
    write_streams(tmp_path / "t", [(first, {}), (RequestStream(name="b", **first.arrays()), {})], {})  # type: ignore[arg-type]
    assert os.stat(tmp_path / "t" / "a.npz").st_nlink == 2
    assert len(_read(tmp_path / "t")) == 2


def test_a_trace_is_replaced_as_a_whole(tmp_path: Path) -> None:
    write_streams(tmp_path / "t", [(_stream("old"), {})], {})
    write_streams(tmp_path / "t", [(_stream("new"), {})], {})
    assert sorted(path.name for path in (tmp_path / "t").iterdir()) == ["new.npz", "trace.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t"]


@pytest.mark.parametrize("names", [("thesis.txt",), ("trace.json", "thesis.txt"), ("layer0.npz",)])
def test_a_directory_that_is_not_a_trace_alone_is_never_replaced(tmp_path: Path, names: tuple[str, ...]) -> None:
    target = tmp_path / "t"
    target.mkdir()
    for name in names:
        (target / name).write_text("precious")
    with pytest.raises(TraceError, match="left as it is"):
        write_streams(target, [(_stream(), {})], {})
    assert {path.name: path.read_text() for path in target.iterdir()} == dict.fromkeys(names, "precious")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t"]


def test_a_file_is_never_replaced_by_a_trace(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("precious")
    with pytest.raises(TraceError):
        write_streams(tmp_path / "t", [(_stream(), {})], {})
    assert (tmp_path / "t").read_text() == "precious"


def test_a_failure_while_writing_leaves_the_old_trace_and_nothing_else(tmp_path: Path) -> None:
    write_streams(tmp_path / "t", [(_stream("old"), {})], {})
    before = (tmp_path / "t" / "trace.json").read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        write_streams(tmp_path / "t", [(_stream("new"), {"bad": float("nan")})], {})
    assert (tmp_path / "t" / "trace.json").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t"]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b"", "not readable JSON"),
        (b"{", "not readable JSON"),
        (b"\xff\xfe\x00", "not readable JSON"),
        (b"[" * 100_000, "not readable JSON"),
        (b"1" * 5000, "JSON"),
        (b"[]", "schema is None"),
        (b"null", "schema is None"),
        (b'{"schema": 2, "layers": [{"name": "a"}]}', "schema is 2, and must be 1"),
        (b'{"schema": "1", "layers": [{"name": "a"}]}', "schema is '1'"),
        (b'{"schema": true, "layers": [{"name": "a"}]}', "schema is True"),
        (b'{"schema": 1}', "layers must be a list"),
        (b'{"schema": 1, "layers": []}', "at least one layer"),
        (b'{"schema": 1, "layers": {"name": "a"}}', "layers must be a list"),
        (b'{"schema": 1, "layers": ["a"]}', "name is None"),
        (b'{"schema": 1, "layers": [{}]}', "name is None"),
        (b'{"schema": 1, "layers": [{"name": ""}]}', "name is ''"),
        (b'{"schema": 1, "layers": [{"name": 3}]}', "name is 3"),
        (b'{"schema": 1, "layers": [{"name": "../a"}]}', "must be a file name"),
        (b'{"schema": 1, "layers": [{"name": ".."}]}', "must be a file name"),
        (b'{"schema": 1, "layers": [{"name": "/etc/passwd"}]}', "must be a file name"),
        (b'{"schema": 1, "layers": [{"name": "a/"}]}', "must be a file name"),
        (b'{"schema": 1, "layers": [{"name": "a\\nb"}]}', "must be a file name"),
        (b'{"schema": 1, "layers": [{"name": "a\\u0000b"}]}', "must be a file name"),
        (b'{"schema": 1, "layers": [{"name": "a"}, {"name": "a"}]}', "used once"),
        (b'{"schema": 1, "layers": [{"name": "absent"}]}', "no such file"),
    ],
)
def test_an_index_that_breaks_a_rule_is_refused(tmp_path: Path, text: bytes, rule: str) -> None:
    (tmp_path / "trace.json").write_bytes(text)
    assert rule in _refusal(tmp_path)


def test_a_directory_without_an_index_is_refused(tmp_path: Path) -> None:
    assert "a trace directory has one" in _refusal(tmp_path)
    assert "trace.json" in _refusal(tmp_path / "nowhere")


LONG = 1 << 63
BAD_ARRAYS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"lane": None}, "array lane is missing"),
    ({"scatter_address": None}, "array scatter_address is missing"),
    ({"address": np.array([{"a": 1}] * 6, dtype=object)}, "address is object"),
    ({"address": np.array([0.0] * 6)}, "address is float64"),
    ({"address": np.array(["0"] * 6)}, "must be a row of integers"),
    ({"address": np.zeros((6, 1), dtype=np.int64)}, "2 axes"),
    ({"address": np.int64(3)}, "0 axes"),
    ({"lane": np.array([0, 1, 2, 0, 5, 3], dtype=np.complex64)}, "lane is complex64"),
    ({"lane": np.array([0, 1, 2, 0, 0, 3], dtype=np.int16)}, "group 1 uses lane 0 twice"),
    ({"lane": np.array([1, 2, 1, 0, 5, 3], dtype=np.int16)}, "group 0 uses lane 1 twice"),
    ({"lane": np.array([0, 1, 2, 0, 16, 3], dtype=np.int16)}, "lanes 0 to 15"),
    ({"lane": np.array([0, 1, 2, 0, -1, 3], dtype=np.int16)}, "lane runs from -1"),
    ({"lane": np.array([0, 1, 2, 0, 65536, 3], dtype=np.int64)}, "lane runs from 0 to 65536"),
    ({"lane": np.array([0, 1, 2], dtype=np.int16)}, "lane has 3 entries for 6"),
    ({"lane": np.zeros(0, dtype=np.int16)}, "lane has 0 entries"),
    ({"group_ptr": np.zeros(0, dtype=np.int64)}, "names no group"),
    ({"group_ptr": np.array([0], dtype=np.int64)}, "names no group"),
    ({"group_ptr": np.array([0, 3, 3, 6], dtype=np.int64)}, "group 1 has 0 requests"),
    ({"group_ptr": np.array([0, 5, 3, 6], dtype=np.int64)}, "group 1 has -2 requests"),
    ({"group_ptr": np.array([1, 3, 5, 6], dtype=np.int64)}, "must run from 0 to 6"),
    ({"group_ptr": np.array([0, 3, 5, 7], dtype=np.int64)}, "must run from 0 to 6"),
    ({"group_ptr": np.array([0, LONG - 1, -LONG, -1, 6], dtype=np.int64)}, "must run from 0 to 6"),
    ({"group_ptr": np.array([0, 3, 5, 6 + LONG * 2 - 12], dtype=np.uint64)}, "must run from 0 to 6"),
    ({"address": np.array([0, 16, 5, 7, -1, 2], dtype=np.int64)}, "address is -1"),
    ({"address": np.array([0, 16, 5, 7, LONG, 2], dtype=np.uint64)}, "address is -"),
    ({"bundle_end": np.zeros(0, dtype=np.int64)}, "bundle_end must rise"),
    ({"bundle_end": np.array([0, 3], dtype=np.int64)}, "bundle_end must rise"),
    ({"bundle_end": np.array([2, 2], dtype=np.int64)}, "bundle_end must rise"),
    ({"bundle_end": np.array([1, 2], dtype=np.int64)}, "ends at group 2, and the stream has 3"),
    ({"bundle_end": np.array([2, 4], dtype=np.int64)}, "ends at group 4"),
    (
        {
            "bundle_end": np.array([1, LONG - 1, -LONG, -1, 3], dtype=np.int64),
            "scatter_ptr": np.array([0, 2, 2, 2, 2, 2], dtype=np.int64),
        },
        "bundle_end must rise",
    ),
    ({"scatter_ptr": np.array([0, 2], dtype=np.int64)}, "scatter_ptr must have one entry a bundle and one more"),
    ({"scatter_ptr": np.array([0, 2, 1], dtype=np.int64)}, "scatter_ptr"),
    ({"scatter_ptr": np.array([0, -1, 2], dtype=np.int64)}, "scatter_ptr"),
    ({"scatter_ptr": np.array([0, 2, 3], dtype=np.int64)}, "scatter_ptr ends at 3"),
    ({"scatter_address": np.array([0, -16], dtype=np.int64)}, "scatter_address is -16"),
    ({"repeat_offset": np.array([-1], dtype=np.int64)}, "address is -1"),
    ({"macs": np.array([1, 2], dtype=np.int32)}, "macs has 2 entries for 3 groups"),
    ({"macs": np.array([1, 2, 1 << 32], dtype=np.int64)}, "macs runs from 1 to 4294967296"),
    ({"tile_end": np.array([1, 3], dtype=np.int64)}, "tile_end must rise, end bundles"),
    ({"tile_end": np.array([2], dtype=np.int64)}, "tile_end must rise"),
    ({"tile_end": np.zeros(0, dtype=np.int64)}, "tile_end must rise"),
    ({"address": b"not an npy file"}, "not a readable npz file"),
    ({"address": b""}, "not a readable npz file"),
)


@pytest.mark.parametrize(("arrays", "rule"), BAD_ARRAYS)
def test_arrays_that_break_a_rule_are_refused(tmp_path: Path, arrays: dict[str, Any], rule: str) -> None:
    assert rule in _refusal(_directory(tmp_path, **arrays))


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ({"repeats": 0}, "repeats is 0"),
        ({"repeats": -1}, "repeats is -1"),
        ({"repeats": 1.0}, "repeats is 1.0"),
        ({"repeats": True}, "repeats is True"),
        ({"repeats": "2"}, "repeats is '2'"),
        ({"repeats": 10**30}, "repeats is 1000"),
        ({"repeats": 3, "repeat_stride": -1}, "address is -2"),
        ({"repeats": 3, "scatter_stride": -1}, "scatter_address is 0 at stride -1"),
        ({"repeats": 10**15, "repeat_stride": -(10**15)}, "address is -"),
        ({"gap": 4}, "only a serial stream has a gap"),
        ({"serial": True, "gap": -1}, "gap is -1"),
        ({"serial": 1}, "serial is 1"),
        ({"load_bytes": -5}, "load_bytes is -5"),
        ({"store_bytes": None}, "store_bytes is None"),
        ({"bytes_per_group": -1}, "bytes_per_group is -1"),
        ({"issue": "gather"}, "issue is 'gather', and must be one of dense, block_row"),
        ({"issue": ["dense"]}, "issue is ['dense']"),
    ],
)
def test_keys_that_break_a_rule_are_refused(tmp_path: Path, entry: dict[str, Any], rule: str) -> None:
    assert rule in _refusal(_directory(tmp_path, entry))


def test_offsets_of_other_than_the_repeats_are_refused(tmp_path: Path) -> None:
    target = _directory(tmp_path, {"repeats": 3}, repeat_offset=np.array([0, 4], dtype=np.int64))
    assert "repeat_offset has 2 entries for 3 repeats" in _refusal(target)


def test_many_repeats_are_counted_without_being_listed(tmp_path: Path) -> None:
    (stream,) = _read(_directory(tmp_path, {"repeats": 10**15, "repeat_stride": 1}))
    assert stream.repeats == 10**15


def test_an_array_that_declares_more_than_its_file_holds_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i8", "fortran_order": False, "shape": (1 << 50,)})
    assert "declares" in _refusal(_directory(tmp_path, address=header.getvalue() + bytes(48)))


def test_a_compressed_bomb_is_refused_by_its_size(tmp_path: Path) -> None:
    target = _directory(tmp_path)
    path = target / "layer0.npz"
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("address.npy")
    (at,) = [i for i in range(len(data)) if data[i : i + 4] == b"PK\x01\x02" and data[i + 46 :].startswith(b"address")]
    grown = bytearray(data)
    grown[at + 24 : at + 28] = (0xFFFF_FFF0).to_bytes(4, "little")  # the uncompressed size in the central directory
    path.write_bytes(bytes(grown))
    assert info.file_size < 1000
    assert "are read" in _refusal(target)


@pytest.mark.filterwarnings("ignore:Reading `.npy`")
@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<i8', 'fortran_order': False, 'shape': (6",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (6,), }",
        b"{'descr': '<i8', 'fortran_order': False, 'shape': (-6,), }",
        b"{'descr': '<i8', 'fortran_order': False, 'shape': (6L,), }",
        b"{'descr': __import__('os').system('true'), 'fortran_order': False, 'shape': (6,), }",
        b"(" * 5000,
    ],
)
def test_npy_headers_that_are_no_headers_are_refused(tmp_path: Path, header: bytes) -> None:
    padded = header + b" " * (-(len(header) + 11) % 64) + b"\n"
    npy = b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded + bytes(48)
    target = _directory(tmp_path, address=npy)
    if b"6L" in header:  # Python 2 wrote this; numpy reads it
        assert len(_read(target)) == 1
    else:
        _refusal(target)


@pytest.mark.parametrize("cut", [0, 1, 30, 200, -30])
def test_a_truncated_or_renamed_file_is_refused(tmp_path: Path, cut: int) -> None:
    target = _directory(tmp_path)
    path = target / "layer0.npz"
    path.write_bytes(path.read_bytes()[:cut])
    assert "not a readable npz file" in _refusal(target)


def test_a_flipped_byte_is_refused_or_changes_nothing_that_is_read(tmp_path: Path) -> None:
    target = _directory(tmp_path)
    path = target / "layer0.npz"
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            (found,) = _read(target)
        except TraceError:
            continue
        for name, array in _stream().arrays().items():
            assert (found.arrays()[name] == array).all()


def test_integers_of_any_width_and_byte_order_are_read(tmp_path: Path) -> None:
    target = _directory(
        tmp_path,
        address=np.array([0, 16, 5, 7, 23, 2], dtype=">u2"),
        lane=np.array([0, 1, 2, 0, 5, 3], dtype=np.uint8),
        group_ptr=np.array([0, 3, 5, 6], dtype=np.int32),
    )
    (stream,) = _read(target)
    assert stream.address.tolist() == [0, 16, 5, 7, 23, 2]
    assert (stream.address.dtype, stream.lane.dtype, stream.group_ptr.dtype) == (np.int64, np.int16, np.int64)
