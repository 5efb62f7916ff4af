"""Latency of every variant as bars, a panel for each device, with error bands and the dense time as a line.

A bar that no measurement stands behind is hatched. Left out: layers, which ``breakdown.py`` shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from gatherline.report.figures.chosen import DENSE, chosen_totals, proven, seconds, subject, unproven_words
from gatherline.report.figures.figure import Cell, Drawn, FigureChoices, listed, titled
from gatherline.report.figures.reached import named
from gatherline.report.figures.style import (
    BAR_INCHES,
    COLOURS,
    PAGE_INCHES,
    PANELS_ACROSS,
    POINTS,
    UNPROVEN,
    WIDTH_INCHES,
    Theme,
    drawing,
    label_below,
    panels,
    safe,
    short_name,
    tidy,
    title_inches,
)
from gatherline.report.selection import RowLike, Rows, Variant, dense_latency_s, milliseconds, number, unique, variant

NUMBERS = ("sparsity_reached", "density", "latency_s", "latency_low_s", "latency_high_s")
HEADER = (
    "device", "pattern", "sparsity_target", "sparsity_reached", "density", "latency_s", "latency_low_s",
    "latency_high_s", "validated", "dense_s", "speed_up",
)  # fmt: skip
MOST_BARS, LEAST_BARS = 60, 3  # of a panel
_LETTER_INCHES, _WORDS_INCHES = 0.058, 0.8  # what a letter of a name takes, and the numbers behind bars
_PANEL_INCHES, _REST_INCHES = 0.45, 0.35  # what a panel takes beside its bars, and the figure beside its panels
_SHORT_S = 1e-4  # where no bar is longer, bars are in microseconds


def bars(rows: Rows, choices: FigureChoices) -> Drawn:
    """Return the latencies of the variants asked for on the devices asked for."""
    found = named(chosen_totals(rows, choices))
    title = f"{subject(found.timed.rows)}: latency of each variant{unproven_words(found.timed.rows)}"
    above = title_inches(title if choices.title else "", choices.columns)
    shown, notes = _shown(list(found.names), found.timed.rows, _most(len(found.timed.of), choices.columns, above))
    of = {device: [row for row in every if variant(row) in shown] for device, every in found.timed.of.items()}
    patterns = unique(one.pattern for one in shown if one.pattern != DENSE)
    theme = choices.look
    dense = {name: dense_latency_s(every) for name, every in found.timed.of.items()}
    unit = _unit([row for every in of.values() for row in every])
    labels = [short_name(found.names[one], 38) for one in shown]
    with drawing(theme):
        figure, every_axes = panels(
            choices.columns, len(of), _PANEL_INCHES + BAR_INCHES * len(shown), _REST_INCHES + above, sharey=True
        )
        across = min(len(of), PANELS_ACROSS[choices.columns])
        names_inches = 0.15 + _LETTER_INCHES * max(len(label) for label in labels)
        room = (WIDTH_INCHES[choices.columns] - names_inches) / across
        for axes, (name, every) in zip(every_axes, of.items(), strict=True):
            _draw(axes, every, shown, (patterns, theme), dense[name], unit=unit, words_share=_WORDS_INCHES / room)
            axes.xaxis.set_major_locator(MaxNLocator(4 if room > 1.6 else 3))
            axes.set_title(safe(name), loc="left", fontsize=POINTS)
        every_axes[-1].set_yticks(range(len(shown)), labels)
        every_axes[-1].set_ylim(len(shown) - 0.4, -0.6)
        label_below(every_axes, choices.columns, f"latency ({unit[0]})")
        handles = _legend([row for every in of.values() for row in every], dense, theme)
        if handles:
            figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        titled(figure, safe(title), choices)
    return Drawn(
        figure=figure,
        header=HEADER,
        rows=tuple(_data(row, name, dense[name]) for name, every in of.items() for row in every),
        caption=_caption(found.timed.rows, list(of), dense, unit[0]),
        notes=(*notes, *found.notes, *found.timed.note),
    )


def _most(devices: int, columns: int, title: float) -> int:
    """Return how many bars a panel has so that the figure fits a page."""
    down = -(-devices // PANELS_ACROSS[columns])
    room = (PAGE_INCHES - _REST_INCHES - title) / down - _PANEL_INCHES
    return max(LEAST_BARS, min(MOST_BARS, int(room / BAR_INCHES)))


def _shown(variants: list[Variant], rows: Rows, most: int) -> tuple[list[Variant], tuple[str, ...]]:
    """Return the variants that have a bar, in the order of the run: dense and the fastest where they are too many."""
    if len(variants) <= most:
        return variants, ()
    best: dict[Variant, float] = {}
    for row in rows:
        time = seconds(row) or 0.0
        best[variant(row)] = min(time, best.get(variant(row), time))
    ordered = sorted(variants, key=lambda one: (one.pattern != DENSE, best[one]))
    kept = set(ordered[:most])
    said = f"the {most} fastest of {len(variants)} variants are drawn, dense among them: more do not fit a page"
    return [one for one in variants if one in kept], (f"{said}; device, pattern and sparsity choose",)


def _unit(rows: Rows) -> tuple[str, float]:
    """Return the unit of the axis and how many a second has."""
    longest = max(seconds(row) or 0.0 for row in rows)
    return ("ms", 1e3) if longest >= _SHORT_S else ("µs", 1e6)


def _draw(
    axes: Any, rows: Rows, shown: Sequence[Variant], looks: tuple[list[str], Theme], dense_s: float | None,
    *, unit: tuple[str, float], words_share: float,
) -> None:  # fmt: skip
    patterns, theme = looks
    words: list[tuple[float, int, str]] = []
    for row in rows:
        place, time = shown.index(variant(row)), (seconds(row) or 0.0) * unit[1]
        pattern = variant(row).pattern
        colour = theme.dense if pattern == DENSE else COLOURS[patterns.index(pattern) % len(COLOURS)]
        hatch = None if proven(row) else UNPROVEN
        axes.barh(place, time, height=0.74, color=colour, hatch=hatch, edgecolor=theme.ground, linewidth=0)
        end = time
        if proven(row):
            low, high = ((number(row, name) or 0.0) * unit[1] for name in ("latency_low_s", "latency_high_s"))
            axes.plot([low, high], [place, place], color=theme.ink, linewidth=0.9, marker="|", markersize=4)
            end = max(end, high)
        gain = f"  {dense_s * unit[1] / time:.2f}x" if dense_s and pattern != DENSE else ""
        words.append((end, place, f"{milliseconds(time / 1e3)}{gain}"))
    line = dense_s * unit[1] if dense_s else 0.0
    width = max([line, *(end for end, _, _ in words)]) / max(0.25, 1 - words_share)
    for end, place, said in words:
        crossed = end <= line < end + words_share * width  # by the line of dense: the number stands behind it
        axes.annotate(said, (line if crossed else end, place), xytext=(3, 0), textcoords="offset points", va="center",
                      fontsize=POINTS, zorder=4)  # fmt: skip
    if dense_s:
        axes.axvline(line, color=theme.ink, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.set_xlim(0, width)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(axis="y", length=0)
    tidy(axes, theme, grid="x")


def _legend(rows: Rows, dense: dict[str, float | None], theme: Theme) -> list[Any]:
    handles: list[Any] = []
    if any(dense.values()):
        handles.append(Line2D([], [], color=theme.ink, linewidth=0.8, linestyle=(0, (4, 2)), label="dense"))
    if any(proven(row) for row in rows):
        handles.append(Line2D([], [], color=theme.ink, linewidth=0.9, marker="|", markersize=4, label="error band"))
    if not all(proven(row) for row in rows):
        handles.append(Patch(facecolor=theme.soft, hatch=UNPROVEN, edgecolor=theme.ground, linewidth=0,
                             label="not validated"))  # fmt: skip
    return handles


def _data(row: RowLike, device: str, dense_s: float | None) -> tuple[Cell, ...]:
    of, time = variant(row), seconds(row)
    numbers = (number(row, name) for name in NUMBERS)
    gain = dense_s / time if dense_s and time else None
    return device, of.pattern, of.sparsity, *numbers, "yes" if proven(row) else "not validated", dense_s, gain


def _caption(rows: Rows, devices: list[str], dense: dict[str, float | None], unit: str) -> str:
    parts = [f"Latency of {subject(rows)} on {listed(devices)}, in {unit}"]
    if any(dense.values()):
        parts.append("with the speed-up over dense, whose latency is the dashed line")
    said = []
    if any(proven(row) for row in rows):
        said.append("whiskers are error bands")
    if not all(proven(row) for row in rows):
        said.append("hatched bars are not validated")
    return f"{', '.join(parts)}; {listed(said)}."
