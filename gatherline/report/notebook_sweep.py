"""What a notebook shows of a sweep that ran: how many points it has; what it found is told by ``gl.front``."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

from gatherline.report.notebook import box
from traces.html_table import cells_html


def sweep_html(title: str, points: Mapping[str, int], folder: Path) -> str:
    """Return how a sweep went. ``points``: counts by what they count."""
    rows = [[escape(name), f"{many:,}"] for name, many in points.items()]
    after = f"{folder}: gl.front(folder) tells the best points, gl.export(folder, file) writes all rows."
    return box(
        [
            f"<p><strong>{escape(title)}</strong></p>",
            cells_html(("", "points"), rows, (False, True)),
            f"<p>{escape(after)}</p>",
        ]
    )
