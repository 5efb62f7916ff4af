"""Numbers of every layer, device and variant as columns small enough for a page: each text and each column stands once.

Columns that several runs have in common, or with one value all over, take no room again. Times and shares have five
digits, counts are whole. Left out: energies and the parts of a count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gatherline.report.largest_cause import largest_cause
from gatherline.report.selection import RowLike, Rows, Variant, number, text, variant
from gatherline.report.time_causes import TIME_CAUSES

DIGITS = 5
LARGEST_WHOLE = 1e15  # written without a point up to here
NUMBERS = ("latency_s", *(cause.column for cause in TIME_CAUSES), "density", "utilization", "dense_kernel_s")
COUNTS = ("macs_effectual", "dram_bytes")
RATIOS = {"low_ratio": "latency_low_s", "high_ratio": "latency_high_s"}  # ends of the error band over the latency
FLAGS = ("extrapolated",)
TEXTS = ("kind", "shape", "bound", "kernel", "encoding", "validated", "reason", "mapping", "largest")

Number = int | float | None
Key = tuple[bool, bool, tuple[Number, ...]]  # whether the values are flags, whether one stands for all, and they


@dataclass(slots=True)
class Pool:
    """Texts and columns in the order in which they were first met."""

    texts: dict[str, int] = field(default_factory=dict)
    columns: dict[Key, int] = field(default_factory=dict)

    def text(self, value: str) -> int:
        return self.texts.setdefault(value, len(self.texts))

    def column(self, values: Sequence[Number]) -> int:
        alike = len(set(values)) == 1
        # of equal hash are true and 1, false and 0
        flags = isinstance(values[0], bool)
        key = (flags, alike, tuple(values[:1] if alike else values))
        return self.columns.setdefault(key, len(self.columns))

    def unfolded(self) -> list[list[Number] | Number]:
        """Return the columns: a value where it holds for every layer, else a list."""
        return [values[0] if alike else list(values) for _, alike, values in self.columns]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerColumns:
    """What a page needs of every layer. ``runs``: of a device and a variant, each column's number in ``pool``."""

    layers: tuple[str, ...]
    variants: tuple[Variant, ...]
    runs: Mapping[tuple[str, Variant], Mapping[str, int]]
    pool: Pool


def layer_columns(of_layers: Rows) -> LayerColumns:
    """Return the columns of ``of_layers``, which are rows of layers in the order of the run."""
    pool = Pool()
    places: dict[tuple[str, int], int] = {}
    grouped: dict[tuple[str, Variant], list[RowLike]] = {}
    for row in of_layers:
        grouped.setdefault((text(row, "device"), variant(row)), []).append(row)
    runs = {key: _columns(rows, places, pool) for key, rows in grouped.items()}
    return LayerColumns(
        layers=tuple(name for name, _ in places),
        variants=tuple(dict.fromkeys(asked for _, asked in grouped)),
        runs=runs,
        pool=pool,
    )


def facts_of(row: RowLike) -> dict[str, str | bool | Number]:
    """Return what a page knows of a layer, numbers as the page has them."""
    found: dict[str, str | bool | Number] = {name: _rounded(number(row, name)) for name in NUMBERS}
    for name in COUNTS:
        count = number(row, name)
        found[name] = None if count is None else int(count)
    latency = number(row, "latency_s")
    for name, column in RATIOS.items():
        end = number(row, column)
        found[name] = _rounded(end / latency) if end is not None and latency else None
    for name in TEXTS:
        found[name] = _shape(row) if name == "shape" else text(row, name)
    cause = largest_cause(row)
    found["largest"] = "" if cause is None else cause[0]
    return {**found, **{name: bool(row.get(name)) for name in FLAGS}}


def _columns(rows: Rows, places: dict[tuple[str, int], int], pool: Pool) -> dict[str, int]:
    """Return each column's number in the pool; ``layer`` says which layers the rows are of."""
    met: dict[str, int] = {}
    at: list[int] = []
    for row in rows:  # a name that stands twice in a network is two layers
        name = text(row, "layer")
        met[name] = met.get(name, -1) + 1
        at.append(places.setdefault((name, met[name]), len(places)))
    every = [facts_of(row) for row in rows]
    found = {"layer": pool.column(at)}
    for name in (*NUMBERS, *COUNTS, *RATIOS, *FLAGS, *TEXTS):
        values = [facts[name] for facts in every]
        found[name] = pool.column([pool.text(value) if isinstance(value, str) else value for value in values])
    return found


def _rounded(value: Number) -> Number:
    """Return a number of five digits, without a point where it is whole."""
    if value is None:
        return None
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < LARGEST_WHOLE else short


def _shape(row: RowLike) -> str:
    """Return the matrix product as text, M x K x P, and of how many groups; "" where the layer has none."""
    sizes = [number(row, name) for name in ("m", "k", "p")]
    if any(size is None for size in sizes):
        return ""
    groups = int(number(row, "groups") or 1)
    product = " x ".join(str(int(size or 0)) for size in sizes)
    return f"{groups} groups of {product}" if groups > 1 else product
