"""A table as HTML for notebooks: no style sheet, no script, no colours, so that it is read in light and in dark ones.

It stands here because networks and areas are shown too, and they know nothing of reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

SHOWN_ROWS = 40
_TABLE = "border-collapse:collapse;margin:.4em 0;font-variant-numeric:tabular-nums"


def cells_html(headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """Return a table of cells that are HTML already; ``right``: the columns that stand on the right."""
    sides = [f"{'right;white-space:nowrap' if one else 'left'};padding:0 .6em" for one in right]

    heads = (
        f'<th scope="col" style="text-align:{side}">{escape(name)}</th>'
        for name, side in zip(headers, sides, strict=True)
    )
    lines = (
        "".join(f'<td style="text-align:{side}">{cell}</td>' for cell, side in zip(row, sides, strict=True))
        for row in rows[:SHOWN_ROWS]
    )
    head, body = f"<tr>{''.join(heads)}</tr>", "".join(f"<tr>{line}</tr>" for line in lines)
    left = len(rows) - SHOWN_ROWS
    more = f"<p>{left:,} more rows</p>" if left > 0 else ""
    made = f'<table style="{_TABLE}"><thead>{head}</thead><tbody>{body}</tbody></table>'
    return f'<div style="overflow-x:auto" tabindex="0">{made}</div>{more}'
