"""Sparse over dense: ratios of one runtime on one processor, threads and data type, never across runtimes.

A library without a dense product is compared with the one that runs beside it in the benchmark (``DENSE_RUNTIME``).
Dense Winograd in fp16 of one library over sparse products in fp32 of another is no ratio that pruning made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from costmodel.validation.folder import Use
from costmodel.validation.measurement import Key, Measurement
from costmodel.validation.predict import Prediction

DENSE_RUNTIME: Mapping[str, str] = {"cusparse": "cublas", "macko": "cublas"}  # libraries that have no dense product


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedUp:
    """How much faster than dense: as measured, and as predicted at both ends of the stated density, least first."""

    device: str
    use: Use
    key: Key
    model: str
    pattern: str
    density_low: float
    density_high: float
    measured: float
    predicted_low: float
    predicted_high: float

    @property
    def predicted(self) -> float:
        """The predicted ratio nearest to the measured one within the interval."""
        return min(max(self.measured, self.predicted_low), self.predicted_high)

    @property
    def error(self) -> float:
        return self.predicted / self.measured - 1

    @property
    def sign_right(self) -> bool:
        """Whether faster is called faster and slower slower, at the end of the interval that is nearest."""
        return (self.predicted > 1) == (self.measured > 1)


def speed_ups(points: Sequence[tuple[str, Use, Measurement, Prediction]]) -> tuple[SpeedUp, ...]:
    """Return every ratio that ``points`` (device, use, measurement, prediction) hold both times of."""
    dense: dict[tuple[object, ...], tuple[Measurement, Prediction]] = {}
    for device, _, row, prediction in points:
        if row.pattern == "dense":
            dense.setdefault(_pair(device, row), (row, prediction))
            dense.setdefault(_pair("", row), (row, prediction))
    found = []
    for device, use, row, prediction in points:
        other = "" if row.key.runtime in DENSE_RUNTIME else device  # its dense product may be another model's
        beside = dense.get(_pair(device, row), dense.get(_pair(other, row)))
        if row.pattern == "dense" or beside is None:
            continue
        dense_row, dense_prediction = beside
        found.append(
            SpeedUp(
                device=device,
                use=use,
                key=row.key,
                model=row.model,
                pattern=row.pattern,
                density_low=row.density_low,
                density_high=row.density_high,
                measured=dense_row.seconds / row.seconds,
                predicted_low=dense_prediction.low_s / prediction.high_s,
                predicted_high=dense_prediction.low_s / prediction.low_s,
            )
        )
    return tuple(found)


def _pair(device: str, row: Measurement) -> tuple[object, ...]:
    """One runtime (in the key) on one machine as its source writes it, in whatever table its times stand."""
    key = replace(row.key, runtime=DENSE_RUNTIME.get(row.key.runtime, row.key.runtime))
    return (device, row.machine, key, row.net, row.batch)
