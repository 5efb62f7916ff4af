"""One line of a table as its source has it, and what its fields mean with the folder's index files.

What every reader asks of a line: times, counts, names. Left out: what is a table's own (``readers.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.validation.folder import Folder, Machine, Row, Table
from costmodel.validation.measurement import MOST_EXTENT, Key, ValidationError, seconds, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a table, with the folder that explains its names."""

    folder: Folder
    table: Table
    number: int
    row: Row

    @property
    def where(self) -> str:
        return f"{self.table.file} line {self.number}"

    def seconds(self, column: str) -> float:
        return seconds(self.row[column], self.table.unit, self.where)

    def machine(self, name: str, *cores: str, table: str = "") -> Machine:
        return self.folder.machine(table or self.table.name, name, cores, self.where)

    def net(self, model: str) -> str:
        return self.folder.net(self.table.name, model, self.where)[0]

    def count(self, column: str, least: int = 1, most: int = MOST_EXTENT) -> int:
        return whole(self.row[column], self.where, column, least, most)

    def one_of(self, column: str, *known: str) -> str:
        """Return the text of ``column``. Raises ValidationError unless it is one of ``known``."""
        if self.row[column] not in known:
            raise ValidationError(
                f"{self.where}: {column} is {self.row[column]!r:.100}, and must be one of {', '.join(known)}"
            )
        return self.row[column]

    def starts(self, column: str, *known: str) -> str:
        """Return which of ``known`` the text of ``column`` begins with. Raises ValidationError where none."""
        for start in known:
            if self.row[column].startswith(start):
                return start
        raise ValidationError(
            f"{self.where}: {column} is {self.row[column]!r:.100}, and must begin with {' or '.join(known)}"
        )

    def dtype(self, text: str, known: dict[str, str]) -> str:
        """Return the data type that a table's own word means. Raises ValidationError."""
        if text not in known:
            raise ValidationError(f"{self.where}: data type {text!r} is unknown; known are {', '.join(known)}")
        return known[text]


def key_of(machine: Machine, threads: int | None, dtype: str, runtime: str) -> Key:
    """Return what a model stands for; threads: of the row, else of the machine, else one."""
    return Key(
        soc=machine.soc,
        processor=machine.processor,
        threads=threads or machine.threads or 1,
        dtype=dtype,
        runtime=runtime,
    )


def kept(sparsity: float) -> float:
    """Return the density, without the digits that a binary subtraction adds (1 - 0.9)."""
    return round(1 - sparsity, 9)
