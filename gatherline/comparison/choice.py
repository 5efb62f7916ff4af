"""What a user asked to compare: columns, devices, patterns and pairs of names, each checked against what there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gatherline.comparison.by_hand import hand_names
from gatherline.comparison.point import DIMENSIONS, Dimension, layer_of, point_of
from gatherline.comparison.side import NUMBERS, Side, made_side
from gatherline.comparison.snapshot import SNAPSHOT_COLUMNS
from gatherline.report.columns import COLUMNS
from gatherline.request_error import RequestError
from patterns.names import nearest


def check_columns(names: Sequence[str]) -> None:
    """Raise RequestError for a name that is no column of numbers."""
    for name in names:
        if name not in NUMBERS:
            if name in COLUMNS:
                raise RequestError(f"--column is {name}, which holds no numbers")
            raise RequestError(f"--column is {name!r:.60}, which is not known; {nearest(name[:60], NUMBERS)}")


def check_held(names: Mapping[str, str], sides: Sequence[Side]) -> None:
    """Raise RequestError for a column (by what asks for it) that a side has not, as it is a snapshot."""
    for asked, name in names.items():
        for side in sides:
            if side.is_snapshot and name not in SNAPSHOT_COLUMNS:
                raise RequestError(f"{asked}: a snapshot does not hold {name} ({side.name} is one)")


def selected(
    first: Side, second: Side, devices: Sequence[str], patterns: Sequence[str], pairs: Mapping[str, str]
) -> tuple[Side, Side]:
    """Return the sides with the rows that are asked for. Raises RequestError for a name that neither side has.

    A name that ``pairs`` pairs stands for its partner on the other side.
    """
    if not devices and not patterns:
        return first, second
    points = [list(dict.fromkeys(point_of(row) for row in side.rows)) for side in (first, second)]
    hand = hand_names(points[0], points[1], pairs)
    wanted: dict[Dimension, tuple[set[str], set[str]]] = {}
    asked: tuple[tuple[Dimension, Sequence[str]], ...] = (("device", devices), ("pattern", patterns))
    for dimension, names in asked:
        known = list(dict.fromkeys(point.spelled(dimension) for side in points for point in side))
        for name in names:
            if name not in known:
                hint = nearest(name[:60], known)
                raise RequestError(f"--{dimension} is {name!r:.60}, which neither side has; {hint}")
        if names:
            own = {(old, new) for (kind, old), new in hand.items() if kind == dimension}
            olds = set(names) | {old for old, new in own if new in names}
            news = {name for name in names if name not in {old for old, _ in own}}
            wanted[dimension] = (olds, news | {new for old, new in own if old in names or new in names})
    found = []
    for at, side in enumerate((first, second)):
        rows = [row for row in side.rows if all(point_of(row).spelled(kind) in wanted[kind][at] for kind in wanted)]
        if not rows:
            has = ", ".join(dict.fromkeys(f"{row.get('pattern')} on {row.get('device')}" for row in side.rows))
            raise RequestError(f"{side.name}: has no row that --device and --pattern ask for; it has {has:.200}")
        found.append(made_side(side.name, side.manifest, rows, is_snapshot=side.is_snapshot))
    return found[0], found[1]


def check_names(pairs: Mapping[str, str], first: Side, second: Side) -> None:
    """Raise RequestError for a name of a pair that its side has nothing of."""
    for old, new in pairs.items():
        for side, name in ((first, old), (second, new)):
            known = {layer_of(row) for row in side.rows}
            known |= {point.spelled(each) for point in {point_of(row) for row in side.rows} for each in DIMENSIONS}
            if name not in known:
                raise RequestError(
                    f"--pair is {old}={new}, and {side.name} has no model, pattern, sparsity, device or layer "
                    f"{name!r:.60}; {nearest(name[:60], sorted(known)[:40])}"
                )


def pair_names(texts: Sequence[str]) -> dict[str, str]:
    """Return the names of ``--pair OLD=NEW``; raises RequestError for a text that is no pair."""
    found: dict[str, str] = {}
    for text in texts:
        old, equals, new = text.partition("=")
        if not (old and equals and new):
            raise RequestError(f"--pair is {text!r:.60}, and must be OLD=NEW, as in gs-tcm=gs-tcm-ooo")
        if found.get(old, new) != new:
            raise RequestError(f"--pair is {text!r:.60}, and {old!r:.60} is paired with {found[old]!r:.60} already")
        found[old] = new
    return found
