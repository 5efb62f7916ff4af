"""The measured products with one vector, with what the kernels' formulas need of each, and the fit as data."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from costmodel.devices.vector_kernels import COLUMNS, Number
from costmodel.problem import Problem, problem_of
from costmodel.spec import VALUE_BYTES
from costmodel.spmv_rows import Rows, rows_of
from costmodel.validation.exclusions import sift
from costmodel.validation.folder import Folder
from costmodel.validation.measurement import Measurement
from costmodel.validation.nets import layers_of
from costmodel.validation.predict import SEED, drawn_mask
from costmodel.validation.readers import measurements
from patterns.catalog import parse_pattern
from patterns.encodings.base import EncodedSize
from traces.layer import MatrixLayer

KERNEL_OF = {"cublas": "gemv", "cusparse": "csr-spmv", "macko": "macko-spmv"}  # runtime of the table: kernel
INDEX_BYTES, POINTER_BYTES = 4, 4  # of CSR: c_benchmarking/utils.cuh, CUSPARSE_INDEX_32I


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Point:
    """One measurement; ``rows`` and ``csr_size`` of the mask that is drawn for it."""

    row: Measurement
    problem: Problem
    rows: Rows
    csr_size: EncodedSize


def points_of(folder: Folder, socs: Sequence[str]) -> dict[tuple[str, str], list[Point]]:
    """Return the points of each GPU and kernel. One mask is drawn for each shape and density."""
    kept = sift(measurements(folder), folder.path).kept
    known: dict[tuple[str, float], Rows] = {}
    found: dict[tuple[str, str], list[Point]] = defaultdict(list)
    for row in kept:
        if row.key.soc not in socs or row.key.runtime not in KERNEL_OF:
            continue
        layer = layers_of(row.net, folder.path)[0]
        if not isinstance(layer, MatrixLayer):
            raise AssertionError(f"{row.where}: {row.net} is no matrix product")
        place = (row.net, row.density_low)
        if place not in known:
            known[place] = rows_of(drawn_mask(layer, parse_pattern("unstructured"), row.density_low, SEED))
        rows, value = known[place], VALUE_BYTES[row.key.dtype]
        nonzeros = int(rows.kept.sum())
        size = EncodedSize(
            weight_bytes=nonzeros * value,
            index_bytes=nonzeros * INDEX_BYTES + (rows.kept.size + 1) * POINTER_BYTES,
            slots=nonzeros,
        )
        point = Point(row=row, problem=problem_of(layer, value), rows=rows, csr_size=size)
        found[row.key.soc, KERNEL_OF[row.key.runtime]].append(point)
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
