"""Area of an accelerator: what its parts take on silicon at a node, each by a rule and a table. DESIGN section 6.

SRAM: bits x bitcell / array efficiency of the macro's size; macros above 128 KiB are made of such units. Crossbar:
lanes x banks x word bits x a crosspoint, so quadratic in lanes where banks follow them. Window: flip-flops of the
requests that it holds and of the words that wait for the rest of their group. Leaves out: sequencer, DMA engine, a
``core``'s own logic and caches, reduction trees and normalisation beyond the multiply-add units, clock tree, wiring
between parts, test logic, pads: a chip is larger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import sqrt

from costmodel.spec import Dtype
from costmodel.technology import DramCost, Technology, TechnologyError
from simulator.spec import Device, Dram
from traces.html_table import cells_html

# array efficiency (bitcell area over macro area) by capacity in bytes: PrincetonUniversity/LLMCompass cost_model.py
# @2e015fd2ee75, derived from CACTI for caches; its 256 KiB to 1 MiB (0.526, 0.602, 0.561) are below the 128 KiB that a
# larger memory can be made of, and left out
EFFICIENCY = ((4096, 0.076), (8192, 0.142), (16384, 0.247), (32768, 0.393), (65536, 0.559), (131072, 0.704))
EFFICIENCY_SOURCE = "array efficiency by size: PrincetonUniversity/LLMCompass cost_model.py @2e015fd2ee75"

DTYPE_OF_BYTES: dict[int, Dtype] = {4: "fp32", 2: "fp16", 1: "int8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """mm2 of each part of a device, and the rule behind it."""

    parts_mm2: Mapping[str, float]
    rules: Mapping[str, str]

    @property
    def total_mm2(self) -> float:
        """Return the area of all parts together, square millimetres."""
        return sum(self.parts_mm2.values())

    @property
    def assumed_mm2(self) -> float:
        """The area of the parts whose rule or number has no source."""
        return sum(mm2 for name, mm2 in self.parts_mm2.items() if "assumed" in self.rules[name])

    def __repr__(self) -> str:
        return f"Area({len(self.parts_mm2)} parts, {self.total_mm2:.4f} mm2)"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the parts, the largest first, with their rules."""
        parts = sorted(self.parts_mm2.items(), key=lambda part: -part[1])
        total = self.total_mm2 or 1.0
        rows = [[escape(name), f"{mm2:.4f}", f"{mm2 / total:.1%}", escape(self.rules[name])] for name, mm2 in parts]
        told = f"{self.total_mm2:.4f} mm2, {self.assumed_mm2 / total:.0%} of it assumed; no chip was measured"
        table = cells_html(("part", "mm2", "share", "rule"), rows, (False, True, True, False))
        return f"<p><strong>{told}</strong></p>{table}"


def area(device: Device, technology: Technology) -> Area:
    """Return the area of all cores and of what they share. Raises TechnologyError."""
    found = {**_memories_um2(device, technology), **_logic_um2(device, technology)}
    parts = {name: (device.cores * um2 / 1e6, rule) for name, (um2, rule) in found.items()}
    level = device.second_level.bytes
    if level:
        rule = f"{level} bytes; {_sram_rule(technology)}"
        parts["second level"] = (sram_um2(level, technology) / 1e6, rule)
    parts |= _dram_mm2(device.dram, technology)
    return Area(
        parts_mm2={name: mm2 for name, (mm2, _) in parts.items()},
        rules={name: rule for name, (_, rule) in parts.items()},
    )


def sram_um2(size_bytes: float, technology: Technology) -> float:
    """Return the um2 of one macro: linear between the sizes whose efficiency is known, at least the smallest one."""
    points = [(size, size * 8 / efficiency) for size, efficiency in EFFICIENCY]
    largest, cells = points[-1]
    bitcell = technology.sram_bitcell_um2.value
    if size_bytes >= largest:
        return size_bytes / largest * cells * bitcell
    for (low, low_cells), (high, high_cells) in pairwise(points):
        if size_bytes < high:
            share = max(0.0, (size_bytes - low) / (high - low))
            return (low_cells + share * (high_cells - low_cells)) * bitcell
    raise AssertionError(f"no macro of {size_bytes} bytes")


def dram_kind(dram: Dram) -> str:
    """Return the kind in the name of a DRAM's timing, as "lpddr4x"; "" where it is flat and of no kind."""
    return "" if dram.timing is None else dram.timing.name.partition("-")[0]


def dram_cost(dram: Dram, technology: Technology) -> DramCost:
    """Return what the table knows of a DRAM. Raises TechnologyError."""
    kind = dram_kind(dram)
    if kind not in technology.dram:
        known = ", ".join(technology.dram)
        named = f"is {kind!r}" if kind else "has no timing, so no kind"
        raise TechnologyError(f"dram {named}, and technology {technology.name} has {known}")
    return technology.dram[kind]


def value_dtype(device: Device) -> Dtype:
    """Return the data type that a device's multiply-add units are built for. Raises TechnologyError."""
    width = device.widths.value_bytes
    if width not in DTYPE_OF_BYTES:
        raise TechnologyError(f"widths.value_bytes is {width}, and energies and areas are known for 1, 2 and 4")
    return DTYPE_OF_BYTES[width]


def activation_macro_bytes(device: Device) -> float:
    """Return the bytes of one bank of the activation side, all its buffers."""
    pad = device.scratchpad
    return pad.activation_bytes * pad.activation_buffers / pad.banks


def output_macro_bytes(device: Device) -> float:
    """Return the bytes of one bank of the output side; where results share the scratchpad, a bank of that."""
    pad = device.scratchpad
    return activation_macro_bytes(device) if pad.scatter_half else pad.output_bytes * pad.output_buffers / pad.banks


def wire_mm(device: Device, technology: Technology) -> float:
    """Return how far a gathered word goes: the side of a square of one core's banks and gather crossbar."""
    pads = device.scratchpad.banks * _banks_um2(activation_macro_bytes(device), device.gather.ports, technology)
    return sqrt(pads + _crossbar_um2(device, device.widths.value_bytes, technology)) / 1e3


def _memories_um2(device: Device, technology: Technology) -> dict[str, tuple[float, str]]:
    pad, weights, sram = device.scratchpad, device.weight_buffer, _sram_rule(technology)
    size, ports = activation_macro_bytes(device), device.gather.ports
    held = weights.bytes * weights.buffers
    found = {
        "activation scratchpad": (
            pad.banks * _banks_um2(size, ports, technology),
            f"{pad.banks} banks of {size:g} bytes, {ports} ports; {sram}{_ports_rule(ports)}",
        ),
        "weight buffer": (sram_um2(held, technology), f"{held} bytes; {sram}"),
    }
    if not pad.scatter_half:
        size, ports = output_macro_bytes(device), device.scatter.ports
        found["output scratchpad"] = (
            pad.banks * _banks_um2(size, ports, technology),
            f"{pad.banks} banks of {size:g} bytes, {ports} ports; {sram}{_ports_rule(ports)}",
        )
    return found


def _ports_rule(ports: int) -> str:
    return "; x ports^2, assumed" if ports > 1 else ""


def _banks_um2(size_bytes: float, ports: int, technology: Technology) -> float:
    return sram_um2(size_bytes, technology) * ports**2  # a port is a word line and a pair of bit lines more


def _logic_um2(device: Device, technology: Technology) -> dict[str, tuple[float, str]]:
    lanes, banks, window = device.gather.lanes, device.scratchpad.banks, device.gather.window
    widths, dtype = device.widths, value_dtype(device)
    word_bits, sum_bits = (8 * device.vector * size for size in (widths.value_bytes, widths.sum_bytes))
    words = device.scratchpad.activation_bytes * device.scratchpad.activation_buffers * 8 // word_bits
    request_bits = max(1, words - 1).bit_length() + 1  # address and whether it still waits
    macs, elements = lanes * device.vector, device.vector_unit.elements_per_cycle
    unit, flip_flop, crosspoint = technology.mac_um2(dtype), technology.flip_flop_um2, technology.crosspoint_um2
    places = f"{window} groups x {lanes} lanes x ({request_bits} + {word_bits}) bits"
    return {
        "gather crossbar": (
            _crossbar_um2(device, widths.value_bytes, technology),
            f"{lanes} lanes x {banks} banks x {word_bits} bits x {crosspoint.value:.4g} um2; {crosspoint.source}",
        ),
        "scatter crossbar": (
            _crossbar_um2(device, widths.sum_bytes, technology),
            f"{lanes} lanes x {banks} banks x {sum_bits} bits x {crosspoint.value:.4g} um2; {crosspoint.source}",
        ),
        "window": (
            window * lanes * (request_bits + word_bits) * flip_flop.value,
            f"{places} x {flip_flop.value:.4g} um2, a place for each word assumed; {flip_flop.source}",
        ),
        "multiply-add units": (macs * unit.value, f"{macs} x {unit.value:.4g} um2, {dtype}: {unit.source}"),
        "registers": (
            macs * 8 * (widths.value_bytes + widths.sum_bytes) * flip_flop.value,
            f"a value and a sum for each multiply-add unit, assumed; {flip_flop.source}",
        ),
        "vector unit": (elements * unit.value, f"{elements} x {unit.value:.4g} um2, a multiply-add unit each, assumed"),
    }


def _crossbar_um2(device: Device, element_bytes: int, technology: Technology) -> float:
    bits = 8 * device.vector * element_bytes
    return device.gather.lanes * device.scratchpad.banks * bits * technology.crosspoint_um2.value


def _dram_mm2(dram: Dram, technology: Technology) -> dict[str, tuple[float, str]]:
    cost, timing = dram_cost(dram, technology), dram.timing
    assert timing is not None  # a DRAM of a kind has one
    wires = timing.channels * timing.burst_bytes * 8 // (2 * timing.burst)  # two transfers a clock
    links = wires / cost.link_bits
    controller_um2 = cost.controller_transistors.value / technology.transistors_per_um2.value
    return {
        "DRAM PHY": (links * cost.phy_mm2.value, f"{wires} data wires, {cost.phy_mm2.source}"),
        "DRAM controller": (links * controller_um2 / 1e6, f"{wires} data wires, {cost.controller_transistors.source}"),
    }


def _sram_rule(technology: Technology) -> str:
    cell = technology.sram_bitcell_um2
    return f"bitcell {cell.value:g} um2, {cell.source}; {EFFICIENCY_SOURCE}"
