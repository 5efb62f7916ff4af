"""Tables that lose whole columns where a terminal is too narrow for them, and none in a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

PIPED_WIDTH = 400  # nothing wraps in a file


def plain_table() -> Table:
    """Return an empty table without boxes, as all of ours are."""
    return Table(box=None, pad_edge=False, header_style="bold")


def fitting(
    console: Console, make: Callable[[Sequence[str]], Table], expendable: Sequence[str]
) -> tuple[Table, list[str]]:
    """Return what ``make`` makes without as many of the ``expendable`` columns, in order, as are too much; and those.

    A table that is still too wide has lost all of them.
    """
    left_out: list[str] = []
    table = make(left_out)
    for name in expendable:
        if width_of(table, console).maximum <= console.width:
            break
        left_out.append(name)
        table = make(left_out)
    return table, left_out


def width_of(table: Table, console: Console) -> Measurement:
    """Return the least width of ``table`` that breaks no word, and the width that it takes where there is room."""
    return Measurement.get(console, console.options.update(max_width=PIPED_WIDTH), table)
