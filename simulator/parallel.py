"""Independent work on several threads, results in the order of the work, so that they are the same on any number.

The compiled kernels run without the interpreter's lock, all else holds it: threads gain what the kernels take.
Leaves out: processes, and which work is independent.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
THREADS = "GATHERLINE_THREADS"  # an environment variable: threads beside the one that asks for the results; 1 is none
MOST_THREADS = 64


class ThreadCountError(ValueError):
    """A number of threads that cannot be: one line naming the variable, its value and the rule."""


def thread_count() -> int:
    """Return how many threads work: as the environment says, or one a processor. Raises ThreadCountError."""
    asked = os.environ.get(THREADS, "")
    if not asked:
        return min(os.cpu_count() or 1, MOST_THREADS)
    if not asked.isascii() or not asked.isdigit() or not 1 <= int(asked) <= MOST_THREADS:
        raise ThreadCountError(f"{THREADS} is {asked!r}, and must be a whole number from 1 to {MOST_THREADS}")
    return int(asked)


def in_order(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield ``work(item)`` of each item, in their order; at most twice ``threads`` items are under way or done ahead.

    Items are made by the caller's thread. The first exception in the order of the items is raised, as without threads,
    and no item after the ones under way is begun.
    """
    if threads == 1:
        yield from map(work, items)
        return
    ahead: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                ahead.append(pool.submit(work, item))
                if len(ahead) >= 2 * threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
