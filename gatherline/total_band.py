"""The error band of a network from those of its layers. DESIGN section 7.

The ends are summed: errors of the layers are taken to go the same way, all too fast or all too slow. That is exact
for layers of one kernel family, whose band is one of whole networks, and the widest that several families can mean.
Layers without a band (nobody timed a pool on this host) are taken to be as uncertain as the worst of those with one,
as long as bands cover half of the time; else the total has none (DEVIATIONS 16). Left out: errors that cancel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simulator.result import LayerResult

LEAST_COVERED = 0.5  # of the predicted time, chosen: below it the band would be mostly of layers that have none
NAMED = 3
NOT_VALIDATED = "not validated"


@dataclass(frozen=True, slots=True, kw_only=True)
class TotalBand:
    """``validated``: what stands behind the ends; ``note``: why there are none although layers have some."""

    low_s: float | None = None
    high_s: float | None = None
    validated: str = NOT_VALIDATED
    note: str = ""


def total_band(results: Sequence[LayerResult]) -> TotalBand:
    """Return the band of the sum of ``results``."""
    timed = [result for result in results if result.latency_s > 0]
    ends = [(one.latency_s, one.latency_low_s, one.latency_high_s) for one in timed]
    banded = [(time, low, high) for time, low, high in ends if low is not None and high is not None]
    whole, covered = sum(time for time, _, _ in ends), sum(time for time, _, _ in banded)
    if not banded:
        return TotalBand()
    share = covered / whole
    if share < LEAST_COVERED:
        return TotalBand(note=f"no error band: those of layers cover {share:.0%} of the time, less than half")
    rest = sum(time for time, low, _ in ends if low is None)
    lowest = min(low / time for time, low, _ in banded)
    highest = max(high / time for time, _, high in banded)
    texts = dict.fromkeys(one.validated for one in timed if one.latency_low_s is not None)
    if rest:
        texts[f"{share:.0%} of the time; {_kinds(timed)} not validated, taken to be as uncertain as the worst"] = None
    return TotalBand(
        low_s=sum(low for _, low, _ in banded) + rest * lowest,
        high_s=sum(high for _, _, high in banded) + rest * highest,
        validated="; ".join(texts),
    )


def extrapolated_note(results: Sequence[LayerResult]) -> str:
    """Return how many layers, and which, are beyond what was validated, "" for none."""
    names = [result.layer for result in results if result.extrapolated]
    if not names:
        return ""
    shown = ", ".join([*names[:NAMED], *(["..."] if len(names) > NAMED else [])])
    return f"extrapolated in {len(names)} of {len(results)} layers ({shown})"


def _kinds(results: Sequence[LayerResult]) -> str:
    return ", ".join(dict.fromkeys(result.kind for result in results if result.latency_low_s is None))
