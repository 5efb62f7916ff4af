"""The file of a store: opened, checked, made. A file that is another program's, or newer, is left as it is.

Left out: what is read and written in it (``store.py``).
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gatherline.request_error import RequestError
from gatherline.sweep.columns import POINT_COLUMNS

SCHEMA = 1
FILE = "sweep.sqlite"
APPLICATION = 0x474C5350  # "GLSP": tells our files from other programs'
BUSY_S = 60.0  # how long one writer waits for another
_SQL_TYPES = {"text": "TEXT", "int": "INTEGER", "float": "REAL", "bool": "INTEGER"}
_WRITES = tuple(f"SQLITE_IOERR_{what}" for what in ("WRITE", "FSYNC", "TRUNCATE", "DIR_FSYNC", "SHMSIZE"))
_DAMAGE = (
    "Could not decode",
    "no such table",
    "no such column",
    "has no column",
    "malformed",
)  # what a store of ours never lacks
_STAYS = "points stored before stay"


class DamagedError(RequestError):
    """Bytes of a store that SQLite or we cannot read."""


def open_database(path: Path, *, create: bool) -> sqlite3.Connection:
    """Open the file of a store: to write, made if missing, where ``create``; else to read, which changes nothing.

    Raises RequestError, OSError.
    """
    if path.is_dir():
        raise RequestError(f"{path}: is a folder, and must be the file of a store")
    if path.is_symlink() and not path.exists():
        raise RequestError(f"{path}: is a link to {os.readlink(path)}, and there is no such file")
    if path.is_file() and path.stat().st_size:
        _check_ours(path)
    if not create:
        return _connected(path, _for_reading(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    database = _connected(path, "rwc")
    try:
        with machine_errors(path):
            _journal(database)
            database.execute("PRAGMA synchronous = NORMAL")
            _create(database)
    except BaseException:
        database.close()
        raise
    return database


def check_pages(path: Path, database: sqlite3.Connection) -> None:
    """Raise RequestError where a page of the file is damaged: points that cannot be found would be computed again."""
    with machine_errors(path):
        told = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
    if told != "ok":
        raise RequestError(f"{path}: damaged: {' '.join(told.split())[:200]}")


def _connected(path: Path, mode: str) -> sqlite3.Connection:
    with machine_errors(path):
        uri = f"{path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)


def _for_reading(path: Path) -> str:
    """Return the mode that reads a store: a folder that cannot be written has no room for the index of a log."""
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return "rw"  # so that the last reader puts the log away; nothing asks it to write
    log = path.with_name(f"{path.name}-wal")
    return "ro" if log.is_file() and log.stat().st_size else "ro&immutable=1"


def _check_ours(path: Path) -> None:
    """Raise RequestError, and touch nothing, where a file is no store of this schema."""
    try:
        with machine_errors(path), closing(_connected(path, _for_reading(path).replace("rw", "ro"))) as database:
            application = database.execute("PRAGMA application_id").fetchone()[0]
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not tables and application in (0, APPLICATION):
                return  # made by a process that was killed before it wrote anything
            if application != APPLICATION or "meta" not in tables:
                raise RequestError(f"{path}: a database of another program, and left as it is")
            found = database.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    except DamagedError as error:
        told = str(error).removeprefix(f"{path}: damaged: ")
        raise RequestError(f"{path}: no store of a sweep, or damaged, and left as it is: {told}") from None
    schema = found[0] if found else None
    if schema != str(SCHEMA):
        newer = schema is not None and schema.isdecimal() and int(schema) > SCHEMA
        why = ", of a newer version" if newer else ""
        told = "missing" if schema is None else schema or "empty"
        raise RequestError(f"{path}: its schema is {told}{why}, and this version reads schema {SCHEMA}")


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
    """Tell what SQLite finds as what it is: a disk that is full or fails, a file in use or read-only, damaged bytes.

    Raises OSError for what may pass, RequestError for what the user must change, and what is neither as it came.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise DamagedError(f"{path}: damaged: {error.reason} at byte {error.start} of a text") from None
    except sqlite3.DatabaseError as error:
        told = " ".join(str(error).split())[:200]
        if _is(error, ("SQLITE_FULL",)):
            raise OSError(errno.ENOSPC, f"the disk is full; {_STAYS}", str(path)) from None
        if _is(error, _WRITES):
            raise OSError(
                errno.EIO, f"cannot write (full disk, quota or file-size limit?): {told}; {_STAYS}", str(path)
            ) from None
        if _is(error, ("SQLITE_IOERR",)):
            raise OSError(errno.EIO, f"the disk fails: {told}; {_STAYS}", str(path)) from None
        if _is(error, ("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise OSError(errno.EBUSY, f"another process holds it for more than {BUSY_S:g} s", str(path)) from None
        if _is(error, ("SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
            raise RequestError(
                f"{path}: cannot be opened: it and its folder must be readable, and the folder writable too where "
                f"{path.name}-wal has bytes"
            ) from None
        if _is(error, ("SQLITE_READONLY",)):
            raise RequestError(f"{path}: cannot be written: the file, its folder or its disk is read-only") from None
        if _is(error, ("SQLITE_CORRUPT", "SQLITE_NOTADB")) or any(words in told for words in _DAMAGE):
            raise DamagedError(f"{path}: damaged: {told}") from None
        raise


def _is(error: sqlite3.Error, names: tuple[str, ...]) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith(names)


def quote(name: str) -> str:
    """Return a column's name as SQL takes any."""
    return '"' + name.replace('"', '""') + '"'
