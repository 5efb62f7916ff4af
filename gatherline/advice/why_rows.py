"""The rows of ``why.csv``: one for each layer with weights, and a total with what each reason is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

from gatherline.advice.reasons import Reason
from gatherline.advice.wording import milliseconds
from gatherline.report.columns import TOTAL
from simulator.result import LayerResult
from traces.trace import LayerTrace

Row = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyFacts:
    """What all rows of one level on one device share."""

    model: str
    pattern: str
    sparsity: float | None
    device: str
    device_kind: str
    dtype: str
    threads: int
    synthetic: bool

    def columns(self, layer: str) -> Row:
        return {
            "model": self.model,
            "layer": layer,
            "pattern": self.pattern,
            "sparsity_target": self.sparsity,
            "device": self.device,
            "device_kind": self.device_kind,
            "dtype": self.dtype,
            "threads": self.threads,
            "synthetic": self.synthetic,
        }


def layer_row(
    facts: WhyFacts, trace: LayerTrace, sparse: LayerResult, dense: LayerResult, verdict: str, why: Reason | None = None
) -> Row:
    """Return the row of one layer. ``verdict``: "faster", "kept" (not pruned) or "not faster", and then ``why``."""
    finding = None if why is None else why.finding
    cause = "" if why is None else "none" if finding is None else finding.cause
    counts, cycles = sparse.counters, sparse.cycles
    return {
        **facts.columns(sparse.layer),
        "kind": sparse.kind,
        "m": sparse.m,
        "k": sparse.k,
        "p": sparse.p,
        "layer_pattern": trace.pattern.spelling,
        "density": sparse.density,
        "verdict": verdict,
        "dense_latency_s": dense.latency_s,
        "latency_s": sparse.latency_s,
        "cause": cause or None,
        "proof": finding.proof if finding else why.note if why else None,
        "change": finding.change if finding else None,
        **_also(why, sparse.latency_s - dense.latency_s),
        "note": why.note if why and finding else trace.reason or None if verdict == "kept" else None,
        "lost_s": finding.lost_s if finding else None,
        "without_s": finding.without_s if finding else None,
        "dense_without_s": finding.dense_without_s if finding else None,
        "suffices": finding.suffices if finding else None,
        "numbers": dict(finding.numbers) if finding else None,
        "kernel": sparse.kernel or None,
        "dense_kernel": dense.kernel or None,
        "bound": sparse.bound or None,
        "dense_bound": dense.bound or None,
        "weight_bytes": counts.weight_bytes,
        "index_bytes": counts.index_bytes,
        "dense_weight_bytes": dense.counters.weight_bytes,
        "slots": counts.slots,
        "kept": trace.kept,
        "macs_issued": counts.macs_issued,
        "macs_effectual": counts.macs_effectual,
        "dram_bytes": counts.dram_bytes,
        "cycles": None if cycles is None else cycles.total,
        "conflict_cycles": None if cycles is None else cycles.conflict,
        "validated": sparse.validated,
        "dense_validated": dense.validated,
    }


def _also(why: Reason | None, gap_s: float) -> Row:
    """Return the columns of the other cause that takes most."""
    also = None if why is None else why.also
    if also is None:
        return dict.fromkeys(("also_reason", "also_number", "also_change"))
    lost_s = also.lost_s or 0.0
    beside = "more than the gap to dense" if lost_s > gap_s else "of the gap to dense"
    return {
        "also_reason": also.cause,
        "also_number": f"{also.proof}; takes {milliseconds(lost_s)}, {beside} ({milliseconds(gap_s)})",
        "also_change": also.change,
    }


def total_row(facts: WhyFacts, rows: Sequence[Row], *, dense_s: float, latency_s: float) -> Row:
    """Return the total: all layers of the network, how many got faster, and the reasons by the time they hold.

    ``numbers`` maps each reason to its layers and to the time of those layers, the most first.
    """
    by_cause: dict[str, list[float]] = {}
    for row in rows:
        if row["verdict"] == "not faster":
            by_cause.setdefault(str(row["cause"]), []).append(float(str(row["latency_s"])))
    ranked = sorted(by_cause.items(), key=lambda item: (-fsum(item[1]), item[0]))
    verdicts = [row["verdict"] for row in rows]
    blank = dict.fromkeys(rows[0]) if rows else {}
    return {
        **blank,
        **facts.columns(TOTAL),
        "kind": TOTAL,
        "verdict": "faster" if latency_s < dense_s else "not faster",
        "dense_latency_s": dense_s,
        "latency_s": latency_s,
        "cause": ranked[0][0] if ranked else None,
        "numbers": {
            "layers": len(rows),
            "faster": verdicts.count("faster"),
            "kept": verdicts.count("kept"),
            "not_faster": verdicts.count("not faster"),
            "reasons": {cause: {"layers": len(seconds), "latency_s": fsum(seconds)} for cause, seconds in ranked},
        },
    }
