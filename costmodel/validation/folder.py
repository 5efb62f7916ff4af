"""The folder of measurements: tables as their sources have them, and what their names mean. No model is known here.

``tables.csv``: each table's file, column of times, unit and source. ``machines.csv``: the SoC, processor and data type
that a table means by a device. ``nets.csv``: the layers that it means by a model, or why there are none.
``devices.csv``: which device model stands for which processor, and whether any of its numbers was chosen with
measurements of that processor in view ("fit") or not ("held_out"): by device, never by row.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from costmodel.validation.measurement import ValidationError, number

Use = Literal["fit", "held_out"]
Row = Mapping[str, str]
FOLDER = Path(__file__).parents[2] / "validation"  # beside the packages, in a checkout


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """``typical``: which statistic the table gives; ``time_columns``: one, or one for each machine."""

    name: str
    file: str
    time_columns: tuple[str, ...]
    unit: str
    typical: str
    runtime: str
    source: str


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
    """What the index files of a folder of measurements say."""

    path: Path
    tables: Mapping[str, Table]
    machines: Mapping[tuple[str, str, str], Machine]
    nets: Mapping[tuple[str, str], tuple[str, str]]
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
    """Yield the line number and the fields of each row. Raises ValidationError for missing columns or fields."""
    if not path.is_file():
        raise ValidationError(f"{path}: this table of measurements is not there (they come with the repository)")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in needed if name not in (reader.fieldnames or ())]
        if missing:
            raise ValidationError(f"{path.name} line 1: column {missing[0]} is missing")
        for row in reader:
            if None in row or None in row.values():
                raise ValidationError(
                    f"{path.name} line {reader.line_num}: must have {len(reader.fieldnames or ())} fields"
                )
            yield reader.line_num, row


def open_folder(path: Path = FOLDER) -> Folder:
    """Read the index files. Raises ValidationError for one that is missing or says something twice."""
    tables = {}
    for _, row in rows_of(
        path / "tables.csv", ("table", "file", "time_column", "unit", "typical", "runtime", "source")
    ):
        tables[row["table"]] = Table(
            name=row["table"],
            file=row["file"],
            time_columns=tuple(row["time_column"].split()),
            unit=row["unit"],
            typical=row["typical"],
            runtime=row["runtime"],
            source=row["source"],
        )
    return Folder(path=path, tables=tables, machines=_machines(path), nets=_nets(path), devices=tuple(_devices(path)))


def _machines(path: Path) -> dict[tuple[str, str, str], Machine]:
    found: dict[tuple[str, str, str], Machine] = {}
    columns = ("table", "machine", "cores", "soc", "processor", "float_dtype", "threads", "peak_gmacs")
    for line, row in rows_of(path / "machines.csv", columns):
        where, key = f"machines.csv line {line}", (row["table"], row["machine"], row["cores"])
        if key in found:
            raise ValidationError(f"{where}: {row['machine']!r} with cores {row['cores']!r} stands there twice")
        found[key] = Machine(
            soc=row["soc"],
            processor=row["processor"],
            float_dtype=row["float_dtype"],
            threads=int(number(row["threads"], where)) if row["threads"] else None,
            peak_macs_per_s=number(row["peak_gmacs"], where) * 1e9 if row["peak_gmacs"] else None,
        )
    return found


def _nets(path: Path) -> dict[tuple[str, str], tuple[str, str]]:
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for line, row in rows_of(path / "nets.csv", ("table", "model", "net", "note")):
        if not row["net"] and not row["note"]:
            raise ValidationError(f"nets.csv line {line}: net is empty, and a note must say why")
        if (row["table"], row["model"]) in found:
            raise ValidationError(f"nets.csv line {line}: model {row['model']!r} stands there twice")
        found[(row["table"], row["model"])] = (row["net"], row["note"])
    return found


def _devices(path: Path) -> Iterator[DeviceUse]:
    uses: dict[str, str] = {}
    for line, row in rows_of(path / "devices.csv", ("device", "soc", "processor", "runtimes", "use", "note")):
        if row["use"] not in get_args(Use):
            raise ValidationError(
                f"devices.csv line {line}: use is {row['use']!r}, and must be one of {', '.join(get_args(Use))}"
            )
        if uses.setdefault(row["device"], row["use"]) != row["use"]:
            raise ValidationError(
                f"devices.csv line {line}: {row['device']} is both fit and held_out; by device, never by row"
            )
        use: Use = "fit" if row["use"] == "fit" else "held_out"
        yield DeviceUse(
            device=row["device"],
            soc=row["soc"],
            processor=row["processor"],
            runtimes=tuple(row["runtimes"].split()),
            use=use,
            note=row["note"],
        )
