"""``simulate energy`` on a report that was damaged: one line with file, row, column, value and rule, and no report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gatherline as gl
from gatherline.cli import main
from gatherline.report_file import NEEDED, REPORT


@pytest.fixture(scope="module")
def report() -> str:
    return gl.run("digits", patterns=["dense"], devices=["gs-tcm", "zcu102"]).to_json()


def refusal(folder: Path, text: str | bytes, capsys: pytest.CaptureFixture[str]) -> str:
    path = folder / REPORT
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SystemExit) as stopped:
        main(["energy", str(folder)])
    out, err = capsys.readouterr()
    assert (stopped.value.code, out, err.count("\n")) == (2, "", 1), err
    assert f"{path}: " in err
    assert [each.name for each in folder.iterdir()] == [REPORT]
    return err


def test_the_report_that_the_others_are_made_of_is_good(
    report: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / REPORT).write_text(report)
    with pytest.raises(SystemExit) as stopped:
        main(["energy", str(tmp_path), "--json"])
    assert stopped.value.code == 0
    again, before = (json.loads(text)["rows"] for text in (capsys.readouterr().out, report))
    assert again == before  # priced by the same table


def put(*path: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    """Return what sets a place of a report to ``value``."""

    def change(found: Any) -> None:
        for step in path[:-1]:
            found = found[step]
        found[path[-1]] = value

    return change


def drop(*path: str | int) -> Callable[[dict[str, Any]], None]:
    def change(found: Any) -> None:
        for step in path[:-1]:
            found = found[step]
        del found[path[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (put("manifest", value=[]), "manifest is [], and must be an object"),
        (put("manifest", value=1), "manifest is 1, and must be an object"),
        (put("manifest", "devices", value=[]), "manifest.devices is [], and must be an object"),
        (put("manifest", "devices", "gs-tcm", value=3), "manifest.devices.gs-tcm is 3, and must have a hash"),
        (put("manifest", "devices", "gs-tcm", "hash", value="x"), "device gs-tcm is not the one of the run"),
        (drop("manifest", "devices", "gs-tcm"), "device gs-tcm is not the one of the run"),
        (drop("manifest"), "manifest is missing"),
        (drop("schema"), "schema is missing"),
        (put("schema", value=99), "schema is 99, and must be 1"),
        (put("schema", value=True), "schema is True, and must be 1"),
        (put("rows", value={}), "rows is {}, and must be a list of one or more rows"),
        (put("rows", value=[]), "rows is [], and must be a list of one or more rows"),
        (put("rows", 0, value=7), "rows[0] is 7, and must be an object"),
        (put("rows", 0, "device", value=3), "rows[0]: device is 3, and must be text"),
        (put("rows", 0, "device", value="nope"), "device 'nope' is not known"),
        (put("rows", 0, "device", value="/etc/mine.toml"), "device is '/etc/mine.toml', and must be a name"),
        (put("rows", 0, "model_kind", value="zz"), "rows[0]: model_kind is 'zz', and must be one of cycle, roofline"),
        (put("rows", 0, "model_kind", value="roofline"), "model_kind is 'roofline', and must be cycle"),
        (put("rows", -1, "model_kind", value="cycle"), "model_kind is 'cycle', and must be roofline"),
        (put("rows", 0, "dtype", value="fp64"), "rows[0]: dtype is 'fp64', and must be one of fp32, fp16, int8"),
        (put("rows", 1, "dtype", value="int8"), "rows[1]: dtype is 'int8', and must be 'fp16' as in the rows before"),
        (put("rows", 0, "macs_active", value=10**400), "rows[0]: macs_active is 1000"),
        (put("rows", 0, "macs_active", value=-1), "macs_active is -1, and must be a whole number from 0 to 2^63 - 1"),
        (put("rows", 0, "macs_active", value=1.5), "macs_active is 1.5, and must be a whole number"),
        (put("rows", 0, "macs_active", value=True), "macs_active is True, and must be a whole number"),
        (drop("rows", 0, "macs_active"), "macs_active of layer conv1 is None, and must be a count"),
        (put("rows", 0, "latency_s", value=float("nan")), "NaN is no finite number"),
        (put("rows", 0, "latency_s", value=float("inf")), "Infinity is no finite number"),
        (put("rows", 0, "latency_s", value="NaN"), "rows[0]: latency_s is 'NaN', and must be a finite number"),
        (put("rows", 0, "latency_s", value=-1.0), "rows[0]: latency_s is -1.0, and must be a finite number, at least"),
        (put("rows", 0, "sparsity_target", value="x"), "sparsity_target is 'x', and must be a finite number"),
        (put("rows", 0, "synthetic", value=1), "synthetic is 1, and must be true or false"),
        (put("rows", 0, "latency", value=1.0), "column 'latency' is not known; did you mean latency_s?"),
        *((drop("rows", 0, name), f"rows[0]: {name} is missing") for name in NEEDED),
    ],
)
def test_a_report_that_no_run_wrote_is_refused(
    report: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[dict[str, Any]], None],
    says: str,
) -> None:
    found = json.loads(report)
    change(found)
    assert says in refusal(tmp_path, json.dumps(found), capsys)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"schema": 1', '"schema": 1, "schema": 1', "key 'schema' stands in one object twice"),
        ('"layer": ', '"layer": "x", "layer": ', "key 'layer' stands in one object twice"),
        ('"schema": 1', '"schema": ' + "[" * 100_000, "it is nested too deep"),
        ('"schema": 1', '"schema": 1e999', "1e999 is no finite number"),
        ('"schema": 1', '"schema": ' + "1" * 5000, "not a report that simulate run wrote"),
        ('"schema"', "schema", "not a report that simulate run wrote"),
    ],
)
def test_text_that_is_no_json_or_says_something_twice_is_refused(
    report: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, says: str
) -> None:
    assert old in report
    assert says in refusal(tmp_path, report.replace(old, new, 1), capsys)


def test_bytes_that_are_no_text_are_refused(report: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "not a report that simulate run wrote" in refusal(tmp_path, report.encode() + b"\xff", capsys)
