"""``simulate validate --measured`` on tables that others wrote: one line with file, line, value and rule."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from costmodel.calibrate.table import COLUMNS, SCHEMA, TITLE
from costmodel.calibrate.table_rules import MOST_WEIGHTS, OF_MEMORY, OF_PRODUCTS
from gatherline.cli import main

MANIFEST = json.dumps({"date": "2026-11-21", "host": {"cpu": "some", "versions": {}}})
CSR = {
    "family": "csr", "kernel": "numba-csr", "device": "cpu", "dtype": "fp32", "pattern": "unstructured", "m": "64",
    "k": "64", "p": "8", "density": "0.25", "kept": "1024", "slots": "1024", "stored_bytes": "6404",
    "footprint_bytes": "0", "moved_bytes": "0", "threads": "1", "operands": "warm", "median_s": "1e-5", "p10_s": "9e-6",
    "p90_s": "1.2e-5", "samples": "5", "calls": "3", "core_share": "1.0", "seed": "0",
}  # fmt: skip
DENSE = {**CSR, "family": "dense", "kernel": "numpy-dense", "pattern": "dense", "density": "1.0", "kept": "4096",
         "slots": "4096"}  # fmt: skip
MEMORY = {**CSR, "family": "memory", "kernel": "memory-read", "pattern": "", "m": "0", "k": "0", "p": "0", "kept": "0",
          "footprint_bytes": "4096", "moved_bytes": "4096", "dtype": "int64"}  # fmt: skip


def text_of(*rows: Mapping[str, str], manifest: str = MANIFEST, columns: tuple[str, ...] = COLUMNS) -> str:
    lines = [f"{TITLE}{SCHEMA}", f"# {manifest}", ",".join(columns)]
    return "\n".join([*lines, *(",".join(row[name] for name in columns) for row in rows)]) + "\n"


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def refusal(path: Path, text: str | bytes, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the only line that is said of a table; the printed form says no other than ``--json``."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    said = []
    for form in ((), ("--json",)):
        assert call("validate", "--measured", str(path), "--device", "x86-avx512", *form) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert f"{path}: " in err
        said.append(err)
    assert said[0] == said[1]
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    return said[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.csv"


def test_the_table_that_the_others_are_made_of_is_good(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(text_of(MEMORY, DENSE, CSR))
    assert call("validate", "--measured", str(path), "--device", "x86-avx512", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["family"], row["predicted"], row["rows"]) for row in rows] == [("dense", 1, 1), ("csr", 1, 1)]


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("pattern", "dense", "pattern is 'dense', and in a row of family csr must be another"),
        ("pattern", "zzz", "pattern 'zzz' is not known"),
        ("pattern", "gs:0,0", "gs:0,0: B is 0, and must be 1 to 32767"),
        ("m", "0", f"m is 0, and must be from 1 to {MOST_WEIGHTS}"),
        ("k", "0", f"k is 0, and must be from 1 to {MOST_WEIGHTS}"),
        ("p", "0", "p is 0, and must be from 1 to"),
        ("p", "-1", "p is -1, and must be from 0 to"),
        ("m", str(10**12), f"m is {10**12}, and must be from 1 to {MOST_WEIGHTS}"),
        ("m", str(MOST_WEIGHTS // 64 + 1), f"must be at most {MOST_WEIGHTS} weights"),
        ("m", "６４", "m is '６４', and must be a number, whole, of digits 0 to 9"),
        ("m", "6_4", "m is '6_4', and must be a number, whole"),
        ("m", "64.5", "m is '64.5', and must be a number, whole"),
        ("seed", "-1", "seed is -1, and must be from 0 to"),
        ("density", "nan", "density is nan, and must be above 0 and at most 1"),
        ("density", "0", "density is 0.0, and must be above 0 and at most 1"),
        ("density", "1.5", "density is 1.5, and must be above 0 and at most 1"),
        ("density", "0_1.0", "density is '0_1.0', and must be a number"),
        ("threads", "0", "threads is 0, and must be from 1 to"),
        ("samples", "-1", "samples is -1, and must be from 1 to"),
        ("calls", "0", "calls is 0, and must be from 1 to"),
        ("slots", "-1", "slots is -1, and must be from 0 to"),
        ("slots", "1023", "slots is 1023, and must be at least kept"),
        ("kept", "512", "kept is 512, and must be density x m x k"),
        ("stored_bytes", "0", "stored_bytes is 0, and must be at least 1"),
        ("core_share", "nan", "core_share is nan, and must be at least 0, and finite"),
        ("core_share", "inf", "core_share is inf, and must be at least 0, and finite"),
        ("p10_s", "2e-5", "p10_s is 2e-05 and median_s 1e-05, and p10_s, median_s and p90_s must not fall"),
        ("p90_s", "9.5e-6", "median_s is 1e-05 and p90_s 9.5e-06"),
        ("median_s", "1e-320", "must be above 0 seconds"),
        ("median_s", "1e999", "median_s is inf, and must be above 0 seconds"),
        ("operands", "zzz", "operands is 'zzz', and must be one of warm, cold"),
        ("family", "c\x1bsr", "family is 'c\\x1bsr', and must be at most 200 printable characters"),
        ("kernel", "numba\n-csr", "kernel is 'numba\\n-csr', and must be at most 200 printable characters"),
        ("family", " ", "family is ' ', and must be a name"),
        ("kernel", "", "kernel is '', and must be a name"),
        ("device", "x" * 201, "and must be at most 200 printable characters"),
        ("kernel", "x" * 140_000, "is no CSV: field larger than field limit (131072)"),
    ],
)
def test_a_cell_that_cannot_be_is_named_with_line_column_and_rule(
    path: Path, capsys: pytest.CaptureFixture[str], column: str, value: str, rule: str
) -> None:
    said = refusal(path, text_of(DENSE, {**CSR, column: f'"{value}"'}), capsys)
    assert f"line {5 + value.count(chr(10))}" in said  # the last of a cell that runs over several
    assert rule in said


@pytest.mark.parametrize("column", [*OF_PRODUCTS, "threads", "operands", "samples", "median_s", "family"])
def test_a_product_without_a_column_that_its_family_needs_is_refused(
    path: Path, capsys: pytest.CaptureFixture[str], column: str
) -> None:
    kept = tuple(name for name in COLUMNS if name != column)
    assert f"line 4: column {column} is missing" in refusal(path, text_of(CSR, columns=kept), capsys)


@pytest.mark.parametrize("column", OF_MEMORY)
def test_columns_of_memory_are_needed_by_rows_of_memory_alone(
    path: Path, capsys: pytest.CaptureFixture[str], column: str
) -> None:
    kept = tuple(name for name in COLUMNS if name != column)
    path.write_text(text_of(CSR, columns=kept))
    assert call("validate", "--measured", str(path), "--device", "x86-avx512") == 0
    capsys.readouterr()
    needed = f"line 5: column {column} is missing, and a row of family memory needs it"
    assert needed in refusal(path, text_of(CSR, MEMORY, columns=kept), capsys)


@pytest.mark.parametrize(
    ("manifest", "rule"),
    [
        ("[" * 100_000, "line 2 is no JSON: it is nested too deep"),
        ("{}", "line 2: host is missing"),
        ('{"host": 3}', "line 2: host is 3, and must be an object"),
        ('{"host": {}}', "line 2: date is missing"),
        ('{"host": {"cpu": "x"}, "date": ""}', "line 2: host: versions is missing"),
        ('{"host": {"cpu": [], "versions": {}}, "date": ""}', "line 2: host: cpu is [], and must be a text"),
        (MANIFEST[:-1] + ', "gpu": 1}', "line 2: gpu is 1, and must be an object"),
        ('{"seed": NaN}', "line 2 is no JSON: NaN is no number of JSON"),
        ('{"seed": ' + "1" * 5000 + "}", "line 2 is no JSON"),
    ],
)
def test_a_manifest_without_what_a_report_prints_is_refused(
    path: Path, capsys: pytest.CaptureFixture[str], manifest: str, rule: str
) -> None:
    assert rule in refusal(path, text_of(CSR, manifest=manifest), capsys)


def test_a_column_that_stands_there_twice_is_refused(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(path, text_of(CSR, columns=(*COLUMNS, "m")), capsys)
    assert "line 3: column m stands there twice" in said


def test_a_pattern_that_the_shape_cannot_have_names_the_line(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {**CSR, "pattern": "bank_balanced:65"}
    said = refusal(path, text_of(MEMORY, CSR, row), capsys)
    assert "line 6: pattern is 'bank_balanced:65', and must be one that 64 x 64 weights can have" in said


def test_bytes_that_are_no_text_are_refused(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is not text in UTF-8" in refusal(path, text_of(CSR).encode() + b"\xff", capsys)


def test_a_row_that_would_run_dense_says_so(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {**CSR, "density": "1.0", "kept": "4096", "slots": "4096"}
    path.write_text(text_of(row))
    assert call("validate", "--measured", str(path), "--device", "x86-avx512", "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["rows"]
    assert (found["predicted"], found["rows"]) == (0, 1)
    assert found["reason"] == "x86-avx512 would multiply unstructured as dense (gemm)"
