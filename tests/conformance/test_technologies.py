"""What every technology must hold: each number with a source, and orders that physics gives."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise

import pytest

from costmodel.energy import read_pj, write_pj
from costmodel.tables.catalog import ALL_TECHNOLOGIES
from costmodel.technology import Cited, Technology
from simulator.memory.timings import ALL_TIMINGS

every = pytest.mark.parametrize("technology", ALL_TECHNOLOGIES, ids=lambda technology: technology.name)


@every
def test_every_number_is_listed_with_a_source(technology: Technology) -> None:
    listed = technology.sources()
    for part in fields(technology):
        value = getattr(technology, part.name)
        if isinstance(value, Cited):
            assert value.source in listed[part.name]
    for kind in technology.dram:
        assert f"dram.{kind}.pj_per_bit" in listed


@every
def test_a_number_is_cited_scaled_or_called_assumed(technology: Technology) -> None:
    for name, source in technology.sources().items():
        known = ("assumed", "scaled", "Horowitz", "@", "https://", "http://", "reflib.py")
        assert any(word in source for word in known), name


@every
def test_wider_arithmetic_and_larger_memories_cost_more(technology: Technology) -> None:
    assert technology.int8_mac_pj.value < technology.fp16_mac_pj.value < technology.fp32_mac_pj.value
    assert technology.int8_mac_um2.value < technology.fp16_mac_um2.value < technology.fp32_mac_um2.value
    assert read_pj(8192, technology) < read_pj(65536, technology)
    assert read_pj(8192, technology) < write_pj(8192, technology)
    assert technology.register_pj_per_bit.value < read_pj(8192, technology)


@every
def test_every_dram_timing_has_a_cost(technology: Technology) -> None:
    assert {timing.name.partition("-")[0] for timing in ALL_TIMINGS} <= set(technology.dram)


def test_a_smaller_node_takes_less_of_everything() -> None:
    nodes = sorted(ALL_TECHNOLOGIES, key=lambda technology: -technology.node_nm)
    names = [part.name for part in fields(Technology) if part.name.endswith(("_mac_pj", "_um2"))]
    names = [name for name in names if name != "transistors_per_um2"]
    for old, new in pairwise(nodes):
        for name in (*names, "register_pj_per_bit"):
            assert getattr(new, name).value < getattr(old, name).value, (new.name, name)
        for size in (4096, 1 << 20):
            assert read_pj(size, new) < read_pj(size, old)
