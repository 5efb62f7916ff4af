"""The headline of a run in a terminal: a row for each device, at the end, where a reader looks.

Where several sparsities were run, a device has a row for each as a limit: who can remove 70 % of the weights and not
more is not served by what removes 97 %.

A terminal too narrow for the table gets the same facts below each other. In a pipe there are no bars and no colours.
Left out: what a table cannot say (``remarks.verdicts``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatherline.report.bars import bar
from gatherline.report.fitting import fitting, plain_table, width_of
from gatherline.report.headline import Certainty, DeviceHeadline, Verdict
from gatherline.report.remarks import INDEPENDENT, MARK, density, short_label
from gatherline.report.selection import megabytes, milliseconds, number, percent, times

BAR_WIDTH = 10  # characters of the largest speed-up
BAR = "over dense"
BAND = "band ms"
SPAN = "speed-up band"
LIMIT = "removes"
LONGEST_WORD = 20  # letters of a name that is not broken
STACKED = 60  # columns, and fewer, keep error bands rather than a table
EXPENDABLE = ("density", "peak MB", BAR, SPAN)  # columns that a narrow terminal loses, in this order
_STYLES: dict[Certainty, str] = {"validated": "green", "partly validated": "yellow", "not validated": "yellow"}
_LEFT = ("device", LIMIT, "best", "how sure", BAR)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A row of the table. ``limit``: what it is the answer for, "" where there is one answer. ``verdict``: None where
    nothing that was run removes so little.
    """

    device: str
    limit: str
    verdict: Verdict | None

    @property
    def speed_up(self) -> float:
        gain = None if self.verdict is None else self.verdict.speed_up
        return gain if gain is not None and math.isfinite(gain) else 0.0


def print_headline(found: Sequence[DeviceHeadline], console: Console) -> None:
    """Print for each device, and each limit, the fastest variant, what that takes and gains, and how sure that is."""
    if not found:
        return
    console.print(Text(title(found), style="bold"))
    lines = [line for one in found for line in _lines(one)]
    table, left_out = fitting(console, lambda lost: _table(lines, lost, console), EXPENDABLE)
    if width_of(table, console).minimum > console.width > STACKED:  # names that fold into words are not enough
        left_out = [*left_out, BAND]
        table = _table(lines, left_out, console)
    if width_of(table, console).minimum <= console.width:
        console.print(table)
        there = {
            name for line in lines for name, cell in _cells(line).items() if cell != "-"
        }  # no bars: numbers say it
        told = [name for name in left_out if name in there]
        if told:
            console.print(Text(f"Too narrow for: {', '.join(told)}.", style="dim"))
        if SPAN not in left_out and any(line.verdict and line.verdict.speed_up_band for line in lines):
            console.print(Text(f"{SPAN}: {INDEPENDENT}.", style="dim"))
        return
    for one in found:
        console.print(Text(one.device, style="bold"))
        for line in _lines(one):
            _print_below(line, console)


def _print_below(line: _Line, console: Console) -> None:
    """Print a row in a terminal that is too narrow for the table."""
    indent = "  "
    if line.limit:
        console.print(Text(f"{indent}removes {line.limit}:"))
        indent += "  "
    cells, found = _cells(line), line.verdict
    console.print(Text(f"{indent}{cells['best']}"))
    if found is not None:
        console.print(Text(f"{indent}{cells['latency ms']} ms{_gain(found)}", style=_gain_style(line)))
        if found.band_s is not None:
            console.print(Text(f"{indent}band {cells[BAND]} ms"))
        if found.speed_up_band is not None:
            console.print(Text(f"{indent}{cells[SPAN]}\n{indent}{INDEPENDENT}"))
        console.print(Text(f"{indent}{certainty(found)}", style=_STYLES[found.certainty]))


def title(found: Sequence[DeviceHeadline]) -> str:
    """Return what the table is of."""
    synthetic = " (synthetic weights)" if any(one.synthetic for one in found) else ""
    return f"Fastest of what was tried on each device{synthetic}"


def certainty(found: Verdict) -> str:
    """Return how sure a verdict is, in words."""
    return f"{found.certainty}, extrapolated" if found.extrapolated else found.certainty


def best_label(found: Verdict) -> str:
    """Return the best variant in words, and how many others take as long."""
    if found.best_is_dense or not found.ties:
        return short_label(found.best)
    return f"{short_label(found.best)} (+{len(found.ties)} alike)"


def cells_of(found: DeviceHeadline) -> dict[str, str]:
    """Return the cells of a device's fastest variant by their headers."""
    return {"device": found.device, **_cells_of_verdict(found)}


def _lines(found: DeviceHeadline) -> list[_Line]:
    """Return the row of a device, or one for each limit where several sparsities were run."""
    if len(found.limits) < 2:
        return [_Line(device=found.device, limit="", verdict=found)]
    lines = [
        _Line(device=found.device, limit=f"up to {percent(one.limit)}", verdict=one.verdict) for one in found.limits
    ]
    return [*lines, _Line(device=found.device, limit="any", verdict=found)] if found.beyond else lines


def _cells(line: _Line) -> dict[str, str]:
    cells = {"device": line.device, LIMIT: line.limit or "-", "best": "nothing that was run"}
    return cells if line.verdict is None else cells | _cells_of_verdict(line.verdict)


def _cells_of_verdict(found: Verdict) -> dict[str, str]:
    band, of_gain = found.band_s, found.speed_up_band
    return {
        "best": best_label(found),
        "density": density(found.best),
        "latency ms": milliseconds(found.latency_s),
        BAND: "-" if band is None else f"{milliseconds(band[0])} to {milliseconds(band[1])}",
        "speed-up": times(found.speed_up),
        SPAN: "-" if of_gain is None else f"{times(of_gain[0])} to {times(of_gain[1])}",
        "peak MB": megabytes(number(found.best, "peak_memory_bytes")),
        "how sure": found.certainty + (f" {MARK}" if found.extrapolated else ""),
    }


def _table(lines: Sequence[_Line], left_out: Sequence[str], console: Console) -> Table:
    rows = [_cells(line) for line in lines]
    most = max((line.speed_up for line in lines), default=0.0)
    names = max(rows, key=len)  # a row without a verdict has few cells
    shown = [name for name in names if name not in left_out and any(row.get(name, "-") != "-" for row in rows)]
    if console.is_terminal and most and BAR not in left_out:
        shown.insert(shown.index("speed-up") + 1, BAR)
    table = plain_table()
    for name in shown:
        header = name.replace(" ", "\n") if " " in name else f"\n{name}"  # two lines each: rows may fold, too
        header = header if console.is_terminal else name
        words = [len(word) for row in rows for word in row.get(name, "-").split()]
        table.add_column(
            "" if name == BAR else header, justify="left" if name in _LEFT else "right", overflow="fold",
            no_wrap=name not in ("best", "how sure"), min_width=min(max(words, default=1), LONGEST_WORD),
        )  # fmt: skip
    for line, row in zip(lines, rows, strict=True):
        gain, sure = _gain_style(line), "" if line.verdict is None else _STYLES[line.verdict.certainty]
        styles = {"device": "bold", "speed-up": gain, BAR: gain, "how sure": sure}
        row[BAR] = bar(line.speed_up / most, BAR_WIDTH, console) if most else ""
        table.add_row(*(Text(row.get(name, "-"), style=styles.get(name, "")) for name in shown))
    return table


def _gain(found: Verdict) -> str:
    return "" if found.speed_up is None or found.best_is_dense else f", {times(found.speed_up)} dense"


def _gain_style(line: _Line) -> str:
    return "green" if line.speed_up > 1 else ""
