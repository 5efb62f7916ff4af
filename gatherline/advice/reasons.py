"""From the evidence of one layer to its reason: the first cause that holds, and whether it alone is the matter."""

from __future__ import annotations

from dataclasses import dataclass

from gatherline.advice.cause_names import CAUSE_NAMES
from gatherline.advice.causes import CAUSES_IN_ORDER
from gatherline.advice.evidence import Evidence, Finding
from gatherline.advice.wording import milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why one layer is no faster. ``finding`` None: no cause of the list holds, and ``note`` says what binds it.

    ``note`` of a finding: whether it alone is the matter, and which other cause takes more. ``also``: the other cause
    that holds and takes most; None beside a missing kernel, whose zeros every other cause would be of.
    """

    finding: Finding | None
    note: str = ""
    also: Finding | None = None


def reason_of(evidence: Evidence) -> Reason:
    """Return the first cause, in the order of CAUSES_IN_ORDER, that holds."""
    rest = iter(CAUSES_IN_ORDER)
    first = next((found for cause in rest if (found := cause(evidence)) is not None), None)
    if first is None:
        return Reason(finding=None, note=_none(evidence))
    if first.cause == "no_kernel":
        return Reason(finding=first)
    others = [found for cause in rest if (found := cause(evidence)) is not None]
    also = max(others, key=lambda one: one.lost_s or 0.0, default=None)
    return Reason(finding=first, note="" if first.suffices else _not_enough(first, others), also=also)


def _not_enough(first: Finding, others: list[Finding]) -> str:
    text = "without it alone the layer is still no faster"
    measured = [one for one in (first, *others) if one.lost_s is not None]
    largest = max(measured, key=lambda one: one.lost_s or 0.0)
    if not others:
        return f"{text}; no other cause of the list holds"
    if largest is first:
        named = ", ".join(CAUSE_NAMES[one.cause] for one in others)
        return f"{text}; of the causes that hold it takes most, before {named}"
    enough = "would do alone" if largest.suffices else "would not do alone either"
    return f"{text}; {CAUSE_NAMES[largest.cause]} takes most, {milliseconds(largest.lost_s or 0.0)}, and {enough}"


def _none(evidence: Evidence) -> str:
    """Return what binds both and what a kept weight costs, where no cause holds."""
    sparse, dense = evidence.sparse, evidence.dense
    text = f"none of these: {sparse.kernel} is bound by {sparse.bound} ({milliseconds(sparse.bounds_s[sparse.bound])})"
    text += f", dense {dense.kernel} by {dense.bound} ({milliseconds(dense.bounds_s[dense.bound])})"
    if evidence.trace.kept and sparse.latency_s:
        each = sparse.latency_s / evidence.trace.kept
        dense_each = dense.latency_s / evidence.trace.weights_dense
        text += f"; a kept weight takes {each / dense_each:.3g} times as long as one of the dense layer"
    if sparse.cycles is not None and sparse.cycles.lost:
        cause, cycles = max(sparse.cycles.lost.items(), key=lambda item: item[1])
        text += f"; most cycles are lost to {cause}, {cycles:.4g} of {sparse.cycles.total}"
    return text
