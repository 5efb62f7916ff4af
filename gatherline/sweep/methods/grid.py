"""Every point of a spec, in order, in blocks that share their traces. 10^5 points take well under a second."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from gatherline.sweep.points import Block, Grid


def grid_blocks(grid: Grid, most: int) -> Iterator[Block]:
    """Yield all points of ``grid`` in order, ``most`` of one level, options and device at a time."""
    number = 0
    for level in grid.levels():
        for options in grid.options:
            for device in grid.devices:
                machines = device.machines()
                while part := list(islice(machines, most)):
                    yield level, options, device.base, list(enumerate(part, number))
                    number += len(part)
