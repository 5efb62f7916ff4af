"""The cache: what is kept is whole, what is damaged is never used, what is old makes room, and nothing fails by it."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gatherline.byte_size import byte_size, read_byte_size
from gatherline.cache import DEFAULT_LIMIT, KINDS, Cache, cache_folder, cache_limit, user_cache
from gatherline.request_error import RequestError

KIND = "levels"
SEAL_BYTES = len(hashlib.sha256().hexdigest()) + 1


def key(number: int) -> str:
    return f"{number:064x}"


def cache_in(folder: Path, limit_bytes: int = 1 << 20, told: list[str] | None = None) -> Cache:
    return Cache(folder=folder, limit_bytes=limit_bytes, note=(told if told is not None else []).append)


def age(cache: Cache, number: int, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(cache.path(KIND, key(number)), (then, then))


def kept(cache: Cache) -> set[str]:
    return {entry.path.stem for entry in cache.entries()}


def test_what_is_written_is_read_back_and_nothing_else_is_left(tmp_path: Path) -> None:
    cache = cache_in(tmp_path / "cache")
    assert cache.read(KIND, key(1)) is None
    assert cache.write(KIND, key(1), b"masks")
    assert cache.read(KIND, key(1)) == b"masks"
    assert [path.name for path in (tmp_path / "cache" / KIND).iterdir()] == [f"{key(1)}.entry"]


def test_nothing_is_made_before_something_is_written(tmp_path: Path) -> None:
    cache = cache_in(tmp_path / "cache")
    assert (cache.read(KIND, key(1)), cache.entries(), cache.damaged(), cache.trim(0)) == (None, [], [], [])
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("place", [0, SEAL_BYTES - 1, SEAL_BYTES, -1])
def test_one_flipped_bit_anywhere_makes_an_entry_damaged_told_and_gone(tmp_path: Path, place: int) -> None:
    told: list[str] = []
    cache = cache_in(tmp_path, told=told)
    cache.write(KIND, key(1), b"masks")
    path = cache.path(KIND, key(1))
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert [entry.path for entry in cache.damaged()] == [path]
    assert cache.read(KIND, key(1)) is None
    assert told == [f"{path} is damaged: it is removed and made again"]
    assert not path.exists()


@pytest.mark.parametrize("length", [0, 1, SEAL_BYTES, SEAL_BYTES + 4])
def test_a_truncated_entry_is_damaged(tmp_path: Path, length: int) -> None:
    cache = cache_in(tmp_path)
    cache.write(KIND, key(1), b"masks")
    path = cache.path(KIND, key(1))
    path.write_bytes(path.read_bytes()[:length])
    assert cache.read(KIND, key(1)) is None


def test_the_least_recently_used_entry_makes_room(tmp_path: Path) -> None:
    size = 1000
    cache = cache_in(tmp_path, limit_bytes=2 * (size + SEAL_BYTES))
    for number in (1, 2):
        cache.write(KIND, key(number), bytes(size))
        age(cache, number, seconds=100 - number)  # 1 is older than 2
    cache.read(KIND, key(1))  # and now used later
    cache.write(KIND, key(3), bytes(size))
    assert kept(cache) == {key(1), key(3)}


def test_an_entry_above_the_limit_is_not_kept_and_costs_no_other(tmp_path: Path) -> None:
    cache = cache_in(tmp_path, limit_bytes=100 + SEAL_BYTES)
    assert cache.write(KIND, key(1), bytes(100))
    assert not cache.write(KIND, key(2), bytes(101))
    assert kept(cache) == {key(1)}


def test_trimming_to_nothing_removes_every_entry_and_no_file_of_others(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    for number, kind in enumerate(KINDS):
        cache.write(kind, key(number), b"x")
    theirs = [tmp_path / "notes.txt", tmp_path / KIND / "notes.txt"]
    for path in theirs:
        path.write_text("mine")
    assert len(cache.trim(0)) == len(KINDS)
    assert cache.entries() == []
    assert all(path.read_text() == "mine" for path in theirs)


def test_what_a_killed_process_left_goes_once_it_is_old(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    cache.write(KIND, key(1), b"x")
    new, old = tmp_path / KIND / ".new.1.2.aside", tmp_path / KIND / ".old.1.2.aside"
    for path in (new, old):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    cache.write(KIND, key(2), b"x")
    assert (new.exists(), old.exists()) == (True, False)


def test_a_folder_that_takes_nothing_is_told_once_and_work_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    told: list[str] = []
    cache = cache_in(tmp_path / "file" / "cache", told=told)
    for number in (1, 2):
        assert cache.made(KIND, key(number), lambda: b"masks") == b"masks"
    assert told == [f"the cache {cache.folder} takes nothing (Not a directory): work goes on without it"]


FULL = """
import resource, signal, sys
from pathlib import Path
from gatherline.cache import Cache
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write past the limit fails, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
cache = Cache(folder=Path(sys.argv[1]), limit_bytes=1 << 20)
assert cache.made("levels", "1", lambda: bytes(10_000)) == bytes(10_000)
assert cache.made("levels", "2", lambda: bytes(100)) == bytes(100)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process")
def test_a_full_disk_leaves_no_part_of_an_entry(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], check=True, capture_output=True, text=True)
    assert run.stderr.count("takes nothing") == 1
    assert [path.name for path in (tmp_path / KIND).iterdir()] == ["2.entry"]


WRITER = """
import sys
from pathlib import Path
from gatherline.cache import Cache
cache = Cache(folder=Path(sys.argv[1]), limit_bytes=1 << 30)
print("ready", flush=True)
for number in range(10**6):
    cache.write("levels", str(number % 7), bytes([number % 256]) * 1_000_000)
"""


def test_a_process_that_is_killed_while_it_writes_leaves_whole_entries_alone(tmp_path: Path) -> None:
    for turn in range(5):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.05 + 0.013 * turn)
        writer.kill()
        writer.wait()
        writer.stdout.close()
    cache = cache_in(tmp_path)
    assert cache.entries()
    assert cache.damaged() == []


def _make_slowly(folder: str, made: str) -> bytes:
    def make() -> bytes:
        with open(made, "ab") as stream:
            stream.write(b"x")
        time.sleep(0.3)
        return b"masks"

    return cache_in(Path(folder)).made(KIND, key(1), make)


@pytest.mark.skipif(sys.platform == "win32", reason="files are not locked there: each process makes it")
def test_of_processes_that_want_one_entry_one_makes_it(tmp_path: Path) -> None:
    made = tmp_path / "made"
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        found = pool.starmap(_make_slowly, [(str(tmp_path / "cache"), str(made))] * 3)
    assert found == [b"masks"] * 3
    assert made.read_bytes() == b"x"


def test_of_threads_that_want_one_entry_one_makes_it(tmp_path: Path) -> None:
    made = tmp_path / "made"
    threads = [threading.Thread(target=_make_slowly, args=(str(tmp_path / "cache"), str(made))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.read_bytes() == (b"xxx" if sys.platform == "win32" else b"x")


def test_a_maker_that_fails_keeps_nothing_and_lets_the_next_one_try(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)

    def fail() -> bytes:
        raise ValueError("no model")

    with pytest.raises(ValueError, match="no model"):
        cache.made(KIND, key(1), fail)
    assert cache.made(KIND, key(1), lambda: b"masks") == b"masks"


def _churn(folder: str, seed: int) -> int:
    cache = cache_in(Path(folder), limit_bytes=5 * (1000 + SEAL_BYTES))
    wrong = 0
    for step in range(200):
        number = (seed * 7 + step * 3) % 11
        data = bytes([number]) * 1000
        wrong += cache.made(KIND, key(number), lambda data=data: data) != data  # type: ignore[misc]
    return wrong


def test_processes_that_push_each_others_entries_out_never_read_a_wrong_one(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        assert pool.starmap(_churn, [(str(tmp_path), seed) for seed in range(3)]) == [0, 0, 0]
    cache = cache_in(tmp_path)
    assert cache.damaged() == []
    assert sum(entry.bytes for entry in cache.entries()) <= 7 * (1000 + SEAL_BYTES)  # two more may be under way


@pytest.mark.parametrize("bad", ["", "../x", "A", "a/b", "a.b"])
def test_a_key_that_is_no_plain_name_is_refused(tmp_path: Path, bad: str) -> None:
    with pytest.raises(ValueError, match="its key plain"):
        cache_in(tmp_path).read(KIND, bad)


# Where it lies and how large it may be


def test_the_environment_says_where_the_cache_lies(tmp_path: Path) -> None:
    own, shared = str(tmp_path / "own"), str(tmp_path / "shared")
    assert cache_folder({"GATHERLINE_CACHE": own, "XDG_CACHE_HOME": shared}) == Path(own)
    assert cache_folder({"XDG_CACHE_HOME": shared}) == Path(shared) / "gatherline"
    assert cache_folder({}) == Path.home() / ".cache" / "gatherline"
    assert cache_folder({"GATHERLINE_CACHE": "off"}) is None
    assert user_cache({"GATHERLINE_CACHE": "off"}) is None


def test_a_file_in_the_place_of_the_folder_is_a_wrong_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="must be a folder, or off"):
        user_cache({"GATHERLINE_CACHE": str(tmp_path / "file")})


def test_the_limit_is_two_gibibytes_unless_the_environment_says_otherwise() -> None:
    assert cache_limit({}) == read_byte_size(DEFAULT_LIMIT, "limit") == 2 * 2**30
    assert cache_limit({"GATHERLINE_CACHE_LIMIT": "500MB"}) == 500 * 10**6
    with pytest.raises(RequestError, match="GATHERLINE_CACHE_LIMIT is '500', and must be a number of bytes with its"):
        cache_limit({"GATHERLINE_CACHE_LIMIT": "500"})


@pytest.mark.parametrize(
    ("text", "count"), [("1 B", 1), ("1.5kB", 1500), ("3 KiB", 3 * 2**10), ("2 mib", 2 * 2**20), ("1TB", 10**12)]
)
def test_sizes_are_read_with_their_units(text: str, count: int) -> None:
    assert read_byte_size(text, "size") == count


@pytest.mark.parametrize("text", ["", "5", "-1 B", "1 XB", "inf GB", "nan", "1e3 B", "1 GiB 2"])
def test_a_size_without_a_number_and_a_unit_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="size is"):
        read_byte_size(text, "size")


def test_sizes_are_written_in_the_largest_unit_that_fits() -> None:
    assert [byte_size(count) for count in (0, 1023, 1024, 3 * 2**20, 2**41)] == [
        "0 B", "1023 B", "1.00 KiB", "3.00 MiB", "2.00 TiB"
    ]  # fmt: skip


def test_a_folder_with_other_things_in_it_is_not_tagged_so_that_backups_keep_them(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    assert cache_in(tmp_path).made(KIND, key(1), lambda: b"masks") == b"masks"
    assert not (tmp_path / "CACHEDIR.TAG").exists()
    assert (tmp_path / KIND / "CACHEDIR.TAG").exists()
    own = tmp_path / "own"
    assert cache_in(own).made(KIND, key(1), lambda: b"masks") == b"masks"  # its folder of locks comes first
    assert (own / "CACHEDIR.TAG").exists()
    assert not (own / KIND / "CACHEDIR.TAG").exists()


def test_a_folder_that_is_removed_meanwhile_is_made_again(tmp_path: Path) -> None:
    told: list[str] = []
    cache = cache_in(tmp_path / "cache", told=told)
    for number in range(3):
        assert cache.made(KIND, key(number), lambda: b"masks") == b"masks"
        shutil.rmtree(tmp_path / "cache")
        assert cache.read(KIND, key(number)) is None

    def make_and_remove() -> bytes:
        shutil.rmtree(tmp_path / "cache")  # with the lock that this process holds
        return b"masks"

    assert cache.made(KIND, key(9), make_and_remove) == b"masks"
    assert cache.read(KIND, key(9)) == b"masks"
    assert told == []
