"""The rows of many rooflines of one base whose fields vary: each layer runs once for all of them (``costmodel.many``).

The total row of ``simulate run`` again, added up by columns instead of by points, in the same order of layers, so that
every figure is the same to the last bit. One point of them also runs by itself, and both must agree. Left out: FPGAs,
whose engine is chosen point by point, and ``--encoding best``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from costmodel.many import ManyResults, estimate_many
from costmodel.spec import RooflineDevice, numbers
from costmodel.varied import Varied
from gatherline.best_encoding import BEST
from gatherline.device_fields import device_fields
from gatherline.knobs import readable
from gatherline.report.columns import Row
from gatherline.request import RunRequest
from gatherline.rows import LayerOutcome
from gatherline.sweep.device_axes import unchanged_value
from gatherline.sweep.point import Machine
from gatherline.sweep.traced import TracedLevel
from gatherline.total_band import LEAST_COVERED, NAMED, NOT_VALIDATED

LEAST = 8  # machines: fewer are sooner done one by one
LARGEST = 2.0**62  # of a count: beyond it, whole numbers are added one by one
COUNTS = ("macs_dense", "macs_effectual", "macs_issued", "weight_bytes", "index_bytes", "dram_bytes", "slots")

Floats = npt.NDArray[np.float64]


def worth_together(base: object, machines: Sequence[Machine], request: RunRequest) -> bool:
    """Return whether ``machines``, all of ``base``, are to run together."""
    return (
        isinstance(base, RooflineDevice)
        and base.fabric is None
        and request.encoding != BEST
        and request.dtype in base.dtypes
        and len(machines) >= LEAST
    )


def varied_of(base: RooflineDevice, machines: Sequence[Machine]) -> Varied | None:
    """Return machines of one base as columns of values. Raises DeviceError.

    None where some machines leave out a field that changes something even at the base's own value, as one does that
    several kernels of one name have.
    """
    changes = [dict(machine.fields) for machine in machines]
    own, paths = numbers(base), sorted({path for change in changes for path in change})
    fields = device_fields(base)
    for path in paths:
        if path not in fields:
            return None
        left_out = any(path not in change for change in changes)
        if left_out and unchanged_value(base, fields[path]) is None:
            return None
    columns = tuple(np.array([change.get(path, own.get(path)) for change in changes]) for path in paths)
    return Varied(base=base, paths=tuple(paths), values=columns)


@dataclass(slots=True, kw_only=True)
class Totals:
    """What total rows add up, columns [points]; ``bounds``: seconds by what bound them, in the order of layers."""

    points: int
    kinds: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    counts: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    times: list[Floats] = field(default_factory=list)
    lows: list[Floats] = field(default_factory=list)
    highs: list[Floats] = field(default_factory=list)
    validated: list[list[str]] = field(default_factory=list)
    validated_codes: list[npt.NDArray[np.int32]] = field(default_factory=list)
    encodings: list[Sequence[str]] = field(default_factory=list)
    encoding_codes: list[npt.NDArray[np.int32]] = field(default_factory=list)
    extrapolated: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    latency: Floats = field(init=False)
    busy: Floats = field(init=False)
    scratchpad: npt.NDArray[np.int64] = field(init=False)
    bounds: dict[str, Floats] = field(default_factory=dict)
    first: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.latency, self.busy = np.zeros(self.points), np.zeros(self.points)
        self.scratchpad = np.zeros(self.points, dtype=np.int64)
        self.counts = {name: np.zeros(self.points, dtype=np.int64) for name in COUNTS}

    def add(self, found: ManyResults, layer: LayerOutcome) -> None:
        """Add one layer. ``layer``: its outcome on one point, for what no field moves."""
        for point, why in enumerate(found.refused):
            if why is not None:
                self.refused.setdefault(point, why)
        place = len(self.names)
        self.names.append(layer.result.layer)
        self.kinds.append(layer.result.kind)
        time = np.where(np.isnan(found.latency_s), 0.0, found.latency_s)  # of refused points
        for name in COUNTS:
            self.counts[name] = self.counts[name] + getattr(found, name)
        self.scratchpad = np.maximum(self.scratchpad, found.scratchpad_bytes)
        self.latency = self.latency + time
        self.busy = self.busy + found.utilization * time
        for code, name in enumerate(found.bound.names):
            here = found.bound.codes == code
            self.bounds[name] = self.bounds.get(name, np.zeros(self.points)) + np.where(here, time, 0.0)
            earlier = self.first.get(name, np.full(self.points, np.iinfo(np.int64).max))
            self.first[name] = np.where(here, np.minimum(earlier, place), earlier)
        self.times.append(time)
        self.lows.append(found.latency_low_s)
        self.highs.append(found.latency_high_s)
        self.validated.append(list(found.validated.names))
        self.validated_codes.append(np.broadcast_to(found.validated.codes, (self.points,)))
        self.encodings.append(found.encoding.names)
        self.encoding_codes.append(np.broadcast_to(found.encoding.codes, (self.points,)))
        self.extrapolated.append(np.broadcast_to(found.extrapolated, (self.points,)))


def totals_of(level: TracedLevel, varied: Varied, request: RunRequest, one: Sequence[LayerOutcome]) -> Totals:
    """Return the sums over the layers of ``level``; ``one``: the outcomes of one of the points, layer by layer."""
    encoding = request.encoding if readable(request.encoding, varied.base) else "dense"
    totals = Totals(points=varied.points)
    name = varied.base.name
    totals.refused = {
        point: f"device {name}: {why.removeprefix(f'device {name}: ')}" for point, why in varied.refused.items()
    }
    for trace, layer in zip(level.traces(), one, strict=True):
        found = estimate_many(trace, varied, dtype=request.dtype, threads=request.threads, encoding=encoding)
        totals.add(found, layer)
    return totals


def fits(totals: Totals) -> bool:
    """Return whether every count is far below what 64 bits hold."""
    return all(float(counts.max(initial=0)) < LARGEST for counts in totals.counts.values())


def changed_columns(totals: Totals, level: TracedLevel, request: RunRequest, row: Row) -> Iterator[Row]:
    """Yield for each point the columns of its row that fields move; ``row``: that of one point, for what they don't.

    Points that are refused get columns too, which mean nothing.
    """
    peak = row["activation_peak_bytes"]
    assert isinstance(peak, int)
    weights = totals.counts["weight_bytes"] + totals.counts["index_bytes"]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = totals.busy / totals.latency
    bounds = _bounds(totals)
    bands = _bands(totals)
    notes, encodings = _extrapolated(totals), _encodings(totals)
    unsupported = [f"not counted, unsupported: {', '.join(level.unsupported)}"] if level.unsupported else []
    columns = {
        "macs_dense": totals.counts["macs_dense"],
        "macs_effectual": totals.counts["macs_effectual"],
        "macs_issued": totals.counts["macs_issued"],
        "weight_bytes": totals.counts["weight_bytes"],
        "index_bytes": totals.counts["index_bytes"],
        "dram_bytes": totals.counts["dram_bytes"],
        "weight_slots": totals.counts["slots"],
        "storage_bytes": weights,
        "scratchpad_bytes": totals.scratchpad,
        "peak_memory_bytes": weights + peak + totals.scratchpad,
        "latency_s": totals.latency,
        "utilization": np.where(totals.latency > 0, np.minimum(1.0, shares), 0.0),
    }
    plain = {name: values.tolist() for name, values in columns.items()}
    for point in range(totals.points):
        low, high, validated, note = bands[point]
        extrapolated, left = notes[point]
        reasons = [*unsupported, *(text for text in (note, left) if text)]
        yield {
            **{name: values[point] for name, values in plain.items()},
            "bound": bounds[point],
            "latency_low_s": low,
            "latency_high_s": high,
            "validated": validated,
            "extrapolated": extrapolated,
            "encodings": encodings[point],
            "reason": "; ".join(reasons) or None,
        }


def _bounds(totals: Totals) -> list[str | None]:
    """Return what binds each point for the most time; of equals the one that comes first in its layers."""
    names = list(totals.bounds)
    if not names:
        return [None] * totals.points
    first = np.stack([totals.first[name] for name in names])
    seconds = np.where(first < np.iinfo(np.int64).max, np.stack([totals.bounds[name] for name in names]), -1.0)
    tied = np.where(seconds == seconds.max(axis=0), first, np.iinfo(np.int64).max)
    return [names[at] for at in np.argmin(tied, axis=0).tolist()]


Band = tuple[float | None, float | None, str, str]


def _bands(totals: Totals) -> list[Band]:
    """Return low, high, what validates them and why there are none, as ``total_band`` does."""
    times, lows, highs = np.stack(totals.times), np.stack(totals.lows), np.stack(totals.highs)
    timed = times > 0
    held = timed & ~np.isnan(lows) & ~np.isnan(highs)
    covered, rest, low, high = (np.zeros(totals.points) for _ in range(4))
    for layer in range(len(times)):  # in the order of layers, as a sum over them goes
        covered = covered + np.where(held[layer], times[layer], 0.0)
        rest = rest + np.where(timed[layer] & np.isnan(lows[layer]), times[layer], 0.0)
        low = low + np.where(held[layer], lows[layer], 0.0)
        high = high + np.where(held[layer], highs[layer], 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = covered / totals.latency
        lowest = np.where(held, lows / times, np.inf).min(axis=0)
        highest = np.where(held, highs / times, -np.inf).max(axis=0)
        ends = low + rest * lowest, high + rest * highest
    texts = _validated(totals, timed, ~np.isnan(lows))
    found: list[Band] = []
    for point in range(totals.points):
        if not held[:, point].any():
            found.append((None, None, NOT_VALIDATED, ""))
        elif share[point] < LEAST_COVERED:
            note = f"no error band: those of layers cover {share[point]:.0%} of the time, less than half"
            found.append((None, None, NOT_VALIDATED, note))
        else:
            names, kinds = texts[point]
            if rest[point]:
                part = f"{share[point]:.0%} of the time; {kinds} not validated, taken to be as uncertain as the worst"
                names = list(dict.fromkeys([*names, part]))
            found.append((float(ends[0][point]), float(ends[1][point]), "; ".join(names), ""))
    return found


def _validated(
    totals: Totals, timed: npt.NDArray[np.bool_], has_low: npt.NDArray[np.bool_]
) -> list[tuple[list[str], str]]:
    """Return for each point what validates its layers, and the kinds of layers that nothing validates."""
    names: dict[str, int] = {}
    codes = np.full(timed.shape, -1, dtype=np.int32)  # -1: takes no time, -2: no band
    for layer, (own, own_codes) in enumerate(zip(totals.validated, totals.validated_codes, strict=True)):
        shared = np.array([names.setdefault(name, len(names)) for name in own], dtype=np.int32)
        codes[layer] = np.where(timed[layer], np.where(has_low[layer], shared[own_codes], -2), -1)
    distinct, which = np.unique(codes.T, axis=0, return_inverse=True)
    spelled = list(names)
    told = []
    for signature in distinct.tolist():
        texts = list(dict.fromkeys(spelled[code] for code in signature if code >= 0))
        kinds = ", ".join(dict.fromkeys(totals.kinds[layer] for layer, code in enumerate(signature) if code == -2))
        told.append((texts, kinds))
    return [told[at] for at in which.reshape(-1).tolist()]


def _encodings(totals: Totals) -> list[str | None]:
    """Return the encodings of each point's layers, each once, as a total row names them."""
    distinct, which = np.unique(np.stack(totals.encoding_codes).T, axis=0, return_inverse=True)
    told = []
    for signature in distinct.tolist():
        names = [own[code] for own, code in zip(totals.encodings, signature, strict=True)]
        told.append(", ".join(dict.fromkeys(name for name in names if name)) or None)
    return [told[at] for at in which.reshape(-1).tolist()]


def _extrapolated(totals: Totals) -> list[tuple[bool, str]]:
    """Return for each point whether it is extrapolated anywhere, and where, as ``extrapolated_note`` says it."""
    distinct, which = np.unique(np.stack(totals.extrapolated).T, axis=0, return_inverse=True)
    told = []
    for signature in distinct:
        names = [totals.names[layer] for layer in np.flatnonzero(signature)]
        shown = ", ".join([*names[:NAMED], *(["..."] if len(names) > NAMED else [])])
        note = f"extrapolated in {len(names)} of {len(totals.names)} layers ({shown})" if names else ""
        told.append((bool(names), note))
    return [told[at] for at in which.reshape(-1).tolist()]
