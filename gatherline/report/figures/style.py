"""How figures look alike: column widths, type, colours, marks and hatches, names that no font or parser trips over.

Widths are those of IEEE's and ACM's two-column templates, type is 7 points or more at that width. Colours are Okabe
and Ito's, told apart by colour-blind readers (jfly.uni-koeln.de/color), and marks or hatches say the same once more,
for print in grey. Type is DejaVu Sans as Matplotlib ships it: every machine draws the same bytes. Left out: styles of
single publishers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import fill, wrap
from typing import Any, Literal

import matplotlib
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from gatherline.report.selection import printable, shortened

WIDTH_INCHES = {1: 3.5, 2: 7.16}  # of one and two columns: IEEE's template; ACM's sigconf has 3.33 and 7.0
PAGE_INCHES = 9.2  # about the height of a page's text
POINTS = 7.0  # the least type
TITLE_POINTS = 7.5
# Okabe and Ito's eight colours, without the yellow
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
DENSE_COLOUR = "#595959"
MARKERS = ("o", "s", "^", "D", "v", "P")
HATCHES = ("", "/////", ".....", "\\\\\\\\\\", "xxxxx", "-----", "+++++")
UNPROVEN = "//////"  # the hatch of bars that no measurement stands behind
BAR_INCHES = 0.155  # of a row with a bar in it
PANELS_ACROSS = {1: 1, 2: 3}
_LETTERS_ACROSS = {1: 58, 2: 122}  # of a title

ThemeName = Literal["light", "dark"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Colours that change with the ground."""

    ground: str
    ink: str
    soft: str
    grid: str
    dense: str


THEMES: dict[ThemeName, Theme] = {
    "light": Theme(ground="#ffffff", ink="#16191f", soft="#4d5562", grid="#dddddd", dense=DENSE_COLOUR),
    "dark": Theme(ground="#14171c", ink="#eceff4", soft="#b4bcc8", grid="#3a414c", dense="#b0b0b0"),
}


@contextmanager
def drawing(theme: Theme) -> Iterator[None]:
    """Take Matplotlib's own defaults and this style, whatever the user's settings are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_settings(theme))
        yield


def _settings(theme: Theme) -> dict[str, Any]:
    inks = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "hatch.color")
    grounds = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
    return {
        "font.family": ["DejaVu Sans"],
        "font.size": POINTS,
        "axes.titlesize": POINTS,
        "axes.labelsize": POINTS,
        "xtick.labelsize": POINTS,
        "ytick.labelsize": POINTS,
        "legend.fontsize": POINTS,
        "figure.titlesize": TITLE_POINTS,
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "xtick.minor.size": 1.5,
        "ytick.minor.size": 1.5,
        "xtick.minor.width": 0.4,
        "ytick.minor.width": 0.4,
        "ytick.major.size": 2.5,
        "hatch.linewidth": 0.5,
        "lines.linewidth": 1.0,
        "axes.formatter.use_mathtext": False,
        "pdf.fonttype": 42,  # TrueType, embedded: what IEEE asks for in place of Type 3
        "svg.fonttype": "path",  # outlines need no font where the file is opened
        "svg.hashsalt": "gatherline",  # ids that are the same in every run
        **dict.fromkeys(inks, theme.ink),
        **dict.fromkeys(grounds, theme.ground),
    }


def sheet(columns: int, height_inches: float) -> Figure:
    """Return an empty figure as wide as ``columns`` of a page."""
    return Figure(figsize=(WIDTH_INCHES[columns], height_inches), layout="constrained")


def panels(
    columns: int, count: int, panel_inches: float, rest_inches: float, **shared: Any
) -> tuple[Figure, list[Any]]:
    """Return a figure of ``count`` panels, each ``panel_inches`` high, and their axes; ``rest_inches``: all else."""
    across = min(count, PANELS_ACROSS[columns])
    down = -(-count // across)
    figure = sheet(columns, panel_inches * down + rest_inches)
    grid = figure.subplots(down, across, squeeze=False, **shared)
    every = [axes for line in grid for axes in line]
    for axes in every[count:]:
        axes.remove()
    return figure, every[:count]


def label_below(every_axes: Sequence[Any], columns: int, label: str) -> None:
    """Name the horizontal axis of the panels that have none below them."""
    across = min(len(every_axes), PANELS_ACROSS[columns])
    for axes in every_axes[-across:]:
        axes.set_xlabel(label)
        axes.tick_params(labelbottom=True)  # shared axes have none where a row below is not full


def put_title(figure: Figure, text: str, columns: int) -> None:
    """Write a title of as many lines as it needs."""
    figure.suptitle(_folded(text, columns), x=0.01, ha="left", fontsize=TITLE_POINTS)


def title_inches(text: str, columns: int) -> float:
    """Return the height that a title takes."""
    return 0.14 * len(_folded(text, columns).split("\n")) if text else 0.0


def _folded(text: str, columns: int) -> str:
    """Return a title in lines; "not validated" stays in one."""
    return fill(text.replace("not validated", "not\u00a0validated"), _LETTERS_ACROSS[columns])


def tidy(axes: Any, theme: Theme, *, grid: Literal["x", "y", "both"]) -> None:
    """Draw a grid under the data, and no frame where nothing is read off."""
    axes.grid(axis=grid, color=theme.grid, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def set_log(axis: XAxis | YAxis, low: float, high: float) -> None:
    """Make an axis logarithmic from ``low`` to ``high``, its marks plain numbers with k, M, G."""
    if isinstance(axis, XAxis):
        axis.axes.set_xscale("log")
        axis.axes.set_xlim(low, high)
    else:
        axis.axes.set_yscale("log")
        axis.axes.set_ylim(low, high)
    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0) if high / low < 60 else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: engineering(value).rstrip()))
    axis.set_minor_locator(LogLocator(base=10, subs=range(2, 10), numticks=200))  # no fewer where decades are many
    axis.set_minor_formatter(NullFormatter())


def engineering(value: float) -> str:
    """Return a number of three digits with a prefix and a space before it, as "17.1 G"."""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}"
    return f"{value:.3g} "


def short_name(name: str, width: int = 34) -> str:
    """Return a name that fits beside an axis, as Matplotlib draws it."""
    return safe(shortened(name, width))


def safe(name: str) -> str:
    """Return text that Matplotlib doesn't read as mathematics, letters that its font lacks as their codes."""
    known = _letters()
    drawn = "".join(one if ord(one) in known else f"U+{ord(one):04X}" for one in printable(name))
    return drawn.replace("$", r"\$")


def safe_lines(name: str, letters: int) -> str:
    """Return text as ``safe`` does, in lines of so many letters."""
    return "\n".join(safe(line) for line in wrap(printable(name), letters))


@cache
def _letters() -> frozenset[int]:
    """Return the codes of the letters that the font has."""
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return frozenset(FT2Font(str(path)).get_charmap())


def file_part(name: str) -> str:
    """Return ``name`` as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".") or "device"
