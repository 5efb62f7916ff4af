"""Devices from TOML: a preset and what differs from it, and one line for everything that is none. DESIGN section 7."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from fractions import Fraction
from operator import attrgetter
from pathlib import Path

import pytest

from simulator.device_file import load_device
from simulator.devices.catalog import ALL_DEVICES
from simulator.devices.gs_tcm import GS_TCM, GS_TCM_OOO
from simulator.memory.timings import ALL_TIMINGS, HBM2
from simulator.spec import Device, DeviceError, Dram, DramTiming


def _load(tmp_path: Path, text: str, name: str = "mine.toml") -> Device:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return load_device(path)


@pytest.mark.parametrize("preset", ALL_DEVICES, ids=[preset.name for preset in ALL_DEVICES])
def test_a_base_alone_is_the_preset_under_the_files_name(tmp_path: Path, preset: Device) -> None:
    assert _load(tmp_path, f'base = "{preset.name}"') == replace(preset, name="mine")


def test_the_contracts_own_example_is_read(tmp_path: Path) -> None:
    device = _load(
        tmp_path,
        """
        base = "gs-tcm"
        [gather]
        lanes = 8
        window = 4
        interval = 1
        order = "in_order"
        ports = 1
        coalesce = false
        latency = 2
        [scratchpad]
        banks = 16
        hash = "none"
        [mac]
        latency = 3
        [scatter]
        rmw_cycles = 1
        ports = 1
        """,
    )
    gather = replace(GS_TCM.gather, lanes=8, window=4, interval=Fraction(1))
    assert device == replace(GS_TCM, name="mine", gather=gather)


def test_every_field_of_a_preset_can_be_overridden(tmp_path: Path) -> None:
    def tables(spec: object, prefix: str) -> list[tuple[str, str, int]]:
        found = []
        for field in fields(spec):  # type: ignore[arg-type]
            value = getattr(spec, field.name)
            if is_dataclass(value):
                found += tables(value, f"{prefix}.{field.name}".lstrip("."))
            elif type(value) is int:
                found.append((prefix, field.name, value))
        return found

    for table, key, value in tables(GS_TCM, ""):
        head = f"[{table}]\n" if table else ""
        other = value + 1
        if table == "dram.timing":  # sizes are powers of two, and a short interval is not above the long one
            other = (
                value * 2 if key.endswith("bytes") or key in ("channels", "bank_groups", "banks_per_group") else other
            )
            other = value - 1 if key.endswith("_s") else other
        device = _load(tmp_path, f'base = "gs-tcm"\n{head}{key} = {other}')
        changed = attrgetter(table)(device) if table else device
        assert getattr(changed, key) == other
        assert device != replace(GS_TCM, name="mine")


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("2", Fraction(2)),
        ('"3/2"', Fraction(3, 2)),
        ("[3, 2]", Fraction(3, 2)),
        ("1.5", Fraction(3, 2)),
        ('"7"', Fraction(7)),
        ("[6, 4]", Fraction(3, 2)),
    ],
)
def test_an_interval_is_whole_or_a_fraction(tmp_path: Path, text: str, interval: Fraction) -> None:
    assert _load(tmp_path, f'base = "gs-tcm"\n[gather]\ninterval = {text}').gather.interval == interval


@pytest.mark.parametrize(
    "text", ["0", "-1", '"1/0"', '"0/3"', '"-1/2"', '"3/"', '"1//2"', '""', "true", "[3]", "[3, 0]", "[3, -2]",
             "[1, 2, 3]", '["3", "2"]', "nan", "inf", "{}", '"three"'],
)  # fmt: skip
def test_an_interval_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DeviceError, match=r"gather\.interval is") as caught:
        _load(tmp_path, f'base = "gs-tcm"\n[gather]\ninterval = {text}')
    assert "mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "base is None"),
        ('base = "gs-tmc"', "did you mean gs-tcm?"),
        ("base = 3", "base is 3"),
        ('base = ["gs-tcm"]', "base is"),
        ('base = "gs-tcm"\n[gathr]\nlanes = 8', "unknown key gathr; did you mean gather?"),
        ('base = "gs-tcm"\n[gather]\nlane = 8', "unknown key gather.lane; did you mean lanes?"),
        ('base = "gs-tcm"\nlanes = 8', "unknown key lanes"),
        ('base = "gs-tcm"\nclock = 8', "did you mean clock_hz?"),
        ('base = "gs-tcm"\nsummary = "mine"', "unknown key summary"),
        ('base = "gs-tcm"\ngather = 3', "gather is 3, and must be a table"),
        ('base = "gs-tcm"\n[[gather]]\nlanes = 3', "gather is"),
        ('base = "gs-tcm"\n[vector]\nlanes = 3', "vector is"),
        ('base = "gs-tcm"\n[gather]\nlanes = "8"', "gather.lanes is '8', and must be of type int"),
        ('base = "gs-tcm"\n[gather]\nlanes = 8.5', "gather.lanes is 8.5"),
        ('base = "gs-tcm"\n[gather]\nlanes = true', "gather.lanes is True"),
        ('base = "gs-tcm"\n[gather]\ncoalesce = 1', "gather.coalesce is 1"),
        ('base = "gs-tcm"\n[gather]\norder = "random"', "order is 'random'"),
        ('base = "gs-tcm"\n[scratchpad]\nhash = "md5"', "hash is 'md5'"),
        ('base = "gs-tcm"\n[scratchpad]\nhash = "xor"\nbanks = 12', "banks is 12, and must be a power of two"),
        ('base = "gs-tcm"\n[gather]\nlanes = 32768', "lanes is 32768, and must be at most 32767"),
        ('base = "gs-tcm"\nclock_hz = 1' + "0" * 30, "must be at most"),
        ('base = "gs-tcm"\n[scratchpad]\nbanks = 1' + "0" * 30, "must be at most 16777216"),
        ('base = "gs-tcm"\n[widths]\nvalue_bytes = 65', "value_bytes is 65"),
        ('base = "gs-tcm"\nname = ""', "name is ''"),
        ('base = "gs-tcm"\nclock_hz = ' + "1" * 5000, "not a readable TOML file"),
        ("base = " + "[" * 5000, "not a readable TOML file"),
        ("base", "not a readable TOML file"),
        ('base = "gs-tcm"\nbase = "gs-tcm"', "not a readable TOML file"),
    ],
)
def test_what_is_no_device_is_refused_in_one_line(tmp_path: Path, text: str, rule: str) -> None:
    with pytest.raises(DeviceError) as caught:
        _load(tmp_path, text)
    assert rule in str(caught.value)
    assert "mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "table", ["clock_hz", "vector", "cores", "gather.lanes", "gather.window", "gather.ports", "gather.latency",
              "scratchpad.banks", "scratchpad.activation_bytes", "mac.latency", "scatter.rmw_cycles", "scatter.ports",
              "weight_buffer.bytes_per_cycle", "vector_unit.elements_per_cycle", "dram.bytes_per_s", "dram.burst_bytes",
              "dram.latency_cycles", "widths.value_bytes"],
)  # fmt: skip
@pytest.mark.parametrize("value", [0, -1])
def test_nothing_of_a_device_is_below_one(tmp_path: Path, table: str, value: int) -> None:
    with pytest.raises(DeviceError, match=f"is {value}, and must be at least 1"):
        _load(tmp_path, f'base = "gs-tcm"\n{table} = {value}')


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    for name in ("bytes.toml", "none.toml", "."):
        with pytest.raises(DeviceError) as caught:
            load_device(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_overrides_of_one_preset_leave_the_other_alone(tmp_path: Path) -> None:
    device = _load(tmp_path, 'base = "gs-tcm-ooo"\nname = "big"\n[gather]\nlanes = 32')
    assert device.name == "big"
    assert device.gather == replace(GS_TCM_OOO.gather, lanes=32)
    assert GS_TCM_OOO.gather.lanes == GS_TCM.gather.lanes == 16


def test_a_rate_or_burst_of_its_own_makes_a_dram_flat(tmp_path: Path) -> None:
    device = _load(
        tmp_path, 'base = "gs-tcm"\n[dram]\nbytes_per_s = 8_000_000_000\nburst_bytes = 64\nlatency_cycles = 9'
    )
    assert device.dram == Dram(bytes_per_s=8_000_000_000, burst_bytes=64, latency_cycles=9)
    flat = _load(tmp_path, 'base = "gs-tcm"\n[dram]\ntiming = "flat"')
    assert flat.dram == replace(GS_TCM.dram, timing=None)


def test_a_latency_leaves_the_timing_of_a_dram_alone(tmp_path: Path) -> None:
    device = _load(tmp_path, 'base = "gs-tcm"\n[dram]\nlatency_cycles = 9')
    assert device.dram == replace(GS_TCM.dram, latency_cycles=9)


@pytest.mark.parametrize("timing", ALL_TIMINGS, ids=lambda timing: timing.name)
def test_a_dram_takes_a_timing_by_name(tmp_path: Path, timing: DramTiming) -> None:
    device = _load(tmp_path, f'base = "gs-tcm"\n[dram]\ntiming = "{timing.name}"\nlatency_cycles = 9')
    assert device.dram == Dram.timed(timing, latency_cycles=9)


def test_numbers_of_a_timing_are_overridden_by_a_table(tmp_path: Path) -> None:
    own = GS_TCM.dram.timing
    assert own is not None
    device = _load(tmp_path, 'base = "gs-tcm"\n[dram.timing]\nname = "wide"\nchannels = 4')
    assert device.dram == Dram.timed(replace(own, name="wide", channels=4), latency_cycles=GS_TCM.dram.latency_cycles)
    device = _load(tmp_path, 'base = "gs-tcm"\n[dram.timing]\nbase = "hbm2"\nfaw = 16')
    assert device.dram.timing == replace(HBM2, faw=16)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("dram = 3", "dram is 3, and must be a table"),
        ('dram.timing = "lpddr6"', "dram.timing is 'lpddr6', and must be flat or a preset"),
        ("dram.timing = 3", "dram.timing is 3, and must be flat or a preset"),
        ('dram.timing = "hbm2"\ndram.bytes_per_s = 5', "dram.bytes_per_s is 5, and a timing brings its own"),
        ('dram.timing = "hbm2"\ndram.burst_bytes = 5', "dram.burst_bytes is 5, and a timing brings its own"),
        ("dram.timing.rdc = 3", "unknown key dram.timing.rdc; did you mean"),
        ("dram.timing.rcd = 3.5", "dram.timing.rcd is 3.5, and must be of type int"),
        ("dram.timing.rcd = 0", "rcd is 0, and must be at least 1"),
        ("dram.timing.rfc = 1000000", "rfc is 1000000, and must be below refi"),
        ("dram.timing.banks_per_group = 3", "banks_per_group is 3, and must be a power of two"),
        ("dram.timing.base = 3", "dram.timing is 3, and must be flat or a preset"),
        ("dram.tming = 3", "unknown key dram.tming; did you mean timing"),
    ],
)
def test_a_dram_that_cannot_be_is_refused_in_one_line(tmp_path: Path, text: str, rule: str) -> None:
    with pytest.raises(DeviceError) as caught:
        _load(tmp_path, f'base = "gs-tcm"\n{text}')
    assert rule in str(caught.value)
    assert "mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value)
