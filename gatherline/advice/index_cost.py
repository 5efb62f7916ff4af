"""The cause of index bytes: what indices and pointers take of the time, by the same models with other widths. ADR 0028.

On a roofline every bound is a straight line in the bytes of an index, so its slope, from another width, gives the time
without any. A cycle-level machine reads indices with the values: without them its weight buffer brings groups faster,
and the DRAM moves fewer bytes.
"""

from __future__ import annotations

from costmodel.spec import RooflineDevice
from gatherline.advice.counterfactual import other_index_width, other_pointer_width, with_faster_weight_buffer
from gatherline.advice.evidence import Evidence, Finding
from gatherline.advice.wording import gains, milliseconds, verdict_without
from gatherline.pipeline import run_layer
from simulator.result import LayerResult
from simulator.spec import Device


def index_bytes(evidence: Evidence) -> Finding | None:
    """Hold where indices are at least the values, or at least what was saved, and the time they take matters."""
    counts = evidence.sparse.counters
    saved = evidence.dense_bytes - counts.weight_bytes
    if not counts.index_bytes or counts.index_bytes < min(counts.weight_bytes, saved):
        return None
    dense_s = evidence.dense.latency_s
    without = _seconds(evidence, left=0)
    lost = evidence.sparse.latency_s - without
    if not evidence.holds_back(lost):
        return None
    narrow = _seconds(evidence, left=1)
    return Finding(
        cause="index_bytes",
        proof=f"{counts.index_bytes / 1e3:.4g} kB of indices beside {counts.weight_bytes / 1e3:.4g} kB of values "
        f"(dense: {evidence.dense_bytes / 1e3:.4g} kB); they take {milliseconds(lost)}",
        change=_fewer(narrow, without, dense_s),
        numbers={
            "index_bytes": counts.index_bytes,
            "weight_bytes": counts.weight_bytes,
            "dense_weight_bytes": evidence.dense_bytes,
            "narrow_latency_s": narrow,
        },
        lost_s=lost,
        without_s=without,
        dense_without_s=dense_s,
    )


def _fewer(narrow_s: float, without_s: float, dense_s: float) -> str:
    """Return what fewer bytes do; those that are not enough are told only where nothing is."""
    found = (
        (f"8-bit indices (as distances): {verdict_without(narrow_s, dense_s)}", narrow_s),
        (f"none at all: {verdict_without(without_s, dense_s)}", without_s),
    )
    helps = [text for text, seconds in found if gains(seconds, dense_s)] or [text for text, _ in found]
    return "; ".join([*helps, "blocks or N:M share or shorten them"])


def _seconds(evidence: Evidence, *, left: int) -> float:
    """Return the sparse time with ``left`` bytes an index, and with pointers where any are left."""
    device = evidence.device
    if isinstance(device, Device):
        return _of_machine(evidence, device, left / device.widths.index_bytes)
    kernel = next((one for one in device.kernels if one.name == evidence.sparse.kernel), None)
    if kernel is None or kernel.index_bytes < left:
        return evidence.sparse.latency_s
    bounds = dict(evidence.sparse.bounds_s)
    removed = [(*other_index_width(device, kernel.name), kernel.index_bytes - left)]
    removed += [] if left else [(*other_pointer_width(device, kernel.name), kernel.pointer_bytes)]
    for other, step, count in removed:
        found = _bounds(evidence, other)
        for name, value in evidence.sparse.bounds_s.items():
            bounds[name] -= count * (found.get(name, value) - value) / step
    longest = max(value for name, value in bounds.items() if name != "overhead")
    return max(longest, 0.0) + max(bounds.get("overhead", 0.0), 0.0)


def _bounds(evidence: Evidence, device: RooflineDevice) -> dict[str, float]:
    result: LayerResult = run_layer(evidence.request, evidence.trace, device, {})
    return dict(result.bounds_s)


def _of_machine(evidence: Evidence, device: Device, share_left: float) -> float:
    """Return the time with ``share_left`` of the index bytes; they go from what waits for the DRAM, too."""
    counts, cycles = evidence.sparse.counters, evidence.sparse.cycles
    assert cycles is not None
    gone = counts.index_bytes * (1 - share_left)
    stored = counts.weight_bytes + counts.index_bytes
    faster = with_faster_weight_buffer(device, stored / (stored - gone)) if gone < stored else device
    seconds = evidence.again(device=faster)
    waited = cycles.lost.get("dram", 0.0) / device.clock_hz
    return seconds - min(waited, gone / device.dram.bytes_per_s)
