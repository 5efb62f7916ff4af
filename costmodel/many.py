"""``estimate`` for many devices at once: one base device whose fields vary, one layer, a column for each answer.

Each number is the one that ``estimate`` gives for that device, to the last bit: the same functions run, on numbers
that stand for all points (``costmodel.per_point``). Where points take different paths through a model they part and
run on in groups; a group of few points, and what cannot be done for several at once, runs point by point, which is
right and slower. FPGAs always run point by point. Left out: the mapping, reasons, single bounds and the time of the
dense kernel beside a sparse one, which are texts and comparisons of one point: ask ``estimate``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from costmodel.estimate import estimate_run
from costmodel.per_point import VARIES, Diverged, NotPerPoint, PerPoint, TextPerPoint
from costmodel.spec import RooflineDevice
from costmodel.validation.bands import banded
from costmodel.varied import Places, Varied
from patterns.encodings.base import EncodingError
from simulator.result import LayerResult
from simulator.spec import DeviceError
from traces.trace import LayerTrace

FEW = 6  # points that are sooner done one by one
CHUNK = 8192  # points that run together: their arrays stay in a cache
COUNTS = (
    "weight_bytes", "index_bytes", "dram_bytes", "dram_read_bytes", "dram_write_bytes", "macs_dense", "macs_effectual",
    "macs_issued", "activation_bytes", "vector_elements", "slots", "scratchpad_bytes",
)  # fmt: skip
SECONDS = ("latency_s", "latency_low_s", "latency_high_s")
TEXTS = ("bound", "kernel", "encoding", "validated")

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Texts(Sequence[str]):
    """A text for each point: ``names`` by ``codes`` [points]."""

    names: tuple[str, ...]
    codes: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return int(self.codes.size)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [self.names[code] for code in self.codes[at]]
        return self.names[int(self.codes[at])]

    def __iter__(self) -> Iterator[str]:
        return (self.names[code] for code in self.codes.tolist())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ManyResults:
    """One layer on many devices, columns [points], named as in ``LayerResult`` and ``Counters``.

    ``latency_low_s`` and ``latency_high_s`` are nan without a band. ``refused``: why a point is no device that this
    layer runs on, None for all others; in the other columns such a point has nan, 0 and "". Columns may be read-only.
    """

    latency_s: Floats
    latency_low_s: Floats
    latency_high_s: Floats
    utilization: Floats
    weight_bytes: Ints
    index_bytes: Ints
    dram_bytes: Ints
    dram_read_bytes: Ints
    dram_write_bytes: Ints
    macs_dense: Ints
    macs_effectual: Ints
    macs_issued: Ints
    activation_bytes: Ints
    vector_elements: Ints
    slots: Ints
    scratchpad_bytes: Ints
    bound: Texts
    kernel: Texts
    encoding: Texts
    validated: Texts
    extrapolated: npt.NDArray[np.bool_]
    refused: tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What is asked of each point."""

    trace: LayerTrace
    dtype: str
    threads: int
    encoding: str | None
    bands: bool

    def answer(self, device: RooflineDevice) -> LayerResult:
        result = estimate_run(
            self.trace, device, dtype=self.dtype, threads=self.threads, encoding=self.encoding, explained=False
        )
        return banded(result, self.dtype, self.threads if device.static_threads else 1) if self.bands else result


Piece = tuple[Places, LayerResult]


def estimate_many(
    trace: LayerTrace,
    varied: Varied,
    *,
    dtype: str = "fp16",
    threads: int = 1,
    encoding: str | None = None,
    bands: bool = True,
) -> ManyResults:
    """Return what ``trace`` costs on each of the devices of ``varied``.

    ``threads``, ``encoding``: as for ``estimate``. ``bands``: with the error bands of ``costmodel.validation.bands``.
    Where ``estimate`` raises for a point, its text stands in ``refused``: one that a kernel cannot run on, or one with
    rates that contradict each other (a utilization above 1), is no reason to lose the others.
    """
    asked = _Question(trace=trace, dtype=dtype, threads=threads, encoding=encoding, bands=bands)
    refused: dict[int, str] = dict(varied.refused)
    pieces: list[Piece] = []
    with np.errstate(divide="raise", invalid="raise", over="ignore", under="ignore"):
        for start in range(0, varied.accepted.size, CHUNK):
            pieces += _chunk(asked, varied, start, refused)
    return _columns(varied.points, pieces, refused)


def _chunk(asked: _Question, varied: Varied, start: int, refused: dict[int, str]) -> Iterator[Piece]:
    """Yield results of groups of the points from ``start`` on, of all together where they do not part."""
    whole = varied.accepted[start : start + CHUNK]
    pending = [whole]
    while pending:
        places = pending.pop()
        if varied.base.fabric is not None or places.size <= FEW:
            yield from _alone(asked, varied, places, refused)
            continue
        try:
            device = varied.chunk(start, whole) if places is whole else varied.at(places)
            result = asked.answer(device)
        except Diverged as diverged:
            pending += [places[diverged.where], places[~diverged.where]]
        except (NotPerPoint, DeviceError, EncodingError, ArithmeticError, AssertionError):
            yield from _alone(asked, varied, places, refused)
        else:
            if any(VARIES in text for text in (result.kernel, result.encoding, result.validated)):
                yield from _alone(asked, varied, places, refused)
            else:
                yield places, result


def _alone(asked: _Question, varied: Varied, places: Places, refused: dict[int, str]) -> Iterator[Piece]:
    for at, point in enumerate(places.tolist()):
        try:
            yield places[at : at + 1], asked.answer(varied.alone(point))
        except DeviceError as error:
            refused[point] = str(error)
        except EncodingError as error:  # a width of the kernel's
            refused[point] = f"layer {asked.trace.layer.name}: {error}"
        except (ArithmeticError, AssertionError) as error:  # no rule of a device refuses it, and no kernel can be so
            refused[point] = f"device {varied.base.name}: layer {asked.trace.layer.name}: {error}"


def _columns(points: int, pieces: Sequence[Piece], refused: dict[int, str]) -> ManyResults:
    found: dict[str, Any] = {name: _floats(points, pieces, name) for name in SECONDS}
    found["utilization"] = _filled(points, pieces, [one.utilization for _, one in pieces], np.float64, 0.0)
    for name in COUNTS:
        values = [getattr(result.counters, name) for _, result in pieces]
        found[name] = _filled(points, pieces, values, np.int64, 0)
    for name in TEXTS:
        found[name] = _texts(points, pieces, [getattr(result, name) for _, result in pieces])
    found["extrapolated"] = _filled(points, pieces, [one.extrapolated for _, one in pieces], np.bool_, False)
    return ManyResults(**found, refused=tuple(map(refused.get, range(points))) if refused else (None,) * points)


def _floats(points: int, pieces: Sequence[Piece], name: str) -> Floats:
    values = [getattr(result, name) for _, result in pieces]
    missing = float("nan")
    return _filled(points, pieces, [missing if one is None else one for one in values], np.float64, missing)


def _filled(points: int, pieces: Sequence[Piece], values: Sequence[Any], kind: Any, empty: Any) -> npt.NDArray[Any]:
    """Return the column of the pieces' ``values``; ``empty`` where no piece is."""
    plain = [one.values if isinstance(one, PerPoint) else one for one in values]
    if len(pieces) == 1 and pieces[0][0].size == points:
        only = np.asarray(plain[0], dtype=kind)
        return np.broadcast_to(only, (points,))
    column = np.full(points, empty, dtype=kind)
    for (places, _), value in zip(pieces, plain, strict=True):
        column[places] = value
    return column


def _texts(points: int, pieces: Sequence[Piece], values: Sequence[str | TextPerPoint]) -> Texts:
    known: dict[str, int] = {}
    codes: list[Any] = []
    for value in values:
        if isinstance(value, TextPerPoint):
            own = np.array([known.setdefault(name, len(known)) for name in value.names], dtype=np.int32)
            codes.append(own[value.codes])
        else:
            codes.append(known.setdefault(value, len(known)))
    if sum(places.size for places, _ in pieces) < points:  # refused points
        column = _filled(points, pieces, codes, np.int32, known.setdefault("", len(known)))
    else:
        column = _filled(points, pieces, codes, np.int32, 0)
    return Texts(names=tuple(known), codes=column)
