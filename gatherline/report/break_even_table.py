"""What ``simulate advise`` shows in the terminal: break-even densities of the network, then layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatherline.report.columns import TOTAL
from gatherline.report.selection import RowLike, Rows, devices, milliseconds, number, of_device, text, unique
from gatherline.report.table import console_for

CPUS = ("mobile_cpu", "cpu")
LEGEND = (
    "A density is the share of the weights of the pruned layers that are kept and are not zero: one scale for all",
    "patterns, also where blocks store zeros. Below it, at every density probed, the pattern is faster than the",
    "device's own dense kernels. always: up to the densest one probed; never: at none; some: at some, not at the",
    "sparsest; kept: not pruned; ~: not certain, the error band holds the dense latency.",
)


def print_break_even(rows: Rows, manifest: Mapping[str, object], stream: TextIO | Console) -> None:
    """Print for each device the network's break-even of each pattern and a table of layers, then the reasons."""
    console = console_for(stream)
    for device in devices(rows):
        of_this = of_device(rows, device)
        first = of_this[0]
        console.print(Text(f"{subject(first)}: where sparse beats dense", style="bold"))
        _print_totals(of_this, console)
        console.print(Text("Layer by layer, share of weights kept at break-even", style="bold"))
        for letter, reason in _print_layers(of_this, console).items():
            console.print(Text(f"  {letter}: {reason}"))
        console.print()
    for line in LEGEND:
        console.print(Text(line))
    tolerance = manifest.get("tolerance")
    console.print(Text(f"Crossings are found to within {tolerance} of a target; the curves are in --json and --out."))


def subject(row: RowLike) -> str:
    """Return what a row is about: model, device, data type, threads, and whether the weights were made up."""
    threads = number(row, "threads") or 1
    many = f", {threads:g} thread{'s' if threads > 1 else ''}" if text(row, "device_kind") in CPUS else ""
    synthetic = ", synthetic weights" if row.get("synthetic") else ""
    return f"{text(row, 'model')} on {text(row, 'device')}, {text(row, 'dtype')}{many}{synthetic}"


def _print_totals(rows: Rows, console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("pattern")
    for name in ("weights kept", "--sparsity", "slower at", "ms there", "dense ms"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("certain")
    table.add_column("why", overflow="fold")
    for row in rows:
        if row["layer"] == TOTAL:
            table.add_row(*(Text(cell) for cell in _total_cells(row)))
    console.print(table)


def _total_cells(row: RowLike) -> list[str]:
    asked = number(row, "sparsity_target")
    return [
        _named(row),
        _cell(row),
        "-" if asked is None else f"{asked:.4f}",
        _share(number(row, "slower_density")),
        milliseconds(number(row, "latency_s")),
        milliseconds(number(row, "dense_latency_s")),
        _certainty(row.get("certain")),
        text(row, "reason"),
    ]


def _certainty(certain: object) -> str:
    if certain is None:
        return "not validated"
    return "yes" if certain else "within the error band"


def _named(row: RowLike) -> str:
    """Return the pattern as spelled, with the ratios it stands for."""
    ratios = text(row, "ratios")
    return text(row, "pattern") + (f" ({ratios})" if ratios else "")


def _cell(row: RowLike) -> str:
    verdict = text(row, "verdict")
    if verdict == "scattered":
        return "some"
    if verdict not in ("below", "always"):
        return verdict
    density = number(row, "density")
    mark = "~" if row.get("certain") is False else ""
    return mark + (_share(density) if verdict == "below" else f"always {_share(density)}")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _print_layers(rows: Rows, console: Console) -> dict[str, str]:
    """Print a line for each layer, a column for each pattern; return the reasons by their letters."""
    patterns = unique(text(row, "pattern") for row in rows)
    names = unique(text(row, "layer") for row in rows if row["layer"] != TOTAL)
    found = {(text(row, "layer"), text(row, "pattern")): row for row in rows}
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("layer", overflow="fold")
    table.add_column("m x k x p", justify="right", no_wrap=True)
    for pattern in patterns:
        table.add_column(pattern, justify="right", no_wrap=True)
    letters: dict[str, str] = {}
    for name in names:
        row = found[name, patterns[0]]
        cells = [_lettered(found[name, pattern], letters) for pattern in patterns]
        table.add_row(Text(name), Text(f"{row['m']} x {row['k']} x {row['p']}"), *map(Text, cells))
    console.print(table)
    return {letter: reason for reason, letter in letters.items()}


def _lettered(row: RowLike, letters: dict[str, str]) -> str:
    """Return the cell of a layer, with the letter of its reason; a reason without a letter gets the next."""
    reason = text(row, "reason")
    if not reason:
        return _cell(row)
    return f"{_cell(row)} {letters.setdefault(reason, _letter(len(letters)))}"


def _letter(place: int) -> str:
    """a to z, then aa, ab ..."""
    head, tail = divmod(place, 26)
    return ("" if head == 0 else _letter(head - 1)) + chr(ord("a") + tail)
