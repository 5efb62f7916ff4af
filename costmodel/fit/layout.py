"""Rows of the fit laid out once: every layer of every row in one column, and which unknown each takes.

Gives the logarithm of predicted over measured and its derivatives, which are written out: a layer's time is the slowest
of compute, caches and memory, plus what starting it costs, and each of those is a power of the unknowns it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costmodel.fit.features import EFFICIENCIES, Parts
from costmodel.validation.measurement import Measurement

Key = tuple[str, str, str, str]  # runtime, core, dtype, parameter
Vector = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
BY_DTYPE = ("gemm", "winograd", "transform", "depthwise", "epilogue")
BY_RUNTIME = ("vector", "cache_share", "memory_share", "overhead_cycles", "thread_cycles", "thread_loss")
OF_CORE = (*EFFICIENCIES, "transform", "epilogue", "overhead_cycles")
COLUMNS = ("kernel", "work", "transform", "epilogue", "rest", "on_chip", "memory", "launched")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured net, taken apart: under which runtime and core; ``unequal``: its threads run on several designs."""

    measured: Measurement
    runtime: str
    core: str
    parts: Parts
    unequal: bool = False


def keys_of(rows: Sequence[Row]) -> list[Key]:
    """Return the unknowns of ``rows``, sorted."""
    found: set[Key] = set()
    for row in rows:
        dtype = row.measured.key.dtype
        found |= {(row.runtime, "", dtype, name) for name in BY_DTYPE}
        found |= {(row.runtime, "", "", name) for name in BY_RUNTIME}
        found |= {("", row.core, "", name) for name in OF_CORE}
    return sorted(found)


def machine_of(row: Row) -> str:
    """Return the contributor's machine of ``row``."""
    return f"{row.measured.table} {row.measured.machine}"


class Layout:
    """``rows`` under unknowns ``keys`` and, after them, an offset for each of ``machines``."""

    def __init__(self, rows: Sequence[Row], keys: Sequence[Key], machines: Sequence[str]) -> None:
        at = {key: index for index, key in enumerate(keys)}
        self._unknowns = len(keys) + len(machines)
        sizes = [len(row.parts.work) for row in rows]
        self._starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        self._row = np.repeat(np.arange(len(rows)), sizes)
        self._column = {name: np.concatenate([getattr(row.parts, name) for row in rows]) for name in COLUMNS}
        self._measured = np.log([row.measured.seconds for row in rows])
        self._offset = np.array([len(keys) + machines.index(machine_of(row)) for row in rows])

        def repeat(values: Sequence[int]) -> Index:
            return np.repeat(np.array(values, dtype=np.int64), sizes)

        self._own: dict[str, Index] = {
            name: repeat([at[(row.runtime, "", row.measured.key.dtype, name)] for row in rows]) for name in BY_DTYPE
        } | {name: repeat([at[(row.runtime, "", "", name)] for row in rows]) for name in BY_RUNTIME}
        self._core: dict[str, Index] = {
            name: repeat([at[("", row.core, "", name)] for row in rows]) for name in OF_CORE
        }
        self._more = repeat([row.measured.key.threads - 1 for row in rows])
        self._cycle = np.repeat([row.parts.cycle_s for row in rows], sizes)
        kernel = self._column["kernel"]
        self._own["kernel"] = np.choose(kernel, [self._own[name] for name in EFFICIENCIES])
        self._core["kernel"] = np.choose(kernel, [self._core[name] for name in EFFICIENCIES])

    def residuals(self, point: Vector, *, offsets: bool = True) -> Vector:
        """Return log(predicted / measured) of each row, its machine's offset added where asked."""
        time, _ = self._times(point, derivatives=False)
        found: Vector = np.log(np.add.reduceat(time, self._starts)) - self._measured
        return found + point[self._offset] if offsets else found

    def jacobian(self, point: Vector) -> Vector:
        """Return the derivatives of ``residuals``, [rows, unknowns]."""
        time, terms = self._times(point, derivatives=True)
        rows = len(self._starts)
        total = np.add.reduceat(time, self._starts)
        found = np.zeros(rows * self._unknowns)
        for index, change in terms:
            found += np.bincount(self._row * self._unknowns + index, weights=change, minlength=len(found))
        matrix = found.reshape(rows, self._unknowns) / total[:, None]
        matrix[np.arange(rows), self._offset] += 1
        return matrix

    def _times(self, point: Vector, *, derivatives: bool) -> tuple[Vector, list[tuple[Index, Vector]]]:
        column = self._column
        share, share_free = self._capped(point, "kernel")
        transform, transform_free = self._capped(point, "transform")
        epilogue = np.exp(point[self._own["epilogue"]] + point[self._core["epilogue"]])
        loss = np.exp(point[self._own["thread_loss"]])
        work, transforms = column["work"] / share, column["transform"] / transform
        finishing = column["epilogue"] * epilogue
        busy = work + transforms + finishing + column["rest"]
        waited = 1 + loss * self._more
        compute = busy * waited
        cache_share = np.minimum(np.exp(point[self._own["cache_share"]]), 1.0)
        on_chip = column["on_chip"] / cache_share
        memory = column["memory"] / np.exp(point[self._own["memory_share"]])
        own_start = np.exp(point[self._own["overhead_cycles"]] + point[self._core["overhead_cycles"]])
        more_start = np.exp(point[self._own["thread_cycles"]]) * self._more
        started = column["launched"] * self._cycle
        bound = np.maximum(np.maximum(compute, on_chip), memory)
        time = bound + started * (own_start + more_start)
        if not derivatives:
            return time, []
        computing = (compute == bound).astype(np.float64)  # 1 where that is the slowest
        cached = (on_chip == bound) * (1 - computing)
        outside = 1 - computing - cached
        waiting = computing * waited
        lost = computing * busy * loss * self._more
        return time, [
            (self._own["kernel"], -waiting * work * share_free),
            (self._core["kernel"], -waiting * work * share_free),
            (self._own["transform"], -waiting * transforms * transform_free),
            (self._core["transform"], -waiting * transforms * transform_free),
            (self._own["epilogue"], waiting * finishing),
            (self._core["epilogue"], waiting * finishing),
            (self._own["thread_loss"], lost),
            (self._own["cache_share"], -cached * on_chip * (cache_share < 1)),
            (self._own["memory_share"], -outside * memory),
            (self._own["overhead_cycles"], started * own_start),
            (self._core["overhead_cycles"], started * own_start),
            (self._own["thread_cycles"], started * more_start),
        ]

    def _capped(self, point: Vector, name: str) -> tuple[Vector, npt.NDArray[np.bool_]]:
        """Return the share that ``name`` reaches, at most 1, and where it is below."""
        free = np.exp(point[self._own[name]] + point[self._core[name]])
        return np.minimum(free, 1.0), free < 1
