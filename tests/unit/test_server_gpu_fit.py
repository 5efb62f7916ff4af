"""The fit of server GPUs: what it reads, and that it finds numbers that were put in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from costmodel.cpu_file import load_fitted
from costmodel.devices.server_gpus import SERVER_GPUS
from costmodel.estimate import dense_cost
from costmodel.fit.server_gpu import (
    GENERATIONS,
    RANGE,
    Row,
    fitted_rows,
    log_ratios,
    rows_of,
    solve,
    split,
    with_numbers,
)
from costmodel.fit.split import held_out
from costmodel.server_gpu_kernels import FITTED, PARAMETERS
from costmodel.validation.folder import open_folder

FOLDER = open_folder()
ROWS = rows_of(FOLDER)


def test_the_split_that_is_stored_is_the_seeded_one() -> None:
    uses = {line.device: line.use for line in FOLDER.devices if line.device in GENERATIONS}
    assert set(uses) == set(GENERATIONS)
    assert {name for name, use in uses.items() if use == "held_out"} == split()
    assert any(held_out(GENERATIONS, seed) != split() for seed in range(1, 5))


def test_the_fit_reads_no_row_of_a_gpu_that_is_held_out() -> None:
    assert {row.device.name for row in ROWS} == set(GENERATIONS) - split()
    for row in load_fitted(FITTED):
        if row.source.startswith("fitted"):
            assert not set(row.source.rpartition(" of ")[2].split(", ")) & split(), row


def test_every_library_that_a_gpu_names_has_every_number_and_only_those_of_devices_are_stored() -> None:
    named = {
        (k.runtime, k.dtypes[0])
        for d in SERVER_GPUS
        for k in d.kernels
        if k.runtime.startswith("cu") and "-" in k.runtime
    }
    stored = {(row.runtime, row.dtype) for row in load_fitted(FITTED)}
    assert stored == named


def test_backward_passes_and_sparse_products_are_not_fitted() -> None:
    assert all(row.measured.pattern == "dense" for row in ROWS)
    assert {row.measured.table for row in ROWS} == {"deepbench_gemm", "deepbench_conv"}
    assert not any("training" in row.measured.asides for row in ROWS)


def test_the_stored_numbers_lie_within_what_is_possible() -> None:
    for row in load_fitted(FITTED):
        if row.parameter in RANGE:
            least, most = RANGE[row.parameter]
            assert least * 0.999 <= row.value <= most * 1.001, row


def synthetic(numbers: dict[tuple[str, str], float]) -> list[Row]:
    """Times that the model itself gives products of one GPU under ``numbers``."""
    own = [row for row in ROWS if row.library == "cudnn-6" and row.device.name == "gtx-1080-ti"][::2]
    device = with_numbers(own[0].device, "cudnn-6", numbers)
    return [
        replace(row, measured=replace(row.measured, seconds=dense_cost(row.layer, device, dtype=row.dtype).latency_s))
        for row in own
    ]


def test_the_fit_finds_an_efficiency_and_a_launch_that_were_put_in() -> None:
    given = {("int8", "efficiency"): 0.7, ("", "launch_s"): 1.2e-5}
    rows = synthetic(given)
    solution = solve(rows, "cudnn-6", 12)
    assert np.median(np.abs(solution.errors)) < 0.02
    assert solution.numbers[("", "launch_s")] == pytest.approx(1.2e-5, rel=0.1)
    written = {row.parameter: row.value for row in fitted_rows([solution], rows, "2026-01-01")}
    assert set(PARAMETERS) < set(written)
    assert written["macs_least"] == min(row.layer.macs for row in rows)


def test_errors_are_those_of_the_model_under_the_stored_numbers() -> None:
    rows = [row for row in ROWS if row.library == "cudnn-6"][:5]
    found = log_ratios(rows, "cudnn-6", {})
    for row, ratio in zip(rows, found, strict=True):
        taken = dense_cost(row.layer, row.device, dtype=row.dtype).latency_s
        assert ratio == pytest.approx(np.log(taken / row.measured.seconds))
