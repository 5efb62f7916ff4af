"""The energy of a row: its counts in columns, priced by a technology, and priced anew from the columns alone.

Cycle-level rows carry every count that energy is made of; rows of rooflines carry none, and have no energy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from costmodel.energy import PARTS, energy, not_priced
from costmodel.spec import RooflineDevice
from costmodel.technology import Technology
from simulator.result import Counters
from simulator.spec import Device

COUNTS = (
    "macs_active", "scratchpad_read_words", "scratchpad_write_words", "buffer_value_bytes", "buffer_index_bytes",
    "vector_unit_bytes", "second_level_read_bytes", "second_level_write_bytes", "dram_read_bytes", "dram_write_bytes",
)  # fmt: skip
PRICED = ("vector_elements", *COUNTS)  # all that energy is made of


def energy_columns(
    results: Sequence[Counters], device: Device | RooflineDevice, technology: Technology
) -> dict[str, object]:
    """Return the columns of the counts of layers, their energy and its parts; without an energy, why."""
    if not isinstance(device, Device):
        return _unpriced(device, technology)
    counts = {name: sum(getattr(counters, name) for counters in results) for name in PRICED}
    own = {name: counts[name] for name in COUNTS}
    return {**own, **priced(counts, device, technology)}


def priced(counts: Mapping[str, int], device: Device | RooflineDevice, technology: Technology) -> dict[str, object]:
    """Return the energy columns of a row whose columns PRICED are ``counts``."""
    if not isinstance(device, Device) or not_priced(device, technology):
        return _unpriced(device, technology)
    found = energy(Counters(**{name: counts[name] for name in PRICED}), device, technology)
    note = "coalesced requests are counted as reads: an upper bound" if device.gather.coalesce else None
    return {
        "technology": technology.name,
        "energy_pj": found.total_pj,
        "energy_note": note,
        **{f"energy_{part}_pj": found.parts_pj[part] for part in PARTS},
    }


def _unpriced(device: Device | RooflineDevice, technology: Technology) -> dict[str, object]:
    parts = dict.fromkeys(f"energy_{part}_pj" for part in PARTS)
    return {
        "technology": technology.name,
        "energy_pj": None,
        "energy_note": not_priced(device, technology),
        **parts,
    }
