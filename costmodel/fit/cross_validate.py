"""Leave-one-SoC-out: how the fit predicts each fitted SoC from all the others. What model structure is chosen by.

No device that is held out is read. A core that only the SoC left out has takes the mean of its kind, as it would for a
user. Leaves out: rows over cores of unequal designs, which fit nothing
(``simulate validate`` has them), and the share of sparse kernels, which two speed-ups give.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from costmodel.cpu_file import Fitted, load_core, named
from costmodel.fit.layout import Key, Layout, Row, Vector, keys_of, machine_of
from costmodel.fit.solve import solve
from costmodel.fit.table import fitted_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """One row of a SoC that was left out: predicted over measured, less one."""

    row: Row
    error: float

    @property
    def group(self) -> tuple[str, str]:
        """Data type, and whether one thread ran or several."""
        key = self.row.measured.key
        return key.dtype, "1 thread" if key.threads == 1 else "several threads"


def cross_validate(rows: Sequence[Row], evaluations: int) -> list[LeftOut]:
    """Return the error of every row, its SoC left out of the fit. Deterministic."""
    found = []
    rows = [row for row in rows if not row.unequal]  # as the fit
    for soc in sorted({row.measured.key.soc for row in rows}):
        others = [row for row in rows if row.measured.key.soc != soc]
        own = [row for row in rows if row.measured.key.soc == soc]
        fitted = fitted_rows(others, solve(others, evaluations), "of a fold")
        found += [LeftOut(row=row, error=error) for row, error in zip(own, errors(own, fitted), strict=True)]
    return found


def errors(rows: Sequence[Row], fitted: Sequence[Fitted]) -> list[float]:
    """Return predicted over measured, less one, of ``rows`` under ``fitted`` numbers."""
    keys = keys_of(rows)
    machines = sorted({machine_of(row) for row in rows})
    point = np.concatenate([point_of(fitted, keys), np.zeros(len(machines))])
    return [float(value) for value in np.expm1(Layout(rows, keys, machines).residuals(point, offsets=False))]


def point_of(fitted: Sequence[Fitted], keys: Sequence[Key]) -> Vector:
    """Return the logarithms of ``keys``, those that were not fitted from the means of runtimes and core kinds."""
    values = {(row.runtime, row.core, row.dtype, row.parameter): row.value for row in fitted}

    def value(runtime: str, core: str, dtype: str, name: str) -> float:
        if not core:
            return values.get((runtime, "", dtype, name), values.get(("", "", dtype, name), np.nan))
        kind = load_core(named("cores", core)).kind
        return values.get(("", core, "", name), values.get(("", kind, "", name), 1.0))

    return np.log([value(*key) for key in keys])


def report(found: Sequence[LeftOut]) -> Iterator[str]:
    """Return lines: errors by SoC, then by data type and threads."""
    by_soc, by_group = defaultdict(list), defaultdict(list)
    for each in found:
        by_soc[each.row.measured.key.soc].append(each.error)
        by_group[each.group].append(each.error)
    for title, groups in (("SoC left out", by_soc), ("all", by_group)):
        yield f"{title:<28} rows  median   p90   bias"
        for name, values in sorted(groups.items(), key=lambda item: str(item[0])):
            text = name if isinstance(name, str) else " ".join(name)
            size = np.abs(values)
            yield (
                f"  {text:<26} {len(values):>4}  {np.median(size):>5.1%} {np.percentile(size, 90):>6.0%} "
                f"{np.median(values):>+6.0%}"
            )
