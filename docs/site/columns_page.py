"""The page of a row's columns: name, type and meaning of each, from ``gatherline/report/columns.py``."""

from __future__ import annotations


def columns_page() -> str:
    from gatherline.report.columns import ADDED_COLUMNS, CONTRACT_COLUMNS

    parts = [
        "# Columns of a row",
        """For people who read `rows.csv`, `rows.sqlite`, `--json` or `report.rows`. One row for each layer, and one
with `layer` = `total`, for each model, pattern, sparsity and device. A value that does not apply is empty
in CSV, `null` in JSON, `NULL` in SQLite and `None` in Python. Columns may be added in later versions, never
renamed. What a few of them mean for a decision: [README](../index.md#what-the-columns-mean).""",
    ]
    for title, columns in (("Of every version", CONTRACT_COLUMNS), ("Added", ADDED_COLUMNS)):
        lines = ["| column | type | meaning |", "|---|---|---|"]
        lines += [f"| `{one.name}` | {one.type} | {one.text.replace('|', '&#124;')} |" for one in columns]
        parts += [f"## {title}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"
