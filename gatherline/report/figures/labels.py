"""Where names stand beside points: each covers no point, no other name and no edge, or is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Box = tuple[float, float, float, float]  # x and y of two corners, pixels
_LETTER = 0.62  # of the type's size: the width of a letter, on the safe side
_PLACES = ((7, -10), (-7, 5), (7, 5), (-7, -10), (10, -20), (-10, 16), (10, 16), (-10, -20), (14, -30), (-14, 28))


def name_points(
    axes: Any,
    wanted: Sequence[tuple[str, tuple[float, float]]],
    taken: Sequence[Box],
    *,
    most: int,
    size: float,
    colours: tuple[str, str],
) -> None:
    """Write at most ``most`` of the ``wanted`` names beside their points; ``colours``: of letters and their ground."""
    pixels_a_point = axes.figure.dpi / 72
    covered, frame, named = list(taken), axes.bbox, [(float("-inf"), float("-inf"))]
    for name, place in wanted:
        x, y = (float(value) for value in axes.transData.transform(place))
        if any(abs(x - other_x) < 6 and abs(y - other_y) < 6 for other_x, other_y in named):
            continue  # one name a place: whose it is would not show
        width, height = _LETTER * size * len(name) * pixels_a_point, 1.25 * size * pixels_a_point
        for dx, dy in _PLACES:
            left = x + dx * pixels_a_point - (width if dx < 0 else 0)
            foot = y + dy * pixels_a_point
            box = (left, foot, left + width, foot + height)
            if not _inside(box, frame) or any(_overlap(box, other) for other in covered):
                continue
            axes.annotate(
                name, place, xytext=((left - x) / pixels_a_point, dy), textcoords="offset points", fontsize=size,
                color=colours[0], zorder=4, arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": colours[0]},
                bbox={"boxstyle": "square,pad=0.1", "facecolor": colours[1], "edgecolor": "none", "alpha": 0.85},
            )  # fmt: skip
            covered.append(box)
            named.append((x, y))
            break
        if len(named) > most:
            return


def _inside(box: Box, frame: Any) -> bool:
    return bool(frame.x0 < box[0] and box[2] < frame.x1 and frame.y0 < box[1] and box[3] < frame.y1)


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
