"""How much of a sweep its page shows. Most fit whole; for others limits are halved until the page is small enough.

Left out: what is shown first, which each section decides; each says what it leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

MOST_BYTES = 5_000_000  # of a page


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``drawn``: beaten points of a chart, and ``all_drawn`` of all charts; ``cells``: of the table of points."""

    drawn: int = 3_000
    all_drawn: int = 12_000
    line: int = 500  # members of a front in its chart
    member_rows: int = 1_000
    member_cells: int = 24_000  # of the tables of all fronts
    points: int = 2_000
    cells: int = 24_000
    maps: int = 48
    map_cells: int = 12_000
    fronts: int = 24
    effects: int = 60
    devices: int = 200  # pairs of a model and a device with picks of their own
    reasons: int = 40
    letters: int = 200_000  # of the spec

    def halved(self) -> Limits:
        """Return half of everything, and at least one."""
        return Limits(**{field.name: max(1, getattr(self, field.name) // 2) for field in fields(self)})


FULL = Limits()
