"""What a sweep will take, before it runs: how many points and sets of masks, and about how long.

Points are counted exactly, but for a search, which may ask for fewer. The time is extrapolated from a few real points
of each model and pattern on each device, as many as a budget of seconds allows, with the code loaded and compiled:
machines of one device differ, sparser masks are faster, and what a cache holds already costs nothing, so it is an
estimate and says so. One worker process is started to see what that takes.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gatherline.sweep.axis import Choices
from gatherline.sweep.counts import Part, levels_of, mask_label, model_label, parts_of
from gatherline.sweep.device_axes import DeviceAxes, Fields
from gatherline.sweep.effective import equal_points
from gatherline.sweep.point import LevelChoice, Machine, ModelChoice, Task
from gatherline.sweep.points import MaskRule, level_choice
from gatherline.sweep.spec import SweepSpec

Evaluate = Callable[[Task], Sequence[Mapping[str, object]]]
Start = Callable[[Task], object]  # starts a worker, which evaluates a task, and waits for it
BUDGET_S = 20.0  # of measuring, without loading code: after it, no further pattern is tried
_SHARES = (0.0, 0.25, 0.5, 0.75, 0.999)  # where on its axes the machines of a sample lie
_WARM_MODEL, _WARM_SPARSITY = "digits", 0.91  # a sparsity that a spec hardly has: it must not make its masks
_MOST_NAMED = 20  # lines of a table for the terminal
_MOST_LEVELS = 100_000  # that are looked up in a table of accuracies


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds measured on a sample: to make masks and traces once, to begin a task, and for each point."""

    model: str
    pattern: str
    device: str
    make_s: float
    task_s: float
    point_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """``points``: the most there can be; ``equal_points``: those that differ from another in nothing that counts.

    ``seconds``: about how long, on ``workers``; of it ``make_s`` for masks and ``start_s`` until workers are ready.
    """

    method: str
    points: int
    levels: int
    parts: tuple[Part, ...]
    timings: tuple[Timing, ...]
    workers: int
    seconds: float
    make_s: float
    measured: int
    measuring_s: float
    start_s: float = 0.0
    equal_points: int = 0
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return what the terminal shows."""
        shown = [f"{part.points:>12,}  {part.model}  {part.pattern}  {part.device}" for part in self.parts]
        if len(shown) > _MOST_NAMED:
            shown = [*shown[:_MOST_NAMED], f"{'':>12}  and {len(shown) - _MOST_NAMED} more combinations"]
        most = "at most " if self.method in ("nsga2", "tpe") else ""
        points, levels = _counted(self.points, "point"), _counted(self.levels, "set")
        return [
            f"{most}{points}, method {self.method}; {most}{levels} of masks",
            *shown,
            *self._equal(),
            (
                f"{_about(self.seconds)} on {self.workers} worker{'s' * (self.workers > 1)}, of it "
                f"{duration(self.make_s)} for masks and traces"
            )
            + (f" and {duration(self.start_s)} to start the workers" if self.start_s else ""),
            f"an estimate, from {_counted(self.measured, 'point')} that took {duration(self.measuring_s)} here",
            *self.notes,
        ]

    def _equal(self) -> list[str]:
        if not self.equal_points:
            return []
        alike = "1 point differs" if self.equal_points == 1 else f"{self.equal_points:,} points differ"
        return [f"{alike} from another only in an option of run that the device does not have: computed once together"]


def dry_run(
    spec: SweepSpec,
    evaluate: Evaluate,
    *,
    workers: int,
    most: int = 256,
    budget_s: float = BUDGET_S,
    clock: Callable[[], float] = time.perf_counter,
    start: Start | None = None,
) -> DryRun:
    """Return what ``spec`` will take. ``evaluate``: computes a task in this process; ``most``: points of a task.

    It should make masks that no cache holds, or the time to make them is left out. ``start``: None where workers take
    no time to start.
    """
    parts = parts_of(spec, most)
    equal = equal_points(spec, most)
    started = clock()
    sample = _Sample(spec=spec, evaluate=evaluate, clock=clock)
    timings = sample.timings(budget_s)
    start_s = 0.0 if start is None else sample.start_s(start) * max(1.0, workers / (os.cpu_count() or 1))
    make_s = run_s = 0.0
    asked = Counter[str]()
    for part in parts:
        asked[part.device] += part.points
    made: set[tuple[str, str]] = set()
    for part in parts:
        timing = _nearest(timings, part)
        different = 1.0 - equal.get(part.device, 0) / max(1, asked[part.device])
        run_s += different * (part.tasks * timing.task_s + part.points * timing.point_s)
        if (part.model, part.pattern) not in made:
            made.add((part.model, part.pattern))
            make_s += part.levels * timing.make_s
    return DryRun(
        method=spec.method.name, points=spec.count, levels=levels_of(parts), parts=tuple(parts), timings=tuple(timings),
        workers=workers, seconds=(make_s + run_s) / workers + start_s, make_s=make_s / workers, start_s=start_s,
        equal_points=sum(equal.values()), measured=sample.points, measuring_s=clock() - started,
        notes=_notes(spec, timings),
    )  # fmt: skip


@dataclass(slots=True, kw_only=True)
class _Sample:
    """Measures a few points of each model and pattern on each device, while there is time."""

    spec: SweepSpec
    evaluate: Evaluate
    clock: Callable[[], float]
    points: int = 0
    measured_s: float = 0.0

    def timings(self, budget_s: float) -> list[Timing]:
        """Return a timing for each combination that the budget reached, and for one of each model at least."""
        grid = self.spec.grid
        found: list[Timing] = []
        for at, mask in enumerate(_sparse_first(grid.masks)):
            for model in grid.models:
                if at and self.measured_s > budget_s:
                    return found
                level = level_choice(model, mask, grid.sparsity_at(mask, 0.5))
                make_s = 0.0
                self._warm_up(mask)
                for device in {device.base: device for device in grid.devices}.values():
                    timing = self._timing(level, mask, device)
                    make_s = make_s or timing.make_s  # the first device pays for masks and traces
                    found.append(replace(timing, make_s=make_s))
        return found

    def _warm_up(self, mask: MaskRule) -> None:
        """Load or compile the code that this pattern and these machines need, on the smallest model."""
        for device in self.spec.grid.devices:
            self._seconds(_warm_level(mask), device.base, _spread(device))

    def start_s(self, start: Start) -> float:
        """Return how long a worker takes to start, load its code, and compute one small point."""
        mask, device = _sparse_first(self.spec.grid.masks)[0], self.spec.grid.devices[0]
        began = self.clock()
        start(self._task(_warm_level(mask), device.base, _spread(device)[:1]))
        return self.clock() - began

    def _timing(self, level: LevelChoice, mask: MaskRule, device: DeviceAxes) -> Timing:
        machines = _spread(device)
        cold_s = self._seconds(level, device.base, machines[:1])
        warm_s = self._seconds(level, device.base, machines[:1])
        all_s = warm_s
        if len(machines) > 1:  # the second time, since some machine may be the first to need some code
            all_s = min(self._seconds(level, device.base, machines) for _ in range(2))
        point_s = max(0.0, all_s - warm_s) / (len(machines) - 1) if len(machines) > 1 else warm_s
        self.points += len(machines)
        self.measured_s += cold_s + warm_s + all_s
        return Timing(
            model=model_label(level.model), pattern=mask_label(mask), device=device.name,
            make_s=max(0.0, cold_s - warm_s), task_s=max(0.0, warm_s - point_s), point_s=point_s,
        )  # fmt: skip

    def _seconds(self, level: LevelChoice, base: str, machines: Sequence[Fields]) -> float:
        task = self._task(level, base, machines)
        started = self.clock()
        self.evaluate(task)
        return self.clock() - started

    def _task(self, level: LevelChoice, base: str, machines: Sequence[Fields]) -> Task:
        return Task(
            level=level,
            options=self.spec.grid.options[0],
            machines=tuple(Machine(base=base, fields=fields) for fields in machines),
            numbers=tuple(range(len(machines))),
            keys=tuple(f"sample-{number}" for number in range(len(machines))),  # never stored
        )


def _warm_level(mask: MaskRule) -> LevelChoice:
    sparsity = _WARM_SPARSITY if mask.sparsity is None and mask.pattern != "dense" else mask.sparsity
    return LevelChoice(model=ModelChoice(model=_WARM_MODEL), pattern=mask.pattern, sparsity=sparsity)


def _sparse_first(masks: Sequence[MaskRule]) -> list[MaskRule]:
    """Return masks with dense ones last: these have no masks to make."""
    return sorted(masks, key=lambda mask: mask.pattern == "dense")


def _spread(device: DeviceAxes) -> list[Fields]:
    """Return machines from one end of every axis to the other, each once."""
    found = []
    for share in _SHARES:
        places = [(axis, axis.at(share)) for _, axis in device.axes]
        values = [axis.values[int(at)] if isinstance(axis, Choices) else at for axis, at in places]
        found.append(device.fields(values))
    return list(dict.fromkeys(found))


def _nearest(timings: Sequence[Timing], part: Part) -> Timing:
    """Return the timing of a part; of another pattern or model on its device where the budget left it out."""
    return min(
        timings,
        key=lambda timing: (timing.device != part.device, timing.model != part.model, timing.pattern != part.pattern),
    )


def _notes(spec: SweepSpec, timings: Sequence[Timing]) -> tuple[str, ...]:
    notes = []
    patterns = {mask_label(mask) for mask in spec.grid.masks}
    measured = {timing.pattern for timing in timings}
    if patterns - measured:
        notes.append(f"not measured, and taken as the others: {', '.join(sorted(patterns - measured))}")
    if spec.accuracy is not None and spec.grid.listed and spec.grid.level_count <= _MOST_LEVELS:
        rows = [_level_row(level) for level in spec.grid.levels()]
        known = sum(spec.accuracy.of(row) is not None for row in rows)
        notes.append(f"{spec.accuracy.file} has an accuracy for {known} of {len(rows)} sets of masks")
    return tuple(notes)


def _level_row(level: LevelChoice) -> dict[str, object]:
    """Return the columns of a row that accuracies are matched by."""
    return {
        "model": Path(level.model.model).name, "pattern": level.pattern, "sparsity_target": level.sparsity,
        "ratios": level.ratios, "match": level.match, "level": level.model.level,
    }  # fmt: skip


def _counted(count: int, name: str) -> str:
    return f"{count:,} {name}{'s' * (count != 1)}"


def _about(seconds: float) -> str:
    """Return an estimate as a person says it: about 3 s, but under 0.1 s."""
    told = duration(seconds)
    return told if told.startswith("under") else f"about {told}"


def duration(seconds: float) -> str:
    """Return seconds as a person says them, to two figures or so."""
    if seconds < 0.095:
        return "under 0.1 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
