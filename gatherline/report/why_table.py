"""What ``simulate advise --why`` shows: for each level and device the layers that are no faster, and the reason.

Layers whose reason, number and remedy read alike share a line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatherline.advice.cause_names import CAUSE_NAMES
from gatherline.advice.wording import DIGITS, MOST_DIGITS, SAME
from gatherline.report.break_even_table import subject
from gatherline.report.columns import TOTAL
from gatherline.report.selection import RowLike, Rows, milliseconds, number, text, unique, variant
from gatherline.report.table import console_for

MISSED = 0.02  # of the weights: by which a density that was asked for is not the one that ran
NAMED = 3  # of the layers that share a line
LEGEND = (
    "Both times are of this device, the dense one of its own dense kernels. The reason is the first that holds of: no",
    "kernel, denser than break-even, index bytes, imbalance, padding, launch overhead, DRAM-bound by activations, bank",
    "conflicts. It holds where it takes more than the gap to dense or a quarter of the time (docs/why-no-faster.md).",
    "Where several layers share a line, times are their sum, and the number is that of each one.",
    "Predictions of models: what a change is said to bring is the same model's, run again with that one change.",
)


def print_why(rows: Rows, manifest: Mapping[str, object], stream: TextIO | Console) -> None:
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
    console.print(
        Text(f"{subject(total)}: {variant(total).label}{_ran_as(rows[:-1])}{_reached(rows[:-1])}", style="bold")
    )
    for line in headline(total):
        console.print(Text(line))
    slower = [row for row in rows[:-1] if row["verdict"] == "not faster"]
    if slower:
        console.print(_table(slower))
    for reason in unique(text(row, "note") for row in rows if row["verdict"] == "kept"):
        names = [text(row, "layer") for row in rows if row["verdict"] == "kept" and text(row, "note") == reason]
        console.print(Text(f"Not pruned ({reason or 'the mask keeps every weight'}): {_named(names)}"))
    console.print()


def _ran_as(rows: Rows) -> str:
    """Return the patterns that pruned layers ran instead of the one asked for, "" for none."""
    pruned = [row for row in rows if row["verdict"] != "kept"]
    other = Counter(text(row, "layer_pattern") for row in pruned if row["layer_pattern"] != row["pattern"])
    if len(other) == 1 and other.total() == len(pruned):
        return f", run as {next(iter(other))}"
    told = [f"{name} in {times} of {len(pruned)} layers" for name, times in other.items()]
    return f", run as {', '.join(told)}" if told else ""


def _reached(rows: Rows) -> str:
    """Return the density that pruned layers have where a rule cannot have the one asked for, as 1 of 4 at 50 %."""
    pruned = [row for row in rows if row["verdict"] != "kept" and number(row, "density")]
    target = number(rows[0], "sparsity_target") if rows else None
    weights = sum((number(row, "kept") or 0) / (number(row, "density") or 1.0) for row in pruned)
    if target is None or not weights:
        return ""
    density = sum(number(row, "kept") or 0 for row in pruned) / weights
    return "" if abs(density - (1 - target)) < MISSED else f" (density {density:.3g} reached)"


def headline(total: RowLike) -> list[str]:
    """Return what one level comes to: both times, how many layers gain, and the reason that holds most time."""
    found = total["numbers"]
    assert isinstance(found, dict)
    dense, sparse = number(total, "dense_latency_s"), number(total, "latency_s")
    judged = found["layers"] - found["kept"]
    counts = f"Of {judged} pruned layers {found['faster']} are faster, {found['not_faster']} are not."
    of_dense, of_sparse = _told_apart(dense or 0.0, sparse or 0.0)
    lines = [f"Network: dense {of_dense} ms, pruned {of_sparse} ms. {counts}"]
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


def _told_apart(one_s: float, other_s: float) -> tuple[str, str]:
    """Return two times in ms, with more digits where they differ and would read alike."""
    told, digits = (milliseconds(one_s), milliseconds(other_s)), DIGITS
    while told[0] == told[1] and abs(one_s - other_s) > SAME * one_s and digits <= MOST_DIGITS:
        told, digits = (f"{one_s * 1e3:.{digits}g}", f"{other_s * 1e3:.{digits}g}"), digits + 1
    return told


def _alike(rows: Rows) -> list[Rows]:
    """Return rows that read alike together, in the order of the first of each."""
    groups: dict[tuple[str, ...], list[RowLike]] = {}
    for row in rows:
        groups.setdefault(
            tuple(text(row, name) for name in ("cause", "proof", "change", "also_number", "also_change", "note")), []
        ).append(row)
    return list(groups.values())


def _cells(rows: Rows) -> list[str]:
    first = rows[0]
    note, also = text(first, "note"), text(first, "also_reason")
    dense, sparse = (sum(number(row, name) or 0.0 for row in rows) for name in ("dense_latency_s", "latency_s"))
    return [
        _named([text(row, "layer") for row in rows]),
        *_told_apart(dense, sparse),
        CAUSE_NAMES[text(first, "cause")],
        text(first, "proof") + (f"; also {CAUSE_NAMES[also]}: {text(first, 'also_number')}" if also else ""),
        _changes(first) + (f" ({note})" if note else ""),
    ]


def _changes(row: RowLike) -> str:
    """Return what would change the reason, and what would change the other one, named."""
    also = text(row, "also_reason")
    return text(row, "change") + (f"; {CAUSE_NAMES[also]}: {text(row, 'also_change')}" if also else "")


def _named(names: Sequence[str]) -> str:
    if len(names) <= NAMED:
        return ", ".join(names)
    return f"{len(names)} layers ({', '.join(names[:NAMED])}, ...)"
