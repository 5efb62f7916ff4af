"""Draws ``docs/images/patterns`` and writes the made parts of docs/patterns.md: ``python docs/draw_patterns.py``.

What is drawn comes from ``pattern_panels.py`` and ``encoding_strips.py``, the tables from ``pattern_tables.py``, all of
it from the code. Each picture carries a digest of what it shows, by which a test tells that it is of today.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import matplotlib
import numpy as np
from encoding_strips import PADDING, PLAIN, Layout, LayoutSheet, Strip, layout_sheets
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from pattern_panels import REMOVED, Panel, Sheet, pattern_sheets
from pattern_tables import rewritten
from PIL import Image
from PIL.PngImagePlugin import PngInfo

DOCUMENT = Path(__file__).parent / "patterns.md"
IMAGES = Path(__file__).parent / "images" / "patterns"
# after Okabe and Ito, whose colours colour-blind readers tell apart, light enough for black numbers on them
COLOURS = ("#56B4E9", "#E69F00", "#3DBE94", "#DDA0C8", "#F0E442", "#8FA9D8", "#E8845A", "#BBBBBB")
EMPTY, GRID, EDGE, UNIT, PAD = "#F4F4F4", "#C8C8C8", "#555555", "#000000", "#D9D9D9"
DIGEST, DPI, WIDTH, SMALL = "shows", 150, 10.0, 9
Cells = list[tuple[float, float, float, float, str]]  # left, bottom, width, height, colour


def digest(sheet: Sheet | LayoutSheet) -> str:
    """Return what tells whether a picture shows this, drawn by this file."""
    shown = json.dumps(asdict(sheet), sort_keys=True).encode()
    return hashlib.sha256(shown + Path(__file__).read_bytes()).hexdigest()


def boxes(axes: Axes, cells: Cells, edge: str = GRID, width: float = 0.6) -> None:
    """Draw rectangles at once."""
    patches = [Rectangle((x, y), w, h) for x, y, w, h, _ in cells]
    colours = [colour for *_, colour in cells]
    axes.add_collection(PatchCollection(patches, facecolors=colours, edgecolors=edge, linewidths=width))


def matrix(axes: Axes, x: float, top: float, cell: float, panel: Panel, fontsize: float) -> None:
    """Draw the mask with its labels; a unit's bounds as thick lines."""
    rows, columns = len(panel.classes), len(panel.classes[0])
    cells: Cells = []
    for row, of_row in enumerate(panel.classes):
        for column, of in enumerate(of_row):
            colour = EMPTY if of == REMOVED else COLOURS[of % len(COLOURS)]
            cells.append((x + column * cell, top - (row + 1) * cell, cell, cell, colour))
            if of != REMOVED:
                where = (x + (column + 0.5) * cell, top - (row + 0.53) * cell)
                axes.text(*where, panel.marks[row][column], ha="center", va="center", fontsize=fontsize)
        axes.text(
            x - 0.05,
            top - (row + 0.53) * cell,
            panel.row_labels[row],
            ha="right",
            va="center",
            fontsize=SMALL,
            color=EDGE,
        )
    boxes(axes, cells)
    for column in range(columns):
        if columns <= 16 or column % 4 == 0:
            axes.text(
                x + (column + 0.5) * cell,
                top + 0.04,
                panel.column_labels[column],
                ha="center",
                fontsize=SMALL,
                color=EDGE,
            )
    lines = [[(x, top - row * cell), (x + columns * cell, top - row * cell)] for row in panel.lines[0]]
    lines += [[(x + column * cell, top), (x + column * cell, top - rows * cell)] for column in panel.lines[1]]
    axes.add_collection(LineCollection(lines, colors=UNIT, linewidths=1.4))
    boxes(axes, [(x, top - rows * cell, columns * cell, rows * cell, "none")], EDGE, 1.0)
    side = x + columns * cell + 0.07
    axes.text(side, top + 0.04, panel.notes_are, ha="left", fontsize=SMALL, color=EDGE)
    for first, past, text in panel.row_notes:
        middle = top - (first + past) / 2 * cell
        axes.text(side, middle, text, ha="left", va="center", fontsize=SMALL, color=EDGE)


def kernel_view(axes: Axes, x: float, top: float, cell: float, panel: Panel) -> None:
    """Draw the same weights as 3x3 kernels: a row of kernels for each filter."""
    filters, channels = len(panel.classes), len(panel.classes[0]) // 9
    step = 3.6 * cell
    cells: Cells = []
    frames: Cells = []
    for row in range(filters):
        low = top - row * step
        axes.text(x - 0.06, low - 1.5 * cell, str(row), ha="right", va="center", fontsize=SMALL, color=EDGE)
        for channel in range(channels):
            left = x + channel * step
            frames.append((left, low - 3 * cell, 3 * cell, 3 * cell, "none"))
            for tap in range(9):
                of = panel.classes[row][tap * channels + channel]
                colour = EMPTY if of == REMOVED else COLOURS[of % len(COLOURS)]
                cells.append((left + tap % 3 * cell, low - (tap // 3 + 1) * cell, cell, cell, colour))
    for channel in range(channels):
        axes.text(x + channel * step + 1.5 * cell, top + 0.04, str(channel), ha="center", fontsize=SMALL, color=EDGE)
    boxes(axes, cells)
    boxes(axes, frames, EDGE, 1.0)
    axes.text(x, top + 0.22, "as kernels: filters down", ha="left", fontsize=SMALL, color=EDGE)


def legend(axes: Axes, x: float, y: float, panel: Panel) -> None:
    """Draw the colours' names in one line, and under it what the numbers are."""
    at = x
    for of, text in panel.legend:
        boxes(axes, [(at, y, 0.12, 0.12, COLOURS[of % len(COLOURS)])], EDGE, 0.6)
        axes.text(at + 0.17, y + 0.055, text, ha="left", va="center", fontsize=SMALL)
        at += 0.26 + 0.077 * len(text)
    low = y - 0.2 if panel.legend else y
    axes.text(x, low + 0.055, panel.marks_are, ha="left", va="center", fontsize=SMALL, color=EDGE)


def canvas(height: float, heading: str) -> tuple[Figure, Axes]:
    """Return a figure in inches with its heading; y falls from ``height``."""
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(0, height)
    axes.axis("off")
    axes.text(0.25, height - 0.3, heading, ha="left", va="center", fontsize=12, fontweight="bold")
    return figure, axes


def draw_patterns(sheet: Sheet) -> Figure:
    """Return the picture of some patterns."""
    wide = sheet.across == 1
    down = -(-len(sheet.panels) // sheet.across)
    tall = 2.65 if wide else 3.1
    height = 0.6 + down * tall
    figure, axes = canvas(height, sheet.heading)
    for number, panel in enumerate(sheet.panels):
        x = 0.45 + number % sheet.across * 4.9
        top = height - 0.6 - number // sheet.across * tall
        axes.text(x, top - 0.1, panel.title, ha="left", va="center", fontsize=10.5, fontweight="bold")
        axes.text(x, top - 0.3, panel.subtitle, ha="left", va="center", fontsize=SMALL)
        if panel.kernels:
            cell = 0.172
            matrix(axes, x, top - 0.72, cell, panel, 8)
            axes.text(x, top - 0.53, "columns lie tap by tap, input channels innermost", fontsize=SMALL, color=EDGE)
            kernel_view(axes, x + 36 * cell + 0.75, top - 0.55, 0.135, panel)
            legend(axes, x, top - 1.72, panel)
        else:
            matrix(axes, x, top - 0.58, 0.235, panel, SMALL)
            legend(axes, x, top - 0.58 - 8 * 0.235 - 0.22, panel)
    return figure


def draw_strip(axes: Axes, x: float, y: float, strip: Strip) -> None:
    """Draw one array: its name and width, then a box for each field."""
    axes.text(x, y + 0.17, strip.name, ha="left", va="center", fontsize=SMALL, fontweight="bold")
    axes.text(x, y + 0.01, strip.note, ha="left", va="center", fontsize=8, color=EDGE)
    left = x + 1.85
    each = min(0.3, (WIDTH - 0.25 - left - 0.04 * len(strip.breaks)) / len(strip.boxes))
    cells: Cells = []
    at = left
    for place, (text, of) in enumerate(zip(strip.boxes, strip.classes, strict=True)):
        at += 0.04 if place in strip.breaks else 0.0
        colour = {PADDING: PAD, PLAIN: "white"}.get(of, COLOURS[of % 4])
        cells.append((at, y, each, 0.23, colour))
        axes.text(at + each / 2, y + 0.11, text, ha="center", va="center", fontsize=SMALL if each > 0.2 else 8)
        at += each
    boxes(axes, cells, EDGE, 0.6)


def draw_layout(axes: Axes, top: float, layout: Layout) -> None:
    """Draw the matrix at the left and its arrays beside it."""
    axes.text(0.25, top - 0.1, layout.title, ha="left", va="center", fontsize=10.5, fontweight="bold")
    axes.text(2.6, top - 0.1, layout.subtitle, ha="left", va="center", fontsize=SMALL)
    rows, columns = len(layout.matrix), len(layout.matrix[0])
    narrow = columns <= 10
    cell = 0.235 if narrow else 0.108
    low = 0.205
    x, y = 0.42, top - 0.42
    cells: Cells = []
    for row, of_row in enumerate(layout.matrix):
        axes.text(x - 0.05, y - (row + 0.53) * low, str(row), ha="right", va="center", fontsize=SMALL, color=EDGE)
        for column, text in enumerate(of_row):
            colour = COLOURS[row] if text else EMPTY
            cells.append((x + column * cell, y - (row + 1) * low, cell, low, colour))
            if text and narrow:
                where = (x + (column + 0.5) * cell, y - (row + 0.53) * low)
                axes.text(*where, text, ha="center", va="center", fontsize=SMALL)
    boxes(axes, cells)
    for column in range(0, columns, 1 if narrow else 4):
        axes.text(x + (column + 0.5) * cell, y + 0.04, str(column), ha="center", fontsize=SMALL, color=EDGE)
    lines = [[(x, y - row * low), (x + columns * cell, y - row * low)] for row in layout.lines[0]]
    lines += [[(x + column * cell, y), (x + column * cell, y - rows * low)] for column in layout.lines[1]]
    axes.add_collection(LineCollection(lines, colors=UNIT, linewidths=1.4))
    for place, strip in enumerate(layout.strips):
        draw_strip(axes, 2.6, top - 0.52 - 0.37 * place, strip)


def draw_layouts(sheet: LayoutSheet) -> Figure:
    """Return the picture of some encodings."""
    heights = [max(0.75 + 0.205 * len(one.matrix), 0.5 + 0.37 * len(one.strips)) + 0.1 for one in sheet.layouts]
    height = 1.0 + sum(heights)
    figure, axes = canvas(height, sheet.heading)
    note = (
        "A value is its row and column. Boxes have the colour of their row; grey: padding; white: of no single weight."
    )
    axes.text(0.25, height - 0.55, note, ha="left", va="center", fontsize=SMALL, color=EDGE)
    top = height - 0.9
    for layout, tall in zip(sheet.layouts, heights, strict=True):
        axes.plot([0.25, WIDTH - 0.25], [top + 0.1, top + 0.1], color=GRID, linewidth=0.8)
        draw_layout(axes, top - 0.05, layout)
        top -= tall
    return figure


def pictures() -> Iterator[tuple[str, str, Figure]]:
    """Yield the name, the digest and the drawing of each picture."""
    for sheet in pattern_sheets():
        yield sheet.name, digest(sheet), draw_patterns(sheet)
    for layouts in layout_sheets():
        yield layouts.name, digest(layouts), draw_layouts(layouts)


def raster(figure: Figure) -> Image.Image:
    """Return a drawing in at most 128 colours, which makes a small file."""
    agg = FigureCanvasAgg(figure)
    agg.draw()
    whole = Image.fromarray(np.asarray(agg.buffer_rgba())[:, :, :3].copy())
    return whole.quantize(colors=128, dither=Image.Dither.NONE)


def main() -> None:
    """Write pictures and document."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        for name, shows, figure in pictures():
            info = PngInfo()
            info.add_text(DIGEST, shows)
            raster(figure).save(IMAGES / f"{name}.png", optimize=True, pnginfo=info)
    DOCUMENT.write_text(rewritten(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
