"""What the time of a network or of its slowest layers is made of: bars stacked by cause, on one device.

The causes are those of ``time_causes.py`` with their colours, and a hatch each for print in grey. Left out: error
bands, which are of the whole time and not of its causes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gatherline.report.figures.chosen import chosen_totals, one_device, seconds, subject, unproven_words
from gatherline.report.figures.figure import Cell, Drawn, FigureChoices, titled
from gatherline.report.figures.reached import Named, named, reached_words
from gatherline.report.figures.style import (
    BAR_INCHES,
    HATCHES,
    POINTS,
    drawing,
    safe,
    sheet,
    short_name,
    tidy,
    title_inches,
)
from gatherline.report.selection import (
    RowLike,
    Rows,
    layers,
    milliseconds,
    number,
    of_device,
    of_variant,
    text,
    totals,
    variant,
)
from gatherline.report.time_causes import TIME_CAUSES
from gatherline.request_error import RequestError

CAUSE_COLUMNS = tuple(cause.column for cause in TIME_CAUSES)
HEADER = ("device", "pattern", "sparsity_target", "sparsity_reached", "layer", "latency_s", *CAUSE_COLUMNS)
MOST_BARS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bars:
    """What is drawn: rows with their labels, and the words for them."""

    rows: tuple[RowLike, ...]
    labels: tuple[str, ...]
    what: str
    notes: tuple[str, ...]


def breakdown(rows: Rows, choices: FigureChoices) -> Drawn:
    """Return the causes of each variant's time, or with ``choices.layers`` of the N slowest layers of one variant."""
    device, notes = one_device(totals(rows), choices)
    found = of_device(rows, device)
    timed = chosen_totals(found, choices)
    bars = _of_layers(found, timed.rows, choices) if choices.layers else _of_variants(named(timed))
    bars = _with_causes(bars, device)
    title = f"{subject(bars.rows)} on {device}: {bars.what}{unproven_words(bars.rows)}"
    theme = choices.look
    with drawing(theme):
        legend_lines = -(-len(TIME_CAUSES) // (3 * choices.columns))
        figure = sheet(
            choices.columns,
            0.5 + 0.15 * legend_lines + BAR_INCHES * (len(bars.rows) + 0.6)
            + title_inches(title if choices.title else "", choices.columns),
        )  # fmt: skip
        axes = figure.add_subplot()
        starts = [0.0] * len(bars.rows)
        for cause, hatch in zip(TIME_CAUSES, HATCHES, strict=False):
            values = [(number(row, cause.column) or 0.0) * 1e3 for row in bars.rows]
            axes.barh(
                range(len(bars.rows)), values, left=starts, height=0.78, color=cause.colour, hatch=hatch,
                edgecolor=theme.ground, linewidth=0, label=cause.title,
            )  # fmt: skip
            starts = [start + value for start, value in zip(starts, values, strict=True)]
        for place, (row, end) in enumerate(zip(bars.rows, starts, strict=True)):
            axes.annotate(milliseconds(seconds(row)), (end, place), xytext=(3, 0), textcoords="offset points",
                          va="center", fontsize=POINTS)  # fmt: skip
        axes.set_xlim(0, max(starts) * (1.18 if choices.columns == 1 else 1.09))
        axes.set_yticks(range(len(bars.rows)), bars.labels)
        axes.set_ylim(len(bars.rows) - 0.4, -0.6)
        axes.set_xlabel("latency (ms)")
        axes.tick_params(axis="y", length=0)
        tidy(axes, theme, grid="x")
        figure.legend(loc="outside lower center", ncols=3 * choices.columns, frameon=False, columnspacing=1.0)
        titled(figure, safe(title), choices)
    return Drawn(
        figure=figure,
        header=HEADER,
        rows=tuple(_data(row, timed.rows) for row in bars.rows),
        caption=f"Latency of {subject(bars.rows)} on {device} by cause: {bars.what}{unproven_words(bars.rows)}.",
        notes=(*notes, *bars.notes, *timed.note),
    )


def _of_variants(found: Named) -> _Bars:
    kept = list({variant(row): row for row in found.timed.rows}.values())
    notes = found.notes
    if len(kept) > MOST_BARS:
        notes += (f"the first {MOST_BARS} of {len(kept)} variants are drawn; pattern and sparsity choose",)
    kept = kept[:MOST_BARS]
    return _Bars(
        rows=tuple(kept),
        labels=tuple(short_name(found.names[variant(row)], 38) for row in kept),
        what="the network under each variant",
        notes=notes,
    )


def _of_layers(rows: Rows, of_totals: Sequence[RowLike], choices: FigureChoices) -> _Bars:
    """Return the slowest layers of the fastest variant asked for, in the network's order."""
    asked = choices.patterns or choices.sparsities  # then dense, which comes along, is not meant
    among = [row for row in of_totals if not asked or text(row, "pattern") in choices.patterns or not _is_dense(row)]
    among = among or list(of_totals)
    of = variant(min(among, key=lambda row: seconds(row) or math.inf))
    words = reached_words(of_variant(of_totals, of))
    called = f"{of.label} ({words})" if words else of.label
    every = [row for row in of_variant(layers(rows), of) if seconds(row) is not None]
    if not every:
        raise RequestError(f"no layer of {of.label} has a time above zero, and there is nothing to draw")
    most = min(choices.layers or 1, MOST_BARS)
    slowest = {id(row) for row in sorted(every, key=lambda row: -(seconds(row) or 0.0))[:most]}
    kept = [row for row in every if id(row) in slowest]
    share = sum(seconds(row) or 0.0 for row in kept) / sum(seconds(row) or 0.0 for row in every)
    which = f"the {len(kept)} slowest of {len(every):,} layers ({share:.0%} of the time)"
    notes = [f"shows {called}, the fastest of {len(among)} variants"] if len(among) > 1 else []
    if (choices.layers or 1) > MOST_BARS:
        notes.append(f"a figure shows at most {MOST_BARS} layers")
    return _Bars(
        rows=tuple(kept),
        labels=tuple(short_name(text(row, "layer"), 26) for row in kept),
        what=f"{which if len(kept) < len(every) else 'all layers'} under {called}, in network order",
        notes=tuple(notes),
    )


def _is_dense(row: RowLike) -> bool:
    return text(row, "pattern") == "dense"


def _with_causes(bars: _Bars, device: str) -> _Bars:
    """Leave out rows whose causes are not known. Raises RequestError where none is left."""
    kept = [at for at, row in enumerate(bars.rows) if any(number(row, column) is not None for column in CAUSE_COLUMNS)]
    if not kept:
        raise RequestError(
            f"{CAUSE_COLUMNS[0]} and the other causes are empty in the rows of {device}, and a breakdown stacks them; "
            "simulate run --out writes them anew"
        )
    left = len(bars.rows) - len(kept)
    return replace(
        bars,
        rows=tuple(bars.rows[at] for at in kept),
        labels=tuple(bars.labels[at] for at in kept),
        notes=(*bars.notes, f"{left} rows whose causes are not known are left out") if left else bars.notes,
    )


def _data(row: RowLike, of_totals: Rows) -> tuple[Cell, ...]:
    of = variant(row)
    reached = number(of_variant(of_totals, of)[0], "sparsity_reached")  # of the network: layers have none
    causes = (number(row, column) for column in CAUSE_COLUMNS)
    return text(row, "device"), of.pattern, of.sparsity, reached, text(row, "layer"), number(row, "latency_s"), *causes
