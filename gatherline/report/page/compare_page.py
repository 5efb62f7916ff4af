"""The page of a comparison: what changed and the rules' verdict first, then totals, causes, layers and manifests.

A page holds at most ``MOST_LAYERS`` layers, those that moved most; the CSV beside it has every number that moved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gatherline.comparison.change import Change, change_of, largest_first
from gatherline.comparison.comparison import Comparison
from gatherline.comparison.differences import fields
from gatherline.comparison.pair import Pair
from gatherline.comparison.rules import Rule
from gatherline.report.comparison_broken import broken_where
from gatherline.report.comparison_notes import headlines, notes
from gatherline.report.comparison_words import (
    amount_text,
    direction,
    percent_text,
    point_label,
    row_label,
    title,
    value_texts,
    why,
)
from gatherline.report.measures import scale_of
from gatherline.report.page.render import render
from gatherline.report.selection import number, printable
from gatherline.report.time_causes import TIME_CAUSES

MOST_LAYERS = 3000
MOST_ALONE = 200
MOST_BROKEN = 20
BARS = 8  # layers, two bars each
LONGEST = 300  # letters of an entry of a manifest
HASH = 16  # letters of a hash tell it from any other
_TONES = {1: "bad", -1: "good", 0: ""}


def compare_page(comparison: Comparison) -> str:
    """Return the page of ``comparison``, one file of HTML."""
    first = comparison.sort_column
    changes = [change_of(pair, first) for pair in comparison.layers]
    ordered = largest_first(changes) + [change for change in changes if not change.moved]
    return render(
        "compare.html.jinja",
        title="Before and after",
        names=(printable(comparison.before.name), printable(comparison.after.name)),
        headlines=headlines(comparison),
        notes=notes(comparison),
        rules=[_rule(comparison, rule) for rule in comparison.rules],
        totals=_totals(comparison),
        bars=_bars(comparison),
        first=title(first),
        layers=[{**_line(change), **_layer(change.pair), "why": _why(change)} for change in ordered[:MOST_LAYERS]],
        left_out=max(0, len(ordered) - MOST_LAYERS),
        alone=_alone(comparison),
        manifests=_manifests(comparison),
    )


def _layer(pair: Pair) -> dict[str, str]:
    """Return the names of a layer's line: the network's is the first side's, a note tells what it is compared with."""
    return {"layer": printable(pair.layer_label), "label": pair.point.label}


def _why(change: Change) -> str:
    return why(change.pair, change.column) or ("nothing else that is counted" if change.moved else "-")


def _rule(comparison: Comparison, rule: Rule) -> dict[str, object]:
    broken = [each for each in comparison.broken if each.rule == rule]
    lines = [printable(broken_where(each)) for each in broken[:MOST_BROKEN]]
    return {"text": rule.text, "broken": lines, "more": len(broken) - len(lines)}


def _totals(comparison: Comparison) -> list[dict[str, object]]:
    changes = [change_of(pair, name) for pair in comparison.totals for name in comparison.columns]
    known = [change for change in changes if change.before is not None or change.after is not None]
    return [{**_line(change), "column": title(change.column)} for change in known]


def _line(change: Change) -> dict[str, object]:
    before, after = value_texts(change)
    share = change.relative
    return {
        "label": point_label(change.pair),
        "before": (before, change.before),
        "after": (after, change.after),
        "amount": (amount_text(change), change.absolute),
        "share": (percent_text(change), "Infinity" if share is not None and math.isinf(share) else share),
        "tone": _TONES[direction(change)],
    }


def _bars(comparison: Comparison) -> dict[str, object] | None:
    """Return the chart and the table of causes of one network's layers, None where no cause is told or none moved.

    The network is the one with a layer that moved most for its size: bars of several devices share no axis.
    """
    moved = [change for change in (change_of(pair, "latency_s") for pair in comparison.layers) if change.moved]
    told = [change for change in moved if _told(change.pair)]
    if not told:
        return None
    most = max(told, key=lambda change: abs(change.relative or 0.0))
    pairs = [each.pair for each in largest_first(told) if each.pair.point == most.pair.point][:BARS]
    rows = [
        (f"{when}: {printable(pair.layer)}", row)  # first, for a long name is cut
        for pair in pairs
        for when, row in (("before", pair.before), ("after", pair.after))
    ]
    scale = scale_of("latency_s", [number(row, "latency_s") or 0.0 for _, row in rows])
    values = [[number(row, cause.column) or 0.0 for cause in TIME_CAUSES] for _, row in rows]
    chart = {
        "kind": "bars",
        "title": f"Time of layers by cause: {point_label(most.pair)}",
        "x": {"label": "time", "unit": scale.unit},
        "series": [{"name": cause.title, "colour": f"cause-{cause.name}"} for cause in TIME_CAUSES],
        "rows": [
            {
                "label": name,
                "values": [float(f"{one / scale.factor:.6g}") for one in found],
                "tip": f"{name}: {scale.text(sum(found))}\n"
                + "\n".join(
                    f"{cause.title} {scale.text(one)}" for cause, one in zip(TIME_CAUSES, found, strict=True) if one
                ),
            }
            for (name, _), found in zip(rows, values, strict=True)
        ],
    }
    table = [
        {"label": name, "cells": [(scale.number(one), one) for one in (*found, sum(found))]}
        for (name, _), found in zip(rows, values, strict=True)
    ]
    return {"chart": chart, "table": table, "unit": scale.unit, "titles": [*(c.title for c in TIME_CAUSES), "together"]}


def _told(pair: Pair) -> bool:
    return all(number(row, TIME_CAUSES[0].column) is not None for row in (pair.before, pair.after))


def _alone(comparison: Comparison) -> dict[str, object]:
    lists = [
        (heading, [row_label(row) for row in rows[:MOST_ALONE]], max(0, len(rows) - MOST_ALONE))
        for heading, rows in (
            ("Only before", comparison.pairing.only_before),
            ("Only after", comparison.pairing.only_after),
        )
        if rows
    ]
    return {"lists": lists, "count": len(lists)}


def _manifests(comparison: Comparison) -> dict[str, list[dict[str, str]]]:
    """Return the entries of both manifests that differ, and those that are the same."""
    ours, theirs = fields(comparison.before.manifest), fields(comparison.after.manifest)
    paths: Sequence[str] = list(dict.fromkeys([*ours, *theirs]))
    found: dict[str, list[dict[str, str]]] = {"differ": [], "same": []}
    for path in paths:
        longest = HASH if path.endswith("hash") else LONGEST
        line = {"path": printable(path), "before": _cut(ours.get(path, "-"), longest)}
        line["after"] = _cut(theirs.get(path, "-"), longest)
        found["same" if ours.get(path) == theirs.get(path) else "differ"].append(line)
    return found


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}..."
