"""The fit of mobile GPUs: numbers of runtimes and factors of GPU families from times of nets.

Unknowns are logarithms, each held near where it starts, so that a runtime with few rows says little. The loss is
linear beyond a tenth or so, so that one contributor, or one net, cannot bend a kernel. Nothing belongs to a net or to
one GPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from costmodel.fit.mobile_gpu_parts import EFFICIENCIES, KERNELS, NAMES, GpuRow

Key = tuple[str, str, str, str]  # runtime, family, dtype, parameter
Vector = npt.NDArray[np.float64]
START: Mapping[str, float] = {
    "pointwise": 0.6,
    "gemm": 0.6,
    "window_share": 0.7,
    "linear_share": 0.5,
    "winograd": 0.5,
    "depthwise": 0.4,
    "transform": 0.3,
    "cache_share": 0.5,
    "memory_share": 0.6,
    "launch_us": 60.0,
    "fill": 0.5,
}
RANGE: Mapping[str, tuple[float, float]] = {  # what is possible at all, so that no number stands in for another
    "pointwise": (0.03, 1.0),
    "gemm": (0.03, 1.0),
    "window_share": (0.1, 1.0),
    "linear_share": (0.05, 1.0),
    "winograd": (0.03, 1.0),
    "depthwise": (0.02, 1.0),
    "transform": (0.02, 1.0),
    "cache_share": (0.05, 1.0),
    "memory_share": (0.2, 1.0),
    "launch_us": (3.0, 400.0),
    "fill": (0.02, 1.0),
}
FACTOR_RANGE = (0.2, 5.0)  # of a family
BY_DTYPE = EFFICIENCIES
BY_RUNTIME = ("window_share", "linear_share", "transform", "cache_share", "memory_share", "launch_us", "fill")
OF_FAMILY = ("cache_share",)  # one factor a family: further ones did not help GPUs left out of the fit
HOLD_NUMBER, HOLD_FAMILY = 1.0, 2.0  # inverse standard deviations of the logarithms
ROBUST = 0.15  # residuals beyond it count linearly


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSolution:
    """Fitted ``numbers`` by key, and the median absolute error of the rows fitted."""

    numbers: Mapping[Key, float]
    error_median: float


def keys_of(rows: Sequence[GpuRow]) -> list[Key]:
    """Return the unknowns of ``rows``, sorted."""
    found: set[Key] = set()
    for row in rows:
        found |= {(row.runtime, "", row.measured.key.dtype, name) for name in BY_DTYPE}
        found |= {(row.runtime, "", "", name) for name in BY_RUNTIME}
        found |= {("", row.family, "", name) for name in OF_FAMILY}
    return sorted(found)


def solve_gpus(rows: Sequence[GpuRow], evaluations: int = 40) -> GpuSolution:
    """Return the numbers under which ``rows`` are predicted best. Deterministic."""
    keys = keys_of(rows)
    start = np.array([0.0 if family else np.log(START[name]) for _, family, _, name in keys])
    hold = np.array([HOLD_FAMILY if family else HOLD_NUMBER for _, family, _, _ in keys])
    measured = np.log([row.measured.seconds for row in rows])
    table = _Table(rows)
    places = {key: at for at, key in enumerate(keys)}
    own = {name: np.array([places[_key(row, name)] for row in rows]) for name in START}
    families = {name: np.array([places[("", row.family, "", name)] for row in rows]) for name in OF_FAMILY}

    def residuals(point: Vector) -> Vector:
        values = {name: point[at] + (point[families[name]] if name in families else 0.0) for name, at in own.items()}
        predicted = table.seconds({name: np.exp(value) for name, value in values.items()})
        return np.concatenate([np.log(predicted) - measured, ROBUST * hold * (point - start)])

    ranges = [FACTOR_RANGE if family else RANGE[name] for _, family, _, name in keys]
    found = least_squares(
        residuals, start, bounds=np.log(np.array(ranges)).T, loss="soft_l1", f_scale=ROBUST, max_nfev=evaluations
    )
    numbers = {key: float(np.exp(value)) for key, value in zip(keys, found.x, strict=True)}
    errors = np.abs(predictions(rows, numbers) / np.exp(measured) - 1)
    return GpuSolution(numbers=numbers, error_median=float(np.median(errors)))


def _key(row: GpuRow, name: str) -> Key:
    return (row.runtime, "", row.measured.key.dtype if name in BY_DTYPE else "", name)


def predictions(rows: Sequence[GpuRow], numbers: Mapping[Key, float]) -> Vector:
    """Return the seconds of ``rows`` under ``numbers``; what a runtime has no number for is the mean of the others'."""
    values = {name: np.array([_value(row, name, numbers) for row in rows]) for name in START}
    return _Table(rows).seconds(values)


def _value(row: GpuRow, name: str, numbers: Mapping[Key, float]) -> float:
    value = numbers.get(_key(row, name)) or mean_of(numbers, name, _key(row, name)[2])
    return value * numbers.get(("", row.family, "", name), 1.0)


def mean_of(numbers: Mapping[Key, float], name: str, dtype: str) -> float:
    """Return the geometric mean of the runtimes' numbers; of all data types where none has this one."""
    own = [value for (runtime, _, kind, key), value in numbers.items() if runtime and key == name and kind == dtype]
    own = own or [value for (runtime, _, _, key), value in numbers.items() if runtime and key == name]
    return float(np.exp(np.mean(np.log(own)))) if own else START[name]


class _Table:
    """Rows laid out once: every layer of every row in one column."""

    def __init__(self, rows: Sequence[GpuRow]) -> None:
        sizes = [len(row.parts) for row in rows]
        self._starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        self._row = np.repeat(np.arange(len(rows)), sizes)
        parts = np.concatenate([row.parts for row in rows])
        self._part = dict(zip(NAMES, parts.T, strict=True))
        self._kernel = self._part["kernel"].astype(np.int64)

    def seconds(self, values: Mapping[str, Vector]) -> Vector:
        """Return the time of each row under its own ``values``, [rows] of each number."""
        part, row = self._part, self._row
        own = {name: (value if name == "launch_us" else np.minimum(value, 1.0))[row] for name, value in values.items()}
        one = np.ones(len(row))
        rate = {name: own["gemm" if name == "linear" else name] for name in KERNELS}
        path = {"gemm": own["window_share"], "linear": own["linear_share"]}
        share = np.choose(self._kernel, [*rate.values(), one])
        reached = np.choose(self._kernel, [*(path.get(name, one) for name in KERNELS), one])
        compute = np.maximum(part["work"], part["floor"] * own["fill"]) / share
        compute += part["transform"] / own["transform"] + part["rest"]
        time = np.maximum(compute, part["on_chip"] / (own["cache_share"] * reached))
        time = np.maximum(time, part["memory"] / (own["memory_share"] * reached))
        found: Vector = np.add.reduceat(time + part["launches"] * own["launch_us"] * 1e-6, self._starts)
        return found
