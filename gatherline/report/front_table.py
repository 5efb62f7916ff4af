"""The answers of a front in a sentence for each question, and the front as a table.

Of what points differ by, the table has what differs along the front, with the values of all points that share a place.
Left out: remarks (``front_remarks.py``), and the other columns of the points, which front.csv and front.json have.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatherline.report.measures import Scale, said, scale_of, title_of
from gatherline.report.selection import printable
from gatherline.sweep.front import CHOSEN_BY_NONE, Choice, Fate, Points, SweepFront
from gatherline.sweep.objective import Constraint
from gatherline.sweep.pareto import LEAST_FOR_A_KNEE

SHOWN_MEMBERS = 40  # the rest are in front.csv
SHOWN_VALUES = 3  # of a choice in which points with the same figures differ
SAME_SPARSITY = 0.005  # what was reached is told apart from what was asked beyond half a point
NONE_IS = {"encoding": "the pattern's own", "mapping": "the mapper's", "level": "all"}
LEAST = {"latency_s": "Fastest"}  # as people say it


def headlines(found: SweepFront) -> list[str]:
    """Return a sentence for each question: the best of each objective, the knee, how much the front covers."""
    scales = scales_of(found)
    within = within_text(found.constraints).strip()
    lines = [f"{within[:1].upper()}{within[1:]}:"] if within else []
    for at in range(len(found.objectives)):
        lines.append(f"{superlative(found, at)}: {_told(found, found.best(at), at, scales)}")
    if found.knee is not None:
        lines.append(f"Knee{_also(found, found.knee)}: {_told(found, found.knee, None, scales)}")
    elif len(found.objectives) > 1:
        lines.append(f"Knee: none; {why_no_knee(found)}")
    if found.volume_share and len(found.objectives) > 1 and len(found.members) > 1:
        corner = ", ".join(
            f"{scale.title} {scale.text(value)}" for scale, value in zip(scales, found.reference, strict=True)
        )
        lines.append(
            f"Hypervolume: {found.volume_share:.1%} of the box from the best of each objective to the reference, "
            f"the worst of each over feasible points ({corner})"
        )
    return lines


def on_front_text(found: SweepFront) -> str:
    """Return how many points are on the front, and how many of them differ in their objectives."""
    count, members = found.count(Fate.FRONT), len(found.members)
    distinct = "" if count == members else f" (with {members:,} distinct set{'s' * (members > 1)} of objectives)"
    return f"{count:,} on the front{distinct}"


def scales_of(found: SweepFront) -> list[Scale]:
    """Return how each objective is shown, by its values on the front."""
    best = found.points.values[list(found.members)]
    return [scale_of(each.name, best[:, at].tolist()) for at, each in enumerate(found.objectives)]


def within_text(constraints: Sequence[Constraint]) -> str:
    """Return the words for constraints, as " with latency at most 20 ms"; "" without any."""
    parts = []
    for each in constraints:
        bounds = [f"at least {said(each.name, each.least)}"] if each.least is not None else []
        bounds += [f"at most {said(each.name, each.most)}"] if each.most is not None else []
        parts.append(f"{title_of(each.name)} {' and '.join(bounds)}")
    return f" with {', '.join(parts)}" if parts else ""


def choice_text(found: SweepFront, point: int, among: Sequence[Choice]) -> str:
    """Return what was chosen for a point, as "gs:16,1 at 90 % on gs-tcm, scratchpad.banks 32"."""
    return point_text(found.points, point, among)


def point_text(points: Points, point: int, among: Sequence[Choice]) -> str:
    """Return what was chosen for any point, on a front or not."""
    chosen = {choice.name: choice for choice in among}
    parts = []
    if "model" in chosen:
        parts.append(_value(chosen["model"], point))
    if "pattern" in chosen or "sparsity_target" in chosen:
        pattern, sparsity = _value(points.choices["pattern"], point), _sparsity(points, point)
        parts.append(f"{pattern} at {sparsity}" if sparsity else pattern)
    if "device" in chosen:
        parts.append(f"on {_value(chosen['device'], point)}")
    head = " ".join(parts)
    named = [
        f"{title_of(name)} {_value(choice, point)}"
        for name, choice in chosen.items()
        if name not in ("model", "pattern", "sparsity_target", "device")
        and (choice.of(point) is not None or name in NONE_IS)
    ]
    return ", ".join(([head] if head else []) + named)


def _sparsity(points: Points, point: int) -> str:
    """Return the sparsity of a point as asked for, and as reached where that is another; "" for dense."""
    asked, reached = points.choices["sparsity_target"].of(point), reached_of(points, point)
    if not isinstance(asked, int | float):
        return ""
    if reached is None:
        return said("sparsity_target", asked)
    return f"{100 * reached:.3g} % ({100 * asked:.6g} asked)"


def reached_sparsity(found: SweepFront, point: int) -> float | None:
    """Return the sparsity of a point that is not the one asked for, by more than half a percent point."""
    return reached_of(found.points, point)


def reached_of(points: Points, point: int) -> float | None:
    """As ``reached_sparsity``, of any point."""
    asked = points.choices["sparsity_target"].of(point)
    reached = points.facts["sparsity_reached"].of(point)
    if not isinstance(asked, int | float) or not isinstance(reached, int | float):
        return None
    return float(reached) if abs(reached - asked) > SAME_SPARSITY else None


def superlative(found: SweepFront, at: int) -> str:
    """Return the name of the best point by objective ``at``: "Fastest", "Most kept L1"."""
    objective = found.objectives[at]
    word = "Most" if objective.direction == "max" else "Least"
    name = LEAST.get(objective.name) if word == "Least" else None
    return name or f"{word} {title_of(objective.name)}"


def _also(found: SweepFront, place: int) -> str:
    """Return in which objectives the knee is the best there is: with three it may be an end of the front."""
    values = found.points.values
    ends = [
        superlative(found, at)
        for at in range(len(found.objectives))
        if values[found.members[place], at] == values[found.members[found.best(at)], at]
    ]
    return f" (also: {', '.join(end[:1].lower() + end[1:] for end in ends)})" if ends else ""


def _told(found: SweepFront, place: int, first: int | None, scales: Sequence[Scale]) -> str:
    """Return a member's figures and choices; objective ``first`` leads."""
    point = found.members[place]
    order = ([] if first is None else [first]) + [at for at in range(len(scales)) if at != first]
    figures = [f"{scales[at].title} {_figure(found, point, at, scales[at])}" for at in order]
    if first is not None:
        figures[0] = _figure(found, point, first, scales[first])
    chosen = choice_text(found, point, found.points.varying())
    others = found.alike[place]
    more = ""
    if len(others) > 1:
        differ = [title_of(each.name) for each in found.points.varying() if len(_values(each, others)) > 1]
        by = f", other {', '.join(differ)}" if differ else ""
        more = f" ({len(others) - 1:,} more point{'s' if len(others) > 2 else ''} with the same figures{by})"
    return f"{', '.join(figures)}{f': {chosen}' if chosen else ''}{more}"


def _figure(found: SweepFront, point: int, at: int, scale: Scale) -> str:
    """Return a figure, with its band of error where it is a latency that is validated."""
    shown = scale.text(float(found.points.values[point, at]))
    low, high = (float(bound) for bound in found.points.bands[point])
    if found.objectives[at].name != "latency_s" or not np.isfinite([low, high]).all():
        return shown
    return f"{shown} (band {scale.number(low)} to {scale.number(high)})"


def why_no_knee(found: SweepFront) -> str:
    """Return why a front of several objectives has no knee."""
    if len(found.members) < LEAST_FOR_A_KNEE:
        return f"the front has {len(found.members)} distinct point{'s' if len(found.members) > 1 else ''}"
    return "the front does not bend toward the best of all objectives"


def differing(found: SweepFront) -> list[Choice]:
    """Return the choices of which the places of the front have different values."""
    return [choice for choice in found.points.varying() if len(_sets(found, choice)) > 1]


def settled(found: SweepFront) -> tuple[list[Choice], list[Choice]]:
    """Return the choices that have one value all along the front, and those that make no difference to it.

    Those have several values, the same at every place: whichever is chosen, the figures are the same.
    """
    one: list[Choice] = []
    free: list[Choice] = []
    for choice in found.points.varying():
        sets = _sets(found, choice)
        if len(sets) == 1:
            (free if len(next(iter(sets))) > 1 else one).append(choice)
    return one, free


def _sets(found: SweepFront, choice: Choice) -> set[frozenset[int]]:
    """Return the sets of values that the places of the front have, without places where it is no choice."""
    return {frozenset(codes) for places in found.alike if (codes := _values(choice, places))}


def _values(choice: Choice, places: NDArray[np.int64]) -> list[int]:
    """Return the codes of the values that points have, by rising value."""
    codes = np.unique(choice.codes[places]).tolist()
    if choice.name not in CHOSEN_BY_NONE:
        codes = [code for code in codes if choice.values[code] is not None]
    return sorted(codes, key=lambda code: _rank(choice.values[code]))


def _rank(value: object) -> tuple[bool, float, str]:
    return (True, float(value), "") if isinstance(value, int | float) else (False, 0.0, str(value))


def print_table(found: SweepFront, console: Console, most: int = SHOWN_MEMBERS) -> None:
    """Print the front, ``most`` of its places."""
    scales, choices, shown = scales_of(found), differing(found), _shown(found, most)
    points = [found.members[place] for place in shown]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("point", justify="right", no_wrap=True)
    columns = [
        ["knee" if place == found.knee else "" for place in shown],
        [str(found.points.numbers[point]) for point in points],
    ]
    for scale, figures in zip(scales, found.points.values[points].T, strict=True):
        table.add_column(scale.label, justify="right", no_wrap=True)
        columns.append(scale.column(figures.tolist()))
    for choice in choices:
        head, *cells = _column(found, choice, shown)
        numeric = all(isinstance(value, int | float | None) for value in choice.values)
        table.add_column(head, justify="right" if numeric else "left", no_wrap=True)
        columns.append(cells)
        reached = [reached_sparsity(found, point) for point in points]
        if choice.name == "sparsity_target" and any(share is not None for share in reached):
            table.add_column("reached (%)", justify="right", no_wrap=True)
            columns.append(["" if share is None else f"{100 * share:.3g}" for share in reached])
    if max(found.equals) > 1:
        table.add_column("equal points", justify="right")
        columns.append([f"{found.equals[place]:,}" for place in shown])
    for row in zip(*columns, strict=True):
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
    if len(shown) < len(found.members):
        left = len(found.members) - len(shown)
        console.print(Text(f"{left:,} more, evenly left out here: simulate front DIR --out DIR, or --json"))
    console.print()


def _shown(found: SweepFront, most: int) -> list[int]:
    """Return the places that the table has: all, or some evenly and the knee."""
    if len(found.members) <= most:
        return list(range(len(found.members)))
    even = np.linspace(0, len(found.members) - 1, most).round().astype(int)
    return sorted({*even.tolist(), *([] if found.knee is None else [found.knee])})


def _column(found: SweepFront, choice: Choice, shown: Sequence[int]) -> list[str]:
    """Return a column's head and its cells: the values of all points at a place."""
    values = [[choice.values[code] for code in _values(choice, found.alike[place])] for place in shown]
    every = [value for of_place in values for value in of_place if value is not None]
    numbers = [float(value) for value in every if isinstance(value, int | float) and not isinstance(value, bool)]
    scale = scale_of(choice.name, numbers) if numbers and len(numbers) == len(every) else None

    def cell(value: object) -> str:
        if value is None or scale is None or not isinstance(value, int | float):
            return said_of(choice, value)
        return scale.short(value)

    cells = []
    for of_place in values:
        more = len(of_place) > SHOWN_VALUES
        cells.append(f"{len(of_place)} values" if more else ", ".join(map(cell, of_place)) or "-")
    return [title_of(choice.name) if scale is None else scale.label, *cells]


def _value(choice: Choice, point: int) -> str:
    return said_of(choice, choice.of(point))


def said_of(choice: Choice, value: object) -> str:
    """Return a value of a choice in words."""
    return NONE_IS.get(choice.name, "-") if value is None else printable(said(choice.name, value))
