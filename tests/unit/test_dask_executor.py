"""Tasks on a Dask cluster whose scheduler and workers are processes of their own, some of which die."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import dask
import pytest

from gatherline.cache import user_cache
from gatherline.report.columns import Row
from gatherline.request_error import RequestError
from gatherline.sweep import remote as real
from gatherline.sweep.dask_cluster import ClusterLost, dask_executor, local_workers
from gatherline.sweep.dask_executor import DaskExecutor
from gatherline.sweep.dask_worker import FileNotHere, Order, make_level
from gatherline.sweep.evaluate import evaluate
from gatherline.sweep.point import LevelChoice, Machine, ModelChoice, RunOptions, Task
from tests import dask_work
from tests.dask_work import WORK, level, task

ROOT = Path(__file__).parents[2]
QUIET = {"DASK_LOGGING__DISTRIBUTED": "critical", "PYTHONPATH": str(ROOT)}
START_S = 30.0


class Cluster:
    """A scheduler and workers, each a process, on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("dask_scheduler", "--port", "0")
        wait_until(lambda: bool(self.file.exists() and self.file.read_text()))
        self.address: str = json.loads(self.file.read_text())["address"]

    def add_worker(self) -> int:
        """Start one and return its process's id."""
        folder = self.folder / f"worker{len(self.workers)}"
        folder.mkdir()
        options = ("--nthreads", "1", "--no-nanny", "--local-directory", str(folder))
        self.workers.append(self._start("dask_worker", *options, where=folder))
        return self.workers[-1].pid

    def _start(self, kind: str, *options: str, where: Path | None = None) -> subprocess.Popen[bytes]:
        shared = ("--scheduler-file", str(self.file), "--host", "127.0.0.1", "--no-dashboard")
        command = (sys.executable, "-m", f"distributed.cli.{kind}", *shared, *options)
        return subprocess.Popen(command, env={**os.environ, **QUIET}, cwd=where or self.folder)

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + START_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler without workers."""
    made = Cluster(tmp_path)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler and a worker that no test may end."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.add_worker()
        yield made
    finally:
        made.stop()


def plain(rows: list[Row]) -> list[Row]:
    """Return rows by number, without the process that made them."""
    kept = [{name: value for name, value in row.items() if name != "process"} for row in rows]
    return sorted(kept, key=lambda row: int(str(row["number"])))


def made(of: LevelChoice) -> bytes:
    return dask_work.make_level(of, dask_work.level_key(of))


def here(tasks: list[Task]) -> list[Row]:
    return plain([row for one in tasks for row in dask_work.evaluate(one, made(one.level))])


def run(executor: DaskExecutor, tasks: list[Task], then: Callable[[], None] = lambda: None) -> list[Row]:
    """Return all rows; ``then`` is done when a few tasks have ended, and each task must come once."""
    rows, ended = [], []
    for one, found in executor.run(tasks):
        rows += found
        ended.append(one)
        if len(ended) == 5:
            then()
    assert sorted(one.numbers for one in ended) == sorted(one.numbers for one in tasks)
    return rows


def test_a_killed_worker_loses_nothing_and_levels_are_made_once(cluster: Cluster, tmp_path: Path) -> None:
    victim, other = cluster.add_worker(), cluster.add_worker()
    made = tmp_path / "made"
    made.mkdir()
    levels = [level(str(made), pattern) for pattern in ("dense", "gs:16,1", "block:4x1")]
    tasks = [task(3 * at, levels[at // 20], points=3) for at in range(60)]
    expected = here(tasks)
    with dask_executor(cluster.address, WORK) as executor:
        executor.client.wait_for_workers(2, timeout=START_S)
        mine = len(list(made.iterdir()))
        calm = run(executor, tasks)
        assert plain(calm) == expected
        assert {row["process"] for row in calm} == {victim, other}
        assert len(list(made.iterdir())) == mine + len(levels)  # once in the whole cluster
        late: list[int] = []

        def kill_one_and_start_another() -> None:
            os.kill(victim, signal.SIGKILL)
            late.append(cluster.add_worker())
            wait_until(lambda: set(executor.client.run(os.getpid, on_error="ignore").values()) == {other, *late})

        disturbed = run(executor, tasks, kill_one_and_start_another)
    assert plain(disturbed) == expected
    assert {other, *late} <= {row["process"] for row in disturbed} <= {victim, other, *late}


def test_a_lost_scheduler_ends_the_run_with_one_line(cluster: Cluster, tmp_path: Path) -> None:
    cluster.add_worker()
    tasks = [task(number, level(str(tmp_path))) for number in range(200)]
    with dask_executor(str(cluster.file), WORK, connect_s=1) as executor:
        coming = executor.run(tasks)
        found = [next(coming) for _ in range(3)]
        cluster.scheduler.kill()
        said = re.escape(f"scheduler {cluster.file} is lost; what is done is stored, the same command goes on")
        with pytest.raises(ClusterLost, match=f"{said}$"):
            found.extend(coming)
    assert 3 <= len(found) < len(tasks)


def test_an_error_in_a_task_is_raised_here_and_the_cluster_goes_on(shared: Cluster, tmp_path: Path) -> None:
    fine = level(str(tmp_path))
    with dask_executor(shared.address, WORK) as executor:
        with pytest.raises(ValueError, match=r"^point 7 is wrong$"):
            list(executor.run([task(7, fine, base="wrong")]))
        assert plain(run(executor, [task(1, fine)])) == here([task(1, fine)])


@pytest.mark.slow
def test_a_task_that_kills_its_workers_is_named(tmp_path: Path) -> None:
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        dask_executor("local:1", WORK) as executor,
        pytest.raises(
            ClusterLost, match=r"^\[Errno 5\] points 5 to 6 \(.*dense, deadly\): 1 worker died working on it"
        ),
    ):
        list(executor.run([task(5, level(str(tmp_path)), points=2, base="deadly")]))


def test_a_cluster_that_loses_its_last_worker_for_good_ends_the_run(cluster: Cluster, tmp_path: Path) -> None:
    cluster.add_worker()
    with dask_executor(cluster.address, WORK, wait_s=START_S) as first:
        coming = replace(first, wait_s=0.3).run(task(number, level(str(tmp_path))) for number in range(200))
        next(coming)
        cluster.workers[0].kill()
        with pytest.raises(ClusterLost, match=r"has had no worker for 0.3 s; what is done is stored"):
            list(coming)


def test_workers_with_other_code_are_refused_before_anything_runs(shared: Cluster, tmp_path: Path) -> None:
    other = replace(WORK, version=dask_work.version_of_process)
    with (
        pytest.raises(RequestError, match=rf"^worker tcp://\S+ has version \d+ .* this process has {os.getpid()}"),
        dask_executor(shared.address, other),
    ):
        pass
    late = Order(work=WORK, version="another")
    with pytest.raises(RequestError, match="has version 1 of the code, and this process has another"):
        make_level(late, level(str(tmp_path)), "")


def test_a_worker_that_lacks_a_file_or_has_another_leaves_the_level_to_the_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATHERLINE_CACHE", "off")
    model = tmp_path / "net.onnx"
    model.write_bytes((files("gatherline") / "models" / "digits.onnx").read_bytes())
    of = LevelChoice(model=ModelChoice(model=str(model)), pattern="gs:16,1", sparsity=0.9)
    key = real.key_or_none(of)
    data = real.level_or_reason(of, key)
    assert len(data) > 1000
    with pytest.raises(FileNotHere):
        real.level_or_reason(of, "0" * 64)
    model.unlink()
    with pytest.raises(FileNotHere):
        real.level_or_reason(of, key)
    monkeypatch.setenv("GATHERLINE_CACHE", str(tmp_path / "cache"))
    cache = user_cache()
    assert cache is not None
    cache.write("levels", key, data)
    assert real.level_or_reason(of, key) == data  # nothing but the key is needed


def test_the_reason_why_a_level_cannot_be_travels_and_refuses_its_points() -> None:
    of = LevelChoice(model=ModelChoice(model="digits"), pattern="gs:16,1", sparsity=0.5, ratios="str-90.23")
    one = Task(level=of, options=RunOptions(), machines=(Machine(base="gs-tcm"),), numbers=(0,), keys=("k",))
    (expected,) = evaluate(one)
    assert expected["refused"]
    assert real.evaluate_level(one, real.level_or_reason(of, real.key_or_none(of))) == [expected]


def test_a_model_and_a_device_that_only_this_machine_has_reach_workers_elsewhere(
    shared: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # workers are in folders of their own, where the relative path leads nowhere
    Path("model.onnx").write_bytes(b"weights")
    Path("mine.toml").write_text('base = "gs-tcm"')
    tasks = [
        task(number + 8 * at, level("model.onnx", pattern), base="mine.toml")
        for at, pattern in enumerate(("dense", "gs:16,1"))
        for number in range(8)
    ]
    with dask_executor(shared.address, WORK) as executor:
        assert plain([row for _, rows in executor.run(tasks) for row in rows]) == here(tasks)


def test_an_address_is_a_scheduler_a_file_or_a_number_of_processes_here() -> None:
    assert local_workers("local:3") == 3
    assert local_workers("local") == os.cpu_count()
    assert local_workers("tcp://10.0.0.1:8786") is None
    for wrong in ("local:0", "local:many", "10.0.0.1:8786", "http://10.0.0.1:8786", ""):
        with pytest.raises(RequestError, match=f"--scheduler is '?{wrong}'?, and"), dask_executor(wrong, WORK):
            pass
    with pytest.raises(RequestError, match="there is no such file"), dask_executor("/nowhere/s.json", WORK):
        pass


def test_nobody_at_the_address_is_an_error_soon() -> None:
    with (
        pytest.raises(RequestError, match=r"--scheduler is tcp://127.0.0.1:1, and no scheduler answers there") as error,
        dask_executor("tcp://127.0.0.1:1", WORK, connect_s=0.3),
    ):
        pass
    assert "\n" not in str(error.value)


def test_a_scheduler_without_workers_is_an_error(cluster: Cluster) -> None:
    with (
        pytest.raises(ClusterLost, match=r"has no worker after 0.2 s; start some and run again"),
        dask_executor(cluster.address, WORK, wait_s=0.2),
    ):
        pass


def test_without_the_extra_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RequestError, match=r"needs the extra distributed: pip install"), dask_executor("local", WORK):
        pass
