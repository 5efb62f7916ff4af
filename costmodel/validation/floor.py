"""The noise floor: how far apart contributors are who measured the same net on the same silicon with the same runtime.

A model gives one time for a net on a silicon, so it is off from most contributors even where it is right: the error of
the contributors' own centre (the median of the machines) as a prediction of each of them is the floor that a model's
error is printed beside. ``pair_median``: one contributor's row as the prediction of another's, which is larger.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from costmodel.validation.measurement import Key, Measurement

TABLE = "ncnn"  # the one table with several contributors for one silicon


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """Absolute errors of the contributors' centre beside each of them; ``key`` None: over all silicon."""

    key: Key | None
    machines: int
    rows: int
    median: float
    p90: float
    pair_median: float


def floors(rows: Sequence[Measurement]) -> tuple[Floor, ...]:
    """Return the floor of every key that several machines measured, then the one over all of them."""
    by_key: dict[Key, dict[str, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for row in rows:
        if row.table == TABLE:
            by_key[row.key][row.net][row.machine].append(row.seconds)
    found: list[Floor] = []
    every: list[list[float]] = []
    for key, nets in by_key.items():
        shared = [
            [float(np.median(times)) for times in machines.values()] for machines in nets.values() if len(machines) > 1
        ]
        if shared:
            contributors = {machine for machines in nets.values() for machine in machines}
            found.append(_floor(key, len(contributors), shared))
            every += shared
    if every:
        found.append(_floor(None, sum(floor.machines for floor in found), every))
    return tuple(found)


def _floor(key: Key | None, machines: int, nets: Sequence[Sequence[float]]) -> Floor:
    """Return the floor of nets that several machines ran: one list of times for each net."""
    off = [abs(float(np.median(times)) / time - 1) for times in nets for time in times]
    pairs = [abs(a / b - 1) for times in nets for a, b in permutations(times, 2)]
    return Floor(
        key=key,
        machines=machines,
        rows=len(off),
        median=float(np.median(off)),
        p90=float(np.percentile(off, 90)),
        pair_median=float(np.median(pairs)),
    )


def floor_of(key: Key | None, known: Sequence[Floor], *, is_cpu: bool) -> Floor | None:
    """Return the floor of ``key``, else for a CPU the one over all silicon, which is of CPUs; None without any."""
    own = next((floor for floor in known if key is not None and floor.key == key), None)
    return known[-1] if own is None and is_cpu and known else own
