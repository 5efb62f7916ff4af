"""``simulate validate --measured``: devices beside a table that was calibrated, and errors that name what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from costmodel.calibrate.compare import compared
from costmodel.calibrate.table import Measurement, Table, write_table
from costmodel.device_file import device_text
from costmodel.devices.cpus import CPU_DEVICES
from costmodel.measured import MeasuredKernel, Regime
from gatherline.cli import main

HOST = next(device for device in CPU_DEVICES if device.name == "x86-avx512")
ROW = Measurement(
    family="dense", kernel="numpy-dense", device="cpu", dtype="fp32", pattern="dense", m=64, k=64, p=64, density=1.0,
    kept=4096, slots=4096, stored_bytes=16384, operands="warm", threads=1, median_s=1e-4, p10_s=9e-5, p90_s=1.2e-4,
    samples=5, calls=1,
)  # fmt: skip
MANIFEST = {
    "date": "2026-11-21T00:00:00+00:00",
    "complete": True,
    "host": {"cpu": "some\x1b[2J processor", "versions": {"numpy": "2"}},
}


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Three products, measured as the model predicts them times 1.25, 1 and 1, and one of a type it has not."""
    rows = [replace(ROW, m=m, kept=64 * m, slots=64 * m, stored_bytes=256 * m) for m in (64, 128, 256)]
    for at, factor in enumerate((1.25, 1.0, 1.0)):
        (one,) = compared([rows[at]], HOST)
        assert one.predicted_s is not None
        median_s = one.predicted_s * factor
        rows[at] = replace(rows[at], median_s=median_s, p10_s=0.9 * median_s, p90_s=1.2 * median_s)
    path = tmp_path / "here.csv"
    write_table(path, Table(manifest=MANIFEST, rows=(*rows, replace(ROW, dtype="bf16"))))
    return path


def test_errors_are_of_predicted_over_measured_and_rows_without_a_prediction_are_said(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("validate", "--measured", str(table), "--device", "x86-avx512", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    fp32, bf16 = report["rows"]
    assert (fp32["kernel"], fp32["dtype"], fp32["rows"], fp32["predicted"]) == ("numpy-dense", "fp32", 3, 3)
    assert fp32["error_median"] == pytest.approx(0, abs=1e-4)
    assert fp32["within_10"] == pytest.approx(2 / 3)
    assert fp32["error_p90"] == pytest.approx(0.8 * (1 - 1 / 1.25), rel=1e-3)  # 80 % of the way from second to third
    assert (bf16["rows"], bf16["predicted"], bf16["error_median"]) == (1, 0, None)
    assert report["manifest"]["table"] == "here.csv"
    assert call("validate", "--measured", str(table), "--device", "x86-avx512") == 0
    printed = capsys.readouterr().out
    assert "1 rows of x86-avx512, numpy-dense bf16 without a prediction: x86-avx512 has fp32" in printed
    assert "some\\x1b[2J processor" in printed  # names of a file that others wrote drive no terminal


def test_a_calibrated_device_shows_its_held_out_error_and_what_it_was_fitted_on(
    table: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fitted = MeasuredKernel(
        name="numpy-dense", runtime="numpy", encoding="dense", serves=(), kinds=("linear",), dtypes=("fp32",),
        unit="vector", efficiency=1.0, regimes=(Regime(positions=None, costs=(("mac_s", 1e-10),)),),
        median_error=0.125, p90_error=0.5,
    )  # fmt: skip
    stated = "measured on that day; fitted on 4 matrices, held-out error: median 12.5%"
    others = {name: source for name, source in HOST.sources.items() if not name.startswith("kernels")}
    host = replace(HOST, name="host", kernels=(fitted,), sources={**others, "kernels.numpy-dense": stated})
    file = tmp_path / "host.toml"
    file.write_text(device_text(host))
    assert call("validate", "--measured", str(table), "--device", str(file), "--json") == 0
    row = json.loads(capsys.readouterr().out)["rows"][0]
    assert (row["held_out_median"], row["held_out_p90"], row["fitted_on"]) == (0.125, 0.5, stated)
    assert call("validate", "--measured", str(table), "--device", str(file)) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].endswith("held out")
    assert printed[1].endswith("12%")  # 12.5 %, to the even one
    at = printed.index("  measured on that day")
    assert "include those its kernels were fitted on" in " ".join(printed[:at])
    assert printed[at + 1] == "    numpy-dense: fitted on 4 matrices, held-out error: median 12.5%"


def test_a_device_that_states_no_fit_has_no_held_out_error(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("validate", "--measured", str(table), "--device", "x86-avx512") == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[1].endswith(" -")
    assert "fitted on" not in printed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "device is missing, and --measured needs one"),
        (("--device", "gs-tcm"), "device gs-tcm is a cycle-level machine"),
        (("--device", "a100"), "here.csv: it holds no product of a processor like a100"),
        (("--device", "x86-avx512", "--family", "dense"), "--family is of published tables"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    table: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    assert call("validate", "--measured", str(table), *arguments) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
