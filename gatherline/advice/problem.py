"""From tables of options and a budget to an integer programme, and back to options.

Losses are shares of the whole network, so that they add up: of its L1, or of its sum of squares (L2 kept is the square
root of what is left, so least is least). Times, bytes and energy add up over layers; buffers do not, of which the
largest counts. The upper end of the error band is linear once the widest band among the layers is fixed, so it is
solved once for each width that there is. Leaves out: the solver (``programme.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import fsum

import numpy as np

from gatherline.advice.options import STAYS, LayerTable, Option, Part, Tables
from gatherline.advice.programme import Limit, Programme, best, least
from gatherline.advice.sensitivity import Sensitivity
from gatherline.request_error import RequestError
from gatherline.total_band import LEAST_COVERED
from simulator.result import LayerResult

UNITS = {"latency": "latency_s", "memory": "memory_bytes", "storage": "storage_bytes", "energy": "energy_pj"}
COVERED = "band"
_DIGITS = 12  # to which two widths of a band are one


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a plan may take at most; at least one is given. Memory: weights, peak of activations and buffers."""

    latency_s: float | None = None
    memory_bytes: float | None = None
    storage_bytes: float | None = None
    energy_pj: float | None = None

    def __post_init__(self) -> None:
        for name, value in self.columns.items():
            if not 0.0 < value < float("inf"):
                raise RequestError(f"budget: {name} is {value:g}, and must be above 0 and finite")

    @property
    def given(self) -> dict[str, float]:
        """Return what is limited, by its name as of ``UNITS``."""
        values = {name: getattr(self, column) for name, column in UNITS.items()}
        return {name: float(value) for name, value in values.items() if value is not None}

    @property
    def columns(self) -> dict[str, float]:
        return {UNITS[name]: value for name, value in self.given.items()}

    def scaled(self, factor: float) -> Budget:
        return Budget(**{column: value * factor for column, value in self.columns.items()})

    def less(self, *names: str) -> Budget:
        """Return the budget without the limits ``names``."""
        return replace(self, **{UNITS[name]: None for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What is to be least: the share of L1 ("l1") or of the squares ("l2") that goes, or what a table says."""

    objective: str
    table: Sensitivity | None = None

    def of(self, layer: LayerTable, option: Option, tables: Tables) -> float | None:
        """Return what the network loses by one option of one layer, None where a table does not say."""
        kept = option.kept
        if self.table is not None:
            return self.table.loss(layer.layer.name, option.pattern, option.sparsity)
        if self.objective == "l2":
            return (kept.of_squares - kept.squares) / tables.squares if tables.squares else 0.0
        return (kept.of_l1 - kept.l1) / tables.l1 if tables.l1 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """An option for each table, in their order. ``gap``: by what share the loss may exceed the least; 0: proven."""

    options: tuple[Option, ...]
    loss: float
    gap: float


def settle(
    tables: Tables, losses: Losses, budget: Budget, activation_bytes: int, *, certain: bool, family: str | None
) -> Chosen | None:
    """Return the options of least loss within ``budget``, None where none are. ``family``: the only pattern allowed."""
    found: Chosen | None = None
    for width in _widths(tables) if certain else (None,):
        problem = _problem(tables, losses, budget, activation_bytes, width, family)
        if problem is None:
            continue
        choice = best(problem.programme)
        if choice is not None and (found is None or choice.loss < found.loss):
            found = Chosen(options=problem.options(choice.items), loss=choice.loss, gap=choice.gap)
    return found


def least_of(
    tables: Tables,
    losses: Losses,
    budget: Budget,
    activation_bytes: int,
    name: str,
    *,
    certain: bool,
    family: str | None,
    alone: bool,
) -> tuple[float, tuple[Option, ...]] | None:
    """Return the least that can be taken of the limit ``name``, and by which options; None where others forbid all.

    ``alone``: the other limits do not hold.
    """
    found: tuple[float, tuple[Option, ...]] | None = None
    for width in _widths(tables) if certain else (None,):
        problem = _problem(tables, losses, budget, activation_bytes, width, family)
        if problem is None:
            continue
        limit = next(limit for limit in problem.programme.limits if limit.name == name)
        choice = least(problem.programme, limit, alone=alone)
        if choice is not None and (found is None or choice.loss < found[0]):
            found = choice.loss, problem.options(choice.items)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    programme: Programme
    groups: tuple[tuple[Option, ...], ...]

    def options(self, items: Sequence[int]) -> tuple[Option, ...]:
        return tuple(group[item] for group, item in zip(self.groups, items, strict=True))


def _problem(
    tables: Tables, losses: Losses, budget: Budget, activation_bytes: int, width: float | None, family: str | None
) -> _Problem | None:
    """Return the programme, or None where a layer has no option at this ``width`` of the band."""
    fixed = list(tables.fixed.values())
    if width is not None and any(_width(part) > width for part in fixed):
        return None
    measures = _measures(budget, width)
    with_peak = budget.memory_bytes is not None
    counted = [*measures.values(), _peak] if with_peak else [*measures.values()]
    groups = []
    for table in tables.layers:
        allowed = [
            (option, loss)
            for option in table.options
            if (family in (None, option.family) or option.family in (STAYS, "dense"))
            and (width is None or _width(option) <= width)
            and (loss := losses.of(table, option, tables)) is not None
        ]
        if not allowed:
            return None
        groups.append(_undominated(allowed, counted))
    most = {**budget.given, COVERED: 0.0}
    limits = [
        Limit(
            name=name,
            most=most[name],
            costs=tuple(tuple(measure(option) for option, _ in group) for group in groups),
            fixed=fsum([float(activation_bytes if name == "memory" else 0), *map(measure, fixed)]),
            with_peak=name == "memory",
        )
        for name, measure in measures.items()
    ]
    programme = Programme(
        losses=tuple(tuple(loss for _, loss in group) for group in groups),
        limits=tuple(limits),
        peaks=tuple(tuple(_peak(option) for option, _ in group) for group in groups) if with_peak else (),
        fixed_peak=max(map(_peak, fixed), default=0.0) if with_peak else 0.0,
    )
    return _Problem(programme=programme, groups=tuple(tuple(option for option, _ in group) for group in groups))


Measure = Callable[[Part], float]


def _measures(budget: Budget, width: float | None) -> dict[str, Measure]:
    """Return what of a layer counts against each limit. ``width``: of the band of layers that have none."""
    every: dict[str, Measure] = {
        "latency": lambda part: part.result.latency_s if width is None else _high(part.result, width),
        "memory": lambda part: float(part.stored_bytes),
        "storage": lambda part: float(part.stored_bytes),
        "energy": lambda part: part.energy_pj or 0.0,
    }
    found = {name: measure for name, measure in every.items() if name in budget.given}
    if width is not None:  # the total has a band only where bands of layers cover this share of its time
        found[COVERED] = lambda part: (LEAST_COVERED - float(_width(part) > 0.0)) * part.result.latency_s
    return found


def _peak(part: Part) -> float:
    return float(part.result.counters.scratchpad_bytes)


def _high(result: LayerResult, width: float) -> float:
    return result.latency_s * width if result.latency_high_s is None else result.latency_high_s


def _width(part: Part) -> float:
    """Return the upper end of a layer's band over its time, 0 where it has none."""
    result = part.result
    return result.latency_high_s / result.latency_s if result.latency_high_s and result.latency_s else 0.0


def _widths(tables: Tables) -> tuple[float, ...]:
    """Return the different widths that a plan's widest band can have, those apart by rounding once."""
    parts = [*tables.fixed.values(), *(option for table in tables.layers for option in table.options)]
    found: dict[float, float] = {}
    for width in map(_width, parts):
        if width:
            found[round(width, _DIGITS)] = max(width, found.get(round(width, _DIGITS), 0.0))
    return tuple(found[key] for key in sorted(found))


def _undominated(
    allowed: Sequence[tuple[Option, float]], measures: Sequence[Measure]
) -> tuple[tuple[Option, float], ...]:
    """Return the options without those that another beats or equals in everything; of equals the first stays."""
    costs = np.array([[loss, *(measure(option) for measure in measures)] for option, loss in allowed])
    kept: list[int] = []
    for place, own in enumerate(costs):
        no_worse = (costs <= own).all(axis=1)
        better = no_worse & (costs < own).any(axis=1)
        if not better.any() and not no_worse[:place].any():
            kept.append(place)
    return tuple(allowed[place] for place in kept)
