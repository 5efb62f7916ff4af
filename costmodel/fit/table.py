"""The fit as data: rows of ``fitted.csv``, each with the rows, devices and date that it comes from."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from costmodel.cpu_file import Fitted, load_core, named
from costmodel.fit.layout import BY_RUNTIME, Row
from costmodel.fit.solve import Solution

UNFITTED = {  # parameter: value and why, where no rows say anything
    "spmm": (0.45, "assumed: as fitted for other runtimes"),
}


def fitted_rows(rows: Sequence[Row], solution: Solution, day: str) -> list[Fitted]:
    """Return every fitted number; runtimes and core kinds that were not fitted get the geometric mean of the others."""
    found = []
    rows = [row for row in rows if not row.unequal]  # as the fit
    for (runtime, core, dtype, name), value in solution.numbers.items():
        own = [
            row
            for row in rows
            if (not runtime or row.runtime == runtime)
            and (not core or row.core == core)
            and (not dtype or row.measured.key.dtype == dtype)
        ]
        socs = sorted({row.measured.key.soc for row in own})
        source = f"fitted: python -m costmodel.fit, {day}, {len(own)} rows of {', '.join(socs)}"
        found.append(Fitted(runtime=runtime, core=core, dtype=dtype, parameter=name, value=value, source=source))
    found += _means(found, day)
    found += [
        Fitted(runtime="", core="", dtype="", parameter=name, value=value, source=source)
        for name, (value, source) in UNFITTED.items()
    ]
    return found


def _means(fitted: Sequence[Fitted], day: str) -> list[Fitted]:
    groups: dict[tuple[str, str, str], list[Fitted]] = defaultdict(list)
    for row in fitted:
        if row.core:
            groups[(load_core(named("cores", row.core)).kind, "", row.parameter)].append(row)
        elif row.parameter in BY_RUNTIME:
            groups[("", "", row.parameter)].append(row)
        else:
            groups[("", row.dtype, row.parameter)].append(row)
    found = []
    for (core, dtype, name), group in sorted(groups.items()):
        whose = ", ".join(sorted({row.core or row.runtime for row in group}))
        source = f"assumed: geometric mean of the fits of {whose}, {day}"
        value = float(np.exp(np.mean([np.log(row.value) for row in group])))
        found.append(Fitted(runtime="", core=core, dtype=dtype, parameter=name, value=value, source=source))
    return found


def write_fitted(path: Path, rows: Sequence[Fitted]) -> None:
    """Write ``rows`` as CSV, sorted; values with five digits."""
    ordered = sorted(rows, key=lambda row: (row.runtime, row.core, row.dtype, row.parameter))
    aside = path.with_suffix(".partial")
    with aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("runtime", "core", "dtype", "parameter", "value", "source"))
        for row in ordered:
            writer.writerow((row.runtime, row.core, row.dtype, row.parameter, f"{row.value:.5g}", row.source))
    aside.replace(path)
