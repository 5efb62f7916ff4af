"""Searches by Optuna: NSGA-II and TPE over several objectives, asked for a population at a time.

Nothing is stored here: a search that is told the same rows asks for the same points, so resuming replays it from the
rows that a store has. Every batch is told in its order, whoever computed it. A point that a search asks for again is
answered from memory and does not count. Left out: Optuna's own storage.

Reference: Deb et al., NSGA-II, 2002; Ozaki et al., multi-objective TPE, 2020.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from gatherline.device_fields import FieldValue
from gatherline.request_error import RequestError
from gatherline.sweep.axis import Axis, Choices, Interval
from gatherline.sweep.objective import Aims, excess_of, measured, objectives_of
from gatherline.sweep.point import LevelChoice, Machine, Point, RunOptions
from gatherline.sweep.points import Grid, level_choice, rounded_sparsity

if TYPE_CHECKING:
    import optuna

_TRIES = 4  # for each point of a batch: a batch may be smaller, and an empty one ends the search
_VIOLATIONS = "violations"
_FAR = 1e12  # of a violation that has no size: a figure that is not there
Key = tuple[LevelChoice, RunOptions, Machine]


class Settings(Protocol):
    """The parts of a spec's method that a search uses."""

    @property
    def name(self) -> str: ...
    @property
    def points(self) -> int | None: ...
    @property
    def seed(self) -> int: ...
    @property
    def population(self) -> int: ...


class OptunaSearch:
    """State of one search. ``ask`` and ``tell`` alternate."""

    def __init__(self, grid: Grid, aims: Aims, method: Settings) -> None:
        """Start a search. Raises RequestError where Optuna is missing."""
        assert method.points is not None
        self._grid, self._aims, self._method = grid, aims, method
        self._left = min(method.points, grid.count) if grid.listed else method.points
        self._asked = 0
        self._told: dict[Key, Mapping[str, object]] = {}
        self._batch: list[tuple[Key, list[optuna.Trial]]] = []
        self._study = _study(aims, method)

    def ask(self) -> list[Point]:
        """Return the next batch: points that were not asked for before. [] when the search is done."""
        if self._batch:
            raise RequestError("a search was asked for points before it was told the last ones")
        wanted = min(self._method.population, self._left)
        found: dict[Key, tuple[Point, list[optuna.Trial]]] = {}
        for _ in range(wanted * _TRIES):
            if len(found) == wanted:
                break
            with _quiet():
                trial = self._study.ask()
                point = _suggested(trial, self._grid, self._asked + len(found))
            key = (point.level, point.options, point.machine)
            if key in self._told:
                self._tell(trial, self._told[key])
            else:
                found.setdefault(key, (point, []))[1].append(trial)
        self._left = self._left - len(found) if found else 0
        self._asked += len(found)
        self._batch = [(key, trials) for key, (_, trials) in found.items()]
        return [point for point, _ in found.values()]

    def tell(self, results: Sequence[Mapping[str, object]]) -> None:
        """Take the rows of the last batch, in its order. A row with "refused" has no figures."""
        if len(results) != len(self._batch):
            raise RequestError(f"a search asked for {len(self._batch)} points, and was told {len(results)}")
        batch, self._batch = self._batch, []
        for (key, trials), row in zip(batch, results, strict=True):
            self._told[key] = row
            for trial in trials:
                self._tell(trial, row)

    def _tell(self, trial: optuna.Trial, row: Mapping[str, object]) -> None:
        from optuna.trial import TrialState

        values = list(objectives_of(row, self._aims).values())
        with _quiet():
            if any(value is None for value in values):
                self._study.tell(trial, state=TrialState.FAIL)
                return
            excess = [excess_of(measured(row, one.name, self._aims), one) for one in self._aims.constraints]
            trial.set_user_attr(_VIOLATIONS, [min(one, _FAR) for one in excess])
            self._study.tell(trial, [value for value in values if value is not None])


def _study(aims: Aims, method: Settings) -> optuna.Study:
    try:
        import optuna  # noqa: F401 - here, since it sets up its log when it is imported
    except ImportError:
        raise RequestError(
            f"method {method.name} needs Optuna, which is not installed: pip install 'gatherline[search]'"
        ) from None
    with _quiet():
        return _new_study(aims, method)


def _new_study(aims: Aims, method: Settings) -> optuna.Study:
    import optuna

    bounds = _violations if aims.constraints else None
    sampler: optuna.samplers.BaseSampler
    if method.name == "nsga2":
        sampler = optuna.samplers.NSGAIISampler(
            population_size=method.population, seed=method.seed, constraints_func=bounds
        )
    else:
        sampler = optuna.samplers.TPESampler(
            seed=method.seed, multivariate=True, group=True, constant_liar=True, constraints_func=bounds
        )
    directions = ["minimize" if objective.direction == "min" else "maximize" for objective in aims.objectives]
    return optuna.create_study(sampler=sampler, directions=directions)


def _violations(trial: optuna.trial.FrozenTrial) -> Sequence[float]:
    found: list[float] = trial.user_attrs[_VIOLATIONS]
    return found


def _suggested(trial: optuna.Trial, grid: Grid, number: int) -> Point:
    """Return the point that a trial chooses: names as categories, numbers by their order."""
    model = grid.models[_category(trial, "model", len(grid.models))]
    mask = grid.masks[_category(trial, "mask", len(grid.masks))]
    sparsity = mask.sparsity
    if mask.varies:
        sparsity = float(_value(trial, "sparsity", grid.sparsities))
        if isinstance(grid.sparsities, Interval):
            sparsity = rounded_sparsity(sparsity)
    options = grid.options[_category(trial, "options", len(grid.options))]
    at = _category(trial, "device", len(grid.devices))
    device = grid.devices[at]
    values = [_value(trial, f"device {at} {path}", axis) for path, axis in device.axes]
    return Point(
        number=number,
        level=level_choice(model, mask, sparsity),
        options=options,
        machine=Machine(base=device.base, fields=device.fields(values)),
    )


def _category(trial: optuna.Trial, name: str, count: int) -> int:
    return 0 if count == 1 else int(trial.suggest_categorical(name, list(range(count))))


def _value(trial: optuna.Trial, name: str, axis: Axis) -> Any:
    """Return the value of an axis that a trial chooses."""
    if isinstance(axis, Choices):
        count = len(axis.values)
        at = trial.suggest_int(name, 0, count - 1) if axis.ordered and count > 1 else _category(trial, name, count)
        return axis.values[at]
    return _within(trial, name, axis)


def _within(trial: optuna.Trial, name: str, axis: Interval) -> FieldValue:
    log = axis.scale == "log"
    if axis.form == "whole":
        return int(trial.suggest_int(name, int(axis.low), int(axis.high), log=log))
    return axis.near(trial.suggest_float(name, float(axis.low), float(axis.high), log=log))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's log and its warnings of interfaces that may change from the user's terminal."""
    import logging

    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
