"""What a sweep found: the best point by each objective, and the front of those that nothing beats.

Only points that keep to the constraints count. Read from the store a row at a time, with the few columns that matter.
Left out: knees, hypervolumes and plots (``simulate front``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gatherline.report.columns import Row
from gatherline.sweep.objective import Constraint, Objective, excess_of
from gatherline.sweep.pareto import front
from gatherline.sweep.spec import SweepSpec
from gatherline.sweep.store import Store

MOST = 20  # rows of a front: it may have most of a sweep's points, and ``simulate front`` shows it


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """``best``: each objective with its first best point. ``front``: rows by rising first objective, ``MOST`` at most.

    ``on_front``: points that nothing beats. ``refused``: points without numbers, ``excluded``: points that break a
    constraint or lack a figure that it needs.
    """

    points: int
    refused: int
    excluded: int
    best: tuple[tuple[Objective, Row], ...]
    on_front: int
    front: tuple[Row, ...]


def summary(store: Store, sweep: int, spec: SweepSpec) -> Summary:
    """Return what the stored points of ``sweep`` come to."""
    aims = [objective.name for objective in spec.objectives] + [constraint.name for constraint in spec.constraints]
    names = list(dict.fromkeys(aims))
    numbers: list[int] = []
    values: list[list[float]] = []
    points = refused = excluded = 0
    for row in store.in_order(sweep, ("number", "refused", *names)):
        points += 1
        if row["refused"] is not None:
            refused += 1
        elif any(_excess(row, constraint) > 0 for constraint in spec.constraints):
            excluded += 1
        else:
            number = row["number"]
            assert isinstance(number, int)
            numbers.append(number)
            values.append([_value(row, objective.name) for objective in spec.objectives])
    table = np.array(values, dtype=np.float64).reshape(len(values), len(spec.objectives))
    maximise = [objective.direction == "max" for objective in spec.objectives]
    best = [_best(table[:, at], up) for at, up in enumerate(maximise)]
    kept = front(table, maximise)
    shown = kept[np.lexsort((kept, table[kept, 0]))][:MOST] if len(kept) else kept
    needed = {numbers[place] for place in [*shown.tolist(), *best] if place is not None}
    rows = {row["number"]: row for row in store.numbered(sweep, sorted(needed))}
    return Summary(
        points=points,
        refused=refused,
        excluded=excluded,
        best=tuple(
            (objective, rows[numbers[place]])
            for objective, place in zip(spec.objectives, best, strict=True)
            if place is not None
        ),
        on_front=len(kept),
        front=tuple(rows[numbers[place]] for place in shown.tolist()),
    )


def _value(row: Row, name: str) -> float:
    value = row[name]
    return float(value) if isinstance(value, int | float) else float("nan")


def _excess(row: Row, constraint: Constraint) -> float:
    value = row[constraint.name]
    return excess_of(float(value) if isinstance(value, int | float) else None, constraint)


def _best(column: np.ndarray, maximise: bool) -> int | None:
    """Return the place of the first best value, None where no point has one."""
    costs = np.where(np.isnan(column), np.inf, -column if maximise else column)
    return int(np.argmin(costs)) if np.isfinite(costs).any() else None
