"""What can go wrong around a store: damage, read-only folders, nothing to find. One line each, and the right status."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from gatherline.cli import main
from gatherline.sweep.evaluate import evaluate
from gatherline.sweep.export import export
from gatherline.sweep.local import LocalProcesses
from gatherline.sweep.point import Machine, Task
from gatherline.sweep.spec_file import read_spec
from gatherline.sweep.store import Store
from gatherline.sweep.store_file import FILE
from gatherline.sweep.sweep import sweep
from tests.unit.sweep_specs import BANKS, POINTS, task_of, written_spec

PAGE_BYTES = 4096


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Return the exit status of a command and the last line of standard error."""
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    told = capsys.readouterr().err.splitlines()
    return int(caught.value.code or 0), told[-1] if told else ""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with banks.toml and the sweep of it, which tests copy."""
    folder = tmp_path_factory.mktemp("whole")
    sweep(read_spec(written_spec(folder)), folder / "banks")
    return folder


def copied(whole: Path, folder: Path, content: bytes | None = None) -> tuple[Path, Path]:
    """Return the spec and the folder of a copy whose store has ``content``."""
    spec, out = written_spec(folder), folder / "banks"
    out.mkdir()
    (out / FILE).write_bytes((whole / "banks" / FILE).read_bytes() if content is None else content)
    return spec, out


# Workers


def pid_rows(task: Task) -> list[dict[str, object]]:
    return [{"pid": os.getpid()}]


def pids(executor: LocalProcesses, count: int) -> set[object]:
    machines = [Machine(base="gs-tcm", fields=(("gather.window", at + 1),)) for at in range(count)]
    return {rows[0]["pid"] for _, rows in executor.run([task_of(machine) for machine in machines])}


def test_workers_are_kept_between_runs_and_end_with_the_context() -> None:
    with LocalProcesses(1, pid_rows) as executor:
        first, second = pids(executor, 2), pids(executor, 1)
        assert first == second
        assert len(first) == 1
        (worker,) = executor._workers
        assert worker.process.is_alive()
    assert not worker.process.is_alive()
    assert executor._workers == []


def test_a_run_that_was_left_does_not_answer_the_next_one() -> None:
    with LocalProcesses(1, evaluate) as executor:
        machines = [Machine(base="gs-tcm", fields=(("gather.window", at),)) for at in (1, 2, 4)]
        tasks = [task_of(machine) for machine in machines]
        left = executor.run(tasks)
        next(left)
        left.close()  # while a task may be under way
        ((task, rows),) = executor.run([tasks[2]])
        assert task is tasks[2]
        assert [row["key"] for row in rows] == list(task.keys)


# Damage


@pytest.mark.parametrize("page", range(1, 8))
def test_a_damaged_page_is_told_with_the_file_and_nothing_is_computed_over_it(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], page: int
) -> None:
    content = bytearray((whole / "banks" / FILE).read_bytes())
    content[page * PAGE_BYTES : (page + 1) * PAGE_BYTES] = b"\xa5" * PAGE_BYTES
    spec, out = copied(whole, tmp_path, bytes(content))
    status, told = said(capsys, "sweep", spec, "--workers", 1)
    assert (status, told.startswith(f"simulate: error: {out / FILE}: ")) == (2, True)
    assert "damaged" in told
    for command in (("front", out), ("export", out, "-o", tmp_path / "t.csv")):
        status, told = said(capsys, *command)
        assert status == 0 or (status == 2 and f"{out / FILE}: " in told and "damaged" in told)


def test_a_text_that_is_no_utf8_is_damage(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = (whole / "banks" / FILE).read_bytes()
    assert b"gs-tcm" in content
    _, out = copied(whole, tmp_path, content.replace(b"digits", b"dig\xff\xfets"))
    status, told = said(capsys, "export", out, "-o", tmp_path / "t.csv")
    assert status == 2
    assert told.startswith(f"simulate: error: {out / FILE}: damaged: Could not decode to UTF-8")
    assert not (tmp_path / "t.csv").exists()


@pytest.mark.parametrize("command", ["front", "export"])
def test_a_store_that_was_killed_at_its_first_breath_has_no_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (tmp_path / FILE).touch()
    arguments = ("-o", tmp_path / "t.csv") if command == "export" else ()
    assert said(capsys, command, tmp_path, *arguments) == (
        2, f"simulate: error: {tmp_path / FILE}: no sweep was begun in it",
    )  # fmt: skip


def test_a_folder_or_a_dangling_link_in_the_place_of_a_store_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = written_spec(tmp_path)
    (tmp_path / "folder" / FILE).mkdir(parents=True)
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / FILE).symlink_to("/nonexistdir/s.sqlite")
    for name, rule in (("folder", "is a folder"), ("link", "is a link to /nonexistdir/s.sqlite")):
        for command in (("front", tmp_path / name), ("sweep", spec, "--out", tmp_path / name, "--workers", 1)):
            status, told = said(capsys, *command)
            assert (status, f"{tmp_path / name / FILE}: {rule}" in told) == (2, True)


def test_an_empty_schema_is_said_to_be_empty(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out = copied(whole, tmp_path)
    with sqlite3.connect(out / FILE) as database:
        database.execute("UPDATE meta SET value = ''")
    assert "its schema is empty, and this version reads" in said(capsys, "front", out)[1]


# What cannot be written

READER = """
import os, sys
from pathlib import Path
from gatherline.request_error import RequestError
from gatherline.sweep.store import Store
if os.getuid() == 0:
    os.setuid(65534)
folder = Path(sys.argv[1])
with Store.open(folder, create=False) as store:
    print(store.members(store.last().number), len(list(store.in_order(store.last().number))))
try:
    Store.open(folder)
except RequestError as error:
    print(error)
"""


def test_a_store_in_a_folder_that_cannot_be_written_is_read_and_called_read_only(whole: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / FILE).write_bytes((whole / "banks" / FILE).read_bytes())
        (folder / FILE).chmod(0o444)
        folder.chmod(0o555)
        try:
            done = subprocess.run([sys.executable, "-c", READER, name], capture_output=True, text=True, check=True)
        finally:
            folder.chmod(0o755)
        read, refused = done.stdout.splitlines()
        assert read == f"{POINTS} {POINTS}"
        assert str(folder / FILE) in refused
        assert "damaged" not in refused
        assert [path.name for path in folder.iterdir()] == [FILE]


def test_a_reader_leaves_no_file_of_its_own(whole: Path, tmp_path: Path) -> None:
    _, out = copied(whole, tmp_path)
    with Store.open(out, create=False) as store:
        assert store.members(store.last().number) == POINTS
    assert [path.name for path in out.iterdir()] == [FILE]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full here")
def test_a_full_disk_under_an_export_is_told_with_the_name_of_the_table(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t.csv"
    (tmp_path / f".t.csv.{os.getpid()}.aside").symlink_to("/dev/full")
    status, told = said(capsys, "export", whole / "banks", "-o", out)
    assert (status, told) == (1, f"simulate: error: {out}: No space left on device")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_in_a_folder_that_is_not_there_is_named_as_it_was_asked_for(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    out = tmp_path / "no" / f"z.{suffix}"
    status, told = said(capsys, "export", whole / "banks", "-o", out)
    assert (status, told) == (2, f"simulate: error: {out}: No such file or directory")


# A sweep that says nothing


def test_a_sweep_of_which_every_point_is_refused_fails_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = BANKS.replace("[16, 24]", "[24]").replace('["none", "xor"]', '["xor"]')
    spec = written_spec(tmp_path, refused.split('[[devices]]\ndevice = "snapdragon-855"')[0])
    status, told = said(capsys, "sweep", spec, "--workers", 1)
    assert status == 1
    assert told.startswith("simulate: no point has numbers: all 6 were refused: ")
    assert said(capsys, "sweep", spec, "--workers", 1, "--json")[0] == 1


def test_a_table_of_accuracies_that_names_no_point_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accuracy = '[accuracy]\nfile = "acc.csv"\ncolumn = "top1"\n'
    spec = written_spec(tmp_path, BANKS + accuracy)
    (tmp_path / "acc.csv").write_text("model,pattern,top1\nresnet50,dense,0.7\n")
    assert said(capsys, "sweep", spec, "--workers", 1) == (
        0, "simulate: no point has an accuracy: acc.csv names none of them by model, pattern",
    )  # fmt: skip
    (tmp_path / "acc.csv").write_text("model,pattern,top1\ndigits,dense,0.7\n")
    assert said(capsys, "sweep", spec, "--workers", 1) == (0, "")


def test_export_names_other_faults_of_the_store_as_those_of_the_store(whole: Path, tmp_path: Path) -> None:
    _, out = copied(whole, tmp_path)
    with sqlite3.connect(out / FILE) as database:
        database.execute("DROP TABLE members")
    with pytest.raises(ValueError, match=r"damaged: .*members"):
        export(out, tmp_path / "t.csv")


def test_a_device_that_is_not_known_is_one_short_line(capsys: pytest.CaptureFixture[str]) -> None:
    status, told = said(capsys, "run", "digits", "--device", "zzzz")
    assert status == 2
    assert "device 'zzzz' is not known; simulate list devices shows the " in told
    assert len(told) < 120
