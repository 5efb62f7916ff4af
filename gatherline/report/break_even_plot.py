"""Plots of break-even densities: for each device a strip for each pattern, a bar for each layer in network order.

What measurements stand behind is strong, what none do is pale and hatched; a strip without a bar says why.
Drawn with Agg and Matplotlib's own defaults, so that the same rows give the same bytes.
"""

from __future__ import annotations

from collections import Counter
from math import ceil
from pathlib import Path
from textwrap import fill

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gatherline.report.break_even_marks import DARK, DASHES, KEPT_GREY, Looks, is_bar, legend, looks_of
from gatherline.report.break_even_table import subject
from gatherline.report.columns import TOTAL
from gatherline.report.figures.style import file_part, short_name
from gatherline.report.selection import RowLike, Rows, devices, number, of_device, text, unique

NAMED_LAYERS = 64  # more names do not fit under the strips
TITLE_CHARACTERS = 15  # that fit on an inch
WIDE_LAYERS = 12  # fewer layers get bars as narrow as these
TOPS = (0.1, 0.2, 0.5, 1.0)  # ends of the axis: a model with zeros of its own has no dense end


def draw_break_evens(rows: Rows, folder: Path) -> list[str]:
    """Draw a picture for each device of ``rows`` into ``folder`` and return the files' names."""
    written = []
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.size": 8, "axes.titlesize": 10, "hatch.linewidth": 0.7})
        for device in devices(rows):
            figure = strips(of_device(rows, device))
            written.append(f"break-even-{file_part(device)}.png")
            FigureCanvasAgg(figure).print_png(folder / written[-1], metadata={"Software": None})
    return written


def strips(rows: Rows) -> Figure:
    """Return the picture of one device."""
    patterns = unique(text(row, "pattern") for row in rows)
    names = unique(text(row, "layer") for row in rows if row["layer"] != TOTAL)
    width = min(13.0, max(7.4, 3.0 + 0.17 * len(names)))
    figure = Figure(figsize=(width, 2.5 + 0.85 * len(patterns)), layout="constrained", dpi=110)
    every = figure.subplots(len(patterns), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    top = axis_top(rows)
    for axes, pattern in zip(every, patterns, strict=True):
        of_this = {text(row, "layer"): row for row in rows if text(row, "pattern") == pattern}
        _draw_strip(axes, [of_this[name] for name in names], of_this[TOTAL], top)
    step = ceil(len(names) / NAMED_LAYERS)
    shown = range(0, len(names), step)
    every[-1].set_xticks(shown, [short_name(names[at], 22) for at in shown], rotation=90, fontsize=6)
    every[-1].set_xlim(-0.7, len(names) - 0.3)
    every[-1].set_xlabel("layers in network order" + (f", every {step}th named" if step > 1 else ""))
    figure.supylabel("break-even density (share of weights kept)", fontsize=8)
    said = fill(standing(rows), int(TITLE_CHARACTERS * width))
    figure.suptitle(f"{subject(rows[0])}: where sparse beats dense\n{said}", x=0.01, ha="left", fontsize=9)
    figure.legend(handles=legend(rows), loc="outside lower center", ncols=2, fontsize=7, frameon=False)
    return figure


def axis_top(rows: Rows) -> float:
    """Return the end of the density axis, above every bar."""
    densities = [number(row, "density") or 0.0 for row in rows]
    if not any(densities):
        return TOPS[-1]
    return next((top for top in TOPS if max(densities) <= 0.9 * top), TOPS[-1])


def standing(rows: Rows) -> str:
    """Return what stands behind the bars: patterns whose sparse times were validated, and those of which none was."""
    bars = [row for row in rows if row["layer"] != TOTAL and is_bar(row)]
    if not bars:
        return "No layer is faster under any of these patterns."
    pale = unique(text(row, "pattern") for row in bars if looks_of(row) is Looks.NOT_VALIDATED)
    if not pale:
        return "Every sparse time drawn has an error band from measurements."
    strong = unique(text(row, "pattern") for row in bars if looks_of(row) is not Looks.NOT_VALIDATED)
    if not strong:
        return "Not validated: no measurements stand behind the sparse times of these bars, so all are hatched."
    return f"Not validated, so hatched: {', '.join(pale)}. With an error band from measurements: {', '.join(strong)}."


def why_no_bar(layers: Rows) -> str:
    """Return why no layer of a strip has a bar: the commonest reason; "" where one has."""
    if any(is_bar(row) for row in layers):
        return ""
    pruned = [text(row, "reason") for row in layers if text(row, "verdict") != "kept"]
    if not pruned:
        return "no layer is pruned"
    reason, times = Counter(pruned).most_common(1)[0]
    if times == len(pruned):
        return reason
    return f"no layer is faster; {times} of {len(pruned)}: {reason}"


def _draw_strip(axes: Axes, layers: Rows, total: RowLike, top: float) -> None:
    width = min(1.0, len(layers) / WIDE_LAYERS)
    for place, row in enumerate(layers):
        _draw_layer(axes, place, row, width, top)
    _draw_total(axes, total)
    why = why_no_bar(layers)
    if why:
        box = {"facecolor": "white", "edgecolor": "#bbbbbb", "linewidth": 0.6, "boxstyle": "round,pad=0.35"}
        axes.text(0.5, 0.55, fill(why, 90), transform=axes.transAxes, ha="center", va="center", fontsize=7, bbox=box)
    ratios = text(total, "ratios")
    axes.set_title(text(total, "pattern") + (f" ({ratios})" if ratios else ""), loc="left", fontsize=8, pad=2)
    axes.set_ylim(0, 1.14 * top)
    axes.set_yticks([0, top / 2, top])
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_layer(axes: Axes, place: int, row: RowLike, width: float, top: float) -> None:
    verdict, density, looks = text(row, "verdict"), number(row, "density"), looks_of(row)
    if verdict == "kept":
        axes.bar(place, top, width=0.9 * width, color=KEPT_GREY, linewidth=0)
    elif verdict in ("never", "scattered"):
        marker = "x" if verdict == "never" else "d"
        axes.plot(place, 0.07 * top, marker=marker, color=looks.mark, markersize=3.6, markeredgewidth=1.1)
    elif density is not None:
        bars = axes.bar(place, density, width=0.78 * width, color=looks.face, edgecolor=looks.edge, linewidth=0.7)
        bars[0].set_hatch(looks.hatch)
        if verdict == "always":
            axes.plot(place, density + 0.06 * top, marker="^", color=DARK, markersize=3, markeredgewidth=0)


def _draw_total(axes: Axes, row: RowLike) -> None:
    density = number(row, "density")
    said = {"never": "never", "scattered": "at some"}.get(text(row, "verdict"), "always")
    if text(row, "verdict") == "below" and density is not None:
        said = f"{density:.2f}"
    if density is not None:
        axes.axhline(density, color=DARK, linewidth=1.1, linestyle=DASHES)
    said += "\nnot validated" if density is not None and looks_of(row) is Looks.NOT_VALIDATED else ""
    axes.annotate(
        f"network:\n{said}",
        (1.005, density or 0.0),
        xycoords=("axes fraction", "data"),
        fontsize=7,
        va="center",
        annotation_clip=False,
    )
