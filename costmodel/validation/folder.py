"""The folder of measurements: tables as their sources have them, and what their names mean. No model is known
here but by its name.

``tables.csv``: each table's file, column of times, unit and source. ``machines.csv``: the SoC, processor and data type
that a table means by a device. ``nets.csv``: the layers that it means by a model, or why there are none.
``devices.csv``: which device model stands for which processor, and whether any of its numbers was chosen with
measurements of that processor in view ("fit") or not ("held_out"): by device, never by row.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from costmodel.devices.catalog import ALL_DEVICES
from costmodel.spec import VALUE_BYTES
from costmodel.validation.measurement import ValidationError, number, whole
from patterns.names import nearest

Use = Literal["fit", "held_out"]
Row = Mapping[str, str]
TYPICAL = ("mean", "median", "single")
MOST_THREADS = 4096
FOLDER = Path(__file__).parents[2] / "validation"  # beside the packages, in a checkout


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """``typical``: which statistic the table gives; ``time_columns``: one, or one for each machine.

    ``line``: where ``tables.csv`` has it.
    """

    name: str
    line: int
    file: str
    time_columns: tuple[str, ...]
    unit: str
    typical: str
    runtime: str
    source: str

    @property
    def where(self) -> str:
        return f"tables.csv line {self.line}: table {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """``float_dtype``: type that a "float" net runs in there; ``threads``: where the table itself names none."""

    soc: str
    processor: str
    float_dtype: str
    threads: int | None
    peak_macs_per_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceUse:
    """``device``: name of a device model that stands for ``processor`` of ``soc`` under ``runtimes`` (empty: any)."""

    device: str
    soc: str
    processor: str
    runtimes: tuple[str, ...]
    use: Use
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What the index files of a folder of measurements say; ``net_lines``: where ``nets.csv`` has each model."""

    path: Path
    tables: Mapping[str, Table]
    machines: Mapping[tuple[str, str, str], Machine]
    nets: Mapping[tuple[str, str], tuple[str, str]]
    net_lines: Mapping[tuple[str, str], int]
    devices: tuple[DeviceUse, ...]

    def machine(self, table: str, name: str, cores: tuple[str, ...], where: str) -> Machine:
        """Return what ``name`` means with the first of ``cores`` that is listed. Raises ValidationError."""
        for chosen in cores:
            found = self.machines.get((table, name, chosen))
            if found is not None:
                return found
        raise ValidationError(
            f"{where}: device {name!r} (cores {cores[-1]!r}) is unknown: machines.csv has no such row"
        )

    def net(self, table: str, model: str, where: str) -> tuple[str, str]:
        """Return the layers that ``model`` means ("" for none) and the note on them. Raises ValidationError."""
        if (table, model) not in self.nets:
            raise ValidationError(f"{where}: model {model!r} is unknown: nets.csv has no such row")
        return self.nets[(table, model)]


def rows_of(path: Path, needed: tuple[str, ...]) -> Iterator[tuple[int, Row]]:
    """Yield the line number and the fields of each row.

    Raises ValidationError for text that is no CSV, columns that are missing or stand there twice, and for no rows.
    """
    if not path.is_file():
        raise ValidationError(f"{path}: this table of measurements is not there (they come with the repository)")
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    found = False
    try:
        names = list(reader.fieldnames or ())
        _check_columns(path, names, needed)
        for row in reader:
            if None in row or None in row.values():
                raise ValidationError(f"{path.name} line {reader.line_num}: must have {len(names)} fields")
            found = True
            yield reader.line_num, row
    except csv.Error as error:
        raise ValidationError(f"{path.name} line {reader.line_num + 1} is no CSV: {error}") from None
    if not found:
        raise ValidationError(f"{path.name}: has no rows, and must have one or more")


def _text(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValidationError(f"{path.name} line {line}: byte {raw[error.start]:#x} is no text in UTF-8") from None


def _check_columns(path: Path, names: list[str], needed: tuple[str, ...]) -> None:
    for name in needed:
        if name not in names:
            raise ValidationError(f"{path.name} line 1: column {name} is missing")
    for at, name in enumerate(names):
        if name in names[:at]:
            raise ValidationError(f"{path.name} line 1: column {name!r:.100} stands there twice")


def _check_filled(row: Row, names: tuple[str, ...], where: str) -> None:
    for name in names:
        if not row[name].strip():
            raise ValidationError(f"{where}: {name} is {row[name]!r}, and must not be empty")


def open_folder(path: Path = FOLDER) -> Folder:
    """Read the index files. Raises ValidationError for one that is missing or says something twice."""
    tables = _tables(path)  # first, since a folder that is another's lacks it
    nets, net_lines = _nets(path)
    return Folder(
        path=path,
        tables=tables,
        machines=_machines(path),
        nets=nets,
        net_lines=net_lines,
        devices=tuple(_devices(path)),
    )


def _tables(path: Path) -> dict[str, Table]:
    """Return the tables; which columns of times and units they may have is for their readers to say."""
    found: dict[str, Table] = {}
    columns = ("table", "file", "time_column", "unit", "typical", "runtime", "source")
    for line, row in rows_of(path / "tables.csv", columns):
        where, name, file = f"tables.csv line {line}", row["table"], row["file"]
        _check_filled(row, ("table", "file", "runtime", "source"), where)
        if name in found:
            raise ValidationError(f"{where}: table {name!r:.100} stands there twice")
        if Path(file).name != file or "\\" in file or "\0" in file or file == "..":
            raise ValidationError(f"{where}: file is {file!r:.100}, and must be a name of a file in the folder")
        if row["typical"] not in TYPICAL:
            raise ValidationError(
                f"{where}: typical is {row['typical']!r:.100}, and must be one of {', '.join(TYPICAL)}"
            )
        found[name] = Table(
            name=name,
            line=line,
            file=file,
            time_columns=tuple(row["time_column"].split()),
            unit=row["unit"],
            typical=row["typical"],
            runtime=row["runtime"],
            source=row["source"],
        )
    return found


def _machines(path: Path) -> dict[tuple[str, str, str], Machine]:
    found: dict[tuple[str, str, str], Machine] = {}
    columns = ("table", "machine", "cores", "soc", "processor", "float_dtype", "threads", "peak_gmacs")
    for line, row in rows_of(path / "machines.csv", columns):
        where, key = f"machines.csv line {line}", (row["table"], row["machine"], row["cores"])
        if key in found:
            raise ValidationError(f"{where}: {row['machine']!r} with cores {row['cores']!r} stands there twice")
        _check_filled(row, ("table", "machine", "soc", "processor"), where)
        dtype = row["float_dtype"]
        if dtype and dtype not in VALUE_BYTES:
            raise ValidationError(
                f"{where}: float_dtype is {dtype!r:.100}, and must be empty or one of {', '.join(VALUE_BYTES)}"
            )
        found[key] = Machine(
            soc=row["soc"],
            processor=row["processor"],
            float_dtype=dtype,
            threads=whole(row["threads"], where, "threads", 1, MOST_THREADS) if row["threads"] else None,
            peak_macs_per_s=_peak(row["peak_gmacs"], where),
        )
    return found


def _peak(text: str, where: str) -> float | None:
    if text and not number(text, f"{where}: peak_gmacs") > 0:
        raise ValidationError(f"{where}: peak_gmacs is {text!r:.100}, and must be above 0, or empty")
    return number(text, where) * 1e9 if text else None


def _nets(path: Path) -> tuple[dict[tuple[str, str], tuple[str, str]], dict[tuple[str, str], int]]:
    found: dict[tuple[str, str], tuple[str, str]] = {}
    lines: dict[tuple[str, str], int] = {}
    for line, row in rows_of(path / "nets.csv", ("table", "model", "net", "note")):
        key = (row["table"], row["model"])
        if not row["net"] and not row["note"]:
            raise ValidationError(f"nets.csv line {line}: net is empty, and a note must say why")
        if key in found:
            raise ValidationError(f"nets.csv line {line}: model {row['model']!r} stands there twice")
        found[key], lines[key] = (row["net"], row["note"]), line
    return found, lines


def _devices(path: Path) -> Iterator[DeviceUse]:
    uses: dict[str, str] = {}
    seen: set[tuple[str, ...]] = set()
    known = [device.name for device in ALL_DEVICES]
    for line, row in rows_of(path / "devices.csv", ("device", "soc", "processor", "runtimes", "use", "note")):
        if row["use"] not in get_args(Use):
            raise ValidationError(
                f"devices.csv line {line}: use is {row['use']!r}, and must be one of {', '.join(get_args(Use))}"
            )
        if uses.setdefault(row["device"], row["use"]) != row["use"]:
            raise ValidationError(
                f"devices.csv line {line}: {row['device']} is both fit and held_out; by device, never by row"
            )
        if row["device"] not in known:
            near = nearest(row["device"][:100], known)
            raise ValidationError(f"devices.csv line {line}: device {row['device']!r:.100} is no model; {near}")
        _check_filled(row, ("soc", "processor"), f"devices.csv line {line}")
        place = (row["device"], row["soc"], row["processor"], row["runtimes"])
        if place in seen:
            raise ValidationError(f"devices.csv line {line}: {', '.join(place)!r:.100} stands there twice")
        seen.add(place)
        use: Use = "fit" if row["use"] == "fit" else "held_out"
        yield DeviceUse(
            device=row["device"],
            soc=row["soc"],
            processor=row["processor"],
            runtimes=tuple(row["runtimes"].split()),
            use=use,
            note=row["note"],
        )
