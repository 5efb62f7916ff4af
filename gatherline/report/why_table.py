"""What ``simulate advise --why`` shows: for each level and device the layers that are no faster, and the reason.

Layers whose reason, number and remedy read alike share a line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatherline.advice.cause_names import CAUSE_NAMES
from gatherline.report.break_even_table import subject
from gatherline.report.columns import TOTAL
from gatherline.report.selection import RowLike, Rows, milliseconds, number, text, unique, variant
from gatherline.report.table import console_for

NAMED = 3  # of the layers that share a line
LEGEND = (
    "Both times are of this device, the dense one of its own dense kernels. The reason is the first that holds of: no",
    "kernel, denser than break-even, index bytes, imbalance, padding, launch overhead, DRAM-bound by activations, bank",
    "conflicts. It holds where it takes more than the gap to dense or a quarter of the time (docs/why-no-faster.md).",
    "Where several layers share a line, times are their sum, and the number is that of each one.",
    "Predictions of models: what a change is said to bring is the same model's, run again with that one change.",
)


def print_why(rows: Rows, manifest: Mapping[str, object], stream: TextIO) -> None:
    """Print a headline and a table for each pattern, sparsity and device, then how to read them."""
    console = console_for(stream)
    part: list[RowLike] = []
    for row in rows:
        part.append(row)
        if row["layer"] == TOTAL:
            _print_level(part, console)
            part = []
    left_out = manifest.get("left_out")
    for pattern, why in left_out.items() if isinstance(left_out, dict) else ():
        console.print(Text(f"Left out: {pattern}, which a layer cannot take ({why})"))
    for line in LEGEND:
        console.print(Text(line))


def _print_level(rows: Rows, console: Console) -> None:
    total = rows[-1]
    console.print(Text(f"{subject(total)}: {variant(total).label}", style="bold"))
    for line in headline(total):
        console.print(Text(line))
    slower = [row for row in rows[:-1] if row["verdict"] == "not faster"]
    if slower:
        console.print(_table(slower))
    for reason in unique(text(row, "note") for row in rows if row["verdict"] == "kept"):
        names = [text(row, "layer") for row in rows if row["verdict"] == "kept" and text(row, "note") == reason]
        console.print(Text(f"Not pruned ({reason or 'the mask keeps every weight'}): {_named(names)}"))
    console.print()


def headline(total: RowLike) -> list[str]:
    """Return what one level comes to: both times, how many layers gain, and the reason that holds most time."""
    found = total["numbers"]
    assert isinstance(found, dict)
    dense, sparse = number(total, "dense_latency_s"), number(total, "latency_s")
    judged = found["layers"] - found["kept"]
    counts = f"Of {judged} pruned layers {found['faster']} are faster, {found['not_faster']} are not."
    lines = [f"Network: dense {milliseconds(dense)} ms, pruned {milliseconds(sparse)} ms. {counts}"]
    if found["reasons"]:
        cause, worth = next(iter(found["reasons"].items()))
        many = "layer" if worth["layers"] == 1 else "layers"
        lines.append(
            f"The reason that holds most time: {CAUSE_NAMES[cause]}, {worth['layers']} {many}, "
            f"{milliseconds(worth['latency_s'])} ms."
        )
    return lines


def _table(rows: Rows) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("layer", overflow="fold", ratio=3)
    table.add_column("dense ms", justify="right", no_wrap=True)
    table.add_column("sparse ms", justify="right", no_wrap=True)
    table.add_column("reason", overflow="fold", ratio=3)
    table.add_column("the number", overflow="fold", ratio=6)
    table.add_column("what would change it", overflow="fold", ratio=6)
    for group in _alike(rows):
        table.add_row(*(Text(cell) for cell in _cells(group)))
    return table


def _alike(rows: Rows) -> list[Rows]:
    """Return rows that read alike together, in the order of the first of each."""
    groups: dict[tuple[str, ...], list[RowLike]] = {}
    for row in rows:
        groups.setdefault(tuple(text(row, name) for name in ("cause", "proof", "change", "note")), []).append(row)
    return list(groups.values())


def _cells(rows: Rows) -> list[str]:
    first = rows[0]
    note = text(first, "note")
    return [
        _named([text(row, "layer") for row in rows]),
        milliseconds(sum(number(row, "dense_latency_s") or 0.0 for row in rows)),
        milliseconds(sum(number(row, "latency_s") or 0.0 for row in rows)),
        CAUSE_NAMES[text(first, "cause")],
        text(first, "proof"),
        text(first, "change") + (f" ({note})" if note else ""),
    ]


def _named(names: Sequence[str]) -> str:
    if len(names) <= NAMED:
        return ", ".join(names)
    return f"{len(names)} layers ({', '.join(names[:NAMED])}, ...)"
