"""The headline of a run as facts: for each device the fastest variant, beside dense, and how sure that is.

The table in a terminal, the words under it and the page show these, so that they say the same. Nothing is computed but
ratios of totals. The ends of a speed-up take the errors of both latencies to be independent, which is the widest that
they can mean: one runtime's errors mostly go the same way. Left out: accuracy, and what the words are (``remarks.py``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from gatherline.report.selection import (
    RowLike,
    Rows,
    Variant,
    devices,
    fastest,
    layers,
    number,
    text,
    totals,
    variant,
)

Certainty = Literal["validated", "partly validated", "not validated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHeadline:
    """What stands first about one device; all rows are totals.

    ``best``: the fastest, dense where dense is among the fastest. ``ties``: the others that take as long. ``dense``:
    None where it was not run. ``tried``: how many totals there are. ``levels``: the fastest pattern at each sparsity
    asked, in order. ``without_band``: the totals that the verdict compares and that have no error band.
    ``partly_banded``: those that have one, but none of whose own for some sparse layers.
    """

    device: str
    kind: str
    best: RowLike
    dense: RowLike | None
    ties: tuple[RowLike, ...]
    levels: tuple[RowLike, ...]
    tried: int
    compared: tuple[RowLike, ...]
    without_band: tuple[RowLike, ...]
    partly_banded: tuple[RowLike, ...]

    @property
    def latency_s(self) -> float:
        return number(self.best, "latency_s") or 0.0

    @property
    def band_s(self) -> tuple[float, float] | None:
        """The error band of the best latency, None where it has none."""
        return _band(self.best)

    @property
    def best_is_dense(self) -> bool:
        return text(self.best, "pattern") == "dense"

    @property
    def nothing_faster(self) -> bool:
        """Whether other variants than dense were tried and none of them is faster."""
        return self.best_is_dense and self.tried > 1

    @property
    def speed_up(self) -> float | None:
        """The best over dense: 1 where dense is the best, None where dense was not run or a time is 0."""
        dense = None if self.dense is None else number(self.dense, "latency_s")
        return dense / self.latency_s if dense and self.latency_s else None

    @property
    def speed_up_band(self) -> tuple[float, float] | None:
        """The least and the most speed-up that both error bands allow; None without both, and for dense itself."""
        own, dense = self.band_s, None if self.dense is None else _band(self.dense)
        if own is None or dense is None or self.best_is_dense or not own[0]:
            return None
        return dense[0] / own[1], dense[1] / own[0]

    @property
    def certainty(self) -> Certainty:
        """How much of what the verdict compares has an error band."""
        if len(self.without_band) == len(self.compared):
            return "not validated"
        return "partly validated" if self.without_band or self.partly_banded else "validated"

    @property
    def validated(self) -> bool:
        return self.certainty == "validated"

    @property
    def extrapolated(self) -> bool:
        """Whether a total that the verdict compares is outside what was fitted or validated."""
        return any(bool(row.get("extrapolated")) for row in self.compared)

    @property
    def synthetic(self) -> bool:
        """Whether the weights were made from a seed."""
        return bool(self.best.get("synthetic"))


def headline_facts(rows: Rows) -> tuple[DeviceHeadline, ...]:
    """Return the headline of each device, in the order in which they appear; none for one without a finite time."""
    of_device: dict[str, list[RowLike]] = {}  # one pass: a run may have many devices and many rows
    for row in rows:
        of_device.setdefault(text(row, "device"), []).append(row)
    found = (_of_device(device, of_device[device]) for device in devices(totals(rows)))
    return tuple(one for one in found if one is not None)


def _of_device(device: str, rows: Rows) -> DeviceHeadline | None:
    of_this = totals(rows)
    timed = [row for row in of_this if math.isfinite(_seconds(row))]
    found = fastest(timed)
    if found is None:
        return None
    alike = [row for row in timed if _seconds(row) == _seconds(found)]
    of_dense = [row for row in timed if text(row, "pattern") == "dense"]
    best = next((row for row in alike if text(row, "pattern") == "dense"), found)  # who gains nothing should not prune
    compared = of_this if best in of_dense else [*alike, *(row for row in of_dense if row not in alike)]
    unproven = _unproven(rows)
    without = [row for row in compared if _band(row) is None]
    return DeviceHeadline(
        device=device,
        kind=text(best, "device_kind"),
        best=best,
        dense=of_dense[0] if of_dense else None,
        ties=tuple(row for row in alike if row is not best),
        levels=_levels(timed),
        tried=len(of_this),
        compared=tuple(compared),
        without_band=tuple(without),
        partly_banded=tuple(row for row in compared if row not in without and variant(row) in unproven),
    )


def _levels(timed: Rows) -> tuple[RowLike, ...]:
    asked = sorted({level for row in timed if (level := variant(row).sparsity) is not None})
    found = (fastest([row for row in timed if variant(row).sparsity == level]) for level in asked)
    return tuple(row for row in found if row is not None)


def _unproven(rows: Rows) -> set[Variant]:
    """Return the variants of one device whose sparse kernels have no error band, though their totals may have one."""
    sparse = (row for row in layers(rows) if text(row, "encoding") not in ("", "dense"))
    return {variant(row) for row in sparse if number(row, "latency_low_s") is None}


def _seconds(row: RowLike) -> float:
    found = number(row, "latency_s")
    return math.inf if found is None or math.isnan(found) else found


def _band(row: RowLike) -> tuple[float, float] | None:
    low, high = number(row, "latency_low_s"), number(row, "latency_high_s")
    return None if low is None or high is None else (low, high)
