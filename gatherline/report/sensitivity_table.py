"""What ``simulate advise --sensitivity`` shows: fields that move the latency, most first, then why others do not."""

from __future__ import annotations

import re
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatherline.advice.field_steps import choice_label
from gatherline.advice.wording import milliseconds, quantity
from gatherline.report.break_even_table import subject
from gatherline.report.selection import RowLike, Rows, number, text, variant
from gatherline.report.table import console_for

NAMED = 4  # of the fields that share a reason
LEGEND = (
    "Elasticity: per cent of latency for a per cent of the field, by central difference between the values of the",
    "step (of one side where a rule refuses the other). At half and at twice the value another bound",
    "may take over. Elasticities of a maximum jump where two bounds are equal; each is of one field alone.",
)


def print_sensitivity(rows: Rows, stream: TextIO | Console) -> None:
    """Print the fields that move, those that do not with the reasons, and values that rules refuse."""
    console = console_for(stream)
    first = rows[0]
    point = f"{subject(first)}, {variant(first).label}: {milliseconds(number(first, 'latency_s') or 0.0)}"
    console.print(Text(point, style="bold"))
    console.print(_moving([row for row in rows if row["moves"]]))
    console.print()
    console.print(Text("Fields that move nothing, and why", style="bold"))
    _print_still([row for row in rows if not row["moves"]], console)
    console.print()
    for line in LEGEND:
        console.print(Text(line))


def _moving(rows: Rows) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("field", overflow="fold")
    for name in ("value", "elasticity", "step", "at half", "at twice"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("other choices, notes, values refused", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in _cells(row)))
    return table


def _cells(row: RowLike) -> list[str]:
    unit, elasticity = text(row, "unit"), number(row, "elasticity")
    step = (
        "-"
        if row["low_value"] is None
        else f"{quantity(row['low_value'], unit)} to {quantity(row['high_value'], unit)}"
    )
    others = row["others"]
    path = text(row, "field")
    notes = [
        f"{choice_label(path, name)}: {ratio:.3f}x"
        for name, ratio in (others.items() if isinstance(others, dict) else ())
    ]
    refused = row["refused"]
    notes += [text(row, "why")] if row["why"] else []
    notes += [_rule(rule) for rule in (refused.values() if isinstance(refused, dict) else ())]
    return [
        path,
        "not set" if row["value"] is None else choice_label(path, quantity(row["value"], unit)),
        "-" if elasticity is None else f"{elasticity:+.3f}",
        step,
        _ratio(row, "half_ratio"),
        _ratio(row, "double_ratio"),
        "; ".join(dict.fromkeys(notes)),
    ]


def _rule(refused: str) -> str:
    """Return what a rule says, without the device, which the headline names."""
    return "refused: " + re.sub(r"^device \S+: ", "", refused)


def _ratio(row: RowLike, name: str) -> str:
    value = number(row, name)
    return "-" if value is None else f"{value:.3f}x"


def _print_still(rows: Rows, console: Console) -> None:
    reasons: dict[str, list[str]] = {}
    for row in rows:
        reasons.setdefault(_why(row), []).append(text(row, "field"))
    for reason, names in reasons.items():
        listed = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
        console.print(Text(f"  {listed}: {reason}"))


def _why(row: RowLike) -> str:
    refused = row["refused"]
    if row["moves"] is None and isinstance(refused, dict) and refused:
        return _rule(next(iter(refused.values())))
    return text(row, "why")
