"""The fronts of a sweep: one for each of its models, which do not compete, or one of all that was asked for together.

Says why a model has none: what is missing or broken, and the nearest that there is. Left out: what a front is
(``front.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatherline.report.measures import said, scale_of, title_of
from gatherline.sweep.front import Points, SweepFront, sweep_front
from gatherline.sweep.objective import ACCURACY, Constraint, Objective

SHOWN_NOTES = 2  # of the reasons why points lack a figure, the commonest
_NOTES = {"area_mm2": "area_note", "energy_pj": "energy_note"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fronts:
    """``without``: a sentence for each model that has no front, which says why."""

    fronts: tuple[SweepFront, ...]
    without: tuple[str, ...]


def fronts_of(
    sweep: str,
    points: Points,
    objectives: tuple[Objective, ...],
    constraints: tuple[Constraint, ...],
    *,
    where: Mapping[str, tuple[str, ...]] | None = None,
    together: bool = False,
) -> Fronts:
    """Return a front for each model of ``points``, or one where there is one model or they are taken together."""
    asked = where or {}
    models = points.choices["model"]
    parts: list[tuple[Mapping[str, tuple[str, ...]], Points]] = [(asked, points)]
    used = list(dict.fromkeys(models.codes.tolist()))
    if len(used) > 1 and not together:
        parts = [
            ({**asked, "model": (str(models.values[code]),)}, points.at(np.flatnonzero(models.codes == code)))
            for code in used
        ]
    fronts, without = [], []
    for where_of, of_part in parts:
        found = sweep_front(sweep, of_part, objectives, constraints, where_of)
        if found is None:
            name = ", ".join([sweep, *(" or ".join(values) for values in where_of.values())])
            without.append(f"sweep {name}: {_why_none(of_part, objectives, constraints)}")
        else:
            fronts.append(found)
    return Fronts(fronts=tuple(fronts), without=tuple(without))


def missing_figures(points: Points, objectives: tuple[Objective, ...]) -> list[str]:
    """Return for each objective that points lack how many, and the commonest reasons."""
    lines = []
    for at, objective in enumerate(objectives):
        lacking = np.flatnonzero(~np.isfinite(points.values[:, at]) & ~points.refused)
        if lacking.size:
            why = _reasons(points, objective.name, lacking)
            have = "have" if lacking.size > 1 else "has"
            lines.append(f"{lacking.size:,} {have} no {title_of(objective.name)}{f' ({why})' if why else ''}")
    return lines


def _reasons(points: Points, name: str, lacking: NDArray[np.int64]) -> str:
    if name == ACCURACY:
        return "no line of the table of accuracies is theirs"
    if name not in _NOTES:
        return ""
    notes, kinds = points.facts[_NOTES[name]], points.facts["model_kind"]
    counts: dict[str, int] = {}
    for place in lacking.tolist():
        note = notes.of(place)
        if note is None and name == "area_mm2" and kinds.of(place) == "roofline":
            note = "only accelerators have one"
        if note is not None:
            words = str(note).removeprefix(f"no {title_of(name)}: ")
            counts[words] = counts.get(words, 0) + 1
    shown = sorted(counts, key=lambda note: -counts[note])
    more = [f"{len(shown) - SHOWN_NOTES} more reasons"] if len(shown) > SHOWN_NOTES + 1 else shown[SHOWN_NOTES:]
    return "; ".join([*shown[:SHOWN_NOTES], *more])


def _why_none(points: Points, objectives: tuple[Objective, ...], constraints: tuple[Constraint, ...]) -> str:
    count = len(points.numbers)
    if not count:
        return "it has no points yet"
    parts = missing_figures(points, objectives)
    for each in constraints:
        broken = points.excess[each.name] & ~points.refused
        if broken.any():
            number = np.count_nonzero(broken)
            breaks = f"{number:,} break{'s' if number == 1 else ''} the constraint on {each.name}"
            parts.append(f"{breaks} ({_nearest(points, each)})")
    if points.refused.any():
        number = np.count_nonzero(points.refused)
        parts.append(f"{number:,} {'is' if number == 1 else 'are'} refused")
    return f"no point can be on a front: of {count:,}, {', '.join(parts)}"


def _nearest(points: Points, constraint: Constraint) -> str:
    """Return the bounds, and the figure that comes nearest to them, among points that keep to the other constraints."""
    figures, usable = points.limited[constraint.name], ~points.refused & np.isfinite(points.values).all(axis=1)
    known = (usable if usable.any() else ~points.refused) & np.isfinite(figures)
    others = known.copy()
    for name, broken in points.excess.items():
        if name != constraint.name:
            others &= ~broken
    kept, which = (figures[others], " that keeps to the others") if others.any() else (figures[known], "")
    if len(points.excess) == 1:
        which = ""
    parts = []
    if constraint.least is not None:
        parts.append(f"at least {said(constraint.name, constraint.least)}")
    if constraint.most is not None:
        parts.append(f"at most {said(constraint.name, constraint.most)}")
    bounds = " and ".join(parts)
    if not kept.size:
        return f"{bounds}; none has a figure"
    if (known & ~points.excess[constraint.name] & (others if others.any() else known)).any():
        return bounds  # it is not this one that leaves none
    below = constraint.least is not None and float(kept.max()) < constraint.least
    nearest = float(kept.max() if below else kept.min())
    shown = scale_of(constraint.name, [nearest]).text(nearest)
    return f"{bounds}; the {'most' if below else 'least'}{which} is {shown}"
