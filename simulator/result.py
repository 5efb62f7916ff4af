"""What a simulation or an estimate says of one layer: counters, causes, and nothing of the configuration.

``simulate()`` and ``estimate()`` return the same type. Cycles, bytes and MACs are exact integers; seconds, joules and
ratios are floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ModelKind = Literal["cycle", "roofline"]

# what cycles are lost to, in the order in which causes are removed: another core at the DRAM, waiting for DRAM, bank
# conflicts, scatter stalls, the interval of groups (weight buffer, or what a core issues), imbalance and raggedness
# (with pipeline fill and drain, and cores that idle), padding; then the vector unit
CAUSES = ("core", "dram", "conflict", "scatter", "interval", "imbalance", "padding", "vector")

# what seconds are made of, on every kind of device (ADR 0030)
TIME = ("compute", "conflict", "imbalance", "weights", "activations", "overhead")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Counts of one layer. ``macs_issued`` counts idle lanes and padding; ``dram_bytes`` both directions."""

    macs_dense: int = 0
    macs_effectual: int = 0
    macs_issued: int = 0
    vector_elements: int = 0
    weight_bytes: int = 0  # stored values, padding slots included
    index_bytes: int = 0  # stored indices and pointers
    activation_bytes: int = 0  # inputs read and outputs written, each once
    dram_read_bytes: int = 0
    dram_write_bytes: int = 0
    scratchpad_read_words: int = 0
    scratchpad_write_words: int = 0
    scratchpad_bytes: int = 0  # occupied at most
    slots: int = 0  # weight slots stored, padding included
    macs_active: int = 0  # of the MAC array: stored slots x positions, idle lanes and empty positions not
    buffer_value_bytes: int = 0  # read out of the weight buffer, all visits and repeats
    buffer_index_bytes: int = 0
    vector_unit_bytes: int = 0  # that the vector unit reads and writes
    second_level_read_bytes: int = 0
    second_level_write_bytes: int = 0

    @property
    def dram_bytes(self) -> int:
        """Return the bytes moved to and from DRAM."""
        return self.dram_read_bytes + self.dram_write_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycles:
    """Cycles of the cycle-level model; ``lost`` maps each of CAUSES to the cycles it costs.

    ``gather``: 1 + the last grant, summed over streams. ``conflict``: lost to bank conflicts. ``stall``: lost to
    waiting for DRAM, for other cores, for the scatter unit and for the weight buffer. ``lost`` and ``effectual`` add up
    to ``total`` exactly (``effectual`` = macs_effectual / (cores x lanes x vector)).
    """

    total: int
    compute: int
    gather: int
    conflict: int
    stall: int
    waiting_words: int
    effectual: float
    lost: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FabricUse:
    """What the engine that ran a layer takes of an FPGA, and the clock it runs at."""

    dsp: int
    bram36: int
    uram: int
    lut: int
    clock_hz: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerResult:
    """One layer on one device. ``bounds_s``: the time each bound alone would take; ``bound`` names the largest.

    ``time_s``: the latency by what it is made of, each of TIME; empty where nobody asked (``costmodel/many.py``).
    """

    layer: str
    kind: str
    m: int
    k: int
    p: int
    groups: int
    density: float | None  # None: no weights
    device: str
    device_kind: str
    model_kind: ModelKind
    latency_s: float
    counters: Counters
    cycles: Cycles | None = None
    bound: str = ""
    bounds_s: Mapping[str, float] = field(default_factory=dict)
    utilization: float = 0.0
    mapping: str = ""
    encoding: str = ""
    kernel: str = ""
    latency_low_s: float | None = None
    latency_high_s: float | None = None
    validated: str = "not validated"
    extrapolated: bool = False
    reason: str = ""
    fabric: FabricUse | None = None  # None: not an engine of an FPGA
    time_s: Mapping[str, float] = field(default_factory=dict)
    dense_kernel_s: float | None = None  # what the dense kernel would take, where that is less

    def __post_init__(self) -> None:
        if not 0.0 <= self.utilization <= 1.0:
            raise AssertionError(
                f"layer {self.layer} on {self.device}: utilization is {self.utilization}, and must be 0 to 1"
            )
