"""Names that a user paired by hand: of which dimension each is, which rows stand aside for it, and whether it did any.

Once a dimension has such a pair, the first side's rows under a new name and the second's under an old one stand aside:
a run on two devices compares one with the other. What else of that dimension has no partner is left out, not missing.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Literal

from gatherline.comparison.pair import Pair
from gatherline.comparison.point import DIMENSIONS, Dimension, Point, layer_of, point_of
from gatherline.request_error import RequestError

Renamed = dict[tuple[Dimension, str], str]
Which = Literal["first", "second"]
SEARCHED = 50  # points of each side, for a proposal


def hand_names(ours: Sequence[Point], theirs: Sequence[Point], names: Mapping[str, str]) -> Renamed:
    """Return the pairs by dimension; a name that is a layer's is in none."""
    return {
        (dimension, old): new
        for dimension in DIMENSIONS
        for old, new in names.items()
        if any(point.spelled(dimension) == old for point in ours)
        and any(point.spelled(dimension) == new for point in theirs)
    }


def stands_aside(point: Point, hand: Renamed, which: Which) -> bool:
    """Return whether a point of one side goes by a name that is the other side's of a pair."""
    return any(
        point.spelled(dimension) in other and point.spelled(dimension) not in own
        for dimension, own, other in _names(hand, which)
    )


def is_beside(point: Point, hand: Renamed, which: Which) -> bool:
    """Return whether a point goes by a name of a paired dimension that no pair has on its side."""
    return any(point.spelled(dimension) not in own for dimension, own, _ in _names(hand, which))


def _names(hand: Renamed, which: Which) -> list[tuple[Dimension, set[str], set[str]]]:
    found = []
    for paired in dict.fromkeys(dimension for dimension, _ in hand):
        olds = {old for dimension, old in hand if dimension == paired}
        news = {new for (dimension, _), new in hand.items() if dimension == paired}
        found.append((paired, olds, news) if which == "first" else (paired, news, olds))
    return found


def check_used(names: Mapping[str, str], pairs: Sequence[Pair]) -> list[str]:
    """Return a note for each pair by hand. Raises RequestError for one that paired no rows."""
    notes = []
    left = dict.fromkeys(names.items())
    for pair in pairs:
        if not left:
            break
        after = point_of(pair.after)
        kinds = [(name, pair.point.spelled(name), after.spelled(name)) for name in DIMENSIONS]
        for kind, old, new in (*kinds, ("layer", pair.layer, layer_of(pair.after))):
            if (old, new) in left:
                notes.append(f"{kind} {old} with {new}, by --pair")
                del left[old, new]
    for old, new in left:
        raise RequestError(
            f"--pair is {old}={new}, and pairs no row: no rows of {old!r:.60} in the first and {new!r:.60} in the "
            "second agree in all else, or --device and --pattern leave them out"
        )
    return notes


def proposal(ours: Mapping[Point, tuple[str, ...]], theirs: Mapping[Point, tuple[str, ...]]) -> str:
    """Return the ``--pair`` that joins two points without a partner, the nearest sparsities; "" where none does.

    The mappings' values: the names by which the points pair, in the order of DIMENSIONS.
    """
    best: tuple[float, str] | None = None
    for mine, names in list(ours.items())[:SEARCHED]:
        for other, others in list(theirs.items())[:SEARCHED]:
            at = [place for place, (one, two) in enumerate(zip(names, others, strict=True)) if one != two]
            if len(at) != 1 or (mine.pattern == "dense") != (other.pattern == "dense"):
                continue
            far = abs((mine.sparsity or 0.0) - (other.sparsity or 0.0))
            dimension = DIMENSIONS[at[0]]
            if best is None or far < best[0]:
                best = far, shlex.quote(f"{mine.spelled(dimension)}={other.spelled(dimension)}")
    return "" if best is None else f"--pair {best[1]}"
