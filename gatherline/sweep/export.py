"""The rows of the sweep that a folder ran last as one table, CSV or Parquet, in the order of its points.

Read row by row, so that memory stays small; written aside and renamed. The same rows give the same bytes (Parquet: with
the same pyarrow). Left out: points of other sweeps in the folder, which its store holds too.
"""

from __future__ import annotations

import csv
import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from gatherline.report.columns import Row
from gatherline.request_error import RequestError
from gatherline.sweep.columns import POINT_COLUMNS
from gatherline.sweep.store import Store

SUFFIXES = (".csv", ".parquet")
ROWS_AT_ONCE = 10_000  # of Parquet: a row group


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A table that was written. ``points``: how many the sweep has, of which ``rows`` were computed so far."""

    path: Path
    rows: int
    points: int | None


def export(folder: Path, out: Path) -> Exported:
    """Write the rows of ``folder`` into ``out``. Raises RequestError for another kind of file, and OSError."""
    if out.suffix not in SUFFIXES:
        raise RequestError(f"-o is {str(out)!r}, and must end in {' or '.join(SUFFIXES)}")
    with Store.open(folder, create=False) as store:
        record = store.last()
        aside = out.with_name(f".{out.name}.{os.getpid()}.aside")
        rows = store.in_order(record.number)
        try:
            write = _write_csv if out.suffix == ".csv" else _write_parquet
            written = write(aside, store, rows)
            os.replace(aside, out)
        except OSError as error:
            if error.filename not in (None, str(aside)):
                raise  # of the store
            why = os.strerror(error.errno) if error.errno else str(error)
            raise OSError(error.errno or errno.EIO, why, str(out)) from None
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
    return Exported(path=out, rows=written, points=record.points)


def _write_csv(path: Path, store: Store, rows: Iterator[Row]) -> int:
    written = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(store.columns())
        for row in rows:
            writer.writerow(row.values())
            written += 1
    return written


def _write_parquet(path: Path, store: Store, rows: Iterator[Row]) -> int:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise RequestError(
            f"-o is {path.name.split('.')[1]}.parquet, and needs the extra parquet: pip install 'gatherline[parquet]'"
        ) from None
    types = {"text": pyarrow.string(), "int": pyarrow.int64(), "float": pyarrow.float64(), "bool": pyarrow.bool_()}
    kinds: dict[str, str] = {
        "number": "int",
        "accuracy": "float",
        **{column.name: column.type for column in POINT_COLUMNS},
    }
    kinds |= store.field_types()
    schema = pyarrow.schema([(name, types[kinds[name]]) for name in store.columns()])
    written = 0
    with parquet.ParquetWriter(path, schema) as writer:
        while part := list(islice(rows, ROWS_AT_ONCE)):
            writer.write_table(pyarrow.table(_arrays(part, kinds, schema, pyarrow), schema=schema))
            written += len(part)
    return written


def _arrays(rows: list[Row], kinds: dict[str, str], schema: Any, pyarrow: Any) -> list[Any]:
    return [
        pyarrow.array([_typed(row[field.name], kinds[field.name]) for row in rows], type=field.type) for field in schema
    ]


def _typed(value: object, kind: str) -> object:
    """Return a field's value as its column has it, whose values may be of several types."""
    if value is None:
        return None
    if kind == "text":
        return str(value)
    return float(value) if kind == "float" and isinstance(value, int) else value
