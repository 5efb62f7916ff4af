"""``simulate validate``: a line for each device and family, files with a scatter plot, and bands that rows carry."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gatherline as gl
from costmodel.devices.catalog import ALL_DEVICES
from costmodel.validation import bands
from costmodel.validation.compare import validate
from costmodel.validation.exclusions import EXCLUSIONS
from costmodel.validation.folder import FOLDER, open_folder
from costmodel.validation.store_bands import bands_of
from costmodel.validation.summary import summaries
from gatherline.cli import main
from gatherline.report.validation_plot import scatter

TABLES = ("paddle_lite", "torchao_vit", "torchao")  # the small ones


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small tables and the small nets alone, so that a validation takes no time."""
    folder = tmp_path_factory.mktemp("tables")
    for name in ("machines.csv", "nets.csv", "devices.csv", "ncnn_model_layers.csv", "ncnn_operators.csv"):
        shutil.copy(FOLDER / name, folder)
    header, *lines = (FOLDER / "tables.csv").read_text().splitlines()
    chosen = [line for line in lines if line.split(",")[0] in TABLES]
    assert len(chosen) == len(TABLES)
    (folder / "tables.csv").write_text("\n".join([header, *chosen]) + "\n")
    for line in chosen:
        shutil.copy(FOLDER / line.split(",")[1], folder)
    vit = folder / "a100_block_sparsity_vit_torchao.csv"
    vit.write_text("".join(row for row in vit.read_text().splitlines(True) if not row.startswith("vit_h_14")))
    return folder


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def validated(capsys: pytest.CaptureFixture[str], tables: Path, *arguments: str) -> dict[str, Any]:
    assert call("validate", "--tables", str(tables), "--json", *arguments) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def test_every_device_and_family_has_a_line_with_its_errors(capsys: pytest.CaptureFixture[str], tables: Path) -> None:
    report = validated(capsys, tables)
    assert report["schema"] == 1
    found = {(row["device"], row["family"]) for row in report["rows"]}
    assert {("snapdragon-855-paddle", "dense"), ("adreno-640", "dense"), ("a100", "bsr"), ("a100", "n_of_m")} <= found
    for row in report["rows"]:
        assert row["rows"] >= row["nets"] >= 1
        assert 0 <= row["error_median"] <= row["error_p90"]
        assert 0 <= row["within_10"] <= 1
        assert row["rank"] is None or -1 <= row["rank"] <= 1
        assert row["rank"] is None or row["nets"] >= 3
        assert row["bias"] > -1


def test_the_summary_is_the_median_of_the_points_of_each_kind_family_and_type(tables: Path) -> None:
    found = gl.validate(tables=tables)
    summary = found.manifest["summary"]
    assert isinstance(summary, list)
    assert sum(group["rows"] for group in summary) == len(found.points)
    kinds = {device.name: device for device in ALL_DEVICES}
    for group in summary:
        of_this = [
            float(str(point["error"]))
            for point in found.points
            if all(point[name] == group[name] for name in ("use", "family", "dtype"))
            and kinds[str(point["device"])].kind == group["device_kind"]
            and group["threads"]
            == (("1" if point["threads"] == 1 else "several") if kinds[str(point["device"])].static_threads else "all")
        ]
        assert group["rows"] == len(of_this)
        assert group["median"] == pytest.approx(np.median(np.abs(of_this)))
        assert group["bias"] == pytest.approx(np.median(of_this))
        assert 0 <= group["ranked_well"] <= group["ranked"]
    uses = [group["use"] for group in summary]
    assert uses == sorted(uses, key=lambda use: use != "held_out")


def test_a_device_is_marked_fit_or_held_out_by_the_one_file_that_says_so(
    capsys: pytest.CaptureFixture[str], tables: Path, tmp_path: Path
) -> None:
    said = {use.device: use.use for use in open_folder().devices}
    report = validated(capsys, tables)
    assert all(row["use"] == said[row["device"]] for row in report["rows"])
    folder = shutil.copytree(tables, tmp_path / "other")
    (folder / "devices.csv").write_text(
        (folder / "devices.csv").read_text().replace("a100,a100,a100,,fit", "a100,a100,a100,,held_out")
    )
    other = validated(capsys, folder, "--device", "a100")
    assert {row["use"] for row in other["rows"]} == {"held_out"}
    assert call("validate", "--tables", str(folder), "--device", "a100") == 0
    assert "Never used in fitting: a100." in capsys.readouterr().out


def test_rows_that_are_read_are_predicted_left_out_or_named(capsys: pytest.CaptureFixture[str], tables: Path) -> None:
    manifest = validated(capsys, tables)["manifest"]
    assert [entry["rule"] for entry in manifest["left_out"]] == [rule.name for rule in EXCLUSIONS]
    left_out = sum(entry["rows"] for entry in manifest["left_out"])
    assert manifest["rows_read"] == left_out + manifest["rows_used"] + sum(manifest["unpredicted"].values())


def test_a_device_with_kernels_of_one_runtime_is_compared_with_its_rows_alone(
    capsys: pytest.CaptureFixture[str], tables: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tables, tmp_path / "other")
    everything = validated(capsys, folder, "--device", "snapdragon-855-paddle")["manifest"]["rows_used"]
    text = (folder / "devices.csv").read_text()
    line = "snapdragon-855-paddle,snapdragon-855,a76,{},fit"
    assert line.format("paddle_lite") in text
    text = text.replace(line.format("paddle_lite"), line.format("ncnn tflite"))
    (folder / "devices.csv").write_text(text)
    both = ("--device", "snapdragon-855-paddle", "--device", "adreno-640")
    manifest = validated(capsys, folder, *both)["manifest"]
    assert manifest["unpredicted"]["snapdragon-855-paddle has no kernels of paddle_lite"] == everything > 0


@pytest.mark.parametrize("more", [(), ("--family", "dense"), ("--json",)])
def test_a_device_whose_runtime_was_not_measured_is_one_line_that_names_who_stands_for_its_processor(
    capsys: pytest.CaptureFixture[str], tables: Path, more: tuple[str, ...]
) -> None:
    assert call("validate", "--tables", str(tables), "--device", "snapdragon-855", *more) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err == (
        "simulate: error: snapdragon-855 is not measured: nothing in the tables was measured on snapdragon-855 a76 "
        "under its runtime (xnnpack); snapdragon-855-paddle (paddle_lite) stands for the same processor\n"
    )


def test_a_device_without_rows_beside_one_with_rows_is_said_to_be_not_measured(
    capsys: pytest.CaptureFixture[str], tables: Path
) -> None:
    asked = ("--device", "raspberry-pi-5", "--device", "a100")
    report = validated(capsys, tables, *asked)
    assert {row["device"] for row in report["rows"]} == {"a100"}
    assert [one["device"] for one in report["manifest"]["not_measured"]] == ["raspberry-pi-5"]
    assert call("validate", "--tables", str(tables), *asked) == 0
    assert "raspberry-pi-5 is not measured: no table has a row of its processor" in capsys.readouterr().out


def test_no_device_with_a_row_is_an_error_however_many_are_asked_for(tables: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tables, tmp_path / "other")
    header, *lines = (folder / "devices.csv").read_text().splitlines()
    (of_no_table,) = [line for line in lines if line.startswith("zcu102-dpu,")]
    (folder / "devices.csv").write_text(f"{header}\n{of_no_table}\n")
    with pytest.raises(ValueError, match=f"none of the {len(ALL_DEVICES)} devices has a row"):
        gl.validate(tables=folder)


def test_a_device_narrows_floors_bands_and_the_account_of_rows_to_what_concerns_it(
    capsys: pytest.CaptureFixture[str], tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = bands.bands_text([]).strip()
    band = "{},40,10,2,0.8,1.5,0.1,0.3,1,1000000000000,1.0,2"
    kinds = ("mobile_cpu,dense,fp16", "server_gpu,dense,fp16", "server_gpu,dense,int4", "server_gpu,ell,fp16")
    stored = bands.read_bands("\n".join([header, *(band.format(kind) for kind in kinds)]))
    monkeypatch.setattr("gatherline.validation.stored_bands", lambda: stored)
    manifest = validated(capsys, tables, "--device", "a100")["manifest"]
    assert [entry["device_kind"] for entry in manifest["bands"]] == ["server_gpu"]  # no int4, no kernel of ell
    assert manifest["floors"] == []  # nobody else measured it
    assert manifest["rows_read"] < validated(capsys, tables)["manifest"]["rows_read"]
    assert call("validate", "--tables", str(tables), "--device", "a100") == 0
    out = capsys.readouterr().out
    assert "none of these devices stands for the processor" not in out
    assert "stands for nothing" not in out
    assert not [line for line in out.splitlines() if line.startswith("  0 ")]


def test_the_summary_comes_first_and_lines_stand_by_kind_then_name(
    capsys: pytest.CaptureFixture[str], tables: Path
) -> None:
    report = validated(capsys, tables)
    order = [(row["device_kind"], row["device"]) for row in report["rows"]]
    assert order == sorted(order)
    assert call("validate", "--tables", str(tables)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["kind", "fitted"]
    (table,) = (at for at, line in enumerate(lines) if line.startswith("device "))
    shown = [line.split()[0] for line in lines[table + 1 : lines.index("", table)]]
    kinds = list(dict.fromkeys(kind for kind, _ in order))
    assert [name for name in shown if name.startswith("[")] == [f"[{kind}]" for kind in kinds]
    assert "raspberry-pi-5" in next(line for line in lines if line.startswith("Not measured"))


def test_a_band_holds_the_rows_of_the_summarys_held_out_lines_over_all_threads(
    tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = validate(open_folder(tables), ALL_DEVICES)
    made = bands_of(found.points)
    assert made
    for band in made:
        group = [
            one
            for one in summaries(found.points, found.lines)
            if (one.use, one.device_kind, one.family, one.dtype)
            == ("held_out", band.device_kind, band.family, band.dtype)
        ]
        assert band.rows == sum(one.rows for one in group)
        assert min(one.median for one in group) <= band.error_median <= max(one.median for one in group)


def test_the_text_says_errors_floor_rules_and_bands(capsys: pytest.CaptureFixture[str], tables: Path) -> None:
    assert call("validate", "--tables", str(tables), "--device", "a100") == 0
    out = capsys.readouterr().out
    for words in ("median", "p90", "in 10 %", "bias", "rank", "anchored", "floor", "Never used in fitting: none"):
        assert words in out
    assert "Sparse over dense on a100: 4 ratios" in out
    left_out = validated(capsys, tables, "--device", "a100")["manifest"]["left_out"]
    assert any(entry["rows"] for entry in left_out)
    for rule, entry in zip(EXCLUSIONS, left_out, strict=True):
        assert (f"{entry['rows']} {rule.name}: {rule.reason}" in out) == (entry["rows"] > 0)
    assert bands.RULE in out


def test_a_family_and_a_device_narrow_what_is_shown(capsys: pytest.CaptureFixture[str], tables: Path) -> None:
    report = validated(capsys, tables, "--device", "a100", "--family", "bsr")
    assert {(row["device"], row["family"]) for row in report["rows"]} == {("a100", "bsr")}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--device", "a10"), ("device 'a10'", "a100")),
        (("--device", "gs-tcm"), ("device 'gs-tcm' has no roofline",)),
        (("--device", "my.toml"), ("device 'my.toml' is a file", "--measured TABLE.csv")),
        (("--device", "a100", "--family", "csr"), ("family 'csr' has no rows", "bsr, dense, n_of_m")),
    ],
)
def test_a_device_or_a_family_that_is_not_there_is_one_line(
    arguments: tuple[str, ...], says: tuple[str, ...], capsys: pytest.CaptureFixture[str], tables: Path
) -> None:
    assert call("validate", "--tables", str(tables), *arguments) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.count("\n") == 1
    for words in says:
        assert words in found.err


def test_a_folder_without_tables_is_a_wrong_input(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert call("validate", "--tables", str(tmp_path)) == 2
    assert "tables.csv: this table of measurements is not there" in capsys.readouterr().err


def test_files_hold_every_point_and_a_picture_of_each_device(
    capsys: pytest.CaptureFixture[str], tables: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    report = validated(capsys, tables, "--device", "a100", "--device", "adreno-640", "--out", str(target))
    names = {path.name for path in target.iterdir()}
    csvs = {"validation.csv", "points.csv", "speed-ups.csv"}
    assert names == csvs | {"validation.json", "scatter-a100.png", "scatter-adreno-640.png"}
    assert json.loads((target / "validation.json").read_text()) == report
    with (target / "points.csv").open(newline="") as file:
        points = list(csv.DictReader(file))
    assert len(points) == report["manifest"]["rows_used"]
    for each in points:
        low, high, measured = (float(each[name]) for name in ("predicted_low_s", "predicted_high_s", "measured_s"))
        nearest = min(max(measured, low), high)
        assert float(each["error"]) == pytest.approx(nearest / measured - 1, abs=1e-12)
    assert call("validate", "--tables", str(tables), "--device", "a100", "--out", str(tmp_path / "one")) == 0
    wrote = capsys.readouterr().out.splitlines()[-1]
    assert wrote == f"wrote {len(list((tmp_path / 'one').iterdir()))} files into {tmp_path / 'one'}"
    assert all((target / name).read_bytes().startswith(b"\x89PNG") for name in names if name.endswith(".png"))


def test_the_title_of_a_scatter_has_the_median_of_each_family_and_whether_the_device_was_fitted(tables: Path) -> None:
    points = gl.validate(["a100", "snapdragon-855-paddle"], tables=tables).points
    of_gpu = [point for point in points if point["device"] == "a100"]
    title = scatter(of_gpu).axes[0].get_title(loc="left")
    assert title.startswith(f"a100, fitted: {len(of_gpu)} measurements\nmedian error: bsr ")
    for family in ("bsr", "dense", "n_of_m"):
        off = [abs(float(str(point["error"]))) for point in of_gpu if point["family"] == family]
        assert f"{family} {np.median(off):.0%} of {len(off)}" in title
    held_out = [{**point, "use": "held_out"} for point in of_gpu]
    assert scatter(held_out).axes[0].get_title(loc="left").startswith("a100, held out: ")
    labels = [text.get_text() for text in scatter(of_gpu).legends[0].get_texts()]
    assert not any("thread" in label for label in labels)  # a GPU has no threads to name
    of_cpu = [point for point in points if point["device"] == "snapdragon-855-paddle"]
    labels = [text.get_text() for text in scatter(of_cpu).legends[0].get_texts()]
    assert any("fp32, 1 thread, dense" in label for label in labels)


def test_the_same_tables_give_the_same_bytes(tables: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        gl.validate(["a100"], tables=tables).write(tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_rows_of_a_run_carry_the_band_of_their_kind_family_and_type(monkeypatch: pytest.MonkeyPatch) -> None:
    header = bands.bands_text([]).strip()
    line = "mobile_cpu,dense,fp16,40,10,2,0.8,1.5,0.1,0.3,1,1000000000000,1.0,2"
    monkeypatch.setattr(bands, "stored_bands", lambda: bands.read_bands(f"{header}\n{line}\n"))
    report = gl.run("digits", patterns=["dense"], devices=["snapdragon-855", "a100"])
    for row in report.rows:
        if row["device"] != "snapdragon-855":
            assert (row["validated"], row["latency_low_s"], row["latency_high_s"]) == ("not validated", None, None)
            continue
        latency = row["latency_s"]
        assert isinstance(latency, float)
        assert row["latency_low_s"] == pytest.approx(0.8 * latency)
        assert row["latency_high_s"] == pytest.approx(1.5 * latency)
        assert "40 rows" in str(row["validated"])
        assert row["extrapolated"] is False
    more = gl.run("digits", patterns=["dense"], devices=["snapdragon-855"], threads=4)
    assert all(row["extrapolated"] is True for row in more.rows)  # measured on up to two threads


def test_without_a_band_a_run_is_not_validated() -> None:
    kinds = {(band.device_kind, band.family, band.dtype) for band in bands.stored_bands()}
    for row in gl.run("digits", patterns=["dense"], devices=["zcu102"]).rows:
        assert ("fpga", "dense", "fp16") not in kinds
        assert row["validated"] == "not validated"
