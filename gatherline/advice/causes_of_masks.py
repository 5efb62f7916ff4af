"""Causes that lie in how a mask is shared out and rounded up: imbalance, padding, bank conflicts. ADR 0028."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from costmodel.spec import BlockKernel, Kernel, RooflineDevice, RowKernel
from costmodel.spmv import StreamKernel
from gatherline.advice.counterfactual import evened, without_conflicts
from gatherline.advice.evidence import Evidence, Finding
from gatherline.advice.wording import gains, milliseconds, verdict_without
from gatherline.pipeline import run_layer
from simulator.result import LayerResult
from simulator.simulate import best_program
from simulator.spec import Device

LOOPS = ("compute", "gather", "issue")  # bounds of a roofline that padding is part of


def load_imbalance(evidence: Evidence) -> Finding | None:
    """Hold where units or lanes wait for the row with the most weights."""
    mask = evidence.trace.mask
    if mask is None or evidence.trace.all_kept:
        return None
    rows = np.count_nonzero(mask, axis=2)
    worst, mean = int(rows.max()), float(rows.mean())
    if worst <= mean:
        return None
    if isinstance(evidence.device, Device):
        waits = _waits(evidence)
        lost = _bounded_by_dram(evidence, waits.uneven_s)
        how = "lanes and cores idle at uneven rows, ragged groups, and while the pipeline fills and drains"
    else:
        if not isinstance(kernel_of(evidence), RowKernel | BlockKernel | StreamKernel):
            return None  # costs of other kernels look at no row
        lost = evidence.sparse.latency_s - evidence.again(evened(evidence.trace))
        how = "units wait for the fullest rows"
    if not evidence.holds_back(lost):
        return None
    without = evidence.sparse.latency_s - lost
    return Finding(
        cause="load_imbalance",
        proof=f"the worst row keeps {worst} weights, {worst / mean:.2f} times the mean, {mean:.4g}; {how}: "
        f"{milliseconds(lost)} of {milliseconds(evidence.sparse.latency_s)}",
        change=f"rows of equal counts: {verdict_without(without, evidence.dense.latency_s)} (bank_balanced, "
        f"filter_balanced or gs_scatter, which sorts rows)",
        numbers={"worst_row": worst, "mean_row": mean},
        lost_s=lost,
        without_s=without,
        dense_without_s=evidence.dense.latency_s,
    )


def padding(evidence: Evidence) -> Finding | None:
    """Hold where multiply-adds with no kept weight or no real position behind them take the time."""
    counts = evidence.sparse.counters
    if not counts.macs_issued or not counts.macs_effectual:
        return None
    layer = evidence.layer
    if isinstance(evidence.device, Device):
        waits = _waits(evidence)
        lost = _bounded_by_dram(evidence, waits.padded_s)
        what = f"stores {counts.slots} slots for {evidence.trace.kept} weights, and words of {evidence.device.vector} "
        what += f"positions for {layer.p}"
    else:
        useful = counts.macs_effectual / counts.macs_issued
        lost = evidence.sparse.latency_s - _roofline_s(evidence.sparse, useful)
        what = f"issues {counts.macs_issued / counts.macs_effectual:.3g} multiply-adds for each with a kept weight"
    if not evidence.holds_back(lost):
        return None
    without = evidence.sparse.latency_s - lost
    return Finding(
        cause="padding",
        proof=f"{what} (m {layer.m}, k {layer.k}, p {layer.p}, rounded up to tiles and vectors): "
        f"{milliseconds(lost)} of {milliseconds(evidence.sparse.latency_s)}",
        change=f"nothing rounded up: {verdict_without(without, evidence.dense.latency_s)}; counts that are "
        f"multiples of the tile or the vector, more positions (batch), or smaller blocks",
        numbers={
            "macs_issued": counts.macs_issued,
            "macs_effectual": counts.macs_effectual,
            "slots": counts.slots,
            "kept": evidence.trace.kept,
        },
        lost_s=lost,
        without_s=without,
        dense_without_s=evidence.dense.latency_s,
    )


def bank_conflicts(evidence: Evidence) -> Finding | None:
    """Hold where requests of a group wait for a bank."""
    device, cycles = evidence.device, evidence.sparse.cycles
    if not isinstance(device, Device) or cycles is None or not cycles.conflict:
        return None
    without = evidence.again(device=without_conflicts(device))
    lost = evidence.sparse.latency_s - without
    if not evidence.holds_back(lost):
        return None
    return Finding(
        cause="bank_conflicts",
        proof=f"{cycles.conflict} of {cycles.total} cycles are lost to requests that wait for one of "
        f"{device.scratchpad.banks} banks",
        change=f"{_packed(evidence)}a port for every lane: {verdict_without(without, evidence.dense.latency_s)}; gs or "
        f"packed streams have no conflicts, a larger window hides some",
        numbers={"conflict_cycles": cycles.conflict, "cycles": cycles.total, "banks": device.scratchpad.banks},
        lost_s=lost,
        without_s=without,
        dense_without_s=evidence.dense.latency_s,
    )


def _packed(evidence: Evidence) -> str:
    """Return what packing does for a stream that was asked for in column order, "" where it does nothing."""
    if evidence.request.order != "csr":
        return ""
    packed = run_layer(replace(evidence.request, order="packed"), evidence.trace, evidence.device, {}).latency_s
    if not gains(packed, evidence.sparse.latency_s):
        return ""
    return f"packed order instead of --order csr: {verdict_without(packed, evidence.dense.latency_s)}; "


def kernel_of(evidence: Evidence) -> Kernel | None:
    """Return the kernel of a roofline that ran the sparse layer."""
    device = evidence.device
    if not isinstance(device, RooflineDevice):
        return None
    named = (one for one in device.kernels if one.name == evidence.sparse.kernel)
    return next((one for one in named if evidence.request.dtype in one.dtypes), None)


def _roofline_s(result: LayerResult, useful: float) -> float:
    """Return the time of a roofline whose loops issue the ``useful`` share of what they do."""
    bounds = {name: value * (useful if name in LOOPS else 1.0) for name, value in result.bounds_s.items()}
    return max(value for name, value in bounds.items() if name != "overhead") + bounds.get("overhead", 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waits:
    """Seconds of a stream: ``uneven_s`` by rows and ragged groups, ``padded_s`` by empty slots and positions."""

    uneven_s: float
    padded_s: float


def _waits(evidence: Evidence) -> _Waits:
    """Split what the attribution calls imbalance: places of words with no position are padding, and ragged groups of
    rows that are all alike.
    """
    device, cycles, request = evidence.device, evidence.sparse.cycles, evidence.request
    assert isinstance(device, Device)
    assert cycles is not None
    empty = 0.0
    if evidence.sparse.kernel == "gather/scatter":
        program = best_program(
            evidence.trace,
            device,
            encoding=evidence.sparse.encoding if request.encoding else None,
            order=request.order,
            mapping=request.mapping,
        )
        words = sum(int(one.macs.sum()) * one.repeats for one in program.streams if one.macs is not None)
        empty = max(0.0, words * device.vector - program.macs_effectual) / device.macs_per_cycle
    imbalance = cycles.lost.get("imbalance", 0.0)
    assert evidence.trace.mask is not None
    rows = np.count_nonzero(evidence.trace.mask, axis=2)
    empty = imbalance if rows.min() == rows.max() else min(empty, imbalance)
    return _Waits(
        uneven_s=(imbalance - empty) / device.clock_hz,
        padded_s=(cycles.lost.get("padding", 0.0) + empty) / device.clock_hz,
    )


def _bounded_by_dram(evidence: Evidence, lost_s: float) -> float:
    """Return what of ``lost_s`` would go: bytes take their time whatever the cores do."""
    device, total_s = evidence.device, evidence.sparse.latency_s
    assert isinstance(device, Device)
    moving_s = evidence.sparse.counters.dram_bytes / device.dram.bytes_per_s
    return max(0.0, total_s - max(total_s - lost_s, min(moving_s, total_s)))
