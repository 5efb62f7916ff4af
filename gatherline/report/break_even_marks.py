"""Marks of a break-even picture and what they mean: how sure an answer is, and the legend of what was drawn.

Dark: the error band says the same. Lighter: the band holds the dense latency. Pale and hatched: no band, not validated.
"""

from __future__ import annotations

from enum import Enum

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gatherline.report.columns import TOTAL
from gatherline.report.figures.style import COLOURS
from gatherline.report.selection import RowLike, Rows, number, text

BLUE, ORANGE = COLOURS[0], COLOURS[1]
DARK, KEPT_GREY = "#222222", "#efefef"
DASHES = (0, (4, 2))


class Looks(Enum):
    """How an answer is drawn: the bar's face, edge and hatch, the colour of a mark, what the legend says."""

    SURE = (BLUE, BLUE, "", ORANGE, "even at the slow end of the error band")
    WITHIN_BAND = ("#80b8d8", BLUE, "", ORANGE, "by less than the error band")
    NOT_VALIDATED = ("#ffffff", "#80b8d8", "//////", "#c8b890", "not validated: no measurements behind it")

    def __init__(self, face: str, edge: str, hatch: str, mark: str, meaning: str) -> None:
        self.face, self.edge, self.hatch, self.mark, self.meaning = face, edge, hatch, mark, meaning


def is_bar(row: RowLike) -> bool:
    return text(row, "verdict") in ("below", "always") and number(row, "density") is not None


def looks_of(row: RowLike) -> Looks:
    """Return how sure an answer is: ``certain`` is None where no band is."""
    certain = row.get("certain")
    if certain is None:
        return Looks.NOT_VALIDATED
    return Looks.SURE if certain else Looks.WITHIN_BAND


def legend(rows: Rows) -> list[Patch | Line2D]:
    """Return the marks that this picture has, and no other."""
    layers = [row for row in rows if row["layer"] != TOTAL]
    marks: list[Patch | Line2D] = []
    for looks in Looks:
        if any(is_bar(row) and looks_of(row) is looks for row in layers):
            label = f"faster than dense below this density, {looks.meaning}"
            marks.append(Patch(facecolor=looks.face, edgecolor=looks.edge, hatch=looks.hatch, label=label))
    if any(text(row, "verdict") == "always" for row in layers):
        marks.append(_mark("^", DARK, "faster at every density probed, this being the largest"))
    for verdict, marker, label in (
        ("never", "x", "never faster"),
        ("scattered", "d", "faster at some, not at the sparsest"),
    ):
        of_this = [looks_of(row) is Looks.NOT_VALIDATED for row in layers if text(row, "verdict") == verdict]
        if not all(of_this):
            marks.append(_mark(marker, Looks.SURE.mark, label))
        if any(of_this):
            marks.append(_mark(marker, Looks.NOT_VALIDATED.mark, f"{label}: not validated"))
    if any(text(row, "verdict") == "kept" for row in layers):
        marks.append(Patch(color=KEPT_GREY, label="stays dense"))
    if any(row["layer"] == TOTAL and number(row, "density") is not None for row in rows):
        label = "whole network, all pruned layers at one sparsity"
        marks.append(Line2D([], [], color=DARK, linewidth=1.1, linestyle=DASHES, label=label))
    return marks


def _mark(marker: str, colour: str, label: str) -> Line2D:
    return Line2D([], [], linestyle="none", marker=marker, color=colour, markeredgewidth=1.1, markersize=4, label=label)
