"""What the seconds of a roofline are made of: the shares of its bounds that kernels know of. ADR 0030.

A bound that computes (compute, gather, issue) is useful work at the kernel's own pace, and the rest of it the wait for
the fullest unit and the padding. A memory level is weights and activations by the bytes that it serves. Left out: what
a kernel does not know, which its own module says; time of bounds that do not bind, which lies behind the one that does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from simulator.result import TIME

ROUNDED = 1e-9  # by which a share may lie above 1, where sums of floats part
NO_TIME: Mapping[str, float] = dict.fromkeys(TIME, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeParts:
    """Shares of bounds, by the bound's name. ``useful``: of one that computes, without idle units and empty slots; all
    of it where nothing is said. ``weights``: of a memory level, those of the bytes served that are weights and indices.

    ``overhead_s``: of starting the operator, where the bound of that name holds more than this.
    """

    useful: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, float]
    overhead_s: float | None = None


def roofline_time_s(latency_s: float, bounds_s: Mapping[str, float], parts: TimeParts) -> dict[str, float]:
    """Return the seconds of each of TIME; they add up to ``latency_s``."""
    overhead_s = bounds_s.get("overhead", 0.0) if parts.overhead_s is None else parts.overhead_s
    binding, longest_s = "", -1.0
    for name, bound_s in bounds_s.items():
        if bound_s > longest_s and name != "overhead":
            binding, longest_s = name, bound_s
    if binding in parts.weights:
        share, first, rest = parts.weights[binding], "weights", "activations"
    else:
        share, first, rest = parts.useful.get(binding, 1.0), "compute", "imbalance"
    if not 0.0 <= share <= 1.0 + ROUNDED:
        raise AssertionError(f"of the bound {binding} {first} has a share of {share}, and must have 0 to 1")
    body_s = max(latency_s - overhead_s, 0.0)
    first_s = body_s * min(share, 1.0)
    return {**NO_TIME, first: first_s, rest: body_s - first_s, "overhead": overhead_s}
