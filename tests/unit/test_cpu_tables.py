"""What the tables of CPU times mean: DeepBench's phones, Fast Sparse ConvNets' blocks, rows of two files that pair."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest

from costmodel.devices.cpus import CPU_DEVICES
from costmodel.fit.split import LATER, held_out
from costmodel.validation.exclusions import sift
from costmodel.validation.folder import FOLDER, open_folder
from costmodel.validation.measurement import Measurement, ValidationError
from costmodel.validation.predict import Prediction, Predictor, predict
from costmodel.validation.readers import measurements
from costmodel.validation.speedup import speed_ups


@pytest.fixture(scope="module")
def rows() -> list[Measurement]:
    return measurements(open_folder())


def test_phones_of_deepbench_run_gemmlowp_on_all_cores_and_eigen_on_one(rows: list[Measurement]) -> None:
    keys = {
        (row.table, row.key.soc): (row.key.runtime, row.key.dtype, row.key.threads)
        for row in rows
        if row.key.soc in ("bcm2837", "apple-a8")
    }
    assert keys == {
        ("deepbench_gemm", "bcm2837"): ("gemmlowp", "int8", 4),
        ("deepbench_gemm", "apple-a8"): ("gemmlowp", "int8", 2),
        ("deepbench_sparse_gemm", "bcm2837"): ("eigen", "int8", 1),
        ("deepbench_sparse_gemm", "apple-a8"): ("eigen", "int8", 1),
    }


def test_as_floats_the_boards_dense_product_would_beat_its_memory(rows: list[Measurement]) -> None:
    """Why the sparse sheet of the Raspberry Pi 3 is taken as 8 bit: 2.8 GB/s is what its memory gives."""
    (row,) = [
        row
        for row in rows
        if (row.key.soc, row.net, row.pattern, row.line) == ("bcm2837", "gemm/7680x1x2560", "dense", 2)
    ]
    assert 4 * 7680 * 2560 / row.seconds > 1.5 * 2.8e9
    assert 7680 * 2560 / row.seconds < 2.8e9


def test_the_last_blocks_of_the_fast_sparse_nets_are_pruned_in_blocks_of_rows(rows: list[Measurement]) -> None:
    blocks = {row.model: row.blocks for row in rows if row.table == "fast_sparse_convnets_sd835"}
    assert blocks["MobileNetV1 1.0"] == (("blocks.12.", "block:4x1"),)
    assert [start for start, _ in blocks["MobileNetV2 1.4"]] == [f"blocks.{index}." for index in range(11, 17)]
    assert {pattern for _, pattern in blocks["MobileNetV2 1.4"]} == {"block:2x1"}
    for model in ("MobileNetV2 1.8 (unstructured)", "EfficientNet B0", "EfficientNet B1"):
        assert blocks[model] == ()


def test_rows_of_one_document_in_two_files_make_one_ratio(rows: list[Measurement]) -> None:
    kept = sift(rows, FOLDER).kept
    sparse = [row for row in kept if row.key.soc == "snapdragon-865" and row.pattern != "dense"]
    assert {row.table for row in sparse} == {"paddle_lite_more"}
    (one,) = [row for row in sparse if row.model == "MobileNetV1"]
    dense = next(
        row for row in kept if (row.key, row.net, row.pattern, row.table) == (one.key, one.net, "dense", "paddle_lite")
    )
    same = Prediction(low_s=1.0, high_s=1.0, family="csr", macs_least=1, macs_most=1, density=0.2)
    found = speed_ups([("x", "fit", dense, same), ("x", "fit", one, same)])
    assert [ratio.measured for ratio in found] == [dense.seconds / one.seconds]
    elsewhere = replace(dense, machine="another phone")
    assert speed_ups([("x", "fit", elsewhere, same), ("x", "fit", one, same)]) == ()


def test_every_row_of_the_second_paddle_lite_table_becomes_a_measurement(rows: list[Measurement]) -> None:
    with (FOLDER / "paddle_lite_more.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert sum(row.table == "paddle_lite_more" for row in rows) == len(lines)
    assert {line["soc"] for line in lines} == {"Snapdragon 865", "Kirin 990"}


def test_a_table_without_a_unit_is_refused_before_a_row_is_read() -> None:
    folder = open_folder()
    blank = {name: replace(table, unit="") for name, table in folder.tables.items()}
    with pytest.raises(ValidationError, match=r"tables.csv line 2: table ncnn: unit is ''"):
        measurements(replace(folder, tables=blank))


def test_socs_that_came_later_change_no_earlier_draw() -> None:
    earlier = {f"soc-{at}": "cortex-a76" for at in range(9)}
    later = dict.fromkeys(sorted(LATER)[:4], "cortex-a76")
    assert held_out(earlier | later) & earlier.keys() == held_out(earlier)
    assert len(held_out(earlier | later) & later.keys()) == 4 - (4 + 1) // 2


def test_layers_with_another_pattern_run_on_the_kernel_for_it(rows: list[Measurement]) -> None:
    (row,) = [row for row in rows if (row.table, row.model) == ("fast_sparse_convnets_sd835", "MobileNetV1 0.75")]
    device = next(device for device in CPU_DEVICES if device.name == "snapdragon-835-xnnpack")
    predictor = Predictor(device=device, folder=FOLDER)
    predict(predictor, row)
    (results,) = predictor.nets.values()
    kernels = {result.layer: result.kernel for result in results}
    assert kernels["blocks.12.pw"] == "spmm-32x4"
    assert kernels["blocks.11.pw"] == "spmm-32x1"
    assert kernels["classifier"] == "gemm"
