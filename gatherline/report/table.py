"""A report in the terminal: a table for each device, a headline, and what was not as asked. Plain text when piped."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from gatherline.report.listing import Catalog
from gatherline.report.remarks import MARK, density, headlines, label, reasons, remarks, sparsity, speed_up
from gatherline.report.selection import (
    RowLike,
    Rows,
    count,
    dense_latency_s,
    devices,
    fastest,
    megabytes,
    millijoules,
    millions,
    milliseconds,
    number,
    of_device,
    printable,
    text,
    totals,
)

PIPED_WIDTH = 400  # nothing wraps in a file
EXPENDABLE = ("cycles", "energy mJ", "bound", "slots")  # columns that a narrow terminal loses, in this order


def console_for(stream: TextIO) -> Console:
    """Return a console on ``stream``: colours and the terminal's width on a terminal, plain wide text elsewhere."""
    if stream.isatty():
        return Console(file=stream, highlight=False)
    return Console(file=stream, highlight=False, color_system=None, width=PIPED_WIDTH)


def print_report(rows: Rows, stream: TextIO) -> None:
    """Print the totals of a run, a table for each device, then headlines and what the reader must know."""
    console = console_for(stream)
    for device in devices(totals(rows)):
        of_this = of_device(totals(rows), device)
        console.print(Text(_title(of_this[0]), style="bold"))
        _print_totals(of_this, console)
        for line in engines(of_this):
            console.print(Text(line))
        console.print()
    for line in headlines(rows):
        console.print(Text(line))
    for line in remarks(rows):
        console.print(Text(line, style="dim"))


def print_streams(rows: Rows, stream: TextIO) -> None:
    """Print a replay: the cycles of each stream, and what they are made of."""
    console = console_for(stream)
    table = _table()
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


def print_catalog(catalog: Catalog, stream: TextIO) -> None:
    """Print a list of what there is, one entry a row, then the fields of a device and the sources."""
    console = console_for(stream)
    table = _table()
    for name in catalog.header:
        table.add_column(name, overflow="fold")
    for entry in catalog.entries:
        table.add_row(*(Text(printable(cell)) for cell in entry))
    console.print(table)
    if catalog.fields:
        console.print()
        fields = _table()
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


def _table() -> Table:
    return Table(box=None, pad_edge=False, header_style="bold")


def _title(row: RowLike) -> str:
    model = text(row, "model") + (" (synthetic weights)" if row.get("synthetic") else "")
    how = {"cycle": "cycle-level model", "roofline": "roofline"}.get(text(row, "model_kind"), "")
    threads = number(row, "threads")
    facts = [text(row, "device_kind"), how, text(row, "dtype"), f"batch {count(number(row, 'batch'))}"]
    if threads is not None and (threads > 1 or "cpu" in text(row, "device_kind")):
        facts.append(f"{count(threads)} thread{'s' if threads > 1 else ''}")
    return f"{model} on {text(row, 'device')}: {', '.join(fact for fact in facts if fact)}"


def _print_totals(of_totals: Rows, console: Console) -> None:
    """Print the totals of one device; a terminal too narrow for all columns loses whole columns, and is told."""
    left_out: list[str] = []
    table = _device_table(of_totals, left_out, tall=console.is_terminal)
    for name in EXPENDABLE:
        wide = console.options.update(max_width=PIPED_WIDTH)
        if Measurement.get(console, wide, table).maximum <= console.width:
            break
        if name == "energy mJ" and all(number(row, "energy_pj") is None for row in of_totals):
            continue
        left_out.append(name)
        table = _device_table(of_totals, left_out, tall=console.is_terminal)
    console.print(table)
    if left_out:
        console.print(Text(f"Too narrow for: {', '.join(left_out)} (in --json and --out).", style="dim"))


def engines(of_totals: Rows) -> list[str]:
    """Return a line for each engine that was built on an FPGA, with the variants that run on it."""
    built: dict[str, list[str]] = {}
    for row in of_totals:
        if number(row, "dsp") is not None and text(row, "mapping"):
            built.setdefault(text(row, "mapping"), []).append(label(row))
    return [f"{', '.join(names)}: {engine}" for engine, names in built.items()]


def _device_table(of_totals: Rows, left_out: list[str], *, tall: bool) -> Table:
    dense, best = dense_latency_s(of_totals), fastest(of_totals)
    present = {
        "band ms": any(number(row, "latency_low_s") is not None for row in of_totals),
        "cycles": any(number(row, "cycles") is not None for row in of_totals),
        "energy mJ": any(number(row, "energy_pj") is not None for row in of_totals),
    }
    lines = [_total_cells(row, dense) for row in of_totals]
    shown = [name for name in lines[0] if name not in left_out and present.get(name, True)]
    table = _table()
    for name in shown:
        words = name in ("pattern", "bound")
        header = name.replace(" ", "\n").replace("-", "-\n") if tall else name
        table.add_column(header, justify="left" if words else "right", overflow="fold", vertical="bottom")
    for row, cells in zip(of_totals, lines, strict=True):
        table.add_row(*(Text(cells[name]) for name in shown), style="bold" if row is best else None)
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
        "speed-up": speed_up(dense_s, latency),
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
    low, high = number(row, "latency_low_s"), number(row, "latency_high_s")
    return "not validated" if low is None or high is None else f"{milliseconds(low)} to {milliseconds(high)}"
