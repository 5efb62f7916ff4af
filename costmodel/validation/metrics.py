"""Errors of predictions beside measurements: shares, bias, ranks and the error after one anchor net. Numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
CLOSE = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Of the errors (predicted - measured) / measured of ``rows`` rows; None where too few nets say it.

    ``median`` and ``p90``: of the absolute error; ``within_10``: share of rows; ``bias``: median of the signed error;
    ``rank``: Spearman's correlation over nets; ``anchored``: median absolute error of the other nets after one net has
    set the scale, the median over all choices of that net.
    """

    rows: int
    nets: int
    median: float
    p90: float
    within_10: float
    bias: float
    rank: float | None
    anchored: float | None


def errors(predicted: Sequence[float], measured: Sequence[float], nets: Sequence[str]) -> Errors:
    """Return the errors of ``predicted`` seconds beside ``measured`` ones; sequences of one length, not empty."""
    guess, truth = np.asarray(predicted, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    signed = (guess - truth) / truth
    names = sorted(set(nets))
    places = [np.flatnonzero(np.asarray(nets) == name) for name in names]
    of_net = np.array([np.median(guess[at]) for at in places]), np.array([np.median(truth[at]) for at in places])
    return Errors(
        rows=len(guess),
        nets=len(names),
        median=float(np.median(np.abs(signed))),
        p90=float(np.percentile(np.abs(signed), 90)),
        within_10=float(np.mean(np.abs(signed) <= CLOSE)),
        bias=float(np.median(signed)),
        rank=spearman(*of_net),
        anchored=anchored_error(*of_net),
    )


def ranks(values: npt.ArrayLike) -> FloatArray:
    """Return the ranks of ``values`` from 1; equal values share the mean of their ranks."""
    _, place, count = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    shared: FloatArray = (last - (count - 1) / 2)[place]
    return shared


def spearman(a: npt.ArrayLike, b: npt.ArrayLike) -> float | None:
    """Return Spearman's rank correlation of two equally long sequences; None below three values or without spread."""
    of_a, of_b = ranks(a), ranks(b)
    if len(of_a) < 3 or np.ptp(of_a) == 0 or np.ptp(of_b) == 0:
        return None
    return float(np.corrcoef(of_a, of_b)[0, 1])


def anchored_error(predicted: npt.ArrayLike, measured: npt.ArrayLike) -> float | None:
    """Return the median absolute error after one net has set the scale, over all choices of it; None below three."""
    ratio = np.asarray(predicted, dtype=np.float64) / np.asarray(measured, dtype=np.float64)
    if len(ratio) < 3:
        return None
    off = [np.median(np.abs(np.delete(ratio, at) / ratio[at] - 1)) for at in range(len(ratio))]
    return float(np.median(off))


def weighted_quantile(values: npt.ArrayLike, weights: npt.ArrayLike, share: float) -> float:
    """Return the least value that has at least ``share`` of the weight at or below it."""
    found, weight = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    order = np.argsort(found, kind="stable")
    reached = np.cumsum(weight[order]) / weight.sum()
    return float(found[order][min(int(np.searchsorted(reached, share - 1e-12)), len(found) - 1)])
