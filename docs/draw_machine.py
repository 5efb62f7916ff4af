"""Draws ``docs/images/machine.png``, the machine of docs/machine.md: ``python docs/draw_machine.py [FILE]``.

Boxes hold what has a cycle cost; arrows say what moves between them. Numbers are symbols of DESIGN section 5. Left
out: control, and the path of weights past the gather unit to the MAC array's second operand register.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

TARGET = Path(__file__).parent / "images" / "machine.png"
MEMORY, UNIT, WEIGHTS, OUTSIDE = "#DCEBF7", "#FFF3DC", "#E4F3EC", "#EEEEEE"
EDGE, DATA, ADDRESS = "#333333", "#0072B2", "#D55E00"
BANKS = 4  # drawn; a device has B
WEIGHT_TEXT = "values and indices\nof the tile's groups;\nits bytes a cycle\nset the interval"
DRAM_TEXT = """shared by
all cores;
a region each
for weights,
inputs, outputs,
partial sums


by option a
second-level
scratchpad in
front of it holds
tiles that cores
read again"""
GATHER_TEXT = "L lanes, window of W groups,\nin order or out of order;\na group: up to one request a lane"
MAC_TEXT = """L x vector multipliers,
a group a cycle, in order

m(g) = max(granted(g) + latency,
m(g-1) + 1)

horizontal: lanes are reduced
to one row
vertical: lane i feeds row i

a bundle is ready mac_latency
after its last group, at
ready(b) = m(e(b)) + mac_latency"""


def box(axes: Axes, x: float, y: float, width: float, height: float, title: str, text: str, colour: str) -> None:
    """Draw a unit with its title and, under it, its rule."""
    axes.add_patch(Rectangle((x, y), width, height, facecolor=colour, edgecolor=EDGE, linewidth=1.0))
    axes.text(x + width / 2, y + height - 0.17, title, ha="center", va="top", fontsize=10, fontweight="bold")
    axes.text(x + width / 2, y + height - 0.55, text, ha="center", va="top", fontsize=8, linespacing=1.35)


def banks(axes: Axes, x: float, y: float, width: float, height: float) -> None:
    """Draw the banks of a scratchpad side by side, the last one numbered B-1."""
    each = width / BANKS
    for bank, name in enumerate(("0", "1", "...", "B-1")):
        axes.add_patch(Rectangle((x + bank * each, y), each, height, facecolor="white", edgecolor=EDGE, linewidth=0.7))
        axes.text(x + (bank + 0.5) * each, y + height / 2, name, ha="center", va="center", fontsize=8)


def arrow(
    axes: Axes, points: list[tuple[float, float]], colour: str, text: str = "", at: tuple[float, float] | None = None,
    align: str = "center",
) -> None:  # fmt: skip
    """Draw a line through ``points`` with a head at its end, and ``text`` centred at ``at``."""
    for start, end in pairwise(points[:-1]):
        axes.plot([start[0], end[0]], [start[1], end[1]], color=colour, linewidth=1.5, solid_capstyle="butt")
    axes.add_patch(
        FancyArrowPatch(
            points[-2], points[-1], arrowstyle="-|>", mutation_scale=11, color=colour, linewidth=1.5, shrinkA=0,
            shrinkB=0,
        )
    )  # fmt: skip
    if text and at is not None:
        axes.text(*at, text, ha=align, va="center", fontsize=8, color=colour, linespacing=1.25)


def draw() -> Figure:
    """Return the drawing."""
    figure = Figure(figsize=(11.5, 6.6), dpi=130)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, 16.1)
    axes.set_ylim(0, 9.2)
    axes.axis("off")
    axes.add_patch(Rectangle((3.2, 0.25), 12.7, 8.55, facecolor="none", edgecolor="#888888", linestyle="--"))
    axes.text(15.75, 0.4, "one core", ha="right", va="bottom", fontsize=9, color="#555555")

    box(axes, 0.2, 0.7, 1.5, 7.6, "DRAM", DRAM_TEXT, OUTSIDE)
    box(axes, 3.5, 6.5, 2.9, 1.8, "weight buffer x2", WEIGHT_TEXT, WEIGHTS)
    box(axes, 7.9, 6.5, 3.4, 1.8, "gather unit", GATHER_TEXT, UNIT)
    box(axes, 7.9, 3.5, 3.4, 1.95, "activation scratchpad x2", "P ports a bank and cycle", MEMORY)
    banks(axes, 8.1, 3.65, 3.0, 0.6)
    box(axes, 12.6, 3.5, 3.0, 4.8, "MAC array", MAC_TEXT, UNIT)
    box(axes, 12.6, 0.7, 3.0, 1.75, "scatter unit", "a bundle at a time:\nc(b) x rmw_cycles\nown ports", UNIT)
    box(axes, 7.9, 0.7, 3.4, 1.75, "output scratchpad x2", "32-bit sums", MEMORY)
    banks(axes, 8.1, 0.85, 3.0, 0.6)
    box(axes, 3.5, 0.7, 2.9, 1.75, "vector unit", "gates, pooling, additions,\ndepthwise: elements a cycle", UNIT)

    arrow(axes, [(1.7, 7.4), (3.5, 7.4)], DATA, "DMA in\nweights", (2.45, 7.85))
    arrow(axes, [(1.7, 4.5), (7.9, 4.5)], DATA, "DMA in: activations of a tile", (5.5, 4.75))
    arrow(axes, [(6.4, 7.4), (7.9, 7.4)], ADDRESS, "indices", (7.15, 7.62))
    arrow(axes, [(4.9, 8.3), (4.9, 8.6), (14.1, 8.6), (14.1, 8.3)], DATA, "values", (12.0, 8.45))
    arrow(axes, [(9.6, 6.5), (9.6, 5.45)], ADDRESS, "bank(a) = a mod B,\nor xor-hashed", (9.8, 5.97), "left")
    arrow(axes, [(11.3, 4.5), (12.6, 4.5)], DATA, "words of\nvector\nvalues", (11.95, 5.05))
    arrow(axes, [(14.1, 3.5), (14.1, 2.45)], DATA, "a bundle's\nresults", (14.25, 2.97), "left")
    arrow(axes, [(12.6, 1.75), (11.3, 1.75)], DATA, "read, add,\nwrite", (11.95, 2.2))
    arrow(axes, [(7.9, 1.25), (6.4, 1.25)], DATA)
    arrow(axes, [(6.4, 1.75), (7.9, 1.75)], DATA)
    arrow(axes, [(9.6, 2.45), (9.6, 2.95), (1.7, 2.95)], DATA, "DMA out: results of a tile", (5.5, 3.2))
    return figure


def main() -> None:
    """Write the picture; the same Matplotlib gives the same bytes."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        draw().savefig(target, metadata={"Software": None})


if __name__ == "__main__":
    main()
