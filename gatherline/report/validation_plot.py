"""Scatter plots of a validation: predicted over measured latency, log-log, with y = x and its 10 % band."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from gatherline.report.plots import COLOURS, MARKERS
from gatherline.report.selection import Rows, number, text, unique

MILLI = 1e3
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
    reach = np.array([min(every) / 1.6, max(every) * 1.6])
    axes.fill_between(reach, reach * 0.9, reach * 1.1, color="#dddddd", linewidth=0, label="within 10 %")
    axes.plot(reach, reach, color="#595959", linewidth=0.9, label="predicted = measured")
    for index, series in enumerate(names):
        of_this = [point for point in points if _series(point) == series]
        measured = [_ms(point, "measured_s") for point in of_this]
        low, high = zip(*(_ends(point) for point in of_this), strict=True)
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index // len(COLOURS) % len(MARKERS)]
        middle = np.sqrt(np.array(low) * np.array(high))
        axes.vlines(measured, low, high, color=colour, linewidth=1.4)
        axes.scatter(measured, middle, s=20, color=colour, marker=marker, label=f"{series} ({len(of_this)})", zorder=3)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if reach[1] < WIDE * reach[0] else (1,)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlim(*reach)
    axes.set_ylim(*reach)
    axes.set_aspect("equal")
    axes.set_xlabel("measured latency (ms)")
    axes.set_ylabel("predicted latency (ms)")
    axes.grid(color="#eeeeee", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(_title(points), loc="left")
    figure.legend(loc="outside lower center", ncols=2, fontsize=7, frameon=False)
    return figure


def _title(points: Rows) -> str:
    off = np.median([abs(number(point, "error") or 0.0) for point in points])
    held_out = text(points[0], "use") == "held_out"
    use = "left out of fitting" if held_out else "measurements were in view when it was set up"
    count = f"{len(points)} measurements, median error {off:.0%}"
    return f"{text(points[0], 'device')}: {count}\n{use}"


def _series(point: object) -> str:
    assert isinstance(point, dict)
    threads = f", {point['threads']} threads" if point["threads"] != 1 else ""
    return f"{point['soc']}, {point['runtime']}, {point['dtype']}{threads}, {point['family']}"


def _ms(point: object, name: str) -> float:
    assert isinstance(point, dict)
    return float(point[name]) * MILLI


def _ends(point: object) -> tuple[float, float]:
    return _ms(point, "predicted_low_s"), _ms(point, "predicted_high_s")
