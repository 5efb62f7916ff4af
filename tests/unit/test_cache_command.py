"""``simulate cache`` shows, clears, trims and verifies what sweeps keep."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from gatherline.cache import Cache
from gatherline.cli import main

KEYS = ("a" * 64, "b" * 64)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setenv("GATHERLINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GATHERLINE_CACHE_LIMIT", "1 MiB")
    made = Cache(folder=tmp_path / "cache", limit_bytes=1 << 20)
    for place, key in enumerate(KEYS):
        made.write("levels", key, bytes(1000))
        used = time.time() - 100 + place
        os.utime(made.path("levels", key), (used, used))
    return made


def simulate(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["cache", *arguments])
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


def test_it_shows_folder_limit_entries_and_bytes(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    size = sum(entry.bytes for entry in cache.entries())
    status, out, _ = simulate(capsys)
    assert status == 0
    assert str(cache.folder) in out
    assert "1.00 MiB" in out
    assert out.splitlines()[-1].split()[:3] == ["total", "2", str(size)]


def test_json_says_the_same(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = simulate(capsys, "--json")
    said = json.loads(out)
    assert said["folder"] == str(cache.folder)
    assert said["limit_bytes"] == 1 << 20
    assert {kind["kind"]: kind["entries"] for kind in said["kinds"]}["levels"] == len(KEYS)
    assert said["bytes"] == sum(entry.bytes for entry in cache.entries())


def test_clear_removes_everything(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = simulate(capsys, "--clear")
    assert status == 0
    assert "removed 2 entries" in out
    assert cache.entries() == []


def test_a_limit_trims_once_the_oldest_first(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = simulate(capsys, "--limit", "1.5kB", "--json")
    assert json.loads(out)["removed"]["entries"] == 1
    assert [entry.path.stem for entry in cache.entries()] == [KEYS[1]]


def test_verify_names_and_removes_what_is_damaged_and_says_so_in_its_status(
    cache: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(capsys, "--verify")[0] == 0
    path = cache.path("levels", KEYS[0])
    path.write_bytes(b"?" + path.read_bytes()[1:])
    status, out, _ = simulate(capsys, "--verify")
    assert status == 1
    assert "verified 2 entries, 1 damaged" in out
    assert f"damaged, removed: {path}" in out
    assert simulate(capsys, "--verify")[0] == 0


def test_a_cache_that_is_off_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATHERLINE_CACHE", "off")
    assert simulate(capsys) == (0, "The cache is off (GATHERLINE_CACHE=off).\n", "")
    assert json.loads(simulate(capsys, "--json")[1])["folder"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--clear", "--verify"], "--clear, --limit and --verify are one thing each"),
        (["--limit", "many"], "--limit is 'many', and must be a number of bytes with its unit"),
    ],
)
def test_wrong_arguments_are_one_line(
    cache: Cache, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    status, _, err = simulate(capsys, *arguments)
    assert status == 2
    assert message in err
    assert err.count("\n") == 1
    assert len(cache.entries()) == len(KEYS)
