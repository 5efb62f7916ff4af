"""One choice for each group at the least loss within limits: a multiple-choice knapsack, solved by HiGHS.

Exact: losses and costs are numbers of tables, choices are whole. What must fit is a sum, or a sum and the largest of
the peaks of what is chosen. The solver works within tolerances, so every answer is added up again exactly, and one that
breaks a limit is forbidden and the rest solved again. Knows nothing of layers. Leaves out: two limits with other peaks.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from math import fsum
from tempfile import TemporaryFile
from typing import Any

import numpy as np

TIME_LIMIT_S = 10.0
MOST_REPAIRS = 50
_SCALE = 1e4  # of the largest loss, so that the solver's absolute tolerances are below 1e-9 of it
_LIMIT_SCALE = 1e2  # of limits; tighter tolerances make the solver doubt its own answers
_GAP = 1e-9
_STOPPED, _INFEASIBLE = 1, 2
_NOTE = b"HighsMip"

Matrix = tuple[tuple[float, ...], ...]  # [groups][items]


class SolverError(RuntimeError):
    """The solver ended without an answer and without a proof that there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The ``costs`` of what is chosen, with ``fixed`` and, ``with_peak``, the largest peak, are at most ``most``."""

    name: str
    most: float
    costs: Matrix
    fixed: float = 0.0
    with_peak: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """``losses``: what is to be least; ``peaks``: with ``fixed_peak``, of which the largest counts."""

    losses: Matrix
    limits: tuple[Limit, ...]
    peaks: Matrix = ()
    fixed_peak: float = 0.0

    def used(self, limit: Limit, items: Sequence[int]) -> float:
        """Return what ``items``, one of each group, take of ``limit``."""
        costs = [group[item] for group, item in zip(limit.costs, items, strict=True)]
        peaks = [group[item] for group, item in zip(self.peaks, items, strict=True)] if limit.with_peak else []
        peak = max([self.fixed_peak, *peaks]) if limit.with_peak else 0.0
        return fsum([limit.fixed, peak, *costs])

    def loss(self, items: Sequence[int]) -> float:
        return fsum(group[item] for group, item in zip(self.losses, items, strict=True))

    def keeps(self, items: Sequence[int]) -> bool:
        return all(self.used(limit, items) <= limit.most for limit in self.limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The item of each group. ``gap``: how far below its loss the best could lie, as a share; 0: it is the best."""

    items: tuple[int, ...]
    loss: float
    gap: float = 0.0

    @property
    def proven(self) -> bool:
        return self.gap == 0.0


def best(programme: Programme, time_limit_s: float = TIME_LIMIT_S) -> Choice | None:
    """Return the choice of least loss that keeps all limits, None where none does. Raises SolverError."""
    return _solved(programme, programme.losses, None, time_limit_s)


def least(programme: Programme, limit: Limit, *, alone: bool, time_limit_s: float = TIME_LIMIT_S) -> Choice | None:
    """Return the choice that takes least of ``limit``, within the other limits unless it is ``alone``.

    Its ``loss`` is what it takes. None where the other limits cannot be kept.
    """
    others = () if alone else tuple(one for one in programme.limits if one is not limit)
    part = Programme(losses=limit.costs, limits=others, peaks=programme.peaks, fixed_peak=programme.fixed_peak)
    found = _solved(part, limit.costs, limit, time_limit_s)
    return None if found is None else Choice(items=found.items, loss=programme.used(limit, found.items), gap=found.gap)


def _solved(programme: Programme, weights: Matrix, peaked: Limit | None, time_limit_s: float) -> Choice | None:
    if not weights:
        return Choice(items=(), loss=0.0) if programme.keeps(()) else None
    forbidden: list[tuple[int, ...]] = []
    for _ in range(MOST_REPAIRS):
        found = _highs(programme, weights, peaked, forbidden, time_limit_s)
        if found is None or programme.keeps(found.items):
            return found
        forbidden.append(found.items)
    raise SolverError(f"{MOST_REPAIRS} answers of the solver broke a limit by less than its tolerance")


def _highs(
    programme: Programme,
    weights: Matrix,
    peaked: Limit | None,
    forbidden: Sequence[tuple[int, ...]],
    time_limit_s: float,
) -> Choice | None:
    """Solve once. Variables: one of each item, in order, and last the largest peak."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    starts = np.cumsum([0, *(len(group) for group in weights)])
    size = int(starts[-1])
    with_peak = bool(programme.peaks)
    flat = np.array([cost for group in weights for cost in group])
    scale = _SCALE / (float(np.abs(flat).max()) or 1.0)
    peak_unit = max([1.0, programme.fixed_peak, *(peak for group in programme.peaks for peak in group)])
    minimised = np.append(flat * scale, peak_unit * scale if peaked is not None and peaked.with_peak else 0.0)
    with _without_notes():
        result = milp(
            minimised,
            integrality=np.append(np.ones(size), 0),
            bounds=Bounds(np.append(np.zeros(size), programme.fixed_peak / peak_unit), np.append(np.ones(size), 1.0)),
            constraints=[
                LinearConstraint(matrix, low, high)
                for matrix, low, high in _rows(programme, starts, with_peak, peak_unit, forbidden)
            ],
            options={"time_limit": time_limit_s, "mip_rel_gap": _GAP},
        )
    if result.status == _INFEASIBLE:
        return None
    if result.x is None or result.status not in (0, _STOPPED):
        raise SolverError(f"the solver found no answer within {time_limit_s:g} s: {result.message}")
    items = tuple(int(np.argmax(result.x[start:end])) for start, end in pairwise(starts))
    gap = 0.0 if result.status == 0 else max(float(result.mip_gap), _GAP)
    return Choice(items=items, loss=fsum(group[item] for group, item in zip(weights, items, strict=True)), gap=gap)


@contextmanager
def _without_notes() -> Iterator[None]:
    """Keep standard output clean: the solver's library writes notes of its own there, whatever it is told.

    What others write there meanwhile comes after.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    with TemporaryFile() as aside:
        try:
            os.dup2(aside.fileno(), 1)
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)
            aside.seek(0)
            for line in aside:
                if not line.startswith(_NOTE):
                    os.write(1, line)


def _rows(
    programme: Programme,
    starts: np.ndarray[Any, Any],
    with_peak: bool,
    peak_unit: float,
    forbidden: Sequence[tuple[int, ...]],
) -> list[tuple[Any, Any, Any]]:
    """Return (matrix, low, high): one of each group, the limits, the peak above every peak, what is forbidden."""
    from scipy.sparse import csr_array

    groups, size = len(starts) - 1, int(starts[-1])
    group_of = np.repeat(np.arange(groups), np.diff(starts))
    columns = np.arange(size)
    one = csr_array((np.ones(size), (group_of, columns)), shape=(groups, size + 1))
    rows: list[tuple[Any, Any, Any]] = [(one, 1.0, 1.0)]
    if programme.limits:
        matrix = np.zeros((len(programme.limits), size + 1))
        high = np.zeros(len(programme.limits))
        for number, limit in enumerate(programme.limits):
            costs = np.array([cost for group in limit.costs for cost in group])
            unit = _LIMIT_SCALE / max(abs(limit.most - limit.fixed), float(np.abs(costs).max()) or 1.0)
            matrix[number, :size] = costs * unit
            matrix[number, size] = peak_unit * unit if limit.with_peak else 0.0
            high[number] = (limit.most - limit.fixed) * unit
        rows.append((matrix, -np.inf, high))
    if with_peak:
        peaks = np.array([peak for group in programme.peaks for peak in group]) / peak_unit
        where = np.append(columns, np.full(groups, size))
        above = csr_array(
            (np.append(peaks, -np.ones(groups)), (np.append(group_of, np.arange(groups)), where)),
            shape=(groups, size + 1),
        )
        rows.append((above, -np.inf, 0.0))
    for items in forbidden:
        cut = np.zeros((1, size + 1))
        cut[0, starts[:-1] + np.array(items)] = 1.0
        rows.append((cut, -np.inf, groups - 1.0))
    return rows
