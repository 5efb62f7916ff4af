"""Plots of break-even densities: for each device a strip for each pattern, a bar for each layer in network order.

Drawn with Agg and Matplotlib's own defaults, so that the same rows give the same bytes.
"""

from __future__ import annotations

from math import ceil
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gatherline.report.break_even_table import subject
from gatherline.report.columns import TOTAL
from gatherline.report.plots import COLOURS, file_part, short_name
from gatherline.report.selection import RowLike, Rows, devices, number, of_device, text, unique

BLUE, ORANGE, KEPT_GREY = COLOURS[0], COLOURS[1], "#e4e4e4"
DARK = "#222222"
NAMED_LAYERS = 64  # more names do not fit under the strips


def draw_break_evens(rows: Rows, folder: Path) -> list[str]:
    """Draw a picture for each device of ``rows`` into ``folder`` and return the files' names."""
    written = []
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.size": 8, "axes.titlesize": 10, "hatch.linewidth": 0.6})
        for device in devices(rows):
            figure = strips(of_device(rows, device))
            written.append(f"break-even-{file_part(device)}.png")
            FigureCanvasAgg(figure).print_png(folder / written[-1], metadata={"Software": None})
    return written


def strips(rows: Rows) -> Figure:
    """Return the picture of one device."""
    patterns = unique(text(row, "pattern") for row in rows)
    names = unique(text(row, "layer") for row in rows if row["layer"] != TOTAL)
    width = min(13.0, max(6.4, 3.0 + 0.17 * len(names)))
    figure = Figure(figsize=(width, 2.3 + 0.85 * len(patterns)), layout="constrained", dpi=110)
    every = figure.subplots(len(patterns), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for axes, pattern in zip(every, patterns, strict=True):
        of_this = {text(row, "layer"): row for row in rows if text(row, "pattern") == pattern}
        for place, name in enumerate(names):
            _draw_layer(axes, place, of_this[name])
        _draw_total(axes, of_this[TOTAL])
        ratios = text(of_this[TOTAL], "ratios")
        axes.set_title(pattern + (f" ({ratios})" if ratios else ""), loc="left", fontsize=8, pad=2)
        axes.set_ylim(0, 1)
        axes.set_yticks([0, 0.5, 1])
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    step = ceil(len(names) / NAMED_LAYERS)
    shown = range(0, len(names), step)
    every[-1].set_xticks(shown, [_short(names[at]) for at in shown], rotation=90, fontsize=6)
    every[-1].set_xlim(-0.7, len(names) - 0.3)
    every[-1].set_xlabel("layers in network order" + (f", every {step}th named" if step > 1 else ""))
    figure.supylabel("break-even density (share of weights kept)", fontsize=8)
    figure.suptitle(f"{subject(rows[0])}: where sparse beats dense", x=0.01, ha="left", fontsize=10)
    figure.legend(handles=_legend(rows), loc="outside lower center", ncols=3, fontsize=7, frameon=False)
    return figure


def _draw_layer(axes: matplotlib.axes.Axes, place: int, row: RowLike) -> None:
    verdict, density = text(row, "verdict"), number(row, "density")
    if verdict == "kept":
        axes.bar(place, 1, width=0.9, color=KEPT_GREY, linewidth=0)
    elif verdict in ("never", "scattered"):
        marker = "x" if verdict == "never" else "d"
        axes.plot(place, 0.05, marker=marker, color=ORANGE, markersize=3.6, markeredgewidth=1.1)
    elif density is not None:
        hatch = "/////" if verdict == "always" else None
        face = "white" if row.get("certain") is False else BLUE
        edge = "white" if hatch and face == BLUE else BLUE
        axes.bar(place, density, width=0.78, color=face, edgecolor=edge, hatch=hatch, linewidth=0.7)


def _draw_total(axes: matplotlib.axes.Axes, row: RowLike) -> None:
    density = number(row, "density")
    said = {"never": "never", "scattered": "some"}.get(text(row, "verdict"), "always")
    if text(row, "verdict") == "below" and density is not None:
        said = f"{density:.2f}"
    if density is not None:
        axes.axhline(density, color=DARK, linewidth=1.1, linestyle=(0, (4, 2)))
    axes.annotate(
        f"network\n{said}",
        (1.005, density or 0.0),
        xycoords="axes fraction",
        fontsize=7,
        va="center",
        annotation_clip=False,
    )


def _legend(rows: Rows) -> list[Patch | Line2D]:
    """Return the marks that this picture has."""
    layers = [row for row in rows if row["layer"] != TOTAL]
    verdicts = {text(row, "verdict") for row in layers}
    every: tuple[tuple[bool, Patch | Line2D], ...] = (
        ("below" in verdicts, Patch(color=BLUE, label="faster than dense below this density")),
        (
            "always" in verdicts,
            Patch(facecolor=BLUE, edgecolor="white", hatch="/////", label="faster at every density probed"),
        ),
        (
            any(row.get("certain") is False and number(row, "density") is not None for row in layers),
            Patch(facecolor="white", edgecolor=BLUE, label="outline: within the error band"),
        ),
        ("never" in verdicts, _mark("x", "never faster")),
        (
            "scattered" in verdicts,
            _mark("d", "faster at some densities, not the sparsest"),
        ),
        ("kept" in verdicts, Patch(color=KEPT_GREY, label="stays dense")),
        (
            True,
            Line2D(
                [],
                [],
                color=DARK,
                linewidth=1.1,
                linestyle=(0, (4, 2)),
                label="whole network, all pruned layers at one sparsity",
            ),
        ),
    )
    return [mark for there, mark in every if there]


def _mark(marker: str, label: str) -> Line2D:
    return Line2D([], [], linestyle="none", marker=marker, color=ORANGE, markeredgewidth=1.1, markersize=4, label=label)


def _short(name: str) -> str:
    return short_name(name, 22)
