"""A comparison in the terminal: verdict, totals, the layers that moved most and why. Plain text when piped."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Literal, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatherline.comparison.change import Change, change_of, largest_first
from gatherline.comparison.comparison import Comparison
from gatherline.comparison.pairing import Pair
from gatherline.report.comparison_words import (
    amount_text,
    broken_text,
    direction,
    headlines,
    notes,
    percent_text,
    point_label,
    title,
    value_texts,
    why,
)
from gatherline.report.selection import printable
from gatherline.report.table import console_for

By = Literal["total", "layer", "both"]
SHOWN_LAYERS = 10
SHOWN_NETWORKS = 6  # with all their columns; of more, only the first column of those that moved most
SHOWN_TOTALS = 30
SHOWN_BROKEN = 10  # rows of a rule
_STYLES = {1: "red", -1: "green", 0: ""}


def print_comparison(comparison: Comparison, stream: TextIO | Console, by: By = "both") -> None:
    """Print what moved. ``by``: totals alone, totals and all layers that moved, or totals and the ten largest."""
    _print(comparison, console_for(stream), by)


def comparison_text(comparison: Comparison, by: By = "both", width: int = 120) -> str:
    """Return the same as plain text."""
    stream = io.StringIO()
    _print(comparison, Console(file=stream, highlight=False, color_system=None, width=width), by)
    return stream.getvalue()


def _print(comparison: Comparison, console: Console, by: By) -> None:
    console.print(Text(f"{printable(comparison.before.name)} -> {printable(comparison.after.name)}", style="bold"))
    for line in headlines(comparison):
        console.print(Text(line, style="bold"))
    for line in notes(comparison):
        console.print(Text(line))
    if comparison.moved:
        console.print()
        _print_totals(comparison, console, by)
        if by != "total":
            _print_layers(comparison, console, None if by == "layer" else SHOWN_LAYERS)
    if comparison.rules:
        _print_verdict(comparison, console)


def _print_totals(comparison: Comparison, console: Console, by: By) -> None:
    if len(comparison.totals) > SHOWN_NETWORKS and by != "total":
        changes = largest_first(change_of(pair, comparison.columns[0]) for pair in comparison.totals)
        _print_networks(changes[:SHOWN_TOTALS], console, title(comparison.columns[0]))
        if len(changes) > SHOWN_TOTALS:
            console.print(Text(f"and {len(changes) - SHOWN_TOTALS} more totals (--by total shows all)"))
        console.print()
        return
    for pair in comparison.totals:
        _print_total(pair, comparison.columns, console)


def _print_total(pair: Pair, columns: Sequence[str], console: Console) -> None:
    """Print the numbers of a total that moved, then the names of those that did not, with the first one's value."""
    changes = [change_of(pair, name) for name in columns]
    moved = [change for change in changes if change.moved]
    still = [change for change in changes if not change.moved and change.before is not None]
    console.print(Text(point_label(pair), style="bold"))
    if moved:
        table = _table(("total", "before", "after", "change", "%"))
        for change in moved:
            _add(table, title(change.column), change)
        console.print(table)
    if still:
        told = ", ".join(f"{title(change.column)} ({value_texts(change)[0]})" for change in still)
        console.print(Text(f"Did not move: {told}", style="dim"))
    console.print()


def _print_networks(changes: Sequence[Change], console: Console, name: str) -> None:
    table = _table((f"total {name}", "before", "after", "change", "%"))
    for change in changes:
        _add(table, point_label(change.pair), change)
    console.print(table)


def _print_layers(comparison: Comparison, console: Console, most: int | None) -> None:
    changes = comparison.sorted_layers()
    first = title(comparison.columns[0])
    if not changes:
        console.print(Text(f"No layer moved in {first}." if comparison.layers else "No layers to compare."))
        return
    shown = changes if most is None else changes[:most]
    several = len(comparison.totals) > 1
    table = _table(("layer", "before", "after", "change", "%"), "what moved")
    for change in shown:
        name = printable(change.pair.layer_label)
        label = f"{name} ({change.pair.point.label})" if several else name
        _add(table, label, change, why(change.pair, change.column) or "nothing else that is counted")
    console.print(Text(f"Layers that moved most in {first}, {len(shown)} of {len(changes)}", style="bold"))
    console.print(table)
    console.print()


def _table(heads: Sequence[str], last: str = "") -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(heads[0], overflow="fold", ratio=3 if last else None)
    for head in heads[1:]:
        table.add_column(head, justify="right", overflow="fold")
    if last:
        table.add_column(last, overflow="fold", ratio=5)
    return table


def _add(table: Table, label: str, change: Change, last: str | None = None) -> None:
    style = _STYLES[direction(change)]
    cells = [Text(label), *(Text(each) for each in value_texts(change)), Text(amount_text(change), style=style)]
    cells.append(Text(percent_text(change), style=style))
    table.add_row(*cells, *([] if last is None else [Text(last)]))


def _print_verdict(comparison: Comparison, console: Console) -> None:
    broken = {each.rule for each in comparison.broken}
    for rule in comparison.rules:
        many = sum(each.rule == rule for each in comparison.broken)
        told = f"broken by {many} row{'' if many == 1 else 's'}" if rule in broken else "holds"
        console.print(Text(f"Rule {rule.text}: {told}", style="red" if rule in broken else "green"))


def broken_lines(comparison: Comparison) -> list[str]:
    """Return a line for each row that breaks a rule, of each rule the first ten and how many more."""
    lines = []
    for rule in comparison.rules:
        broken = [each for each in comparison.broken if each.rule == rule]
        lines += [printable(broken_text(each)) for each in broken[:SHOWN_BROKEN]]
        if len(broken) > SHOWN_BROKEN:
            lines.append(f"{rule.text}: and {len(broken) - SHOWN_BROKEN:,} more rows")
    return lines
