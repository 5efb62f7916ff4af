"""Which rows a figure shows: those of the devices, patterns and sparsities that were asked for, dense beside them.

A name that no row has is an error that says which there are. A time that is zero, missing or infinite can stand on no
axis: such rows are left out and counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gatherline.report.figures.figure import FigureChoices
from gatherline.report.selection import (
    RowLike,
    Rows,
    Variant,
    devices,
    number,
    of_device,
    percent,
    text,
    totals,
    unique,
    variant,
)
from gatherline.request_error import RequestError
from patterns.names import nearest

MOST_NAMED = 8  # names in an error
DENSE = "dense"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Totals that have a time, by device in the order of the run. ``left_out``: how many have none."""

    of: dict[str, list[RowLike]]
    left_out: int

    @property
    def rows(self) -> list[RowLike]:
        return [row for rows in self.of.values() for row in rows]

    @property
    def note(self) -> tuple[str, ...]:
        """What is said of rows left out."""
        if not self.left_out:
            return ()
        return (f"{self.left_out} totals without a time above zero are left out",)


def seconds(row: RowLike, column: str = "latency_s") -> float | None:
    """Return a number that can stand on an axis of any kind: finite and above zero."""
    value = number(row, column)
    return value if value is not None and math.isfinite(value) and value > 0 else None


def chosen_totals(rows: Rows, choices: FigureChoices) -> Timed:
    """Return the totals asked for. Raises RequestError where a choice names nothing, or nothing is left."""
    found = totals(rows)
    if not found:
        raise RequestError("the run has no totals, and there is nothing to draw")
    names = chosen_devices(found, choices)
    _check_asked(found, choices)
    kept = [row for row in found if text(row, "device") in names and is_asked(row, choices)]
    if not kept:
        raise RequestError(
            f"no row has both pattern {', '.join(choices.patterns) or 'any'} and sparsity "
            f"{', '.join(f'{one:g}' for one in choices.sparsities) or 'any'}; there are "
            f"{_few([one.label for one in unique_variants(found)])}"
        )
    timed = [row for row in kept if seconds(row) is not None]
    if not timed:
        raise RequestError(f"none of the {len(kept)} totals has a time above zero, and there is nothing to draw")
    of = {name: of_device(timed, name) for name in names}
    return Timed(of={name: found for name, found in of.items() if found}, left_out=len(kept) - len(timed))


def chosen_devices(rows: Rows, choices: FigureChoices) -> list[str]:
    """Return the devices asked for, all of them by default. Raises RequestError for one that no row has."""
    known = devices(rows)
    for name in choices.devices:
        if name not in known:
            raise RequestError(f"device is {name!r}, and the run has {_few(known)}; {nearest(name, known)}")
    return [name for name in known if name in choices.devices] if choices.devices else known


def one_device(rows: Rows, choices: FigureChoices) -> tuple[str, tuple[str, ...]]:
    """Return the device of a figure that shows one, the first by default, and what to say of the others."""
    names = chosen_devices(rows, choices)
    if len(names) == 1:
        return names[0], ()
    return names[0], (f"shows {names[0]}, the first device; --device shows another: {_few(names[1:])}",)


def unique_variants(rows: Rows) -> list[Variant]:
    """Return the variants once each, in the order in which they appear."""
    return list(dict.fromkeys(variant(row) for row in rows))


def is_asked(row: RowLike, choices: FigureChoices) -> bool:
    """Return whether a row has the pattern and sparsity asked for; dense always has."""
    of = variant(row)
    if of.pattern == DENSE and DENSE not in choices.patterns:
        return True
    if choices.patterns and of.pattern not in choices.patterns:
        return False
    if not choices.sparsities or of.sparsity is None:
        return not choices.sparsities or of.pattern == DENSE
    return any(math.isclose(of.sparsity, asked, abs_tol=5e-7) for asked in choices.sparsities)


def _check_asked(rows: Rows, choices: FigureChoices) -> None:
    patterns = unique(text(row, "pattern") for row in rows)
    for name in choices.patterns:
        if name not in patterns:
            raise RequestError(f"pattern is {name!r}, and the run has {_few(patterns)}; {nearest(name, patterns)}")
    levels = sorted({of.sparsity for row in rows if (of := variant(row)).sparsity is not None})
    for asked in choices.sparsities:
        if not any(math.isclose(level, asked, abs_tol=5e-7) for level in levels):
            there = _few([percent(level) for level in levels]) if levels else "none"
            raise RequestError(f"sparsity is {asked:g}, and the sparsities of the run are {there}")


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def subject(rows: Rows) -> str:
    """Return whose numbers these are: the model, its weights, its data type."""
    row = rows[0]
    synthetic = ", synthetic weights" if any(one.get("synthetic") for one in rows) else ""
    return f"{text(row, 'model')}{synthetic}"


def proven(row: RowLike) -> bool:
    """Return whether a time has an error band."""
    return number(row, "latency_low_s") is not None and number(row, "latency_high_s") is not None


def unproven_words(rows: Rows) -> str:
    """Return which devices' times no measurement stands behind, as words in brackets; "" where all have a band."""
    without = [row for row in rows if not proven(row)]
    if not without:
        return ""
    if len(without) == len(rows):
        return " (not validated)"
    names = unique(text(row, "device") for row in without)
    whole = [name for name in names if all(not proven(row) for row in of_device(rows, name))]
    part = [name for name in names if name not in whole]
    words = [", ".join(whole)] if whole else []
    words += [f"some of {', '.join(part)}"] if part else []
    return f" (not validated: {'; '.join(words)})"
