"""Rows as a pandas table, for those who have pandas: it is no dependency of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatherline.report.columns import ALL_COLUMNS
from gatherline.report.selection import Rows

if TYPE_CHECKING:
    from pandas import DataFrame

_TYPES = {"int": "Int64", "float": "Float64", "bool": "boolean", "text": "string"}  # all of them can be empty


def frame(rows: Rows) -> DataFrame:
    """Return ``rows`` with their columns in order and by type, so that a count with gaps stays whole.

    Raises ImportError where pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise ImportError("frame() makes a table of pandas, which is not installed: pip install pandas") from None
    types = {column.name: _TYPES[column.type] for column in ALL_COLUMNS}
    columns: dict[str, object] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        columns[name] = pandas.array(values, dtype=types[name]) if name in types else values
    return pandas.DataFrame(columns)
