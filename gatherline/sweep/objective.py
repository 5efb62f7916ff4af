"""What a sweep looks for and must keep to: objectives, constraints, and what a row says of them.

Left out: fronts (``pareto.py``), and how accuracies are matched (``accuracy.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from gatherline.request_error import RequestError
from gatherline.sweep.accuracy import Accuracy

Direction = Literal["min", "max"]
ACCURACY = "accuracy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Something a point is judged by: its column, its unit (as ``quantity.py`` names it) and which way is better."""

    name: str
    unit: str
    better: Direction


MEASURES = (
    Measure(name="latency_s", unit="s", better="min"),
    Measure(name="peak_memory_bytes", unit="B", better="min"),
    Measure(name="storage_bytes", unit="B", better="min"),
    Measure(name="energy_pj", unit="pJ", better="min"),
    Measure(name="area_mm2", unit="mm2", better="min"),
    Measure(name="dram_bytes", unit="B", better="min"),
    Measure(name="kept_l1", unit="share", better="max"),
    Measure(name="kept_l2", unit="share", better="max"),
    Measure(name=ACCURACY, unit="", better="max"),
)
MEASURE_NAMES = tuple(measure.name for measure in MEASURES)
_SHARES = tuple(measure.name for measure in MEASURES if measure.unit == "share")
DEFAULT_OBJECTIVES = ("latency_s", "peak_memory_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A column and which way is better."""

    name: str
    direction: Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A column and its bounds, None where there is none."""

    name: str
    most: float | None = None
    least: float | None = None


def check_bound(name: str, value: float, said: str) -> None:
    """Raise RequestError for a bound that no point could be near. ``said``: where the bound stands, and its text."""
    share = name in _SHARES
    if name in MEASURE_NAMES and name != ACCURACY and (value < 0 or (share and value > 1)):
        raise RequestError(f"{said}, and must be {'from 0 to 1' if share else 'at least 0'}")


class Aims(Protocol):
    """The parts of a spec that judge a row."""

    @property
    def objectives(self) -> tuple[Objective, ...]: ...
    @property
    def constraints(self) -> tuple[Constraint, ...]: ...
    @property
    def accuracy(self) -> Accuracy | None: ...


def measured(row: Mapping[str, object], name: str, spec: Aims) -> float | None:
    """Return what a row has of a measure; None where it is refused, or the device or the user's table has no figure."""
    if name == ACCURACY:
        return None if row.get("refused") or spec.accuracy is None else spec.accuracy.of(row)
    value = row.get(name)
    return float(value) if isinstance(value, int | float) else None


def objectives_of(row: Mapping[str, object], spec: Aims) -> dict[str, float | None]:
    """Return the objectives of a row by name; None where it has no figure, so that it cannot be on a front."""
    return {objective.name: measured(row, objective.name, spec) for objective in spec.objectives}


def violations(row: Mapping[str, object], spec: Aims) -> dict[str, float]:
    """Return by how much a row breaks each constraint, as a share of the bound; {} where it keeps to all.

    A figure that a row does not have breaks its constraint, by infinity: nobody can say that it is kept.
    """
    found: dict[str, float] = {}
    for constraint in spec.constraints:
        excess = excess_of(measured(row, constraint.name, spec), constraint)
        if excess > 0:
            found[constraint.name] = excess
    return found


def excess_of(value: float | None, constraint: Constraint) -> float:
    """Return how far ``value`` is beyond the bounds, as a share of the bound; at most 0 within them."""
    if value is None:
        return float("inf")
    beyond = []
    if constraint.most is not None:
        beyond.append((value - constraint.most) / (abs(constraint.most) or 1.0))
    if constraint.least is not None:
        beyond.append((constraint.least - value) / (abs(constraint.least) or 1.0))
    return max(beyond)
