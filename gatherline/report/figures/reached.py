"""Variants as figures name them: where other weights went than were asked for, the name says what was reached.

A pattern may fix its own sparsity (n_of_m:2,4 removes half) and a model may have zeros of its own. Variants that asked
for several sparsities and got the same network are one, and a note says so. Left out: heat maps, which have a cell for
each sparsity asked for; they say what was reached beside the pattern.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gatherline.report.figures.chosen import Timed, seconds
from gatherline.report.figures.figure import listed
from gatherline.report.selection import RowLike, Rows, Variant, number, percent, text, variant

SAME_TIME = 0.01  # of a time: which of equal weights went moves cycles a little
NOTEWORTHY = 0.005  # between asked for and reached: what rounding layers to whole weights moves is less


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Totals without repeats, what each variant is called, and what to say of those that went into another."""

    timed: Timed
    names: Mapping[Variant, str]
    notes: tuple[str, ...]


def reached(row: RowLike) -> float | None:
    """Return the sparsity of a total that was reached where it is not the one asked for."""
    asked, got = variant(row).sparsity, number(row, "sparsity_reached")
    return got if asked is not None and got is not None and abs(asked - got) >= NOTEWORTHY else None


def named(timed: Timed) -> Named:
    """Return the totals with equal variants merged, and names for those that stay."""
    of_variants: dict[Variant, list[RowLike]] = {}
    for row in timed.rows:
        of_variants.setdefault(variant(row), []).append(row)
    groups: list[list[Variant]] = []
    for of, rows in of_variants.items():
        same = next((group for group in groups if _is_one(of_variants[group[0]], rows)), None)
        groups.append([of]) if same is None else same.append(of)
    names, notes = {}, []
    for group in groups:
        rows = [row for of in group for row in of_variants[of]]
        if len(group) > 1 and reached_words(rows):
            names[group[0]] = f"{group[0].pattern} ({reached_words(rows)})"
            asked = listed([percent(of.sparsity) for of in group])
            notes.append(f"{group[0].pattern} at {asked} is one network ({reached_words(rows)}), drawn once")
            continue
        for of in group:
            words = reached_words(of_variants[of])
            names[of] = f"{of.label} ({words})" if words else of.label
    kept = {device: [row for row in rows if variant(row) in names] for device, rows in timed.of.items()}
    ordered = {one: names[one] for one in of_variants if one in names}
    return Named(timed=replace(timed, of=kept), names=ordered, notes=tuple(notes))


def _is_one(rows: Sequence[RowLike], others: Sequence[RowLike]) -> bool:
    """Return whether two variants are one network: pattern, weights that stay, and time on each device are the same."""
    return len(rows) == len(others) and all(
        text(one, "device") == text(other, "device")
        and text(one, "pattern") == text(other, "pattern")
        and number(one, "density") == number(other, "density")
        and number(one, "sparsity_reached") == number(other, "sparsity_reached") is not None
        and math.isclose(seconds(one) or 0.0, seconds(other) or 0.0, rel_tol=SAME_TIME)
        for one, other in zip(rows, others, strict=True)
    )


def reached_words(rows: Rows) -> str:
    """Return what was reached in words, "" where it is what was asked for: "reached 50 %", "reached 73 to 99 %"."""
    if not any(reached(row) is not None for row in rows):
        return ""
    got = sorted({round(value, 4) for row in rows if (value := number(row, "sparsity_reached")) is not None})
    low, high = percent(got[0]), percent(got[-1])
    return f"reached {low}" if low == high else f"reached {low.removesuffix(' %')} to {high}"
