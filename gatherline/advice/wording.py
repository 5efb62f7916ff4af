"""How times and shares read in a sentence of advice."""

from __future__ import annotations


def milliseconds(seconds: float) -> str:
    """Return a time with its unit, four digits."""
    if seconds < 1e-6:
        return f"{seconds * 1e9:.4g} ns"
    return f"{seconds * 1e6:.4g} us" if seconds < 1e-3 else f"{seconds * 1e3:.4g} ms"


_SCALES = {
    "Hz": ((1e9, "GHz"), (1e6, "MHz")),
    "B/s": ((1e9, "GB/s"), (1e6, "MB/s")),
    "B": ((1 << 20, "MiB"), (1 << 10, "KiB")),
}


def quantity(value: object, unit: str) -> str:
    """Return a field's value with its unit, large ones scaled; names as they are."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if unit == "s":
        return milliseconds(value)
    for factor, scaled in _SCALES.get(unit, ()):
        if value >= factor:
            return f"{value / factor:.4g} {scaled}"
    return f"{value:.4g} {unit}".rstrip() if isinstance(value, float) else f"{value} {unit}".rstrip()


def share(part: float, whole: float) -> str:
    """Return a part of a whole in per cent."""
    return f"{100 * part / whole:.3g} %" if whole else "-"


def verdict_without(sparse_s: float, dense_s: float) -> str:
    """Return what two times say of each other, without the cause that stands before these words."""
    if sparse_s < dense_s * (1 - 1e-9):
        return f"{milliseconds(sparse_s)}, faster than dense ({milliseconds(dense_s)})"
    return f"{milliseconds(sparse_s)}, still no faster than dense ({milliseconds(dense_s)})"
