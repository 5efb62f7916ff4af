"""From a task to its rows: a level is traced once, and each of its layers runs on all machines before the next does.

A row holds what the total row of ``simulate run`` holds, to the last bit: both come from the same functions. A machine
that cannot be, or cannot run the level, becomes a refused row with the reason; what is wrong for the whole sweep (a
model that is not there) is raised. Left out: rows of layers, and where rows go (``store.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from costmodel.area import area
from costmodel.spec import RooflineDevice
from costmodel.tables.catalog import technology_named
from costmodel.technology import TechnologyError
from gatherline.cache import Cache, user_cache
from gatherline.device_fields import with_fields
from gatherline.digest import device_digest
from gatherline.fpga_engine import built_for_work
from gatherline.pipeline import run_layer
from gatherline.report.columns import Row
from gatherline.report.plain import plain
from gatherline.request import RequestError, RunRequest, Target, device_named, with_dtype
from gatherline.rows import LayerOutcome, outcome, total_row
from gatherline.sweep.code_version import code_version
from gatherline.sweep.columns import TOTAL_NAMES, point_row
from gatherline.sweep.keys import fields_json, listed
from gatherline.sweep.point import LevelChoice, Machine, Task, run_request
from gatherline.sweep.rooflines import changed_columns, fits, totals_of, varied_of, worth_together
from gatherline.sweep.traced import TracedLevel, run_facts, traced_level
from patterns.base import PatternError
from patterns.encodings.base import EncodingError
from simulator.simulate import Programs
from simulator.spec import Device, DeviceError
from traces.ratios import RatioError

OF_A_POINT = (DeviceError, EncodingError, PatternError)  # of one machine: the others of its task go on
OF_A_LEVEL = (PatternError, RatioError, RequestError)  # of masks that this model cannot have, on any machine


@dataclass(slots=True, kw_only=True)
class _Run:
    """One machine of a task under way. ``refused``: why it stopped."""

    device: Target
    outcomes: list[LayerOutcome]
    refused: str = ""


def evaluate(task: Task) -> list[Row]:
    """Return the row of every machine of ``task``, in its order. Raises ModelError and OSError."""
    return _evaluate(task, _cache())


def evaluate_uncached(task: Task) -> list[Row]:
    """Return what ``evaluate`` does, with masks made anew whatever a cache holds: what the first run pays."""
    return _evaluate(task, None)


def _evaluate(task: Task, cache: Cache | None) -> list[Row]:
    try:
        level = _level(task.level, cache)
    except OF_A_LEVEL as error:
        return refused_rows(task, str(error))
    return rows_on(task, level)


def refused_rows(task: Task, why: str) -> list[Row]:
    """Return the rows of a task whose masks cannot be."""
    return [_refused(task, place, why, None) for place in range(len(task.machines))]


def rows_on(task: Task, level: TracedLevel) -> list[Row]:
    """Return the rows of a task whose level is ready."""
    request, base = run_request(task.level, task.options), task.machines[0].base
    alike = all(machine.base == base for machine in task.machines)
    if alike and worth_together(_base(base).device, task.machines, request):
        rows = _together(task, level, request)
        if rows is not None:
            return rows
    return _one_by_one(task, level, request, range(len(task.machines)))


def _one_by_one(task: Task, level: TracedLevel, request: RunRequest, places: Sequence[int]) -> list[Row]:
    """Return the rows of the machines at ``places``: any devices, layer by layer."""
    built = [_built(task.machines[place], level, request) for place in places]
    _run_layers([run for run in built if isinstance(run, _Run)], level, request)
    return [_row(task, place, run, level, request) for place, run in zip(places, built, strict=True)]


def _row(task: Task, place: int, run: _Run | str, level: TracedLevel, request: RunRequest) -> Row:
    refused = run if isinstance(run, str) else run.refused
    if isinstance(run, str) or refused:
        return _refused(task, place, refused, level)
    return _finished(task, place, run, level, request)


def _together(task: Task, level: TracedLevel, request: RunRequest) -> list[Row] | None:
    """Return the rows of rooflines of one base; None where they have to run one by one.

    Raises AssertionError where the one that also runs by itself has another row: a fault of ours.
    """
    base = _base(task.machines[0].base).device
    assert isinstance(base, RooflineDevice)
    try:
        varied = varied_of(base, task.machines)
    except DeviceError:
        return None  # each says for itself what is wrong
    if varied is None:
        return None
    for place in varied.accepted.tolist():
        run = _built(task.machines[place], level, request)
        if isinstance(run, _Run):
            _run_layers([run], level, request)
            if not run.refused:
                break
    else:
        return None
    totals = totals_of(level, varied, request, run.outcomes)
    if not fits(totals):
        return None
    alone = _finished(task, place, run, level, request)
    rows = []
    for at, columns in enumerate(changed_columns(totals, level, request, alone)):
        why = totals.refused.get(at)
        if why is None:
            rows.append({**alone, **columns, "key": task.keys[at], "fields": fields_json(task.machines[at].fields)})
        else:
            rows.append(_refused(task, at, why, level))
    different = [name for name in alone if rows[place][name] != alone[name]]
    assert not different, f"{task.keys[place]}: {', '.join(different)} came out different among other points"
    return rows


@lru_cache(maxsize=1)
def _cache() -> Cache | None:
    return user_cache()


@lru_cache(maxsize=1)
def _level(level: LevelChoice, cache: Cache | None) -> TracedLevel:
    """The level that ran last is kept: tasks of one level follow one another."""
    return traced_level(level, cache)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Base:
    device: Target
    digest: str


@lru_cache(maxsize=64)
def _base(name: str) -> _Base:
    device = device_named(name)
    return _Base(device=device, digest=device_digest(device))


def _built(machine: Machine, level: TracedLevel, request: RunRequest) -> _Run | str:
    """Return a machine ready to run, or why it cannot be."""
    base = _base(machine.base).device
    try:
        device = with_dtype(with_fields(base, dict(machine.fields)) if machine.fields else base, request.dtype)
        if isinstance(device, RooflineDevice) and request.dtype not in device.dtypes:
            return f"dtype is {request.dtype!r}, and {device.name} has {', '.join(device.dtypes)}"
        return _Run(device=built_for_work(device, level.engine, request.dtype, request.encoding), outcomes=[])
    except OF_A_POINT as error:
        return str(error)


def _run_layers(runs: Sequence[_Run], level: TracedLevel, request: RunRequest) -> None:
    """Run every layer on every machine. The masks of one layer, and its programs, are held at a time."""
    for trace in level.traces():
        programs: Programs = {}
        for run in runs:
            if run.refused:
                continue
            try:
                run.outcomes.append(outcome(trace, run_layer(request, trace, run.device, programs)))
            except OF_A_POINT as error:
                run.refused = str(error)
            except (ArithmeticError, AssertionError) as error:
                if not isinstance(run.device, RooflineDevice):
                    raise
                # a number that no rule of a device refuses and no kernel can have, as ``costmodel.many`` says it
                run.refused = f"device {run.device.name}: layer {trace.layer.name}: {error}"


def _finished(task: Task, place: int, run: _Run, level: TracedLevel, request: RunRequest) -> Row:
    try:
        total = total_row(run_facts(task.level, task.options, level, run.device), run.outcomes)
    except DeviceError as error:  # a count beyond what a row holds
        return _refused(task, place, str(error), level)
    found = {name: plain(total[name]) for name in TOTAL_NAMES}
    return point_row(
        {
            **_asked(task, place, level),
            **found,
            "threads": total["threads"],
            "clock_hz": run.device.clock_hz if isinstance(run.device, Device) else total["clock_hz"],
            "storage_bytes": stored_bytes(total),
            "encodings": total["encoding"],
            **_area(run.device, request),
            "kept_l1": level.kept_l1,
            "kept_l2": level.kept_l2,
        }
    )


def stored_bytes(total: Row) -> int:
    """Return the bytes of stored weights: values and indices."""
    values, indices = total["weight_bytes"], total["index_bytes"]
    assert isinstance(values, int)
    assert isinstance(indices, int)
    return values + indices


def _area(device: Target, request: RunRequest) -> dict[str, object]:
    if not isinstance(device, Device):
        return {}
    try:
        return {"area_mm2": area(device, technology_named(request.technology)).total_mm2}
    except TechnologyError as error:
        return {"area_note": str(error)}


def _refused(task: Task, place: int, why: str, level: TracedLevel | None) -> Row:
    return point_row({**_asked(task, place, level), "refused": " ".join(why.split())})


def _asked(task: Task, place: int, level: TracedLevel | None) -> Row:
    """Return the columns that say what the point is. ``level`` None: its masks could not be made."""
    of, options, machine = task.level, task.options, task.machines[place]
    base, sparsity = _base(machine.base), of.sparsity if level is None else level.sparsity
    return {
        "key": task.keys[place],
        "model": Path(of.model.model).name if level is None else level.model,
        "level": of.model.level,
        "seed": of.model.seed,
        "input_shape": of.model.input_shape,
        "pattern": of.pattern if level is None else level.pattern,
        "sparsity_target": sparsity,
        "ratios": None if sparsity is None else listed(of.ratios),
        "match": of.match,
        "prune_all": of.prune_all,
        "device": base.device.name,
        "device_hash": base.digest,
        "device_kind": base.device.kind,
        "model_kind": "cycle" if isinstance(base.device, Device) else "roofline",
        "fields": fields_json(machine.fields),
        "dtype": options.dtype,
        "batch": of.model.batch if level is None else level.batch,
        "threads": options.threads,
        "encoding": options.encoding,
        "order": options.order,
        "mapping": options.mapping,
        "technology": options.technology,
        "version": code_version(),
    }
