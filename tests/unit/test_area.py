"""Area of a device: each part by its rule, monotone in what it is built of, and how far from published areas it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gatherline as gl
from costmodel.area import EFFICIENCY, area, sram_um2
from costmodel.tables.catalog import ALL_TECHNOLOGIES
from costmodel.tables.nm7 import NM7
from costmodel.tables.nm16 import NM16
from costmodel.tables.nm28 import NM28
from costmodel.tables.nm45 import NM45
from costmodel.tables.scaling import area_factor
from costmodel.technology import TechnologyError
from gatherline import cli
from gatherline.report.energy_table import AREA_CAVEAT, area_caveat
from gatherline.report.selection import percent
from gatherline.request import cycle_device
from simulator.devices.catalog import ALL_DEVICES
from simulator.devices.gs_tcm import GS_TCM, GS_TCM_OOO, GS_TCM_X4
from simulator.devices.gs_tcm_sve8 import GS_TCM_SVE8
from simulator.memory.timings import HBM2
from simulator.spec import Device, DeviceError, Dram

KIB = 1024


def with_gather(**changes: Any) -> Device:
    return replace(GS_TCM, gather=replace(GS_TCM.gather, **changes))


def with_banks(banks: int) -> Device:
    return replace(GS_TCM, scratchpad=replace(GS_TCM.scratchpad, banks=banks))


def parts(device: Device) -> dict[str, float]:
    return dict(area(device, NM16).parts_mm2)


@pytest.mark.parametrize("technology", ALL_TECHNOLOGIES, ids=lambda technology: technology.name)
@pytest.mark.parametrize("device", ALL_DEVICES, ids=lambda device: device.name)
def test_parts_add_up_are_positive_and_name_their_rule(device: Device, technology: Any) -> None:
    found = area(device, technology)
    assert found.total_mm2 == sum(found.parts_mm2.values())
    assert all(mm2 > 0 for mm2 in found.parts_mm2.values())
    assert set(found.rules) == set(found.parts_mm2)
    assert all(found.rules.values())


def test_each_part_is_the_expression_of_its_rule() -> None:
    found, um2 = parts(GS_TCM), 1e-6
    cell, flip_flop = NM16.sram_bitcell_um2.value, NM16.flip_flop_um2.value
    crosspoint = NM16.crosspoint_um2.value
    assert found["activation scratchpad"] == pytest.approx(16 * 32 * KIB * 8 * cell / 0.393 * um2)  # 2 x 256 KiB
    assert found["output scratchpad"] == pytest.approx(16 * 8 * KIB * 8 * cell / 0.142 * um2)  # 2 x 64 KiB
    assert found["weight buffer"] == pytest.approx(2 * 128 * KIB * 8 * cell / 0.704 * um2)
    assert found["gather crossbar"] == pytest.approx(16 * 16 * (16 * 16) * crosspoint * um2)
    assert found["scatter crossbar"] == pytest.approx(16 * 16 * (16 * 32) * crosspoint * um2)
    words = 2 * 256 * KIB // 32
    assert found["window"] == pytest.approx(1 * 16 * ((words - 1).bit_length() + 1 + 16 * 16) * flip_flop * um2)
    assert found["multiply-add units"] == pytest.approx(16 * 16 * NM16.fp16_mac_um2.value * um2)
    assert found["registers"] == pytest.approx(16 * 16 * (16 + 32) * flip_flop * um2)
    assert found["vector unit"] == pytest.approx(64 * NM16.fp16_mac_um2.value * um2)
    assert found["DRAM PHY"] == pytest.approx(1.45)  # 2 x 16 wires, as 32 of DDR5
    assert found["DRAM controller"] == pytest.approx(90_446_400 / NM16.transistors_per_um2.value * um2)


def test_a_crossbar_is_quadratic_in_lanes_where_banks_follow_and_linear_in_the_word() -> None:
    twice = replace(with_banks(32), gather=replace(GS_TCM.gather, lanes=32))
    wide = replace(GS_TCM, vector=2 * GS_TCM.vector)
    for name in ("gather crossbar", "scatter crossbar"):
        assert parts(twice)[name] == pytest.approx(2**2 * parts(GS_TCM)[name])
        assert parts(with_gather(lanes=32))[name] == pytest.approx(2 * parts(GS_TCM)[name])
        assert parts(wide)[name] == pytest.approx(2 * parts(GS_TCM)[name])


def test_a_window_is_linear_in_its_groups() -> None:
    assert parts(GS_TCM_OOO)["window"] == pytest.approx(8 * parts(GS_TCM)["window"])


@given(st.integers(1, 8), st.integers(1, 8))
def test_more_banks_lanes_groups_and_ports_are_never_smaller(low: int, more: int) -> None:
    for grown in (
        lambda count: with_banks(1 << count),
        lambda count: with_gather(lanes=4 * count),
        lambda count: with_gather(window=count),
        lambda count: with_gather(ports=count),
    ):
        assert area(grown(low), NM16).total_mm2 < area(grown(low + more), NM16).total_mm2


@given(st.floats(1, 1 << 24), st.floats(1, 1 << 24))
def test_a_larger_macro_is_not_smaller_and_two_are_not_smaller_than_one(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert sram_um2(low, NM16) <= sram_um2(high, NM16)
    assert 2 * sram_um2(high / 2, NM16) >= sram_um2(high, NM16) * (1 - 1e-12)


@pytest.mark.parametrize(("size", "efficiency"), EFFICIENCY)
def test_a_macro_of_a_listed_size_has_the_listed_efficiency(size: int, efficiency: float) -> None:
    assert sram_um2(size, NM28) == pytest.approx(size * 8 * NM28.sram_bitcell_um2.value / efficiency)


def test_cores_repeat_what_is_theirs_and_share_the_dram() -> None:
    one, four = parts(GS_TCM), parts(GS_TCM_X4)
    shared = {"DRAM PHY", "DRAM controller"}
    assert set(four) == {*one, "second level"}
    for name in one:
        assert four[name] == pytest.approx((1 if name in shared else 4) * one[name])
    assert four["second level"] == pytest.approx(sram_um2(2 * KIB * KIB, NM16) * 1e-6)


def test_logic_shrinks_by_the_rule_and_a_phy_does_not() -> None:
    old, new = area(GS_TCM, NM45).parts_mm2, area(GS_TCM, NM7).parts_mm2
    assert new["DRAM PHY"] == old["DRAM PHY"]
    for name in ("gather crossbar", "window", "multiply-add units", "DRAM controller"):
        assert new[name] / old[name] == pytest.approx(area_factor(45, 7))
    assert new["weight buffer"] / old["weight buffer"] == pytest.approx(0.027 / 0.346)  # SRAM cells shrink less


def test_hbm_is_counted_by_its_links_of_1024_wires() -> None:
    device = replace(GS_TCM, dram=Dram.timed(HBM2, latency_cycles=50))
    assert HBM2.channels * 128 == 1024
    assert parts(device)["DRAM PHY"] == pytest.approx(10.45)


def test_results_that_share_the_scratchpad_take_no_memory_of_their_own() -> None:
    assert "output scratchpad" not in parts(GS_TCM_SVE8)
    assert parts(GS_TCM_SVE8)["activation scratchpad"] == pytest.approx(
        8 * 8 * KIB * 8 * NM16.sram_bitcell_um2.value / 0.142 * 1e-6  # 64 KB in 8 banks
    )


def test_known_disagreements_with_published_areas_are_as_docs_energy_says() -> None:
    # TPUv4i, 7 nm, read from a die picture: 128 MB of CMEM 112 mm2; 128 x 128 multiply-add units 14 mm2
    assert sram_um2(128 * KIB * KIB, NM7) / 1e6 / 112 == pytest.approx(0.37, rel=0.01)
    assert 128 * 128 * NM7.fp16_mac_um2.value / 1e6 / 14 == pytest.approx(0.26, rel=0.01)
    # Accelergy's 128 KB buffer of the Eyeriss-like design, 32 nm, scaled to 28 nm: as one macro, and as its 32 banks
    theirs = 217_363 * area_factor(32, 28)
    assert sram_um2(128 * KIB, NM28) / theirs == pytest.approx(1.06, rel=0.01)
    assert 32 * sram_um2(4 * KIB, NM28) / theirs == pytest.approx(9.8, rel=0.01)


def test_a_device_without_an_area_is_refused_with_the_reason() -> None:
    flat = replace(GS_TCM, dram=Dram(bytes_per_s=10**10, burst_bytes=64, latency_cycles=9))
    with pytest.raises(TechnologyError, match="dram has no timing, so no kind, and technology 16nm has lpddr4"):
        area(flat, NM16)
    with pytest.raises(DeviceError, match="device a100 is a roofline"):
        gl.area("a100")


def test_the_command_shows_parts_total_and_sources(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["area", "gs-tcm-x4", "--technology", "28nm"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    found = gl.area("gs-tcm-x4", "28nm")
    for name, mm2 in found.parts_mm2.items():
        assert f"{mm2:.4f}" in next(line for line in out.splitlines() if line.startswith(name))
        assert f"  {name}: {found.rules[name]}" in out
    assert f"total of gs-tcm-x4 at 28nm  {found.total_mm2:.4f}" in out
    assert out.splitlines()[-1] == area_caveat(cycle_device("gs-tcm-x4"), "28nm")


def test_an_area_says_that_no_chip_was_measured_and_what_share_is_assumed() -> None:
    found = gl.area("gs-tcm")
    sourced = ("activation scratchpad", "output scratchpad", "weight buffer", "multiply-add units")
    assumed = found.total_mm2 - sum(found.parts_mm2[name] for name in sourced)
    said = area_caveat(GS_TCM, "16nm")
    assert (
        said == f"{AREA_CAVEAT} gs-tcm: {percent(assumed / found.total_mm2)} of it rests on assumed numbers or rules."
    )
    assert AREA_CAVEAT in " ".join(
        (Path(__file__).parents[2] / "docs" / "energy.md").read_text(encoding="utf-8").split()
    )


def test_only_several_ports_make_banks_rest_on_the_rule_that_area_goes_with_their_square() -> None:
    two = replace(GS_TCM, gather=replace(GS_TCM.gather, ports=2))
    assert "ports^2, assumed" in area(two, NM16).rules["activation scratchpad"]
    assert "assumed" not in area(GS_TCM, NM16).rules["activation scratchpad"]
