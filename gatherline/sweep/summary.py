"""What a sweep found, as ``simulate front`` says it: the fronts of its points by the objectives of its spec.

Read from the store block by block, with the columns that matter. Left out: rows of points, and pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatherline.sweep.front import CHOICES, columns_of, read_points, without_followers
from gatherline.sweep.fronts import Fronts, fronts_of
from gatherline.sweep.spec import SweepSpec
from gatherline.sweep.store import Store


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Summary:
    """``refused``: points without numbers."""

    points: int
    refused: int
    found: Fronts


def summary(store: Store, sweep: int, spec: SweepSpec) -> Summary:
    """Return what the stored points of ``sweep`` come to."""
    choices = (*CHOICES, *store.field_columns)
    blocks = store.blocks(sweep, columns_of(choices, spec.objectives, spec.constraints))
    points = read_points(blocks, choices, spec.objectives, spec.constraints)
    followers = {follower: leader for device in spec.grid.devices for follower, leader in device.follow}
    points = without_followers(points, followers)
    return Summary(
        points=len(points.numbers),
        refused=int(points.refused.sum()),
        found=fronts_of(spec.name, points, spec.objectives, spec.constraints),
    )
