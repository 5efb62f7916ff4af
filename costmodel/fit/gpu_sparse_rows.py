"""The measured sparse products, with what the kernels' formulas need of each, and the fit as data."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from costmodel.devices.vector_kernels import COLUMNS, Number
from costmodel.problem import Problem, problem_of
from costmodel.spec import VALUE_BYTES
from costmodel.spmv_rows import Rows
from costmodel.validation.drawn import drawn_rows
from costmodel.validation.exclusions import sift
from costmodel.validation.folder import Folder
from costmodel.validation.measurement import Measurement
from costmodel.validation.nets import layers_of
from costmodel.validation.predict import SEED
from costmodel.validation.readers import measurements
from traces.layer import MatrixLayer

KERNEL_OF = {  # (table, runtime, sparse): kernel
    (table, runtime, kernel != "gemv"): kernel
    for table in ("macko_spmv", "macko_spmv_rtx_4090")
    for runtime, kernel in (("cublas", "gemv"), ("cusparse", "csr-spmv"), ("macko", "macko-spmv"))
} | {("deepbench_sparse_gemm", "deepbench", True): "csrmm"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Point:
    """One measurement; ``rows`` of the mask that is drawn for it."""

    row: Measurement
    problem: Problem
    rows: Rows


def points_of(folder: Folder, socs: Sequence[str]) -> dict[tuple[str, str], list[Point]]:
    """Return the points of each GPU and kernel."""
    kept = sift(measurements(folder), folder.path).kept
    found: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for row in kept:
        kernel = KERNEL_OF.get((row.table, row.key.runtime, row.pattern != "dense"))
        if row.key.soc not in socs or kernel is None:
            continue
        layer = layers_of(row.net, folder.path)[0]
        if not isinstance(layer, MatrixLayer):
            raise AssertionError(f"{row.where}: {row.net} is no matrix product")
        problem = problem_of(layer, VALUE_BYTES[row.key.dtype])
        point = Point(row=row, problem=problem, rows=drawn_rows(layer, row.density_low, SEED))
        found[row.key.soc, kernel].append(point)
    return dict(found)


def write_numbers(path: Path, numbers: Sequence[Number]) -> None:
    """Write ``numbers`` as CSV in their order; the file appears whole or not at all."""
    aside = path.with_suffix(".partial")
    with aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number in numbers:
            writer.writerow((number.kernel, number.parameter, f"{number.value:.5g}", number.source))
    aside.replace(path)
