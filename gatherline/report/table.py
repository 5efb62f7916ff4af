"""A report in the terminal: a table for each device, what was not as asked, the headline. Plain text when piped.

What stays visible in a terminal is its end, so the headline stands there, after all that it sums up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatherline.report.bars import bar
from gatherline.report.fitting import PIPED_WIDTH, fitting, plain_table
from gatherline.report.headline import headline_facts
from gatherline.report.headline_table import print_headline
from gatherline.report.listing import Catalog
from gatherline.report.remarks import MARK, density, reasons, remarks, short_label, sparsity, verdicts
from gatherline.report.selection import (
    RowLike,
    Rows,
    band_s,
    count,
    dense_latency_s,
    devices,
    megabytes,
    millijoules,
    millions,
    milliseconds,
    number,
    of_device,
    printable,
    speed_up,
    text,
    times,
    totals,
)

BAR_WIDTH = 8  # characters of the slowest total
BAR = "of slowest"
# columns that a narrow terminal loses, in this order
EXPENDABLE = (BAR, "cycles", "energy mJ", "bound", "slots", "weights MB", "peak MB", "density", "band ms")


def console_for(stream: TextIO | Console) -> Console:
    """Return a console on ``stream``: colours and the terminal's width on a terminal, plain wide text elsewhere.

    NO_COLOR, FORCE_COLOR and TERM=dumb mean what they mean to rich; forced colours in a file are wide, too. A console
    (of a notebook) is taken as it is.
    """
    if isinstance(stream, Console):
        return stream
    if stream.isatty():
        return Console(file=stream, highlight=False)
    if Console(file=stream).is_terminal:
        return Console(file=stream, highlight=False, width=PIPED_WIDTH)
    return Console(file=stream, highlight=False, color_system=None, width=PIPED_WIDTH)


def print_report(rows: Rows, stream: TextIO | Console) -> None:
    """Print the totals of a run, a table for each device, what the reader must know, and the headline."""
    console = console_for(stream)
    for device in devices(totals(rows)):
        of_this = of_device(totals(rows), device)
        console.print(Text(_title(of_this[0]), style="bold"))
        print_totals(of_this, console)
        for line in engines(of_this):
            console.print(Text(line))
        console.print()
    said = remarks(rows)
    for line in said:
        console.print(Text(line, style="dim"))
    if said:
        console.print()
    facts = headline_facts(rows)
    if len(totals(rows)) > 1:
        print_headline(facts, console)
    for line in verdicts(facts):
        console.print(Text(line))


def print_streams(rows: Rows, stream: TextIO | Console) -> None:
    """Print a replay: the cycles of each stream, and what they are made of."""
    console = console_for(stream)
    table = plain_table()
    columns = ("cycles", "compute_cycles", "gather_cycles", "conflict_cycles", "stall_cycles")
    table.add_column("stream", overflow="fold")
    for name in columns:
        table.add_column(name.replace("_cycles", ""), justify="right", no_wrap=True)
    table.add_column("latency ms", justify="right", no_wrap=True)
    for row in rows:
        cells = [count(number(row, name)) for name in columns]
        table.add_row(Text(text(row, "layer")), *cells, milliseconds(number(row, "latency_s")))
    for device in devices(rows):
        console.print(Text(f"replay on {device}", style="bold"))
    console.print(table)
    for line in reasons(rows):
        console.print(Text(line, style="dim"))


def print_catalog(catalog: Catalog, stream: TextIO | Console) -> None:
    """Print a list of what there is, one entry a row, then the fields of a device and the sources."""
    console = console_for(stream)
    table = plain_table()
    for name in catalog.header:
        table.add_column(name, overflow="fold")
    for entry in catalog.entries:
        table.add_row(*(Text(printable(cell)) for cell in entry))
    console.print(table)
    if catalog.fields:
        console.print()
        fields = plain_table()
        for name in ("field", "value", "unit"):
            fields.add_column(name, overflow="fold", justify="right" if name == "value" else "left")
        for entry in catalog.fields:
            fields.add_row(*(Text(printable(cell)) for cell in entry))
        console.print(fields)
    for title, sources in catalog.sources:
        console.print()
        console.print(Text(printable(f"sources of {title}"), style="bold"))
        for field, source in sources.items():
            console.print(Text("  " + printable(f"{field}: {source}")))
    for note in catalog.notes:
        console.print(Text(note, style="dim"))


def _title(row: RowLike) -> str:
    model = text(row, "model") + (" (synthetic weights)" if row.get("synthetic") else "")
    how = {"cycle": "cycle-level model", "roofline": "roofline"}.get(text(row, "model_kind"), "")
    threads = number(row, "threads")
    facts = [text(row, "device_kind"), how, text(row, "dtype"), f"batch {count(number(row, 'batch'))}"]
    if threads is not None and (threads > 1 or "cpu" in text(row, "device_kind")):
        facts.append(f"{count(threads)} thread{'s' if threads > 1 else ''}")
    return f"{model} on {text(row, 'device')}: {', '.join(fact for fact in facts if fact)}"


def print_totals(of_totals: Rows, console: Console) -> None:
    """Print the totals of one device; a terminal too narrow for all columns loses whole columns, and is told."""
    present = _present(of_totals, console)
    expendable = [name for name in EXPENDABLE if present.get(name, True)]
    table, left_out = fitting(console, lambda lost: _device_table(of_totals, lost, console), expendable)
    left_out = [name for name in left_out if name != BAR]  # it says again what a number says
    console.print(table)
    if left_out:
        console.print(Text(f"Too narrow for: {', '.join(left_out)} (in --json and --out).", style="dim"))


def engines(of_totals: Rows) -> list[str]:
    """Return a line for each engine that was built on an FPGA, with the variants that run on it."""
    built: dict[str, list[str]] = {}
    for row in of_totals:
        if number(row, "dsp") is not None and text(row, "mapping"):
            built.setdefault(text(row, "mapping"), []).append(short_label(row))
    return [f"{', '.join(names)}: {engine}" for engine, names in built.items()]


def _present(of_totals: Rows, console: Console) -> dict[str, bool]:
    """Return whether there is anything to show in columns that need not be there."""
    return {
        "band ms": any(number(row, "latency_low_s") is not None for row in of_totals),
        "cycles": any(number(row, "cycles") is not None for row in of_totals),
        "energy mJ": any(number(row, "energy_pj") is not None for row in of_totals),
        BAR: console.is_terminal and len(of_totals) > 1 and 0 < _slowest_s(of_totals) < math.inf,
    }


def _slowest_s(of_totals: Rows) -> float:
    return max((number(row, "latency_s") or 0.0 for row in of_totals), default=0.0)


def _device_table(of_totals: Rows, left_out: Sequence[str], console: Console) -> Table:
    dense, present = dense_latency_s(of_totals), _present(of_totals, console)
    best = [one.best for one in headline_facts(of_totals)]
    lines = [_total_cells(row, dense) for row in of_totals]
    for row, cells in zip(of_totals, lines, strict=True):
        if present[BAR]:
            cells[BAR] = bar((number(row, "latency_s") or 0.0) / _slowest_s(of_totals), BAR_WIDTH, console)
    shown = [name for name in lines[0] if name not in left_out and present.get(name, True)]
    table = plain_table()
    for name in shown:
        header = name.replace(" ", "\n").replace("-", "-\n") if console.is_terminal else name
        table.add_column(
            header, justify="left" if name in ("pattern", "bound", BAR) else "right", overflow="fold",
            vertical="bottom", no_wrap=name not in ("sparsity", "bound"),
        )  # fmt: skip
    for row, cells in zip(of_totals, lines, strict=True):
        table.add_row(*(Text(cells[name]) for name in shown), style="bold" if any(row is one for one in best) else None)
    return table


def _total_cells(row: RowLike, dense_s: float | None) -> dict[str, str]:
    """Return the cells of a total by their headers."""
    latency = number(row, "latency_s")
    return {
        "pattern": text(row, "pattern"),
        "sparsity": sparsity(row) or "-",
        "density": density(row),
        "slots": millions(number(row, "weight_slots")),
        "latency ms": milliseconds(latency) + (f" {MARK}" if row.get("extrapolated") else ""),
        BAR: "",
        "speed-up": times(speed_up(dense_s, latency)),
        "band ms": _band(row),
        "cycles": count(number(row, "cycles")),
        "weights MB": megabytes(_stored_bytes(row)),
        "peak MB": megabytes(number(row, "peak_memory_bytes")),
        "energy mJ": millijoules(number(row, "energy_pj")),
        "bound": text(row, "bound"),
    }


def _stored_bytes(row: RowLike) -> float | None:
    values = number(row, "weight_bytes")
    return None if values is None else values + (number(row, "index_bytes") or 0)


def _band(row: RowLike) -> str:
    band = band_s(row)
    return "not validated" if band is None else f"{milliseconds(band[0])} to {milliseconds(band[1])}"
