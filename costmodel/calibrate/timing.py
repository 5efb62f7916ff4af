"""Times a call: warmed up, many calls a sample where one is short, median and spread of the samples.

On one thread the clock is the thread's own processor time, so that a busy machine takes samples later, not longer;
with more threads it is the wall clock. Leaves out: what other tenants do to caches, memory and clock, which no clock
takes away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import quantiles
from time import perf_counter, process_time, thread_time

SAMPLE_S = 2e-4  # a sample is at least this long: some 200 times what reading the clock takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How many samples: at least ``least``, at most ``most``, and none more once ``budget_s`` is spent."""

    least: int = 5
    most: int = 25
    budget_s: float = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds of one call: median, tenth and ninetieth percentile of ``samples`` samples of ``calls`` calls.

    ``core_share``: processor time over wall time, all samples; above 1: more than one thread ran.
    """

    median_s: float
    p10_s: float
    p90_s: float
    samples: int
    calls: int
    core_share: float

    @property
    def spread(self) -> float:
        """Width of the middle four fifths of the samples, as a share of the median."""
        return (self.p90_s - self.p10_s) / self.median_s


def timed(call: Callable[[], object], effort: Effort, *, threads: int = 1) -> Timing:
    """Return how long ``call`` takes; the first two calls warm up and count nowhere."""
    call()
    clock = thread_time if threads == 1 else perf_counter
    start = perf_counter()
    call()
    calls = max(1, int(SAMPLE_S / max(perf_counter() - start, 1e-7)))
    found: list[float] = []
    wall_start, core_start = perf_counter(), process_time()
    while len(found) < effort.least or (len(found) < effort.most and perf_counter() - wall_start < effort.budget_s):
        begin = clock()
        for _ in range(calls):
            call()
        found.append((clock() - begin) / calls)
    wall_s, core_s = perf_counter() - wall_start, process_time() - core_start
    return summary(found, calls, core_s / wall_s)


def summary(samples_s: list[float], calls: int, core_share: float) -> Timing:
    """Return the statistics of ``samples_s``, two or more."""
    tenths = quantiles(samples_s, n=10, method="inclusive")
    return Timing(
        median_s=_rounded(tenths[4]),
        p10_s=_rounded(tenths[0]),
        p90_s=_rounded(tenths[8]),
        samples=len(samples_s),
        calls=calls,
        core_share=_rounded(core_share),
    )


def _rounded(value: float) -> float:
    """Six digits: more than any clock here tells."""
    return float(f"{value:.6g}")
