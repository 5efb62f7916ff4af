"""Tables of published measurements: read with units, known machines and nets, and left out only by written rules."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from costmodel.devices.catalog import ALL_DEVICES
from costmodel.validation.exclusions import EXCLUSIONS, sift
from costmodel.validation.folder import FOLDER, Folder, open_folder
from costmodel.validation.measurement import Measurement, ValidationError, seconds
from costmodel.validation.nets import layers_of, multiply_adds
from costmodel.validation.readers import measurements
from traces.layer import MatrixLayer


@pytest.fixture(scope="module")
def folder() -> Folder:
    return open_folder()


@pytest.fixture(scope="module")
def rows(folder: Folder) -> list[Measurement]:
    return measurements(folder)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Index files and one small table that can be damaged."""
    for name in ("tables.csv", "machines.csv", "nets.csv", "devices.csv", "paddle_lite.csv"):
        shutil.copy(FOLDER / name, tmp_path)
    header, *lines = (FOLDER / "tables.csv").read_text().splitlines()
    (only,) = [line for line in lines if line.startswith("paddle_lite,")]
    (tmp_path / "tables.csv").write_text(f"{header}\n{only}\n")
    return tmp_path


def damage(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def table(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_row_of_a_table_with_one_time_a_row_becomes_a_measurement(rows: list[Measurement]) -> None:
    found = Counter(row.table for row in rows)
    for name in ("ncnn", "paddle_lite", "xnnpack", "bolt", "tnn", "macko_spmv", "deepbench_gemm", "deepbench_conv"):
        assert found[name] == len(table(f"{name}.csv")), name
    assert found["deepbench_sparse_gemm"] == 2 * len(table("deepbench_sparse_gemm.csv"))  # sparse and dense times


def test_a_time_is_read_in_the_unit_of_its_table(rows: list[Measurement]) -> None:
    (first,) = [row for row in rows if (row.table, row.line) == ("ncnn", 2)]
    assert first.seconds == float(table("ncnn.csv")[0]["avg_ms"]) / 1e3
    (spmv,) = [row for row in rows if (row.table, row.line) == ("macko_spmv", 2)]
    assert spmv.seconds == pytest.approx(float(table("macko_spmv.csv")[0]["mean_time_us(int)"]) / 1e6)


def test_a_float_net_runs_in_half_precision_where_the_core_has_it(rows: list[Measurement]) -> None:
    dtypes = {(row.key.soc, row.key.dtype) for row in rows if row.table == "ncnn" and row.model == "resnet50"}
    assert ("snapdragon-855+", "fp16") in dtypes
    assert ("bcm2711b0", "fp32") in dtypes  # A72, Raspberry Pi 4
    assert ("bcm2711b0", "fp16") not in dtypes


@pytest.mark.parametrize("unit", ["", "min", "MS"])
def test_a_time_without_a_known_unit_is_refused(unit: str) -> None:
    with pytest.raises(ValidationError, match=f"table.csv line 3: unit is '{unit}', and must be one of s, ms, us"):
        seconds("1.0", unit, "table.csv line 3")


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("tables.csv", ",latency_ms,ms,", ",latency_ms,,", "unit is ''"),
        ("tables.csv", ",latency_ms,ms,", ",latency_ms,min,", "tables.csv line 2: table paddle_lite: unit is 'min'"),
        ("tables.csv", "paddle_lite,paddle", "paddle_heavy,paddle", "'paddle_heavy' has no reader"),
        ("paddle_lite.csv", "Snapdragon 865", "Snapdragon 999", "line 2: device 'Snapdragon 999'"),
        ("paddle_lite.csv", "28.38", "fast", "paddle_lite.csv line 2: 'fast' is no number"),
        ("paddle_lite.csv", "28.38", "0", "paddle_lite line 2: time is 0.0 s, and must be above 0"),
        ("paddle_lite.csv", "28.38", "-1", "'-1' is no finite number"),
        ("paddle_lite.csv", "fp32,dense,MobileNetV1,", "fp8,dense,MobileNetV1,", "data type 'fp8' is unknown"),
        ("paddle_lite.csv", "dense,MobileNetV1,", "dense,MobileNetV9,", "model 'MobileNetV9' is unknown"),
        ("paddle_lite.csv", "latency_ms", "latency", "line 1: column latency_ms is missing"),
        ("paddle_lite.csv", "28.38,57", "28.38", "paddle_lite.csv line 2: must have 7 fields"),
        ("nets.csv", "no layer shapes in the tables", "", "net is empty, and a note must say why"),
        (
            "devices.csv",
            "rk3399,rk3399,a72+a53,ncnn,fit",
            "rk3399,rk3399,a72+a53,ncnn,held_out",
            "rk3399 is both fit and held_out",
        ),
        ("devices.csv", "a76,xnnpack,fit", "a76,xnnpack,used", "use is 'used', and must be one of fit, held_out"),
    ],
)
def test_a_damaged_table_is_one_line_with_file_value_and_rule(
    copy: Path, file: str, old: str, new: str, says: str
) -> None:
    damage(copy / file, old, new)
    with pytest.raises(ValidationError) as caught:
        measurements(open_folder(copy))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_table_is_named(copy: Path) -> None:
    (copy / "paddle_lite.csv").unlink()
    with pytest.raises(ValidationError, match=r"paddle_lite\.csv: this table of measurements is not there"):
        measurements(open_folder(copy))


def test_every_row_is_kept_or_counted_under_one_rule(folder: Folder, rows: list[Measurement]) -> None:
    sifted = sift(rows, folder.path)
    assert list(sifted.left_out) == [rule.name for rule in EXCLUSIONS]
    assert all(rule.reason for rule in EXCLUSIONS)
    assert len(sifted.kept) + sum(sifted.left_out.values()) == len(rows)
    assert all(row.net for row in sifted.kept)
    blank = sum(not line["mean_time_us(int)"].strip() for line in table("macko_spmv.csv"))
    assert sifted.left_out["no time"] == blank > 0


def test_each_rule_leaves_out_what_it_names_and_nothing_else(folder: Folder, rows: list[Measurement]) -> None:
    (good,) = [row for row in rows if (row.table, row.line) == ("xnnpack", 2)]
    assert sift([good], folder.path).kept == (good,)
    pi = replace(good.key, soc="bcm2837")
    damaged: dict[str, Measurement] = {
        "no time": replace(good, asides=frozenset({"no_time"})),
        "max above twice min": replace(good, seconds_min=0.01, seconds_max=0.0201),
        "Raspberry Pi 3 convolutions": replace(good, table="deepbench_conv", key=pi),
        "throughput": replace(good, asides=frozenset({"throughput"})),
        "training": replace(good, asides=frozenset({"training"})),
        "32-bit": replace(good, asides=frozenset({"armv7"})),
        "fp16 storage": replace(good, asides=frozenset({"fp16_storage"})),
        "int8 dynamic": replace(good, asides=frozenset({"int8_dynamic"})),
        "did not run the nets": replace(good, seconds=1e-6, peak_macs_per_s=1e9),
        "no layers": replace(good, net=""),
    }
    assert list(damaged) == [rule.name for rule in EXCLUSIONS]
    for name, row in damaged.items():
        sifted = sift([row], folder.path)
        assert sifted.kept == ()
        assert [rule for rule, count in sifted.left_out.items() if count] == [name]
    assert sift([replace(good, seconds_min=0.01, seconds_max=0.02)], folder.path).left_out["max above twice min"] == 0


def test_a_run_that_beats_its_processor_is_left_out_whole(folder: Folder, rows: list[Measurement]) -> None:
    sifted = sift(rows, folder.path)
    station = [row for row in rows if row.machine.startswith("Station-M3") and row.key.processor == "mali-g610"]
    assert station
    assert not any(row in sifted.kept for row in station)
    cpu = [row for row in sifted.kept if row.machine.startswith("Station-M3")]
    assert {row.key.processor for row in cpu} == {"a76"}


def test_layers_of_the_ncnn_nets_do_the_multiply_adds_that_the_table_states() -> None:
    stated: Counter[str] = Counter()
    for line in table("ncnn_model_layers.csv"):
        stated[line["model"]] += int(line["macs"] or 0)
    assert len(stated) > 30
    for model, macs in stated.items():
        if macs:
            assert multiply_adds(layers_of(f"ncnn/{model}", FOLDER)) == macs, model


def test_mobilenets_of_other_widths_do_the_published_multiply_adds() -> None:
    checked = 0
    for line in table("mobilenet_pixel_tflite.csv"):
        if line["model"].startswith("v2_"):
            _, width, pixels = line["model"].split("_")
            macs = multiply_adds(layers_of(f"mobilenet_v2/{width}-{pixels}", FOLDER))
            # whole millions, some of them rounded down
            assert macs / 1e6 == pytest.approx(float(line["macs_M"]), abs=1.1), line["model"]
            checked += 1
    assert checked == 22


def test_efficientnet_lite_does_the_published_multiply_adds_but_for_batch_norms() -> None:
    for line in table("efficientnet_lite_pixel4.csv"):
        published = float(line["madds"][:-1]) * {"M": 1e6, "B": 1e9}[line["madds"][-1]]
        macs = multiply_adds(layers_of(f"efficientnet_lite/{line['model'][-1]}", FOLDER))
        assert 0.94 < macs / published < 1, line["model"]  # theirs count norms and activations


def test_a_deepbench_convolution_has_the_extents_of_its_row() -> None:
    # 161 x 700 spectrogram, 32 filters 5 high and 20 wide, stride 2 x 2, no padding
    (layer,) = layers_of("conv/700x161x1x4x32x20x5x0x0x2x2", FOLDER)
    assert isinstance(layer, MatrixLayer)
    assert layer.window.out_hw == ((161 - 5) // 2 + 1, (700 - 20) // 2 + 1)
    assert layer.macs == 4 * 32 * 20 * 5 * 79 * 341


@pytest.mark.parametrize(
    ("net", "says"),
    [
        ("ncnn/lenet", "'lenet' is not there"),
        ("ncnn/blazeface", "has no feature map size"),
        ("gemm/1x2", "has 2 extents, and must have 3"),
        ("gemm/1xax3", "N is 'a', and must be a whole number"),
        ("vit/tiny-224", "names no layers that are known"),
        ("unknown", "names no layers that are known"),
    ],
)
def test_a_net_that_names_no_layers_is_refused(net: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        layers_of(net, FOLDER)


def test_every_net_that_the_index_names_has_layers(folder: Folder) -> None:
    for net, _ in folder.nets.values():
        if net:
            assert multiply_adds(layers_of(net, FOLDER)) > 0, net


def test_every_device_that_is_compared_exists_and_so_does_what_it_stands_for(
    folder: Folder, rows: list[Measurement]
) -> None:
    names = {device.name for device in ALL_DEVICES}
    measured = {(row.key.soc, row.key.processor) for row in rows}
    runtimes = {row.key.runtime for row in rows}
    for use in folder.devices:
        assert use.device in names, "a device of devices.csv has no model"
        assert (use.soc, use.processor) in measured, "devices.csv names what no table measured"
        assert set(use.runtimes) <= runtimes
        assert use.note, "a note says why it is fit, or how it differs"


def test_every_table_and_its_index_say_where_they_come_from(folder: Folder) -> None:
    for name in folder.tables:
        assert folder.tables[name].source
        assert (FOLDER / folder.tables[name].file).is_file()
