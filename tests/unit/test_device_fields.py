"""Every field of a device goes by one dotted path, the one that a device file spells."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from costmodel.device_file import load_target
from costmodel.devices.catalog import ALL_DEVICES as ROOFLINES
from gatherline.device_fields import FieldValue, device_fields, nearest_path, with_fields
from gatherline.request import Target, device_named
from simulator.devices.catalog import ALL_DEVICES as ACCELERATORS
from simulator.spec import Device, DeviceError

ONE_OF_EACH = ("gs-tcm", "gs-tcm-ooo", "gs-tcm-sve8", "snapdragon-855", "x86-avx512", "adreno-640", "a100", "zcu102")


def test_every_device_keeps_its_name_and_takes_each_field_as_it_is() -> None:
    for name in ONE_OF_EACH:
        device = device_named(name)
        for path, field in device_fields(device).items():
            if field.value is None or path.startswith("dram."):  # a rate of its own makes a DRAM flat
                continue
            same = with_fields(device, {path: field.value})
            assert same.name == name
            assert device_fields(same)[path].value == field.value, path


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_changed_field_is_the_one_that_a_file_changes(name: str, tmp_path: Path) -> None:
    device = device_named(name)
    path = "clock_hz" if isinstance(device, Device) else "units.0.clock_hz"
    file = tmp_path / f"{name}.toml"
    text = "clock_hz = 500_000_000" if path == "clock_hz" else "[units.0]\nclock_hz = 500_000_000"
    file.write_text(f'base = "{name}"\nname = "{name}"\n{text}\n')
    changed = with_fields(device, {path: 500_000_000})
    assert numbers_of(changed) == numbers_of(load_target(file))
    assert device_fields(changed)[path].value == 500_000_000


def numbers_of(device: Target) -> dict[str, FieldValue | None]:
    return {path: field.value for path, field in device_fields(device).items()}


def test_a_rate_of_its_own_makes_a_dram_flat() -> None:
    flat = with_fields(device_named("gs-tcm"), {"dram.bytes_per_s": 8_000_000_000})
    assert isinstance(flat, Device)
    assert flat.dram.timing is None
    assert device_fields(flat)["dram.timing"].value == "flat"


def test_an_interval_may_be_a_fraction() -> None:
    device = with_fields(device_named("gs-tcm"), {"gather.interval": Fraction(3, 2)})
    assert isinstance(device, Device)
    assert device.gather.interval == Fraction(3, 2)


@pytest.mark.parametrize(
    ("name", "path", "unit"),
    [
        ("gs-tcm", "clock_hz", "Hz"),
        ("gs-tcm", "dram.bytes_per_s", "B/s"),
        ("gs-tcm", "scratchpad.activation_bytes", "B"),
        ("gs-tcm", "weight_buffer.bytes_per_cycle", "B/cycle"),
        ("gs-tcm", "gather.latency", "cycles"),
        ("gs-tcm", "scatter.rmw_cycles", "cycles"),
        ("gs-tcm", "dram.timing.rrd_s", "cycles"),
        ("gs-tcm", "dram.timing.channels", ""),
        ("gs-tcm", "scratchpad.banks", ""),
        ("snapdragon-855", "overhead_s", "s"),
        ("snapdragon-855", "levels.l2.bytes", "B"),
        ("snapdragon-855", "matrix_macs_per_cycle.fp16", "MAC/cycle"),
    ],
)
def test_a_unit_is_read_off_the_name(name: str, path: str, unit: str) -> None:
    assert device_fields(device_named(name))[path].unit == unit


def test_no_field_is_a_name_or_a_source() -> None:
    for device in (*ACCELERATORS, *ROOFLINES[:5]):
        for path in device_fields(device):
            assert not {"name", "summary", "sources"} & set(path.split("."))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"scratchpad.bank": 8}, "has no field scratchpad.bank; did you mean scratchpad.banks"),
        ({"scratchpad.ports": 8}, "has no field scratchpad.ports; did you mean gather.ports or scatter.ports"),
        ({"scratchpad.banks": 0}, "device gs-tcm: scratchpad.banks is 0, and must be at least 1"),
        ({"scratchpad.banks": 24, "scratchpad.hash": "xor"}, "must be a power of two"),
        ({"scratchpad.banks": "8"}, "must be of type int"),
        ({"dram.timing": "flat", "dram.timing.cl": 20}, "dram.timing and dram.timing.cl both change"),
    ],
)
def test_what_a_device_cannot_be_is_refused(changes: dict[str, FieldValue], text: str) -> None:
    with pytest.raises(DeviceError, match=text) as caught:
        with_fields(device_named("gs-tcm"), changes)
    assert str(caught.value).startswith("device gs-tcm")


def test_of_fields_that_are_as_near_the_first_is_named() -> None:
    known = list(device_fields(device_named("snapdragon-855")))
    assert nearest_path("clock_hz", known) == "did you mean units.0.clock_hz?"
    assert nearest_path("xyzzy", known).startswith(f"there are {len(known)}, as {known[0]}, ")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("gather.lanes", 0, "device gs-tcm: gather.lanes is 0, and must be at least 1"),
        ("scratchpad.hash", "sum", "device gs-tcm: scratchpad.hash is 'sum', and must be 'none' or 'xor'"),
    ],
)
def test_a_refusal_names_the_path_of_the_field_and_no_class(path: str, value: int | str, said: str) -> None:
    with pytest.raises(DeviceError) as caught:
        with_fields(device_named("gs-tcm"), {path: value})
    assert str(caught.value).startswith(said)
