"""A comparison in the terminal: verdict, totals, the layers that moved most and why. Plain text when piped."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Literal, TextIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gatherline.comparison.change import Change, change_of, largest_first
from gatherline.comparison.comparison import Comparison
from gatherline.comparison.pair import Pair
from gatherline.report.comparison_notes import headlines, notes
from gatherline.report.comparison_words import (
    amount_text,
    direction,
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
STACKED = 60  # columns of a terminal: below, each row of a table stands on lines of its own
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
        _print_table("total", [(title(change.column), change, "") for change in moved], console)
    if still:
        told = ", ".join(f"{title(change.column)} ({value_texts(change)[0]})" for change in still)
        console.print(Text(f"Did not move: {told}", style="dim"))
    console.print()


def _print_networks(changes: Sequence[Change], console: Console, name: str) -> None:
    _print_table(f"total {name}", [(point_label(change.pair), change, "") for change in changes], console)


def _print_layers(comparison: Comparison, console: Console, most: int | None) -> None:
    changes = comparison.sorted_layers()
    column = comparison.sort_column
    if not changes:
        console.print(Text(f"No layer moved in {title(column)}." if comparison.layers else "No layers to compare."))
        return
    shown = changes if most is None else changes[:most]
    several = len(comparison.totals) > 1
    lines = []
    for change in shown:
        name = printable(change.pair.layer_label)
        label = f"{name} ({change.pair.point.label})" if several else name
        lines.append((label, change, why(change.pair, column) or "nothing else that is counted"))
    console.print(Text(f"Layers that moved most in {title(column)}, {len(shown)} of {len(changes)}", style="bold"))
    _print_table("layer", lines, console, "what moved")
    console.print()


def _print_table(head: str, lines: Sequence[tuple[str, Change, str]], console: Console, last: str = "") -> None:
    """Print changes with their labels and, below the heading ``last``, a text of each."""
    if console.width < STACKED:
        for label, change, told in lines:
            _print_stacked(label, change, told, console)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(head, overflow="fold", ratio=3 if last else None)
    for name in ("before", "after", "change", "%"):
        table.add_column(name, justify="right", overflow="fold")
    if last:
        table.add_column(last, overflow="fold", ratio=5)
    for label, change, told in lines:
        style = _STYLES[direction(change)]
        cells = [Text(label), *(Text(each) for each in value_texts(change)), Text(amount_text(change), style=style)]
        cells.append(Text(percent_text(change), style=style))
        table.add_row(*cells, *([Text(told)] if last else []))
    console.print(table)


def _print_stacked(label: str, change: Change, told: str, console: Console) -> None:
    before, after = value_texts(change)
    console.print(Text(label), overflow="fold")
    line = Text(f"{before} -> {after}, ")
    line.append(f"{amount_text(change)}, {percent_text(change)}", style=_STYLES[direction(change)])
    for each in (line, Text(told)):
        if each:
            console.print(Padding(each, (0, 0, 0, 2), expand=False), overflow="fold")


def _print_verdict(comparison: Comparison, console: Console) -> None:
    broken = {each.rule for each in comparison.broken}
    for rule in comparison.rules:
        many = sum(each.rule == rule for each in comparison.broken)
        told = f"broken by {many} row{'' if many == 1 else 's'}" if rule in broken else "holds"
        console.print(Text(f"Rule {rule.text}: {told}", style="red" if rule in broken else "green"))
