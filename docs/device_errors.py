"""Errors of devices, from what ``simulate validate`` compares: a line for each device, and for each family and type.

Rows of several threads and runtimes stand in one line here; ``simulate validate --device NAME`` tells them apart.
A rank and a floor are then medians over them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from device_list import link
from device_numbers import cell, table

from costmodel.validation.compare import Line, Point, Validation, errors_of
from costmodel.validation.folder import DeviceUse
from costmodel.validation.metrics import Errors
from costmodel.validation.summary import summaries

NONE = "-"
NOT_MEASURED = "not measured"
WORDS = {"held_out": "held out", "fit": "fitted"}
HEADER = ("family", "type", "rows", "nets", "median", "p90", "in 10 %", "bias", "rank", "anchored", "floor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the tables of measurements say of the devices: which stand for what, and how far off they are."""

    uses: tuple[DeviceUse, ...]
    validation: Validation | None  # None: not compared, for a look at the rest of the page

    def use_of(self, device: str) -> str:
        """Return whether ``device`` was fitted, in a word; what has no row is not measured, whatever stands for it."""
        found = {use.use for use in self.uses if use.device == device}
        if not found or (self.validation is not None and not self.points(device)):
            return NOT_MEASURED
        return WORDS["held_out" if found == {"held_out"} else "fit"]

    def standing(self, device: str) -> str:
        """Return what ``device`` stands for and how it was used; without rows, who has some of its processor."""
        use, uses = self.use_of(device), [each for each in self.uses if each.device == device]
        stands = "; ".join(sorted({_processor(each) for each in uses}))
        if not uses:
            return f"{use.capitalize()}."
        if use == NOT_MEASURED:
            pairs = {(each.soc, each.processor) for each in uses}
            same = [x.device for x in self.uses if (x.soc, x.processor) in pairs and self.points(x.device)]
            others = f" Measured on this processor: {', '.join(map(link, dict.fromkeys(same)))}." if same else ""
            return f"{use.capitalize()}: no row of `validation/` is of {stands}.{others}"
        notes = "; ".join(dict.fromkeys(each.note for each in uses if each.note))
        return f"{use.capitalize()}. Stands for {stands}{f' ({cell(notes)})' if notes else ''}."

    def points(self, device: str) -> list[Point]:
        return [] if self.validation is None else [x for x in self.validation.points if x.device.name == device]

    def summary(self, device: str) -> tuple[str, str, str]:
        """Return rows, median error and floor of a device over all that it was compared with."""
        points = self.points(device)
        if not points or self.validation is None:
            return ("0", NONE, NONE)
        lines = [line for line in self.validation.lines if line.device == device and line.key is not None]
        return (f"{len(points):,}", percent(errors_of(points).median), floor(lines))

    def table(self, device: str) -> list[str]:
        """Return a table of the errors of a device by kernel family and data type."""
        groups: dict[tuple[str, str], list[Point]] = defaultdict(list)
        for point in self.points(device):
            groups[(point.prediction.family, point.measured.key.dtype)].append(point)
        if not groups or self.validation is None:
            return []
        rows = []
        for (family, dtype), points in sorted(groups.items()):
            lines = [x for x in self.validation.lines if x.device == device and x.family == family and x.key]
            of_type = [line for line in lines if line.key is not None and line.key.dtype == dtype]
            rows.append((family, dtype, *_cells(errors_of(points), of_type), floor(of_type)))
        return table(HEADER, rows, right=frozenset(range(2, len(HEADER))))

    def by_kind(self) -> list[str]:
        """Return a table of all devices together, by kind, family, type and threads, held out first."""
        if self.validation is None:
            return []
        rows = []
        for one in summaries(self.validation.points, self.validation.lines):
            what = (one.device_kind, WORDS[one.use], one.family, one.dtype, one.threads)
            counts = (str(one.devices), f"{one.rows:,}", percent(one.median), percent(one.p90), f"{one.bias:+.0%}")
            rank = NONE if one.rank is None else f"{one.rank:.3f}"
            rest = (NONE if share is None else percent(share) for share in (one.anchored, one.floor))
            rows.append((*what, *counts, rank, *rest))
        header = ("kind", "used in fitting?", "family", "type", "threads", "devices", "rows", "median", "p90", "bias",
                  "rank", "anchored", "floor")  # fmt: skip
        return table(header, rows, right=frozenset(range(5, len(header))))

    def speed_up(self, device: str) -> str:
        """Return how well sparse over dense of one runtime is told, "" where no table has both."""
        ratios = [] if self.validation is None else [x for x in self.validation.speed_ups if x.device == device]
        if not ratios:
            return ""
        off = float(np.median([abs(ratio.error) for ratio in ratios]))
        right = sum(ratio.sign_right for ratio in ratios)
        return (
            f"Sparse over dense of one runtime: {len(ratios)} ratios, median error {percent(off)}, "
            f"faster or slower right in {right}."
        )


def _processor(use: DeviceUse) -> str:
    return f"{use.processor} of {use.soc}" + (f" under {', '.join(use.runtimes)}" if use.runtimes else "")


def _cells(errors: Errors, lines: Sequence[Line]) -> tuple[str, ...]:
    ranks = [line.errors.rank for line in lines if line.errors.rank is not None]
    anchored = [line.errors.anchored for line in lines if line.errors.anchored is not None]
    return (
        f"{errors.rows:,}",
        str(errors.nets),
        percent(errors.median),
        percent(errors.p90),
        percent(errors.within_10),
        f"{errors.bias:+.0%}",
        f"{np.median(ranks):.3f}" if ranks else NONE,
        percent(float(np.median(anchored))) if anchored else NONE,
    )


def floor(lines: Sequence[Line]) -> str:
    """Return the median floor of ``lines``; ``*`` where no two measured this silicon."""
    own = [line.floor.median for line in lines if line.floor is not None and line.floor.key is not None]
    every = [line.floor.median for line in lines if line.floor is not None]
    if own:
        return percent(float(np.median(own)))
    return f"{percent(float(np.median(every)))}\\*" if every else NONE


def percent(share: float) -> str:
    return f"{share:.0%}"
