"""The file of a store: opened, checked, made. A file that is another program's, or newer, is left as it is.

Left out: what is read and written in it (``store.py``).
"""

from __future__ import annotations

import errno
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gatherline.request_error import RequestError
from gatherline.sweep.columns import POINT_COLUMNS

SCHEMA = 1
FILE = "sweep.sqlite"
APPLICATION = 0x474C5350  # "GLSP": tells our files from other programs'
BUSY_S = 60.0  # how long one writer waits for another
_SQL_TYPES = {"text": "TEXT", "int": "INTEGER", "float": "REAL", "bool": "INTEGER"}
_FULL = ("SQLITE_FULL", "SQLITE_IOERR")


def open_database(path: Path, *, create: bool) -> sqlite3.Connection:
    """Open the file of a store, made if missing and ``create``. Raises RequestError, OSError."""
    if path.is_file() and path.stat().st_size:
        _check_ours(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        with machine_errors(path):
            _journal(database)
            database.execute("PRAGMA synchronous = NORMAL")
            if create:
                _create(database)
    except BaseException:
        database.close()
        raise
    return database


def _check_ours(path: Path) -> None:
    """Raise RequestError, and touch nothing, where a file is no store of this schema."""
    try:
        database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
        try:
            application = database.execute("PRAGMA application_id").fetchone()[0]
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables and application in (0, APPLICATION):
                return  # made by a process that was killed before it wrote anything
            if application != APPLICATION or "meta" not in tables:
                raise RequestError(f"{path}: a database of another program, and left as it is")
            found = database.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        finally:
            database.close()
    except sqlite3.DatabaseError as error:
        raise RequestError(f"{path}: no store of a sweep, or damaged, and left as it is: {error}") from None
    schema = found[0] if found else None
    if schema != str(SCHEMA):
        newer = schema is not None and schema.isdecimal() and int(schema) > SCHEMA
        why = ", of a newer version" if newer else ""
        raise RequestError(f"{path}: its schema is {schema}{why}, and this version reads schema {SCHEMA}")


def _journal(database: sqlite3.Connection) -> None:
    """Switch to a write-ahead log; another process may be doing the same, and SQLite does not wait for that."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not _is(error, ("SQLITE_BUSY", "SQLITE_LOCKED")) or time.monotonic() > until:
                raise
            time.sleep(0.01)


_TABLES = f"""
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY NOT NULL, value TEXT);
INSERT OR IGNORE INTO meta VALUES ('schema', '{SCHEMA}');
CREATE TABLE IF NOT EXISTS bases (hash TEXT PRIMARY KEY NOT NULL, name TEXT, fields TEXT);
CREATE TABLE IF NOT EXISTS sweeps
    (sweep INTEGER PRIMARY KEY, digest TEXT UNIQUE, name TEXT, spec TEXT, version TEXT, points INTEGER, ran INTEGER);
CREATE TABLE IF NOT EXISTS members
    (sweep INTEGER, number INTEGER, key TEXT, accuracy REAL, PRIMARY KEY (sweep, number)) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS rows AS SELECT members.number, members.accuracy, points.* FROM members JOIN points USING (key)
    WHERE members.sweep = (SELECT sweep FROM sweeps ORDER BY ran DESC LIMIT 1);
PRAGMA application_id = {APPLICATION}
"""


def _create(database: sqlite3.Connection) -> None:
    """Make the tables, all or none, where they are not there."""
    if database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'members'").fetchone()[0]:
        return
    columns = ", ".join(
        f"{quote(column.name)} {_SQL_TYPES[column.type]}{' PRIMARY KEY NOT NULL' if column.name == 'key' else ''}"
        for column in POINT_COLUMNS
    )
    database.execute("BEGIN IMMEDIATE")
    try:
        database.execute(f"CREATE TABLE IF NOT EXISTS points ({columns})")
        for statement in _TABLES.split(";"):
            database.execute(statement)
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


@contextmanager
def machine_errors(path: Path) -> Iterator[None]:
    """Tell a disk that is full or fails as the machine's error, which it is."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if not _is(error, _FULL):
            raise
        full = _is(error, ("SQLITE_FULL",))
        what = "the disk is full" if full else f"the disk fails ({error})"
        raise OSError(errno.ENOSPC if full else errno.EIO, f"{what}; points stored before stay", str(path)) from None


def _is(error: sqlite3.Error, names: tuple[str, ...]) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith(names)


def quote(name: str) -> str:
    """Return a column's name as SQL takes any."""
    return '"' + name.replace('"', '""') + '"'
