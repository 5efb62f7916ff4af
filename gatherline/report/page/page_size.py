"""Which variants of a run its page shows where all of them would make it too large to mail or to open on a phone.

Variants go as a whole, from every device: what is left is dense, what is fastest for somebody, and then the fastest.
Left out: the size of one variant's layers and of the pictures of masks, which stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from gatherline.report.headline import DeviceHeadline
from gatherline.report.page.results import is_dense
from gatherline.report.selection import RowLike, Rows, Variant, number, text, totals, variant

LARGEST_BYTES = 5_000_000
SPARE = 0.9  # of the room, since some parts of a page have the same size whatever it shows


def variants_of(rows: Rows) -> list[Variant]:
    """Return the variants of all rows, each once, in order."""
    return list(dict.fromkeys(variant(row) for row in rows))


def fewer_variants(rows: Rows, facts: Sequence[DeviceHeadline], count: int) -> list[RowLike]:
    """Return the rows of ``count`` variants, of more where more of them are dense or fastest within a limit.

    ``facts``: of ``rows``. A variant ranks by the device on which it does best.
    """
    kept = {variant(row) for row in rows if is_dense(row)}
    for one in facts:
        verdicts = [one, *(each.verdict for each in one.limits)]
        kept |= {variant(found.best) for found in verdicts if found is not None}
    for asked in _by_rank(rows):
        if len(kept) >= count:
            break
        kept.add(asked)
    return [row for row in rows if variant(row) in kept]


def _by_rank(rows: Rows) -> list[Variant]:
    of_device: dict[str, list[tuple[float, int, Variant]]] = {}
    for at, row in enumerate(totals(rows)):
        seconds = number(row, "latency_s")
        if seconds is not None:
            of_device.setdefault(text(row, "device"), []).append((seconds, at, variant(row)))
    rank: dict[Variant, int] = {}
    for found in of_device.values():
        for place, (_, _, asked) in enumerate(sorted(found, key=lambda one: one[:2])):
            rank[asked] = min(place, rank.get(asked, place))
    unranked = [asked for asked in variants_of(rows) if asked not in rank]
    return [*sorted(rank, key=lambda asked: rank[asked]), *unranked]
