"""What ``simulate front`` shows in the terminal: an answer in a sentence for each question, then the front as a table.

Of what points differ by, the table has what differs along the front; what differs in the sweep and not on the front is
said once. Left out: the other columns of the points, which front.csv and front.json have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatherline.report.measures import Scale, said, scale_of, title_of
from gatherline.report.selection import printable
from gatherline.report.table import console_for
from gatherline.sweep.front import Choice, Fate, SweepFront
from gatherline.sweep.objective import Constraint
from gatherline.sweep.pareto import LEAST_FOR_A_KNEE

SHOWN_MEMBERS = 40  # the rest are in front.csv
LEAST = {"latency_s": "Fastest"}  # as people say it


def print_front(found: SweepFront, stream: TextIO) -> None:
    """Print headlines, the front, and what became of the other points."""
    console = console_for(stream)
    for line in headlines(found):
        console.print(Text(line, style="bold"), soft_wrap=True)
    console.print()
    _print_table(found, console)
    for line in remarks(found):
        console.print(Text(line, style="dim"), soft_wrap=True)


def headlines(found: SweepFront) -> list[str]:
    """Return a sentence for each question: the best of each objective, the knee, how much the front covers."""
    scales = scales_of(found)
    within = within_text(found.constraints)
    lines = []
    for at, objective in enumerate(found.objectives):
        place = _best(found, at)
        word = "Most" if objective.direction == "max" else "Least"
        name = LEAST.get(objective.name) if word == "Least" else None
        head = name or f"{word} {title_of(objective.name)}"
        lines.append(f"{head}{within}: {_told(found, place, at, scales)}")
    if found.knee is not None:
        lines.append(f"Knee{within}: {_told(found, found.knee, None, scales)}")
    elif len(found.objectives) > 1:
        lines.append(f"Knee: none; {_why_no_knee(found)}")
    if found.volume is not None and found.volume_share is not None and len(found.objectives) > 1:
        corner = ", ".join(
            f"{scale.title} {scale.text(value)}" for scale, value in zip(scales, found.reference, strict=True)
        )
        lines.append(
            f"Hypervolume: {found.volume_share:.1%} of the box from the best of each objective to the reference, "
            f"the worst of each over feasible points ({corner})"
        )
    return lines


def remarks(found: SweepFront) -> list[str]:
    """Return the lines under the table: what became of all points, and what the front leaves open."""
    points = len(found.fates)
    parts = [on_front_text(found), f"{found.count(Fate.DOMINATED):,} dominated"]
    if found.constraints:
        parts.append(f"{found.count(Fate.INFEASIBLE):,} break a constraint{_broken(found)}")
    if found.count(Fate.NO_FIGURE):
        parts.append(f"{found.count(Fate.NO_FIGURE):,} without a figure ({_no_figure(found)})")
    if found.count(Fate.REFUSED):
        parts.append(f"{found.count(Fate.REFUSED):,} refused")
    lines = [f"Sweep {printable(found.name)}, {points:,} points: {', '.join(parts)}."]
    settled = [choice for choice in found.points.varying() if choice not in _differing(found)]
    if settled:
        first = found.members[0]
        lines.append(
            f"All along the front: {', '.join(f'{title_of(each.name)} {_value(each, first)}' for each in settled)}."
        )
    if any(objective.name in ("kept_l1", "kept_l2") for objective in found.objectives):
        lines.append("Kept weight says how much of the magnitudes stays; it is not accuracy.")
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
    chosen = {choice.name: choice for choice in among}
    parts = []
    if "model" in chosen:
        parts.append(_value(chosen["model"], point))
    if "pattern" in chosen or "sparsity_target" in chosen:
        pattern = _value(found.points.choices["pattern"], point)
        sparsity = found.points.choices["sparsity_target"].of(point)
        parts.append(pattern if sparsity is None else f"{pattern} at {said('sparsity_target', sparsity)}")
    if "device" in chosen:
        parts.append(f"on {_value(chosen['device'], point)}")
    head = " ".join(parts)
    named = [
        f"{title_of(name)} {_value(choice, point)}"
        for name, choice in chosen.items()
        if name not in ("model", "pattern", "sparsity_target", "device") and choice.of(point) is not None
    ]
    return ", ".join(([head] if head else []) + named)


def _told(found: SweepFront, place: int, first: int | None, scales: Sequence[Scale]) -> str:
    """Return a member's figures and choices; objective ``first`` leads."""
    point = found.members[place]
    values = found.points.values[point]
    order = ([] if first is None else [first]) + [at for at in range(len(scales)) if at != first]
    figures = [f"{scales[at].title} {scales[at].text(values[at])}" for at in order]
    if first is not None:
        figures[0] = scales[first].text(values[first])
    chosen = choice_text(found, point, found.points.varying())
    others = found.equals[place] - 1
    more = f" ({others} more point{'s' if others > 1 else ''} with the same figures)" if others else ""
    return f"{', '.join(figures)}{f': {chosen}' if chosen else ''}{more}"


def _best(found: SweepFront, at: int) -> int:
    """Return the place of the member that is best in objective ``at``, the first of equals."""
    column = found.points.values[list(found.members), at]
    return int(np.argmax(column) if found.maximise[at] else np.argmin(column))


def _why_no_knee(found: SweepFront) -> str:
    if len(found.members) < LEAST_FOR_A_KNEE:
        return f"the front has {len(found.members)} distinct point{'s' if len(found.members) > 1 else ''}"
    return "the front does not bend toward the best of all objectives"


def _differing(found: SweepFront) -> list[Choice]:
    """Return the choices that differ along the front."""
    among = np.zeros(len(found.fates), dtype=np.bool_)
    among[list(found.members)] = True
    return found.points.varying(among)


def _print_table(found: SweepFront, console: Console) -> None:
    scales, choices = scales_of(found), _differing(found)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("point", justify="right", no_wrap=True)
    for scale in scales:
        table.add_column(scale.label, justify="right", no_wrap=True)
    columns = [_column(found, choice) for choice in choices]
    for choice, cells in zip(choices, columns, strict=True):
        numeric = all(isinstance(value, int | float | None) for value in choice.values)
        table.add_column(cells[0], justify="right" if numeric else "left", no_wrap=True)
    if max(found.equals) > 1:
        table.add_column("equal points", justify="right")
    shown = _shown(found)
    for place in shown:
        point = found.members[place]
        cells = ["knee" if place == found.knee else "", str(found.points.numbers[point])]
        cells += [scale.number(value) for scale, value in zip(scales, found.points.values[point], strict=True)]
        cells += [column[1 + place] for column in columns]
        cells += [str(found.equals[place])] if max(found.equals) > 1 else []
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    if len(shown) < len(found.members):
        left = len(found.members) - len(shown)
        console.print(Text(f"{left} more, evenly left out here, are in front.csv (--out DIR) and --json."))
    console.print()


def _shown(found: SweepFront) -> list[int]:
    """Return the places that the table has: all, or some evenly and the knee."""
    if len(found.members) <= SHOWN_MEMBERS:
        return list(range(len(found.members)))
    even = np.linspace(0, len(found.members) - 1, SHOWN_MEMBERS).round().astype(int)
    return sorted({*even.tolist(), *([] if found.knee is None else [found.knee])})


def _column(found: SweepFront, choice: Choice) -> list[str]:
    """Return a column's head and its cell for each member."""
    values = [choice.of(point) for point in found.members]
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    if len(numbers) < sum(value is not None for value in values) or isinstance(values[0], bool):
        return [title_of(choice.name), *(said(choice.name, value) for value in values)]
    scale = scale_of(choice.name, numbers)
    return [scale.label, *(scale.short(value) if isinstance(value, int | float) else "-" for value in values)]


def _value(choice: Choice, point: int) -> str:
    return printable(said(choice.name, choice.of(point)))


def _broken(found: SweepFront) -> str:
    parts = []
    for each in found.constraints:
        broken = np.count_nonzero(found.points.excess[each.name] & (found.fates == Fate.INFEASIBLE))
        parts.append(f"{broken:,} {within_text([each]).removeprefix(' with ')}")
    return f" ({'; '.join(parts)})" if found.count(Fate.INFEASIBLE) else ""


def _no_figure(found: SweepFront) -> str:
    missing = found.fates == Fate.NO_FIGURE
    names = [
        title_of(each.name)
        for at, each in enumerate(found.objectives)
        if not np.isfinite(found.points.values[missing, at]).all()
    ]
    return ", ".join(names)
