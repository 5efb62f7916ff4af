"""The tornado plot of a sensitivity: for each field two bars from the latency as it is, at half and at twice its value.

The fields that move the latency most stand on top. Names have a bar for each other choice. Drawn with Agg and
Matplotlib's own defaults, so that the same rows give the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from math import log
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gatherline.advice.field_steps import choice_label
from gatherline.advice.wording import milliseconds, quantity
from gatherline.report.break_even_table import subject
from gatherline.report.figures.style import file_part
from gatherline.report.selection import RowLike, Rows, number, text, variant

MOST_FIELDS = 15
BAR_SHARE = 0.74  # of a field's row
LEAST_SHIFT = 5e-4  # of the latency: what is less is no bar to be seen
# Okabe and Ito's colours, told apart with any colour vision
LESS, MORE, OTHER = "#0072B2", "#E69F00", "#999999"


@dataclass(frozen=True, slots=True)
class _Bar:
    ratio: float
    label: str
    colour: str


def draw_tornado(rows: Rows, folder: Path) -> list[str]:
    """Draw the plot into ``folder`` and return its file's name."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.size": 8, "axes.titlesize": 10})
        name = f"sensitivity-{file_part(text(rows[0], 'device'))}.png"
        FigureCanvasAgg(tornado(rows)).print_png(folder / name, metadata={"Software": None})
    return [name]


def tornado(rows: Rows) -> Figure:
    """Return the picture: the latency over that of the device as it is, on a scale of ratios."""
    every = [(row, bars) for row in rows if (bars := _bars(row))]
    shown = sorted(every, key=lambda one: -max(abs(log(bar.ratio)) for bar in one[1]))[:MOST_FIELDS]
    heights = [max(1.0, 0.5 * _on_one_side(bars)) for _, bars in shown]
    ends = list(accumulate(heights))
    figure = Figure(figsize=(9.2, 1.7 + 0.36 * sum(heights, start=0.5)), layout="constrained", dpi=110)
    axes = figure.subplots()
    places = [end - height / 2 for end, height in zip(ends, heights, strict=True)]
    for place, height, (_, bars) in zip(places, heights, shown, strict=True):
        _draw(axes, place, height * BAR_SHARE, bars)
    axes.set_yticks(places, [_name(row) for row, _ in shown])
    axes.set_ylim((ends or [1.0])[-1] + 0.1, -0.1)
    _scale(axes, [bar.ratio for _, bars in shown for bar in bars])
    first = rows[0]
    figure.suptitle(
        f"{subject(first)}, {variant(first).label}: {milliseconds(number(first, 'latency_s') or 0.0)}", fontsize=10
    )
    left = len(every) - len(shown)
    axes.set_title(
        "What one field at a time does to the latency" + (f" ({left} that do less are not drawn)" if left else ""),
        fontsize=8,
    )
    if not shown:
        axes.text(0.5, 0.5, "no field moves the latency", ha="center", transform=axes.transAxes)
    colours = {bar.colour for _, bars in shown for bar in bars}
    named = (
        (LESS, "half the value (whole numbers rounded down)"),
        (MORE, "twice the value"),
        (OTHER, "another choice"),
    )
    handles = [Patch(color=colour, label=label) for colour, label in named if colour in colours]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _bars(row: RowLike) -> list[_Bar]:
    unit = text(row, "unit")
    found = []
    for name, colour in (("half", LESS), ("double", MORE)):
        ratio = number(row, f"{name}_ratio")
        if ratio is not None:
            found.append(_Bar(ratio, quantity(row[f"{name}_value"], unit), colour))
    others = row["others"]
    path = text(row, "field")
    found += [
        _Bar(ratio, choice_label(path, name), OTHER)
        for name, ratio in (others.items() if isinstance(others, dict) else ())
    ]
    return [bar for bar in found if abs(bar.ratio - 1) >= LEAST_SHIFT]


def _sides(bars: list[_Bar]) -> dict[bool, list[_Bar]]:
    """Return the bars that make the latency longer (True) and shorter (False)."""
    sides: dict[bool, list[_Bar]] = {}
    for bar in bars:
        sides.setdefault(bar.ratio > 1, []).append(bar)
    return sides


def _on_one_side(bars: list[_Bar]) -> int:
    return max(len(of_side) for of_side in _sides(bars).values())


def _draw(axes: Axes, place: float, room: float, bars: list[_Bar]) -> None:
    """Draw the bars of one field from 1 to their ratios; those of one side lie one over the other, longest first."""
    for right, of_side in _sides(bars).items():
        ordered = sorted(of_side, key=lambda bar: -abs(log(bar.ratio)))
        height = room / len(ordered)
        for at, bar in enumerate(ordered):
            middle = place - room / 2 + height * (at + 0.5)
            axes.barh(middle, bar.ratio - 1, left=1.0, height=height * 0.94, color=bar.colour)
            axes.annotate(
                bar.label,
                (bar.ratio, middle),
                xytext=(3 if right else -3, 0),
                textcoords="offset points",
                ha="left" if right else "right",
                va="center",
                fontsize=6.5,
            )


def _name(row: RowLike) -> str:
    path, value = text(row, "field"), row["value"]
    told = "not set" if value is None else choice_label(path, quantity(value, text(row, "unit")))
    return f"{path} = {told}"


def _scale(axes: Axes, ratios: list[float]) -> None:
    low, high = min([*ratios, 0.98]), max([*ratios, 1.02])
    wide = log(high / low)
    axes.set_xscale("log")
    axes.set_xlim(low * 2.718281828 ** (-0.16 * wide), high * 2.718281828 ** (0.16 * wide))
    steps = (
        0.1,
        0.2,
        0.25,
        0.35,
        0.5,
        0.6,
        0.7,
        0.8,
        0.9,
        0.95,
        1.0,
        1.05,
        1.1,
        1.25,
        1.5,
        1.75,
        2.0,
        3.0,
        4.0,
        8.0,
        16.0,
    )
    ticks = [step for step in steps if axes.get_xlim()[0] <= step <= axes.get_xlim()[1]]
    ticks = _thinned(ticks, axes.get_xlim())
    axes.set_xticks(ticks, [f"{tick:g}x" for tick in ticks])
    axes.minorticks_off()
    axes.grid(axis="x", linewidth=0.4, alpha=0.5)
    axes.set_axisbelow(True)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xlabel("latency over that of the device as it is")


def _thinned(ticks: list[float], limits: tuple[float, float]) -> list[float]:
    """Return the ticks that stand far enough apart to be read, 1 among them."""
    least = log(limits[1] / limits[0]) / 14
    kept = [1.0] if 1.0 in ticks else []
    for tick in sorted(ticks, key=lambda one: abs(log(one))):
        if all(abs(log(tick / other)) >= least for other in kept):
            kept.append(tick)
    return sorted(kept)
