"""A layer's mask as a picture: a window weight by weight, the whole layer as a density map, row and bank loads.

In the window a kept weight has the colour of its column's bank, every other bundle of B rows is shaded, and the blocks
or segments of the pattern that the mask obeys are outlined. Agg and Matplotlib's own defaults: the same mask gives the
same bytes. Left out: which group of a bundle a weight falls into, and convolution groups side by side (they are stacked).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from gatherline.report.mask_view import MaskView
from patterns.block import Block
from patterns.catalog import parse_pattern
from patterns.n_of_m import NOfM

WINDOW_ROWS, WINDOW_COLUMNS = 48, 96  # weights that are told apart at this size
MAP_ROWS, MAP_COLUMNS = 96, 192  # cells of the density map at most
SHADE = "#e9e9e9"
OUTLINE = "#D55E00"
INK = "#222222"
KEPT_COLOUR = "#0072B2"  # where there are no banks

Floats = npt.NDArray[np.float64]


def draw_mask(view: MaskView, path: Path) -> None:
    """Write the picture of one mask as PNG."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.size": 8, "axes.titlesize": 9, "figure.titlesize": 11})
        FigureCanvasAgg(mask_figure(view)).print_png(path, metadata={"Software": None})


def mask_figure(view: MaskView) -> Figure:
    """Return the picture: window and density map above, row loads and bank loads below."""
    rows = view.mask.reshape(-1, view.mask.shape[2])
    figure = Figure(figsize=(11.0, 8.6), dpi=130, layout="constrained")
    figure.suptitle(_title(view), x=0.01, ha="left")
    top, bottom = figure.subfigures(2, 1, height_ratios=(3.0, 1.0))
    window_axes, map_axes = top.subplots(2, 1, height_ratios=(1.45, 1.0))
    row_axes, bank_axes = bottom.subplots(1, 2)
    _draw_window(window_axes, view, rows)
    _draw_map(top, map_axes, rows)
    _draw_rows(row_axes, rows)
    _draw_banks(bank_axes, view)
    return figure


def density_map(rows: npt.NDArray[np.bool_]) -> tuple[Floats, int, int]:
    """Return (densities, height, width): each cell is the mean of height x width weights of rows [m, k], edges less."""
    height, width = -(-rows.shape[0] // MAP_ROWS), -(-rows.shape[1] // MAP_COLUMNS)
    tall = np.add.reduceat(rows, np.arange(0, rows.shape[0], height), axis=0, dtype=np.int64)
    kept = np.add.reduceat(tall, np.arange(0, rows.shape[1], width), axis=1)
    heights = np.minimum(rows.shape[0] - np.arange(kept.shape[0]) * height, height)
    widths = np.minimum(rows.shape[1] - np.arange(kept.shape[1]) * width, width)
    return kept / (heights[:, None] * widths[None, :]), height, width


def _title(view: MaskView) -> str:
    groups, m, k = view.mask.shape
    shape = f"{groups} groups of {m} x {k}" if groups > 1 else f"{m} x {k}"
    density = np.count_nonzero(view.mask) / view.mask.size
    obeys = ", ".join(f"{name} {share:.1%}" for name, share in view.patterns.items()) or "nothing: no weight is kept"
    made = f", projected to {view.projected}" if view.projected else ""
    line = f"{view.title}: {shape} weights, {density:.2%} kept{made}\nmask obeys {obeys} (share of it explained)"
    return line.replace("$", r"\$")


def _colours(count: int) -> ListedColormap:
    """Return a colour for each bank, dark to light, the last short of yellow, which is faint on white."""
    return ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0.0, 0.9, count)))


def _draw_window(axes: Any, view: MaskView, rows: npt.NDArray[np.bool_]) -> None:
    part = rows[:WINDOW_ROWS, :WINDOW_COLUMNS]
    high, wide = part.shape
    m = view.mask.shape[1]
    axes.set_facecolor("white")
    labels: list[Patch] = []
    if view.banks is not None:
        starts = [start + offset for start in range(0, high, m) for offset in range(0, min(m, high), view.bank_count)]
        ends = [*starts[1:], high]
        for place, (start, end) in enumerate(zip(starts, ends, strict=True)):
            if place % 2 == 0 and start < high:
                axes.add_patch(Rectangle((-0.5, start - 0.5), wide, min(end, high) - start, color=SHADE, zorder=0))
        labels.append(Patch(color=SHADE, label=f"every other bundle of {view.bank_count} rows"))
    image = np.zeros((high, wide, 4))
    if view.banks is None:
        image[part] = matplotlib.colors.to_rgba(KEPT_COLOUR)
        labels.insert(0, Patch(color=KEPT_COLOUR, label="kept weight"))
    else:
        banks = view.banks[np.arange(high) // m][:, :wide]
        image[part] = _colours(view.bank_count)(banks[part])
        labels.insert(0, Patch(color=_colours(view.bank_count)(view.bank_count // 2), label="kept, colour: its bank"))
    axes.imshow(image, interpolation="nearest", aspect="auto", zorder=1)
    outline = _outlines(axes, view, high, wide)
    if outline:
        labels.append(Patch(facecolor="none", edgecolor=OUTLINE, label=outline))
    if (high, wide) == rows.shape:
        what = "the whole layer"
    else:
        what = f"rows 0 to {high - 1} of {rows.shape[0]:,}, columns 0 to {wide - 1} of {rows.shape[1]:,}"
    axes.set_title(f"weight by weight: {what}", loc="left")
    axes.set_xlabel("column (window position, then input channel)")
    axes.set_ylabel("row (output channel)")
    axes.legend(handles=labels, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, fontsize=7.5, frameon=False)


def _outlines(axes: Any, view: MaskView, high: int, wide: int) -> str:
    """Outline kept blocks, or the segments of N:M, of the best such pattern that the mask obeys; return what they are."""
    m = view.mask.shape[1]
    for spelling in view.patterns:
        pattern = parse_pattern(spelling)
        if isinstance(pattern, Block):
            for group, matrix in enumerate(view.mask[: -(-high // m)]):
                kept = pattern.kept_in_blocks(matrix[:, : -(-wide // pattern.width) * pattern.width])
                for row, column in zip(*np.nonzero(kept), strict=True):
                    x, y = column * pattern.width, group * m + row * pattern.height
                    size = min(pattern.width, wide - x), min(pattern.height, group * m + m - y, high - y)
                    if size[0] > 0 and size[1] > 0:
                        box = Rectangle((x - 0.5, y - 0.5), *size, fill=False, edgecolor=OUTLINE, linewidth=0.7)
                        axes.add_patch(box)
                        box.set_zorder(3)
            return f"block of {spelling} that keeps any"
        if isinstance(pattern, NOfM):
            for x in range(pattern.m, wide, pattern.m):
                axes.axvline(x - 0.5, color=OUTLINE, linewidth=0.35, zorder=2)
            return f"edge of {pattern.m} columns ({spelling})"
    return ""


def _draw_map(figure: Any, axes: Any, rows: npt.NDArray[np.bool_]) -> None:
    cells, height, width = density_map(rows)
    top = max(float(cells.max()), 1e-9)
    extent = (-0.5, cells.shape[1] * width - 0.5, cells.shape[0] * height - 0.5, -0.5)
    image = axes.imshow(cells, interpolation="nearest", aspect="auto", cmap="Greys", vmin=0.0, vmax=top, extent=extent)
    scale = f"a cell is {height} x {width} weights" if height * width > 1 else "a cell is one weight"
    axes.set_title(f"the whole layer, density: {scale}", loc="left")
    if rows.shape[0] > WINDOW_ROWS or rows.shape[1] > WINDOW_COLUMNS:
        size = min(WINDOW_COLUMNS, rows.shape[1]), min(WINDOW_ROWS, rows.shape[0])
        axes.add_patch(Rectangle((-0.5, -0.5), *size, fill=False, edgecolor=OUTLINE, linewidth=1.2, clip_on=False))
        handle = Patch(facecolor="none", edgecolor=OUTLINE, label="the window above")
        axes.legend(handles=[handle], loc="lower right", bbox_to_anchor=(1.0, 1.0), fontsize=7.5, frameon=False)
    axes.set_xlabel("column")
    axes.set_ylabel("row")
    axes.set_xlim(-0.5, rows.shape[1] - 0.5)
    axes.set_ylim(rows.shape[0] - 0.5, -0.5)
    figure.colorbar(image, ax=axes, label="fraction kept", pad=0.01)


def _draw_rows(axes: Any, rows: npt.NDArray[np.bool_]) -> None:
    loads = np.count_nonzero(rows, axis=1)
    low, high = int(loads.min()), int(loads.max())
    step = -(-(high - low + 1) // 32)
    edges = np.arange(low, high + step + 1, step) - 0.5
    axes.hist(loads, bins=edges, color="#595959")
    axes.axvline(float(loads.mean()), color=OUTLINE, linewidth=1.2, label=f"mean {loads.mean():.1f}")
    axes.set_title(f"row load: {low} to {high} kept weights{_spread(loads)}", loc="left")
    axes.set_xlabel("kept weights of a row")
    axes.set_ylabel("rows")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize=7.5, frameon=False)


def _draw_banks(axes: Any, view: MaskView) -> None:
    if view.banks is None:
        axes.set_axis_off()
        axes.text(0.0, 0.9, "no banks: depthwise layers run on the vector unit", color=INK, va="top")
        return
    loads = np.zeros(view.bank_count)
    for matrix, banks in zip(view.mask, view.banks, strict=True):
        loads += np.bincount(banks, weights=np.count_nonzero(matrix, axis=0), minlength=view.bank_count)
    axes.bar(np.arange(view.bank_count), loads, color=_colours(view.bank_count)(np.arange(view.bank_count)))
    axes.axhline(loads.mean(), color=OUTLINE, linewidth=1.2, label=f"mean {loads.mean():,.1f}")
    axes.set_title(f"bank load: {int(loads.min()):,} to {int(loads.max()):,} kept weights{_spread(loads)}", loc="left")
    axes.set_xlabel("bank (of the column's activation)")
    axes.set_ylabel("kept weights")
    axes.set_xticks(np.arange(view.bank_count))
    axes.set_ylim(0, max(1.0, loads.max()) * 1.25)
    axes.legend(loc="upper right", fontsize=7.5, frameon=False)


def _spread(loads: npt.NDArray[Any]) -> str:
    mean = float(loads.mean())
    return f", coefficient of variation {float(loads.std()) / mean:.3f}" if mean else ""
