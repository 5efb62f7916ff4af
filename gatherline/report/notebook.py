"""What a notebook shows of a result: the same words and tables as a terminal, as HTML.

Whatever a command prints on a console is caught before it is laid out, and written as paragraphs and tables. There are
no scripts, no style sheet and no colours: text takes those of the notebook, light or dark. Everything is escaped. Long
tables show their first rows and say how many more there are. Left out: pictures (``notebook_run.py`` draws a run's).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from html import escape

from rich.console import Console, ConsoleRenderable, RenderHook
from rich.table import Table
from rich.text import Text

from gatherline.report.fitting import PIPED_WIDTH
from traces.html_table import cells_html

SHOWN_LINES = 8  # of a paragraph; the rest folds away


class _Caught(RenderHook):
    """Keeps what a console was to print, and prints nothing."""

    def __init__(self) -> None:
        self.pieces: list[ConsoleRenderable] = []

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        self.pieces += renderables
        return []


def page(show: Callable[[Console], None]) -> str:
    """Return as HTML what ``show`` prints on a console."""
    caught = _Caught()
    console = Console(  # force_jupyter: else it shows an empty output of its own for each line
        file=io.StringIO(), width=PIPED_WIDTH, color_system=None, force_terminal=False, force_jupyter=False,
        highlight=False,
    )  # fmt: skip
    console.push_render_hook(caught)
    show(console)
    found: list[str] = []
    lines: list[str] = []
    for piece in caught.pieces:
        if isinstance(piece, Text) and piece.plain.strip():
            if _is(piece, "bold"):
                found += [paragraph(lines), f"<p><strong>{escape(piece.plain)}</strong></p>"]
                lines = []
            else:
                lines.append(piece.plain)
            continue
        found.append(paragraph(lines))
        lines = []
        if isinstance(piece, Table):
            found.append(table_html(piece))
    return box([*found, paragraph(lines)])


def box(parts: Sequence[str]) -> str:
    """Return parts of a page as one."""
    return f'<div class="gatherline">{"".join(part for part in parts if part)}</div>'


def paragraph(lines: Sequence[str]) -> str:
    """Return lines below each other, "" for none; those beyond the first few fold away."""
    told = [escape(line) for line in lines]
    if not told:
        return ""
    first, rest = "<br>".join(told[:SHOWN_LINES]), told[SHOWN_LINES:]
    return f"<p>{first}</p>{folded(f'{len(rest)} more lines', '<br>'.join(rest)) if rest else ''}"


def folded(title: str, inside: str) -> str:
    """Return what opens at a click; ``inside`` is HTML."""
    return f"<details><summary>{escape(title)}</summary>{inside}</details>"


def table_html(table: Table) -> str:
    """Return a table of a console, its first rows."""
    headers = [_plain(column.header) for column in table.columns]
    right = [column.justify == "right" for column in table.columns]
    cells = [[_plain(cell) for cell in column.cells] for column in table.columns]
    rows = list(zip(*cells, strict=True))
    strong = [_is_bold(row.style) for row in table.rows]
    escaped = [
        [f"<strong>{escape(cell)}</strong>" if bold and cell else escape(cell) for cell in row]
        for row, bold in zip(rows, strong, strict=True)
    ]
    return cells_html(headers, escaped, right)


def _plain(cell: object) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)


def _is(line: Text, style: str) -> bool:
    """Return whether all of a line has a style."""
    whole = (span for span in line.spans if span.start == 0 and span.end == len(line))
    return style in str(line.style) or any(style in str(span.style) for span in whole)


def _is_bold(style: object) -> bool:
    return "bold" in str(style or "")
