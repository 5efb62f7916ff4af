"""Results to rows: the columns of DESIGN section 7, one row per layer and one total. Exact sums, no rounding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from costmodel.spec import RooflineDevice
from costmodel.tables.catalog import DEFAULT_TECHNOLOGY
from costmodel.technology import Technology
from gatherline.energy_columns import energy_columns
from gatherline.fpga_engine import fabric_columns
from gatherline.report.columns import TOTAL, Row, complete_row
from gatherline.total_band import extrapolated_note, total_band
from simulator.result import CAUSES, TIME, LayerResult
from simulator.spec import Device, DeviceError
from traces.trace import LayerTrace


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What all rows of one (model, pattern, sparsity, device) share."""

    model: str
    pattern: str
    sparsity_target: float | None
    device: Device | RooflineDevice
    dtype: str
    batch: int
    threads: int
    synthetic: bool
    activation_peak_bytes: int
    unsupported: tuple[str, ...] = ()
    ratios: str = "uniform"
    layer_targets: Mapping[str, float] | None = None  # each layer's own, where it is not ``sparsity_target``
    technology: Technology = DEFAULT_TECHNOLOGY


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerOutcome:
    """A layer's result and what its total needs of its trace, without the mask."""

    result: LayerResult
    pattern: str
    kept: int
    weights_dense: int


def outcome(trace: LayerTrace, result: LayerResult) -> LayerOutcome:
    """Return what rows need of a layer; the mask can go."""
    return LayerOutcome(
        result=result, pattern=trace.pattern.spelling, kept=trace.kept, weights_dense=trace.weights_dense
    )


def _peaks(facts: RunFacts) -> tuple[float, float]:
    """Return (multiply-adds a second at full use, DRAM bytes a second)."""
    device = facts.device
    if isinstance(device, Device):
        return float(device.macs_per_cycle * device.clock_hz), float(device.dram.bytes_per_s)
    units = facts.threads if device.static_threads else device.unit_count
    return (
        float(device.peak_macs_per_s(facts.dtype, units)),  # type: ignore[arg-type]
        float(device.levels[-1].bytes_per_s(units)),
    )


def _shared(facts: RunFacts) -> dict[str, object]:
    macs_per_s, bytes_per_s = _peaks(facts)
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
        "peak_macs_per_s": macs_per_s,
        "dram_bytes_per_s": bytes_per_s,
    }


def layer_row(facts: RunFacts, layer: LayerOutcome) -> Row:
    """Return the row of one layer."""
    result = layer.result
    has_matrix = result.m > 0
    row: dict[str, object] = {
        **_shared(facts),
        "layer": result.layer,
        "kind": result.kind,
        "m": result.m if has_matrix else None,
        "k": result.k if has_matrix else None,
        "p": result.p if has_matrix else None,
        "groups": result.groups if has_matrix else None,
        "density": result.density,
        "model_kind": result.model_kind,
        "bound": result.bound or None,
        "utilization": result.utilization,
        "mapping": result.mapping or None,
        "encoding": result.encoding or None,
        "kernel": result.kernel or None,
        "latency_low_s": result.latency_low_s,
        "latency_high_s": result.latency_high_s,
        "validated": result.validated,
        "extrapolated": result.extrapolated,
        "reason": result.reason or None,
        "dense_kernel_s": result.dense_kernel_s,
        "layer_pattern": layer.pattern,
        **fabric_columns([result]),
        **_sums([result]),
        **energy_columns([result.counters], facts.device, facts.technology),
    }
    if facts.layer_targets is not None:
        row["sparsity_target"] = facts.layer_targets.get(result.layer)
    device = facts.device
    if isinstance(device, Device) and result.kind == "depthwise":  # runs on the vector unit, which may be the wider one
        peak = max(device.macs_per_cycle, device.cores * device.vector_unit.elements_per_cycle)
        row["peak_macs_per_s"] = float(peak * device.clock_hz)
    return complete_row(row)


def _sums(results: Sequence[LayerResult]) -> dict[str, object]:
    """Return the columns that add up over layers; scratchpad and waiting words take the largest."""
    counters = [result.counters for result in results]
    row: dict[str, object] = {
        "latency_s": sum(result.latency_s for result in results),
        "scratchpad_bytes": max(counter.scratchpad_bytes for counter in counters),
        "weight_slots": sum(counter.slots for counter in counters),
        **{f"time_{name}_s": sum(result.time_s[name] for result in results) for name in TIME},
    }
    for name in (
        "macs_dense", "macs_effectual", "macs_issued", "weight_bytes", "index_bytes", "activation_bytes", "dram_bytes",
        "vector_elements",
    ):  # fmt: skip
        row[name] = sum(getattr(counter, name) for counter in counters)
    cycles = [result.cycles for result in results if result.cycles is not None]
    if cycles:
        row |= {
            "cycles": sum(each.total for each in cycles),
            "compute_cycles": sum(each.compute for each in cycles),
            "gather_cycles": sum(each.gather for each in cycles),
            "conflict_cycles": sum(each.conflict for each in cycles),
            "stall_cycles": sum(each.stall for each in cycles),
            "waiting_words": max(each.waiting_words for each in cycles),
            "effectual_cycles": sum(each.effectual for each in cycles),
            **{f"lost_{cause}_cycles": sum(each.lost.get(cause, 0.0) for each in cycles) for cause in CAUSES},
        }
    return row


def _kept_share(layers: Sequence[LayerOutcome]) -> float:
    return sum(layer.kept for layer in layers) / sum(layer.weights_dense for layer in layers)


def total_row(facts: RunFacts, layers: Sequence[LayerOutcome]) -> Row:
    """Return the row that sums a network: layers one after another; memory as DESIGN section 4 adds it up."""
    results = [layer.result for layer in layers]
    sums = _sums(results)
    latency_s = sum(result.latency_s for result in results)
    bounds: dict[str, float] = {}
    for result in results:
        if result.model_kind == "roofline":  # the binding bound of each layer, by time
            bounds[result.bound] = bounds.get(result.bound, 0.0) + result.latency_s
        else:
            for cause, seconds in result.bounds_s.items():
                bounds[cause] = bounds.get(cause, 0.0) + seconds
    weights = sum(layer.result.counters.weight_bytes + layer.result.counters.index_bytes for layer in layers)
    buffers = max(result.counters.scratchpad_bytes for result in results)
    weights_dense = sum(layer.weights_dense for layer in layers)
    pruned = [layer for layer in layers if layer.pattern != "dense" and layer.weights_dense]
    reasons = [f"not counted, unsupported: {', '.join(facts.unsupported)}"] if facts.unsupported else []
    busy = sum(result.utilization * result.latency_s for result in results)
    encodings = dict.fromkeys(layer.result.encoding for layer in layers if layer.result.encoding)
    band = total_band(results)
    reasons += [note for note in (band.note, extrapolated_note(results)) if note]
    row: dict[str, object] = {
        **_shared(facts),
        **sums,
        **energy_columns([result.counters for result in results], facts.device, facts.technology),
        **fabric_columns(results),
        "layer": TOTAL,
        "kind": TOTAL,
        "density": _kept_share(layers) if weights_dense else None,
        "sparsity_reached": 1.0 - _kept_share(pruned) if pruned else None,
        "model_kind": results[0].model_kind,
        "bound": max(bounds, key=lambda cause: bounds[cause]) if bounds else None,
        "utilization": min(1.0, busy / latency_s) if latency_s else 0.0,
        "encoding": ", ".join(encodings) or None,
        "latency_low_s": band.low_s,
        "latency_high_s": band.high_s,
        "validated": band.validated,
        "extrapolated": any(result.extrapolated for result in results),
        "reason": "; ".join(reasons) or None,
        "peak_memory_bytes": weights + facts.activation_peak_bytes + buffers,
        "activation_peak_bytes": facts.activation_peak_bytes,
    }
    for column, value in row.items():
        if isinstance(value, int) and abs(value) >> 63:  # lost cycles may be fewer than none
            raise DeviceError(f"total: {column} is {value}, and a counter must be below 2^63")
    return complete_row(row)
