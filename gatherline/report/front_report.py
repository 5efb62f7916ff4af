"""What ``simulate front`` shows of a front, and ``simulate sweep`` of what it found: answers, table, remarks."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.text import Text

from gatherline.report.front_remarks import remarks
from gatherline.report.front_table import SHOWN_MEMBERS, headlines, print_table
from gatherline.report.selection import printable
from gatherline.report.table import console_for
from gatherline.sweep.front import SweepFront


def print_front(
    found: SweepFront, stream: TextIO | Console, *, several: bool = False, most: int = SHOWN_MEMBERS
) -> None:
    """Print headlines, ``most`` places of the front, and remarks. ``several``: it is one of some."""
    console = console_for(stream)
    if several:
        console.print(Text(f"--- {printable(found.name)} ---", style="bold"), soft_wrap=True)
    for line in headlines(found):
        console.print(Text(line, style="bold"), soft_wrap=True)
    console.print()
    print_table(found, console, most)
    for line in remarks(found):
        console.print(Text(line, style="dim"), soft_wrap=True)
    if several:
        console.print()
