"""The store of a sweep: rows under keys, columns for fields, several writers, and files that are none of ours."""

from __future__ import annotations

import errno
import resource
import sqlite3
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from gatherline.request import device_named
from gatherline.request_error import RequestError
from gatherline.sweep.columns import NAMES, point_row
from gatherline.sweep.keys import fields_json
from gatherline.sweep.store import Member, Store
from gatherline.sweep.store_file import FILE, SCHEMA


def row(key: str, digest: str, latency_s: float | None = 1.0, **fields: object) -> dict[str, object]:
    """Return a row by hand: what matters to a store is its key, its base and its fields."""
    return point_row(
        {"key": key, "device_hash": digest, "device": "gs-tcm", "fields": fields_json(list(fields.items())),  # type: ignore[arg-type]
         "latency_s": latency_s, "extrapolated": False}
    )  # fmt: skip


def opened(folder: Path, points: int = 3) -> tuple[Store, int, str]:
    store = Store.open(folder)
    digest = store.know_base(device_named("gs-tcm"))
    return store, store.begin("a sweep", name="banks", spec="", version="1", points=points), digest


def test_rows_come_back_as_they_were_in_the_order_of_the_sweep(tmp_path: Path) -> None:
    store, sweep, digest = opened(tmp_path)
    rows = [row("b", digest, 0.1 + 0.2), row("a", digest, None)]
    store.add(sweep, rows, [Member(number=1, key="b"), Member(number=0, key="a")])
    found = list(store.in_order(sweep, NAMES))
    assert found == [rows[1], rows[0]]
    assert found[0]["extrapolated"] is False
    assert store.known(["a", "b", "c"]) == {"a", "b"}


def test_a_row_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    store, sweep, digest = opened(tmp_path)
    store.add(sweep, [row("a", digest, 1.0)], [Member(number=0, key="a")])
    store.add(sweep, [row("a", digest, 2.0)], [Member(number=1, key="a")])
    assert [found["latency_s"] for found in store.in_order(sweep)] == [1.0, 1.0]


def test_a_field_that_varies_has_a_column_with_every_machines_own_value(tmp_path: Path) -> None:
    store, sweep, digest = opened(tmp_path)
    other = store.know_base(device_named("gs-tcm-ooo"))
    store.add(sweep, [row("a", digest), row("b", other)], [Member(number=0, key="a"), Member(number=1, key="b")])
    changed = row("c", digest, **{"gather.window": 4, "gather.interval": Fraction(3, 2)})
    store.add(sweep, [changed], [Member(number=2, key="c")])
    asked = [(found["gather.window"], found["gather.interval"]) for found in store.in_order(sweep)]
    assert asked == [(1, None), (8, None), (4, 1.5)]  # the presets' own windows; an interval that follows the buffer
    assert store.field_columns == ("gather.interval", "gather.window")
    assert store.field_types() == {"gather.interval": "float", "gather.window": "int"}


def test_a_column_that_another_process_added_is_filled_here_too(tmp_path: Path) -> None:
    store, sweep, digest = opened(tmp_path)
    with Store.open(tmp_path) as other:
        other.add_field_columns(["gather.window"])
    store.add(sweep, [row("a", digest)], [Member(number=0, key="a")])
    assert [found["gather.window"] for found in store.in_order(sweep)] == [1]


def test_the_view_is_the_sweep_that_ran_last(tmp_path: Path) -> None:
    store, first, digest = opened(tmp_path)
    second = store.begin("another", name="other", spec="", version="1", points=1)
    store.add(first, [row("a", digest)], [Member(number=0, key="a", accuracy=0.75)])
    store.add(second, [row("b", digest)], [Member(number=7, key="b")])
    asked = sqlite3.connect(tmp_path / FILE)
    assert asked.execute("SELECT number, key FROM rows").fetchall() == [(7, "b")]
    store.begin("a sweep", name="banks", spec="", version="1", points=3)
    assert asked.execute("SELECT number, accuracy FROM rows").fetchall() == [(0, 0.75)]
    assert store.last().number == first


def test_rows_and_members_of_a_task_are_stored_together_or_not_at_all(tmp_path: Path) -> None:
    store, sweep, digest = opened(tmp_path)
    broken = row("b", digest) | {"latency_s": object()}  # which SQLite has no form for
    with pytest.raises(sqlite3.Error):
        store.add(sweep, [row("a", digest), broken], [Member(number=0, key="a")])
    assert store.known(["a"]) == set()
    assert store.members(sweep) == 0
    store.add(sweep, [row("a", digest)], [Member(number=0, key="a")])
    assert store.members(sweep) == 1


def test_a_newer_schema_is_refused_with_both_numbers(tmp_path: Path) -> None:
    opened(tmp_path)[0].close()
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (str(SCHEMA + 1),))
    with pytest.raises(RequestError, match=f"schema is {SCHEMA + 1}, of a newer version, .* reads schema {SCHEMA}"):
        Store.open(tmp_path)


@pytest.mark.parametrize("content", [b"no database at all, but a text\n" * 40, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_file_that_is_no_store_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / FILE
    path.write_bytes(content)
    with pytest.raises(RequestError, match="no store of a sweep, or damaged, and left as it is"):
        Store.open(tmp_path)
    assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == [FILE]


def test_the_database_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE points (key TEXT)")
    before = path.read_bytes()
    with pytest.raises(RequestError, match="of another program, and left as it is"):
        Store.open(tmp_path)
    assert path.read_bytes() == before


def test_a_file_that_a_killed_process_left_empty_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    with Store.open(tmp_path) as store:
        assert store.known(["a"]) == set()


def test_a_folder_without_a_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no sweep is stored here: it has no sweep\.sqlite"):
        Store.open(tmp_path / "nothing", create=False)
    assert not (tmp_path / "nothing").exists()


WRITER = """
import sys
from pathlib import Path
from tests.unit.test_sweep_store import opened, row
from gatherline.sweep.store import Member
store, sweep, digest = opened(Path(sys.argv[1]))
for number in range(100):
    key = f"{number}" if number % 2 else f"{sys.argv[2]} {number}"  # odd keys are both writers'
    place = number if number % 2 else number + 1000 * int(sys.argv[2])
    fields = {"gather.ports": 2} if number == 50 else {}  # a column comes while the other writes
    store.add(sweep, [row(key, digest, float(number), **fields)], [Member(number=place, key=key)])
store.close()
"""


def test_two_processes_write_one_store_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, str(number)]) for number in (0, 1)]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    store, sweep, _ = opened(tmp_path)
    assert store.members(sweep) == 50 + 2 * 50
    assert all(found["latency_s"] == float(str(found["key"]).split()[-1]) for found in store.in_order(sweep))
    assert {found["gather.ports"] for found in store.in_order(sweep)} == {1, 2}  # none is empty


def test_a_full_disk_is_told_as_such_and_what_was_stored_stays(tmp_path: Path) -> None:
    store, sweep, digest = opened(tmp_path)
    store.add(sweep, [row("a", digest)], [Member(number=0, key="a")])
    pages = store._database.execute("PRAGMA page_count").fetchone()[0]
    store._database.execute(f"PRAGMA max_page_count = {pages + 2}")  # SQLite then answers as on a full disk
    many = [row(f"key {number} " + "x" * 1000, digest) for number in range(100)]
    with pytest.raises(OSError, match="the disk is full; points stored before stay") as caught:
        store.add(sweep, many, [Member(number=1 + n, key=str(one["key"])) for n, one in enumerate(many)])
    assert caught.value.errno == errno.ENOSPC
    store.close()
    with Store.open(tmp_path) as again:
        assert [found["key"] for found in again.in_order(sweep)] == ["a"]
        again.add(sweep, many, [Member(number=1 + n, key=str(one["key"])) for n, one in enumerate(many)])
        assert again.members(sweep) == 101


LIMITED = """
import resource, signal, sys
from pathlib import Path
from tests.unit.test_sweep_store import opened, row
from gatherline.sweep.store import Member
store, sweep, digest = opened(Path(sys.argv[1]))
store.add(sweep, [row("a", digest)], [Member(number=0, key="a")])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
try:
    for number in range(1, 1000):
        store.add(sweep, [row("x" * 1000 + str(number), digest)], [Member(number=number, key="x" * 1000 + str(number))])
except OSError as error:
    print(error.strerror, store.members(sweep))
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit of file sizes here")
def test_a_disk_that_takes_no_more_bytes_stops_a_writer_and_not_the_store(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True)
    *_, stored = done.stdout.split()
    assert "cannot write (full disk, quota or file-size limit?)" in done.stdout
    assert "points stored before stay" in done.stdout
    with Store.open(tmp_path) as store:
        assert store.members(1) == int(stored) > 1
        assert store._database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
