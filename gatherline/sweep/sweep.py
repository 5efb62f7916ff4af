"""Runs a sweep into a folder: computes the points that its store lacks, and says which are best.

What was computed stays whatever happens, and the same call goes on from there. Rows come out the same on any number of
workers. Left out: what a point costs (``evaluate.py``), and reading specs (``spec.py``).
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gatherline.digest import device_digest
from gatherline.progress import Progress, SilentProgress
from gatherline.report.columns import Row
from gatherline.request import device_named
from gatherline.request_error import RequestError
from gatherline.sweep.code_version import code_version
from gatherline.sweep.keys import listed_content
from gatherline.sweep.level_key import model_content
from gatherline.sweep.local import Executor, LocalProcesses, ThisProcess
from gatherline.sweep.planning import Pace, Plan, blocks_of
from gatherline.sweep.points import Block
from gatherline.sweep.shortfall import Shortfall, shortfall
from gatherline.sweep.spec import Search, SweepSpec
from gatherline.sweep.store import Store
from gatherline.sweep.store_file import FILE
from gatherline.sweep.summary import Summary, summary

SCHEMA = 1  # of what --json prints
BLOCK = 2000  # points that are looked up at a time
MOST_WORKERS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """How a sweep went. ``points``: of the sweep; ``computed`` now, ``found`` in the store, ``refused`` of the new."""

    folder: Path
    name: str
    sweep: int
    points: int
    computed: int
    found: int
    refused: int
    seconds: float

    @property
    def store(self) -> Path:
        """Return the path of the SQLite file that holds the points."""
        return self.folder / FILE

    def rows(self) -> Iterator[Row]:
        """Yield the rows in the order of the points, from the store."""
        with Store.open(self.folder, create=False) as store:
            yield from store.in_order(self.sweep)

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from gatherline.report.notebook_sweep import sweep_html

        points = {
            "points": self.points, "computed now": self.computed, "in the store before": self.found,
            "refused": self.refused,
        }  # fmt: skip
        return sweep_html(f"Sweep {self.name}, {self.seconds:.1f} s", points, self.folder)


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C: ``stored`` points of the sweep are in the store, and the same command goes on from there."""

    def __init__(self, folder: Path, stored: int) -> None:
        super().__init__()
        self.folder = folder
        self.stored = stored

    @property
    def told(self) -> str:
        """What a user should know."""
        return f"{self.stored} points are stored in {self.folder}; the same command goes on from there"


def sweep(
    spec: SweepSpec,
    folder: Path,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> SweepResult:
    """Compute the points of ``spec`` that ``folder`` lacks, in ``workers`` processes, 1 being this one.

    Raises RequestError, ModelError and DeviceError for what is wrong with the sweep as a whole, OSError for a full
    disk, WorkerLostError, SweepInterrupted; what was stored before stays.
    """
    if not 1 <= workers <= MOST_WORKERS:
        raise RequestError(f"workers is {workers}, and must be from 1 to {MOST_WORKERS}")
    shown, begun = progress or SilentProgress(), time.monotonic()
    with _executor(workers, scheduler) as executor, Store.open(folder) as store:
        for device in spec.grid.devices:
            store.know_base(device_named(device.base))
        number = store.begin(_digest(spec), name=spec.name, spec=spec.text, version=code_version(), points=spec.count)
        store.add_field_columns(spec.swept)
        plan = Plan(
            store=store,
            sweep=number,
            accuracy=None if spec.accuracy is None else spec.accuracy.of,
            told=lambda count: shown.step(_pace(plan, begun), count),
            pace=Pace(held=executor.held),
        )
        shown.start(spec.count, spec.name)
        try:
            if spec.searches:
                _follow(spec.search(), plan, executor)
            else:
                _compute(plan, executor, spec.tasks(BLOCK))
        except KeyboardInterrupt:
            raise SweepInterrupted(folder, store.members(number)) from None
        finally:
            shown.stop()
        points = store.members(number)
    return SweepResult(
        folder=folder, name=spec.name, sweep=number, points=points, computed=plan.computed, found=plan.found,
        refused=plan.refused, seconds=time.monotonic() - begun,
    )  # fmt: skip


def found_in(result: SweepResult, spec: SweepSpec) -> Summary:
    """Return the best points and the front of a sweep that ran."""
    with Store.open(result.folder, create=False) as store:
        return summary(store, result.sweep, spec)


def lacking_in(result: SweepResult, spec: SweepSpec) -> Shortfall:
    """Return what a sweep that ran lacks although all its points are there."""
    with Store.open(result.folder, create=False) as store:
        return shortfall(store, result.sweep, spec)


def rows_json(result: SweepResult) -> Iterator[str]:
    """Yield what ``--json`` prints, a row on each line: one object with schema, manifest and rows."""
    manifest = {"version": code_version(), "sweep": result.name, "points": result.points}
    yield f'{{"schema": {SCHEMA}, "manifest": {json.dumps(manifest)}, "rows": [\n'
    for at, row in enumerate(result.rows()):
        yield f"{',' if at else ''}{json.dumps(row, allow_nan=False)}\n"
    yield "]}\n"


def default_workers() -> int:
    """Return a worker for each processor that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _executor(workers: int, scheduler: str | None) -> Iterator[Executor]:
    if scheduler is None and workers == 1:
        yield ThisProcess()
        return
    if scheduler is None:
        with LocalProcesses(workers) as processes:
            yield processes
        return
    from gatherline.sweep.dask_cluster import dask_executor
    from gatherline.sweep.remote import DASK_WORK

    with dask_executor(scheduler, DASK_WORK) as executor:
        yield executor


def _compute(plan: Plan, executor: Executor, blocks: Iterable[Block]) -> None:
    for task, rows in executor.run(plan.tasks(blocks)):
        plan.store_rows(task, rows)


def _follow(search: Search, plan: Plan, executor: Executor) -> None:
    """Compute batch after batch. Rows are told from the store, so that a resumed search asks the same again."""
    while points := search.ask():
        _compute(plan, executor, blocks_of(points))
        rows = {row["number"]: row for row in plan.store.numbered(plan.sweep, [point.number for point in points])}
        search.tell([rows[point.number] for point in points])


def _digest(spec: SweepSpec) -> str:
    """Return what tells sweeps apart: the spec, the files that it names, and the version of the code."""
    grid = spec.grid
    contents = [
        [model_content(model) for model in grid.models],
        [device_digest(device_named(device.base)) for device in grid.devices],
        [listed_content(mask.ratios) for mask in grid.masks],
        [] if spec.accuracy is None else [[*key, value] for key, value in spec.accuracy.table.items()],
    ]
    return hashlib.sha256(json.dumps([spec.text, code_version(), contents]).encode()).hexdigest()


def _pace(plan: Plan, begun: float) -> str:
    """Return how fast points are computed, those that were there left out."""
    seconds = time.monotonic() - begun
    return f"{plan.computed / seconds:.3g} points/s" if plan.computed else "looking up"
