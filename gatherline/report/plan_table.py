"""What ``simulate advise`` shows of a plan: a headline, its layers, what binds, and what other budgets would buy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatherline.report.columns import TOTAL
from gatherline.report.selection import (
    RowLike,
    count,
    megabytes,
    millijoules,
    milliseconds,
    number,
    percent,
    printable,
    text,
)
from gatherline.report.table import console_for

if TYPE_CHECKING:
    from gatherline.advice.plan_report import PlanReport

HONEST = (
    "Kept weight ranks options by magnitude alone: it is not accuracy. Layers differ in what they bear, small ones",
    "near the input often little, and this sum cannot tell; the scale of a layer (a folded batch norm) moves it too.",
    "What layers lose need not add up, and retraining wins some back. Prune by the plan, retrain, and measure.",
    "With --objective TABLE.csv (layer, pattern, sparsity, loss) the plan goes by your own measurements instead.",
    "Channels are no choice of one layer: they change their neighbours. Prune them first and ask again.",
)
_BUDGETS = (("latency_s", "latency"), ("memory_bytes", "memory"), ("storage_bytes", "storage"), ("energy_pj", "energy"))
_REACHED = {
    "latency_s": "reached_latency_s", "memory_bytes": "reached_peak_memory_bytes",
    "storage_bytes": "reached_storage_bytes", "energy_pj": "reached_energy_pj",
}  # fmt: skip


def print_plan(report: PlanReport, stream: TextIO) -> None:
    """Print a plan for a reader who wants to know what to do, what it gives, and how far to trust it."""
    console = console_for(stream)
    console.print(Text(headline(report), style="bold"))
    _print_layers(report, console)
    console.print()
    for line in (*_budget_lines(report), _binding(report)):
        console.print(Text(line))
    console.print()
    _print_curve(report, console)
    console.print()
    for remark in report.remarks:
        console.print(Text(printable(remark)))
    for line in HONEST:
        console.print(Text(line, style="dim"))


def headline(report: PlanReport) -> str:
    """Return the answer on one line."""
    plan, expected = report.plan, report.plan.expected
    asked = " and ".join(_value(name, plan.budget[name]) for name, _ in _BUDGETS if name in plan.budget)
    kept = f"keeps {percent(number(expected, 'kept_l1'))} of L1, {percent(number(expected, 'kept_l2'))} of L2"
    own = "" if plan.objective in ("l1", "l2") else f", loses {number(expected, 'loss') or 0.0:.4g} by {plan.objective}"
    gap = number(report.manifest, "gap") or 0.0
    best = "the least loss there is" if not gap else f"within {gap:.2%} of the least loss"
    first = " and ".join(
        f"{_value(name, _of(expected, name))} (unpruned {_value(name, _of(_unpruned(report), name))})"
        for name, _ in _BUDGETS
        if name in plan.budget
    )
    return printable(
        f"{plan.model} on {plan.device}, {plan.run.get('dtype')}, within {asked}: {first}, {kept}{own}; {best}"
    )


def _unpruned(report: PlanReport) -> dict[str, object]:
    total = report.unpruned
    weights, indices = number(total, "weight_bytes") or 0, number(total, "index_bytes") or 0
    return {**total, "storage_bytes": weights + indices}


def _of(row: Mapping[str, object], name: str) -> float | None:
    return number(row, "peak_memory_bytes" if name == "memory_bytes" else name)


def _value(name: str, value: object) -> str:
    amount = value if isinstance(value, int | float) else None
    return {
        "latency_s": f"{milliseconds(amount)} ms",
        "energy_pj": f"{millijoules(amount)} mJ",
    }.get(name, f"{megabytes(amount)} MB")


def _print_layers(report: PlanReport, console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("layer", "pattern"):
        table.add_column(name, overflow="fold")
    for name in ("sparsity", "kept L1", "kept L2", "ms unpruned", "ms plan", "MB unpruned", "MB plan"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("kernel", "remark"):
        table.add_column(name, overflow="fold")
    for row in report.layers:
        table.add_row(*(Text(cell) for cell in _cells(row)))
    expected, before = report.plan.expected, _unpruned(report)
    table.add_row(
        TOTAL, f"{count(len(report.plan.layers))} of {count(len(report.layers))} layers", "",
        percent(number(expected, "kept_l1")), percent(number(expected, "kept_l2")),
        milliseconds(number(before, "latency_s")), milliseconds(number(expected, "latency_s")),
        megabytes(number(before, "storage_bytes")), megabytes(number(expected, "storage_bytes")), "", "",
        style="bold",
    )  # fmt: skip
    console.print(table)


def _cells(row: RowLike) -> list[str]:
    asked, own = text(row, "pattern"), text(row, "layer_pattern")
    name = asked if asked in ("", own) else f"{asked} ({own})"
    return [
        text(row, "layer"),
        name or "as it is",
        percent(number(row, "sparsity_target")),
        percent(number(row, "kept_l1")),
        percent(number(row, "kept_l2")),
        milliseconds(number(row, "unpruned_latency_s")),
        milliseconds(number(row, "latency_s")),
        megabytes(number(row, "unpruned_stored_bytes")),
        megabytes(number(row, "stored_bytes")),
        text(row, "kernel"),
        text(row, "reason"),
    ]


def _budget_lines(report: PlanReport) -> list[str]:
    """Return what of each budget the plan takes; of a latency that is to be certain, the upper end."""
    lines = []
    for name, spoken in _BUDGETS:
        most, used = number(report.plan.budget, name), _of(report.plan.expected, name)
        end = ""
        if name == "latency_s" and report.plan.budget.get("certain"):
            used, end = number(report.plan.expected, "latency_high_s"), ", the upper end of the error band"
        if most and used is not None:
            lines.append(f"{spoken}{end}: {_value(name, used)} of {_value(name, most)}, {used / most:.1%}")
    return lines


def _binding(report: PlanReport) -> str:
    if not report.binding:
        return "Nothing binds: without any one of these budgets the plan would lose as much."
    return f"What binds: {', '.join(report.binding)}. Without it, less would be lost."


def _print_curve(report: PlanReport, console: Console) -> None:
    console.print(Text("What other budgets would buy (the best plan at each)", style="bold"))
    names = [name for name, _ in _BUDGETS if name in report.plan.budget]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("budget", justify="right", no_wrap=True)
    for name, spoken in _BUDGETS:
        if name in names:
            table.add_column(f"{spoken} at most", justify="right", no_wrap=True)
            table.add_column("reached", justify="right", no_wrap=True)
    own = report.plan.objective not in ("l1", "l2")
    for name in ("kept L1", "kept L2", *(["loss"] if own else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for point in report.curve:
        cells = [f"{number(point, 'factor') or 0.0:.0%}"]
        for name in names:
            reached = _value(name, point[_REACHED[name]]) if point["reached"] else "out of reach"
            cells += [_value(name, point[name]), reached]
        cells += [percent(number(point, "kept_l1")), percent(number(point, "kept_l2"))]
        loss = number(point, "loss")
        cells += ["-" if loss is None else f"{loss:.4g}"] if own else []
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
