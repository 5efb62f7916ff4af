"""How a change reads: values with enough digits to tell them apart, what moved in words, and what bands say of it.

Words only; every number is in the comparison. A change that a reader cannot see in four digits gets more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

from gatherline.comparison.change import Change, change_of
from gatherline.comparison.pair import Pair
from gatherline.comparison.point import layer_of, point_of
from gatherline.report.columns import TOTAL
from gatherline.report.measures import measure_unit, scale_of, title_of
from gatherline.report.selection import RowLike, printable, text
from gatherline.report.time_causes import TIME_CAUSES
from simulator.result import CAUSES

MOST_DIGITS = 17  # of a float: then two that differ read otherwise
ZERO_BYTES = "0 B"  # and not 0 MB, whatever stands beside it
BYTES = ("kB", "MB", "GB")
MOST_PIECES = 4  # of what moved in one layer
LITTLE = 0.1  # a cause below this share of the largest one is not worth a word
LOST_WORDS = {
    "core": "waiting for other cores", "dram": "waiting for DRAM", "conflict": "bank conflicts",
    "scatter": "the scatter unit", "interval": "the weight buffer", "imbalance": "imbalance",
    "padding": "padding", "vector": "the vector unit",
}  # fmt: skip
TEXT_WORDS = {"kernel": "kernel", "encoding": "encoding", "bound": "bound", "layer_pattern": "pattern"}  # of a layer
TITLES = {
    "weight_bytes": "weight values", "index_bytes": "weight indices", "conflict_cycles": "conflict cycles",
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
    told = _each(values, lambda value: ZERO_BYTES if value == 0 and scale.unit in BYTES else scale.text(value))
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
    """Return the absolute change with sign and unit, "-" where one side has no number."""
    if change.absolute is None:
        return "-"
    if change.absolute == 0:
        return "0 B" if measure_unit(change.column) == "B" else "0"
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
        return "from 0" if change.before == 0 else f"{'+' if share > 0 else '-'}more than 1e300 %"
    return share_text(share)


def share_text(share: float, digits: int = 3) -> str:
    """Return a share in percent with its sign: no exponent, and from 1,000 % on no digit after the point."""
    percents = 100 * share
    return (
        f"{percents:+,.0f} %" if abs(percents) >= 999.5 and digits == 3 else f"{plain_digits(percents, digits, '+')} %"
    )


def plain_digits(value: float, digits: int, sign: str = "") -> str:
    """Return a number with so many digits that count, and never an exponent."""
    return format(Decimal(f"{value:.{digits}g}"), f"{sign},f")


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


def shortened(name: str, longest: int | None) -> str:
    """Return a name with its middle cut where it is longer: layers of one model begin alike and end apart."""
    if longest is None or len(name) <= longest:
        return name
    end = longest // 2
    return f"{name[: longest - end - 3]}...{name[-end:]}"


def row_label(row: RowLike, longest: int | None = None) -> str:
    """Return what a row is of; of a layer's name ``longest`` letters."""
    name = layer_of(row)
    prefix = "total" if name == TOTAL else f"layer {shortened(printable(name), longest)}"
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
