"""How times and shares read in a sentence of advice."""

from __future__ import annotations


def milliseconds(seconds: float) -> str:
    """Return a time with its unit, three digits."""
    if seconds < 1e-6:
        return f"{seconds * 1e9:.3g} ns"
    return f"{seconds * 1e6:.3g} us" if seconds < 1e-3 else f"{seconds * 1e3:.4g} ms"


def share(part: float, whole: float) -> str:
    """Return a part of a whole in per cent."""
    return f"{100 * part / whole:.3g} %" if whole else "-"


def verdict_without(sparse_s: float, dense_s: float) -> str:
    """Return what two times say of each other, without the cause that stands before these words."""
    if sparse_s < dense_s * (1 - 1e-9):
        return f"{milliseconds(sparse_s)}, {dense_s / sparse_s:.3g} times as fast as dense"
    return f"{milliseconds(sparse_s)}, still no faster than dense ({milliseconds(dense_s)})"
