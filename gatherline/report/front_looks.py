"""How pictures of a front look alike: colours and markers of choices, scales, titles, and what the legend says.

Left out: the pictures (``front_scatter.py``, ``front_lines.py``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill, wrap
from typing import Any

import matplotlib
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import NDArray

from gatherline.report.figures.style import COLOURS, DENSE_COLOUR, MARKERS, short_name
from gatherline.report.front_table import choice_text, on_front_text, within_text
from gatherline.report.measures import said, title_of
from gatherline.sweep.front import Choice, Fate, SweepFront
from patterns.catalog import ALL_PATTERNS

COLOURED_BY = ("pattern", "device", "model", "dtype")  # the first in which points differ
MOST_LOOKS = 12  # entries of a legend; more values and the rest look alike
LOG_FROM = 20.0  # largest over smallest, from which an axis is logarithmic
FAINT = "#bdbdbd"
INK = "#222222"
TITLE_WIDTH = 84  # characters
KNEE_WIDTH, KNEE_LINES = 30, 8
# families with a colour of their own: the ones most compared get those that differ most
AT_HOME = ("gs", "unstructured", "block", "n_of_m", "gs_scatter", "channel")
_FAMILIES = tuple(kind.name for kind in ALL_PATTERNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How points of one value of the colouring choice are drawn."""

    label: str
    colour: str
    marker: str


def plain_settings() -> None:
    """Take Matplotlib's own defaults, so that the same points give the same bytes."""
    matplotlib.rcdefaults()
    matplotlib.rcParams.update({"font.size": 9, "axes.titlesize": 9, "figure.titlesize": 11})


def colouring(found: SweepFront) -> Choice:
    """Return the choice that colours tell apart: the pattern, or where it is one, the next in which points differ."""
    varying = {choice.name: choice for choice in found.points.varying()}
    name = next((name for name in COLOURED_BY if name in varying), next(iter(varying), "pattern"))
    return found.points.choices[name]


def in_order(choice: Choice) -> list[int]:
    """Return the places of a choice's values in an order that no sweep changes: none, numbers by size, patterns as the
    catalog has them, other names by the alphabet.
    """
    numeric = all(value is None or is_number(value) for value in choice.values)

    def place(at: int) -> tuple[object, ...]:
        value = choice.values[at]
        if value is None:
            return (0,)
        if numeric:
            return 1, value
        family = str(value).partition(":")[0]
        known = _FAMILIES.index(family) if choice.name == "pattern" and family in _FAMILIES else len(_FAMILIES)
        parts = re.findall(r"\d+|\D+", str(value))
        return 1, known, [(part.isdecimal(), int(part) if part.isdecimal() else part) for part in parts]

    return sorted(range(len(choice.values)), key=place)


def is_number(value: object) -> bool:
    """Return whether a value is a number, and no truth."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def looks_of(choice: Choice) -> list[Look]:
    """Return the look of each value of a choice; dense is grey.

    A common family of patterns has a colour of its own in every picture; what is left takes free ones in order.
    """
    slots: dict[int, int] = {}
    order = [at for at in in_order(choice) if choice.values[at] != "dense"]
    for at in order:
        family = str(choice.values[at]).partition(":")[0]
        if choice.name == "pattern" and family in AT_HOME and AT_HOME.index(family) not in slots.values():
            slots[at] = AT_HOME.index(family)
    free = iter(slot for slot in range(2 * len(choice.values) + len(COLOURS)) if slot not in set(slots.values()))
    for at in order:
        if at not in slots:
            slots[at] = next(free)
    return [_look(choice, at, slots.get(at)) for at in range(len(choice.values))]


def _look(choice: Choice, at: int, slot: int | None) -> Look:
    if slot is None:
        return Look(label="dense", colour=DENSE_COLOUR, marker="o")
    marker = MARKERS[(slot + slot // len(COLOURS)) % len(MARKERS)]
    label = short_name(said(choice.name, choice.values[at]))
    return Look(label=label, colour=COLOURS[slot % len(COLOURS)], marker=marker)


def look_handles(
    found: SweepFront, choice: Choice, looks: Sequence[Look], fates: Sequence[Fate], **shape: Any
) -> list[Line2D]:
    """Return a legend's entry for each look that points of these fates have, in the order of the values."""
    drawn = set(np.unique(choice.codes[np.isin(found.fates, fates)]).tolist())
    codes = [code for code in in_order(choice) if code in drawn]
    handles = [
        Line2D([], [], color=looks[code].colour, label=looks[code].label, **{"marker": looks[code].marker, **shape})
        for code in codes[:MOST_LOOKS]
    ]
    if len(codes) > MOST_LOOKS:
        handles.append(Line2D([], [], linestyle="none", label=f"and {len(codes) - MOST_LOOKS} more"))
    return handles


def knee_label(found: SweepFront) -> str:
    """Return the knee with what was chosen for it, a choice on each line; what does not fit is counted."""
    assert found.knee is not None
    chosen = choice_text(found, found.members[found.knee], found.points.varying())
    if not chosen:
        return "knee"
    items = [wrap(_bound(item), KNEE_WIDTH, break_long_words=False) for item in f"knee: {chosen}".split(", ")]
    lines: list[str] = []
    for at, item in enumerate(items):
        if len(lines) + len(item) > KNEE_LINES:
            return "\n".join([*lines, f"and {len(items) - at} more"])
        lines += item
    return "\n".join(lines)


def title(found: SweepFront) -> str:
    """Return what is shown of which sweep, and how many points it is."""
    feasible = found.count(Fate.FRONT) + found.count(Fate.DOMINATED)
    titles = [title_of(each.name) for each in found.objectives]
    names = " and ".join([", ".join(titles[:-1]), titles[-1]] if len(titles) > 1 else titles)
    head = f"{short_name(found.name, 60)}: {names}{_bound(within_text(found.constraints))}"
    return f"{fill(head, TITLE_WIDTH)}\n{on_front_text(found)}, of {feasible:,} feasible points"


def _bound(text: str) -> str:
    """Return text whose numbers stay with their units when it is broken into lines."""
    return re.sub(r"(\d) (?=[%A-Za-zµ]+(/[a-z]+)?(,|$| and| with))", "\\1\u00a0", text)


def is_log(values: NDArray[np.float64]) -> bool:
    """Return whether an axis of ``values`` is logarithmic."""
    return bool(len(values) and values.min() > 0 and values.max() / values.min() >= LOG_FROM)


def share(values: NDArray[np.float64], drawn: NDArray[np.bool_], log: bool) -> NDArray[np.float64]:
    """Return where values lie between the least and the largest of those drawn, 0 to 1; half where all are equal."""
    scaled = np.log(np.where(drawn, values, 1.0)) if log else values
    low, high = scaled[drawn].min(), scaled[drawn].max()
    if low == high:
        return np.full(len(values), 0.5)
    return np.asarray(np.where(drawn, (scaled - low) / (high - low), np.nan))


def round_marks(low: float, high: float, log: bool) -> list[float]:
    """Return round numbers from ``low`` to ``high``, or the ends where none lies between."""
    if low == high:
        return [low]
    slack = 1e-9 * (high - low)
    steps = LogLocator(base=10, subs=(1.0, 2.0, 5.0)) if log else MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10])
    found = [float(mark) for mark in steps.tick_values(low, high) if low - slack <= mark <= high + slack]
    return found if len(found) > 1 else [low, high]
