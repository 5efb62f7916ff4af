"""All lines of a validation on one screen: by kind of device, kernel family, data type and threads, fitted or not.

Errors are of rows, so a device with many rows weighs more; rank, error after an anchor and floor are medians over the
lines that have one, each line weighing the same. Left out: which device is at fault, which the lines say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from costmodel.validation.compare import Line, Point, net_name
from costmodel.validation.folder import Use
from costmodel.validation.metrics import CLOSE

Threads = Literal["1", "several", "all"]  # "all": the device always uses all its units
Group = tuple[str, Use, str, str, Threads]
RANK_WANTED = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """``rank`` to ``floor``: medians over lines, None where none has one; ``ranked_well``: lines above 0.95 in rank."""

    device_kind: str
    use: Use
    family: str
    dtype: str
    threads: Threads
    devices: int
    nets: int
    rows: int
    median: float
    p90: float
    within_10: float
    bias: float
    rank: float | None
    ranked: int
    ranked_well: int
    anchored: float | None
    floor: float | None


def summaries(points: Sequence[Point], lines: Sequence[Line]) -> tuple[Summary, ...]:
    """Return a summary for each group that has points, held-out devices first, then by kind, family and type."""
    by_group: dict[Group, list[Point]] = defaultdict(list)
    for point in points:
        key = point.measured.key
        static = point.device.static_threads
        by_group[_group(point.device.kind, point.use, point.prediction.family, key.dtype, key.threads, static)].append(
            point
        )
    static_devices = {point.device.name: point.device.static_threads for point in points}
    lines_of: dict[Group, list[Line]] = defaultdict(list)
    for line in lines:
        if line.key is not None:
            group = _group(
                line.device_kind, line.use, line.family, line.key.dtype, line.key.threads, static_devices[line.device]
            )
            lines_of[group].append(line)
    ordered = sorted(by_group, key=lambda group: (group[1] != "held_out", group[0], *group[2:]))
    return tuple(_summary(group, by_group[group], lines_of[group]) for group in ordered)


def _group(kind: str, use: Use, family: str, dtype: str, threads: int, static: bool) -> Group:
    return (kind, use, family, dtype, ("1" if threads == 1 else "several") if static else "all")


def _summary(group: Group, points: Sequence[Point], lines: Sequence[Line]) -> Summary:
    kind, use, family, dtype, threads = group
    signed = np.array([point.error for point in points])
    ranks = [line.errors.rank for line in lines if line.errors.rank is not None]
    return Summary(
        device_kind=kind,
        use=use,
        family=family,
        dtype=dtype,
        threads=threads,
        devices=len({point.device.name for point in points}),
        nets=len({net_name(point.measured) for point in points}),
        rows=len(points),
        median=float(np.median(np.abs(signed))),
        p90=float(np.percentile(np.abs(signed), 90)),
        within_10=float(np.mean(np.abs(signed) <= CLOSE)),
        bias=float(np.median(signed)),
        rank=_median(ranks),
        ranked=len(ranks),
        ranked_well=sum(rank > RANK_WANTED for rank in ranks),
        anchored=_median(line.errors.anchored for line in lines),
        floor=_median(line.floor.median for line in lines if line.floor is not None),
    )


def _median(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return float(np.median(found)) if found else None
