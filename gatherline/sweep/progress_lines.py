"""Progress of a sweep where nobody watches a terminal: a line a minute on standard error, for logs and batch jobs.

Told when a task ends, so a line may come late where tasks are long. Left out: bars (``gatherline/progress.py``).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from gatherline.progress import Progress, RichProgress
from gatherline.sweep.dry_run import duration

EVERY_S = 60.0


class ProgressLines:
    """Writes how many points are over, how fast they went since the last line, and about how long the rest takes."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic, every_s: float = EVERY_S) -> None:
        self._stream, self._clock, self._every_s = stream, clock, every_s
        self._total = self._done = self._told = 0
        self._last_s = 0.0

    def start(self, total: int, what: str) -> None:
        """Begin to count to ``total``."""
        self._total, self._done, self._told, self._last_s = total, 0, 0, self._clock()

    def step(self, what: str, count: int = 1) -> None:
        """Count points that are over; write a line where the last one is long ago."""
        self._done += count
        now_s = self._clock()
        if now_s - self._last_s < self._every_s:
            return
        rate = (self._done - self._told) / (now_s - self._last_s)
        left = f", about {duration((self._total - self._done) / rate)} left" if rate else ""
        print(f"{self._done:,} of {self._total:,} points, {rate:.3g} a second{left}", file=self._stream, flush=True)
        self._told, self._last_s = self._done, now_s

    def stop(self) -> None:
        """Write nothing: the sweep says how it went."""


def sweep_progress() -> Progress:
    """Return a bar where standard error is a terminal, else lines."""
    return RichProgress() if sys.stderr.isatty() else ProgressLines(sys.stderr)
