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
_SCALES = {
    "latency_s": (1e-3, "ms"),
    "memory_bytes": (1e6, "MB"),
    "storage_bytes": (1e6, "MB"),
    "energy_pj": (1e9, "mJ"),
}
_MOST_DIGITS = 10  # what differs later was added up in another order


def print_plan(report: PlanReport, stream: TextIO | Console) -> None:
    """Print a plan for a reader who wants to know what to do, what it gives, and how far to trust it."""
    console = console_for(stream)
    console.print(Text(headline(report), style="bold"))
    if slower := _slower(report):
        console.print(Text(slower, style="bold"))
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
    told = [_told(report, name) for name, _ in _BUDGETS if name in plan.budget]
    asked, first = (" and ".join(part) for part in zip(*told, strict=True))
    kept = f"keeps {percent(number(expected, 'kept_l1'))} of L1, {percent(number(expected, 'kept_l2'))} of L2"
    own = "" if plan.objective in ("l1", "l2") else f", loses {number(expected, 'loss') or 0.0:.4g} by {plan.objective}"
    gap = number(report.manifest, "gap") or 0.0
    best = "the least loss there is" if not gap else f"within {gap:.2%} of the least loss"
    return printable(
        f"{plan.model} on {plan.device}, {plan.run.get('dtype')}, within {asked}: {first}, {kept}{own}; {best}"
    )


def _told(report: PlanReport, name: str) -> tuple[str, str]:
    """Return a budget, and what plan and network take of it; of a latency that is to be certain the upper end too."""
    expected, before = report.plan.expected, _unpruned(report)
    columns = [name, "latency_high_s"] if _is_certain(report, name) else [name]
    values = [_of(row, column) for row in (expected, before) for column in columns]
    limit, *texts = _apart(name, number(report.plan.budget, name), *values)
    now, was = (", upper end ".join(texts[place : place + len(columns)]) for place in (0, len(columns)))
    return limit, f"{now} (unpruned {was})"


def _is_certain(report: PlanReport, name: str) -> bool:
    return name == "latency_s" and report.plan.budget.get("certain") is True


def _apart(name: str, *values: float | None) -> tuple[str, ...]:
    """Return values as they are read, with more digits those that read alike and differ by more than rounding."""
    (scale, unit), texts = _SCALES[name], [_value(name, value) for value in values]
    told = ["" if value is None else f"{value:.{_MOST_DIGITS}g}" for value in values]
    for digits in range(4, _MOST_DIGITS + 1):
        read = [text.partition(" ")[0].replace(",", "") for text in texts]
        pairs = [("" if text == "-" else float(text), own) for text, own in zip(read, told, strict=True)]
        for place, (value, own) in enumerate(zip(values, pairs, strict=True)):
            if value is not None and any(own[0] == other[0] and own[1] != other[1] for other in pairs):
                texts[place] = f"{value / scale:.{digits}g} {unit}"
    return tuple(texts)


def _slower(report: PlanReport) -> str:
    """Return that the plan is slower than the network as it is, where no latency was asked for; else nothing."""
    after, before = _of(report.plan.expected, "latency_s"), _of(_unpruned(report), "latency_s")
    if after is None or before is None or "latency_s" in report.plan.budget:
        return ""
    now, was = _apart("latency_s", after, before)
    if after < before or now == was:
        return ""
    asked = f"no latency was asked for (--latency-ms {before * 1e3:.4g} beside the budget asks for both)"
    return f"The plan is slower than the network as it is: {now}, before {was}; {asked}"


def _unpruned(report: PlanReport) -> dict[str, object]:
    total = report.unpruned
    weights, indices = number(total, "weight_bytes") or 0, number(total, "index_bytes") or 0
    return {**total, "storage_bytes": weights + indices}


def _of(row: Mapping[str, object], name: str) -> float | None:
    return number(row, "peak_memory_bytes" if name == "memory_bytes" else name)


def _value(name: str, value: object) -> str:
    amount = value if isinstance(value, int | float) else None
    spoken = {"latency_s": milliseconds, "energy_pj": millijoules}.get(name, megabytes)
    return f"{spoken(amount)} {_SCALES[name][1]}"


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
    if others := report.without_weights["layers"]:
        time = milliseconds(report.without_weights["latency_s"])
        spoken = f"{count(others)} layer{'s' if others > 1 else ''} without weights"
        table.add_row(*map(Text, (spoken, "as they are" if others > 1 else "as it is", "", "", "", time, time)))
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
        if _is_certain(report, name):
            used, end = number(report.plan.expected, "latency_high_s"), ", the upper end of the error band"
        if most and used is not None:
            now, limit = _apart(name, used, most)
            lines.append(f"{spoken}{end}: {now} of {limit}, {used / most:.1%}")
    return lines


def _binding(report: PlanReport) -> str:
    names = report.binding
    if report.together:
        return "No budget binds alone: without any one of them the others still ask for as much."
    if not names:
        return "Nothing binds: without any budget the plan would lose as much."
    without = {1: "it", 2: "either of them"}.get(len(names), "any one of them")
    return f"What binds: {', '.join(names)}. Without {without}, less would be lost."


def _print_curve(report: PlanReport, console: Console) -> None:
    console.print(Text("What other budgets would buy (the best plan at each)", style="bold"))
    names = [name for name, _ in _BUDGETS if name in report.plan.budget]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("budget", justify="right", no_wrap=True)
    for name, spoken in _BUDGETS:
        if name in names:
            table.add_column(f"{spoken} at most", justify="right", no_wrap=True)
            table.add_column("reached", justify="right", no_wrap=True)
            if _is_certain(report, name):
                table.add_column("upper end", justify="right", no_wrap=True)
    own = report.plan.objective not in ("l1", "l2")
    for name in ("kept L1", "kept L2", *(["loss"] if own else [])):
        table.add_column(name, justify="right", no_wrap=True)
    for point in report.curve:
        cells = [f"{number(point, 'factor') or 0.0:.0%}"]
        for name in names:
            reached = _value(name, point[_REACHED[name]]) if point["reached"] else "out of reach"
            cells += [_value(name, point[name]), reached]
            if _is_certain(report, name):
                cells.append(_value(name, point["reached_latency_high_s"]) if point["reached"] else "-")
        cells += [percent(number(point, "kept_l1")), percent(number(point, "kept_l2"))]
        loss = number(point, "loss")
        cells += ["-" if loss is None else f"{loss:.4g}"] if own else []
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
