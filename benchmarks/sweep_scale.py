"""What docs/scale.md extrapolates from: bytes and seconds a row in the store, seconds a task on Dask, bytes a level.

Rows are those of one evaluated point with other keys, numbers and fields. The cluster is a scheduler in this process
and two workers; its tasks compute nothing, so what is measured is the way there and back. Wall and CPU seconds of this
process; the best of three runs.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from gatherline.report.columns import Row
from gatherline.request import device_named
from gatherline.sweep.dask_cluster import dask_executor
from gatherline.sweep.dask_worker import Work
from gatherline.sweep.evaluate import evaluate
from gatherline.sweep.level_key import level_key
from gatherline.sweep.point import LevelChoice, Machine, ModelChoice, RunOptions, Task
from gatherline.sweep.store import FILE, Member, Store
from gatherline.sweep.traced import level_data

ROWS = 20_000
BATCHES = (10, 100, 1000)  # rows a transaction
TASKS = 400
POINTS = (1, 100)  # a task
RUNS = 3
DIGITS = LevelChoice(model=ModelChoice(model="digits"), pattern="gs:16,1", sparsity=0.9)
LEVELS = (
    DIGITS,
    LevelChoice(model=ModelChoice(model="mobilenet_v1"), pattern="gs:16,1", sparsity=0.9),
    LevelChoice(model=ModelChoice(model="resnet50"), pattern="gs:16,1", sparsity=0.9),
)


def task(first: int, points: int) -> Task:
    """Return a task whose points differ by one field."""
    numbers = tuple(range(first, first + points))
    machines = tuple(Machine(base="gs-tcm", fields=(("gather.window", 1 + number % 64),)) for number in numbers)
    keys = tuple(sha256(str(number).encode()).hexdigest() for number in numbers)
    return Task(level=DIGITS, options=RunOptions(), machines=machines, numbers=numbers, keys=keys)


def rows_like(row: Row, first: int, count: int) -> list[Row]:
    """Return rows with keys and windows of their own."""
    return [
        {**row, "key": sha256(str(number).encode()).hexdigest(), "fields": f'{{"gather.window": {1 + number % 64}}}'}
        for number in range(first, first + count)
    ]


def spent(work: Callable[[], None]) -> tuple[float, float]:
    """Return the wall and the CPU seconds of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def write(folder: Path, rows: list[Row], batch: int, first: int = 0) -> None:
    """Write a store of ``rows``, ``batch`` of them in a transaction."""
    with Store.open(folder) as store:
        store.know_base(device_named("gs-tcm"))
        store.add_field_columns(["gather.window"])
        sweep = store.begin("scale", name="scale", spec="", version="1", points=len(rows))
        for start in range(0, len(rows), batch):
            part = rows[start : start + batch]
            store.add(
                sweep, part, [Member(number=first + start + at, key=str(row["key"])) for at, row in enumerate(part)]
            )


def merge(into: Path, shard: Path) -> None:
    """Bring the points of a store into another: what shards written by several processes would need."""
    database = sqlite3.connect(into / FILE)
    with database:
        database.execute("ATTACH ? AS shard", (str(shard / FILE),))
        database.execute("INSERT OR IGNORE INTO points SELECT * FROM shard.points")
        database.execute("INSERT OR IGNORE INTO members SELECT * FROM shard.members")
    database.close()


def store_figures(scratch: Path) -> None:
    (row,) = evaluate(task(0, 1))
    rows = rows_like(row, 0, ROWS)
    for batch in BATCHES:
        found = []
        for turn in range(RUNS):
            folder = scratch / f"store-{batch}-{turn}"
            found.append(spent(lambda folder=folder, batch=batch: write(folder, rows, batch)))
            size = (folder / FILE).stat().st_size
        wall, cpu = min(found)
        print(f"store, {batch:4} rows a transaction: {ROWS / wall:8,.0f} rows/s ({ROWS / cpu:,.0f} a CPU second), "
              f"{size / ROWS:,.0f} B/row, {len(row)} columns")  # fmt: skip
    shard = scratch / "shard"
    write(shard, rows_like(row, ROWS, ROWS), 1000, first=ROWS)
    wall, cpu = spent(lambda: merge(scratch / f"store-{BATCHES[-1]}-0", shard))
    print(f"merge of a shard: {ROWS / wall:8,.0f} rows/s ({ROWS / cpu:,.0f} a CPU second)")


def made_up(of: Task, level: bytes) -> list[Row]:
    """Rows of the size of real ones, at once."""
    return rows_like({f"column{at}": 1.0 / (at + 1) for at in range(75)}, of.numbers[0], len(of.numbers))


def no_key(of: LevelChoice) -> str:
    return ""


def no_level(of: LevelChoice, key: str) -> bytes:
    return b"level"


def version() -> str:
    return "1"


WORK = Work(evaluate=made_up, level_key=no_key, make_level=no_level, version=version)


def tasks(points: int) -> Iterator[Task]:
    return (task(at * points, points) for at in range(TASKS))


def dask_figures() -> None:
    with dask_executor("local:2", WORK) as executor:
        executor.client.wait_for_workers(2)
        for points in POINTS:
            list(executor.run(tasks(points)))  # warm
            wall, cpu = min(
                spent(lambda points=points: [None for _ in executor.run(tasks(points))]) for _ in range(RUNS)
            )
            print(f"dask, {points:3} points a task: {1e3 * wall / TASKS:.2f} ms a task ({1e3 * cpu / TASKS:.2f} of CPU "
                  f"in scheduler and client), {TASKS * points / wall:,.0f} points/s")  # fmt: skip


def level_figures() -> None:
    for level in LEVELS:
        found = []
        _, cpu = spent(lambda level=level, found=found: found.append(level_data(level, level_key(level), None)))
        print(f"level {level.model.model} {level.pattern}: {len(found[0]) / 1e6:.2f} MB, made in {cpu:.1f} s of CPU")


def main() -> None:
    """Print the figures."""
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as scratch:
        store_figures(Path(scratch))
    level_figures()
    dask_figures()


if __name__ == "__main__":
    main()
