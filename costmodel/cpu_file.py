"""CPU devices from data: a core, a SoC and a runtime are one TOML file each. DESIGN section 6.

A core file holds pipes, multiply-adds a cycle and caches; a SoC file its clusters of cores, shared caches and memory; a
runtime file its kernels. ``fitted.csv`` beside the runtimes holds what was fitted, each value with its source, keyed by
runtime, core and data type. Unknown, missing and impossible entries are errors that name the file and the field.
Leaves out: cores of unlike vector widths in one run (the wider core's tables, the narrower one's rate).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from costmodel.spec import Dtype
from costmodel.toml_table import Table, read_toml
from patterns.names import nearest
from simulator.spec import DeviceError

FOLDER = Path(__file__).parent
CPU_KINDS = ("mobile_cpu", "cpu")
CACHES = 2  # of a core: what lies behind them, several clusters share, and it stands in the SoC's file


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """One cache level. ``bytes_per_cycle``: what one core reads from it, at the core's clock."""

    name: str
    bytes: int
    bytes_per_cycle: float
    shared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """One core design. ``macs_per_cycle`` by data type: the types that it multiplies itself.

    ``like``: a core of the package whose fitted factors it takes where it has none of its own.
    """

    name: str
    summary: str
    in_order: bool
    vector_bytes: int
    loads_per_cycle: float
    instructions_per_cycle: float
    load_to_use: int
    miss_to_use: int
    macs_per_cycle: Mapping[Dtype, float]
    vector_macs_per_cycle: Mapping[Dtype, float]
    caches: tuple[Cache, ...]
    sources: Mapping[str, str]
    like: str | None = None

    @property
    def kind(self) -> str:
        """Which designs it is like, for numbers that were fitted to none of its own."""
        if self.in_order:
            return "in-order"
        return "out-of-order, fp16" if "fp16" in self.macs_per_cycle else "out-of-order"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """``count`` cores of one design at one clock; ``l2_bytes``: the SoC's choice, None for the core file's."""

    core: str
    count: int
    clock_hz: int
    l2_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Soc:
    """Clusters, the fastest first, the shared cache behind the cores' own, and the memory.

    ``cluster``: the one that threads start on, where the file itself is the device (``costmodel.soc_file``).
    """

    name: str
    summary: str
    kind: str
    runtime: str
    clusters: tuple[Cluster, ...]
    l3: Cache | None
    core_bytes_per_s: int
    total_bytes_per_s: int
    sources: Mapping[str, str]
    cluster: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """A library's kernels as tables of the file; ``fitted`` and ``assumed`` numbers are looked up by name."""

    name: str
    summary: str
    kernels: tuple[Mapping[str, Any], ...]
    sources: Mapping[str, str]


@cache
def load_core(path: Path) -> Core:
    """Return the core that a file describes. Raises DeviceError, naming file, field and rule."""
    table = Table(path, read_toml(path)).only(Core)
    # named by their place: a SoC file's l2_bytes is that of the second
    caches = tuple(_cache(part, f"l{at}") for at, part in enumerate(table.tables("caches"), start=1))
    core = Core(
        name=table.text("name"),
        summary=table.text("summary"),
        in_order=table.flag("in_order"),
        vector_bytes=table.whole("vector_bytes"),
        loads_per_cycle=table.number("loads_per_cycle"),
        instructions_per_cycle=table.number("instructions_per_cycle"),
        load_to_use=table.whole("load_to_use"),
        miss_to_use=table.whole("miss_to_use"),
        macs_per_cycle=table.per_dtype("macs_per_cycle"),
        vector_macs_per_cycle=table.per_dtype("vector_macs_per_cycle"),
        caches=caches,
        sources=table.sources(),
        like=table.text("like") if table.has("like") else None,
    )
    if set(core.macs_per_cycle) != set(core.vector_macs_per_cycle):
        raise DeviceError(f"{path}: macs_per_cycle and vector_macs_per_cycle must have the same data types")
    if len(caches) != CACHES:
        raise DeviceError(f"{path}: caches has {len(caches)} entries, and must have {CACHES}: l1 and l2")
    table.done()
    return core


@cache
def load_soc(path: Path) -> Soc:
    """Return the SoC that a file describes. Raises DeviceError, naming file, field and rule."""
    table = Table(path, read_toml(path)).only(Soc)
    clusters = []
    for part in table.tables("clusters"):
        part.only(Cluster)
        clusters.append(
            Cluster(
                core=part.text("core"),
                count=part.whole("count"),
                clock_hz=part.clock("clock_hz"),
                l2_bytes=part.whole("l2_bytes") if part.has("l2_bytes") else None,
            )
        )
        part.done()
    if not clusters:
        raise DeviceError(f"{path}: clusters is empty, and must name at least one")
    soc = Soc(
        name=table.text("name"),
        summary=table.text("summary"),
        kind=table.one_of("kind", CPU_KINDS),
        runtime=table.text("runtime"),
        clusters=tuple(clusters),
        l3=_cache(table.table("l3"), "l3") if table.has("l3") else None,
        core_bytes_per_s=table.bandwidth("core_bytes_per_s"),
        total_bytes_per_s=table.bandwidth("total_bytes_per_s"),
        sources=table.sources(),
        cluster=table.place("cluster") if table.has("cluster") else 0,
    )
    if soc.core_bytes_per_s > soc.total_bytes_per_s:
        raise DeviceError(f"{path}: core_bytes_per_s is {soc.core_bytes_per_s}, and must be at most total_bytes_per_s")
    table.done()
    return soc


@cache
def load_runtime(path: Path) -> Runtime:
    """Return the runtime that a file describes. Raises DeviceError, naming file, field and rule."""
    table = Table(path, read_toml(path))
    kernels = tuple(dict(part.rest()) for part in table.tables("kernels"))
    runtime = Runtime(name=table.text("name"), summary=table.text("summary"), kernels=kernels, sources=table.sources())
    table.done()
    return runtime


def named(folder: str, name: str, field: str = "") -> Path:
    """Return the file of a core, SoC or runtime that the package has.

    Raises DeviceError with the nearest name, and with the ``field`` of the file that asks for it, if one does.
    """
    path = FOLDER / folder / f"{name}.toml"
    if Path(name).name != name or not path.is_file():  # a name, never a way to another folder
        known = sorted(file.stem for file in (FOLDER / folder).glob("*.toml"))
        where = (
            f"{field} is {name!r}, and must be one of costmodel/{folder}"
            if field
            else f"{folder}: {name!r} is not one of them"
        )
        raise DeviceError(f"{where}; {nearest(name, known)}")
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """One number of the fit: whose it is ("" for any), what it is, and where it comes from."""

    runtime: str
    core: str
    dtype: str
    parameter: str
    value: float
    source: str


@cache
def load_fitted(path: Path = FOLDER / "runtimes" / "fitted.csv") -> tuple[Fitted, ...]:
    """Return the rows of a table of fitted numbers. Raises DeviceError for a row without value or source."""
    rows = []
    with path.open(encoding="utf-8", newline="") as file:
        for line, row in table_lines(path, file, [part.name for part in fields(Fitted)]):
            try:
                value = float(row["value"])
            except (KeyError, TypeError, ValueError):
                raise DeviceError(f"{path}: line {line}: value is {row.get('value')!r}, and must be a number") from None
            if not row.get("source") or not row.get("parameter"):
                raise DeviceError(f"{path}: line {line}: parameter and source must not be empty")
            if not 0 < value < float("inf"):
                raise DeviceError(f"{path}: line {line}: value is {value}, and must be above 0")
            rows.append(
                Fitted(
                    runtime=row["runtime"],
                    core=row["core"],
                    dtype=row["dtype"],
                    parameter=row["parameter"],
                    value=value,
                    source=row["source"],
                )
            )
    return tuple(rows)


def table_lines(path: Path, file: Iterable[str], columns: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number and the fields of each line. Raises DeviceError for other columns, and for a torn line."""
    reader = csv.DictReader(file)
    if list(reader.fieldnames or ()) != columns:
        raise DeviceError(f"{path}: line 1: columns are {reader.fieldnames}, and must be {', '.join(columns)}")
    for row in reader:
        if None in row or None in row.values():
            raise DeviceError(f"{path}: line {reader.line_num}: must have {len(columns)} fields: {', '.join(columns)}")
        yield reader.line_num, row


def _cache(table: Table, name: str) -> Cache:
    found = Cache(
        name=table.only(Cache).named("name", name),
        bytes=table.whole("bytes"),
        bytes_per_cycle=table.number("bytes_per_cycle"),
        shared=table.flag("shared"),
    )
    table.done()
    return found
