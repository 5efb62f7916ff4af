"""Bandwidth by footprint: arrays of growing size are read and copied, and the knees are where it falls.

Leaves out: latency, prefetchers, pages, and writes that bypass the caches; a copy counts what it reads and writes, not
what the cache fetches before it writes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np

from costmodel.calibrate import _memory_kernel as kernel
from costmodel.calibrate.host import Cache
from costmodel.calibrate.timing import Effort, Timing, summary, timed

KNEE = 0.8  # assumed: a level ends where the bandwidth falls below this share of the level's own
CHAIN_CYCLES = 4  # uops.info: IMUL r64 3 cycles and ADD 1, Intel since Nehalem and AMD Zen


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth:
    """Bytes a second at one footprint (of all threads together), and the time of one round over it."""

    kernel: str
    footprint_bytes: int
    moved_bytes: int
    threads: int
    timing: Timing

    @property
    def bytes_per_s(self) -> float:
        return self.moved_bytes / self.timing.median_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Plateau:
    """A level that the measurement shows: up to ``bytes`` (None: the largest footprint) at ``bytes_per_s``."""

    bytes: int | None
    bytes_per_s: int


def footprints(caches: Sequence[Cache], *, available_bytes: int) -> list[int]:
    """Return footprints from 8 KiB on, two an octave, past the last cache where memory allows.

    No footprint takes more than an eighth of ``available_bytes`` or 256 MiB.
    """
    last = max((cache.bytes for cache in caches), default=32 << 20)
    end = min(max(4 * last, 64 << 20), 256 << 20, available_bytes // 8)
    sizes = {int(8192 * 2 ** (step / 2)) // 4096 * 4096 for step in range(64)}
    return sorted(size for size in sizes if 0 < size <= max(end, 16384))


def bandwidths(sizes: Sequence[int], effort: Effort, threads: int) -> Iterator[Bandwidth]:
    """Measure reading and copying at each footprint, on one thread, then reading on all ``threads``."""
    for size in sizes:
        words = np.ones(size // 8, dtype=np.int64)
        rounds = max(1, (1 << 20) // size)
        timing = timed(lambda words=words, rounds=rounds: kernel.read(words, rounds), effort)  # type: ignore[misc]
        yield Bandwidth(
            kernel="memory-read", footprint_bytes=size, moved_bytes=rounds * size // 8 * 8, threads=1, timing=timing
        )
        half, target = words[: words.size // 2].copy(), np.zeros(words.size // 2, dtype=np.int64)
        timing = timed(
            lambda half=half, target=target, rounds=rounds: kernel.copy(half, target, rounds),  # type: ignore[misc]
            effort,
        )
        yield Bandwidth(
            kernel="memory-copy", footprint_bytes=size, moved_bytes=rounds * 2 * half.nbytes, threads=1, timing=timing
        )
        if threads > 1:
            yield _together(size, effort, threads)


def _together(size: int, effort: Effort, threads: int) -> Bandwidth:
    """Every thread reads an array of its own, all at once; the slowest ends the round."""
    arrays = [np.ones(size // 8, dtype=np.int64) for _ in range(threads)]
    rounds = max(1, (1 << 24) // size)
    found = []
    with ThreadPoolExecutor(threads) as pool:
        for turn in range(effort.least + 1):
            start = perf_counter()
            list(pool.map(lambda words: kernel.read(words, rounds), arrays))
            if turn:  # the first warms up
                found.append(perf_counter() - start)
    return Bandwidth(
        kernel="memory-read",
        footprint_bytes=size,
        moved_bytes=threads * rounds * size // 8 * 8,
        threads=threads,
        timing=summary(found, 1, float(threads)),
    )


def plateaus(points: Sequence[Bandwidth]) -> list[Plateau]:
    """Return the levels that reads of one thread show, innermost first; the last has no end.

    A level goes on while the bandwidth stays above ``KNEE`` of the median of its footprints so far; one footprint alone
    between two levels belongs to the outer one.
    """
    rising = sorted(points, key=lambda point: point.footprint_bytes)
    runs: list[list[Bandwidth]] = []
    for point in rising:
        if runs and point.bytes_per_s >= KNEE * median(one.bytes_per_s for one in runs[-1]):
            runs[-1].append(point)
        else:
            runs.append([point])
    merged: list[list[Bandwidth]] = []
    for at, run in enumerate(runs):
        if merged and len(merged[-1]) == 1 and at > 1:
            merged[-1] += run
        else:
            merged.append(run)
    if len(merged) > 1 and len(merged[-1]) == 1:
        alone = merged.pop()
        merged[-1] += alone
    return [
        Plateau(
            bytes=run[-1].footprint_bytes if run is not merged[-1] else None,
            bytes_per_s=int(median(one.bytes_per_s for one in run)),
        )
        for run in merged
    ]


def level_bandwidth(points: Sequence[Bandwidth], least_bytes: int, most_bytes: int) -> int:
    """Return the median bytes a second of the footprints that only a level between the two sizes holds.

    Footprints from twice the inner size (so that the inner level serves at most half) to nine tenths of the outer one;
    where there is none, the nearest footprint stands in.
    """
    inside = [p for p in points if 2 * least_bytes < p.footprint_bytes <= 0.9 * most_bytes]
    if not inside:
        wanted = math.sqrt(max(least_bytes, 8192) * float(most_bytes))
        inside = [min(points, key=lambda p: abs(math.log(p.footprint_bytes / wanted)))]
    return int(median(point.bytes_per_s for point in inside))


def measured_clock_hz(effort: Effort) -> int:
    """Return the clock that a chain of dependent instructions shows; its cycles are known for x86-64 only."""
    steps = 200_000
    timing = timed(lambda: kernel.chain(steps, np.int64(0x5DEECE66D), np.int64(11)), effort)
    return int(steps * CHAIN_CYCLES / timing.p10_s)
