"""The headline of a run as facts: for each device the fastest variant, beside dense, and how sure that is.

Over all, and for those who can remove no more than one of the sparsities that were run. What counts is what a variant
removes, not what was asked: channels take their consumers' weights with them. What is within 1 % of the fastest is
alike; of those, dense stands first, then what restricts the mask least.

The table in a terminal, the words under it and the page show these, so that they say the same. Nothing is computed but
ratios of totals. The ends of a speed-up take the errors of both latencies to be independent, which is the widest that
they can mean: one runtime's errors mostly go the same way. Left out: accuracy, and what the words are (``remarks.py``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal

from gatherline.report.selection import (
    SAME_SPARSITY,
    RowLike,
    Rows,
    Variant,
    band_s,
    bands_overlap,
    devices,
    fastest,
    layers,
    number,
    removed,
    speed_up,
    text,
    totals,
    variant,
)

ALIKE = 1.01  # times the fastest: what takes less than that is as fast, for who reads it

# of those alike: who gains nothing should not prune, who prunes should not be bound to blocks without need
_FIRST = {"dense": 0, "unstructured": 1}

Certainty = Literal["validated", "partly validated", "not validated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The fastest of some totals of one device, beside dense; all rows are totals.

    ``best``: the fastest, of those alike dense, then unstructured, then the first. ``ties``: the others. ``dense``:
    None where it was not run. ``tried``: how many totals there are. ``without_band``: the totals that the verdict
    compares and that have no error band. ``partly_banded``: those that have one, but none of whose own for some sparse
    layers.
    """

    best: RowLike
    dense: RowLike | None
    ties: tuple[RowLike, ...]
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
        return band_s(self.best)

    @property
    def best_is_dense(self) -> bool:
        return text(self.best, "pattern") == "dense"

    @property
    def nothing_faster(self) -> bool:
        """Whether other variants than dense were tried and none of them is faster; times of zero tell nothing."""
        return self.best_is_dense and self.tried > 1 and self.latency_s > 0.0

    @property
    def speed_up(self) -> float | None:
        """The best over dense: 1 where dense is the best, None where dense was not run or a time is 0."""
        return None if self.dense is None else speed_up(number(self.dense, "latency_s"), self.latency_s)

    @property
    def speed_up_band(self) -> tuple[float, float] | None:
        """The least and the most speed-up that both error bands allow; None without both, and for dense itself."""
        own, dense = self.band_s, None if self.dense is None else band_s(self.dense)
        if own is None or dense is None or self.best_is_dense:
            return None
        least, most = speed_up(dense[0], own[1]), speed_up(dense[1], own[0])
        return None if least is None or most is None else (least, most)

    @property
    def may_be_no_faster(self) -> bool:
        """Whether the error bands let dense be as fast; what has no band is not told."""
        own, dense = self.band_s, None if self.dense is None else band_s(self.dense)
        return own is not None and dense is not None and not self.best_is_dense and bands_overlap(own, dense)

    @property
    def certainty(self) -> Certainty:
        """How sure the best latency is; what else is compared may have a band or none."""
        if self.band_s is None:
            return "not validated"
        return "partly validated" if any(row is self.best for row in self.partly_banded) else "validated"

    @property
    def mixed(self) -> bool:
        """Whether some of what the verdict compares has an error band and some has none, or not all of its own."""
        return len(self.without_band) < len(self.compared) and bool(self.without_band or self.partly_banded)

    @property
    def extrapolated(self) -> bool:
        """Whether a total that the verdict compares is outside what was fitted or validated."""
        return any(bool(row.get("extrapolated")) for row in self.compared)

    @property
    def synthetic(self) -> bool:
        """Whether the weights were made from a seed."""
        return bool(self.best.get("synthetic"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """What is fastest on a device among the variants that remove at most ``limit`` of the pruned layers' weights.

    ``verdict``: None where nothing that was run removes so little.
    """

    limit: float
    verdict: Verdict | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHeadline(Verdict):
    """What stands first about one device: its verdict over all, and within each sparsity asked, taken as a limit.

    ``beyond``: whether the fastest of all removes more than the largest of the limits.
    """

    device: str
    kind: str
    limits: tuple[Within, ...]
    beyond: bool


def headline_facts(rows: Rows) -> tuple[DeviceHeadline, ...]:
    """Return the headline of each device, in the order in which they appear; none for one without a finite time."""
    of_device: dict[str, list[RowLike]] = {}  # one pass: a run may have many devices and many rows
    for row in rows:
        of_device.setdefault(text(row, "device"), []).append(row)
    limits = limits_of(rows)
    found = (_of_device(device, of_device[device], limits) for device in devices(totals(rows)))
    return tuple(one for one in found if one is not None)


def limits_of(rows: Rows) -> tuple[float, ...]:
    """Return the sparsities that were asked for, rising: how much a reader may be able to remove."""
    return tuple(sorted({level for row in totals(rows) if (level := variant(row).sparsity) is not None}))


def is_within(row: RowLike, limit: float) -> bool:
    """Return whether a total removes at most ``limit``, as near as patterns come to a target; dense always does."""
    share = removed(row)
    return share is not None and share <= limit + SAME_SPARSITY


def _of_device(device: str, rows: Rows, limits: tuple[float, ...]) -> DeviceHeadline | None:
    of_this, unproven = totals(rows), _unproven(rows)
    found = _verdict(of_this, unproven)
    if found is None:
        return None
    shares = [math.inf if (share := removed(row)) is None else share for row in of_this]
    within = tuple(
        Within(
            limit=limit,
            verdict=_verdict(
                [row for row, share in zip(of_this, shares, strict=True) if share <= limit + SAME_SPARSITY], unproven
            ),
        )
        for limit in limits
    )
    return DeviceHeadline(
        **{each.name: getattr(found, each.name) for each in fields(Verdict)},
        device=device,
        kind=text(found.best, "device_kind"),
        limits=within,
        beyond=bool(limits) and not is_within(found.best, limits[-1]),
    )


def _verdict(of_totals: Rows, unproven: set[Variant]) -> Verdict | None:
    """Return the verdict over some totals of one device, None where none of them has a finite time."""
    timed = [row for row in of_totals if math.isfinite(_seconds(row))]
    found = fastest(timed)
    if found is None:
        return None
    least_s = _seconds(found)
    alike = [row for row in timed if _seconds(row) == least_s or _seconds(row) < ALIKE * least_s]
    alike.sort(key=lambda row: _FIRST.get(text(row, "pattern"), len(_FIRST)))
    of_dense = [row for row in timed if text(row, "pattern") == "dense"]
    best = alike[0]
    compared = of_totals if best in of_dense else [*alike, *(row for row in of_dense if row not in alike)]
    without = [row for row in compared if band_s(row) is None]
    return Verdict(
        best=best,
        dense=of_dense[0] if of_dense else None,
        ties=tuple(alike[1:]),
        tried=len(of_totals),
        compared=tuple(compared),
        without_band=tuple(without),
        partly_banded=tuple(row for row in compared if row not in without and variant(row) in unproven),
    )


def _unproven(rows: Rows) -> set[Variant]:
    """Return the variants of one device whose sparse kernels have no error band, though their totals may have one."""
    sparse = (row for row in layers(rows) if text(row, "encoding") not in ("", "dense"))
    return {variant(row) for row in sparse if number(row, "latency_low_s") is None}


def _seconds(row: RowLike) -> float:
    found = number(row, "latency_s")
    return math.inf if found is None or math.isnan(found) else found
