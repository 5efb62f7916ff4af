"""A number before and after, and how far apart the two are. Exact: whole numbers stay whole, nothing is rounded."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from gatherline.comparison.pair import Pair
from gatherline.report.selection import band_s, number


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One column of one pair. None: the row has no such number."""

    pair: Pair
    column: str
    before: float | None
    after: float | None

    @property
    def moved(self) -> bool:
        return self.before != self.after

    @property
    def absolute(self) -> float | None:
        """The second less the first, None where one is missing."""
        return None if self.before is None or self.after is None else self.after - self.before

    @property
    def relative(self) -> float | None:
        """The change as a share of the first: infinite where something grew from zero; None where one is missing."""
        if self.before is None or self.after is None:
            return None
        if self.before == 0:
            return 0.0 if self.after == 0 else math.copysign(math.inf, self.after)
        return (self.after - self.before) / abs(self.before)

    @property
    def size(self) -> float:
        """What changes are sorted by: the absolute change, infinite where one is missing."""
        if self.before is None and self.after is None:
            return 0.0
        return math.inf if self.absolute is None else abs(self.absolute)


def change_of(pair: Pair, column: str) -> Change:
    return Change(pair=pair, column=column, before=number(pair.before, column), after=number(pair.after, column))


def largest_first(changes: Iterable[Change]) -> list[Change]:
    """Return the changes that moved, the largest absolute change first, equals in the order of the layers."""
    return sorted((change for change in changes if change.moved), key=lambda change: -change.size)


def within_bands(pair: Pair) -> bool | None:
    """Return whether each latency lies in the other's error band, None where one of them has no band."""
    ends = [band_s(pair.before), band_s(pair.after)]
    first, second = number(pair.before, "latency_s"), number(pair.after, "latency_s")
    if ends[0] is None or ends[1] is None or first is None or second is None:
        return None
    return ends[0][0] <= second <= ends[0][1] and ends[1][0] <= first <= ends[1][1]
