"""What breaks a rule, a line each: row, values and change, with the digits that show it beyond the rule."""

from __future__ import annotations

from fractions import Fraction

from gatherline.comparison.change import Change
from gatherline.comparison.comparison import Comparison
from gatherline.comparison.rules import Broken, Rule
from gatherline.report.comparison_words import (
    MOST_DIGITS,
    amount_text,
    percent_text,
    plain_digits,
    point_label,
    row_label,
    share_text,
    shortened,
    value_texts,
)
from gatherline.report.measures import measure_unit, scale_of
from gatherline.report.selection import printable

SHOWN_BROKEN = 10  # rows of a rule
LONGEST_NAME = 60  # letters of a layer's name in a line of the terminal


def broken_lines(comparison: Comparison) -> list[str]:
    """Return a line for each row that breaks a rule, of each rule the first ten and how many more."""
    lines = []
    for rule in comparison.rules:
        broken = [each for each in comparison.broken if each.rule == rule]
        lines += [printable(broken_text(each, LONGEST_NAME)) for each in broken[:SHOWN_BROKEN]]
        if len(broken) > SHOWN_BROKEN:
            lines.append(f"{rule.text}: and {len(broken) - SHOWN_BROKEN:,} more rows")
    return lines


def broken_text(broken: Broken, longest: int | None = None) -> str:
    """Return one line: the rule, the row, both values and the change, or on which side the row or number is missing.

    ``longest``: letters of a layer's name, all of them by default.
    """
    return f"{broken.rule.text}: {broken_where(broken, longest)}"


def broken_where(broken: Broken, longest: int | None = None) -> str:
    """Return the same without the rule."""
    if broken.change is None:
        assert broken.row is not None
        return f"{row_label(broken.row, longest)} is missing in {broken.missing}"
    pair = broken.change.pair
    name = shortened(printable(pair.layer_label), longest)
    where = f"{'total' if pair.is_total else f'layer {name}'} of {point_label(pair)}"
    before, after = value_texts(broken.change)
    if broken.missing:
        known, which = (after, "second") if broken.change.before is None else (before, "first")
        return f"{where}: {broken.rule.column} is {known} in the {which} and missing in {broken.missing}"
    after, amount, percents = _beyond(broken.rule, broken.change, after)
    return f"{where}: {before} -> {after} ({amount}, {percents})"


def _beyond(rule: Rule, change: Change, after: str) -> tuple[str, str, str]:
    """Return the second value, the change and its share; what the rule is about never reads as its very limit."""
    amount, percents = amount_text(change), percent_text(change)
    if rule.kind == "share" and change.relative is not None and change.before:
        digits = _digits(change.relative, rule.limit, Fraction(1, 100), 3)
        percents = share_text(change.relative, digits) if digits > 3 else percents
    elif rule.kind == "change" and change.absolute and measure_unit(change.column) not in ("cycles", "", "share"):
        scale = scale_of(change.column, [abs(change.absolute)])
        digits = _digits(change.absolute, rule.limit, Fraction(repr(scale.factor)), 4)
        amount = f"{plain_digits(change.absolute / scale.factor, digits, '+')} {scale.unit}" if digits > 4 else amount
    elif rule.kind == "value" and change.after and measure_unit(change.column) not in ("cycles", ""):
        scale = scale_of(change.column, [value for value in (change.before, change.after) if value is not None])
        digits = _digits(change.after, rule.limit, Fraction(repr(scale.factor)), 4)
        after = f"{plain_digits(change.after / scale.factor, digits)} {scale.unit}" if digits > 4 else after
    return after, amount, percents


def _digits(value: float, limit: Fraction, factor: Fraction, least: int) -> int:
    """Return the digits that tell ``value`` from ``limit``, in units of ``factor``; ``least`` where they are one."""
    exact = Fraction(repr(value)) if isinstance(value, float) else Fraction(value)
    if exact == limit:
        return least
    shown = (digits for digits in range(least, MOST_DIGITS + 1) if _rounded(exact / factor, digits) != limit / factor)
    return next(shown, MOST_DIGITS)


def _rounded(value: Fraction, digits: int) -> Fraction:
    return Fraction(f"{float(value):.{digits}g}")
