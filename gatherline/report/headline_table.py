"""The headline of a run in a terminal: a row for each device, at the end, where a reader looks.

A terminal too narrow for the table gets the same facts below each other. In a pipe there are no bars and no colours.
Left out: what a table cannot say (``remarks.verdicts``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatherline.report.bars import bar
from gatherline.report.fitting import fitting, plain_table, width_of
from gatherline.report.headline import Certainty, DeviceHeadline
from gatherline.report.remarks import MARK, density, label
from gatherline.report.selection import megabytes, milliseconds, number

BAR_WIDTH = 10  # characters of the largest speed-up
BAR = "over dense"
BAND = "band ms"
EXPENDABLE = ("density", "peak MB", BAR)  # columns that a narrow terminal loses, in this order
_STYLES: dict[Certainty, str] = {"validated": "green", "partly validated": "yellow", "not validated": "yellow"}
_LEFT = ("device", "best", "how sure", BAR)


def print_headline(found: Sequence[DeviceHeadline], console: Console) -> None:
    """Print a row for each device: its fastest variant, what that takes and gains, and how sure that is."""
    if not found:
        return
    console.print(Text(title(found), style="bold"))
    table, left_out = fitting(console, lambda lost: _table(found, lost, console), EXPENDABLE)
    if width_of(table, console).minimum > console.width:  # names that fold into words are not enough
        table = _table(found, [*left_out, BAND], console)
    if width_of(table, console).minimum <= console.width:
        console.print(table)
        return
    for one in found:
        cells = cells_of(one)
        console.print(Text(cells["device"], style="bold"))
        console.print(Text(f"  {cells['best']}"))
        console.print(Text(f"  {cells['latency ms']} ms{_gain(one)}", style=_gain_style(one)))
        console.print(Text(f"  {certainty(one)}", style=_STYLES[one.certainty]))


def title(found: Sequence[DeviceHeadline]) -> str:
    """Return what the table is of."""
    synthetic = " (synthetic weights)" if any(one.synthetic for one in found) else ""
    return f"Fastest of what was tried on each device{synthetic}"


def certainty(found: DeviceHeadline) -> str:
    """Return how sure a verdict is, in words."""
    return f"{found.certainty}, extrapolated" if found.extrapolated else found.certainty


def best_label(found: DeviceHeadline) -> str:
    """Return the best variant in words, and how many others take as long."""
    if found.best_is_dense or not found.ties:
        return label(found.best)
    return f"{label(found.best)} (+{len(found.ties)} alike)"


def cells_of(found: DeviceHeadline) -> dict[str, str]:
    band = found.band_s
    gain = found.speed_up
    return {
        "device": found.device,
        "best": best_label(found),
        "density": density(found.best),
        "latency ms": milliseconds(found.latency_s),
        BAND: "-" if band is None else f"{milliseconds(band[0])} to {milliseconds(band[1])}",
        "speed-up": "-" if gain is None else f"{gain:.2f}x",
        "peak MB": megabytes(number(found.best, "peak_memory_bytes")),
        "how sure": found.certainty + (f" {MARK}" if found.extrapolated else ""),
    }


def _table(found: Sequence[DeviceHeadline], left_out: Sequence[str], console: Console) -> Table:
    lines = [cells_of(one) for one in found]
    most = max(((one.speed_up or 0.0) for one in found if math.isfinite(one.speed_up or 0.0)), default=0.0)
    shown = [name for name in lines[0] if name not in left_out and any(line[name] != "-" for line in lines)]
    if console.is_terminal and most and BAR not in left_out:
        shown.insert(shown.index("speed-up") + 1, BAR)
    table = plain_table()
    for name in shown:
        header = name.replace(" ", "\n") if " " in name else f"\n{name}"  # two lines each: rows may fold, too
        header = header if console.is_terminal else name
        table.add_column(
            "" if name == BAR else header, justify="left" if name in _LEFT else "right", overflow="fold",
            no_wrap=name not in ("best", "how sure"),
        )  # fmt: skip
    for one, line in zip(found, lines, strict=True):
        gain, sure = _gain_style(one), _STYLES[one.certainty]
        styles = {"device": "bold", "speed-up": gain, BAR: gain, "how sure": sure}
        line[BAR] = bar((one.speed_up or 0.0) / most, BAR_WIDTH, console) if most else ""
        table.add_row(*(Text(line[name], style=styles.get(name, "")) for name in shown))
    return table


def _gain(found: DeviceHeadline) -> str:
    return "" if found.speed_up is None or found.best_is_dense else f", {found.speed_up:.2f}x dense"


def _gain_style(found: DeviceHeadline) -> str:
    return "green" if (found.speed_up or 0.0) > 1 else ""
