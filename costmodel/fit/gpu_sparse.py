"""``python -m costmodel.fit gpu_sparse``: fits sparse products on GPUs to some of them, tests them on the others.

Each kernel has a few numbers that belong to no shape and no GPU. Products with one vector are fitted to the GPU that a
seeded draw takes (``costmodel.fit.split``) and written as data; then the same is done from the other one, for
comparison alone. CSR times a matrix is fitted to the Pascal cards that ``validation/devices.csv`` marks so. Masks are
those of ``simulate validate``. Runs in minutes; needs SciPy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from costmodel.dense import dense_size
from costmodel.devices.pascal_csr import PASCAL_BASES
from costmodel.devices.rtx_vectors import VECTOR_GPUS
from costmodel.devices.vector_kernels import TABLE, Number, unfitted, unfitted_matrix, with_numbers
from costmodel.fit.gpu_sparse_rows import Point, points_of, write_numbers
from costmodel.fit.split import held_out
from costmodel.roofline import Run
from costmodel.spec import Dtype, RooflineDevice
from costmodel.spmv import (
    GemvKernel,
    StreamKernel,
    gemv_cost,
    rows_cost,
)
from costmodel.validation.folder import Folder

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
    "csrmm": {
        "memory_share": (0.3, 1.0),
        "start_s": (1e-6, 1e-4),
        "near_cost_bytes": (8.0, 1024.0),
        "far_cost_bytes": (8.0, 256.0),
    },
}
DRAWN = ("rtx-2080-super", "rtx-3090")  # the draw was made when the tables had these; others are left out
ROBUST = 0.1  # errors beyond it count linearly


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """One kernel on one GPU: ``start``, the kernel before its fit, and what was measured of it."""

    soc: str
    base: RooflineDevice
    start: StreamKernel
    points: tuple[Point, ...]


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
    """Return the GPUs that no product with one vector is fitted to: drawn from ``DRAWN``, and all that came later."""
    return held_out(dict.fromkeys(DRAWN, "server_gpu")) | {gpu.soc for gpu in VECTOR_GPUS if gpu.soc not in DRAWN}


def subjects(name: str, points: Mapping[tuple[str, str], Sequence[Point]]) -> tuple[Subject, ...]:
    """Return kernel ``name`` on every GPU that timed it, unfitted."""
    if name == "csrmm":
        return tuple(
            Subject(soc=base.name, base=base, start=unfitted_matrix(rate), points=tuple(points[base.name, name]))
            for base, rate in PASCAL_BASES
        )
    return tuple(
        Subject(soc=gpu.soc, base=gpu.base, start=unfitted(gpu.facts)[name], points=tuple(points[gpu.soc, name]))
        for gpu in VECTOR_GPUS
    )


def seconds(kernel: StreamKernel, base: RooflineDevice, point: Point) -> float:
    """Return what ``kernel`` takes for ``point`` on ``base``."""
    run = Run(device=base, dtype=_dtype(point), units=base.unit_count)
    if isinstance(kernel, GemvKernel):
        return gemv_cost(point.problem, kernel, run, dense_size(point.problem)).latency_s
    return rows_cost(point.problem, kernel, run, point.rows).latency_s


def _dtype(point: Point) -> Dtype:
    return "fp16" if point.row.key.dtype == "fp16" else "fp32"


def log_errors(subject: Subject, numbers: Mapping[str, float]) -> Vector:
    """Return log(predicted / measured) of each point of ``subject`` under ``numbers``."""
    kernel = with_numbers(subject.start, numbers)
    return np.log([seconds(kernel, subject.base, point) / point.row.seconds for point in subject.points])


def fit(name: str, fitted: Sequence[Subject], evaluations: int) -> dict[str, float]:
    """Return the numbers of kernel ``name`` under which ``fitted`` are predicted best. Deterministic."""
    ranges = RANGES[name]

    def numbers(at: Vector) -> dict[str, float]:
        return dict(zip(ranges, np.exp(at).tolist(), strict=True))

    found = least_squares(
        lambda at: np.concatenate([log_errors(subject, numbers(at)) for subject in fitted]),
        np.log([getattr(fitted[0].start, field) for field in ranges]),
        bounds=np.log(np.array(list(ranges.values()))).T,
        loss="soft_l1",
        f_scale=ROBUST,
        max_nfev=evaluations,
    )
    return numbers(found.x)


def quality(subject: Subject, numbers: Mapping[str, float]) -> Quality:
    """Return the errors on ``subject`` under ``numbers``."""
    errors = np.expm1(log_errors(subject, numbers))
    return Quality(
        rows=len(errors),
        median=float(np.median(np.abs(errors))),
        p90=float(np.percentile(np.abs(errors), 90)),
        bias=float(np.median(errors)),
    )


def fitted_numbers(
    name: str, all_of: Sequence[Subject], tested: frozenset[str], evaluations: int, day: str
) -> list[Number]:
    """Fit kernel ``name`` to the GPUs that are not ``tested``, say how it does everywhere, and return its numbers."""
    own = [subject for subject in all_of if subject.soc not in tested]
    numbers = fit(name, own, evaluations)
    say(name, numbers, all_of, own)
    for other in all_of if name != "csrmm" else ():  # the other way round, for comparison alone
        if other.soc in DRAWN and other not in own:
            say(name, fit(name, [other], evaluations), all_of, [other])
    rows = sum(len(subject.points) for subject in own)
    source = f"fitted: python -m costmodel.fit gpu_sparse, {day}, {rows} rows of {', '.join(one.soc for one in own)}"
    return [Number(kernel=name, parameter=field, value=value, source=source) for field, value in numbers.items()]


def say(name: str, numbers: Mapping[str, float], all_of: Sequence[Subject], own: Sequence[Subject]) -> None:
    """Print the numbers and the errors on every GPU."""
    print(f"{name} fitted to {', '.join(one.soc for one in own)}")
    print("  " + ", ".join(f"{field} {value:.4g}" for field, value in numbers.items()))
    for subject in all_of:
        said = "fitted" if subject in own else "left out"
        print(f"  {subject.soc} ({said}): {quality(subject, numbers).text}")


def fit_gpu_sparse(folder: Folder, out: Path | None, evaluations: int, day: str) -> None:
    """Fit every kernel, say how each does on GPUs left out, and write the numbers."""
    points = points_of(folder, [*(gpu.soc for gpu in VECTOR_GPUS), *(base.name for base, _ in PASCAL_BASES)])
    tested = left_out() | {use.soc for use in folder.devices if use.use == "held_out" and use.soc not in DRAWN}
    written: list[Number] = []
    for name in RANGES:
        written += fitted_numbers(name, subjects(name, points), tested, evaluations, day)
    write_numbers(out or TABLE, written)
