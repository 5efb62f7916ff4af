"""The fit: numbers of runtimes and cores from times of nets, robust against contributors who differ.

Unknowns are logarithms. The residual of a row is log(predicted / measured) plus an offset of its machine, held near 0:
contributors differ on the same silicon by more than nets do, and one of them must not bend a kernel. Core factors are
held near 1, so that a core says what its runtime does not. Nothing belongs to a net.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from costmodel.fit.features import EFFICIENCIES, Parts
from costmodel.validation.measurement import Measurement

Key = tuple[str, str, str, str]  # runtime, core, dtype, parameter
Vector = npt.NDArray[np.float64]
START: Mapping[str, float] = {
    "gemm": 0.6,
    "winograd": 0.6,
    "transform": 0.2,
    "depthwise": 0.3,
    "epilogue": 4.0,
    "cache_share": 0.7,
    "memory_share": 0.6,
    "overhead_cycles": 3e4,
    "thread_cycles": 3e3,
    "thread_loss": 0.1,
}
RANGE: Mapping[str, tuple[float, float]] = {  # what is possible at all, so that no number stands in for another
    "gemm": (0.05, 1.0),
    "winograd": (0.05, 1.0),
    "transform": (0.03, 1.0),
    "depthwise": (0.05, 1.0),
    "epilogue": (0.5, 20.0),
    "cache_share": (0.3, 1.0),
    "memory_share": (0.3, 1.2),
    "overhead_cycles": (1e3, 1e5),
    "thread_cycles": (1e2, 3e4),
    "thread_loss": (1e-3, 0.3),
}
OFFSET_RANGE = (0.5, 2.0)
FACTOR_RANGE = (0.25, 4.0)  # of a core
BY_DTYPE = ("gemm", "winograd", "transform", "depthwise", "epilogue")
BY_RUNTIME = ("cache_share", "memory_share", "overhead_cycles", "thread_cycles", "thread_loss")
OF_CORE = (*EFFICIENCIES, "transform", "epilogue", "overhead_cycles")
HOLD_NUMBER, HOLD_CORE, HOLD_MACHINE = 0.3, 3.0, 60.0  # inverse standard deviations of the logarithms
ROBUST = 0.15  # residuals beyond it count linearly


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured net, taken apart: under which runtime and core, on how many threads."""

    measured: Measurement
    runtime: str
    core: str
    parts: Parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Fitted ``numbers`` by key, offsets by machine, and the median absolute error of the rows fitted."""

    numbers: Mapping[Key, float]
    offsets: Mapping[str, float]
    error_median: float


def keys_of(rows: Sequence[Row]) -> list[Key]:
    """Return the unknowns of ``rows``, sorted."""
    found: set[Key] = set()
    for row in rows:
        dtype = row.measured.key.dtype
        found |= {(row.runtime, "", dtype, name) for name in BY_DTYPE}
        found |= {(row.runtime, "", "", name) for name in BY_RUNTIME}
        found |= {("", row.core, "", name) for name in OF_CORE}
    return sorted(found)


def solve(rows: Sequence[Row], evaluations: int = 40) -> Solution:
    """Return the numbers under which ``rows`` are predicted best. Deterministic."""
    keys = keys_of(rows)
    machines = sorted({_machine(row) for row in rows})
    start = np.array([0.0 if core else np.log(START[name]) for _, core, _, name in keys] + [0.0] * len(machines))
    hold = [HOLD_CORE if core else HOLD_NUMBER for _, core, _, _ in keys] + [HOLD_MACHINE] * len(machines)
    table = _Table(rows, keys, machines)

    def residuals(point: Vector) -> Vector:
        return np.concatenate([table.residuals(point), ROBUST * np.array(hold) * (point - start)])

    ranges = [FACTOR_RANGE if core else RANGE[name] for _, core, _, name in keys] + [OFFSET_RANGE] * len(machines)
    bounds = np.log(np.array(ranges)).T
    found = least_squares(
        residuals,
        start,
        bounds=bounds,
        jac_sparsity=table.sparsity(len(start)),
        loss="soft_l1",
        f_scale=ROBUST,
        max_nfev=evaluations,
    )
    errors = np.abs(np.expm1(table.residuals(found.x, offsets=False)))
    return Solution(
        numbers={key: float(np.exp(value)) for key, value in zip(keys, found.x, strict=False)},
        offsets={name: float(np.exp(value)) for name, value in zip(machines, found.x[len(keys) :], strict=True)},
        error_median=float(np.median(errors)),
    )


def _machine(row: Row) -> str:
    return f"{row.measured.table} {row.measured.machine}"


class _Table:
    """Rows laid out once: every layer of every row in one column, and which unknown each takes."""

    def __init__(self, rows: Sequence[Row], keys: Sequence[Key], machines: Sequence[str]) -> None:
        at = {key: index for index, key in enumerate(keys)}
        sizes = [len(row.parts.work) for row in rows]
        self._starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        self._column = {
            name: np.concatenate([getattr(row.parts, name) for row in rows])
            for name in ("kernel", "work", "transform", "epilogue", "rest", "on_chip", "memory", "launched")
        }
        self._measured = np.log([row.measured.seconds for row in rows])
        self._offset = np.array([len(keys) + machines.index(_machine(row)) for row in rows])

        def repeat(values: Sequence[float]) -> npt.NDArray[np.int64]:
            return np.repeat(np.array(values, dtype=np.int64), sizes)

        dtype = [row.measured.key.dtype for row in rows]
        self._of_kernel = [
            (
                repeat([at[(row.runtime, "", kind, name)] for row, kind in zip(rows, dtype, strict=True)]),
                repeat([at[("", row.core, "", name)] for row in rows]),
            )
            for name in EFFICIENCIES
        ]
        self._of = {
            name: repeat([at[(row.runtime, "", kind, name)] for row, kind in zip(rows, dtype, strict=True)])
            for name in ("transform", "epilogue")
        }
        self._of |= {name: repeat([at[(row.runtime, "", "", name)] for row in rows]) for name in BY_RUNTIME}
        self._of_core = {
            name: repeat([at[("", row.core, "", name)] for row in rows]) for name in OF_CORE if name not in EFFICIENCIES
        }
        self._more = repeat([row.measured.key.threads - 1 for row in rows])
        self._cycle = np.repeat([row.parts.cycle_s for row in rows], sizes)

    def sparsity(self, unknowns: int) -> npt.NDArray[np.int8]:
        """Return which unknowns each residual depends on, those that hold the unknowns included."""
        depends = np.zeros((len(self._starts) + unknowns, unknowns), dtype=np.int8)
        rows = np.arange(len(self._starts))
        for index in (
            *self._of.values(),
            *self._of_core.values(),
            *(each for pair in self._of_kernel for each in pair),
        ):
            depends[rows, index[self._starts]] = 1
        depends[rows, self._offset] = 1
        depends[len(rows) :] = np.eye(unknowns, dtype=np.int8)
        return depends

    def residuals(self, point: Vector, *, offsets: bool = True) -> Vector:
        """Return log(predicted / measured) of each row, its machine's offset added where asked."""
        value = {name: np.exp(point[index]) for name, index in self._of.items()}
        for name, index in self._of_core.items():
            value[name] = value[name] * np.exp(point[index])
        column = self._column
        share = np.ones_like(column["work"])
        for kind, (own, core) in enumerate(self._of_kernel):
            taken = column["kernel"] == kind
            share[taken] = np.minimum(np.exp(point[own[taken]] + point[core[taken]]), 1.0)
        compute = column["work"] / share + column["transform"] / np.minimum(value["transform"], 1.0)
        compute += column["epilogue"] * value["epilogue"] + column["rest"]
        compute *= 1 + value["thread_loss"] * self._more
        time = np.maximum(compute, column["on_chip"] / np.minimum(value["cache_share"], 1.0))
        time = np.maximum(time, column["memory"] / value["memory_share"])
        started = value["overhead_cycles"] + value["thread_cycles"] * self._more
        time += column["launched"] * started * self._cycle
        found: Vector = np.log(np.add.reduceat(time, self._starts)) - self._measured
        return found + point[self._offset] if offsets else found
