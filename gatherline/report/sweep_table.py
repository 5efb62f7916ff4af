"""A sweep in the terminal: how it went, the best point by each objective, and the front. Plain text when piped."""

from __future__ import annotations

import json
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatherline.report.selection import RowLike, percent, printable
from gatherline.report.table import console_for
from gatherline.sweep.summary import Summary
from gatherline.sweep.sweep import SweepResult

# how a figure reads: its factor and its unit
_READ = {
    "latency_s": (1e3, "ms"),
    "peak_memory_bytes": (1e-6, "MB"),
    "storage_bytes": (1e-6, "MB"),
    "dram_bytes": (1e-6, "MB"),
    "energy_pj": (1e-9, "mJ"),
    "area_mm2": (1.0, "mm2"),
}
_NAMED = {
    "latency_s": "latency", "peak_memory_bytes": "peak memory", "storage_bytes": "stored weights",
    "dram_bytes": "DRAM bytes", "energy_pj": "energy", "area_mm2": "area", "kept_l1": "kept L1", "kept_l2": "kept L2",
}  # fmt: skip


def print_sweep(result: SweepResult, found: Summary, stream: TextIO) -> None:
    """Print how a sweep went and what it found."""
    console = console_for(stream)
    console.print(Text(printable(_head(result, found)), style="bold"))
    for objective, row in found.best:
        word = "Least" if objective.direction == "min" else "Most"
        name = _NAMED.get(objective.name, objective.name)
        console.print(Text(f"{word} {name}: {_figure(objective.name, row)} with {described(row)}"))
    for line in _missing(found):
        console.print(Text(line))
    if found.on_front > 1:
        _print_front(found, console)
    console.print(Text(f"Rows: {result.store} (table points, view rows); simulate export {result.folder} -o FILE.csv"))


def _head(result: SweepResult, found: Summary) -> str:
    rate = f", {result.computed / result.seconds:.3g} a second" if result.computed and result.seconds else ""
    parts = [f"{result.computed} computed{rate}"]
    if result.found:
        parts.append(f"{result.found} were there")
    if found.refused:
        parts.append(f"{found.refused} refused (column refused says why)")
    if found.excluded:
        parts.append(f"{found.excluded} break a constraint")
    return f"Sweep {result.name}: {found.points} points in {result.seconds:.1f} s: {', '.join(parts)}"


def _missing(found: Summary) -> list[str]:
    if found.best:
        return []
    if found.points == found.refused:
        return ["No point has numbers: all were refused."]
    return ["No point keeps to the constraints and has a figure for an objective."]


def described(row: RowLike) -> str:
    """Return what a point is, in words."""
    sparsity = row["sparsity_target"]
    at = f" at {percent(sparsity)}" if isinstance(sparsity, float) else ""
    fields = json.loads(str(row["fields"]))
    own = ", ".join(f"{path} = {value}" for path, value in fields.items())
    return printable(
        f"{row['model']}, {row['pattern']}{at} on {row['device']}{f' ({own})' if own else ''}, {row['dtype']}"
    )


def _figure(name: str, row: RowLike) -> str:
    value = row[name]
    if not isinstance(value, int | float):
        return "-"
    if name in ("kept_l1", "kept_l2"):
        return percent(value)
    factor, unit = _READ.get(name, (1.0, ""))
    return f"{factor * value:.4g} {unit}".rstrip()


def _print_front(found: Summary, console: Console) -> None:
    objectives = [objective for objective, _ in found.best]
    console.print(Text(f"\nNothing beats these {found.on_front} points in every objective:"))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("point", justify="right")
    for objective in objectives:
        table.add_column(_NAMED.get(objective.name, objective.name), justify="right", no_wrap=True)
    table.add_column("what", overflow="fold")
    for row in found.front:
        figures = [_figure(objective.name, row) for objective in objectives]
        table.add_row(str(row["number"]), *figures, Text(described(row)))
    console.print(table)
    if found.on_front > len(found.front):
        console.print(Text(f"and {found.on_front - len(found.front)} more: simulate front shows them", style="dim"))
    console.print()
