"""``simulate inspect`` in the terminal: layers, what their masks obey, loads, index bits; bytes in every encoding.

A terminal too narrow for all columns loses whole columns, and is told; in a pipe nothing is left out or wrapped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatherline.report.fitting import fitting
from gatherline.report.inspection_files import flat_row
from gatherline.report.selection import RowLike, Rows, count, number, percent, printable, text
from gatherline.report.table import console_for

OBEYS = "explained by (by chance)"
EXPENDABLE = (
    "kind", "p", "groups", "bank load", "row load", "gap bits", "least bits", "bank cv", "row cv", "MMAC", "kept L1",
    "m", "k", "of L2",
)  # fmt: skip
OBEYS_WIDTH = 44  # on a terminal, before it folds
TOTALS_EXPENDABLE = ("pointers", "indices", "values", "index bits")
BAR = 24  # characters of the longest bar of a histogram
MANY_GAPS = "least bits: log2 C(K, n) / n a kept index, given each row's count; gap bits: entropy of the gaps in a row"


def print_inspection(
    rows: Rows, manifest: Mapping[str, object], layers: Sequence[str], stream: TextIO | Console
) -> None:
    """Print every layer, the bytes of the encodings where they were asked for, and ``layers`` in full."""
    console = console_for(stream)
    projected = any("kept_l1" in row for row in rows)
    expendable = [name for name in EXPENDABLE if projected or name not in ("kept L1", "of L2")]
    _print_fitting(console, lambda left_out: _layer_table(rows, projected, left_out, console), expendable)
    for line in _notes(rows, manifest):
        console.print(Text(line, style="dim"))
    totals = manifest.get("encoding_totals")
    if isinstance(totals, list):
        _print_encodings(console, rows, totals)
    for name in dict.fromkeys(layers):
        _print_layer(console, next(row for row in rows if row["layer"] == name))
    for key, value in manifest.items():
        if isinstance(value, str | int | float):
            console.print(Text(printable(f"{key}: {value}")))


def _print_fitting(console: Console, make: Callable[[Sequence[str]], Table], expendable: Sequence[str]) -> None:
    table, left_out = fitting(console, make, expendable)
    console.print(table)
    if left_out:
        console.print(Text(f"Too narrow for: {', '.join(left_out)} (in --json and --out).", style="dim"))


def _table() -> Table:
    return Table(box=None, pad_edge=False, header_style="bold")


def _layer_table(rows: Rows, projected: bool, left_out: Sequence[str], console: Console) -> Table:
    table = _table()
    lines = [_layer_cells(row, projected) for row in rows]
    shown = [name for name in lines[0] if name not in left_out] if lines else []
    for name in shown:
        if name == OBEYS:
            table.add_column(name, overflow="fold", max_width=OBEYS_WIDTH if console.is_terminal else None)
        elif name in ("layer", "kind"):
            table.add_column(name, overflow="fold")
        else:
            table.add_column(name, justify="right", no_wrap=True)
    for cells in lines:
        table.add_row(*(Text(cells[name]) for name in shown))
    return table


def _layer_cells(row: RowLike, projected: bool) -> dict[str, str]:
    flat = flat_row(row)
    macs = number(row, "macs")
    kept = {"kept L1": percent(number(row, "kept_l1")), "of L2": percent(number(row, "kept_l2"))} if projected else {}
    return {
        "layer": text(row, "layer"),
        "kind": text(row, "kind"),
        **{name: count(number(row, name)) for name in ("m", "k", "p", "groups")},
        "MMAC": "-" if macs is None else f"{macs / 1e6:,.3f}",
        "density": _digits(number(row, "density"), 4),
        **kept,
        "row load": _range(flat, "row_load"),
        "row cv": _digits(number(flat, "row_load_cv"), 2),
        "bank load": _range(flat, "bank_load"),
        "bank cv": _digits(number(flat, "bank_load_cv"), 2),
        "least bits": _digits(number(flat, "row_bound_bits"), 2),
        "gap bits": _digits(number(flat, "gap_entropy_bits"), 2),
        OBEYS: _obeys(row),
    }


def _obeys(row: RowLike) -> str:
    """Return the patterns named, each with its share and that of random masks; why there is none otherwise."""
    shares, tried = row.get("patterns"), row.get("candidates")
    if not isinstance(shares, Mapping) or not shares:
        return text(row, "reason")
    chance = {entry["pattern"]: entry["chance"] for entry in tried} if isinstance(tried, list) else {}
    cells = []
    for name, share in shares.items():
        if name in chance:
            cells.append(f"{name} {percent(share)} ({percent(chance[name])})")
        else:
            cells.append(str(name))
    return ", ".join(cells)


def _notes(rows: Rows, manifest: Mapping[str, object]) -> list[str]:
    weights = sum(number(row, "weights") or 0 for row in rows)
    kept = sum(number(row, "kept") or 0 for row in rows)
    macs = sum(number(row, "macs") or 0 for row in rows)
    about = manifest.get("inspection")
    facts = about if isinstance(about, Mapping) else {}
    lines = [f"{count(kept)} of {count(weights)} weights kept ({percent(kept / weights if weights else None)}), "]
    lines[0] += f"{macs / 1e6:,.1f} MMAC"
    if facts.get("pattern") or facts.get("sparsity") is not None:
        asked = facts.get("pattern") or "unstructured"
        lines.append(f"Masks are those that {printable(str(asked))} would make of these weights, without training.")
    lines.append(printable(str(facts.get("rule", ""))))
    lines.append(
        f"Loads are kept weights of a row, and of a bank in a bundle of {facts.get('banks')} rows (least, mean, most), "
        f"with their coefficient of variation; {facts.get('banks')} banks are assumed."
    )
    lines.append(MANY_GAPS)
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if text(row, "reason"):
            reasons.setdefault(text(row, "reason"), []).append(text(row, "layer"))
    for reason, names in reasons.items():
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        lines.append(f"{', '.join(names[:3])}{more}: {reason}")
    return lines


def _print_encodings(console: Console, rows: Rows, totals: Sequence[Mapping[str, object]]) -> None:
    """Print bytes by layer and encoding, the fewest marked, then the totals and what did not go in; "best" is last."""
    by_size = sorted(totals[:-1], key=lambda total: number(total, "total_bytes") or 0)
    console.print()
    console.print(Text("bytes by layer (* fewest, - cannot hold the mask)", style="bold"))
    names = [str(total["encoding"]) for total in by_size]
    expendable = [name for name in reversed(names) if name != "dense"]
    _print_fitting(console, lambda left_out: _bytes_table(rows, names, left_out), expendable)
    console.print()
    _print_fitting(console, lambda left_out: _totals_table(by_size, totals, left_out), TOTALS_EXPENDABLE)
    for total in by_size:
        refused = number(total, "stored_dense")
        if refused:
            layers = "1 layer" if refused == 1 else f"{count(refused)} layers"
            console.print(Text(f"{total['encoding']} cannot hold {layers}, counted dense: {text(total, 'reason')}"))
    console.print(
        Text("index bits: of indices and pointers for each kept weight; compare least bits and gap bits.", style="dim")
    )


def _totals_table(by_size: Sequence[RowLike], totals: Sequence[RowLike], left_out: Sequence[str]) -> Table:
    dense = next(number(total, "total_bytes") or 0 for total in totals if total["encoding"] == "dense")
    best, least = totals[-1], number(by_size[0], "total_bytes")
    lines = []
    for total in (*by_size, best):
        here = number(total, "total_bytes") or 0
        lines.append(
            {
                "all layers in": "the best of each" if total is best else text(total, "encoding"),
                "values": count(number(total, "value_bytes")),
                "indices": count(number(total, "index_bytes")),
                "pointers": count(number(total, "pointer_bytes")),
                "bytes": count(here) + ("*" if here == least and total is not best else ""),
                "of dense": percent(here / dense if dense else None),
                "index bits": _digits(number(total, "index_bits_per_kept"), 2),
            }
        )
    shown = [name for name in lines[0] if name not in left_out]
    table = _table()
    for name in shown:
        table.add_column(name, justify="left" if name == "all layers in" else "right", no_wrap=True)
    for cells in lines:
        table.add_row(*(Text(cells[name]) for name in shown), style="bold" if cells is lines[-1] else None)
    return table


def _bytes_table(rows: Rows, names: Sequence[str], left_out: Sequence[str]) -> Table:
    shown = [name for name in names if name not in left_out]
    table = _table()
    table.add_column("layer", overflow="fold")
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        sizes = row.get("encodings")
        if isinstance(sizes, list):
            of = {size["encoding"]: size for size in sizes}
            table.add_row(Text(text(row, "layer")), *(Text(_bytes_cell(of[name])) for name in shown))
    return table


def _bytes_cell(size: RowLike) -> str:
    return count(number(size, "total_bytes")) + ("*" if size.get("best") else "")


def _print_layer(console: Console, row: RowLike) -> None:
    """Print one layer in full: every pattern tried, both histograms, index bits, every encoding."""
    console.print()
    console.print(Text(printable(f"layer {row['layer']}"), style="bold"))
    tried = row.get("candidates")
    if isinstance(tried, list) and tried:
        table = _table()
        for name in ("pattern", "share", "by chance", "excess"):
            table.add_column(name, justify="left" if name == "pattern" else "right", no_wrap=True)
        for entry in tried:
            if not text(entry, "reason"):
                cells = [f"{100 * (number(entry, name) or 0):.1f} %" for name in ("share", "chance", "excess")]
                table.add_row(*(Text(cell) for cell in (text(entry, "pattern"), *cells)))
        console.print(table)
        for entry in tried:
            if text(entry, "reason"):
                console.print(Text(f"{text(entry, 'pattern')} not tried: {text(entry, 'reason')}", style="dim"))
    else:
        console.print(Text("no pattern is tried on a mask that keeps nearly all, or nothing"))
    for name, what in (("row_load", "kept weights of a row"), ("bank_load", "kept weights of a bank in a bundle")):
        load = row.get(name)
        if isinstance(load, Mapping):
            _print_histogram(console, load, what)
    flat = flat_row(row)
    bits = [_digits(number(flat, name), 2) for name in ("row_bound_bits", "gap_entropy_bits")]
    console.print(
        Text(f"bits of a kept index: {bits[0]} at least, given each row's count; {bits[1]} entropy of the gaps")
    )
    sizes = row.get("encodings")
    if isinstance(sizes, list):
        _print_sizes(console, sizes)


def _print_histogram(console: Console, load: RowLike, what: str) -> None:
    edges, counts = load["bin_edges"], load["bin_counts"]
    assert isinstance(edges, list)
    assert isinstance(counts, list)
    mean, cv = _digits(number(load, "mean"), 1), _digits(number(load, "cv"), 3)
    console.print(Text(f"{what}: {load['min']} to {load['max']}, mean {mean}, coefficient of variation {cv}"))
    most = max(counts)
    bins = [str(low) if high == low + 1 else f"{low}-{high - 1}" for low, high in pairwise(edges)]
    for name, times in zip(bins, counts, strict=True):
        bar = "#" * -(-BAR * times // most)
        console.print(Text(f"  {name:>{max(map(len, bins))}}  {times:>{len(str(most))}}  {bar}".rstrip()))


def _print_sizes(console: Console, sizes: Sequence[RowLike]) -> None:
    held = sorted((size for size in sizes if not size["reason"]), key=lambda size: number(size, "total_bytes") or 0)
    _print_fitting(console, lambda left_out: _sizes_table(held, left_out), ("pointers", "indices", "values", "as"))
    for size in sizes:
        if size["reason"]:
            console.print(Text(f"{size['encoding']} cannot hold it: {text(size, 'reason')}", style="dim"))


def _sizes_table(sizes: Sequence[RowLike], left_out: Sequence[str]) -> Table:
    lines = [
        {
            "encoding": text(size, "encoding"),
            "as": text(size, "pattern"),
            "values": count(number(size, "value_bytes")),
            "indices": count(number(size, "index_bytes")),
            "pointers": count(number(size, "pointer_bytes")),
            "bytes": _bytes_cell(size),
            "index bits": _digits(number(size, "index_bits_per_kept"), 2),
        }
        for size in sizes
    ]
    shown = [name for name in lines[0] if name not in left_out]
    table = _table()
    for name in shown:
        table.add_column(name, justify="left" if name in ("encoding", "as") else "right", no_wrap=True)
    for cells in lines:
        table.add_row(*(Text(cells[name]) for name in shown))
    return table


def _range(flat: RowLike, name: str) -> str:
    if number(flat, f"{name}_min") is None:
        return "-"
    least, most = count(number(flat, f"{name}_min")), count(number(flat, f"{name}_max"))
    return f"{least} {_digits(number(flat, f'{name}_mean'), 1)} {most}"


def _digits(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
