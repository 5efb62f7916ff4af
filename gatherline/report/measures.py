"""How measures and device fields read: a title, and a unit with a prefix that suits the values at hand.

Binary prefixes are for fields of memories that people set (64 KiB); measured bytes are decimal (MB).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gatherline.device_fields import unit_of

TITLES = {
    "latency_s": "latency",
    "peak_memory_bytes": "peak memory",
    "storage_bytes": "stored weights",
    "energy_pj": "energy",
    "area_mm2": "area",
    "dram_bytes": "DRAM traffic",
    "kept_l1": "kept L1",
    "kept_l2": "kept L2",
    "sparsity_target": "sparsity",
    "dtype": "data type",
}
SHARES = ("kept_l1", "kept_l2", "density", "sparsity_target", "sparsity_reached", "utilization")
# of each unit: (factor, as it is shown) from the largest; the first that leaves the largest value at 1 or more is taken
_PREFIXES: dict[str, tuple[tuple[float, str], ...]] = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")),
    "B": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")),
    "pJ": ((1e12, "J"), (1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ"), (1.0, "pJ")),
    "Hz": ((1e9, "GHz"), (1e6, "MHz"), (1e3, "kHz"), (1.0, "Hz")),
    "B/s": ((1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1.0, "B/s")),
}
_BINARY = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
_MILLISECONDS = (1e-3, "ms")  # of latencies up to a minute: what people say


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A column as it is shown: values are divided by ``factor`` and stand in ``unit``, "" for a count or a name."""

    title: str
    factor: float
    unit: str

    @property
    def label(self) -> str:
        return f"{self.title} ({self.unit})" if self.unit else self.title

    def number(self, value: float, *, whole: bool = True) -> str:
        """Return a value without its unit, with four digits; a whole number as it is unless ``whole`` is False."""
        scaled = float(f"{value / self.factor:.9g}")  # 2e-5 s is 20 µs, and not a little more
        if whole and scaled == int(scaled) and abs(scaled) < 1e9:
            return f"{int(scaled):,}"
        digits = max(0, 3 - math.floor(math.log10(abs(scaled)))) if abs(scaled) >= 1e-3 else None
        return f"{scaled:.4g}" if digits is None else f"{scaled:,.{digits}f}"

    def column(self, values: Sequence[float]) -> list[str]:
        """Return values as they stand below each other: a whole one has the digits of its neighbours; % have two."""
        cells = [self.number(value) for value in values]
        if not any("." in cell for cell in cells):
            return cells
        if self.unit == "%":
            return [f"{value / self.factor:.2f}" for value in values]
        return [self.number(value, whole=False) for value in values]

    def short(self, value: float) -> str:
        """Return a value that somebody chose, without its unit and without zeros at its end."""
        return f"{value / self.factor:.6g}"

    def text(self, value: float) -> str:
        """Return a value with its unit."""
        return f"{self.number(value)} {self.unit}".rstrip()


def scale_of(name: str, values: Iterable[float]) -> Scale:
    """Return how a column of ``values`` is shown."""
    finite = [abs(value) for value in values if math.isfinite(value)]
    largest = max(finite, default=0.0)
    title, unit = title_of(name), measure_unit(name)
    if unit == "share":
        return Scale(title=title, factor=0.01, unit="%")
    if unit == "s" and 1.0 <= largest < 60.0 and "." not in name:
        factor, shown = _MILLISECONDS
    elif unit == "B" and "." in name and all(value % 1024 == 0 for value in finite):
        factor, shown = next((each for each in _BINARY if largest >= each[0]), (1, "B"))
    else:
        choices = _PREFIXES.get(unit, ((1.0, unit),))
        factor, shown = next((each for each in choices if largest >= each[0]), choices[-1])
    return Scale(title=title, factor=float(factor), unit=shown)


def title_of(name: str) -> str:
    """Return a column's name as people say it; paths of fields as they are."""
    if name in TITLES:
        return TITLES[name]
    for ending in ("_bytes", "_s", "_pj", "_mm2", "_hz", "_cycles"):
        if "." not in name and name.endswith(ending):
            name = name.removesuffix(ending)
            break
    return name if "." in name else name.replace("_", " ")


def measure_unit(name: str) -> str:
    """Return the unit of a column of numbers: s, B, pJ, mm2, Hz, cycles ..., "share", or "" for a count."""
    if name in SHARES:
        return "share"
    if "." not in name:
        for ending, unit in (("_pj", "pJ"), ("_mm2", "mm2"), ("cycles", "cycles")):
            if name.endswith(ending):
                return unit
    return unit_of(name)


def said(name: str, value: object) -> str:
    """Return one value as it stands in a sentence or a cell, with its unit: "16", "64 KiB", "90 %", "gs:16,1"."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        scale = scale_of(name, [float(value)])
        if scale.unit in ("kB", "MB", "GB") and value % 1024 == 0:  # somebody set 2 MiB
            scale = scale_of(f".{name}", [float(value)])
        return f"{scale.short(float(value))} {scale.unit}".rstrip()
    return str(value)
