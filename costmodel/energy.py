"""Energy of a finished result: its counts x a technology's table. DESIGN section 6, ADR 0018.

A pure function: another table needs no other simulation. What counts: multiply-adds of stored slots at positions that
are there, padding slots included; idle lanes and empty positions are clock-gated and cost nothing (assumed), but a word
read from a bank is read whole. Registers: a value and a sum for each multiply-add. Scratchpads: words x bits x the
energy of a bit of a bank, which grows with the square root of the bank's size and not with the word's width. Scatter:
each address is read and written. DMA writes what it loads and reads what it stores. DRAM: bits moved.
Leaves out: leakage and all else that time costs (clock tree, DRAM background and refresh), instructions, control, the
window's queue, conflicts (a request that waits is read once), word lines of wide words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

from costmodel.area import activation_macro_bytes, dram_cost, output_macro_bytes, value_dtype, wire_mm
from costmodel.spec import RooflineDevice
from costmodel.technology import Technology, TechnologyError
from simulator.result import Counters
from simulator.spec import Device

ON_CHIP = (
    "mac",
    "vector",
    "register",
    "gather",
    "crossbar",
    "scatter",
    "weight_buffer",
    "index",
    "dma",
    "second_level",
)
PARTS = (*ON_CHIP, "dram")


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Picojoules by part, in the order of PARTS."""

    parts_pj: Mapping[str, float]

    @property
    def total_pj(self) -> float:
        return sum(self.parts_pj.values())


def not_priced(device: Device | RooflineDevice, technology: Technology) -> str:
    """Return why ``technology`` says nothing of ``device``; "" where it does."""
    if not isinstance(device, Device):
        if device.kind == "fpga":
            return "no energy: the tables are of standard cells, and programmable fabric takes several times as much"
        return f"no energy: no table has what instructions and caches of a {device.kind} take, most of its energy"
    if device.core is not None:
        return "no energy: no table has what a core's instructions take"
    try:
        value_dtype(device)
        dram_cost(device.dram, technology)
    except TechnologyError as error:
        return f"no energy: {error}"
    return ""


def assumed_parts(device: Device, technology: Technology) -> tuple[str, ...]:
    """Return the parts whose energy rests on a number or a rule without a source, in the order of PARTS."""
    rests_on = {
        "mac": [technology.mac_pj(value_dtype(device))],
        "register": [technology.register_pj_per_bit],
        "gather": [technology.sram_read_pj_per_bit],
        "crossbar": [technology.wire_toggles, technology.wire_pf_per_mm],
        "scatter": [technology.sram_read_pj_per_bit, technology.sram_write_pj_per_bit],
        "weight_buffer": [technology.sram_read_pj_per_bit],
        "index": [technology.sram_read_pj_per_bit],
        "dma": [technology.sram_write_pj_per_bit],
        "second_level": [technology.sram_write_pj_per_bit] if device.second_level.bytes else [],
        "dram": [dram_cost(device.dram, technology).pj_per_bit],
    }
    found = {name for name, numbers in rests_on.items() if any(number.assumed for number in numbers)}
    return tuple(name for name in PARTS if name in found or name == "vector")  # a multiply-add each is assumed


def energy(counters: Counters, device: Device, technology: Technology) -> Energy:
    """Return the energy of a layer, or of the sum of layers, on a device. Raises TechnologyError."""
    reason = not_priced(device, technology)
    if reason:
        raise TechnologyError(f"device {device.name}: {reason}")
    widths, mac_pj = device.widths, technology.mac_pj(value_dtype(device)).value
    value_bits, sum_bits = 8 * widths.value_bytes, 8 * widths.sum_bytes
    gathered = counters.scratchpad_read_words * device.vector * value_bits
    scattered = counters.scratchpad_write_words * device.vector * sum_bits
    activations, outputs = activation_macro_bytes(device), output_macro_bytes(device)
    weights = device.weight_buffer.bytes * device.weight_buffer.buffers
    level = device.second_level.bytes
    loaded = 8 * (counters.dram_read_bytes + counters.second_level_read_bytes)
    moved = {
        "mac": counters.macs_active * mac_pj,
        "vector": counters.vector_elements * mac_pj + 8 * counters.vector_unit_bytes * read_pj(activations, technology),
        "register": counters.macs_active * (value_bits + sum_bits) * technology.register_pj_per_bit.value,
        "gather": gathered * read_pj(activations, technology),
        "crossbar": gathered * wire_pj_per_mm(technology) * wire_mm(device, technology),
        "scatter": scattered * (read_pj(outputs, technology) + write_pj(outputs, technology)),
        "weight_buffer": 8 * counters.buffer_value_bytes * read_pj(weights, technology),
        "index": 8 * counters.buffer_index_bytes * read_pj(weights, technology),
        "dma": loaded * write_pj(activations, technology)
        + 8 * counters.dram_write_bytes * read_pj(outputs, technology),
        "second_level": 0.0
        if not level
        else 8 * counters.second_level_read_bytes * read_pj(level, technology)
        + 8 * counters.second_level_write_bytes * write_pj(level, technology),
        "dram": 8 * counters.dram_bytes * dram_cost(device.dram, technology).pj_per_bit.value,
    }
    return Energy(parts_pj={name: float(moved[name]) for name in PARTS})


def read_pj(macro_bytes: float, technology: Technology) -> float:
    """Return the energy of reading a bit of a macro: that of the table's, by the square root of the sizes."""
    return technology.sram_read_pj_per_bit.value * sqrt(macro_bytes / technology.sram_bytes.value)


def write_pj(macro_bytes: float, technology: Technology) -> float:
    """Return the energy of writing a bit of a macro; as ``read_pj``."""
    return technology.sram_write_pj_per_bit.value * sqrt(macro_bytes / technology.sram_bytes.value)


def wire_pj_per_mm(technology: Technology) -> float:
    """Return what a bit costs on a millimetre of wire: toggles x C x V^2."""
    return technology.wire_toggles.value * technology.wire_pf_per_mm.value * technology.supply_v.value**2
