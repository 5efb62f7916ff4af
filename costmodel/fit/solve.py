"""The fit: numbers of runtimes and cores from times of nets, robust against contributors who differ.

Unknowns are logarithms. The residual of a row is log(predicted / measured) plus an offset of its machine, held near 0:
contributors differ on the same silicon by more than nets do, and one of them must not bend a kernel. Core factors are
held near 1, so that a core says what its runtime does not. Rows over cores of unequal designs are predicted by the
slowest one and fit nothing: they would bend the factors of both. Nothing belongs to a net.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from costmodel.fit.layout import Key, Layout, Row, Vector, keys_of, machine_of

START: Mapping[str, float] = {
    "gemm": 0.6,
    "winograd": 0.6,
    "transform": 0.2,
    "depthwise": 0.3,
    "vector": 0.3,
    "epilogue": 4.0,
    "cache_share": 0.7,
    "memory_share": 0.6,
    "overhead_cycles": 3e4,
    "thread_cycles": 3e3,
    "thread_loss": 0.03,
}
RANGE: Mapping[str, tuple[float, float]] = {  # what is possible at all, so that no number stands in for another
    "gemm": (0.05, 1.0),
    "winograd": (0.05, 1.0),
    "transform": (0.03, 1.0),
    "depthwise": (0.05, 1.0),
    "vector": (0.02, 1.0),
    "epilogue": (0.5, 20.0),
    "cache_share": (0.3, 1.0),
    "memory_share": (0.3, 1.2),
    "overhead_cycles": (1e3, 1e5),
    "thread_cycles": (1e2, 3e4),
    "thread_loss": (1e-3, 0.3),
}
OFFSET_RANGE = (0.5, 2.0)
FACTOR_RANGE = (0.25, 4.0)  # of a core
HOLD_NUMBER, HOLD_CORE, HOLD_MACHINE = 0.3, 1.5, 60.0  # inverse standard deviations of the logarithms
ROBUST = 0.15  # residuals beyond it count linearly


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """Fitted ``numbers`` by key, offsets by machine, and the median absolute error of the rows fitted."""

    numbers: Mapping[Key, float]
    offsets: Mapping[str, float]
    error_median: float


def solve(rows: Sequence[Row], evaluations: int = 40) -> Solution:
    """Return the numbers under which ``rows`` are predicted best. Deterministic."""
    rows = [row for row in rows if not row.unequal]
    keys = keys_of(rows)
    machines = sorted({machine_of(row) for row in rows})
    start = np.array([0.0 if core else np.log(START[name]) for _, core, _, name in keys] + [0.0] * len(machines))
    hold = ROBUST * np.array(
        [HOLD_CORE if core else HOLD_NUMBER for _, core, _, _ in keys] + [HOLD_MACHINE] * len(machines)
    )
    layout = Layout(rows, keys, machines)

    def residuals(point: Vector) -> Vector:
        return np.concatenate([layout.residuals(point), hold * (point - start)])

    def jacobian(point: Vector) -> Vector:
        return np.concatenate([layout.jacobian(point), np.diag(hold)])

    ranges = [FACTOR_RANGE if core else RANGE[name] for _, core, _, name in keys] + [OFFSET_RANGE] * len(machines)
    bounds = np.log(np.array(ranges)).T
    found = least_squares(
        residuals, start, jac=jacobian, bounds=bounds, loss="soft_l1", f_scale=ROBUST, max_nfev=evaluations
    )
    errors = np.abs(np.expm1(layout.residuals(found.x, offsets=False)))
    return Solution(
        numbers={key: float(np.exp(value)) for key, value in zip(keys, found.x, strict=False)},
        offsets={name: float(np.exp(value)) for name, value in zip(machines, found.x[len(keys) :], strict=True)},
        error_median=float(np.median(errors)),
    )
