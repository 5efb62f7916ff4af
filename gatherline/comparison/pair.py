"""Two rows that are compared: of one layer, or of the total, on both sides."""

from __future__ import annotations

from dataclasses import dataclass

from gatherline.comparison.point import Point, layer_of
from gatherline.report.columns import TOTAL
from gatherline.report.selection import RowLike


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The rows of one layer, or of the total, on both sides. ``point``: that of the first."""

    point: Point
    before: RowLike
    after: RowLike

    @property
    def layer(self) -> str:
        return layer_of(self.before)

    @property
    def is_total(self) -> bool:
        return self.layer == TOTAL

    @property
    def layer_label(self) -> str:
        """The layer's name, with its new one where that is another."""
        after = layer_of(self.after)
        return self.layer if after == self.layer else f"{self.layer} -> {after}"
