"""A report in the terminal: a table for each device, a headline, and what was not as asked. Plain text when piped."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from gatherline.report.listing import Catalog
from gatherline.report.selection import (
    RowLike,
    Rows,
    count,
    dense_latency_s,
    devices,
    fastest,
    layers,
    megabytes,
    millijoules,
    millions,
    milliseconds,
    number,
    of_device,
    percent,
    printable,
    text,
    totals,
    unique,
    variant,
)

NAMED_LAYERS = 3  # of the layers that share a reason, the first few are named
SHOWN_REASONS = 12
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
    for line in headlines(rows):
        console.print(Text(line))
    for line in remarks(rows):
        console.print(Text(line, style="dim"))


def headlines(rows: Rows) -> list[str]:
    """Return one line for each device: the variant with the least latency, beside dense where that was run."""
    lines = []
    for device in devices(totals(rows)):
        of_this = of_device(totals(rows), device)
        best = fastest(of_this)
        if best is None:
            continue
        latency, dense = number(best, "latency_s"), dense_latency_s(of_this)
        took = f"{milliseconds(latency)} ms"
        if text(best, "pattern") == "dense" and len(of_this) > 1:
            lines.append(f"{device}: nothing that was tried is faster than dense ({took}).")
            continue
        gain = f", {_speed_up(dense, latency)} dense" if dense is not None and text(best, "pattern") != "dense" else ""
        ties = [row for row in of_this if number(row, "latency_s") == latency and row is not best]
        if ties:
            names = ", ".join(variant(row).label for row in (best, *ties))
            lines.append(f"{device}: fastest are, alike, {names}: {took}{gain}.")
            continue
        fastest_is = "fastest is " if len(of_this) > 1 else ""
        lines.append(f"{device}: {fastest_is}{variant(best).label} (density {_density(best)}): {took}{gain}.")
    return lines


def remarks(rows: Rows) -> list[str]:
    """Return what stands under the table: synthetic weights, missing validation, reasons, unsupported operators."""
    of_totals = totals(rows)
    lines = []
    if any(row.get("synthetic") for row in rows):
        lines.append("Weights are synthetic: masks, conflicts and imbalance are those of random values.")
    if len({variant(row) for row in of_totals}) > 1:
        lines.append("Accuracy is not modelled; compare patterns at equal density.")
    if all(text(row, "pattern") != "dense" for row in of_totals):
        lines.append("No speed-up to tell: --pattern dense in the same run gives it.")
    unvalidated = unique(text(row, "device") for row in of_totals if number(row, "latency_low_s") is None)
    if unvalidated:
        lines.append(f"No error band (not validated): {', '.join(unvalidated)}.")
    if any(row.get("extrapolated") for row in of_totals):
        names = unique(text(row, "device") for row in of_totals if row.get("extrapolated"))
        lines.append(f"Outside the range that was validated: {', '.join(names)}.")
    return [*lines, *_unsupported(rows), *_reasons(rows)]


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
    for line in _reasons(rows):
        console.print(Text(line, style="dim"))


def print_catalog(catalog: Catalog, stream: TextIO) -> None:
    """Print a list of what there is, one entry a row, then the sources."""
    console = console_for(stream)
    table = _table()
    for name in catalog.header:
        table.add_column(name, overflow="fold")
    for entry in catalog.entries:
        table.add_row(*(Text(printable(cell)) for cell in entry))
    console.print(table)
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
    if threads is not None and threads > 1:
        facts.append(f"{count(threads)} threads")
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
    console.print()


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
    latency, asked = number(row, "latency_s"), number(row, "sparsity_target")
    own = asked is None and text(row, "pattern") != "dense"
    return {
        "pattern": text(row, "pattern"),
        "sparsity": "own zeros" if own else percent(asked),
        "density": _density(row),
        "slots": millions(number(row, "weight_slots")),
        "latency ms": milliseconds(latency),
        "speed-up": _speed_up(dense_s, latency),
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


def _density(row: RowLike) -> str:
    density = number(row, "density")
    return "-" if density is None else f"{density:.4f}"


def _speed_up(dense_s: float | None, latency_s: float | None) -> str:
    return f"{dense_s / latency_s:.2f}x" if dense_s is not None and latency_s else "-"


def _band(row: RowLike) -> str:
    low, high = number(row, "latency_low_s"), number(row, "latency_high_s")
    return "not validated" if low is None or high is None else f"{milliseconds(low)} to {milliseconds(high)}"


def _unsupported(rows: Rows) -> list[str]:
    skipped = [row for row in layers(rows) if text(row, "kind") == "unsupported"]
    reasons: dict[str, list[str]] = {}
    for row in skipped:
        names = reasons.setdefault(text(row, "reason"), [])
        if text(row, "layer") not in names:
            names.append(text(row, "layer"))
    return [f"NOT COUNTED: {_named(names)}: {reason or 'unsupported'}" for reason, names in reasons.items()]


def _reasons(rows: Rows) -> list[str]:
    """Return the reasons of layers with weights, each once, with the devices and layers it is about."""
    about: dict[str, tuple[list[str], list[str]]] = {}
    others: list[str] = []
    for row in layers(rows):
        reason = text(row, "reason")
        if not reason or text(row, "kind") == "unsupported":
            continue
        if number(row, "density") is None:
            others.append(text(row, "layer"))
            continue
        where, names = about.setdefault(reason, ([], []))
        for name, seen in ((text(row, "device"), where), (text(row, "layer"), names)):
            if name not in seen:
                seen.append(name)
    lines = []
    for reason, (where, names) in about.items():
        prefix = "" if reason.startswith(tuple(where)) else f"{', '.join(where)}: "
        lines.append(f"{prefix}{reason}: {_named(names)}")
    more = ["column reason of the rows (--json or --out)"]
    if len(lines) > SHOWN_REASONS:
        left = len(lines) - SHOWN_REASONS
        more.insert(0, f"{left} more reason{'s' if left > 1 else ''}")
    if others:
        more.insert(0, f"{_named(unique(others))} without weights have a note")
    return [*lines[:SHOWN_REASONS], *([f"And {', '.join(more[:-1])}: {more[-1]}."] if len(more) > 1 else [])]


def _named(names: list[str]) -> str:
    if len(names) <= NAMED_LAYERS:
        return ", ".join(names)
    return f"{len(names)} layers ({', '.join(names[:NAMED_LAYERS])}, ...)"
