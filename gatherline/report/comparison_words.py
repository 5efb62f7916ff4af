"""How a change reads: values with enough digits to tell them apart, what moved in words, and what bands say of it.

Words only; every number is in the comparison. A change that a reader cannot see in four digits gets more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gatherline.comparison.change import Change, change_of, within_bands
from gatherline.comparison.comparison import Comparison
from gatherline.comparison.differences import summary
from gatherline.comparison.pairing import Pair
from gatherline.comparison.point import layer_of, point_of
from gatherline.comparison.rules import Broken
from gatherline.report.columns import TOTAL
from gatherline.report.measures import measure_unit, scale_of, title_of
from gatherline.report.selection import RowLike, printable, text
from gatherline.report.time_causes import TIME_CAUSES
from simulator.result import CAUSES

MOST_DIGITS = 17  # of a float: then two that differ read otherwise
MOST_PIECES = 4  # of what moved in one layer
LITTLE = 0.1  # a cause below this share of the largest one is not worth a word
LOST_WORDS = {
    "core": "waiting for other cores", "dram": "waiting for DRAM", "conflict": "bank conflicts",
    "scatter": "the scatter unit", "interval": "the weight buffer", "imbalance": "imbalance",
    "padding": "padding", "vector": "the vector unit",
}  # fmt: skip
TEXT_WORDS = {"kernel": "kernel", "encoding": "encoding", "bound": "bound", "layer_pattern": "pattern"}
TITLES = {
    "weight_bytes": "stored weights", "index_bytes": "stored indices", "conflict_cycles": "conflict cycles",
    "stall_cycles": "stall cycles", "compute_cycles": "compute cycles",
}  # fmt: skip
BETTER_LOWER = ("_s", "cycles", "_bytes", "_pj")
CYCLES = ("cycles", "conflict_cycles", "stall_cycles")  # said where no cause of time is
COUNTED = ("dram_bytes", "weight_bytes", "index_bytes", "density")


def title(column: str) -> str:
    """Return a column's name as a reader of a comparison knows it."""
    return TITLES.get(column) or title_of(column)


def value_texts(change: Change) -> tuple[str, str]:
    """Return both values with their unit, "-" for none, with the digits that tell them apart."""
    values = (change.before, change.after)
    if measure_unit(change.column) in ("cycles", ""):
        return _each(values, lambda value: f"{value:,}" if isinstance(value, int) else f"{value:.6g}")
    known = [value for value in values if value is not None]
    scale = scale_of(change.column, known)
    told = _each(values, scale.text)
    digits = 5
    while change.moved and told[0] == told[1] and digits <= MOST_DIGITS:
        told = _each(values, lambda value: f"{value / scale.factor:.{digits}g} {scale.unit}".rstrip())  # noqa: B023
        digits += 1
    return told


def _each(values: Sequence[float | None], said: object) -> tuple[str, str]:
    assert callable(said)
    first, second = ("-" if value is None else str(said(value)) for value in values)
    return first, second


def amount_text(change: Change) -> str:
    """Return the absolute change with sign and unit, "0" for none, "-" where one side has no number."""
    if change.absolute is None:
        return "-"
    if change.absolute == 0:
        return "0"
    sign = "+" if change.absolute > 0 else "-"
    size = abs(change.absolute)
    if measure_unit(change.column) in ("cycles", ""):
        return f"{sign}{size:,}" if isinstance(size, int) else f"{sign}{size:.4g}"
    if measure_unit(change.column) == "share":
        return f"{sign}{100 * size:.3g} points"
    scale = scale_of(change.column, [size])
    return f"{sign}{scale.text(size)}"


def percent_text(change: Change) -> str:
    """Return the change as a share of the first value: "+2.1 %", "from 0", "new" or "gone" where one side has none."""
    share = change.relative
    if share is None:
        return "-" if not change.moved else "new" if change.before is None else "gone"
    if share == 0:
        return "0 %"
    if math.isinf(share):
        return "from 0"
    return f"{100 * share:+,.3g} %" if abs(share) < 100 else f"{100 * share:+,.0f} %"


def direction(change: Change) -> int:
    """Return 1 where the change is for the worse, -1 where for the better, 0 where neither can be said."""
    if not change.column.endswith(BETTER_LOWER) or not change.absolute or change.column.startswith("latency_high"):
        return 0
    return 1 if change.absolute > 0 else -1


def point_label(pair: Pair) -> str:
    """Return what a pair is of, with the second side's name where it is another."""
    return _both(pair.point.label, point_of(pair.after).label)


def _both(first: str, second: str) -> str:
    return first if first == second else f"{first} -> {second}"


def row_label(row: RowLike) -> str:
    name = layer_of(row)
    prefix = "total" if name == TOTAL else f"layer {printable(name)}"
    return f"{prefix} of {point_of(row).label}"


def why(pair: Pair, first: str = "latency_s") -> str:
    """Return in words what moved in a layer or a total: causes of time, then counts, then kernel and encoding."""
    pieces = _times(pair) or _lost(pair)
    for name in COUNTED if pieces else (*CYCLES, *COUNTED):
        change = change_of(pair, name)
        if name != first and change.moved and change.absolute is not None and len(pieces) < MOST_PIECES:
            pieces.append(f"{title(name)} {amount_text(change)}" + _share(change))
    for name, word in TEXT_WORDS.items():
        before, after = text(pair.before, name), text(pair.after, name)
        if before and after and before != after:
            pieces.insert(0, f"{word} {before} -> {after}")
    return ", ".join(pieces)


def _share(change: Change) -> str:
    return f" ({percent_text(change)})" if change.relative and abs(change.relative) >= 0.0005 else ""


def _times(pair: Pair) -> list[str]:
    found = [(cause.title, change_of(pair, cause.column)) for cause in TIME_CAUSES]
    return _largest(found)


def _lost(pair: Pair) -> list[str]:
    return _largest([(LOST_WORDS[cause], change_of(pair, f"lost_{cause}_cycles")) for cause in CAUSES])


def _largest(found: Sequence[tuple[str, Change]]) -> list[str]:
    moved = [(word, change) for word, change in found if change.absolute]
    moved.sort(key=lambda each: -abs(each[1].absolute or 0))
    least = LITTLE * abs(moved[0][1].absolute or 0) if moved else 0
    unit = " cycles" if moved and moved[0][1].column.endswith("_cycles") else ""
    return [
        f"{word} {amount_text(change)}{unit}"
        for word, change in moved[:MOST_PIECES]
        if abs(change.absolute or 0) >= least
    ]


def headlines(comparison: Comparison) -> list[str]:
    """Return what a reader must know first: how many totals moved and which most, or that nothing did."""
    lines = []
    if not comparison.moved:
        lines.append(
            f"Nothing moved: {_count(len(comparison.pairing.pairs), 'row')} compared, every number is the same."
        )
        return lines
    first = comparison.columns[0]
    changes = [change_of(pair, first) for pair in comparison.totals]
    if len(changes) == 1:
        lines.append(f"{point_label(changes[0].pair)}: {_sentence(changes[0])}.")
    elif changes:
        lines.append(_many(changes, title(first)))
    if not any(change.moved for change in changes):
        others = dict.fromkeys(title(change.column) for change in comparison.changes)
        if others:
            lines.append(f"What moved is {_listed(list(others))}.")
    return lines


def _many(changes: Sequence[Change], name: str) -> str:
    up = [change for change in changes if (change.absolute or 0) > 0]
    down = [change for change in changes if (change.absolute or 0) < 0]
    same = sum(not change.moved for change in changes)
    other = len(changes) - len(up) - len(down) - same
    parts = []
    for moved, word in ((up, "rose"), (down, "fell")):
        if moved:
            most = max(moved, key=lambda change: abs(change.relative or 0))
            which = "" if len(moved) == 1 else "most: "
            parts.append(f"in {len(moved)} it {word} ({which}{percent_text(most)}, {point_label(most.pair)})")
    if same:
        parts.append(f"in {same} it did not move")
    if other:
        parts.append(f"in {other} only one side has it")
    return f"Total {name} of {len(changes)} networks: {'; '.join(parts)}."


def _sentence(change: Change) -> str:
    name = title(change.column)
    if not change.moved:
        return f"{name} did not move ({value_texts(change)[0]})"
    before, after = value_texts(change)
    slower = {1: "slower", -1: "faster"}.get(direction(change), "") if change.column == "latency_s" else ""
    return f"{name} {before} -> {after}, {percent_text(change)}" + (f" ({slower})" if slower else "")


def notes(comparison: Comparison) -> list[str]:
    """Return what else is to be known: what made the two, how rows were paired, what has no partner, and bands."""
    sides = (comparison.before, comparison.after)
    lines = [summary(comparison.differences, _names(comparison), (bool(sides[0].manifest), bool(sides[1].manifest)))]
    lines += [f"Paired: {note}." for note in comparison.pairing.notes]
    lines += [
        f"{name} is of a run that was stopped: rows that it lacks were not computed."
        for side, name in zip(sides, _names(comparison), strict=True)
        if side.stopped
    ]
    for rows, which in ((comparison.pairing.only_before, "first"), (comparison.pairing.only_after, "second")):
        if rows:
            lines.append(f"Only in the {which} ({_count(len(rows), 'row')}): {_some_rows(rows)}")
    for names, which in zip(comparison.lone_columns, ("first", "second"), strict=True):
        if names:
            lines.append(f"Columns with numbers only in the {which}: {', '.join(names)}")
    return [*lines, *_bands(comparison)]


def _names(comparison: Comparison) -> tuple[str, str]:
    return comparison.before.name, comparison.after.name


def _some_rows(rows: Sequence[RowLike], most: int = 3) -> str:
    """Return whole networks as such, layers by name, the first few of each."""
    points = list(dict.fromkeys(point_of(row) for row in rows if layer_of(row) == TOTAL))
    single = [row for row in rows if point_of(row) not in set(points)]
    texts = [f"all of {point.label}" for point in points[:most]]
    texts += [row_label(row) for row in single[:most]]
    left = max(0, len(points) - most) + max(0, len(single) - most)
    return "; ".join(texts) + (f"; and {left} more" if left else "")


def _bands(comparison: Comparison) -> list[str]:
    moved = [pair for pair in comparison.totals if change_of(pair, "latency_s").moved]
    inside = [pair for pair in moved if within_bands(pair)]
    unknown = [pair for pair in moved if within_bands(pair) is None]
    lines = []
    if inside:
        lines.append(
            f"Latency of {_count(len(inside), 'total')} moved within the error bands of both sides "
            f"({_named(inside)}): as times of a real device the two cannot be told apart. What the model says changed "
            "is exact."
        )
    if unknown:
        lines.append(
            f"Not validated: {_count(len(unknown), 'total')} without an error band ({_named(unknown)}). The change is "
            "exact for the model; how a device follows it is not known."
        )
    return lines


def _named(pairs: Sequence[Pair], most: int = 2) -> str:
    names = list(dict.fromkeys(point_label(pair) for pair in pairs))
    return "; ".join(names[:most]) + (f"; {len(names) - most} more" if len(names) > most else "")


def _listed(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _count(number_of: int, what: str) -> str:
    return f"{number_of:,} {what}{'' if number_of == 1 else 's'}"


def broken_text(broken: Broken) -> str:
    """Return one line: the rule, the row, both values and the change, or on which side the row or number is missing."""
    return f"{broken.rule.text}: {broken_where(broken)}"


def broken_where(broken: Broken) -> str:
    """Return the same without the rule."""
    if broken.change is None:
        assert broken.row is not None
        return f"{row_label(broken.row)} is missing in {broken.missing}"
    pair = broken.change.pair
    where = f"{'total' if pair.is_total else f'layer {printable(pair.layer_label)}'} of {point_label(pair)}"
    if broken.missing:
        known = broken.change.after if broken.change.before is None else broken.change.before
        return f"{where}: {broken.rule.column} is {known:g} on one side and missing in {broken.missing}"
    before, after = value_texts(broken.change)
    return f"{where}: {before} -> {after} ({amount_text(broken.change)}, {percent_text(broken.change)})"
