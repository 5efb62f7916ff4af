"""A run in a notebook: headline, speed-ups over sparsity and pattern, what the time is made of, totals, slow layers.

Maps and bars are table cells and boxes with a background: they need no script, no Matplotlib and no picture, and their
numbers can be read and copied. Left out: rooflines and masks, which the page of ``simulate report`` has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from gatherline.report.figures.colours import SLOWER_STRIPES, ink_on, rgb, speed_up_colour
from gatherline.report.headline import DeviceHeadline, headline_facts
from gatherline.report.headline_table import cells_of, title
from gatherline.report.notebook import box, folded, page, paragraph
from gatherline.report.remarks import MARK, remarks, short_label, verdicts
from gatherline.report.selection import (
    RowLike,
    Rows,
    dense_latency_s,
    layers,
    milliseconds,
    number,
    of_device,
    of_variant,
    percent,
    speed_up,
    text,
    times,
    totals,
    unique,
    variant,
)
from gatherline.report.table import print_totals
from gatherline.report.time_causes import TIME_CAUSES
from traces.html_table import cells_html

SHOWN_DEVICES = 6  # with maps, bars and layers; the headline has all
SHOWN_LAYERS = 20
LEAST_TOLD = 1e-3  # of a bar: what is less cannot be seen either
BAR_EM = 16.0  # width of the longest bar
GAIN_EM, GAIN_COLOUR = 5.0, "#0072B2"  # of the largest speed-up


def run_html(rows: Rows) -> str:
    """Return what a notebook shows of the rows of a run."""
    facts = headline_facts(rows)
    shown = facts[:SHOWN_DEVICES]
    model = text(totals(rows)[0], "model")
    parts = [
        f"<p><strong>{escape(f'{model}: {title(facts).lower()}')}</strong></p>",
        _headline(facts),
        paragraph(verdicts(facts)),
        "".join(heat_map_html(of_device(rows, one.device), one.device) for one in shown),
        _time_bars(shown),
        *(_device(of_device(rows, one.device), one) for one in shown),
        f"<p>{len(facts) - len(shown)} more devices: <code>.rows</code></p>" if len(facts) > len(shown) else "",
        paragraph(remarks(rows)),
    ]
    return box(parts)


def _headline(facts: Sequence[DeviceHeadline]) -> str:
    lines = [cells_of(one) for one in facts]
    most = max(((one.speed_up or 0.0) for one in facts if math.isfinite(one.speed_up or 0.0)), default=0.0)
    shown = [name for name in lines[0] if any(line[name] != "-" for line in lines)] if lines else []
    rows = []
    for one, line in zip(facts, lines, strict=True):
        cells = {name: escape(cell) for name, cell in line.items()}
        if most:
            cells["speed-up"] += f" {_strip([((one.speed_up or 0.0) / most * GAIN_EM, GAIN_COLOUR)])}"
        rows.append([cells[name] for name in shown])
    return cells_html(shown, rows, [name not in ("device", "best", "how sure", "speed-up") for name in shown])


def heat_map_html(of_this: Rows, device: str) -> str:
    """Return the latencies of one device over sparsity and pattern, coloured by the speed-up over dense; "" for none.

    Without a dense run there is no speed-up and no colour.
    """
    found = [row for row in totals(of_this) if variant(row).sparsity is not None]
    levels = sorted({variant(row).sparsity or 0.0 for row in found})
    if len(found) < 2:
        return ""
    dense = dense_latency_s(totals(of_this))
    gains = {id(row): _doublings(dense, number(row, "latency_s")) for row in found}
    reach = max(1.0, *(abs(gain) for gain in gains.values() if gain is not None)) if any(gains.values()) else 1.0
    lines = []
    for pattern in unique(text(row, "pattern") for row in found):
        of_level = {variant(row).sparsity: row for row in found if text(row, "pattern") == pattern}
        cells = [_cell(of_level.get(level), gains, reach, dense) for level in levels]
        lines.append(f'<tr><th scope="row" style="text-align:left">{escape(pattern)}</th>{"".join(cells)}</tr>')
    head = "".join(f'<th scope="col" style="text-align:center">{escape(percent(level))}</th>' for level in levels)
    against = f"; dense: {milliseconds(dense)} ms" if dense else ""
    said = f"{device}: latency (ms), speed-up and density over the sparsity asked for{against}"
    return (
        f'<p style="margin-bottom:0">{escape(said)}</p><div style="overflow-x:auto" tabindex="0">'
        f'<table style="border-collapse:collapse"><thead><tr><th scope="col"></th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _doublings(dense_s: float | None, latency_s: float | None) -> float | None:
    if not dense_s or not latency_s or not math.isfinite(dense_s / latency_s) or dense_s / latency_s <= 0:
        return None
    return math.log2(dense_s / latency_s)


def _cell(row: RowLike | None, gains: dict[int, float | None], reach: float, dense_s: float | None) -> str:
    if row is None:
        return '<td style="text-align:center">-</td>'
    gain, kept, latency = gains[id(row)], number(row, "density"), number(row, "latency_s")
    lines = [milliseconds(latency)]
    if dense_s and latency:
        lines[0] += f" ({times(speed_up(dense_s, latency))})"
    lines += [f"density {kept:.3f}"] if kept is not None else []
    style = "text-align:center" if gain is None else f"text-align:center;{_colours(gain / reach)}"
    return f'<td style="{style}">{"<br>".join(map(escape, lines))}</td>'


def _colours(share: float) -> str:
    """Return the background of a cell and an ink that is read on it: white is dense, blue faster, orange slower."""
    colour = speed_up_colour(share)
    stripes = f";background-image:{SLOWER_STRIPES}" if share < 0 else ""  # told apart in grey, too
    return f"background-color:{colour};color:{ink_on(rgb(colour))}{stripes}"


def _time_bars(facts: Sequence[DeviceHeadline]) -> str:
    """Return what the time of dense and of the best is made of, a bar each, as long as its share of the longer."""
    lines, used = [], set()
    for one in facts:
        rows = [row for row in (one.dense, one.best) if row is not None]
        rows = rows[:1] if one.best_is_dense else rows
        longest = max((number(row, "latency_s") or 0.0 for row in rows), default=0.0)
        for row in rows:
            parts = [(cause, number(row, cause.column)) for cause in TIME_CAUSES]
            if not longest or not math.isfinite(longest) or all(seconds is None for _, seconds in parts):
                continue
            used |= {cause.name for cause, seconds in parts if seconds}
            strip = _strip([((seconds or 0.0) / longest * BAR_EM, cause.colour) for cause, seconds in parts])
            told = [(cause.title, seconds) for cause, seconds in parts if seconds and seconds >= LEAST_TOLD * longest]
            said = ", ".join(f"{name} {milliseconds(seconds)}" for name, seconds in told)
            took = milliseconds(number(row, "latency_s"))
            cells = [one.device, short_label(row), took, said]
            lines.append([*map(escape, cells[:3]), strip, escape(said)])
    if not lines:
        return ""
    legend = " ".join(
        f"{_strip([(0.8, cause.colour)])}&nbsp;{escape(cause.title)}" for cause in TIME_CAUSES if cause.name in used
    )
    headers = ("device", "variant", "latency ms", "", "of it, ms")
    table = cells_html(headers, lines, (False, False, True, False, False))
    return f'<p style="margin-bottom:0">What the time is made of: {legend}</p>{table}'


def _strip(parts: Sequence[tuple[float, str]]) -> str:
    """Return boxes side by side: (width in em, colour)."""
    boxes = "".join(
        f'<span style="display:inline-block;height:.8em;width:{width:.2f}em;background:{colour}"></span>'
        for width, colour in parts
        if width >= 0.005
    )
    return f'<span style="white-space:nowrap">{boxes}</span>'


def _device(of_this: Rows, one: DeviceHeadline) -> str:
    """Return the totals of a device, and the slowest layers of its best variant, folded."""
    of_totals = totals(of_this)
    parts = folded(f"{one.device}: {len(of_totals)} totals", page(lambda console: print_totals(of_totals, console)))
    found = layers(of_variant(of_this, variant(one.best)))
    slowest = sorted(found, key=lambda row: -(number(row, "latency_s") or 0.0))[:SHOWN_LAYERS]
    if slowest:
        said = f"{one.device}: the slowest {len(slowest)} of {len(found):,} layers, {short_label(one.best)}"
        parts += folded(said, _layers(slowest, one))
    return parts


def _layers(slowest: Rows, one: DeviceHeadline) -> str:
    lines = []
    for row in slowest:
        seconds = number(row, "latency_s") or 0.0
        share = percent(round(seconds / one.latency_s, 3)) if one.latency_s else "-"
        names = [text(row, name) for name in ("bound", "kernel", "reason")]
        mark = f" {MARK}" if row.get("extrapolated") else ""
        lines.append([text(row, "layer"), text(row, "kind"), milliseconds(seconds) + mark, share, *names])
    headers = ("layer", "kind", "latency ms", "share", "bound", "kernel", "remark")
    return cells_html(headers, [[escape(cell) for cell in line] for line in lines], [at in (2, 3) for at in range(7)])


def short(rows: Rows) -> str:
    """Return a report in a few words: of what, how many rows."""
    of_totals, names = totals(rows), unique(text(row, "model") for row in rows)
    devices = len(unique(text(row, "device") for row in rows if row.get("device")))
    model = names[0] if len(names) == 1 and names[0] else f"{len(names)} models" if len(names) > 1 else "no model"
    counts = [(len(of_totals), "total"), (len(rows), "row"), (devices, "device")]
    told = [f"{many:,} {name}{'' if many == 1 else 's'}" for many, name in counts if many]
    return f"{model}: {', '.join(told) or 'no rows'}"
