"""The rows of sweeps in one SQLite file: a row per point under its content hash, and which points each sweep has.

Every finished task is one transaction in a write-ahead log, so a process that is killed loses what it was computing and
nothing else. After a power cut the last transactions may be gone too (synchronous = NORMAL), and the file is still
sound. Several processes may write at once. A device field that varies is a column named by its path: what was asked, or
the base's own value; what follows from another field (a DRAM with a rate of its own is flat) shows in ``fields`` alone.
The view ``rows`` is the sweep that ran last, with its points' numbers. Left out: moving rows between stores; a file
system without locks (some network ones).
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from gatherline.digest import device_digest
from gatherline.report.columns import Row
from gatherline.request import Target
from gatherline.request_error import RequestError
from gatherline.sweep.columns import BOOLS, NAMES
from gatherline.sweep.keys import base_values, fields_json
from gatherline.sweep.store_file import FILE, check_pages, machine_errors, open_database, quote

CHUNK = 500  # keys in one question
BLOCK = 5000  # rows that are held at a time where they are read by columns
OF_MEMBERS = ("number", "accuracy")  # columns of a point that are of a sweep
_FRACTION = re.compile(r"-?\d+/\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A point of a sweep: its number there and its key. ``accuracy``: what the user's table says of its masks."""

    number: int
    key: str
    accuracy: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRecord:
    """A sweep that ran in this folder. ``points``: how many it has, None where a search decides that as it goes."""

    number: int
    name: str
    spec: str
    version: str
    points: int | None


class Store:
    """An open store. One process, one Store; close it, or use it as a context."""

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self.path = path
        self._database = database
        self._bases: dict[str, dict[str, object]] = {}
        self._fields: tuple[str, ...] = ()
        self._layout = -1
        self._load_layout()

    @classmethod
    def open(cls, folder: Path, *, create: bool = True) -> Store:
        """Open the store of ``folder``, made if missing; to read it only where not ``create``.

        Raises RequestError for a file that is none, newer or damaged, and OSError.
        """
        path = folder / FILE
        if not create and not os.path.lexists(path):
            raise RequestError(f"{folder}: no sweep is stored here: it has no {FILE}")
        database = open_database(path, create=create)
        try:
            if create:
                check_pages(path, database)
            return cls(path, database)
        except BaseException:
            database.close()
            raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._database.close()

    @property
    def field_columns(self) -> tuple[str, ...]:
        """The device fields that have a column, by rising path."""
        self._load_layout()
        return self._fields

    def know_base(self, device: Target) -> str:
        """Remember the fields of a base device, which fill the columns of its machines; return its hash."""
        digest = device_digest(device)
        if digest not in self._bases:
            text = fields_json([(path, value) for path, value in base_values(device).items() if value is not None])
            with self._writing():
                self._database.execute("INSERT OR IGNORE INTO bases VALUES (?, ?, ?)", (digest, device.name, text))
            self._bases[digest] = json.loads(text)
        return digest

    def add_field_columns(self, paths: Iterable[str]) -> None:
        """Give fields their columns, filled for the rows that are there."""
        with self._writing():
            self._add_columns(sorted(set(paths)))

    def begin(self, digest: str, *, name: str, spec: str, version: str, points: int | None) -> int:
        """Return the number of the sweep ``digest``, which from now on is the one that ran last."""
        with self._writing():
            self._database.execute(
                "INSERT INTO sweeps (digest, name, spec, version, points, ran) VALUES (?, ?, ?, ?, ?, 0) "
                "ON CONFLICT (digest) DO NOTHING",
                (digest, name, spec, version, points),
            )
            self._database.execute(
                "UPDATE sweeps SET ran = (SELECT max(ran) + 1 FROM sweeps) WHERE digest = ?", (digest,)
            )
            return int(self._database.execute("SELECT sweep FROM sweeps WHERE digest = ?", (digest,)).fetchone()[0])

    def last(self) -> SweepRecord:
        """Return the sweep that ran last. Raises RequestError where none did."""
        made = list(self._asked("SELECT 1 FROM sqlite_master WHERE name = 'sweeps'"))  # not if killed at once
        asked = "SELECT sweep, name, spec, version, points FROM sweeps ORDER BY ran DESC LIMIT 1"
        found = next(self._asked(asked), None) if made else None
        if found is None:
            raise RequestError(f"{self.path}: no sweep was begun in it")
        return SweepRecord(number=found[0], name=found[1], spec=found[2], version=found[3], points=found[4])

    def known(self, keys: Sequence[str]) -> set[str]:
        """Return those of ``keys`` that have a row."""
        found: set[str] = set()
        for start in range(0, len(keys), CHUNK):
            part = keys[start : start + CHUNK]
            places = ", ".join("?" * len(part))
            found.update(key for (key,) in self._asked(f"SELECT key FROM points WHERE key IN ({places})", part))
        return found

    def rows(self, keys: Sequence[str]) -> dict[str, Row]:
        """Return the rows that there are, by key, without the columns of fields."""
        found: dict[str, Row] = {}
        names = _quoted(NAMES)
        for start in range(0, len(keys), CHUNK):
            part = keys[start : start + CHUNK]
            places = ", ".join("?" * len(part))
            for values in self._asked(f"SELECT {names} FROM points WHERE key IN ({places})", part):
                row = _row(NAMES, values)
                found[str(row["key"])] = row
        return found

    def members(self, sweep: int) -> int:
        """Return how many points of a sweep are there."""
        return int(next(self._asked("SELECT count(*) FROM members WHERE sweep = ?", (sweep,)))[0])

    def add(self, sweep: int, rows: Sequence[Row], members: Sequence[Member]) -> None:
        """Store rows and say that they, or rows that were there, are members of a sweep: both or nothing.

        Raises OSError for a disk that is full or fails; what was stored before stays.
        """
        with self._writing():
            if rows:
                self._insert(rows)
            self._database.executemany(
                "INSERT INTO members (sweep, number, key, accuracy) VALUES (?, ?, ?, ?) ON CONFLICT (sweep, number) DO "
                "UPDATE SET key = excluded.key, accuracy = excluded.accuracy "
                "WHERE key <> excluded.key OR accuracy IS NOT excluded.accuracy",
                [(sweep, member.number, member.key, member.accuracy) for member in members],
            )

    def columns(self) -> tuple[str, ...]:
        """Return the columns of ``in_order``."""
        return (*OF_MEMBERS, *NAMES, *self.field_columns)

    def in_order(self, sweep: int, columns: Sequence[str] | None = None) -> Iterator[Row]:
        """Yield the rows of a sweep by rising number, in constant memory; ``columns``: these alone."""
        names = tuple(columns or self.columns())
        asked = self._asked(
            f"SELECT {_selected(names)} FROM members JOIN points USING (key) WHERE sweep = ? ORDER BY number", (sweep,)
        )
        for values in asked:
            yield _row(names, values)

    def blocks(self, sweep: int, columns: Sequence[str]) -> Iterator[dict[str, Sequence[object]]]:
        """Yield these columns of a sweep's rows by rising number, ``BLOCK`` rows at a time: quicker than row by row."""
        asked = self._database.execute(
            f"SELECT {_selected(columns)} FROM members JOIN points USING (key) WHERE sweep = ? ORDER BY number",
            (sweep,),
        )
        while rows := asked.fetchmany(BLOCK):
            found: dict[str, Sequence[object]] = dict(zip(columns, zip(*rows, strict=True), strict=True))
            for name in BOOLS.intersection(columns):
                found[name] = [None if value is None else bool(value) for value in found[name]]
            yield found

    def numbered(self, sweep: int, numbers: Sequence[int]) -> Iterator[Row]:
        """Yield the rows of these points of a sweep that are there, with all their columns, in no order."""
        names = self.columns()
        for start in range(0, len(numbers), CHUNK):
            part = numbers[start : start + CHUNK]
            places = ", ".join("?" * len(part))
            asked = f"SELECT {_selected(names)} FROM members JOIN points USING (key) WHERE sweep = ? AND number IN"
            for values in self._asked(f"{asked} ({places})", (sweep, *part)):
                yield _row(names, values)

    def field_types(self) -> dict[str, str]:
        """Return for each column of a field what its values are: int, float or text."""
        found = {}
        for path in self.field_columns:
            kinds = {kind for (kind,) in self._asked(f"SELECT DISTINCT typeof({quote(path)}) FROM points")}
            found[path] = "text" if "text" in kinds else "float" if "real" in kinds else "int"
        return found

    def _asked(self, question: str, values: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield what SQLite answers. Raises RequestError for a damaged file, and OSError."""
        with machine_errors(self.path):
            # no yield from: it would close a cursor whose database may be closed by then
            for answer in self._database.execute(question, values):  # noqa: UP028
                yield answer

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction: what the block wrote, or nothing of it."""
        with machine_errors(self.path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._load_layout()  # another process may have added columns
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                self._layout = -1
                raise

    def _load_layout(self) -> None:
        layout = next(self._asked("PRAGMA schema_version"))[0]
        if layout != self._layout:
            columns = [entry[1] for entry in self._asked("PRAGMA table_info(points)")]
            self._fields = tuple(sorted(name for name in columns if name not in NAMES))
            self._layout = layout

    def _insert(self, rows: Sequence[Row]) -> None:
        changes = [json.loads(str(row["fields"])) for row in rows]
        self._add_columns(sorted({path for change in changes for path in change}))
        names = (*NAMES, *self._fields)
        statement = f"INSERT OR IGNORE INTO points ({_quoted(names)}) VALUES ({', '.join('?' * len(names))})"
        self._database.executemany(
            statement, [self._values(row, change) for row, change in zip(rows, changes, strict=True)]
        )

    def _values(self, row: Row, change: Mapping[str, object]) -> tuple[object, ...]:
        base = self._base(str(row["device_hash"]))
        own = tuple(row[name] for name in NAMES)
        return own + tuple(_cell(change[path] if path in change else base.get(path)) for path in self._fields)

    def _base(self, digest: str) -> dict[str, object]:
        if digest not in self._bases:
            found = next(self._asked("SELECT fields FROM bases WHERE hash = ?", (digest,)), None)
            if found is None:
                raise KeyError(f"the base device {digest} of a row is not known to its store")
            self._bases[digest] = json.loads(found[0])
        return self._bases[digest]

    def _add_columns(self, paths: Sequence[str]) -> None:
        """Add columns for fields that have none. A row that is there has the value of its base: it varied nothing."""
        for path in paths:
            if path in self._fields or path in NAMES:  # clock_hz is a column that every row has
                continue
            bases = list(self._database.execute("SELECT hash, fields FROM bases"))
            values = {digest: _cell(json.loads(text).get(path)) for digest, text in bases}
            kinds = {type(value) for value in values.values() if value is not None}
            kind = "TEXT" if str in kinds else "REAL" if float in kinds else "INTEGER" if int in kinds else "REAL"
            self._database.execute(f"ALTER TABLE points ADD COLUMN {quote(path)} {kind}")
            self._database.executemany(
                f"UPDATE points SET {quote(path)} = ? WHERE device_hash = ?",
                [(value, digest) for digest, value in values.items()],
            )
            self._layout = -1
        self._load_layout()


def _row(names: Sequence[str], values: Sequence[object]) -> Row:
    return {
        name: bool(value) if name in BOOLS and value is not None else value
        for name, value in zip(names, values, strict=True)
    }


def _cell(value: object) -> object:
    """Return a field's value as its column holds it: a fraction as a number; the JSON in ``fields`` is exact."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and _FRACTION.fullmatch(value):
        return float(Fraction(value))
    return value


def _selected(names: Iterable[str]) -> str:
    return ", ".join(f"{'members' if name in OF_MEMBERS else 'points'}.{quote(name)}" for name in names)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(quote(name) for name in names)
