"""CPU devices from data: a core, a SoC and a runtime are one TOML file each. DESIGN section 6.

A core file holds pipes, multiply-adds a cycle and caches; a SoC file its clusters of cores, shared caches and memory; a
runtime file its kernels. ``fitted.csv`` beside the runtimes holds what was fitted, each value with its source, keyed by
runtime, core and data type. Unknown, missing and impossible entries are errors that name the file and the field.
Leaves out: cores of unlike vector widths in one run (the wider core's tables, the narrower one's rate).
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, get_args

from costmodel.spec import Dtype
from patterns.names import nearest
from simulator.spec import DeviceError

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """One cache level. ``bytes_per_cycle``: what one core reads from it, at the core's clock."""

    name: str
    bytes: int
    bytes_per_cycle: float
    shared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """One core design. ``macs_per_cycle`` by data type: the types that it multiplies itself."""

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
    table = _Table(path, _read(path))
    caches = tuple(_cache(part) for part in table.tables("caches"))
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
    )
    if set(core.macs_per_cycle) != set(core.vector_macs_per_cycle):
        raise DeviceError(f"{path}: macs_per_cycle and vector_macs_per_cycle must have the same data types")
    if len(caches) < 2:
        raise DeviceError(f"{path}: caches has {len(caches)} entries, and must have at least 2")
    table.done()
    return core


@cache
def load_soc(path: Path) -> Soc:
    """Return the SoC that a file describes. Raises DeviceError, naming file, field and rule."""
    table = _Table(path, _read(path))
    clusters = []
    for part in table.tables("clusters"):
        clusters.append(
            Cluster(
                core=part.text("core"),
                count=part.whole("count"),
                clock_hz=part.whole("clock_hz"),
                l2_bytes=part.whole("l2_bytes") if part.has("l2_bytes") else None,
            )
        )
        part.done()
    if not clusters:
        raise DeviceError(f"{path}: clusters is empty, and must name at least one")
    soc = Soc(
        name=table.text("name"),
        summary=table.text("summary"),
        kind=table.text("kind"),
        runtime=table.text("runtime"),
        clusters=tuple(clusters),
        l3=_cache(table.table("l3")) if table.has("l3") else None,
        core_bytes_per_s=table.whole("core_bytes_per_s"),
        total_bytes_per_s=table.whole("total_bytes_per_s"),
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
    table = _Table(path, _read(path))
    kernels = tuple(dict(part.rest()) for part in table.tables("kernels"))
    runtime = Runtime(name=table.text("name"), summary=table.text("summary"), kernels=kernels, sources=table.sources())
    table.done()
    return runtime


def named(folder: str, name: str) -> Path:
    """Return the file of a core, SoC or runtime that the package has. Raises DeviceError with the nearest name."""
    path = FOLDER / folder / f"{name}.toml"
    if not path.is_file():
        known = sorted(file.stem for file in (FOLDER / folder).glob("*.toml"))
        raise DeviceError(f"{folder}: {name!r} is not one of them; {nearest(name, known)}")
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


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DeviceError(f"{path}: no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DeviceError(f"{path}: not a readable TOML file: {error}") from None


def _cache(table: _Table) -> Cache:
    found = Cache(
        name=table.text("name"),
        bytes=table.whole("bytes"),
        bytes_per_cycle=table.number("bytes_per_cycle"),
        shared=table.flag("shared"),
    )
    table.done()
    return found


class _Table:
    """A table of a file that is read field by field, so that what is left over is unknown."""

    def __init__(self, path: Path, data: dict[str, Any], prefix: str = "") -> None:
        self._path, self._data, self._prefix = path, dict(data), prefix
        self._known: list[str] = []

    def has(self, key: str) -> bool:
        return key in self._data

    def _take(self, key: str, kind: type | tuple[type, ...], rule: str) -> Any:
        self._known.append(key)
        if key not in self._data:
            raise DeviceError(f"{self._path}: {self._prefix}{key} is missing, and must be {rule}")
        value = self._data.pop(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise DeviceError(f"{self._path}: {self._prefix}{key} is {value!r}, and must be {rule}")
        return value

    def text(self, key: str) -> str:
        value = str(self._take(key, str, "text"))
        if not value.strip():
            raise DeviceError(f"{self._path}: {self._prefix}{key} is empty, and must be text")
        return value

    def flag(self, key: str) -> bool:
        return bool(self._take(key, bool, "true or false"))

    def whole(self, key: str) -> int:
        value = int(self._take(key, int, "a whole number above 0"))
        if value < 1:
            raise DeviceError(f"{self._path}: {self._prefix}{key} is {value}, and must be a whole number above 0")
        return value

    def place(self, key: str) -> int:
        value = int(self._take(key, int, "a whole number from 0"))
        if value < 0:
            raise DeviceError(f"{self._path}: {self._prefix}{key} is {value}, and must be a whole number from 0")
        return value

    def number(self, key: str) -> float:
        value = self._take(key, (int, float), "a number above 0")
        if not 0 < value < float("inf"):
            raise DeviceError(f"{self._path}: {self._prefix}{key} is {value}, and must be a number above 0")
        return float(value)

    def per_dtype(self, key: str) -> Mapping[Dtype, float]:
        part = _Table(self._path, self._take(key, dict, "a table by data type"), f"{self._prefix}{key}.")
        found: dict[Dtype, float] = {dtype: part.number(dtype) for dtype in get_args(Dtype) if part.has(dtype)}
        part._known = list(get_args(Dtype))
        part.done()
        if not found:
            raise DeviceError(f"{self._path}: {self._prefix}{key} is empty, and must have a data type")
        return found

    def table(self, key: str) -> _Table:
        return _Table(self._path, self._take(key, dict, "a table"), f"{self._prefix}{key}.")

    def tables(self, key: str) -> list[_Table]:
        parts = self._take(key, list, "a list of tables")
        for part in parts:
            if not isinstance(part, dict):
                raise DeviceError(f"{self._path}: {self._prefix}{key} holds {part!r}, and must be a list of tables")
        return [_Table(self._path, part, f"{self._prefix}{key}.{at}.") for at, part in enumerate(parts)]

    def sources(self) -> Mapping[str, str]:
        found = self._take("sources", dict, "a table of texts")
        for key, value in found.items():
            if not isinstance(value, str) or len(value) < 6:
                raise DeviceError(f"{self._path}: sources.{key} is {value!r}, and must say where the number is from")
        return dict(found)

    def rest(self) -> dict[str, Any]:
        found, self._data = self._data, {}
        return found

    def done(self) -> None:
        for key in self._data:
            raise DeviceError(f"{self._path}: unknown key {self._prefix}{key}; {nearest(key, self._known)}")
