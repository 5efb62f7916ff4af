"""What ``simulate validate --measured`` shows in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from rich.table import Table
from rich.text import Text

from gatherline.report.selection import Rows, count, error_percent, number, printable, text, unique
from gatherline.report.table import console_for

NAMES = ("device", "kernel", "dtype")
NUMBERS = ("rows", "predicted", "median", "p90", "in 10 %", "bias", "spread", "held out")
COLUMNS_MEAN = (
    "median, p90: absolute error of predicted over measured time of one product; bias: median signed; spread: of the\n"
    "samples of one measurement, below which no model can be told from another; held out: the median error that the\n"
    "device states of matrices that its fit did not see (-: nothing of it was fitted by simulate calibrate)."
)


def print_measured(rows: Rows, manifest: Mapping[str, object], stream: TextIO) -> None:
    """Print a line for each device, kernel and data type, then why rows have no prediction."""
    console = console_for(stream)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in NAMES:
        table.add_column(name, overflow="fold")
    for name in NUMBERS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        shares = (error_percent(row, name) for name in ("error_median", "error_p90", "within_10"))
        table.add_row(
            *(Text(text(row, name)) for name in NAMES),
            count(number(row, "rows")),
            count(number(row, "predicted")),
            *shares,
            error_percent(row, "bias", signed=True),
            error_percent(row, "spread"),
            error_percent(row, "held_out_median"),
        )
    console.print(table)
    console.print(Text(f"\n{COLUMNS_MEAN}"))
    for line in fitted_on(rows):
        console.print(Text(line))
    for row in rows:
        missing = (number(row, "rows") or 0) - (number(row, "predicted") or 0)
        if missing:
            what = f"{text(row, 'device')}, {text(row, 'kernel')} {text(row, 'dtype')}"
            console.print(
                Text(f"{count(missing)} rows of {what} without a prediction: {printable(text(row, 'reason'))}")
            )
    measured = manifest["measured"]
    assert isinstance(measured, Mapping)
    versions = {**measured.get("gpu", {}), **measured["host"]["versions"]}
    told = ", ".join(f"{name} {value}" for name, value in versions.items())
    console.print(Text(printable(f"Measured {measured['date']} on {measured['host']['cpu']}: {told}")))


def fitted_on(rows: Rows) -> list[str]:
    """Return what devices state of the fits behind their kernels: errors over a fit's own rows flatter it."""
    lines: list[str] = []
    for device in unique(text(row, "device") for row in rows if row.get("fitted_on")):
        stated: dict[str, list[str]] = {}  # where and when, said once: what of each kernel
        for row in rows:
            if text(row, "device") == device and row.get("fitted_on"):
                where, _, what = text(row, "fitted_on").rpartition("; ")
                stated.setdefault(where, []).append(f"    {text(row, 'kernel')}: {what}")
        lines.append(
            f"{device}: the table's rows include those its kernels were fitted on, if this is the table of its "
            "calibration; trust the held-out errors. It states:"
        )
        for where, kernels in stated.items():
            lines += [*([f"  {where}"] if where else []), *unique(kernels)]
    return lines
