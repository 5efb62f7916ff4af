"""A sweep from spec to table: what is missing is computed, whoever computes it and however often it is killed."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import gatherline as gl
from gatherline.cli import main
from gatherline.report.measures import scale_of
from gatherline.request_error import RequestError
from gatherline.sweep.evaluate import evaluate
from gatherline.sweep.export import export
from gatherline.sweep.front import Fate
from gatherline.sweep.local import MOST_DEATHS, Executor, LocalProcesses, ThisProcess, WorkerLostError
from gatherline.sweep.point import Machine, Task
from gatherline.sweep.spec_file import read_spec
from gatherline.sweep.store import Store
from gatherline.sweep.store_file import FILE
from gatherline.sweep.sweep import SweepInterrupted, found_in, sweep
from tests.unit.sweep_specs import (
    BANKS,
    POINTS,
    REFUSED,
    evaluate_and_die,
    evaluate_and_fail,
    evaluate_or_die,
    task_of,
    written_spec,
)


def table(folder: Path, name: str = "table.csv") -> bytes:
    path = folder / name
    export(folder, path)
    return path.read_bytes()


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from gatherline.cli import main; main()", *map(str, arguments)]


def status_of(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    sweep(read_spec(written_spec(folder)), folder)
    return folder


def test_a_sweep_computes_every_point_and_the_next_run_none(undisturbed: Path, tmp_path: Path) -> None:
    spec = read_spec(written_spec(tmp_path))
    first = sweep(spec, tmp_path)
    assert (first.points, first.computed, first.found, first.refused) == (POINTS, POINTS, 0, REFUSED)
    second = sweep(spec, tmp_path)
    assert (second.points, second.computed, second.found) == (POINTS, 0, POINTS)
    assert table(tmp_path) == table(undisturbed)


def test_a_resumed_sweep_computes_only_what_is_missing(undisturbed: Path, tmp_path: Path) -> None:
    spec = read_spec(written_spec(tmp_path))
    whole = sweep(spec, tmp_path)
    with sqlite3.connect(whole.store) as database:
        database.execute("DELETE FROM points WHERE \"gather.window\" = 2 AND pattern = 'dense'")
        database.execute("DELETE FROM members WHERE number > 20")
    again = sweep(spec, tmp_path)
    assert again.computed == 2 * 2
    assert again.found == POINTS - again.computed
    assert table(tmp_path) == table(undisturbed)


def test_two_workers_give_the_bytes_of_one(undisturbed: Path, tmp_path: Path) -> None:
    done = sweep(read_spec(written_spec(tmp_path)), tmp_path, workers=2)
    assert done.computed == POINTS
    assert table(tmp_path) == table(undisturbed)


def test_sweeps_of_one_folder_share_their_points(tmp_path: Path) -> None:
    sweep(read_spec(written_spec(tmp_path)), tmp_path)
    wider = written_spec(tmp_path, BANKS.replace("[1, 2, 4]", "[1, 2, 4, 8]"), "wider.toml")
    done = sweep(read_spec(wider), tmp_path)
    assert done.computed == 2 * 2 * 2  # the new window, at every choice of the other fields, for two patterns
    assert done.points == POINTS + done.computed
    windows = [row["gather.window"] for row in done.rows()]
    assert windows.count(8) == done.computed + 0


def test_a_clock_that_varies_stands_in_the_column_that_rows_have(tmp_path: Path) -> None:
    varied = BANKS.replace('"gather.window" = [1, 2, 4]', 'clock_hz = ["800 MHz", "1 GHz"]')
    done = sweep(read_spec(written_spec(tmp_path, varied)), tmp_path)
    numbers = [row for row in done.rows() if row["refused"] is None and row["model_kind"] == "cycle"]
    assert {row["clock_hz"] for row in numbers} == {800_000_000, 1_000_000_000}
    for row in numbers:
        assert row["latency_s"] == pytest.approx(row["cycles"] / row["clock_hz"], rel=1e-12)  # type: ignore[operator]


def test_a_changed_model_file_is_another_sweep(tmp_path: Path) -> None:
    source = Path(gl.__file__).parent / "models" / "digits.onnx"
    (tmp_path / "net.onnx").write_bytes(source.read_bytes())
    spec = written_spec(tmp_path, BANKS.replace('"digits"', '"net.onnx"'))
    assert sweep(read_spec(spec), tmp_path / "out").computed == POINTS
    (tmp_path / "net.onnx").write_bytes(source.read_bytes() + b"\x12\x00")
    again = sweep(read_spec(spec), tmp_path / "out")
    assert (again.computed, again.found, again.points) == (POINTS, 0, POINTS)


def test_accuracies_of_the_user_stand_beside_their_points(tmp_path: Path) -> None:
    (tmp_path / "accuracy.csv").write_text('pattern,sparsity,top1\ndense,,0.9\n"gs:16,1",0.5,0.8\n', encoding="utf-8")
    text = BANKS.replace("area_mm2", "accuracy").replace('accuracy = "min"', 'accuracy = "max"')
    spec = read_spec(written_spec(tmp_path, text + '[accuracy]\nfile = "accuracy.csv"\ncolumn = "top1"\n'))
    done = sweep(spec, tmp_path)
    numbers = [row for row in done.rows() if row["refused"] is None]
    assert {(row["pattern"], row["accuracy"]) for row in numbers} == {("dense", 0.9), ("gs:16,1", 0.8)}
    assert {row["accuracy"] for row in done.rows() if row["refused"] is not None} == {None}
    (found,) = found_in(done, spec).found.fronts
    assert found.points.choices["pattern"].of(found.members[found.best(1)]) == "dense"


def test_the_summary_names_the_best_and_a_front_that_nothing_beats(undisturbed: Path) -> None:
    spec = read_spec(written_spec(undisturbed))
    done = sweep(spec, undisturbed)
    told = found_in(done, spec)
    assert (told.points, told.refused) == (POINTS, REFUSED)
    (found,) = told.found.fronts
    rows = [row for row in done.rows() if row["refused"] is None and row["area_mm2"] is not None]
    figures = [tuple(float(str(row[name])) for name in ("latency_s", "area_mm2")) for row in rows]
    kept = [tuple(found.points.values[point].tolist()) for point in found.members]
    assert kept[found.best(0)][0] == min(latency for latency, _ in figures)
    assert kept[found.best(1)][1] == min(area for _, area in figures)
    for one in kept:
        assert not any(all(a <= b for a, b in zip(other, one, strict=True)) and other != one for other in figures)


def test_a_sweep_and_its_front_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("sweep", written_spec(tmp_path), "--workers", 1) == 0
    of_sweep = capsys.readouterr().out.splitlines()
    assert status_of("front", tmp_path / "banks") == 0
    of_front = capsys.readouterr().out.splitlines()
    assert of_sweep[1 : 1 + len(of_front)] == of_front
    assert of_sweep[-2:] == [
        f"Files and pictures of the front: simulate front {tmp_path / 'banks'} --out FOLDER",
        f"All rows: simulate export {tmp_path / 'banks'} -o FILE.csv",
    ]


def test_points_that_break_a_constraint_are_no_best(tmp_path: Path) -> None:
    (slowest,) = [
        row["latency_s"] for row in evaluate(task_of(Machine(base="snapdragon-855"), pattern="dense", sparsity=None))
    ]
    text = BANKS.replace('area_mm2 = "min"\n', "") + f'[constraints]\nlatency_s = {{ least = "{slowest} s" }}\n'
    spec = read_spec(written_spec(tmp_path, text))
    (found,) = found_in(sweep(spec, tmp_path), spec).found.fronts
    assert found.count(Fate.INFEASIBLE) > 0
    assert found.points.values[found.members[found.best(0)], 0] == slowest


def test_a_sweep_that_keeps_to_no_constraint_names_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (only,) = evaluate(task_of(Machine(base="gs-tcm")))
    text = (
        'schema = 1\nname = "one"\nmodels = ["digits"]\npatterns = ["gs:16,1"]\nsparsities = [0.5]\n'
        'devices = ["gs-tcm"]\n[constraints]\nlatency_s = { most = "1 ns" }\n'
    )
    assert status_of("sweep", written_spec(tmp_path, text), "--workers", 1) == 0
    _, why, *rest = capsys.readouterr().out.splitlines()
    least_s = only["latency_s"]
    assert isinstance(least_s, float)
    nearest = scale_of("latency_s", [least_s]).text(least_s)
    assert why == (
        "sweep one: no point can be on a front: of 1, 1 breaks the constraint on latency_s "
        f"(at most 1 ns; the least is {nearest})"
    )
    assert not any("simulate front" in line for line in rest)


# --- workers


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tried").mkdir()
    monkeypatch.setenv("GATHERLINE_TEST_TRIED", str(tmp_path / "tried"))


def tasks(count: int) -> list[Task]:
    machines = [Machine(base="gs-tcm", fields=(("gather.window", 1 + n),)) for n in range(count)]
    return [replace(task_of(machine), numbers=(n,)) for n, machine in enumerate(machines)]


@pytest.mark.slow
@pytest.mark.usefixtures("tried")
def test_the_task_of_a_killed_worker_is_run_again() -> None:
    asked = tasks(2)
    found = dict(LocalProcesses(2, evaluate_or_die).run(asked))
    assert found == dict(ThisProcess().run(asked))


def test_a_task_that_kills_every_worker_is_named() -> None:
    with pytest.raises(WorkerLostError, match=rf"point 0 \(digits gs:16,1 at 0.5 on gs-tcm\): {MOST_DEATHS} workers"):
        list(LocalProcesses(1, evaluate_and_die).run(tasks(2)))


@pytest.mark.parametrize("executor", [ThisProcess(evaluate_and_fail), LocalProcesses(1, evaluate_and_fail)])
def test_a_fault_in_a_task_stops_the_run_and_is_told(executor: Executor) -> None:
    with pytest.raises(ZeroDivisionError, match="no way to run point 0"):
        list(executor.run(tasks(2)))


def test_a_model_that_is_not_there_is_an_error_of_the_user_from_a_worker_too(tmp_path: Path) -> None:
    lost = replace(
        tasks(1)[0], level=replace(tasks(1)[0].level, model=replace(tasks(1)[0].level.model, model="no.onnx"))
    )
    for executor in (ThisProcess(), LocalProcesses(1)):
        with pytest.raises(ValueError, match=r"no\.onnx"):
            list(executor.run([lost]))


@pytest.mark.slow
def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    spec = written_spec(tmp_path, many_points(4000))
    process = subprocess.Popen(
        command("sweep", spec, "--out", tmp_path / "out", "--workers", 2), stdout=subprocess.DEVNULL
    )
    workers = wait_for(lambda: children(process.pid) if len(children(process.pid)) >= 2 else [])
    process.kill()
    process.wait()
    wait_for(lambda: not any(alive(pid) for pid in workers))


# --- interrupted


def many_points(count: int) -> str:
    windows = ", ".join(str(1 + n) for n in range(count // 4))
    return (
        BANKS.replace("[1, 2, 4]", f"[{windows}]")
        .replace("[16, 24]", "[16]")
        .replace('[[devices]]\ndevice = "snapdragon-855"\n', "")
    )


def children(pid: int) -> list[int]:
    """Return the worker processes of a process, by /proc."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == pid and b"spawn_main" in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except (OSError, IndexError):
                continue
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(found: Callable[[], object], seconds: float = 60.0) -> list[int]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        result = found()
        if result:
            return result if isinstance(result, list) else []
        time.sleep(0.01)
    raise AssertionError("it did not come to pass")


@pytest.mark.slow
def test_control_c_keeps_what_is_done_and_says_so(tmp_path: Path) -> None:
    spec = written_spec(tmp_path, many_points(40_000))
    process = subprocess.Popen(
        command("sweep", spec, "--out", tmp_path / "out", "--workers", 2),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(lambda: stored(tmp_path / "out") > 0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"points are stored in {tmp_path / 'out'}; the same command goes on from there" in err
    assert err.splitlines()[-1] == "simulate: interrupted"
    assert out == ""
    assert stored(tmp_path / "out") == int(err.split(" points are stored")[0].split()[-1])


def stored(folder: Path) -> int:
    if not (folder / FILE).is_file():
        return 0
    database = sqlite3.connect(folder / FILE, timeout=30)
    try:
        return int(database.execute("SELECT count(*) FROM members").fetchone()[0])
    except sqlite3.OperationalError:  # no tables yet
        return 0
    finally:
        database.close()


def test_an_interrupted_sweep_of_python_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = read_spec(written_spec(tmp_path, many_points(4000)))

    class Stop:
        """A progress whose user presses Ctrl-C at the first points."""

        def start(self, total: int, what: str) -> None:
            assert total == spec.count

        def step(self, what: str, count: int = 1) -> None:
            if count:
                signal.raise_signal(signal.SIGINT)

        def stop(self) -> None:
            pass

    with pytest.raises(SweepInterrupted) as caught:
        sweep(spec, tmp_path, progress=Stop())
    assert caught.value.stored == stored(tmp_path) > 0


def killed_until_done(folder: Path, spec: Path, kills: int, seed: int) -> int:
    """Run a sweep again and again, killed at a random moment ``kills`` times; return how often it was killed."""
    source = random.Random(seed)
    killed = 0
    while True:
        before = stored(folder)
        process = subprocess.Popen(
            command("sweep", spec, "--out", folder, "--workers", source.choice((1, 2))),
            stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        if killed < kills:
            if source.random() < 0.7:  # most kills fall while rows come in, some while it starts
                until = time.monotonic() + 20
                while process.poll() is None and stored(folder) == before and time.monotonic() < until:
                    time.sleep(0.005)
            time.sleep(source.random() * 0.3)
            if process.poll() is None:
                process.kill()
                killed += 1
        status = process.wait()
        assert status in (0, -signal.SIGKILL)
        if (folder / FILE).is_file() and (folder / FILE).stat().st_size:
            with Store.open(folder) as store:
                assert store._database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if status == 0:
            return killed


@pytest.mark.parametrize(("points", "kills"), [(4000, 20)], ids=["twenty times"])
@pytest.mark.slow
def test_a_sweep_killed_at_any_moment_ends_as_if_it_had_not_been(tmp_path: Path, points: int, kills: int) -> None:
    spec = written_spec(tmp_path, many_points(points))
    sweep(read_spec(spec), tmp_path / "whole")
    assert killed_until_done(tmp_path / "killed", spec, kills, seed=points) == kills
    assert sorted(table(tmp_path / "killed").splitlines()) == sorted(table(tmp_path / "whole").splitlines())


@pytest.mark.slow
def test_two_sweeps_at_once_fill_one_store(undisturbed: Path, tmp_path: Path) -> None:
    spec = written_spec(tmp_path)
    both = [
        subprocess.Popen(command("sweep", spec, "--out", tmp_path / "out", "--workers", 1), stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert table(tmp_path / "out") == table(undisturbed)


# --- read elsewhere


def test_pandas_and_duckdb_read_a_sweep(undisturbed: Path, tmp_path: Path) -> None:
    import duckdb
    import pandas

    database = sqlite3.connect(undisturbed / FILE)
    frame = pandas.read_sql("SELECT * FROM rows ORDER BY number", database)
    assert len(frame) == POINTS
    assert frame["number"].tolist() == list(range(POINTS))
    assert frame["refused"].notna().sum() == REFUSED
    export(undisturbed, tmp_path / "t.parquet")
    export(undisturbed, tmp_path / "t.csv")
    parquet, text = pandas.read_parquet(tmp_path / "t.parquet"), pandas.read_csv(tmp_path / "t.csv")
    for column in ("latency_s", "scratchpad.banks", "cycles", "key"):
        assert parquet[column].dropna().tolist() == frame[column].dropna().tolist() == text[column].dropna().tolist()
    assert str(parquet["scratchpad.banks"].dtype) in ("float64", "int64")  # empty for the phone, so a float of pandas
    for name in ("t.parquet", "t.csv"):
        asked = f"SELECT count(*), min(latency_s) FROM '{tmp_path / name}' WHERE \"gather.window\" = 2"
        count, least = duckdb.sql(asked).fetchall()[0]
        assert count == POINTS // 2 // 7 * 2 * 2 + (2 * 4 - POINTS // 2 // 7 * 2 * 2)
        assert least == frame[frame["gather.window"] == 2]["latency_s"].min()
    assert duckdb.sql("SELECT count(*) FROM frame WHERE refused IS NOT NULL").fetchall() == [(REFUSED,)]


def test_a_table_of_another_kind_is_refused_and_a_failed_one_leaves_no_file(undisturbed: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"-o is .*t\.xlsx', and must end in \.csv or \.parquet"):
        export(undisturbed, tmp_path / "t.xlsx")
    with pytest.raises(OSError, match="No such file"):
        export(undisturbed, tmp_path / "no folder" / "t.csv")
    assert list(tmp_path.iterdir()) == []


# --- the command


def test_the_command_writes_beside_its_spec_and_tells_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = written_spec(tmp_path)
    assert status_of("sweep", spec, "--workers", 1) == 0
    said = capsys.readouterr().out
    assert f"Sweep banks: {POINTS} points in " in said
    assert "Fastest: " in said
    assert f"{REFUSED} refused" in said
    assert status_of("export", tmp_path / "banks", "-o", tmp_path / "t.csv") == 0
    assert f"{POINTS} points\n" in capsys.readouterr().out
    assert len((tmp_path / "t.csv").read_text().splitlines()) == POINTS + 1


def test_the_command_prints_rows_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("sweep", written_spec(tmp_path), "--workers", 1, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1
    assert [row["number"] for row in told["rows"]] == list(range(POINTS))
    assert told["manifest"]["points"] == POINTS


def test_a_dry_run_stores_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("sweep", written_spec(tmp_path), "--dry-run", "--workers", 2) == 0
    assert f"{POINTS} points, method grid" in capsys.readouterr().out
    assert not (tmp_path / "banks").exists()
    assert status_of("sweep", tmp_path / "banks.toml", "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["manifest"]["points"] == POINTS


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--max-points", 10), f"the grid has {POINTS} points, and --max-points is 10"),
        (("--workers", 0), "--workers is 0, and must be at least 1"),
        (("--workers", 2, "--scheduler", "local:2"), "--workers and --scheduler say both"),
        (("--scheduler", "nonsense"), "--scheduler is 'nonsense', and must be tcp://"),
    ],
)
def test_wrong_arguments_are_one_line_and_make_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[object, ...], words: str
) -> None:
    assert status_of("sweep", written_spec(tmp_path), *arguments) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert words in said
    assert not (tmp_path / "banks").exists()


@pytest.mark.slow
def test_a_full_disk_ends_with_status_1_and_the_next_run_goes_on(tmp_path: Path) -> None:
    spec, out = written_spec(tmp_path, many_points(400)), tmp_path / "out"
    limited = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY)); "
        "from gatherline.cli import main; main()"
    )
    environment = {**os.environ, "GATHERLINE_CACHE": "off"}
    arguments = ["sweep", str(spec), "--out", str(out), "--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-c", limited, *arguments], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 1
    assert "points stored before stay" in done.stderr
    assert "Traceback" not in done.stderr
    before = stored(out)
    assert 0 < before < 400
    assert sweep(read_spec(spec), out).found == before


def test_the_python_call_is_the_command(undisturbed: Path, tmp_path: Path) -> None:
    done = gl.run_sweep(written_spec(tmp_path))
    assert done.folder == tmp_path / "banks"
    assert table(done.folder) == table(undisturbed)
    assert next(done.rows())["number"] == 0
