"""What is said of predictions beside measurements: median, 90th percentile, share within 10 %, bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Of ``rows`` predictions: |predicted - measured| / measured, and the median of it with its sign.

    ``spread``: the median spread of the measurements themselves, below which no model can be told apart.
    """

    rows: int
    median: float
    p90: float
    within_tenth: float
    bias: float
    spread: float


def errors(predicted_s: Sequence[float], measured_s: Sequence[float], spreads: Sequence[float]) -> Errors:
    """Return the errors of one or more predictions."""
    signed = np.asarray(predicted_s, dtype=np.float64) / np.asarray(measured_s, dtype=np.float64) - 1.0
    size = np.abs(signed)
    return Errors(
        rows=len(size),
        median=float(np.median(size)),
        p90=float(np.quantile(size, 0.9)),
        within_tenth=float(np.mean(size <= 0.1)),
        bias=float(np.median(signed)),
        spread=float(np.median(spreads)),
    )
