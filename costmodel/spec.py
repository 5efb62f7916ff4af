"""What a roofline device is: frozen data, no behaviour. Rules: DESIGN section 6, presets: ``costmodel/devices``.

A device is units with clocks, multiply-adds a cycle by data type, memory levels from the inside out, an overhead for
each operator, and the kernel families that a runtime brings to it. Every number has an entry in ``sources`` ("assumed"
where nothing backs it), or the device cannot be built. Leaves out: frequency scaling, thermal limits, other tenants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, get_args

from costmodel.fabric import Fabric
from costmodel.per_point import PerPoint
from costmodel.point_choices import least, total
from simulator.spec import DeviceError

Dtype = Literal["fp32", "fp16", "int8"]
DeviceKind = Literal["mobile_cpu", "cpu", "mobile_gpu", "server_gpu", "fpga"]
VALUE_BYTES: dict[str, int] = {"fp32": 4, "fp16": 2, "int8": 1}
Addressing = Literal["aligned", "window", "any"]
BOUNDS = ("compute", "gather", "issue", "overhead")  # what bounds a layer besides a memory level
MOST = 1e18  # of any number of a device, so that a product of a few of them is finite
MOST_UNITS = 1 << 20
PER_DTYPE = tuple[tuple[Dtype, int], ...]  # a mapping that can be hashed


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """``count`` equal units at one clock: cores of a CPU, multiprocessors of a GPU; a CPU lists its fastest first.

    ``relative_rate``: multiply-adds a cycle over those of the device's tables (the little cores of a phone);
    ``relative_share``: of that rate, the share at which they take part in an operator of all. None: the same.
    """

    count: int
    clock_hz: int
    relative_rate: float | None = None
    relative_share: float | None = None

    @property
    def rate_hz(self) -> float:
        """The clock at which a core of the device's first kind would do as many multiply-adds a second."""
        return self.clock_hz * (1.0 if self.relative_rate is None else self.relative_rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLevel:
    """``bytes_per_s`` that one unit reaches alone and all units reach together; ``bytes`` None: the main memory.

    ``bytes`` of a private level are those of one unit.
    """

    name: str
    bytes: int | None
    unit_bytes_per_s: int
    total_bytes_per_s: int

    def bytes_per_s(self, units: int) -> int:
        """Return the bandwidth of ``units`` units together, bytes a second: theirs, or all that there is."""
        return least(units * self.unit_bytes_per_s, self.total_bytes_per_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipes:
    """What one unit issues a cycle: vector loads and instructions of any kind, ``vector_bytes`` wide.

    ``load_to_use``: cycles from a load to the instruction that needs it, which an in-order core waits out wherever an
    address depends on a loaded index; ``miss_to_use``: the same for each cache line from the second level. None for a
    core that reorders.
    """

    vector_bytes: int
    loads_per_cycle: float
    instructions_per_cycle: float
    load_to_use: int | None = None
    miss_to_use: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """What every kernel says: whose it is, what it takes, what it reads, and the share of the peak it reaches.

    ``serves``: pattern families (the spelling before its colon) that are sent to it; ``kinds``: layer kinds it takes;
    ``pointwise``: convolutions only with a 1 x 1 window, stride 1. ``memory_share``: share of the achievable
    bandwidth that its access pattern reaches. ``epilogue_operations``: vector operations on 32-bit lanes for each
    output element (an int8 kernel requantises: convert, scale, round, narrow). ``cut``: what units take: "tiles" of
    rows and positions, or whole "rows" of register tiles, so that a layer of few rows leaves units idle.
    """

    name: str
    runtime: str
    encoding: str
    serves: tuple[str, ...]
    kinds: tuple[str, ...]
    pointwise: bool = False
    dtypes: tuple[Dtype, ...]
    unit: Literal["matrix", "vector"]
    efficiency: float
    memory_share: float = 1.0
    index_bytes: int = 2
    pointer_bytes: int = 4
    epilogue_operations: float = 0
    cut: Literal["tiles", "rows"] = "tiles"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """Rows x positions that one unit works on, cut into register tiles that reuse each loaded operand."""

    rows: int
    positions: int
    register_rows: int
    register_positions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TileKernel(Kernel):
    """A dense product in tiles, and N:M with ``kept`` = (N, M), whose hardware skips the rest.

    ``blocking``: "cache": loops are blocked for each level (traffic of the I/O-optimal matrix product); "tile": each
    tile streams its operands from the second level. ``packs``: the right operand is copied into panels first (im2col
    where a window is larger than 1 x 1). ``k_tile``: columns are padded to it. ``split_k``: parts into
    which K may be cut to fill all units, at the price of 32-bit partial sums.
    """

    tiles: tuple[Tile, ...]
    blocking: Literal["cache", "tile"]
    k_tile: int = 1
    split_k: tuple[int, ...] = (1,)
    kept: tuple[int, int] = (1, 1)
    packs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WinogradSize:
    """F(outputs x outputs, 3 x 3), taken by layers of at most ``most_channels`` in and out; None: any."""

    outputs: int
    most_channels: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WinogradKernel(Kernel):
    """3 x 3 convolutions of stride 1 as (outputs + 2)^2 small products of transformed operands.

    ``sizes``: the first that takes the layer. ``least_channels``: in or out, below which it does not run.
    ``launches``: transforms and products that are kernels of their own, each with a launch (GPUs).
    ``transform_efficiency``: share of the vector rate that the transforms reach.
    """

    sizes: tuple[WinogradSize, ...]
    least_channels: int
    register_rows: int
    register_positions: int
    transform_efficiency: float
    launches: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthwiseKernel(Kernel):
    """A depthwise convolution on vector units, channels in lanes; each input load serves ``window_reuse`` taps."""

    window_reuse: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructionMix:
    """Instructions of a row kernel beside the multiply-adds and the activation loads, one of each a vector.

    For each kept column of a row block and each position block: ``weight_loads``, ``index_loads`` and
    ``integer_operations`` (index decode, address, loop) and ``prefetches``. For each row and vector of positions:
    ``epilogue``; and where a multiply-add takes several, as where int8 products are widened and then added,
    ``multiply_operations`` instead of one at the rate of the data type.
    """

    weight_loads: int
    index_loads: int
    integer_operations: int
    epilogue: int
    prefetches: int = 0
    multiply_operations: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RowKernel(Kernel):
    """Sparse rows times a block of positions, as in CSR: the activations of each kept column are gathered.

    ``row_block``: rows that share a gathered column (a column of the block is stored if any of its rows keeps it).
    ``position_block``: positions at a time; a rest runs in halves of it. ``split``: how units share the work:
    "positions" (whole blocks, static), "rows" (contiguous and static), "dynamic" (row by row as units become free).
    ``gather_level``: index of the memory level that serves gathers, None: the innermost that holds K x block;
    ``sector_bytes``: the least that level moves for one gather. ``lines_ahead``: lines behind a gathered block that
    prefetches bring in. ``pipelined``: whole blocks load the next column while this one is multiplied; ``load_chain``:
    otherwise, how many loads of a column wait one for another before its multiply-add (index, then activation: 2).
    """

    row_block: int
    position_block: int
    mix: InstructionMix
    split: Literal["positions", "rows", "dynamic"]
    gather_level: int | None = None
    sector_bytes: int = 1
    lines_ahead: int = 0
    pipelined: bool = False
    load_chain: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockKernel(Kernel):
    """Kept h x w blocks as small dense products on the matrix unit; both sides at least ``smallest_block``.

    ``calibrated_block``, ``calibrated_density``, ``calibrated_macs``: the blocks (rows, columns), the densities and the
    multiply-adds of the dense layers that its numbers were fitted to; a row beyond them says so.
    """

    smallest_block: int
    position_tile: int
    calibrated_block: tuple[int, int]
    calibrated_density: tuple[float, float]
    calibrated_macs: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKernel(Kernel):
    """A datapath that can be built from FPGA fabric; how large is chosen (``costmodel/fpga.py``).

    ``lanes``: the widths it can have; for ``gs`` the pattern's own B instead. ``addressing``: what activations a lane
    reaches: "aligned": those of its own column (dense, blocks), "window": one of M (N:M), "any": of any bank.
    """

    lanes: tuple[int, ...]
    addressing: Addressing


@dataclass(frozen=True, slots=True, kw_only=True)
class RooflineDevice:
    """One device. ``levels`` from the innermost to the main memory; ``kernels`` in order of preference.

    ``matrix_macs_per_cycle`` and ``vector_macs_per_cycle``: one unit, by data type. ``static_threads``: the caller
    chooses how many units run (a CPU); others always use all. ``step_overhead_s``: each step of a serial layer.
    ``thread_overhead_s``: waking and joining each further unit of an operator; ``thread_loss``: what each further unit
    takes from the rate of all, as a share of one unit's time (waiting for the last, caches and clocks shared).
    """

    name: str
    summary: str
    kind: DeviceKind
    units: tuple[Units, ...]
    static_threads: bool = False
    matrix_macs_per_cycle: PER_DTYPE
    vector_macs_per_cycle: PER_DTYPE
    levels: tuple[MemoryLevel, ...]
    overhead_s: float
    step_overhead_s: float = 0.0
    thread_overhead_s: float | None = None
    thread_loss: float | None = None
    vector_efficiency: float
    pipes: Pipes | None = None
    fabric: Fabric | None = None
    kernels: tuple[Kernel, ...]
    sources: Mapping[str, str] = field(hash=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(DeviceKind):
            raise DeviceError(f"device {self.name}: kind is {self.kind!r}, and must be one of {get_args(DeviceKind)}")
        if len(self.levels) < 2 or self.levels[-1].bytes is not None or any(x.bytes is None for x in self.levels[:-1]):
            raise DeviceError(f"device {self.name}: levels must end with the main memory, and no other level is one")
        self._check_names()
        self._check_fabric()
        found = numbers(self)
        for path, value in found.items():
            if value < 0:
                raise DeviceError(f"device {self.name}: {path} is {value}, and must not be negative")
            if MOST < value < float("inf"):  # a file that says inf or nan meets ``device_rules``
                raise DeviceError(f"device {self.name}: {path} is {value}, and must be at most {MOST:g}")
            if source_of(self, path) is None:
                raise DeviceError(f"device {self.name}: {path} is {value} without a source ('assumed' is one)")
        for path in self.sources:
            if not any(number == path or number.startswith(path + ".") for number in found):
                raise DeviceError(f"device {self.name}: sources names {path}, and the device has no such number")

    def _check_names(self) -> None:
        """Raise DeviceError for a level that would stand for another bound, and for more units than any device has."""
        if not 1 <= self.unit_count <= MOST_UNITS:
            raise DeviceError(f"device {self.name}: units are {self.unit_count}, and must be 1 to {MOST_UNITS}")
        names = [level.name for level in self.levels]
        for at, name in enumerate(names):
            if name in BOUNDS or not name.strip() or not name.isprintable() or name in names[:at]:
                raise DeviceError(
                    f"device {self.name}: levels.{at}.name is {name!r}, and must be printable, of one level alone, and "
                    f"none of {', '.join(BOUNDS)}"
                )
        for kernel in self.kernels:  # one by one: kernels of several data types share a name
            for name in ("efficiency", "memory_share"):
                if not 0 < (value := getattr(kernel, name)) <= MOST:
                    raise DeviceError(
                        f"device {self.name}: kernels.{kernel.name}.{name} is {value}, and must be above 0"
                    )

    def _check_fabric(self) -> None:
        if self.fabric is None:
            if self.kind == "fpga" or any(isinstance(kernel, EngineKernel) for kernel in self.kernels):
                raise DeviceError(f"device {self.name}: fabric is missing, and engines are built from one")
            return
        missing = self.fabric.missing(self.dtypes)
        if missing is not None:
            raise DeviceError(f"device {self.name}: {missing} is missing, and matrix_macs_per_cycle has its data type")
        free = {
            dtype: self.fabric.budget.dsp - self.fabric.dsps_of_macs(dtype, rate, 1)
            for dtype, rate in self.vector_macs_per_cycle
        }
        most = {dtype: self.fabric.macs_of_dsps(dtype, max(free.get(dtype, 0), 0)) for dtype in self.dtypes}
        if dict(self.matrix_macs_per_cycle) != most:
            rule = f"must be {most}, what the DSPs do beside the vector unit"
            raise DeviceError(
                f"device {self.name}: matrix_macs_per_cycle is {dict(self.matrix_macs_per_cycle)}, and {rule}"
            )
        if self.levels[-2].bytes != self.fabric.chip_bytes:
            where = f"levels.{self.levels[-2].name}.bytes is {self.levels[-2].bytes}"
            rule = f"must be {self.fabric.chip_bytes}, what the memories of the budget hold"
            raise DeviceError(f"device {self.name}: {where}, and {rule}")

    @property
    def dtypes(self) -> tuple[Dtype, ...]:
        """Return the data types that it computes in."""
        return tuple(dtype for dtype, _ in self.matrix_macs_per_cycle)

    @property
    def unit_count(self) -> int:
        """Return how many units it has, of all groups."""
        return sum(group.count for group in self.units)

    def taking_part(self, count: int) -> tuple[tuple[int, Units], ...]:
        """Return the groups of the first ``count`` units, each with how many of it are among them."""
        found, left = [], count
        for group in self.units:
            if left > 0:
                found.append((least(group.count, left), group))
            left -= group.count
        return tuple(found)

    def pace_hz(self, count: int) -> float:
        """Return the clock at which the first unit would be as fast as the slowest of the first ``count``."""
        return least(
            *(
                group.rate_hz * (1.0 if group.relative_share is None else group.relative_share)
                for _, group in self.taking_part(count)
            )
        )

    def peak_macs_per_s(self, dtype: Dtype, count: int) -> float:
        """Return the multiply-adds a second of the first ``count`` units, matrix unit, at full use."""
        clocks_hz = total(units * group.rate_hz for units, group in self.taking_part(count))
        return dict(self.matrix_macs_per_cycle)[dtype] * clocks_hz


def numbers(device: RooflineDevice) -> dict[str, float]:
    """Return every number of ``device`` by its dotted path; members of a tuple by their name, dtype or position."""
    found: dict[str, float] = {}

    def walk(path: str, value: Any) -> None:
        if isinstance(value, bool) or value is None or isinstance(value, str | Mapping):
            return
        if isinstance(value, int | float | PerPoint):
            found[path] = value  # type: ignore[assignment]
        elif is_dataclass(value):
            for part in fields(value):
                walk(f"{path}.{part.name}" if path else part.name, getattr(value, part.name))
        elif isinstance(value, tuple):
            for position, part in enumerate(value):
                if isinstance(part, tuple) and len(part) == 2 and isinstance(part[0], str):
                    walk(f"{path}.{part[0]}", part[1])
                else:
                    walk(f"{path}.{getattr(part, 'name', position)}", part)

    walk("", device)
    return found


def source_of(device: RooflineDevice, path: str) -> str | None:
    """Return the source of the number at ``path``: its own entry or that of the nearest enclosing part."""
    while path:
        if path in device.sources:
            return device.sources[path]
        path = path.rpartition(".")[0]
    return None
