"""The rows of a run as its page asks for them: by device, by variant, beside dense; and how their values read.

Rows are gone through once, since a run may hold 10,000 layers. Nothing is computed but ratios and shares of what the
rows say. Left out: several models in one folder, which a run cannot have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gatherline.report import selection
from gatherline.report.columns import TOTAL
from gatherline.report.measures import scale_of
from gatherline.report.selection import RowLike, Variant, band_s, number, text, variant
from gatherline.report.time_causes import TIME_CAUSES

TIMES = "×"  # the sign of a speed-up on a page
SHOWN_CAUSES = 3  # of a time, the largest
LEAST_SHARE = 0.01  # of a time, worth a word
COLOURS = 6  # of the palette: --c0 to --c5


@dataclass(slots=True, kw_only=True)
class DeviceResults:
    """What a run says about one device. ``layers``: of each variant, in the network's order."""

    name: str
    summary: str
    totals: list[RowLike] = field(default_factory=list)
    layers: dict[Variant, list[RowLike]] = field(default_factory=dict)

    @property
    def dense(self) -> RowLike | None:
        """The total of the dense network, None where it was not run."""
        return next((row for row in self.totals if is_dense(row)), None)

    @property
    def pruned(self) -> list[RowLike]:
        return [row for row in self.totals if not is_dense(row)]


def by_device(rows: Sequence[RowLike], manifest: Mapping[str, object]) -> list[DeviceResults]:
    """Return the results of each device, in the order of the rows."""
    about = manifest.get("devices")
    summaries = about if isinstance(about, Mapping) else {}
    found: dict[object, DeviceResults] = {}
    variants: dict[tuple[object, ...], Variant] = {}
    for row in rows:
        raw = row.get("device")
        if raw not in found:
            facts = summaries.get(raw)
            found[raw] = DeviceResults(
                name=text(row, "device"), summary=text(facts, "summary") if isinstance(facts, Mapping) else ""
            )
        if row.get("layer") == TOTAL:
            found[raw].totals.append(row)
            continue
        asked = (row.get("pattern"), row.get("sparsity_overall"), row.get("sparsity_target"))
        if asked not in variants:
            variants[asked] = variant(row)
        found[raw].layers.setdefault(variants[asked], []).append(row)
    return list(found.values())


def is_dense(row: RowLike) -> bool:
    return row.get("pattern") == "dense"


def patterns_of(devices: Iterable[DeviceResults]) -> list[str]:
    """Return the patterns of all totals but dense, in order: a pattern has the same colour all over the page."""
    return list(dict.fromkeys(text(row, "pattern") for device in devices for row in device.pruned))


def sparsities_of(devices: Iterable[DeviceResults]) -> list[float | None]:
    """Return the sparsities asked for, rising; None (the zeros a model has) first."""
    found = {variant(row).sparsity for device in devices for row in device.pruned}
    return sorted(found, key=lambda one: (one is not None, one or 0.0))


def speed_up(dense: RowLike | None, row: RowLike) -> float | None:
    """Return how many times as fast as dense a row is, None where one of the times is missing or zero."""
    return None if dense is None else selection.speed_up(number(dense, "latency_s"), number(row, "latency_s"))


def change(before: float | None, after: float | None) -> str:
    """Return a change in percent, signed, "" where there is nothing to compare with."""
    if not before or after is None:
        return ""
    share = after / before - 1.0
    if abs(share) < 5e-4:
        return "as dense"
    return f"{share:+.0%} against dense" if abs(share) >= 0.01 else f"{share:+.1%} against dense"


def times(factor: float | None) -> str:
    """Return a speed-up as a page writes it."""
    return selection.times(factor, TIMES)


def band_text(row: RowLike) -> str:
    """Return the error band of a latency with its unit, "" for a time that nothing validates."""
    if band_s(row) is None:
        return ""
    return f"{measure(row, 'latency_low_s')} to {measure(row, 'latency_high_s')}"


def measure(row: RowLike, column: str) -> str:
    """Return a column's value with the unit that suits it, "-" where it is empty."""
    value = number(row, column)
    return "-" if value is None else scale_of(column, [float(value)]).text(float(value))


def kept_density(row: RowLike) -> float | None:
    """Return the density of the pruned layers together, of all weights where a row does not tell."""
    reached = number(row, "sparsity_reached")
    return number(row, "density") if reached is None else min(1.0, max(0.0, 1.0 - reached))


def time_shares(row: RowLike) -> str:
    """Return what the time of a row is made of, the largest causes first, "" where the row does not tell."""
    spent = {cause.title: number(row, cause.column) for cause in TIME_CAUSES}
    known = {title: seconds for title, seconds in spent.items() if seconds}
    whole = sum(known.values())
    parts = sorted(known.items(), key=lambda one: -one[1])[:SHOWN_CAUSES]
    return ", ".join(f"{title} {seconds / whole:.0%}" for title, seconds in parts if seconds / whole >= LEAST_SHARE)


def rounded(value: float) -> float:
    """Return a number with the five digits that a chart can show: pages stay small."""
    return float(f"{value:.5g}")
