"""What an FPGA is made of, what of it is spoken for, and what an engine built from it costs. Data, no behaviour.

Budgets of DSPs, BRAM36, URAMs and LUTs are what is left of the part after the shell, times the share that a design can
be routed with. Leaves out: flip-flops, clock regions, super logic regions and their crossings.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import floor

from simulator.spec import DeviceError

PER_TYPE = tuple[tuple[str, int], ...]  # by data type; a mapping that can be hashed
BRAM36_WORDS, URAM_WORDS = 512, 4096  # of 64 data bits. Source: Xilinx UG573, 36 Kb and 288 Kb with 72-bit ports


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Counts of the four kinds of block that run out."""

    dsp: int
    bram36: int
    uram: int
    lut: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Share of what the shell leaves that a design can use and still be placed and routed."""

    dsp: float
    bram36: float
    uram: float
    lut: float

    def __post_init__(self) -> None:
        for part in fields(self):
            value = getattr(self, part.name)
            if not 0.0 < value <= 1.0:
                raise DeviceError(f"fabric.shares.{part.name} is {value}, and must be above 0 and at most 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCosts:
    """What an engine takes of the fabric.

    ``dsp_per_mac`` and ``lut_per_mac`` by data type; ``positions_per_dsp``: products of one weight that share a DSP;
    where they are several, each ``packed_chain`` DSPs take one more that adds up. ``lut_control``: once. A 4:1
    multiplexer is one LUT of ``mux_inputs`` inputs, and wider ones are made of these. ``lut_per_token`` and
    ``token_bram36``: the unit that sorts and compacts tokens.
    """

    dsp_per_mac: PER_TYPE
    positions_per_dsp: PER_TYPE
    lut_per_mac: PER_TYPE
    packed_chain: int
    lut_control: int
    mux_inputs: int
    word_bytes: int
    lut_per_token: int
    token_bram36: int

    def __post_init__(self) -> None:
        for name in ("dsp_per_mac", "positions_per_dsp", "lut_per_mac"):
            for dtype, count in getattr(self, name):
                if count < 1:
                    raise DeviceError(f"fabric.costs.{name}.{dtype} is {count}, and must be at least 1")
        for name in ("packed_chain", "mux_inputs", "word_bytes"):
            if getattr(self, name) < 1:
                raise DeviceError(f"fabric.costs.{name} is {getattr(self, name)}, and must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockLoss:
    """What routing takes from the clock: a share for each doubling of a multiplexer beyond one LUT, and the share that
    a design loses which fills the LUTs it may use (linear below)."""

    mux_doubling: float
    full_lut: float

    def __post_init__(self) -> None:
        for part in fields(self):
            value = getattr(self, part.name)
            if not 0.0 <= value < 1.0:
                raise DeviceError(f"fabric.clock_loss.{part.name} is {value}, and must be at least 0 and below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineShape:
    """One engine: the kernel whose datapath it has, and its parallelism.

    ``banks`` and ``mux_inputs`` of a lane, where the kernel alone doesn't say (None: it does). ``tokens``: longest list
    that its token unit sorts, 0: it has none. ``held_bytes``: activations that its buffers are made for (None: those of
    the layer at hand). ``clock_hz``: None: what ``ClockLoss`` leaves.
    """

    kernel: str
    rows: int
    lanes: int
    positions: int
    banks: int | None = None
    mux_inputs: int | None = None
    tokens: int = 0
    held_bytes: int | None = None
    clock_hz: int | None = None

    def __post_init__(self) -> None:
        for name, least in (
            ("rows", 1), ("lanes", 1), ("positions", 1), ("banks", 1), ("mux_inputs", 1), ("tokens", 0),
            ("held_bytes", 0), ("clock_hz", 1),
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value < least:
                raise DeviceError(f"fabric.engine.{name} is {value}, and must be at least {least}")

    @property
    def macs_per_cycle(self) -> int:
        return self.rows * self.lanes * self.positions


@dataclass(frozen=True, slots=True, kw_only=True)
class Fabric:
    """An FPGA. ``shell``: memory controllers and host link; ``engine``: what was built, None: not decided yet."""

    total: Resources
    shell: Resources
    shares: Shares
    costs: EngineCosts
    clock_loss: ClockLoss
    engine: EngineShape | None = None

    def __post_init__(self) -> None:
        for part in fields(Resources):
            have, taken = getattr(self.total, part.name), getattr(self.shell, part.name)
            least = 0 if part.name == "uram" else 1
            if have < least:
                raise DeviceError(f"fabric.total.{part.name} is {have}, and must be at least {least}")
            if not 0 <= taken <= have:
                raise DeviceError(f"fabric.shell.{part.name} is {taken}, and must be at least 0 and at most {have}")

    @property
    def budget(self) -> Resources:
        """What an engine, its vector unit and its token unit may use together."""
        return Resources(
            dsp=floor((self.total.dsp - self.shell.dsp) * self.shares.dsp),
            bram36=floor((self.total.bram36 - self.shell.bram36) * self.shares.bram36),
            uram=floor((self.total.uram - self.shell.uram) * self.shares.uram),
            lut=floor((self.total.lut - self.shell.lut) * self.shares.lut),
        )

    @property
    def bram36_bytes(self) -> int:
        return BRAM36_WORDS * self.costs.word_bytes

    @property
    def uram_bytes(self) -> int:
        return URAM_WORDS * self.costs.word_bytes

    @property
    def chip_bytes(self) -> int:
        """Bytes that all memories of the budget hold."""
        return self.budget.bram36 * self.bram36_bytes + self.budget.uram * self.uram_bytes

    def macs_of_dsps(self, dtype: str, dsp: int) -> int:
        """Return the multiply-adds a cycle that ``dsp`` DSPs can do at most."""
        each, packed = dict(self.costs.dsp_per_mac)[dtype], dict(self.costs.positions_per_dsp)[dtype]
        chain = self.costs.packed_chain
        products = dsp * chain // (chain * each + 1) if packed > 1 else dsp // each
        return products * packed

    def dsps_of_macs(self, dtype: str, columns: int, positions: int) -> int:
        """Return the DSPs of ``columns`` weights times ``positions`` a cycle; products of one weight share DSPs."""
        each, packed = dict(self.costs.dsp_per_mac)[dtype], dict(self.costs.positions_per_dsp)[dtype]
        products = columns * -(-positions // packed)
        chained = packed > 1 and positions > 1
        return products * each + (-(-products // self.costs.packed_chain) if chained else 0)

    def missing(self, dtypes: tuple[str, ...]) -> str | None:
        """Return the first number that an engine of one of ``dtypes`` would need and that is not there."""
        for name in ("dsp_per_mac", "positions_per_dsp", "lut_per_mac"):
            for dtype in dtypes:
                if dtype not in dict(getattr(self.costs, name)):
                    return f"fabric.costs.{name}.{dtype}"
        return None
