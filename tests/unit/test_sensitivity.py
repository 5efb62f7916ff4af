"""Elasticities against closed forms, what halving and doubling do, and the reasons of fields that move nothing."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gatherline as gl
from costmodel.device_file import device_text
from costmodel.spec import MemoryLevel, RooflineDevice, Tile, TileKernel, Units
from gatherline.advice.field_steps import NEAR, steps_of
from gatherline.cli import main
from gatherline.device_fields import DeviceField
from traces.layer import MatrixLayer, Network, Tensor, Window

M, K, TOKENS = 64, 64, 64
MACS = M * K * TOKENS
FAST = 10**16


def toy(**changes: Any) -> RooflineDevice:
    """One dense kernel; a multiply-add a cycle, and memories that are fast unless changed."""
    gemm = TileKernel(
        name="gemm", runtime="toy", encoding="dense", serves=(), kinds=("linear",), dtypes=("fp16",), unit="matrix",
        efficiency=1.0, tiles=(Tile(rows=1, positions=1, register_rows=1, register_positions=1),), blocking="cache",
    )  # fmt: skip
    idle = replace(gemm, name="other", kinds=("conv2d",))
    parts = ("units", "matrix_macs_per_cycle", "vector_macs_per_cycle", "levels", "overhead_s", "step_overhead_s")
    device = RooflineDevice(
        name="toy",
        summary="closed forms",
        kind="mobile_gpu",
        units=(Units(count=1, clock_hz=10**9),),
        matrix_macs_per_cycle=(("fp16", 1), ("int8", 2)),
        vector_macs_per_cycle=(("fp16", 1), ("int8", 2)),
        levels=(
            MemoryLevel(name="l1", bytes=1 << 30, unit_bytes_per_s=FAST, total_bytes_per_s=FAST),
            MemoryLevel(name="dram", bytes=None, unit_bytes_per_s=FAST, total_bytes_per_s=FAST),
        ),
        overhead_s=0.0,
        vector_efficiency=1.0,
        kernels=(gemm, idle),
        sources=dict.fromkeys((*parts, "vector_efficiency", "kernels"), "assumed"),
    )
    return replace(device, **changes)


def one_layer() -> Network:
    window = Window(in_hw=(1, TOKENS), out_hw=(1, TOKENS))
    layer = MatrixLayer(name="fc", kind="linear", m=M, k=K, window=window, inputs=("x",), outputs=("y",))
    return Network(
        name="one",
        layers=(layer,),
        tensors={name: Tensor(name=name, shape=(1, TOKENS, width)) for name, width in (("x", K), ("y", M))},
        inputs=("x",),
        outputs=("y",),
        weights={"fc": np.ones((1, M, K), dtype=np.float32)},
    )


def rows_of(device: RooflineDevice, folder: Path, **options: Any) -> dict[str, dict[str, Any]]:
    path = folder / f"{device.name}.toml"
    path.write_text(device_text(device), encoding="utf-8")
    report = gl.sensitivity(one_layer(), str(path), pattern="dense", **options)
    return {str(row["field"]): row for row in report.rows}


def test_a_layer_that_computes_follows_the_clock_inversely(tmp_path: Path) -> None:
    rows = rows_of(toy(), tmp_path)
    clock = rows["units.0.clock_hz"]
    assert clock["latency_s"] == pytest.approx(MACS / 10**9)
    assert clock["elasticity"] == pytest.approx(-1.0, rel=1e-6)
    assert (clock["low_value"], clock["high_value"]) == (10**9 - 10**7, 10**9 + 10**7)
    assert (clock["half_ratio"], clock["double_ratio"]) == (pytest.approx(2.0), pytest.approx(0.5))
    assert clock["layers"] == {"fc": pytest.approx(-1.0, rel=1e-6)}


def test_an_overhead_and_a_clock_share_the_elasticity_by_their_times(tmp_path: Path) -> None:
    work_s = MACS / 10**9
    overhead_s = work_s / 3
    rows = rows_of(toy(overhead_s=overhead_s), tmp_path)
    part = overhead_s / (overhead_s + work_s)
    assert rows["overhead_s"]["elasticity"] == pytest.approx(part, rel=1e-3)
    assert rows["units.0.clock_hz"]["elasticity"] == pytest.approx(part - 1, rel=1e-3)
    assert rows["overhead_s"]["half_ratio"] == pytest.approx(1 - part / 2)


def test_a_bandwidth_matters_from_the_point_on_where_it_binds(tmp_path: Path) -> None:
    moved = M * K * 2  # weights; activations stay on the chip
    rate = int(1.5 * moved / (MACS / 10**9))  # the DRAM takes two thirds of the compute's time
    levels = (toy().levels[0], MemoryLevel(name="dram", bytes=None, unit_bytes_per_s=rate, total_bytes_per_s=FAST))
    dram = rows_of(toy(levels=levels), tmp_path)["levels.dram.unit_bytes_per_s"]
    assert dram["elasticity"] == 0.0
    assert dram["double_ratio"] == 1.0
    assert dram["half_ratio"] == pytest.approx(2 / 1.5, rel=1e-3)  # a kink lies between
    assert dram["moves"] is True


def test_a_bound_that_hides_says_where_it_comes_nearest_and_how_far_it_is(tmp_path: Path) -> None:
    moved = M * K * 2
    rate = int(8 * moved / (MACS / 10**9))
    levels = (toy().levels[0], MemoryLevel(name="dram", bytes=None, unit_bytes_per_s=rate, total_bytes_per_s=FAST))
    dram = rows_of(toy(levels=levels), tmp_path)["levels.dram.unit_bytes_per_s"]
    assert dram["moves"] is False
    assert dram["why"].startswith("moves only the bound dram, hidden in every layer; nearest is fc: at ")
    assert "dram takes 0.25 of compute, times 4" in dram["why"]  # half of 8 is 4


def test_fields_of_other_types_kernels_and_nothing_say_so(tmp_path: Path) -> None:
    rows = rows_of(toy(), tmp_path)
    assert rows["matrix_macs_per_cycle.int8"]["why"] == "of int8, and all layers run fp16"
    assert rows["kernels.other.memory_share"]["why"] == "no layer ran other"
    assert rows["overhead_s"]["why"] == "is 0.0: half and double of it are the same"
    assert (
        "the other rate of l1" in rows["levels.l1.total_bytes_per_s"]["why"]
        or rows["levels.l1.total_bytes_per_s"]["why"]
    )
    assert rows["kernels.gemm.efficiency"]["refused"] == {
        str(1 + NEAR): f"device toy: kernels.gemm.efficiency is {1 + NEAR}, and must be at most 1",
        "2.0": "device toy: kernels.gemm.efficiency is 2.0, and must be at most 1",
    }
    assert rows["kernels.gemm.efficiency"]["elasticity"] == pytest.approx(-1.0, rel=1e-6)  # from the side there is


@given(
    clock_hz=st.integers(10**8, 10**10),
    dram=st.integers(10**8, 10**11),
    l1=st.integers(10**9, 10**12),
    overhead_us=st.integers(1, 1000),
)
@settings(deadline=None, max_examples=10, derandomize=True, database=None)
def test_rates_less_times_sum_to_minus_one_since_a_device_that_is_faster_in_all_is_faster_by_as_much(
    tmp_path_factory: pytest.TempPathFactory, clock_hz: int, dram: int, l1: int, overhead_us: int
) -> None:
    levels = (
        MemoryLevel(name="l1", bytes=1 << 30, unit_bytes_per_s=l1, total_bytes_per_s=l1 * 4),
        MemoryLevel(name="dram", bytes=None, unit_bytes_per_s=dram, total_bytes_per_s=dram * 4),
    )
    device = toy(units=(Units(count=1, clock_hz=clock_hz),), levels=levels, overhead_s=overhead_us * 1e-6)
    rows = rows_of(device, tmp_path_factory.mktemp("device"))
    rates = ("units.0.clock_hz", "levels.l1.unit_bytes_per_s", "levels.dram.unit_bytes_per_s")
    total = sum(rows[name]["elasticity"] for name in rates) - rows["overhead_s"]["elasticity"]
    times = sorted(bound_times(clock_hz, dram, l1))
    if times[-1] > times[-2] * (1 + 3 * NEAR):  # no two bounds within a step
        assert total == pytest.approx(-1.0, abs=3 * NEAR**2)


def bound_times(clock_hz: int, dram: int, l1: int) -> list[float]:
    registers = MACS * 2 * 2  # two operands of two bytes for each multiply-add
    return [MACS / clock_hz, M * K * 2 / dram, registers / l1]


def test_whole_numbers_step_to_the_nearest_and_powers_of_two_to_the_next() -> None:
    assert steps_of(DeviceField(path="x", value=3, unit="cycles"), machine=True).near == (2, 4)
    assert steps_of(DeviceField(path="x", value=12, unit=""), machine=True).near == (11, 13)
    assert steps_of(DeviceField(path="x", value=16, unit=""), machine=True).near == (8, 32)
    assert steps_of(DeviceField(path="x", value=1000, unit="cycles"), machine=True).near == (990, 1010)
    assert steps_of(DeviceField(path="x", value=2.0, unit=""), machine=False).near == (
        2.0 * (1 - NEAR),
        2.0 * (1 + NEAR),
    )
    assert steps_of(DeviceField(path="x", value=0, unit="B"), machine=True).every == ()
    assert steps_of(DeviceField(path="gather.order", value="in_order", unit=""), machine=True).others == (
        "out_of_order",
    )


# A gather machine


@pytest.fixture(scope="module")
def digits() -> dict[str, dict[str, Any]]:
    return {str(row["field"]): row for row in gl.sensitivity("digits", "gs-tcm").rows}


def latency_s(device: str) -> float:
    rows = gl.run("digits", devices=[device]).rows
    return float(str(next(row["latency_s"] for row in rows if row["layer"] == "total")))


def test_latencies_at_other_values_are_those_of_the_run_command(
    digits: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    device = tmp_path / "other.toml"
    for field, value in (("gather.lanes", 8), ("dram.latency_cycles", 100), ("mac.latency", 6)):
        table, key = field.split(".")
        device.write_text(f'base = "gs-tcm"\n[{table}]\n{key} = {value}\n', encoding="utf-8")
        row = digits[field]
        found = row["half_latency_s"] if row["half_value"] == value else row["double_latency_s"]
        assert found == pytest.approx(latency_s(str(device)), rel=1e-12)
    device.write_text('base = "gs-tcm"\n[scratchpad]\nhash = "xor"\n', encoding="utf-8")
    base = latency_s("gs-tcm")
    assert digits["scratchpad.hash"]["others"] == {"xor": pytest.approx(latency_s(str(device)) / base)}


def test_an_elasticity_is_the_slope_between_the_two_values_of_its_step(digits: dict[str, dict[str, Any]]) -> None:
    for row in digits.values():
        if row["elasticity"] is not None:
            rise = log(row["high_latency_s"] / row["low_latency_s"])
            assert row["elasticity"] == pytest.approx(rise / log(row["high_value"] / row["low_value"]), abs=1e-12)


def test_every_field_that_moves_nothing_says_why(digits: dict[str, dict[str, Any]]) -> None:
    still = [row for row in digits.values() if not row["moves"]]
    assert still
    assert all(row["why"] or row["refused"] for row in still)
    assert digits["scatter.ports"]["why"] == "no cycle of any layer is lost to scatter stalls"
    assert digits["gather.ports"]["why"] == "no cycle of any layer is lost to bank conflicts"
    assert digits["second_level.bytes_per_cycle"]["why"] == "there is no second level: second_level.bytes is 0"


def test_a_rate_of_its_own_makes_the_dram_flat_and_is_compared_with_a_flat_one(
    digits: dict[str, dict[str, Any]],
) -> None:
    row = digits["dram.bytes_per_s"]
    assert "makes the DRAM flat" in row["why"]
    flat = digits["dram.timing"]["others"]["flat"] * row["latency_s"]
    assert row["half_latency_s"] / flat == pytest.approx(row["half_ratio"])


@pytest.mark.parametrize("device", ["snapdragon-855", "a100", "zcu102", "adreno-640"])
def test_every_field_of_a_roofline_moves_or_says_why(device: str) -> None:
    rows = gl.sensitivity("digits", device, pattern="unstructured", sparsity=0.5).rows
    assert any(row["moves"] for row in rows)
    assert all(row["moves"] or row["why"] or row["refused"] for row in rows)
    assert all(row["why"] for row in rows if row["moves"] is False)


def test_the_command_prints_both_lists_and_writes_rows_and_the_tornado(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fields"
    with pytest.raises(SystemExit) as ended:
        main(["advise", "digits", "--device", "adreno-640", "--sensitivity", "--out", str(out)])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "Fields that move nothing, and why" in printed
    assert "no layer ran" in printed
    names = ["sensitivity-adreno-640.png", "sensitivity.csv", "sensitivity.json"]
    assert sorted(path.name for path in out.iterdir()) == names
    with (out / "sensitivity.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    rows = json.loads((out / "sensitivity.json").read_text())["rows"]
    assert [row["field"] for row in table] == [row["field"] for row in rows]
    assert (out / names[0]).read_bytes().startswith(b"\x89PNG")


def test_the_same_question_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        gl.sensitivity("digits", "adreno-640").write(tmp_path / name)
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
