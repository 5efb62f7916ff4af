"""Pictures of a report: per-layer latency bars, a sparsity x pattern heat map and a roofline plot for each device.

What they show is drawn as in figures for papers (``figures/``), on sheets for a screen. Drawn with Agg and settings of
our own, so that the same rows give the same bytes. Left out: pictures across devices, interactive pictures. A picture
that has nothing to show is not drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gatherline.report.figures.heatmap import cells_of, draw_cells, draw_scale, scale_of
from gatherline.report.figures.reached import reached_words
from gatherline.report.figures.roofline import draw_points, draw_roofs, intensity, name_slowest
from gatherline.report.figures.style import COLOURS, DENSE_COLOUR, THEMES, file_part, safe, short_name
from gatherline.report.selection import (
    Rows,
    Variant,
    dense_latency_s,
    devices,
    fastest,
    layers,
    milliseconds,
    number,
    of_device,
    of_variant,
    text,
    totals,
    unique,
    variant,
)

SHOWN_VARIANTS = 6
SHOWN_LAYERS = 24
PAPER = THEMES["light"]


def draw_all(rows: Rows, folder: Path) -> list[str]:
    """Draw every picture of ``rows`` into ``folder`` and return the files' names."""
    written: list[str] = []
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.size": 9, "axes.titlesize": 10, "figure.titlesize": 11})
        for device in devices(totals(rows)):
            of_this = of_device(rows, device)
            drawers: tuple[tuple[str, Callable[[Rows], Figure | None]], ...] = (
                ("layers", layer_bars),
                ("heatmap", heat_map),
                ("roofline", roofline),
            )
            for kind, draw in drawers:
                figure = draw(of_this)
                if figure is not None:
                    written.append(_save(figure, folder, f"{kind}-{file_part(device)}", written))
    return written


def layer_bars(rows: Rows) -> Figure | None:
    """Latency of each layer on one device, one bar for each variant at the highest sparsity; slowest layers only."""
    chosen = _chosen(rows)
    if not chosen:
        return None
    latency = {v: _latency_by_layer(of_variant(layers(rows), v)) for v in chosen}
    names = unique(name for v in chosen for name in latency[v])
    slowest = sorted(names, key=lambda name: -max(latency[v].get(name, 0.0) for v in chosen))[:SHOWN_LAYERS]
    shown = [name for name in names if name in set(slowest)]
    labels = [short_name(name) for name in shown]
    height = 1.9 + len(labels) * max(0.22, 0.085 * len(chosen) + 0.08)
    figure = Figure(figsize=(9.0, height), layout="constrained")
    axes = figure.add_subplot()
    thickness = 0.8 / len(chosen)
    for index, (v, colour) in enumerate(zip(chosen, _colours(chosen), strict=True)):
        values = [latency[v].get(name, 0.0) for name in shown]
        places = [place + (index - (len(chosen) - 1) / 2) * thickness for place in range(len(labels))]
        total_s = number(of_variant(totals(rows), v)[0], "latency_s") or math.inf
        share = f", {sum(values) / total_s:.0%} of it shown" if len(shown) < len(names) else ""
        label = f"{safe(_name(rows, v))}: network {milliseconds(total_s)} ms{share}"
        axes.barh(places, [value * 1e3 for value in values], height=thickness, color=colour, label=label)
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlabel("latency (ms)")
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    which = f"the {len(shown)} slowest of {len(names)} layers, in network order"
    which = which if len(shown) < len(names) else "all layers in network order"
    axes.set_title(f"{_subject(rows)}: latency of each layer\n{which}{_left_out(rows, chosen)}", loc="left")
    figure.legend(loc="outside lower center", ncols=min(2, len(chosen)), fontsize=8, frameon=False)
    return figure


def heat_map(rows: Rows) -> Figure | None:
    """Latency over sparsity and pattern on one device; the colour is the speed-up over dense where dense was run."""
    cells = cells_of(totals(rows))
    if not cells:
        return None
    patterns = unique(text(row, "pattern") for row in cells)
    levels = sorted({variant(row).sparsity or 0.0 for row in cells})
    dense = dense_latency_s(totals(rows))
    figure = Figure(figsize=(3.4 + 1.25 * len(levels), 1.9 + 0.62 * len(patterns)), layout="constrained")
    axes = figure.add_subplot()
    device = text(cells[0], "device")
    scale = scale_of({device: cells}, {device: dense})
    mesh = draw_cells(axes, cells, (patterns, levels), dense, scale, width_inches=1.25, size=9)
    axes.set_xlabel("sparsity asked for")
    axes.set_ylabel("pattern")
    against = f"; dense: {milliseconds(dense)} ms" if dense else ""
    axes.set_title(f"{_subject(rows)}\nlatency (ms), density d{against}", loc="left", fontsize=9)
    draw_scale(figure, [axes], mesh, scale)
    return figure


def roofline(rows: Rows) -> Figure | None:
    """Multiply-adds a second over multiply-adds per DRAM byte: a point for each layer, roofs of the device."""
    chosen = _chosen(rows)
    points = {v: [row for row in of_variant(layers(rows), v) if intensity(row) is not None] for v in chosen}
    points = {v: placed for v, placed in points.items() if placed}
    if not points:
        return None
    figure = Figure(figsize=(8.0, 5.6), layout="constrained")
    axes = figure.add_subplot()
    draw_points(axes, points, PAPER, names={v: _name(rows, v) for v in points}, size=40)
    every = [row for placed in points.values() for row in placed]
    draw_roofs(axes, rows, [intensity(row) or 0.0 for row in every], PAPER)
    axes.set_xlabel("arithmetic intensity (effectual MACs per DRAM byte)")
    axes.set_ylabel("throughput (effectual MACs per second)")
    axes.grid(which="major", color="#dddddd", linewidth=0.6)
    axes.set_title(
        f"{_subject(rows)}: roofline\na point is a layer with multiply-adds{_left_out(rows, list(points))}", loc="left"
    )
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.draw_without_rendering()  # settles the layout, which the names' places depend on
    name_slowest(axes, points[_fastest_of(rows, list(points))], every, PAPER)
    return figure


def _chosen(rows: Rows) -> list[Variant]:
    """Return the variants that a picture shows: dense, the model's own zeros, and the fastest at the top sparsity."""
    of_totals = [row for row in totals(rows) if number(row, "latency_s") is not None]
    asked = [v for row in of_totals if (v := variant(row)).sparsity is not None]
    top = max((v.sparsity for v in asked if v.sparsity is not None), default=None)
    candidates = [row for row in of_totals if variant(row).sparsity in (None, top)]
    kept = sorted(candidates, key=lambda row: (text(row, "pattern") != "dense", number(row, "latency_s") or 0.0))
    best = {variant(row) for row in kept[:SHOWN_VARIANTS]}
    return list(dict.fromkeys(variant(row) for row in candidates if variant(row) in best))


def _name(rows: Rows, of: Variant) -> str:
    """Return what a variant is called: with what it reached where that is not what was asked for."""
    words = reached_words(of_variant(totals(rows), of))
    return f"{of.label} ({words})" if words else of.label


def _left_out(rows: Rows, chosen: list[Variant]) -> str:
    """Return the words that say how many variants a picture leaves out."""
    missing = len({variant(row) for row in totals(rows)} - set(chosen))
    return f"\n{missing} more variants (lower sparsity, or slower) are in rows.csv" if missing else ""


def _fastest_of(rows: Rows, chosen: list[Variant]) -> Variant:
    best = fastest([row for row in totals(rows) if variant(row) in chosen])
    return chosen[0] if best is None else variant(best)


def _colours(chosen: list[Variant]) -> list[str]:
    """Return a colour for each variant, grey for dense."""
    palette = iter(COLOURS)
    return [DENSE_COLOUR if v.pattern == "dense" else next(palette) for v in chosen]


def _latency_by_layer(rows: Rows) -> dict[str, float]:
    return {text(row, "layer"): number(row, "latency_s") or 0.0 for row in rows}


def _subject(rows: Rows) -> str:
    row = rows[0]
    synthetic = " (synthetic weights)" if row.get("synthetic") else ""
    return safe(f"{text(row, 'model')}{synthetic} on {text(row, 'device')}")


def _save(figure: Figure, folder: Path, stem: str, taken: list[str]) -> str:
    name, turn = f"{stem}.png", 2
    while name in taken:
        name, turn = f"{stem}-{turn}.png", turn + 1
    FigureCanvasAgg(figure).print_png(folder / name, metadata={"Software": None})
    return name
