"""Options of a run without those that a device does not have: points that differ only in these are one point.

Threads are of CPUs; order and mapping of streams that a cycle-level model reads; a technology prices accelerators.
Left out: options that a device has and that move nothing for some masks, as an order for groups of their own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from costmodel.spec import RooflineDevice
from gatherline.request import Target, device_named
from gatherline.sweep.point import RunOptions
from gatherline.sweep.points import Grid
from gatherline.sweep.spec import SweepSpec

_DEFAULT = RunOptions()


def effective_options(options: RunOptions, device: Target) -> RunOptions:
    """Return ``options`` with those that ``device`` does not have as they are where nothing is asked."""
    if not isinstance(device, RooflineDevice):
        return replace(options, threads=_DEFAULT.threads)
    return replace(
        options,
        threads=options.threads if device.static_threads else _DEFAULT.threads,
        order=_DEFAULT.order,
        mapping=_DEFAULT.mapping,
        technology=_DEFAULT.technology,
    )


def equal_points(spec: SweepSpec, most: int) -> dict[str, int]:
    """Return by a device's name how many of its points equal another one; of a search nothing is known ahead."""
    if spec.method.name == "grid":
        return _of_grid(spec.grid)
    if spec.searches:
        return {}
    names = {device.base: device.name for device in spec.grid.devices}
    devices = {base: device_named(base) for base in names}
    seen = set()
    found: Counter[str] = Counter()
    for level, options, base, numbered in spec.tasks(most):
        shared = level, effective_options(options, devices[base]), base
        for _, fields in numbered:
            found[names[base]] += (shared, fields) in seen
            seen.add((shared, fields))
    return dict(found)


def _of_grid(grid: Grid) -> dict[str, int]:
    found: Counter[str] = Counter()
    for device in grid.devices:
        target = device_named(device.base)
        needless = len(grid.options) - len({effective_options(options, target) for options in grid.options})
        found[device.name] += grid.level_count * device.count * needless
    return dict(found)
