"""What a notebook shows of each kind of result: what its command prints, and of a run maps and bars besides."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from gatherline.report.headline import headline_facts
from gatherline.report.notebook import box, page
from gatherline.report.notebook_run import run_html
from gatherline.report.selection import Rows
from traces.html_table import cells_html

if TYPE_CHECKING:
    from gatherline.advice.plan_report import PlanReport
    from gatherline.comparison.comparison import Comparison
    from gatherline.sweep.front import SweepFront
    from gatherline.sweep.sweep import SweepResult


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


def comparison_html(comparison: Comparison) -> str:
    from gatherline.report.comparison_table import print_comparison

    return page(lambda console: print_comparison(comparison, console))


def why_html(manifest: Mapping[str, object], rows: Rows) -> str:
    from gatherline.report.why_table import print_why

    return page(lambda console: print_why(rows, manifest, console))


def break_even_html(manifest: Mapping[str, object], rows: Rows) -> str:
    from gatherline.report.break_even_table import print_break_even

    return page(lambda console: print_break_even(rows, manifest, console))


def sensitivity_html(rows: Rows) -> str:
    from gatherline.report.sensitivity_table import print_sensitivity

    return page(lambda console: print_sensitivity(rows, console))


def inspection_html(manifest: Mapping[str, object], rows: Rows) -> str:
    from gatherline.report.inspection_table import print_inspection

    return page(lambda console: print_inspection(rows, manifest, (), console))


def validation_html(manifest: Mapping[str, object], rows: Rows) -> str:
    from gatherline.report.validation_table import print_validation

    return page(lambda console: print_validation(rows, manifest, console))


def plan_html(report: PlanReport) -> str:
    from gatherline.report.plan_table import print_plan

    return page(lambda console: print_plan(report, console))


def front_html(front: SweepFront) -> str:
    from gatherline.report.front_report import print_front

    return page(lambda console: print_front(front, console))


def sweep_html(result: SweepResult) -> str:
    """Return how a sweep went; what it found is told by ``gl.front``, which reads the store."""
    facts = {
        "points": result.points, "computed now": result.computed, "in the store before": result.found,
        "refused": result.refused,
    }  # fmt: skip
    rows = [[escape(name), f"{many:,}"] for name, many in facts.items()]
    told = f"Sweep {result.name}, {result.seconds:.1f} s"
    after = f"{result.folder}: gl.front(folder) tells the best points, gl.export(folder, file) writes all rows."
    return box(
        [
            f"<p><strong>{escape(told)}</strong></p>",
            cells_html(("", "points"), rows, (False, True)),
            f"<p>{escape(after)}</p>",
        ]
    )
