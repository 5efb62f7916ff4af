"""The total rows of many devices at once: what ``rows.total_row`` says of each, from columns instead of results.

One base device whose fields vary, every layer's columns (``costmodel.many``), a row for each point, to the last bit the
one that ``total_row`` gives for that device. Numbers are added up for all points together, in the order of the layers;
texts are made once for all points that have them in common. Left out: FPGAs, whose rows say what engine was built, and
rows of layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from costmodel.many import ManyResults, Texts
from costmodel.per_point import Diverged, NotPerPoint, PerPoint
from costmodel.spec import RooflineDevice
from costmodel.varied import Varied
from gatherline.energy_columns import energy_columns
from gatherline.many_texts import each_once, in_common
from gatherline.many_total_bands import added_up, total_bands
from gatherline.report.columns import TOTAL, Row, complete_row
from gatherline.rows import RunFacts
from gatherline.total_band import NAMED
from traces.trace import LayerTrace

Floats = npt.NDArray[np.float64]
COUNTS = (
    "macs_dense", "macs_effectual", "macs_issued", "weight_bytes", "index_bytes", "activation_bytes", "dram_bytes",
    "vector_elements",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerColumns:
    """A layer's columns and what its total needs of its trace, without the mask."""

    name: str
    kind: str
    pattern: str
    kept: int
    weights_dense: int
    found: ManyResults


def layer_columns(trace: LayerTrace, found: ManyResults) -> LayerColumns:
    """Return what total rows need of a layer; the mask can go."""
    return LayerColumns(
        name=trace.layer.name, kind=trace.layer.kind, pattern=trace.pattern.spelling, kept=trace.kept,
        weights_dense=trace.weights_dense, found=found,
    )  # fmt: skip


def total_rows(facts: RunFacts, varied: Varied, layers: Sequence[LayerColumns]) -> list[Row | str]:
    """Return the total row of each point, or why there is none. ``facts``: of the base device."""
    if varied.base.fabric is not None:
        raise AssertionError(f"device {varied.base.name} is an FPGA, whose rows are made one by one")
    refused = _refused(layers)
    columns = {
        **_rates(facts, varied),
        **_sums(facts, layers, refused),
        **total_bands([each.kind for each in layers], [each.found for each in layers]),
    }
    columns["bound"] = _bounds(layers)
    columns["encoding"] = in_common([each.found.encoding for each in layers], _encodings)
    columns["reason"] = _reasons(facts, layers, columns.pop("note"))
    fixed = complete_row({**_fixed(facts, layers), **dict.fromkeys(columns)})
    listed = {name: column if isinstance(column, list) else column.tolist() for name, column in columns.items()}
    rows: list[Row | str] = [
        {**fixed, **dict(zip(listed, values, strict=True))} for values in zip(*listed.values(), strict=True)
    ]
    for point, why in refused.items():
        rows[point] = why
    return rows


def _fixed(facts: RunFacts, layers: Sequence[LayerColumns]) -> dict[str, object]:
    """Return the columns that no field of a device moves."""
    weights_dense = sum(layer.weights_dense for layer in layers)
    pruned = [layer for layer in layers if layer.pattern != "dense" and layer.weights_dense]
    return {
        "model": facts.model,
        "pattern": facts.pattern,
        "sparsity_target": facts.sparsity_target,
        "sparsity_overall": facts.sparsity_target,
        "ratios": None if facts.sparsity_target is None else facts.ratios,
        "device": facts.device.name,
        "device_kind": facts.device.kind,
        "dtype": facts.dtype,
        "batch": facts.batch,
        "threads": facts.threads,
        "synthetic": facts.synthetic,
        **energy_columns([], facts.device, facts.technology),
        "layer": TOTAL,
        "kind": TOTAL,
        "density": _kept_share(layers) if weights_dense else None,
        "sparsity_reached": 1.0 - _kept_share(pruned) if pruned else None,
        "model_kind": "roofline",
        "activation_peak_bytes": facts.activation_peak_bytes,
    }


def _kept_share(layers: Sequence[LayerColumns]) -> float:
    return sum(layer.kept for layer in layers) / sum(layer.weights_dense for layer in layers)


def _rates(facts: RunFacts, varied: Varied) -> dict[str, Any]:
    """Return the columns of what the device could do at most."""
    found = {name: np.full(varied.points, np.nan) for name in ("peak_macs_per_s", "dram_bytes_per_s")}
    pending = [varied.accepted] if varied.accepted.size else []
    while pending:
        places = pending.pop()
        try:
            peaks = _peaks(facts, varied.at(places))
        except Diverged as diverged:
            pending += [places[diverged.where], places[~diverged.where]]
        except NotPerPoint:
            for point in places.tolist():
                for column, value in zip(found.values(), _peaks(facts, varied.alone(point)), strict=True):
                    column[point] = value
        else:
            for column, value in zip(found.values(), peaks, strict=True):
                column[places] = value.values if isinstance(value, PerPoint) else value
    return found


def _peaks(facts: RunFacts, device: RooflineDevice) -> tuple[Any, Any]:
    units = facts.threads if device.static_threads else device.unit_count
    peak = device.peak_macs_per_s(facts.dtype, units)  # type: ignore[arg-type]
    return peak, device.levels[-1].bytes_per_s(units)


def _sums(facts: RunFacts, layers: Sequence[LayerColumns], refused: dict[int, str]) -> dict[str, Any]:
    """Return the columns that add up over layers, in their order; ``refused`` gets points with too large a count."""
    found: dict[str, Any] = {"latency_s": added_up([each.found.latency_s for each in layers])}
    busy = added_up([each.found.utilization * each.found.latency_s for each in layers])
    took = found["latency_s"]
    shares = np.divide(busy, took, out=np.zeros_like(took), where=took != 0)
    found["utilization"] = np.minimum(1.0, shares)
    for name in COUNTS:
        found[name] = _count(refused, name, [getattr(each.found, name) for each in layers])
    found["weight_slots"] = _count(refused, "weight_slots", [each.found.slots for each in layers])
    found["scratchpad_bytes"] = np.maximum.reduce([each.found.scratchpad_bytes for each in layers])
    parts = [found["weight_bytes"], found["index_bytes"], found["scratchpad_bytes"]]
    fixed = np.full(took.shape, facts.activation_peak_bytes)
    found["peak_memory_bytes"] = _count(refused, "peak_memory_bytes", [*parts, fixed])
    return found


def _count(refused: dict[int, str], name: str, columns: Sequence[Any]) -> Any:
    """Return the sum of whole numbers; ``refused`` gets the points where it is more than a row holds."""
    found = np.zeros(columns[0].shape, dtype=np.int64)
    about = np.zeros(columns[0].shape)
    for column in columns:
        found, about = found + column, about + column
    for point in np.flatnonzero(about >= 2.0**62).tolist():
        exact = sum(int(column[point]) for column in columns)
        if exact >> 63:
            refused.setdefault(point, f"total: {name} is {exact}, and a counter must be below 2^63")
    return found


def _encodings(found: Sequence[str]) -> str | None:
    return ", ".join(each_once(found)) or None


def _bounds(layers: Sequence[LayerColumns]) -> list[str]:
    """Return the bound that takes most of the time at each point, of equals the one that a layer has first."""
    names = [*dict.fromkeys(name for each in layers for name in each.found.bound.names)]
    points = layers[0].found.latency_s.shape
    time, first = np.zeros((len(names), *points)), np.full((len(names), *points), len(layers))
    for at, each in enumerate(layers):
        for code, name in enumerate(each.found.bound.names):
            place, on = names.index(name), each.found.bound.codes == code
            time[place] += np.where(on, each.found.latency_s, 0.0)
            first[place] = np.minimum(first[place], np.where(on, at, len(layers)))
    largest = np.where(first < len(layers), time, -1.0)
    first[largest != largest.max(axis=0)] = len(layers) + 1
    return [names[place] for place in first.argmin(axis=0).tolist()]


def _reasons(facts: RunFacts, layers: Sequence[LayerColumns], notes: Sequence[str]) -> list[str | None]:
    missing = f"not counted, unsupported: {', '.join(facts.unsupported)}" if facts.unsupported else ""
    beyond = [
        Texts(names=("", each.name), codes=each.found.extrapolated.astype(np.int32)) for each in layers
    ]  # fmt: skip
    extrapolated = in_common(beyond, _extrapolated)
    return [
        "; ".join(text for text in (missing, note, left) if text) or None
        for note, left in zip(notes, extrapolated, strict=True)
    ]


def _extrapolated(found: Sequence[str]) -> str:
    """As ``extrapolated_note``, of the names of layers, "" for those that are not."""
    names = [name for name in found if name]
    if not names:
        return ""
    shown = ", ".join([*names[:NAMED], *(["..."] if len(names) > NAMED else [])])
    return f"extrapolated in {len(names)} of {len(found)} layers ({shown})"


def _refused(layers: Sequence[LayerColumns]) -> dict[int, str]:
    """Return the points that a layer refused, the first layer's text."""
    refused: dict[int, str] = {}
    for each in layers:
        if any(each.found.refused):
            for point, why in enumerate(each.found.refused):
                if why is not None:
                    refused.setdefault(point, why)
    return refused
