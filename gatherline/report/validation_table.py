"""What ``simulate validate`` shows in the terminal: errors, speed-ups, noise floors, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TextIO

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


def print_validation(rows: Rows, manifest: Mapping[str, object], stream: TextIO) -> None:
    """Print a line for each device, key and family, then what the reader must know of them."""
    console = console_for(stream)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in NAMES:
        table.add_column(name, overflow="fold")
    for name in NUMBERS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        whole = row.get("soc") is None
        table.add_row(*(Text(cell) for cell in _cells(row)), style="bold" if whole else "")
    console.print(table)
    console.print()
    console.print(_summary(manifest))
    for line in remarks(rows, manifest):
        console.print(Text(line))


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
    """Return what the columns mean, speed-ups, floors, bands, and every row that was not used, with the reason."""
    lines = ["", *COLUMNS_MEAN]
    unfitted = unique(text(row, "device") for row in rows if text(row, "use") == "held_out")
    lines.append(f"Never used in fitting: {', '.join(unfitted) or 'none of these devices'}.")
    for entry in _entries(manifest, "speed_ups"):
        share = number(entry, "sign_right") or 0.0
        lines.append(
            f"Sparse over dense on {text(entry, 'device')}: {count(number(entry, 'ratios'))} ratios, median error "
            f"{error_percent(entry, 'error_median')}, faster or slower right in {share:.0%}."
        )
    lines += ["", "Noise floor, by silicon (centre; one contributor beside another):"]
    for entry in _entries(manifest, "floors"):
        held = number(entry, "threads")
        threads = f", {count(held)} thread{'s' if held > 1 else ''}" if held else ""
        what = f"{text(entry, 'soc')} {text(entry, 'processor')}{threads} {text(entry, 'dtype')}".rstrip()
        lines.append(
            f"  {what}: {error_percent(entry, 'median')}; {error_percent(entry, 'pair_median')} "
            f"({count(number(entry, 'machines'))} machines, {count(number(entry, 'rows'))} rows)"
        )
    bands = [f"  {text(entry, 'device_kind')}: {text(entry, 'text')}" for entry in _entries(manifest, "bands")]
    rule = str(manifest.get("band_rule"))
    lines += ["", f"Error bands that rows of simulate run carry ({rule}):", *(bands or ["  none yet"])]
    read, used = manifest.get("rows_read"), manifest.get("rows_used")
    lines += ["", f"{read} rows read, {used} predicted. Left out by rule, whatever the prediction:"]
    for entry in _entries(manifest, "left_out"):
        lines.append(f"  {count(number(entry, 'rows'))} {text(entry, 'rule')}: {text(entry, 'reason')}")
    unpredicted = manifest.get("unpredicted")
    assert isinstance(unpredicted, Mapping)
    return [*lines, "Without a prediction:", *(f"  {rows_} {reason}" for reason, rows_ in unpredicted.items())]


def _entries(manifest: Mapping[str, object], name: str) -> Sequence[RowLike]:
    found = manifest.get(name)
    return found if isinstance(found, list) else []
