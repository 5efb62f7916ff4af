"""``simulate validate --tables`` on folders that others wrote: one line with file, line, value and rule."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from costmodel.validation.folder import FOLDER, open_folder
from costmodel.validation.readers import READERS, measurements
from gatherline.cli import main

INDEX = ("machines.csv", "nets.csv", "devices.csv", "ncnn_model_layers.csv", "ncnn_operators.csv")
TABLES = {"paddle_lite": 3, "tnn": 3, "bolt": 3, "torchao": 2, "torchao_vit": 30, "deepbench_conv": 2, "xnnpack": 2}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The first lines of some tables, and all index files."""
    target = tmp_path / "tables"
    target.mkdir()
    for name in INDEX:
        shutil.copy(FOLDER / name, target)
    header, *lines = (FOLDER / "tables.csv").read_text().splitlines()
    chosen = [line for line in lines if line.split(",")[0] in TABLES]
    (target / "tables.csv").write_text("\n".join([header, *chosen]) + "\n")
    for line in chosen:
        name, file = line.split(",")[:2]
        rows = (FOLDER / file).read_text().splitlines(True)
        (target / file).write_text("".join(rows[: TABLES[name]]))
    return target


def refusal(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(["validate", "--tables", str(folder), "--device", "a100", "--out", str(folder.parent / "out")])
    out, err = capsys.readouterr()
    assert (stopped.value.code, out, err.count("\n")) == (2, "", 1), err
    assert not (folder.parent / "out").exists()
    return err


def damage(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


TNN = "tnn,tnn.csv,latency_ms,ms,single,tnn,Tencent"
PADDLE = "paddle_lite,paddle_lite.csv,latency_ms,ms,mean,paddle_lite,"


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("tables.csv", TNN, TNN.replace("latency_ms", ""), "table tnn: time_column is '', and must be of latency_ms"),
        ("tables.csv", TNN, TNN.replace("latency_ms", "model"), "time_column is 'model', and must be of latency_ms"),
        ("tables.csv", TNN, TNN.replace("latency_ms", "latency_ms latency_ms"), "and must name each once"),
        ("tables.csv", TNN, TNN.replace("single", "zzz"), "typical is 'zzz', and must be one of mean, median, single"),
        ("tables.csv", TNN, TNN.replace(",ms,", ",by_row,"), "unit is 'by_row', and must be one of s, ms, us"),
        ("tables.csv", PADDLE, PADDLE + '" "\n' + "zz" + PADDLE, "line 2: source is ' ', and must not be empty"),
        ("tables.csv", PADDLE, f"{PADDLE}x\n{PADDLE}", "line 3: table 'paddle_lite' stands there twice"),
        ("tables.csv", "tnn,tnn.csv", "tnn,/etc/passwd", "file is '/etc/passwd', and must be a name of a file"),
        ("tables.csv", "tnn,tnn.csv", "tnn,../tnn.csv", "file is '../tnn.csv', and must be a name of a file"),
        ("tables.csv", "tnn,tnn.csv", "tnn,..", "file is '..', and must be a name of a file"),
        ("tables.csv", "tnn,tnn.csv", "tnn,bolt.csv", "bolt.csv line 1: column device is missing"),
        ("tables.csv", "tnn,tnn.csv", "bolt,tnn.csv", "table 'bolt' stands there twice"),
        ("tables.csv", "table,file,", "table,table,file,", "tables.csv line 1: column 'table' stands there twice"),
        ("tnn.csv", "section,device", "section,dev", "tnn.csv line 1: column device is missing"),
        ("tnn.csv", ",column,", ",col,", "tnn.csv line 1: column column is missing"),
        ("tnn.csv", ",model,", ",net,", "tnn.csv line 1: column model is missing"),
        ("tnn.csv", "section,", "model,", "tnn.csv line 1: column 'model' stands there twice"),
        ("tnn.csv", "v0.3", "x" * 140_000, "tnn.csv line 2 is no CSV: field larger than field limit (131072)"),
        ("tnn.csv", "cpu time", "npu time", "tnn.csv line 2: column is 'npu time(thread 1,fp16, ms)', and must begin"),
        ("tnn.csv", ",65.70", ",6_5", "tnn.csv line 2: '6_5' is no number, of digits 0 to 9"),
        ("tnn.csv", ",65.70", ",６", "tnn.csv line 2: '６' is no number, of digits 0 to 9"),
        ("bolt.csv", "cpu,1,", "cpu,0,", "bolt.csv line 2: threads is '0', and must be a whole number from 1 to"),
        ("bolt.csv", "cpu,1,", "cpu,1.5,", "bolt.csv line 2: threads is '1.5', and must be a whole number"),
        ("bolt.csv", "cpu,1,", "cpu,1e30,", "bolt.csv line 2: threads is '1e30', and must be a whole number"),
        ("paddle_lite.csv", ",dense,", ",zzz,", "paddle_lite.csv line 2: weights is 'zzz', and must be one of dense"),
        ("paddle_lite.csv", "CPU", "XPU", "backend is 'XPU armv8 1 thread', and must begin with CPU or GPU"),
        ("a100_sparsity_torchao.csv", "22.75", "0", "line 2: value is '0', and must be above 0"),
        ("a100_block_sparsity_vit_torchao.csv", ",bsr,64", ",bsr,x", "bsr is 'x', and must be a whole number from 1"),
        ("a100_block_sparsity_vit_torchao.csv", "None", "zzz", "sparsity is 'zzz', and must be one of None,"),
        ("a100_block_sparsity_vit_torchao.csv", ",256,", ",0,", "line 2: batch_size is '0', and must be a whole"),
        ("xnnpack.csv", "FP32 MobileNet v1 1.0X", "", "xnnpack.csv line 2: data type '' is unknown"),
        ("deepbench_conv.csv", ",2,2,Forward", ",0,2,Forward", "deepbench_conv.csv line 2: stride_h is '0', and must"),
        ("deepbench_conv.csv", ",700,161,", ",7,161,", "deepbench_conv.csv line 2: net 'conv/7x161x"),
        ("machines.csv", "a76,fp16,,", "a76,fp64,,", "float_dtype is 'fp64', and must be empty or one of fp32, fp16"),
        ("machines.csv", "a76,fp16,,", "a76,fp16,0,", "threads is '0', and must be a whole number from 1 to"),
        ("machines.csv", "a76,fp16,,", "a76,fp16,1.5,", "threads is '1.5', and must be a whole number"),
        ("machines.csv", "a76,fp16,,", "a76,fp16,1e30,", "threads is '1e30', and must be a whole number"),
        ("machines.csv", "a76,fp16,,", "a76,fp16,,0", "peak_gmacs is '0', and must be above 0, or empty"),
        ("devices.csv", "adreno-640,snap", "adreno-64,snap", "line 2: device 'adreno-64' is no model; did you mean"),
        ("devices.csv", ",use,", ",use,use,", "devices.csv line 1: column 'use' stands there twice"),
    ],
)
def test_a_damaged_folder_is_one_line_with_file_line_value_and_rule(
    folder: Path, capsys: pytest.CaptureFixture[str], file: str, old: str, new: str, says: str
) -> None:
    damage(folder / file, old, new)
    assert says in refusal(folder, capsys)


@pytest.mark.parametrize(
    ("net", "says"),
    [
        ("conv/7x7x1x1x1x3x3x0x0x0x1", "SW is '0', and must be a whole number from 1 to"),
        ("conv/1x1x1x1x1x3x3x0x0x1x1", "S x R is 3 x 3, and must fit into the padded input"),
        ("gemm/999999999999x1x9999999999", "M is '999999999999', and must be a whole number from 1 to 2147483647"),
        ("gemm/99999x1x999999", f"has {99_999 * 999_999} weights, and must have 1 to {1 << 30}"),
        ("gemm/1x1x4000001", "has 4000001 weights in a row, and must have 1 to 4000000"),
        ("gemm/0x0x0", "M is '0', and must be a whole number from 1 to"),
        ("gemm/1x1x1.5", "K is '1.5', and must be a whole number"),
        ("gemm/６x1x1", "M is '６', and must be a whole number"),
        ("nope", "net 'nope' names no layers that are known"),
        ("built_in/nope", "no built-in network has this name"),
        ("mobilenet_v1/1-0", "pixels is '0', and must be a whole number from 1 to"),
        ("mobilenet_v1/1e30-224", "width is '1e30', and must be above 0 and at most 8"),
        ("zoo/nope", "names no network that is known"),
    ],
)
def test_a_net_without_layers_that_can_be_is_named_with_the_line_of_the_index(
    folder: Path, capsys: pytest.CaptureFixture[str], net: str, says: str
) -> None:
    path = folder / "nets.csv"
    lines = path.read_text().splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("paddle_lite,MobileNetV1,")]
    lines[at] = f"paddle_lite,MobileNetV1,{net},"
    path.write_text("\n".join(lines) + "\n")
    said = refusal(folder, capsys)
    assert f"nets.csv line {at + 1}: " in said
    assert says in said


@pytest.mark.parametrize("file", ["tables.csv", "tnn.csv", "machines.csv", "nets.csv", "devices.csv"])
def test_a_file_without_rows_or_with_bytes_that_are_no_text_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    path = folder / file
    header, second, *_ = path.read_bytes().splitlines(True)
    path.write_bytes(header + second + b"\xff\n")
    assert f"{file} line 3: byte 0xff is no text in UTF-8" in refusal(folder, capsys)
    path.write_bytes(header)
    assert f"{file}: has no rows, and must have one or more" in refusal(folder, capsys)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_reader_asks_for_every_column_that_it_reads(
    folder: Path, capsys: pytest.CaptureFixture[str], reader: object
) -> None:
    """Without one column at a time, a table is refused by the name of that column."""
    assert isinstance(reader, type(READERS[0]))
    (entry,) = [line for line in (FOLDER / "tables.csv").read_text().splitlines() if line.split(",")[0] == reader.name]
    header = (FOLDER / "tables.csv").read_text().splitlines()[0]
    (folder / "tables.csv").write_text(f"{header}\n{entry}\n")
    file = entry.split(",")[1]
    lines = (FOLDER / file).read_text().splitlines(True)
    names = lines[0].strip().split(",")
    for name in (*reader.columns, *entry.split(",")[2].strip('"').split()):
        assert name in names
        renamed = ",".join("other" if each == name else each for each in names)
        (folder / file).write_text(f"{renamed}\n{lines[1]}")
        assert f"{file} line 1: column {name} is missing" in refusal(folder, capsys)
    needed = {*reader.columns, *reader.times}
    blank = ",".join(name if name in needed else f"other{at}" for at, name in enumerate(names))
    (folder / file).write_text(f"{blank}\n{lines[1]}")
    assert len(measurements(open_folder(folder))) >= 1  # no column is read that was not asked for
