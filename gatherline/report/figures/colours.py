"""The one scale of speed-ups for every heat map, and the ink that is read on a colour: the page, notebook, figures.

Blue is faster than dense, orange slower, as in the page of a run; both ends are equally dark, and colour-blind readers
tell blue from orange. In grey print they don't differ, so cells slower than dense are also hatched. Needs no
Matplotlib: a notebook shows its map without it. Left out: the steps and themes of the page, which are in page.css.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

# from slowest to fastest: page.css's --s4, --s3, the ground, --f3, --f4
SPEED_UP_STOPS = ("#9a4500", "#efb25a", "#f7f7f7", "#8fc2e6", "#0b5cad")
SLOWER_HATCH = "////"  # of Matplotlib, on cells slower than dense
# the same hatch of a cell of HTML, over its colour
SLOWER_STRIPES = "repeating-linear-gradient(135deg,rgba(0,0,0,.16) 0 1px,transparent 1px 6px)"


def rgb(colour: str) -> tuple[float, float, float]:
    """Return the parts of "#rrggbb", 0 to 1."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def speed_up_colour(share: float) -> str:
    """Return the colour of a speed-up as "#rrggbb".

    ``share``: of the scale: -1 as slow as it goes, 0 as dense, 1 as fast as it goes; what lies beyond is an end.
    """
    place = (min(1.0, max(-1.0, share)) + 1) / 2 * (len(SPEED_UP_STOPS) - 1)
    at = min(int(place), len(SPEED_UP_STOPS) - 2)
    low, high = list(pairwise(SPEED_UP_STOPS))[at]
    mixed = (a + (b - a) * (place - at) for a, b in zip(rgb(low), rgb(high), strict=True))
    return "#" + "".join(f"{round(255 * part):02x}" for part in mixed)


def ink_on(colour: Sequence[float]) -> str:
    """Return "black" or "white", whichever has the larger contrast on ``colour`` (red, green, blue from 0 to 1)."""
    light = luminance(colour)
    return "black" if (light + 0.05) / 0.05 >= 1.05 / (light + 0.05) else "white"


def luminance(colour: Sequence[float]) -> float:
    """Return the relative luminance of sRGB as WCAG 2 has it, of which contrasts are made."""
    linear = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3])
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
