"""Latency of every variant as bars, a panel for each device, with error bands and the dense time as a line.

A bar that no measurement stands behind is hatched. Left out: layers, which ``breakdown.py`` shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gatherline.report.figures.chosen import (
    DENSE,
    chosen_totals,
    proven,
    seconds,
    subject,
    unique_variants,
    unproven_words,
)
from gatherline.report.figures.figure import Cell, Drawn, FigureChoices, listed, titled
from gatherline.report.figures.style import (
    BAR_INCHES,
    COLOURS,
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

HEADER = (
    "device", "pattern", "sparsity_target", "density", "latency_s", "latency_low_s", "latency_high_s", "validated",
    "dense_s", "speed_up",
)  # fmt: skip
MOST_BARS = 60  # of a panel: more names than that stand on no page
_NAME_INCHES, _WORDS_INCHES = 1.15, 0.8  # what names of variants and the numbers behind bars take


def bars(rows: Rows, choices: FigureChoices) -> Drawn:
    """Return the latencies of the variants asked for on the devices asked for."""
    timed = chosen_totals(rows, choices)
    variants = unique_variants(timed.rows)
    shown, notes = _shown(variants, timed.rows)
    patterns = unique(one.pattern for one in variants if one.pattern != DENSE)
    title = f"{subject(timed.rows)}: latency of each variant{unproven_words(timed.rows)}"
    theme = choices.look
    dense = {name: dense_latency_s(found) for name, found in timed.of.items()}
    with drawing(theme):
        figure, every_axes = panels(
            choices.columns, len(timed.of), 0.45 + BAR_INCHES * len(shown),
            0.35 + title_inches(title if choices.title else "", choices.columns), sharey=True,
        )  # fmt: skip
        room = (WIDTH_INCHES[choices.columns] - _NAME_INCHES) / min(len(timed.of), PANELS_ACROSS[choices.columns])
        for axes, (name, found) in zip(every_axes, timed.of.items(), strict=True):
            _draw(axes, found, shown, (patterns, theme), dense[name], words_share=_WORDS_INCHES / room)
            axes.set_title(safe(name), loc="left", fontsize=POINTS)
        every_axes[-1].set_yticks(range(len(shown)), [_label(one) for one in shown])
        every_axes[-1].set_ylim(len(shown) - 0.4, -0.6)
        label_below(every_axes, choices.columns, "latency (ms)")
        handles = _legend(timed.rows, dense, theme)
        if handles:
            figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        titled(figure, safe(title), choices)
    drawn_rows = [(name, row) for name, found in timed.of.items() for row in found if variant(row) in set(shown)]
    return Drawn(
        figure=figure,
        header=HEADER,
        rows=tuple(_data(row, name, dense[name]) for name, row in drawn_rows),
        caption=_caption(timed.rows, list(timed.of), dense),
        notes=(*notes, *timed.note),
    )


def _shown(variants: list[Variant], rows: Rows) -> tuple[list[Variant], tuple[str, ...]]:
    """Return the variants that have a bar, in the order of the run: the fastest where they are too many."""
    if len(variants) <= MOST_BARS:
        return variants, ()
    best: dict[Variant, float] = {}
    for row in rows:
        time = seconds(row) or 0.0
        best[variant(row)] = min(time, best.get(variant(row), time))
    ordered = sorted(variants, key=lambda one: (one.pattern != DENSE, best[one]))
    kept = set(ordered[:MOST_BARS])
    return [one for one in variants if one in kept], (f"the {MOST_BARS} fastest of {len(variants)} variants are drawn",)


def _label(of: Variant) -> str:
    return short_name(of.label, 26)


def _draw(
    axes: Any, rows: Rows, shown: Sequence[Variant], looks: tuple[list[str], Theme], dense_s: float | None,
    *, words_share: float,
) -> None:  # fmt: skip
    patterns, theme = looks
    ends = []
    for row in rows:
        if variant(row) not in shown:
            continue
        place, time = shown.index(variant(row)), (seconds(row) or 0.0) * 1e3
        pattern = variant(row).pattern
        colour = theme.dense if pattern == DENSE else COLOURS[patterns.index(pattern) % len(COLOURS)]
        hatch = None if proven(row) else UNPROVEN
        axes.barh(place, time, height=0.74, color=colour, hatch=hatch, edgecolor=theme.ground, linewidth=0)
        end = time
        if proven(row):
            low, high = ((number(row, name) or 0.0) * 1e3 for name in ("latency_low_s", "latency_high_s"))
            axes.plot([low, high], [place, place], color=theme.ink, linewidth=0.9, marker="|", markersize=4)
            end = max(end, high)
        gain = f"  {dense_s * 1e3 / time:.2f}x" if dense_s and pattern != DENSE else ""
        axes.annotate(
            f"{milliseconds(time / 1e3)}{gain}", (end, place), xytext=(3, 0), textcoords="offset points", va="center",
            fontsize=POINTS, bbox={"facecolor": theme.ground, "edgecolor": "none", "pad": 0.3}, zorder=4,
        )  # fmt: skip
        ends.append(end)
    if dense_s:
        axes.axvline(dense_s * 1e3, color=theme.ink, linewidth=0.8, linestyle=(0, (4, 2)))
        ends.append(dense_s * 1e3)
    axes.set_xlim(0, max(ends) / max(0.25, 1 - words_share))
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
    numbers = (number(row, name) for name in ("density", "latency_s", "latency_low_s", "latency_high_s"))
    gain = dense_s / time if dense_s and time else None
    return device, of.pattern, of.sparsity, *numbers, "yes" if proven(row) else "not validated", dense_s, gain


def _caption(rows: Rows, devices: list[str], dense: dict[str, float | None]) -> str:
    parts = [f"Latency of {subject(rows)} on {listed(devices)}, in ms"]
    if any(dense.values()):
        parts.append("with the speed-up over dense, whose latency is the dashed line")
    said = []
    if any(proven(row) for row in rows):
        said.append("whiskers are error bands")
    if not all(proven(row) for row in rows):
        said.append("hatched bars are not validated")
    return f"{', '.join(parts)}; {listed(said)}."
