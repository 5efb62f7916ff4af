"""A sweep in the terminal: how it went, then its fronts as ``simulate front`` shows them. Plain text when piped."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.text import Text

from gatherline.report.front_report import print_front
from gatherline.report.selection import printable
from gatherline.report.table import console_for
from gatherline.sweep.summary import Summary
from gatherline.sweep.sweep import SweepResult

SHOWN_MEMBERS = 20  # places of a front; simulate front shows more


def print_sweep(result: SweepResult, found: Summary, stream: TextIO | Console) -> None:
    """Print how a sweep went and what it found."""
    console = console_for(stream)
    console.print(Text(printable(_head(result, found)), style="bold"), soft_wrap=True)
    fronts = found.found.fronts
    for front in fronts:
        print_front(front, stream, several=len(fronts) > 1, most=SHOWN_MEMBERS)
    for line in found.found.without:
        console.print(Text(printable(line)), soft_wrap=True)
    folder = printable(str(result.folder))
    console.print(Text(f"Rows: {printable(str(result.store))} (table points, view rows)"), soft_wrap=True)
    if fronts:
        console.print(Text(f"Files and pictures of the front: simulate front {folder} --out FOLDER"), soft_wrap=True)
    console.print(Text(f"All rows: simulate export {folder} -o FILE.csv"), soft_wrap=True)


def _head(result: SweepResult, found: Summary) -> str:
    rate = f", {result.computed / result.seconds:.3g} a second" if result.computed and result.seconds else ""
    parts = [f"{result.computed:,} computed{rate}"]
    if result.found:
        parts.append(f"{result.found:,} {'was' if result.found == 1 else 'were'} there")
    if found.refused:
        parts.append(f"{found.refused:,} refused (column refused says why)")
    points = f"{found.points:,} point{'' if found.points == 1 else 's'}"
    return f"Sweep {result.name}: {points} in {result.seconds:.1f} s: {', '.join(parts)}"
