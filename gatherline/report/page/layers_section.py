"""The section of layers of a run's page: data for its script, and tables of the slowest layers that need no script.

What scripts make of the data: ``layers.js``. Left out: what to do about a slow layer (``simulate advise``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gatherline.report.headline import headline_facts
from gatherline.report.page.layer_columns import COUNTS, FLAGS, NUMBERS, RATIOS, TEXTS, facts_of, layer_columns
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
    causes_of,
    duration,
    share,
)
from gatherline.report.remarks import labels, removed_label
from gatherline.report.selection import (
    Rows,
    Variant,
    devices,
    layers,
    number,
    of_device,
    of_variant,
    printable,
    text,
    totals,
    variant,
)
from gatherline.report.time_causes import TIME_CAUSES

SLOWEST = 20  # layers of a device in its table


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


def layers_section(rows: Rows, manifest: Mapping[str, object]) -> dict[str, object]:
    """Return ``layers`` of ``layers.html.jinja``: ``model``, ``data`` for the script, ``slowest`` for the tables."""
    of_layers, of_totals = layers(rows), totals(rows)
    fastest = {one.device: variant(one.best) for one in headline_facts(rows)}
    best = {device: _best(of_layers, fastest.get(device), device) for device in devices(of_layers)}
    names = {asked: removed_label(asked, None) for row in of_layers for asked in (variant(row),)} | labels(of_totals)
    slowest = [_slowest(of_layers, of_totals, device, asked, names[asked]) for device, asked in best.items()]
    model = printable(str(manifest.get("model") or "the network"))
    return {"model": model, "data": _data(of_layers, of_totals, best, names), "slowest": slowest}


def _best(of_layers: Rows, fastest: Variant | None, device: str) -> Variant:
    """Return the fastest variant of a device: by its headline, the first that has layers where there is none."""
    here = [variant(row) for row in of_device(of_layers, device)]
    return fastest if fastest is not None and fastest in here else here[0]


def _data(
    of_layers: Rows, of_totals: Rows, best: Mapping[str, Variant], names: Mapping[Variant, str]
) -> dict[str, object]:
    columns = layer_columns(of_layers)
    on, variants = list(best), columns.variants
    return {
        "devices": [
            {
                "name": name,
                "best": variants.index(asked),
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
                "device": on.index(device),
                "variant": variants.index(asked),
                "total_s": _total_s(of_layers, of_totals, device, asked),
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


def _total_s(of_layers: Rows, of_totals: Rows, device: str, asked: Variant) -> float:
    """Return the network's time: its total's, the sum of its layers in a run that has none."""
    for row in of_variant(of_device(of_totals, device), asked):
        seconds = number(row, "latency_s")
        if seconds is not None:
            return seconds
    return sum(number(row, "latency_s") or 0.0 for row in of_variant(of_device(of_layers, device), asked))


def _slowest(of_layers: Rows, of_totals: Rows, device: str, asked: Variant, name: str) -> SlowestLayers:
    rows = of_variant(of_device(of_layers, device), asked)
    total_s = _total_s(of_layers, of_totals, device, asked)
    slow = sorted(rows, key=lambda row: -(number(row, "latency_s") or 0.0))[:SLOWEST]
    found = []
    for row in slow:
        seconds = number(row, "latency_s") or 0.0
        known = causes_of(facts_of(row))
        cause = f"{known[0][0].title} {duration(known[0][1])}" if known and known[0][1] > 0 else "-"
        found.append(
            SlowLayer(
                layer=text(row, "layer"), seconds=seconds, time=duration(seconds), cause=cause,
                share=share(seconds / total_s if total_s else None), bound=text(row, "bound") or "-",
                kernel=text(row, "kernel") or "-", reason=text(row, "reason") or "-",
            )
        )  # fmt: skip
    return SlowestLayers(device=device, variant=name, count=len(rows), layers=tuple(found))
