"""The error bands of many networks from those of their layers: what ``total_band`` says, for all points together.

Left out: why a band is made so; ``gatherline.total_band`` says it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from costmodel.many import ManyResults, Texts
from gatherline.many_texts import each_once, in_common
from gatherline.total_band import LEAST_COVERED, NOT_VALIDATED

Floats = npt.NDArray[np.float64]


def added_up(columns: Sequence[Any]) -> Any:
    so_far = np.zeros(columns[0].shape)
    for column in columns:
        so_far = so_far + column
    return so_far


def total_bands(kinds: Sequence[str], found: Sequence[ManyResults]) -> dict[str, Any]:
    """Return the ends and the text of the error band, and the note where there is none, as ``total_band`` does."""
    times = [each.latency_s for each in found]
    lows, highs = [each.latency_low_s for each in found], [each.latency_high_s for each in found]
    timed = [time > 0 for time in times]
    banded = [on & ~np.isnan(low) for on, low in zip(timed, lows, strict=True)]
    whole, covered = _among(timed, times), _among(banded, times)
    bare = [on & np.isnan(low) for on, low in zip(timed, lows, strict=True)]
    rest = _among(bare, times)
    share = np.divide(covered, whole, out=np.zeros_like(whole), where=whole != 0)
    lowest = np.minimum.reduce(_ratios(banded, lows, times, np.inf))
    highest = np.maximum.reduce(_ratios(banded, highs, times, -np.inf))
    any_band = np.logical_or.reduce(banded)
    enough = any_band & ~(share < LEAST_COVERED)
    spread = np.where(enough, rest, 0.0)
    low_s = _among(banded, lows) + spread * np.where(enough, lowest, 0.0)
    high_s = _among(banded, highs) + spread * np.where(enough, highest, 0.0)
    known = in_common([_masked(each.validated, on) for each, on in zip(found, banded, strict=True)], each_once)
    names = [Texts(names=("", kind), codes=on.astype(np.int32)) for kind, on in zip(kinds, bare, strict=True)]
    open_kinds = in_common(names, each_once)
    return {
        "latency_low_s": _optional(low_s, enough),
        "latency_high_s": _optional(high_s, enough),
        "validated": _validated(known, open_kinds, enough, rest, share),
        "extrapolated": np.logical_or.reduce([each.extrapolated for each in found]),
        "note": [
            f"no error band: those of layers cover {part:.0%} of the time, less than half" if some and not ends else ""
            for some, ends, part in zip(any_band.tolist(), enough.tolist(), share.tolist(), strict=True)
        ],
    }


def _among(chosen: Sequence[Any], columns: Sequence[Any]) -> Any:
    return added_up([np.where(on, column, 0.0) for on, column in zip(chosen, columns, strict=True)])


def _ratios(chosen: Sequence[Any], ends: Sequence[Floats], times: Sequence[Floats], other: float) -> list[Any]:
    """Return each layer's end over its time where it is chosen, ``other`` elsewhere."""
    return [
        np.divide(end, time, out=np.full(time.shape, other), where=on)
        for on, end, time in zip(chosen, ends, times, strict=True)
    ]


def _optional(column: Floats, there: npt.NDArray[np.bool_]) -> list[float | None]:
    return [value if one else None for value, one in zip(column.tolist(), there.tolist(), strict=True)]


def _validated(
    known: Sequence[Sequence[str]], kinds: Sequence[Sequence[str]], enough: Any, rest: Any, share: Any
) -> list[str]:
    """Return what stands behind the ends at each point: the texts of layers, and which kinds have none."""
    found = []
    for own, missing, ends, left, part in zip(
        known, kinds, enough.tolist(), rest.tolist(), share.tolist(), strict=True
    ):
        texts = [*own]
        if left:
            texts.append(
                f"{part:.0%} of the time; {', '.join(missing)} not validated, taken to be as uncertain as the worst"
            )
        found.append("; ".join(texts) if ends else NOT_VALIDATED)
    return found


def _masked(texts: Texts, on: Any) -> Texts:
    """Return ``texts`` where ``on``, "" elsewhere."""
    return Texts(names=("", *texts.names), codes=np.where(on, texts.codes + 1, 0).astype(np.int32))
