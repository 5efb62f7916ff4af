"""Energy is counts x a table: each part by its rule, swapping the table, and what has no energy and says so."""

from __future__ import annotations

import json
from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gatherline as gl
from costmodel.area import sram_um2, wire_mm
from costmodel.energy import PARTS, assumed_parts, energy, not_priced, read_pj, wire_pj_per_mm, write_pj
from costmodel.spec import RooflineDevice
from costmodel.tables import measured
from costmodel.tables.catalog import ALL_TECHNOLOGIES, DEFAULT_TECHNOLOGY, technology_named
from costmodel.tables.dram import DRAM_COSTS
from costmodel.tables.nm7 import NM7
from costmodel.tables.nm16 import NM16
from costmodel.tables.nm45 import NM45
from costmodel.tables.scaling import area_factor, energy_factor, scaled_energy
from costmodel.technology import TechnologyError, cited
from gatherline import cli, pipeline
from gatherline.energy_columns import COUNTS
from gatherline.report.energy_table import ENERGY_CAVEAT
from gatherline.report.selection import percent
from gatherline.request import COST_DEVICES, RequestError
from gatherline.rows import LayerOutcome, RunFacts, layer_row, total_row
from patterns.dense import Dense
from simulator.devices.gs_tcm import GS_TCM, GS_TCM_X4
from simulator.devices.gs_tcm_sve8 import GS_TCM_SVE8
from simulator.memory.timings import DDR4_3200, HBM2
from simulator.result import Counters, LayerResult
from simulator.simulate import simulate
from simulator.spec import Device, Dram, DramTiming, SecondLevel
from traces.layer import MatrixLayer, Window
from traces.trace import LayerTrace

KIB = 1024
FLAT = Dram(bytes_per_s=10**10, burst_bytes=64, latency_cycles=9)
ENERGY_COLUMNS = {"technology", "energy_pj", "energy_note", *(f"energy_{part}_pj" for part in PARTS)}


def dense_layer(m: int, k: int, p: int) -> LayerTrace:
    layer = MatrixLayer(name="fc", kind="linear", m=m, k=k, window=Window(in_hw=(1, p), out_hw=(1, p)))
    return LayerTrace(layer=layer, pattern=Dense(), mask=np.ones((1, m, k), dtype=np.bool_))


def facts(device: Device, **changes: Any) -> RunFacts:
    values: dict[str, Any] = {
        "model": "net", "pattern": "dense", "sparsity_target": None, "device": device, "dtype": "fp16", "batch": 1,
        "threads": 1, "synthetic": False, "activation_peak_bytes": 0,
    }  # fmt: skip
    return RunFacts(**{**values, **changes})


def outcome_of(result: LayerResult) -> LayerOutcome:
    return LayerOutcome(result=result, pattern="dense", kept=1, weights_dense=1)


def written(report: gl.Report, folder: Path) -> None:
    """Write what ``--out`` writes, without the pictures."""
    (folder / "report.json").write_text(report.to_json())


# The tables


def test_the_scaling_rule_gives_the_published_ratios() -> None:
    for node, ratio in ((32, 0.6593), (28, 0.5132), (20, 0.2211), (16, 0.1735), (7, 0.0943)):
        assert energy_factor(45, 0.8, node, 0.8) == pytest.approx(ratio, abs=5e-5)
    for node, supply_v, ratio in ((28, 0.8, 0.4213), (16, 0.8, 0.1424), (7, 0.7, 0.0566)):
        assert energy_factor(45, 0.9, node, supply_v) == pytest.approx(ratio, abs=5e-5)
    # the area table lists ratios between all pairs, rounded to two digits
    for low, high, ratio in ((45, 16, 0.19), (16, 7, 0.31), (32, 16, 0.41), (32, 7, 0.13), (16, 45, 5.3)):
        assert area_factor(low, high) == pytest.approx(ratio, rel=0.02)


def test_a_number_that_was_scaled_says_from_where_and_by_what() -> None:
    factor = energy_factor(45, 0.9, 16, 0.8)
    scaled = scaled_energy(measured.FP16_MAC_PJ, 45, 0.9, 16, 0.8)
    assert scaled.value == measured.FP16_MAC_PJ.value * factor
    assert scaled.source.startswith(measured.FP16_MAC_PJ.source)
    assert f"x {factor:.4f} (Stillmaker-Baas)" in scaled.source
    with pytest.raises(TechnologyError, match="node is 5 nm, and the scaling tables have 7, 16, 20, 28, 32, 45"):
        energy_factor(45, 0.9, 5, 0.7)


@pytest.mark.parametrize(
    ("value", "source"), [(0.0, "x"), (-1.0, "x"), (float("nan"), "x"), (float("inf"), "x"), (1.0, " ")]
)
def test_a_number_without_a_source_or_that_cannot_be_is_refused(value: float, source: str) -> None:
    with pytest.raises(TechnologyError):
        cited(value, source)


def test_a_node_takes_the_numbers_that_were_measured_at_it() -> None:
    assert read_pj(8 * KIB, NM45) * 64 == pytest.approx(10)  # an 8 KB cache, 64 bit: Horowitz
    assert NM45.fp32_mac_pj.value == 3.7 + 0.9
    assert read_pj(4 * KIB * KIB, NM7) == pytest.approx(0.249)  # VMEM of the TPUv4i model
    assert NM7.int8_mac_pj.value == 0.084


def test_a_bit_of_a_larger_macro_costs_by_the_square_root_of_its_size() -> None:
    assert read_pj(32 * KIB, NM45) == pytest.approx(2 * read_pj(8 * KIB, NM45))  # 20 pJ, as Horowitz is quoted
    assert read_pj(1024 * KIB, NM45) * 64 == pytest.approx(10 * sqrt(128))  # quoted: 100
    assert write_pj(8 * KIB, NM16) / read_pj(8 * KIB, NM16) == pytest.approx(0.293 / 0.249)


# What a count costs


def expected(technology: Any = NM16) -> dict[str, tuple[str, float]]:
    """Each count of GS_TCM_X4: the part it goes to, and the picojoules of one of it. fp16, 16 positions a word."""
    bank, out_bank = 2 * 256 * KIB // 16, 2 * 64 * KIB // 16
    weights, level = 2 * 128 * KIB, 2 * KIB * KIB
    word, sums = 16 * 16, 16 * 32 * (read_pj(out_bank, technology) + write_pj(out_bank, technology))
    dram = 8 * 8.0  # LPDDR4X, 8 pJ a bit
    return {
        "vector_elements": ("vector", technology.fp16_mac_pj.value),
        "vector_unit_bytes": ("vector", 8 * read_pj(bank, technology)),
        "scratchpad_write_words": ("scatter", sums),
        "buffer_value_bytes": ("weight_buffer", 8 * read_pj(weights, technology)),
        "buffer_index_bytes": ("index", 8 * read_pj(weights, technology)),
        "second_level_write_bytes": ("second_level", 8 * write_pj(level, technology)),
        "macs_active": ("mac", technology.fp16_mac_pj.value),
        "scratchpad_read_words": ("gather", word * read_pj(bank, technology)),
        "second_level_read_bytes": ("second_level", 8 * read_pj(level, technology)),
        "dram_read_bytes": ("dram", dram),
        "dram_write_bytes": ("dram", dram),
    }


ALSO = {  # the second part that a count goes to, and the picojoules of one of it
    "macs_active": ("register", (16 + 32) * NM16.register_pj_per_bit.value),
    "scratchpad_read_words": ("crossbar", 256 * wire_pj_per_mm(NM16) * wire_mm(GS_TCM_X4, NM16)),
    "second_level_read_bytes": ("dma", 8 * write_pj(32 * KIB, NM16)),
    "dram_read_bytes": ("dma", 8 * write_pj(32 * KIB, NM16)),
    "dram_write_bytes": ("dma", 8 * read_pj(8 * KIB, NM16)),
}


@pytest.mark.parametrize("count", ["vector_elements", *COUNTS])
def test_each_count_costs_what_its_rule_says_and_nothing_else(count: str) -> None:
    found = energy(Counters(**{count: 1000}), GS_TCM_X4, NM16).parts_pj
    parts = dict([expected()[count], *([ALSO[count]] if count in ALSO else [])])
    assert tuple(found) == PARTS
    for part in PARTS:
        assert found[part] == pytest.approx(1000 * parts.get(part, 0.0)), part


def test_the_total_is_the_sum_of_the_parts_and_energies_of_layers_add_up() -> None:
    one = Counters(macs_active=1000, scratchpad_read_words=70, dram_read_bytes=600, vector_elements=5)
    two = Counters(macs_active=11, scratchpad_write_words=7, dram_write_bytes=64, buffer_index_bytes=9)
    both = Counters(
        macs_active=1011, scratchpad_read_words=70, dram_read_bytes=600, vector_elements=5, scratchpad_write_words=7,
        dram_write_bytes=64, buffer_index_bytes=9,
    )  # fmt: skip
    first, second, together = (energy(counters, GS_TCM, NM16) for counters in (one, two, both))
    assert together.total_pj == sum(together.parts_pj.values())
    assert together.total_pj == pytest.approx(first.total_pj + second.total_pj)
    assert energy(Counters(), GS_TCM, NM16).total_pj == 0


def test_a_bit_of_wire_costs_a_quarter_of_c_v_squared_and_a_wider_crossbar_is_a_longer_wire() -> None:
    assert wire_pj_per_mm(NM45) == pytest.approx(0.25 * 0.2 * 0.9**2)
    wide = replace(GS_TCM, gather=replace(GS_TCM.gather, lanes=64))
    assert wire_mm(wide, NM16) > wire_mm(GS_TCM, NM16)


@pytest.mark.parametrize(("timing", "kind"), [(HBM2, "hbm2"), (DDR4_3200, "ddr4")])
def test_dram_bits_cost_what_their_kind_costs(timing: DramTiming, kind: str) -> None:
    device = replace(GS_TCM, dram=Dram.timed(timing, latency_cycles=50))
    found = energy(Counters(dram_read_bytes=10, dram_write_bytes=6), device, NM16).parts_pj["dram"]
    assert found == pytest.approx((10 + 6) * 8 * DRAM_COSTS[kind].pj_per_bit.value)


def test_narrower_values_cost_less() -> None:
    counters = Counters(macs_active=1000, scratchpad_read_words=100)
    by_bytes = [
        energy(counters, replace(GS_TCM, widths=replace(GS_TCM.widths, value_bytes=size)), NM16).total_pj
        for size in (1, 2, 4)
    ]
    assert by_bytes == sorted(by_bytes)


# What is counted


def test_idle_lanes_and_empty_positions_switch_nothing() -> None:
    m, k, p = 8, 40, 5  # 40 columns take 3 groups of 16 lanes, 5 positions a word of 16
    result = simulate(dense_layer(m, k, p), GS_TCM)
    assert result.counters.macs_active == m * k * p
    assert result.counters.macs_issued == m * 3 * 16 * 16
    assert result.counters.scratchpad_read_words == m * k  # a word of 16 positions for each weight
    # values of whole groups, but for the ragged one: stored bytes follow each other
    assert result.counters.buffer_value_bytes == m * 3 * -(-m * k * 2 // (m * 3))
    assert result.counters.buffer_index_bytes == 0


def test_a_second_level_is_written_with_what_missed_and_read_for_what_hit() -> None:
    m, k, p = 512, 256, 4096
    counters = simulate(dense_layer(m, k, p), GS_TCM_X4).counters
    # every operand comes from DRAM once and is kept; what cores load again comes from the second level
    assert counters.second_level_write_bytes == counters.dram_read_bytes == 2 * (m * k + k * p)
    assert counters.second_level_read_bytes > 0
    small = replace(GS_TCM_X4, second_level=SecondLevel(bytes=KIB))  # no tile fits
    kept = simulate(dense_layer(m, k, p), small).counters
    alone = simulate(dense_layer(m, k, p), GS_TCM).counters
    for none in (kept, alone):
        assert (none.second_level_read_bytes, none.second_level_write_bytes) == (0, 0)


# Swapping the table


def test_two_technologies_give_rows_equal_but_for_energy_from_one_simulation() -> None:
    result = simulate(dense_layer(32, 64, 16), GS_TCM)  # the only one
    by_node = {each.name: facts(GS_TCM, technology=each) for each in ALL_TECHNOLOGIES}
    rows = {name: layer_row(each, outcome_of(result)) for name, each in by_node.items()}
    totals = {name: total_row(each, [outcome_of(result)] * 3) for name, each in by_node.items()}
    for found in (rows, totals):
        plain = [{k: v for k, v in row.items() if k not in ENERGY_COLUMNS} for row in found.values()]
        assert all(row == plain[0] for row in plain)
        picojoules = [row["energy_pj"] for row in found.values()]
        assert len(set(picojoules)) == len(ALL_TECHNOLOGIES)
        assert picojoules == sorted(picojoules, reverse=True)  # type: ignore[type-var]  # smaller nodes take less
    assert totals["16nm"]["energy_pj"] == pytest.approx(3 * rows["16nm"]["energy_pj"])  # type: ignore[operator]


def count_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that the name of each layer is added to when it is simulated."""
    called: list[str] = []

    def counted(trace: LayerTrace, *args: Any, **options: Any) -> LayerResult:
        called.append(trace.layer.name)
        return simulate(trace, *args, **options)

    monkeypatch.setattr(pipeline, "simulate", counted)
    return called


def test_a_written_run_is_priced_anew_without_simulating_and_equals_a_run_with_that_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"patterns": ["gs:16,1"], "sparsities": [0.9], "devices": ["gs-tcm", "a100"]}
    fresh = gl.run("digits", technology="7nm", **options)
    called = count_calls(monkeypatch)
    written(gl.run("digits", technology="45nm", **options), tmp_path)
    simulated = len(called)
    assert simulated > 0
    again = gl.energy(tmp_path, "7nm")
    assert len(called) == simulated
    assert again.manifest["technology"] == "7nm"
    assert json.loads(again.to_json())["rows"] == json.loads(fresh.to_json())["rows"]
    before = json.loads((tmp_path / "report.json").read_text())["rows"]
    assert [row["energy_pj"] for row in before] != [row["energy_pj"] for row in again.rows]


def test_replay_has_the_energy_of_the_run(tmp_path: Path) -> None:
    ran = gl.run("digits", patterns=["gs:16,1"], sparsities=[0.9], devices=["gs-tcm"], technology="28nm")
    gl.trace("digits", tmp_path / "streams", pattern="gs:16,1", sparsity=0.9, device="gs-tcm")
    replayed = gl.replay(tmp_path / "streams", "gs-tcm", technology="28nm")
    for row, other in zip(ran.rows, replayed.rows, strict=True):
        assert row["energy_pj"] == other["energy_pj"] is not None
        assert row["technology"] == other["technology"] == "28nm"
    assert ran.rows[-1]["energy_pj"] == pytest.approx(sum(row["energy_pj"] for row in ran.rows[:-1]))  # type: ignore[misc]


def test_pruning_saves_energy_and_gs_less_than_its_share_of_the_weights() -> None:
    rows = gl.run("digits", patterns=["dense", "gs:16,1"], sparsities=[0.9], devices=["gs-tcm"]).rows
    dense, pruned = (row for row in rows if row["layer"] == "total")
    share = pruned["energy_pj"] / dense["energy_pj"]  # type: ignore[operator]
    assert pruned["density"] < share < 1  # type: ignore[operator]  # activations and indices stay
    assert dense["energy_index_pj"] == 0 < pruned["energy_index_pj"]  # type: ignore[operator]


# What has no energy


@pytest.mark.parametrize("device", COST_DEVICES, ids=lambda device: device.name)
def test_a_roofline_has_no_energy_and_says_why(device: RooflineDevice) -> None:
    for row in gl.run("digits", devices=[device.name], dtype=device.dtypes[0]).rows:
        assert row["energy_pj"] is None
        assert str(row["energy_note"]).startswith("no energy: ")
        assert all(row[f"energy_{part}_pj"] is None for part in PARTS)
        assert row["macs_active"] is None  # a count that a roofline has not


@pytest.mark.parametrize(
    ("device", "why"),
    [
        (GS_TCM_SVE8, "a core's instructions"),
        (
            replace(GS_TCM, dram=FLAT),
            "dram has no timing, so no kind",
        ),
        (replace(GS_TCM, dram=Dram.timed(replace(HBM2, name="rldram"), latency_cycles=9)), "dram is 'rldram'"),
        (replace(GS_TCM, widths=replace(GS_TCM.widths, value_bytes=3)), "widths.value_bytes is 3"),
    ],
    ids=["core", "flat", "unknown", "width"],
)
def test_a_device_that_the_table_knows_too_little_of_has_none_either(device: Device, why: str) -> None:
    assert why in not_priced(device, NM16)
    with pytest.raises(TechnologyError, match="no energy"):
        energy(Counters(), device, NM16)
    row = layer_row(facts(device), outcome_of(replace(simulate(dense_layer(4, 8, 1), GS_TCM), device=device.name)))
    assert row["energy_pj"] is None
    assert why in str(row["energy_note"])


def test_coalesced_reads_are_an_upper_bound_and_say_so() -> None:
    device = replace(GS_TCM, gather=replace(GS_TCM.gather, coalesce=True))
    row = layer_row(facts(device), outcome_of(simulate(dense_layer(4, 8, 1), device)))
    assert row["energy_pj"] is not None
    assert "upper bound" in str(row["energy_note"])


# The command


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out, err


def test_the_commands_default_is_the_packages() -> None:
    from typer.main import get_command

    commands = get_command(cli.app).commands  # type: ignore[attr-defined]
    for name in ("run", "replay", "energy", "area"):
        (option,) = (each for each in commands[name].params if each.name == "technology")
        assert option.default == DEFAULT_TECHNOLOGY.name, name


def test_list_technologies_shows_every_number_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "list", "technologies")
    assert status == 0
    for technology in ALL_TECHNOLOGIES:
        assert f"sources of {technology.name}" in out
    assert "assumed" in out
    assert "Stillmaker-Baas" in out


def test_energy_prints_a_line_for_each_total_and_why_some_have_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    written(gl.run("digits", devices=["gs-tcm", "zcu102"]), tmp_path)
    status, out, _ = call(capsys, "energy", str(tmp_path), "--technology", "7nm")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == ["device", "gs-tcm", "zcu102", "zcu102:", "No"]
    status, out, _ = call(capsys, "energy", str(tmp_path), "--json")
    assert json.loads(out)["manifest"]["technology"] == DEFAULT_TECHNOLOGY.name


def in_one_line(page: str) -> str:
    return " ".join((Path(__file__).parents[2] / "docs" / page).read_text(encoding="utf-8").split())


def test_an_energy_says_that_no_chip_was_measured_and_what_share_is_assumed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    report = gl.run("digits", devices=["gs-tcm"])
    written(report, tmp_path)
    _, out, _ = call(capsys, "energy", str(tmp_path))
    assert ENERGY_CAVEAT in out
    assert ENERGY_CAVEAT in in_one_line("energy.md")
    parts = assumed_parts(GS_TCM, DEFAULT_TECHNOLOGY)
    assert parts == ("vector", "crossbar", "scatter", "dma", "dram")  # 16nm: writes as reads, toggles, LPDDR4X
    total = next(row for row in report.rows if row["layer"] == "total")
    share = sum(total[f"energy_{part}_pj"] for part in parts) / total["energy_pj"]
    assert f"gs-tcm: {percent(share)} of it rests on assumed numbers ({', '.join(parts)})." in out


def test_a_part_rests_on_an_assumption_where_the_table_has_no_source_for_its_number() -> None:
    measured = replace(DEFAULT_TECHNOLOGY, sram_write_pj_per_bit=cited(0.05, "a data sheet"))
    assert set(assumed_parts(GS_TCM, DEFAULT_TECHNOLOGY)) - set(assumed_parts(GS_TCM, measured)) == {"scatter", "dma"}


def test_energies_of_devices_without_any_come_without_a_caveat(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    written(gl.run("digits", devices=["zcu102"]), tmp_path)
    _, out, _ = call(capsys, "energy", str(tmp_path))
    assert "No chip" not in out


def test_a_technology_that_is_not_known_is_named_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (("run", "digits"), ("area", "gs-tcm")):
        status, out, err = call(capsys, *arguments, "--technology", "17nm")
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert "technology '17nm' is not known; did you mean 7nm?" in err
    assert technology_named("45") is NM45


def test_a_folder_that_is_no_run_of_these_devices_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        gl.energy(tmp_path, "7nm")
    (tmp_path / "report.json").write_text("[]")
    with pytest.raises(RequestError, match="not a report that simulate run wrote"):
        gl.energy(tmp_path, "7nm")
    toml = tmp_path / "mine.toml"
    toml.write_text('base = "gs-tcm"\n[gather]\nwindow = 4\n')
    written(gl.run("digits", devices=[str(toml)]), tmp_path)
    assert gl.energy(tmp_path, "7nm", devices=[str(toml)]).rows[-1]["energy_pj"]
    with pytest.raises(ValueError, match="device 'mine' is not known"):
        gl.energy(tmp_path, "7nm")
    toml.write_text('base = "gs-tcm"\n[gather]\nwindow = 5\n')
    with pytest.raises(RequestError, match="device mine is not the one of the run"):
        gl.energy(tmp_path, "7nm", devices=[str(toml)])
    toml.write_text('base = "gs-tcm"\n[gather]\nwindow = 4\n')
    report = json.loads((tmp_path / "report.json").read_text())
    report["rows"][0]["macs_active"] = None
    (tmp_path / "report.json").write_text(json.dumps(report))
    with pytest.raises(RequestError, match="macs_active of layer conv1 is None, and must be a count"):
        gl.energy(tmp_path, "7nm", devices=[str(toml)])


# Published points that no table was made of


def test_known_disagreements_with_published_ratios_are_as_docs_energy_says() -> None:
    mac = NM45.fp16_mac_pj.value
    # Eyeriss, 65 nm, against one 16-bit multiply-add: DRAM 200, a 100 KB buffer 6, a 0.5 KB register file 1
    assert 16 * DRAM_COSTS["lpddr4"].pj_per_bit.value / mac == pytest.approx(64, rel=0.01)
    assert 16 * read_pj(100 * KIB, NM45) / mac == pytest.approx(4.4, rel=0.01)
    assert 16 * read_pj(KIB / 2, NM45) / mac == pytest.approx(0.31, rel=0.02)
    # Horowitz's 8 KB cache, scaled in node and size, against VMEM of TPUv4i
    scaled = measured.SRAM_8K_READ_PJ_PER_BIT.value * energy_factor(45, 0.9, 7, 0.7) * sqrt(512)
    assert scaled / NM7.sram_read_pj_per_bit.value == pytest.approx(0.80, rel=0.01)
    # CMEM of TPUv4i, 128 MB
    assert read_pj(128 * KIB * KIB, NM7) / 1.88 == pytest.approx(0.75, rel=0.01)
    # the int8 multiply-add of a 28 nm library, scaled, against TPUv4i's
    assert 0.2831 * energy_factor(28, 0.8, 7, 0.7) / NM7.int8_mac_pj.value == pytest.approx(0.45, rel=0.01)


def test_the_tables_in_the_documentation_are_those_of_the_package() -> None:
    text = (Path(__file__).parents[2] / "docs" / "energy.md").read_text(encoding="utf-8")
    for each in ALL_TECHNOLOGIES:
        energies = (
            f"{each.supply_v.value:g}", *(f"{number.value:.3g}" for number in (each.fp32_mac_pj, each.fp16_mac_pj)),
            f"{each.int8_mac_pj.value:.3g}", f"{each.register_pj_per_bit.value:.3g}", f"{read_pj(32 * KIB, each):.3g}",
            f"{wire_pj_per_mm(each):.3g}",
        )  # fmt: skip
        macs = (each.fp32_mac_um2, each.fp16_mac_um2, each.int8_mac_um2)
        cells = (each.flip_flop_um2, each.crosspoint_um2, each.sram_bitcell_um2)
        areas = (
            *(f"{number.value:.4g}" for number in macs), *(f"{number.value:.3g}" for number in cells),
            f"{sram_um2(32 * KIB, each):.4g}",
        )  # fmt: skip
        for row in (energies, areas):
            assert f"| {each.name} | {' | '.join(row)} |" in text
