"""Why a layer got no faster by pruning: eight causes in a fixed order, each a stated inequality. ADR 0028.

A cause holds where its own condition is true and what it takes is more than the gap to the dense time (and 1 % of the
sparse time), or a quarter of the sparse time. What it takes comes from the same models with this one thing taken away;
for padding and imbalance of streams, from the attribution of cycles. Leaves out: causes that no model has, as other
tenants and frequency scaling.
"""

from __future__ import annotations

from collections.abc import Callable

from costmodel.spec import EngineKernel, RooflineDevice
from gatherline.advice.causes_of_masks import bank_conflicts, load_imbalance, padding
from gatherline.advice.counterfactual import with_batch, with_fast_dram
from gatherline.advice.evidence import Evidence, Finding
from gatherline.advice.index_cost import index_bytes
from gatherline.advice.kernels_here import families_with_a_kernel
from gatherline.advice.layer_break_even import break_even_below, own_density
from gatherline.advice.wording import gains, milliseconds, share, verdict_without
from simulator.spec import Device

MORE_SAMPLES = 8
OVERHEAD_SHARE = 0.5  # of the sparse time, from which on starting the operator is most of it


def no_kernel(evidence: Evidence) -> Finding | None:
    """Hold where a mask that removes something runs on a kernel that computes its zeros."""
    sparse, device = evidence.sparse, evidence.device
    on_vectors = isinstance(device, Device) and sparse.kernel == "vector unit"
    if evidence.trace.all_kept or not (on_vectors or (not isinstance(device, Device) and sparse.encoding == "dense")):
        return None
    of_mask = evidence.trace.reason.split("; ")
    said = next((part for part in sparse.reason.split("; ") if "kernel" in part and part not in of_mask), "")
    pattern = evidence.trace.pattern.spelling
    proof = said or f"{device.name} runs {pattern} with {sparse.kernel}, which computes the zeros"
    return Finding(cause="no_kernel", proof=proof, change=_other_patterns(evidence), numbers={"kernel": sparse.kernel})


def _other_patterns(evidence: Evidence) -> str:
    whole = "removing whole channels makes the dense layer smaller"
    if not isinstance(evidence.device, RooflineDevice):
        return whole
    if evidence.device.fabric is not None:
        engines = _engines(evidence, evidence.device)
        return f"an FPGA has one engine for the network, and this one does not take the layer; {engines}; {whole}"
    found = families_with_a_kernel(evidence.request, evidence.layer, evidence.device)
    if not found:
        return f"no pattern has a kernel for this layer here; {whole}"
    return f"patterns with a kernel for this layer here: {', '.join(found)}; {whole}"


def _engines(evidence: Evidence, device: RooflineDevice) -> str:
    """Return the families that an engine can be built for, of those that take the layer's kind and data type."""
    layer, dtype = evidence.layer, evidence.request.dtype
    fit = (one for one in device.kernels if isinstance(one, EngineKernel) and layer.kind in one.kinds)
    families = sorted({name for kernel in fit if dtype in kernel.dtypes for name in kernel.serves})
    return f"an engine for {', '.join(families)} exists" if families else "no engine for another pattern takes it"


def below_break_even(evidence: Evidence) -> Finding | None:
    """Hold where the pattern gains below some density, and the layer keeps more."""
    found = break_even_below(evidence)
    if found is None:
        return None
    best, slower = found
    own, name = own_density(evidence), evidence.trace.pattern.spelling
    asked = f" ({evidence.asked} runs as {name} here)" if evidence.asked not in ("", name) else ""
    return Finding(
        cause="below_break_even",
        proof=f"density {own:.3g} is above the break-even of {name} here, {best.share:.3g}{asked}",
        change=f"at density {best.share:.3g} (--sparsity {1 - best.target:.4g}): "
        f"{verdict_without(best.latency_s, evidence.dense.latency_s)}",
        numbers={
            "own_density": own,
            "break_even_density": best.share,
            "slower_density": slower.share,
            "break_even_target": best.target,
        },
        lost_s=evidence.sparse.latency_s - best.latency_s,
        without_s=best.latency_s,
        dense_without_s=evidence.dense.latency_s,
    )


def overhead(evidence: Evidence) -> Finding | None:
    """Hold where starting the operator takes half of the time, or takes the sparse kernel longer by the gap."""
    if not isinstance(evidence.device, RooflineDevice):
        return None  # a gather machine starts no operators
    sparse_s = evidence.sparse.bounds_s.get("overhead", 0.0)
    dense_s = evidence.dense.bounds_s.get("overhead", 0.0)
    total_s = evidence.sparse.latency_s
    longer = sparse_s - dense_s > evidence.gap_s + 1e-9 * total_s
    if not (longer or sparse_s >= OVERHEAD_SHARE * total_s):
        return None
    more, dense_more = (
        evidence.again(with_batch(evidence.trace, MORE_SAMPLES)),
        evidence.dense_again(with_batch(evidence.dense_trace, MORE_SAMPLES)),
    )
    without, dense_without = total_s - sparse_s, evidence.dense.latency_s - dense_s
    return Finding(
        cause="overhead",
        proof=f"launch and dispatch take {milliseconds(sparse_s)}, {share(sparse_s, total_s)} of the time "
        f"(dense: {milliseconds(dense_s)})",
        change=_less_overhead((without, dense_without), (more, dense_more)),
        numbers={
            "overhead_s": sparse_s,
            "dense_overhead_s": dense_s,
            "batch_times": MORE_SAMPLES,
            "batch_latency_s": more,
            "batch_dense_latency_s": dense_more,
        },
        lost_s=sparse_s,
        without_s=without,
        dense_without_s=dense_without,
    )


def _less_overhead(fused_s: tuple[float, float], batch_s: tuple[float, float]) -> str:
    """Return what of two remedies makes the layer faster than dense; both are (sparse, dense)."""
    fused = f"a fused operator (no launch on either side): {verdict_without(*fused_s)}"
    batch = f"more samples at once: with {MORE_SAMPLES} times the batch {verdict_without(*batch_s)}"
    helps = [text for text, times in ((fused, fused_s), (batch, batch_s)) if gains(*times)]
    return "; ".join(helps) or (
        "nothing tried: without launches, and with more samples at once, its work takes no less than that of dense"
    )


def activation_traffic(evidence: Evidence) -> Finding | None:
    """Hold where the main memory binds, and at least half of what it moves is no weights."""
    counts = evidence.sparse.counters
    moved = counts.dram_bytes
    stored = min(counts.weight_bytes + counts.index_bytes, moved)
    activations = moved - stored
    if not moved or activations < stored:
        return None
    without, dense_without = (
        evidence.again(device=with_fast_dram(evidence.device)),
        evidence.dense_again(device=with_fast_dram(evidence.dense_device)),
    )
    lost = evidence.sparse.latency_s - without
    if not evidence.holds_back(lost):
        return None
    rate = _main_rate(evidence)
    return Finding(
        cause="dram_activations",
        proof=f"activations are {share(activations, moved)} of {moved / 1e6:.3g} MB of DRAM traffic, and "
        f"{milliseconds(lost)} of {milliseconds(evidence.sparse.latency_s)} are waiting for it; "
        f"pruning weights leaves them",
        change=f"with a DRAM that nothing waits for: {verdict_without(without, dense_without)}; keep activations on "
        f"the chip (fusion, a smaller batch), or a DRAM above {rate / 1e9:.3g} GB/s",
        numbers={"activation_dram_bytes": activations, "dram_bytes": moved, "dram_bytes_per_s": rate},
        lost_s=lost,
        without_s=without,
        dense_without_s=dense_without,
    )


def _main_rate(evidence: Evidence) -> int:
    device = evidence.device
    if isinstance(device, Device):
        return device.dram.bytes_per_s
    units = evidence.request.threads if device.static_threads else device.unit_count
    return device.levels[-1].bytes_per_s(units)


Cause = Callable[[Evidence], Finding | None]
CAUSES_IN_ORDER: tuple[Cause, ...] = (
    no_kernel,
    below_break_even,
    index_bytes,
    load_imbalance,
    padding,
    overhead,
    activation_traffic,
    bank_conflicts,
)
