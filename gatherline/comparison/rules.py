"""Rules that fail a comparison, as people write them: 'latency_s > +2%', 'layer:cycles != +0', 'dram_bytes > 20MB'.

A rule says when it is broken: COLUMN [of LAYER-GLOB], one of > >= < <= !=, and a number. With a sign or % the number is
a change from the first to the second (a share of the first, or an amount with its unit); without, the second's value.
Compared exactly, as the decimals that a report shows. A row that has no partner, or no such number on one side, breaks
every rule about it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction

from gatherline.comparison.change import Change, change_of
from gatherline.comparison.pairing import Pairing
from gatherline.comparison.point import layer_of
from gatherline.comparison.side import NUMBERS
from gatherline.report.columns import COLUMNS, TOTAL
from gatherline.report.measures import measure_unit
from gatherline.report.selection import RowLike, number
from gatherline.request_error import RequestError
from gatherline.sweep.quantity import parse_quantity
from patterns.names import nearest

GRAMMAR = "[layer:]COLUMN [of LAYER-GLOB] (>, >=, <, <=, !=) [+|-]NUMBER[%|UNIT], as in 'latency_s > +2%'"
_RULE = re.compile(r"(layer\s*:)?\s*(\w+)(?:\s+of\s+(.+?))?\s*(>=|<=|!=|>|<)\s*([^<>=!]+)", re.DOTALL)
_TESTS: dict[str, Callable[[Fraction, Fraction], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "!=": operator.ne,
}  # fmt: skip
_LONGEST = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """``glob``: of layers, None for totals. ``kind``: what ``limit`` is compared with (a share: of the first)."""

    text: str
    column: str
    glob: str | None
    test: str
    limit: Fraction
    kind: str  # "share", "change" or "value"

    def selects(self, row: RowLike) -> bool:
        name = layer_of(row)
        return name == TOTAL if self.glob is None else name != TOTAL and fnmatchcase(name, self.glob)

    def breaks(self, change: Change) -> bool:
        """Return whether the change breaks the rule; a number that one side lacks does."""
        if change.before is None or change.after is None:
            return True
        before, after = _exact(change.before), _exact(change.after)
        holds = _TESTS[self.test]
        if self.kind == "value":
            return holds(after, self.limit)
        if self.kind == "change":
            return holds(after - before, self.limit)
        if before == 0 and after != 0:  # beyond any share of nothing
            return self.test == "!=" or self.test in ((">", ">=") if after > 0 else ("<", "<="))
        return holds((after - before) / abs(before) if before else Fraction(0), self.limit)


def _exact(value: float) -> Fraction:
    return Fraction(repr(value)) if isinstance(value, float) else Fraction(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A rule and what breaks it: a pair's change, or a row that only one side has (``missing``: in which it is not)."""

    rule: Rule
    change: Change | None = None
    row: RowLike | None = None
    missing: str = ""


def texts_of(name: str, given: Iterable[str]) -> tuple[str, ...]:
    """Return ``given`` unless it is no texts in a row (RequestError): a lone text would be taken letter by letter."""
    if isinstance(given, str):
        raise RequestError(f"{name} is the text {given!r:.100}, and must be a list of texts: [{given!r:.100}]")
    if not isinstance(given, Iterable):
        raise RequestError(f"{name} is {given!r:.100}, and must be a list of texts")
    found = tuple(given)
    for at, each in enumerate(found):
        if not isinstance(each, str):
            raise RequestError(f"{name}[{at}] is {each!r:.100}, and must be a text")
    return found


def parse_rule(text: str) -> Rule:
    """Return the rule that ``text`` spells. Raises RequestError naming the part that is wrong."""
    match = _RULE.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if match is None:
        raise RequestError(f"rule {text!r:.100}: must be {GRAMMAR}")
    of_layers, column, glob, test, written = match.groups()
    if column not in NUMBERS:
        if column in COLUMNS:
            raise RequestError(f"rule {text!r:.100}: column {column} holds no numbers")
        raise RequestError(f"rule {text!r:.100}: column {column!r:.60} is not known; {nearest(column[:60], NUMBERS)}")
    tight = re.sub(r"^([+-])\s+", r"\1", written.strip())
    limit, kind = _limit(tight, column, f"rule {text!r:.100}: the number")
    if glob is None and of_layers:
        glob = "*"
    return Rule(text=text.strip(), column=column, glob=glob, test=test, limit=limit, kind=kind)


def _limit(written: str, column: str, where: str) -> tuple[Fraction, str]:
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+\b.*", written):
        raise RequestError(f"{where} is {written!r:.40}, and must be without the comma: {written.replace(',', '')}")
    signed = written[:1] in ("+", "-")
    unit = measure_unit(column)
    if written.endswith("%"):
        if not signed and unit == "share":
            raise RequestError(
                f"{where} is {written!r:.40}, which can mean two things: write +{written} for a change, or a number "
                "like 0.1 for a value"
            )
        return parse_quantity(written, "share", where), "share"
    return parse_quantity(written, unit, where), "change" if signed else "value"


def check_rules(
    rules: Sequence[Rule], pairing: Pairing, columns: tuple[Collection[str], Collection[str]]
) -> tuple[Broken, ...]:
    """Return what breaks the rules, in their order. Raises RequestError for a rule that is about no row here."""
    return tuple(broken for rule in rules for broken in _check(rule, pairing, columns))


def _check(rule: Rule, pairing: Pairing, columns: tuple[Collection[str], Collection[str]]) -> list[Broken]:
    alone = [(row, "the second") for row in pairing.only_before if rule.selects(row)]
    alone += [(row, "the first") for row in pairing.only_after if rule.selects(row)]
    selected = [pair for pair in pairing.pairs if rule.selects(pair.before) or rule.selects(pair.after)]
    if not selected and not alone:
        raise RequestError(f"rule {rule.text!r:.100}: no row is named so: there is no {_what(rule)} on either side")
    if all(rule.column not in side for side in columns):
        raise RequestError(f"rule {rule.text!r:.100}: no row of either side has a number in column {rule.column}")
    changes = [change_of(pair, rule.column) for pair in selected]
    applies = [change for change in changes if change.before is not None or change.after is not None]
    alone = [(row, side) for row, side in alone if number(row, rule.column) is not None]
    if not applies and not alone:
        raise RequestError(f"rule {rule.text!r:.100}: {_what(rule)} has no number in column {rule.column}")
    found = [Broken(rule=rule, change=change, missing=_missing(change)) for change in applies if rule.breaks(change)]
    return found + [Broken(rule=rule, row=row, missing=side) for row, side in alone]


def _what(rule: Rule) -> str:
    return "total" if rule.glob is None else f"layer {rule.glob!r:.60}"


def _missing(change: Change) -> str:
    return "the first" if change.before is None else "the second" if change.after is None else ""
