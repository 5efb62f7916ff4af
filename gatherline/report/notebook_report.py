"""What a notebook shows of a ``Report``: what its command prints, and of a run maps and bars besides."""

from __future__ import annotations

from collections.abc import Mapping

from gatherline.report.headline import headline_facts
from gatherline.report.notebook import box, page
from gatherline.report.notebook_run import run_html
from gatherline.report.selection import Rows


def report_html(manifest: Mapping[str, object], rows: Rows) -> str:
    """Return what a notebook shows of a ``Report``: of a run, a model that was pruned, or a replay."""
    if not rows:
        return box(["<p>A report without rows.</p>"])
    if "weights_after" in rows[0]:
        from gatherline.report.prune_table import print_pruned

        return page(lambda console: print_pruned(rows, manifest, console))
    if headline_facts(rows):
        return run_html(rows)
    from gatherline.report.table import print_streams

    return page(lambda console: print_streams(rows, console))
