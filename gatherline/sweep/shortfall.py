"""What a finished sweep lacks although every point is there: numbers, or the accuracies of the user's table.

Left out: the points that are not there yet, which the next run computes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from gatherline.sweep.spec import SweepSpec
from gatherline.sweep.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """``numbers``: no point has any, so the sweep failed. ``told``: what is lacking and why, a sentence each."""

    numbers: bool
    told: tuple[str, ...]


def shortfall(store: Store, sweep: int, spec: SweepSpec) -> Shortfall:
    """Return what the stored points of ``sweep`` lack. Raises RequestError for a damaged store."""
    columns = ("refused",) if spec.accuracy is None else ("refused", "accuracy")
    reasons, points, accuracies = Counter[str](), 0, 0
    for row in store.in_order(sweep, columns):
        points += 1
        if row["refused"] is not None:
            reasons[str(row["refused"])] += 1
        accuracies += row.get("accuracy") is not None
    if points and reasons.total() == points:
        reason, count = reasons.most_common(1)[0]
        others = f", {count} of them with" if len(reasons) > 1 else ""
        return Shortfall(numbers=True, told=(f"no point has numbers: all {points} were refused{others}: {reason}",))
    if points and spec.accuracy is not None and not accuracies:
        by = ", ".join(spec.accuracy.by)
        return Shortfall(
            numbers=False, told=(f"no point has an accuracy: {spec.accuracy.file} names none of them by {by}",)
        )
    return Shortfall(numbers=False, told=())
