"""Pictures of a report: per-layer latency bars, a sparsity x pattern heat map and a roofline plot for each device.

Drawn with Agg and Matplotlib's own defaults, so that the same rows give the same bytes. Left out: pictures across
devices, interactive pictures. A picture that has nothing to show is not drawn.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure

from gatherline.report.selection import (
    RowLike,
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
    percent,
    text,
    totals,
    unique,
    variant,
)

# Okabe and Ito's eight colours, told apart by colour-blind readers (jfly.uni-koeln.de/color), without the yellow
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
DENSE_COLOUR = "#595959"
MARKERS = ("o", "s", "^", "D", "v", "P")
SHOWN_VARIANTS = 6
SHOWN_LAYERS = 24
NAMED_POINTS = 4


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
        label = f"{_safe(v.label)}: network {milliseconds(total_s)} ms{share}"
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
    cells = [row for row in totals(rows) if variant(row).sparsity is not None and number(row, "latency_s") is not None]
    if not cells:
        return None
    patterns = unique(text(row, "pattern") for row in cells)
    levels = sorted({number(row, "sparsity_target") or 0.0 for row in cells})
    dense = dense_latency_s(totals(rows))
    grid = [[math.nan] * len(levels) for _ in patterns]
    figure = Figure(figsize=(3.4 + 1.25 * len(levels), 1.9 + 0.62 * len(patterns)), layout="constrained")
    axes = figure.add_subplot()
    for row in cells:
        seconds = number(row, "latency_s") or math.nan
        place = patterns.index(text(row, "pattern")), levels.index(number(row, "sparsity_target") or 0.0)
        grid[place[0]][place[1]] = math.log2(dense / seconds) if dense else seconds * 1e3
    norm = _speed_up_norm(grid) if dense else None
    image = axes.imshow(grid, aspect="auto", cmap="PuOr" if dense else "cividis_r", norm=norm)
    for row in cells:
        y, x = patterns.index(text(row, "pattern")), levels.index(number(row, "sparsity_target") or 0.0)
        red, green, blue, _ = image.to_rgba(np.array([grid[y][x]]))[0]
        ink = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
        axes.text(x, y, _cell_text(row, dense), ha="center", va="center", fontsize=7.5, color=ink)
    axes.set_xticks(range(len(levels)), [percent(level) for level in levels])
    axes.set_yticks(range(len(patterns)), [_safe(name) for name in patterns])
    axes.set_xlabel("sparsity asked for")
    axes.set_ylabel("pattern")
    against = f"; dense: {milliseconds(dense)} ms" if dense else ""
    axes.set_title(f"{_subject(rows)}\nlatency (ms), density d{against}", loc="left", fontsize=9)
    bar = figure.colorbar(image, ax=axes)
    if norm is not None:
        reach = float(norm.vmax or 0.0)
        doublings = range(-math.floor(reach), math.floor(reach) + 1)
        bar.set_ticks(list(doublings), labels=[f"{2.0**power:g}x" for power in doublings])
        bar.set_label("speed-up over dense")
    else:
        bar.set_label("latency (ms)")
    return figure


def roofline(rows: Rows) -> Figure | None:
    """Multiply-adds a second over multiply-adds per DRAM byte: a point for each layer, roofs of the device."""
    chosen = _chosen(rows)
    points = {v: [row for row in of_variant(layers(rows), v) if _intensity(row) is not None] for v in chosen}
    chosen = [v for v in chosen if points[v]]
    if not chosen:
        return None
    figure = Figure(figsize=(8.0, 5.6), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.set_yscale("log")
    for index, (v, colour, marker) in enumerate(zip(chosen, _colours(chosen), MARKERS, strict=False)):
        xs = [_intensity(row) or 0.0 for row in points[v]]
        ys = [_rate(row) for row in points[v]]
        axes.scatter(
            xs, ys, s=52 - 7 * index, color=colour, marker=marker, alpha=0.8, linewidths=0.4, edgecolors="white",
            label=_safe(v.label), zorder=3,
        )  # fmt: skip
    _draw_roofs(axes, rows, [_intensity(row) or 0.0 for v in chosen for row in points[v]])
    axes.set_xlabel("arithmetic intensity (effectual MACs per DRAM byte)")
    axes.set_ylabel("throughput (effectual MACs per second)")
    axes.grid(which="major", color="#dddddd", linewidth=0.6)
    axes.set_title(
        f"{_subject(rows)}: roofline\na point is a layer with multiply-adds{_left_out(rows, chosen)}", loc="left"
    )
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.draw_without_rendering()  # settles the layout, which the names' places depend on
    _name_slowest(axes, points[_fastest_of(rows, chosen)], [row for v in chosen for row in points[v]])
    return figure


def _draw_roofs(axes: Any, rows: Rows, intensities: list[float]) -> None:
    """Draw the compute roof and the DRAM roof, each with its number, over the intensities that occur."""
    peaks = [value for row in rows if (value := number(row, "peak_macs_per_s"))]
    bandwidths = [value for row in rows if (value := number(row, "dram_bytes_per_s"))]
    low, high = min(intensities) / 2, max(intensities) * 2
    if peaks and bandwidths:
        ridge = max(peaks) / max(bandwidths)
        low, high = min(low, ridge / 2), max(high, ridge * 4)
    axes.set_xlim(low, high)
    edge = max(peaks) if peaks else math.inf
    if bandwidths:
        top = min(high, edge / max(bandwidths))
        label = f"DRAM roof, {_engineering(max(bandwidths))}B/s"
        ends = [low * max(bandwidths), top * max(bandwidths)]
        axes.plot([low, top], ends, color="black", linestyle="--", linewidth=1.2, label=label)
    if peaks:
        start = edge / max(bandwidths) if bandwidths else low
        label = f"compute roof, {_engineering(edge)}MAC/s"
        axes.plot([start, high], [edge, edge], color="black", linestyle="-", linewidth=1.2, label=label)


def _name_slowest(axes: Any, slow_rows: Rows, all_rows: Rows) -> None:
    """Name the slowest layers beside their points, where a name covers no point, no other name and no edge."""
    pixels = [_pixel(axes, row) for row in all_rows]
    frame, covered = axes.bbox, [(x - 5, y - 5, x + 5, y + 5) for x, y in pixels]
    named: list[tuple[float, float]] = []
    for row in sorted(slow_rows, key=lambda row: -(number(row, "latency_s") or 0.0)):
        name, (x, y) = short_name(text(row, "layer")), _pixel(axes, row)
        if any(abs(x - other_x) < 6 and abs(y - other_y) < 6 for other_x, other_y in named):
            continue  # one name a place: whose it is would not show
        width = 5.4 * len(name)
        for dx, dy in ((10, -16), (-10 - width, 8), (10, 8), (-10 - width, -16), (16, -34), (-16 - width, 26)):
            box = (x + dx, y + dy, x + dx + width, y + dy + 9)
            inside = frame.x0 < box[0] and box[2] < frame.x1 and frame.y0 < box[1] and box[3] < frame.y1
            if not inside or any(_overlap(box, other) for other in covered):
                continue
            points_per_pixel = 72 / axes.figure.dpi
            axes.annotate(
                name, (_intensity(row), _rate(row)), xytext=(dx * points_per_pixel, dy * points_per_pixel),
                textcoords="offset points", fontsize=6.5, color="#222222", zorder=4,
                bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
            )  # fmt: skip
            covered.append(box)
            named.append((x, y))
            break
        if len(named) == NAMED_POINTS:
            return


def _pixel(axes: Any, row: RowLike) -> tuple[float, float]:
    x, y = axes.transData.transform((_intensity(row), _rate(row)))
    return float(x), float(y)


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _chosen(rows: Rows) -> list[Variant]:
    """Return the variants that a picture shows: dense, the model's own zeros, and the fastest at the top sparsity."""
    of_totals = [row for row in totals(rows) if number(row, "latency_s") is not None]
    asked = [v for row in of_totals if (v := variant(row)).sparsity is not None]
    top = max((v.sparsity for v in asked if v.sparsity is not None), default=None)
    candidates = [row for row in of_totals if variant(row).sparsity in (None, top)]
    kept = sorted(candidates, key=lambda row: (text(row, "pattern") != "dense", number(row, "latency_s") or 0.0))
    best = {variant(row) for row in kept[:SHOWN_VARIANTS]}
    return list(dict.fromkeys(variant(row) for row in candidates if variant(row) in best))


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


def _intensity(row: RowLike) -> float | None:
    """Return effectual MACs per DRAM byte, None for a layer without MACs, DRAM traffic or time."""
    macs, moved, seconds = (number(row, name) for name in ("macs_effectual", "dram_bytes", "latency_s"))
    return macs / moved if macs and moved and seconds else None


def _rate(row: RowLike) -> float:
    return (number(row, "macs_effectual") or 0.0) / (number(row, "latency_s") or math.inf)


def _speed_up_norm(grid: list[list[float]]) -> Normalize:
    values = [abs(value) for line in grid for value in line if not math.isnan(value)]
    reach = math.ceil(max([1.0, *values]))  # whole doublings, the same both ways, so that white is dense
    return TwoSlopeNorm(vcenter=0.0, vmin=-reach, vmax=reach)


def _cell_text(row: RowLike, dense_s: float | None) -> str:
    seconds, density = number(row, "latency_s") or math.nan, number(row, "density")
    gain = f"  ({dense_s / seconds:.2f}x)" if dense_s else ""
    kept = "" if density is None else f"\nd = {density:.3f}"
    return f"{milliseconds(seconds)}{gain}{kept}"


def _subject(rows: Rows) -> str:
    row = rows[0]
    synthetic = " (synthetic weights)" if row.get("synthetic") else ""
    return _safe(f"{text(row, 'model')}{synthetic} on {text(row, 'device')}")


def _engineering(value: float) -> str:
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}"
    return f"{value:.3g} "


def short_name(name: str, width: int = 34) -> str:
    """Return a name that fits beside an axis: the middle goes, since both ends tell layers apart."""
    if len(name) > width:
        name = name[: width // 2 - 2] + "..." + name[-(width // 2 - 1) :]
    return _safe(name)


def _safe(name: str) -> str:
    """Return a name that Matplotlib doesn't read as mathematics."""
    return name.replace("$", r"\$")


def file_part(name: str) -> str:
    """Return ``name`` as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".") or "device"


def _save(figure: Figure, folder: Path, stem: str, taken: list[str]) -> str:
    name, turn = f"{stem}.png", 2
    while name in taken:
        name, turn = f"{stem}-{turn}.png", turn + 1
    FigureCanvasAgg(figure).print_png(folder / name, metadata={"Software": None})
    return name
