"""What the command says of error bands: in every row, in the total, in the text; and when a row is beyond them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from costmodel.cpu_device import cpu_device
from costmodel.device_file import device_text
from costmodel.measured import MeasuredKernel, Regime
from costmodel.validation import bands
from gatherline import cli
from gatherline.report.selection import milliseconds

Rows = list[dict[str, Any]]
LIMIT_MACS, LIMIT_THREADS, LIMIT_DENSITY = 1_000_000, 2, 0.2
BANDS = (
    f"{bands.bands_text([]).strip()}\n"
    f"mobile_cpu,dense,fp16,40,10,2,0.8,1.5,0.1,0.3,1,{LIMIT_MACS},1.0,{LIMIT_THREADS}\n"
    f"mobile_cpu,csr,fp16,40,10,2,0.7,1.9,0.1,0.3,1,{LIMIT_MACS},{LIMIT_DENSITY},{LIMIT_THREADS}\n"
)
P90 = 0.3
SMALL = ("mobilenet_v1", "--input-shape", "1,3,32,32")


@pytest.fixture(autouse=True)
def _known_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "stored_bands", lambda: bands.read_bands(BANDS))


def ran(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", *arguments])
    out, err = capsys.readouterr()
    assert ended.value.code == 0, err
    return out


def rows(capsys: pytest.CaptureFixture[str], *arguments: str) -> Rows:
    found: Rows = json.loads(ran(capsys, *arguments, "--json"))["rows"]
    return found


def test_every_row_has_both_ends_and_what_validates_them_or_says_that_nothing_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for row in rows(capsys, "digits", "--pattern", "dense"):  # one device of each kind
        has_band = row["device"] == "snapdragon-855"
        assert (row["latency_low_s"] is not None) == (row["latency_high_s"] is not None) == has_band
        assert (row["validated"] != "not validated") == has_band


def test_the_text_says_not_validated_in_the_place_of_the_band(capsys: pytest.CaptureFixture[str]) -> None:
    out = ran(capsys, "digits", "--pattern", "dense", "--device", "a100")
    assert "No error band (not validated): a100." in out
    out = ran(capsys, "digits", "--pattern", "dense", "--device", "snapdragon-855")
    assert "band ms" in out
    assert "not validated" not in out


def test_the_total_of_two_kernel_families_is_the_sum_of_their_ends(capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(capsys, *SMALL, "--pattern", "unstructured", "--sparsity", "0.7", "--device", "snapdragon-855")
    *layers, total = found
    assert {row["encoding"] for row in layers} >= {"csr", "dense"}
    for end in ("latency_low_s", "latency_high_s"):
        assert total[end] == pytest.approx(sum(row[end] for row in layers))
    assert "csr fp16" in total["validated"]
    assert "dense fp16" in total["validated"]


def host(folder: Path, kinds: tuple[str, ...]) -> Path:
    """Write a device as a calibration would: products of ``kinds`` measured, pools and activations not."""
    measured = MeasuredKernel(
        name="measured", runtime="test", encoding="dense", serves=(), kinds=kinds, dtypes=("fp32",), unit="matrix",
        efficiency=1.0, regimes=(Regime(positions=None, costs=(("mac_s", 1e-10),)),), median_error=0.1, p90_error=P90,
    )  # fmt: skip
    device = replace(cpu_device("host", "x86-avx512", "ncnn"), name="host")
    rest = tuple(kernel for kernel in device.kernels if "fp32" in kernel.dtypes)
    sources = {path: text for path, text in device.sources.items() if not path.startswith("kernels.")}
    whole = replace(device, kernels=(measured, *rest), sources={**sources, "kernels": "assumed"})
    path = folder / "host.toml"
    path.write_text(device_text(whole), encoding="utf-8")
    return path


def test_the_total_of_a_calibrated_host_has_a_band_though_a_pool_has_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = host(tmp_path, ("conv2d", "linear"))
    *layers, total = rows(capsys, "digits", "--pattern", "dense", "--dtype", "fp32", "--device", str(path))
    assert {row["kind"] for row in layers if row["latency_low_s"] is None} == {"activation", "pool"}
    assert total["latency_high_s"] == pytest.approx(total["latency_s"] * (1 + P90))  # one error for all of it
    assert total["latency_low_s"] == pytest.approx(total["latency_s"] / (1 + P90))
    assert "calibrated on one host" in total["validated"]
    assert "pool not validated" in total["validated"]
    assert "No error band" not in ran(capsys, "digits", "--pattern", "dense", "--dtype", "fp32", "--device", str(path))


def test_a_total_of_which_little_was_calibrated_says_so_and_has_no_band(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = host(tmp_path, ("linear",))
    total = rows(capsys, "digits", "--pattern", "dense", "--dtype", "fp32", "--device", str(path))[-1]
    assert (total["latency_low_s"], total["validated"]) == (None, "not validated")
    assert "no error band: those of layers cover" in total["reason"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--threads", "3"), f"threads above {LIMIT_THREADS}"),
        (("--input-shape", "1,3,64,64"), f"macs above {LIMIT_MACS}"),
        (("--pattern", "unstructured", "--sparsity", "0.95"), f"density below {LIMIT_DENSITY}"),
    ],
)
def test_a_row_beyond_what_was_validated_says_beyond_what(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    asked = (SMALL[0], *(() if "--input-shape" in arguments else SMALL[1:]), "--device", "snapdragon-855", *arguments)
    *layers, total = rows(capsys, *asked)
    beyond = [row for row in layers if row["extrapolated"]]
    assert beyond
    assert all("beyond what was validated: " in row["reason"] for row in beyond)
    assert any(says in row["reason"] for row in beyond)
    assert all("beyond" not in (row["reason"] or "") for row in layers if not row["extrapolated"])
    assert total["extrapolated"]
    assert f"extrapolated in {len(beyond)} of {len(layers)} layers" in total["reason"]
    text = ran(capsys, *asked)
    assert "* Extrapolated: " in text
    assert any(f"{milliseconds(total['latency_s'])} *" in line for line in text.splitlines())
    assert says in text


def test_a_run_within_what_was_validated_is_not_flagged(capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(capsys, *SMALL, "--pattern", "dense", "--device", "snapdragon-855", "--threads", "2")
    inside = [row for row in found[:-1] if row["macs_dense"] <= LIMIT_MACS]
    assert inside
    assert not any(row["extrapolated"] for row in inside)
