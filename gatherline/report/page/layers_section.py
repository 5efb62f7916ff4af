"""The section of layers of a run's page: data for its script, and tables of the slowest layers that need no script.

What scripts make of the data: ``layers.js``. Left out: what to do about a slow layer (``simulate advise``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gatherline.report.headline import DeviceHeadline, headline_facts
from gatherline.report.largest_cause import largest_cause
from gatherline.report.page.layer_columns import COUNTS, FLAGS, NUMBERS, RATIOS, TEXTS, layer_columns
from gatherline.report.page.layer_words import (
    ALIKE,
    BOUNDS,
    COUNTED,
    KERNELS,
    LOW,
    MEMORY,
    OTHER_BOUND,
    WORDS,
    WORK,
    duration,
    share,
)
from gatherline.report.remarks import labels, removed_label
from gatherline.report.selection import (
    RowLike,
    Rows,
    Variant,
    devices,
    layers,
    number,
    of_device,
    printable,
    text,
    totals,
    variant,
)
from gatherline.report.time_causes import TIME_CAUSES

SLOWEST = 20  # layers of a device in its table

Run = tuple[str, Variant]  # a device, and how the network was pruned
Runs = dict[Run, list[RowLike]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowLayer:
    """A row of the table without scripts, its cells as text. ``seconds``: to sort by."""

    layer: str
    seconds: float
    time: str
    share: str
    cause: str
    bound: str
    kernel: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowestLayers:
    """The slowest of ``count`` layers of a device, pruned as the variant that is fastest there."""

    device: str
    variant: str
    count: int
    layers: tuple[SlowLayer, ...]


def layers_section(
    rows: Rows, manifest: Mapping[str, object], facts: Sequence[DeviceHeadline] | None = None
) -> dict[str, object]:
    """Return ``layers`` of ``layers.html.jinja``: ``model``, ``data`` for the script, ``slowest`` for the tables.

    ``facts``: the headline facts of ``rows`` where they are known.
    """
    of_layers, of_totals = layers(rows), totals(rows)
    fastest = {one.device: variant(one.best) for one in facts or headline_facts(rows)}
    best = {device: _best(of_layers, fastest.get(device), device) for device in devices(of_layers)}
    names = {asked: removed_label(asked, None) for row in of_layers for asked in (variant(row),)} | labels(of_totals)
    runs: Runs = {}
    for row in of_layers:
        runs.setdefault((text(row, "device"), variant(row)), []).append(row)
    took = _totals_s(runs, of_totals)
    slowest = [
        _slowest(runs[device, asked], took[device, asked], device, names[asked]) for device, asked in best.items()
    ]
    model = printable(str(manifest.get("model") or "the network"))
    return {"model": model, "data": _data(of_layers, took, best, names), "slowest": slowest}


def _best(of_layers: Rows, fastest: Variant | None, device: str) -> Variant:
    """Return the fastest variant of a device: by its headline, the first that has layers where there is none."""
    here = [variant(row) for row in of_device(of_layers, device)]
    return fastest if fastest is not None and fastest in here else here[0]


def _data(
    of_layers: Rows, took: Mapping[Run, float], best: Mapping[str, Variant], names: Mapping[Variant, str]
) -> dict[str, object]:
    columns = layer_columns(of_layers)
    variants = columns.variants
    place = {asked: at for at, asked in enumerate(variants)}
    place_of_device = {device: at for at, device in enumerate(best)}
    return {
        "devices": [
            {
                "name": name,
                "best": place[asked],
                "peak_macs_per_s": _largest(of_device(of_layers, name), "peak_macs_per_s"),
                "dram_bytes_per_s": _largest(of_device(of_layers, name), "dram_bytes_per_s"),
            }
            for name, asked in best.items()
        ],
        "variants": [
            {
                "label": names[each],
                "dense": each.pattern == "dense",
                "pattern": each.pattern,
                "sparsity": each.sparsity,
            }
            for each in variants
        ],
        "layers": columns.layers,
        "runs": [
            {
                "device": place_of_device[device],
                "variant": place[asked],
                "total_s": took[device, asked],
                "columns": dict(of_run),
            }
            for (device, asked), of_run in columns.runs.items()
        ],
        "columns": columns.pool.unfolded(),
        "texts": list(columns.pool.texts),
        "causes": [
            {
                "name": each.name,
                "column": each.column,
                "title": each.title,
                "text": each.text,
                "colour": f"cause-{each.name}",
            }
            for each in TIME_CAUSES
        ],
        "names": {"numbers": [*NUMBERS, *COUNTS, *RATIOS], "texts": TEXTS, "flags": FLAGS},
        "words": dict(WORDS),
        "bounds": dict(BOUNDS),
        "other_bound": OTHER_BOUND,
        "rules": {
            "counted": dict(COUNTED),
            "memory": MEMORY,
            "kernels": dict(KERNELS),
            "work": WORK,
            "low": LOW,
            "alike": ALIKE,
        },
    }


def _largest(rows: Rows, column: str) -> float | None:
    return max((value for row in rows if (value := number(row, column)) is not None), default=None)


def _totals_s(runs: Runs, of_totals: Rows) -> dict[Run, float]:
    """Return the network's time of each run: its total's, the sum of its layers where there is none."""
    told: dict[Run, float] = {}
    for row in of_totals:
        seconds = number(row, "latency_s")
        if seconds is not None:
            told.setdefault((text(row, "device"), variant(row)), seconds)
    return {
        run: told[run] if run in told else sum(number(row, "latency_s") or 0.0 for row in rows)
        for run, rows in runs.items()
    }


def _slowest(rows: Rows, total_s: float, device: str, name: str) -> SlowestLayers:
    slow = sorted(rows, key=lambda row: -(number(row, "latency_s") or 0.0))[:SLOWEST]
    found = []
    for row in slow:
        seconds = number(row, "latency_s") or 0.0
        largest = largest_cause(row)
        cause = "-" if largest is None else f"{largest[0]} {duration(largest[1])}"
        found.append(
            SlowLayer(
                layer=text(row, "layer"), seconds=seconds, time=duration(seconds), cause=cause,
                share=share(seconds / total_s if total_s else None), bound=text(row, "bound") or "-",
                kernel=text(row, "kernel") or "-", reason=text(row, "reason") or "-",
            )
        )  # fmt: skip
    return SlowestLayers(device=device, variant=name, count=len(rows), layers=tuple(found))
