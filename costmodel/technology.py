"""What a technology is: energies and areas of one node as frozen data, every number with its source.

Rules: ``costmodel/energy.py`` and ``costmodel/area.py``; presets: ``costmodel/tables``, one file a node. Leaves out:
leakage, clock tree, temperature, more than one supply, corners.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from costmodel.spec import Dtype


class TechnologyError(ValueError):
    """A technology that is not known, or a number that it lacks: one line naming it and the rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cited:
    """A number and where it comes from ("assumed ..." where from nowhere, "...; scaled ..." where by a rule)."""

    value: float
    source: str

    def __post_init__(self) -> None:
        if not self.value > 0 or self.value == float("inf"):
            raise TechnologyError(f"value is {self.value}, and must be above 0 and finite")
        if not self.source.strip():
            raise TechnologyError(f"source of {self.value} is empty, and must be text ('assumed' is one)")

    @property
    def assumed(self) -> bool:
        return self.source.startswith("assumed")


def cited(value: float, source: str) -> Cited:
    return Cited(value=value, source=source)


@dataclass(frozen=True, slots=True, kw_only=True)
class DramCost:
    """What a kind of DRAM costs: a bit moved, and the PHY and controller of ``link_bits`` data wires."""

    pj_per_bit: Cited
    link_bits: int
    phy_mm2: Cited
    controller_transistors: Cited


@dataclass(frozen=True, slots=True, kw_only=True)
class Technology:
    """One node. ``*_mac_*``: a multiply-add into a 32-bit sum. ``sram_*_pj_per_bit``: of a macro of ``sram_bytes``.

    ``register_pj_per_bit``: one bit written and read once. ``dram``: by the kind in a timing's name ("lpddr4x").
    """

    name: str
    node_nm: int
    summary: str
    supply_v: Cited
    fp32_mac_pj: Cited
    fp16_mac_pj: Cited
    int8_mac_pj: Cited
    register_pj_per_bit: Cited
    sram_bytes: Cited
    sram_read_pj_per_bit: Cited
    sram_write_pj_per_bit: Cited
    wire_pf_per_mm: Cited
    wire_toggles: Cited
    fp32_mac_um2: Cited
    fp16_mac_um2: Cited
    int8_mac_um2: Cited
    flip_flop_um2: Cited
    crosspoint_um2: Cited
    sram_bitcell_um2: Cited
    transistors_per_um2: Cited
    dram: Mapping[str, DramCost]

    def mac_pj(self, dtype: Dtype) -> Cited:
        """Return the energy of a multiply-add."""
        return {"fp32": self.fp32_mac_pj, "fp16": self.fp16_mac_pj, "int8": self.int8_mac_pj}[dtype]

    def mac_um2(self, dtype: Dtype) -> Cited:
        """Return the area of a multiply-add unit."""
        return {"fp32": self.fp32_mac_um2, "fp16": self.fp16_mac_um2, "int8": self.int8_mac_um2}[dtype]

    def sources(self) -> dict[str, str]:
        """Return value and source of every number, by its name."""
        found = {}
        for part in fields(self):
            value = getattr(self, part.name)
            if isinstance(value, Cited):
                found[part.name] = f"{value.value:.4g}, {value.source}"
        for kind, cost in self.dram.items():
            for name in ("pj_per_bit", "phy_mm2", "controller_transistors"):
                number: Cited = getattr(cost, name)
                found[f"dram.{kind}.{name}"] = f"{number.value:.4g}, {number.source}"
        return found
