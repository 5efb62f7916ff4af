"""Multiply-adds a second over multiply-adds per DRAM byte on one device: roofs, and a point for each layer.

Left out: layers without multiply-adds or DRAM traffic, which have no place on these axes (they are counted), and the
roofs of caches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gatherline.report.figures.chosen import DENSE, chosen_totals, one_device, seconds, subject, unproven_words
from gatherline.report.figures.figure import Cell, Drawn, FigureChoices, titled
from gatherline.report.figures.labels import Box, name_points
from gatherline.report.figures.reached import named
from gatherline.report.figures.style import (
    COLOURS,
    MARKERS,
    POINTS,
    Theme,
    drawing,
    engineering,
    safe,
    set_log,
    sheet,
    short_name,
    tidy,
    title_inches,
)
from gatherline.report.selection import (
    RowLike,
    Rows,
    Variant,
    layers,
    number,
    of_device,
    of_variant,
    text,
    totals,
    variant,
)
from gatherline.request_error import RequestError

HEADER = (
    "device", "pattern", "sparsity_target", "sparsity_reached", "layer", "macs_effectual", "dram_bytes", "latency_s",
    "macs_per_dram_byte", "macs_per_s", "bound", "peak_macs_per_s", "dram_bytes_per_s",
)  # fmt: skip
SHOWN_VARIANTS = 4
MOST_POINTS = 4_000  # of a variant: the slowest
NAMED_POINTS = 4


def roofline(rows: Rows, choices: FigureChoices) -> Drawn:
    """Return the roofline of one device, the first by default. Raises RequestError where no layer has a place."""
    device, notes = one_device(totals(rows), choices)
    found = of_device(rows, device)
    asked = named(chosen_totals(found, choices))
    shown, more = _shown(asked.timed.rows)
    points, left = _points(found, shown)
    if not any(points.values()):
        raise RequestError(f"no layer on {device} has multiply-adds, DRAM bytes and a time: a roofline has no points")
    points = {of: placed for of, placed in points.items() if placed}
    of_shown = [row for row in totals(found) if variant(row) in points]
    title = f"{subject(of_shown)} on {device}: roofline, a point is a layer{unproven_words(of_shown)}"
    theme = choices.look
    with drawing(theme):
        height = (2.7 if choices.columns == 1 else 3.6) + title_inches(title if choices.title else "", choices.columns)
        figure = sheet(choices.columns, height + 0.13 * -(-(len(points) + 2) // (2 * choices.columns)))
        axes = figure.add_subplot()
        draw_points(axes, points, theme, names=asked.names)
        draw_roofs(axes, found, [intensity(row) or 0.0 for placed in points.values() for row in placed], theme)
        axes.set_xlabel("effectual MACs per DRAM byte")
        axes.set_ylabel("effectual MACs per second")
        tidy(axes, theme, grid="both")
        figure.legend(loc="outside lower center", ncols=2 * choices.columns, frameon=False)
        titled(figure, safe(title), choices)
        figure.draw_without_rendering()  # settles the layout, which the names' places depend on
        slow = points[_fastest(of_shown)]
        name_slowest(axes, slow, [row for placed in points.values() for row in placed], theme)
    return Drawn(
        figure=figure,
        header=HEADER,
        rows=tuple(_data(row, of_shown) for placed in points.values() for row in placed),
        caption=(
            f"Roofline of {subject(of_shown)} on {device}{unproven_words(of_shown)}: effectual multiply-adds over DRAM "
            f"bytes and time; each point is a layer, the {NAMED_POINTS} slowest of "
            f"{asked.names[_fastest(of_shown)]} are named where there is room."
        ),
        notes=(*notes, *more, *asked.notes, *left),
    )


def _shown(of_totals: Sequence[RowLike]) -> tuple[list[Variant], tuple[str, ...]]:
    """Return the variants that are drawn: dense, and the fastest."""
    ordered = sorted(of_totals, key=lambda row: (text(row, "pattern") != DENSE, seconds(row) or 0.0))
    every = list(dict.fromkeys(variant(row) for row in ordered))
    kept = set(every[:SHOWN_VARIANTS])
    shown = [one for one in dict.fromkeys(variant(row) for row in of_totals) if one in kept]
    if len(every) == len(shown):
        return shown, ()
    return shown, (
        f"dense and the fastest, {len(shown)} of {len(every)} variants, are drawn; pattern and sparsity choose",
    )


def _points(rows: Rows, shown: Sequence[Variant]) -> tuple[dict[Variant, list[RowLike]], tuple[str, ...]]:
    """Return the layers that have a place, and what is said of the others."""
    points, unplaced, cut = {}, 0, 0
    for of in shown:
        every = of_variant(layers(rows), of)
        placed = [row for row in every if intensity(row) is not None]
        unplaced += len(every) - len(placed)
        if len(placed) > MOST_POINTS:
            cut = max(cut, len(placed))
            placed = sorted(placed, key=lambda row: -(seconds(row) or 0.0))[:MOST_POINTS]
        points[of] = placed
    notes = [f"{unplaced} rows of layers without multiply-adds or DRAM bytes have no point"] if unplaced else []
    notes += [f"the {MOST_POINTS:,} slowest of {cut:,} layers are drawn"] if cut else []
    return points, tuple(notes)


def draw_points(
    axes: Any, points: Mapping[Variant, Sequence[RowLike]], theme: Theme, *, names: Mapping[Variant, str],
    size: float = 16,
) -> None:  # fmt: skip
    """Draw a mark for each layer, colour and shape by variant; ``names``: of variants, in the legend."""
    palette = iter(zip(COLOURS * 2, MARKERS[1:] + MARKERS, strict=False))
    for of, placed in points.items():
        colour, marker = (theme.dense, MARKERS[0]) if of.pattern == DENSE else next(palette)
        xs, ys = [intensity(row) or 0.0 for row in placed], [rate(row) for row in placed]
        axes.scatter(
            xs, ys, s=size, color=colour, marker=marker, alpha=0.8, linewidths=0.4, edgecolors=theme.ground,
            label=safe(names[of]), zorder=3,
        )  # fmt: skip


def draw_roofs(axes: Any, rows: Rows, intensities: Sequence[float], theme: Theme) -> None:
    """Draw the compute roof and the DRAM roof, each with its number, and settle both axes."""
    peak = max((value for row in rows if (value := seconds(row, "peak_macs_per_s"))), default=None)
    bandwidth = max((value for row in rows if (value := seconds(row, "dram_bytes_per_s"))), default=None)
    low, high = min(intensities) / 2, max(intensities) * 2
    if peak and bandwidth:
        low, high = min(low, peak / bandwidth / 2), max(high, peak / bandwidth * 4)
    rates = [value for drawn in axes.collections for _, value in drawn.get_offsets()]
    set_log(axes.xaxis, low, high)
    set_log(axes.yaxis, min(rates) / 2, max([*rates, peak or 0.0]) * 2)
    edge = peak or math.inf
    if bandwidth:
        top = min(high, edge / bandwidth)
        axes.plot([low, top], [low * bandwidth, top * bandwidth], color=theme.ink, linestyle="--",
                  label=f"DRAM roof, {engineering(bandwidth)}B/s")  # fmt: skip
    if peak:
        start = edge / bandwidth if bandwidth else low
        axes.plot([start, high], [peak, peak], color=theme.ink, linestyle="-",
                  label=f"compute roof, {engineering(peak)}MAC/s")  # fmt: skip


def name_slowest(axes: Any, slow_rows: Rows, all_rows: Rows, theme: Theme) -> None:
    """Name the slowest layers beside their points, where a name covers no point, no other name and no edge."""
    ordered = sorted(slow_rows, key=lambda row: -(seconds(row) or 0.0))
    wanted = [(short_name(text(row, "layer"), 26), (intensity(row) or 0.0, rate(row))) for row in ordered]
    covered = [_around(axes.transData.transform((intensity(row), rate(row))), axes.figure.dpi) for row in all_rows]
    name_points(axes, wanted, covered, most=NAMED_POINTS, size=POINTS, colours=(theme.ink, theme.ground))


def _around(pixel: Sequence[float], dpi: float) -> Box:
    reach = 2.6 * dpi / 72
    return float(pixel[0]) - reach, float(pixel[1]) - reach, float(pixel[0]) + reach, float(pixel[1]) + reach


def intensity(row: RowLike) -> float | None:
    """Return effectual MACs per DRAM byte, None for a layer without MACs, DRAM traffic or time."""
    macs, moved, time = (seconds(row, name) for name in ("macs_effectual", "dram_bytes", "latency_s"))
    return macs / moved if macs and moved and time else None


def rate(row: RowLike) -> float:
    """Return effectual MACs a second."""
    return (seconds(row, "macs_effectual") or 0.0) / (seconds(row) or math.inf)


def _fastest(of_totals: Rows) -> Variant:
    return variant(min(of_totals, key=lambda row: seconds(row) or math.inf))


def _data(row: RowLike, of_totals: Rows) -> tuple[Cell, ...]:
    of = variant(row)
    reached = number(of_variant(of_totals, of)[0], "sparsity_reached")  # of the network: layers have none
    counts = (number(row, name) for name in ("macs_effectual", "dram_bytes", "latency_s"))
    roofs = (number(row, name) for name in ("peak_macs_per_s", "dram_bytes_per_s"))
    return (
        text(row, "device"), of.pattern, of.sparsity, reached, text(row, "layer"), *counts, intensity(row), rate(row),
        text(row, "bound"), *roofs,
    )  # fmt: skip
