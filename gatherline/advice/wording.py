"""How times and shares read in a sentence of advice."""

from __future__ import annotations

SAME = 1e-9  # of a time: sums in another order
DIGITS, MOST_DIGITS = 4, 12


def milliseconds(seconds: float, digits: int = DIGITS) -> str:
    """Return a time with its unit, four digits unless more are asked for."""
    if seconds < 1e-6:
        return f"{seconds * 1e9:.{digits}g} ns"
    return f"{seconds * 1e6:.{digits}g} µs" if seconds < 1e-3 else f"{seconds * 1e3:.{digits}g} ms"


def told_apart(one_s: float, other_s: float) -> tuple[str, str]:
    """Return two times with as many digits as it takes to see that they differ."""
    told = milliseconds(one_s), milliseconds(other_s)
    if abs(one_s - other_s) <= SAME * max(abs(one_s), abs(other_s)):
        return told
    for digits in range(DIGITS + 1, MOST_DIGITS + 1):
        if told[0] != told[1]:
            break
        told = milliseconds(one_s, digits), milliseconds(other_s, digits)
    return told


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
    sparse, dense = told_apart(sparse_s, dense_s)
    if gains(sparse_s, dense_s):
        return f"{sparse}, faster than dense ({dense})"
    return f"{sparse}, still no faster than dense ({dense})"


def gains(sparse_s: float, dense_s: float) -> bool:
    """Return whether a time is below that of dense by more than rounding."""
    return sparse_s < dense_s * (1 - SAME)
