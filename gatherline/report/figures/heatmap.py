"""Latency over sparsity and pattern, a panel for each device; the colour is the speed-up over dense.

Where a device has no dense run, no panel has speed-ups, and the colour is the latency itself. The density in a cell is
that of all weights, the layers that stay dense among them. Left out: error bands, which the bars show.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize, TwoSlopeNorm
from matplotlib.patches import Rectangle

from gatherline.report.figures.chosen import chosen_totals, seconds, subject, unproven_words
from gatherline.report.figures.colours import SLOWER_HATCH, SPEED_UP_STOPS, ink_on
from gatherline.report.figures.figure import Cell, Drawn, FigureChoices, listed, titled
from gatherline.report.figures.reached import reached_words
from gatherline.report.figures.style import (
    PANELS_ACROSS,
    POINTS,
    WIDTH_INCHES,
    drawing,
    label_below,
    panels,
    safe,
    safe_lines,
    short_name,
    title_inches,
)
from gatherline.report.selection import (
    RowLike,
    Rows,
    Variant,
    dense_latency_s,
    milliseconds,
    number,
    percent,
    text,
    unique,
    variant,
)
from gatherline.request_error import RequestError

NUMBERS = ("sparsity_reached", "density", "latency_s", "latency_low_s", "latency_high_s")
HEADER = (
    "device", "pattern", "sparsity_target", "sparsity_reached", "density", "latency_s", "latency_low_s",
    "latency_high_s", "dense_s", "speed_up",
)  # fmt: skip
_LABEL_INCHES, _BAR_INCHES = 1.05, 0.75  # what names of patterns and the scale of colours take
_DENSITY_FITS_INCHES = 0.5  # the width of a cell from which its density stands in it
_DIGITS_FIT_INCHES = 0.4  # and the width below which its speed-up has two digits
LEAST_SAME = 0.995  # a speed-up that reads 1.00x: below it a cell is slower than dense
_SPEED_UPS = LinearSegmentedColormap.from_list("speed-ups", SPEED_UP_STOPS)
_LETTERS_OF_PANEL = {1: 30, 2: 42, 3: 30}
_LETTERS_LESS = 6  # where names of patterns say what was reached, and are longer  # of its title, by panels across


def heatmap(rows: Rows, choices: FigureChoices) -> Drawn:
    """Return the heat maps of the devices asked for. Raises RequestError where no row has a sparsity asked for."""
    timed = chosen_totals(rows, choices)
    cells = {name: cells_of(found) for name, found in timed.of.items()}
    cells = {name: found for name, found in cells.items() if found}
    if not cells:
        raise RequestError(
            "no row has a sparsity that was asked for, and a heat map has them on its axis; simulate run with "
            "--pattern and --sparsity makes such rows"
        )
    every = [row for found in cells.values() for row in found]
    patterns = unique(text(row, "pattern") for row in every)
    levels = sorted({_level(row) for row in every})
    dense = {name: dense_latency_s(timed.of[name]) for name in cells}
    title = f"{subject(every)}: latency (ms) over sparsity and pattern{unproven_words(every)}"
    theme = choices.look
    with drawing(theme):
        across = min(len(cells), PANELS_ACROSS[choices.columns])
        width = (WIDTH_INCHES[choices.columns] - _LABEL_INCHES - _BAR_INCHES) / across / len(levels)
        with_density = width >= _DENSITY_FITS_INCHES
        lines = 1 + (dense_known(dense) is not None) + with_density
        figure, every_axes = panels(
            choices.columns, len(cells), 0.22 + len(patterns) * (0.1 + 0.115 * lines),
            0.35 + title_inches(title if choices.title else "", choices.columns), sharex=True, sharey=True,
        )  # fmt: skip
        scale = scale_of(cells, dense)
        for axes, (name, found) in zip(every_axes, cells.items(), strict=True):
            mesh = draw_cells(axes, found, (patterns, levels), dense[name], scale, width_inches=width)
            against = dense[name]
            head = name if against is None else f"{name}, dense {milliseconds(against)} ms"
            axes.set_title(
                safe_lines(head, _LETTERS_OF_PANEL[across] - (_LETTERS_LESS if reached_words(every) else 0)),
                loc="left",
                fontsize=POINTS,
            )
            axes.set_yticks(range(len(patterns)), _names(every, patterns))
        label_below(every_axes, choices.columns, "sparsity asked for")
        draw_scale(figure, every_axes, mesh, scale)
        titled(figure, safe(title), choices)
    return Drawn(
        figure=figure,
        header=HEADER,
        rows=tuple(_data(row, name, dense[name]) for name, found in cells.items() for row in found),
        caption=_caption(cells, dense, with_density),
        notes=timed.note,
    )


def cells_of(rows: Rows) -> list[RowLike]:
    """Return the totals that have a place in a heat map: one for each pattern and sparsity."""
    kept: dict[Variant, RowLike] = {}
    for row in rows:
        if variant(row).sparsity is not None and seconds(row) is not None:
            kept.setdefault(variant(row), row)
    return list(kept.values())


def dense_known(dense: dict[str, float | None]) -> float | None:
    """Return a dense time where every device has one, None where one lacks it."""
    found = list(dense.values())
    return None if any(not one for one in found) else found[0]


def scale_of(cells: dict[str, list[RowLike]], dense: dict[str, float | None]) -> Normalize:
    """Return what colours mean: doublings of the speed-up, the same both ways, or latencies where no dense is."""
    times = [(name, seconds(row) or math.nan) for name, found in cells.items() for row in found]
    if dense_known(dense) is None:
        low, high = min(time for _, time in times), max(time for _, time in times)
        return LogNorm(vmin=low * 1e3, vmax=high * 1e3)
    gains = [abs(math.log2((dense[name] or math.nan) / time)) for name, time in times]
    reach = math.ceil(max([1.0, *gains]))
    return TwoSlopeNorm(vcenter=0.0, vmin=-reach, vmax=reach)


def draw_cells(
    axes: Any, cells: Sequence[RowLike], places: tuple[list[str], list[float]], dense_s: float | None,
    scale: Normalize, *, width_inches: float, size: float = POINTS,
) -> Any:  # fmt: skip
    """Draw one device's cells, each with its numbers; return what the scale of colours is of."""
    patterns, levels = places
    relative = isinstance(scale, TwoSlopeNorm)
    grid = np.full((len(patterns), len(levels)), math.nan)
    for row in cells:
        time = seconds(row) or math.nan
        place = patterns.index(text(row, "pattern")), levels.index(_level(row))
        grid[place] = math.log2((dense_s or math.nan) / time) if relative else time * 1e3
    mesh = axes.pcolormesh(
        np.arange(len(levels) + 1) - 0.5, np.arange(len(patterns) + 1) - 0.5, np.ma.masked_invalid(grid),
        cmap=_SPEED_UPS if relative else matplotlib.colormaps["cividis_r"], norm=scale, edgecolors="white",
        linewidth=0.4,
    )  # fmt: skip
    for row in cells:
        y, x = patterns.index(text(row, "pattern")), levels.index(_level(row))
        colour = mesh.cmap(float(mesh.norm(grid[y, x])))
        if relative and 2.0 ** grid[y, x] < LEAST_SAME:
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, hatch=SLOWER_HATCH, linewidth=0, alpha=0.35))
        words = _cell_text(row, dense_s if relative else None, width_inches=width_inches)
        axes.text(
            x, y, words, ha="center", va="center", fontsize=size, color=ink_on(colour), linespacing=1.05,
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip
    axes.set_xticks(range(len(levels)), [percent(level) for level in levels])
    axes.set_yticks(range(len(patterns)), _names(cells, patterns))
    axes.set_ylim(len(patterns) - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return mesh


def draw_scale(figure: Any, every_axes: Sequence[Any], mesh: Any, scale: Normalize) -> None:
    """Draw the scale of colours beside the panels, unless it would be of one latency, which stands in its cell."""
    if not isinstance(scale, TwoSlopeNorm) and scale.vmin == scale.vmax:
        return
    bar = figure.colorbar(mesh, ax=list(every_axes), aspect=28, pad=0.02)
    bar.outline.set_linewidth(0.4)
    if isinstance(scale, TwoSlopeNorm):
        reach = int(scale.vmax or 0)
        step = 1 if reach <= 4 else 2
        doublings = [power for power in range(-reach, reach + 1) if power % step == 0]
        bar.set_ticks(doublings, labels=[f"{2.0**power:.3g}x" for power in doublings])
        bar.set_label("speed-up over dense")
    else:
        bar.set_label("latency (ms)")
        low, high = float(scale.vmin or 0), float(scale.vmax or 0)
        marks = [low * (high / low) ** (step / 3) for step in range(4)]
        bar.set_ticks(marks, labels=[milliseconds(mark / 1e3) for mark in marks], minor=False)
        bar.ax.minorticks_off()


def _level(row: RowLike) -> float:
    return variant(row).sparsity or 0.0


def _cell_text(row: RowLike, dense_s: float | None, *, width_inches: float) -> str:
    time, density = seconds(row) or math.nan, number(row, "density")
    lines = [milliseconds(time)]
    lines += [gain_text(dense_s / time, short=width_inches < _DIGITS_FIT_INCHES)] if dense_s else []
    lines += [f"d = {density:.2f}"] if width_inches >= _DENSITY_FITS_INCHES and density is not None else []
    return "\n".join(lines)


def gain_text(gain: float, *, short: bool) -> str:
    """Return a speed-up as it stands in a cell."""
    if gain >= 9.995:
        return f"{gain:.0f}x" if short else f"{gain:.1f}x"
    return f"{gain:.1f}x" if short and gain >= 0.995 else f"{gain:.2f}x"


def _data(row: RowLike, device: str, dense_s: float | None) -> tuple[Cell, ...]:
    time = seconds(row)
    numbers = (number(row, name) for name in NUMBERS)
    gain = dense_s / time if dense_s and time else None
    return device, text(row, "pattern"), variant(row).sparsity, *numbers, dense_s, gain


def _names(rows: Sequence[RowLike], patterns: Sequence[str]) -> list[str]:
    """Return the patterns as they stand beside the cells, with what they reached where it is not what was asked for."""
    words = [reached_words([row for row in rows if text(row, "pattern") == name]) for name in patterns]
    return [short_name(name, 18) + (f"\n({said})" if said else "") for name, said in zip(patterns, words, strict=True)]


def _caption(cells: dict[str, list[RowLike]], dense: dict[str, float | None], with_density: bool) -> str:
    every = [row for found in cells.values() for row in found]
    parts = ["latency in ms"]
    parts += ["speed-up over dense, which the colour shows (hatched: slower)"] if dense_known(dense) is not None else []
    parts += ["density d of all weights"] if with_density else []
    return (
        f"Latency of {subject(every)} on {listed(list(cells))} over sparsity and pattern; in each cell "
        f"{listed(parts)}{unproven_words(every)}."
    )
