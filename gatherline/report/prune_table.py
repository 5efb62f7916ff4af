"""What ``simulate prune`` shows in the terminal: a row per layer, totals, and what was not as asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatherline.advice.plan import PLAN
from gatherline.report.columns import TOTAL
from gatherline.report.selection import RowLike, Rows, count, number, percent, printable, text, totals
from gatherline.report.table import console_for

NUMBERS = ("weights", "before", "after", "asked", "reached", "kept L1", "kept L2")
SMALLER = ("channels", "weights left")  # shown where channels go


def print_pruned(rows: Rows, manifest: Mapping[str, object], stream: TextIO | Console) -> None:
    """Print the layers of the densest level, the totals of every level, and where it all went."""
    console = console_for(stream)
    levels = [number(row, "level") for row in totals(rows)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("layer", "pattern"):
        table.add_column(name, overflow="fold")
    smaller = any(number(row, "weights_after") != number(row, "weights") for row in rows)
    for name in (*SMALLER, *NUMBERS) if smaller else NUMBERS:
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("check", "remark"):
        table.add_column(name, overflow="fold")
    for row in rows:
        if row.get("layer") != TOTAL and number(row, "level") == levels[-1]:
            table.add_row(*_cells(row, text(row, "layer"), smaller))
    for row in totals(rows):
        level = number(row, "level")
        table.add_row(*_cells(row, TOTAL if level is None else f"{TOTAL}, level {count(level)}", smaller), style="bold")
    console.print(table)
    broken = sum(1 for row in rows if text(row, "check") not in ("", "holds"))
    if broken:
        console.print(Text(_broken(broken, planned=any(row.get("pattern") == PLAN for row in totals(rows)))))
    notes = manifest.get("notes")
    for note in notes if isinstance(notes, list) else []:
        console.print(Text(printable(str(note)), style="dim"))
    for key in ("out", "levels_file"):
        if manifest.get(key):
            console.print(Text(printable(f"wrote {manifest[key]}")))


def _broken(masks: int, *, planned: bool) -> str:
    """Return how many masks are not all of their pattern; those of a plan were checked, and are as it counted them."""
    many = f"{masks} masks do" if masks > 1 else "1 mask does"
    if not planned:
        return f"{many} not obey {'their' if masks > 1 else 'its'} pattern in full: see the check column."
    return (
        f"{many} not fill {'their' if masks > 1 else 'its'} pattern to the last place (check column). Nothing needs to "
        f"be done: each mask is the plan's own, and the plan's times and bytes count it as it is."
    )


def _cells(row: RowLike, name: str, smaller: bool) -> list[Text]:
    before, after = number(row, "channels_before"), number(row, "channels_after")
    channels = count(after) if before == after else f"{count(before)} to {count(after)}"
    left = (channels, count(number(row, "weights_after"))) if smaller else ()
    numbers = (
        *left,
        count(number(row, "weights")),
        percent(number(row, "density_before")),
        percent(number(row, "density")),
        percent(number(row, "sparsity_target")),
        percent(number(row, "sparsity_of_pruned")),
        percent(number(row, "kept_l1")),
        percent(number(row, "kept_l2")),
    )
    check, explained = text(row, "check"), number(row, "explained")
    if explained is not None and check != "holds":
        check = f"{percent(explained)}; {check}"
    plain = (name, text(row, "pattern") or "as it is", *numbers, check, text(row, "reason"))
    return [Text(cell) for cell in plain]
