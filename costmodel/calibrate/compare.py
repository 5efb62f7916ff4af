"""Predictions of a device beside a table's measurements, through the same front door that users take.

The mask of each row is made again from its pattern, density and seed (for a GPU's rows, whose weights were drawn there,
another draw of the same kind). A measurement on warm operands that fit the last
on-chip level moves nothing from the main memory, so that bound is left out of its prediction; cold ones keep it.
Leaves out: rows of memory bandwidth, which are inputs of a device, not predictions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from costmodel.calibrate.errors import Errors, errors
from costmodel.calibrate.grid import Weights
from costmodel.calibrate.operators import CalibrationError
from costmodel.calibrate.table import FIRST_LINE, Measurement, Table
from costmodel.estimate import estimate
from costmodel.measured import MeasuredKernel
from costmodel.spec import VALUE_BYTES, RooflineDevice
from patterns.base import PatternError
from patterns.catalog import parse_pattern
from patterns.dense import Dense
from patterns.encodings.base import EncodingError
from simulator.spec import DeviceError
from traces.layer import MatrixLayer, ModelError, Window
from traces.trace import LayerTrace


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One row, predicted. ``predicted_s`` None: why the device has no prediction is in ``reason``."""

    row: Measurement
    predicted_s: float | None
    kernel: str
    extrapolated: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyErrors:
    """Errors of one kernel and data type; ``found`` None where none of its ``rows`` could be predicted.

    ``unpredicted`` rows and the first of their reasons: none is dropped unsaid.
    """

    family: str
    kernel: str
    dtype: str
    rows: int
    found: Errors | None
    unpredicted: int
    reason: str


def compare(table: Table, device: RooflineDevice) -> list[FamilyErrors]:
    """Return the errors of ``device`` for each family, kernel and data type of ``table``.

    Raises CalibrationError where the table holds no product.
    """
    groups: dict[tuple[str, str, str], list[Compared]] = {}
    for one in compared(table.rows, device):
        groups.setdefault((one.row.family, one.row.kernel, one.row.dtype), []).append(one)
    if not groups:
        raise CalibrationError(
            f"it holds no product of a processor like {device.name}, and only products are predicted"
        )
    return [_errors(key, found) for key, found in groups.items()]


def compared(rows: Iterable[Measurement], device: RooflineDevice) -> list[Compared]:
    """Return every product of ``rows`` that was measured on a processor of the device's kind, with its prediction.

    Raises CalibrationError for a pattern that the row's shape cannot have, naming the line of a table that begins with
    ``rows``.
    """
    on_cpu = device.kind in ("cpu", "mobile_cpu")
    chosen = {
        line: row
        for line, row in enumerate(rows, start=FIRST_LINE)
        if row.family != "memory" and (row.device == "cpu") == on_cpu
    }
    lines, asked = list(chosen), list(chosen.values())
    order = sorted(range(len(asked)), key=lambda at: (asked[at].pattern, asked[at].m, asked[at].k, asked[at].density))
    ready = {name: _with_kernel(device, name) for name in {row.kernel for row in asked}}
    # rows that share a mask follow each other
    found = {at: _compared(lines[at], asked[at], device, ready[asked[at].kernel]) for at in order}
    return [found[at] for at in range(len(asked))]


def _errors(key: tuple[str, str, str], found: Sequence[Compared]) -> FamilyErrors:
    pairs = [(one.predicted_s, one.row) for one in found if one.predicted_s is not None]
    left = [one.reason for one in found if one.predicted_s is None]
    known = None
    if pairs:
        known = errors(
            [seconds for seconds, _ in pairs], [row.median_s for _, row in pairs], [row.spread for _, row in pairs]
        )
    family, kernel, dtype = key
    return FamilyErrors(
        family=family,
        kernel=kernel,
        dtype=dtype,
        rows=len(found),
        found=known,
        unpredicted=len(left),
        reason=left[0] if left else "",
    )


def _compared(line: int, row: Measurement, device: RooflineDevice, ready: RooflineDevice | None) -> Compared:
    """``ready``: the device with the row's kernel first, None where it has no such kernel."""
    threads = row.threads if device.static_threads else 1
    obstacle = ""
    if row.dtype not in device.dtypes:
        obstacle = f"{device.name} has {', '.join(device.dtypes)} and not {row.dtype}"
    elif ready is None:
        obstacle = f"{device.name} has no kernel {row.kernel}"
    elif threads > device.unit_count:
        obstacle = f"{device.name} has {device.unit_count} units in its model, and {threads} threads were measured"
    if obstacle or ready is None:
        return _silent(row, obstacle)
    trace = _trace(line, row)
    try:
        result = estimate(trace, ready, dtype=row.dtype, threads=threads)
    except (DeviceError, EncodingError) as error:  # the row can be, and the device has nothing for it
        return _silent(row, f"{device.name}: {error}")
    if row.family != "dense" and result.encoding == "dense":
        reason = result.reason or f"{device.name} would multiply {row.pattern} as dense ({result.kernel})"
        return _silent(row, reason, result.kernel)
    main = device.levels[-1].name
    moved = row.stored_bytes + (row.m + row.k) * row.p * VALUE_BYTES[row.dtype]
    warm = row.operands == "warm" and moved <= (device.levels[-2].bytes or 0)
    bounds = {name: value for name, value in result.bounds_s.items() if not (warm and name == main)}
    overhead = bounds.pop("overhead", 0.0)
    return Compared(
        row=row,
        predicted_s=max(bounds.values()) + overhead,
        kernel=result.kernel,
        extrapolated=result.extrapolated,
        reason=result.reason,
    )


def _silent(row: Measurement, reason: str, kernel: str = "") -> Compared:
    return Compared(row=row, predicted_s=None, kernel=kernel, extrapolated=False, reason=reason)


def _with_kernel(device: RooflineDevice, name: str) -> RooflineDevice | None:
    """Return ``device`` with kernel ``name`` before all others; as it is where its kernels are not of a library's name.

    None where the device was calibrated and knows no such kernel.
    """
    named = [kernel for kernel in device.kernels if kernel.name == name]
    if not named:
        calibrated = any(isinstance(kernel, MeasuredKernel) for kernel in device.kernels)
        return None if calibrated else device
    return replace(device, kernels=(*named, *(kernel for kernel in device.kernels if kernel.name != name)))


def _trace(line: int, row: Measurement) -> LayerTrace:
    """Return the product of ``row`` with a mask of its pattern. Raises CalibrationError, naming ``line``."""
    try:
        window = Window(in_hw=(1, row.p), out_hw=(1, row.p))
        layer = MatrixLayer(name=f"{row.m}x{row.k}x{row.p}", kind="linear", groups=1, m=row.m, k=row.k, window=window)
        if row.family == "dense":
            return LayerTrace(layer=layer, pattern=Dense(), mask=np.ones((1, row.m, row.k), dtype=np.bool_))
        mask = _mask(row.pattern, row.m, row.k, row.density, row.seed)
        return LayerTrace(layer=layer, pattern=parse_pattern(row.pattern), mask=mask)
    except (PatternError, ModelError) as error:
        raise CalibrationError(
            f"line {line}: pattern is {row.pattern!r}, and must be one that {row.m} x {row.k} weights can have: {error}"
        ) from None


@lru_cache(maxsize=2)
def _mask(pattern: str, m: int, k: int, density: float, seed: int) -> npt.NDArray[np.bool_]:
    weights = Weights(family="", pattern=pattern, encoding="", m=m, k=k, density=density)
    return weights.mask(seed)[None]
