"""What ``simulate validate`` shows in the terminal: errors, speed-ups, noise floors, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatherline.report.selection import RowLike, Rows, count, error_percent, number, text, unique
from gatherline.report.table import console_for

NAMES = ("device", "fitted", "family", "SoC", "processor", "runtime", "dtype")
NUMBERS = ("thr.", "rows", "median", "p90", "in 10 %", "bias", "rank", "anchored", "floor")

COLUMNS_MEAN = (
    "median, p90: absolute error of predicted over measured latency; bias: median signed; rank: Spearman's, over nets;",
    "anchored: median error after one net has set the scale, over all choices of it; floor: what the contributors' own",
    "centre is off from them, same silicon and runtime (*: over all silicon of the ncnn table, where only one measured",
    "this one; -: no silicon of this kind has two).",
)


def print_validation(rows: Rows, manifest: Mapping[str, object], stream: TextIO | Console) -> None:
    """Print the summary by kind, a line for each device, key and family, then what the reader must know of them."""
    console = console_for(stream)
    console.print(_summary(manifest))
    console.print()
    console.print(_lines(rows))
    for line in remarks(rows, manifest):
        console.print(Text(line))


def _lines(rows: Rows) -> Table:
    """Return the table of lines, with the kind of device before the lines of each kind."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in NAMES:
        table.add_column(name, overflow="fold")
    for name in NUMBERS:
        table.add_column(name, justify="right", no_wrap=True)
    several = len(unique(text(row, "device_kind") for row in rows)) > 1
    kind = ""
    for row in rows:
        if several and text(row, "device_kind") != kind:
            kind = text(row, "device_kind")
            table.add_row(Text(f"[{kind}]"), style="italic")
        whole = row.get("soc") is None
        table.add_row(*(Text(cell) for cell in _cells(row)), style="bold" if whole else "")
    return table


def _summary(manifest: Mapping[str, object]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("kind", "fitted", "family", "dtype", "threads"):
        table.add_column(name)
    for name in ("devices", "nets", *NUMBERS[1:], "rank > 0.95"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in _entries(manifest, "summary"):
        cells = [
            text(row, "device_kind"),
            "no" if text(row, "use") == "held_out" else "yes",
            *(text(row, name) for name in ("family", "dtype", "threads")),
            *(count(number(row, name)) for name in ("devices", "nets", "rows")),
            *(error_percent(row, name) for name in ("median", "p90", "within_10")),
            error_percent(row, "bias", signed=True),
            _ratio(row, "rank"),
            error_percent(row, "anchored"),
            error_percent(row, "floor"),
            f"{count(number(row, 'ranked_well'))} of {count(number(row, 'ranked'))}",
        ]
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _cells(row: RowLike) -> list[str]:
    whole = row.get("soc") is None
    return [
        text(row, "device"),
        "no" if text(row, "use") == "held_out" else "yes",
        text(row, "family"),
        *(("all", "", "", "") if whole else (text(row, name) for name in ("soc", "processor", "runtime", "dtype"))),
        "" if whole else count(number(row, "threads")),
        count(number(row, "rows")),
        error_percent(row, "error_median"),
        error_percent(row, "error_p90"),
        error_percent(row, "within_10"),
        error_percent(row, "bias", signed=True),
        _ratio(row, "rank"),
        error_percent(row, "error_anchored"),
        error_percent(row, "floor") + ("*" if text(row, "floor_of") == "all silicon" else ""),
    ]


def _ratio(row: RowLike, name: str) -> str:
    value = number(row, name)
    return "-" if value is None else f"{value:.3f}"


def remarks(rows: Rows, manifest: Mapping[str, object]) -> list[str]:
    """Return what the columns mean, speed-ups, floors, bands, and what became of every row that was read."""
    lines = ["", *COLUMNS_MEAN]
    unfitted = unique(text(row, "device") for row in rows if text(row, "use") == "held_out")
    lines.append(f"Never used in fitting: {', '.join(unfitted) or 'none of these devices'}.")
    for entry in _entries(manifest, "speed_ups"):
        share = number(entry, "sign_right") or 0.0
        lines.append(
            f"Sparse over dense on {text(entry, 'device')}: {count(number(entry, 'ratios'))} ratios, median error "
            f"{error_percent(entry, 'error_median')}, faster or slower right in {share:.0%}."
        )
    return [*lines, *_floors(manifest), *_bands(manifest), *_account(manifest)]


def _floors(manifest: Mapping[str, object]) -> list[str]:
    lines = ["", "Noise floor, by silicon (centre; one contributor beside another):"]
    for entry in _entries(manifest, "floors"):
        held = number(entry, "threads")
        threads = f", {count(held)} thread{'s' if held > 1 else ''}" if held else ""
        what = f"{text(entry, 'soc')} {text(entry, 'processor')}{threads} {text(entry, 'dtype')}"
        if text(entry, "soc") == "all":
            what = "all silicon of the ncnn table"
        lines.append(
            f"  {what}: {error_percent(entry, 'median')}; {error_percent(entry, 'pair_median')} "
            f"({count(number(entry, 'machines'))} machines, {count(number(entry, 'rows'))} rows)"
        )
    return lines if len(lines) > 2 else ["", "Noise floor: no two contributors measured this silicon."]


def _bands(manifest: Mapping[str, object]) -> list[str]:
    bands = [f"  {text(entry, 'device_kind')}: {text(entry, 'text')}" for entry in _entries(manifest, "bands")]
    lines = ["", f"Error bands that rows of simulate run carry ({manifest.get('band_rule')}):"]
    return [*lines, *(bands or ["  none for these devices: their rows are not validated"])]


def _account(manifest: Mapping[str, object]) -> list[str]:
    """Return what became of every row that was read, and which devices have none."""
    of_these = " of these devices' processors" if manifest.get("narrowed") else ""
    read, used = manifest.get("rows_read"), manifest.get("rows_used")
    lines = ["", f"{read} rows{of_these} read, {used} predicted."]
    left_out = [entry for entry in _entries(manifest, "left_out") if number(entry, "rows")]
    if left_out:
        lines.append("Left out by rule, whatever the prediction:")
        lines += [f"  {count(number(row, 'rows'))} {text(row, 'rule')}: {text(row, 'reason')}" for row in left_out]
    unpredicted = manifest.get("unpredicted")
    assert isinstance(unpredicted, Mapping)
    if unpredicted:
        lines += ["Without a prediction:", *(f"  {rows} {reason}" for reason, rows in unpredicted.items())]
    missing = _entries(manifest, "not_measured")
    if manifest.get("narrowed"):
        lines += [f"{text(one, 'device')} is not measured: {text(one, 'reason')}." for one in missing]
    elif missing:
        names = ", ".join(text(one, "device") for one in missing)
        lines.append(f"Not measured (no row of their processor and runtime; --device NAME says why): {names}.")
    return lines


def _entries(manifest: Mapping[str, object], name: str) -> Sequence[RowLike]:
    found = manifest.get(name)
    return found if isinstance(found, list) else []
