"""One calibration of this host, step by step: the plan, then a measurement at a time.

A generator, so that whoever drives it shows progress, and keeps what is done when it is stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from costmodel.calibrate.grid import FULL, QUICK, Grid, Weights, activations
from costmodel.calibrate.host import Host
from costmodel.calibrate.memory import Bandwidth, bandwidths, footprints
from costmodel.calibrate.operators import CalibrationError, Stored, stored, thread_limit
from costmodel.calibrate.table import Measurement
from costmodel.calibrate.timing import Effort, Timing, timed

QUICK_EFFORT = Effort(least=5, most=9, budget_s=0.01)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be measured: footprints of the memory, then the grid of products."""

    host: Host
    footprints: tuple[int, ...]
    grid: Grid
    effort: Effort
    threads: int
    seed: int

    def __post_init__(self) -> None:
        if not 1 <= self.threads <= self.host.processors:
            raise CalibrationError(
                f"threads is {self.threads}, and must be 1 to {self.host.processors}, the processors of this host"
            )
        if self.seed < 0:
            raise CalibrationError(f"seed is {self.seed}, and must be at least 0")

    @property
    def steps(self) -> int:
        """Footprints and matrices."""
        return len(self.footprints) + sum(1 for _ in self.grid.weights())


def plan(host: Host, *, quick: bool, threads: int, seed: int, available_bytes: int) -> Plan:
    """Return the plan for ``host``. Raises CalibrationError for threads that it has not."""
    return Plan(
        host=host,
        footprints=tuple(footprints(host.caches, available_bytes=available_bytes)),
        grid=QUICK if quick else FULL,
        effort=QUICK_EFFORT if quick else Effort(),
        threads=threads,
        seed=seed,
    )


def measure_memory(asked: Plan) -> Iterator[tuple[str, list[Bandwidth]]]:
    """Yield each footprint's name and bandwidths as they are measured."""
    for size in asked.footprints:
        yield f"memory {size >> 10} KiB", list(bandwidths([size], asked.effort, asked.threads))


def measure_products(asked: Plan) -> Iterator[tuple[str, list[Measurement]]]:
    """Yield each matrix's name and rows as they are measured. Raises CalibrationError where BLAS takes more threads."""
    for weights in asked.grid.weights():
        rows: list[Measurement] = []
        for threads in sorted({1, asked.threads}):
            with thread_limit(threads):
                for form in stored(weights, asked.seed):
                    if threads == 1 or form.threaded:
                        rows += _products(asked, weights, form, threads)
        yield f"{weights.family} {weights.m}x{weights.k} {weights.density:g}", rows


def _products(asked: Plan, weights: Weights, form: Stored, threads: int) -> Iterator[Measurement]:
    for positions in asked.grid.positions_of(weights):
        x = activations(weights.k, positions, asked.seed)
        timing = timed(form.call(x), asked.effort, threads=threads)
        yield Measurement(
            family=weights.family,
            kernel=form.kernel,
            device="cpu",
            dtype="fp32",
            pattern=weights.pattern,
            m=weights.m,
            k=weights.k,
            p=positions,
            density=form.kept / (weights.m * weights.k),
            kept=form.kept,
            slots=form.slots,
            stored_bytes=form.stored_bytes,
            threads=threads,
            seed=asked.seed,
            **timing_columns(timing),
        )


def memory_row(point: Bandwidth) -> Measurement:
    """Return the table row of a bandwidth."""
    return Measurement(
        family="memory",
        kernel=point.kernel,
        device="cpu",
        dtype="int64",
        footprint_bytes=point.footprint_bytes,
        moved_bytes=point.moved_bytes,
        threads=point.threads,
        **timing_columns(point.timing),
    )


def memory_points(rows: tuple[Measurement, ...]) -> list[Bandwidth]:
    """Return the bandwidths that a table holds."""
    return [
        Bandwidth(
            kernel=row.kernel,
            footprint_bytes=row.footprint_bytes,
            moved_bytes=row.moved_bytes,
            threads=row.threads,
            timing=Timing(
                median_s=row.median_s,
                p10_s=row.p10_s,
                p90_s=row.p90_s,
                samples=row.samples,
                calls=row.calls,
                core_share=row.core_share,
            ),
        )
        for row in rows
        if row.family == "memory"
    ]


def timing_columns(timing: Timing) -> dict[str, Any]:
    """Return the columns of a row that a timing fills."""
    return {
        "median_s": timing.median_s,
        "p10_s": timing.p10_s,
        "p90_s": timing.p90_s,
        "samples": timing.samples,
        "calls": timing.calls,
        "core_share": timing.core_share,
    }
