"""What an accelerator is: frozen data, no behaviour. Rules are in DESIGN section 5, presets in ``simulator/devices``.

Models one or more cores with a banked scratchpad, a gather unit, a MAC array, a scatter unit, a vector unit, a weight
buffer and a DMA engine in front of a DRAM. Leaves out: instruction fetch, on-chip networks, voltage and temperature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import Literal

Order = Literal["in_order", "out_of_order"]
Hash = Literal["none", "xor"]


class DeviceError(ValueError):
    """A device that cannot exist: one line naming the field, the value and the rule."""


_MOST = (1 << 48) - 1  # beyond anything built, and products of two still fit where kernels count
_MOST_LANES = (1 << 15) - 1  # a lane is a 16-bit number in a trace
_MOST_BANKS = 1 << 24  # a simulation keeps state for each
_MOST_WIDTH_BYTES = 64
_MOST_TIMING = 1 << 24  # cycles or bytes: sums of many still fit 64 bits
_MOST_DRAM_BANKS = 1 << 16
_MOST_CORES = 1 << 12  # a simulation runs each


def _at_least_one(owner: object, *names: str, most: int = _MOST) -> None:
    for name in names:
        value = getattr(owner, name)
        if value < 1:
            raise DeviceError(f"{type(owner).__name__}.{name} is {value}, and must be at least 1")
        if value > most:
            raise DeviceError(f"{type(owner).__name__}.{name} is {value}, and must be at most {most}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratchpad:
    """Banks of single-cycle memory. A word of the activation side is ``vector`` values, of the output side sums.

    ``activation_bytes`` and ``output_bytes`` are those of one of their buffers. ``scatter_half``: under gs_scatter
    there is one buffer of each and no more, activations in the first half of the scratchpad, results in the second.
    """

    banks: int
    hash: Hash = "none"
    activation_bytes: int
    activation_buffers: int = 2
    output_bytes: int
    output_buffers: int = 2
    scatter_half: bool = False

    def __post_init__(self) -> None:
        _at_least_one(self, "banks", most=_MOST_BANKS)
        _at_least_one(self, "activation_bytes", "activation_buffers", "output_bytes", "output_buffers")
        if self.hash not in ("none", "xor"):
            raise DeviceError(f"Scratchpad.hash is {self.hash!r}, and must be 'none' or 'xor'")
        if self.hash == "xor" and self.banks & (self.banks - 1):
            raise DeviceError(f"Scratchpad.banks is {self.banks}, and must be a power of two with hash = 'xor'")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatherUnit:
    """Lanes that request words from banks. ``interval`` None: what the weight buffer allows, stream by stream."""

    lanes: int
    window: int
    order: Order = "in_order"
    ports: int = 1
    coalesce: bool = False
    latency: int
    interval: Fraction | None = None

    def __post_init__(self) -> None:
        _at_least_one(self, "lanes", most=_MOST_LANES)
        _at_least_one(self, "window", "ports", "latency")
        if self.order not in ("in_order", "out_of_order"):
            raise DeviceError(f"GatherUnit.order is {self.order!r}, and must be 'in_order' or 'out_of_order'")
        if self.interval is not None and self.interval <= 0:
            raise DeviceError(f"GatherUnit.interval is {self.interval}, and must be above 0 cycles per group")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightBuffer:
    """Values and indices, ``bytes`` in each of ``buffers``; ``bytes_per_cycle`` bounds the groups issued a cycle."""

    bytes: int
    buffers: int = 2
    bytes_per_cycle: int

    def __post_init__(self) -> None:
        _at_least_one(self, "bytes", "buffers", "bytes_per_cycle")


@dataclass(frozen=True, slots=True, kw_only=True)
class MacArray:
    """Multiplies and adds one group a cycle. ``latency``: cycles from the last group of a bundle to its result."""

    latency: int

    def __post_init__(self) -> None:
        _at_least_one(self, "latency")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScatterUnit:
    """Adds results to the output scratchpad. ``rmw_cycles``: of a read-modify-write; ``ports``: of each bank for it."""

    rmw_cycles: int
    ports: int = 1

    def __post_init__(self) -> None:
        _at_least_one(self, "rmw_cycles", "ports")


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorUnit:
    """Does what is no matrix product: depthwise, pooling, norms, softmax, additions, gates of an LSTM."""

    elements_per_cycle: int

    def __post_init__(self) -> None:
        _at_least_one(self, "elements_per_cycle")


@dataclass(frozen=True, slots=True, kw_only=True)
class DramTiming:
    """Channels of DRAM behind an in-order, open-page controller. Without a unit in the name: clock cycles (nCK).

    ``_s`` and ``_l``: between different bank groups (short) and within one (long). A channel is one rank.
    """

    name: str
    clock_hz: int  # of the command clock, in which all cycles count
    channels: int
    bank_groups: int
    banks_per_group: int
    row_bytes: int  # an open row of one bank of a channel
    burst_bytes: int  # one column command of a channel
    burst: int  # data bus cycles of it
    queue: int  # bursts of a channel that the controller sees at once
    cl: int  # read command to first data
    cwl: int  # write command to first data
    rcd: int  # activate to column command
    rp: int  # precharge to activate
    ras: int  # activate to precharge
    rrd_s: int  # activate to activate
    rrd_l: int
    faw: int  # activate to the fourth activate after it
    ccd_s: int  # column command to column command
    ccd_l: int
    wr: int  # last data written to precharge
    rtp: int  # read to precharge
    wtr_s: int  # last data written to read
    wtr_l: int
    turnaround: int  # idle bus between data read and data written
    refi: int  # a refresh of all banks is due this often
    rfc: int  # refresh to activate

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise DeviceError("DramTiming.name is empty, and must be text")
        _at_least_one(self, "clock_hz")
        for part in fields(self)[2:]:
            _at_least_one(self, part.name, most=_MOST_TIMING)
        for name in ("channels", "bank_groups", "banks_per_group", "row_bytes", "burst_bytes"):
            value = getattr(self, name)
            if value & (value - 1):
                raise DeviceError(f"DramTiming.{name} is {value}, and must be a power of two")
        for name, least in (
            ("row_bytes", "burst_bytes"),
            ("rrd_l", "rrd_s"),
            ("ccd_l", "ccd_s"),
            ("wtr_l", "wtr_s"),
        ):
            if getattr(self, name) < getattr(self, least):
                value, rule = getattr(self, name), getattr(self, least)
                raise DeviceError(f"DramTiming.{name} is {value}, and must be at least {least}, {rule}")
        if self.channels * self.banks > _MOST_DRAM_BANKS:
            banks = self.channels * self.banks
            raise DeviceError(f"DramTiming has {banks} banks in all, and must have at most {_MOST_DRAM_BANKS}")
        busy = self.cl + self.cwl + self.rcd + self.rp + self.ras + self.faw + self.rrd_l + self.ccd_l + self.burst
        busy += self.wr + self.rtp + self.wtr_l + self.turnaround  # never all at once, so a burst always fits between
        if self.refi <= self.rfc:
            raise DeviceError(f"DramTiming.rfc is {self.rfc}, and must be below refi, {self.refi}")
        if self.refi <= self.rfc + busy:
            raise DeviceError(
                f"DramTiming.refi is {self.refi}, and must be above {self.rfc + busy}, a refresh and every other time"
            )

    @property
    def banks(self) -> int:
        """Banks of a channel."""
        return self.bank_groups * self.banks_per_group

    @property
    def bytes_per_s(self) -> int:
        """Peak of all channels, with a burst on each bus all the time."""
        return self.channels * self.burst_bytes * self.clock_hz // self.burst


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """A processor that runs the product by vector instructions: what it issues bounds the groups a cycle.

    Per group: ``gather_instructions`` (value load, index load, gather, multiply-add; ``fused_gather``: the gather loads
    its own indices, one less), ``block_instructions`` (value load, index load, vector or broadcast load, multiply-add),
    ``dense_instructions`` (weight load, multiply-add; one activation load serves ``dense_rows`` rows). Per row whose
    products lie in several lanes: a reduction and a store; otherwise one store a bundle. ``accumulate_cycles``: from a
    multiply-add to the next one into the same register; a sparse kernel turns through ``accumulators`` registers.
    """

    issue_width: int
    fused_gather: bool = False
    gather_instructions: int = 4
    block_instructions: int = 4
    dense_instructions: int = 2
    dense_rows: int = 8
    reduction_instructions: int = 1
    store_instructions: int = 1
    accumulate_cycles: int = 1
    accumulators: int = 1

    def __post_init__(self) -> None:
        most = 1 << 15  # instructions of a stream, times its width, stay far below 64 bits
        _at_least_one(self, "issue_width", "gather_instructions", "block_instructions", "dense_instructions", most=most)
        _at_least_one(self, "dense_rows", "reduction_instructions", "store_instructions", most=most)
        _at_least_one(self, "accumulate_cycles", "accumulators", most=most)
        if self.fused_gather and self.gather_instructions < 2:
            raise DeviceError(
                f"Core.gather_instructions is {self.gather_instructions}, and must be at least 2 with fused_gather"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Dram:
    """Flat without a ``timing``: whole bursts at ``bytes_per_s``, data there ``latency_cycles`` after their burst.

    With one, its rules decide when data are on the bus (``timed`` fills in its rate and burst), and ``latency_cycles``
    is the way of data read from there to the scratchpad: controller, PHY, interconnect.
    """

    bytes_per_s: int
    burst_bytes: int
    latency_cycles: int
    timing: DramTiming | None = None

    def __post_init__(self) -> None:
        _at_least_one(self, "bytes_per_s", "burst_bytes", "latency_cycles")
        for name in ("bytes_per_s", "burst_bytes") if self.timing is not None else ():
            value, own = getattr(self, name), getattr(self.timing, name)
            if value != own:
                raise DeviceError(f"Dram.{name} is {value}, and must be {own} with timing {_name(self.timing)!r}")

    @classmethod
    def timed(cls, timing: DramTiming, *, latency_cycles: int) -> Dram:
        """Return the DRAM of a timing. Raises DeviceError."""
        return cls(
            bytes_per_s=timing.bytes_per_s,
            burst_bytes=timing.burst_bytes,
            latency_cycles=latency_cycles,
            timing=timing,
        )


def _name(timing: DramTiming | None) -> str:
    return "" if timing is None else timing.name


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondLevel:
    """A scratchpad that all cores share, in front of the DRAM; its port moves ``bytes_per_cycle``. 0 bytes: none."""

    bytes: int = 0
    bytes_per_cycle: int = 64  # assumed: one DRAM burst a cycle

    def __post_init__(self) -> None:
        if self.bytes:
            _at_least_one(self, "bytes")
        _at_least_one(self, "bytes_per_cycle")


NO_SECOND_LEVEL = SecondLevel()


@dataclass(frozen=True, slots=True, kw_only=True)
class Widths:
    """Bytes of a stored value, of an index, of a row or bundle pointer, of a partial sum."""

    value_bytes: int = 2
    index_bytes: int = 2
    pointer_bytes: int = 4
    sum_bytes: int = 4

    def __post_init__(self) -> None:
        _at_least_one(self, "value_bytes", "index_bytes", "pointer_bytes", "sum_bytes", most=_MOST_WIDTH_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One accelerator. ``sources`` names, per field, where a number comes from ("assumed" where from nowhere)."""

    name: str
    summary: str
    clock_hz: int
    cores: int = 1
    vector: int
    scratchpad: Scratchpad
    gather: GatherUnit
    weight_buffer: WeightBuffer
    mac: MacArray
    scatter: ScatterUnit
    vector_unit: VectorUnit
    dram: Dram
    second_level: SecondLevel = NO_SECOND_LEVEL
    widths: Widths = Widths()
    core: Core | None = None  # None: a sequencer issues groups as fast as the weight buffer brings them
    sources: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _at_least_one(self, "clock_hz", "vector")
        _at_least_one(self, "cores", most=_MOST_CORES)

    @property
    def kind(self) -> str:
        """Return ``device_kind`` of its rows."""
        return "accelerator"

    @property
    def macs_per_cycle(self) -> int:
        """MACs a cycle at full use, all cores."""
        return self.cores * self.gather.lanes * self.vector
