"""``python -m costmodel.fit.gpu_sparse``: fits the products with one vector to one GPU, tests them on the others.

Each kernel has a few numbers that belong to no shape and no GPU. They are fitted to the GPU that a seeded draw takes
(``costmodel.fit.split``) and written as data; then the same is done from the other one, for comparison alone. Masks
are those of ``simulate validate``. Runs in minutes; needs SciPy.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from costmodel.dense import dense_size
from costmodel.devices.rtx_vectors import VECTOR_GPUS, VectorGpu
from costmodel.devices.vector_kernels import TABLE, Number, unfitted, with_numbers
from costmodel.fit.gpu_sparse_rows import Point, points_of, write_numbers
from costmodel.fit.split import SEED, held_out
from costmodel.roofline import Run
from costmodel.spmv import (
    GemvKernel,
    VectorKernel,
    gemv_cost,
    sparse_vector_cost,
)
from costmodel.validation.folder import open_folder

Vector = npt.NDArray[np.float64]
RANGES: Mapping[str, Mapping[str, tuple[float, float]]] = {  # what is possible, kernel by kernel
    "gemv": {"memory_share": (0.5, 1.0), "start_s": (1e-6, 5e-5)},
    "macko-spmv": {
        "memory_share": (0.5, 1.0),
        "start_s": (1e-6, 5e-5),
        "overlap": (1.0, 16.0),
        "line_cost_bytes": (8.0, 512.0),
        "slot_instructions": (5.0, 100.0),
        "pass_s": (1e-7, 5e-6),
        "block_s": (1e-7, 1e-5),
    },
    "csr-spmv": {
        "memory_share": (0.5, 1.0),
        "start_s": (1e-6, 5e-5),
        "overlap": (1.0, 16.0),
        "row_square_s": (1e-16, 1e-12),
    },
}
DRAWN = ("rtx-2080-super", "rtx-3090")  # the draw was made when the tables had these; others are left out
ROBUST = 0.1  # errors beyond it count linearly


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Absolute errors of predicted over measured on one GPU."""

    rows: int
    median: float
    p90: float
    bias: float

    @property
    def text(self) -> str:
        return f"{self.rows} rows, median {self.median:.1%}, 90 % within {self.p90:.1%}, bias {self.bias:+.1%}"


def left_out() -> frozenset[str]:
    """Return the GPUs that no number is fitted to: drawn from ``DRAWN``, and all that came later."""
    return held_out(dict.fromkeys(DRAWN, "server_gpu")) | {gpu.soc for gpu in VECTOR_GPUS if gpu.soc not in DRAWN}


def seconds(kernel: VectorKernel, gpu: VectorGpu, point: Point) -> float:
    """Return what ``kernel`` takes for ``point`` on ``gpu``."""
    run = Run(device=gpu.base, dtype=point.row.key.dtype, units=gpu.base.unit_count)
    if isinstance(kernel, GemvKernel):
        return gemv_cost(point.problem, kernel, run, dense_size(point.problem)).latency_s
    return sparse_vector_cost(point.problem, kernel, run, point.rows).latency_s


def log_errors(kernel: VectorKernel, gpu: VectorGpu, points: Sequence[Point]) -> Vector:
    """Return log(predicted / measured) of each point."""
    return np.log([seconds(kernel, gpu, point) / point.row.seconds for point in points])


def fit(name: str, gpu: VectorGpu, points: Sequence[Point]) -> dict[str, float]:
    """Return the numbers of kernel ``name`` under which ``points`` on ``gpu`` are predicted best. Deterministic."""
    ranges = RANGES[name]
    start = unfitted(gpu.facts)[name]

    def numbers(at: Vector) -> dict[str, float]:
        return dict(zip(ranges, np.exp(at).tolist(), strict=True))

    found = least_squares(
        lambda at: log_errors(with_numbers(start, numbers(at)), gpu, points),
        np.log([getattr(start, field) for field in ranges]),
        bounds=np.log(np.array(list(ranges.values()))).T,
        loss="soft_l1",
        f_scale=ROBUST,
    )
    return numbers(found.x)


def quality(name: str, numbers: Mapping[str, float], gpu: VectorGpu, points: Sequence[Point]) -> Quality:
    """Return the errors of kernel ``name`` under ``numbers`` on ``gpu``."""
    errors = np.expm1(log_errors(with_numbers(unfitted(gpu.facts)[name], numbers), gpu, points))
    return Quality(
        rows=len(points),
        median=float(np.median(np.abs(errors))),
        p90=float(np.percentile(np.abs(errors), 90)),
        bias=float(np.median(errors)),
    )


def main(arguments: list[str]) -> int:
    """Fit, write and compare. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m costmodel.fit.gpu_sparse", description=__doc__)
    parser.add_argument("--out", type=Path, default=TABLE)
    options = parser.parse_args(arguments)
    tested = left_out()
    points = points_of(open_folder(), [gpu.soc for gpu in VECTOR_GPUS])
    day = datetime.now(UTC).date().isoformat()
    written: list[Number] = []
    for name in RANGES:
        for own in VECTOR_GPUS:
            numbers = fit(name, own, points[own.soc, name])
            chosen = own.soc not in tested
            print(f"{name} fitted to {own.soc}{' (drawn, seed ' + str(SEED) + ': written)' if chosen else ''}")
            print("  " + ", ".join(f"{field} {value:.4g}" for field, value in numbers.items()))
            for gpu in VECTOR_GPUS:
                said = "fitted" if gpu is own else "left out"
                print(f"  {gpu.soc} ({said}): {quality(name, numbers, gpu, points[gpu.soc, name]).text}")
            if chosen:
                rows = len(points[own.soc, name])
                source = f"fitted: python -m costmodel.fit.gpu_sparse, {day}, {rows} rows of {own.soc}"
                written += [
                    Number(kernel=name, parameter=field, value=float(f"{value:.5g}"), source=source)
                    for field, value in numbers.items()
                ]
    write_numbers(options.out, written)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
