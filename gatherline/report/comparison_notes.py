"""What a comparison says in sentences: what moved, what made the two, what has no partner, and what bands tell of it.

Left out: how a device follows a change, which nobody measured.
"""

from __future__ import annotations

from collections.abc import Sequence

from gatherline.comparison.change import Change, change_of, within_bands
from gatherline.comparison.comparison import Comparison
from gatherline.comparison.differences import summary
from gatherline.comparison.pair import Pair
from gatherline.comparison.point import DIMENSIONS, layer_of, point_of
from gatherline.report.columns import TOTAL
from gatherline.report.comparison_words import (
    TEXT_WORDS,
    direction,
    percent_text,
    point_label,
    row_label,
    title,
    value_texts,
)
from gatherline.report.selection import RowLike, printable, text

ACROSS = ("pattern", "device")  # where these differ, so do kernels: no news
NEWS = ("kernel", "encoding", "layer_pattern")  # texts that are said beside numbers that moved


def headlines(comparison: Comparison) -> list[str]:
    """Return what a reader must know first: how many totals moved and which most, or that nothing did."""
    if not comparison.moved:
        rows = _count(len(comparison.pairing.pairs), "row")
        broken = len({each.rule for each in comparison.broken})
        if broken:
            return [f"{_count(broken, 'rule')} broken, though no number moved: {rows} compared."]
        return [f"Nothing moved: {rows} compared, every number is the same."]
    lines = []
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
    return lines + _texts_lines(comparison)


def _texts_lines(comparison: Comparison) -> list[str]:
    """Return a line for each text that changed: where numbers moved too, only for those that nobody expected."""
    news: Sequence[str] = tuple(dict.fromkeys(name for _, name in comparison.text_changes))
    if comparison.changes:
        news = () if set(_across(comparison)) & set(ACROSS) else NEWS
    lines = []
    for name in news:
        pairs = [pair for pair, column in comparison.text_changes if column == name]
        if pairs:
            word = TEXT_WORDS.get(name, name)
            told = "; ".join(_text_change(pair, name) for pair in pairs[:2])
            more = f"; {len(pairs) - 2} more" if len(pairs) > 2 else ""
            lines.append(f"In {_count(len(pairs), 'layer')} the {word} changed: {told}{more}.")
    return lines


def _text_change(pair: Pair, name: str) -> str:
    before, after = (text(row, name) or "none" for row in (pair.before, pair.after))
    return f"{printable(pair.layer_label)} {before} -> {after}"


def _across(comparison: Comparison) -> list[str]:
    """Return the dimensions in which rows are compared with others."""
    points = {(pair.point, point_of(pair.after)) for pair in comparison.pairing.pairs}
    return [name for name in DIMENSIONS if any(one.spelled(name) != two.spelled(name) for one, two in points)]


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
    has = (bool(sides[0].manifest), bool(sides[1].manifest))
    lines = [summary(comparison.differences, _names(comparison), has, _across(comparison))]
    lines += [f"Paired: {note}." for note in comparison.pairing.notes]
    lines += [
        f"{name} is of a run that was stopped: rows that it lacks were not computed."
        for side, name in zip(sides, _names(comparison), strict=True)
        if side.stopped
    ]
    for rows, which in ((comparison.pairing.only_before, "first"), (comparison.pairing.only_after, "second")):
        if rows:
            lines.append(f"Only in the {which} ({_count(len(rows), 'row')}): {_some_rows(rows)}")
    if comparison.pairing.proposal:
        lines.append(f"To compare two of these: {comparison.pairing.proposal}")
    for rows, which in ((comparison.pairing.left_before, "first"), (comparison.pairing.left_after, "second")):
        if rows:
            lines.append(
                f"Left out of the {which}, beside the names that --pair pairs ({_count(len(rows), 'row')}): "
                f"{_some_rows(rows)}"
            )
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
    layered = {point_of(row) for row in rows if layer_of(row) != TOTAL}
    texts = [f"{'all' if point in layered else 'total'} of {point.label}" for point in points[:most]]
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
            f"Latency of {_count(len(inside), 'total')} moved by less than the error band of the model "
            f"({_named(inside)}). A band is about the time of one run; how the errors of two runs go together was not "
            "measured, so how much of the change a device shows is not known."
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
