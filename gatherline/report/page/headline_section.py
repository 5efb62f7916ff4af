"""What the page of a run says first: for each device the best pattern, what it brings, and how sure that is."""

from __future__ import annotations

from gatherline.report.page.results import (
    DeviceResults,
    change,
    is_dense,
    kept_density,
    measure,
    sparsities_of,
    speed_up,
    time_shares,
    times,
)
from gatherline.report.remarks import SAME_SPARSITY, density, headlines, label
from gatherline.report.selection import RowLike, Rows, fastest, number, percent, text


def headline_section(devices: list[DeviceResults]) -> dict[str, object]:
    """Return a card for each device, and the devices on which nothing beats dense, or dense was not run."""
    judged = [device for device in devices if device.best is not None]
    asked = [one for one in sparsities_of(judged) if one is not None]
    several = any(len(sparsities_of([device])) > 1 for device in judged)
    return {
        "cards": [_card(device) for device in judged],
        "densest": percent(1.0 - asked[0]) if several and asked else "",
        "beaten": [device.name for device in judged if _gains(device)],
        "not_beaten": [device.name for device in judged if device.dense is not None and _only_dense(device)],
        "without_dense": [device.name for device in judged if device.dense is None],
    }


def _gains(device: DeviceResults) -> bool:
    best = device.best
    factor = None if best is None else speed_up(device.dense, best)
    return factor is not None and factor > 1.0


def _only_dense(device: DeviceResults) -> bool:
    """Return whether patterns were tried and none of them is faster than dense."""
    return bool(device.pruned) and not _gains(device)


def _card(device: DeviceResults) -> dict[str, object]:
    best, dense = device.best, device.dense
    assert best is not None
    rows: Rows = [*device.totals, *(row for layers in device.layers.values() for row in layers)]
    factor = None if is_dense(best) else speed_up(dense, best)
    return {
        "device": device.name,
        "summary": device.summary,
        "kind": text(best, "device_kind").replace("_", " "),
        "verdict": _named(best, device.totals),
        "nothing_gains": _only_dense(device),
        "factor": times(factor) if factor is not None else "",
        "latency": measure(best, "latency_s"),
        "dense_latency": "" if dense is None or is_dense(best) else measure(dense, "latency_s"),
        "band": _band(best),
        "overlap": dense is not None and not is_dense(best) and _overlap(best, dense),
        "memory": measure(best, "peak_memory_bytes"),
        "memory_change": ""
        if dense is None or is_dense(best)
        else change(number(dense, "peak_memory_bytes"), number(best, "peak_memory_bytes")),
        "density": density(best),
        "bound": text(best, "bound"),
        "shares": time_shares(best),
        "validated": text(best, "validated"),
        "extrapolated": bool(best.get("extrapolated")),
        "synthetic": any(row.get("synthetic") for row in rows),
        "sentence": " ".join(headlines(rows)),
        "levels": _levels(device),
        "fewer": _keeps_fewer(device, best),
    }


def _keeps_fewer(device: DeviceResults, best: RowLike) -> bool:
    """Return whether another variant that was run keeps more weights than the fastest one."""
    kept = kept_density(best)
    return kept is not None and any((kept_density(row) or 0.0) > kept + SAME_SPARSITY for row in device.pruned)


def _band(row: RowLike) -> str:
    """Return the error band with its unit, "" for a time that nothing validates."""
    low, high = number(row, "latency_low_s"), number(row, "latency_high_s")
    return "" if low is None or high is None else f"{measure(row, 'latency_low_s')} to {measure(row, 'latency_high_s')}"


def _overlap(one: RowLike, other: RowLike) -> bool:
    """Return whether two error bands share a time: then a measurement may find the order the other way round."""
    ends = [number(row, name) for row in (one, other) for name in ("latency_low_s", "latency_high_s")]
    if any(end is None for end in ends):
        return False
    low, high, other_low, other_high = (end or 0.0 for end in ends)
    return low <= other_high and other_low <= high


def _levels(device: DeviceResults) -> list[dict[str, object]]:
    """Return the fastest variant that keeps at least as much as each sparsity asked for leaves.

    Patterns that were asked for one sparsity may keep different shares: channels take their consumers' weights too.
    """
    leasts = [1.0 - one for one in sparsities_of([device]) if one is not None]
    if not leasts or len(device.pruned) < 2:
        return []
    return [_level(device, least) for least in leasts]


def _level(device: DeviceResults, least: float) -> dict[str, object]:
    keeping = [row for row in device.totals if _keeps(row, least)]
    best = fastest(keeping)
    found: dict[str, object] = {"least": percent(least), "label": "none was run", "latency": "-", "factor": "-"}
    if best is None:
        return found
    dense = device.dense
    beaten = dense is not None and number(dense, "latency_s") == number(best, "latency_s")
    return found | {
        "label": "nothing beats dense" if beaten else _named(best, keeping),
        "latency": measure(best, "latency_s"),
        "factor": times(1.0 if beaten else speed_up(dense, best)),
    }


def _named(best: RowLike, rows: list[RowLike]) -> str:
    """Return a variant in words that no line break parts from its "%", and how many of ``rows`` are as fast."""
    alike = sum(number(row, "latency_s") == number(best, "latency_s") for row in rows) - 1
    return label(best).replace(" %", "\N{NO-BREAK SPACE}%") + (f" and {alike} alike" if alike else "")


def _keeps(row: RowLike, least: float) -> bool:
    """Return whether a variant keeps ``least`` of the pruned layers' weights, as near as patterns come to a target."""
    density = kept_density(row)
    return is_dense(row) or (density is not None and density >= least - SAME_SPARSITY)
