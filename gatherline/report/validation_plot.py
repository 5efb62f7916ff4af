"""Scatter plots of a validation: predicted over measured latency, log-log, with y = x and its 10 % band."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from gatherline.report.figures.style import COLOURS, MARKERS
from gatherline.report.selection import Rows, number, text, unique

FAMILY_COLOURS = (*COLOURS, "#000000", "#F0E442")  # the rest of the colour-blind-safe set that COLOURS is of
MILLI = 1e3
CROWD = 300  # points of a family, above which they are drawn small and faint
TITLE_WIDTH = 72  # letters of a title on a picture of one device
WIDE = 200  # an axis over more than this factor is labelled at powers of ten alone


def draw_scatters(points: Rows, folder: Path) -> list[str]:
    """Draw a picture for each device of ``points`` into ``folder`` and return the files' names."""
    written = []
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.size": 9, "axes.titlesize": 10})
        for device in unique(text(point, "device") for point in points):
            figure = scatter([point for point in points if text(point, "device") == device])
            written.append(f"scatter-{device}.png")
            FigureCanvasAgg(figure).print_png(folder / written[-1], metadata={"Software": None})
    return written


def scatter(points: Rows) -> Figure:
    """Return the picture of one device; a series for each runtime, type, threads and family. An interval is a bar."""
    names = unique(_series(point) for point in points)
    figure = Figure(figsize=(6.4, 5.9 + 0.11 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    every = [value for point in points for value in (_ms(point, "measured_s"), *_ends(point))]
    _axes(axes, every, labelled=True)
    for index, series in enumerate(names):
        of_this = [point for point in points if _series(point) == series]
        measured = [_ms(point, "measured_s") for point in of_this]
        low, high = zip(*(_ends(point) for point in of_this), strict=True)
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index // len(COLOURS) % len(MARKERS)]
        middle = np.sqrt(np.array(low) * np.array(high))
        axes.vlines(measured, low, high, color=colour, linewidth=1.4)
        axes.scatter(measured, middle, s=20, color=colour, marker=marker, label=f"{series} ({len(of_this)})", zorder=3)
    axes.set_title(_title(points), loc="left")
    figure.legend(loc="outside lower center", ncols=2, fontsize=7, frameon=False)
    return figure


def overview(points: Rows) -> Figure:
    """Return one picture of all devices: a panel for each kind, a colour for each family; hollow: fitted devices."""
    kinds = unique(text(point, "device_kind") for point in points)
    families = unique(text(point, "family") for point in points)
    across = min(len(kinds), 3) or 1
    down = max(1, -(-len(kinds) // across))
    figure = Figure(figsize=(4.2 * across, 4.3 * down + 0.5), layout="constrained")
    for index, kind in enumerate(kinds):
        axes = figure.add_subplot(down, across, index + 1)
        of_kind = [point for point in points if text(point, "device_kind") == kind]
        _panel(axes, of_kind, families)
        devices = len(unique(text(point, "device") for point in of_kind))
        off = {use: [abs(number(point, "error") or 0.0) for point in of_kind if text(point, "use") == use]
               for use in ("fit", "held_out")}  # fmt: skip
        said = [f"{name} {np.median(off[use]):.0%} of {len(off[use]):,}"
                for use, name in (("held_out", "held out"), ("fit", "fitted")) if off[use]]  # fmt: skip
        axes.set_title(
            f"{kind}: {devices} device{'s' if devices > 1 else ''}; median error\n{', '.join(said)} rows",
            loc="left",
            fontsize=9,
        )
    marks = [Line2D([], [], marker="o", linestyle="", markersize=5, color=_colour(families, name), label=name)
             for name in families]  # fmt: skip
    marks += [
        Line2D([], [], marker="o", linestyle="", markersize=5, color="#595959", label="held out"),
        Line2D([], [], marker="o", linestyle="", markersize=5, color="#595959", fillstyle="none", label="fitted"),
        Line2D([], [], color="#595959", linewidth=0.9, label="predicted = measured, within 10 % in grey"),
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    return figure


def _panel(axes: Axes, points: Rows, families: list[str]) -> None:
    middles = [float(np.sqrt(low * high)) for low, high in map(_ends, points)]
    measured = [_ms(point, "measured_s") for point in points]
    _axes(axes, [*measured, *middles])
    counts = {name: sum(text(point, "family") == name for point in points) for name in families}
    for name in sorted(families, key=lambda name: -counts[name]):  # few points on top of many, and larger
        size, faint = (5, 0.5) if counts[name] > CROWD else (14, 0.9)
        colour = _colour(families, name)
        for use, face in (("fit", "none"), ("held_out", colour)):  # held out on top
            at = [n for n, point in enumerate(points) if (text(point, "family"), text(point, "use")) == (name, use)]
            axes.scatter(
                [measured[n] for n in at], [middles[n] for n in at], s=size, linewidths=0.6, facecolors=face,
                edgecolors=colour, alpha=faint, zorder=3,
            )  # fmt: skip


def _colour(families: list[str], name: str) -> str:
    return FAMILY_COLOURS[families.index(name) % len(FAMILY_COLOURS)]


def _axes(axes: Axes, values: list[float], *, labelled: bool = False) -> None:
    """Give ``axes`` one log scale both ways over ``values`` (ms), y = x and its 10 % band."""
    reach = np.array([min(values) / 1.6, max(values) * 1.6])
    axes.fill_between(reach, reach * 0.9, reach * 1.1, color="#dddddd", linewidth=0,
                      label="within 10 %" if labelled else None)  # fmt: skip
    axes.plot(reach, reach, color="#595959", linewidth=0.9, label="predicted = measured" if labelled else None)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if reach[1] < WIDE * reach[0] else (1,)))
        axis.set_major_formatter(FuncFormatter(_tick))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlim(*reach)
    axes.set_ylim(*reach)
    axes.set_aspect("equal")
    axes.set_xlabel("measured latency (ms)")
    axes.set_ylabel("predicted latency (ms)")
    axes.grid(color="#eeeeee", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _tick(value: float, _: object) -> str:
    """Name a tick; in thousands where its digits would run into the next one's."""
    return f"{value / 1000:,g}k" if value >= 10_000 else f"{value:,g}"


def _title(points: Rows) -> str:
    """Say whose rows, how many, and the median error of each family: one over all would be that of the largest."""
    use = "held out" if text(points[0], "use") == "held_out" else "fitted"
    medians = []
    for family in sorted(unique(text(point, "family") for point in points)):
        off = [abs(number(point, "error") or 0.0) for point in points if text(point, "family") == family]
        medians.append(f"{family} {np.median(off):.0%} of {len(off):,}")
    count = f"{text(points[0], 'device')}, {use}: {len(points):,} measurement{'s' if len(points) > 1 else ''}"
    return f"{count}\n{fill('median error: ' + ', '.join(medians), TITLE_WIDTH)}"


def _series(point: object) -> str:
    assert isinstance(point, dict)
    threads = ""  # of a GPU or an FPGA, a table's thread says nothing
    if text(point, "device_kind") in ("cpu", "mobile_cpu"):
        threads = f", {point['threads']} thread{'s' if point['threads'] != 1 else ''}"
    return f"{point['soc']}, {point['runtime']}, {point['dtype']}{threads}, {point['family']}"


def _ms(point: object, name: str) -> float:
    assert isinstance(point, dict)
    return float(point[name]) * MILLI


def _ends(point: object) -> tuple[float, float]:
    return _ms(point, "predicted_low_s"), _ms(point, "predicted_high_s")
