"""CPU seconds that each pattern takes for one matrix: project, check, explain and project within its own mask.

Run: ``python -m benchmarks.projections [ROWS COLUMNS [PATTERN ...]]``.

5000 x 5004 Gaussian weights (25 M) by default, at 90 %, 95 % within; kernels are compiled beforehand.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from patterns.catalog import ALL_PATTERNS, parse_pattern

FURTHER = ("n_of_m:8,16", "n_of_m:512,1024", "n_of_m_both:4,8", "n_of_m_both:8,16", "block_punched:8", "gs:16,16")
Result = TypeVar("Result")


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """Return what ``work`` returns, and its CPU seconds."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def main() -> None:
    rows, columns = (int(text) for text in sys.argv[1:3]) if len(sys.argv) > 2 else (5000, 5004)
    spellings = sys.argv[3:] or [*(kind.example for kind in ALL_PATTERNS), *FURTHER]
    scores = np.abs(np.random.default_rng(0).standard_normal((1, rows, columns), dtype=np.float32))
    print(f"{'pattern':22}{'project':>9}{'check':>9}{'explained':>11}{'within':>9}{'density':>9}{'kept |w|':>10}")
    for spelling in spellings:
        pattern = parse_pattern(spelling)
        small = np.ascontiguousarray(scores[:, :64, :144])
        compiled = pattern.project(small, 0.75)
        pattern.check(compiled), pattern.explained(compiled)
        mask, project_s = timed(lambda: pattern.project(scores, 0.9))  # noqa: B023
        _, check_s = timed(lambda: pattern.check(mask))  # noqa: B023
        _, explained_s = timed(lambda: pattern.explained(mask))  # noqa: B023
        within = "-"
        if pattern.nests:
            pattern.project_within(small, 0.75, compiled)
            within = f"{timed(lambda: pattern.project_within(scores, 0.95, mask))[1]:.2f}"  # noqa: B023
        share = scores[mask].sum(dtype=np.float64) / scores.sum(dtype=np.float64)
        times = f"{project_s:9.2f}{check_s:9.2f}{explained_s:11.2f}{within:>9}"
        print(f"{spelling:22}{times}{mask.mean():9.4f}{share:10.4f}", flush=True)


if __name__ == "__main__":
    main()
