"""A layer's mask as a picture: a window weight by weight, the whole layer as a density map, row and bank loads.

In the window a kept weight has the colour of its column's bank, every other bundle of B rows is shaded, and the blocks
or segments of the pattern that the mask obeys are outlined. Agg and Matplotlib's own defaults: the same mask gives the
same bytes. Convolution groups are stacked. Left out: which group of a bundle a weight falls into.
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

WINDOW_ROWS, WINDOW_COLUMNS = 64, 96  # weights that are told apart at this size
MAP_ROWS, MAP_COLUMNS = 96, 192  # cells of the density map at most
SHADE = "#e9e9e9"
OUTLINE = "#D55E00"
INK = "#222222"
KEPT_COLOUR = "#0072B2"  # where there are no banks

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


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
    parts: Any = figure.subfigures(2, 1, height_ratios=(3.0, 1.0))
    top, bottom = parts
    window_axes, map_axes = top.subplots(2, 1, height_ratios=(1.45, 1.0))
    row_axes, bank_axes = bottom.subplots(1, 2)
    corner = window_corner(rows)
    _draw_window(window_axes, view, rows, corner)
    _draw_map(top, map_axes, rows, corner)
    _draw_rows(row_axes, rows)
    _draw_banks(bank_axes, view)
    return figure


def density_map(rows: Bools) -> tuple[Floats, int, int]:
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
    line = f"{view.title}: {shape} weights, {density:.2%} kept{made}\nmask explained by {obeys}"
    return line.replace("$", r"\$")


def _colours(count: int) -> ListedColormap:
    """Return a colour for each bank, dark to light, the last short of yellow, which is faint on white."""
    return ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0.0, 0.9, count)))


def window_corner(rows: Bools) -> tuple[int, int]:
    """Return the first row and column of the window of rows [m, k] that is drawn: of those on a grid of whole windows
    the first whose kept weights come nearest to what the layer's density gives it.
    """
    high, wide = min(WINDOW_ROWS, rows.shape[0]), min(WINDOW_COLUMNS, rows.shape[1])
    whole = rows[: rows.shape[0] // high * high, : rows.shape[1] // wide * wide]
    tall = np.add.reduceat(whole, np.arange(0, whole.shape[0], high), axis=0, dtype=np.int64)
    kept = np.add.reduceat(tall, np.arange(0, whole.shape[1], wide), axis=1)
    expected = np.count_nonzero(rows) / rows.size * high * wide
    row, column = divmod(int(np.abs(kept - expected).argmin()), kept.shape[1])
    return row * high, column * wide


def _draw_window(axes: Any, view: MaskView, rows: Bools, corner: tuple[int, int]) -> None:
    top, left = corner
    part = rows[top : top + WINDOW_ROWS, left : left + WINDOW_COLUMNS]
    bottom, right = top + part.shape[0], left + part.shape[1]
    image = np.zeros((*part.shape, 4))
    labels: list[Patch] = []
    if view.banks is None:
        image[part] = matplotlib.colors.to_rgba(KEPT_COLOUR)
        labels.append(Patch(color=KEPT_COLOUR, label="kept weight"))
    else:
        _shade_bundles(axes, view, (top, bottom), (left, right))
        banks = view.banks[np.arange(top, bottom) // view.mask.shape[1]][:, left:right]
        colours = _colours(view.bank_count)
        image[part] = colours(banks[part])
        labels.append(Patch(color=colours(view.bank_count // 2), label="kept weight, coloured by bank as below"))
        labels.append(Patch(color=SHADE, label=f"every other bundle of {view.bank_count} rows"))
    extent = (left - 0.5, right - 0.5, bottom - 0.5, top - 0.5)
    axes.imshow(image, interpolation="nearest", aspect="auto", zorder=1, extent=extent)
    outline = _outlines(axes, view, (top, bottom), (left, right))
    if outline:
        labels.append(Patch(facecolor="none", edgecolor=OUTLINE, label=outline))
    axes.set_xlim(left - 0.5, right - 0.5)
    axes.set_ylim(bottom - 0.5, top - 0.5)
    what = f"rows {top} to {bottom - 1} of {rows.shape[0]:,}, columns {left:,} to {right - 1:,} of {rows.shape[1]:,}"
    where = "the whole layer" if part.shape == rows.shape else f"{what}, where density is nearest the layer's"
    axes.set_title(f"weight by weight: {where}", loc="left")
    axes.set_xlabel("column (window position, then input channel)", loc="left")
    axes.set_ylabel("row (output channel)")
    axes.legend(handles=labels, loc="upper right", bbox_to_anchor=(1.0, -0.06), ncols=3, fontsize=7.5, frameon=False)


def _shade_bundles(axes: Any, view: MaskView, rows: tuple[int, int], columns: tuple[int, int]) -> None:
    """Shade every other bundle between rows[0] and rows[1]; bundles start anew with each convolution group."""
    m, high = view.mask.shape[1], view.bank_count
    of_group = -(-m // high)
    for row in range(*rows):
        group, place = divmod(row, m)
        if (group * of_group + place // high) % 2 == 0:
            corner = (columns[0] - 0.5, row - 0.5)
            axes.add_patch(Rectangle(corner, columns[1] - columns[0], 1, color=SHADE, linewidth=0, zorder=0))


def _outlines(axes: Any, view: MaskView, rows: tuple[int, int], columns: tuple[int, int]) -> str:
    """Outline kept blocks, or the edges of N:M, of the best such pattern that the mask obeys; return what they are."""
    for spelling in view.patterns:
        pattern = parse_pattern(spelling)
        if isinstance(pattern, Block):
            for x, y, width, height in _kept_blocks(view, pattern, rows, columns):
                box = Rectangle((x - 0.5, y - 0.5), width, height, fill=False, edgecolor=OUTLINE, linewidth=0.7)
                axes.add_patch(box)
                box.set_zorder(3)
            return f"block of {spelling} that keeps a weight"
        if isinstance(pattern, NOfM):
            for x in range(-(-columns[0] // pattern.m) * pattern.m, columns[1], pattern.m):
                axes.axvline(x - 0.5, color=OUTLINE, linewidth=0.35, zorder=2)
            return f"every {pattern.m} columns ({spelling})"
    return ""


def _kept_blocks(
    view: MaskView, pattern: Block, rows: tuple[int, int], columns: tuple[int, int]
) -> list[tuple[int, int, int, int]]:
    """Return (column, row, width, height) of the blocks that keep any, cut to the window."""
    m = view.mask.shape[1]
    found = []
    for group in range(rows[0] // m, -(-rows[1] // m)):
        for block_row, block_column in zip(*np.nonzero(pattern.kept_in_blocks(view.mask[group])), strict=True):
            x, y = int(block_column) * pattern.width, group * m + int(block_row) * pattern.height
            end_x, end_y = min(x + pattern.width, columns[1]), min(y + pattern.height, group * m + m, rows[1])
            x, y = max(x, columns[0]), max(y, rows[0])
            if x < end_x and y < end_y:
                found.append((x, y, end_x - x, end_y - y))
    return found


def _draw_map(figure: Any, axes: Any, rows: Bools, corner: tuple[int, int]) -> None:
    cells, height, width = density_map(rows)
    top = max(float(cells.max()), 1e-9)
    extent = (-0.5, cells.shape[1] * width - 0.5, cells.shape[0] * height - 0.5, -0.5)
    image = axes.imshow(cells, interpolation="nearest", aspect="auto", cmap="Greys", vmin=0.0, vmax=top, extent=extent)
    scale = f"a cell is {height} x {width} weights" if height * width > 1 else "a cell is one weight"
    axes.set_title(f"the whole layer, density: {scale}", loc="left")
    if rows.shape[0] > WINDOW_ROWS or rows.shape[1] > WINDOW_COLUMNS:
        size = min(WINDOW_COLUMNS, rows.shape[1]), min(WINDOW_ROWS, rows.shape[0])
        place = corner[1] - 0.5, corner[0] - 0.5
        axes.add_patch(Rectangle(place, *size, fill=False, edgecolor=OUTLINE, linewidth=1.2, clip_on=False))
        handle = Patch(facecolor="none", edgecolor=OUTLINE, label="the window above")
        axes.legend(handles=[handle], loc="lower right", bbox_to_anchor=(1.0, 1.0), fontsize=7.5, frameon=False)
    axes.set_xlabel("column")
    axes.set_ylabel("row")
    axes.set_xlim(-0.5, rows.shape[1] - 0.5)
    axes.set_ylim(rows.shape[0] - 0.5, -0.5)
    figure.colorbar(image, ax=axes, label="fraction kept", pad=0.01)


def _draw_rows(axes: Any, rows: Bools) -> None:
    loads = np.count_nonzero(rows, axis=1)
    low, high = int(loads.min()), int(loads.max())
    step = -(-(high - low + 1) // 32)
    axes.hist(loads, bins=np.arange(low, high + step + 1, step) - 0.5, color="#595959", rwidth=0.92)
    axes.axvline(float(loads.mean()), color=OUTLINE, linewidth=1.2)
    axes.set_title(f"row load: {low:,} to {high:,} kept weights{_spread(loads)}", loc="left")
    bins = f" ({step} counts a bar)" if step > 1 else ""
    axes.set_xlabel(f"kept weights of a row{bins}")
    axes.set_ylabel("rows")
    axes.xaxis.get_major_locator().set_params(integer=True)
    if high - low < 12:
        axes.set_xticks(range(low, high + 1))
        axes.set_xlim(low - 1, high + 1)
    axes.yaxis.get_major_locator().set_params(integer=True)


def _draw_banks(axes: Any, view: MaskView) -> None:
    if view.banks is None:
        axes.set_axis_off()
        axes.text(0.0, 0.9, "no banks: depthwise layers run on the vector unit", color=INK, va="top")
        return
    loads = np.zeros(view.bank_count)
    for matrix, banks in zip(view.mask, view.banks, strict=True):
        loads += np.bincount(banks, weights=np.count_nonzero(matrix, axis=0), minlength=view.bank_count)
    axes.bar(np.arange(view.bank_count), loads, color=_colours(view.bank_count)(np.arange(view.bank_count)))
    axes.axhline(loads.mean(), color=OUTLINE, linewidth=1.2)
    axes.set_title(f"bank load: {int(loads.min()):,} to {int(loads.max()):,} kept weights{_spread(loads)}", loc="left")
    axes.set_xlabel("bank (of the column's activation)")
    axes.set_ylabel("kept weights")
    axes.set_xticks(np.arange(view.bank_count))
    axes.set_ylim(0, max(1.0, loads.max()) * 1.1)


def _spread(loads: npt.NDArray[Any]) -> str:
    mean = float(loads.mean())
    return f", mean {mean:,.1f} (line), cv {float(loads.std()) / mean:.3f}" if mean else ""
